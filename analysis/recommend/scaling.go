package recommend

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models/hpa"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Pattern is what an autoscaler is tried with, beside the rates of the load.
type Pattern struct {
	Curve         []hpa.Point // today's load over time, whose highest rate stands for the planned one; empty: a ramp
	Trough        float64     // today's lowest rate, of the ramp; 0: a third of the peak
	Timing        hpa.Timing
	OverAllowed   float64 // share of the time over the objective; 0: none
	HighestTarget int     // percent of the CPU request; 0: 75
}

// PatternOf returns the pattern that a scenario describes.
func PatternOf(s scenarios.Scaling) Pattern {
	p := Pattern{
		Trough: s.Trough.RPS(), OverAllowed: float64(s.OverAllowed), HighestTarget: int(math.Round(100 * float64(s.HighestTarget))),
		Timing: hpa.Timing{StartUp: s.StartUp, Scrape: s.MetricsEvery, Sync: s.SyncEvery},
	}
	for _, point := range s.Load {
		p.Curve = append(p.Curve, hpa.Point{At: point.At, RPS: point.Rate.RPS()})
	}
	return p
}

// HPA is the HorizontalPodAutoscaler's setting.
type HPA struct {
	MinReplicas          int    `json:"minReplicas"`
	MaxReplicas          int    `json:"maxReplicas"`
	TargetCPUUtilization int    `json:"targetCPUUtilization"` // percent of the request
	Reason               string `json:"reason"`
	Trial                *Trial `json:"trial,omitempty"` // what it was chosen from
	Basis

	tried attempt
}

const (
	// idleShare is the share of the CPU request from which on an idle replica leaves
	// an autoscaler too little to steer by.
	idleShare = 0.30
	// highestTarget is the CPU utilisation above which none is recommended, to leave
	// time for new replicas, unless the scenario allows more.
	highestTarget = 75
	// surge is how far above the planned rate the HPA may still follow.
	surge = 1.5
	// fewestReplicas can lose one.
	fewestReplicas = 2
)

// ByObjective is what a setting is for that no cheaper one does: the objective
// over the load that it was tried with.
const ByObjective = "objective-over-time"

// HPAFor returns the autoscaler's setting: the target and the fewest replicas that
// are the cheapest, in a simulation of the autoscaler's loop, of those that keep the
// hottest replica within its safe rate; room above the plan at the most. Nil, with
// the reason, when it cannot be said, or CPU is no good signal.
func HPAFor(s Subject, capacity Capacity, replicas *Replicas, load Load) (h *HPA, why string) {
	request, ok := requestCores(s, operatingRPS(capacity, replicas, load))
	switch {
	case replicas == nil:
		return nil, "no autoscaler is recommended: the replicas are not known"
	case !ok:
		return nil, "no autoscaler is recommended: the CPU demand is not known, and so no target"
	case idleOf(s) > idleShare*request:
		return nil, fmt.Sprintf("no CPU target is recommended: an idle replica uses %s already, %s of its request of %s, so the utilisation says little about the load",
			cpuWords(idleOf(s)), percent(idleOf(s)/request), cpuWords(request))
	}
	t := attempt{subject: s, capacity: capacity, replicas: *replicas, load: load, safe: capacity.Safe(), request: request}
	t.most = hpaMost(capacity, replicas, load)
	return t.hpa()
}

// idleOf is the CPU of an idle replica, in cores; 0 when not known.
func idleOf(s Subject) float64 {
	if !s.Demand.OK() || !s.Demand.Idle.OK() {
		return 0
	}
	return s.Demand.Idle.Value
}

// hpaMost returns the most replicas: what surge times the planned rate needs, with
// the same losses.
func hpaMost(capacity Capacity, replicas *Replicas, load Load) int {
	load.PlannedRPS *= surge
	if above, _ := ReplicasFor(capacity, load); above != nil {
		return max(replicas.Value, above.Value)
	}
	return replicas.Value
}

