package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// swingPoints is how many points a swing of a sine has. Between two points of a
// chord the sine bulges by at most A·(2π/n)²/8 (the second derivative bounds it),
// which is 0.03 % of the amplitude; over a whole swing the chords and the sine
// have the same integral.
const swingPoints = 128

// maxCurve bounds the points of a curve, so that a record can hold it.
const maxCurve = 200_000

// points returns the curve of a shape that needs no file and no network, which
// is nil for a replay.
func (s Shape) points(load Load) []CurvePoint {
	rate := load.Rate.RPS()
	switch {
	case s.Ramp != nil:
		return tidy([]CurvePoint{{0, s.Ramp.From.RPS()}, {load.Duration, s.Ramp.To.RPS()}})
	case len(s.Steps) > 0:
		var curve []CurvePoint
		at := time.Duration(0)
		for i, step := range s.Steps {
			end := at + step.For
			if i == len(s.Steps)-1 {
				end = load.Duration
			}
			curve = append(curve, CurvePoint{at, step.Rate.RPS()}, CurvePoint{end, step.Rate.RPS()})
			at = end
		}
		return tidy(curve)
	case s.Spike != nil:
		from, to, high := s.Spike.At, s.Spike.At+s.Spike.For, s.Spike.Rate.RPS()
		return tidy([]CurvePoint{{0, rate}, {from, rate}, {from, high}, {to, high}, {to, rate}, {load.Duration, rate}})
	case s.Sine != nil:
		return s.Sine.points(rate, load.Duration)
	}
	return nil
}

// points returns rate + amplitude·sin(2πt/period) at swingPoints instants a
// swing, and at the end.
func (s SineShape) points(rate float64, duration time.Duration) []CurvePoint {
	if s.Period <= 0 || duration <= 0 || duration/s.Period >= maxSwings {
		return nil
	}
	value := func(turns float64) float64 {
		return max(0, rate+s.Amplitude.RPS()*math.Sin(2*math.Pi*turns))
	}
	var curve []CurvePoint
	for i := 0; ; i++ {
		swings, part := i/swingPoints, i%swingPoints
		at := time.Duration(swings)*s.Period + time.Duration(float64(s.Period)*float64(part)/swingPoints)
		if at >= duration {
			break
		}
		if n := len(curve); n > 0 && curve[n-1].At == at {
			continue // a period of a few nanoseconds
		}
		curve = append(curve, CurvePoint{at, value(float64(part) / swingPoints)})
	}
	rest := math.Mod(duration.Seconds(), s.Period.Seconds()) / s.Period.Seconds()
	return append(curve, CurvePoint{duration, value(rest)})
}

// tidy removes what lies within one instant: of several points there, the first
// is where the rate comes from and the last where it goes on.
func tidy(curve []CurvePoint) []CurvePoint {
	if len(curve) == 0 {
		return nil
	}
	var out []CurvePoint
	end := curve[len(curve)-1].At
	for i := 0; i < len(curve); {
		j := i
		for j+1 < len(curve) && curve[j+1].At == curve[i].At {
			j++
		}
		if at := curve[i].At; at > 0 { // nothing comes before the start
			out = append(out, curve[i])
		}
		if at := curve[i].At; at == 0 || at < end && curve[j].RPS != curve[i].RPS {
			out = append(out, curve[j])
		}
		i = j + 1
	}
	return out
}

// PeakOf returns the highest rate of a curve, per second; 0 when it is empty.
func PeakOf(curve []CurvePoint) float64 {
	peak := 0.0
	for _, point := range curve {
		peak = max(peak, point.RPS)
	}
	return peak
}

// MeanOf returns the mean rate of a curve over its time, per second: the areas of
// its trapezia divided by its length.
func MeanOf(curve []CurvePoint) float64 {
	if len(curve) < 2 || curve[len(curve)-1].At <= curve[0].At {
		return 0
	}
	area := 0.0
	for i := 1; i < len(curve); i++ {
		area += (curve[i].At - curve[i-1].At).Seconds() * (curve[i].RPS + curve[i-1].RPS) / 2
	}
	return area / (curve[len(curve)-1].At - curve[0].At).Seconds()
}

// CheckCurve tells what is wrong with the curve of a phase: its points have to
// be in order, the first at 0 and the last at the duration, every rate finite and
// ≥ 0, and one of them above zero.
func CheckCurve(curve []CurvePoint, duration time.Duration) error {
	if len(curve) < 2 {
		return fmt.Errorf("a curve of %d points: at least two are needed", len(curve))
	}
	if len(curve) > maxCurve {
		return fmt.Errorf("a curve of %d points: more than %d can't be recorded", len(curve), maxCurve)
	}
	if first, last := curve[0].At, curve[len(curve)-1].At; first != 0 || last != duration {
		return fmt.Errorf("the curve lasts from %s to %s, not from 0s to %s", first, last, duration)
	}
	for i, point := range curve {
		if !(point.RPS >= 0) || point.RPS > maxRateCount {
			return fmt.Errorf("the curve has a rate of %v/s at %s: it has to be within 0 and 1e9", point.RPS, point.At)
		}
		if i > 0 && point.At < curve[i-1].At {
			return fmt.Errorf("the curve has a point at %s after one at %s", point.At, curve[i-1].At)
		}
	}
	if MeanOf(curve) == 0 {
		return errors.New("the curve never rises above zero")
	}
	return nil
}

// RateSample is a rate that was measured at an instant.
type RateSample struct {
	At  time.Time
	RPS float64
}

