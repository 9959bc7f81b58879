package growth

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Shape is how demand grows.
type Shape string

// The shapes.
const (
	Linear      Shape = "linear"      // by the same number of requests a day, seasons add to it
	Exponential Shape = "exponential" // by the same share a day, seasons multiply it
)

// model is a trend with a season, fitted by least squares to peaks or to their
// logarithms:
//
//	g(peak) = a + b·t + s_{t mod season} + residual, g the identity or the logarithm
//
// t is in units and 0 at the last one of the history.
type model struct {
	shape  Shape
	season int
	zero   int // unit at which t is 0
	fit    stat.Fit
	solve  *mat.Dense // (XᵀX)⁻¹Xᵀ: what residuals add to the coefficients
}

// row is the design at a unit.
func (m model) row(unit int) []float64 {
	row := make([]float64, 1+1+m.season-1)
	row[0], row[1] = 1, float64(unit-m.zero)
	if s := ((unit % m.season) + m.season) % m.season; s > 0 {
		row[1+s] = 1
	}
	return row
}

func (m model) forward(rate float64) float64 {
	if m.shape == Exponential {
		return math.Log(rate)
	}
	return rate
}

func (m model) back(v float64) float64 {
	if m.shape == Exponential {
		return math.Exp(v)
	}
	return v
}

// at returns what coefficients say of a unit, before back.
func (m model) at(coefficients []float64, unit int) float64 {
	v := coefficients[0] + coefficients[1]*float64(unit-m.zero)
	if s := ((unit % m.season) + m.season) % m.season; s > 0 {
		v += coefficients[1+s]
	}
	return v
}

// fitShape fits a shape to peaks.
func fitShape(shape Shape, p peaks) (model, error) {
	m := model{shape: shape, season: p.seasonal(), zero: p.at[len(p.at)-1]}
	rows, y := make([][]float64, len(p.at)), make([]float64, len(p.at))
	for i, unit := range p.at {
		rows[i], y[i] = m.row(unit), m.forward(p.rate[i])
	}
	var err error
	if m.fit, err = stat.LeastSquares(rows, y, nil); err != nil {
		return model{}, fmt.Errorf("fit %s growth: %w", shape, err)
	}
	return m, nil
}

// prepare makes ready for draws: coefficients are linear in the values.
func (m *model) prepare(p peaks) error {
	x := mat.NewDense(len(p.at), len(m.fit.Coefficients), nil)
	for i, at := range p.at {
		x.SetRow(i, m.row(at))
	}
	var gram mat.SymDense
	gram.SymOuterK(1, x.T())
	var factors mat.Cholesky
	m.solve = &mat.Dense{}
	if !factors.Factorize(&gram) {
		return fmt.Errorf("fit %s growth: %w", m.shape, stat.ErrCollinear)
	}
	if err := factors.SolveTo(m.solve, x.T()); err != nil {
		return fmt.Errorf("fit %s growth: %w", m.shape, err)
	}
	return nil
}

// foretells returns the root of the mean squared relative error with which the model
// of all but the last held units foretells these; false when too little is left.
func foretells(shape Shape, p peaks, held int) (float64, bool) {
	kept := len(p.at) - held
	if kept < 2*p.seasonal() || kept < 6 {
		return 0, false
	}
	m, err := fitShape(shape, peaks{unit: p.unit, start: p.start, at: p.at[:kept], rate: p.rate[:kept]})
	if err != nil {
		return 0, false
	}
	sum := 0.0
	for i := kept; i < len(p.at); i++ {
		off := m.back(m.at(m.fit.Coefficients, p.at[i]))/p.rate[i] - 1
		sum += off * off
	}
	return math.Sqrt(sum / float64(held)), true
}

