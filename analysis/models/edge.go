package models

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	gonum "gonum.org/v1/gonum/stat"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// EdgePoint is one phase as the SLO edge sees it.
type EdgePoint struct {
	RPS   float64 // arrivals a second, > 0
	Value float64 // what the objective limits: seconds, or a ratio
	SD    float64 // standard deviation of ln Value within the phase; 0: not known
}

// EdgeEnd says how the search of measurements for an edge ended.
type EdgeEnd string

// The ends.
const (
	EdgeReached    EdgeEnd = "reached"     // between two measured rates
	EdgeNotReached EdgeEnd = "not-reached" // the highest measured rate still holds
	EdgeInfeasible EdgeEnd = "infeasible"  // even the lowest measured rate misses
	EdgeUnknown    EdgeEnd = "unknown"     // too little to tell
)

// Edge is the highest rate at which an objective holds.
type Edge struct {
	RPS stat.Estimate
	End EdgeEnd
	// Between what rates the measurements lie, for warnings of extrapolation.
	Lowest, Highest float64
}

const (
	// Values further from the limit than this factor say only on which side they are.
	edgeReach = 4
	// The least scatter of ln p99 between phases of the same rate that is assumed.
	edgeLeastSD = 0.03
	edgeDraws   = 400
)

// LatencyEdge returns the rate at which a latency quantile crosses limit
// (seconds): a monotone regression of ln latency on ln rate, and the crossing by
// interpolation between its levels. The interval comes from edgeDraws parametric
// resamples in which each phase's latency is drawn anew with the scatter that
// phases of similar rates show. Monotone, because more load never makes a
// quantile better in the long run; in logarithms, because throttling multiplies
// latencies, and noise is proportional.
//
// Source of the scatter: pseudo-residuals of Gasser, Sroka and Jennen-Steinmetz,
// "Residual variance and residual pattern in nonlinear regression", 1986.
func LatencyEdge(points []EdgePoint, limit float64, seed uint64) Edge {
	points = slices.DeleteFunc(slices.Clone(points), func(p EdgePoint) bool {
		return !(p.RPS > 0) || !(p.Value > 0) || math.IsInf(p.RPS, 0) || math.IsInf(p.Value, 0)
	})
	if len(points) < 2 || !(limit > 0) {
		return Edge{RPS: stat.NotEstimable(len(points), fmt.Sprintf("%d phases are too few for the rate at which the objective breaks", len(points))), End: EdgeUnknown}
	}
	slices.SortStableFunc(points, func(a, b EdgePoint) int { return cmp.Compare(a.RPS, b.RPS) })
	x, y := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		x[i] = math.Log(p.RPS)
		y[i] = clampLog(p.Value / limit)
	}
	edge := Edge{Lowest: points[0].RPS, Highest: points[len(points)-1].RPS}
	at, end := crossing(x, y)
	edge.End = end
	switch end {
	case EdgeNotReached:
		edge.RPS = NotReached(edge.Highest, len(points))
		return edge
	case EdgeInfeasible:
		edge.RPS = stat.NotEstimable(len(points), "even the lowest measured rate, "+quantity.Rate(edge.Lowest)+", misses the objective")
		edge.RPS.Low, edge.RPS.High = 0, edge.Lowest
		return edge
	}
	low, high := edgeInterval(x, y, scatter(points, x, y), seed)
	value := math.Exp(at)
	edge.RPS = stat.Estimate{Value: value, Low: math.Min(low, value), High: math.Max(high, value), Confidence: stat.Confidence, N: len(points)}
	return edge
}

// NotReached is the estimate of an edge beyond the highest measured rate.
func NotReached(highest float64, n int) stat.Estimate {
	return stat.Estimate{
		Value: highest, Low: highest, High: math.Inf(1), Confidence: stat.Confidence, N: n,
		Warnings: []string{"the highest measured rate, " + quantity.Rate(highest) + ", still holds: the edge lies above it"},
	}
}

func clampLog(ratio float64) float64 {
	reach := math.Log(edgeReach)
	return math.Min(reach, math.Max(-reach, math.Log(ratio)))
}

// crossing returns where the monotone regression of y on x crosses 0. x rises.
func crossing(x, y []float64) (at float64, end EdgeEnd) {
	blocks := stat.Isotonic(y, nil)
	centre := func(b stat.Block) float64 {
		sum := 0.0
		for i := b.First; i <= b.Last; i++ {
			sum += x[i]
		}
		return sum / float64(b.Last-b.First+1)
	}
	last := blocks[len(blocks)-1]
	const span = 0.5 // ln 1.65: below it a latency bends too much for a line
	switch {
	case last.Value <= 0:
		first := slices.IndexFunc(x, func(v float64) bool { return v >= x[len(x)-1]-span })
		if at, ok := lineCrossing(x[first:], y[first:]); ok {
			return at, EdgeReached
		}
	case blocks[0].Value > 0:
		end := slices.IndexFunc(x, func(v float64) bool { return v > x[0]+span })
		if end < 0 {
			end = len(x)
		}
		if at, ok := lineCrossing(x[:end], y[:end]); ok {
			return at, EdgeReached
		}
	}
	if last.Value <= 0 {
		return centre(last), EdgeNotReached
	}
	if blocks[0].Value > 0 {
		return centre(blocks[0]), EdgeInfeasible
	}
	for i := 1; ; i++ {
		below, above := blocks[i-1], blocks[i]
		if above.Value <= 0 {
			continue
		}
		from, to := centre(below), centre(above)
		return from + (to-from)*(0-below.Value)/(above.Value-below.Value), EdgeReached
	}
}

