package models

import (
	"math"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// curve samples f at n places from low to high.
func curve(f func(float64) float64, low, high float64, n int) (x, y []float64) {
	for i := range n {
		v := low + (high-low)*float64(i)/float64(n-1)
		x, y = append(x, v), append(y, f(v))
	}
	return x, y
}

// The knees that kneed 0.9.0 finds in the response time of M/M/1 and in a noise-free
// USL curve with its peak at 34.8, for sweeps that end at different places.
func TestKneedleDependsOnWhereTheSweepEnds(t *testing.T) {
	for end, want := range map[float64]float64{0.8: 0.565, 0.9: 0.694, 0.95: 0.786, 0.99: 0.905} {
		x, y := curve(func(rho float64) float64 { return 1 / (1 - rho) }, 0.05, end, 100)
		if got, ok := Kneedle(x, y, 1, false); !ok || math.Abs(got-want) > 0.01 {
			t.Errorf("M/M/1 up to %v: got %v (%v), kneed says %v", end, got, ok, want)
		}
	}
	usl := func(n float64) float64 { return 1000 * n / (1 + 0.03*(n-1) + 0.0008*n*(n-1)) }
	for end, want := range map[float64]float64{32: 14, 64: 21, 128: 26, 256: 30} {
		x, y := curve(usl, 1, end, int(end))
		if got, ok := Kneedle(x, y, 1, true); !ok || math.Abs(got-want) > 1 {
			t.Errorf("USL up to %v: got %v (%v), kneed says %v", end, got, ok, want)
		}
	}
}

func TestKneedleRefuses(t *testing.T) {
	for name, c := range map[string]struct{ x, y []float64 }{
		"two points":      {[]float64{1, 2}, []float64{1, 2}},
		"a straight line": {[]float64{1, 2, 3, 4}, []float64{1, 2, 3, 4}},
		"a flat line":     {[]float64{1, 2, 3}, []float64{5, 5, 5}},
		"one place":       {[]float64{1, 1, 1}, []float64{1, 2, 3}},
		"no number":       {[]float64{1, 2, 3}, []float64{1, math.NaN(), 3}},
		"unsorted":        {[]float64{2, 1, 3}, []float64{1, 2, 3}},
	} {
		if at, ok := Kneedle(c.x, c.y, 1, false); ok {
			t.Errorf("%s: got a knee at %v", name, at)
		}
	}
}

func TestKneeIsTheLargestLoadThatSurelyHolds(t *testing.T) {
	at := func(rps, value, half float64) LoadPoint {
		return LoadPoint{rps, stat.Estimate{Value: value, Low: value - half, High: value + half}}
	}
	for _, c := range []struct {
		name       string
		points     []LoadPoint
		want, high float64 // 0: not estimable
	}{
		{"the upper bound counts", []LoadPoint{at(100, 10, 1), at(200, 20, 2), at(300, 45, 10), at(400, 80, 5)}, 200, 400},
		{"in any order", []LoadPoint{at(400, 80, 5), at(200, 20, 2), at(100, 10, 1)}, 200, 400},
		{"what holds above a miss is luck", []LoadPoint{at(100, 10, 1), at(200, 60, 1), at(300, 20, 1)}, 100, 200},
		{"none holds", []LoadPoint{at(100, 49, 5), at(200, 90, 5)}, 0, 0},
		{"all hold", []LoadPoint{at(100, 10, 1), at(200, 20, 1)}, 200, math.Inf(1)},
	} {
		got := Knee(c.points, 50)
		if c.want == 0 {
			if got.OK() {
				t.Errorf("%s: got %v, want none", c.name, got)
			}
			continue
		}
		if got.Value != c.want || got.High != c.high || got.Low != c.want {
			t.Errorf("%s: got %v [%v, %v], want %v below %v", c.name, got.Value, got.Low, got.High, c.want, c.high)
		}
	}
}

func TestNextRateLiesBetweenWhatHoldsAndWhatMisses(t *testing.T) {
	var points []LoadPoint
	for rps := 100.0; rps <= 1000; rps += 100 {
		v := 1 / (1 - rps/1050)
		points = append(points, LoadPoint{rps, stat.Estimate{Value: v, Low: v, High: v}})
	}
	for _, limit := range []float64{3, 6, 15} {
		knee := Knee(points, limit)
		if next, why, ok := NextRate(points, knee); !ok || next <= knee.Value || next >= knee.High {
			t.Errorf("limit %v: got %v (%s), want between %v and %v", limit, next, why, knee.Value, knee.High)
		}
	}
	if next, _, ok := NextRate(points, Knee(points, 100)); ok {
		t.Errorf("nothing missed: got %v, want no hint", next)
	}
}
