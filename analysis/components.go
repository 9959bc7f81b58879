package analysis

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// maxThrottledForFit is the share of throttled quota periods up to which a phase
// tells the demand; beyond it the quota, not the requests, sets the CPU used.
const maxThrottledForFit = 0.05

// maxShareForFit is the share of its ceiling up to which the CPU used is still demand.
const maxShareForFit = 0.95

// limitsOf returns the limits of a component that were really in force, cores and
// bytes; 0: none.
func limitsOf(rec *record.Record, c record.Component) (cores, bytes float64) {
	if rec.Lab != nil && !rec.Lab.LimitsEnforced {
		return 0, 0
	}
	return math.Max(0, c.CPULimitCores), math.Max(0, float64(c.MemoryLimitBytes))
}

// perReplica is a phase as one replica of a component sees it.
type perReplica struct {
	replicas           int
	rps                float64 // answers a second through the chain, per replica
	cores              float64 // NaN: not known; the others likewise
	wakeUps, throttled float64
	bytes              float64 // the largest of any replica
	inFlight, conns    float64
	upInFlight, upConn float64 // the largest of any replica
	overflow           float64 // a second
}

// replicasMeasured returns how many replicas of a component were sampled in the
// valid phases, the most where they differ, which is the safe end of a rate per
// replica; without samples as many as are declared, 1 at least. The warning says
// that the samples do not agree with each other or with what is declared.
func replicasMeasured(phases []examined, c record.Component) (n int, warning string) {
	least, most := math.MaxInt, 0
	for _, p := range phases {
		if seen := len(p.samples[c.Name]); seen > 0 && p.summary.Verdict.Valid {
			least, most = min(least, seen), max(most, seen)
		}
	}
	switch {
	case most == 0:
		return max(c.Replicas, 1), ""
	case least < most:
		return most, fmt.Sprintf("%s: from %d to %d replicas were sampled in the valid phases; what it carries per replica is reckoned with %d", c.Name, least, most, most)
	case c.Replicas > 0 && c.Replicas != most:
		return most, fmt.Sprintf("%s: %d replicas are declared, but %d were sampled; what it carries per replica is reckoned with the %d", c.Name, c.Replicas, most, most)
	}
	return most, ""
}

func perReplicaOf(p examined, c record.Component) perReplica {
	n := len(p.samples[c.Name])
	if n == 0 {
		n = max(c.Replicas, 1)
	}
	known := func(v float64, ok bool) float64 {
		if !ok {
			return math.NaN()
		}
		return v
	}
	each := float64(n)
	r := perReplica{
		replicas:   n,
		rps:        p.summary.AchievedRps / each,
		cores:      known(p.samples.Rate(c.Name, record.CPUSeconds)) / each,
		wakeUps:    known(p.samples.Rate(c.Name, record.VoluntarySwitches)) / each,
		throttled:  known(p.samples.Throttled(c.Name)),
		inFlight:   known(p.samples.Mean(c.Name, record.DownInFlight)),
		conns:      known(p.samples.Mean(c.Name, record.DownConnections)),
		upInFlight: known(p.samples.Max(c.Name, record.UpInFlight)),
		upConn:     known(p.samples.Max(c.Name, record.UpConnections)),
		overflow:   known(p.samples.Rate(c.Name, record.UpOverflow)),
		bytes:      known(p.samples.Max(c.Name, record.WorkingSetBytes)),
	}
	// The pages of a binary count in the working set of whichever group touched
	// them first, which on a fresh node is this one.
	if rss := known(p.samples.Max(c.Name, record.RSSBytes)); math.IsNaN(r.bytes) || rss > r.bytes {
		r.bytes = rss
	}
	return r
}

// idle reports whether a phase measured the system without load.
func idle(p examined) bool {
	return p.Spec.Rate.IsZero() && p.Spec.Process != scenarios.Closed && p.Counts.Intended == 0 && p.Ended == record.EndedDone && !p.Unfinished
}

// showsDemand reports whether a phase may enter a fit of demand, and how it may not.
func showsDemand(p examined) bool {
	if idle(p) {
		return true
	}
	if !p.summary.Verdict.Valid {
		return false
	}
	for _, reason := range p.summary.Verdict.NotForFit {
		switch reason.Code {
		case CodeTooFewAnswers, CodeSendLag, CodeGCPause, CodeSchedDelay, CodeGeneratorDelay:
			// How many answers a quantile needs, and by how much some were late, is of no
			// concern to a sum of CPU, as long as the arrivals are what they should be.
		default:
			return false
		}
	}
	return true
}

// clipped reports whether the quota or the threads, not the requests, set the CPU used.
func clipped(r perReplica, ceiling float64) bool {
	return r.throttled > maxThrottledForFit || ceiling > 0 && r.cores > maxShareForFit*ceiling
}

