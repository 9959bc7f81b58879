package recommend

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/scenarios"
)

// Setting is one of several ways to run a component, each measured by itself.
type Setting struct {
	Name     string
	Capacity Capacity
	Replicas int        // losses included; 0: no rate is planned for
	Requests Quantities // of a replica
}

// Cores is what all replicas request.
func (s Setting) Cores() float64 {
	return float64(max(s.Replicas, 1)) * coresOf(s.Requests.CPU)
}

// Cheapest returns the index of the setting that takes the least, and what each takes:
// by the hour where there are prices, or else in cores, for the planned rate; where no
// rate is planned for, in cores for 1 000 requests a second. There has to be one
// setting at the least, with a safe rate and a CPU request each. The constraints of the
// basis are the settings, the cheapest first.
func Cheapest(settings []Setting, prices scenarios.Prices) (chosen int, costs []float64, basis Basis) {
	x := &sheet{}
	priced := prices.Any() && settings[0].Replicas > 0
	if priced {
		x.input("cpuHour", prices.CPUHour, "", "prices.cpuHour, of a core")
		x.input("gibHour", prices.GiBHour, "", "prices.gibHour, of a GiB")
	}
	var constraints []Constraint
	for i, s := range settings {
		id := letter(i)
		cpu := x.input("cpu"+id, coresOf(s.Requests.CPU), "cores", s.Name+": CPU request of a replica")
		cost, unit := 0.0, "cores"
		switch {
		case s.Replicas <= 0:
			safe := x.input("safe"+id, s.Capacity.Safe(), "/s", s.Name+": what a replica carries, the safe end")
			cost = x.step(s.Name+": cores for 1000 requests a second", "cost"+id, unit, fmt.Sprintf("1000 / safe%s * cpu%s", id, id), 1000/safe*cpu)
		case priced:
			n := x.input("replicas"+id, float64(s.Replicas), "", s.Name+": replicas, losses included")
			gib := x.input("gib"+id, bytesOf(s.Requests.Memory)/gibi, "GiB", s.Name+": memory request of a replica")
			cost = x.step(s.Name+": an hour of all", "cost"+id, "", fmt.Sprintf("replicas%s * (cpu%s * cpuHour + gib%s * gibHour)", id, id, id), n*(cpu*prices.CPUHour+gib*prices.GiBHour))
			unit = ""
		default:
			n := x.input("replicas"+id, float64(s.Replicas), "", s.Name+": replicas, losses included")
			cost = x.step(s.Name+": cores that all request", "cost"+id, unit, fmt.Sprintf("replicas%s * cpu%s", id, id), n*cpu)
		}
		costs = append(costs, cost)
		// The least decides, and a basis puts the largest first.
		constraints = append(constraints, Constraint{By: s.Name, Value: -cost, Unit: unit, Why: "what it takes"})
		if cost < costs[chosen] {
			chosen = i
		}
	}
	basis = x.basis(constraints, "threads and limits that were not tried", "another machine: how far two threads get depends on its processors")
	for i := range basis.Constraints {
		basis.Constraints[i].Value = math.Abs(basis.Constraints[i].Value)
	}
	return chosen, costs, basis
}
