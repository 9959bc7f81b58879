package scaling

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// near reports whether got is want up to a relative tolerance.
func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(math.Abs(want), 1e-12)
}

func fit(t *testing.T, kind Kind, points []Point, noise Noise) Model {
	t.Helper()
	m, err := Fit(kind, points, noise)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPublishedFits holds fits against published ones. They weigh every point
// alike, so they are those with constant noise.
func TestPublishedFits(t *testing.T) {
	for _, c := range []struct {
		name                 string
		points               []Point
		sigma, kappa, lambda float64
		tolerance            float64 // half a unit of the last digit that was published
	}{
		// README of the R package usl 2.0.0: alpha, beta, gamma.
		{"specsdm91", specsdm91(), 0.0277285, 0.0001044, 89.9952330, 5e-4},
		// tests/confint.Rout.save of the same: the first six points.
		{"six of raytracer", raytracer()[:6], 0.02444, 0.00163, 20.85605, 2.5e-3},
		// tests/coef.Rout.save of the same.
		{"made up of 0.02, 0.02, 1", points([]float64{1, 2, 4, 6, 8, 10}, []float64{1, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557}), 0.02, 0.02, 1, 1e-3},
		// Schwartz 2015: sigma, kappa, lambda.
		{"cisco", cisco(), 0.02671591, 0.00076909, 995.6486, 1e-5},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := fit(t, USL, c.points, Constant)
			for name, want := range map[string]float64{"sigma": c.sigma, "kappa": c.kappa, "lambda": c.lambda} {
				if got := m.Parameter(name).Value; !near(got, want, c.tolerance) {
					t.Errorf("%s: got %v, want %v", name, got, want)
				}
			}
		})
	}
	// tests/summary.Rout.save and tests/peak-scalability.Rout.save of usl.
	m := fit(t, USL, specsdm91(), Constant)
	peak := m.Peak()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"residual standard error", m.ResidualSD, 82.85}, {"peak at", peak.Concurrency.Value, 96.51956},
		{"peak", peak.Throughput.Value, 1884}, {"at 18 users", m.At(18), 1078}, {"at 216 users", m.At(216), 1646},
	} {
		if !near(c.got, c.want, 5e-4) {
			t.Errorf("specsdm91, %s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	if m.DF != 4 {
		t.Errorf("specsdm91: got %d degrees of freedom, want 4", m.DF)
	}
}

// TestFitsOnLog holds fits with relative noise against scipy 1.17.1:
// optimize.least_squares on log x − log X(n; exp(θ₀), θ₁, θ₂) from nine starts
// with bounds [0, 1] and all tolerances 1e-15; the line by optimize.minimize,
// Nelder–Mead from 69 starts.
func TestFitsOnLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   Kind
		points []Point
		want   []float64 // as in Names
		sd     float64
	}{
		{"raytracer", USL, raytracer(), []float64{21.591503, 0.056405432, 3.3584292e-06}, 0.056390945},
		{"six of raytracer", USL, raytracer()[:6], []float64{20.281367, 0.016716492, 0.0018909975}, 0.023050076},
		{"specsdm91", USL, specsdm91(), []float64{67.942313, 0.013452462, 0.00011511012}, 0.074627601},
		{"cisco", USL, cisco(), []float64{960.15091, 0.020453908, 0.0008909602}, 0.020071953},
		{"raytracer", Amdahl, raytracer(), []float64{21.604392, 0.056584042}, 0.053168523},
		{"raytracer", Piecewise, raytracer(), []float64{18.505720, 9.20060456, 0.15484843}, 0.072009774},
	} {
		t.Run(c.name+" "+c.kind.String(), func(t *testing.T) {
			m := fit(t, c.kind, c.points, Relative)
			for j, p := range m.Parameters {
				// At 3e-6 kappa of the ray tracer is known to its sixth digit only.
				if !near(p.Value, c.want[j], 1e-4) {
					t.Errorf("%s: got %v, want %v", p.Name, p.Value, c.want[j])
				}
			}
			if !near(m.ResidualSD, c.sd, 1e-6) {
				t.Errorf("residual standard deviation: got %v, want %v", m.ResidualSD, c.sd)
			}
		})
	}
}

// TestProfileIntervals holds intervals against scipy 1.17.1: optimize.brentq on
// S(v) − S − t²s², the other parameters by optimize.least_squares, t with four
// degrees of freedom from stats.t.
func TestProfileIntervals(t *testing.T) {
	m := fit(t, USL, specsdm91(), Relative)
	for name, want := range map[string][2]float64{
		"lambda": {56.757357, 81.744606}, "sigma": {0.0034250479, 0.026012292}, "kappa": {5.2818311e-05, 0.00017753281},
	} {
		e := m.Parameter(name)
		if !near(e.Low, want[0], 1e-3) || !near(e.High, want[1], 1e-3) || e.Confidence != 0.95 || e.N != 7 {
			t.Errorf("%s: got %v to %v at %v of %d, want %v to %v at 0.95 of 7", name, e.Low, e.High, e.Confidence, e.N, want[0], want[1])
		}
	}
}

func TestLinearIsTheGeometricMean(t *testing.T) {
	m := fit(t, Linear, points([]float64{1, 2, 4}, []float64{90, 200, 400 / 0.9}), Relative)
	if got := m.Parameter("lambda").Value; !near(got, 100, 1e-9) {
		t.Errorf("lambda: got %v, want 100", got)
	}
}

