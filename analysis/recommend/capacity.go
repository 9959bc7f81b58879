package recommend

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Subject is a component as the recommendation sees it. Rates are requests a
// second through the whole chain, per replica of the component.
type Subject struct {
	Name        string
	Role        scenarios.Role
	OfLab       bool    // it ran in the lab
	Replicas    int     // measured
	Concurrency int     // worker threads; 0: not known
	CPULimit    float64 // cores, enforced; 0: none
	MemoryLimit float64 // bytes, enforced; 0: none
	Edge        stat.Estimate
	EdgeBinds   string // what binds at its edge: the resource as in models.Binding; empty: another component does, or none
	Demand      models.Demand
	Memory      models.Memory
	Highest     float64 // the highest rate that was measured validly
	Tolerated   float64 // seconds, of the strictest latency objective; 0: none
	MaxRequests int64   // http2MaxRequests in force at this proxy; 0: none
	MostCores   float64 // the most CPU that a replica was seen to use, the mean over a phase; 0: not known
	Throttling  []ThrottlePoint
	QuotaPrice  string   // of its CPU quota, as a trial with it and without told; empty: there was none
	Declared    Declared // what runs today
	// MostBeyond is how many times the highest rate a replica is planned to carry at
	// the most, whatever the model says; 0: the model decides alone.
	MostBeyond float64
}

// ThrottlePoint is what a quota did in one phase.
type ThrottlePoint struct {
	RPS   float64 // per replica
	Ratio float64 // share of quota periods
	P99   float64 // seconds, of the whole chain
}

// Declared is what runs today; zero is what is not known.
type Declared struct {
	Replicas                   int
	CPURequest, CPULimit       float64 // cores
	MemoryRequest, MemoryLimit float64 // bytes
}

// The shares of a limit that a replica is planned to use.
const (
	cpuShare    = 0.75
	memoryShare = 0.80
)

// Ceiling returns the CPU that a replica can use at most, in cores, and what sets
// it: its limit or its worker threads, whichever is less. 0 when nothing does.
func (s Subject) Ceiling() (cores float64, what string) {
	switch usable := float64(s.Concurrency); {
	case s.CPULimit > 0 && (usable <= 0 || s.CPULimit <= usable):
		return s.CPULimit, fmt.Sprintf("its limit of %s", cpuWords(s.CPULimit))
	case usable > 0:
		return usable, fmt.Sprintf("what %s can use", threads(s.Concurrency))
	}
	return 0, ""
}

// CapacityOf returns the operating capacity of a replica: the smallest safe end
// of the SLO edge, CPU at 75 % of its ceiling, memory at 80 % of its limit, and
// the pool's limit, and of what was only observed never more than a multiple of the
// highest rate. A candidate that is not known does not count. One that is
// exceeded without any load, or that is estimable but has no safe end above 0,
// binds: then there is no capacity, because nothing is recommended from a point
// estimate, and the other candidates say nothing about this one.
func CapacityOf(s Subject) Capacity {
	candidates := []Candidate{edgeCandidate(s), cpuCandidate(s), memoryCandidate(s), poolCandidate(s)}
	for i := range candidates {
		c := &candidates[i]
		c.Safe = math.NaN()
		switch {
		case !c.Rps.OK():
		case !(c.Rps.Low > 0) || math.IsInf(c.Rps.Low, 0):
			c.Safe = 0
			if c.Rps.Value > 0 {
				c.Reason = fmt.Sprintf("%s per replica is the estimate, but no rate above 0 is safe: it is too uncertain", rate(c.Rps.Value))
			}
		default:
			c.Safe = c.Rps.Low
			if s.Highest > 0 && c.Safe > models.Extrapolation*s.Highest && len(c.Rps.Warnings) == 0 {
				c.Rps.Warnings = []string{fmt.Sprintf("%s lies beyond the highest measured rate, %s per replica", rate(c.Safe), rate(s.Highest))}
			}
		}
	}
	slices.SortStableFunc(candidates, func(a, b Candidate) int {
		return cmp.Compare(orInf(a.Safe), orInf(b.Safe))
	})
	// It bounds what another one says, and is no ground to recommend from alone: NaN is
	// not above it.
	if most := s.MostBeyond * s.Highest; most > 0 && candidates[0].Safe > most {
		candidates = slices.Insert(candidates, 0, observedCandidate(s, candidates[0]))
	}
	out := Capacity{Candidates: candidates}
	switch first := candidates[0]; {
	case math.IsNaN(first.Safe):
		out.Estimate = stat.NotEstimable(0, "no bound on the capacity of a replica is known")
	case first.Safe == 0:
		out.Estimate, out.BoundBy = stat.NotEstimable(first.Rps.N, first.Reason), first.BoundBy
	default:
		out.Estimate, out.BoundBy = first.Rps, first.BoundBy
	}
	return out
}

