package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// memoryOfSamples is how far before a phase its samples are looked for: far
// enough for the one before a phase of a source that is scraped once a minute.
const memoryOfSamples = 2 * time.Minute

// Writer writes a run directory while the run goes on. Its methods may be called
// from several goroutines. Except Create, Update, PhaseWriter.End and Close none
// of them waits for the disk: a goroutine of the writer's takes what they
// leave in memory to the files at once.
//
// The first error while writing is kept and ends all writing, so that what was
// written before stays readable.
type Writer struct {
	dir   string
	base  time.Time
	open  openFunc
	since func() time.Duration // time since the base

	// mu guards run, phase, recent, spacing, onTick, closed, err and what the
	// series have pending and taken.
	mu      sync.Mutex
	run     Run
	phase   *PhaseWriter // the open one
	recent  []place      // of the samples of the last memoryOfSamples, as they came
	spacing *spacing
	onTick  func(Tick)
	closed  bool
	err     error

	disk     sync.Mutex // held while writing to files; taken before mu
	latency  *series
	timeline *series
	sampled  *series
	events   *series

	failed chan struct{} // closed with the first error
	kick   chan struct{} // one token: there is something to write
	stop   chan struct{} // closed by Close
	done   chan struct{} // closed when the writer's goroutine has returned
}

// Create makes a run directory and writes run.json into it. The base is the
// run's anchor: the instants of everything else are relative to it, and it must
// hold a monotonic clock reading. A directory that holds something already is
// ErrExists.
func Create(dir string, run Run, base time.Time) (*Writer, error) {
	return create(dir, run, base, openFile)
}

func create(dir string, run Run, base time.Time, open openFunc) (*Writer, error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	run.FormatVersion = FormatVersion
	run.StartedAt = base.Round(0).UTC()
	run.Phases = nil
	w := &Writer{
		dir: dir, base: base, open: open, run: run,
		since:   func() time.Duration { return time.Since(base) },
		spacing: newSpacing(),
		failed:  make(chan struct{}),
		kick:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	if err := w.openSeries(); err != nil {
		return nil, err
	}
	w.latency.pending = append(w.latency.pending, hlogHeader(run.StartedAt)...)
	if err := w.writeRun(run); err != nil {
		w.closeSeries()
		return nil, err
	}
	go w.writeLoop()
	w.wake()
	return w, nil
}

func (w *Writer) openSeries() error {
	for _, s := range []struct {
		at   **series
		name string
	}{
		{&w.latency, latencyFile}, {&w.timeline, timelineFile},
		{&w.sampled, samplesFile}, {&w.events, eventsFile},
	} {
		f, err := w.open(filepath.Join(w.dir, s.name))
		if err != nil {
			w.closeSeries()
			return fmt.Errorf("run directory: %w", err)
		}
		*s.at = &series{name: s.name, file: f}
	}
	return nil
}

// all lists the open series in the order in which they are written: the
// distributions before the timeline, so that each row of the timeline has its
// distributions whenever the process is killed.
func (w *Writer) all() []*series {
	var open []*series
	for _, s := range []*series{w.events, w.latency, w.timeline, w.sampled} {
		if s != nil {
			open = append(open, s)
		}
	}
	return open
}

func (w *Writer) closeSeries() error {
	var errs []error
	for _, s := range w.all() {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// Dir returns the run directory.
func (w *Writer) Dir() string { return w.dir }

// Base returns the run's anchor.
func (w *Writer) Base() time.Time { return w.base }

// Run returns the run as it stands. Its slices are not to be changed.
func (w *Writer) Run() Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.run
}

// Update changes what is known of the run, for instance its components, and
// writes run.json. Phases, the anchor and the format version stay as they are.
func (w *Writer) Update(change func(*Run)) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed
	}
	changed := w.run
	change(&changed)
	changed.FormatVersion, changed.StartedAt, changed.Phases = w.run.FormatVersion, w.run.StartedAt, w.run.Phases
	w.run = changed
	w.mu.Unlock()
	return w.saveRun()
}

var errClosed = errors.New("the run directory is closed")

// OnTick sets the function that each interval's tick is handed to, for the live
// view. It is called by the goroutine that delivers intervals and must not block.
func (w *Writer) OnTick(f func(Tick)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onTick = f
}

// Err returns the first error while writing, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Failed returns a channel that is closed with the first error while writing.
func (w *Writer) Failed() <-chan struct{} { return w.failed }

// fail keeps the first error.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(err)
}

func (w *Writer) failLocked(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("run directory %s: %w", w.dir, err)
		close(w.failed)
	}
}

// Sample records one row of samples. The writer keeps the map of metrics; values
// that are not finite are left out, and so are most rows of a phase that lasts
// longer than an hour.
func (w *Writer) Sample(sample Sample) {
	for metric, value := range sample.Metrics {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			delete(sample.Metrics, metric)
		}
	}
	if len(sample.Metrics) == 0 {
		return
	}
	line, err := json.Marshal(sample)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase != nil && w.phase.thins(sample) {
		return
	}
	offset := w.sampled.taken
	if !w.appendLocked(w.sampled, line, err) {
		return
	}
	w.spacing.note(sample)
	w.recent = append(w.recent, place{at: sample.At, offset: offset})
	keep := 0
	for w.recent[keep].at < sample.At-memoryOfSamples {
		keep++
	}
	// Copying now and then rather than each time costs little, and lets go of
	// the memory in front.
	if keep > len(w.recent)/2 {
		w.recent = append([]place(nil), w.recent[keep:]...)
	}
}

