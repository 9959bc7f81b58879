package recommend

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models/growth"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Growth is when demand reaches the limits of what is recommended, and what has to
// be reserved until then.
type Growth struct {
	From          string        `json:"from"`  // growthPerMonth or history
	Start         string        `json:"start"` // date that days are counted from
	HorizonDays   int           `json:"horizonDays"`
	PeakRps       float64       `json:"peakRps"`       // on that date
	PerMonth      stat.Estimate `json:"perMonthRatio"` // by which the peak grows, on that date
	Shape         string        `json:"shape"`         // linear or exponential
	Weekdays      []float64     `json:"weekdays,omitempty"`
	DaysOfHistory int           `json:"daysOfHistory,omitempty"`
	Limits        []Limit       `json:"limits"`  // in the order in which they are reached
	Reserve       []Reserve     `json:"reserve"` // in order of time
	Warnings      []string      `json:"warnings"`
	Why           string        `json:"why,omitempty"` // nothing is estimable; empty when something is
	Basis
}

// Limit is a limit of a component, and when demand reaches it.
type Limit struct {
	Component string        `json:"component"`
	By        string        `json:"by"`
	Replicas  int           `json:"replicas"` // that it is the limit of
	Rps       stat.Estimate `json:"rps"`      // of the whole chain
	Outcome   string        `json:"outcome"`
	// Days from Growth.Start, and the dates of its value and its ends; empty where an
	// end lies beyond the horizon or there is none.
	Days     stat.Estimate `json:"days"`
	Date     string        `json:"date,omitempty"`
	Earliest string        `json:"earliest,omitempty"`
	Latest   string        `json:"latest,omitempty"`
	Chance   float64       `json:"chance"` // that it is within the horizon
	Why      string        `json:"why"`
}

// Reserve is what to have ready for a time ahead.
type Reserve struct {
	Months     int             `json:"months"`
	Date       string          `json:"date"`
	PeakRps    stat.Estimate   `json:"peakRps"`    // the highest until then
	PlannedRps float64         `json:"plannedRps"` // its upper end, with headroom
	Components []ReserveOfPart `json:"components"`
}

// ReserveOfPart is what a component needs then, in one cluster.
type ReserveOfPart struct {
	Component string  `json:"component"`
	Replicas  int     `json:"replicas"`
	CPUCores  float64 `json:"cpuCores"`    // requested by all of them
	Memory    float64 `json:"memoryBytes"` // likewise
}

// The limits that are no candidates of a capacity.
const (
	ByReplicaMaximum = "replica-maximum"
	ByReplicasToday  = "replicas-today"
	ByCPULimit       = "cpu-limit"
)

// GrowthItem is a component as its growth sees it.
type GrowthItem struct {
	Subject   Subject
	Capacity  Capacity
	CPULimit  stat.Estimate // rps per replica
	Replicas  *Replicas
	HPA       *HPA
	Signal    *Signal
	Resources *Resources
	Load      Load // as it comes to this component
}

// most is how many replicas there may be, and in words what says so.
func (i GrowthItem) most() (n int, what string) {
	switch {
	case i.HPA != nil:
		return i.HPA.MaxReplicas, "maxReplicas of the autoscaler"
	case i.Signal != nil:
		return i.Signal.MaxReplicas, "maxReplicas of the autoscaler"
	}
	return i.Replicas.Value, "the replicas that are recommended"
}

// Future is a forecast of demand, and the factor from its rates to those of the load.
type Future struct {
	Forecast growth.Forecast
	Scale    float64 // > 0
	From     string  // growthPerMonth or history
	Months   int     // to plan for
}

// MonthDays is a twelfth of a year, 365.25 ÷ 12.
const MonthDays = 30.4375

// GrowthFor returns when the limits of components are reached. Nil without a
// forecast, or without anything that was sized.
func GrowthFor(f *Future, items []GrowthItem) *Growth {
	items = slices.DeleteFunc(slices.Clone(items), func(i GrowthItem) bool { return i.Replicas == nil || !(i.Capacity.Safe() > 0) })
	if f == nil || len(items) == 0 {
		return nil
	}
	g := &Growth{
		From: f.From, Start: dateText(f.Forecast.Start), HorizonDays: f.Forecast.HorizonDays, PeakRps: f.Forecast.Highest * f.Scale,
		PerMonth: f.Forecast.PerMonth, Shape: string(f.Forecast.Shape), Weekdays: f.Forecast.Weekdays, DaysOfHistory: f.Forecast.N,
		Limits: []Limit{}, Reserve: []Reserve{}, Warnings: append([]string{}, f.Forecast.Warnings...), Why: f.Forecast.Why,
	}
	if g.Why != "" {
		g.PerMonth = stat.NotEstimable(f.Forecast.N, g.Why)
		return g
	}
	for _, item := range items {
		for _, l := range item.limits() {
			g.Limits = append(g.Limits, f.reaches(l))
		}
		if !item.asMeasured() {
			g.Warnings = append(g.Warnings, fmt.Sprintf("the %d replicas of %s today have a CPU limit of %s, and it was measured with %s: how long they last is not known",
				item.Subject.Declared.Replicas, item.Subject.Name, cpuWords(item.Subject.Declared.CPULimit), cpuWords(item.Subject.CPULimit)))
		}
	}
	slices.SortStableFunc(g.Limits, func(a, b Limit) int {
		// Of those beyond the horizon the lower rate comes first.
		return cmp.Or(cmp.Compare(orInf(a.Days.Value), orInf(b.Days.Value)), cmp.Compare(a.Rps.Value, b.Rps.Value))
	})
	g.reserve(f, items)
	g.explain(f)
	return g
}

