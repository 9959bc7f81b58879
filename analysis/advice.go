package analysis

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// size fits and recommends for every component, and for the destination.
func (r *Result) size(rec *record.Record, phases []examined, predicted edgeOf) {
	future := r.future(rec)
	load := recommend.LoadOf(rec.Scenario.Demand, r.Demand.PlannedRps)
	load.PeakRPS, load.Growth = r.Demand.PeakRps, r.Demand.GrowthFactor
	tolerated, _, ok := ConditionsOf(rec.Run).strictest()
	if !ok {
		tolerated = 0
	}
	var subjects []recommend.Subject
	for _, c := range rec.Components {
		sized, subject := r.component(rec, phases, c, predicted, tolerated, loadFor(c.Role, load))
		r.Components, subjects = append(r.Components, sized), append(subjects, subject)
	}
	r.pairPods(rec, subjects, load)
	for i := range r.Components {
		c := &r.Components[i]
		if why := c.HPA.Needless(); why != "" {
			c.HPA, c.Signal, c.Notes = nil, nil, append(c.Notes, why)
		}
	}
	r.controlPlanes(rec, subjects, load)
	input := r.poolInput(rec, phases, tolerated, load)
	pool, why := recommend.PoolFor(input)
	r.ConnectionPool = pool
	for i, s := range subjects {
		if c := &r.Components[i]; s.Role == scenarios.RoleGateway {
			var why string
			if c.Connections, why = recommend.ConnectionsFor(s, c.Replicas, c.HPA, load, input.Handshake); why != "" {
				c.Notes = append(c.Notes, why)
			}
		}
	}
	if why != "" {
		r.Warnings = append(r.Warnings, why)
	}
	for i, s := range subjects {
		r.Staged = append(r.Staged, recommend.StagesFor(s, r.Components[i].Replicas, r.Components[i].Resources)...)
	}
	r.Staged = append(r.Staged, recommend.PoolStages(pool, declaredPool(rec))...)
	r.Growth = recommend.GrowthFor(future, r.growthItems(subjects, load))
	r.Costs = recommend.CostsFor(r.costItems(subjects, load), rec.Scenario.Prices, load, rec.Scenario.Demand.MeanRate.RPS())
}

// mostBeyondObserved is how many times the highest rate that production showed a
// replica is planned to carry at the most, and how many times it today's peak may be. A
// sizing goes to the edge; what only idles on tells the slope of a line, and not where it
// bends.
const mostBeyondObserved = 3

// loadFor returns the load as a component of that role sees it: only before a
// gateway connections are placed, everything else gets requests from proxies that
// balance them one by one.
func loadFor(role scenarios.Role, load recommend.Load) recommend.Load {
	if role != scenarios.RoleGateway {
		load.Connections = 0
	}
	return load
}

// declared returns what runs today: what the scenario says of it, or what a target
// declares.
func declared(rec *record.Record, c record.Component) recommend.Declared {
	for _, d := range rec.Scenario.Demand.Today {
		if d.Name == c.Name {
			return recommend.Declared{
				Replicas: d.Replicas, CPURequest: d.Requests.CPU.Cores(), CPULimit: d.Limits.CPU.Cores(),
				MemoryRequest: float64(d.Requests.Memory), MemoryLimit: float64(d.Limits.Memory),
			}
		}
	}
	if rec.Lab != nil {
		return recommend.Declared{}
	}
	return recommend.Declared{
		Replicas: c.Replicas, CPURequest: c.Requests.CPU.Cores(), CPULimit: c.CPULimitCores,
		MemoryRequest: float64(c.Requests.Memory), MemoryLimit: float64(c.MemoryLimitBytes),
	}
}

// seen adds to a subject what its phases show beside demand and memory.
func seen(s *recommend.Subject, phases []examined, c record.Component) {
	for _, p := range phases {
		if !p.summary.Verdict.Valid {
			continue
		}
		r := perReplicaOf(p, c)
		if r.cores > s.MostCores {
			s.MostCores = r.cores
		}
		if p99 := p.quantile(0.99); p99.OK() && !math.IsNaN(r.throttled) && p.Spec.Process != scenarios.Closed {
			s.Throttling = append(s.Throttling, recommend.ThrottlePoint{RPS: r.rps, Ratio: r.throttled, P99: p99.Value})
		}
	}
}