// attempt is what a search for a setting starts from.
type attempt struct {
	subject  Subject
	capacity Capacity
	replicas Replicas
	load     Load
	safe     float64 // rps of a replica
	request  float64 // cores
	most     int     // maxReplicas
}

// targets are those that are tried, in percent.
func (t attempt) targets() []int {
	highest := t.load.Scaling.HighestTarget
	if highest <= 0 {
		highest = highestTarget
	}
	var out []int
	for target := 20; target < highest; target += 5 {
		out = append(out, target)
	}
	return append(out, highest)
}

func (t attempt) hpa() (h *HPA, why string) {
	choice, world, why := t.choose(hpa.Search{Targets: t.targets()})
	if why != "" {
		return nil, "no autoscaler is recommended: " + why
	}
	best := choice.Candidates[choice.Best]
	h = &HPA{TargetCPUUtilization: best.Target, MinReplicas: t.seen(best), MaxReplicas: best.Max, tried: t}
	h.Trial = t.trial(choice, world)
	x := &sheet{}
	t.explain(x, choice, world, h.MinReplicas, h.MaxReplicas)
	h.Trial.RuleOfThumb = t.ruleOfThumb(x, world)
	h.Basis = x.basis(nil)
	h.BoundBy = ByObjective
	if next := runnerUp(choice); next >= 0 {
		h.RunnerUp = fmt.Sprintf("target-%d", choice.Candidates[next].Target)
	}
	h.WouldChange = t.wouldChange()
	h.Reason = fmt.Sprintf("of targets from %d\u00a0%% to %d\u00a0%% the cheapest with which the hottest replica stays within its safe %s%s, as a simulation of the autoscaler over %s shows: %s",
		choice.Candidates[0].Target, choice.Candidates[len(choice.Candidates)-1].Target, rate(t.safe), h.Trial.exceptions(), h.Trial.Load, h.Trial.costs())
	h.Reason += fmt.Sprintf("; the rule of thumb, utilisation at the safe rate ÷ (1 + tolerance) × (1 − growth × lag), says %s", orNothing(h.Trial.RuleOfThumb))
	h.Reason += t.leastWords(h.MinReplicas, best)
	h.Reason += fmt.Sprintf("; at most %d, what %.3g times the planned rate needs with the same losses", best.Max, surge)
	return h, ""
}

// leastWords says why there are more replicas at the least than the simulation needed.
func (t attempt) leastWords(least int, best hpa.Candidate) string {
	switch {
	case least <= best.Min:
		return ""
	case least > best.Outcome.MinPods:
		return fmt.Sprintf("; at least %d, one in each zone; %d would hold, and the pod-hours are theirs", least, max(best.Min, best.Outcome.MinPods))
	}
	return fmt.Sprintf("; at least %d: the load never let it come down further, so fewer were not tried", least)
}

// Needless says why an autoscaler would have nothing to do; empty when it has.
func (h *HPA) Needless() string {
	if h == nil || h.MinReplicas < h.MaxReplicas {
		return ""
	}
	return fmt.Sprintf("no autoscaler is recommended: %d replicas carry even %.3g times the planned rate, and fewer do not survive what may be lost", h.MaxReplicas, surge)
}

// seen is the fewest replicas that a setting is recommended with: never fewer than the
// simulation came down to, since what fewer would have done was not tried, nor fewer than
// there are zones.
func (t attempt) seen(best hpa.Candidate) int {
	return min(best.Max, max(best.Min, best.Outcome.MinPods, t.load.Zones))
}

func orNothing(target int) string {
	if target <= 0 {
		return "that no target is low enough for so fast a growth"
	}
	return fmt.Sprintf("%d\u00a0%%", target)
}