// CurveFromSamples returns the curve through samples, in any order: straight
// lines between them, and a jump between two of the same instant, in the order
// given. Every rate is multiplied by scale. The curve starts with the first
// sample. It ends with the last when duration is 0; a shorter duration cuts it,
// and one that it does not reach is an error, as are fewer than two instants, a
// rate below zero, and a curve that never rises above it.
func CurveFromSamples(samples []RateSample, scale float64, duration time.Duration) ([]CurvePoint, error) {
	if len(samples) < 2 {
		return nil, fmt.Errorf("%d samples make no curve: at least two are needed", len(samples))
	}
	if !(scale > 0) || math.IsInf(scale, 0) {
		return nil, fmt.Errorf("a scale of %v: it has to be above zero", scale)
	}
	samples = slices.Clone(samples)
	slices.SortStableFunc(samples, func(a, b RateSample) int { return a.At.Compare(b.At) })
	curve := make([]CurvePoint, len(samples))
	for i, sample := range samples {
		curve[i] = CurvePoint{sample.At.Sub(samples[0].At), sample.RPS * scale}
	}
	length := curve[len(curve)-1].At
	duration = cmp.Or(duration, length)
	if duration > length {
		return nil, fmt.Errorf("the curve lasts %s, which is shorter than the load, %s", length, duration)
	}
	curve = tidy(cut(curve, duration))
	if err := CheckCurve(curve, duration); err != nil {
		return nil, err
	}
	return curve, nil
}

// cut returns the curve up to an instant within it.
func cut(curve []CurvePoint, end time.Duration) []CurvePoint {
	i := slices.IndexFunc(curve, func(p CurvePoint) bool { return p.At >= end })
	if i < 1 || curve[i].At == end {
		return curve[:max(i, 0)+1]
	}
	before, after := curve[i-1], curve[i]
	share := float64(end-before.At) / float64(after.At-before.At)
	return append(slices.Clone(curve[:i]), CurvePoint{end, before.RPS + share*(after.RPS-before.RPS)})
}

// PeakRPS returns the highest rate that the phase offers, per second; 0 in a
// closed loop.
func (p Phase) PeakRPS() float64 {
	switch {
	case p.Process == Closed:
		return 0
	case len(p.Curve) > 0:
		return PeakOf(p.Curve)
	}
	return p.Rate.RPS()
}

// RPSAt returns the rate that the phase offers at an instant since its start, per
// second; after the end that of the end, and 0 in a closed loop. At a jump it is
// the rate that follows.
func (p Phase) RPSAt(at time.Duration) float64 {
	switch {
	case p.Process == Closed:
		return 0
	case len(p.Curve) == 0:
		return p.Rate.RPS()
	}
	next := slices.IndexFunc(p.Curve, func(point CurvePoint) bool { return point.At > at })
	switch {
	case next < 0:
		return p.Curve[len(p.Curve)-1].RPS
	case next == 0:
		return p.Curve[0].RPS
	}
	from, to := p.Curve[next-1], p.Curve[next]
	return from.RPS + (to.RPS-from.RPS)*float64(at-from.At)/float64(to.At-from.At)
}

// HasLoad reports whether the scenario names what `run` has to send: a rate, a
// shape, or a closed loop.
func (s Scenario) HasLoad() bool {
	return !s.Load.Rate.IsZero() || s.Load.Shape != nil || s.Load.Arrivals == Closed
}

// NeedsQuery reports whether the curve of the load has to be asked of Prometheus,
// before RunPhases can make its phases.
func (s Scenario) NeedsQuery() bool {
	return s.Load.Shape != nil && s.Load.Shape.Replay != nil && s.Load.Shape.Replay.Query != ""
}

// RunPhases returns the phases of `run` for a scenario that went through Defaults:
// a warm-up where there is one, and the load; none when it has no load. curve is
// that of a replay, and nil otherwise. A rate above guards.maxRate is an error.
func RunPhases(s Scenario, curve []CurvePoint) ([]Phase, error) {
	if !s.HasLoad() {
		return nil, nil
	}
	load := Phase{Name: "load", Kind: KindLoad, Process: s.Load.Arrivals, Rate: s.Load.Rate, Duration: s.Load.Duration}
	warmUp := Phase{Name: "warm-up", Kind: KindWarmUp, Process: s.Load.Arrivals, Rate: s.Load.Rate, Duration: s.Load.WarmUp}
	if shape := s.Load.Shape; shape != nil {
		if shape.Replay == nil {
			curve = shape.points(s.Load)
		} else if len(curve) > 0 {
			load.Duration = curve[len(curve)-1].At
		}
		if err := CheckCurve(curve, load.Duration); err != nil {
			return nil, fmt.Errorf("load.shape: %w", err)
		}
		load.Curve, load.Rate = curve, meanRate(curve)
		warmUp.Rate = PerSecond(cmp.Or(curve[0].RPS, MeanOf(curve)))
	}
	if limit := s.Guards.MaxRate; !limit.IsZero() && load.PeakRPS() > limit.RPS() {
		return nil, fmt.Errorf("load: the peak of %s is above guards.maxRate, %s", PerSecond(load.PeakRPS()), limit)
	}
	var phases []Phase
	if warmUp.Duration > 0 && (warmUp.Process == Closed || !warmUp.Rate.IsZero()) {
		phases = append(phases, warmUp)
	}
	phases = append(phases, load)
	for i := range phases {
		phases[i].Seed = PhaseSeed(s.Seed, i)
	}
	return phases, nil
}

// meanRate is the mean of a curve as a rate, at least the smallest that there is.
func meanRate(curve []CurvePoint) Rate {
	return PerSecond(max(MeanOf(curve), 0.001))
}
