package live

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

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
		Counts: record.Counts{Sent: 301, InFlight: 4, Failed: 2},
		P50:    7 * time.Millisecond, P99: 21 * time.Millisecond, LagP99: 300 * time.Microsecond,
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
 0:01  climb 1          300/s  p50 7.00 ms   p99 21 ms          errors 0.00 %  holds
 0:02  climb 2          480/s  p50 1.2 s     p99 not estimable  errors 1.20 %  missed
 0:02  climb 3          768/s  p50 –         p99 not estimable  errors 0.00 %  NOT VALID: send lag p99 is 9 ms (and 1 more)
`
	if got := play(Options{}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestQuietKeepsNotesOnly(t *testing.T) {
	if got, want := play(Options{Quiet: true}), " 0:00  proxies: real Envoy 1.40.0 (PATH)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// screen is what a terminal shows after the text: a carriage return goes back to
// the start of the line, and what follows overwrites it.
func screen(text string) []string {
	lines := []string{}
	for line := range strings.SplitSeq(text, "\n") {
		var shown []rune
		at := 0
		for _, r := range line {
			if r == '\r' {
				at = 0
				continue
			}
			if at == len(shown) {
				shown = append(shown, r)
			} else {
				shown[at] = r
			}
			at++
		}
		lines = append(lines, strings.TrimRight(string(shown), " "))
	}
	return lines
}

func TestStatusLineLeavesNothingBehind(t *testing.T) {
	written := play(Options{Terminal: true, Width: 60})
	if !strings.Contains(written, "sent 301") {
		t.Errorf("got %q, want a status line that counts requests", written)
	}
	got, want := screen(written), strings.Split(play(Options{}), "\n")
	if len(got) != len(want) {
		t.Fatalf("lines on screen: got %q, want %q", got, want)
	}
	for i := range want {
		// The clock is looked at more often with a status line.
		if got[i] != want[i] && (len(got[i]) < 7 || got[i][6:] != want[i][6:]) {
			t.Errorf("line %d: got %q, want %q", i, got[i], want[i])
		}
	}
	for piece := range strings.SplitSeq(written, "\r") {
		if first, _, _ := strings.Cut(piece, "\n"); strings.Contains(first, "sent ") && len(first) > 59 {
			t.Errorf("status line of %d characters on a terminal of 60: %q", len(first), first)
		}
	}
}
