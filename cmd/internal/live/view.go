package live

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// View writes what happens to a stream for a person. Its methods may be called
// from any goroutine; they hold a lock only while they write.
type View struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool // the last lines may be redrawn
	quiet    bool
	unjudged bool
	width    int
	start    time.Time
	now      func() time.Time

	phase scenarios.Phase
	index int
	since time.Time
	last  record.Tick
	drawn int       // lines of the panel on screen
	told  time.Time // when a plain line was last due

	widest int // columns of the names of phases so far
}

// Options are how a View writes.
type Options struct {
	Terminal bool // redraw a panel of figures
	Quiet    bool // write notes only
	Unjudged bool // there is no objective that a phase could hold or miss
	Width    int  // columns; 0 means 100
	Now      func() time.Time
}

// New returns a view that writes to w.
func New(w io.Writer, options Options) *View {
	if options.Width <= 0 {
		options.Width = 100
	}
	return &View{
		w: w, terminal: options.Terminal, quiet: options.Quiet, unjudged: options.Unjudged, width: options.Width,
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
	v.told = v.since
	v.status()
}

// Tick shows the counters of an interval.
func (v *View) Tick(t record.Tick) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = t
	v.status()
	v.progress()
}

// plainEvery is how often progress is told where nothing can be redrawn.
const plainEvery = 10 * time.Second

// progress writes a line of figures now and then where there is no panel.
func (v *View) progress() {
	if v.quiet || v.terminal {
		return
	}
	now := v.now()
	if now.Sub(v.told) < plainEvery {
		return
	}
	v.told = now
	t, elapsed := v.last, min(now.Sub(v.since), v.phase.Duration)
	v.line("%s  %-12s %s of %s  %s  p50 %s  p99 %s  in flight %s  errors %s%s", v.elapsed(), v.phase.Name,
		clock(elapsed.Truncate(time.Second)), clock(v.phase.Duration), v.rates(elapsed), milliseconds(t.P50.Seconds()), milliseconds(t.P99.Seconds()),
		quantity.Count(t.Counts.InFlight), quantity.Count(t.Counts.Errors()), errorsByClass(t))
}

// rates are the intended rate of the moment and what the last interval achieved.
func (v *View) rates(elapsed time.Duration) string {
	text := "as fast as answers come"
	if v.phase.Process != scenarios.Closed {
		text = quantity.Rate(v.phase.RPSAt(elapsed)) + " intended"
	}
	if length := v.last.At - v.last.Start; length > 0 {
		text += ", " + quantity.Rate(float64(v.last.Answered)/length.Seconds()) + " achieved"
	}
	return text
}

// Columns that the name of a phase has in a line, at the least and at the most: those of
// the usual phases are short, and a mix has the name of a request of the user's.
const (
	leastName = 12
	mostName  = 28
)

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
	case v.unjudged, scenarios.PhaseKind(s.Kind).Aside():
		verdict = "measured" // it is not there to hold anything
	case !s.Holds:
		verdict = "missed"
	}
	p99 := "p99 not estimable"
	if s.P99.OK() {
		p99 = "p99 " + milliseconds(s.P99.Value)
	}
	offered := s.OfferedRps
	if offered == 0 {
		offered = s.AchievedRps // a closed loop intends no rate
	}
	v.widest = min(max(v.widest, leastName, utf8.RuneCountInString(s.Name)), mostName)
	v.line("%s  %-*s %7.0f/s  p50 %-9s %-18s errors %-7s %s", v.elapsed(), v.widest, s.Name, offered,
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

// status redraws the panel.
func (v *View) status() {
	if v.quiet || !v.terminal {
		return
	}
	v.erase()
	for i, text := range v.panel() {
		line := []rune(text)
		if i > 0 {
			fmt.Fprintln(v.w)
		}
		// A line that wraps would take two to erase.
		fmt.Fprint(v.w, string(line[:min(len(line), v.width-1)]))
		v.drawn++
	}
}

// panel returns what the moment is like, in three lines.
func (v *View) panel() []string {
	t, spec := v.last, v.phase
	elapsed := min(v.now().Sub(v.since), spec.Duration)
	return []string{
		fmt.Sprintf("%s  %-12s %s  %s left  %s", v.elapsed(), spec.Name, bar(elapsed, spec.Duration), clock(spec.Duration-elapsed), v.rates(elapsed)),
		fmt.Sprintf("       latency p50 %s  p99 %s  p99.9 %s  max %s   send lag p99 %s",
			milliseconds(t.P50.Seconds()), milliseconds(t.P99.Seconds()), milliseconds(t.P999.Seconds()), milliseconds(t.Max.Seconds()), milliseconds(t.LagP99.Seconds())),
		fmt.Sprintf("       sent %s  in flight %s  waiting %s   errors %s%s", quantity.Count(t.Counts.Sent), quantity.Count(t.Counts.InFlight),
			quantity.Count(t.Counts.Waiting), quantity.Count(t.Counts.Errors()), errorsByClass(t)),
	}
}

// errorsByClass tells what went wrong, most frequent first; empty when nothing did.
func errorsByClass(t record.Tick) string {
	counts := t.Errors
	if len(counts) == 0 {
		counts = map[string]int64{"shed": t.Counts.Shed, "failed": t.Counts.Failed, "timed-out": t.Counts.TimedOut, "error answers": t.Counts.Bad}
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	var words []string
	for _, name := range names {
		if n := counts[name]; n > 0 {
			words = append(words, name+" "+quantity.Count(n))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

// bar draws how much of a phase is over.
func bar(elapsed, of time.Duration) string {
	const width = 20
	full := 0
	if of > 0 {
		full = int(width * elapsed / of)
	}
	full = max(0, min(full, width))
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// clock writes minutes and seconds, rounded up so that 0:00 is the end.
func clock(d time.Duration) string {
	seconds := int((d + time.Second - 1) / time.Second)
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// erase removes the panel and leaves the cursor where it began.
func (v *View) erase() {
	for ; v.drawn > 0; v.drawn-- {
		const clearLine, lineUp = "\r\x1b[2K", "\x1b[1A"
		fmt.Fprint(v.w, clearLine)
		if v.drawn > 1 {
			fmt.Fprint(v.w, lineUp)
		}
	}
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
	case ms != ms, ms == 0: // nothing was measured
		return "–"
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

func percent(ratio float64) string { return fmt.Sprintf("%.2f %%", ratio*100) }
