package scaling

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Extrapolation is how far beyond the measured range, as a factor, a prediction
// goes without a warning.
const Extrapolation = 1.2

// Range returns the lowest and the highest N of the points.
func (m Model) Range() (lowest, highest float64) {
	points := m.problem.points
	return points[0].N, points[len(points)-1].N
}

// beyond warns of an n that lies too far outside of the measured range.
func (m Model) beyond(n float64) []string {
	lowest, highest := m.Range()
	switch {
	case n > highest*Extrapolation:
		return []string{fmt.Sprintf("%s is %s times the highest that was measured, %s: an extrapolation",
			quantity.Number(n), quantity.Number(n/highest), quantity.Number(highest))}
	case n < lowest/Extrapolation:
		return []string{fmt.Sprintf("%s is below the lowest that was measured, %s: an extrapolation",
			quantity.Number(n), quantity.Number(lowest))}
	}
	return nil
}

// Mean returns the fitted throughput at n > 0 with the interval of the mean.
func (m Model) Mean(n float64) stat.Estimate {
	p := m.problem.anchored(n)
	at := solution{append([]float64{m.problem.logAt(m.at.theta, n)}, m.at.theta[1:]...), m.at.sum}
	low, high := p.profile(at, 0, m.t, m.spread())
	e := m.estimate(math.Exp(at.theta[0]), math.Exp(low), math.Exp(high))
	e.Warnings = m.beyond(n)
	return e
}

// Predict returns the fitted throughput at n > 0 with the interval in which one
// more measurement there would lie: that of the mean, widened on each side by the
// noise of one measurement,
//
//	√(distance of the mean's end² + (t·s)²)
//
// on the scale on which the noise is the same everywhere. Source: Seber and Wild,
// "Nonlinear regression", 1989, §5.1, with the profile's end for the linear one.
func (m Model) Predict(n float64) stat.Estimate {
	e := m.Mean(n)
	noise := m.t * m.spread()
	if m.Noise == Constant {
		e.Low = math.Max(0, e.Value-math.Hypot(e.Value-e.Low, noise))
		e.High = e.Value + math.Hypot(e.High-e.Value, noise)
		return e
	}
	e.Low = e.Value * math.Exp(-math.Hypot(math.Log(e.Value/e.Low), noise))
	e.High = e.Value * math.Exp(math.Hypot(math.Log(e.High/e.Value), noise))
	return e
}

// Peak is where the throughput of a model is highest, and how high.
type Peak struct {
	Concurrency stat.Estimate `json:"concurrency"`
	Throughput  stat.Estimate `json:"throughput"`
}

// Peak returns where the throughput is highest. Only the USL with κ > 0 has a
// peak; what others tend to is in the warning.
func (m Model) Peak() Peak {
	n := len(m.problem.points)
	none := func(why string) Peak {
		return Peak{stat.NotEstimable(n, why), stat.NotEstimable(n, why)}
	}
	law, ok := m.Law()
	switch {
	case !ok && m.at.theta[2] > 0:
		return none("no peak: the line goes on rising beyond the kink")
	case !ok:
		kink := m.Parameter("kink")
		return Peak{kink, m.Mean(kink.Value)}
	case law.Sigma == 0 && law.Kappa == 0:
		return none("no peak: the throughput goes on rising in proportion")
	case law.Kappa == 0:
		_, roof := law.Peak()
		return none("no peak: without coherency the throughput goes on rising, towards λ ÷ σ = " + quantity.Number(roof))
	}
	at, x := law.Peak()
	_, highest := m.Range()
	p := newProblem(uslByPeak, m.problem.points, m.Noise)
	fitted := solution{[]float64{math.Log(law.Lambda), law.Sigma, 1 / at}, m.at.sum}
	low, high := p.profile(fitted, 2, m.t, m.spread())
	peak := Peak{Concurrency: m.estimate(at, 1/high, 1/low), Throughput: m.peakHeight(p, fitted, x)}
	if warnings := m.beyond(at); warnings != nil {
		peak.Concurrency.Warnings, peak.Throughput.Warnings = warnings, warnings
	} else if at > highest {
		warning := "the peak lies beyond the highest concurrency that was measured, " + quantity.Number(highest)
		peak.Concurrency.Warnings, peak.Throughput.Warnings = []string{warning}, []string{warning}
	}
	return peak
}