// choose searches in the world that the load describes. why is not empty when
// nothing holds.
func (t attempt) choose(search hpa.Search) (hpa.Choice, hpa.World, string) {
	world := t.world()
	if t.safe <= 0 || math.IsNaN(t.safe) {
		return hpa.Choice{}, world, "what a replica carries is not known"
	}
	search.Most = max(t.replicas.Value, fewestReplicas)
	search.Fewest, search.Max = fewestReplicas, max(t.most, search.Most)
	search.ShareOver, search.SeriesSize = t.load.Scaling.OverAllowed, seriesSize
	choice, err := world.Choose(search)
	if err != nil {
		return choice, world, err.Error()
	}
	if choice.Best < 0 {
		least := slices.MinFunc(choice.Candidates, func(a, b hpa.Candidate) int {
			return int(math.Copysign(1, a.Outcome.OverSeconds-b.Outcome.OverSeconds))
		})
		return choice, world, fmt.Sprintf("over %s, even with %d at the least, the best setting leaves the hottest replica above its safe %s for %s; run %d all the time, and see what is so fast",
			t.loadWords(), search.Most, rate(t.safe), timeWords(least.Outcome.OverSeconds), t.replicas.Value)
	}
	return choice, world, ""
}

// world is what the settings are tried in.
func (t attempt) world() hpa.World {
	load := t.points()
	ceiling, _ := t.subject.Ceiling()
	failover := t.load.shareAfterLoss() / t.load.share()
	w := hpa.World{
		Controller: hpa.Default(), Load: load, Timing: t.load.Scaling.Timing,
		Replica: hpa.Replica{Cores: t.cores(), Ceiling: ceiling, Request: t.request, SafeRPS: t.safe},
		Surge:   func(n int) int { return portionOf(t.load.MaxSurge, n, true) },
		Unavailable: func(n int) int {
			return portionOf(t.load.MaxUnavailable, n, false)
		},
		Disturbances: hpa.Disturb(load, hpa.Losses{Zones: t.load.Zones, ZoneSkew: t.load.ZoneSkew, Failover: failover}),
	}
	if t.load.Connections > 0 {
		type spread struct {
			replicas int
			factor   float64
		}
		known := map[spread]float64{}
		w.Replica.Hottest = func(n int, factor float64) float64 {
			key := spread{n, factor}
			if _, ok := known[key]; !ok {
				known[key] = t.load.hottestWith(math.Min(1, t.load.share()*factor), n)
			}
			return known[key]
		}
	}
	return w
}

// points is the load of this cluster over time, with the planned rate at its top.
func (t attempt) points() []hpa.Point {
	p, top := t.load.Scaling, t.load.here()
	if len(p.Curve) == 0 {
		trough := p.Trough * t.load.share()
		if trough <= 0 {
			trough = t.load.peak() * t.load.share() / 3
		}
		return hpa.Ramp(math.Min(trough, top), top)
	}
	highest := 0.0
	for _, point := range p.Curve {
		highest = math.Max(highest, point.RPS)
	}
	out := slices.Clone(p.Curve)
	for i := range out {
		out[i].RPS *= top / highest
	}
	return out
}

// coreSteps is how finely the CPU demand is tabled; between two steps it is taken
// as straight.
const coreSteps = 256

// cores is the CPU that the autoscaler sees at a rate: the lower end of the model,
// because less CPU than expected makes it late.
func (t attempt) cores() func(rps float64) float64 {
	most := 4 * t.safe
	table := make([]float64, coreSteps+1)
	for i := range table {
		use := safeCores(t.subject, most*float64(i)/coreSteps)
		table[i] = math.Max(0, math.Max(use.Low, use.Value/2))
		if i > 0 {
			table[i] = math.Max(table[i], table[i-1])
		}
	}
	return func(rps float64) float64 {
		at := rps / most * coreSteps
		i := min(int(at), coreSteps-1)
		return table[i] + (table[i+1]-table[i])*(at-float64(i))
	}
}

// tolerated is how far above its target the autoscaler leaves a utilisation alone.
func tolerated() float64 { return hpa.Default().Tolerance.Up }

