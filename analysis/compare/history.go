package compare

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Change is a point from which on the values of a series are others.
type Change struct {
	At     int     `json:"at"`     // index of the first value after it
	Before float64 `json:"before"` // median of the values since the change before it
	After  float64 `json:"after"`  // median of the values up to the next
	P      float64 `json:"p"`      // by permutation
}

// Past is what is known of a series of runs.
type Past struct {
	Changes  []Change `json:"changes"`
	Outliers []int    `json:"outliers"` // single values that stand out, which are no changes
	// Drift is a trend that no single step explains: the change over the whole series,
	// as a share of its first value on the line; 0: none.
	Drift float64 `json:"drift,omitempty"`
	// Pending says that the last values stand out, and that further runs will tell
	// whether that is a change.
	Pending bool `json:"pending,omitempty"`
}

// LeastPast is how many values of a series it takes to tell a change.
const LeastPast = 8

const (
	leastSegment = 3 // values between two changes
	permutations = 499
	pastAlpha    = 0.01
	standsOut    = 5.0 // robust deviations from the neighbours
	driftAlpha   = 0.01
)

// History looks for changes in a series, one value a run in the order of the runs. A
// change is where the energy distance between what lies before and after is the
// largest, and larger than in all but one of a hundred permutations; then the parts are
// looked at. A value that differs from its neighbours on both sides is an outlier and
// is left out.
//
// Source: Matteson and James, "A nonparametric approach for multiple change point
// analysis of multivariate data" (E-divisive), 2014.
func History(series []float64, seed uint64) Past {
	past := Past{Changes: []Change{}, Outliers: []int{}}
	if len(series) < LeastPast {
		return past
	}
	kept := make([]int, 0, len(series)) // indices
	step := typicalStep(finite(series))
	for i := range series {
		if notFinite(series[i]) {
			continue
		}
		if alone(series, i, step) {
			past.Outliers = append(past.Outliers, i)
			continue
		}
		kept = append(kept, i)
	}
	values := make([]float64, len(kept))
	for i, at := range kept {
		values[i] = series[at]
	}
	random := rand.New(rand.NewPCG(seed, 0xed))
	divided := divide(values, random)
	for _, c := range divided {
		past.Changes = append(past.Changes, Change{At: kept[c.At], P: c.P})
	}
	past.level(series)
	past.Drift = drift(values, divided)
	past.Pending = pending(values, divided)
	return past
}

// alone reports whether a value stands out from those around it while these agree with
// each other before and after. step is the deviation of values, from how neighbours
// differ in the whole series.
func alone(series []float64, i int, step float64) bool {
	const reach = 4
	if i == 0 || i == len(series)-1 {
		return false // who knows what comes
	}
	before := finite(series[max(0, i-reach):i])
	after := finite(series[i+1 : min(len(series), i+1+reach)])
	around := append(slices.Clone(before), after...)
	if len(before) == 0 || len(after) == 0 || len(around) < reach {
		return false
	}
	middle := median(around)
	spread := math.Max(math.Max(step, 1.4826*median(distances(around))), 1e-9*math.Abs(middle))
	return math.Abs(series[i]-middle) > standsOut*spread && math.Abs(median(before)-median(after)) < standsOut*spread
}

// typicalStep returns the deviation of values that scatter around slowly changing
// levels: of the differences of neighbours, which have twice the variance.
func typicalStep(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	steps := make([]float64, len(values)-1)
	for i := range steps {
		steps[i] = math.Abs(values[i+1] - values[i])
	}
	return 1.4826 * median(steps) / math.Sqrt2
}

// divide returns the changes in order.
func divide(values []float64, random *rand.Rand) []Change {
	var found []Change
	parts := [][2]int{{0, len(values)}}
	for len(parts) > 0 {
		from, to := parts[0][0], parts[0][1]
		parts = parts[1:]
		part := values[from:to]
		at, size := split(part)
		if at == 0 {
			continue
		}
		shuffled := slices.Clone(part)
		above := 0
		for range permutations {
			random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if _, s := split(shuffled); s >= size {
				above++
			}
		}
		p := float64(above+1) / (permutations + 1)
		if p > pastAlpha {
			continue
		}
		found = append(found, Change{At: from + at, P: p})
		parts = append(parts, [2]int{from, from + at}, [2]int{from + at, to})
	}
	slices.SortFunc(found, func(a, b Change) int { return a.At - b.At })
	return found
}

