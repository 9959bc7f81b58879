package analysis

import (
	"fmt"

	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Observed is how far what production showed reaches. Rates are of the whole chain, of
// one cluster.
type Observed struct {
	Windows       int     `json:"windows"` // that models were fitted to
	WindowSeconds float64 `json:"windowSeconds"`
	LowestRps     float64 `json:"lowestRps"`
	HighestRps    float64 `json:"highestRps"`
	MostBeyond    float64 `json:"mostBeyond"`   // multiple of what was observed that is believed
	ReachesRps    float64 `json:"reachesRps"`   // highest × that
	PeakTimes     float64 `json:"peakTimes"`    // today's peak ÷ highest; 0: no peak is known
	PlannedTimes  float64 `json:"plannedTimes"` // rate to plan for ÷ highest; likewise
	Reason        string  `json:"reason"`       // what is not covered; empty where all is
}

// reachOf compares what is asked for with what was observed in good windows.
func (r *Result) reachOf(rec *record.Record, good []examined) {
	lowest, highest := rateRange(good)
	if !(highest > 0) {
		return
	}
	load := recommend.LoadOf(rec.Scenario.Demand, r.Demand.PlannedRps)
	o := &Observed{
		Windows: len(good), WindowSeconds: (good[0].SendEnd - good[0].Start).Seconds(),
		LowestRps: lowest, HighestRps: highest, MostBeyond: mostBeyondObserved, ReachesRps: mostBeyondObserved * highest,
		PeakTimes: load.Here(r.Demand.PeakRps) / highest, PlannedTimes: load.Here(r.Demand.PlannedRps) / highest,
	}
	asked := fmt.Sprintf("%d times the highest rate that was observed, %s", mostBeyondObserved, perSecond(highest))
	switch {
	case o.tooFar():
		o.Reason = fmt.Sprintf("today's peak of %s lies beyond %s: the range of time has no such peak, or the queries count only a part of the requests, and then all that is said of a request is wrong; choose a range that has the peak (--from, --to), look at observe.components[].prometheus.requests, or run a load test",
			perSecond(load.Here(r.Demand.PeakRps)), asked)
	case o.PlannedTimes > mostBeyondObserved:
		o.Reason = fmt.Sprintf("what was observed covers plans up to %s; the %s asked for lies beyond %s: no replica is planned with more than %[4]d times what one was seen to carry, but what replicas share (services behind them, databases, nodes, the network) is not covered; run a load test, or size again when the rate has grown",
			perSecond(o.ReachesRps), perSecond(load.Here(r.Demand.PlannedRps)), asked, mostBeyondObserved)
	}
	r.Observed = o
	switch {
	case o.tooFar():
		r.withdraw("today's peak lies beyond what was observed") // the outcome has the reason
	case o.Reason != "":
		r.Warnings = append(r.Warnings, o.Reason)
	}
}

// tooFar reports whether already the peak of today lies beyond what is believed.
func (o *Observed) tooFar() bool { return o != nil && o.PeakTimes > o.MostBeyond }

// withdraw takes back what was recommended, and leaves what was measured.
func (r *Result) withdraw(why string) {
	for i := range r.Components {
		c := &r.Components[i]
		c.Replicas, c.Resources, c.HPA, c.Signal, c.Connections = nil, nil, nil, nil, nil
		c.Notes = []string{}
		if c.Role != string(scenarios.RoleControlPlane) {
			c.Notes = []string{"nothing is recommended: " + why}
		}
	}
	r.ConnectionPool, r.Staged, r.Growth, r.Costs = nil, nil, nil, nil
}
