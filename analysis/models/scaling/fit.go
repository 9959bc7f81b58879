package scaling

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Point is one measurement: the throughput X at a concurrency or number of
// replicas N. Both are above 0.
type Point struct{ N, X float64 }

// Noise is what kind of noise the throughput is taken to have.
type Noise int

// The kinds of noise. The zero kind is right for load tests.
const (
	Relative Noise = iota // proportional to the throughput: least squares on log X
	Constant              // the same at every throughput: least squares on X
)

// Parameter is a parameter of a model by its name.
type Parameter struct {
	Name string
	stat.Estimate
}

// Model is a fitted model. The zero Model has no points and predicts nothing.
type Model struct {
	Kind       Kind
	Noise      Noise
	Parameters []Parameter // lambda first
	// ResidualSD is the residual standard deviation with N − p degrees of freedom:
	// relative (0.03 is 3 %) with relative noise, in units of X with constant.
	ResidualSD float64
	DF         int
	// Notes say what the fit did that one should know: a parameter at its bound.
	Notes []string

	problem problem
	at      solution
	t       float64 // Student's, two-sided, for DF
}

// Fit fits a model to points by bounded non-linear least squares, from several
// starts. It returns an error when a value is not finite and above 0, or there
// are fewer than kind.LeastPoints different N. Intervals are at stat.Confidence,
// by profile likelihood and Student's t with N − p degrees of freedom, p the
// parameters of the model whether or not one is at its bound.
func Fit(kind Kind, points []Point, noise Noise) (Model, error) {
	points = slices.Clone(points)
	for _, p := range points {
		if !(p.N > 0) || !(p.X > 0) || math.IsInf(p.N, 0) || math.IsInf(p.X, 0) {
			return Model{}, fmt.Errorf("%s: the point (%v, %v) is not finite and above 0", kind, p.N, p.X)
		}
	}
	if n := len(distinctN(points)); n < kind.LeastPoints() {
		return Model{}, fmt.Errorf("%s: %w: %d different ones, it has %d parameters and needs %d",
			kind, ErrTooFew, n, len(kind.Names()), kind.LeastPoints())
	}
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.N, b.N) })
	p := newProblem(kind, points, noise)
	m := Model{Kind: kind, Noise: noise, problem: p, at: p.best(p.starts(), nil), DF: len(points) - len(kind.Names())}
	if math.IsInf(m.at.sum, 1) {
		return Model{}, fmt.Errorf("%s: no throughput above 0 fits the points", kind)
	}
	m.ResidualSD = math.Sqrt(m.at.sum / float64(m.DF))
	m.t = stat.StudentT(stat.Confidence, m.DF)
	for j, name := range kind.Names() {
		m.Parameters = append(m.Parameters, Parameter{name, m.parameter(j)})
	}
	m.noteBounds()
	return m, nil
}

// ErrTooFew is the error of a fit to too few different N.
var ErrTooFew = errors.New("too few points")

// spread is the residual standard deviation, with one that the arithmetic can't
// tell from none as none.
func (m Model) spread() float64 {
	if m.ResidualSD <= exact*m.size() {
		return 0
	}
	return m.ResidualSD
}

// size is what an error of the whole would be: 1, or the largest X with constant
// noise.
func (m Model) size() float64 {
	size := 1.0
	if m.Noise == Constant {
		for _, p := range m.problem.points {
			size = math.Max(size, p.X)
		}
	}
	return size
}

func (m Model) parameter(j int) stat.Estimate {
	low, high := m.problem.profile(m.at, j, m.t, m.spread())
	e := m.estimate(m.at.theta[j], low, high)
	if j == 0 {
		e.Value, e.Low, e.High = math.Exp(e.Value), math.Exp(e.Low), math.Exp(e.High)
	}
	return e
}

func (m Model) estimate(value, low, high float64) stat.Estimate {
	return stat.Estimate{Value: value, Low: low, High: high, Confidence: stat.Confidence, N: len(m.problem.points)}
}

// Parameter returns the parameter of that name, not estimable when there is none.
func (m Model) Parameter(name string) stat.Estimate {
	for _, p := range m.Parameters {
		if p.Name == name {
			return p.Estimate
		}
	}
	return stat.NotEstimable(len(m.problem.points), m.Kind.String()+" has no parameter "+name)
}

// Law returns the fitted law, false for Piecewise.
func (m Model) Law() (Law, bool) {
	l := Law{Lambda: math.Exp(m.at.theta[0])}
	switch m.Kind {
	case Linear:
	case Amdahl:
		l.Sigma = m.at.theta[1]
	case USL:
		l.Sigma, l.Kappa = m.at.theta[1], m.at.theta[2]
	default:
		return Law{}, false
	}
	return l, true
}

// At returns the fitted throughput at n > 0.
func (m Model) At(n float64) float64 { return math.Exp(m.problem.logAt(m.at.theta, n)) }

// atBound reports whether shape parameter j (from 1) is at its lower or upper bound.
func (m Model) atBound(j int) (low, high bool) {
	return m.at.theta[j] <= m.problem.low[j], m.at.theta[j] >= m.problem.high[j]
}

// noteBounds says which terms the fit has dropped because they came out at 0, and
// what they would be without the bound.
func (m *Model) noteBounds() {
	for j := 1; j < len(m.at.theta); j++ {
		parameter := &m.Parameters[j]
		low, high := m.atBound(j)
		var note string
		switch {
		case m.Kind == Piecewise && parameter.Name == "slope" && high:
			note = "slope is at its bound 1: the points show no kink, and the line is straight"
		case m.Kind == Piecewise && parameter.Name == "slope" && low:
			note = "slope is at its bound 0: beyond the kink the line is flat"
		case m.Kind == Piecewise && low:
			note = "the kink is at the first point, the lowest place that it can have"
		case m.Kind == Piecewise && high:
			note = "the kink is at the last point but one, the highest place that can be told"
		case low:
			note = parameter.Name + " is at its bound 0: the term was dropped and the others fitted without it" + m.withoutBound(j)
		case high:
			note = parameter.Name + " is at its bound 1"
		default:
			continue
		}
		parameter.Warnings = append(parameter.Warnings, note)
		m.Notes = append(m.Notes, note)
	}
}

// withoutBound says what parameter j is when nothing is bounded.
func (m Model) withoutBound(j int) string {
	free := m.problem.unbounded()
	at := free.best([][]float64{m.at.theta}, nil)
	if len(m.problem.points) <= len(at.theta) || !(at.theta[j] < 0) {
		return ""
	}
	s := math.Sqrt(at.sum / float64(m.DF))
	low, high := free.profile(at, j, m.t, s)
	text := "; free of the bound it would be " + quantity.Estimate(m.estimate(at.theta[j], low, high), quantity.Fine)
	if j == 1 && high < 0 {
		text += ", which is superlinear"
	}
	return text
}
