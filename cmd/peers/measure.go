package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options say what is compared.
type options struct {
	out     string
	rounds  int
	length  time.Duration
	only    string
	profile string
	keep    string
}

// peers runs the clients.
type peers struct {
	self    string
	found   map[string]string // path of each client that is here
	profile string
	last    outcome // of ours
}

// sample is one run of one client.
type sample struct {
	CPU      float64 // seconds, user and system
	Answered int64
	Took     time.Duration
	Memory   int64 // bytes, the most that was resident
	Own      *outcome
}

// perMillion returns CPU seconds for 10⁶ requests.
func (s sample) perMillion() float64 { return s.CPU / float64(s.Answered) * 1e6 }

// results are the samples of one row by client.
type results struct {
	Row     row
	Samples map[string][]sample
	Failed  map[string]string // why
}

func compare(o options) error {
	dir, err := os.MkdirTemp("", "sailplan-peers-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		return err
	}
	p := &peers{found: map[string]string{}, profile: o.profile}
	if p.self, err = os.Executable(); err != nil {
		return err
	}
	for _, name := range []string{h2load, oha, fortio, vegeta, k6} {
		if path, err := exec.LookPath(name); err == nil {
			p.found[name] = path
		} else {
			fmt.Fprintf(os.Stderr, "%s is not here and is left out\n", name)
		}
	}
	kept, err := readKept(o.keep)
	if err != nil {
		return err
	}
	var all []results
	for _, r := range rows(o.length) {
		if !strings.Contains(strings.ToLower(r.Name), o.only) {
			if known, ok := kept[r.Name]; ok {
				all = append(all, known)
			}
			continue
		}
		found, err := p.measure(r, o.rounds, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		all = append(all, found)
		printRow(os.Stderr, found)
	}
	if err := writeKept(o.keep, all); err != nil {
		return err
	}
	if o.only != "" && o.keep == "" {
		return nil
	}
	return os.WriteFile(o.out, page(all, p.found, o), 0o644)
}

// readKept reads the results of an earlier call, by the name of their row.
func readKept(file string) (map[string]results, error) {
	known := map[string]results{}
	text, err := os.ReadFile(file)
	if file == "" || os.IsNotExist(err) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	var all []results
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	for _, r := range all {
		known[r.Row.Name] = r
	}
	return known, nil
}

func writeKept(file string, all []results) error {
	if file == "" {
		return nil
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// measure runs the clients of a row in turn, several rounds, each against a
// server of its own.
func (p *peers) measure(r row, rounds int, dir string) (results, error) {
	found := results{Row: r, Samples: map[string][]sample{}, Failed: map[string]string{}}
	for round := range rounds {
		clients := append([]string{ours}, r.Clients...)
		if round%2 == 1 {
			slices.Reverse(clients) // so that nobody always has the warmer machine
		}
		for _, client := range clients {
			if client != ours && p.found[client] == "" || found.Failed[client] != "" {
				continue
			}
			s, err := p.once(client, r.work, dir)
			if err != nil && client != ours {
				found.Failed[client] = err.Error()
				fmt.Fprintf(os.Stderr, "%s, %s: %v\n", r.Name, client, err)
				continue
			}
			if err != nil {
				return results{}, err
			}
			found.Samples[client] = append(found.Samples[client], s)
		}
	}
	return found, nil
}

// once runs a client.
func (p *peers) once(client string, w work, dir string) (sample, error) {
	s, err := p.serve(w, dir)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	in, err := p.invoke(client, w, s, dir)
	if err != nil {
		return sample{}, err
	}
	command := exec.Command(in.argv[0], in.argv[1:]...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(in.stdin), &stdout, &stderr
	begin := time.Now()
	if err := command.Run(); err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", client, err, lastLine(stderr.String()))
	}
	found := sample{Took: time.Since(begin)}
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	found.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	found.Memory = usage.Maxrss << 10
	output := stdout.Bytes()
	if in.toErrors {
		output = stderr.Bytes()
	}
	if found.Answered, err = in.answered(output); err != nil {
		return sample{}, fmt.Errorf("%s: %w", client, err)
	}
	if found.Answered == 0 {
		return sample{}, fmt.Errorf("%s got no answer: %s", client, lastLine(stderr.String()))
	}
	if client == ours {
		own := p.last
		found.Own = &own
		// What the parent had resident when it forked counts in rusage as well.
		found.Memory = own.Facts.Generator.PeakMemoryBytes
	}
	return found, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// median of what a function says of samples; of an even number the mean of the
// two in the middle.
func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}