// fitComponent fits the demand and the memory of a component, from the climb and
// the sweep only, and what a connection takes from the phases that are about it.
func fitComponent(phases []examined, c record.Component, ceiling float64) (models.Demand, models.Memory, float64) {
	var demand []models.DemandPoint
	var memory []models.MemoryPoint
	var held []models.MemoryPoint
	highest := 0.0
	for _, p := range phases {
		if p.Spec.Kind == scenarios.KindConnections {
			r := perReplicaOf(p, c)
			held = append(held, models.MemoryPoint{Bytes: r.bytes, Connections: r.conns})
			continue
		}
		if kind := p.Spec.Kind; !idle(p) && kind != scenarios.KindClimb && kind != scenarios.KindSteady && kind != scenarios.KindObserved {
			continue
		}
		r := perReplicaOf(p, c)
		if p.summary.Verdict.Valid || idle(p) {
			highest = math.Max(highest, r.rps)
			memory = append(memory, models.MemoryPoint{Bytes: r.bytes, InFlight: r.inFlight, Connections: r.conns, At: p.Start.Seconds()})
		}
		if showsDemand(p) && !clipped(r, ceiling) && !math.IsNaN(r.cores) {
			demand = append(demand, models.DemandPoint{RPS: r.rps, Cores: r.cores, WakeUps: r.wakeUps})
		}
	}
	fitted := models.FitMemory(memory)
	if len(held) > 0 {
		fitted = fitted.WithConnections(models.PerConnection(held))
	}
	return models.FitDemand(demand), fitted, highest
}

// edgePressures returns how hard each component is pressed around the edge: in
// the valid phases from just below it to half as much again.
func edgePressures(rec *record.Record, phases []examined, edge float64) (pressures []models.Pressure, hostIdle float64) {
	var near []examined
	// When the sweep ended short of the edge, what bound there must show below it.
	for _, from := range []float64{0.95, 0.8} {
		for _, p := range phases {
			if p.summary.Verdict.Valid && p.offered >= from*edge && p.offered <= 1.5*edge {
				near = append(near, p)
			}
		}
		if len(near) > 0 {
			break
		}
	}
	mean := func(of func(p examined) float64) float64 {
		sum, n := 0.0, 0
		for _, p := range near {
			if v := of(p); !math.IsNaN(v) {
				sum, n = sum+v, n+1
			}
		}
		if n == 0 {
			return -1
		}
		return sum / float64(n)
	}
	for _, c := range rec.Components {
		cpuLimit, memoryLimit := limitsOf(rec, c)
		share := func(limit float64, of func(perReplica) float64) float64 {
			if limit <= 0 {
				return -1
			}
			return mean(func(p examined) float64 { return of(perReplicaOf(p, c)) / limit })
		}
		pressures = append(pressures, models.Pressure{
			Component:   c.Name,
			Throttled:   mean(func(p examined) float64 { return perReplicaOf(p, c).throttled }),
			Quota:       share(cpuLimit, func(r perReplica) float64 { return r.cores }),
			Concurrency: share(float64(c.Concurrency), func(r perReplica) float64 { return r.cores }),
			Memory:      share(memoryLimit, func(r perReplica) float64 { return r.bytes }),
			Overflow:    mean(func(p examined) float64 { return perReplicaOf(p, c).overflow }),
		})
	}
	cpus := float64(max(rec.Host.CPUs, 1))
	hostIdle = mean(func(p examined) float64 {
		idle, ok := p.samples.Rate(record.ComponentHost, record.IdleSeconds)
		if !ok {
			return math.NaN()
		}
		return idle / cpus
	})
	return pressures, hostIdle
}

// bind says in the result what binds at the edge.
func (r *Result) bind(rec *record.Record, phases []examined, predicted edgeOf) {
	switch {
	case !predicted.RPS.OK():
		return
	case predicted.End == models.EdgeNotReached:
		r.SLOEdge.BoundBy = fmt.Sprintf("nothing bound up to %s, the highest rate that was tried", perSecond(predicted.RPS.Value))
		return
	}
	sweep := ofKind(phases, scenarios.KindClimb, scenarios.KindSteady)
	pressures, hostIdle := edgePressures(rec, sweep, predicted.RPS.Value)
	component, resource, by := models.Binding(pressures, predicted.known && !predicted.objective.IsLatency(), hostIdle)
	r.SLOEdge.Component, r.SLOEdge.Resource = component, resource
	r.SLOEdge.BoundBy = bindingWords(component, resource, by, hostIdle, predicted.RPS.Value)
}

func bindingWords(component, resource string, by models.Pressure, hostIdle, edge float64) string {
	around := "around " + perSecond(edge)
	switch resource {
	case models.BindsCPUQuota:
		if by.Throttled < 0 {
			return fmt.Sprintf("%s: CPU quota (%s, %s of it used)", component, around, percent(by.Quota))
		}
		return fmt.Sprintf("%s: CPU quota (%s, throttled in %s of the periods)", component, around, percent(by.Throttled))
	case models.BindsCPUConcurrency:
		return fmt.Sprintf("%s: its worker threads (%s, %s of what they can use)", component, around, percent(by.Concurrency))
	case models.BindsMemory:
		return fmt.Sprintf("%s: memory (%s, %s of the limit)", component, around, percent(by.Memory))
	case models.BindsPool:
		return fmt.Sprintf("%s: connection pool (%s, %s shed)", component, around, perSecond(by.Overflow))
	case models.BindsHostCPU:
		return fmt.Sprintf("the processors of this machine (%s, %s idle): a bound of the measurement, not of the system", around, percent(hostIdle))
	}
	return "latency: no component was at a limit that is known"
}
