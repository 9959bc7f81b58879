package scaling

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Candidate is a fitted model and how well it says what it did not see.
type Candidate struct {
	Model
	// LeaveOneOut is the root mean square of the errors with which each point is
	// predicted from the others; relative, or in units of X with constant noise.
	LeaveOneOut float64
	// LeaveLastOut is the same for the last 1 … Left points, each time predicted
	// from those before: what an extrapolation is worth. NaN when there are too
	// few points for it.
	LeaveLastOut float64
	Left         int
	// Rejected says why the points reject the model; empty: they don't.
	Rejected string
}

// Score is the geometric mean of the two errors, or the one that there is: the
// model with the lowest says most about points that it did not see.
func (c Candidate) Score() float64 {
	if math.IsNaN(c.LeaveLastOut) {
		return c.LeaveOneOut
	}
	return math.Sqrt(c.LeaveOneOut * c.LeaveLastOut)
}

// Comparison is every model fitted to the same points.
type Comparison struct {
	Candidates []Candidate // the simplest first
	Chosen     Kind        // the one to use when nobody asks for another
	Notes      []string    // what the points look like, whatever the model
}

// rejection is the level at which a model counts as rejected.
const rejection = 0.01

// better is how much lower the score of a model with more parameters must be.
const better = 0.95

// manyPoints is from how many on one point more or less moves a fit a little only,
// so that it can be searched from where it was.
const manyPoints = 40

// mostLeft is the largest number of last points that are left out at once.
const mostLeft = 3

// Compare fits every model for which there are points enough. It returns the
// error of the simplest when there is none.
func Compare(points []Point, noise Noise) (Comparison, error) {
	var c Comparison
	var errs []error
	for _, kind := range Kinds() {
		m, err := Fit(kind, points, noise)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		candidate := Candidate{Model: m}
		candidate.LeaveOneOut = m.leaveOneOut()
		candidate.LeaveLastOut, candidate.Left = m.leaveLastOut()
		c.Candidates = append(c.Candidates, candidate)
	}
	if len(c.Candidates) == 0 {
		return Comparison{}, errors.Join(errs...)
	}
	c.reject()
	c.choose()
	c.Notes = superlinear(c)
	return c, nil
}

// Candidate returns the fit of a model, and false when there are too few points.
func (c Comparison) Candidate(kind Kind) (Candidate, bool) {
	i := slices.IndexFunc(c.Candidates, func(m Candidate) bool { return m.Kind == kind })
	if i < 0 {
		return Candidate{}, false
	}
	return c.Candidates[i], true
}

// choose takes the simplest model whose score no other beats clearly. A model
// that the points reject is not chosen.
func (c *Comparison) choose() {
	lowest := math.Inf(1)
	for _, m := range c.Candidates {
		// Two that both predict exactly are as good.
		score := math.Max(m.Score(), exact*m.size())
		if m.Rejected == "" && score < better*lowest {
			lowest, c.Chosen = score, m.Kind
		}
	}
}

// reject marks the models whose sum of squares is too large beside that of the
// one with the smallest residual variance, by the F-test of the extra sum of
// squares:
//
//	F = ((S − S_best) ÷ q) ÷ (S_best ÷ (N − p_best)), q = max(1, p_best − p)
//
// It is exact for a model that is part of the best in a linear one, and a
// yardstick for the others. Source: Bates and Watts 1988, §3.10.
func (c *Comparison) reject() {
	best := slices.MinFunc(c.Candidates, func(a, b Candidate) int {
		if a.ResidualSD < b.ResidualSD {
			return -1
		}
		return 1
	})
	p := len(best.Parameters)
	for i, m := range c.Candidates {
		q := max(1, p-len(m.Parameters))
		extra := (m.at.sum - best.at.sum) / float64(q)
		variance := best.at.sum / float64(best.DF)
		if m.Kind == best.Kind || extra <= 0 || (best.spread() == 0 && m.spread() == 0) {
			continue
		}
		if best.spread() == 0 {
			c.Candidates[i].Rejected = fmt.Sprintf("the points reject it: they lie on the curve of %s exactly", best.Kind)
			continue
		}
		f := distuv.F{D1: float64(q), D2: float64(best.DF)}
		if level := f.Survival(extra / variance); level < rejection {
			c.Candidates[i].Rejected = fmt.Sprintf("the points reject it: its residuals are %s times those of %s (%s)",
				quantity.Number(m.ResidualSD/best.ResidualSD), best.Kind, probability(level))
		}
	}
}

