package stat

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// errNothing is returned when the best non-negative fit has no column at all.
var errNothing = errors.New("no coefficient above zero makes the fit better")

// NonNegative fits like LeastSquares, but holds the coefficients of the columns
// that free does not name at 0 or above: what a request costs is not negative. The
// coefficients of columns that were left out are 0 in the returned fit, and their
// indices are in dropped. Intervals are those of the smaller model. A column that
// cannot be told from those that are in is left out too; an error when none is left.
//
// The active-set method of Lawson and Hanson, "Solving least squares problems",
// 1974, ch. 23 (algorithm NNLS): among the columns at 0 the one enters along which
// the sum of squares falls fastest; when that turns others negative, the step ends
// where the first of them meets 0, and that one leaves.
func NonNegative(rows [][]float64, y, weights []float64, free map[int]bool) (fit Fit, dropped []int, err error) {
	if len(rows) == 0 || len(rows[0]) == 0 {
		return Fit{}, nil, fmt.Errorf("non-negative regression of %d rows", len(rows))
	}
	a := &activeSet{rows: rows, y: y, weights: weights, free: free, in: make([]bool, len(rows[0])), shut: make([]bool, len(rows[0]))}
	if err := a.solve(); err != nil {
		return Fit{}, nil, err
	}
	for j, in := range a.in {
		if !in {
			dropped = append(dropped, j)
		}
	}
	return widened(a.fit, a.columns(), len(a.in)), dropped, nil
}

// activeSet is the state of Lawson's and Hanson's method.
type activeSet struct {
	rows       [][]float64
	y, weights []float64
	free       map[int]bool
	in         []bool    // columns that are fitted; the others are at 0
	shut       []bool    // columns that cannot be told from those that are in
	x          []float64 // the coefficients of all columns
	fit        Fit       // of the columns that are in
}

// leastGain is by how much of the largest possible one a column must point along
// what is left unexplained to enter: less is rounding.
const leastGain = 1e-10

func (a *activeSet) solve() error {
	a.x = make([]float64, len(a.in))
	for j := range a.in {
		a.in[j] = a.free[j]
	}
	if slices.Contains(a.in, true) {
		if err := a.refit(); err != nil {
			return err
		}
	}
	// Each round enters a column; a problem needs about as many as it has columns.
	for range 3*len(a.in) + 3 {
		j := a.steepest()
		if j < 0 {
			break
		}
		before, x := slices.Clone(a.in), slices.Clone(a.x)
		a.in[j] = true
		switch err := a.refit(); {
		case errors.Is(err, ErrCollinear) || errors.Is(err, errShort) || err == nil && !a.in[j]:
			a.in, a.x = before, x
			a.shut[j] = true
			if slices.Contains(a.in, true) {
				if err := a.refit(); err != nil {
					return err
				}
			}
		case err != nil:
			return err
		}
	}
	if !slices.Contains(a.in, true) {
		return errNothing
	}
	return nil
}

func (a *activeSet) columns() []int {
	var out []int
	for j, in := range a.in {
		if in {
			out = append(out, j)
		}
	}
	return out
}

// steepest returns the column outside along which the sum of squares falls fastest,
// each taken at length one; −1 when there is none.
func (a *activeSet) steepest() int {
	best, at := leastGain, -1
	for j := range a.in {
		if a.in[j] || a.shut[j] {
			continue
		}
		along, length, left := 0.0, 0.0, 0.0
		for i, row := range a.rows {
			w, residual := weight(a.weights, i), a.y[i]
			for k, x := range a.x {
				residual -= x * row[k]
			}
			along += w * row[j] * residual
			length += w * row[j] * row[j]
			left += w * a.y[i] * a.y[i]
		}
		if gain := along / math.Sqrt(length*left); gain > best {
			best, at = gain, j
		}
	}
	return at
}

// refit solves for the columns that are in, and takes out those that turn negative.
func (a *activeSet) refit() error {
	for range len(a.in) + 1 {
		columns := a.columns()
		if len(columns) == 0 {
			clear(a.x)
			return nil
		}
		fit, err := LeastSquares(selected(a.rows, columns), a.y, a.weights)
		if err != nil {
			return err
		}
		// How far the way there is free of negative coefficients.
		step, leaves := 1.0, -1
		for k, j := range columns {
			if z := fit.Coefficients[k]; z <= 0 && !a.free[j] {
				if s := a.x[j] / (a.x[j] - z); leaves < 0 || s < step {
					step, leaves = s, j
				}
			}
		}
		if leaves < 0 {
			clear(a.x)
			for k, j := range columns {
				a.x[j] = fit.Coefficients[k]
			}
			a.fit = fit
			return nil
		}
		if math.IsNaN(step) {
			step = 0 // the column that just entered, at 0 both here and there
		}
		for k, j := range columns {
			a.x[j] += step * (fit.Coefficients[k] - a.x[j])
		}
		a.in[leaves], a.x[leaves] = false, 0
	}
	return errors.New("the non-negative regression does not come to an end")
}

func selected(rows [][]float64, columns []int) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		out[i] = make([]float64, len(columns))
		for k, j := range columns {
			out[i][k] = row[j]
		}
	}
	return out
}

// widened returns the fit of some columns as one of all p, the others at 0.
func widened(small Fit, columns []int, p int) Fit {
	full := small
	full.Coefficients = make([]float64, p)
	full.covariance = mat.NewSymDense(p, nil)
	for a, j := range columns {
		full.Coefficients[j] = small.Coefficients[a]
		for b, k := range columns {
			if k >= j {
				full.covariance.SetSym(j, k, small.covariance.At(a, b))
			}
		}
	}
	return full
}
