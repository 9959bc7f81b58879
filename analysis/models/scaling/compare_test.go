package scaling

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

func compare(t *testing.T, points []Point, noise Noise) Comparison {
	t.Helper()
	c, err := Compare(points, noise)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLeftOut holds the errors of left-out points of the linear model, whose
// log λ is the mean of log(x ÷ n), against sums made by hand: with y = log(x ÷ n),
// a point left out is missed by (y − mean of the others).
func TestLeftOut(t *testing.T) {
	sweep := points([]float64{1, 2, 4, 8, 16}, []float64{100, 210, 380, 820, 1500})
	var y []float64
	for _, p := range sweep {
		y = append(y, math.Log(p.X/p.N))
	}
	mean := func(v ...float64) float64 {
		sum := 0.0
		for _, w := range v {
			sum += w / float64(len(v))
		}
		return sum
	}
	square := func(v float64) float64 { return v * v }
	one := math.Sqrt(mean(
		square(y[0]-mean(y[1], y[2], y[3], y[4])), square(y[1]-mean(y[0], y[2], y[3], y[4])), square(y[2]-mean(y[0], y[1], y[3], y[4])),
		square(y[3]-mean(y[0], y[1], y[2], y[4])), square(y[4]-mean(y[0], y[1], y[2], y[3]))))
	// Five points leave one out that all models can do without.
	last := math.Abs(y[4] - mean(y[:4]...))
	m, _ := compare(t, sweep, Relative).Candidate(Linear)
	if !near(m.LeaveOneOut, one, 1e-9) || !near(m.LeaveLastOut, last, 1e-9) || m.Left != 1 {
		t.Errorf("got %v, and %v of the last %d, want %v, and %v of the last 1", m.LeaveOneOut, m.LeaveLastOut, m.Left, one, last)
	}
}

func TestChosen(t *testing.T) {
	ns := []float64{1, 2, 4, 8, 12, 16, 24, 32, 48}
	for _, c := range []struct {
		name     string
		at       func(float64) float64
		want     Kind
		rejected []Kind // at least
	}{
		{"linear", Law{Lambda: 1000}.At, Linear, nil},
		{"Amdahl", Law{Sigma: 0.05, Lambda: 1000}.At, Amdahl, []Kind{Linear}},
		{"USL", Law{Sigma: 0.03, Kappa: 0.002, Lambda: 1000}.At, USL, []Kind{Linear, Amdahl}},
		{"a kink", Line{Lambda: 1000, Kink: 14, Slope: 0.2}.At, Piecewise, []Kind{Linear, Amdahl}},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(5, 6))
			right, wronged := 0, 0
			const sweeps = 20
			for range sweeps {
				got := compare(t, noisy(c.at, ns, 0.02, random), Relative)
				if got.Chosen == c.want {
					right++
				}
				if m, _ := got.Candidate(c.want); m.Rejected != "" {
					wronged++
				}
				for _, kind := range c.rejected {
					if m, _ := got.Candidate(kind); !strings.HasPrefix(m.Rejected, "the points reject it") {
						t.Errorf("%s was not rejected", kind)
					}
				}
			}
			if right < sweeps*3/4 || wronged > 2 {
				t.Errorf("got the right model in %d of %d and rejected it in %d, want it in most and in at most two", right, sweeps, wronged)
			}
		})
	}
}

func TestPointsThatLieOnALine(t *testing.T) {
	for _, noise := range []Noise{Relative, Constant} {
		c := compare(t, points([]float64{1, 2, 4, 8, 16}, []float64{100, 200, 400, 800, 1600}), noise)
		if c.Chosen != Linear {
			t.Errorf("noise %d: got %s, want the simplest of those that are exact", noise, c.Chosen)
		}
		for _, m := range c.Candidates {
			if m.Rejected != "" {
				t.Errorf("noise %d: %s is rejected: %s", noise, m.Kind, m.Rejected)
			}
		}
	}
	c := compare(t, points([]float64{1, 2, 4, 8, 16}, []float64{100, 200, 400, 500, 700}), Relative)
	if m, _ := c.Candidate(Linear); !strings.HasSuffix(m.Rejected, "they lie on the curve of piecewise exactly") {
		t.Errorf("beside a line with a kink: got %q, want it rejected", m.Rejected)
	}
}

func TestTooFewPointsForTheLargeModels(t *testing.T) {
	c := compare(t, raytracer()[:3], Relative)
	if len(c.Candidates) != 2 || c.Candidates[1].Kind != Amdahl || !math.IsNaN(c.Candidates[1].LeaveLastOut) {
		t.Errorf("got %d candidates, want linear and amdahl without leave-last-out", len(c.Candidates))
	}
	if e := c.Predict(USL, 10); e.OK() {
		t.Errorf("a model that was not fitted predicts %v", e.Value)
	}
	if _, err := Compare(raytracer()[:1], Relative); err == nil {
		t.Error("one point was compared")
	}
}

