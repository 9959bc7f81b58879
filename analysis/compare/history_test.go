package compare

import (
	"math"
	"math/rand/v2"
	"testing"
)

// noise is a series around 100 with a deviation of 1.
func noise(seed uint64, n int) []float64 {
	random := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = 100 + random.NormFloat64()
	}
	return out
}

func TestHistory(t *testing.T) {
	step := noise(1, 40)
	for i := 25; i < 40; i++ {
		step[i] += 4
	}
	two := noise(2, 60)
	for i := 20; i < 40; i++ {
		two[i] -= 5
	}
	spike := noise(3, 40)
	spike[17] += 30
	drifting := noise(4, 60)
	for i := range drifting {
		drifting[i] += 0.08 * float64(i) // under 0.1 deviations from run to run
	}
	late := noise(5, 30)
	late[29] = 115
	for _, test := range []struct {
		name     string
		series   []float64
		changes  []int // within two
		outliers []int
		drift    float64 // within 0.02
		pending  bool
	}{
		{"nothing", noise(6, 40), nil, nil, 0, false},
		{"a step", step, []int{25}, nil, 0, false},
		{"down and up", two, []int{20, 40}, nil, 0, false},
		{"a spike", spike, nil, []int{17}, 0, false},
		{"the last stands out", late, nil, nil, 0, true},
		{"too short", noise(7, 5), nil, nil, 0, false},
		{"constant", make([]float64, 30), nil, nil, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			past := History(test.series, 1)
			if len(past.Changes) != len(test.changes) || len(past.Outliers) != len(test.outliers) || past.Pending != test.pending {
				t.Fatalf("%+v", past)
			}
			for i, c := range past.Changes {
				if math.Abs(float64(c.At-test.changes[i])) > 2 || c.P > pastAlpha || math.Abs(c.After-c.Before) < 3 {
					t.Errorf("change %+v, want it at %d", c, test.changes[i])
				}
			}
			for i, at := range past.Outliers {
				if at != test.outliers[i] {
					t.Errorf("outlier at %d, want %d", at, test.outliers[i])
				}
			}
			if math.Abs(past.Drift-test.drift) > 0.02 {
				t.Errorf("drift %g, want %g", past.Drift, test.drift)
			}
		})
	}
	if past := History(drifting, 1); math.Abs(past.Drift-0.08*59/100) > 0.02 {
		t.Errorf("a slow drift of %.3g is told as %+v", 0.08*59/100, past)
	}
}

// Series in which nothing happens have a change in few cases.
func TestHistoryFalseAlarms(t *testing.T) {
	const series = 150
	changed := 0
	for i := range series {
		if past := History(noise(1000+uint64(i), 40), uint64(i)); len(past.Changes) > 0 || past.Drift != 0 {
			changed++
		}
	}
	// The step and the trend have 1 % each; three standard errors above 2 %.
	if most := 0.02 + 3*math.Sqrt(0.02*0.98/series); float64(changed)/series > most {
		t.Errorf("%d of %d series changed", changed, series)
	}
}
