package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeKilled writes a run of which the second phase is running, and returns a
// copy of its directory as a kill would leave it.
func writeKilled(t *testing.T) (dir string) {
	t.Helper()
	w, now := exampleWriter(t, openFile)
	*now = time.Second
	p := writePhase(t, w, now, "low", 3)
	if _, err := p.End(exampleFacts(time.Second, 3)); err != nil {
		t.Fatal(err)
	}
	*now = 6 * time.Second
	writePhase(t, w, now, "high", 3)
	w.flush()
	dir = filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(dir, os.DirFS(w.Dir())); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestKilledRun(t *testing.T) {
	got, err := Open(writeKilled(t))
	if err != nil {
		t.Fatal(err)
	}
	if got.Ended != "" || len(got.Phases) != 1 || len(got.Data) != 2 {
		t.Fatalf("ended %q, %d and %d phases, want 1 and 2", got.Ended, len(got.Phases), len(got.Data))
	}
	if got.Data[0].Unfinished || !got.Data[1].Unfinished {
		t.Error("not just the second phase is unfinished")
	}
	last := got.Data[1]
	if !reflect.DeepEqual(last.Spec, exampleSpec("high", 3)) {
		t.Errorf("spec = %+v", last.Spec)
	}
	if last.Start != 6*time.Second || last.SendEnd != 9*time.Second || last.End != 9*time.Second {
		t.Errorf("from %s to %s, %s", last.Start, last.SendEnd, last.End)
	}
	if last.Counts != exampleCounts(3) || last.Latency.TotalCount() != 300 || len(last.Seconds) != 3 {
		t.Errorf("counts %+v, %d latencies, %d seconds", last.Counts, last.Latency.TotalCount(), len(last.Seconds))
	}
	if want := (Recorded{Intervals: 3, Latency: 300, Service: 300, SendLag: 300}); last.Recorded != want {
		t.Errorf("recorded = %+v, want %+v", last.Recorded, want)
	}
	text := strings.Join(got.Warnings, "\n")
	for _, want := range []string{"phase 1 (high): the run ended before this phase did", "the run has no end"} {
		if !strings.Contains(text, want) {
			t.Errorf("warnings = %q, want %q among them", got.Warnings, want)
		}
	}
}

// TestCutAnywhere cuts each file of a finished and of a killed run at many
// places. Whatever is left must be told as it is: counts that are right, and a
// warning where something is missing.
func TestCutAnywhere(t *testing.T) {
	finished, _ := writeExample(t)
	runs := map[string]string{"finished": finished, "killed": writeKilled(t)}
	for name, source := range runs {
		for _, file := range []string{latencyFile, timelineFile, samplesFile, eventsFile} {
			t.Run(name+" "+file, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "cut")
				if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(dir, file)
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				// Downwards, so that each cut is made in what the one before left; also
				// right before and behind the line breaks.
				for size := len(text) - 1; size >= 0; size-- {
					atBreak := text[size] == '\n' || (size > 0 && text[size-1] == '\n')
					// The log's lines are many and alike.
					if size%211 != 0 && (!atBreak || (file == latencyFile && size%9 != 0)) {
						continue
					}
					if err := os.Truncate(path, int64(size)); err != nil {
						t.Fatal(err)
					}
					got, err := Open(dir)
					if err != nil {
						t.Fatalf("cut at %d: %v", size, err)
					}
					if problem := inconsistency(got); problem != "" {
						t.Fatalf("cut at %d: %s; warnings %q", size, problem, got.Warnings)
					}
				}
			})
		}
	}
}

// inconsistency looks for numbers that contradict each other without a warning.
func inconsistency(got *Record) string {
	for _, d := range got.Data {
		intervals := len(d.Timeline)
		if !d.Unfinished && d.Counts != exampleCounts(3) {
			return fmt.Sprintf("phase %d: counts %+v", d.Index, d.Counts)
		}
		if d.Unfinished && intervals > 0 && d.Counts != exampleCounts(int64(intervals)) {
			return fmt.Sprintf("phase %d: counts %+v after %d intervals", d.Index, d.Counts, intervals)
		}
		var bySecond int64
		for _, second := range d.Seconds {
			for _, count := range second.Counts {
				bySecond += count
			}
			if second.End-second.Start != time.Second || (second.End-d.Start)%time.Second != 0 {
				return fmt.Sprintf("phase %d: a second from %s to %s", d.Index, second.Start, second.End)
			}
		}
		if bySecond != d.Latency.TotalCount() {
			return fmt.Sprintf("phase %d: %d latencies by the second, %d in all", d.Index, bySecond, d.Latency.TotalCount())
		}
		if d.Service.TotalCount() > d.Counts.Answered {
			return fmt.Sprintf("phase %d: %d service times of %d answers", d.Index, d.Service.TotalCount(), d.Counts.Answered)
		}
		complete := intervals == 3 && d.Service.TotalCount() == 300 && d.Latency.TotalCount() == 300 && d.SendLag.TotalCount() == 300
		if !complete && len(d.Warnings) == 0 {
			return fmt.Sprintf("phase %d: %d intervals, %d service times and no warning", d.Index, intervals, d.Service.TotalCount())
		}
	}
	return ""
}

