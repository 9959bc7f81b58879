package models

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// LoadPoint is one phase as a knee sees it.
type LoadPoint struct {
	RPS   float64
	Value stat.Estimate // what the objective limits, with its interval
}

// Knee returns the largest measured rate whose upper bound holds the limit, with
// every lower rate holding it too; High is the lowest rate whose value does not.
// Nothing is read from between the measurements. Not estimable when not even the
// lowest rate holds.
func Knee(points []LoadPoint, limit float64) stat.Estimate {
	points = slices.DeleteFunc(slices.Clone(points), func(p LoadPoint) bool { return !(p.RPS > 0) || !p.Value.OK() })
	slices.SortStableFunc(points, func(a, b LoadPoint) int { return cmp.Compare(a.RPS, b.RPS) })
	e := stat.Estimate{High: math.Inf(1), Confidence: stat.Confidence, N: len(points)}
	for _, p := range points {
		if p.Value.Value > limit {
			e.High = p.RPS
			break
		}
	}
	for _, p := range points {
		if p.Value.High > limit {
			break
		}
		e.Value = p.RPS
	}
	if e.Value == 0 {
		return stat.NotEstimable(len(points), "no measured rate holds the objective with its upper bound")
	}
	e.Low = e.Value
	if math.IsInf(e.High, 1) {
		e.Warnings = []string{"the highest measured rate, " + quantity.Rate(points[len(points)-1].RPS) + ", still holds"}
	}
	return e
}

// Kneedle returns the x at which a curve bends most, by the algorithm of
// Satopää et al., "Finding a kneedle in a haystack", 2011: both axes are brought to
// [0, 1], and of the local maxima of the distance from the diagonal the first one
// counts that falls by sensitivity times the mean step before it rises again. The
// curve has to rise, and to bend away from its x axis: its concave side is up when
// concave is true, as a throughput's, and down otherwise, as a latency's.
//
// It depends on where the sweep ends by construction, so it is a hint where to
// measure next and never a capacity: on the same noise-free curve it gives other
// knees for other ranges. ok is false when there is no such maximum.
func Kneedle(x, y []float64, sensitivity float64, concave bool) (at float64, ok bool) {
	n := len(x)
	if n < 3 || len(y) != n || !slices.IsSorted(x) || x[0] == x[n-1] {
		return 0, false
	}
	least, most := slices.Min(y), slices.Max(y)
	if least == most || math.IsNaN(least) || math.IsNaN(most) {
		return 0, false
	}
	// A convex curve is turned about the middle of its axes to become a concave one:
	// its distances are the other way round, and so is its order.
	order, distance := make([]float64, n), make([]float64, n)
	for i := range n {
		u, v := (x[i]-x[0])/(x[n-1]-x[0]), (y[i]-least)/(most-least)
		if concave {
			order[i], distance[i] = x[i], v-u
		} else {
			order[n-1-i], distance[n-1-i] = x[i], u-v
		}
	}
	threshold := sensitivity / float64(n-1) // the mean step of an axis of length one
	knee := -1
	for i := 1; i < n-1; i++ {
		if distance[i] >= distance[i-1] && distance[i] >= distance[i+1] && (knee < 0 || distance[i] > distance[knee]) {
			knee = i
		}
		if knee >= 0 && distance[i+1] < distance[knee]-threshold {
			return order[knee], true
		}
	}
	return 0, false
}

// NextRate is a hint which rate to measure next, between the points that a knee was
// read from and the first that misses: where the curve bends, if that lies there,
// and their geometric mean otherwise. The reason says which.
func NextRate(points []LoadPoint, knee stat.Estimate) (rps float64, reason string, ok bool) {
	if !knee.OK() || math.IsInf(knee.High, 1) {
		return 0, "", false
	}
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b LoadPoint) int { return cmp.Compare(a.RPS, b.RPS) })
	var x, y []float64
	for _, p := range points {
		if p.RPS > 0 && p.Value.OK() {
			x, y = append(x, p.RPS), append(y, p.Value.Value)
		}
	}
	if bend, found := Kneedle(x, y, 1, false); found && bend > knee.Value && bend < knee.High {
		return bend, fmt.Sprintf("the curve bends at %s", quantity.Rate(bend)), true
	}
	return math.Sqrt(knee.Value * knee.High), "between the highest rate that surely holds and the lowest that does not", true
}