// place is where in its file a sample stands. The samples themselves are not
// kept: a phase can last for days.
type place struct {
	at     time.Duration
	offset int64
}

// firstPlaceLocked returns the offset from which on the samples lie that a phase
// that begins now can need.
func (w *Writer) firstPlaceLocked() int64 {
	if len(w.recent) == 0 {
		return w.sampled.taken
	}
	return w.recent[0].offset
}

// samplesFrom reads the samples back that stand in their file from an offset on,
// in order of time. After an error while writing, these are all there are.
func (w *Writer) samplesFrom(offset int64) ([]Sample, error) {
	var samples []Sample
	var decoder sampleDecoder
	_, err := eachLineFrom(filepath.Join(w.dir, samplesFile), offset, func(text []byte) error {
		sample, err := decoder.decode(text)
		if err != nil {
			return err
		}
		samples = append(samples, sample)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("run directory %s: read samples back: %w", w.dir, err)
	}
	sortSamples(samples)
	return samples, nil
}

// Event records an event. One whose Phase is −1 while a phase is running belongs
// to that phase.
func (w *Writer) Event(event Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.eventLocked(event)
}

func (w *Writer) eventLocked(event Event) {
	if event.Phase < 0 {
		event.Phase = -1
		if w.phase != nil {
			event.Phase = w.phase.index
		}
	}
	line, err := json.Marshal(event)
	w.appendLocked(w.events, line, err)
}

// appendLocked leaves one line to the writer's goroutine and reports whether it
// was taken.
func (w *Writer) appendLocked(to *series, line []byte, err error) bool {
	if w.err != nil || w.closed {
		return false
	}
	if err == nil && len(to.pending) > maxPending {
		err = errSlowDisk
	}
	if err != nil {
		w.failLocked(fmt.Errorf("%s: %w", to.name, err))
		return false
	}
	to.pending = append(append(to.pending, line...), '\n')
	to.taken += int64(len(line)) + 1
	w.wake()
	return true
}

func (w *Writer) wake() {
	select {
	case w.kick <- struct{}{}:
	default: // it will look anyway
	}
}

// writeLoop is the writer's goroutine.
func (w *Writer) writeLoop() {
	defer close(w.done)
	for {
		select {
		case <-w.stop:
			return
		case <-w.kick:
			w.flush()
		}
	}
}

// flush writes all that is pending.
func (w *Writer) flush() {
	w.disk.Lock()
	defer w.disk.Unlock()
	if w.Err() != nil {
		return
	}
	// All are taken at one instant, so that what is written belongs together.
	w.mu.Lock()
	for _, s := range w.all() {
		s.pending, s.writing = s.writing[:0], s.pending
	}
	w.mu.Unlock()
	for _, s := range w.all() {
		if len(s.writing) == 0 {
			continue
		}
		if _, err := s.file.Write(s.writing); err != nil {
			w.fail(fmt.Errorf("%s: %w", s.name, err))
			return
		}
	}
}

// saveRun writes run.json and returns the first error of the writer.
func (w *Writer) saveRun() error {
	w.disk.Lock()
	defer w.disk.Unlock()
	if err := w.Err(); err != nil {
		return err
	}
	if err := w.writeRun(w.Run()); err != nil {
		w.fail(err)
	}
	return w.Err()
}

func (w *Writer) writeRun(run Run) error {
	text, err := encodeRun(run)
	if err == nil {
		err = replace(w.open, filepath.Join(w.dir, runFile), text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", runFile, err)
	}
	return nil
}

// Close ends the run: it says how and why, and returns the first error there was
// while writing. A phase that was not ended stays in the files as an unfinished
// one. Once writing has failed, it is still tried to write the ending.
func (w *Writer) Close(ending Ending, why string) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed
	}
	w.phase = nil
	w.run.Ended, w.run.EndedWhy = ending, why
	w.run.EndedAt = w.run.StartedAt.Add(w.since())
	w.mu.Unlock()

	w.flush()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	<-w.done

	w.disk.Lock()
	defer w.disk.Unlock()
	for _, s := range w.all() {
		if err := s.file.Sync(); err != nil {
			w.fail(fmt.Errorf("%s: %w", s.name, err))
		}
	}
	if err := w.closeSeries(); err != nil {
		w.fail(err)
	}
	if err := w.writeRun(w.Run()); err != nil {
		w.fail(err)
	}
	return w.Err()
}

// BeginPhase starts the next phase. Only one is open at a time.
func (w *Writer) BeginPhase(spec scenarios.Phase) (*PhaseWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return nil, w.err
	case w.closed:
		return nil, errClosed
	case w.phase != nil:
		return nil, fmt.Errorf("phase %d (%s) has not ended", w.phase.index, w.phase.spec.Name)
	}
	p := newPhaseWriter(w, len(w.run.Phases), spec, w.since())
	w.phase = p
	w.eventLocked(Event{
		At: p.begun, Kind: EventPhaseStart, Phase: p.index, Subject: spec.Name,
		Message: describe(spec), Spec: &p.spec,
	})
	return p, w.err
}

func describe(spec scenarios.Phase) string {
	if spec.Process == scenarios.Closed {
		return fmt.Sprintf("%s, closed loop for %s", spec.Kind, spec.Duration)
	}
	return fmt.Sprintf("%s, %s %s for %s", spec.Kind, spec.Rate, spec.Process, spec.Duration)
}
