package scaling

import (
	"math"
	"strings"
	"testing"
)

func TestRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		signs string
		runs  int
		p     float64
	}{
		// Of C(6,3) = 20 orders 2 have two runs, 6 at most three, 14 at most four.
		{"two of six", "+++---", 2, 0.1},
		{"three of six", "++---+", 3, 0.3},
		{"four of six", "+--++-", 4, 0.7},
		{"as many as there are", "+-+-+-", 6, 1},
		// Of C(10,5) = 252 orders 2 have two runs.
		{"two of ten", "+++++-----", 2, 2.0 / 252},
		{"one sign", "+++", 1, 1},
	} {
		var r []float64
		for _, sign := range c.signs {
			r = append(r, map[rune]float64{'+': 1, '-': -1}[sign])
		}
		if n, p := runs(r); n != c.runs || !near(p, c.p, 1e-9) {
			t.Errorf("%s: got %d runs with p = %v, want %d with %v", c.name, n, p, c.runs, c.p)
		}
	}
}

// TestDurbinWatson holds the statistic and its probability against 400 000
// simulated sets of residuals at the tangent plane of the same fit (numpy 2.4.6).
// The beta distribution is rough at four degrees of freedom.
func TestDurbinWatson(t *testing.T) {
	for _, c := range []struct {
		name            string
		kind            Kind
		points          []Point
		d, p, tolerance float64
	}{
		{"raytracer", Amdahl, raytracer(), 1.323024, 0.0517, 0.002},
		{"specsdm91", USL, specsdm91(), 1.692001, 0.0155, 0.012},
	} {
		got := fit(t, c.kind, c.points, Relative).Diagnose()
		if !near(got.DurbinWatson, c.d, 1e-4) || math.Abs(got.DurbinWatsonP-c.p) > c.tolerance {
			t.Errorf("%s: got %v with p = %v, want %v with %v", c.name, got.DurbinWatson, got.DurbinWatsonP, c.d, c.p)
		}
	}
}

func TestDiagnose(t *testing.T) {
	// A linear model of what bends errs alike at either end.
	d := fit(t, Linear, raytracer(), Relative).Diagnose()
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "neighbouring residuals err alike") || d.Runs != 2 {
		t.Errorf("got %+v, want a warning of neighbours that err alike in 2 runs", d)
	}
	if d := fit(t, Amdahl, raytracer(), Relative).Diagnose(); len(d.Warnings) != 0 || !math.IsNaN(d.Correlation) {
		t.Errorf("got %+v, want no warning and no correlation", d)
	}
	// With κ at 0 the residuals are those of Amdahl's law, and so is their judgement.
	usl, amdahl := fit(t, USL, raytracer(), Constant).Diagnose(), fit(t, Amdahl, raytracer(), Constant).Diagnose()
	if !near(usl.DurbinWatsonP, amdahl.DurbinWatsonP, 1e-6) {
		t.Errorf("with κ dropped: got %v, want %v", usl.DurbinWatsonP, amdahl.DurbinWatsonP)
	}
	// −0.682 is that of numpy's (JᵀJ)⁻¹ at the fit of TestFitsOnLog.
	if d := fit(t, USL, specsdm91(), Relative).Diagnose(); !near(d.Correlation, -0.682489, 1e-3) {
		t.Errorf("correlation: got %v, want −0.682489", d.Correlation)
	}
}

func TestSuperlinear(t *testing.T) {
	for _, c := range []struct {
		name string
		x    []float64
		want string
	}{
		{"superlinear", []float64{100, 215, 450, 950, 1950, 3800}, "at 16 the throughput per unit is 1.22 times that at 1"},
		{"within the noise", []float64{100, 203, 398, 806, 1590, 3210}, ""},
		{"sublinear", []float64{100, 190, 360, 640, 1000, 1400}, ""},
	} {
		notes := strings.Join(compare(t, points([]float64{1, 2, 4, 8, 16, 32}, c.x), Relative).Notes, "\n")
		if !strings.Contains(notes, c.want) || c.want == "" && notes != "" {
			t.Errorf("%s: got %q, want %q in it", c.name, notes, c.want)
		}
	}
}
