package recommend

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// ResourcesFor returns requests and limits of a replica at the rate it carries
// when replicas are lost, and for a proxy the worker threads that go with its CPU
// limit. Nil, with the reason, when neither CPU nor memory can be told.
func ResourcesFor(s Subject, capacity Capacity, replicas *Replicas, load Load) (resources *Resources, why string) {
	rps := operatingRPS(capacity, replicas, load)
	var r Resources
	r.cpu(s, rps)
	r.memory(s, rps, plannedConnections(replicas, load))
	switch {
	case r.CPU == nil && r.Leak != nil:
		return nil, "no resources are recommended: " + r.Reason
	case r.CPU == nil && r.Memory == nil:
		return nil, "no resources are recommended: neither its CPU demand nor its memory is known"
	}
	return &r, ""
}

// add joins another clause to the reason.
func (r *Resources) add(format string, args ...any) { r.Reason = joined(r.Reason, format, args...) }

// addThreads joins another clause to the reason of the worker threads.
func (r *Resources) addThreads(format string, args ...any) {
	r.ConcurrencyReason = joined(r.ConcurrencyReason, format, args...)
}

func joined(reason, format string, args ...any) string {
	if reason != "" {
		reason += "; "
	}
	return reason + fmt.Sprintf(format, args...)
}

func safeCores(s Subject, rps float64) stat.Estimate { return s.Demand.CoresAt(rps) }

// usedCores is the CPU that a replica is expected to use at most: at a rate, or of
// the control plane, which carries no requests, the most that was seen. ok is
// false when it is not known.
func usedCores(s Subject, rps float64) (cores float64, ok bool) {
	if s.Role == scenarios.RoleControlPlane {
		return s.MostCores, s.MostCores > 0
	}
	if !(rps > 0) || !s.Demand.OK() {
		return 0, false
	}
	cores = safeCores(s, rps).High
	return cores, cores > 0 && !math.IsInf(cores, 0)
}

// requestCores is the CPU request at which the highest expected use is 75 %, no
// more than the component can use at all.
func requestCores(s Subject, rps float64) (cores float64, ok bool) {
	cores, ok = usedCores(s, rps)
	if !ok {
		return 0, false
	}
	cores /= cpuShare
	if ceiling, _ := s.Ceiling(); ceiling > 0 {
		cores = math.Min(cores, ceiling)
	}
	return math.Ceil(cores*100-1e-9) / 100, true
}

// The constraints on a CPU request and on memory.
const (
	ByUse         = "use"
	ByCeiling     = "ceiling"
	BySeen        = "largest-seen"
	ByModel       = "model"
	ByConnections = "connections"
	ByLeast       = "least"
)

func (r *Resources) cpu(s Subject, rps float64) {
	cores, ok := requestCores(s, rps)
	if !ok {
		return
	}
	ceiling, what := s.Ceiling()
	used, _ := usedCores(s, rps)
	x := &sheet{}
	from := "CPU of a replica at " + rate(rps) + ", the upper end of the model"
	if s.Role == scenarios.RoleControlPlane {
		from = "the most CPU that a replica was seen to use"
	}
	x.input("cpuUse", used, "cores", from)
	constraints := []Constraint{{By: ByUse, Value: used / cpuShare, Unit: "cores", Why: "its use is 75\u00a0% of the request"}}
	formula := "ceil(cpuUse / 0.75 * 100) / 100"
	if ceiling > 0 {
		x.input("cpuCeiling", ceiling, "cores", what)
		formula = "ceil(min(cpuUse / 0.75, cpuCeiling) * 100) / 100"
		constraints = append(constraints, Constraint{By: ByCeiling, Value: ceiling, Unit: "cores", Why: "more it cannot use: " + what})
	}
	x.step("CPU request", "cpuRequest", "cores", formula, cores)
	r.Requests.CPU = cpuQuantity(cores)
	if s.Role == scenarios.RoleControlPlane {
		r.add("a replica was seen to use up to %s of CPU, 75\u00a0%% of the request; what it uses follows the number of proxies, of services, and of changes, which a load of requests does not show", cpuWords(used))
	} else {
		r.add("at %s a replica uses up to %s of CPU, 75\u00a0%% of the request", rate(rps), cpuWords(used))
	}
	switch {
	case s.CPULimit > 0:
		r.add("the limit is the one it was measured with, %s, and the capacity holds for that only", cpuWords(s.CPULimit))
	case ceiling > 0:
		r.add("it was measured without a CPU limit; with %s it cannot use more than %s", threads(s.Concurrency), cpuWords(ceiling))
	default:
		r.add("measured without a CPU limit, so none is set")
	}
	if ceiling > 0 {
		r.Limits.CPU = cpuQuantity(ceiling)
	}
	r.threads(s, ceiling)
	r.throttling(s)
	basis := x.basis(constraints, "the cost of a request, and the rate that a replica carries", "another limit or number of worker threads, which has to be measured")
	// Of the use and what can be used at all the smaller decides.
	if len(constraints) > 1 && used/cpuShare > ceiling {
		basis.BoundBy, basis.RunnerUp = ByCeiling, ByUse
	} else if len(constraints) > 1 {
		basis.BoundBy, basis.RunnerUp = ByUse, ByCeiling
	}
	r.CPU = &basis
}

