package skew

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestWeighted(t *testing.T) {
	equal := slices.Repeat([]float64{2}, 8)
	for _, c := range []struct {
		name      string
		weights   []float64
		replicas  int
		placement Placement
		want      float64
		tolerance float64
	}{
		// 4 000 draws of a factor with a standard deviation of 0.39: 4 × 0.0062.
		{"equal", equal, 4, Random, 1.76904, 0.025},
		{"one has all", []float64{1, 0, 0, 0}, 4, Random, 4, 1e-12},
		{"three and one, in turn", []float64{3, 1}, 2, RoundRobin, 1.5, 1e-12},
		// Together with 1/2: 4 of a mean of 2; else 3.
		{"three and one, at random", []float64{3, 1}, 2, Random, 1.75, 0.02},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Weighted(c.weights, c.replicas, c.placement, 1); !near(got.Value, c.want, c.tolerance) {
				t.Errorf("got %.4f, want %.4f", got.Value, c.want)
			}
		})
	}
	for _, wrong := range [][]float64{nil, {0, 0}, {1, -1}, {1, math.NaN()}, {math.Inf(1)}} {
		if got := Weighted(wrong, 2, Random, 1); got.OK() {
			t.Errorf("%v: got %g, want not estimable", wrong, got.Value)
		}
	}
}

func TestMeasured(t *testing.T) {
	steady := slices.Repeat([][]float64{{30, 10}}, 8)
	nan := math.NaN()
	for _, c := range []struct {
		name     string
		rates    [][]float64
		value    float64 // 0: not estimable
		interval bool
		warnings int
	}{
		{"steady", steady, 1.5, true, 0},
		{"one window", [][]float64{{3, 1}}, 1.5, false, 1},
		{"a gap", append([][]float64{{nan, 10}, {30}}, steady...), 1.5, true, 1},
		{"the busier of the whole", [][]float64{{4, 0}, {0, 2}, {4, 0}, {0, 2}}, 4.0 / 3, true, 0},
		{"an idle replica counts", slices.Repeat([][]float64{{2, 0, 1}}, 5), 2, true, 0},
		{"nothing", nil, 0, false, 1},
		{"no load", slices.Repeat([][]float64{{0, 0}}, 5), 0, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Measured(c.rates, 1)
			if got.OK() != (c.value > 0) || got.OK() && !near(got.Value, c.value, 1e-12) {
				t.Errorf("got %g, want %g", got.Value, c.value)
			}
			if (got.Confidence > 0) != c.interval || len(got.Warnings) != c.warnings {
				t.Errorf("confidence %g, warnings %q", got.Confidence, got.Warnings)
			}
		})
	}
}

// TestMeasuredCovers: noise that lasts for some windows. 200 runs leave a standard
// error of 1.5 points at 95 %; 60 windows of noise that lasts are few, which costs
// some points more.
func TestMeasuredCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	truth := []float64{1.5, 1, 0.8, 0.7}
	const runs = 200
	covered := 0
	for range runs {
		state := make([]float64, len(truth))
		rates := make([][]float64, 60)
		for w := range rates {
			for r, mean := range truth {
				state[r] = 0.5*state[r] + 0.1*random.NormFloat64()
				rates[w] = append(rates[w], mean*math.Exp(state[r]))
			}
		}
		if got := Measured(rates, 1); got.Low <= 1.5 && 1.5 <= got.High {
			covered++
		}
	}
	if share := float64(covered) / runs; share < 0.89 {
		t.Errorf("%.3f of the intervals cover, want about 0.95", share)
	}
}

func TestEffectiveConnections(t *testing.T) {
	// Shares 3/4 and 1/4: 2 × 2 × 1/16 = 1/4, so 1 ÷ 1/4; χ² with one degree of
	// freedom is below 5.0239 with 0.975 and below 0.00098 with 0.025.
	got := EffectiveConnections([]float64{3, 1})
	if !near(got.Value, 4, 1e-12) || got.Low != 1 || !near(got.High, 4*5.0239, 0.001) {
		t.Errorf("got %.4f (%.4f – %.4f), want 4 (1 – 20.096)", got.Value, got.Low, got.High)
	}
	for _, wrong := range [][]float64{nil, {1}, {0, 0}, {1, 1, 1}, {1, math.NaN()}, {1, -1}} {
		if got := EffectiveConnections(wrong); got.OK() {
			t.Errorf("%v: got %g, want not estimable", wrong, got.Value)
		}
	}
	// 600 placements of 40 connections: the intervals cover 40 in 95 % ± 4 × 0.9.
	random := rand.New(rand.NewPCG(7, 8))
	const draws = 600
	covered := 0
	for range draws {
		counts := make([]float64, 8)
		for range 40 {
			counts[random.IntN(8)]++
		}
		if e := EffectiveConnections(counts); e.Low <= 40 && 40 <= e.High {
			covered++
		}
	}
	if share := float64(covered) / draws; !near(share, 0.95, 0.036) {
		t.Errorf("%.3f of the intervals cover, want 0.95", share)
	}
}
