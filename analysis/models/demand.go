package models

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// DemandPoint is one phase as the demand of a component sees it, all per replica.
type DemandPoint struct {
	RPS     float64 // answers a second; 0 for an idle phase
	Cores   float64
	WakeUps float64 // voluntary context switches a second; NaN: not known
}

// Demand is what a replica of a component costs in CPU:
//
//	cores = Idle + PerRequest·rps + PerWakeUp·wakeUps(rps)
//	wakeUps(rps) = Scale·rps^Exponent, Exponent ≤ 1
//
// An event-driven proxy pays for waking up as well as for requests, and wakes
// less often per request as it gets busier; CPU ÷ rate at one point is therefore
// no demand. Valid below throttling and for the same arrivals, connections and
// pacing. The zero Demand is not estimable.
type Demand struct {
	Idle, PerRequest, PerWakeUp stat.Estimate // cores, CPU seconds, CPU seconds
	Scale, Exponent             float64       // of the wake-ups; both 0 without them
	Lowest, Highest             float64       // measured rps per replica
	ResidualCores               float64       // root mean square
	Words                       string        // the formula with its numbers, or why there is none
	fit                         stat.Fit
	withWakeUps, withIdle       bool
	why                         string         // why it is not estimable; empty: it is
	rival                       *Demand        // that the phases do not reject; nil: none
	factor                      *stat.Estimate // of a calibration; nil: none
}

// LeastRates is how many distinct rates a fit of demand needs.
const LeastRates = 3

// FitDemand fits the demand of a component by weighted least squares, the
// weights for a noise that is proportional to the CPU used. No coefficient is
// negative: one that would be is left out, and Words says so. The wake-ups enter
// when they make predictions of left-out phases better. Intervals are those of a
// bootstrap over the phases (stat.Fit.OverBlocks).
func FitDemand(points []DemandPoint) Demand {
	points = slices.DeleteFunc(slices.Clone(points), func(p DemandPoint) bool {
		return !(p.RPS >= 0) || !(p.Cores >= 0) || math.IsInf(p.RPS, 0) || math.IsInf(p.Cores, 0)
	})
	slices.SortStableFunc(points, func(a, b DemandPoint) int { return cmp.Compare(a.RPS, b.RPS) })
	if n := distinctRates(points); n < LeastRates {
		return noDemand(len(points), fmt.Sprintf("%d different rates below throttling, a fit needs %d", n, LeastRates))
	}
	d, note, err := chooseDemand(points)
	if err != nil {
		return noDemand(len(points), "the regression failed: "+err.Error())
	}
	d.Lowest, d.Highest = points[0].RPS, points[len(points)-1].RPS
	d.Words = d.formula() + note
	return d
}

// Where wake-ups stand against the rate alone, by their errors on left-out phases.
const (
	wakeUpsBetter = 0.95 // below, they enter
	wakeUpsAsGood = 1.25 // below, the phases do not reject them
)

// rivalFreedom is how many degrees of freedom a rival needs to widen an interval: with
// two of them its own reaches from nothing to anything, and says no more than that.
const rivalFreedom = 4

// chooseDemand fits the demand with and without wake-ups, and says what there is to
// say of the choice. A choice that the phases hardly tell is part of what is not
// known: where the rate alone is chosen and wake-ups are as good, intervals are those
// of both.
func chooseDemand(points []DemandPoint) (d Demand, note string, err error) {
	alone, err := fitDemand(points, false, true)
	scale, exponent, known := fitWakeUps(points)
	if !known {
		return alone, "; wake-ups are not known, so the rate stands for both", err
	}
	with, withErr := fitDemand(points, true, true)
	if withErr != nil || len(points) < 5 || !with.withWakeUps {
		return alone, "; wake-ups explain no more than the rate does", err
	}
	with.Scale, with.Exponent = scale, exponent
	ratio := leaveOneOut(points, true) / leaveOneOut(points, false)
	if ratio < wakeUpsBetter {
		return with.together(alone, err, points), "", nil
	}
	if err == nil && ratio < wakeUpsAsGood && with.fit.DF >= rivalFreedom {
		alone.rival = &with
		return alone, "; wake-ups explain no more than the rate does, but as much: intervals are those of both", nil
	}
	return alone, "; wake-ups explain no more than the rate does", err
}

func noDemand(n int, why string) Demand {
	none := stat.NotEstimable(n, why)
	return Demand{Idle: none, PerRequest: none, PerWakeUp: none, Words: "not estimable: " + why, why: why}
}

// distinctRates counts rates that differ by more than a twentieth. points rise.
func distinctRates(points []DemandPoint) int {
	n, last := 0, math.Inf(-1)
	for _, p := range points {
		if n == 0 || p.RPS > last*1.05 {
			n, last = n+1, p.RPS
		}
	}
	return n
}

