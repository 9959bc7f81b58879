package models

import (
	"cmp"
	"math"
	"slices"
)

// Step is one measured rate of a climb or a search, in arrivals per second.
type Step struct {
	RPS   float64
	Holds bool    // every objective held
	Use   float64 // how much of the tightest objective was used: 1 is the limit
}

// clearMiss is the use of an objective from which on a miss is no bad luck.
const clearMiss = 1.3

// clear reports whether the objectives are missed beyond doubt.
func (s Step) clear() bool { return !s.Holds && s.Use >= clearMiss }

// Climb raises the rate until the objectives break, or lowers it until they
// hold: it brackets the SLO edge, coarsely, for the sweep that follows.
type Climb struct {
	First  float64 // rps, the first rate
	Factor float64 // > 1, from one rate to the next
	Lowest float64 // rps; when this misses, no rate holds
	Max    float64 // rps; never exceeded
}

// ClimbEnd is how a climb ended.
type ClimbEnd string

// The ends of a climb.
const (
	ClimbGoesOn     ClimbEnd = ""
	ClimbBracketed  ClimbEnd = "bracketed"   // one rate holds, a higher one misses
	ClimbReachedMax ClimbEnd = "reached-max" // the highest allowed rate still holds
	ClimbInfeasible ClimbEnd = "infeasible"  // even the lowest rate misses
)

// Next returns the rate to try after steps, or how the climb has ended. A miss by
// little does not end it: that may be bad luck, and the sweep needs to know what
// lies beyond the edge.
func (c Climb) Next(steps []Step) (rps float64, end ClimbEnd) {
	if len(steps) == 0 {
		return math.Min(c.First, c.Max), ClimbGoesOn
	}
	held, missed := Bracket(steps)
	highest, misses, broken := 0.0, 0, false
	for _, s := range steps {
		highest = math.Max(highest, s.RPS)
		if !s.Holds {
			misses++
		}
		broken = broken || s.clear()
	}
	atMax := highest >= c.Max*0.999
	switch {
	case held > 0 && (broken || misses > 1 || (misses > 0 && atMax)):
		return 0, ClimbBracketed
	case held > 0 && atMax:
		return 0, ClimbReachedMax
	case held > 0:
		return math.Min(highest*c.Factor, c.Max), ClimbGoesOn
	case missed <= c.Lowest*1.001:
		return 0, ClimbInfeasible
	}
	// Downwards in larger strides: each low rate takes long to measure.
	return math.Max(missed/(c.Factor*c.Factor*c.Factor), c.Lowest), ClimbGoesOn
}

// Broken returns the highest rate that was tried and missed, +Inf when none was:
// what lies above it is of no interest.
func Broken(steps []Step) float64 {
	highest := 0.0
	for _, s := range steps {
		if !s.Holds {
			highest = math.Max(highest, s.RPS)
		}
	}
	if highest == 0 {
		return math.Inf(1)
	}
	return highest
}

// Bracket returns the lowest rate that missed, +Inf when none did, and the
// highest rate below it that held, 0 when none did.
func Bracket(steps []Step) (held, missed float64) {
	missed = math.Inf(1)
	for _, s := range steps {
		if !s.Holds {
			missed = math.Min(missed, s.RPS)
		}
	}
	for _, s := range steps {
		if s.Holds && s.RPS < missed {
			held = math.Max(held, s.RPS)
		}
	}
	return held, missed
}

// SweepRates returns n rates for the steady phases: most of them around the edge,
// where the latency bends, the rest far below it, where the demand of a request
// shows. held and missed bracket the edge, broken is a rate beyond it, which is
// not reached; when nothing missed (missed is +Inf) the sweep ends at held.
func SweepRates(held, missed, broken float64, n int) []float64 {
	top := math.Min(broken*0.97, missed*1.25)
	if math.IsInf(missed, 1) {
		top = held
	}
	low := held * 0.3
	rates := make([]float64, 0, n)
	near := (n + 1) / 2 // from 0.92 of what held to the top
	far := n - near
	for i := range far {
		rates = append(rates, low*math.Pow(held*0.8/low, float64(i)/math.Max(1, float64(far-1))))
	}
	start := held * 0.92
	for i := range near {
		rates = append(rates, start*math.Pow(top/start, float64(i)/math.Max(1, float64(near-1))))
	}
	return rates
}

// Search finds the highest rate that holds by bisection, and then spends what is
// left of its probes around the place it found. It knows where it may look and
// what it has seen; it is never told what a model predicts.
type Search struct {
	Low, High  float64 // rps, where to begin; left when the measurements say so
	Max        float64 // rps; never exceeded
	Probes     int     // how many phases it may take
	Resolution float64 // high ÷ low at which bisection ends, for instance 1.06
}

// Next returns the rate to probe after steps; more is false when the search is
// done.
func (s Search) Next(steps []Step) (rps float64, more bool) {
	if len(steps) >= s.Probes {
		return 0, false
	}
	low, high := s.Low, s.High
	lowSeen, highSeen := false, false
	for _, step := range steps {
		if step.Holds {
			if step.RPS >= low {
				low, lowSeen = step.RPS, true
			}
			if high <= low {
				high, highSeen = low*1.5, false
			}
			continue
		}
		if step.RPS <= high {
			high, highSeen = step.RPS, true
		}
		if low >= high {
			low, lowSeen = high/1.5, false
		}
	}
	if high/low > s.Resolution {
		return math.Min(math.Sqrt(low*high), s.Max), true
	}
	switch middle := math.Sqrt(low * high); {
	case !highSeen && low >= s.Max*0.999:
		return 0, false // the highest allowed rate holds
	case !highSeen:
		return math.Min(high*1.1, s.Max), true
	case !lowSeen:
		return low / 1.1, true
	default:
		// Alternate around the bracket: repeats tell luck from capacity.
		around := []float64{0.96, 1.04, 0.92, 1.08}
		return math.Min(middle*around[len(steps)%len(around)], s.Max), true
	}
}

// Where the proof measures, as shares of the edge that the search found: just
// below, where the objectives must hold, and just above, where one must break.
const (
	ProofBelow = 0.88
	ProofAbove = 1.15
)

// EdgeOf returns the rate that best divides the steps that held from those that
// missed: with the fewest steps on the wrong side of it, in the middle of the gap
// where several do. 0 when nothing held; the highest rate when nothing missed.
func EdgeOf(steps []Step) float64 {
	ordered := slices.SortedFunc(slices.Values(steps), func(a, b Step) int { return cmp.Compare(a.RPS, b.RPS) })
	wrong := 0 // with the edge below every step: all that held are wrong
	for _, s := range ordered {
		if s.Holds {
			wrong++
		}
	}
	if wrong == 0 {
		return 0
	}
	best, edges := wrong, []float64{}
	for i, s := range ordered {
		if s.Holds {
			wrong--
		} else {
			wrong++
		}
		edge := s.RPS
		if i+1 < len(ordered) {
			edge = math.Sqrt(s.RPS * ordered[i+1].RPS)
		}
		switch {
		case wrong < best:
			best, edges = wrong, []float64{edge}
		case wrong == best:
			edges = append(edges, edge)
		}
	}
	if len(edges) == 0 {
		return 0
	}
	return edges[len(edges)/2]
}
