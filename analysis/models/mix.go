package models

import "math"

// mostOf is the share that one request has of a mix that is to show what it costs.
// The others stay in, so that no mix is one that the system has never seen.
const mostOf = 0.85

// Mixes returns, for each request of a mix, the weights of one in which it is most:
// the others keep their proportions. What each request costs can only be told from
// phases in which the requests do not all rise together.
func Mixes(weights []float64) [][]float64 {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	out := make([][]float64, len(weights))
	for i := range out {
		out[i] = make([]float64, len(weights))
		for j, w := range weights {
			if others := total - weights[i]; j == i {
				out[i][j] = mostOf
			} else {
				out[i][j] = (1 - mostOf) * w / others
			}
		}
	}
	return out
}

// MixStep is a rate that was measured with a mix.
type MixStep struct {
	RPS       float64
	Use       float64 // of the tightest objective
	Throttled float64 // largest share of quota periods of any component
}

// Calm reports whether nothing was pressed: what was used is demand.
func (s MixStep) Calm() bool { return s.Throttled <= 0.02 && s.Use < 1 }

// The rates of a mix. What its requests cost is not known before it is measured, so
// the first is well below the edge of the usual mix, and the next depends on it.
const (
	mixFirst  = 0.25 // of that edge
	mixFactor = 2.2  // between two rates of a mix
	mixLeast  = 1.4  // that they differ by at the least
	mixNear   = 0.9  // of a rate at which something was pressed: chance makes no difference of it
	mixSteps  = 4    // phases at most
)

// MixRate returns the next rate to measure with a mix after steps, or that there are
// enough: two at which nothing was throttled. edge is that of the usual mix.
func MixRate(edge float64, steps []MixStep) (rps float64, more bool) {
	lowest, highest, pressed, calm := math.Inf(1), 0.0, math.Inf(1), 0
	for _, s := range steps {
		if !s.Calm() {
			pressed = math.Min(pressed, s.RPS)
			continue
		}
		calm++
		lowest, highest = math.Min(lowest, s.RPS), math.Max(highest, s.RPS)
	}
	switch {
	case calm >= 2 || len(steps) >= mixSteps:
		return 0, false
	case len(steps) == 0:
		return mixFirst * edge, true
	case calm == 0:
		return pressed / (mixFactor * mixFactor), true
	case highest*mixFactor < mixNear*pressed:
		return highest * mixFactor, true
	case math.Sqrt(pressed/highest) >= mixLeast:
		// CPU well above idle tells the cost of a request best.
		return math.Sqrt(highest * pressed), true
	}
	return lowest / mixFactor, true
}

// QuotaShare is the share of the edge at which the price of a CPU quota is measured:
// where it costs something, and the objective still holds.
const QuotaShare = 0.9

// QuotaOrder returns for each phase whether the quotas are lifted in it: in turns
// that a drift of the machine falls on both sides of alike, and five a side, with which
// a rank test tells them apart even where a phase of each overlaps.
func QuotaOrder() []bool {
	return []bool{false, true, true, false, true, false, false, true, true, false}
}
