package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/scenarios"
)

// Open reads a run directory. A run that was killed is read up to what reached
// the files: a torn last line is left out, the phase that was running is rebuilt
// from its events, timeline and distributions, and Warnings say so. What is no
// run directory is ErrNotRun, one of a newer format ErrNewer; a file that is
// damaged before its end is an error with file and line.
func Open(dir string) (*Record, error) {
	path := filepath.Join(dir, runFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, dirErr := os.Stat(dir); dirErr != nil {
			return nil, fmt.Errorf("run directory: %w", dirErr)
		}
		return nil, fmt.Errorf("%s has no %s: %w", dir, runFile, ErrNotRun)
	}
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	run, warnings, err := decodeRun(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := newReading(dir, run)
	r.record.Warnings = warnings
	for _, step := range []struct {
		name string
		read func(path string) (torn bool, err error)
	}{
		{eventsFile, func(path string) (bool, error) { return eachLine(path, r.event) }},
		{timelineFile, func(path string) (bool, error) { return eachLine(path, r.tick) }},
		{latencyFile, func(path string) (bool, error) { return eachInterval(path, r.latency) }},
		{samplesFile, func(path string) (bool, error) { return eachLine(path, r.sample) }},
	} {
		torn, err := step.read(filepath.Join(dir, step.name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			r.warn("%s is missing", step.name)
		case err != nil:
			return nil, err
		case torn:
			r.warn("the last line of %s was cut off and is left out", step.name)
		}
	}
	if r.record.Demand, err = readDemand(dir); err != nil {
		return nil, err
	}
	return r.finish(), nil
}

// reading is a Record in the making.
type reading struct {
	record   *Record
	phases   []*phaseReading
	samples  []Sample
	spacing  *spacing
	last     time.Duration // the latest instant in any file
	coarse   sparse        // memory for what is needed for a moment only
	sampling sampleDecoder
}

// phaseReading is a PhaseData in the making.
type phaseReading struct {
	data      PhaseData
	known     bool // something tells of it
	byName    map[string]int
	requests  []requestReading
	intervals map[time.Duration]int // by end, in data.Seconds and values
	values    []sparse
	beyond    int // lines of distributions without a row in the timeline
}

// requestReading is a RequestHistograms in the making: the counts of all buckets,
// nil where there are none.
type requestReading struct {
	name   string
	counts [quantities][]int64
}

// histograms returns what was read.
func (r requestReading) histograms() RequestHistograms {
	h := RequestHistograms{Request: r.name}
	for q, to := range [quantities]**hdrhistogram.Histogram{quantityLatency: &h.Latency, quantityService: &h.Service, quantitySendLag: &h.SendLag} {
		*to = NewHistogram()
		if counts := r.counts[q]; counts != nil {
			shape := (*to).Export()
			shape.Counts = counts
			*to = hdrhistogram.Import(shape)
		}
	}
	return h
}

func newReading(dir string, run Run) *reading {
	r := &reading{record: &Record{Run: run, Dir: dir}, spacing: newSpacing()}
	for _, facts := range run.Phases {
		r.addPhase(facts).known = true
	}
	// The one that was running when the run ended, if there was one.
	r.addPhase(Phase{Index: len(run.Phases)}).data.Unfinished = true
	return r
}

func (r *reading) addPhase(facts Phase) *phaseReading {
	p := &phaseReading{
		data:   PhaseData{Phase: facts},
		byName: map[string]int{}, intervals: map[time.Duration]int{},
	}
	r.phases = append(r.phases, p)
	return p
}

func (r *reading) warn(format string, args ...any) {
	r.record.Warnings = append(r.record.Warnings, fmt.Sprintf(format, args...))
}

// phase returns the phase that a row belongs to.
func (r *reading) phase(index int) (*phaseReading, error) {
	if index < 0 || index >= len(r.phases) {
		return nil, fmt.Errorf("phase %d, but %s knows %d phases", index, runFile, len(r.phases)-1)
	}
	p := r.phases[index]
	p.known = true
	return p, nil
}

func (r *reading) event(text []byte) error {
	var event Event
	if err := json.Unmarshal(text, &event); err != nil {
		return err
	}
	r.last = max(r.last, event.At)
	r.record.Events = append(r.record.Events, event)
	if event.Kind != EventPhaseStart {
		return nil
	}
	p, err := r.phase(event.Phase)
	if err != nil {
		return err
	}
	if p.data.Unfinished {
		p.data.Start, p.data.SendEnd, p.data.End = event.At, event.At, event.At
		if event.Spec != nil {
			p.data.Spec = *event.Spec
		}
	}
	return nil
}

func (r *reading) tick(text []byte) error {
	var tick Tick
	if err := json.Unmarshal(text, &tick); err != nil {
		return err
	}
	p, err := r.phase(tick.Phase)
	if err != nil {
		return err
	}
	if n := len(p.data.Timeline); n > 0 && tick.At <= p.data.Timeline[n-1].At {
		return fmt.Errorf("the interval's end, %s, is not after the one before, %s", tick.At, p.data.Timeline[n-1].At)
	}
	r.last = max(r.last, tick.At)
	p.data.Timeline = append(p.data.Timeline, tick)
	p.interval(tick.Start, tick.At)
	return nil
}

// interval returns the place of an interval, which is made if need be.
func (p *phaseReading) interval(start, end time.Duration) int {
	at, known := p.intervals[end]
	if !known {
		at = len(p.values)
		p.intervals[end] = at
		p.values = append(p.values, sparse{})
		p.data.Seconds = append(p.data.Seconds, SecondLatency{Start: start, End: end})
	}
	return at
}

func (r *reading) latency(line hlogLine) error {
	p, err := r.phase(line.tag.phase)
	if err != nil {
		return err
	}
	if _, known := p.intervals[line.end]; !known && p.data.Unfinished {
		// The row with the counts of this interval did not reach the disk.
		p.beyond++
		return nil
	}
	at, known := p.byName[line.tag.request]
	if !known {
		at = len(p.requests)
		p.byName[line.tag.request] = at
		p.requests = append(p.requests, requestReading{name: line.tag.request})
	}
	counts := &p.requests[at].counts[line.tag.quantity]
	if *counts == nil {
		*counts = make([]int64, allBuckets)
	}
	for i, index := range line.values.index {
		(*counts)[index] += line.values.counts[i]
	}
	if line.tag.quantity == quantityLatency {
		place := p.interval(line.start, line.end)
		values := line.values.ofInterval(p.data.Spec.Duration, r.coarse)
		if IntervalFor(p.data.Spec.Duration) > time.Second {
			r.coarse = values
		}
		p.values[place] = p.values[place].plus(values)
	}
	return nil
}

func (r *reading) sample(text []byte) error {
	sample, err := r.sampling.decode(text)
	if err != nil {
		return err
	}
	r.last = max(r.last, sample.At)
	r.samples = append(r.samples, sample)
	return nil
}

func (r *reading) finish() *Record {
	sortSamples(r.samples)
	for _, sample := range r.samples {
		r.spacing.note(sample)
	}
	for _, p := range r.phases {
		if !p.known {
			continue
		}
		if p.data.Unfinished {
			p.rebuild()
		}
		p.finish(r.record.Scenario.Requests)
		p.data.Samples = r.spacing.within(r.samples, p.data.Start, p.data.End)
		for _, warning := range p.data.Warnings {
			r.warn("phase %d (%s): %s", p.data.Index, p.data.Spec.Name, warning)
		}
		r.record.Data = append(r.record.Data, p.data)
	}
	r.samples = nil
	if r.record.Ended == "" {
		r.warn("the run has no end: it was killed, or is still running; the last entry is from %s after its start",
			r.last.Round(time.Millisecond))
	}
	return r.record
}

// rebuild makes the facts of a phase that was cut off, as far as they are known.
func (p *phaseReading) rebuild() {
	d := &p.data
	d.Warnings = append(d.Warnings, "the run ended before this phase did")
	n := len(d.Timeline)
	if n == 0 {
		d.Warnings = append(d.Warnings, "no interval of it was recorded")
		return
	}
	d.Start, d.End = d.Timeline[0].Start, d.Timeline[n-1].At
	d.SendEnd = d.End
	if d.Spec.Duration > 0 {
		d.SendEnd = min(d.End, d.Start+d.Spec.Duration)
	}
	d.Counts = d.Timeline[n-1].Counts
	if d.Spec.Kind == "" {
		d.Warnings = append(d.Warnings, "what it was told to do is not recorded")
	}
}

// finish completes the data and compares it with the facts.
func (p *phaseReading) finish(order []scenarios.Request) {
	d := &p.data
	d.Latency, d.Service, d.SendLag = NewHistogram(), NewHistogram(), NewHistogram()
	for _, request := range p.requests {
		d.ByRequest = append(d.ByRequest, request.histograms())
		for q := range quantities {
			d.of(q).Merge(d.ByRequest[len(d.ByRequest)-1].of(q))
		}
	}
	p.requests = nil
	for i, values := range p.values {
		d.Seconds[i].Values, d.Seconds[i].Counts = values.values(), values.counts
	}
	p.values = nil
	slices.SortFunc(d.Seconds, func(a, b SecondLatency) int { return cmp.Compare(a.End, b.End) })
	place := func(name string) int {
		at := slices.IndexFunc(order, func(r scenarios.Request) bool { return r.Name == name })
		if at < 0 {
			return len(order)
		}
		return at
	}
	slices.SortStableFunc(d.ByRequest, func(a, b RequestHistograms) int {
		return cmp.Compare(place(a.Request), place(b.Request))
	})
	found := Recorded{
		Intervals: int64(len(d.Timeline)), OutOfRange: d.Recorded.OutOfRange,
		Latency: d.Latency.TotalCount(), Service: d.Service.TotalCount(), SendLag: d.SendLag.TotalCount(),
	}
	if d.Unfinished {
		d.Recorded = found
		if p.beyond > 0 {
			d.Warnings = append(d.Warnings, fmt.Sprintf(
				"%d lines of %s belong to an interval whose counts were not recorded, and are left out", p.beyond, latencyFile))
		}
		if found.Service < d.Counts.Answered {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s holds the times of %d of %d answers",
				latencyFile, found.Service, d.Counts.Answered))
		}
		return
	}
	for _, part := range []struct {
		file, what  string
		found, want int64
	}{
		{timelineFile, "intervals", found.Intervals, d.Recorded.Intervals},
		{latencyFile, "latencies", found.Latency, d.Recorded.Latency},
		{latencyFile, "service times", found.Service, d.Recorded.Service},
		{latencyFile, "send lags", found.SendLag, d.Recorded.SendLag},
	} {
		if part.found != part.want {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s holds %d of %d %s", part.file, part.found, part.want, part.what))
		}
	}
}
