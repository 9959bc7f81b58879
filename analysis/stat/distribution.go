package stat

import (
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Distribution is an empirical distribution, sparse: how often each value occurred.
// The zero Distribution is empty.
type Distribution struct {
	values []float64 // rising
	cum    []int64   // observations up to and including that value
}

// NewDistribution returns the distribution of values, each seen counts[i] times.
// The values must rise; what has no positive count is left out.
func NewDistribution(values []float64, counts []int64) Distribution {
	d := Distribution{values: make([]float64, 0, len(values)), cum: make([]int64, 0, len(values))}
	total := int64(0)
	for i, v := range values {
		if i >= len(counts) || counts[i] <= 0 || math.IsNaN(v) {
			continue
		}
		total += counts[i]
		d.values, d.cum = append(d.values, v), append(d.cum, total)
	}
	return d
}

// OfHistogram returns the distribution that a histogram holds, its values
// multiplied by unit (1e-9 for nanoseconds as seconds). A nil histogram is empty.
func OfHistogram(h *hdrhistogram.Histogram, unit float64) Distribution {
	if h == nil || h.TotalCount() == 0 {
		return Distribution{}
	}
	var values []float64
	var counts []int64
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			values, counts = append(values, float64(bar.To)*unit), append(counts, bar.Count)
		}
	}
	return NewDistribution(values, counts)
}

// N returns the number of observations.
func (d Distribution) N() int64 {
	if len(d.cum) == 0 {
		return 0
	}
	return d.cum[len(d.cum)-1]
}

// AtRank returns the k-th smallest observation, k from 1; k outside 1…N is moved
// to the nearer end. NaN when there is none.
func (d Distribution) AtRank(k int64) float64 {
	if len(d.cum) == 0 {
		return math.NaN()
	}
	i, _ := slices.BinarySearch(d.cum, max(k, 1))
	return d.values[min(i, len(d.values)-1)]
}

// Quantile returns the smallest value that at least a share q of the observations
// does not exceed: the inverse of the empirical distribution function, type 1 of
// Hyndman and Fan, "Sample quantiles in statistical packages", 1996. NaN when
// there are no observations.
func (d Distribution) Quantile(q float64) float64 {
	return d.AtRank(rank(q, d.N()))
}

// rank is ceil(q·n) without the excess that binary fractions bring (0.99 × 700
// is 693.0000000000001 there, and not the 694th).
func rank(q float64, n int64) int64 {
	return int64(math.Ceil(q*float64(n) - 1e-9*float64(n)))
}

// Endless returns the distribution in which the largest observations, last of
// them, and more that never came to an end are +Inf: what is beyond every limit.
// Both are ≥ 0.
func (d Distribution) Endless(last, more int64) Distribution {
	if last <= 0 && more <= 0 {
		return d
	}
	keep := max(0, d.N()-max(0, last))
	out := Distribution{}
	for i, v := range d.values {
		before := int64(0)
		if i > 0 {
			before = d.cum[i-1]
		}
		if before >= keep {
			break
		}
		out.values, out.cum = append(out.values, v), append(out.cum, min(d.cum[i], keep))
	}
	if endless := d.N() - keep + max(0, more); endless > 0 {
		out.values, out.cum = append(out.values, math.Inf(1)), append(out.cum, keep+endless)
	}
	return out
}

// Mean returns the mean; NaN when there are no observations.
func (d Distribution) Mean() float64 {
	sum, before := 0.0, int64(0)
	for i, v := range d.values {
		sum += v * float64(d.cum[i]-before)
		before = d.cum[i]
	}
	return sum / float64(before)
}

// Max returns the largest value; NaN when there are no observations.
func (d Distribution) Max() float64 { return d.AtRank(d.N()) }

// ShareAbove returns the share of observations above v, in [0, 1]; 0 when there
// are none.
func (d Distribution) ShareAbove(v float64) float64 {
	n := d.N()
	if n == 0 {
		return 0
	}
	i, found := slices.BinarySearch(d.values, v)
	if found {
		i++
	}
	if i == 0 {
		return 1
	}
	return float64(n-d.cum[i-1]) / float64(n)
}

// Merge returns the distribution of all observations together.
func Merge(parts ...Distribution) Distribution {
	switch len(parts) {
	case 0:
		return Distribution{}
	case 1:
		return parts[0]
	}
	half := len(parts) / 2
	return merge(Merge(parts[:half]...), Merge(parts[half:]...))
}

func merge(a, b Distribution) Distribution {
	if a.N() == 0 {
		return b
	}
	if b.N() == 0 {
		return a
	}
	// Counted beforehand: many of them are kept for as long as the analysis takes.
	n := 0
	for i, j := 0, 0; i < len(a.values) || j < len(b.values); n++ {
		i, j = next(a.values, b.values, i, j)
	}
	out := Distribution{values: make([]float64, 0, n), cum: make([]int64, 0, n)}
	total := int64(0)
	for i, j := 0, 0; i < len(a.values) || j < len(b.values); {
		nextI, nextJ := next(a.values, b.values, i, j)
		v := 0.0
		if nextI > i {
			v, total = a.values[i], total+a.count(i)
		}
		if nextJ > j {
			v, total = b.values[j], total+b.count(j)
		}
		out.values, out.cum = append(out.values, v), append(out.cum, total)
		i, j = nextI, nextJ
	}
	return out
}

// next goes past the least of a[i] and b[j], and past both where they are equal.
func next(a, b []float64, i, j int) (nextI, nextJ int) {
	switch {
	case j == len(b) || (i < len(a) && a[i] < b[j]):
		return i + 1, j
	case i == len(a) || b[j] < a[i]:
		return i, j + 1
	default:
		return i + 1, j + 1
	}
}

// count returns how often the i-th value occurred.
func (d Distribution) count(i int) int64 {
	if i == 0 {
		return d.cum[0]
	}
	return d.cum[i] - d.cum[i-1]
}

// grid holds distributions over the union of their values, so that sums of many
// choices of them are cheap.
type grid struct {
	values []float64
	index  [][]int32
	counts [][]int64
}

func newGrid(parts []Distribution) grid {
	g := grid{
		values: Merge(parts...).values,
		index:  make([][]int32, 0, len(parts)), counts: make([][]int64, 0, len(parts)),
	}
	for _, p := range parts {
		index, counts := make([]int32, len(p.values)), make([]int64, len(p.values))
		from := 0
		for i, v := range p.values {
			at, _ := slices.BinarySearch(g.values[from:], v)
			from += at
			index[i], counts[i] = int32(from), p.count(i)
		}
		g.index, g.counts = append(g.index, index), append(g.counts, counts)
	}
	return g
}

// sum adds the counts of the chosen parts into into, which it clears first.
func (g grid) sum(chosen []int, into []int64) []int64 {
	clear(into)
	for _, c := range chosen {
		for i, at := range g.index[c] {
			into[at] += g.counts[c][i]
		}
	}
	return into
}

// quantile returns the q-quantile of counts over the grid's values, NaN when all are 0.
func (g grid) quantile(counts []int64, q float64) float64 {
	total := int64(0)
	for _, c := range counts {
		total += c
	}
	if total == 0 {
		return math.NaN()
	}
	// From the top: the quantiles of interest are high.
	above := total - max(rank(q, total), 1)
	for i := len(counts) - 1; i >= 0; i-- {
		if above < counts[i] {
			return g.values[i]
		}
		above -= counts[i]
	}
	return math.NaN()
}
