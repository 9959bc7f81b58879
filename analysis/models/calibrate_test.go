package models

import (
	"math"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// line is a demand of 0.1 cores and 100 µs a request, exactly.
func line() Demand {
	var points []DemandPoint
	for _, rps := range []float64{100, 300, 500, 700, 1000} {
		points = append(points, DemandPoint{RPS: rps, Cores: 0.1 + 100e-6*rps, WakeUps: math.NaN()})
	}
	return FitDemand(points)
}

func TestCalibration(t *testing.T) {
	for _, test := range []struct {
		name             string
		rps              float64
		cores            []float64
		value, low, high float64 // low and high by numpy and scipy.stats.t.ppf(0.975, n − 1)
	}{
		{"the same", 500, []float64{0.15, 0.15, 0.15}, 1, 1, 1},
		{"twice, with scatter", 400, []float64{0.26, 0.28, 0.30, 0.28}, 2, 1.814396, 2.185604},
		{"one observation", 500, []float64{0.15}, math.NaN(), 0, 0},
		{"no CPU", 500, []float64{0, 0, 0}, math.NaN(), 0, 0},
		{"no rate", 0, []float64{1, 1, 1}, math.NaN(), 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Calibration(line(), test.rps, test.cores)
			if math.IsNaN(test.value) {
				if got.OK() || len(got.Warnings) == 0 {
					t.Errorf("got %+v, want no estimate and a reason", got)
				}
				return
			}
			near(t, "factor", got.Value, test.value, 1e-6)
			near(t, "low", got.Low, test.low, 1e-4)
			near(t, "high", got.High, test.high, 1e-4)
		})
	}
}

func TestCalibrated(t *testing.T) {
	d, factor := line(), stat.Estimate{Value: 1.5, Low: 1.2, High: 1.8, Confidence: 0.95, N: 9}
	got := d.Calibrated(factor)
	near(t, "cores", got.CoresAt(500).Value, 0.225, 1e-6)
	near(t, "the lowest", got.CoresAt(500).Low, 0.18, 1e-6)
	near(t, "the highest", got.CoresAt(500).High, 0.27, 1e-6)
	near(t, "a request", got.PerRequest.Value, 150e-6, 1e-6)
	near(t, "idle", got.Idle.High, 0.18, 1e-6)
	// 0.3 cores are 0.2 of the demand's own, at 1 000/s; at the earliest 0.3/1.8.
	near(t, "rate", got.RateAt(0.3).Value, 1000, 1e-6)
	near(t, "the lowest rate", got.RateAt(0.3).Low, (0.3/1.8-0.1)/100e-6, 1e-6)
	near(t, "untouched", d.CoresAt(500).Value, 0.15, 1e-6)
	if none := d.Calibrated(stat.NotEstimable(0, "why")); none.CoresAt(500).Value != d.CoresAt(500).Value {
		t.Error("a factor that is not estimable changes the demand")
	}
}
