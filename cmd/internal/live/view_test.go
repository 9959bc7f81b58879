package live

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// play shows a short run and returns what was written; each look at the clock
// is half a second later.
func play(options Options) string {
	var out bytes.Buffer
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	options.Now = func() time.Time {
		now = now.Add(500 * time.Millisecond)
		return now
	}
	v := New(&out, options)
	v.Note("proxies: real Envoy 1.40.0 (PATH)")
	v.PhaseStart(0, scenarios.Phase{Name: "climb 1", Kind: scenarios.KindClimb, Rate: scenarios.PerSecond(300), Duration: 3 * time.Second})
	v.Tick(record.Tick{
		Start: time.Second, At: 2 * time.Second, Answered: 250, Errors: map[string]int64{"timed-out": 2},
		Counts: record.Counts{Sent: 301, InFlight: 4, Failed: 2},
		P50:    7 * time.Millisecond, P99: 21 * time.Millisecond, P999: 40 * time.Millisecond, LagP99: 300 * time.Microsecond,
	})
	v.PhaseEnd(analysis.PhaseSummary{
		Name: "climb 1", Kind: "climb", OfferedRps: 300, P50: stat.Estimate{Value: 0.007}, P99: stat.Estimate{Value: 0.021},
		Holds: true, Verdict: analysis.Verdict{Valid: true},
	})
	v.PhaseEnd(analysis.PhaseSummary{
		Name: "climb 2", Kind: "climb", OfferedRps: 480, P50: stat.Estimate{Value: 1.2}, P99: stat.NotEstimable(10, "too few"),
		ErrorRatio: 0.012, Verdict: analysis.Verdict{Valid: true},
	})
	v.PhaseEnd(analysis.PhaseSummary{
		Name: "climb 3", Kind: "climb", OfferedRps: 768, P50: stat.Estimate{Value: math.NaN()}, P99: stat.NotEstimable(0, "none"),
		Verdict: analysis.Verdict{Reasons: []analysis.Reason{{Message: "send lag p99 is 9 ms"}, {Message: "steal"}}},
	})
	v.Close()
	return out.String()
}

