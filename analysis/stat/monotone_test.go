package stat

import (
	"math"
	"testing"
)

func TestIsotonic(t *testing.T) {
	// scipy 1.17.1, optimize.isotonic_regression.
	for _, test := range []struct {
		name       string
		y, w, want []float64
	}{
		{"two pools", []float64{1, 3, 2, 4, 3.5, 3.6, 8}, nil, []float64{1, 2.5, 2.5, 3.7, 3.7, 3.7, 8}},
		{"weights", []float64{3, 1, 2}, []float64{1, 2, 1}, []float64{5.0 / 3, 5.0 / 3, 2}},
		{"falling", []float64{3, 2, 1}, nil, []float64{2, 2, 2}},
		{"rising", []float64{1, 2, 3}, nil, []float64{1, 2, 3}},
		{"empty", nil, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := make([]float64, len(test.y))
			for _, b := range Isotonic(test.y, test.w) {
				for i := b.First; i <= b.Last; i++ {
					got[i] = b.Value
				}
			}
			for i := range test.want {
				near(t, "value", got[i], test.want[i], 1e-12)
			}
		})
	}
}

func TestMannKendall(t *testing.T) {
	rising := make([]float64, 10)
	for i := range rising {
		rising[i] = float64(i)
	}
	// By hand: S = 45, var = 10·9·25/18 = 125, z = 44/√125 = 3.9355.
	got := MannKendall(rising)
	near(t, "tau", got.Tau, 1, 1e-12)
	near(t, "p", got.P, math.Erfc(3.935479643/math.Sqrt2), 1e-6)
	// S = 11 of 28 pairs, one tie of two: var = (8·7·21 − 2·1·9)/18 = 64.333.
	got = MannKendall([]float64{3, 1, 4, 1, 5, 9, 2, 6})
	near(t, "tau with a tie", got.Tau, 11.0/28, 1e-12)
	near(t, "p with a tie", got.P, 0.2125, 1e-3)
	for _, series := range [][]float64{nil, {1, 2}, {5, 5, 5, 5}} {
		if got := MannKendall(series); got.P != 1 || got.Tau != 0 {
			t.Errorf("MannKendall(%v) = %+v, want no trend", series, got)
		}
	}
}
