package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Sweep is what sizings of one lab with different worker threads and CPU limits of its
// gateway come to: which of them to run, and what a CPU quota costs.
type Sweep struct {
	Scenario      string          `json:"scenario"`
	Evidence      record.Evidence `json:"evidence"`
	PlannedRps    float64         `json:"plannedRps"` // 0: the scenario plans for none
	Outcome       Outcome         `json:"outcome"`    // recommended, infeasible or invalid
	OutcomeReason string          `json:"outcomeReason"`
	Chosen        int             `json:"chosen"` // index of a run; −1: none
	Runs          []SweptRun      `json:"runs"`   // in the order in which they were given
	Prices        []QuotaPrice    `json:"quotaPrices"`
	Warnings      []string        `json:"warnings"`
	recommend.Basis
}

// SweptRun is one of the sizings.
type SweptRun struct {
	Dir           string               `json:"dir"`
	Concurrency   int                  `json:"concurrency"`
	CPULimitCores float64              `json:"cpuLimitCores,omitempty"` // 0: none
	Outcome       Outcome              `json:"outcome"`
	OutcomeReason string               `json:"outcomeReason"`
	MeasuredRps   stat.Estimate        `json:"measuredRps"` // SLO edge of the chain, by the blind search
	Capacity      Capacity             `json:"capacityPerReplicaRps"`
	Replicas      int                  `json:"replicas,omitempty"` // 0: not recommended
	Requests      recommend.Quantities `json:"requests"`           // of a replica
	CPUCores      float64              `json:"cpuCores,omitempty"` // requested by all replicas
	CostPerHour   float64              `json:"costPerHour,omitempty"`
	WhyNot        string               `json:"whyNot,omitempty"`     // it does not count; empty when it does
	QuotaTrial    *QuotaTrial          `json:"quotaTrial,omitempty"` // with sizing.quotaPrice

	points  []quotaPoint
	setting recommend.Setting
	planned float64
}

// QuotaPrice is what a CPU quota costs: p99 at about one rate with it and without.
type QuotaPrice struct {
	With           int     `json:"with"`    // index of the run that was throttled
	Without        int     `json:"without"` // index of the run that was not
	WithRps        float64 `json:"withRps"`
	WithoutRps     float64 `json:"withoutRps"`
	ThrottledRatio float64 `json:"throttledRatio"` // share of quota periods
	WithSeconds    float64 `json:"withP99Seconds"`
	WithoutSeconds float64 `json:"withoutP99Seconds"`
}

// Name is the setting of a run, for people.
func (r SweptRun) Name() string {
	limit := "no CPU limit"
	if r.CPULimitCores > 0 {
		limit = "CPU limit " + scenarios.CPU(math.Round(1000*r.CPULimitCores)).String()
	}
	if r.Concurrency == 1 {
		return "1 thread, " + limit
	}
	return fmt.Sprintf("%d threads, %s", r.Concurrency, limit)
}

// quotaPoint is a phase of the gateway.
type quotaPoint struct{ rps, throttled, p99 float64 }

// SweepOf compares sizings of the same lab. The one that is chosen requests the least
// for the planned rate, by the scenario's prices or else by cores, of those whose
// proof agrees; where no rate is planned for, a core of it carries the most.
func SweepOf(records []*record.Record) (Sweep, error) {
	if len(records) < 2 {
		return Sweep{}, errors.New("a sweep needs two sizings at the least")
	}
	s := Sweep{Scenario: records[0].Scenario.Metadata.Name, Evidence: records[0].Evidence, Chosen: -1, Runs: []SweptRun{}, Prices: []QuotaPrice{}, Warnings: []string{}}
	for _, rec := range records {
		if rec.Lab == nil || rec.Scenario.Metadata.Name != s.Scenario {
			return Sweep{}, fmt.Errorf("%s is no sizing of a lab of %s", rec.Dir, s.Scenario)
		}
		run, err := sweptRun(rec)
		if err != nil {
			return Sweep{}, err
		}
		s.Runs = append(s.Runs, run)
		s.PlannedRps = math.Max(s.PlannedRps, run.planned)
	}
	s.choose(records[0].Scenario.Prices)
	s.prices()
	return s, nil
}

func sweptRun(rec *record.Record) (SweptRun, error) {
	result, err := Analyze(rec)
	if err != nil {
		return SweptRun{}, err
	}
	run := SweptRun{Dir: rec.Dir, Outcome: result.Outcome, OutcomeReason: result.OutcomeReason, QuotaTrial: result.QuotaTrial}
	run.MeasuredRps = stat.NotEstimable(0, "there was no proof")
	if result.Verification != nil {
		run.MeasuredRps = result.Verification.MeasuredRps
	}
	at := slices.IndexFunc(result.Components, func(c Component) bool { return c.Role == string(scenarios.RoleGateway) })
	if at < 0 {
		return run, fmt.Errorf("%s has no gateway", rec.Dir)
	}
	c := result.Components[at]
	run.Concurrency, run.CPULimitCores, run.Capacity = c.Concurrency, c.CPULimitCores, c.CapacityPerReplicaRps
	if c.Replicas != nil {
		run.Replicas = c.Replicas.Value
	}
	if c.Resources != nil {
		run.Requests = c.Resources.Requests
	}
	run.setting = recommend.Setting{Name: run.Name(), Capacity: run.Capacity, Replicas: run.Replicas, Requests: run.Requests}
	run.CPUCores, run.planned = run.setting.Cores(), result.Demand.PlannedRps
	for _, p := range result.Phases {
		ratio, known := p.Throttled[c.Name]
		if p.Verdict.Valid && p.P99.OK() && p.OfferedRps > 0 {
			if !known && run.CPULimitCores > 0 {
				continue
			}
			run.points = append(run.points, quotaPoint{p.OfferedRps / float64(max(c.ReplicasMeasured, 1)), ratio, p.P99.Value})
		}
	}
	switch {
	case result.Outcome != Recommended:
		run.WhyNot = result.OutcomeReason
	case !(run.Capacity.Safe() > 0):
		run.WhyNot = "what a replica carries is not known"
	case run.CPUCores == 0:
		run.WhyNot = "what it requests is not known"
	case result.Demand.PlannedRps > 0 && run.Replicas == 0:
		run.WhyNot = "no replicas are recommended"
	}
	return run, nil
}