// controlPlanes recommends the replicas of control planes, which depend on how many
// proxies there are, and so on what is recommended for all the others.
func (r *Result) controlPlanes(rec *record.Record, subjects []recommend.Subject, load recommend.Load) {
	proxies, from := rec.Scenario.Demand.Proxies, ""
	if proxies == 0 {
		for _, c := range r.Components {
			if c.Replicas != nil && (c.Role == string(scenarios.RoleGateway) || c.Role == string(scenarios.RoleEgress) || c.Role == string(scenarios.RoleSidecar)) {
				proxies += c.Replicas.MostDuringUpdate
			}
		}
		from = "the proxies that it serves are taken to be those that are recommended here: demand.proxies says how many there are"
	}
	for i := range r.Components {
		c := &r.Components[i]
		if c.Role != string(scenarios.RoleControlPlane) {
			continue
		}
		cores := subjects[i].CPULimit
		c.Replicas = recommend.ControlPlaneFor(recommend.ControlPlane{Proxies: proxies, Within: rec.Scenario.Demand.ReconnectWithin.Seconds(), Cores: cores}, load)
		if from != "" {
			c.Notes = append(c.Notes, from)
		}
	}
}

// costItems are the components as their costs see them.
func (r *Result) costItems(subjects []recommend.Subject, load recommend.Load) []recommend.CostItem {
	today := load
	today.GrowthPerMonth, today.HorizonMonths, today.Growth = 0, 0, 0
	today.PlannedRPS = load.PeakRPS * (1 + load.Headroom)
	var items []recommend.CostItem
	for i, c := range r.Components {
		item := recommend.CostItem{Name: c.Name, Declared: subjects[i].Declared, Resources: c.Resources, Planned: c.Replicas, Today: c.Replicas}
		if c.Role != string(scenarios.RoleControlPlane) && c.Replicas != nil {
			item.Today, _ = recommend.ReplicasFor(c.CapacityPerReplicaRps, loadFor(scenarios.Role(c.Role), today))
		}
		items = append(items, item)
	}
	return items
}