func probability(p float64) string {
	if p < 0.001 {
		return "p < 0.001"
	}
	return fmt.Sprintf("p = %.2g", p)
}

// leaveOneOut predicts each point from the others.
func (m Model) leaveOneOut() float64 {
	sum, points := 0.0, m.problem.points
	for i, out := range points {
		e := m.errorAt(slices.Delete(slices.Clone(points), i, i+1), out)
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(points)))
}

// leaveLastOut predicts the last points from those before them.
func (m Model) leaveLastOut() (float64, int) {
	points := m.problem.points
	left := min(mostLeft, len(points)-len(m.Parameters))
	// All models are scored on the same points, so the largest model decides.
	left = min(left, len(points)-USL.LeastPoints())
	if left < 1 {
		return math.NaN(), 0
	}
	sum, n := 0.0, 0
	for k := 1; k <= left; k++ {
		for _, out := range points[len(points)-k:] {
			e := m.errorAt(points[:len(points)-k], out)
			sum, n = sum+e*e, n+1
		}
	}
	return math.Sqrt(sum / float64(n)), left
}

// errorAt is the error of the prediction of a point from others.
func (m Model) errorAt(points []Point, out Point) float64 {
	p := newProblem(m.Kind, points, m.Noise)
	starts := [][]float64{m.at.theta}
	if len(points) < manyPoints {
		starts = append(starts, p.starts()...) // one of few may turn the curve
	}
	s := p.best(starts, nil)
	logX := p.logAt(s.theta, out.N)
	if m.Noise == Constant {
		return math.Exp(logX) - out.X
	}
	return logX - math.Log(out.X)
}

// Predict returns the prediction of a model at n > 0 with the interval in which
// one more measurement would lie. Beyond the highest N that was measured the
// interval is the union of those of all models that the points don't reject.
func (c Comparison) Predict(kind Kind, n float64) stat.Estimate {
	m, ok := c.Candidate(kind)
	if !ok {
		return stat.NotEstimable(0, "too few points for "+kind.String())
	}
	e := m.Predict(n)
	if _, highest := m.Range(); n <= highest {
		return e
	}
	for _, other := range c.rivals(kind) {
		o := other.Predict(n)
		e.Low, e.High = math.Min(e.Low, o.Low), math.Max(e.High, o.High)
	}
	return e
}

// Inverse returns the smallest N at which a model reaches x > 0. Where that lies
// beyond the highest N that was measured, the interval is the union of those of
// all models that the points don't reject; without an upper end when one of them
// does not reach x.
func (c Comparison) Inverse(kind Kind, x float64) Inverse {
	m, ok := c.Candidate(kind)
	if !ok {
		return Inverse{N: stat.NotEstimable(0, "too few points for "+kind.String())}
	}
	inverse := m.Inverse(x)
	if _, highest := m.Range(); !inverse.Feasible || inverse.N.Value <= highest {
		return inverse
	}
	var short []string
	for _, other := range c.rivals(kind) {
		o := other.Inverse(x)
		if o.Feasible {
			inverse.N.Low, inverse.N.High = math.Min(inverse.N.Low, o.N.Low), math.Max(inverse.N.High, o.N.High)
		}
		if !o.Feasible || math.IsInf(o.N.High, 1) {
			short = append(short, other.Kind.String())
		}
	}
	if len(short) > 0 {
		inverse.N.High = math.Inf(1)
		inverse.N.Warnings = append(inverse.N.Warnings, fmt.Sprintf(
			"by %s, which the points don't reject, it may stay below %s at any concurrency", strings.Join(short, " and "), quantity.Number(x)))
	}
	return inverse
}

// rivals are the other models that the points don't reject.
func (c Comparison) rivals(kind Kind) []Candidate {
	var out []Candidate
	for _, m := range c.Candidates {
		if m.Kind != kind && m.Rejected == "" {
			out = append(out, m)
		}
	}
	return out
}
