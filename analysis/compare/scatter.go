package compare

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// How many runs a side, or pairs, it takes to compare how much runs differ.
const (
	leastForScatter       = 5
	leastForPairedScatter = 8
)

// scatter compares how much the runs of a side differ from each other, by the
// distances from their medians.
//
// Source: Brown and Forsythe, "Robust tests for the equality of variances", 1974.
func (f *Finding) scatter(a, b []float64) {
	f.scattered = 1
	if min(len(a), len(b)) < leastForScatter {
		return
	}
	x, y := distances(a), distances(b)
	n, m := float64(len(x)), float64(len(y))
	meanX, meanY := mean(x), mean(y)
	all := (n*meanX + m*meanY) / (n + m)
	within := 0.0
	for _, v := range x {
		within += square(v - meanX)
	}
	for _, v := range y {
		within += square(v - meanY)
	}
	if !(meanX > 0) || !(within > 0) {
		return
	}
	f.Scatter = meanY / meanX
	between := n*square(meanX-all) + m*square(meanY-all)
	if f.Scatter > 1 { // half of what is as large lies on the other side
		f.scattered = (1 - distuv.F{D1: 1, D2: n + m - 2}.CDF(between*(n+m-2)/within)) / 2
	}
}

// pairedScatter does the same for pairs, whose sides have something in common: where one
// differs more, differences go with sums.
//
// Source: McCulloch, "Tests for equality of variances with paired data", 1987, with
// Spearman's correlation.
func (f *Finding) pairedScatter(a, b []float64) {
	f.scattered = 1
	if len(a) < leastForPairedScatter {
		return
	}
	if x := mean(distances(a)); x > 0 {
		f.Scatter = mean(distances(b)) / x
	}
	sums, differences := make([]float64, len(a)), make([]float64, len(a))
	for i := range a {
		sums[i], differences[i] = b[i]+a[i], b[i]-a[i]
	}
	r := correlation(ranks(sums), ranks(differences))
	if df := float64(len(a) - 2); r > 0 {
		f.scattered = 1 - distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.CDF(r*math.Sqrt(df/math.Max(1-r*r, 1e-12)))
	}
}

// ranks returns the places of values in their order, from 1; equal ones share the mean.
func ranks(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		below, equal := 0, 0
		for _, w := range values {
			switch {
			case w < v:
				below++
			case w == v:
				equal++
			}
		}
		out[i] = float64(below) + float64(equal+1)/2
	}
	return out
}

// correlation returns that of Pearson; 0 where one side does not vary.
func correlation(x, y []float64) float64 {
	meanX, meanY := mean(x), mean(y)
	xy, xx, yy := 0.0, 0.0, 0.0
	for i := range x {
		xy += (x[i] - meanX) * (y[i] - meanY)
		xx += square(x[i] - meanX)
		yy += square(y[i] - meanY)
	}
	if !(xx > 0) || !(yy > 0) {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

func distances(values []float64) []float64 {
	middle := median(values)
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.Abs(v - middle)
	}
	return out
}

func square(v float64) float64 { return v * v }

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func deviation(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	m, sum := mean(values), 0.0
	for _, v := range values {
		sum += square(v - m)
	}
	return math.Sqrt(sum / float64(len(values)-1))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func z(p float64) float64 { return distuv.UnitNormal.Quantile(p) }

func negative(values []float64) []float64 { return scaled(values, -1) }

func scaled(values []float64, factor float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = factor * v
	}
	return out
}

func finite(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), notFinite)
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// completePairs returns the pairs of which both sides have a value.
func completePairs(base, after []float64) (a, b []float64) {
	for i := range min(len(base), len(after)) {
		if !notFinite(base[i]) && !notFinite(after[i]) {
			a, b = append(a, base[i]), append(b, after[i])
		}
	}
	return a, b
}

func sideWithout(base []float64) string {
	if len(base) == 0 {
		return "the base"
	}
	return "the new side"
}

// medianOf estimates the median of the runs.
func medianOf(values []float64) stat.Estimate {
	if len(values) == 0 {
		return stat.NotEstimable(0, "no run has a value")
	}
	return stat.Median(values, stat.Confidence)
}