// threads says how many worker threads go with the CPU limit.
func (r *Resources) threads(s Subject, ceiling float64) {
	switch s.Role {
	case scenarios.RoleGateway, scenarios.RoleEgress, scenarios.RoleSidecar:
	default:
		return
	}
	whole := max(int(math.Ceil(ceiling-1e-9)), 1)
	switch {
	case s.Concurrency > 0:
		r.Concurrency = s.Concurrency
		r.addThreads("%s, as measured: threads and CPU limit belong together, at others a replica carries another rate", threads(s.Concurrency))
		if s.CPULimit > 0 && float64(s.Concurrency) > s.CPULimit+1e-9 && s.Concurrency > whole {
			r.addThreads("%s on %s use up the quota together and then stand still together: measure with %d", threads(s.Concurrency), cpuWords(s.CPULimit), whole)
		}
	case ceiling > 0:
		r.Concurrency = whole
		r.addThreads("%s, one for each core of the limit, rounded up: how many it was measured with is not known", threads(whole))
	}
}

// Shares of throttled quota periods between which the price of throttling is read.
const (
	unthrottled = 0.05
	throttled   = 0.20
)

// throttling reads the price of the quota from the phases that were measured on
// both sides of it.
func (r *Resources) throttling(s Subject) {
	if !(s.CPULimit > 0) {
		return
	}
	var without, with ThrottlePoint
	for _, p := range s.Throttling {
		switch {
		case !(p.P99 > 0) || !(p.RPS > 0):
		case p.Ratio <= unthrottled && p.RPS > without.RPS:
			without = p
		case p.Ratio >= throttled && (with.RPS == 0 || p.RPS < with.RPS):
			with = p
		}
	}
	if with.RPS > 0 || without.RPS > 0 {
		r.Throttling = &Throttling{
			UnthrottledRps: without.RPS, UnthrottledP99Seconds: without.P99,
			ThrottledRps: with.RPS, ThrottledP99Seconds: with.P99, ThrottledRatio: with.Ratio,
		}
	}
	switch {
	case s.QuotaPrice != "":
		r.addThreads("the price of the quota, in a trial: %s", s.QuotaPrice)
	case with.RPS > 0:
		r.addThreads("the price of the quota: p99 is %s at %s per replica, where it is throttled in %s of the periods", timeWords(with.P99), rate(with.RPS), percent(with.Ratio))
		if without.RPS > 0 {
			r.addThreads("and %s at %s, where it is not", timeWords(without.P99), rate(without.RPS))
		}
	case without.RPS > 0:
		r.addThreads("the quota did not throttle it up to %s per replica, so its price was not measured", rate(without.RPS))
		return
	default:
		return
	}
	if whole := float64(max(s.Concurrency, 1)); s.CPULimit < whole {
		r.addThreads("a limit of %s, a whole core for each worker thread, would not throttle them; what it carries then has to be measured", cpuWords(whole))
	}
}

