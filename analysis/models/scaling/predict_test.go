package scaling

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/quantity"
)

func TestLaw(t *testing.T) {
	published := Law{Sigma: 0.02671591, Kappa: 7.690945e-4, Lambda: 995.6486}
	for _, c := range []struct {
		name      string
		got, want float64
		tolerance float64
	}{
		// Schwartz 2015 gives the peak as 35 and 12 341.
		{"X(35)", published.At(35), 12341, 1e-4},
		// The two formulas that leave κ out say 15.4 here, where X is only 9 673.
		{"X at the inverse", published.At(must(published.Inverse(11048))), 11048, 1e-12},
		{"the inverse", must(published.Inverse(11048)), 19.93, 1e-3},
		{"the smaller root", must(Law{Sigma: 0.02, Kappa: 0.02, Lambda: 1}.Inverse(3.3557)), 4.9, 1e-3},
		{"κ → 0", must(Law{Sigma: 0.05, Kappa: 1e-18, Lambda: 20}.Inverse(200)), 200 * 0.95 / 10, 1e-9},
		{"κ = 0", must(Law{Sigma: 0.05, Lambda: 20}.Inverse(200)), 200 * 0.95 / 10, 1e-12},
		{"linear", must(Law{Lambda: 20}.Inverse(200)), 10, 1e-12},
		{"X(1) is λ", Law{Sigma: 0.5, Kappa: 0.1, Lambda: 20}.At(1), 20, 1e-12},
		{"before the kink", Line{Lambda: 10, Kink: 8, Slope: 0.25}.At(4), 40, 1e-12},
		{"beyond the kink", Line{Lambda: 10, Kink: 8, Slope: 0.25}.At(16), 100, 1e-12},
		{"inverse before the kink", must(Line{Lambda: 10, Kink: 8, Slope: 0.25}.Inverse(40)), 4, 1e-12},
		{"inverse beyond the kink", must(Line{Lambda: 10, Kink: 8, Slope: 0.25}.Inverse(100)), 16, 1e-12},
	} {
		if !near(c.got, c.want, c.tolerance) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	for name, infeasible := range map[string]func() (float64, bool){
		"above the peak":     func() (float64, bool) { return published.Inverse(12400) },
		"at the roof":        func() (float64, bool) { return Law{Sigma: 0.05, Lambda: 20}.Inverse(400) },
		"above a flat line":  func() (float64, bool) { return Line{Lambda: 10, Kink: 8}.Inverse(81) },
		"nothing scales":     func() (float64, bool) { return Law{Sigma: 1, Lambda: 20}.Inverse(21) },
		"past it by a whole": func() (float64, bool) { return Law{Sigma: 0.02, Kappa: 0.02, Lambda: 1}.Inverse(5) },
	} {
		if n, ok := infeasible(); ok {
			t.Errorf("%s: got %v, want infeasible", name, n)
		}
	}
	if n, x := (Law{Sigma: 0.05, Lambda: 20}).Peak(); !math.IsInf(n, 1) || !near(x, 400, 1e-12) {
		t.Errorf("peak without coherency: got %v at %v, want the roof 400 at no N", x, n)
	}
}

// plain joins warnings and makes their no-break spaces visible as ordinary ones.
func plain(warnings []string) string {
	return strings.ReplaceAll(strings.Join(warnings, "; "), quantity.NoBreak, " ")
}

func must(n float64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return n
}

// TestShapes holds the gradients that fits go by against differences.
func TestShapes(t *testing.T) {
	const h = 1e-6
	random := rand.New(rand.NewPCG(1, 9))
	for _, kind := range []Kind{Amdahl, USL, uslByPeak, Piecewise} {
		for range 50 {
			q := []float64{0.3 * random.Float64(), 0.2 * random.Float64()}
			if kind == Piecewise {
				q[0] = 1 + 10*random.Float64()
			}
			q = q[:len(kind.Names())-1]
			n := 1 + 40*random.Float64()
			for name, f := range map[string]func(q, grad []float64) float64{
				"shape": func(q, grad []float64) float64 { return kind.logShape(q, n, grad) },
				"peak":  logPeak,
			} {
				if name == "peak" && kind != uslByPeak {
					continue
				}
				grad, unused := make([]float64, len(q)), make([]float64, len(q))
				f(q, grad)
				for j := range q {
					up, down := append([]float64(nil), q...), append([]float64(nil), q...)
					up[j], down[j] = up[j]+h, down[j]-h
					want := (f(up, unused) - f(down, unused)) / (2 * h)
					if math.Abs(grad[j]-want) > 1e-4*(1+math.Abs(want)) {
						t.Errorf("%s of %s at %v, n = %v, by %d: got %v, want %v", name, kind, q, n, j, grad[j], want)
					}
				}
			}
		}
	}
	law := Law{Sigma: 0.1, Kappa: 0.001, Lambda: 1}
	n, x := law.Peak()
	if got := math.Exp(logPeak([]float64{0.1, 1 / n}, make([]float64, 2))); !near(got, x, 1e-12) {
		t.Errorf("height of the peak: got %v, want %v", got, x)
	}
}

func TestPeak(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    Kind
		points  []Point
		at      float64 // 0: there is none
		warning string
	}{
		// √((1−σ)/κ) of the fit in TestFitsOnLog.
		{"within the data", USL, specsdm91(), 92.5768, ""},
		{"beyond the data", USL, raytracer()[:6], 22.8031, "the peak lies beyond the highest concurrency that was measured, 20"},
		{"far beyond", USL, raytracer(), 530.06, "is 8.28 times the highest"},
		{"no coherency", Amdahl, raytracer(), 0, "towards λ ÷ σ = 382"},
		{"no contention", Linear, raytracer(), 0, "in proportion"},
		{"a line that rises", Piecewise, raytracer(), 0, "goes on rising beyond the kink"},
		{"a line that is flat", Piecewise, specsdm91(), 29.383, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			peak := fit(t, c.kind, c.points, Relative).Peak()
			for name, e := range map[string]struct {
				ok       bool
				warnings []string
			}{
				"concurrency": {peak.Concurrency.OK(), peak.Concurrency.Warnings},
				"throughput":  {peak.Throughput.OK(), peak.Throughput.Warnings},
			} {
				if e.ok != (c.at > 0) || !strings.Contains(strings.Join(e.warnings, "; "), c.warning) {
					t.Errorf("%s: got one: %v, with %q, want %v with %q", name, e.ok, e.warnings, c.at > 0, c.warning)
				}
			}
			if c.at > 0 && !near(peak.Concurrency.Value, c.at, 1e-4) {
				t.Errorf("got %v, want %v", peak.Concurrency.Value, c.at)
			}
			if e := peak.Concurrency; e.OK() && !(e.Low < e.Value && e.Value < e.High) {
				t.Errorf("got %v to %v around %v", e.Low, e.High, e.Value)
			}
		})
	}
}

