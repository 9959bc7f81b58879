package scaling

import (
	"fmt"
	"math"
	"slices"
)

// Kind is one of the models.
type Kind int

// The models, for a throughput X at a concurrency (or number of replicas) N:
//
//	Linear     X = λN
//	Amdahl     X = λN ÷ (1 + σ(N−1))
//	USL        X = λN ÷ (1 + σ(N−1) + κN(N−1))
//	Piecewise  X = λN up to the kink k, λ(k + m(N−k)) beyond
//
// λ is in units of X, 0 ≤ σ ≤ 1 is contention, 0 ≤ κ ≤ 1 is coherency, k is in
// units of N, and 0 ≤ m ≤ 1 is the slope that is left. Sources: Amdahl, "Validity
// of the single processor approach", AFIPS 1967; Gunther, "Guerrilla capacity
// planning", 2007, ch. 4 to 6.
const (
	Linear Kind = iota
	Amdahl
	USL
	Piecewise
	// uslByPeak is the USL in terms of w = 1 ÷ (the N of its peak): κ = (1−σ)w².
	uslByPeak
)

// Kinds are the models that Compare compares, the simplest first.
func Kinds() []Kind { return []Kind{Linear, Amdahl, USL, Piecewise} }

// String returns the name of the model, as on the command line.
func (k Kind) String() string {
	switch k {
	case Linear:
		return "linear"
	case Amdahl:
		return "amdahl"
	case USL, uslByPeak:
		return "usl"
	case Piecewise:
		return "piecewise"
	}
	return fmt.Sprintf("model %d", int(k))
}

// Names returns the names of the parameters; lambda is the first.
func (k Kind) Names() []string {
	switch k {
	case Amdahl:
		return []string{"lambda", "sigma"}
	case USL:
		return []string{"lambda", "sigma", "kappa"}
	case uslByPeak:
		return []string{"lambda", "sigma", "inverse of the peak"}
	case Piecewise:
		return []string{"lambda", "kink", "slope"}
	case Linear:
	}
	return []string{"lambda"}
}

// LeastPoints is how many different N a fit needs: one more than parameters, so
// that there is something left to tell the noise by.
func (k Kind) LeastPoints() int { return len(k.Names()) + 1 }

// logShape returns log(X(n) ÷ λ) for the shape parameters q, and its gradient by
// q in grad. It is NaN where the model has no positive throughput.
func (k Kind) logShape(q []float64, n float64, grad []float64) float64 {
	switch k {
	case Linear:
		return math.Log(n)
	case Amdahl:
		d := 1 + q[0]*(n-1)
		grad[0] = -(n - 1) / d
		return logRatio(n, d)
	case USL:
		d := 1 + q[0]*(n-1) + q[1]*n*(n-1)
		grad[0], grad[1] = -(n-1)/d, -n*(n-1)/d
		return logRatio(n, d)
	case uslByPeak:
		sigma, w := q[0], q[1]
		d := 1 + sigma*(n-1) + (1-sigma)*w*w*n*(n-1)
		grad[0], grad[1] = -(n-1)*(1-w*w*n)/d, -(1-sigma)*2*w*n*(n-1)/d
		return logRatio(n, d)
	case Piecewise:
		kink, m := q[0], q[1]
		if n <= kink {
			grad[0], grad[1] = 0, 0
			return math.Log(n)
		}
		h := kink + m*(n-kink)
		grad[0], grad[1] = (1-m)/h, (n-kink)/h
		return math.Log(h)
	}
	return math.NaN()
}

func logRatio(n, d float64) float64 {
	if !(d > 0) {
		return math.NaN()
	}
	return math.Log(n / d)
}

// logPeak returns log(X at the peak ÷ λ) of uslByPeak and its gradient:
//
//	X(1/w) = λ ÷ (σ + (1−σ)(2w − w²))
//
// which is the USL at N = 1/w with κ = (1−σ)w², simplified; at w = 0 it is the
// roof λ ÷ σ.
func logPeak(q, grad []float64) float64 {
	sigma, w := q[0], q[1]
	d := sigma + (1-sigma)*(2*w-w*w)
	grad[0], grad[1] = -(1-2*w+w*w)/d, -(1-sigma)*2*(1-w)/d
	return logRatio(1, d)
}