// split returns where the energy distance between the two parts is the largest, and
// how large; 0 where there are too few values.
func split(values []float64) (at int, size float64) {
	n := len(values)
	if n < 2*leastSegment {
		return 0, 0
	}
	// Sums of the distances within the left part, within the right one and between.
	left, right, between := 0.0, 0.0, 0.0
	for i := range n {
		for j := range i {
			right += math.Abs(values[i] - values[j])
		}
	}
	for t := 1; t <= n-leastSegment; t++ {
		v := values[t-1] // goes from the right part to the left one
		toLeft, toRight := 0.0, 0.0
		for _, x := range values[:t-1] {
			toLeft += math.Abs(v - x)
		}
		for _, x := range values[t:] {
			toRight += math.Abs(v - x)
		}
		left, right, between = left+toLeft, right-toRight, between-toLeft+toRight
		if t < leastSegment {
			continue
		}
		a, b := float64(t), float64(n-t)
		energy := a * b / (a + b) * (2*between/(a*b) - 2*left/(a*(a-1)) - 2*right/(b*(b-1)))
		if energy > size {
			at, size = t, energy
		}
	}
	return at, size
}

// level fills in the medians on both sides of each change.
func (p *Past) level(series []float64) {
	segment := func(from, to int) float64 {
		var values []float64
		for i := from; i < to; i++ {
			if !notFinite(series[i]) && !slices.Contains(p.Outliers, i) {
				values = append(values, series[i])
			}
		}
		return median(values)
	}
	for i := range p.Changes {
		from, to := 0, len(series)
		if i > 0 {
			from = p.Changes[i-1].At
		}
		if i+1 < len(p.Changes) {
			to = p.Changes[i+1].At
		}
		p.Changes[i].Before, p.Changes[i].After = segment(from, p.Changes[i].At), segment(p.Changes[i].At, to)
	}
}

// drift returns the change over the series along its line, as a share of where that
// begins, where there is a trend that steps explain no better.
func drift(values []float64, changes []Change) float64 {
	n := len(values)
	if n < LeastPast || stat.MannKendall(values).P > driftAlpha {
		return 0
	}
	var slopes []float64
	for i := range n {
		for j := range i {
			slopes = append(slopes, (values[i]-values[j])/float64(i-j))
		}
	}
	slope := median(slopes) // Theil and Sen
	rest := make([]float64, n)
	for i, v := range values {
		rest[i] = v - slope*float64(i)
	}
	start := median(rest)
	offLine := 0.0
	for _, v := range rest {
		offLine += math.Abs(v - start)
	}
	// Steps have a level more each than the line has numbers.
	offSteps := 0.0
	for i, c := range append(slices.Clone(changes), Change{At: n}) {
		from := 0
		if i > 0 {
			from = changes[i-1].At
		}
		if part := values[from:c.At]; len(part) > 0 {
			for _, d := range distances(part) {
				offSteps += d
			}
		}
	}
	if len(changes) == 1 && offSteps < offLine || start == 0 {
		return 0
	}
	return slope * float64(n-1) / math.Abs(start)
}

// pending reports whether the last value stands out, and so at least one does that are
// too few for a change.
func pending(values []float64, changes []Change) bool {
	n := len(values)
	from := 0
	if len(changes) > 0 {
		from = changes[len(changes)-1].At
	}
	if n-from < LeastPast {
		return false
	}
	body := values[from : n-leastSegment+1]
	spread := math.Max(typicalStep(body), 1.4826*median(distances(body)))
	middle := median(body)
	return math.Abs(values[n-1]-middle) > standsOut*math.Max(spread, 1e-9*math.Abs(middle))
}
