package growth

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// month is the twelfth of a year.
const month = 365*day/12 + 6*time.Hour/12

// Options of FromHistory. The zero Options are usable.
type Options struct {
	HorizonDays int    // how far ahead; 0: 365, at most 3 650
	Draws       int    // of the bootstrap; 0: 500
	Seed        uint64 // of the draws
}

const (
	usualHorizon   = 365
	longestHorizon = 3650
	usualDraws     = 500
)

// Forecast is what the peak of demand will be after the end of a history.
type Forecast struct {
	Start       time.Time // what days are counted from: the end of the history
	HorizonDays int
	Shape       Shape         // the better one
	PerMonth    stat.Estimate // growth of the peak from month to month, at Start; 0.05 is 5 %
	Weekdays    []float64     // a weekday's peak ÷ the mean, from Sunday on; nil: no season is known
	Highest     float64       // peak of the last season of the history, or the stated one
	// Autocorrelation is that of neighbouring residuals: near 1 the level wanders,
	// and neither trend nor interval hold for long.
	Autocorrelation float64
	N               int // days (or weeks) of history
	Warnings        []string
	// Why nothing is estimable; empty when something is.
	Why string

	unit     time.Duration
	drawings []drawing
}

// OK reports whether anything is estimable.
func (f Forecast) OK() bool { return f.Why == "" }

// Date returns the instant after a number of days.
func (f Forecast) Date(days float64) time.Time {
	return f.Start.Add(time.Duration(days * float64(day)))
}

// How many units a history needs: two seasons of days, and as many weeks or longer
// steps as leave something to estimate a trend's error from.
const (
	leastDays  = 14
	leastUnits = 8
)

// wandering is the autocorrelation of residuals from which on a warning is due.
const wandering = 0.8

// FromHistory fits the history and draws what may come. When it cannot be done, the
// Forecast says why.
func FromHistory(h History, options Options) Forecast {
	o := options.withDefaults()
	f := Forecast{HorizonDays: o.HorizonDays}
	p, err := h.reduce()
	if err != nil {
		f.Why = "the history cannot be used: " + err.Error()
		return f
	}
	f.Start, f.N, f.unit = p.last(), len(p.at), p.unit
	if why := p.tooShort(); why != "" {
		f.Why = why
		return f
	}
	models, warnings, err := choose(p)
	if err != nil {
		f.Why = err.Error()
		return f
	}
	f.Warnings = warnings
	ahead := int(math.Ceil(float64(o.HorizonDays) * float64(day) / float64(p.unit)))
	random := rand.New(rand.NewPCG(o.Seed, uint64(len(p.at))))
	for _, m := range models {
		if err := m.prepare(p); err != nil {
			f.Why = err.Error()
			return f
		}
		f.drawings = append(f.drawings, m.draw(p, ahead, o.Draws, random))
	}
	f.describe(models, p)
	return f
}

func (o Options) withDefaults() Options {
	if o.HorizonDays <= 0 {
		o.HorizonDays = usualHorizon
	}
	o.HorizonDays = min(o.HorizonDays, longestHorizon)
	if o.Draws <= 0 {
		o.Draws = usualDraws
	}
	return o
}

// tooShort says why a history tells no trend; empty when it does.
func (p peaks) tooShort() string {
	if p.unit == day && len(p.at) < leastDays {
		return fmt.Sprintf("the history has %d whole days: less than two weeks has no season, and without one a trend cannot be told from it", len(p.at))
	}
	if p.unit > day && len(p.at) < leastUnits {
		return fmt.Sprintf("the history has %d values more than a day apart: a trend and its error need at least %d", len(p.at), leastUnits)
	}
	return ""
}

func (f *Forecast) describe(models []model, p peaks) {
	best := models[0]
	f.Shape = best.shape
	f.Weekdays = best.weekdays(int(p.start.Weekday()))
	f.Highest = slices.Max(p.rate[max(0, len(p.rate)-best.season):])
	f.Autocorrelation = stat.Autocorrelation(best.fit.Residuals)
	f.PerMonth = f.estimate(best.growth(best.fit.Coefficients, month.Seconds()/p.unit.Seconds()), func(d drawing) []float64 { return d.perMonth })
	span := time.Duration(p.at[len(p.at)-1]+1-p.at[0]) * p.unit
	if horizon := time.Duration(f.HorizonDays) * day; horizon > span {
		f.Warnings = append(f.Warnings, fmt.Sprintf("extrapolated: %d days ahead from %d days of history", f.HorizonDays, int(span/day)))
	}
	if p.unit == day && span < 4*week {
		f.Warnings = append(f.Warnings, "the season rests on fewer than four weeks")
	}
	if f.Autocorrelation > wandering {
		f.Warnings = append(f.Warnings, fmt.Sprintf("the peaks wander around the trend for long (neighbouring days correlate with %.2f): the date is less certain than the interval says", f.Autocorrelation))
	}
	if len(models) > 1 {
		f.Warnings = append(f.Warnings, "the history does not tell linear from exponential growth: intervals hold for both")
	}
}