// bounds returns the bounds of the shape parameters.
func (k Kind) bounds(points []Point) (low, high []float64) {
	switch k {
	case Amdahl:
		return []float64{0}, []float64{1}
	case USL, uslByPeak:
		return []float64{0, 0}, []float64{1, 1}
	case Piecewise:
		// Beyond the last point but one only the last would tell kink and slope.
		distinct := distinctN(points)
		return []float64{distinct[0], 0}, []float64{distinct[max(0, len(distinct)-2)], 1}
	case Linear:
	}
	return nil, nil
}

// mostStarts bounds how many kinks a fit starts from.
const mostStarts = 8

// starts returns shape parameters to start from.
func (k Kind) starts(points []Point) [][]float64 {
	switch k {
	case Amdahl:
		return [][]float64{{0.001}, {0.05}, {0.5}}
	case USL:
		return [][]float64{{0.01, 1e-4}, {0.1, 1e-6}, {0.001, 0.01}, {0.3, 0.001}}
	case uslByPeak:
		return [][]float64{{0.01, 0.03}, {0.1, 0.1}, {0.1, 0.005}}
	case Piecewise:
		distinct := distinctN(points)
		last := len(distinct) - 2
		var out [][]float64
		for i := range min(mostStarts, last+1) {
			at := i * last / max(1, min(mostStarts, last+1)-1)
			kink := (distinct[at] + distinct[min(at+1, last)]) / 2
			out = append(out, []float64{kink, 0.1}, []float64{kink, 0.6})
		}
		return out
	case Linear:
	}
	return [][]float64{nil}
}

// distinctN returns the different N, rising.
func distinctN(points []Point) []float64 {
	var out []float64
	for _, p := range points {
		out = append(out, p.N)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Law is the Universal Scalability Law with its parameters; κ = 0 makes it
// Amdahl's law, and σ = κ = 0 linear.
type Law struct{ Sigma, Kappa, Lambda float64 }

// At returns the throughput at n > 0: λn ÷ (1 + σ(n−1) + κn(n−1)). Source:
// Gunther 2007, eq. 4.30, with λ for X(1).
func (l Law) At(n float64) float64 {
	return l.Lambda * n / (1 + l.Sigma*(n-1) + l.Kappa*n*(n-1))
}

// Peak returns where the throughput is highest, N* = √((1−σ) ÷ κ), and how high.
// Without coherency (κ = 0) N* is infinite, and the throughput the roof λ ÷ σ,
// which is never reached. Source: Gunther 2007, eq. 4.33.
func (l Law) Peak() (n, x float64) {
	if l.Kappa <= 0 {
		return math.Inf(1), l.Lambda / l.Sigma
	}
	n = math.Sqrt(math.Max(0, 1-l.Sigma) / l.Kappa)
	return n, l.At(n)
}

// Inverse returns the smallest N at which the throughput is x > 0, and false when
// it is at none. From X(N) = x follows
//
//	κxN² + (σx − κx − λ)N + x(1−σ) = 0
//
// of which the smaller root lies before the peak; it has none when x is above the
// peak. With κ = 0 it is N = x(1−σ) ÷ (λ − σx), and x ≥ λ ÷ σ is infeasible.
func (l Law) Inverse(x float64) (n float64, feasible bool) {
	a, b, c := l.Kappa*x, l.Sigma*x-l.Kappa*x-l.Lambda, x*(1-l.Sigma)
	discriminant := b*b - 4*a*c
	if !(b < 0) || !(discriminant >= 0) {
		return math.NaN(), false
	}
	// The smaller root as c ÷ (the larger one × a): exact for κ → 0 too.
	return 2 * c / (-b + math.Sqrt(discriminant)), true
}

// Line is a straight line with a kink.
type Line struct{ Lambda, Kink, Slope float64 }

// At returns the throughput at n > 0: λn up to the kink, λ(kink + slope·(n−kink))
// beyond.
func (l Line) At(n float64) float64 {
	return l.Lambda * (math.Min(n, l.Kink) + l.Slope*math.Max(0, n-l.Kink))
}

// Inverse returns the smallest N at which the throughput is x > 0, and false when
// it is at none because the line is flat beyond the kink.
func (l Line) Inverse(x float64) (n float64, feasible bool) {
	rest := x/l.Lambda - l.Kink
	switch {
	case rest <= 0:
		return x / l.Lambda, true
	case l.Slope <= 0:
		return math.NaN(), false
	}
	return l.Kink + rest/l.Slope, true
}
