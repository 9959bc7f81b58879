package growth

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// History is rates per second and the instants at which they were, rising.
type History struct {
	Times []time.Time
	Rates []float64 // at least 0; NaN is missing
}

const (
	day  = 24 * time.Hour
	week = 7 * day
	// longest keeps instants within what a duration can tell.
	longest = 200 * 365 * day
)

// Thin returns the history with at most so many values: the highest of each hour, or
// of as many hours as it takes, at the instant at which it was. What has no more is
// returned as it is.
func (h History) Thin(most int) History {
	for hours := time.Duration(1); len(h.Times) > max(most, 1); hours *= 2 {
		h = h.highestOf(hours * time.Hour)
	}
	return h
}

// highestOf returns the highest value of each stretch.
func (h History) highestOf(stretch time.Duration) History {
	var out History
	for i, at := range h.Times {
		n := len(out.Times) - 1
		switch {
		case math.IsNaN(h.Rates[i]):
		case n < 0 || out.Times[n].Truncate(stretch) != at.Truncate(stretch):
			out.Times, out.Rates = append(out.Times, at), append(out.Rates, h.Rates[i])
		case h.Rates[i] > out.Rates[n]:
			out.Times[n], out.Rates[n] = at, h.Rates[i]
		}
	}
	return out
}

// mostRows bounds a file: seven years of minutes.
const mostRows = 4_000_000

// ReadCSV reads a history: two columns, the instant and the rate per second, under
// a header or without one. An instant is RFC 3339, a date, or seconds since 1970.
// An empty rate or NaN is missing. Anything else is an error that names the line.
func ReadCSV(r io.Reader) (History, error) {
	buffered := bufio.NewReader(r)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		if _, err := buffered.Discard(3); err != nil {
			return History{}, fmt.Errorf("read a history: %w", err)
		}
	}
	reader := csv.NewReader(buffered)
	reader.FieldsPerRecord, reader.ReuseRecord, reader.Comment, reader.TrimLeadingSpace = 2, true, '#', true
	var h History
	for row := 0; ; row++ {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return History{}, fmt.Errorf("read a history: %w", err)
		}
		if row > mostRows {
			return History{}, fmt.Errorf("read a history: more than %d rows", mostRows)
		}
		line, _ := reader.FieldPos(0)
		at, timeErr := parseTime(strings.TrimSpace(fields[0]))
		rate, rateErr := parseRate(strings.TrimSpace(fields[1]))
		if row == 0 && timeErr != nil && rateErr != nil {
			continue // the header
		}
		if err := errors.Join(timeErr, rateErr); err != nil {
			return History{}, fmt.Errorf("read a history: line %d: %w", line, err)
		}
		if n := len(h.Times); n > 0 && !at.After(h.Times[n-1]) {
			return History{}, fmt.Errorf("read a history: line %d: %s does not come after %s", line, at.Format(time.RFC3339), h.Times[n-1].Format(time.RFC3339))
		}
		h.Times, h.Rates = append(h.Times, at), append(h.Rates, rate)
	}
	if len(h.Times) == 0 {
		return History{}, errors.New("read a history: there are no rows")
	}
	return h, nil
}

func parseTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		// The years 1970 to 2200: milliseconds would lie beyond.
		if !(seconds >= 0 && seconds < 7.3e9) {
			return time.Time{}, fmt.Errorf("%s is no instant in seconds since 1970", text)
		}
		whole, part := math.Modf(seconds)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() >= 1970 && at.Year() <= 2200 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no instant: write 2026-01-31, 2026-01-31T12:00:00Z, or seconds since 1970", text)
}

func parseRate(text string) (float64, error) {
	if text == "" || strings.EqualFold(text, "nan") {
		return math.NaN(), nil
	}
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || rate < 0 || math.IsInf(rate, 0) || math.IsNaN(rate) {
		return 0, fmt.Errorf("%q is no rate per second", text)
	}
	return rate, nil
}

// peaks is a history as the peak of each unit of time.
type peaks struct {
	unit  time.Duration
	start time.Time // of unit 0
	at    []int     // which unit, rising; units without a value are missing
	rate  []float64
}

// last returns the instant at which the last unit ends.
func (p peaks) last() time.Time { return p.start.Add(time.Duration(p.at[len(p.at)-1]+1) * p.unit) }

// seasonal is the number of units in a season; 1: there is none to be seen.
func (p peaks) seasonal() int {
	if p.unit == day {
		return 7
	}
	return 1
}

// leastPart is how much of a day must have values so that its peak is the day's.
const leastPart = 0.75

// reduce returns the peak of each day (UTC), or of each week or step where values
// are further apart than a day. Days of which more than a quarter is missing are left
// out, as the first and the last usually are: their peaks may be too low.
func (h History) reduce() (peaks, error) {
	if len(h.Times) != len(h.Rates) {
		return peaks{}, fmt.Errorf("%d instants and %d rates", len(h.Times), len(h.Rates))
	}
	var times []time.Time
	var rates []float64
	for i, v := range h.Rates {
		if v < 0 || math.IsInf(v, 0) {
			return peaks{}, fmt.Errorf("a rate of %v", v)
		}
		if i > 0 && !h.Times[i].After(h.Times[i-1]) {
			return peaks{}, errors.New("the instants do not rise")
		}
		if !math.IsNaN(v) {
			times, rates = append(times, h.Times[i]), append(rates, v)
		}
	}
	if len(times) < 2 {
		return peaks{}, errors.New("there are fewer than two values")
	}
	if times[len(times)-1].Sub(times[0]) > longest {
		return peaks{}, errors.New("it is longer than two centuries")
	}
	step := usualStep(times)
	p := peaks{unit: day, start: times[0].UTC().Truncate(day)}
	switch {
	case step > week:
		p.unit, p.start = step, times[0].Add(-step/2)
	case step > day+time.Hour: // and not a day that a change of the clock made longer
		p.unit, p.start = week, times[0]
	}
	need := max(1, int(leastPart*float64(p.unit)/float64(step)))
	seen := 0
	for i, at := range times {
		unit := int(at.Sub(p.start) / p.unit)
		if n := len(p.at); n == 0 || p.at[n-1] != unit {
			p.drop(seen, need)
			p.at, p.rate, seen = append(p.at, unit), append(p.rate, rates[i]), 0
		}
		n := len(p.at) - 1
		p.rate[n] = math.Max(p.rate[n], rates[i])
		seen++
	}
	p.drop(seen, need)
	if len(p.at) == 0 {
		return peaks{}, errors.New("there is no day with values for three quarters of it")
	}
	return p, nil
}

// drop takes the last unit away when it has too few values.
func (p *peaks) drop(seen, need int) {
	if n := len(p.at); n > 0 && seen < need {
		p.at, p.rate = p.at[:n-1], p.rate[:n-1]
	}
}

// usualStep returns the mean of the steps that are about as long as the median, as
// months are, so that gaps do not count.
func usualStep(times []time.Time) time.Duration {
	steps := make([]time.Duration, 0, len(times)-1)
	for i := range times[1:] {
		steps = append(steps, times[i+1].Sub(times[i]))
	}
	slices.Sort(steps)
	median := steps[len(steps)/2]
	var sum, n time.Duration
	for _, s := range steps {
		if math.Abs(float64(s)/float64(median)-1) <= 0.25 {
			sum, n = sum+s, n+1
		}
	}
	return sum / n
}
