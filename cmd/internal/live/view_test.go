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
