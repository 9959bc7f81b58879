package scaling

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// problem is a least-squares problem in θ = (log X at the anchor, shape…).
type problem struct {
	kind      Kind
	points    []Point
	noise     Noise
	anchor    float64 // the N whose log X is θ₀; 0: θ₀ is log λ; +Inf: the peak of uslByPeak
	low, high []float64
}

func newProblem(kind Kind, points []Point, noise Noise) problem {
	low, high := kind.bounds(points)
	return problem{
		kind: kind, points: points, noise: noise,
		low: append([]float64{math.Inf(-1)}, low...), high: append([]float64{math.Inf(1)}, high...),
	}
}

// anchored is the same model with log X at n as its first parameter.
func (p problem) anchored(n float64) problem {
	p.anchor = n
	return p
}

// unbounded is the same model with its shape free: negative contention too.
func (p problem) unbounded() problem {
	p.low, p.high = slices.Clone(p.low), slices.Clone(p.high)
	for j := range p.low {
		p.low[j], p.high[j] = math.Inf(-1), math.Inf(1)
	}
	return p
}

// reference returns log(X(anchor) ÷ λ) and its gradient by the shape.
func (p problem) reference(q, grad []float64) float64 {
	clear(grad)
	switch {
	case p.anchor == 0:
		return 0
	case math.IsInf(p.anchor, 1):
		return logPeak(q, grad)
	}
	return p.kind.logShape(q, p.anchor, grad)
}

// logAt returns log X(n) at θ.
func (p problem) logAt(theta []float64, n float64) float64 {
	grad := make([]float64, len(theta)-1)
	reference := p.reference(theta[1:], grad)
	return theta[0] + p.kind.logShape(theta[1:], n, grad) - reference
}

// residuals fills r with observed − fitted and jacobian, when it is not nil, with
// the derivatives of the fitted. It returns the sum of squares, +Inf outside of
// the model's domain.
func (p problem) residuals(theta, r []float64, jacobian *mat.Dense) float64 {
	k := len(theta) - 1
	var buffer [8]float64
	grad, base := buffer[:k], buffer[4:4+k]
	reference := p.reference(theta[1:], base)
	sum := 0.0
	for i, point := range p.points {
		fitted := theta[0] + p.kind.logShape(theta[1:], point.N, grad) - reference
		factor := 1.0
		if p.noise == Constant {
			factor = math.Exp(fitted)
			r[i] = point.X - factor
		} else {
			r[i] = math.Log(point.X) - fitted
		}
		sum += r[i] * r[i]
		if jacobian != nil {
			jacobian.Set(i, 0, factor)
			for j := range k {
				jacobian.Set(i, j+1, factor*(grad[j]-base[j]))
			}
		}
	}
	if math.IsNaN(sum) {
		return math.Inf(1)
	}
	return sum
}

// solution is where a search ended.
type solution struct {
	theta []float64
	sum   float64 // of squares
}

const (
	mostSteps  = 200
	mostDamped = 1e12
	settled    = 1e-9 // a step that changes less, relative to the residuals, is the last
)

// solve minimises the sum of squares from a start, with the parameters in fixed
// held, by the Levenberg–Marquardt method: the step solves
//
//	min |Jδ − r|² + μ|Dδ|², D the lengths of J's columns
//
// by QR factorisation; a parameter at a bound that the gradient pushes against
// stays there. Source: Moré, "The Levenberg–Marquardt algorithm: implementation
// and theory", 1978, with the projection of Kanzow, Yamashita and Fukushima, 2004.
func (p problem) solve(start []float64, fixed []bool) solution {
	n, k := len(p.points), len(start)
	theta := p.project(slices.Clone(start))
	r, trial := make([]float64, n), make([]float64, n)
	jacobian := mat.NewDense(n, k, nil)
	sum := p.residuals(theta, r, jacobian)
	if math.IsInf(sum, 1) {
		return solution{theta, sum}
	}
	mu := 1e-3
	for range mostSteps {
		free := p.free(theta, fixed, r, jacobian)
		if len(free) == 0 {
			break
		}
		better, moved := false, 0.0
		for ; mu < mostDamped; mu *= 8 {
			delta := step(jacobian, r, free, mu)
			if delta == nil {
				continue
			}
			next := slices.Clone(theta)
			for a, j := range free {
				next[j] += delta[a]
			}
			next = p.project(next)
			moved = largestMove(theta, next, r, jacobian, sum)
			if s := p.residuals(next, trial, nil); s < sum {
				better, theta = true, next
				sum = p.residuals(theta, r, jacobian)
				break
			}
			if moved < settled {
				break
			}
		}
		if !better || moved < settled {
			break
		}
		mu = math.Max(mu/10, 1e-12)
	}
	return solution{theta, sum}
}

