package stat

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// ErrCollinear is returned when the columns of a regression cannot be told apart.
var ErrCollinear = errors.New("columns are collinear")

// errShort is returned when there are fewer observations than coefficients.
var errShort = errors.New("it needs as many observations")

// Fit is a linear regression y = X·coefficients.
type Fit struct {
	Coefficients []float64
	ResidualSD   float64 // weighted; of an observation of weight 1
	DF           int     // observations − coefficients
	N            int
	Residuals    []float64 // y − fitted, unweighted
	covariance   *mat.SymDense
	blocks       *mat.SymDense // of a bootstrap, nil: none was made
	critical     float64       // Student's t at Confidence; it is costly, and asked for often
}

// maxCondition is the condition number, after every column was scaled to length
// one, beyond which columns count as collinear.
const maxCondition = 1e7

// LeastSquares fits rows of X to y by weighted least squares; weights are
// proportional to the inverse variances, nil for equal ones. An intercept is a
// column of ones. It returns ErrCollinear when the columns cannot be told apart,
// and an error when there are fewer rows than columns or a value is not finite.
//
//	b = (XᵀWX)⁻¹XᵀWy, cov b = s²(XᵀWX)⁻¹, s² = Σw(y−Xb)² ÷ (n−p)
//
// by QR factorisation. Source: Seber and Lee, "Linear regression analysis", 2003,
// ch. 3 and 11.
func LeastSquares(rows [][]float64, y, weights []float64) (Fit, error) {
	n := len(rows)
	if n == 0 || len(y) != n {
		return Fit{}, fmt.Errorf("regression of %d rows on %d values", n, len(y))
	}
	p := len(rows[0])
	if p == 0 || n < p {
		return Fit{}, fmt.Errorf("regression with %d coefficients: %w: there are %d", p, errShort, n)
	}
	x, b, scale, err := scaled(rows, y, weights)
	if err != nil {
		return Fit{}, err
	}
	var qr mat.QR
	qr.Factorize(x)
	if c := qr.Cond(); !(c < maxCondition) {
		return Fit{}, fmt.Errorf("condition number %.2g: %w", c, ErrCollinear)
	}
	var solution mat.VecDense
	if err := qr.SolveVecTo(&solution, false, b); err != nil {
		return Fit{}, fmt.Errorf("solving the regression: %w", err)
	}
	f := Fit{Coefficients: make([]float64, p), N: n, DF: n - p, Residuals: make([]float64, n)}
	for j := range p {
		f.Coefficients[j] = solution.AtVec(j) / scale[j]
	}
	sum := 0.0
	for i, row := range rows {
		f.Residuals[i] = y[i] - f.at(row)
		sum += weight(weights, i) * f.Residuals[i] * f.Residuals[i]
	}
	if f.DF > 0 {
		f.ResidualSD = math.Sqrt(sum / float64(f.DF))
	} else {
		f.ResidualSD = math.NaN()
	}
	if f.DF > 0 {
		f.critical = StudentT(Confidence, f.DF)
	}
	f.covariance, err = inverseGram(&qr, p, scale)
	return f, err
}

// scaled returns √w·X with columns of length one, √w·y, and the columns' lengths.
func scaled(rows [][]float64, y, weights []float64) (*mat.Dense, *mat.VecDense, []float64, error) {
	n, p := len(rows), len(rows[0])
	x, b, scale := mat.NewDense(n, p, nil), mat.NewVecDense(n, nil), make([]float64, p)
	for i, row := range rows {
		root := math.Sqrt(weight(weights, i))
		if len(row) != p || !(root > 0) || notFinite(root) || notFinite(y[i]) {
			return nil, nil, nil, fmt.Errorf("observation %d of the regression is not finite or not weighted", i)
		}
		b.SetVec(i, y[i]*root)
		for j, v := range row {
			if notFinite(v) {
				return nil, nil, nil, fmt.Errorf("observation %d of the regression is not finite", i)
			}
			x.Set(i, j, v*root)
		}
	}
	for j := range p {
		scale[j] = mat.Norm(x.ColView(j), 2)
		if scale[j] == 0 {
			return nil, nil, nil, fmt.Errorf("column %d is zero: %w", j, ErrCollinear)
		}
		for i := range n {
			x.Set(i, j, x.At(i, j)/scale[j])
		}
	}
	return x, b, scale, nil
}