func TestOpenRefuses(t *testing.T) {
	change := func(file string, f func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(f(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	line := func(n int, with string) func(string) string {
		return func(text string) string {
			lines := strings.SplitAfter(text, "\n")
			lines[n-1] = with + "\n"
			return strings.Join(lines, "")
		}
	}
	replace := func(old, with string) func(string) string {
		return func(text string) string {
			if !strings.Contains(text, old) {
				t.Fatalf("%q is not in the file", old)
			}
			return strings.Replace(text, old, with, 1)
		}
	}
	tests := []struct {
		name   string
		change func(*testing.T, string)
		is     error
		want   []string
	}{
		{"no directory", func(_ *testing.T, dir string) { _ = os.RemoveAll(dir) }, os.ErrNotExist, nil},
		{"an empty directory", func(_ *testing.T, dir string) { _ = os.RemoveAll(dir); _ = os.Mkdir(dir, 0o700) }, ErrNotRun, []string{"run.json"}},
		{"a newer format", change(runFile, replace(`"formatVersion": 1`, `"formatVersion": 2`)), ErrNewer, []string{"run.json", "format version 2"}},
		{"another JSON file", change(runFile, func(string) string { return `{"name": "x"}` }), ErrNotRun, []string{"run.json", "formatVersion"}},
		{"run.json is cut", change(runFile, func(text string) string { return text[:len(text)/2] }), nil, []string{"run.json", "line "}},
		{"run.json is empty", change(runFile, func(string) string { return "" }), nil, []string{"run.json", "line 1"}},
		{"run.json has a wrong type", change(runFile, replace(`"command": "size"`, `"command": 5`)), nil, []string{"run.json", "line "}},
		{"seed is text", change(runFile, replace(`"seed": 7`, `"seed": "seven"`)), nil, []string{"run.json", "line ", "seed"}},
		{"phases out of order", change(runFile, replace(`"index": 1`, `"index": 5`)), nil, []string{"run.json", "phase 5"}},
		{"timeline is damaged", change(timelineFile, line(2, "{not json")), nil, []string{timelineFile + ":2"}},
		{"timeline of another run", change(timelineFile, replace(`"phase":1`, `"phase":9`)), nil, []string{timelineFile + ":4", "phase 9"}},
		{"timeline has a row twice", change(timelineFile, func(text string) string { return text + strings.SplitAfter(text, "\n")[5] }), nil, []string{timelineFile + ":7"}},
		{"samples are damaged", change(samplesFile, line(3, `{"atNanos":"x"}`)), nil, []string{samplesFile + ":3"}},
		{"events are damaged", change(eventsFile, line(1, `]`)), nil, []string{eventsFile + ":1"}},
		{"log is damaged", change(latencyFile, line(7, "Tag=000/browse/latency,1.0,1.0,2.0,AAAA")), nil, []string{latencyFile + ":7"}},
		{"log has a foreign line", change(latencyFile, line(8, "hello")), nil, []string{latencyFile + ":8"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := writeExample(t)
			test.change(t, dir)
			_, err := Open(dir)
			if err == nil || (test.is != nil && !errors.Is(err, test.is)) {
				t.Fatalf("error = %v, want %v", err, test.is)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestOpenTolerates(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   string // among the warnings
	}{
		{"a missing log", func(t *testing.T, dir string) { remove(t, dir, latencyFile) }, "latency.hlog is missing"},
		{"missing samples", func(t *testing.T, dir string) { remove(t, dir, samplesFile) }, "samples.jsonl is missing"},
		{"missing events", func(t *testing.T, dir string) { remove(t, dir, eventsFile) }, "events.jsonl is missing"},
		{"a missing timeline", func(t *testing.T, dir string) { remove(t, dir, timelineFile) }, "timeline.jsonl holds 0 of 3 intervals"},
		{"zeros after a loss of power", func(t *testing.T, dir string) {
			path := filepath.Join(dir, samplesFile)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(text, make([]byte, 300)...), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "the last line of samples.jsonl was cut off"},
		{"a scenario of another version", func(t *testing.T, dir string) {
			path := filepath.Join(dir, runFile)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.Replace(text, []byte(`"demand": {`), []byte(`"tide": "high", "demand": {`), 1)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not quite understood"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := writeExample(t)
			test.change(t, dir)
			got, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(got.Warnings, "\n"), test.want) {
				t.Errorf("warnings = %q, want %q among them", got.Warnings, test.want)
			}
			if got.Scenario.Metadata.Name != "checkout" || got.Scenario.Lab.Gateway.Limits.CPU != 300 {
				t.Errorf("scenario = %+v", got.Scenario)
			}
		})
	}
}

func remove(t *testing.T, dir, file string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, file)); err != nil {
		t.Fatal(err)
	}
}

// TestUnfinishedIntervalIsLeftOut takes away the row with the counts of the last
// interval, as a kill between two writes does.
func TestUnfinishedIntervalIsLeftOut(t *testing.T) {
	dir := writeKilled(t)
	path := filepath.Join(dir, timelineFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(path, []byte(strings.Join(lines[:len(lines)-2], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	last := got.Data[1]
	if last.Counts != exampleCounts(2) || last.Latency.TotalCount() != 200 || len(last.Seconds) != 2 || last.End != 8*time.Second {
		t.Errorf("counts %+v, %d latencies, %d seconds, end %s", last.Counts, last.Latency.TotalCount(), len(last.Seconds), last.End)
	}
	if !slices.ContainsFunc(last.Warnings, func(w string) bool { return strings.Contains(w, "6 lines of latency.hlog") }) {
		t.Errorf("warnings = %q", last.Warnings)
	}
}

func TestSamplesOfAPhase(t *testing.T) {
	sample := func(component string, at time.Duration, metrics ...Metric) Sample {
		s := Sample{At: at, Component: component, Metrics: map[Metric]float64{}}
		for _, metric := range metrics {
			s.Metrics[metric] = 1
		}
		return s
	}
	var all []Sample
	for second := range 60 {
		at := time.Duration(second) * time.Second
		all = append(all, sample("gateway", at, CPUSeconds), sample("gateway", at+4*time.Millisecond, DownRequests))
		if second%15 == 7 {
			all = append(all, sample("scraped", at, CPUSeconds))
		}
		if second < 12 {
			all = append(all, sample("ended", at, CPUSeconds))
		}
	}
	all = append(all, sample("single", 19500*time.Millisecond, CPUSeconds), sample("far", 10*time.Second, CPUSeconds))
	sortSamples(all)
	s := newSpacing()
	for _, one := range all {
		s.note(one)
	}
	got := map[string][]time.Duration{}
	// Of component "gateway" a sample lies exactly on each border.
	for _, one := range s.within(all, 20*time.Second, 23*time.Second) {
		for metric := range one.Metrics {
			got[one.Component+" "+string(metric)] = append(got[one.Component+" "+string(metric)], one.At)
		}
	}
	seconds := func(values ...float64) (list []time.Duration) {
		for _, value := range values {
			list = append(list, time.Duration(value*float64(time.Second)))
		}
		return list
	}
	want := map[string][]time.Duration{
		"gateway cpuSeconds":         seconds(19, 20, 21, 22, 23, 24),
		"gateway downstreamRequests": seconds(19.004, 20.004, 21.004, 22.004, 23.004),
		"scraped cpuSeconds":         seconds(7, 22, 37),
		"single cpuSeconds":          seconds(19.5),
	}
	for key, instants := range want {
		if !slices.Equal(got[key], instants) {
			t.Errorf("%s at %v, want %v", key, got[key], instants)
		}
	}
	for key := range got {
		if want[key] == nil {
			t.Errorf("%s at %v, want none", key, got[key])
		}
	}
}

func TestFacts(t *testing.T) {
	second := time.Second
	tick := func(at time.Duration, answered int64) Tick { return Tick{At: at, Counts: Counts{Answered: answered}} }
	d := PhaseData{
		Phase: Phase{Start: 10 * second, SendEnd: 14 * second, End: 16 * second, Counts: Counts{
			Intended: 1000, Sent: 900, Shed: 100, Answered: 800, Failed: 60, TimedOut: 40, Bad: 50,
		}},
		// Answers go on coming after the last arrival.
		Timeline: []Tick{tick(11*second, 100), tick(12*second, 200), tick(13*second, 300), tick(15*second, 700), tick(16*second, 800)},
	}
	tests := []struct {
		name      string
		got, want float64
	}{
		{"offered", d.Offered(), 250},         // 1000 in 4 s
		{"achieved", d.Achieved(), 125},       // 300, and half of the 400 from 13 s to 15 s, in 4 s
		{"error ratio", d.ErrorRatio(), 0.25}, // (100+60+40+50) of 1000
		{"window", d.Window().Seconds(), 4},   //
		{"without a timeline", PhaseData{Phase: d.Phase}.Achieved(), 800.0 / 6},
	}
	for _, test := range tests {
		if diff := test.got - test.want; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("%s = %v, want %v", test.name, test.got, test.want)
		}
	}
	var none PhaseData
	if a, b, c := none.Offered(), none.Achieved(), none.ErrorRatio(); a == a || b == b || c == c {
		t.Errorf("of nothing: %v, %v, %v, want none of them a number", a, b, c)
	}
	d.Samples = []Sample{
		{At: 1, Component: "a", Replica: "x", Metrics: map[Metric]float64{CPUSeconds: 1}},
		{At: 2, Component: "a", Replica: "y", Metrics: map[Metric]float64{CPUSeconds: 2}},
		{At: 3, Component: "a", Replica: "x", Metrics: map[Metric]float64{RSSBytes: 9}},
		{At: 4, Component: "a", Replica: "x", Metrics: map[Metric]float64{CPUSeconds: 4}},
		{At: 5, Component: "b", Metrics: map[Metric]float64{CPUSeconds: 5}},
	}
	if got, want := d.Series("a", "x", CPUSeconds), []Point{{1, 1}, {4, 4}}; !slices.Equal(got, want) {
		t.Errorf("series = %v, want %v", got, want)
	}
	if got, want := d.Replicas("a"), []string{"x", "y"}; !slices.Equal(got, want) {
		t.Errorf("replicas = %v, want %v", got, want)
	}
	if got, want := d.Replicas("b"), []string{""}; !slices.Equal(got, want) {
		t.Errorf("replicas = %v, want %v", got, want)
	}
}

// FuzzOpen puts arbitrary bytes at the end of each file of a run.
func FuzzOpen(f *testing.F) {
	f.Add(uint8(0), []byte(`{"atNanos":1,"kind":"phase-start","phase":1,"message":"","spec":{"name":"x","kind":"steady","process":"poisson","durationSeconds":1,"seed":"1"}}`+"\n"))
	f.Add(uint8(1), []byte(`{"phase":1,"startNanos":0,"atNanos":1000000000,"counts":{"intended":5,"answered":-5}}`+"\n"))
	f.Add(uint8(2), []byte("Tag=001/browse/latency,1.0,1.0,0.0,HISTFAAAAAh42gMAAAAAAQ==\n"))
	f.Add(uint8(3), []byte(`{"atNanos":-5,"component":"","metrics":{"cpuSeconds":1e308}}`+"\n"))
	f.Add(uint8(4), []byte(`{"formatVersion":1,"phases":[{"index":0,"spec":{}}]}`))
	var run bytes.Buffer
	run.WriteString(`{"formatVersion":1,"phases":[{"index":0,"spec":{"name":"a","kind":"steady","process":"poisson","durationSeconds":1,"seed":"1"},"startNanos":0,"endNanos":9}]}`)
	files := []string{eventsFile, timelineFile, latencyFile, samplesFile, runFile}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		dir := t.TempDir()
		for i, name := range files {
			content := []byte(nil)
			if name == runFile {
				content = run.Bytes()
			}
			if i == int(which)%len(files) {
				content = text
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Open(dir)
		if err != nil {
			return
		}
		for _, d := range got.Data {
			_, _, _ = d.Offered(), d.Achieved(), d.ErrorRatio()
			var bySecond int64
			for _, second := range d.Seconds {
				for _, count := range second.Counts {
					bySecond += count
				}
			}
			if bySecond != d.Latency.TotalCount() {
				t.Fatalf("%d latencies by the second, %d in all", bySecond, d.Latency.TotalCount())
			}
		}
	})
}