// largestMove is how far a step went, as the share of the residuals that it could
// have changed: what matters, whatever the units of the parameters.
func largestMove(from, to, r []float64, jacobian *mat.Dense, sum float64) float64 {
	largest := 0.0
	size := math.Sqrt(sum) + 1e-12*float64(len(r))
	for j := range from {
		length := mat.Norm(jacobian.ColView(j), 2)
		largest = math.Max(largest, math.Abs(to[j]-from[j])*length/size)
	}
	return largest
}

// free returns the parameters that may move.
func (p problem) free(theta []float64, fixed []bool, r []float64, jacobian *mat.Dense) []int {
	var free []int
	for j, v := range theta {
		if fixed != nil && fixed[j] {
			continue
		}
		downhill := 0.0 // the direction in which the sum of squares falls
		for i := range r {
			downhill += jacobian.At(i, j) * r[i]
		}
		if (v <= p.low[j] && downhill <= 0) || (v >= p.high[j] && downhill >= 0) {
			continue
		}
		free = append(free, j)
	}
	return free
}

func (p problem) project(theta []float64) []float64 {
	for j := range theta {
		theta[j] = math.Min(p.high[j], math.Max(p.low[j], theta[j]))
	}
	return theta
}

// step solves the damped problem for the free columns, nil when it can't.
func step(jacobian *mat.Dense, r []float64, free []int, mu float64) []float64 {
	n, k := len(r), len(free)
	a, b := mat.NewDense(n+k, k, nil), mat.NewVecDense(n+k, nil)
	scale := make([]float64, k)
	for c, j := range free {
		scale[c] = mat.Norm(jacobian.ColView(j), 2)
		if !(scale[c] > 0) {
			scale[c] = 1
		}
		for i := range n {
			a.Set(i, c, jacobian.At(i, j)/scale[c])
		}
		a.Set(n+c, c, math.Sqrt(mu))
	}
	for i := range n {
		b.SetVec(i, r[i])
	}
	var qr mat.QR
	qr.Factorize(a)
	var x mat.VecDense
	if err := qr.SolveVecTo(&x, false, b); err != nil {
		return nil
	}
	delta := make([]float64, k)
	for c := range k {
		delta[c] = x.AtVec(c) / scale[c]
		if math.IsNaN(delta[c]) || math.IsInf(delta[c], 0) {
			return nil
		}
	}
	return delta
}

// mostSearches is from how many of its starts a search is made.
const mostSearches = 4

// best solves from the starts with the lowest sums and returns the lowest end.
func (p problem) best(starts [][]float64, fixed []bool) solution {
	if len(starts) > mostSearches {
		r := make([]float64, len(p.points))
		sums := make(map[int]float64, len(starts))
		order := make([]int, len(starts))
		for i, start := range starts {
			order[i], sums[i] = i, p.residuals(start, r, nil)
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sums[a], sums[b]) })
		chosen := make([][]float64, mostSearches)
		for i := range chosen {
			chosen[i] = starts[order[i]]
		}
		starts = chosen
	}
	best := solution{sum: math.Inf(1)}
	for i, start := range starts {
		if s := p.solve(start, fixed); i == 0 || s.sum < best.sum {
			best = s
		}
	}
	return best
}

// starts returns θ for each shape to start from, θ₀ being the mean of what the
// points say of it.
func (p problem) starts() [][]float64 {
	var out [][]float64
	for _, q := range p.kind.starts(p.points) {
		out = append(out, p.startAt(q))
	}
	return out
}

func (p problem) startAt(q []float64) []float64 {
	grad, mean := make([]float64, len(q)), 0.0
	reference := p.reference(q, grad)
	for _, point := range p.points {
		mean += (math.Log(point.X) - p.kind.logShape(q, point.N, grad) + reference) / float64(len(p.points))
	}
	return append([]float64{mean}, q...)
}