// lineCrossing returns where a straight line through the points near 0 crosses
// it. It serves where points lie on both sides, but so close to the edge that
// noise puts them in the wrong order, and the monotone regression pools them into
// one level beyond it. ok is false when all near points lie on one side, or when
// the line does not rise or crosses far outside of them.
func lineCrossing(x, y []float64) (at float64, ok bool) {
	const near, beyond = 0.92, 0.2 // ln 2.5 and about 20 %
	var xs, ys []float64
	below, above := false, false
	for i := range y {
		if math.Abs(y[i]) < near {
			xs, ys = append(xs, x[i]), append(ys, y[i])
			below, above = below || y[i] <= 0, above || y[i] > 0
		}
	}
	if !below || !above {
		return 0, false
	}
	intercept, slope := gonum.LinearRegression(xs, ys, nil, false)
	if !(slope > 0) {
		return 0, false
	}
	at = -intercept / slope
	return at, at > xs[0]-beyond && at < xs[len(xs)-1]+beyond
}

// scatter returns a standard deviation of y for each point: the scatter between
// neighbours, or the phase's own where that is larger.
func scatter(points []EdgePoint, x, y []float64) []float64 {
	var squares []float64
	for i := 1; i+1 < len(x); i++ {
		a, b := 0.5, 0.5
		if span := x[i+1] - x[i-1]; span > 0 {
			a, b = (x[i+1]-x[i])/span, (x[i]-x[i-1])/span
		}
		e := a*y[i-1] + b*y[i+1] - y[i]
		squares = append(squares, e*e/(a*a+b*b+1))
	}
	pooled := 0.0
	if len(squares) > 0 {
		slices.Sort(squares)
		// The median of χ² with one degree of freedom is 0.455; the median rather
		// than the mean, so that the bend of the curve does not count as scatter.
		pooled = math.Sqrt(squares[len(squares)/2] / 0.455)
	}
	out := make([]float64, len(points))
	for i, p := range points {
		out[i] = math.Max(math.Max(pooled, edgeLeastSD), p.SD)
	}
	return out
}

func edgeInterval(x, y, sd []float64, seed uint64) (low, high float64) {
	random := rand.New(rand.NewPCG(seed, 0x51095ed6e))
	fitted := make([]float64, len(y))
	for _, b := range stat.Isotonic(y, nil) {
		for i := b.First; i <= b.Last; i++ {
			fitted[i] = b.Value
		}
	}
	draws, again := make([]float64, 0, edgeDraws), make([]float64, len(y))
	for range edgeDraws {
		for i := range again {
			again[i] = fitted[i] + sd[i]*random.NormFloat64()
		}
		switch at, end := crossing(x, again); end {
		case EdgeNotReached:
			draws = append(draws, math.Inf(1))
		case EdgeInfeasible:
			draws = append(draws, math.Exp(x[0]))
		default:
			draws = append(draws, math.Exp(at))
		}
	}
	low, high, _ = stat.Percentiles(draws, stat.Confidence)
	return low, high
}

// RatioEdge returns the rate at which a ratio of errors exceeds limit: a monotone
// regression of the ratio on the rate, the crossing by interpolation in ln rate.
// Its interval is the bracket of rates between which the ratio crosses.
func RatioEdge(points []EdgePoint, limit float64) Edge {
	points = slices.DeleteFunc(slices.Clone(points), func(p EdgePoint) bool {
		return !(p.RPS > 0) || !(p.Value >= 0) || math.IsInf(p.RPS, 0) || math.IsInf(p.Value, 0)
	})
	if len(points) < 2 {
		return Edge{RPS: stat.NotEstimable(len(points), fmt.Sprintf("%d phases are too few for the rate at which the objective breaks", len(points))), End: EdgeUnknown}
	}
	slices.SortStableFunc(points, func(a, b EdgePoint) int { return cmp.Compare(a.RPS, b.RPS) })
	x, y := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		x[i], y[i] = math.Log(p.RPS), p.Value-limit
	}
	edge := Edge{Lowest: points[0].RPS, Highest: points[len(points)-1].RPS}
	at, end := stepCrossing(x, y)
	edge.End = end
	switch end {
	case EdgeNotReached:
		edge.RPS = NotReached(edge.Highest, len(points))
	case EdgeInfeasible:
		edge.RPS = stat.NotEstimable(len(points), "even the lowest measured rate, "+quantity.Rate(edge.Lowest)+", misses the objective")
		edge.RPS.Low, edge.RPS.High = 0, edge.Lowest
	default:
		value := math.Exp(at)
		low, high := edge.Lowest, edge.Highest
		for _, p := range points {
			if p.RPS <= value && p.Value <= limit {
				low = math.Max(low, p.RPS)
			}
			if p.RPS >= value && p.Value > limit {
				high = math.Min(high, p.RPS)
			}
		}
		edge.RPS = stat.Estimate{Value: value, Low: low, High: high, Confidence: stat.Confidence, N: len(points)}
	}
	return edge
}

// stepCrossing returns where the monotone regression of y on x crosses 0, between
// the last point of the level below and the first of the level above: a ratio of
// errors is flat at 0 up to where it begins.
func stepCrossing(x, y []float64) (at float64, end EdgeEnd) {
	blocks := stat.Isotonic(y, nil)
	if last := blocks[len(blocks)-1]; last.Value <= 0 {
		return x[last.Last], EdgeNotReached
	}
	for i, above := range blocks {
		if above.Value <= 0 {
			continue
		}
		if i == 0 {
			break
		}
		below := blocks[i-1]
		from, to := x[below.Last], x[above.First]
		return from + (to-from)*(0-below.Value)/(above.Value-below.Value), EdgeReached
	}
	return x[0], EdgeInfeasible
}
