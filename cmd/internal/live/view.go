package live

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// View writes what happens to a stream for a person. Its methods may be called
// from any goroutine; they hold a lock only while they write.
type View struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool // the last line may be redrawn
	quiet    bool
	width    int
	start    time.Time
	now      func() time.Time

	phase scenarios.Phase
	index int
	since time.Time
	last  record.Tick
	drawn int // characters of the status line on screen
}

// Options are how a View writes.
type Options struct {
	Terminal bool // redraw a status line
	Quiet    bool // write notes only
	Width    int  // columns; 0 means 100
	Now      func() time.Time
}

// New returns a view that writes to w.
func New(w io.Writer, options Options) *View {
	if options.Width <= 0 {
		options.Width = 100
	}
	return &View{
		w: w, terminal: options.Terminal, quiet: options.Quiet, width: options.Width,
		start: options.Now(), now: options.Now,
	}
}

// Note writes a line that stays.
func (v *View) Note(message string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.line("%s  %s", v.elapsed(), message)
}

// PhaseStart tells that a phase begins.
func (v *View) PhaseStart(index int, spec scenarios.Phase) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.phase, v.index, v.since, v.last = spec, index, v.now(), record.Tick{}
	v.status()
}

// Tick shows the counters of an interval.
func (v *View) Tick(t record.Tick) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = t
	v.status()
}

// PhaseEnd writes one line about what the phase found.
func (v *View) PhaseEnd(s analysis.PhaseSummary) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.quiet {
		return
	}
	verdict := "holds"
	switch {
	case !s.Verdict.Valid:
		verdict = "NOT VALID: " + reasons(s.Verdict.Reasons)
	case s.Kind == string(scenarios.KindWarmUp) || s.Kind == string(scenarios.KindPreflight):
		verdict = ""
	case !s.Holds:
		verdict = "missed"
	}
	p99 := "p99 not estimable"
	if s.P99.OK() {
		p99 = "p99 " + milliseconds(s.P99.Value)
	}
	v.line("%s  %-12s %7.0f/s  p50 %-9s %-18s errors %-7s %s", v.elapsed(), s.Name, s.OfferedRps,
		milliseconds(s.P50.Value), p99, percent(s.ErrorRatio), verdict)
}

// Close removes the status line.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
}

// line writes a line that stays above the status line.
func (v *View) line(format string, args ...any) {
	v.erase()
	fmt.Fprintln(v.w, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (v *View) status() {
	if v.quiet || !v.terminal {
		return
	}
	elapsed := v.now().Sub(v.since).Truncate(100 * time.Millisecond)
	text := fmt.Sprintf("%s  %-12s %7.0f/s  %s of %s  sent %d  in flight %d  p50 %s  p99 %s  lag p99 %s  errors %d",
		v.elapsed(), v.phase.Name, v.phase.Rate.RPS(), elapsed, v.phase.Duration.Truncate(100*time.Millisecond),
		v.last.Counts.Sent, v.last.Counts.InFlight, milliseconds(v.last.P50.Seconds()), milliseconds(v.last.P99.Seconds()),
		milliseconds(v.last.LagP99.Seconds()), v.last.Counts.Errors())
	line := []rune(text)
	line = line[:min(len(line), v.width-1)]
	v.erase()
	fmt.Fprint(v.w, string(line))
	v.drawn = len(line)
}

func (v *View) erase() {
	if v.drawn == 0 {
		return
	}
	fmt.Fprintf(v.w, "\r%s\r", strings.Repeat(" ", v.drawn))
	v.drawn = 0
}

// elapsed is the time since the start.
func (v *View) elapsed() string {
	d := v.now().Sub(v.start)
	return fmt.Sprintf("%2d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// reasons names the first reason, and how many more there are.
func reasons(rs []analysis.Reason) string {
	switch len(rs) {
	case 0:
		return ""
	case 1:
		return rs[0].Message
	}
	return fmt.Sprintf("%s (and %d more)", rs[0].Message, len(rs)-1)
}

func milliseconds(seconds float64) string {
	ms := seconds * 1000
	switch {
	case ms != ms:
		return "–"
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

func percent(ratio float64) string { return fmt.Sprintf("%.2f %%", ratio*100) }
