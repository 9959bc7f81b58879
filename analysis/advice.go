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
