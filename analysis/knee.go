package analysis

import (
	"math"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Knee is the highest measured rate of the whole chain that surely holds the latency
// objectives: with the upper bound of the quantile, and every lower rate too. Nothing is
// read from between the measurements.
type Knee struct {
	Rps       stat.Estimate `json:"rps"` // up to the lowest rate that does not hold
	Objective string        `json:"objective"`
	// NextRps is where another measurement would tell most; 0: nowhere.
	NextRps    float64 `json:"nextRps,omitempty"`
	NextReason string  `json:"nextReason,omitempty"`
}

// kneeOf returns the lowest knee of the latency objectives; nil without any.
func kneeOf(rec *record.Record, phases []examined) *Knee {
	var lowest *Knee
	for _, o := range rec.Scenario.Objectives {
		if !o.IsLatency() {
			continue
		}
		var points []models.LoadPoint
		for _, p := range valid(ofKind(phases, scenarios.KindClimb, scenarios.KindSteady, scenarios.KindSearch, scenarios.KindProof)) {
			if p.Spec.Process == scenarios.Closed {
				continue
			}
			value := p.quantile(o.Quantile)
			if math.IsInf(p.settled.Quantile(o.Quantile), 1) && p.settled.N() >= int64(stat.SamplesFor(o.Quantile)) {
				missed := o.Latency.Seconds() * unanswered
				value = stat.Estimate{Value: missed, Low: missed, High: missed, N: int(p.settled.N())}
			}
			points = append(points, models.LoadPoint{RPS: p.offered, Value: value})
		}
		k := &Knee{Rps: models.Knee(points, o.Latency.Seconds()), Objective: objectiveText(o)}
		if rps, why, ok := models.NextRate(points, k.Rps); ok {
			k.NextRps, k.NextReason = rps, why
		}
		if lowest == nil || !k.Rps.OK() || lowest.Rps.OK() && k.Rps.Value < lowest.Rps.Value {
			lowest = k
		}
	}
	return lowest
}
