package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/scenarios"
)

// fullDisk lets a file of one name take a number of bytes more, and then reports
// that the disk is full after writing a part of what it was given.
type fullDisk struct {
	mu   sync.Mutex // guards room
	name string
	room int
}

type fullFile struct {
	file
	disk *fullDisk
}

func (d *fullDisk) open(path string) (file, error) {
	f, err := openFile(path)
	if err == nil && strings.HasPrefix(filepath.Base(path), d.name) {
		return fullFile{f, d}, nil
	}
	return f, err
}

func (d *fullDisk) shrink(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = room
}

func (f fullFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	part := min(len(p), f.disk.room)
	f.disk.room -= part
	n, err := f.file.Write(p[:part])
	if err == nil && part < len(p) {
		err = unix.ENOSPC
	}
	return n, err
}

func TestFullDisk(t *testing.T) {
	for _, name := range []string{runFile, latencyFile, timelineFile, samplesFile, eventsFile} {
		t.Run(name, func(t *testing.T) {
			disk := &fullDisk{name: name, room: 1 << 30}
			w, now := exampleWriter(t, disk.open)
			*now = time.Second
			p := writePhase(t, w, now, "low", 3)
			if _, err := p.End(exampleFacts(time.Second, 3)); err != nil {
				t.Fatal(err)
			}
			disk.shrink(50)
			*now = 6 * time.Second
			p = writePhase(t, w, now, "high", 3)
			data, err := p.End(exampleFacts(6*time.Second, 3))
			if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), name) {
				t.Errorf("End: %v, want a full disk and the file", err)
			}
			if data.Latency.TotalCount() != 300 {
				t.Errorf("data in memory has %d latencies, want 300", data.Latency.TotalCount())
			}
			select {
			case <-w.Failed():
			default:
				t.Error("Failed is not closed")
			}
			if err := w.Err(); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("Err: %v", err)
			}
			if _, err := w.BeginPhase(exampleSpec("next", 1)); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("BeginPhase: %v", err)
			}
			w.Sample(sampleAt(10 * time.Second))
			if err := w.Close(EndedFailed, "disk full"); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("Close: %v", err)
			}
			got, err := Open(w.Dir())
			if err != nil {
				t.Fatal(err)
			}
			if problem := inconsistency(got); problem != "" {
				t.Errorf("%s; warnings %q", problem, got.Warnings)
			}
			if len(got.Data) == 0 || got.Data[0].Latency.TotalCount() != 300 {
				t.Errorf("what was written before is not there")
			}
			if name != runFile && (got.Ended != EndedFailed || got.EndedWhy != "disk full") {
				t.Errorf("ended %q, %q: the ending would have fitted", got.Ended, got.EndedWhy)
			}
			if _, err := os.Stat(filepath.Join(w.Dir(), runFile+".new")); err == nil {
				t.Error("half a run.json is left behind")
			}
		})
	}
}

func TestCreateOnFullDisk(t *testing.T) {
	disk := &fullDisk{name: runFile, room: 10}
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := create(dir, exampleHeader(), exampleAnchor(), disk.open); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error = %v, want a full disk", err)
	}
}

// slowDisk does not take anything until it is released.
type slowDisk struct {
	file
	release chan struct{}
}

func (s slowDisk) Write(p []byte) (int, error) {
	<-s.release
	return s.file.Write(p)
}

func TestSlowDiskBlocksNobodyAndIsBounded(t *testing.T) {
	release := make(chan struct{})
	w, now := exampleWriter(t, func(path string) (file, error) {
		f, err := openFile(path)
		if filepath.Base(path) == samplesFile {
			return slowDisk{f, release}, err
		}
		return f, err
	})
	*now = time.Second
	p := writePhase(t, w, now, "low", 3) // returns although nothing was written
	message := strings.Repeat("x", 1<<20)
	for range maxPending>>20 + 3 {
		w.Event(Event{Kind: EventNote, Phase: -1, Message: message})
	}
	// The writer's goroutine may have taken the first ones already.
	for range maxPending>>20 + 3 {
		w.Event(Event{Kind: EventNote, Phase: -1, Message: message})
	}
	if err := w.Err(); !errors.Is(err, errSlowDisk) {
		t.Errorf("error = %v, want %v", err, errSlowDisk)
	}
	close(release)
	if _, err := p.End(exampleFacts(time.Second, 3)); !errors.Is(err, errSlowDisk) {
		t.Errorf("End: %v", err)
	}
	if err := w.Close(EndedFailed, ""); !errors.Is(err, errSlowDisk) {
		t.Errorf("Close: %v", err)
	}
}

