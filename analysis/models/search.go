package models

import (
	"cmp"
	"math"
	"slices"
)

// Step is one measured rate of a climb or a search, in arrivals per second.
//
// What disturbs a measurement makes it worse, never better. So a step that holds
// is taken at its word, and one that misses only when others agree.
type Step struct {
	RPS   float64
	Holds bool    // every objective held
	Use   float64 // how much of the tightest objective was used: 1 is the limit
}

// farMiss is the use of an objective from which on a miss is not repeated.
const farMiss = 4

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

// Next returns the rate to try after steps, or how the climb has ended. A rate
// that misses after a lower one has held is tried once more, unless it misses by far.
func (c Climb) Next(steps []Step) (rps float64, end ClimbEnd) {
	if len(steps) == 0 {
		return math.Min(c.First, c.Max), ClimbGoesOn
	}
	held, missed := Bracket(steps)
	last := steps[len(steps)-1]
	again := len(steps) > 1 && steps[len(steps)-2].RPS == last.RPS
	switch {
	case held > 0 && !last.Holds && last.Use < farMiss && missed == last.RPS && !again:
		return last.RPS, ClimbGoesOn
	case held > 0 && !math.IsInf(missed, 1):
		return 0, ClimbBracketed
	case held >= c.Max*0.999:
		return 0, ClimbReachedMax
	case held > 0:
		return math.Min(held*c.Factor, c.Max), ClimbGoesOn
	case missed <= c.Lowest*1.001:
		return 0, ClimbInfeasible
	}
	// Downwards in larger strides: each low rate takes long to measure.
	return math.Max(missed/(c.Factor*c.Factor*c.Factor), c.Lowest), ClimbGoesOn
}

// Bracket returns the highest rate that held, 0 when none did, and the lowest
// above it that missed, +Inf when none did.
func Bracket(steps []Step) (held, missed float64) {
	for _, s := range steps {
		if s.Holds {
			held = math.Max(held, s.RPS)
		}
	}
	missed = math.Inf(1)
	for _, s := range steps {
		if !s.Holds && s.RPS > held {
			missed = math.Min(missed, s.RPS)
		}
	}
	return held, missed
}

// guess returns where between held and missed the edge lies, by how much of the
// objective was used at both, as a power of the rate.
func guess(steps []Step, held, missed float64) float64 {
	below, above := 0.0, 0.0
	for _, s := range steps {
		switch {
		case s.Holds && s.RPS == held:
			below = math.Max(below, s.Use)
		case !s.Holds && s.RPS == missed:
			above = math.Max(above, s.Use)
		}
	}
	if !(below > 0) || below >= 1 || !(above > 1) {
		return math.Sqrt(held * missed)
	}
	return held * math.Pow(missed/held, -math.Log(below)/math.Log(above/below))
}

// Where the lower part of a sweep lies, as shares of the edge that a climb
// suggests. A request and a wake-up can be told apart only where the proxy mostly
// sleeps and where it hardly does, so it begins far down; and it stays where nothing
// is throttled, since from there the edge is forecast.
const (
	sweepLowest  = 0.15
	sweepHighest = 0.57
)

// bunchedHighest is the share of the edge up to which requests come in bunches too.
const bunchedHighest = 0.4

// SweepRates returns n rates for the steady phases after the steps of a climb:
// half of them around the place where the climb suggests the edge, since there the
// latency bends, the rest far below, where the demand of a request shows. When
// nothing missed the sweep ends at what held. None exceeds limit.
func SweepRates(steps []Step, limit float64, n int) []float64 {
	held, missed := Bracket(steps)
	edge, start, top := SweepEdge(steps), held*0.92, held
	if !math.IsInf(missed, 1) {
		start, top = edge*0.87, math.Min(edge*1.2, limit)
	}
	rates := make([]float64, 0, n)
	near := (n + 1) / 2
	far := n - near
	for i := range far {
		rates = append(rates, edge*sweepLowest*math.Pow(sweepHighest/sweepLowest, float64(i)/math.Max(1, float64(far-1))))
	}
	for i := range near {
		rates = append(rates, start*math.Pow(top/start, float64(i)/math.Max(1, float64(near-1))))
	}
	return rates
}

// BunchedRates returns those of the rates of a sweep at which requests are to come in
// bunches too: the ones so low that the periods between bunches are quiet.
func BunchedRates(rates []float64, edge float64) (low []float64) {
	for _, rps := range rates {
		if rps <= bunchedHighest*edge {
			low = append(low, rps)
		}
	}
	return low
}

// SweepEdge returns where the steps of a climb suggest the edge: at the highest rate
// that held where nothing missed.
func SweepEdge(steps []Step) float64 {
	held, missed := Bracket(steps)
	if math.IsInf(missed, 1) {
		return held
	}
	return guess(steps, held, missed)
}

// Search finds the highest rate that holds by bisection, and then spends what is
// left of its probes around the place it found. It knows where it may look and
// what it has seen; it is never told what a model predicts.
type Search struct {
	Low, High  float64 // rps, where to begin; left when the measurements say so
	Max        float64 // rps; never exceeded
	Probes     int     // how many phases it takes; a few more when they all lie on one side of the edge
	Resolution float64 // high ÷ low at which bisection ends, for instance 1.06
}

// extraProbes are for a search that a wrong miss led astray.
const extraProbes = 4

// Next returns the rate to probe after steps; more is false when the search is
// done.
func (s Search) Next(steps []Step) (rps float64, more bool) {
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
	if n := len(steps); n >= s.Probes && (lowSeen && highSeen || n >= s.Probes+extraProbes) {
		return 0, false
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
	ProofBelow = 0.85
	ProofAbove = 1.25
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
