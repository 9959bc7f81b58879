package stat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is the confidence of every interval unless something else is said.
const Confidence = 0.95

// Z returns the two-sided normal critical value.
func Z(confidence float64) float64 { return distuv.UnitNormal.Quantile(0.5 + confidence/2) }

// SamplesFor returns how many independent observations the interval of the
// q-quantile needs at 95 %: below that its upper end would be the largest
// observation or lie beyond it, and the quantile is not estimable.
//
// The rule is the order-statistic interval as Lancet uses it (Kogias, Mallon,
// Bugnion, "Lancet: a self-correcting latency measuring tool", 2019):
//
//	k = ceil(nq + z·√(nq(1−q))) + 1 < n
//
// and the same for the lower end of a low quantile. 726 for p99; for p99.9 and
// p99.99 the published 7 294 and 73 023 are kept, which are up to 0.13 % above it.
func SamplesFor(q float64) int {
	if !(q > 0 && q < 1) {
		return math.MaxInt
	}
	switch q {
	case 0.999:
		return 7294
	case 0.9999:
		return 73023
	}
	tail := math.Min(q, 1-q)
	// Solves n·tail − z·√(n·q(1−q)) = 2 for √n.
	c := Z(Confidence) * math.Sqrt(q*(1-q))
	root := (c + math.Sqrt(c*c+8*tail)) / (2 * tail)
	n := math.Ceil(root*root - 1e-9)
	if n > 1e15 {
		return math.MaxInt
	}
	return int(n)
}

// Quantile estimates the q-quantile with the order-statistic interval of
// SamplesFor at the given confidence. It is not estimable from fewer
// observations than SamplesFor asks for. The interval takes the observations as
// independent; Bootstrap widens it where they are not.
func Quantile(d Distribution, q, confidence float64) Estimate {
	n := d.N()
	if need := SamplesFor(q); n < int64(need) {
		return NotEstimable(int(n), fmt.Sprintf("%s needs at least %d answers, there were %d", QuantileName(q), need, n))
	}
	half := Z(confidence) * math.Sqrt(float64(n)*q*(1-q))
	low := int64(math.Floor(float64(n)*q - half))
	high := int64(math.Ceil(float64(n)*q+half)) + 1
	if math.IsInf(d.Quantile(q), 1) {
		never := d.ShareAbove(math.MaxFloat64)
		e := NotEstimable(int(n), fmt.Sprintf("%s lies beyond every answer: %.3g %% were never answered", QuantileName(q), 100*never))
		e.Low, e.High, e.Confidence = d.AtRank(low), math.Inf(1), confidence
		return e
	}
	return Estimate{
		Value: d.Quantile(q), Low: d.AtRank(low), High: d.AtRank(high),
		Confidence: confidence, N: int(n),
	}
}

// QuantileName returns "p99" for 0.99 and "p99.9" for 0.999.
func QuantileName(q float64) string {
	return fmt.Sprintf("p%.6g", q*100)
}

// Bootstrap returns draws resampled quantiles, for each q of quantiles, of blocks of
// observations that follow each other in time, such as seconds: each draw puts runs
// of length successive blocks together, wrapping around, until there are as many as
// there were. Which blocks are drawn does not depend on quantiles. Values of
// neighbouring blocks may depend on each other; blocks further apart than length
// may not. length ≤ 0 takes 2·∛n, at least 1. Without observations the draws of
// each quantile are nil.
//
// Source: Politis and Romano, "A circular block-resampling procedure for
// stationary data", 1992.
func Bootstrap(blocks []Distribution, quantiles []float64, length, draws int, random *rand.Rand) [][]float64 {
	out := make([][]float64, len(quantiles))
	blocks = slices.DeleteFunc(slices.Clone(blocks), func(d Distribution) bool { return d.N() == 0 })
	n := len(blocks)
	if n == 0 || draws <= 0 {
		return out
	}
	if length <= 0 {
		length = int(2 * math.Cbrt(float64(n)))
	}
	length = min(max(length, 1), n)
	g := newGrid(blocks)
	counts, chosen := make([]int64, len(g.values)), make([]int, 0, n+length)
	for range draws {
		chosen = chosen[:0]
		for len(chosen) < n {
			start := random.IntN(n)
			for i := range length {
				chosen = append(chosen, (start+i)%n)
			}
		}
		g.sum(chosen[:n], counts)
		for i, q := range quantiles {
			out[i] = append(out[i], g.quantile(counts, q))
		}
	}
	return out
}

// Widen returns the estimate with its interval widened to what the middle part of
// draws at the estimate's confidence covers. NaN draws are left out.
func (e Estimate) Widen(draws []float64) Estimate {
	low, high, ok := Percentiles(draws, e.Confidence)
	if !e.OK() || !ok {
		return e
	}
	e.Low, e.High = math.Min(e.Low, low), math.Max(e.High, high)
	return e
}

// Percentiles returns the ends of the middle part of draws at the given
// confidence (the percentile interval of the bootstrap). Infinite draws count,
// NaN ones do not; ok is false when none are left.
func Percentiles(draws []float64, confidence float64) (low, high float64, ok bool) {
	sorted := slices.DeleteFunc(slices.Clone(draws), math.IsNaN)
	if len(sorted) == 0 {
		return math.NaN(), math.NaN(), false
	}
	slices.Sort(sorted)
	tail := (1 - confidence) / 2
	last := float64(len(sorted) - 1)
	return sorted[int(math.Floor(tail*last))], sorted[int(math.Ceil((1-tail)*last))], true
}

// Autocorrelation returns the lag-1 autocorrelation of a series, in [−1, 1]; 0
// for fewer than four values or a constant series.
func Autocorrelation(series []float64) float64 {
	n := len(series)
	if n < 4 {
		return 0
	}
	mean := 0.0
	for _, v := range series {
		mean += v / float64(n)
	}
	var num, den float64
	for i, v := range series {
		den += (v - mean) * (v - mean)
		if i > 0 {
			num += (v - mean) * (series[i-1] - mean)
		}
	}
	if den == 0 || math.IsNaN(num/den) {
		return 0
	}
	return num / den
}
