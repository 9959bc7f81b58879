package recommend

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models/skew"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Load is what the recommendation is for. Rates go through the whole chain, of
// all clusters together.
type Load struct {
	PlannedRPS     float64
	PeakRPS        float64 // today's, without headroom and growth; 0: not known, then the planned rate stands for it
	Headroom       float64
	GrowthPerMonth float64
	HorizonMonths  int
	Growth         float64 // what the peak grows by until then, where a history tells; 0: by GrowthPerMonth

	Zones          int     // failure zones; 1: none can be lost
	ZoneSkew       int     // by how many replicas zones may differ; 0: by one
	Clusters       int     // that share the load; 0 or 1: one, which cannot be lost
	ClusterShare   float64 // of the busiest; 0: all take the same
	MaxUnavailable scenarios.Portion
	MaxSurge       scenarios.Portion
	Connections    int // of clients to all gateways; 0: not known
	Placement      scenarios.Placement
	Scaling        Pattern
}

// defaultPortion is what a Deployment has when nothing is set (Kubernetes,
// RollingUpdateDeployment).
const defaultPortion scenarios.Portion = "25%"

// LoadOf returns the load that a scenario's demand describes, with the planned
// rate that follows from it.
func LoadOf(d scenarios.Demand, planned float64) Load {
	return Load{
		PlannedRPS: planned, PeakRPS: d.PeakRate.RPS(),
		Headroom: float64(d.Headroom), GrowthPerMonth: float64(d.GrowthPerMonth), HorizonMonths: max(d.HorizonMonths, 0),
		Zones: max(d.Zones, 1), ZoneSkew: d.ZoneSkew, Clusters: d.Clusters, ClusterShare: float64(d.ClusterShare),
		MaxUnavailable: d.RollingUpdate.MaxUnavailable, MaxSurge: d.RollingUpdate.MaxSurge,
		Connections: d.Connections, Placement: d.Placement, Scaling: PatternOf(d.Scaling),
	}
}

// growth returns what the peak is multiplied by until the end of the horizon.
func (l Load) growth() float64 {
	if l.Growth > 0 {
		return l.Growth
	}
	return math.Pow(1+l.GrowthPerMonth, float64(l.HorizonMonths))
}

// peak is today's peak, or the planned rate where that is not known.
func (l Load) peak() float64 {
	if l.PeakRPS > 0 {
		return l.PeakRPS
	}
	return l.PlannedRPS
}

func (l Load) clusters() int { return max(l.Clusters, 1) }

// share returns the part of the load that the busiest cluster takes with nothing
// lost.
func (l Load) share() float64 {
	if l.clusters() > 1 && l.ClusterShare > 0 {
		return l.ClusterShare
	}
	return 1 / float64(l.clusters())
}

// shareAfterLoss returns the part that it takes when the next busiest one, which has
// as much at the most, is lost and the others take over in proportion to what they
// have; 1 at the most.
func (l Load) shareAfterLoss() float64 {
	return math.Min(1, l.share()/math.Max(1-l.share(), 1e-9))
}

// Here returns what of a rate of all clusters comes to the busiest one, with nothing
// lost.
func (l Load) Here(rps float64) float64 { return rps * l.share() }

// here is the planned rate of one cluster, the busiest.
func (l Load) here() float64 { return l.Here(l.PlannedRPS) }

// mostReplicas bounds a recommendation: beyond it the question was wrong.
const mostReplicas = 10000

// mostConnections is how many connections on a replica are told apart from more:
// with so many the hottest replica has some 4 % above the mean, and with more less.
const mostConnections = 10000

// hottest returns the load of the hottest of n replicas as a multiple of their
// mean, at the safe end, with nothing lost. 1 where connections are not known, or
// do not matter.
func (l Load) hottest(replicas int) float64 { return l.hottestWith(l.share(), replicas) }

// hottestWith is hottest when a share of the load and its connections comes here.
func (l Load) hottestWith(share float64, replicas int) float64 {
	if l.Connections <= 0 || replicas <= 1 {
		return 1
	}
	connections := max(int(math.Round(float64(l.Connections)*share)), 1)
	connections = min(connections, mostConnections*replicas)
	factor := skew.Hottest(connections, replicas, placementOf(l.Placement))
	if !factor.OK() || !(factor.High >= 1) {
		return 1
	}
	return factor.High
}

func placementOf(p scenarios.Placement) skew.Placement {
	switch p {
	case scenarios.PlacementRoundRobin:
		return skew.RoundRobin
	case scenarios.PlacementLeast:
		return skew.LeastConnection
	}
	return skew.Random
}

