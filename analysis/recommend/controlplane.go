package recommend

import (
	"fmt"
	"math"
)

// ControlPlane is what the replicas of a control plane depend on: no requests of
// the load, but the proxies that are connected to it.
type ControlPlane struct {
	Proxies int     // that it serves; 0: not known
	Within  float64 // seconds in which the proxies of a lost replica are served again
	Cores   float64 // the CPU limit of a replica; 0: not known
}

// ByReconnect is a constraint on a control plane, beside those on replicas.
const ByReconnect = "reconnect"

// Istio lets so many proxies a second connect to a replica: 15 and 5 for each
// processor, 100 at the most (PILOT_MAX_REQUESTS_PER_SECOND).
const (
	connectsBase = 15
	connectsEach = 5
	connectsMost = 100
)

// ControlPlaneFor returns how many replicas of the control plane to run, so that
// one, a zone of them, or those that a rolling update takes away may be missing,
// and so that the proxies of a lost one are served again in time:
//
//	(P ÷ R) ÷ ((R − 1) × c) ≤ t  ⇒  R ≥ (1 + √(1 + 4 × P ÷ (c × t))) ÷ 2
//
// with P proxies and c connects a second that a replica admits.
func ControlPlaneFor(in ControlPlane, load Load) *Replicas {
	x := &sheet{}
	r := &Replicas{CarriesPlannedRate: 1}
	needed := x.input("needed", 1, "", "replicas that must be there")
	constraints := r.constraints(x, Load{Zones: load.Zones, ZoneSkew: load.ZoneSkew, MaxUnavailable: load.MaxUnavailable, MaxSurge: load.MaxSurge}, Capacity{})
	constraints[0].Why = "one has to be there"
	words := fmt.Sprintf("%.0f has to be there", needed)
	connects := math.Min(connectsBase+connectsEach*math.Max(1, math.Ceil(in.Cores)), connectsMost)
	if in.Proxies > 0 && in.Within > 0 {
		x.input("cores", math.Max(1, math.Ceil(in.Cores)), "", "processors of a replica, by its CPU limit, 1 at the least")
		x.step("proxies that a replica lets connect in a second (PILOT_MAX_REQUESTS_PER_SECOND)", "connects", "/s", "min(15 + 5 * cores, 100)", connects)
		x.input("proxies", float64(in.Proxies), "", "proxies that are served")
		x.input("within", in.Within, "s", "demand.reconnectWithin")
		n := math.Ceil((1+math.Sqrt(1+4*float64(in.Proxies)/(connects*in.Within)))/2 - 1e-9)
		x.step("replicas of which the rest takes over the proxies of a lost one in time", "reconnect", "", "ceil((1 + sqrt(1 + 4 * proxies / (connects * within))) / 2)", n)
		constraints = append(constraints, Constraint{By: ByReconnect, Value: n, Why: "the proxies of a lost one are served again in time"})
		r.SurvivesReplicaLoss = max(r.SurvivesReplicaLoss, int(n))
	}
	r.Value = int(largest(constraints))
	formula := r.formula()
	if len(constraints) > 0 && in.Proxies > 0 && in.Within > 0 {
		formula += ", reconnect"
	}
	x.step("replicas to run", "replicas", "", "max("+formula+")", float64(r.Value))
	r.setting(load)
	words += fmt.Sprintf("; %d so that one may be lost", r.SurvivesReplicaLoss)
	if in.Proxies > 0 && in.Within > 0 {
		again := float64(in.Proxies) / float64(r.Value) / (math.Max(1, float64(r.Value-1)) * connects)
		words += fmt.Sprintf(", whose part of %d proxies is served again in %s, as each of the others lets %.0f connect in a second", in.Proxies, timeWords(again), connects)
		all := x.step("time until all are served after a restart of all replicas", "storm", "s", "proxies / (replicas * connects)", float64(in.Proxies)/(float64(r.Value)*connects))
		words += fmt.Sprintf("; after a restart of all of them it takes %s", timeWords(all))
	}
	if r.SurvivesZoneLoss > 0 {
		words += fmt.Sprintf("; %d in each of %d zones = %d so that a zone may be lost", r.SurvivesZoneLoss/load.Zones, load.Zones, r.SurvivesZoneLoss)
	}
	r.Reason = words
	r.Basis = x.basis(constraints,
		"the number of proxies (demand.proxies), and how soon they have to be served again (demand.reconnectWithin)",
		"the CPU of a push, which grows with services, proxies and changes: this load did not show it")
	return r
}
