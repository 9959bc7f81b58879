package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Two published data sets, and what R 4 prints for them (help pages of wilcox.test):
// permeability constants (Hollander and Wolfe, table 4.1) and a depression scale
// (table 3.1).
var (
	term  = []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	early = []float64{1.15, 0.88, 0.90, 0.74, 1.21}

	first  = []float64{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30}
	second = []float64{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29}
)

func differencesOf(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = b[i] - a[i]
	}
	return out
}

func TestShift(t *testing.T) {
	e := Shift(early, term, 0.95)
	near(t, "shift", e.Value, 0.305, 1e-9)
	near(t, "low end", e.Low, -0.15, 1e-9)
	near(t, "high end", e.High, 0.76, 1e-9)
	near(t, "p of the one-sided test", Above(early, term, 0), 0.1272, 5e-5)
}

func TestPairedShift(t *testing.T) {
	differences := differencesOf(second, first)
	e := PairedShift(differences, 0.95)
	near(t, "shift", e.Value, 0.46, 1e-9)
	near(t, "low end", e.Low, 0.01, 1e-9)
	near(t, "high end", e.High, 0.786, 1e-9)
	near(t, "p of the one-sided test", PairedAbove(differences, 0), 10./512, 1e-12)
}

func TestShiftOfTooFew(t *testing.T) {
	for _, test := range []struct {
		name       string
		values     int
		confidence float64
		finite     bool
		needs      int
	}{
		// 1 ÷ C(2n, n) ≤ α ÷ 2: C(8, 4) = 70, C(6, 3) = 20.
		{"three at 90 %", 3, 0.9, true, 3},
		{"three at 95 %", 3, 0.95, false, 4},
		{"four at 95 %", 4, 0.95, true, 4},
		{"four at 99 %", 4, 0.99, false, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := make([]float64, test.values), make([]float64, test.values)
			for i := range a {
				a[i], b[i] = float64(i), 0.3+float64(i*i)
			}
			e := Shift(a, b, test.confidence)
			if finite := !math.IsInf(e.Low, 0) && !math.IsInf(e.High, 0); finite != test.finite || finite == (len(e.Warnings) > 0) {
				t.Errorf("interval [%g, %g] with warnings %q, finite: want %t", e.Low, e.High, e.Warnings, test.finite)
			}
			if got := ShiftNeeds(test.confidence); got != test.needs {
				t.Errorf("needs %d a side, want %d", got, test.needs)
			}
		})
	}
	// 2^−n ≤ α ÷ 2.
	if got := PairedShiftNeeds(0.95); got != 6 {
		t.Errorf("pairs needed at 95 %%: %d, want 6", got)
	}
	if e := PairedShift([]float64{1, 2, 3, 4, 5}, 0.95); !math.IsInf(e.Low, -1) {
		t.Errorf("five pairs have the interval [%g, %g] at 95 %%", e.Low, e.High)
	}
	if e := PairedShift([]float64{1, 2, 3, 4, 5, 6}, 0.95); e.Low != 1 || e.High != 6 {
		t.Errorf("six pairs have the interval [%g, %g], want [1, 6]", e.Low, e.High)
	}
}

// The interval must cover, and reject no more often than it says, for small and
// for large samples.
func TestShiftCovers(t *testing.T) {
	for _, n := range []int{5, 10, 60} {
		random := rand.New(rand.NewPCG(7, uint64(n)))
		missed, draws := 0, 1500
		if n > exactRanks {
			draws = 300
		}
		for range draws {
			a, b := make([]float64, n), make([]float64, n)
			for i := range n {
				a[i], b[i] = random.ExpFloat64(), 0.7+random.ExpFloat64()
			}
			if e := Shift(a, b, 0.95); e.Low > 0.7 || e.High < 0.7 {
				missed++
			}
		}
		// Four standard errors above 5 %.
		if most := 0.05 + 4*math.Sqrt(0.05*0.95/float64(draws)); float64(missed)/float64(draws) > most {
			t.Errorf("n = %d: the interval missed in %d of %d", n, missed, draws)
		}
		if n > 5 && missed == 0 {
			t.Errorf("n = %d: the interval never missed, so it is too wide", n)
		}
	}
}

func TestAboveWithMargin(t *testing.T) {
	b := make([]float64, len(term))
	for i, v := range term {
		b[i] = v + 0.5
	}
	if p := Above(term, b, 0.5); p < 0.4 || p > 0.6 {
		t.Errorf("a shift of just the margin has p = %g", p)
	}
	if p := Above(term, b, 0); p > 0.05 {
		t.Errorf("a shift of 0.5 has p = %g against no margin", p)
	}
	if p := Above([]float64{1, 1, 1}, []float64{1, 1, 1}, 0); p != 1 {
		t.Errorf("equal values have p = %g", p)
	}
	if p := PairedAbove([]float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, 0.1); p != 1 {
		t.Errorf("differences of just the margin have p = %g", p)
	}
}

// Holm's own example of the order: 0.01 and 0.013 fall, then 0.03 > 0.05 ÷ 2 stops.
func TestHolm(t *testing.T) {
	got := Holm([]float64{0.03, 0.01, 0.04, 0.013}, 0.05)
	if want := []bool{false, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Holm([]float64{math.NaN(), 0.001}, 0.05); got[0] {
		t.Error("what is not a number was rejected")
	}
}