// inverseGram returns (XᵀX)⁻¹ of the unscaled X from the factorisation of the scaled one.
func inverseGram(qr *mat.QR, p int, scale []float64) (*mat.SymDense, error) {
	var r mat.Dense
	qr.RTo(&r)
	var inverse mat.Dense
	if err := inverse.Inverse(r.Slice(0, p, 0, p)); err != nil {
		return nil, fmt.Errorf("inverting the regression: %w", ErrCollinear)
	}
	var gram mat.Dense
	gram.Mul(&inverse, inverse.T())
	out := mat.NewSymDense(p, nil)
	for i := range p {
		for j := i; j < p; j++ {
			out.SetSym(i, j, gram.At(i, j)/(scale[i]*scale[j]))
		}
	}
	return out, nil
}

func weight(weights []float64, i int) float64 {
	if weights == nil {
		return 1
	}
	return weights[i]
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

func (f Fit) at(row []float64) float64 {
	sum := 0.0
	for j, v := range row {
		sum += v * f.Coefficients[j]
	}
	return sum
}

// Coefficient returns the j-th coefficient with its Student-t interval. Without
// a degree of freedom the interval is unbounded.
func (f Fit) Coefficient(j int, confidence float64) Estimate {
	row := make([]float64, len(f.Coefficients))
	row[j] = 1
	return f.Mean(row, confidence)
}

// Mean returns the fitted mean at row with its Student-t interval, the wider of both
// after OverBlocks. Without a degree of freedom the interval is unbounded.
func (f Fit) Mean(row []float64, confidence float64) Estimate {
	e := Estimate{Value: f.at(row), Low: math.Inf(-1), High: math.Inf(1), Confidence: confidence, N: f.N}
	if f.DF < 1 || f.covariance == nil {
		e.Warnings = []string{fmt.Sprintf("%d observations for %d coefficients leave no interval", f.N, len(f.Coefficients))}
		return e
	}
	critical := f.critical
	if confidence != Confidence {
		critical = StudentT(confidence, f.DF)
	}
	v := mat.NewVecDense(len(row), row)
	half := critical * f.ResidualSD * math.Sqrt(math.Max(0, mat.Inner(v, f.covariance, v)))
	if f.blocks != nil {
		half = math.Max(half, critical*math.Sqrt(math.Max(0, mat.Inner(v, f.blocks, v))))
	}
	e.Low, e.High = e.Value-half, e.Value+half
	return e
}

// StudentT returns the two-sided critical value of Student's t: 2.228 at 0.95
// with ten degrees of freedom. df ≥ 1.
func StudentT(confidence float64, df int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(df)}.Quantile(0.5 + confidence/2)
}

// VarianceInflation returns 1 ÷ (1 − R²) of column j regressed on the others and
// an intercept: 1 when it is independent of them, +Inf when they determine it.
// Rows carry no column of ones.
func VarianceInflation(rows [][]float64, j int) float64 {
	others, y := make([][]float64, len(rows)), make([]float64, len(rows))
	mean := 0.0
	for i, row := range rows {
		others[i] = []float64{1}
		y[i] = row[j]
		mean += row[j] / float64(len(rows))
	}
	fit, err := LeastSquares(others, y, nil)
	for k := 0; err == nil && k < len(rows[0]); k++ {
		if k == j {
			continue
		}
		more := make([][]float64, len(rows))
		for i, row := range rows {
			more[i] = append(slices.Clone(others[i]), row[k])
		}
		// What the others before it determine explains nothing of its own.
		switch with, withErr := LeastSquares(more, y, nil); {
		case withErr == nil:
			others, fit = more, with
		case !errors.Is(withErr, ErrCollinear):
			err = withErr
		}
	}
	if err != nil {
		return math.Inf(1)
	}
	var rest, total float64
	for i, r := range fit.Residuals {
		rest += r * r
		total += (y[i] - mean) * (y[i] - mean)
	}
	if total == 0 || rest <= total*1e-14 {
		return math.Inf(1)
	}
	return total / rest
}
