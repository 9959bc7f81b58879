package stat

import (
	"fmt"
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
	"gonum.org/v1/gonum/stat/distuv"
)

// exactRanks is up to how many values a side the distribution of a rank statistic is
// counted out; beyond it the normal approximation is exact to three digits.
const exactRanks = 50

// Shift estimates by how much the values of b lie above those of a: the median of
// all differences b − a (Hodges and Lehmann), with the interval that belongs to the
// rank test of Mann and Whitney. Not estimable without values; where there are too
// few for the confidence, its ends are infinite and a warning says how many it takes.
//
// Source: Hollander, Wolfe, Chicken, "Nonparametric statistical methods", 3rd ed.,
// section 4.3.
func Shift(a, b []float64, confidence float64) Estimate {
	n := len(a) + len(b)
	if len(a) == 0 || len(b) == 0 {
		return NotEstimable(n, "one side has no values")
	}
	differences := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			differences = append(differences, y-x)
		}
	}
	e := fromOrdered(differences, rankSums(len(a), len(b)), confidence, n)
	if math.IsInf(e.Low, -1) {
		e.Warnings = append(e.Warnings, fmt.Sprintf("%d and %d values are too few for an interval at %.4g %%: %d a side are needed", len(a), len(b), 100*confidence, ShiftNeeds(confidence)))
	}
	return e
}

// ShiftNeeds returns how many values a side Shift needs for a finite interval.
func ShiftNeeds(confidence float64) int {
	n := 1
	for orders := 2.0; 1/orders > tail(confidence) && n < exactRanks; n++ {
		orders *= float64(2*(2*n+1)) / float64(n+1) // C(2n+2, n+1) ÷ C(2n, n)
	}
	return n
}

// PairedShift estimates the median of differences of pairs: the median of their
// Walsh averages, with the interval that belongs to Wilcoxon's signed rank test.
//
// Source: as of Shift, section 3.3.
func PairedShift(differences []float64, confidence float64) Estimate {
	n := len(differences)
	if n == 0 {
		return NotEstimable(0, "there are no pairs")
	}
	walsh := make([]float64, 0, n*(n+1)/2)
	for i, x := range differences {
		for _, y := range differences[:i+1] {
			walsh = append(walsh, (x+y)/2)
		}
	}
	e := fromOrdered(walsh, signedRanks(n), confidence, n)
	if math.IsInf(e.Low, -1) {
		e.Warnings = append(e.Warnings, fmt.Sprintf("%d pairs are too few for an interval at %.4g %%: %d are needed", n, 100*confidence, PairedShiftNeeds(confidence)))
	}
	return e
}

// PairedShiftNeeds returns how many pairs PairedShift needs for a finite interval.
func PairedShiftNeeds(confidence float64) int {
	return int(math.Ceil(-math.Log2((1-confidence)/2) - 1e-9))
}

// fromOrdered returns the median of values with the interval between those that
// leave out as many at either end as the rank statistic allows, of which atMost are the
// probabilities of at most k.
func fromOrdered(values, atMost []float64, confidence float64, n int) Estimate {
	slices.Sort(values)
	m := len(values)
	e := Estimate{
		Value: (values[(m-1)/2] + values[m/2]) / 2, Low: math.Inf(-1), High: math.Inf(1),
		Confidence: confidence, N: n,
	}
	out := 0 // values left out at either end
	for ; out < (m+1)/2 && atMost[out] <= tail(confidence); out++ {
	}
	if out > 0 {
		e.Low, e.High = values[out-1], values[m-out]
	}
	return e
}