// sameLimit is the share by which two CPU limits may differ that are called the same.
const sameLimit = 0.1

// asMeasured reports whether a replica of today, as far as is known, can use as much CPU
// as one that was measured.
func (i GrowthItem) asMeasured() bool {
	today, measured := i.Subject.Declared.CPULimit, i.Subject.CPULimit
	if i.Subject.Declared.Replicas <= 0 || today <= 0 || measured <= 0 {
		return true
	}
	return math.Abs(today/measured-1) <= sameLimit
}

// limits are those of one component, as rates of the whole chain, in all clusters
// together.
func (i GrowthItem) limits() []Limit {
	n, what := i.most()
	out := []Limit{{
		Component: i.Subject.Name, By: ByReplicaMaximum, Replicas: n, Rps: i.carried(n),
		Why: fmt.Sprintf("%d replicas, %s, no longer carry the peak when what may be lost is lost", n, what),
	}}
	if today := i.Subject.Declared.Replicas; today > 0 && today != n && i.asMeasured() {
		out = append(out, Limit{
			Component: i.Subject.Name, By: ByReplicasToday, Replicas: today, Rps: i.carried(today),
			Why: fmt.Sprintf("the %d replicas of today no longer carry the peak when what may be lost is lost", today),
		})
	}
	each := func(by string, rps stat.Estimate, why string) {
		if rps.OK() && rps.Value > 0 {
			all := rps.Scale(float64(n) / (i.Load.share() * i.Load.hottest(n)))
			all.Warnings = nil
			out = append(out, Limit{Component: i.Subject.Name, By: by, Replicas: n, Rps: all, Why: fmt.Sprintf("with %d replicas and nothing lost, %s", n, why)})
		}
	}
	for _, c := range i.Capacity.Candidates {
		if by := map[string]string{
			BoundEdge: "the objectives break", BoundCPU: "CPU reaches 75\u00a0% of what a replica can use",
			BoundMemory: "memory reaches 80\u00a0% of its limit", BoundPool: "the connection pool that was measured with is used up",
			BoundObserved: "a replica carries three times what one was seen to carry",
		}[c.BoundBy]; by != "" {
			each(c.BoundBy, c.Rps, by)
		}
	}
	each(ByCPULimit, i.CPULimit, "CPU reaches its limit")
	return out
}

// carried is the highest peak that n replicas carry with the losses that they are
// planned for, by the safe end of what one carries.
func (i GrowthItem) carried(n int) stat.Estimate {
	fits := func(rps float64) bool {
		load := i.Load
		load.PlannedRPS = rps
		needed, _ := ReplicasFor(i.Capacity, load)
		return needed != nil && needed.Value <= n
	}
	low, high := 0.0, float64(n)*i.Capacity.Safe()/i.Load.share()
	for range 40 {
		if middle := (low + high) / 2; fits(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	if low <= 1e-6*high {
		return stat.NotEstimable(0, fmt.Sprintf("%d replicas do not survive the losses at any rate", n))
	}
	return stat.Estimate{Value: low, Low: low, High: low}
}

// reaches fills in when.
func (f *Future) reaches(l Limit) Limit {
	if !l.Rps.OK() {
		l.Outcome, l.Days = string(growth.Already), stat.Estimate{}
		l.Date, l.Chance = dateText(f.Forecast.Start), 1
		return l
	}
	at := func(rps float64) growth.Reach { return f.Forecast.Reaches(rps / f.Scale) }
	r := at(l.Rps.Value)
	l.Outcome, l.Chance, l.Days = string(r.Outcome), r.Chance, r.Days
	l.Days.N = max(r.Days.N, l.Rps.N)
	// The rate of the limit is uncertain as well: its lower end with the soonest
	// growth, its upper end with the slowest.
	early, late := r.Days.Low, r.Days.High
	if f.Forecast.N == 0 {
		early, late = r.Days.Value, r.Days.Value
	}
	if l.Rps.Low > 0 && l.Rps.Low < l.Rps.Value {
		first := at(l.Rps.Low)
		early = orElse(first.Days.Low, orElse(first.Days.Value, early))
	}
	if l.Rps.High > l.Rps.Value {
		last := at(math.Min(l.Rps.High, math.MaxFloat64))
		late = orElse(last.Days.High, orElse(last.Days.Value, math.Inf(1)))
		if math.IsInf(l.Rps.High, 1) {
			late = math.Inf(1)
		}
	}
	if r.Outcome == growth.Already {
		early, late = 0, math.Max(late, 0)
	}
	l.Days.Low, l.Days.High = early, late
	l.Date, l.Earliest, l.Latest = f.date(l.Days.Value), f.date(early), f.date(late)
	if l.Earliest == l.Date && l.Latest == l.Date {
		l.Earliest, l.Latest = "", ""
	}
	return l
}

// orElse returns a finite number, or else the other.
func orElse(v, otherwise float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return otherwise
	}
	return v
}

// date is the date after so many days; empty beyond the horizon.
func (f *Future) date(days float64) string {
	if math.IsNaN(days) || days < 0 || days > float64(f.Forecast.HorizonDays) {
		return ""
	}
	return dateText(f.Forecast.Date(days))
}

func dateText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.DateOnly)
}

