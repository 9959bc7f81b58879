package stat

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// What a bootstrap of a regression does.
const (
	resamples = 500
	// fewestResamples must be left for the scatter to mean anything.
	fewestResamples = 100
	// leastPivot is the share of the whole sample's information that a resample must
	// have along each column: one that drew the same few blocks over and over says
	// nothing of the scatter of a fit to all of them.
	leastPivot = 0.1
)

// OverBlocks returns the fit with intervals that do not take the scatter to be what
// the weights say: wide enough for how much the coefficients vary when the
// observations are drawn anew, with replacement, or as wide as before where that is
// wider. Each observation stands for a block of a series, a phase for instance, so
// that what is correlated within a block stays together. Rows, y and weights are
// those of the fit; columns whose coefficient is 0 are left out. The same seed gives
// the same answer.
//
// The block bootstrap with blocks that do not overlap (Carlstein, "The use of
// subseries values", 1986; Davison and Hinkley, "Bootstrap methods and their
// application", 1997, §6.2.4 and §8.2.3). Its variance is by n−p in n too small (loc.
// cit. p. 263), and Student's t with n−p degrees of freedom replaces the normal
// quantile: in simulations percentile intervals of six to sixteen phases hold 81 to
// 92 of a hundred true values, these 94 to 98.
func (f Fit) OverBlocks(rows [][]float64, y, weights []float64, seed uint64) Fit {
	var columns []int
	for j, c := range f.Coefficients {
		if c != 0 {
			columns = append(columns, j)
		}
	}
	n, p := len(rows), len(columns)
	if f.DF < 1 || p == 0 || n != f.N {
		return f
	}
	b := blockBootstrap{x: make([][]float64, n), y: make([]float64, n), p: p, scale: make([]float64, p)}
	for i, row := range rows {
		root := math.Sqrt(weight(weights, i))
		b.y[i], b.x[i] = root*y[i], make([]float64, p)
		for k, j := range columns {
			b.x[i][k] = root * row[j]
			b.scale[k] = math.Hypot(b.scale[k], b.x[i][k])
		}
	}
	covariance := b.covariance(rand.New(rand.NewPCG(seed, 0x626c6f636b73)))
	if covariance == nil {
		return f
	}
	correction := float64(n) / float64(f.DF)
	f.blocks = mat.NewSymDense(len(f.Coefficients), nil)
	for a, j := range columns {
		for c, k := range columns {
			if k >= j {
				f.blocks.SetSym(j, k, covariance.At(a, c)*correction)
			}
		}
	}
	return f
}

// blockBootstrap is a weighted regression to be drawn anew.
type blockBootstrap struct {
	x     [][]float64
	y     []float64
	p     int
	scale []float64 // lengths of the columns
}

// covariance returns how the coefficients vary over resamples; nil when too few of
// them can be solved.
func (b blockBootstrap) covariance(random *rand.Rand) *mat.SymDense {
	n := len(b.x)
	every := make([]int, n)
	for i := range every {
		every[i] = 1
	}
	_, whole := b.solve(every)
	if whole == nil {
		return nil
	}
	var drawn [][]float64
	mean, times := make([]float64, b.p), make([]int, n)
	for range resamples {
		clear(times)
		for range n {
			times[random.IntN(n)]++
		}
		solution, pivots := b.solve(times)
		usable := pivots != nil
		for k := range pivots {
			usable = usable && pivots[k] >= leastPivot*whole[k]
		}
		if !usable {
			continue
		}
		drawn = append(drawn, solution)
		for k, v := range solution {
			mean[k] += v
		}
	}
	if len(drawn) < fewestResamples {
		return nil
	}
	out := mat.NewSymDense(b.p, nil)
	for j := range b.p {
		for k := j; k < b.p; k++ {
			sum := 0.0
			for _, solution := range drawn {
				sum += (solution[j] - mean[j]/float64(len(drawn))) * (solution[k] - mean[k]/float64(len(drawn)))
			}
			out.SetSym(j, k, sum/float64(len(drawn)-1))
		}
	}
	return out
}

// solve returns the coefficients when each observation is taken so many times, and
// the pivots of the elimination; nil when the columns cannot be told apart.
func (b blockBootstrap) solve(times []int) (coefficients, pivots []float64) {
	p := b.p
	// The normal equations of columns of about length one, by Cholesky's method
	// without roots.
	m := make([][]float64, p)
	for j := range m {
		m[j] = make([]float64, p+1)
		for i, x := range b.x {
			if times[i] == 0 {
				continue
			}
			t := float64(times[i]) * x[j] / b.scale[j]
			for k := j; k < p; k++ {
				m[j][k] += t * x[k] / b.scale[k]
			}
			m[j][p] += t * b.y[i]
		}
	}
	pivots, coefficients = make([]float64, p), make([]float64, p)
	for j := range p {
		if pivots[j] = m[j][j]; !(pivots[j] > 1e-12) {
			return nil, nil
		}
		for i := j + 1; i < p; i++ {
			factor := m[j][i] / pivots[j]
			for k := i; k <= p; k++ {
				m[i][k] -= factor * m[j][k]
			}
		}
	}
	for j := p - 1; j >= 0; j-- {
		sum := m[j][p]
		for k := j + 1; k < p; k++ {
			sum -= m[j][k] * coefficients[k]
		}
		coefficients[j] = sum / pivots[j]
	}
	for j := range coefficients {
		coefficients[j] /= b.scale[j]
	}
	return coefficients, pivots
}
