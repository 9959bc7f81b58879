package stat

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestNonNegative(t *testing.T) {
	rows := [][]float64{{1, 1, 2}, {1, 2, 1}, {1, 3, 4}, {1, 4, 3}, {1, 5, 7}}
	y := []float64{0.5, 2.2, 2.9, 4.4, 4.6}
	f, dropped, err := NonNegative(rows, y, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	// scipy 1.17.1, optimize.nnls: (0, 0.98545455, 0); unconstrained the first and
	// the last are negative.
	for i, want := range []float64{0, 0.98545455, 0} {
		near(t, "coefficient", f.Coefficients[i], want, 1e-7)
	}
	if len(dropped) != 2 || dropped[0] != 0 || dropped[1] != 2 {
		t.Errorf("dropped %v, want [0 2]", dropped)
	}
	if e := f.Mean([]float64{1, 2, 3}, 0.95); !(e.Low < e.Value && e.Value < e.High) {
		t.Errorf("mean %v has no interval", e)
	}
	free, _, err := NonNegative(rows, y, nil, map[int]bool{0: true})
	if err != nil {
		t.Fatal(err)
	}
	if free.Coefficients[0] >= 0 {
		t.Errorf("the free coefficient is %g, want it negative", free.Coefficients[0])
	}
}

// The examples in the documentation of scipy.optimize.nnls.
func TestNonNegativePublished(t *testing.T) {
	rows := [][]float64{{1, 0}, {1, 0}, {0, 1}}
	f, dropped, err := NonNegative(rows, []float64{2, 1, 1}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "first", f.Coefficients[0], 1.5, 1e-12)
	near(t, "second", f.Coefficients[1], 1, 1e-12)
	near(t, "norm of the residuals", math.Sqrt(squares(f.Residuals)), 0.7071067811865475, 1e-12)
	if len(dropped) != 0 {
		t.Errorf("dropped %v, want none", dropped)
	}
	// scipy answers zeros; here nothing is left to fit.
	if _, _, err := NonNegative(rows, []float64{-1, -1, -1}, nil, nil); !errors.Is(err, errNothing) {
		t.Errorf("error %v, want %v", err, errNothing)
	}
}

func squares(v []float64) (sum float64) {
	for _, x := range v {
		sum += x * x
	}
	return sum
}

// Against the best of all sets of columns, each tried by itself, on problems in
// which about half of the columns belong out.
func TestNonNegativeIsTheBest(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for problem := range 300 {
		p := 2 + random.IntN(5)
		n := p + 2 + random.IntN(8)
		free := map[int]bool{}
		if problem%3 == 0 {
			free[0] = true
		}
		rows, y, weights := make([][]float64, n), make([]float64, n), make([]float64, n)
		for i := range rows {
			for range p {
				rows[i] = append(rows[i], random.Float64())
			}
			y[i], weights[i] = random.NormFloat64()+0.5, 0.1+random.Float64()
		}
		weighted := func(f Fit) (sum float64) {
			for i, r := range f.Residuals {
				sum += weights[i] * r * r
			}
			return sum
		}
		best := math.Inf(1)
		for mask := 1; mask < 1<<p; mask++ {
			var columns []int
			good := true
			for j := range p {
				if mask&(1<<j) != 0 {
					columns = append(columns, j)
				} else {
					good = good && !free[j]
				}
			}
			f, err := LeastSquares(selected(rows, columns), y, weights)
			if err != nil {
				t.Fatal(err)
			}
			for k, j := range columns {
				good = good && (free[j] || f.Coefficients[k] >= 0)
			}
			if good {
				best = math.Min(best, weighted(f))
			}
		}
		f, dropped, err := NonNegative(rows, y, weights, free)
		if math.IsInf(best, 1) {
			if err == nil {
				t.Fatalf("problem %d: a fit where every column is negative", problem)
			}
			continue
		}
		if err != nil {
			t.Fatalf("problem %d: %v", problem, err)
		}
		near(t, "weighted squares", weighted(f), best, 1e-9)
		for _, j := range dropped {
			if f.Coefficients[j] != 0 {
				t.Errorf("problem %d: the dropped column %d has the coefficient %g", problem, j, f.Coefficients[j])
			}
		}
	}
}

func TestNonNegativeLeavesOutTheSameColumn(t *testing.T) {
	rows := [][]float64{{1, 1, 1}, {1, 2, 2}, {1, 3, 3}, {1, 5, 5}}
	f, dropped, err := NonNegative(rows, []float64{3, 5, 7, 11}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "intercept", f.Coefficients[0], 1, 1e-9)
	near(t, "slope", f.Coefficients[1]+f.Coefficients[2], 2, 1e-9)
	if len(dropped) != 1 {
		t.Errorf("dropped %v, want one of the two columns that are the same", dropped)
	}
	if _, _, err := NonNegative(nil, nil, nil, nil); err == nil {
		t.Error("no error without a row")
	}
}
