package scenarios

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is read of a file at most, in bytes.
const (
	maxBodyFile   = 64 << 20
	maxReplayFile = 64 << 20
	maxFeedRow    = 1 << 20 // the first row, which names the columns
)

// ValidateFiles reports what is wrong with the files that a scenario names, as
// Errors with the places of their keys: those that are not there or can't be
// opened, bodies that are too large, a feed without the columns that placeholders
// name, a replay that is no curve. It expects a scenario that Validate accepts.
// The lab's policy is read by package mesh.
func ValidateFiles(s Scenario) error {
	_, err := readFiles(s)
	return err
}

// contents is what was read from the files of a scenario.
type contents struct {
	bodies map[int]string // by the index of the request
	replay []CurvePoint   // nil without a file to replay
}

func readFiles(s Scenario) (contents, error) {
	v := &validator{s: s, fields: fields()}
	c := contents{bodies: make(map[int]string)}
	if t := s.Target; t != nil {
		v.exists("target.tls.caFile", t.TLS.CAFile)
		v.exists("target.tls.certFile", t.TLS.CertFile)
		v.exists("target.tls.keyFile", t.TLS.KeyFile)
	}
	if a := s.Auth; a != nil {
		v.exists("auth.tokenFile", a.TokenFile)
		if a.OAuth2 != nil {
			v.exists("auth.oauth2ClientCredentials.clientSecretFile", a.OAuth2.ClientSecretFile)
		}
	}
	for i, r := range s.Requests {
		path := fmt.Sprintf("requests[%d]", i)
		if r.GRPC != nil {
			v.exists(path+".grpc.descriptorSet", r.GRPC.DescriptorSet)
		}
		if r.BodyFile == "" {
			continue
		}
		data, err := readBounded(within(s.Dir, r.BodyFile), maxBodyFile)
		if err != nil {
			v.fail(path+".bodyFile", "", "%s", err)
			continue
		}
		c.bodies[i] = string(data)
	}
	if s.Feed != nil {
		v.feed(c.bodies)
	}
	v.exists("demand.history.file", s.Demand.History.File)
	if shape := s.Load.Shape; shape != nil && shape.Replay != nil && shape.Replay.File != "" {
		c.replay = v.replayFile(*shape.Replay)
	}
	return c, v.problems.orNil()
}

// exists wants a file that can be opened; an empty name is none.
func (v *validator) exists(path, file string) {
	if file == "" {
		return
	}
	name := within(v.s.Dir, file)
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if err == nil && info.Mode().IsRegular() { // opening a pipe would take from it
		var f *os.File
		if f, err = os.Open(name); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		v.fail(path, "", "%s", err)
	}
}

// openRegular opens a file that can be read from its start as often as one likes.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file", name)
	}
	return os.Open(name)
}

// readBounded reads a file of at most so many bytes.
func readBounded(name string, most int) ([]byte, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > most {
		return nil, fmt.Errorf("%s has more than the limit of %s", name, size(most))
	}
	return data, nil
}

// feed holds the placeholders of the requests to the columns of the feed.
func (v *validator) feed(bodies map[int]string) {
	columns, err := feedColumns(within(v.s.Dir, v.s.Feed.File))
	if err != nil {
		v.fail("feed.file", "", "%s", err)
		return
	}
	want := func(at, text string) {
		parts, _ := SplitTemplate(text)
		for _, part := range parts {
			if part.Name == "" || slices.Contains(columns, part.Name) {
				continue
			}
			hint := "it has: " + strings.Join(columns, ", ")
			if near, ok := Nearest(part.Name, columns); ok {
				hint = fmt.Sprintf("did you mean ${%s}?", near)
			}
			v.fail(at, hint, "%s has no ${%s}", v.s.Feed.File, part.Name)
		}
	}
	for i, r := range v.s.Requests {
		path := fmt.Sprintf("requests[%d]", i)
		for at, text := range templateTexts(path, r) {
			want(at, text)
		}
		if r.BodyFile != "" {
			want(path+".bodyFile", bodies[i])
		}
	}
}