func TestExtrapolationWarns(t *testing.T) {
	m := fit(t, USL, raytracer()[1:], Relative) // 4 to 64
	for _, c := range []struct {
		n    float64
		want bool
	}{{4, false}, {64, false}, {76.7, false}, {76.9, true}, {128, true}, {3.4, false}, {3.3, true}} {
		if got := len(m.Predict(c.n).Warnings) > 0; got != c.want {
			t.Errorf("at %v of 4 to 64: got a warning: %v, want %v", c.n, got, c.want)
		}
		inverse := m.Inverse(m.At(c.n))
		if got := strings.Contains(strings.Join(inverse.N.Warnings, "; "), "extrapolation"); got != c.want {
			t.Errorf("inverse at %v of 4 to 64: got a warning: %v, want %v", c.n, got, c.want)
		}
	}
}

func TestInverse(t *testing.T) {
	for _, c := range []struct {
		name      string
		kind      Kind
		points    []Point
		x         float64
		feasible  bool
		unlimited bool
		says      string
	}{
		{"within", USL, cisco(), 11048, true, false, ""},
		{"just below the peak", USL, specsdm91(), 1900, true, true, "does not reach 1 900"},
		{"just above the peak", USL, specsdm91(), 2000, false, false, "though within its interval"},
		{"far above the peak", USL, specsdm91(), 3000, false, false, "infeasible: 3 000 is above the peak of the fitted model"},
		{"above the roof", Amdahl, raytracer(), 400, false, false, "stays below λ ÷ σ = 382"},
		{"above a flat line", Piecewise, specsdm91(), 1800, false, false, "infeasible"},
		{"linear", Linear, raytracer()[:3], 200, true, false, "extrapolation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := fit(t, c.kind, c.points, Relative)
			got := m.Inverse(c.x)
			if got.Feasible != c.feasible || got.Feasible != got.N.OK() {
				t.Fatalf("feasible: got %v with %v, want %v", got.Feasible, got.N.Value, c.feasible)
			}
			if said := plain(got.N.Warnings); !strings.Contains(said, c.says) || c.says == "" && said != "" {
				t.Errorf("got %q, want %q in it", said, c.says)
			}
			if !c.feasible {
				return
			}
			if !near(m.At(got.N.Value), c.x, 1e-9) {
				t.Errorf("X(%v) is %v, want %v", got.N.Value, m.At(got.N.Value), c.x)
			}
			if !(got.N.Low < got.N.Value && got.N.Value < got.N.High) || math.IsInf(got.N.High, 1) != c.unlimited {
				t.Errorf("got %v to %v around %v, want no upper end: %v", got.N.Low, got.N.High, got.N.Value, c.unlimited)
			}
			// Where the interval ends, the interval of the mean has x at its end.
			if e := m.Mean(got.N.Low); !near(e.High, c.x, 1e-3) {
				t.Errorf("at the lower end %v the mean is up to %v, want %v", got.N.Low, e.High, c.x)
			}
			if e := m.Mean(math.Min(got.N.High, 1e6)); !c.unlimited && !near(e.Low, c.x, 1e-3) {
				t.Errorf("at the upper end %v the mean is from %v, want %v", got.N.High, e.Low, c.x)
			}
		})
	}
}

// TestInverseBeyondTheData: what the model reaches, one that the points allow as
// well may not.
func TestInverseBeyondTheData(t *testing.T) {
	c := compare(t, raytracer(), Relative)
	got := c.Inverse(Piecewise, 500)
	if !got.Feasible || !math.IsInf(got.N.High, 1) {
		t.Fatalf("got %+v, want a number without an upper end", got)
	}
	if said := plain(got.N.Warnings); !strings.Contains(said, "amdahl") || !strings.Contains(said, "may stay below 500") {
		t.Errorf("got %q, want the model that does not reach it", said)
	}
	if within := c.Inverse(USL, 200); math.IsInf(within.N.High, 1) || len(within.N.Warnings) > 0 {
		t.Errorf("within the data: got %+v, want the model's own interval", within.N)
	}
	if none := c.Inverse(Amdahl, 400); none.Feasible {
		t.Errorf("got %+v, want the asked model's answer, infeasible", none)
	}
}
