package scaling

import (
	"math"
	"slices"
)

// profile returns the interval of parameter j around a minimum: the values v for
// which the others, free, bring the sum of squares S(v) so low that
//
//	S(v) − S(minimum) ≤ t²·s²
//
// where s² is the residual variance and t the two-sided quantile of Student's
// distribution. The interval ends at a bound of the parameter that is not
// excluded. Source: Bates and Watts, "Nonlinear regression analysis and its
// applications", 1988, §6.1.
func (p problem) profile(at solution, j int, t, s float64) (low, high float64) {
	if !(s > exact) {
		return at.theta[j], at.theta[j]
	}
	return p.profileEnd(at, j, t*s, -1), p.profileEnd(at, j, t*s, +1)
}

// exact is the residual standard deviation, relative, below which points lie on
// the model as far as the arithmetic can tell.
const exact = 1e-9

const mostProfileSteps = 60

// profileEnd walks from the minimum to where the root of S(v) − S(minimum) is
// limit, or to the bound of the parameter; side is −1 or +1. It is ±Inf where
// no end was found.
func (p problem) profileEnd(at solution, j int, limit, side float64) float64 {
	bound := p.low[j]
	if side > 0 {
		bound = p.high[j]
	}
	centre := at.theta[j]
	if centre == bound {
		return bound
	}
	warm := at
	rise := func(v float64) float64 {
		start := slices.Clone(warm.theta)
		start[j] = v
		s := p.held(start, j)
		if s.sum < math.Inf(1) {
			warm = s
		}
		return math.Sqrt(math.Max(0, s.sum-at.sum))
	}
	return walk(centre, bound, side*p.curvature(at, j, limit), limit, rise)
}

// walk finds where rise, which is 0 at from and rises, reaches limit; first is a
// guess of the distance. It returns bound when rise is still below there.
func walk(from, bound, first, limit float64, rise func(float64) float64) float64 {
	inside, insideRise := from, 0.0
	outside, outsideRise := math.NaN(), 0.0
	distance := first
	for range mostProfileSteps {
		v := from + distance
		if (distance > 0 && v >= bound) || (distance < 0 && v <= bound) {
			v = bound
		}
		if math.IsInf(v, 0) {
			return v
		}
		r := rise(v)
		if r > limit {
			outside, outsideRise = v, r
			break
		}
		inside, insideRise = v, r
		if v == bound {
			return bound
		}
		distance *= math.Min(20, math.Max(1.3, 1.1*limit/r)) // r = 0: 20
	}
	if math.IsNaN(outside) {
		return math.Copysign(math.Inf(1), first)
	}
	// The rise is nearly linear: regula falsi, with a bisection where it dawdles.
	for i := range mostProfileSteps {
		v := (inside + outside) / 2
		if i%3 != 2 && !math.IsInf(outsideRise, 1) {
			v = inside + (outside-inside)*(limit-insideRise)/(outsideRise-insideRise)
		}
		r := rise(v)
		if math.Abs(r-limit) <= 1e-4*limit || math.Abs(outside-inside) <= 1e-9*math.Abs(outside-from) {
			return v
		}
		if r > limit {
			outside, outsideRise = v, r
		} else {
			inside, insideRise = v, r
		}
	}
	return inside
}

// held minimises with parameter j held at its value in start.
func (p problem) held(start []float64, j int) solution {
	fixed := make([]bool, len(start))
	fixed[j] = true
	starts := [][]float64{start}
	if p.kind == Piecewise && j != 1 {
		// The sum of squares has a valley for each kink.
		for _, q := range p.kind.starts(p.points) {
			other := p.startAt(q)
			other[j] = start[j]
			starts = append(starts, other)
		}
	}
	return p.best(starts, fixed)
}

// curvature guesses how far parameter j may move until the rise is limit: as far
// as it would without the help of the others.
func (p problem) curvature(at solution, j int, limit float64) float64 {
	n := len(p.points)
	r := make([]float64, n)
	h := 1e-6 * (math.Abs(at.theta[j]) + 1e-6)
	moved := slices.Clone(at.theta)
	moved[j] += h
	base := make([]float64, n)
	p.residuals(at.theta, base, nil)
	p.residuals(moved, r, nil)
	length := 0.0
	for i := range r {
		d := (r[i] - base[i]) / h
		length += d * d
	}
	if !(length > 0) || math.IsInf(length, 1) {
		return 0.1 * (math.Abs(at.theta[j]) + 0.01)
	}
	return limit / math.Sqrt(length)
}
