package schedule

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// ErrClosed is returned by New for a closed loop, which has no intended
// instants: the session sends whenever a stream is free.
var ErrClosed = errors.New("a closed loop has no schedule")

// streams of the generator of random numbers, so that the choice of requests
// does not change the instants of arrivals.
const (
	streamArrivals = 0x9e3779b97f4a7c15
	streamMix      = 0xd1b54a32d192ed03
	streamShare    = 0x8cb92ba72f3d8dd7
)

// Arrivals gives the intended instants of a phase, one after another.
type Arrivals struct {
	curve    curve
	place    process
	duration time.Duration
	last     time.Duration
}

// process gives places on the unit axis as a whole number and a fraction in
// [0, 1), so that a long phase loses no precision.
type process interface {
	next() (whole uint64, fraction float64)
}

// curve is the inverse of a cumulative rate: the instant at which the expected
// number of arrivals reaches whole + fraction. ok is false past what 64 bits of
// nanoseconds hold.
type curve interface {
	at(whole uint64, fraction float64) (offset time.Duration, ok bool)
}

// New returns the arrivals of a phase: those of its curve where it has one, else
// of its rate. The duration and the rate have to be above zero, and the curve one
// that scenarios.CheckCurve accepts.
func New(phase scenarios.Phase) (*Arrivals, error) {
	if phase.Process == scenarios.Closed {
		return nil, ErrClosed
	}
	if phase.Duration <= 0 {
		return nil, fmt.Errorf("phase %q: duration %s: arrivals need a time above zero", phase.Name, phase.Duration)
	}
	curve, err := curveOf(phase)
	if err != nil {
		return nil, fmt.Errorf("phase %q: %w", phase.Name, err)
	}
	a := &Arrivals{curve: curve, duration: phase.Duration}
	switch phase.Process {
	case scenarios.Constant:
		a.place = &regular{}
	case scenarios.Poisson:
		a.place = &exponential{source: rand.New(rand.NewPCG(phase.Seed, streamArrivals))}
	default:
		return nil, fmt.Errorf("phase %q: arrivals %q are not known", phase.Name, phase.Process)
	}
	if phase.Bunch > 1 {
		a.place = &bunched{places: a.place, size: phase.Bunch}
	}
	return a, nil
}

func curveOf(phase scenarios.Phase) (curve, error) {
	if len(phase.Curve) > 0 {
		if phase.Bunch > 1 {
			return nil, fmt.Errorf("bunches of %d: they need a rate that does not change", phase.Bunch)
		}
		if err := scenarios.CheckCurve(phase.Curve, phase.Duration); err != nil {
			return nil, err
		}
		return newChanging(phase.Curve)
	}
	if phase.Rate.Count <= 0 || phase.Rate.Per <= 0 {
		return nil, fmt.Errorf("rate %s: arrivals need a rate above zero", phase.Rate)
	}
	// With bunches the unit axis counts them, and they come as much more rarely.
	size := uint64(max(phase.Bunch, 1))
	if uint64(phase.Rate.Per) > math.MaxInt64/size {
		return nil, fmt.Errorf("rate %s in bunches of %d: they lie further apart than can be told", phase.Rate, phase.Bunch)
	}
	return steady{count: uint64(phase.Rate.Count), per: uint64(phase.Rate.Per) * size}, nil
}

// Next returns the offset of the next arrival from the start of the phase. ok
// is false when the phase is over: no arrival is intended at its duration or later.
func (a *Arrivals) Next() (offset time.Duration, ok bool) {
	offset, ok = a.curve.at(a.place.next())
	if !ok || offset >= a.duration {
		return 0, false
	}
	// The two parts of a place are rounded apart, so that neighbours closer than
	// a nanosecond could change places.
	offset = max(offset, a.last)
	a.last = offset
	return offset, true
}

// steady is a rate that does not change: count arrivals in per nanoseconds.
type steady struct{ count, per uint64 }

// at returns ⌊whole·per ÷ count⌋ + fraction·per ÷ count. The first term is
// exact, whatever whole is.
func (s steady) at(whole uint64, fraction float64) (time.Duration, bool) {
	offset, ok := muldiv(whole, s.per, s.count)
	if !ok {
		return 0, false
	}
	offset += uint64(fraction * float64(s.per) / float64(s.count))
	if offset > math.MaxInt64 {
		return 0, false
	}
	return time.Duration(offset), true
}

// muldiv returns ⌊a·b ÷ c⌋ through a product of 128 bits; c > 0. ok is false
// when the result has more than 63 bits.
func muldiv(a, b, c uint64) (result uint64, ok bool) {
	high, low := bits.Mul64(a, b)
	if high >= c {
		return 0, false
	}
	quotient, _ := bits.Div64(high, low, c)
	return quotient, quotient <= math.MaxInt64
}

// regular is arrival i at place i.
type regular struct{ i uint64 }

func (r *regular) next() (uint64, float64) {
	i := r.i
	r.i++
	return i, 0
}

// bunched gives each place so many times.
type bunched struct {
	places   process
	size     int
	given    int
	whole    uint64
	fraction float64
}

func (b *bunched) next() (uint64, float64) {
	if b.given == 0 {
		b.whole, b.fraction = b.places.next()
	}
	b.given = (b.given + 1) % b.size
	return b.whole, b.fraction
}

// exponential is a Poisson process of one arrival a unit: independent gaps with
// P(gap > x) = e^−x, drawn as −ln(1−U) for U uniform in [0, 1).
type exponential struct {
	source   *rand.Rand
	whole    uint64
	fraction float64
}

func (e *exponential) next() (uint64, float64) {
	place := e.fraction - math.Log(1-e.source.Float64())
	floor := math.Floor(place)
	e.whole += uint64(floor)
	e.fraction = place - floor
	return e.whole, e.fraction
}