// rows returns the regression's columns (idle, rate, and the wake-ups when with),
// values and weights.
func rows(points []DemandPoint, with bool) (x [][]float64, y, w []float64) {
	for _, p := range points {
		row := []float64{1, p.RPS}
		if with {
			row = append(row, p.WakeUps)
		}
		// Relative noise, and a floor for the resolution of the clock ticks.
		sd := 0.01 + p.Cores
		x, y, w = append(x, row), append(y, p.Cores), append(w, 1/(sd*sd))
	}
	return x, y, w
}

// demandSeed makes the same phases have the same intervals.
const demandSeed = 0x64656d616e64

func fitDemand(points []DemandPoint, with, intervals bool) (Demand, error) {
	x, y, w := rows(points, with)
	fit, dropped, err := stat.NonNegative(x, y, w, nil)
	if err != nil {
		return Demand{}, err
	}
	if intervals {
		fit = fit.OverBlocks(x, y, w, demandSeed)
	}
	if slices.Contains(dropped, 1) && (!with || slices.Contains(dropped, 2)) {
		return Demand{}, errors.New("CPU does not grow with the rate")
	}
	d := Demand{fit: fit, withWakeUps: with && !slices.Contains(dropped, 2), withIdle: !slices.Contains(dropped, 0)}
	d.Idle, d.PerRequest = notNegative(fit.Coefficient(0, stat.Confidence)), notNegative(fit.Coefficient(1, stat.Confidence))
	d.PerWakeUp = stat.NotEstimable(len(points), "wake-ups are not part of the fitted model")
	if d.withWakeUps {
		d.PerWakeUp = notNegative(fit.Coefficient(2, stat.Confidence))
	}
	for _, gone := range dropped {
		switch gone {
		case 0:
			d.Idle = stat.NotEstimable(len(points), "the fit without an intercept is the only one without a negative cost; CPU at idle is too small to see")
		case 1:
			d.PerRequest = stat.NotEstimable(len(points), "the wake-ups explain all of the CPU")
		}
	}
	for _, r := range fit.Residuals {
		d.ResidualCores += r * r / float64(len(points))
	}
	d.ResidualCores = math.Sqrt(d.ResidualCores)
	return d, nil
}

// notNegative cuts off the part of an interval that a cost cannot lie in.
func notNegative(e stat.Estimate) stat.Estimate {
	e.Low = math.Max(0, e.Low)
	return e
}

// together looks whether the fit with wake-ups tells the cost of a request from
// that of a wake-up. Where it does not, because the two rose together, d keeps
// predicting with both, but names only their sum: the cost of a request in the
// fit on the rate alone.
func (d Demand) together(alone Demand, err error, points []DemandPoint) Demand {
	x, _, _ := rows(points, true)
	if !(stat.VarianceInflation(withoutOnes(x), 1) > 10) {
		return d
	}
	if d.PerRequest.OK() && d.PerRequest.Low > 0 && d.PerWakeUp.Low > 0 {
		warning := "rate and wake-ups rose together: the costs of a request and of a wake-up are told apart only roughly, their sum well"
		d.PerRequest.Warnings, d.PerWakeUp.Warnings = []string{warning}, []string{warning}
		return d
	}
	d.PerWakeUp = stat.NotEstimable(len(points), "rate and wake-ups rose together: the cost of a wake-up cannot be told from that of a request")
	if err == nil {
		d.PerRequest = alone.PerRequest
		d.PerRequest.Warnings = []string{"rate and wake-ups rose together: this is the cost of a request with the wake-ups that come with it"}
	}
	return d
}

func withoutOnes(x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i, row := range x {
		out[i] = row[1:]
	}
	return out
}

// leaveOneOut returns the root mean square of the relative errors with which the
// model predicts each phase from the others; +Inf when it cannot.
func leaveOneOut(points []DemandPoint, with bool) float64 {
	sum := 0.0
	for i, out := range points {
		rest := slices.Delete(slices.Clone(points), i, i+1)
		d, err := fitDemand(rest, with, false)
		if err != nil {
			return math.Inf(1)
		}
		row, _, _ := rows([]DemandPoint{out}, with)
		e := (d.fit.Mean(row[0], stat.Confidence).Value - out.Cores) / (0.01 + out.Cores)
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(points)))
}

// fitWakeUps fits wakeUps = scale·rps^exponent on the points with load; ok is
// false when a point has none, or fewer than three rates are left.
func fitWakeUps(points []DemandPoint) (scale, exponent float64, ok bool) {
	var x [][]float64
	var y []float64
	for _, p := range points {
		if !(p.WakeUps > 0) || math.IsInf(p.WakeUps, 0) {
			return 0, 0, false
		}
		if p.RPS > 0 {
			x, y = append(x, []float64{1, math.Log(p.RPS)}), append(y, math.Log(p.WakeUps))
		}
	}
	fit, err := stat.LeastSquares(x, y, nil)
	if err != nil || len(x) < LeastRates {
		return 0, 0, false
	}
	exponent = math.Min(1, math.Max(0, fit.Coefficients[1]))
	if exponent == fit.Coefficients[1] {
		return math.Exp(fit.Coefficients[0]), exponent, true
	}
	mean := 0.0
	for i, row := range x {
		mean += (y[i] - exponent*row[1]) / float64(len(x))
	}
	return math.Exp(mean), exponent, true
}

