package recommend

import (
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios"
)

// Costs are what the resources that are requested cost, in all clusters together.
type Costs struct {
	Currency string  `json:"currency,omitempty"`
	RateRps  float64 `json:"rateRps"` // that the costs are spread over, today
	RateFrom string  `json:"rateFrom"`
	// Now is of what is declared today, nil where that is not known. Recommended is of
	// what today's peak needs with its headroom and its losses, AtHorizon of all
	// that is planned, spread over the rate of then.
	Now         *Cost    `json:"now,omitempty"`
	Recommended *Cost    `json:"recommended,omitempty"`
	AtHorizon   *Cost    `json:"atHorizon,omitempty"`
	Components  []string `json:"components"` // that are counted
	Notes       []string `json:"notes"`
	Basis
}

// Cost is what something costs.
type Cost struct {
	PerHour            float64 `json:"perHour"`
	PerMillionRequests float64 `json:"perMillionRequests"`
}

// CostItem is a component as its costs see it.
type CostItem struct {
	Name      string
	Declared  Declared
	Resources *Resources
	Today     *Replicas // what today's peak needs
	Planned   *Replicas
}

const gibi = 1 << 30

// CostsFor returns the costs; nil without prices, or without anything that has
// replicas and resources.
func CostsFor(items []CostItem, prices scenarios.Prices, load Load, meanRPS float64) *Costs {
	if !prices.Any() || !(load.peak() > 0) {
		return nil
	}
	c := &Costs{Currency: prices.Currency, RateRps: load.peak(), RateFrom: "today's peak", Components: []string{}, Notes: []string{}}
	if meanRPS > 0 {
		c.RateRps, c.RateFrom = meanRPS, "demand.meanRate"
	} else {
		c.Notes = append(c.Notes, "the costs are those of a million requests at the peak; over a day they are higher by peak ÷ mean rate, as far as replicas stay when it is quiet: set demand.meanRate")
	}
	x := &sheet{}
	x.input("cpuHour", prices.CPUHour, "", "prices.cpuHour, of a core")
	x.input("gibHour", prices.GiBHour, "", "prices.gibHour, of a GiB")
	x.input("clusters", float64(load.clusters()), "", "each counted as the busiest")
	var now, recommended, horizon []string
	var nowHour, recommendedHour, horizonHour float64
	unknown := ""
	for _, item := range items {
		if item.Resources == nil || item.Planned == nil || item.Today == nil {
			continue
		}
		id := letter(len(c.Components))
		c.Components = append(c.Components, item.Name)
		cpu, gib := coresOf(item.Resources.Requests.CPU), bytesOf(item.Resources.Requests.Memory)/gibi
		x.input("cpu"+id, cpu, "cores", item.Name+": recommended CPU request")
		x.input("gib"+id, gib, "GiB", item.Name+": recommended memory request")
		each := cpu*prices.CPUHour + gib*prices.GiBHour
		x.step(item.Name+": an hour of a replica", "each"+id, "", fmt.Sprintf("cpu%s * cpuHour + gib%s * gibHour", id, id), each)
		x.input("today"+id, float64(item.Today.Value), "", item.Name+": replicas for today's peak with headroom, losses included")
		x.input("planned"+id, float64(item.Planned.Value), "", item.Name+": replicas for the planned rate")
		recommended, recommendedHour = append(recommended, "today"+id+" * each"+id), recommendedHour+float64(item.Today.Value)*each
		horizon, horizonHour = append(horizon, "planned"+id+" * each"+id), horizonHour+float64(item.Planned.Value)*each
		d := item.Declared
		if d.Replicas <= 0 || d.CPURequest <= 0 && prices.CPUHour > 0 || d.MemoryRequest <= 0 && prices.GiBHour > 0 {
			unknown = item.Name
			continue
		}
		x.input("declared"+id, float64(d.Replicas), "", item.Name+": replicas today")
		x.input("declaredCpu"+id, d.CPURequest, "cores", item.Name+": CPU request today")
		x.input("declaredGib"+id, d.MemoryRequest/gibi, "GiB", item.Name+": memory request today")
		now = append(now, fmt.Sprintf("declared%s * (declaredCpu%s * cpuHour + declaredGib%s * gibHour)", id, id, id))
		nowHour += float64(d.Replicas) * (d.CPURequest*prices.CPUHour + d.MemoryRequest/gibi*prices.GiBHour)
	}
	if len(c.Components) == 0 {
		return nil
	}
	x.input("rate", c.RateRps, "/s", c.RateFrom)
	clusters := float64(load.clusters())
	cost := func(name, what string, terms []string, hour, rps float64, rate string) *Cost {
		hour = x.step(what+": an hour", name+"Hour", "", "clusters * ("+strings.Join(terms, " + ")+")", clusters*hour)
		million := x.step(what+": a million requests", name+"Million", "", name+"Hour / ("+rate+" * 3600) * 1000000", hour/(rps*3600)*1e6)
		return &Cost{PerHour: hour, PerMillionRequests: million}
	}
	if unknown == "" {
		c.Now = cost("now", "as declared today", now, nowHour, c.RateRps, "rate")
	} else {
		c.Notes = append(c.Notes, fmt.Sprintf("what it costs now is not known: replicas and requests of %s are not declared (demand.today, or observe.components of a target)", unknown))
	}
	c.Recommended = cost("recommended", "as recommended, for today's peak", recommended, recommendedHour, c.RateRps, "rate")
	growth, from := load.growth(), "(1 + demand.growthPerMonth)^demand.horizonMonths"
	if load.Growth > 0 {
		from = "what the peak is multiplied by until then, the upper end of what demand.history tells"
	}
	x.input("growth", growth, "", from)
	c.AtHorizon = cost("horizon", "as recommended, at the end of the horizon", horizon, horizonHour, c.RateRps*growth, "rate * growth")
	constraints := []Constraint{{By: "recommended", Value: c.Recommended.PerHour, Why: "an hour of what is recommended for today's peak"}}
	if c.Now != nil {
		constraints = append(constraints, Constraint{By: "now", Value: c.Now.PerHour, Why: "an hour of what is declared today"})
	}
	c.Basis = x.basis(constraints, "an autoscaler, which runs fewer replicas when it is quiet", "prices, and what the nodes cost beyond what is requested of them")
	return c
}

// letter tells components apart in names of the arithmetic.
func letter(i int) string { return string(rune('A' + i%26)) }
