package analysis

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models/growth"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// How far dates are looked for, in days: limits are reached after the time that is
// planned for, if all goes well.
const (
	leastDaysAhead = 365
	timesPlanned   = 2
)

// apartPeaks is the factor between the peak of a history and the peak that the scenario
// states from which on they may not be of the same traffic.
const apartPeaks = 1.5

// future returns what demand will be, and plans for it where a history says so; nil
// where nothing is said of growth.
func (r *Result) future(rec *record.Record) *recommend.Future {
	d := rec.Scenario.Demand
	f := &recommend.Future{Scale: 1, Months: max(d.HorizonMonths, 0)}
	days := max(leastDaysAhead, int(math.Ceil(timesPlanned*float64(f.Months)*recommend.MonthDays)))
	switch {
	case len(rec.Demand) > 0:
		f.From, f.Forecast = "history", demandForecast(rec, growth.Options{HorizonDays: days, Seed: rec.Seed})
		r.planByHistory(f)
	case d.GrowthPerMonth > 0 && r.Demand.PeakRps > 0:
		f.From = "growthPerMonth"
		f.Forecast = growth.FromRate(rec.StartedAt, r.Demand.PeakRps, float64(d.GrowthPerMonth), days)
	default:
		return nil
	}
	return f
}

// demandForecast is what the history of demand in a record tells.
func demandForecast(rec *record.Record, options growth.Options) growth.Forecast {
	var h growth.History
	for _, s := range rec.Demand {
		h.Times, h.Rates = append(h.Times, s.At), append(h.Rates, s.RPS)
	}
	return growth.FromHistory(h, options)
}

// planByHistory puts the growth of a history into the planned rate.
func (r *Result) planByHistory(f *recommend.Future) {
	d := &r.Demand
	if !f.Forecast.OK() {
		r.Warnings = append(r.Warnings, "demand.history tells no growth, so none is planned for: "+f.Forecast.Why)
		return
	}
	f.Forecast.Warnings = append([]string{}, f.Forecast.Warnings...)
	seen := f.Forecast.Highest
	switch {
	case !(d.PeakRps > 0):
		d.PeakRps = seen
	case seen > 0:
		f.Scale = d.PeakRps / seen
		if f.Scale > apartPeaks || f.Scale < 1/apartPeaks {
			f.Forecast.Warnings = append(f.Forecast.Warnings, fmt.Sprintf("the last week of demand.history peaks at %s, demand.peakRate is %s: are they of the same traffic? Its growth is taken, and the level from demand.peakRate",
				perSecond(seen), perSecond(d.PeakRps)))
		}
	}
	days := int(math.Ceil(float64(f.Months)*recommend.MonthDays - 1e-9))
	peak := f.Forecast.PeakWithin(days)
	if f.Months == 0 || !peak.OK() || !(seen > 0) {
		return
	}
	d.GrowthFactor = math.Max(1, peak.High/seen)
	d.PlannedRps = finite(d.PeakRps * (1 + d.Headroom) * d.GrowthFactor)
	d.Reason = fmt.Sprintf("%s at the peak × %.4g headroom × %.4g growth over %d months, the upper end of what %d days of history tell = %s",
		perSecond(d.PeakRps), 1+d.Headroom, d.GrowthFactor, f.Months, f.Forecast.N, perSecond(d.PlannedRps))
}

// growthItems are the components as their growth sees them.
func (r *Result) growthItems(subjects []recommend.Subject, load recommend.Load) []recommend.GrowthItem {
	var items []recommend.GrowthItem
	for i, c := range r.Components {
		items = append(items, recommend.GrowthItem{
			Subject: subjects[i], Capacity: c.CapacityPerReplicaRps, CPULimit: c.CPULimitRps, Replicas: c.Replicas,
			HPA: c.HPA, Signal: c.Signal, Resources: c.Resources, Load: loadFor(subjects[i].Role, load),
		})
	}
	return items
}