// score adds up the interval scores of bands at points that they were not made
// from, on the logarithm of the throughput: the width, and 2/α times how far a
// point lies outside. The lower, the better; width costs as a miss does. Source:
// Gneiting and Raftery, "Strictly proper scoring rules, prediction, and
// estimation", 2007, eq. 43.
type score struct {
	sum     float64
	n, held int
}

func (s *score) add(e stat.Estimate, x float64) {
	low, high, at := math.Log(math.Max(e.Low, 1e-3*x)), math.Log(e.High), math.Log(x)
	const penalty = 2 / (1 - stat.Confidence)
	s.sum += high - low
	s.n++
	switch {
	case at < low:
		s.sum += penalty * (low - at)
	case at > high:
		s.sum += penalty * (at - high)
	default:
		s.held++
	}
}

func (s score) mean() float64     { return s.sum / float64(s.n) }
func (s score) coverage() float64 { return float64(s.held) / float64(s.n) }

// unionOfAll is the band over every model, rejected or not.
func unionOfAll(c Comparison, n float64) stat.Estimate {
	e := stat.Estimate{Low: math.Inf(1)}
	for _, m := range c.Candidates {
		o := m.Predict(n)
		e.Low, e.High = math.Min(e.Low, o.Low), math.Max(e.High, o.High)
	}
	return e
}

// TestBandsBeyondTheData judges bands by the interval score at points up to twice
// beyond the data: of systems that obey one of the models each, of one that obeys
// none, and of published sweeps that are cut off. The union over the models that
// the points don't reject must beat both the chosen model's own band, which is
// narrow and misses, and the union over all models, which is wide.
func TestBandsBeyondTheData(t *testing.T) {
	const sweeps, noise = 12, 0.03
	seen, unseen := []float64{1, 2, 4, 8, 12, 16, 20, 24}, []float64{28, 36, 48}
	random := rand.New(rand.NewPCG(3, 5))
	var own, union, everything, published score
	judge := func(points, beyond []Point, also *score) {
		c := compare(t, points, Relative)
		chosen, _ := c.Candidate(c.Chosen)
		for _, p := range beyond {
			own.add(chosen.Predict(p.N), p.X)
			union.add(c.Predict(c.Chosen, p.N), p.X)
			everything.add(unionOfAll(c, p.N), p.X)
			if also != nil {
				also.add(c.Predict(c.Chosen, p.N), p.X)
			}
		}
	}
	for _, at := range []func(float64) float64{
		Law{Lambda: 1000}.At,
		Law{Sigma: 0.05, Lambda: 1000}.At,
		Law{Sigma: 0.03, Kappa: 0.0008, Lambda: 1000}.At,
		Line{Lambda: 1000, Kink: 14, Slope: 0.2}.At,
		// A closed queueing network between its asymptotes.
		func(n float64) float64 { return 1000 * n / math.Cbrt(1+math.Pow(n/20, 3)) },
	} {
		for range sweeps {
			judge(noisy(at, seen, noise, random), noisy(at, unseen, noise, random), nil)
		}
	}
	if got := union.coverage(); got < 0.90 {
		t.Errorf("simulated: the union holds %.0f %% of the points beyond, want 90 or more", 100*got)
	}
	t.Logf("simulated: score %.2f holding %.0f %%", union.mean(), 100*union.coverage())
	for _, sweep := range [][]Point{raytracer(), specsdm91(), cisco()} {
		for _, cut := range []int{5, 6, 8, 12, 20} {
			if cut >= len(sweep) {
				break
			}
			var beyond []Point
			for _, p := range sweep[cut:] {
				if p.N <= 2*sweep[cut-1].N {
					beyond = append(beyond, p)
				}
			}
			judge(sweep[:cut], beyond, &published)
		}
	}
	t.Logf("published: score %.2f holding %.0f %% of %d", published.mean(), 100*published.coverage(), published.n)
	t.Logf("score and share held: chosen alone %.2f %.0f %%, union %.2f %.0f %%, all %.2f %.0f %%",
		own.mean(), 100*own.coverage(), union.mean(), 100*union.coverage(), everything.mean(), 100*everything.coverage())
	if !(union.mean() < own.mean()) || !(union.mean() < everything.mean()) {
		t.Errorf("interval score: got %.2f for the union, want it below that of the chosen model alone, %.2f, and of all models, %.2f",
			union.mean(), own.mean(), everything.mean())
	}
}

func TestWithinTheDataABandIsTheModelsOwn(t *testing.T) {
	c := compare(t, raytracer(), Relative)
	m, _ := c.Candidate(USL)
	own, union := m.Predict(64), c.Predict(USL, 64)
	if own.Low != union.Low || own.High != union.High {
		t.Errorf("at 64: got %v to %v, want %v to %v", union.Low, union.High, own.Low, own.High)
	}
	own, union = m.Predict(96), c.Predict(USL, 96)
	if union.Low > own.Low || union.High < own.High || union.High-union.Low <= own.High-own.Low {
		t.Errorf("at 96: got %v to %v, want more than %v to %v", union.Low, union.High, own.Low, own.High)
	}
}