// choose takes the cheapest.
func (s *Sweep) choose(prices scenarios.Prices) {
	var settings []recommend.Setting
	var of []int
	for i, r := range s.Runs {
		if r.WhyNot == "" {
			settings, of = append(settings, r.setting), append(of, i)
		}
	}
	if len(settings) == 0 {
		is := func(outcomes ...Outcome) bool {
			return !slices.ContainsFunc(s.Runs, func(r SweptRun) bool { return !slices.Contains(outcomes, r.Outcome) })
		}
		switch {
		case is(Infeasible):
			s.Outcome = Infeasible
		case is(Infeasible, Contradicted):
			s.Outcome = Contradicted
		default:
			s.Outcome = Invalid
		}
		s.OutcomeReason = "none of the settings came to a recommendation: " + s.Runs[0].Name() + ": " + s.Runs[0].WhyNot
		return
	}
	chosen, costs, basis := recommend.Cheapest(settings, prices)
	s.Chosen, s.Basis, s.Outcome = of[chosen], basis, Recommended
	priced := prices.Any() && s.PlannedRps > 0
	for i, cost := range costs {
		if priced {
			s.Runs[of[i]].CostPerHour = cost
		}
	}
	what := func(cost float64) string {
		switch {
		case s.PlannedRps <= 0:
			return quantity.Cores(cost) + " for 1\u00a0000/s"
		case priced:
			return quantity.FineNumber(cost) + " an hour"
		}
		return quantity.Cores(cost) + " requested"
	}
	s.OutcomeReason = fmt.Sprintf("%s: %s", s.Runs[s.Chosen].Name(), what(costs[chosen]))
	if len(basis.Constraints) > 1 {
		next := basis.Constraints[1]
		s.OutcomeReason += fmt.Sprintf("; the next is %s with %s", next.By, what(next.Value))
		if next.Value < (1+nearCosts)*costs[chosen] {
			s.Warnings = append(s.Warnings, "the two cheapest settings differ by less than a tenth, about as much as two sizings of one setting do: either will do")
		}
	}
	if len(settings) < len(s.Runs) {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d of %d settings came to no recommendation, and do not count", len(s.Runs)-len(settings), len(s.Runs)))
	}
}

// nearCosts is the share by which two costs differ that two sizings of the same setting
// may have as well.
const nearCosts = 0.10

const (
	freeOfQuota = 0.05 // share of throttled periods up to which a quota is not felt
	underQuota  = 0.20 // and from which on it is
	nearbyRates = 0.15 // by which two rates may differ that are called the same
)

// prices reads what a quota costs from phases at about the same rate, of which one was
// throttled and the other, under a higher limit, was not.
func (s *Sweep) prices() {
	for i, with := range s.Runs {
		if with.CPULimitCores <= 0 {
			continue
		}
		var found []QuotaPrice
		for k, without := range s.Runs {
			if k == i || without.CPULimitCores > 0 && without.CPULimitCores <= with.CPULimitCores {
				continue
			}
			if p, ok := priceOf(with.points, without.points); ok {
				p.With, p.Without = i, k
				found = append(found, p)
			}
		}
		// First the one with as many threads: then nothing but the quota differs.
		apart := func(p QuotaPrice) int {
			return max(s.Runs[p.Without].Concurrency, with.Concurrency) - min(s.Runs[p.Without].Concurrency, with.Concurrency)
		}
		slices.SortStableFunc(found, func(a, b QuotaPrice) int { return apart(a) - apart(b) })
		s.Prices = append(s.Prices, found[:min(len(found), 1)]...)
	}
}

// priceOf returns the price at the lowest rate at which one is throttled and the other,
// at about the same rate, is not.
func priceOf(with, without []quotaPoint) (price QuotaPrice, ok bool) {
	for _, a := range with {
		if a.throttled < underQuota || ok && a.rps >= price.WithRps {
			continue
		}
		nearest := nearbyRates
		for _, b := range without {
			if off := math.Abs(b.rps/a.rps - 1); b.throttled <= freeOfQuota && off <= nearest {
				nearest, ok = off, true
				price = QuotaPrice{WithRps: a.rps, WithoutRps: b.rps, ThrottledRatio: a.throttled, WithSeconds: a.p99, WithoutSeconds: b.p99}
			}
		}
	}
	return price, ok
}