// carriers returns the least number of replicas of which the hottest stays within
// the safe rate, when a share of the planned rate comes here. ok is false when none does: fewer connections than it takes
// cannot be spread over more replicas.
func (l Load) carriers(share, safe float64) (n int, ok bool) {
	rps := l.PlannedRPS * share
	fits := func(n int) bool { return rps*l.hottestWith(share, n)/float64(n) <= safe*(1+1e-9) }
	least := max(int(math.Ceil(rps/safe-1e-9)), 1)
	low, high := least-1, least
	for !fits(high) {
		if high >= mostReplicas {
			return 0, false
		}
		low, high = high, min(high*2, mostReplicas)
	}
	for high-low > 1 {
		if middle := (low + high) / 2; fits(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high, true
}

// The constraints on replicas.
const (
	ByNothingLost   = "nothing-lost"
	ByReplicaLoss   = "replica-loss"
	ByZoneLoss      = "zone-loss"
	ByRollingUpdate = "rolling-update"
	ByClusterLoss   = "cluster-loss"
)

// ReplicasFor returns how many replicas of one cluster carry the planned rate,
// also with one replica, one zone or one other cluster lost, or a rolling update
// going on. Nil, with the reason, when that cannot be said. Where the load names
// connections, they are those of this component: strip them from what does not
// stand behind a balancer of connections.
//
//	n = ceil(planned × hottest ÷ safe); one replica lost: n + 1
//	one of Z zones lost, which may differ by s: Z × ceil((n + floor((Z − 1) × s ÷ Z)) ÷ (Z − 1))
//	a rolling update: the least R with R − floor(R × unavailable) ≥ n
//	one of the clusters lost: as n at the rate that this one takes over, + 1
func ReplicasFor(capacity Capacity, load Load) (replicas *Replicas, why string) {
	safe := capacity.Safe()
	switch {
	case !(load.PlannedRPS > 0):
		return nil, "no replicas are recommended: the scenario names no rate to plan for"
	case safe == 0:
		return nil, fmt.Sprintf("no replicas are recommended: one carries nothing safely by %s: %s", capacity.BoundBy, firstOf(capacity.Warnings, "the reason is not known"))
	case !(safe > 0):
		return nil, "no replicas are recommended: the capacity of one is not known"
	case load.here()/safe > mostReplicas:
		return nil, fmt.Sprintf("no replicas are recommended: at %s each, %s would take more than %d", rate(safe), rate(load.here()), mostReplicas)
	}
	n, ok := load.carriers(load.share(), safe)
	if !ok {
		return nil, fmt.Sprintf("no replicas are recommended: %d connections spread so unevenly that the hottest replica carries more than its safe %s however many there are; more connections are needed", load.Connections, rate(safe))
	}
	r := &Replicas{CarriesPlannedRate: n, worst: pressed{load.here(), n, load.hottest(n)}}
	x := &sheet{}
	here := planSteps(x, load)
	x.input("safe", safe, "/s", "what a replica carries, the safe end; bound by "+capacity.BoundBy)
	formula := "ceil(" + here + " / safe)"
	if hottest := load.hottest(n); hottest > 1 {
		r.HottestFactor = hottest
		x.input("hottest", hottest, "", fmt.Sprintf("the hottest of %d replicas ÷ their mean, with %d connections placed %s, at the safe end", n, load.Connections, placementOf(load.Placement)))
		formula = "ceil(" + here + " * hottest / safe)"
	}
	x.step("replicas that carry it with nothing lost", "needed", "", formula, float64(n))
	constraints := r.constraints(x, load, capacity)
	r.Value = int(largest(constraints))
	x.step("replicas to run", "replicas", "", "max("+r.formula()+")", float64(r.Value))
	r.setting(load)
	r.Basis = x.basis(constraints, r.wouldChange(load, capacity, constraints)...)
	r.Reason = r.words(load, capacity)
	return r, ""
}

// setting notes what the number was reckoned with and has to be set as well.
func (r *Replicas) setting(load Load) {
	r.MostDuringUpdate = r.Value + portionOf(load.MaxSurge, r.Value, true)
	r.MaxUnavailable, r.MaxSurge = string(orPortion(load.MaxUnavailable)), string(orPortion(load.MaxSurge))
	if load.Zones > 1 {
		r.Zones, r.ZoneSkew = load.Zones, max(load.ZoneSkew, 1)
	}
}

// pressed is a case in which replicas carry the most.
type pressed struct {
	rps     float64 // of the cluster
	left    int     // replicas that carry it
	hottest float64 // of them, as a multiple of their mean
}

func (p pressed) each() float64 { return p.rps * math.Max(p.hottest, 1) / float64(max(p.left, 1)) }

func busier(a, b pressed) pressed {
	if b.each() > a.each() {
		return b
	}
	return a
}

// Worst returns the case in which a replica carries the most: the rate of the
// cluster, how many replicas are left to carry it, and the hottest of them as a
// multiple of their mean. It is known where the replicas were computed, and not of
// those that were read from a file.
func (r *Replicas) Worst() (rps float64, left int, hottest float64) {
	return r.worst.rps, r.worst.left, r.worst.hottest
}

// planSteps notes how the planned rate of this cluster comes about, and returns
// the name that it has.
func planSteps(x *sheet, load Load) (here string) {
	planned := load.PeakRPS * (1 + load.Headroom) * load.growth()
	stated := load.PeakRPS > 0 && math.Abs(planned-load.PlannedRPS) <= 1e-9*planned
	if stated {
		from := "demand.peakRate"
		if load.Growth > 0 {
			from = "today's peak: demand.peakRate, or else the highest of the last week of demand.history"
		}
		x.input("peak", load.PeakRPS, "/s", from)
		x.input("headroom", load.Headroom, "", "demand.headroom")
	}
	switch {
	case stated && load.Growth > 0:
		x.input("growth", load.Growth, "", fmt.Sprintf("what the peak is multiplied by within %d months, the upper end of what demand.history tells", load.HorizonMonths))
		x.step("rate to plan for", "planned", "/s", "peak * (1 + headroom) * growth", planned)
	case stated:
		x.input("growth", load.GrowthPerMonth, "", "demand.growthPerMonth")
		x.input("months", float64(load.HorizonMonths), "", "demand.horizonMonths")
		x.step("rate to plan for", "planned", "/s", "peak * (1 + headroom) * (1 + growth)^months", planned)
	default:
		x.input("planned", load.PlannedRPS, "/s", "the rate to plan for")
	}
	if load.clusters() == 1 {
		return "planned"
	}
	x.input("share", load.share(), "", fmt.Sprintf("of the busiest of %d clusters", load.clusters()))
	x.step("rate of the busiest cluster", "here", "/s", "planned * share", load.here())
	return "here"
}

// constraints computes each case, in r and on the sheet.
func (r *Replicas) constraints(x *sheet, load Load, capacity Capacity) []Constraint {
	needed := r.CarriesPlannedRate
	out := []Constraint{{By: ByNothingLost, Value: float64(needed), Why: "the planned rate with nothing lost"}}
	r.SurvivesReplicaLoss = needed + 1
	x.step("replicas so that one may be lost", "replicaLoss", "", "needed + 1", float64(r.SurvivesReplicaLoss))
	out = append(out, Constraint{By: ByReplicaLoss, Value: float64(r.SurvivesReplicaLoss), Why: "one replica lost"})
	if zones := load.Zones; zones > 1 {
		skewed := max(load.ZoneSkew, 1)
		x.input("zones", float64(zones), "", "demand.zones")
		x.input("zoneSkew", float64(skewed), "", "demand.zoneSkew")
		perZone := (needed + (zones-1)*skewed/zones + zones - 2) / (zones - 1)
		x.step("replicas in each zone, so that the fullest may be lost", "perZone", "", "ceil((needed + floor((zones - 1) * zoneSkew / zones)) / (zones - 1))", float64(perZone))
		r.SurvivesZoneLoss = zones * perZone
		x.step("replicas so that a zone may be lost", "zoneLoss", "", "zones * perZone", float64(r.SurvivesZoneLoss))
		out = append(out, Constraint{By: ByZoneLoss, Value: float64(r.SurvivesZoneLoss), Why: fmt.Sprintf("one of %d zones lost", zones)})
	}
	r.SurvivesRollingUpdate = updating(x, load, needed)
	out = append(out, Constraint{By: ByRollingUpdate, Value: float64(r.SurvivesRollingUpdate), Why: "a rolling update going on"})
	if load.clusters() > 1 {
		if n, ok := load.carriers(load.shareAfterLoss(), capacity.Safe()); ok {
			x.step("share that it takes over when the next busiest cluster is lost", "shareAfterLoss", "", "min(1, share / (1 - share))", load.shareAfterLoss())
			formula := "ceil(planned * shareAfterLoss / safe) + 1"
			hottest := load.hottestWith(load.shareAfterLoss(), n)
			if hottest > 1 {
				x.input("hottestThen", hottest, "", fmt.Sprintf("the same for %d replicas, with the connections that come then", n))
				formula = "ceil(planned * shareAfterLoss * hottestThen / safe) + 1"
			}
			r.worst = busier(r.worst, pressed{load.PlannedRPS * load.shareAfterLoss(), n, hottest})
			r.SurvivesClusterLoss = n + 1
			x.step("replicas so that a cluster may be lost, and one replica while it is", "clusterLoss", "", formula, float64(n+1))
			out = append(out, Constraint{By: ByClusterLoss, Value: float64(n + 1), Why: "one cluster lost, and a replica while it is"})
		}
	}
	return out
}

// updating returns how many replicas leave needed ones while a rolling update
// takes away as many as it may. A share is rounded down, as Kubernetes does it;
// where neither may be missing nor more, one may be missing (deployment
// controller, ResolveFenceposts).
func updating(x *sheet, load Load, needed int) int {
	count, share, isShare := orPortion(load.MaxUnavailable).Parts()
	if !isShare {
		if surgeCount, surgeShare, _ := orPortion(load.MaxSurge).Parts(); count == 0 && surgeCount == 0 && surgeShare == 0 {
			count = 1
		}
		x.input("unavailable", float64(count), "", "demand.rollingUpdate.maxUnavailable")
		x.step("replicas so that the rest carries it during an update", "updating", "", "needed + unavailable", float64(needed+count))
		return needed + count
	}
	x.input("unavailable", share, "", "demand.rollingUpdate.maxUnavailable")
	share = math.Min(share, 0.99)
	n := int(math.Floor(float64(needed-1)/(1-share)+1e-9)) + 1
	x.step("the least number of which the rest carries it during an update", "updating", "", "floor((needed - 1) / (1 - unavailable)) + 1", float64(n))
	return n
}

// orPortion returns what a Deployment does when nothing is set.
func orPortion(p scenarios.Portion) scenarios.Portion {
	if p == "" {
		return defaultPortion
	}
	return p
}

// portionOf returns how many of n replicas a portion is.
func portionOf(p scenarios.Portion, n int, up bool) int {
	count, share, isShare := orPortion(p).Parts()
	switch {
	case !isShare:
		return count
	case up:
		return int(math.Ceil(float64(n)*share - 1e-9))
	}
	return int(math.Floor(float64(n)*share + 1e-9))
}

// formula names the cases that there are.
func (r *Replicas) formula() string {
	words := "needed, replicaLoss"
	if r.SurvivesZoneLoss > 0 {
		words += ", zoneLoss"
	}
	words += ", updating"
	if r.SurvivesClusterLoss > 0 {
		words += ", clusterLoss"
	}
	return words
}

// wouldChange says what would make another number of it.
func (r *Replicas) wouldChange(load Load, capacity Capacity, constraints []Constraint) []string {
	var words []string
	if n, ok := load.carriers(load.share(), 0.9*capacity.Safe()); ok {
		words = append(words, fmt.Sprintf("what a replica carries, %s, bound by %s: a tenth less asks for %d with nothing lost", rate(capacity.Safe()), capacity.BoundBy, n))
	}
	if next, only := second(constraints); only != "" {
		words = append(words, fmt.Sprintf("without %s %.0f would do", only, next))
	}
	if load.Connections <= 0 {
		words = append(words, "few connections of clients, which load the replicas of a gateway unevenly: set demand.connections")
	}
	return words
}

// second returns the largest value but one, and why the largest is there; "" when
// they are equal.
func second(constraints []Constraint) (value float64, only string) {
	most := largest(constraints)
	for _, c := range constraints {
		switch {
		case c.Value < most:
			value = math.Max(value, c.Value)
		case only != "":
			return most, ""
		default:
			only = c.By
		}
	}
	return value, only
}

// words is the reason in a sentence.
func (r *Replicas) words(load Load, capacity Capacity) string {
	n, safe := r.CarriesPlannedRate, capacity.Safe()
	words := ""
	if load.clusters() > 1 {
		words = fmt.Sprintf("in each cluster, the busiest of %d taking %s: ", load.clusters(), percent(load.share()))
	}
	words += fmt.Sprintf("%s ÷ %s per replica (%s) needs %d", rate(load.here()), rate(safe), capacity.BoundBy, n)
	if r.HottestFactor > 1 {
		words += fmt.Sprintf(", the hottest of them with %.3g times the mean, as %d connections spread unevenly", r.HottestFactor, load.Connections)
	}
	words += fmt.Sprintf("; %d so that one may be lost", r.SurvivesReplicaLoss)
	if load.Zones < 2 {
		words += "; in a single zone, the loss of a zone cannot be survived"
	} else {
		words += fmt.Sprintf("; %d in each of %d zones = %d so that a zone may be lost", r.SurvivesZoneLoss/load.Zones, load.Zones, r.SurvivesZoneLoss)
	}
	words += fmt.Sprintf("; %d while a rolling update has %s missing", r.SurvivesRollingUpdate, orPortion(load.MaxUnavailable))
	if r.SurvivesClusterLoss > 0 {
		words += fmt.Sprintf("; %d so that a cluster may be lost, when this one takes %s of the rate", r.SurvivesClusterLoss, percent(load.shareAfterLoss()))
	}
	return words
}

// operatingRPS is the rate that a replica carries when all that may be lost is
// lost: no more than its safe rate.
func operatingRPS(capacity Capacity, replicas *Replicas, load Load) float64 {
	safe := capacity.Safe()
	if replicas == nil || !(replicas.worst.rps > 0) {
		return safe
	}
	return math.Min(safe, replicas.worst.each())
}