// feedColumns returns the names of a CSV file's header, or of the members of the
// first object of a JSON Lines file.
func feedColumns(name string) ([]string, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	limited := &io.LimitedReader{R: f, N: maxFeedRow}
	var columns []string
	if filepath.Ext(name) == ".csv" {
		columns, err = csv.NewReader(withoutMark(limited)).Read()
	} else {
		columns, err = firstMembers(withoutMark(limited))
	}
	switch {
	case limited.N == 0:
		return nil, fmt.Errorf("%s: the first row has more than the limit of %s", name, size(maxFeedRow))
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s is empty", name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return columns, nil
}

// withoutMark drops the byte order mark that some programs write first.
func withoutMark(r io.Reader) io.Reader {
	buffered := bufio.NewReader(r)
	if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		buffered.Discard(3) // what was peeked at is there
	}
	return buffered
}

func firstMembers(r io.Reader) ([]string, error) {
	var row map[string]json.RawMessage
	if err := json.NewDecoder(r).Decode(&row); err != nil {
		return nil, fmt.Errorf("the first row is no JSON object: %w", err)
	}
	var names []string
	for name := range row {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// replayFile reads the curve of a replay, scaled and cut to load.duration.
func (v *validator) replayFile(r Replay) []CurvePoint {
	const path = "load.shape.replay.file"
	name := within(v.s.Dir, r.File)
	data, err := readBounded(name, maxReplayFile)
	if err != nil {
		v.fail(path, "", "%s", err)
		return nil
	}
	samples, err := readSamples(name, data)
	if err != nil {
		v.fail(path, "", "%s", err)
		return nil
	}
	curve, err := CurveFromSamples(samples, r.Scale, v.s.Load.Duration)
	if err != nil {
		v.fail(path, "", "%s: %s", name, err)
		return nil
	}
	if limit := v.s.Guards.MaxRate; !limit.IsZero() && PeakOf(curve) > limit.RPS() {
		v.fail(path, "set a lower scale", "its peak of %s is above guards.maxRate, %s", PerSecond(PeakOf(curve)), limit)
	}
	return curve
}

// readSamples reads CSV with a header line: in the first column seconds or an
// RFC 3339 time, in the second a rate per second.
func readSamples(name string, data []byte) ([]RateSample, error) {
	reader := csv.NewReader(withoutMark(bytes.NewReader(data)))
	reader.FieldsPerRecord, reader.ReuseRecord, reader.TrimLeadingSpace = -1, true, true
	var samples []RateSample
	for first := true; ; first = false {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return samples, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := reader.FieldPos(0)
		if len(row) < 2 {
			return nil, fmt.Errorf("%s:%d: two columns are needed, the time and the rate", name, line)
		}
		at, atErr := sampleTime(row[0])
		rate, rateErr := strconv.ParseFloat(strings.TrimSpace(row[1]), 64)
		switch {
		case first && atErr != nil:
			continue // the header line
		case first:
			return nil, fmt.Errorf("%s:%d: a header line is missing, for example seconds,rate", name, line)
		case atErr != nil:
			return nil, fmt.Errorf("%s:%d: %w", name, line, atErr)
		case rateErr != nil:
			return nil, fmt.Errorf("%s:%d: rate %q is not a number", name, line, clip(row[1]))
		case len(samples) >= maxCurve:
			return nil, fmt.Errorf("%s:%d: more than %d rows", name, line, maxCurve)
		}
		samples = append(samples, RateSample{At: at, RPS: rate})
	}
}

// sampleTime reads seconds or an RFC 3339 time.
func sampleTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds <= 1e10) {
		return time.Time{}, fmt.Errorf("time %q is neither seconds from 0 on nor an RFC 3339 time", clip(text))
	}
	whole := int64(seconds)
	return time.Unix(whole, int64((seconds-float64(whole))*1e9+0.5)), nil
}
