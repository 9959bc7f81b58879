package analysis

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

func notSized() stat.Estimate {
	return stat.NotEstimable(0, "a run of one load does not look for an edge")
}

// conclude decides the outcome of a sizing.
func (r *Result) conclude(rec *record.Record, phases []examined, predicted edgeOf) {
	sweep := ofKind(phases, scenarios.KindClimb, scenarios.KindSteady)
	good := valid(sweep)
	r.Valid = len(good) > 0
	complete := rec.Ended == record.EndedDone || (r.Verification != nil && r.Verification.ObjectiveHeldBelow != nil &&
		r.Verification.ObjectiveMissedAbove != nil && !cutShort(phases[len(phases)-1]))
	switch {
	case len(r.Objectives) == 0:
		r.settle(Incomplete, "the scenario has no objective, so there is no edge to find")
	case !complete:
		r.settle(Incomplete, incompleteWhy(rec, phases))
	case len(sweep) == 0:
		r.settle(Incomplete, "nothing was measured")
	case len(good) == 0:
		r.Valid = false
		r.settle(Invalid, fmt.Sprintf("none of %d measured phases is valid: %s", len(sweep), firstReason(r.InvalidReasons)))
	case infeasible(good, rec.Scenario.Objectives, predicted):
		r.SLOEdge.End = string(models.EdgeInfeasible)
		r.settle(Infeasible, infeasibleWhy(good))
	case !predicted.RPS.OK():
		r.Valid = false
		r.settle(Invalid, "the rate at which the objectives break cannot be estimated: "+firstWarning(predicted.RPS))
	case r.Verification == nil && len(r.InvalidReasons) > 0:
		r.Valid = false
		r.settle(Invalid, "too much of it was not a valid measurement to go on to the proof: "+firstReason(r.InvalidReasons))
	case r.Verification == nil:
		r.settle(Incomplete, "there was no search that could prove the prediction")
	case !r.Verification.MeasuredRps.OK():
		r.Valid = false
		r.settle(Invalid, "the prediction could not be put to the proof: "+r.Verification.Reason)
	case r.Verification.Agrees && !r.Verification.proven():
		r.Valid = false
		r.settle(Invalid, "the edge was found, but no valid phase below it shows that the objectives hold there")
	case r.Verification.Agrees:
		r.settle(Recommended, "the proof agrees: "+r.Verification.Reason)
	default:
		r.settle(Contradicted, "the proof contradicts: "+r.Verification.Reason)
	}
}

// proven reports whether there is a valid phase just below the edge that was
// reached. The one above may be missing: it may lie beyond the rate that the user
// allows.
func (v *Verification) proven() bool {
	return v.MeasuredEnd == string(models.EdgeNotReached) || v.ObjectiveHeldBelow != nil && v.ObjectiveHeldBelow.Valid
}

// cutShort reports whether a phase did not come to its own end.
func cutShort(p examined) bool {
	return p.Unfinished || p.Ended != "" && p.Ended != record.EndedDone
}

func (r *Result) settle(outcome Outcome, reason string) {
	r.Outcome, r.OutcomeReason = outcome, reason
	if outcome == Invalid {
		r.withhold()
	}
}

// withhold takes back what a reader could act on: a measurement that is not valid
// has no answer.
func (r *Result) withhold() {
	r.ConnectionPool, r.Staged, r.Growth, r.Costs = nil, nil, nil, nil
	for i := range r.Components {
		c := &r.Components[i]
		c.Replicas, c.Resources, c.HPA, c.Signal, c.Connections = nil, nil, nil, nil, nil
	}
}

func firstReason(reasons []Reason) string {
	if len(reasons) == 0 {
		return "no reason is recorded"
	}
	return reasons[0].Message
}

func incompleteWhy(rec *record.Record, phases []examined) string {
	after := fmt.Sprintf("after %d phases", len(phases))
	if len(phases) == 1 {
		after = "after 1 phase"
	}
	why := ""
	if rec.EndedWhy != "" {
		why = ": " + rec.EndedWhy
	}
	switch rec.Ended {
	case record.EndedGuard:
		return "a guard stopped the load " + after + why
	case record.EndedInterrupted:
		return "the run was interrupted " + after + why
	case record.EndedFailed:
		return "the run broke off " + after + why
	}
	return "the run was killed, or is still going on, " + after
}

// infeasible reports whether no measured rate holds, down to the lowest.
func infeasible(good []examined, objectives []scenarios.Objective, predicted edgeOf) bool {
	if predicted.End == models.EdgeReached || predicted.End == models.EdgeNotReached {
		return false
	}
	for _, p := range good {
		if p.summary.Holds {
			return false
		}
	}
	return clearMiss(lowest(good), objectives)
}

func lowest(phases []examined) examined {
	return slices.MinFunc(phases, func(a, b examined) int { return cmp.Compare(a.offered, b.offered) })
}

func infeasibleWhy(good []examined) string {
	p := lowest(good)
	return fmt.Sprintf("even at %s, the lowest rate that was tried, the objectives are missed: %s; no number of replicas changes that",
		perSecond(p.summary.OfferedRps), p.summary.HoldsReason)
}