func TestPlainLines(t *testing.T) {
	want := ` 0:00  proxies: real Envoy 1.40.0 (PATH)
 0:02  climb 1          300/s  p50 7.00 ms   p99 21 ms          errors 0.00 %  holds
 0:02  climb 2          480/s  p50 1.2 s     p99 not estimable  errors 1.20 %  missed
 0:03  climb 3          768/s  p50 –         p99 not estimable  errors 0.00 %  NOT VALID: send lag p99 is 9 ms (and 1 more)
`
	if got := play(Options{}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestPlainLinesOfALongPhase: where nothing can be redrawn, a line tells of every
// ten seconds.
func TestPlainLinesOfALongPhase(t *testing.T) {
	long := func(options Options) string {
		var out bytes.Buffer
		start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		now := start
		options.Now = func() time.Time { return now }
		v := New(&out, options)
		now = start.Add(5 * time.Second)
		v.PhaseStart(0, scenarios.Phase{Name: "load", Kind: scenarios.KindLoad, Rate: scenarios.PerSecond(300), Duration: 25 * time.Second})
		for second := range 25 {
			now = now.Add(time.Second)
			at := time.Duration(second+1) * time.Second
			v.Tick(record.Tick{
				Start: at - time.Second, At: at, Answered: 250, Errors: map[string]int64{"timed-out": 2},
				Counts: record.Counts{Sent: 301, InFlight: 4, TimedOut: 2},
				P50:    7 * time.Millisecond, P99: 21 * time.Millisecond,
			})
		}
		// The next phase has its own ten seconds.
		v.PhaseStart(1, scenarios.Phase{Name: "rest", Kind: scenarios.KindLoad, Process: scenarios.Closed, Duration: 25 * time.Second})
		for range 10 {
			now = now.Add(time.Second)
			v.Tick(record.Tick{})
		}
		v.Close()
		return out.String()
	}
	want := ` 0:15  load         0:10 of 0:25  300/s intended, 250/s achieved  p50 7.00 ms  p99 21 ms  in flight 4  errors 2: timed-out 2
 0:25  load         0:20 of 0:25  300/s intended, 250/s achieved  p50 7.00 ms  p99 21 ms  in flight 4  errors 2: timed-out 2
 0:40  rest         0:10 of 0:25  as fast as answers come  p50 –  p99 –  in flight 0  errors 0
`
	if got := long(Options{}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := long(Options{Quiet: true}); got != "" {
		t.Errorf("quiet: got %q, want nothing", got)
	}
}

// TestNothingHoldsWithoutAnObjective: a phase that is judged by nothing was measured.
func TestNothingHoldsWithoutAnObjective(t *testing.T) {
	got := play(Options{Unjudged: true})
	if strings.Contains(got, "holds") || strings.Contains(got, "missed") || strings.Count(got, "  measured\n") != 2 || !strings.Contains(got, "NOT VALID") {
		t.Errorf("got:\n%s\nwant two phases measured and one not valid", got)
	}
}

func TestQuietKeepsNotesOnly(t *testing.T) {
	if got, want := play(Options{Quiet: true}), " 0:00  proxies: real Envoy 1.40.0 (PATH)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// screen is what a terminal shows after the text, as far as a View uses one: new
// lines, carriage returns, one line up, and the clearing of a line.
func screen(text string) []string {
	lines, row := [][]rune{nil}, 0
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "\x1b[2K"):
			lines[row], text = nil, text[len("\x1b[2K"):]
		case strings.HasPrefix(text, "\x1b[1A"):
			row, text = row-1, text[len("\x1b[1A"):]
		case text[0] == '\r':
			text = text[1:]
		case text[0] == '\n':
			if row++; row == len(lines) {
				lines = append(lines, nil)
			}
			text = text[1:]
		default:
			r, size := utf8.DecodeRuneInString(text)
			lines[row], text = append(lines[row], r), text[size:]
		}
	}
	shown := []string{}
	for _, line := range lines {
		shown = append(shown, strings.TrimRight(string(line), " "))
	}
	for len(shown) > 1 && shown[len(shown)-1] == "" && shown[len(shown)-2] == "" {
		shown = shown[:len(shown)-1]
	}
	return shown
}

func TestPanelLeavesNothingBehind(t *testing.T) {
	const width = 100
	written := play(Options{Terminal: true, Width: width})
	for _, want := range []string{"climb 1", "300/s intended", "250/s achieved", "p99.9 40 ms", "sent 301", "in flight 4", "errors 2: timed-out 2", "0:02 left"} {
		if !strings.Contains(written, want) {
			t.Errorf("got %q, want a panel with %q", written, want)
		}
	}
	got, want := screen(written), strings.Split(play(Options{}), "\n")
	if len(got) != len(want) {
		t.Fatalf("lines on screen: got %q, want %q", got, want)
	}
	for i := range want {
		// The clock is looked at more often with a panel.
		if got[i] != want[i] && (len(got[i]) < 7 || got[i][6:] != want[i][6:]) {
			t.Errorf("line %d: got %q, want %q", i, got[i], want[i])
		}
	}
	for _, narrow := range []int{20, 60} {
		for line := range strings.SplitSeq(play(Options{Terminal: true, Width: narrow}), "\n") {
			line = line[strings.LastIndex(line, "\x1b[")+1:]
			if strings.Contains(line, "sent ") && utf8.RuneCountInString(line) > narrow+2 {
				t.Errorf("a line of %d characters on a terminal of %d: %q", utf8.RuneCountInString(line), narrow, line)
			}
		}
	}
}

// TestLongNamesKeepTheColumns: the figures of phases whose names are long stand below
// each other, and phases that are there for their cost hold and miss nothing.
func TestLongNamesKeepTheColumns(t *testing.T) {
	var out strings.Builder
	v := New(&out, Options{Now: func() time.Time { return time.Unix(0, 0) }})
	for i, name := range []string{"mostly checkout 1.1", "mostly basket 1.2", "quota 2, lifted", "bunched 1"} {
		v.PhaseEnd(analysis.PhaseSummary{
			Name: name, Kind: []string{"mix", "mix", "quota", "bunched"}[i], OfferedRps: 100, P50: stat.Estimate{Value: 0.007}, P99: stat.Estimate{Value: 0.9},
			Verdict: analysis.Verdict{Valid: true},
		})
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range lines {
		if strings.Index(line, "100/s") != strings.Index(lines[0], "100/s") || !strings.HasSuffix(line, "  measured") {
			t.Errorf("got %q below %q, want the same columns, and measured", line, lines[0])
		}
	}
}