// ruleOfThumb is the target that the formula gives, in percent; 0: none. It is
// shown beside the choice, as a check that a reader can redo.
//
//	u_t = u_safe ÷ (1 + tolerance) × (1 − growth × lag)
func (t attempt) ruleOfThumb(x *sheet, w hpa.World) int {
	lag := w.Timing.Lag()
	growth := math.Min(hpa.Growth(w.Load, lag), 1/lag.Seconds())
	use := x.input("useAtSafe", w.Replica.Cores(t.safe), "cores", "CPU of a replica at its safe rate of "+rate(t.safe)+", the lower end of the model")
	request := x.input("request", t.request, "cores", "the CPU request")
	x.input("tolerance", tolerated(), "", "--horizontal-pod-autoscaler-tolerance")
	x.input("growth", growth, "/s", "the fastest relative growth of the load within the lag")
	x.input("lag", lag.Seconds(), "s", "two scrapes, a sync, the start and the traffic of a replica")
	safe := x.step("utilisation at the safe rate", "uSafe", "", "useAtSafe / request", use/request)
	target := x.step("the rule of thumb for the target", "rule", "", "uSafe / (1 + tolerance) * max(0, 1 - growth * lag)",
		safe/(1+tolerated())*math.Max(0, 1-growth*lag.Seconds()))
	return int(100 * target)
}

// runnerUp is the index of the second cheapest candidate that holds; −1: none.
func runnerUp(c hpa.Choice) int {
	second := -1
	for i, candidate := range c.Candidates {
		if i != c.Best && candidate.Holds && (second < 0 || candidate.Outcome.PodHours < c.Candidates[second].Outcome.PodHours) {
			second = i
		}
	}
	return second
}

func (t attempt) wouldChange() []string {
	var words []string
	if len(t.load.Scaling.Curve) == 0 {
		words = append(words, "your load over a day or a week in place of the stated ramp: set demand.scaling.load")
	}
	timing := t.load.Scaling.Timing.WithDefaults()
	return append(words,
		fmt.Sprintf("replicas that are ready sooner than %s after the decision, or later: set demand.scaling.startUp", timeWords(timing.StartUp.Seconds())),
		fmt.Sprintf("another CPU request than %s: the target is a share of it", cpuWords(t.request)))
}

// loadWords says what the settings were tried with.
func (t attempt) loadWords() string {
	points := t.points()
	lowest, highest := points[0].RPS, 0.0
	for _, p := range points {
		lowest, highest = math.Min(lowest, p.RPS), math.Max(highest, p.RPS)
	}
	if len(t.load.Scaling.Curve) > 0 {
		return fmt.Sprintf("your load of %s, from %s to the planned %s", timeWords(points[len(points)-1].At.Seconds()), rate(lowest), rate(highest))
	}
	return fmt.Sprintf("a ramp from %s to the planned %s within %s and back", rate(lowest), rate(highest), timeWords(hpa.RampRise.Seconds()))
}

// WithSidecar makes the autoscaler of a service hold for the sidecar in its pods
// too: the autoscaler's metric is the service's own and does not see the sidecar's
// load. Nil, with the reason, when no setting does that.
func (h *HPA) WithSidecar(name string, capacity Capacity, replicas *Replicas, load Load) (changed *HPA, why string) {
	t := h.tried
	safe := capacity.Safe()
	if replicas == nil || !(safe > 0) || t.request <= 0 {
		return h, ""
	}
	t.most = max(t.most, hpaMost(capacity, replicas, load))
	if replicas.Value > t.replicas.Value {
		t.replicas = *replicas
	}
	if safe >= t.safe && t.most <= h.MaxReplicas {
		return h, ""
	}
	own := t.safe
	if safe < own {
		t.capacity = capacity
	}
	t.safe = math.Min(t.safe, safe)
	changed, why = t.hpa()
	if changed != nil && t.safe < own {
		changed.Reason += fmt.Sprintf("; %s shares the pods and carries %s safely, less than the %s of the service itself, and the autoscaler does not see its load", name, rate(safe), rate(own))
	}
	return changed, why
}
