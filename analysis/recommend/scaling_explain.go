package recommend

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/models/hpa"
)

// explain notes how the setting was chosen from what the simulation showed: the
// cheapest of the targets that hold, the fewest replicas and the most. pods names the
// least of the result's replicas.
func (t attempt) explain(x *sheet, choice hpa.Choice, world hpa.World, least, most int) {
	best := choice.Candidates[choice.Best]
	var names []string
	for i, c := range choice.Candidates {
		if !c.Holds {
			continue
		}
		name, what := "hours"+letter(i), fmt.Sprintf("a target of %d\u00a0%%", c.Target)
		if c.Target <= 0 {
			what = "a threshold of " + rate(c.RPS) + " per replica"
		}
		names = append(names, x.name(name, c.Outcome.PodHours, fmt.Sprintf("simulated: pod-hours with %s and %d replicas at the least, the fewest with which it holds", what, c.Min)))
	}
	x.step("pod-hours of the cheapest that holds", "cheapest", "pod-hours", "min("+strings.Join(names, ", ")+")", best.Outcome.PodHours)
	setting := "its target"
	if best.Target > 0 {
		x.input("target", float64(best.Target), "%", "the one with so many pod-hours; of equals the one that changes direction less often, then the lower")
	} else {
		setting = "its threshold"
		x.input("threshold", best.RPS, "/s", "the one with so many pod-hours; of equals the one that changes direction less often, then the lower")
	}
	x.input("fewestTried", float64(best.Min), "", "simulated: the fewest minReplicas with which "+setting+" holds")
	x.input("lowestSeen", float64(best.Outcome.MinPods), "", "simulated: the fewest replicas that it came down to")
	x.input("zones", float64(max(t.load.Zones, 1)), "", "demand.zones")
	t.explainMost(x, most)
	x.step("minReplicas: none that was not tried, and one a zone", "minReplicas", "", "min(maxReplicas, max(fewestTried, lowestSeen, zones))", float64(least))
	t.explainSteady(x, best, world)
}

// name is input without a unit, and returns the name.
func (s *sheet) name(name string, value float64, from string) string {
	s.input(name, value, "pod-hours", from)
	return name
}

// explainMost notes where maxReplicas comes from: the arithmetic of replicas again, for
// more than the planned rate.
func (t attempt) explainMost(x *sheet, most int) {
	x.input("surge", surge, "", "how far above the plan the autoscaler may still follow")
	x.input("plannedRate", t.load.PlannedRPS, "/s", "the rate to plan for")
	x.step("rate above the plan", "plannedAbove", "/s", "plannedRate * surge", t.load.PlannedRPS*surge)
	x.input("recommended", float64(max(t.replicas.Value, fewestReplicas)), "", "replicas without an autoscaler")
	load := t.load
	load.PlannedRPS *= surge
	above, _ := ReplicasFor(t.capacity, load)
	if above == nil || t.most > max(t.replicas.Value, fewestReplicas, above.Value) {
		// Another component of the pods asks for more.
		x.input("otherMost", float64(t.most), "", "replicas for it, of what shares the pods")
		x.step("maxReplicas", "maxReplicas", "", "max(recommended, otherMost)", float64(most))
		return
	}
	x.append(above.Basis, "Above", "planned")
	x.step("maxReplicas", "maxReplicas", "", "max(recommended, replicasAbove)", float64(most))
}

// append takes the arithmetic of another recommendation over, each name with a suffix.
// An input that is known already under its new name is left out, as known says it is.
func (s *sheet) append(b Basis, suffix, known string) {
	names := map[string]bool{}
	for _, v := range b.Inputs {
		names[v.Name] = true
		if v.Name != known {
			s.input(v.Name+suffix, v.Value, v.Unit, v.From)
		}
	}
	for _, step := range b.Explain {
		formula := nameOnly.ReplaceAllStringFunc(step.Formula, func(name string) string {
			if names[name] {
				return name + suffix
			}
			return name
		})
		s.step(step.Step, step.Name+suffix, step.Unit, formula, step.Result)
		names[step.Name] = true
	}
}

var nameOnly = regexp.MustCompile(`[A-Za-z][A-Za-z0-9]*`)

// explainSteady works out by Kubernetes' own formula what the autoscaler asks for at the
// planned rate: the reader can hold it against the table of the simulation.
func (t attempt) explainSteady(x *sheet, best hpa.Candidate, world hpa.World) {
	here := x.input("hereRate", t.load.here(), "/s", "the planned rate of this cluster")
	n := x.input("pods", float64(t.replicas.CarriesPlannedRate), "", "replicas that carry it with nothing lost, to look at the autoscaler's formula with")
	each := x.step("rate of each", "each", "/s", "hereRate / pods", here/n)
	tolerance := x.input("tolerated", tolerated(), "", "--horizontal-pod-autoscaler-tolerance")
	if best.Target <= 0 {
		ratio := x.step("load against the threshold", "ratio", "", "each / threshold", each/best.RPS)
		t.asks(x, n, ratio, tolerance)
		return
	}
	use := x.input("useOfEach", world.Replica.Cores(each), "cores", "CPU of a replica at that rate, the lower end of the model")
	request := x.input("requestOfEach", t.request, "cores", "the CPU request")
	// 1e-9: what is printed has eight digits.
	percent := x.step("its utilisation in whole percent, as the autoscaler has it", "percent", "%", "floor(100 * useOfEach / requestOfEach)", math.Floor(100*use/request+1e-7))
	ratio := x.step("utilisation against the target", "ratio", "", "percent / target", percent/float64(best.Target))
	t.asks(x, n, ratio, tolerance)
}

// asks is what the autoscaler asks for: nothing else within its tolerance.
func (t attempt) asks(x *sheet, n, ratio, tolerance float64) {
	asked, formula, what := math.Ceil(n*ratio-1e-9), "ceil(pods * ratio)", "replicas that the autoscaler then asks for, beyond its tolerance"
	if math.Abs(ratio-1) <= tolerance {
		asked, formula, what = n, "pods", "replicas that the autoscaler then asks for: as many, within its tolerance"
	}
	x.step(what, "asked", "", formula, asked)
}
