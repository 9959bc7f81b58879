package analysis

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
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

// fitComponent fits the demand and the memory of a component, from the climb and
// the sweep only.
func fitComponent(phases []examined, c record.Component, ceiling float64) (models.Demand, models.Memory, float64) {
	var demand []models.DemandPoint
	var memory []models.MemoryPoint
	highest := 0.0
	for _, p := range phases {
		if !idle(p) && p.Spec.Kind != scenarios.KindClimb && p.Spec.Kind != scenarios.KindSteady {
			continue
		}
		r := perReplicaOf(p, c)
		if p.summary.Verdict.Valid || idle(p) {
			highest = math.Max(highest, r.rps)
			memory = append(memory, models.MemoryPoint{Bytes: r.bytes, InFlight: r.inFlight, Connections: r.conns})
		}
		clipped := r.throttled > maxThrottledForFit || ceiling > 0 && r.cores > maxShareForFit*ceiling
		if showsDemand(p) && !clipped && !math.IsNaN(r.cores) {
			demand = append(demand, models.DemandPoint{RPS: r.rps, Cores: r.cores, WakeUps: r.wakeUps})
		}
	}
	return models.FitDemand(demand), models.FitMemory(memory), highest
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

// size fits and recommends for every component, and for the destination.
func (r *Result) size(rec *record.Record, phases []examined, predicted edgeOf) {
	load := recommend.Load{PlannedRPS: r.Demand.PlannedRps, PeakRPS: r.Demand.PeakRps, Zones: r.Demand.Zones}
	tolerated, _, ok := ConditionsOf(rec.Run).strictest()
	if !ok {
		tolerated = 0
	}
	for _, c := range rec.Components {
		r.Components = append(r.Components, r.component(rec, phases, c, predicted, tolerated, load))
	}
	r.pairPods(rec, load)
	pool, why := recommend.PoolFor(r.poolInput(rec, phases, tolerated))
	r.ConnectionPool = pool
	if why != "" {
		r.Warnings = append(r.Warnings, why)
	}
}

func (r *Result) component(rec *record.Record, phases []examined, c record.Component, predicted edgeOf, tolerated float64, load recommend.Load) Component {
	cpuLimit, memoryLimit := limitsOf(rec, c)
	replicas, warning := replicasMeasured(phases, c)
	if warning != "" {
		r.Warnings = append(r.Warnings, warning)
	}
	s := recommend.Subject{
		Name: c.Name, Role: c.Role, OfLab: rec.Lab != nil, Replicas: replicas,
		Concurrency: max(c.Concurrency, 0), CPULimit: cpuLimit, MemoryLimit: memoryLimit,
		Tolerated: tolerated, MaxRequests: poolLimit(rec, c.Role),
	}
	ceiling, _ := s.Ceiling()
	s.Demand, s.Memory, s.Highest = fitComponent(phases, c, ceiling)
	s.Edge = r.ownEdge(predicted, s)
	out := Component{
		Name: c.Name, Role: string(c.Role), ReplicasMeasured: s.Replicas, Concurrency: s.Concurrency,
		CPULimitCores: cpuLimit, MemoryLimitBytes: int64(memoryLimit),
		CPUSecondsPerRequest: s.Demand.PerRequest, CPUSecondsPerWakeUp: s.Demand.PerWakeUp, CPUIdleCores: s.Demand.Idle, CPUModel: s.Demand.Words,
		MemoryBaseBytes: s.Memory.Base, MemoryBytesPerInFlight: s.Memory.PerInFlight, MemoryBytesPerConnection: s.Memory.PerConnection,
		SLOEdgeRps: s.Edge, CPULimitRps: stat.NotEstimable(0, "it has neither a CPU limit nor a known number of worker threads"),
		Notes: []string{},
	}
	if ceiling > 0 {
		out.CPULimitRps = s.Demand.RateAt(ceiling)
	}
	out.CapacityPerReplicaRps = recommend.CapacityOf(s)
	if !s.Edge.OK() && out.CapacityPerReplicaRps.OK() {
		out.Notes = append(out.Notes, fmt.Sprintf("its capacity comes from %s alone: %s", out.CapacityPerReplicaRps.BoundBy, firstWarning(s.Edge)))
	}
	out.recommend(s, load)
	return out
}

// ownEdge returns the edge per replica of the component that binds; of any other
// it is not known, because the binding one broke first. Where no component is seen
// to bind, each carried its share of what the chain did, and no more is known.
func (r *Result) ownEdge(predicted edgeOf, s recommend.Subject) stat.Estimate {
	edge := predicted.RPS
	switch {
	case !edge.OK():
		return edge
	case r.SLOEdge.Component == s.Name:
		return edge.Scale(1 / float64(s.Replicas))
	case r.SLOEdge.Component != "":
		return stat.NotEstimable(edge.N, "its own SLO edge is not known: "+r.SLOEdge.Component+" bound first")
	}
	edge = edge.Scale(1 / float64(s.Replicas))
	if predicted.End != models.EdgeNotReached {
		edge.High = math.Inf(1)
		edge.Warnings = append(slices.Clone(edge.Warnings), fmt.Sprintf(
			"a lower bound: nothing that was observed was seen to bind at the edge of the whole chain, %s, so more replicas of %s may not help",
			perSecond(predicted.RPS.Value), s.Name))
	}
	return edge
}

// recommend fills in what one sets, as far as the role asks for it.
func (c *Component) recommend(s recommend.Subject, load recommend.Load) {
	note := func(words string) {
		if words != "" {
			c.Notes = append(c.Notes, words)
		}
	}
	var why string
	switch {
	case s.Role == scenarios.RoleService && s.OfLab:
		note("the lab's test service stands in for yours, so neither replicas nor an autoscaler are recommended for it")
	case s.Role == scenarios.RoleControlPlane:
		note("the control plane does not carry requests, so the planned rate says nothing about its replicas")
	default:
		c.Replicas, why = recommend.ReplicasFor(c.CapacityPerReplicaRps, load)
		note(why)
	}
	c.Resources, why = recommend.ResourcesFor(s, c.CapacityPerReplicaRps, c.Replicas, load)
	note(why)
	if s.Role == scenarios.RoleSidecar {
		note("a sidecar runs in every pod of its service and scales with it: the replicas are the pods that the sidecar's capacity asks for, and the service may need more")
		return
	}
	if c.Replicas != nil {
		c.HPA, why = recommend.HPAFor(s, c.CapacityPerReplicaRps, c.Replicas, load)
		note(why)
	}
}

// pairPods makes the sidecars and the services of a target agree on the number of
// pods: the larger of the two, also at the ends of the service's autoscaler.
func (r *Result) pairPods(rec *record.Record, load recommend.Load) {
	if rec.Lab != nil {
		return
	}
	var pair []*Component
	for i := range r.Components {
		c := &r.Components[i]
		if (c.Role == string(scenarios.RoleSidecar) || c.Role == string(scenarios.RoleService)) && c.Replicas != nil {
			pair = append(pair, c)
		}
	}
	// With more than one of either nothing says which belong together.
	if len(pair) != 2 || pair[0].Role == pair[1].Role {
		return
	}
	for i, c := range pair {
		if other := pair[1-i]; c.HPA != nil {
			c.HPA.WithSidecar(other.Name, other.CapacityPerReplicaRps, other.Replicas, load)
		}
	}
	small, large := pair[0], pair[1]
	if small.Replicas.Value > large.Replicas.Value {
		small, large = large, small
	}
	if small.Replicas.Value == large.Replicas.Value {
		return
	}
	reason := fmt.Sprintf("%s; as many as %s needs, because they share pods: %d", small.Replicas.Reason, large.Name, large.Replicas.Value)
	replicas := *large.Replicas
	replicas.Reason = reason
	small.Replicas = &replicas
}

// poolLimit returns the http2MaxRequests in force at a proxy of that role; 0: none.
func poolLimit(rec *record.Record, role scenarios.Role) int64 {
	if rec.Lab == nil || (role != scenarios.RoleGateway && role != scenarios.RoleSidecar) {
		return 0
	}
	for _, p := range rec.Lab.Policy {
		if !strings.HasSuffix(p.Field, "http2MaxRequests") {
			continue
		}
		// 2^32 − 1 is how Istio writes "no limit".
		if n, err := strconv.ParseInt(p.Value, 10, 64); err == nil && n > 0 && n < math.MaxUint32 {
			return n
		}
	}
	return 0
}

// labHost is the destination of the lab's traffic when its policy names none.
const labHost = "service.lab.svc.cluster.local"

// destination names the service that the connection pool is for.
func destination(rec *record.Record) string {
	if rec.Scenario.Target != nil {
		if service := rec.Scenario.Target.Service; service != "" {
			return service
		}
		if u, err := url.Parse(rec.Scenario.Target.URL); err == nil {
			return u.Hostname()
		}
		return ""
	}
	if rec.Lab != nil {
		if i := slices.IndexFunc(rec.Lab.Policy, func(p record.Policy) bool { return p.Field == "host" && p.Value != "" }); i >= 0 {
			return rec.Lab.Policy[i].Value
		}
	}
	return labHost
}

// poolInput collects what the connection pool is computed from.
func (r *Result) poolInput(rec *record.Record, phases []examined, tolerated float64) recommend.PoolInput {
	in := recommend.PoolInput{Host: destination(rec), PlannedRPS: r.Demand.PlannedRps, Clients: 1, Tolerated: tolerated}
	for i, c := range rec.Components {
		sized := r.Components[i]
		n := sized.ReplicasMeasured
		if sized.Replicas != nil {
			n = sized.Replicas.CarriesPlannedRate
		}
		switch c.Role {
		case scenarios.RoleGateway:
			in.Clients, in.ClientWorkers = n, c.Concurrency
			in = measuredAtClient(in, phases, c)
		case scenarios.RoleSidecar, scenarios.RoleService:
			in.PodsMeasured = max(in.PodsMeasured, sized.ReplicasMeasured)
			if sized.Replicas != nil || in.Pods == 0 {
				in.Pods = n
			}
			in.MostPods = max(in.MostPods, sized.ReplicasMeasured)
			if sized.Replicas != nil {
				in.MostPods = max(in.MostPods, sized.Replicas.Value)
			}
		}
	}
	if in.ConnectSeconds == 0 {
		in.ConnectSeconds = generatorConnects(phases)
	}
	return in
}

// measuredAtClient adds what was seen at a client proxy in valid phases that held
// the objectives: beyond the edge queues, not demand, fill a pool.
func measuredAtClient(in recommend.PoolInput, phases []examined, c record.Component) recommend.PoolInput {
	for _, p := range phases {
		if millis, ok := p.samples.Max(c.Name, record.UpConnectMillisP99); ok {
			in.ConnectSeconds = math.Max(in.ConnectSeconds, millis/1e3)
		}
		if !p.summary.Verdict.Valid || !p.summary.Holds {
			continue
		}
		r := perReplicaOf(p, c)
		if r.rps > 0 && r.upInFlight > 0 && (in.InFlightAtRPS == 0 || r.upInFlight/r.rps > in.InFlight/in.InFlightAtRPS) {
			in.InFlight, in.InFlightAtRPS = r.upInFlight, r.rps
		}
		if r.upConn > 0 {
			in.Connections = math.Max(in.Connections, r.upConn)
		}
	}
	return in
}

// generatorConnects returns the p99 of the generator's own connect times, in
// seconds: TCP, and TLS where there was any. 0 when there are none.
func generatorConnects(phases []examined) float64 {
	p99 := func(parts []stat.Distribution) float64 {
		if v := stat.Merge(parts...).Quantile(0.99); v > 0 { // not NaN: there are some
			return v
		}
		return 0
	}
	var tcp, tls []stat.Distribution
	for _, p := range phases {
		tcp = append(tcp, openingTimes(p.Connection.ConnectTimes, p.Connection.ConnectSeconds))
		tls = append(tls, openingTimes(p.Connection.HandshakeTimes, p.Connection.HandshakeSeconds))
	}
	return p99(tcp) + p99(tls)
}
