package compare

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Expectation is what pairs will be able to show of a metric, told before they are
// measured.
type Expectation struct {
	Metric
	Pairs int `json:"pairs"`
	// Detectable is the smallest change for the worse that so many pairs show four times
	// in five, as the only one among the metrics: a share of the base, or of an absolute
	// metric a difference; 0: none, or not known.
	Detectable float64 `json:"detectable"`
	// Low and High are what Detectable is with four fifths confidence: a scatter that
	// few pairs tell is not known well.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// From is how many pairs, or earlier runs of the base, told the scatter.
	From int `json:"from"`
	// Needs is how many pairs it takes to show any change of this metric among so many,
	// where Pairs are too few for that.
	Needs int `json:"needs,omitempty"`
}

// LeastToForesee is how many pairs or runs it takes to tell what others will show.
const LeastToForesee = 4

// Foresee tells what so many pairs will show, by the scatter of those that are there;
// with paired false by that of the runs of the base, whose pairs differ by √2 times as
// much. alpha is as of Pairs. Metrics with less than LeastToForesee values, or with a
// ratio to 0, are left out.
//
// Source: the sample size of a one-sided t-test, (t(1−α) + t(power))·σ/√n, as in Zar,
// "Biostatistical analysis", section 7.7; the signed rank test needs π/3 times as many
// pairs of normal differences (Hodges and Lehmann, 1956).
func Foresee(all []Series, paired bool, pairs int, alpha float64) []Expectation {
	var out []Expectation
	part := alpha / float64(max(1, len(all)))
	for _, s := range all {
		sd, n := s.pairScatter(paired)
		if n < LeastToForesee {
			continue
		}
		e := Expectation{Metric: s.Metric, Pairs: pairs, From: n}
		if needs := stat.PairedShiftNeeds(1 - 2*part); pairs < needs {
			e.Needs = needs
			out = append(out, e)
			continue
		}
		if !(sd > 0) { // as of errors that did not occur; that tells nothing of when they do
			out = append(out, e)
			continue
		}
		on := scale{s.Metric, !s.Absolute}
		at := func(sd float64) float64 { return math.Abs(on.change(on.limit() + sd*reach(pairs, part))) }
		known := distuv.ChiSquared{K: float64(n - 1)}
		e.Detectable, e.Low, e.High = at(sd), at(sd*math.Sqrt(known.K/known.Quantile(0.9))), at(sd*math.Sqrt(known.K/known.Quantile(0.1)))
		out = append(out, e)
	}
	return out
}

// pairScatter is the standard deviation of the differences of pairs, and of how many
// values it is known; 0 where there is none.
func (s Series) pairScatter(paired bool) (sd float64, n int) {
	f := Finding{Metric: s.Metric, scale: scale{s.Metric, !s.Absolute}}
	base, after := finite(s.Base), []float64(nil)
	if paired {
		base, after = completePairs(s.Base, s.New)
	}
	for _, v := range append(append([]float64(nil), base...), after...) {
		if v <= 0 && !s.Absolute {
			return 0, 0
		}
	}
	a, b := f.onScale(base), f.onScale(after)
	if !paired {
		return math.Sqrt2 * deviation(a), len(a)
	}
	for i := range a {
		a[i] = b[i] - a[i]
	}
	return deviation(a), len(a)
}

// reach is how far beyond the margin a change is that n pairs show with the usual power
// at a level, in standard deviations of the differences.
func reach(n int, level float64) float64 {
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(max(1, n-1))}
	return (t.Quantile(1-level) + t.Quantile(power)) / math.Sqrt(float64(n)*3/math.Pi)
}