func (d Demand) formula() string {
	words := "cores ="
	if d.withIdle {
		words += fmt.Sprintf(" %.3g +", d.fit.Coefficients[0])
	}
	sep := ""
	if c := d.fit.Coefficients[1]; c > 0 {
		words += fmt.Sprintf(" %.3g µs × requests", c*1e6)
		sep = " +"
	}
	if d.withWakeUps {
		words += fmt.Sprintf("%s %.3g µs × wake-ups, wake-ups = %.3g × rate^%.2f", sep, d.fit.Coefficients[2]*1e6, d.Scale, d.Exponent)
	}
	words += fmt.Sprintf("; residual %.2g cores over %d phases", d.ResidualCores, d.fit.N)
	if !d.withIdle {
		words += "; without an intercept, which would be negative"
	}
	return words
}

// OK reports whether there is a model.
func (d Demand) OK() bool { return d.why == "" && d.fit.N > 0 }

// WakeUpsAt returns the wake-ups a second at a rate per replica, 0 when they are
// not part of the model.
func (d Demand) WakeUpsAt(rps float64) float64 {
	if !d.withWakeUps || rps <= 0 {
		return 0
	}
	return d.Scale * math.Pow(rps, d.Exponent)
}

// CoresAt predicts the CPU of a replica at a rate, in cores, with the interval of
// the mean, over all models that the phases do not reject. Beyond 1.2 times the highest measured rate it carries a warning.
func (d Demand) CoresAt(rps float64) stat.Estimate {
	if !d.OK() {
		return stat.NotEstimable(d.fit.N, "CPU demand is not estimable: "+d.why)
	}
	row := []float64{1, rps}
	if len(d.fit.Coefficients) > 2 {
		row = append(row, d.WakeUpsAt(rps))
	}
	e := d.fit.Mean(row, stat.Confidence)
	if d.rival != nil {
		other := d.rival.CoresAt(rps)
		e.Low, e.High = math.Min(e.Low, other.Low), math.Max(e.High, other.High)
	}
	if d.factor != nil {
		e = times(e, *d.factor)
	}
	if rps > Extrapolation*d.Highest {
		e.Warnings = append(e.Warnings, extrapolated(rps, d.Highest))
	}
	return e
}

// Extrapolation is how far beyond the measured range, as a factor, a prediction
// goes without a warning.
const Extrapolation = 1.2

func extrapolated(rps, highest float64) string {
	return fmt.Sprintf("%s lies beyond the range that was measured without throttling, which ends at %s per replica", quantity.Rate(rps), quantity.Rate(highest))
}

// mostRPS is the highest rate that RateAt looks at.
const mostRPS = 1e8

// RateAt returns the rate per replica at which the CPU reaches cores: 0, with a
// warning, when idling alone needs as much. Low is 0 when idling may need as much.
// Not estimable when there is no model, or no rate brings the CPU there.
func (d Demand) RateAt(cores float64) stat.Estimate {
	if !d.OK() {
		return stat.NotEstimable(d.fit.N, "CPU demand is not estimable: "+d.why)
	}
	at := func(of func(stat.Estimate) float64) float64 {
		return rateWhere(func(rps float64) float64 { return of(d.CoresAt(rps)) }, cores)
	}
	e := stat.Estimate{
		Value:      at(func(e stat.Estimate) float64 { return e.Value }),
		Low:        at(func(e stat.Estimate) float64 { return e.High }),
		High:       at(func(e stat.Estimate) float64 { return e.Low }),
		Confidence: stat.Confidence, N: d.fit.N,
	}
	switch {
	case e.Value <= 0:
		e.Warnings = append(e.Warnings, fmt.Sprintf("at idle the component uses %.3g cores already", d.CoresAt(0).Value))
	case math.IsInf(e.Value, 1):
		return stat.NotEstimable(d.fit.N, "no rate up to 10^8/s brings the CPU there")
	case e.Value > Extrapolation*d.Highest:
		e.Warnings = append(e.Warnings, extrapolated(e.Value, d.Highest))
	}
	return e
}

// rateWhere returns the first rate at which f reaches level, found on a
// logarithmic grid and by bisection: 0 when it is there at once, +Inf when never.
func rateWhere(f func(rps float64) float64, level float64) float64 {
	if f(0) >= level {
		return 0
	}
	low, high := 0.0, 1.0
	for ; f(high) < level; low, high = high, high*1.1 {
		if high > mostRPS {
			return math.Inf(1)
		}
	}
	for range 60 {
		if middle := (low + high) / 2; f(middle) < level {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}
