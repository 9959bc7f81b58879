package scaling

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/quantity"
)

// Diagnostics say whether the residuals look like noise.
type Diagnostics struct {
	// DurbinWatson is Σ(eᵢ−eᵢ₋₁)² ÷ Σeᵢ² of the residuals in order of N: about 2
	// for noise, towards 0 when neighbours err alike. NaN without noise.
	DurbinWatson float64
	// DurbinWatsonP is the probability of one as low when the residuals are noise.
	DurbinWatsonP float64
	// Runs is the number of runs of residuals of one sign in order of N, RunsP the
	// probability of so few when the residuals are noise.
	Runs  int
	RunsP float64
	// Correlation of the estimates of sigma and kappa; NaN for other models.
	Correlation float64
	Warnings    []string
}

// suspicious is the probability below which residuals don't pass for noise.
const suspicious = 0.025

// Diagnose looks at the residuals of a fit.
func (m Model) Diagnose() Diagnostics {
	n, k := len(m.problem.points), len(m.at.theta)
	r, jacobian := make([]float64, n), mat.NewDense(n, k, nil)
	m.problem.residuals(m.at.theta, r, jacobian)
	d := Diagnostics{DurbinWatson: math.NaN(), DurbinWatsonP: math.NaN(), RunsP: math.NaN(), Correlation: m.correlation(jacobian)}
	d.Runs, d.RunsP = runs(r)
	if m.spread() == 0 {
		return d
	}
	d.DurbinWatson = durbinWatson(r)
	d.DurbinWatsonP = durbinWatsonP(d.DurbinWatson, m.fitted(jacobian))
	if d.DurbinWatsonP < suspicious || d.RunsP < suspicious {
		d.Warnings = append(d.Warnings, fmt.Sprintf(
			"neighbouring residuals err alike (Durbin–Watson %s, %s; %d runs of signs, %s): the points bend otherwise than the model, or something drifted during the sweep; the intervals are too narrow",
			quantity.Number(d.DurbinWatson), probability(d.DurbinWatsonP), d.Runs, probability(d.RunsP)))
	}
	return d
}

// fitted returns the columns of the parameters that are not at a bound.
func (m Model) fitted(jacobian *mat.Dense) *mat.Dense {
	n, k := jacobian.Dims()
	var columns []int
	for j := range k {
		if low, high := m.atBound(j); j == 0 || !low && !high {
			columns = append(columns, j)
		}
	}
	out := mat.NewDense(n, len(columns), nil)
	for c, j := range columns {
		out.SetCol(c, mat.Col(nil, j, jacobian))
	}
	return out
}

// correlation returns that of the last two parameters of the USL, from (JᵀJ)⁻¹.
func (m Model) correlation(jacobian *mat.Dense) float64 {
	if m.Kind != USL {
		return math.NaN()
	}
	var gram, inverse mat.Dense
	gram.Mul(jacobian.T(), jacobian)
	if err := inverse.Inverse(&gram); err != nil {
		return math.NaN()
	}
	return inverse.At(1, 2) / math.Sqrt(inverse.At(1, 1)*inverse.At(2, 2))
}

func durbinWatson(r []float64) float64 {
	sum, squares := 0.0, 0.0
	for i, e := range r {
		squares += e * e
		if i > 0 {
			sum += (e - r[i-1]) * (e - r[i-1])
		}
	}
	return sum / squares
}

