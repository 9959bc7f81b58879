package models

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestEdgeOfNoisySearch draws probes around the edge of a system whose p99 grows
// with the 1.9th power of the rate, as Envoy's does under a quota (p99 24 ms at
// 1 500/s, 52 ms at 2 250/s), with 12 % noise, which is what p99 of some
// 5 000 requests shows.
func TestEdgeOfNoisySearch(t *testing.T) {
	const edge, limit = 1800.0, 0.05
	random := rand.New(rand.NewPCG(3, 5))
	var errors []float64
	for range 400 {
		var points []EdgePoint
		for _, share := range []float64{1.35, 1.05, 0.93, 1.0, 1.03, 0.97, 0.94} {
			p99 := limit * math.Pow(share, 1.9) * math.Exp(0.12*random.NormFloat64())
			points = append(points, EdgePoint{RPS: edge * share, Value: p99})
		}
		got := LatencyEdge(points, limit, 1)
		if !got.RPS.OK() {
			errors = append(errors, math.Inf(1))
			continue
		}
		errors = append(errors, math.Abs(got.RPS.Value/edge-1))
	}
	slices.Sort(errors)
	if got := errors[len(errors)/2]; got > 0.04 {
		t.Errorf("median error: got %.3f, want at most 0.04", got)
	}
	if got := errors[len(errors)*95/100]; got > 0.12 {
		t.Errorf("95th percentile of the error: got %.3f, want at most 0.12", got)
	}
}

func TestEdgeWithPointsInTheWrongOrder(t *testing.T) {
	// Probes of a real search: most hold or miss by little, in the wrong order.
	points := []EdgePoint{
		{RPS: 1683, Value: 0.058}, {RPS: 1692, Value: 0.049}, {RPS: 1801, Value: 0.046},
		{RPS: 1858, Value: 0.091}, {RPS: 1902, Value: 0.055}, {RPS: 1916, Value: 0.060}, {RPS: 2457, Value: 0.083},
	}
	got := LatencyEdge(points, 0.05, 1)
	if got.End != EdgeReached || got.RPS.Value < 1400 || got.RPS.Value > 1850 {
		t.Errorf("got %q at %.0f/s, want an edge near where the probes change sides", got.End, got.RPS.Value)
	}
	if got := LatencyEdge(points[3:], 0.05, 1); got.End != EdgeInfeasible {
		t.Errorf("all points miss: got %q, want %q", got.End, EdgeInfeasible)
	}
}

// A real sweep whose only miss came at its highest rate and by little: the edge is
// where the rise leads, close above, and not beyond what was measured.
func TestEdgeAtTheTopOfASweep(t *testing.T) {
	points := []EdgePoint{
		{RPS: 313, Value: 0.0218}, {RPS: 366, Value: 0.0312}, {RPS: 470, Value: 0.0269}, {RPS: 616, Value: 0.021}, {RPS: 792, Value: 0.0258},
		{RPS: 977, Value: 0.040}, {RPS: 1125, Value: 0.0205}, {RPS: 1235, Value: 0.0251}, {RPS: 1450, Value: 0.0276}, {RPS: 1899, Value: 0.0419}, {RPS: 1907, Value: 0.0524},
	}
	got := LatencyEdge(points, 0.05, 1)
	// A search on the same system found 2 164/s.
	if got.End != EdgeReached || got.RPS.Value < 1900 || got.RPS.Value > 2300 {
		t.Errorf("got %q at %.0f/s, want an edge near the highest rates", got.End, got.RPS.Value)
	}
}
