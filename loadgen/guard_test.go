package loadgen

import (
	"strings"
	"testing"
	"time"
)

func TestErrorGuard(t *testing.T) {
	// rate and errors are those of each tenth of a second.
	type stretch struct {
		ticks    int
		all, bad int64
	}
	tests := []struct {
		name      string
		limit     float64
		stretches []stretch
		stopAt    time.Duration // 0: never
	}{
		{"healthy", 0.2, []stretch{{100, 100, 10}}, 0},
		{"just at the limit", 0.2, []stretch{{100, 100, 20}}, 0},
		{"bad from the start, after a second", 0.2, []stretch{{100, 100, 50}}, 1100 * time.Millisecond},
		{"turns bad: within a second", 0.2, []stretch{{50, 100, 0}, {50, 100, 100}}, 5300 * time.Millisecond},
		{"a blink", 0.2, []stretch{{50, 100, 0}, {1, 100, 100}, {50, 100, 0}}, 0},
		{"few answers take longer", 0.2, []stretch{{100, 1, 1}}, 5100 * time.Millisecond},
		{"too few for a verdict", 0.2, []stretch{{10, 1, 1}, {200, 0, 0}}, 0},
		{"old errors don't count", 0.2, []stretch{{20, 10, 1}, {10, 100, 10}, {300, 10, 1}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newErrorGuard(tt.limit)
			at, sum := time.Duration(0), outcomes{}
			g.look(at, sum)
			for _, s := range tt.stretches {
				for range s.ticks {
					at += 100 * time.Millisecond
					sum.all += s.all
					sum.bad += s.bad
					reason := g.look(at, sum)
					if reason == "" {
						continue
					}
					if !strings.Contains(reason, "guards.maxErrorRatio 0.2") {
						t.Errorf("reason %q does not name the guard", reason)
					}
					if tt.stopAt == 0 || at > tt.stopAt {
						t.Errorf("stopped at %s: %s; want %s", at, reason, tt.stopAt)
					}
					return
				}
			}
			if tt.stopAt != 0 {
				t.Errorf("never stopped, want %s", tt.stopAt)
			}
		})
	}
	if newErrorGuard(0) != nil {
		t.Error("there is a guard without a limit")
	}
}
