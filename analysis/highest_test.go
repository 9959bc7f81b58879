package analysis

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// found makes the record of a run that looked for its highest rate, in a world
// whose true edge is known.
func found(w *world, limit time.Duration, rates ...float64) *record.Record {
	rec := &record.Record{Run: w.run()}
	rec.Command, rec.Data, rec.Ended = "run", nil, record.EndedDone
	rec.Scenario.Objectives = []scenarios.Objective{{Quantile: 0.99, Latency: limit}}
	for i, rps := range rates {
		kind := scenarios.KindSearch
		if i < len(rates)/2 {
			kind = scenarios.KindClimb
		}
		rec.Data = append(rec.Data, w.phase("probe", kind, rps, 4*time.Second))
	}
	return rec
}

func TestHighestRate(t *testing.T) {
	within := 0
	for seed := range uint64(20) {
		w := newWorld(seed)
		truth := w.trueEdge(0.05)
		r, err := Analyze(found(w, 50*time.Millisecond, truth*0.3, truth*0.6, truth*1.3, truth*0.95, truth*1.08, truth*0.9, truth*1.15, truth))
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome != Found || r.SLOEdge.End != string(models.EdgeReached) || math.Abs(r.SLOEdge.Rps.Value/truth-1) > 0.15 {
			t.Errorf("seed %d: %s (%s), edge %v, want about %.0f/s", seed, r.Outcome, r.OutcomeReason, r.SLOEdge.Rps, truth)
		}
		if r.SLOEdge.Rps.Low <= truth && truth <= r.SLOEdge.Rps.High {
			within++
		}
	}
	if within < 16 { // of 19 expected at 95 %
		t.Errorf("the interval holds the true edge in %d of 20 runs", within)
	}
}

func TestHighestRateWithoutAnEdge(t *testing.T) {
	w := newWorld(1)
	r, err := Analyze(found(w, 10*time.Second, 300, 600, 900, 1200))
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != Found || !strings.Contains(r.OutcomeReason, "lies above") {
		t.Errorf("every rate holds: got %s, %q", r.Outcome, r.OutcomeReason)
	}
	if r, err = Analyze(found(newWorld(2), time.Millisecond, 3000, 2000, 1000, 500)); err != nil || r.Outcome != Infeasible {
		t.Errorf("no rate holds: got %s, %v", r.Outcome, err)
	}
	rec := found(newWorld(3), 50*time.Millisecond, 300, 600, 900, 1200)
	rec.Ended, rec.EndedWhy = record.EndedInterrupted, "Ctrl-C"
	if r, err = Analyze(rec); err != nil || r.Outcome != Incomplete {
		t.Errorf("interrupted: got %s, %v", r.Outcome, err)
	}
}
