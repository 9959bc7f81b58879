package models

import (
	"cmp"
	"time"
)

// Pace is how much time a sizing takes for each of its parts.
type Pace struct {
	WarmUpChunk   time.Duration // one look at whether the system has become stationary
	WarmUpChunks  int           // at most
	Climb         time.Duration // of one phase, likewise below; longer where a quantile needs it
	ClimbFactor   float64
	Steady        time.Duration
	SteadyRates   int
	Bunched       time.Duration // 0: none
	Connections   time.Duration // one phase with connections held open
	SteadyRounds  int           // each rate is measured so often, every round in a random order of its own
	Search        time.Duration
	SearchProbes  int
	SearchResolve float64 // high ÷ low at which bisection ends
	Proof         time.Duration
	Settle        time.Duration // between phases, for queues and quota to recover
	LongestPhase  time.Duration // a rate so low that its quantile needs longer is measured without it
	Repeats       int           // of phases that were not valid measurements, in all
	// Total bounds the whole, the start of the system not counted: repeats and
	// probes are given up for it. Rates so low that a phase takes long exceed it.
	Total time.Duration
}

// QuickPace answers within 90 seconds.
func QuickPace() Pace {
	return Pace{
		WarmUpChunk: 2 * time.Second, WarmUpChunks: 4,
		Climb: 2 * time.Second, ClimbFactor: 1.7,
		Steady: 3500 * time.Millisecond, SteadyRates: 6, SteadyRounds: 1, Bunched: 2 * time.Second, Connections: 2 * time.Second,
		Search: 3 * time.Second, SearchProbes: 7, SearchResolve: 1.06,
		Proof:  6 * time.Second,
		Settle: 250 * time.Millisecond, LongestPhase: 12 * time.Second, Repeats: 4,
		Total: 88 * time.Second,
	}
}

// FullPace answers within ten minutes.
func FullPace() Pace {
	return Pace{
		WarmUpChunk: 4 * time.Second, WarmUpChunks: 10,
		Climb: 6 * time.Second, ClimbFactor: 1.4,
		Steady: 14 * time.Second, SteadyRates: 8, SteadyRounds: 2, Bunched: 6 * time.Second, Connections: 3 * time.Second,
		Search: 11 * time.Second, SearchProbes: 10, SearchResolve: 1.04,
		Proof:  15 * time.Second,
		Settle: 500 * time.Millisecond, LongestPhase: 60 * time.Second, Repeats: 10,
		Total: 10*time.Minute - 10*time.Second,
	}
}

// FindPace looks for the highest rate that holds, and for nothing else, in phases
// that last for probe; 0 means three seconds.
func FindPace(probe time.Duration) Pace {
	probe = cmp.Or(probe, 3*time.Second)
	return Pace{
		WarmUpChunk: 2 * time.Second, WarmUpChunks: 4,
		Climb: probe, ClimbFactor: 1.7,
		Search: probe, SearchProbes: 10, SearchResolve: 1.05,
		Settle: 250 * time.Millisecond, LongestPhase: max(30*time.Second, probe), Repeats: 5,
		Total: 5*time.Minute + 40*probe,
	}
}

// Spare returns what is left of the total for repeats and probes after elapsed,
// the proof's two phases set aside.
func (p Pace) Spare(elapsed time.Duration) time.Duration {
	return p.Total - elapsed - 2*(p.Proof+p.Settle) - time.Second
}

// PhaseDuration returns how long a phase at rps must be for samples answers:
// base at least, longest at most, with a tenth to spare.
func PhaseDuration(base, longest time.Duration, rps float64, samples int) time.Duration {
	if rps <= 0 {
		return base
	}
	need := time.Duration(float64(samples) * 1.1 / rps * float64(time.Second))
	return min(max(base, need), longest)
}