// reserve says what to have ready, for some months and for all of the horizon.
func (g *Growth) reserve(f *Future, items []GrowthItem) {
	for _, months := range []int{1, 2, 3, 6, 12, 24, 36, 60, 120} {
		months = min(months, f.Months)
		if n := len(g.Reserve); months < 1 || n > 0 && g.Reserve[n-1].Months == months {
			break
		}
		days := int(math.Ceil(float64(months)*MonthDays - 1e-9))
		peak := f.Forecast.PeakWithin(days).Scale(f.Scale)
		if !peak.OK() {
			break
		}
		r := Reserve{Months: months, Date: dateText(f.Forecast.Date(float64(days))), PeakRps: peak}
		r.PlannedRps = orElse(peak.High, peak.Value) * (1 + items[0].Load.Headroom)
		for _, item := range items {
			load := item.Load
			load.PlannedRPS = r.PlannedRps
			needed, _ := ReplicasFor(item.Capacity, load)
			if needed == nil {
				continue
			}
			part := ReserveOfPart{Component: item.Subject.Name, Replicas: needed.Value}
			if item.Resources != nil {
				part.CPUCores = float64(needed.Value) * coresOf(item.Resources.Requests.CPU)
				part.Memory = float64(needed.Value) * bytesOf(item.Resources.Requests.Memory)
			}
			r.Components = append(r.Components, part)
		}
		g.Reserve = append(g.Reserve, r)
	}
}

// explain notes how the dates come about: exactly for growth that is stated, and as
// the trend alone has it for a history, whose seasons and chance were drawn.
func (g *Growth) explain(f *Future) {
	x := &sheet{}
	stated := f.Forecast.N == 0
	peak, from := "the peak of today", "demand.growthPerMonth"
	if !stated {
		peak, from = "the highest peak of the last week of the history, in the unit of today's peak", "the "+g.Shape+" trend of demand.history"
	}
	x.input("peak", g.PeakRps, "/s", peak)
	x.input("growth", g.PerMonth.Value, "", from)
	var constraints []Constraint
	formula := func(days string) string {
		if g.Shape == string(growth.Linear) {
			return "peak * (1 + growth * " + days + " / 30.4375)"
		}
		return "peak * (1 + growth)^(" + days + " / 30.4375)"
	}
	value := func(days float64) float64 {
		if g.Shape == string(growth.Linear) {
			return g.PeakRps * (1 + g.PerMonth.Value*days/MonthDays)
		}
		return g.PeakRps * math.Pow(1+g.PerMonth.Value, days/MonthDays)
	}
	for i, l := range g.Limits {
		if l.Outcome != string(growth.Reached) || i >= 26 {
			continue
		}
		id := letter(i)
		what := fmt.Sprintf("%s, %s", l.Component, l.By)
		x.input("limit"+id, l.Rps.Value, "/s", what+": "+l.Why)
		x.input("days"+id, l.Days.Value, "", "days from "+g.Start+" to "+l.Date)
		if stated {
			x.step("the peak when that day begins, still below limit"+id, "before"+id, "/s", formula("days"+id), value(l.Days.Value))
			x.step("the peak when that day ends, at limit"+id+" or above", "after"+id, "/s", formula("(days"+id+" + 1)"), value(l.Days.Value+1))
		} else {
			x.step("the peak of that day by the trend alone; the weekday and chance bring the day forward or put it off", "trend"+id, "/s", formula("days"+id), value(l.Days.Value))
		}
		// The soonest decides, so that fewer days weigh more.
		constraints = append(constraints, Constraint{By: l.Component + " " + l.By, Value: l.Days.Value, Unit: "days", Why: l.Why})
	}
	g.Basis = x.basis(nil, "another growth than "+percent(g.PerMonth.Value)+" a month", "replicas, limits or pools that are set to more than is recommended here", "demand that changes at once, as by a new customer or a campaign, which no trend shows")
	if g.Constraints = constraints; constraints == nil {
		g.Constraints = []Constraint{}
	}
	if len(constraints) > 0 {
		g.BoundBy = constraints[0].By
	}
	if len(constraints) > 1 {
		g.RunnerUp = constraints[1].By
	}
}