func TestTheOrderOfPointsDoesNotMatter(t *testing.T) {
	forward, turned := raytracer(), raytracer()
	slices.Reverse(turned)
	a, b := fit(t, USL, forward, Relative), fit(t, USL, turned, Relative)
	for j := range a.Parameters {
		if !near(a.Parameters[j].Low, b.Parameters[j].Low, 1e-6) {
			t.Errorf("%s: got %v and %v", a.Parameters[j].Name, a.Parameters[j].Low, b.Parameters[j].Low)
		}
	}
	if turned[0].N != 64 {
		t.Error("the points of the caller were sorted")
	}
}

func TestPointsWithoutNoise(t *testing.T) {
	truth := Law{Sigma: 0.03, Kappa: 0.0008, Lambda: 1000}
	var exactly []Point
	for _, n := range []float64{1, 4, 16, 32, 48} {
		exactly = append(exactly, Point{n, truth.At(n)})
	}
	for _, noise := range []Noise{Relative, Constant} {
		c, err := Compare(exactly, noise)
		if err != nil {
			t.Fatal(err)
		}
		m, _ := c.Candidate(USL)
		if e := m.Parameter("sigma"); !near(e.Value, 0.03, 1e-5) || e.High-e.Low > 1e-6 {
			t.Errorf("noise %d: sigma: got %v (%v to %v), want 0.03 without an interval", noise, e.Value, e.Low, e.High)
		}
		if c.Chosen != USL {
			t.Errorf("noise %d: chosen: got %s, want usl", noise, c.Chosen)
		}
		if e := c.Predict(USL, 96); !near(e.Value, truth.At(96), 1e-5) {
			t.Errorf("noise %d: at 96: got %v, want %v", noise, e.Value, truth.At(96))
		}
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name      string
		kind      Kind
		points    []Point
		parameter string
		note      string
	}{
		{"no coherency", USL, points([]float64{1, 2, 4, 8, 16}, []float64{100, 196, 370, 680, 1180}), "kappa", "kappa is at its bound 0: the term was dropped"},
		{"superlinear", USL, points([]float64{1, 2, 4, 8, 16}, []float64{100, 220, 480, 1000, 1900}), "sigma", "free of the bound it would be −0.0"},
		{"superlinear", Amdahl, points([]float64{1, 2, 4, 8, 16}, []float64{100, 210, 441, 926, 1944}), "sigma", "which is superlinear"},
		{"flat", Amdahl, points([]float64{1, 2, 4, 8, 16}, []float64{100, 98, 99, 97, 96}), "sigma", "sigma is at its bound 1"},
		{"straight", Piecewise, points([]float64{1, 2, 4, 8, 16}, []float64{100, 202, 405, 820, 1650}), "slope", "the line is straight"},
		{"flat beyond the kink", Piecewise, points([]float64{1, 2, 4, 8, 16}, []float64{100, 200, 300, 297, 291}), "slope", "the line is flat"},
	} {
		t.Run(c.name+" "+c.kind.String(), func(t *testing.T) {
			m := fit(t, c.kind, c.points, Relative)
			e := m.Parameter(c.parameter)
			if !strings.Contains(strings.Join(m.Notes, "\n"), c.note) || !strings.Contains(strings.Join(e.Warnings, "\n"), c.note) {
				t.Errorf("got notes %q and warnings %q, want %q in both", m.Notes, e.Warnings, c.note)
			}
			if (e.Value != 0 || e.Low != 0) && (e.Value != 1 || e.High != 1) {
				t.Errorf("got %v (%v to %v), want an end of the interval at the bound", e.Value, e.Low, e.High)
			}
			if !(e.High > e.Low) {
				t.Errorf("got %v to %v, want an interval", e.Low, e.High)
			}
		})
	}
}

// TestADroppedTermLeavesTheSmallerModel: with κ at 0 the others are Amdahl's.
func TestADroppedTermLeavesTheSmallerModel(t *testing.T) {
	sweep := raytracer()
	usl, amdahl := fit(t, USL, sweep, Constant), fit(t, Amdahl, sweep, Constant)
	if k := usl.Parameter("kappa"); k.Value != 0 || k.Low != 0 || !(k.High > 1e-5) {
		t.Fatalf("kappa: got %v (%v to %v), want 0 with an upper end", k.Value, k.Low, k.High)
	}
	for _, name := range []string{"lambda", "sigma"} {
		if got, want := usl.Parameter(name).Value, amdahl.Parameter(name).Value; !near(got, want, 1e-6) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestFitRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   Kind
		points []Point
		tooFew bool
	}{
		{"no points", Linear, nil, true},
		{"three for the USL", USL, raytracer()[:3], true},
		{"four with two alike", USL, append(raytracer()[:3:3], Point{8, 131}), true},
		{"zero", Amdahl, append(raytracer(), Point{0, 1}), false},
		{"negative", Amdahl, append(raytracer(), Point{70, -1}), false},
		{"not a number", Amdahl, append(raytracer(), Point{70, math.NaN()}), false},
		{"infinite", Amdahl, append(raytracer(), Point{math.Inf(1), 1}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Fit(c.kind, c.points, Relative)
			if err == nil || errors.Is(err, ErrTooFew) != c.tooFew {
				t.Errorf("got %v, want an error, too few points: %v", err, c.tooFew)
			}
		})
	}
}