// observedCandidate is what a replica is trusted with of what the model says.
func observedCandidate(s Subject, model Candidate) Candidate {
	most := s.MostBeyond * s.Highest
	c := Candidate{BoundBy: BoundObserved, Safe: most, Rps: stat.Estimate{
		Value: most, Low: most, High: math.Max(most, model.Rps.Value), Confidence: model.Rps.Confidence, N: model.Rps.N,
	}}
	c.Reason = fmt.Sprintf("a replica was seen to carry up to %s, and is planned with at most %g times that; by the model it may carry more, %s (%s): run fewer replicas under the same load for a while, or send load, to find out",
		rate(s.Highest), s.MostBeyond, rate(model.Safe), model.BoundBy)
	c.Rps.Warnings = []string{c.Reason}
	return c
}

func orInf(v float64) float64 {
	if math.IsNaN(v) {
		return math.Inf(1)
	}
	return v
}

func edgeCandidate(s Subject) Candidate {
	c := Candidate{BoundBy: BoundEdge, Rps: s.Edge}
	if s.Edge.OK() {
		c.Reason = fmt.Sprintf("the objectives hold up to %s per replica, at least %s", rate(s.Edge.Value), rate(s.Edge.Low))
	} else {
		c.Reason = firstOf(s.Edge.Warnings, "its own SLO edge is not known")
	}
	return c
}

func cpuCandidate(s Subject) Candidate {
	ceiling, what := s.Ceiling()
	c := Candidate{BoundBy: BoundCPU}
	if ceiling <= 0 {
		c.Rps = stat.NotEstimable(0, "it has neither a CPU limit nor a known number of worker threads")
		c.Reason = c.Rps.Warnings[0]
		return c
	}
	c.Rps = s.Demand.RateAt(cpuShare * ceiling)
	if !(c.Rps.Value > 0) {
		c.Reason = firstOf(c.Rps.Warnings, "CPU demand is not estimable")
		return c
	}
	c.Reason = fmt.Sprintf("CPU reaches 75\u00a0%% of %s at %s per replica, at the earliest at %s", what, rate(c.Rps.Value), rate(c.Rps.Low))
	return c
}

func memoryCandidate(s Subject) Candidate {
	c := Candidate{BoundBy: BoundMemory}
	idle := s.Memory.Idle().High
	room := memoryShare*s.MemoryLimit - idle
	switch {
	case s.MemoryLimit <= 0:
		c.Rps = stat.NotEstimable(0, "it has no memory limit")
	case s.Memory.Largest <= 0:
		c.Rps = stat.NotEstimable(0, "memory was not sampled")
	case !s.Memory.PerInFlight.OK() || s.Memory.PerInFlight.Value <= 0 || s.Tolerated <= 0:
		c.Rps = stat.NotEstimable(0, fmt.Sprintf("memory did not visibly grow with the load: at most %s of %s", bytesWords(s.Memory.Largest), bytesWords(s.MemoryLimit)))
	case !(room > 0) || math.IsInf(room, 0):
		c.Rps = stat.Estimate{N: s.Memory.Base.N, Warnings: []string{
			fmt.Sprintf("its base with connections, up to %s, leaves no room below 80\u00a0%% of %s", bytesWords(idle), bytesWords(s.MemoryLimit)),
		}}
	default:
		// Little's law: rate × time in the system = in flight. Everything is as slow
		// as the objective tolerates.
		per := s.Memory.PerInFlight
		c.Rps = stat.Estimate{Value: room / per.Value / s.Tolerated, Low: 0, High: math.Inf(1), Confidence: per.Confidence, N: per.N}
		if per.High > 0 && !math.IsInf(per.High, 0) {
			c.Rps.Low = room / per.High / s.Tolerated
		}
		if per.Low > 0 {
			c.Rps.High = room / per.Low / s.Tolerated
		}
		c.Reason = fmt.Sprintf("memory reaches 80\u00a0%% of %s at %s per replica, if every request takes the %s that the objective tolerates", bytesWords(s.MemoryLimit), rate(c.Rps.Value), timeWords(s.Tolerated))
	}
	if c.Reason == "" {
		c.Reason = c.Rps.Warnings[0]
	}
	return c
}

func poolCandidate(s Subject) Candidate {
	c := Candidate{BoundBy: BoundPool}
	if s.MaxRequests <= 0 || s.Tolerated <= 0 {
		c.Rps = stat.NotEstimable(0, "no limit of the connection pool applies to it")
		c.Reason = c.Rps.Warnings[0]
		return c
	}
	// The largest mean whose mean + 4·√mean stays within the limit.
	root := math.Sqrt(4+float64(s.MaxRequests)) - 2
	low := root * root / s.Tolerated
	c.Rps = stat.Estimate{Value: float64(s.MaxRequests) / s.Tolerated, Low: low, High: math.Inf(1), Confidence: stat.Confidence}
	c.Reason = fmt.Sprintf("http2MaxRequests of %d is reached at %s per replica, if every request takes the %s that the objective tolerates; with room for chance at %s",
		s.MaxRequests, rate(c.Rps.Value), timeWords(s.Tolerated), rate(low))
	return c
}

func firstOf(warnings []string, otherwise string) string {
	if len(warnings) == 0 {
		return otherwise
	}
	return warnings[0]
}
