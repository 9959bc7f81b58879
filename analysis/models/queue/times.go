package queue

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Times is a distribution of times in seconds: of service, or between arrivals.
// The functions of this file make one; the zero Times is none.
type Times struct {
	mean, cv2 float64
	// start returns a source of times that depend on random alone.
	start func(random *rand.Rand) func() float64
}

// Mean returns the mean, in seconds.
func (t Times) Mean() float64 { return t.mean }

// CV2 returns the squared coefficient of variation, variance ÷ mean²: 0 for
// constant times, 1 for exponential ones.
func (t Times) CV2() float64 { return t.cv2 }

// Exponential returns exponential times: between arrivals, a Poisson process.
func Exponential(mean float64) (Times, error) {
	if err := above("mean", mean, 0); err != nil {
		return Times{}, fmt.Errorf("exponential times: %w", err)
	}
	return Times{mean, 1, func(random *rand.Rand) func() float64 {
		return func() float64 { return mean * random.ExpFloat64() }
	}}, nil
}

// Constant returns times that are all the same.
func Constant(mean float64) (Times, error) {
	if err := above("mean", mean, 0); err != nil {
		return Times{}, fmt.Errorf("constant times: %w", err)
	}
	return Times{mean, 0, func(*rand.Rand) func() float64 {
		return func() float64 { return mean }
	}}, nil
}

// Hyperexponential returns times that are exponential with one of two means, which
// each make up half of the total time (balanced means): bursts between arrivals,
// or a few long requests among short ones. cv2 ≥ 1.
//
// Source: Whitt, "Approximating a point process by a renewal process", 1982:
// p = (1 + √((c²−1) ÷ (c²+1))) ÷ 2, rates 2p ÷ mean and 2(1−p) ÷ mean.
func Hyperexponential(mean, cv2 float64) (Times, error) {
	if err := errors.Join(above("mean", mean, 0), atLeast("squared coefficient of variation", cv2, 1)); err != nil {
		return Times{}, fmt.Errorf("hyperexponential times: %w", err)
	}
	p := (1 + math.Sqrt((cv2-1)/(cv2+1))) / 2
	short, long := mean/(2*p), mean/(2*(1-p))
	return Times{mean, cv2, func(random *rand.Rand) func() float64 {
		return func() float64 {
			if random.Float64() < p {
				return short * random.ExpFloat64()
			}
			return long * random.ExpFloat64()
		}
	}}, nil
}

// Lognormal returns times whose logarithm is normal, as service times often are.
// cv2 > 0; ln has the variance ln(1 + cv2).
func Lognormal(mean, cv2 float64) (Times, error) {
	if err := errors.Join(above("mean", mean, 0), above("squared coefficient of variation", cv2, 0)); err != nil {
		return Times{}, fmt.Errorf("lognormal times: %w", err)
	}
	variance := math.Log1p(cv2)
	sd, mu := math.Sqrt(variance), math.Log(mean)-variance/2
	return Times{mean, cv2, func(random *rand.Rand) func() float64 {
		return func() float64 { return math.Exp(mu + sd*random.NormFloat64()) }
	}}, nil
}

// Recorded returns times in the order in which they were recorded, such as the
// gaps between the arrivals of a real load: with all that links one to the next.
// Each replication begins at a place of its own and goes around. CV2 is that of
// the times, as if nothing linked them. times must be ≥ 0 and not all 0.
func Recorded(times []float64) (Times, error) {
	if len(times) == 0 {
		return Times{}, errors.New("recorded times: there are none")
	}
	sum, squares := 0.0, 0.0
	for i, v := range times {
		if err := atLeast(fmt.Sprintf("time %d:", i+1), v, 0); err != nil {
			return Times{}, fmt.Errorf("recorded times: %w", err)
		}
		sum += v
	}
	mean := sum / float64(len(times))
	if err := above("mean", mean, 0); err != nil {
		return Times{}, fmt.Errorf("recorded times: %w", err)
	}
	for _, v := range times {
		squares += (v - mean) * (v - mean)
	}
	times = slices.Clone(times)
	return Times{mean, squares / float64(len(times)) / (mean * mean), func(random *rand.Rand) func() float64 {
		at := random.IntN(len(times))
		return func() float64 {
			v := times[at]
			if at++; at == len(times) {
				at = 0
			}
			return v
		}
	}}, nil
}

// Measured returns times drawn independently from a measured distribution, such
// as stat.OfHistogram(h, 1e-9) of a histogram of service times in nanoseconds.
// It must not be empty, nor have negative or endless times.
func Measured(d stat.Distribution) (Times, error) {
	if d.N() == 0 {
		return Times{}, errors.New("measured times: there are none")
	}
	if err := errors.Join(atLeast("least time", d.AtRank(1), 0), above("largest time", d.Max(), 0)); err != nil {
		return Times{}, fmt.Errorf("measured times: %w", err)
	}
	table := newTable(d)
	mean := d.Mean()
	squares, before := 0.0, int64(0)
	for i, v := range table.values {
		squares += (v - mean) * (v - mean) * float64(table.upTo[i]-before)
		before = table.upTo[i]
	}
	return Times{mean, squares / float64(d.N()) / (mean * mean), func(random *rand.Rand) func() float64 {
		return func() float64 { return table.at(random.Int64N(table.n)) }
	}}, nil
}

// table is the inverse of a distribution function, with a guide to where each
// part of the ranks begins, so that a look-up takes about one step (Chen and
// Asau, "On generating random variates from an empirical distribution", 1974).
type table struct {
	values []float64 // rising
	upTo   []int64   // observations up to and including each
	guide  []int32   // where the ranks from i·width on begin
	width  int64
	n      int64
}

func newTable(d stat.Distribution) table {
	t := table{n: d.N()}
	for rank := int64(0); rank < t.n; {
		v := d.AtRank(rank + 1)
		rank = t.n - int64(math.Round(d.ShareAbove(v)*float64(t.n)))
		t.values, t.upTo = append(t.values, v), append(t.upTo, rank)
	}
	// Ceiling division, so that no more than 2·len parts are needed.
	parts := int64(2 * len(t.values))
	t.width = max(1, (t.n+parts-1)/parts)
	at := int32(0)
	for from := int64(0); from < t.n; from += t.width {
		for t.upTo[at] <= from {
			at++
		}
		t.guide = append(t.guide, at)
	}
	return t
}

// at returns the observation of a rank from 0 to n−1.
func (t table) at(rank int64) float64 {
	i := t.guide[rank/t.width]
	for t.upTo[i] <= rank {
		i++
	}
	return t.values[i]
}
