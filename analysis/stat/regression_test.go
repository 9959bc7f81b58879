package stat

import (
	"errors"
	"math"
	"testing"
)

// near fails unless got lies within a relative tolerance of want.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Max(math.Abs(want), 1e-12)) {
		t.Errorf("%s = %.10g, want %.10g", what, got, want)
	}
}

func withOnes(columns ...[]float64) [][]float64 {
	rows := make([][]float64, len(columns[0]))
	for i := range rows {
		rows[i] = []float64{1}
		for _, c := range columns {
			rows[i] = append(rows[i], c[i])
		}
	}
	return rows
}

// The first data set of Anscombe, "Graphs in statistical analysis", 1973.
var (
	anscombeX = []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	anscombeY = []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
)

func TestLeastSquaresAnscombe(t *testing.T) {
	f, err := LeastSquares(withOnes(anscombeX), anscombeY, nil)
	if err != nil {
		t.Fatal(err)
	}
	// scipy 1.17.1, stats.linregress and stats.t.ppf.
	intercept, slope := f.Coefficient(0, 0.95), f.Coefficient(1, 0.95)
	near(t, "intercept", intercept.Value, 3.0000909090909103, 1e-10)
	near(t, "slope", slope.Value, 0.5000909090909091, 1e-10)
	near(t, "half interval of the intercept", (intercept.High-intercept.Low)/2, 1.1247467908086437*2.262157162798205, 1e-9)
	near(t, "slope low", slope.Low, 0.2333701363851875, 1e-9)
	near(t, "slope high", slope.High, 0.7668116817966308, 1e-9)
	near(t, "residual", f.ResidualSD, 1.236603322726321, 1e-10)
	mean := f.Mean([]float64{1, 9}, 0.95)
	near(t, "mean at 9", mean.Value, 7.500909090909093, 1e-10)
	near(t, "mean at 9 low", mean.Low, 6.657463949878942, 1e-9)
	near(t, "mean at 9 high", mean.High, 8.344354231939244, 1e-9)
	if f.DF != 9 || slope.N != 11 {
		t.Errorf("df %d n %d, want 9 and 11", f.DF, slope.N)
	}
}

func TestLeastSquaresWeighted(t *testing.T) {
	// numpy 2, solving the normal equations with diagonal weights.
	f, err := LeastSquares(withOnes([]float64{1, 2, 3, 4, 5}), []float64{1.1, 1.9, 3.2, 3.9, 5.3}, []float64{4, 1, 1, 1, 0.25})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "intercept", f.Coefficients[0], 0.09325153, 1e-7)
	near(t, "slope", f.Coefficients[1], 0.98588957, 1e-7)
	near(t, "residual", f.ResidualSD, 0.17237662669716247, 1e-9)
	e := f.Coefficient(1, 0.95)
	near(t, "standard error", (e.High-e.Low)/2/StudentT(0.95, 3), 0.05141248, 1e-6)
}

// The table of what an Envoy costs: with the wake-ups the fit is within 0.011
// cores, a line in the rate alone is not.
func TestLeastSquaresOnMeasuredProxy(t *testing.T) {
	rates := []float64{250, 500, 1000, 1500, 2000, 3000}
	wakeUps := []float64{319, 545, 933, 1251, 1552, 2001}
	cores := []float64{0.089, 0.144, 0.211, 0.275, 0.323, 0.443}
	f, err := LeastSquares(withOnes(rates, wakeUps), cores, nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "idle cores", f.Coefficients[0], 0.0468186740, 1e-6)
	near(t, "per request", f.Coefficients[1], 5.57855719e-05, 1e-6)
	near(t, "per wake-up", f.Coefficients[2], 1.12688530e-04, 1e-6)
	for i, r := range f.Residuals {
		if math.Abs(r) > 0.011 {
			t.Errorf("residual at %g/s is %.4f cores, want within 0.011", rates[i], r)
		}
	}
	near(t, "variance inflation", VarianceInflation([][]float64{{1, 2}, {2, 1}, {3, 4}, {4, 3}, {5, 7}}, 0), 3.1176470588235303, 1e-9)
}

func TestLeastSquaresRefuses(t *testing.T) {
	for _, test := range []struct {
		name      string
		rows      [][]float64
		y         []float64
		collinear bool
	}{
		{"no rows", nil, nil, false},
		{"fewer rows than columns", [][]float64{{1, 2}}, []float64{1}, false},
		{"the same column twice", [][]float64{{1, 1}, {2, 2}, {3, 3}}, []float64{1, 2, 3}, true},
		{"a zero column", [][]float64{{1, 0}, {2, 0}, {3, 0}}, []float64{1, 2, 3}, true},
		{"not a number", [][]float64{{1, 1}, {1, math.NaN()}, {1, 3}}, []float64{1, 2, 3}, false},
		{"infinite value", [][]float64{{1, 1}, {1, 2}, {1, 3}}, []float64{1, math.Inf(1), 3}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := LeastSquares(test.rows, test.y, nil)
			if err == nil {
				t.Fatal("no error")
			}
			if got := errors.Is(err, ErrCollinear); got != test.collinear {
				t.Errorf("collinear = %v, want %v (%v)", got, test.collinear, err)
			}
		})
	}
}

func TestLeastSquaresWithoutFreedom(t *testing.T) {
	f, err := LeastSquares(withOnes([]float64{1, 2}), []float64{1, 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := f.Coefficient(1, 0.95)
	near(t, "slope", e.Value, 2, 1e-9)
	if !math.IsInf(e.Low, -1) || !math.IsInf(e.High, 1) || len(e.Warnings) != 1 {
		t.Errorf("two points gave the interval [%g, %g] with warnings %q, want none at all", e.Low, e.High, e.Warnings)
	}
}

func TestStudentT(t *testing.T) {
	// Any printed table of Student's t.
	near(t, "t(10)", StudentT(0.95, 10), 2.228138851986274, 1e-9)
	near(t, "t(1)", StudentT(0.95, 1), 12.706204736174694, 1e-9)
}