const mebi = 1 << 20

// plannedConnections are those of clients on the replica that has the most of them when
// others are lost; 0: not known.
func plannedConnections(replicas *Replicas, load Load) float64 {
	if load.Connections <= 0 || replicas == nil || replicas.worst.left <= 0 || !(load.here() > 0) {
		return 0
	}
	w := replicas.worst
	return math.Ceil(float64(load.Connections)*w.rps/load.PlannedRPS*math.Max(w.hottest, 1)/float64(w.left) - 1e-9)
}

func (r *Resources) memory(s Subject, rps, connections float64) {
	if s.Memory.Largest <= 0 {
		return
	}
	if s.Memory.Leak {
		r.leak(s)
		return
	}
	x := &sheet{}
	inFlight := 0.0
	if rps > 0 && s.Tolerated > 0 && s.Role != scenarios.RoleControlPlane {
		x.input("rate", rps, "/s", "what a replica carries when others are lost")
		x.input("tolerated", s.Tolerated, "s", "the latency that the objectives tolerate")
		inFlight = x.step("requests in flight, if all take as long as is tolerated", "inFlight", "", "rate * tolerated", rps*s.Tolerated)
	}
	x.input("seen", s.Memory.Largest, "B", "the largest memory of a replica that was seen")
	constraints := []Constraint{{By: BySeen, Value: s.Memory.Largest, Unit: "B", Why: "so much was seen"}}
	idle, per := s.Memory.Idle().High, s.Memory.PerInFlight
	need := s.Memory.At(inFlight).High
	switch {
	case !(need > 0) || math.IsInf(need, 0):
		need = x.step("memory needed: the model has no upper end, so a quarter more than was seen", "memoryNeed", "B", "1.25 * seen", 1.25*s.Memory.Largest)
	case per.OK() && inFlight > 0:
		x.input("memoryIdle", idle, "B", "its base with the connections of the measurement, the upper end")
		x.input("memoryEach", per.High, "B", "for a request in flight, the upper end")
		constraints = append(constraints, Constraint{By: ByModel, Value: idle + per.High*inFlight, Unit: "B", Why: "base, connections, and requests in flight"})
		x.step("memory needed", "memoryNeed", "B", "max(seen, memoryIdle + memoryEach * inFlight)", need)
	default:
		x.input("memoryIdle", idle, "B", "its base with the connections of the measurement, the upper end")
		constraints = append(constraints, Constraint{By: ByModel, Value: idle, Unit: "B", Why: "base and connections"})
		x.step("memory needed", "memoryNeed", "B", "max(seen, memoryIdle)", need)
	}
	name := "memoryNeed"
	if more := s.withConnections(x, need, connections); more > need {
		need, name = more, "memoryPlanned"
		constraints = append(constraints, Constraint{By: ByConnections, Value: need, Unit: "B", Why: "and the connections of clients that are planned for"})
	}
	x.step("memory request, in MiB", "memoryRequest", "Mi", "max(64, ceil("+name+" / 16777216) * 16)", memoryMebi(need))
	limit := x.step("memory limit, in MiB: four fifths of it are needed", "memoryLimit", "Mi", "max(64, ceil("+name+" / 0.8 / 16777216) * 16)", memoryMebi(need/memoryShare))
	r.Requests.Memory, r.Limits.Memory = memoryQuantity(need), memoryQuantity(need/memoryShare)
	r.add("memory needs up to %s%s, 80\u00a0%% of the limit (largest seen: %s)", bytesWords(need), withInFlight(inFlight), bytesWords(s.Memory.Largest))
	if kept := s.Memory.Hysteresis; kept.OK() && kept.Value > muchKept {
		r.add("it kept %s of what it grew by when the load came down, so its memory says little of the load, and no autoscaler should follow it", percent(kept.Value))
	}
	r.runsOut(x, s, limit*mebi, inFlight)
	if connections > 0 {
		r.ConnectionsReason += fmt.Sprintf("; demand.connections brings %.0f to the replica with the most of them, when others are lost", connections)
	}
	basis := x.basis(constraints, "more connections on a replica than in the measurement, and longer lives than it lasted", "slower answers, which keep more requests in flight")
	r.Memory = &basis
}

