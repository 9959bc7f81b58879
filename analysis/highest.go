package analysis

import (
	"fmt"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// judgeHighest fills in the result of a run that looked for the highest rate which
// holds the objectives: the edge that a monotone regression over all its valid
// phases shows. found are the climb's and the search's.
func (r *Result) judgeHighest(rec *record.Record, phases, found []examined) {
	edge := findEdge(found, rec.Scenario.Objectives, rec.Seed)
	r.SLOEdge = SLOEdge{Rps: edge.RPS, End: string(edge.End), Objective: edge.text()}
	good := valid(found)
	r.Valid = len(good) > 0
	switch {
	case rec.Ended != record.EndedDone:
		r.settle(Incomplete, incompleteWhy(rec, phases))
	case len(good) == 0:
		r.settle(Invalid, fmt.Sprintf("none of %d measured phases is valid: %s", len(found), firstReason(r.InvalidReasons)))
	case infeasible(good, rec.Scenario.Objectives, edge):
		r.SLOEdge.End = string(models.EdgeInfeasible)
		r.settle(Infeasible, infeasibleWhy(good))
	case !edge.RPS.OK():
		r.Valid = false
		r.settle(Invalid, "the highest rate that holds cannot be estimated: "+firstWarning(edge.RPS))
	case edge.End == models.EdgeNotReached:
		r.settle(Found, fmt.Sprintf("every rate held, up to %s: the highest lies above", quantity.Rate(edge.RPS.Value)))
	default:
		r.settle(Found, fmt.Sprintf("the highest rate that holds %s is %s", edge.text(), quantity.Estimate(edge.RPS, quantity.PerSecond)))
	}
}