func (r *Result) component(rec *record.Record, phases []examined, c record.Component, predicted edgeOf, tolerated float64, load recommend.Load) (Component, recommend.Subject) {
	cpuLimit, memoryLimit := limitsOf(rec, c)
	replicas, warning := replicasMeasured(phases, c)
	if warning != "" {
		r.Warnings = append(r.Warnings, warning)
	}
	s := recommend.Subject{
		Name: c.Name, Role: c.Role, OfLab: rec.Lab != nil, Replicas: replicas,
		Concurrency: max(c.Concurrency, 0), CPULimit: cpuLimit, MemoryLimit: memoryLimit,
		Tolerated: tolerated, MaxRequests: poolLimit(rec, c.Role), Declared: declared(rec, c),
	}
	if rec.Evidence == record.EvidenceObserved {
		s.MostBeyond = mostBeyondObserved
	}
	seen(&s, phases, c)
	s.QuotaPrice = r.QuotaTrial.of(c.Name)
	ceiling, _ := s.Ceiling()
	s.Demand, s.Memory, s.Highest = fitComponent(phases, c, ceiling)
	s.Edge = r.ownEdge(predicted, s)
	r.calibrate(&s, c)
	if r.SLOEdge.Component == s.Name || r.SLOEdge.Component == "" {
		s.EdgeBinds = r.SLOEdge.Resource
	}
	out := Component{
		Name: c.Name, Role: string(c.Role), ReplicasMeasured: s.Replicas, Concurrency: s.Concurrency,
		CPULimitCores: cpuLimit, MemoryLimitBytes: int64(memoryLimit),
		CPUSecondsPerRequest: s.Demand.PerRequest, CPUSecondsPerWakeUp: s.Demand.PerWakeUp, CPUIdleCores: s.Demand.Idle, CPUModel: s.Demand.Words,
		MemoryBaseBytes: s.Memory.Base, MemoryBytesPerInFlight: s.Memory.PerInFlight, MemoryBytesPerConnection: s.Memory.PerConnection,
		MemoryKeptShare: s.Memory.Hysteresis, MemoryDriftBytesPerSecond: s.Memory.Drift,
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
	return out, s
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
		note("the lab's test service stands in for yours, so neither replicas nor an autoscaler nor resources are recommended for it")
		return
	case s.Role == scenarios.RoleControlPlane: // when it is known what it serves
	default:
		c.Replicas, why = recommend.ReplicasFor(c.CapacityPerReplicaRps, load)
		note(why)
	}
	c.Resources, why = recommend.ResourcesFor(s, c.CapacityPerReplicaRps, c.Replicas, load)
	note(why)
	if s.Role == scenarios.RoleControlPlane {
		note("the control plane does not carry requests: its replicas follow from the proxies that it serves and from what may be lost, and its autoscaler (autoscaleMin and autoscaleMax of the istiod chart) from its CPU")
		return
	}
	if s.Role == scenarios.RoleSidecar {
		note("a sidecar runs in every pod of its service and scales with it: the replicas are the pods that the sidecar's capacity asks for, and the service may need more")
		return
	}
	if c.Replicas != nil {
		c.HPA, why = recommend.HPAFor(s, c.CapacityPerReplicaRps, c.Replicas, load)
		note(why)
		c.Signal, why = recommend.SignalFor(s, c.CapacityPerReplicaRps, c.Replicas, load, c.HPA)
		note(why)
	}
}

// pairPods makes the sidecars and the services of a target agree on the number of
// pods: the larger of the two, also at the ends of the service's autoscaler.
func (r *Result) pairPods(rec *record.Record, subjects []recommend.Subject, load recommend.Load) {
	if rec.Lab != nil {
		return
	}
	var pair []*Component
	var of []recommend.Subject
	for i := range r.Components {
		c := &r.Components[i]
		if (c.Role == string(scenarios.RoleSidecar) || c.Role == string(scenarios.RoleService)) && c.Replicas != nil {
			pair, of = append(pair, c), append(of, subjects[i])
		}
	}
	// With more than one of either nothing says which belong together.
	if len(pair) != 2 || pair[0].Role == pair[1].Role {
		return
	}
	small, large := 0, 1
	if pair[0].Replicas.Value > pair[1].Replicas.Value {
		small, large = 1, 0
	}
	if c, more := pair[small], pair[large]; c.Replicas.Value < more.Replicas.Value {
		replicas := *more.Replicas
		replicas.Reason = fmt.Sprintf("%s; as many as %s needs, because they share pods: %d", c.Replicas.Reason, more.Name, more.Replicas.Value)
		c.Replicas = &replicas
		c.inMorePods(of[small], load)
	}
	for i, c := range pair {
		if other := pair[1-i]; c.HPA != nil {
			var why string
			if c.HPA, why = c.HPA.WithSidecar(other.Name, other.CapacityPerReplicaRps, other.Replicas, load); why != "" {
				c.Notes = append(c.Notes, why)
			}
		}
	}
}

// inMorePods recommends again what depends on the rate that a replica carries: in
// more pods than a component needs by itself each of them carries less, and a request
// for what it would carry alone is paid for and not used.
func (c *Component) inMorePods(s recommend.Subject, load recommend.Load) {
	c.Resources, _ = recommend.ResourcesFor(s, c.CapacityPerReplicaRps, c.Replicas, load)
	if c.HPA != nil {
		c.HPA, _ = recommend.HPAFor(s, c.CapacityPerReplicaRps, c.Replicas, load)
	}
	if c.Signal != nil {
		c.Signal, _ = recommend.SignalFor(s, c.CapacityPerReplicaRps, c.Replicas, load, c.HPA)
	}
}
