package schedule

import (
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// changing is a rate that changes: a chain of segments, in each of which it goes
// in a straight line. Places have to come in order, since it only walks forward.
type changing struct {
	segments []segment // of an area above zero, in order
	current  int
}

// segment is a stretch of a curve. Its first arrival on the unit axis is at
// place from, and the one behind it at place to.
type segment struct {
	start    time.Duration
	length   float64 // nanoseconds
	r0, r1   float64 // arrivals per nanosecond at both ends
	from, to place
}

// place is a point of the unit axis; the fraction is in [0, 1).
type place struct {
	whole    uint64
	fraction float64
}

// since returns p − q. Both are close enough for the difference to be told to
// within a rounding of its own size.
func (p place) since(q place) float64 {
	if p.whole >= q.whole {
		return float64(p.whole-q.whole) + (p.fraction - q.fraction)
	}
	return -float64(q.whole-p.whole) + (p.fraction - q.fraction)
}

// newChanging sums up the areas below the curve exactly, as rational numbers, so
// that the borders between segments don't drift.
func newChanging(points []scenarios.CurvePoint) (*changing, error) {
	c := &changing{}
	sum := new(big.Rat)
	from := place{}
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		nanos := int64(b.At - a.At)
		if nanos == 0 || a.RPS == 0 && b.RPS == 0 {
			continue
		}
		// (a + b) ÷ 2 per second × nanoseconds ÷ 10⁹
		area := new(big.Rat).Add(exactly(a.RPS), exactly(b.RPS))
		area.Mul(area, big.NewRat(nanos, 2_000_000_000))
		sum.Add(sum, area)
		to, err := placeOf(sum)
		if err != nil {
			return nil, err
		}
		c.segments = append(c.segments, segment{
			start: a.At, length: float64(nanos),
			r0: a.RPS / 1e9, r1: b.RPS / 1e9,
			from: from, to: to,
		})
		from = to
	}
	return c, nil
}

// exactly returns a finite number as a rational one.
func exactly(x float64) *big.Rat {
	r := new(big.Rat)
	r.SetFloat64(x)
	return r
}

// placeOf splits a sum into its whole part and the rest.
func placeOf(sum *big.Rat) (place, error) {
	whole, rest := new(big.Int).QuoRem(sum.Num(), sum.Denom(), new(big.Int))
	if !whole.IsUint64() {
		return place{}, fmt.Errorf("the curve has %s arrivals, more than can be counted", whole)
	}
	fraction, _ := new(big.Rat).SetFrac(rest, sum.Denom()).Float64()
	if fraction >= 1 { // rounded up to one
		fraction = math.Nextafter(1, 0)
	}
	return place{whole.Uint64(), fraction}, nil
}

// at returns the instant at which the area below the curve exceeds a place: where
// the rate is zero for a while, that is its end. ok is false behind the last.
func (c *changing) at(whole uint64, fraction float64) (time.Duration, bool) {
	p := place{whole, fraction}
	for c.current < len(c.segments) && p.since(c.segments[c.current].to) >= 0 {
		c.current++
	}
	if c.current == len(c.segments) {
		return 0, false
	}
	s := &c.segments[c.current]
	return s.start + time.Duration(s.invert(p)), true
}

// invert solves r0·t + (r1−r0)·t²/2L = x for the time t in the segment, of length
// L, at which its area reaches x. The root of a quadratic that loses nothing to
// cancellation is 2x ÷ (r0 + √(r0² + 2·(r1−r0)/L·x)) as long as the rate rises;
// where it falls, the time to the end is found in the same way from what is left
// of the area. Source: Press et al., Numerical Recipes, 3rd ed., section 5.6.
func (s *segment) invert(p place) float64 {
	if s.r1 >= s.r0 {
		return clamp(root(max(0, p.since(s.from)), s.r0, (s.r1-s.r0)/s.length), s.length)
	}
	return clamp(s.length-root(max(0, s.to.since(p)), s.r1, (s.r0-s.r1)/s.length), s.length)
}

// root returns the t ≥ 0 with rate·t + slope·t²/2 = area, all of them ≥ 0.
func root(area, rate, slope float64) float64 {
	if area == 0 {
		return 0
	}
	return 2 * area / (rate + math.Sqrt(rate*rate+2*slope*area))
}

// clamp keeps a rounded time within its segment.
func clamp(t, length float64) float64 { return min(max(t, 0), length) }