// rankSums returns for each k the probability that Mann and Whitney's U of n and m
// values is at most k, without ties.
func rankSums(n, m int) []float64 {
	p := make([]float64, n*m+1)
	if max(n, m) > exactRanks {
		mean, variance := float64(n*m)/2, float64(n*m*(n+m+1))/12
		for k := range p {
			p[k] = distuv.UnitNormal.CDF((float64(k) + 0.5 - mean) / math.Sqrt(variance))
		}
		return p
	}
	// The probabilities are the coefficients of ∏ (1 − q^(m+i)) ÷ (1 − q^i) over
	// i = 1 … n, divided by how many orders there are.
	p[0] = 1
	for i := 1; i <= n; i++ {
		for k := len(p) - 1; k >= m+i; k-- {
			p[k] -= p[k-m-i]
		}
		for k := i; k < len(p); k++ {
			p[k] += p[k-i]
		}
	}
	all := 0.0
	for _, ways := range p {
		all += ways
	}
	sum := 0.0
	for k, ways := range p {
		sum += ways
		p[k] = sum / all
	}
	return p
}

// signedRanks returns for each k the probability that the signed rank statistic of
// n pairs is at most k.
func signedRanks(n int) []float64 {
	most := n * (n + 1) / 2
	p := make([]float64, most+1)
	p[0] = 1
	for rank := 1; rank <= n; rank++ { // each rank counts or does not, with equal chance
		for k := most; k >= 0; k-- {
			p[k] /= 2
			if k >= rank {
				p[k] += p[k-rank] / 2
			}
		}
	}
	for k := 1; k <= most; k++ {
		p[k] += p[k-1]
	}
	return p
}

// Above returns the probability, if b had the distribution of a plus margin, of
// values of b that lie at least as high: the one-sided rank test of Mann and Whitney,
// with ties. 1 without values.
func Above(a, b []float64, margin float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	shifted := make([]float64, len(a))
	for i, x := range a {
		shifted[i] = x + margin
	}
	// Not the other way round: of ties its test for greater counts half a rank too much.
	result, err := stats.MannWhitneyUTest(shifted, b, stats.LocationLess)
	if err != nil {
		return 1 // all values are equal
	}
	return result.P
}

// PairedAbove returns the same of differences of pairs: how probable differences are
// that lie at least as high above the margin, by the signed rank test. Differences
// that equal the margin count against it.
func PairedAbove(differences []float64, margin float64) float64 {
	n := len(differences)
	if n == 0 {
		return 1
	}
	type distance struct {
		size     float64
		positive bool
	}
	from := make([]distance, n)
	for i, d := range differences {
		from[i] = distance{math.Abs(d - margin), d > margin}
	}
	slices.SortFunc(from, func(x, y distance) int {
		switch {
		case x.size < y.size || x.size == y.size && x.positive && !y.positive:
			return -1 // of a tie those above rank lowest, which is the safe side
		case x.size > y.size || x.positive != y.positive:
			return 1
		}
		return 0
	})
	negative := 0
	for i, d := range from {
		if !d.positive {
			negative += i + 1
		}
	}
	return signedRanks(n)[negative]
}

// Holm returns which of several null hypotheses are rejected so that the chance of
// rejecting a true one stays under alpha, from their p-values.
//
// Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
func Holm(p []float64, alpha float64) []bool {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case p[i] < p[j]:
			return -1
		case p[i] > p[j]:
			return 1
		}
		return 0
	})
	rejected := make([]bool, len(p))
	for rank, i := range order {
		if !(p[i] <= alpha/float64(len(p)-rank)+1e-12) {
			break
		}
		rejected[i] = true
	}
	return rejected
}

// tail returns the share that an interval leaves out at either end, and what
// floating-point numbers take from it.
func tail(confidence float64) float64 { return (1-confidence)/2 + 1e-12 }

// Median estimates the median of independent values, with the interval between two of
// them that covers it with at least the confidence, and infinite ends where none does.
// values must not be empty.
func Median(values []float64, confidence float64) Estimate {
	sample := benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
	summary := benchmath.AssumeNothing.Summary(sample, confidence)
	e := Estimate{Value: summary.Center, Low: summary.Lo, High: summary.Hi, Confidence: confidence, N: len(values)}
	for _, warning := range summary.Warnings {
		e.Warnings = append(e.Warnings, warning.Error())
	}
	return e
}
