package models

import (
	"math"
	"math/rand/v2"
	"testing"
)

func powerLaw(exponent, edge, limit float64, rates ...float64) []EdgePoint {
	var out []EdgePoint
	for _, r := range rates {
		out = append(out, EdgePoint{RPS: r, Value: limit * math.Pow(r/edge, exponent)})
	}
	return out
}

func TestLatencyEdge(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		name   string
		points []EdgePoint
		end    EdgeEnd
		value  float64 // of the edge, NaN: not estimable
	}{
		// On a power law the interpolation in logarithms is exact.
		{"a power law", powerLaw(2, 1000, 0.05, 700, 900, 1300, 1500), EdgeReached, 1000},
		{"in any order", powerLaw(2, 1000, 0.05, 1500, 700, 1300, 900), EdgeReached, 1000},
		{"far points say only their side", append(powerLaw(2, 1000, 0.05, 900, 1300), EdgePoint{10, 1e-9, 0}, EdgePoint{9000, 1e9, 0}), EdgeReached, 1000},
		// The measured table under a quota of 300m: 42 ms at 2 000/s, 52 ms at 2 250/s;
		// 2 000·(50/42)^(ln(2250/2000)/ln(52/42)) = 2 202.
		{"a throttled Envoy", []EdgePoint{{1000, 0.0022, 0}, {1500, 0.024, 0}, {2000, 0.042, 0}, {2250, 0.052, 0}, {2500, 0.064, 0}, {3000, 0.075, 0}}, EdgeReached, 2202},
		// A cliff between 800 and 1 000: the flat stretch before it does not pull the
		// edge down. 800·(1000/800)^½ = 894.
		{"a cliff", []EdgePoint{{200, 1e-4, 0}, {400, 1e-4, 0}, {800, 1e-4, 0}, {1000, 9, 0}, {1500, 9, 0}}, EdgeReached, 894.4},
		{"all hold", powerLaw(2, 1000, 0.05, 200, 400, 800), EdgeNotReached, 800},
		{"none holds", powerLaw(2, 1000, 0.05, 1200, 1400, 1800), EdgeInfeasible, nan},
		{"one point", powerLaw(2, 1000, 0.05, 900), EdgeUnknown, nan},
		{"no points", nil, EdgeUnknown, nan},
		{"not numbers", []EdgePoint{{nan, 1, 0}, {100, nan, 0}, {-5, 1, 0}, {100, 0, 0}, {math.Inf(1), 1, 0}}, EdgeUnknown, nan},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := LatencyEdge(test.points, 0.05, 1)
			if e.End != test.end || e.RPS.OK() == math.IsNaN(test.value) {
				t.Fatalf("edge %+v, want %s at %g", e, test.end, test.value)
			}
			if e.RPS.OK() {
				near(t, "edge", e.RPS.Value, test.value, 0.002)
				if !(e.RPS.Low <= e.RPS.Value && e.RPS.Value <= e.RPS.High) {
					t.Errorf("interval %+v does not hold its value", e.RPS)
				}
			} else if len(e.RPS.Warnings) == 0 {
				t.Error("no reason")
			}
		})
	}
	if e := LatencyEdge(powerLaw(2, 1000, 0.05, 200, 400, 800), 0.05, 1); e.RPS.Low != 800 || !math.IsInf(e.RPS.High, 1) || len(e.RPS.Warnings) != 1 {
		t.Errorf("edge that was not reached: %+v, want 800 or more, with a warning", e.RPS)
	}
	if a, b := LatencyEdge(powerLaw(2, 1000, 0.05, 700, 900, 1300), 0.05, 9), LatencyEdge(powerLaw(2, 1000, 0.05, 700, 900, 1300), 0.05, 9); a.RPS.Low != b.RPS.Low {
		t.Errorf("the same seed gave %g and %g", a.RPS.Low, b.RPS.Low)
	}
}

// The interval holds the true edge about as often as it says, for a steep and for
// a gentle rise.
func TestLatencyEdgeCovers(t *testing.T) {
	for _, exponent := range []float64{2, 6} {
		random := rand.New(rand.NewPCG(7, uint64(exponent)))
		covered, trials := 0, 200
		for trial := range trials {
			points := powerLaw(exponent, 1000, 0.05, 300, 480, 760, 900, 960, 1030, 1100, 1220, 1500)
			for i := range points {
				points[i].Value *= math.Exp(0.12 * random.NormFloat64())
			}
			if e := LatencyEdge(points, 0.05, uint64(trial)); e.RPS.Low <= 1000 && 1000 <= e.RPS.High {
				covered++
			}
		}
		if share := float64(covered) / float64(trials); share < 0.88 {
			t.Errorf("exponent %g: covered %.3f of the time, want about 0.95", exponent, share)
		}
	}
}

func TestRatioEdge(t *testing.T) {
	for _, test := range []struct {
		name             string
		points           []EdgePoint
		end              EdgeEnd
		value, low, high float64
	}{
		// Half way in ln rate between 1000 and 1210, the ratio crosses 0.001: √(1000·1210).
		{"crosses", []EdgePoint{{500, 0, 0}, {1000, 0, 0}, {1210, 0.002, 0}, {2000, 0.3, 0}}, EdgeReached, 1100, 1000, 1210},
		// Pooled below: 0.0003 up to 1 100; 1 100·1.1^((0.001 − 0.0003)/(0.002 − 0.0003)) = 1 144.
		{"noise below", []EdgePoint{{1000, 0.0004, 0}, {1100, 0.0002, 0}, {1210, 0.002, 0}}, EdgeReached, 1144.03, 1100, 1210},
		{"never errs", []EdgePoint{{500, 0, 0}, {1000, 0, 0}}, EdgeNotReached, 1000, 1000, math.Inf(1)},
		{"always errs", []EdgePoint{{500, 0.02, 0}, {1000, 0.04, 0}}, EdgeInfeasible, math.NaN(), 0, 500},
		{"one point", []EdgePoint{{500, 0.02, 0}}, EdgeUnknown, math.NaN(), math.Inf(-1), math.Inf(1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := RatioEdge(test.points, 0.001)
			if e.End != test.end || e.RPS.Low != test.low || e.RPS.High != test.high {
				t.Errorf("edge %+v, want %s [%g, %g]", e, test.end, test.low, test.high)
			}
			if !math.IsNaN(test.value) {
				near(t, "edge", e.RPS.Value, test.value, 1e-5)
			}
		})
	}
}