// choose returns the models to use, the better one first. The other one is kept when
// it foretells the ends of the history less than a tenth worse: then the data cannot
// tell them apart, and an interval has to hold for both.
func choose(p peaks) (models []model, warnings []string, err error) {
	for _, rate := range p.rate {
		if rate <= 0 {
			m, err := fitShape(Linear, p)
			return []model{m}, []string{"a peak of 0 has no logarithm: growth is taken as linear"}, err
		}
	}
	var errs [2]float64
	tried := 0
	for _, fifths := range []int{1, 2} {
		held := len(p.at) * fifths / 5
		linear, ok := foretells(Linear, p, held)
		exponential, also := foretells(Exponential, p, held)
		if ok && also {
			errs[0], errs[1] = errs[0]+exponential, errs[1]+linear
			tried++
		}
	}
	shapes := []Shape{Exponential, Linear}
	if tried == 0 {
		warnings = append(warnings, "the history is too short to tell linear from exponential growth: the interval holds for both")
	} else if errs[1] < errs[0] {
		shapes[0], shapes[1], errs[0], errs[1] = Linear, Exponential, errs[1], errs[0]
	}
	if tried > 0 && errs[1] > 1.1*errs[0] {
		shapes = shapes[:1]
	}
	for _, shape := range shapes {
		m, err := fitShape(shape, p)
		if err != nil {
			return nil, nil, err
		}
		models = append(models, m)
	}
	return models, warnings, nil
}

// drawing is what may have been and what may come, by a circular block bootstrap of
// residuals (Politis and Romano, 1992): a history as it could have been gives
// coefficients, and further blocks what single units add to them.
type drawing struct {
	perMonth []float64   // growth from month to month
	highest  [][]float64 // by draw: the highest peak from the first unit ahead to each
}

// draw makes drawings of the units ahead.
func (m model) draw(p peaks, ahead, draws int, random *rand.Rand) drawing {
	n := len(p.at)
	length := max(m.season, int(2*math.Cbrt(float64(n))))
	// Residuals of a fit are smaller than what they are residuals of.
	wider := math.Sqrt(float64(n) / float64(max(1, m.fit.DF)))
	next := func(into []float64) {
		for i := 0; i < len(into); {
			start := random.IntN(n)
			for j := 0; j < length && i < len(into); i, j = i+1, j+1 {
				into[i] = wider * m.fit.Residuals[(start+j)%n]
			}
		}
	}
	perMonth := month.Seconds() / p.unit.Seconds()
	d := drawing{}
	past, future := make([]float64, n), make([]float64, ahead)
	coefficients := make([]float64, len(m.fit.Coefficients))
	for range draws {
		next(past)
		next(future)
		for c := range coefficients {
			coefficients[c] = m.fit.Coefficients[c]
			for i, weight := range m.solve.RawRowView(c) {
				coefficients[c] += weight * past[i]
			}
		}
		d.perMonth = append(d.perMonth, m.growth(coefficients, perMonth))
		highest, so := make([]float64, ahead), math.Inf(-1)
		for i := range highest {
			so = math.Max(so, m.back(m.at(coefficients, m.zero+1+i)+future[i]))
			highest[i] = so
		}
		d.highest = append(d.highest, highest)
	}
	return d
}

// growth returns by which share the level at the end of the history grows in units.
func (m model) growth(coefficients []float64, units float64) float64 {
	if m.shape == Exponential {
		return math.Expm1(coefficients[1] * units)
	}
	level := coefficients[0]
	for _, s := range coefficients[2:] {
		level += s / float64(m.season)
	}
	return coefficients[1] * units / level
}

// weekdays returns what the season makes of each day of the week, from Sunday on, ÷
// their mean; nil where there is no season to be seen. first is the weekday of unit 0.
func (m model) weekdays(first int) []float64 {
	if m.season != 7 {
		return nil
	}
	out, sum := make([]float64, 7), 0.0
	for s := range 7 {
		v := m.fit.Coefficients[0]
		if s > 0 {
			v += m.fit.Coefficients[1+s]
		}
		out[(first+s)%7] = m.back(v)
		sum += m.back(v)
	}
	for i := range out {
		out[i] *= 7 / sum
	}
	return out
}
