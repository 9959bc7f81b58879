package breaker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Peak is the load that the destination has to carry.
type Peak struct {
	RPS           float64 // over all clients
	AnswerSeconds float64 // how long an answer takes at it
	Clients       int     // Envoys that share it: replicas of the gateway, or pods that call
	CapacityRPS   float64 // what one endpoint carries; 0: not known
	// SeenRPS is what one endpoint was seen to carry, where what it carries at most is
	// not known; 0: nothing was seen.
	SeenRPS float64
	From    PeakSources
}

// PeakSources say where the numbers of a peak come from, each in a few words.
type PeakSources struct{ Rate, Answer, Clients, Capacity string }

// carries is what one endpoint carries as far as it is known; 0: not known.
func (p Peak) carries() float64 { return cmp.Or(p.CapacityRPS, p.SeenRPS) }

// Given is a number that settings are judged by, and where it comes from.
type Given struct {
	Name   string  `json:"name"`
	What   string  `json:"-"` // the name in words
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"` // of the value: 1/s, s
	Source string  `json:"source"`
}

// Text writes the value for people.
func (g Given) Text() string {
	switch g.Unit {
	case perSecond:
		return quantity.Rate(g.Value)
	case inSeconds:
		return quantity.Duration(g.Value)
	}
	return quantity.Number(g.Value)
}

const (
	perSecond = "1/s"
	inSeconds = "s"
)

// Given lists the numbers of a peak; what is not known is left out.
func (p Peak) Given() []Given {
	all := []Given{
		{"rate", "rate of all clients together", p.RPS, perSecond, p.From.Rate},
		{"answerTime", "time that an answer takes", p.AnswerSeconds, inSeconds, p.From.Answer},
		{"clients", "clients that share it", float64(p.Clients), "", p.From.Clients},
	}
	switch {
	case p.CapacityRPS > 0:
		all = append(all, Given{"endpointCapacity", "rate that an endpoint carries", p.CapacityRPS, perSecond, p.From.Capacity})
	case p.SeenRPS > 0:
		all = append(all, Given{"endpointSeen", "rate that an endpoint was seen to carry", p.SeenRPS, perSecond, p.From.Capacity})
	}
	return all
}

// PeakOf returns the peak that a run is about: demand.peakRate of its scenario, and the
// highest rate that it measured where the scenario names none. Answers take what they
// took, between the instants at which a request left and its answer came, at the highest
// rate that held the objectives; where none did, at the highest with no more than a
// hundredth of errors. Phases of another mix or other quotas, and closed ones, whose rate
// is what the system made of it, say nothing of a peak.
//
// The clients are the gateways of the run, and an endpoint carries at least what each
// carried at that rate, of a run whose endpoints are those of the host.
func PeakOf(rec *record.Record, host string) (Peak, error) {
	var best, held *record.PhaseData
	for i := range rec.Data {
		data := &rec.Data[i]
		if !showsPeak(*data) {
			continue
		}
		if best == nil || data.Achieved() > best.Achieved() {
			best = data
		}
		if holds(*data, rec.Scenario.Objectives) && (held == nil || data.Achieved() > held.Achieved()) {
			held = data
		}
	}
	how := "the highest rate that held the objectives"
	if len(rec.Scenario.Objectives) == 0 {
		how = "the highest rate"
	}
	switch {
	case best == nil:
		return Peak{}, fmt.Errorf("%s has no phase that ended, was answered, and had fewer errors than 1 %%: give a rate, and --answer-time", rec.Dir)
	case held != nil:
		best = held
	case len(rec.Scenario.Objectives) > 0:
		how = "the highest rate, at which no objective was held: --answer-time says it better"
	}
	phase := fmt.Sprintf("the phase %s, at %s, %s", best.Spec.Name, quantity.Rate(best.Achieved()), how)
	p := Peak{
		RPS: best.Achieved(), AnswerSeconds: best.Service.Mean() / 1e9, Clients: 1,
		From: PeakSources{Rate: phase, Answer: "on average in " + phase, Clients: "assumed, since the run has no gateway: --clients says it"},
	}
	if wanted := rec.Scenario.Demand.PeakRate; !wanted.IsZero() {
		p.RPS, p.From.Rate = wanted.RPS(), "demand.peakRate of the scenario"
	}
	if gateways := gatewaysOf(rec); gateways > 0 {
		p.Clients, p.From.Clients = gateways, "as many gateways as the run had"
	}
	if service, ok := EndpointsOf(rec, host); ok && held != nil && len(rec.Scenario.Objectives) > 0 {
		p.SeenRPS = held.Achieved() / float64(max(1, service.Replicas))
		p.From.Capacity = fmt.Sprintf("what each of %s carried in %s", plural(max(1, service.Replicas), "replica"), phase)
	}
	return p, nil
}

// gatewaysOf is how many gateways a run had in front of the endpoints; where it had none
// that lets traffic in, those that let it out.
func gatewaysOf(rec *record.Record) int {
	for _, role := range []scenarios.Role{scenarios.RoleGateway, scenarios.RoleEgress} {
		n := 0
		for _, c := range rec.Components {
			if c.Role == role {
				n += max(1, c.Replicas)
			}
		}
		if n > 0 {
			return n
		}
	}
	return 0
}

// EndpointsOf returns the component of a run that stands behind the host: its only
// service, or that of several which has the host's name.
func EndpointsOf(rec *record.Record, host string) (record.Component, bool) {
	var services []record.Component
	for _, c := range rec.Components {
		if c.Role == scenarios.RoleService {
			services = append(services, c)
		}
	}
	if len(services) == 1 {
		return services[0], true
	}
	name, _, _ := strings.Cut(host, ".")
	if i := slices.IndexFunc(services, func(c record.Component) bool { return c.Name == name }); i >= 0 {
		return services[i], true
	}
	return record.Component{}, false
}

// showsPeak reports whether a phase tells how long answers take in operation.
func showsPeak(data record.PhaseData) bool {
	if kind := data.Spec.Kind; kind == scenarios.KindPreflight || kind == scenarios.KindWarmUp || kind.Aside() {
		return false
	}
	return data.Ended == record.EndedDone && data.Spec.Process != scenarios.Closed && data.Achieved() > 0 &&
		data.ErrorRatio() <= 0.01 && data.Service != nil && data.Service.TotalCount() > 0
}

// holds reports whether what was seen of a phase holds the objectives.
func holds(data record.PhaseData, objectives []scenarios.Objective) bool {
	for _, o := range objectives {
		if o.IsLatency() && (data.Latency == nil || data.Latency.ValueAtQuantile(100*o.Quantile) > int64(o.Latency)) {
			return false
		}
		if !o.IsLatency() && data.ErrorRatio() > float64(o.ErrorRatio) {
			return false
		}
	}
	return true
}