// withConnections adds what connections take that a replica is to hold beyond those of
// the measurement, where that is known.
func (s Subject) withConnections(x *sheet, need, connections float64) float64 {
	per, seen := s.Memory.PerConnection, s.Memory.MostConnections
	if !per.OK() || !(per.High > 0) || math.IsInf(per.High, 0) || connections <= seen {
		return need
	}
	x.input("connectionsPlanned", connections, "", "demand.connections on the replica with the most of them, when others are lost")
	x.input("connectionsSeen", seen, "", "in the measurement")
	x.input("memoryConnection", per.High, "B", "for a connection, the upper end")
	return x.step("memory needed with so many connections", "memoryPlanned", "B", "memoryNeed + memoryConnection * (connectionsPlanned - connectionsSeen)", need+per.High*(connections-seen))
}

// muchKept is the share of what memory grew by under load from which on that it kept
// it is worth saying.
const muchKept = 0.5

// leak says why no memory is recommended: no fixed size lasts.
func (r *Resources) leak(s Subject) {
	drift := s.Memory.Drift
	perHour := math.Max(drift.High, drift.Value) * 3600
	if math.IsInf(perHour, 0) || math.IsNaN(perHour) {
		perHour = drift.Value * 3600
	}
	r.Leak = &Leak{BytesPerHour: drift.Scale(3600)}
	r.add("memory grew by %s an hour at constant load, up to %s: that is a leak until shown otherwise, no fixed size lasts, and none is recommended", bytesWords(drift.Value*3600), bytesWords(perHour))
	if limit := math.Max(s.MemoryLimit, s.Declared.MemoryLimit); limit > s.Memory.Largest && perHour > 0 {
		r.Leak.HoursToLimit = (limit - s.Memory.Largest) / perHour
		r.add("the limit of %s is reached after %s at the earliest", bytesWords(limit), timeWords(r.Leak.HoursToLimit*3600))
	}
	r.add("a run that lasts longer at one rate tells a leak from caches that fill")
}

// runsOut names the connections on a replica at which the limit would be reached.
func (r *Resources) runsOut(x *sheet, s Subject, limit, inFlight float64) {
	per, base := s.Memory.PerConnection, s.Memory.Base.High
	if !per.OK() || !(per.High > 0) || math.IsInf(per.High, 0) || math.IsInf(base, 0) || math.IsNaN(base) {
		r.ConnectionsReason = fmt.Sprintf("at how many connections it would run out of memory is not known: %s", firstOf(per.Warnings, "memory did not grow with them"))
		return
	}
	x.input("memoryBase", base, "B", "without connections and requests, the upper end")
	if _, noted := x.known["memoryConnection"]; !noted {
		x.input("memoryConnection", per.High, "B", "for a connection, the upper end")
	}
	each := 0.0
	formula := "floor((memoryLimit * 1048576 - memoryBase) / memoryConnection)"
	if s.Memory.PerInFlight.OK() && inFlight > 0 {
		each = s.Memory.PerInFlight.High
		formula = "floor((memoryLimit * 1048576 - memoryBase - memoryEach * inFlight) / memoryConnection)"
	}
	out := math.Max(0, math.Floor((limit-base-each*inFlight)/per.High))
	x.step("connections on a replica at which it runs out of memory", "connectionsOut", "", formula, out)
	r.ConnectionsRunOut = int(math.Min(out, 1e9))
	r.ConnectionsReason = fmt.Sprintf("with %d connections on a replica it would run out of memory: %s for each, the upper end", r.ConnectionsRunOut, bytesWords(per.High))
}