func TestMisuse(t *testing.T) {
	w, now := exampleWriter(t, openFile)
	p := writePhase(t, w, now, "one", 1)
	if _, err := w.BeginPhase(exampleSpec("two", 1)); err == nil || !strings.Contains(err.Error(), "one") {
		t.Errorf("a second phase: %v", err)
	}
	if _, err := p.End(exampleFacts(0, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.End(exampleFacts(0, 1)); err == nil {
		t.Error("ended twice without an error")
	}
	p.Interval(exampleInterval(0, 1)) // too late, and without effect
	open, err := w.BeginPhase(exampleSpec("two", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(EndedInterrupted, "Ctrl-C"); err != nil {
		t.Fatal(err)
	}
	if _, err := open.End(exampleFacts(0, 1)); err == nil {
		t.Error("ended after Close without an error")
	}
	if err := w.Close(EndedDone, ""); err == nil {
		t.Error("closed twice without an error")
	}
	if _, err := w.BeginPhase(exampleSpec("three", 1)); err == nil {
		t.Error("began after Close without an error")
	}
	if err := w.Update(func(*Run) {}); err == nil {
		t.Error("updated after Close without an error")
	}
	w.Sample(sampleAt(time.Second))
	w.Event(Event{Kind: EventNote})
	got, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if got.Ended != EndedInterrupted || got.EndedWhy != "Ctrl-C" || len(got.Data) != 2 || !got.Data[1].Unfinished || len(got.Data[0].Timeline) != 1 {
		t.Errorf("ended %q %q, phases %+v", got.Ended, got.EndedWhy, got.Data)
	}
}

func TestUpdate(t *testing.T) {
	w, now := exampleWriter(t, openFile)
	p := writePhase(t, w, now, "one", 1)
	if _, err := p.End(exampleFacts(0, 1)); err != nil {
		t.Fatal(err)
	}
	err := w.Update(func(run *Run) {
		run.Components = []Component{{Name: "sidecar", Role: scenarios.RoleSidecar, Replicas: 3}}
		run.Notes = append(run.Notes, "no cgroups here")
		run.FormatVersion, run.Phases, run.StartedAt = 9, nil, time.Time{}
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if got.Components[0].Replicas != 3 || got.Notes[0] != "no cgroups here" {
		t.Errorf("run = %+v", got.Run)
	}
	if got.FormatVersion != FormatVersion || len(got.Phases) != 1 || !got.StartedAt.Equal(exampleAnchor()) {
		t.Errorf("what is the writer's was changed: %+v", got.Run)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
}

func TestEventsBelongToTheRunningPhase(t *testing.T) {
	w, now := exampleWriter(t, openFile)
	w.Event(Event{Kind: EventNote, Phase: -1, Message: "before"})
	p := writePhase(t, w, now, "one", 1)
	w.Event(Event{Kind: EventSampleGap, Phase: -1, Message: "during"})
	if _, err := p.End(exampleFacts(0, 1)); err != nil {
		t.Fatal(err)
	}
	w.Event(Event{Kind: EventNote, Phase: -7, Message: "after"})
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	got, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	phases := map[string]int{}
	for _, event := range got.Events {
		phases[event.Message] = event.Phase
	}
	if phases["before"] != -1 || phases["during"] != 0 || phases["after"] != -1 {
		t.Errorf("phases of the events = %v", phases)
	}
}

func TestTicks(t *testing.T) {
	w, now := exampleWriter(t, openFile)
	var ticks []Tick
	w.OnTick(func(tick Tick) { ticks = append(ticks, tick) })
	p := writePhase(t, w, now, "one", 3)
	data, err := p.End(exampleFacts(0, 3))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ticks, data.Timeline) {
		t.Errorf("ticks = %+v\nwant    %+v", ticks, data.Timeline)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
}

func TestIntervalFor(t *testing.T) {
	for duration, want := range map[time.Duration]time.Duration{
		0: time.Second, time.Minute: time.Second, time.Hour: time.Second,
		time.Hour + 1: 2 * time.Second, 2 * time.Hour: 2 * time.Second, 24 * time.Hour: 24 * time.Second,
	} {
		if got := IntervalFor(duration); got != want {
			t.Errorf("IntervalFor(%s) = %s, want %s", duration, got, want)
		}
	}
}

// TestLongPhase gives a phase of two hours its seconds: the view sees each, the
// files get every two, and no value is lost.
func TestLongPhase(t *testing.T) {
	w, _ := exampleWriter(t, openFile)
	live := 0
	w.OnTick(func(tick Tick) {
		live++
		if tick.At-tick.Start != time.Second || tick.Answered != 100 {
			t.Errorf("tick %+v", tick)
		}
	})
	spec := exampleSpec("long", 0)
	spec.Duration = 2 * time.Hour
	p, err := w.BeginPhase(spec)
	if err != nil {
		t.Fatal(err)
	}
	const seconds = 7
	for n := range seconds {
		interval := exampleInterval(0, n)
		// One value more, another one in each second.
		if err := interval.ByRequest[0].Latency.RecordValue(int64(time.Duration(n+1) * time.Second)); err != nil {
			t.Fatal(err)
		}
		p.Interval(interval)
	}
	data, err := p.End(exampleFacts(0, seconds))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	record, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if live != seconds || len(record.Warnings) != 0 {
		t.Errorf("%d ticks, warnings %q", live, record.Warnings)
	}
	comparePhases(t, record.Data[0], data)
	var lengths []time.Duration
	for i, second := range data.Seconds {
		lengths = append(lengths, second.End-second.Start)
		if answers := data.Timeline[i].Answered; second.Counts[0]+second.Counts[1] != answers || len(second.Counts) != 2+int(answers/100) {
			t.Errorf("interval %d has %v latencies and %d answers", i, second.Counts, answers)
		}
	}
	if want := []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second, time.Second}; !slices.Equal(lengths, want) {
		t.Errorf("intervals of %v, want %v", lengths, want)
	}
	if data.Latency.TotalCount() != 101*seconds || data.ByRequest[1].SendLag.TotalCount() != 10*seconds {
		t.Errorf("%d latencies", data.Latency.TotalCount())
	}
}

// TestMemoryStaysFlat looks at what a writer keeps when many samples and phases
// have gone through it.
func TestMemoryStaysFlat(t *testing.T) {
	w, now := exampleWriter(t, openFile)
	for n := range 1200 { // twenty minutes outside phases
		w.Sample(sampleAt(time.Duration(n) * time.Second))
	}
	if kept := len(w.recent); kept > 300 {
		t.Errorf("%d samples are kept, want those of some two minutes", kept)
	}
	*now = 1200 * time.Second
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var first uint64
	for n := range 30 {
		start := *now
		if _, err := writePhase(t, w, now, "x", 1).End(exampleFacts(start, 1)); err != nil {
			t.Fatal(err)
		}
		if n == 4 {
			first = heap()
		}
	}
	// One phase's histograms alone take 1.7 MB.
	if last := heap(); last > first+2<<20 {
		t.Errorf("heap grew from %d to %d bytes in 25 phases", first, last)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
}

func TestSamplesThatComeLate(t *testing.T) {
	w, now := exampleWriter(t, openFile)
	*now = 10 * time.Second
	w.Sample(sampleAt(9500 * time.Millisecond))
	p := writePhase(t, w, now, "one", 3)
	scraped := Sample{At: 11200 * time.Millisecond, Component: "scraped", Metrics: map[Metric]float64{CPUSeconds: 1}}
	w.Sample(scraped)
	w.Sample(Sample{At: 12 * time.Second, Component: "odd", Metrics: map[Metric]float64{CPUSeconds: inf(), RSSBytes: 5}})
	w.Sample(Sample{At: 12 * time.Second, Component: "odd", Metrics: map[Metric]float64{CPUSeconds: -inf()}})
	data, err := p.End(exampleFacts(10*time.Second, 3))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	record, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for what, samples := range map[string][]Sample{"in memory": data.Samples, "read": record.Data[0].Samples} {
		if len(samples) != 6 || !slices.IsSortedFunc(samples, func(a, b Sample) int { return int(a.At - b.At) }) {
			t.Errorf("%s: %+v", what, samples)
			continue
		}
		if samples[2].Component != "scraped" || len(samples[4].Metrics) != 1 {
			t.Errorf("%s: %+v", what, samples)
		}
	}
}

func inf() float64 {
	var zero float64
	return 1 / zero
}

// TestKill9 kills a process that writes a run, and reads what it left.
func TestKill9(t *testing.T) {
	if dir := os.Getenv("SAILPLAN_TEST_RECORD_DIR"); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "run")
	child := exec.Command(os.Args[0], "-test.run=^TestKill9$")
	child.Env = append(os.Environ(), "SAILPLAN_TEST_RECORD_DIR="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	const intervals = 20
	written := 0
	for written < intervals && lines.Scan() {
		written++
		fmt.Fprintln(stdin, "go on")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = child.Wait()
	got, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 1 || !got.Data[0].Unfinished {
		t.Fatalf("phases: %+v", got.Data)
	}
	// The child hands over an interval when the one before is on its way, so at
	// most the last two can be missing.
	if n := len(got.Data[0].Timeline); n < intervals-2 {
		t.Errorf("%d intervals are left of %d", n, written)
	}
	if problem := inconsistency(got); problem != "" {
		t.Error(problem)
	}
}

func writeUntilKilled(t *testing.T, dir string) {
	w, err := Create(dir, exampleHeader(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.BeginPhase(exampleSpec("endless", 3600))
	if err != nil {
		t.Fatal(err)
	}
	replies := bufio.NewScanner(os.Stdin)
	for n := 0; n < 1000; n++ {
		p.Interval(exampleInterval(0, n))
		for pending := 1; pending > 0; { // another goroutine is writing it
			w.mu.Lock()
			pending = len(w.timeline.pending)
			w.mu.Unlock()
			runtime.Gosched()
		}
		fmt.Println(n)
		if !replies.Scan() {
			break
		}
	}
	_ = w.Close(EndedDone, "")
}

// TestRunFileIsReadable pins what a person sees in run.json.
func TestRunFileIsReadable(t *testing.T) {
	dir, _ := writeExample(t)
	text, err := os.ReadFile(filepath.Join(dir, runFile))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "Bearer") {
		t.Error("a credential is in run.json")
	}
	var run map[string]any
	if err := json.Unmarshal(text, &run); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"formatVersion", "tool", "command", "evidence", "scenario", "seed", "host", "lab", "components",
		"startedAt", "endedAt", "ended", "phases",
	} {
		if _, has := run[name]; !has {
			t.Errorf("no %s", name)
		}
	}
	if scenario := run["scenario"].(map[string]any); scenario["apiVersion"] != scenarios.APIVersion {
		t.Errorf("scenario = %v", scenario)
	}
	if spec := run["phases"].([]any)[0].(map[string]any)["spec"].(map[string]any); spec["rate"] != "100/s" {
		t.Errorf("spec = %v", spec)
	}
}

// BenchmarkInterval is what the generator waits for once a second.
func BenchmarkInterval(b *testing.B) {
	for _, requests := range []int{1, 10} {
		b.Run(fmt.Sprintf("requests=%d", requests), func(b *testing.B) {
			w, _ := exampleWriter(b, openFile)
			p, err := w.BeginPhase(exampleSpec("x", 60))
			if err != nil {
				b.Fatal(err)
			}
			interval := Interval{End: time.Second}
			for i := range requests {
				h := randomHistogram(uint64(i), 3000)
				h.Request, h.Service, h.SendLag = fmt.Sprint("r", i), h.Latency, h.Latency
				interval.ByRequest = append(interval.ByRequest, h)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Interval(interval)
			}
			b.StopTimer()
			if err := w.Close(EndedDone, ""); err != nil {
				b.Fatal(err)
			}
		})
	}
}
