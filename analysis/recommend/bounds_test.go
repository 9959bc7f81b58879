package recommend

import (
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// A capacity beyond 1.2 times the highest measured rate carries a warning, whatever binds.
func TestCapacityBeyondTheMeasuredWarns(t *testing.T) {
	none := stat.NotEstimable(0, "the sidecar bound first")
	for _, test := range []struct {
		name    string
		highest float64 // measured
		warns   bool
	}{
		// Memory binds at 2 900/s to 2 960/s, as in TestCapacity: 1.2 × 2 500/s = 3 000/s.
		{"within", 2500, false},
		{"beyond", 2300, true},
		{"not known what was measured", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := subject()
			s.MemoryLimit, s.Edge, s.CPULimit, s.Concurrency, s.Highest, s.MaxRequests = 128<<20, none, 0, 0, test.highest, 0
			c := CapacityOf(s)
			if c.BoundBy != BoundMemory {
				t.Fatalf("bound by %s, want memory", c.BoundBy)
			}
			if got := len(c.Warnings) > 0; got != test.warns {
				t.Errorf("%g/s carries the warnings %q, want some: %t", c.Safe(), c.Warnings, test.warns)
			}
		})
	}
}

// An idle connection is closed a fifth before one was lost, also where that is only a
// little below what quiet hours ask for.
func TestIdleTimeoutIsShorterThanALoss(t *testing.T) {
	for _, test := range []struct {
		lost float64
		want string
	}{
		{0, "60s"}, {50, "40s"}, {70, "56s"}, {76, "60s"}, {500, "60s"},
	} {
		in := poolInput()
		in.LostIdleSeconds = test.lost
		p, why := PoolFor(in)
		if p == nil {
			t.Fatal(why)
		}
		if p.HTTP.IdleTimeout != test.want {
			t.Errorf("lost after %g s: idle timeout %s, want %s", test.lost, p.HTTP.IdleTimeout, test.want)
		}
		redo(t, "idleTimeout", p.Details["http.idleTimeout"])
	}
}

// Memory that is kept when the load comes down is no signal, and that is said.
func TestKeptMemoryIsSaid(t *testing.T) {
	for _, test := range []struct {
		kept float64
		said bool
	}{{0.2, false}, {0.5, false}, {0.6, true}, {1, true}} {
		s := subject()
		s.Memory.Hysteresis = stat.Estimate{Value: test.kept, Low: test.kept, High: test.kept, N: 9}
		if r := sized(t, s); strings.Contains(r.Reason, "no autoscaler should follow it") != test.said {
			t.Errorf("%g of it is kept: %q, want it said: %t", test.kept, r.Reason, test.said)
		}
	}
}

// A rolling update starts as many more as it may, a share rounded up as Kubernetes does.
func TestMostDuringAnUpdate(t *testing.T) {
	capacity := Capacity{BoundBy: BoundCPU, Candidates: []Candidate{{BoundBy: BoundCPU, Safe: 1000}}}
	for surge, want := range map[scenarios.Portion]int{"": 13, "25%": 13, "0": 10, "2": 12, "100%": 20} {
		r, why := ReplicasFor(capacity, Load{PlannedRPS: 9000, Zones: 1, MaxUnavailable: "1", MaxSurge: surge})
		if r == nil {
			t.Fatal(why)
		}
		if r.Value != 10 || r.MostDuringUpdate != want {
			t.Errorf("a surge of %q: %d replicas, %d during an update; want 10 and %d", surge, r.Value, r.MostDuringUpdate, want)
		}
	}
}
