package analysis

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// edgeOf is the edge of all objectives together, from one set of phases.
type edgeOf struct {
	models.Edge
	objective scenarios.Objective // the one that breaks first
	known     bool                // whether objective is set
}

// text names the objective that breaks first; empty when none is known.
func (e edgeOf) text() string {
	if !e.known {
		return ""
	}
	return objectiveText(e.objective)
}

// findEdge returns the highest rate at which every objective holds, as phases
// show it. Nothing but these phases enters: the blind search is never fitted
// together with what predicts it.
func findEdge(phases []examined, objectives []scenarios.Objective, seed uint64) edgeOf {
	out := edgeOf{Edge: models.Edge{RPS: stat.NotEstimable(len(phases), "there is no objective"), End: models.EdgeUnknown}}
	var warnings []string
	for i, o := range objectives {
		edge := objectiveEdge(phases, o, seed+uint64(i))
		switch {
		case edge.End == models.EdgeUnknown && (out.known || len(objectives) > 1):
			warnings = append(warnings, fmt.Sprintf("%s: %s", objectiveText(o), firstWarning(edge.RPS)))
			if !out.known {
				out.Edge = edge
			}
		case !out.known || before(edge, out.Edge):
			low := math.Inf(1)
			if out.known {
				low = out.RPS.Low
			}
			out.Edge, out.objective, out.known = edge, o, true
			out.RPS.Low = math.Min(out.RPS.Low, low)
		default:
			out.RPS.Low = math.Min(out.RPS.Low, edge.RPS.Low)
		}
	}
	// One that cannot be told may break first, unless another breaks at once.
	if out.known && len(warnings) > 0 && out.End != models.EdgeInfeasible {
		out.RPS, out.End = stat.NotEstimable(out.RPS.N, warnings[0]), models.EdgeUnknown
	}
	return out
}

// before reports whether edge a comes at a lower rate than b.
func before(a, b models.Edge) bool {
	order := map[models.EdgeEnd]int{models.EdgeInfeasible: 0, models.EdgeReached: 1, models.EdgeNotReached: 2, models.EdgeUnknown: 3}
	if order[a.End] != order[b.End] {
		return order[a.End] < order[b.End]
	}
	return a.RPS.Value < b.RPS.Value
}

func firstWarning(e stat.Estimate) string {
	if len(e.Warnings) == 0 {
		return "not estimable"
	}
	return e.Warnings[0]
}

func objectiveEdge(phases []examined, o scenarios.Objective, seed uint64) models.Edge {
	var points []models.EdgePoint
	for _, phase := range phases {
		if point, ok := edgePoint(phase, o); ok {
			points = append(points, point)
		}
	}
	if o.IsLatency() {
		return models.LatencyEdge(points, o.Latency.Seconds(), seed)
	}
	return models.RatioEdge(points, float64(o.ErrorRatio))
}

// farMiss is the use of an objective from which on a phase lies beyond the edge,
// settled or not.
const farMiss = 1.5

// unanswered is how many times the limit a quantile counts as that lies among the
// arrivals that were never answered. All that is far beyond the limit counts alike.
const unanswered = 1000

// edgePoint returns a phase as a point of the edge; ok is false when it cannot be
// one. A phase through which a queue grew, or that the generator disturbed while it
// missed by far, says on which side of the edge it lies, and so counts when it misses.
func edgePoint(phase examined, o scenarios.Objective) (point models.EdgePoint, ok bool) {
	if !phase.summary.Verdict.Valid || !(phase.offered > 0) || phase.Spec.Process == scenarios.Closed {
		return models.EdgePoint{}, false
	}
	for _, reason := range phase.summary.Verdict.NotForFit {
		switch reason.Code {
		case CodeCutShort:
			return models.EdgePoint{}, false
		case CodeNotSettled:
			if phase.summary.ObjectiveUse < farMiss {
				return models.EdgePoint{}, false
			}
		case CodeNotStationary:
			if phase.summary.Holds {
				return models.EdgePoint{}, false
			}
		}
	}
	if !o.IsLatency() {
		return models.EdgePoint{RPS: phase.offered, Value: phase.summary.ErrorRatio}, true
	}
	estimate := phase.quantile(o.Quantile)
	if math.IsInf(phase.settled.Quantile(o.Quantile), 1) && phase.settled.N() >= int64(stat.SamplesFor(o.Quantile)) {
		return models.EdgePoint{RPS: phase.offered, Value: o.Latency.Seconds() * unanswered}, true
	}
	if !estimate.OK() || !(estimate.Low > 0) {
		return models.EdgePoint{}, false
	}
	if math.IsInf(estimate.High, 1) {
		estimate.High = estimate.Value * estimate.Value / estimate.Low
	}
	sd := (math.Log(estimate.High) - math.Log(estimate.Low)) / (2 * 1.96)
	return models.EdgePoint{RPS: phase.offered, Value: estimate.Value, SD: sd}, true
}

// clearMiss reports whether a phase misses an objective by more than chance
// explains: this many answers above the limit would be seen in fewer than one of
// a hundred phases, if the objective held.
func clearMiss(phase examined, objectives []scenarios.Objective) bool {
	for _, o := range objectives {
		n, allowed := float64(phase.settled.N()), 1-o.Quantile
		above := phase.settled.ShareAbove(o.Latency.Seconds()) * n
		if !o.IsLatency() {
			n, allowed = float64(phase.Counts.Intended), float64(o.ErrorRatio)
			above = phase.summary.ErrorRatio * n
		}
		if n < 1 || above < 1 {
			continue
		}
		if allowed <= 0 || (allowed < 1 && 1-distuv.Binomial{N: math.Round(n), P: allowed}.CDF(math.Round(above)-1) < 0.01) {
			return true
		}
	}
	return false
}

// ofKind returns the phases of the given kinds, in order.
func ofKind(phases []examined, kinds ...scenarios.PhaseKind) []examined {
	var out []examined
	for _, p := range phases {
		if slices.Contains(kinds, p.Spec.Kind) {
			out = append(out, p)
		}
	}
	return out
}

func valid(phases []examined) []examined {
	return slices.DeleteFunc(slices.Clone(phases), func(p examined) bool { return !p.summary.Verdict.Valid })
}