func (m Model) peakHeight(p problem, fitted solution, x float64) stat.Estimate {
	p = p.anchored(math.Inf(1))
	at := solution{append([]float64{math.Log(x)}, fitted.theta[1:]...), fitted.sum}
	low, high := p.profile(at, 0, m.t, m.spread())
	return m.estimate(x, math.Exp(low), math.Exp(high))
}

// Inverse is the answer to: which N gives that throughput?
type Inverse struct {
	// Feasible is false when the fitted model reaches the throughput at no N;
	// then N has no value, and its first warning says why.
	Feasible bool
	N        stat.Estimate
}

// Inverse returns the smallest N at which the fitted throughput is x > 0. The
// interval holds the N at which the mean may be x; its upper end is infinite when
// a curve that the data allow does not reach x at all.
func (m Model) Inverse(x float64) Inverse {
	n, ok := m.solved(x)
	if !ok {
		return Inverse{N: stat.NotEstimable(len(m.problem.points), m.whyInfeasible(x))}
	}
	low, high := m.inverseInterval(n, x)
	e := m.estimate(n, low, high)
	e.Warnings = m.beyond(n)
	if math.IsInf(high, 1) {
		e.Warnings = append(e.Warnings, fmt.Sprintf("a curve that the points allow as well does not reach %s at any concurrency", quantity.Number(x)))
	}
	return Inverse{Feasible: true, N: e}
}

func (m Model) solved(x float64) (float64, bool) {
	if law, ok := m.Law(); ok {
		return law.Inverse(x)
	}
	line := Line{math.Exp(m.at.theta[0]), m.at.theta[1], m.at.theta[2]}
	return line.Inverse(x)
}

// inverseInterval moves N with log X(N) held at log x, until the points exclude it.
func (m Model) inverseInterval(n, x float64) (low, high float64) {
	limit := m.t * m.spread()
	if limit == 0 {
		return n, n
	}
	warm := append([]float64{math.Log(x)}, m.at.theta[1:]...)
	rise := func(at float64) float64 {
		s := m.problem.anchored(at).held(warm, 0)
		if s.sum < math.Inf(1) {
			warm = s.theta
		}
		return math.Sqrt(math.Max(0, s.sum-m.at.sum))
	}
	first := n * math.Min(0.5, limit/math.Sqrt(float64(len(m.problem.points)))+1e-9)
	low = math.Max(0, walk(n, 0, -first, limit, rise))
	if m.mayMiss(x) {
		return low, math.Inf(1)
	}
	warm = append([]float64{math.Log(x)}, m.at.theta[1:]...)
	return low, walk(n, math.Inf(1), first, limit, rise)
}

// mayMiss reports whether a curve within the interval of the peak stays below x.
func (m Model) mayMiss(x float64) bool {
	if peak := m.Peak(); peak.Throughput.OK() {
		return peak.Throughput.Low < x
	}
	return false
}

func (m Model) whyInfeasible(x float64) string {
	wanted := quantity.Number(x)
	peak := m.Peak()
	if peak.Throughput.OK() {
		why := fmt.Sprintf("infeasible: %s is above the peak of the fitted model, %s at %s",
			wanted, quantity.Estimate(peak.Throughput, quantity.Plain), quantity.Number(peak.Concurrency.Value))
		if x <= peak.Throughput.High {
			why += ", though within its interval"
		}
		return why
	}
	if law, ok := m.Law(); ok {
		_, roof := law.Peak()
		return fmt.Sprintf("infeasible: the fitted model stays below λ ÷ σ = %s at any concurrency, and %s is not below it", quantity.Number(roof), wanted)
	}
	return "infeasible: the fitted model does not reach " + wanted
}