// durbinWatsonP returns the probability of a Durbin–Watson statistic of at most d
// when the errors are independent, by the beta distribution on (0, 4) that has
// its mean and variance: with A the matrix of squared differences, M = I − H the
// residual maker of the Jacobian, and ν = n − p,
//
//	mean = tr(MA) ÷ ν, variance = 2(tr((MA)²) − tr(MA)²/ν) ÷ (ν(ν+2))
//
// Source: Durbin and Watson, "Testing for serial correlation in least squares
// regression I and II", 1950 and 1951. NaN with fewer than two degrees of freedom.
func durbinWatsonP(d float64, jacobian *mat.Dense) float64 {
	n, p := jacobian.Dims()
	nu := float64(n - p)
	if nu < 2 {
		return math.NaN()
	}
	var qr mat.QR
	qr.Factorize(jacobian)
	var full mat.Dense
	qr.QTo(&full)
	q := full.Slice(0, n, 0, p)
	var maker, ma, square mat.Dense
	maker.Mul(q, q.T())
	maker.Scale(-1, &maker)
	for i := range n {
		maker.Set(i, i, 1+maker.At(i, i))
	}
	ma.Mul(&maker, differences(n))
	square.Mul(&ma, &ma)
	trace := mat.Trace(&ma)
	mean := trace / nu / 4
	variance := 2 * (mat.Trace(&square) - trace*trace/nu) / (nu * (nu + 2)) / 16
	if !(variance > 0) || !(mean > 0) || !(mean < 1) {
		return math.NaN()
	}
	common := mean*(1-mean)/variance - 1
	return distuv.Beta{Alpha: mean * common, Beta: (1 - mean) * common}.CDF(math.Min(1, d/4))
}

// differences returns A, for which eᵀAe = Σ(eᵢ−eᵢ₋₁)².
func differences(n int) *mat.Dense {
	a := mat.NewDense(n, n, nil)
	for i := 1; i < n; i++ {
		a.Set(i, i, a.At(i, i)+1)
		a.Set(i-1, i-1, a.At(i-1, i-1)+1)
		a.Set(i, i-1, -1)
		a.Set(i-1, i, -1)
	}
	return a
}

// runs counts the runs of residuals of one sign, and returns the probability of
// at most as many when every order of the signs is as likely:
//
//	P(2k runs) = 2·C(a−1, k−1)·C(b−1, k−1) ÷ C(a+b, a)
//	P(2k+1 runs) = (C(a−1, k)·C(b−1, k−1) + C(a−1, k−1)·C(b−1, k)) ÷ C(a+b, a)
//
// for a positive and b negative ones. Source: Wald and Wolfowitz, "On a test
// whether two samples are from the same population", 1940.
func runs(r []float64) (count int, p float64) {
	a, b := 0, 0
	for i, e := range r {
		if e > 0 {
			a++
		} else {
			b++
		}
		if i == 0 || (e > 0) != (r[i-1] > 0) {
			count++
		}
	}
	if a == 0 || b == 0 {
		return count, 1
	}
	total := logChoose(a+b, a)
	for c := 2; c <= count; c++ {
		k := c / 2
		if c%2 == 0 {
			p += 2 * math.Exp(logChoose(a-1, k-1)+logChoose(b-1, k-1)-total)
		} else {
			p += math.Exp(logChoose(a-1, k)+logChoose(b-1, k-1)-total) + math.Exp(logChoose(a-1, k-1)+logChoose(b-1, k)-total)
		}
	}
	return count, math.Min(1, p)
}

func logChoose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	gamma := func(v int) float64 { g, _ := math.Lgamma(float64(v) + 1); return g }
	return gamma(n) - gamma(k) - gamma(n-k)
}

// superlinear says when the throughput per N rises above that at the smallest N:
// an efficiency above 1, which none of the models has.
func superlinear(c Comparison) []string {
	usl, ok := c.Candidate(USL)
	if !ok {
		return nil
	}
	points := usl.problem.points
	first := points[0]
	highest, at := 1.0, 0.0
	for _, p := range points[1:] {
		if e := (p.X / p.N) / (first.X / first.N); e > highest {
			highest, at = e, p.N
		}
	}
	// The noise is that around a curve which may bend upwards; two measurements of
	// the same differ by √2 times that of one.
	free := usl.problem.unbounded().solve(usl.at.theta, nil)
	s := math.Sqrt(free.sum / float64(usl.DF))
	if usl.Noise == Constant {
		s /= first.X
	}
	if highest < 1+1e-6 || math.Log(highest) <= usl.t*math.Sqrt2*s {
		return nil
	}
	return []string{fmt.Sprintf("superlinear: at %s the throughput per unit is %s times that at %s, an efficiency above 1, which none of the models has: look for a cache that fits only then, a cold start at the first point, or a limit that was raised along the way",
		quantity.Number(at), quantity.Number(highest), quantity.Number(first.N))}
}
