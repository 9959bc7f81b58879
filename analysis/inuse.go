package analysis

import (
	"math"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// InUse is what the replicas of one component were seen to use, each by itself. What
// is not known is 0.
type InUse struct {
	Component   string
	Role        scenarios.Role
	RPS         float64 // requests a second per replica in the phase with the most in flight
	InFlight    float64 // upstream requests, the most of any replica at once
	Pending     float64 // upstream requests that waited for a connection, likewise
	Connections float64 // upstream connections, likewise
	CPURPS      float64 // requests a second per replica in the phase with the most CPU
	Cores       float64 // the mean of a replica over that phase
}

// InUseAt returns for each component of a record what its replicas used in valid
// phases that held the objectives: beyond the edge queues, not demand, fill a pool.
// Of a sizing only the phases count that brought a replica no more than the rate that
// it is to carry as planned; where there is none, that with the lowest rate. The
// destination is the host whose clients they are.
func InUseAt(rec *record.Record, result Result) (destinationHost string, components []InUse) {
	if rec == nil {
		return "", nil
	}
	conditions := ConditionsOf(rec.Run)
	var good []examined
	for _, data := range rec.Data {
		if p := examine(data, conditions); p.summary.Verdict.Valid && p.summary.Holds && !idle(p) {
			good = append(good, p)
		}
	}
	for _, c := range rec.Components {
		components = append(components, inUseOf(good, c, plannedRate(result, c)))
	}
	return destination(rec), components
}

// plannedRate is what a replica of a component is to carry, rps; +Inf where nothing
// is planned.
func plannedRate(result Result, c record.Component) float64 {
	for _, sized := range result.Components {
		if sized.Name == c.Name && sized.Replicas != nil && sized.Replicas.CarriesPlannedRate > 0 && result.Demand.PlannedRps > 0 {
			return result.Demand.PlannedRps / float64(sized.Replicas.CarriesPlannedRate)
		}
	}
	return math.Inf(1)
}

func inUseOf(good []examined, c record.Component, atMost float64) InUse {
	use := InUse{Component: c.Name, Role: c.Role}
	// A phase's arrivals scatter about its rate.
	const scatter = 1.05
	lowest := math.Inf(1)
	for _, p := range good {
		lowest = math.Min(lowest, perReplicaOf(p, c).rps)
	}
	bound := math.Max(atMost*scatter, lowest)
	for _, p := range good {
		r := perReplicaOf(p, c)
		if !(r.rps <= bound) {
			continue
		}
		if r.upInFlight > use.InFlight {
			use.InFlight, use.RPS = r.upInFlight, r.rps
		}
		if pending, ok := p.samples.Max(c.Name, record.UpPending); ok {
			use.Pending = math.Max(use.Pending, pending)
		}
		if r.upConn > use.Connections {
			use.Connections = r.upConn
		}
		if r.cores > use.Cores {
			use.Cores, use.CPURPS = r.cores, r.rps
		}
	}
	return use
}
