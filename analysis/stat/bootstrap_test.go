package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

// coverage draws sweeps of a cost that is linear in the rate, and returns how many
// of a hundred intervals hold the true slope. The scatter is 3 % at the lowest rate
// and grows to steep × that at the highest.
func coverage(random *rand.Rand, n, sweeps int, steep float64, interval func(Fit, [][]float64, []float64, []float64) Fit) float64 {
	const idle, slope = 0.05, 150e-6
	held := 0
	for range sweeps {
		var rows [][]float64
		var y, weights []float64
		for i := range n {
			at := float64(i) / float64(n-1)
			rps := 100 * math.Pow(15, at)
			cores := idle + slope*rps
			rows = append(rows, []float64{1, rps})
			y = append(y, cores*(1+0.03*(1+(steep-1)*at)*random.NormFloat64()))
			weights = append(weights, 1/((0.01+cores)*(0.01+cores)))
		}
		fit, err := LeastSquares(rows, y, weights)
		if err != nil {
			return math.NaN()
		}
		if e := interval(fit, rows, y, weights).Coefficient(1, Confidence); e.Low <= slope && slope <= e.High {
			held++
		}
	}
	return 100 * float64(held) / float64(sweeps)
}

// The intervals of a bootstrap over phases hold what they say whether or not the
// scatter is what the weights take it to be; those of the regression alone do not.
func TestOverBlocksCoverage(t *testing.T) {
	bootstrap := func(f Fit, rows [][]float64, y, weights []float64) Fit { return f.OverBlocks(rows, y, weights, 1) }
	plain := func(f Fit, _ [][]float64, _, _ []float64) Fit { return f }
	const sweeps = 1500
	for _, test := range []struct {
		name  string
		n     int
		steep float64
		worst float64 // of a hundred; the standard error of the count is 0.6
	}{
		{"six phases", 6, 1, 93},
		{"eight phases", 8, 1, 93},
		{"sixteen phases", 16, 1, 93},
		{"six phases, scatter grows with the rate", 6, 3, 91},
		{"eight phases, scatter grows with the rate", 8, 3, 93},
		{"sixteen phases, scatter grows with the rate", 16, 3, 93},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := coverage(rand.New(rand.NewPCG(11, uint64(test.n))), test.n, sweeps, test.steep, bootstrap)
			alone := coverage(rand.New(rand.NewPCG(11, uint64(test.n))), test.n, sweeps, test.steep, plain)
			t.Logf("%.1f of a hundred intervals hold the slope, %.1f without the bootstrap", got, alone)
			if got < test.worst || got > 98.5 {
				t.Errorf("%.1f of a hundred intervals hold the slope, want %g to 98.5", got, test.worst)
			}
			if test.steep > 1 && alone > 93 {
				t.Errorf("%.1f without the bootstrap: the case does not show what it is for", alone)
			}
		})
	}
}

func TestOverBlocks(t *testing.T) {
	rows := [][]float64{{1, 100, 0}, {1, 200, 0}, {1, 400, 0}, {1, 800, 0}, {1, 900, 0}}
	y := []float64{0.06, 0.08, 0.12, 0.2, 0.23}
	fit, _, err := NonNegative(rows, y, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, again := fit.OverBlocks(rows, y, nil, 3), fit.OverBlocks(rows, y, nil, 3)
	a, b := first.Coefficient(1, Confidence), again.Coefficient(1, Confidence)
	if a.Low != b.Low || a.High != b.High {
		t.Errorf("the same seed gave %v and %v", a, b)
	}
	before := fit.Coefficient(1, Confidence)
	if a.Low > before.Low || a.High < before.High || a.Value != before.Value {
		t.Errorf("%v within %v: the interval must not get narrower, nor the value change", a, before)
	}
	// Two points leave no freedom, and nothing to draw from.
	short, err := LeastSquares(rows[:2][:], y[:2], nil)
	if err == nil {
		t.Fatal("three columns from two rows")
	}
	if got := short.OverBlocks(rows[:2], y[:2], nil, 1); got.blocks != nil {
		t.Error("a bootstrap without a fit")
	}
}