// estimate puts an interval around a value that holds for all drawings.
func (f Forecast) estimate(value float64, of func(drawing) []float64) stat.Estimate {
	e := stat.Estimate{Value: value, Low: math.Inf(1), High: math.Inf(-1), Confidence: stat.Confidence, N: f.N}
	for _, d := range f.drawings {
		if low, high, ok := stat.Percentiles(of(d), stat.Confidence); ok {
			e.Low, e.High = math.Min(e.Low, low), math.Max(e.High, high)
		}
	}
	return e
}

// Outcome is what is to be said of a limit.
type Outcome string

// The outcomes.
const (
	Reached          Outcome = "reached"
	Already          Outcome = "already reached"
	NotWithinHorizon Outcome = "not within the horizon"
	NotEstimable     Outcome = "not estimable"
)

// Reach is when a limit is reached.
type Reach struct {
	Limit   float64 // rate per second
	Outcome Outcome
	// Days after Start until the first day (or longer unit of the history) whose peak
	// is at least the limit; see Date. The interval holds 95 % of the drawings, and an
	// infinite end lies beyond the horizon.
	Days stat.Estimate
	// Chance that it is within the horizon, in [0, 1]; of a stated rate 0 or 1.
	Chance float64
}

// Reaches returns when a limit (a rate per second) is reached.
func (f Forecast) Reaches(limit float64) Reach {
	r := Reach{Limit: limit, Outcome: NotEstimable}
	switch {
	case !f.OK():
		r.Days = stat.NotEstimable(f.N, f.Why)
		return r
	case math.IsNaN(limit):
		r.Days = stat.NotEstimable(f.N, "the limit is not known")
		return r
	case f.Highest >= limit:
		r.Outcome, r.Chance = Already, 1
		r.Days = stat.Estimate{Confidence: stat.Confidence, N: f.N}
		return r
	}
	passages := func(d drawing) []float64 {
		out := make([]float64, len(d.highest))
		for i, highest := range d.highest {
			at, _ := slices.BinarySearch(highest, limit)
			out[i] = float64(at) * f.unit.Hours() / 24
			if at == len(highest) {
				out[i] = math.Inf(1)
			}
		}
		return out
	}
	first := passages(f.drawings[0])
	for _, days := range first {
		if !math.IsInf(days, 1) {
			r.Chance += 1 / float64(len(first))
		}
	}
	r.Days = f.estimate(median(first), passages)
	r.Outcome = Reached
	if math.IsInf(r.Days.Value, 1) {
		r.Outcome, r.Days.Value = NotWithinHorizon, math.NaN()
		r.Days.Warnings = []string{fmt.Sprintf("not within the horizon of %d days", f.HorizonDays)}
	}
	f.certain(&r.Days)
	return r
}

// PeakWithin returns the highest peak, as a rate per second, of the days ahead up to
// a number of them. Its high end is what to reserve for that time. Beyond the horizon
// it is not estimable.
func (f Forecast) PeakWithin(days int) stat.Estimate {
	if !f.OK() {
		return stat.NotEstimable(f.N, f.Why)
	}
	units := int(math.Ceil(float64(days) * float64(day) / float64(f.unit)))
	if days < 1 || units > len(f.drawings[0].highest[0]) {
		return stat.NotEstimable(f.N, fmt.Sprintf("%d days are not within the horizon of %d", days, f.HorizonDays))
	}
	peaks := func(d drawing) []float64 {
		out := make([]float64, len(d.highest))
		for i, highest := range d.highest {
			out[i] = highest[units-1]
		}
		return out
	}
	e := f.estimate(median(peaks(f.drawings[0])), peaks)
	f.certain(&e)
	return e
}

// certain takes the interval from what was stated and not estimated.
func (f Forecast) certain(e *stat.Estimate) {
	if f.N == 0 {
		e.Confidence, e.Low, e.High = 0, math.Inf(-1), math.Inf(1)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// FromRate is the forecast of growth that is stated: peak is a rate per second at
// start, perMonth the share by which it grows from month to month, compounded. It has
// no interval.
func FromRate(start time.Time, peak, perMonth float64, horizonDays int) Forecast {
	o := Options{HorizonDays: horizonDays}.withDefaults()
	f := Forecast{Start: start, HorizonDays: o.HorizonDays, Shape: Exponential, Highest: peak, unit: day}
	if !(peak > 0) || math.IsInf(peak, 0) || !(perMonth > -1) || math.IsInf(perMonth, 0) {
		f.Why = fmt.Sprintf("a peak of %v/s that grows by %v a month", peak, perMonth)
		return f
	}
	f.PerMonth = stat.Estimate{Value: perMonth, Low: math.Inf(-1), High: math.Inf(1)}
	highest := make([]float64, o.HorizonDays)
	for i := range highest {
		highest[i] = peak * math.Pow(1+perMonth, float64(i+1)*day.Seconds()/month.Seconds())
		if i > 0 {
			highest[i] = math.Max(highest[i], highest[i-1])
		}
	}
	f.drawings = []drawing{{highest: [][]float64{highest}}}
	return f
}
