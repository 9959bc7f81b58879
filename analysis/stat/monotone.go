package stat

import "math"

// Block is a run of points that monotone regression gives one value.
type Block struct {
	First, Last int     // indices of the points, inclusive
	Value       float64 // the weighted mean of their values
	Weight      float64 // the sum of their weights
}

// Isotonic returns the non-decreasing sequence that is closest to y in weighted
// least squares, as runs of equal value: the pool-adjacent-violators algorithm
// (Barlow et al., "Statistical inference under order restrictions", 1972).
// Weights must be positive; nil means all are 1. Equal values that need no pooling
// stay runs of their own.
func Isotonic(y, weights []float64) []Block {
	blocks := make([]Block, 0, len(y))
	for i, v := range y {
		w := 1.0
		if weights != nil {
			w = weights[i]
		}
		blocks = append(blocks, Block{First: i, Last: i, Value: v, Weight: w})
		for n := len(blocks); n > 1 && blocks[n-2].Value > blocks[n-1].Value; n = len(blocks) {
			a, b := blocks[n-2], blocks[n-1]
			blocks = append(blocks[:n-2], Block{
				First: a.First, Last: b.Last,
				Value:  (a.Value*a.Weight + b.Value*b.Weight) / (a.Weight + b.Weight),
				Weight: a.Weight + b.Weight,
			})
		}
	}
	return blocks
}

// Trend is the outcome of a test for a monotone trend.
type Trend struct {
	Tau float64 // Kendall's, in [−1, 1]: share of rising minus share of falling pairs
	P   float64 // two-sided
	N   int
}

// MannKendall tests a series for a monotone trend, by the normal approximation
// with continuity correction and ties (Kendall, "Rank correlation methods",
// 1975, ch. 4). It means little below eight values; P is 1 below three.
func MannKendall(series []float64) Trend {
	n := len(series)
	t := Trend{N: n, P: 1}
	if n < 3 {
		return t
	}
	s := 0.0
	ties := map[float64]float64{}
	for i, v := range series {
		ties[v]++
		for _, later := range series[i+1:] {
			switch {
			case later > v:
				s++
			case later < v:
				s--
			}
		}
	}
	f := float64(n)
	variance := f * (f - 1) * (2*f + 5)
	for _, m := range ties {
		variance -= m * (m - 1) * (2*m + 5)
	}
	variance /= 18
	t.Tau = s / (f * (f - 1) / 2)
	if variance <= 0 || s == 0 {
		return t
	}
	t.P = math.Erfc((math.Abs(s) - 1) / math.Sqrt(variance) / math.Sqrt2)
	return t
}
