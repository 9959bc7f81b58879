package recommend

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/models/hpa"
)

// The metrics of a signal.
const (
	SignalRequests = "requests"  // a second
	SignalInFlight = "in-flight" // requests
)

// Signal is another metric to scale by, where CPU alone does not tell.
type Signal struct {
	Metric              string  `json:"metric"`
	ThresholdPerReplica float64 `json:"thresholdPerReplica"` // of the metric, on average
	MinReplicas         int     `json:"minReplicas"`
	MaxReplicas         int     `json:"maxReplicas"`
	Alone               bool    `json:"alone"` // CPU is no signal beside it
	Reason              string  `json:"reason"`
	Trial               *Trial  `json:"trial,omitempty"` // what it was chosen from, where it stands alone
	Basis               *Basis  `json:"basis,omitempty"`
}

// The constraints on a signal.
const (
	BySafeRate     = "safe-rate"
	BySafeInFlight = "safe-in-flight"
)

// SignalFor returns the second metric for an autoscaler, or the only one where CPU
// is none: requests a second where CPU says little about the load, requests in
// flight where something else than CPU gives out first. h is the setting by CPU, nil
// when there is none. Nil, with the reason if something was missing, where CPU does.
func SignalFor(s Subject, capacity Capacity, replicas *Replicas, load Load, h *HPA) (signal *Signal, why string) {
	request, ok := requestCores(s, operatingRPS(capacity, replicas, load))
	switch {
	case replicas == nil || !(capacity.Safe() > 0):
		return nil, ""
	case h != nil:
		return besideCPU(s, capacity, h), ""
	case !ok || idleOf(s) <= idleShare*request:
		return nil, ""
	}
	t := attempt{subject: s, capacity: capacity, replicas: *replicas, load: load, safe: capacity.Safe(), request: request}
	t.most = hpaMost(capacity, replicas, load)
	choice, world, why := t.choose(hpa.Search{RPS: thresholds(t.safe)})
	if why != "" {
		return nil, "no metric to scale by is recommended: " + why
	}
	best := choice.Candidates[choice.Best]
	signal = &Signal{Metric: SignalRequests, ThresholdPerReplica: best.RPS, MinReplicas: t.seen(best), MaxReplicas: best.Max, Alone: true, Trial: t.trial(choice, world)}
	x := &sheet{}
	t.explain(x, choice, world, signal.MinReplicas, signal.MaxReplicas)
	basis := x.basis(nil, t.wouldChange()[:len(t.wouldChange())-1]...) // the last is about the CPU request
	basis.BoundBy = ByObjective
	if next := runnerUp(choice); next >= 0 {
		basis.RunnerUp = "threshold-" + PlainNumber(choice.Candidates[next].RPS)
	}
	signal.Basis = &basis
	signal.Reason = fmt.Sprintf("requests a second per replica, since CPU says little: of thresholds from %s to %s the cheapest with which the hottest replica stays within its safe %s%s, as a simulation over %s shows: %s",
		rate(choice.Candidates[0].RPS), rate(choice.Candidates[len(choice.Candidates)-1].RPS), rate(t.safe), signal.Trial.exceptions(), signal.Trial.Load, signal.Trial.costs())
	return signal, ""
}

// thresholds are those that are tried, in requests a second per replica: from a
// quarter of the safe rate up, two digits each.
func thresholds(safe float64) []float64 {
	var out []float64
	for share := 0.25; share < 1; share += 0.05 {
		v := share * safe
		unit := math.Pow(10, math.Floor(math.Log10(v))-1)
		v = math.Floor(v/unit) * unit
		if len(out) == 0 || v > out[len(out)-1] {
			out = append(out, v)
		}
	}
	return out
}

// besideCPU is requests in flight where memory or the pool gives out before CPU, and
// requests a second where latency does and no component is at a limit: the requests in
// flight when the objective breaks are not known, because an objective on a quantile breaks
// long before the mean, which Little's law is about, comes to it.
func besideCPU(s Subject, capacity Capacity, h *HPA) *Signal {
	what := ""
	switch {
	case capacity.BoundBy == BoundPool, s.EdgeBinds == models.BindsPool:
		what = "the connection pool gives out before CPU does"
	case capacity.BoundBy == BoundMemory, s.EdgeBinds == models.BindsMemory:
		what = "memory gives out before CPU does; memory itself is no signal to scale by, since it need not come back when the load does"
	case capacity.BoundBy == BoundEdge && s.EdgeBinds == models.BindsLatency:
		return atSafeRate(capacity, h)
	}
	// Little's law: rate × time = in flight. At the safe rate, with everything as slow
	// as the objective tolerates, so many are in flight; the autoscaler tolerates a
	// tenth more.
	threshold := math.Floor(capacity.Safe()*s.Tolerated/(1+tolerated()) + 1e-9)
	if what == "" || threshold < 1 {
		return nil
	}
	x := &sheet{}
	x.input("safe", capacity.Safe(), "/s", "what a replica carries, the safe end; bound by "+capacity.BoundBy)
	x.input("latency", s.Tolerated, "s", "the latency that the objectives tolerate")
	x.input("tolerance", tolerated(), "", "--horizontal-pod-autoscaler-tolerance")
	x.step("requests in flight at the safe rate, by Little's law", "inFlight", "", "safe * latency", capacity.Safe()*s.Tolerated)
	x.step("threshold", "threshold", "", "floor(inFlight / (1 + tolerance))", threshold)
	basis := x.basis([]Constraint{{By: BySafeInFlight, Value: threshold, Why: "what is in flight when a replica carries its safe rate"}}, "another latency objective", "what a replica carries")
	return &Signal{
		Basis:  &basis,
		Metric: SignalInFlight, ThresholdPerReplica: threshold, MinReplicas: h.MinReplicas, MaxReplicas: h.MaxReplicas,
		Reason: fmt.Sprintf("requests in flight per replica, as a second metric: %s. %s × %s, that the objective tolerates, ÷ %.3g, because the autoscaler tolerates as much, are %.0f; the metric that asks for more replicas counts",
			what, rate(capacity.Safe()), timeWords(s.Tolerated), 1+tolerated(), threshold),
	}
}

// atSafeRate is the signal that the safe rate itself gives.
func atSafeRate(capacity Capacity, h *HPA) *Signal {
	threshold := math.Floor(capacity.Safe()/(1+tolerated()) + 1e-9)
	if threshold < 1 {
		return nil
	}
	x := &sheet{}
	x.input("safe", capacity.Safe(), "/s", "what a replica carries, the safe end; bound by "+capacity.BoundBy)
	x.input("tolerance", tolerated(), "", "--horizontal-pod-autoscaler-tolerance")
	x.step("threshold", "threshold", "/s", "floor(safe / (1 + tolerance))", threshold)
	basis := x.basis([]Constraint{{By: BySafeRate, Value: threshold, Unit: "/s", Why: "a replica carries its safe rate"}}, "what a replica carries")
	return &Signal{
		Basis:  &basis,
		Metric: SignalRequests, ThresholdPerReplica: threshold, MinReplicas: h.MinReplicas, MaxReplicas: h.MaxReplicas,
		Reason: fmt.Sprintf("requests a second per replica, as a second metric: the objective breaks while CPU is left. %s ÷ %.3g, because the autoscaler tolerates as much, are %.0f; the metric that asks for more replicas counts",
			rate(capacity.Safe()), 1+tolerated(), threshold),
	}
}
