package analysis

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// The knee of each record is a rate that was measured, that holds the objective with its
// upper bound, and below which nothing was measured that does not.
func TestKneeOfRecords(t *testing.T) {
	for _, c := range chains() {
		t.Run(c.name, func(t *testing.T) {
			rec, err := record.Open(filepath.Join("testdata", "records", c.name))
			if err != nil {
				t.Fatal(err)
			}
			r, err := Analyze(rec)
			if err != nil {
				t.Fatal(err)
			}
			if r.Knee == nil {
				t.Fatal("there is no knee, and an objective on latency")
			}
			highest, first := 0.0, math.Inf(1) // that holds; the lowest that may not
			for _, p := range r.Phases {
				kind := scenarios.PhaseKind(p.Kind)
				if kind == scenarios.KindWarmUp || kind == scenarios.KindPreflight || kind.Aside() || !p.Verdict.Valid || !p.P99.OK() {
					continue
				}
				if p.P99.High > c.objective.Seconds() {
					first = math.Min(first, p.OfferedRps)
				}
			}
			for _, p := range r.Phases {
				kind := scenarios.PhaseKind(p.Kind)
				if kind != scenarios.KindWarmUp && kind != scenarios.KindPreflight && !kind.Aside() && p.Verdict.Valid && p.P99.OK() && p.OfferedRps < first {
					highest = math.Max(highest, p.OfferedRps)
				}
			}
			if k := r.Knee; k.Rps.OK() != (highest > 0) || k.Rps.OK() && k.Rps.Value != highest {
				t.Errorf("knee %+v, want %g", k.Rps, highest)
			}
			if k := r.Knee; k.Rps.OK() && !math.IsInf(k.Rps.High, 1) && !(k.NextRps > k.Rps.Value && k.NextRps < k.Rps.High) {
				t.Errorf("next %g is not between %g and %g", k.NextRps, k.Rps.Value, k.Rps.High)
			}
		})
	}
}
