package analysis

import (
	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// judgeObjectives says of each objective how the system stands to it, from the
// outcome: without a valid answer to the whole there is none to the parts.
func (r *Result) judgeObjectives(objectives []scenarios.Objective, phases []examined) {
	loads := ofKind(phases, scenarios.KindLoad)
	for i, o := range objectives {
		if len(loads) > 0 {
			r.Objectives[i].Holds, r.Objectives[i].Reason = r.standing(o, loads[len(loads)-1])
		} else {
			r.Objectives[i].Holds, r.Objectives[i].Reason = r.promise(r.Objectives[i].Text)
		}
	}
}

// standing holds one objective against a phase of load.
func (r *Result) standing(o scenarios.Objective, load examined) (*bool, string) {
	if load.Counts.Intended == 0 || o.IsLatency() && load.latency.N() == 0 {
		return nil, "nothing was measured"
	}
	ok, text := holdsOne(load.settled, load.Counts, o)
	switch r.Outcome {
	case Held:
	case Missed:
		// With few answers a quantile beyond its limit can be chance, and one
		// within it can be, too.
		few := o.IsLatency() && load.latency.N() < int64(stat.SamplesFor(o.Quantile))
		if few && !clearMiss(load, []scenarios.Objective{o}) {
			return nil, text + ", which is too few to tell"
		}
	default:
		return nil, text + ", not a valid answer"
	}
	return &ok, text
}

// promise says of one objective what the recommendation of a sizing makes of it.
func (r *Result) promise(objective string) (*bool, string) {
	no, yes := false, true
	breaksFirst := r.SLOEdge.Objective == "" || r.SLOEdge.Objective == objective
	switch {
	case r.Outcome == Recommended && r.SLOEdge.End == string(models.EdgeNotReached):
		return &yes, "held up to the highest rate measured, " + quantity.Estimate(r.SLOEdge.Rps, quantity.PerSecond)
	case r.Outcome == Recommended:
		return &yes, "held up to the SLO edge of the chain, " + quantity.Estimate(r.SLOEdge.Rps, quantity.PerSecond)
	case r.Outcome == Infeasible && breaksFirst:
		return &no, "no number of replicas meets it"
	case r.Outcome == Infeasible:
		return nil, "another objective cannot be met"
	case r.Outcome == Contradicted:
		return nil, "the proof contradicts the prediction"
	}
	return nil, "no valid answer"
}
