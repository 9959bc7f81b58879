package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Summarize returns a phase in numbers, with its verdict. It needs nothing of
// the rest of the run, so that it can be used while the run goes on.
func Summarize(phase record.PhaseData, conditions Conditions) PhaseSummary {
	return examine(phase, conditions).summary
}

// examined is a phase with what the analysis needs of it more than once.
type examined struct {
	record.PhaseData
	summary   PhaseSummary
	latency   stat.Distribution     // of answers, and of timeouts with their timeout as the value
	settled   stat.Distribution     // of all arrivals that came to an end; +Inf without an answer
	intervals []interval            // those with answers
	draws     map[float64][]float64 // of the usual quantiles, over the intervals; empty where there are too few
	samples   models.Sampled
	offered   float64 // rps, as realised
}

// interval is the latency of one interval of a phase, a second as a rule, or of
// several of a long one.
type interval struct {
	start, end time.Duration
	latency    stat.Distribution
}

func examine(phase record.PhaseData, conditions Conditions) examined {
	e := examined{
		PhaseData: phase,
		latency:   stat.OfHistogram(phase.Latency, nanosecond),
		samples:   models.Samples(phase),
		offered:   models.OfferedRPS(phase),
	}
	e.settled = settled(e.latency, phase.Counts)
	if phase.Spec.Kind == scenarios.KindObserved {
		conditions.Objectives = observable(phase, conditions.Objectives)
	}
	e.intervals = intervalsOf(phase.Seconds)
	e.draws = e.resample(usualQuantiles(conditions.Objectives))
	holds, reason := holdsAll(e.settled, phase.Counts, conditions.Objectives)
	e.summary = PhaseSummary{
		Index: phase.Index, Name: phase.Spec.Name, Kind: string(phase.Spec.Kind),
		OfferedRps:   phase.Spec.Rate.RPS(),
		AchievedRps:  max(0, finite(phase.Achieved())),
		P50:          e.quantile(0.5),
		P99:          e.quantile(0.99),
		ErrorRatio:   ErrorRatio(phase.Counts),
		LagP99:       stat.Quantile(stat.OfHistogram(phase.SendLag, nanosecond), 0.99, stat.Confidence),
		CPUCores:     map[string]stat.Estimate{},
		Throttled:    map[string]float64{},
		Holds:        holds,
		HoldsReason:  reason,
		ObjectiveUse: objectiveUse(e.settled, phase.Counts, conditions.Objectives),
		StartSeconds: phase.Start.Seconds(),
		Seconds:      math.Max(0, (phase.SendEnd - phase.Start).Seconds()),
	}
	e.summary.Verdict = judge(e, conditions)
	for _, c := range conditions.Components {
		if cores, ok := e.samples.Rate(c.Name, record.CPUSeconds); ok {
			e.summary.CPUCores[c.Name] = stat.Estimate{Value: cores, Low: math.Inf(-1), High: math.Inf(1), N: 1}
		}
		if ratio, ok := e.samples.Throttled(c.Name); ok {
			e.summary.Throttled[c.Name] = ratio
		}
	}
	return e
}

// bootstrapDraws is how many resamples widen the interval of a phase's quantile, and
// leastIntervals how many intervals there must be for that.
const (
	bootstrapDraws = 200
	leastIntervals = 4
)

// usualQuantiles are those that a summary tells, and those of the objectives.
func usualQuantiles(objectives []scenarios.Objective) []float64 {
	usual := []float64{0.5, 0.9, 0.99, 0.999}
	for _, o := range objectives {
		if o.IsLatency() {
			usual = append(usual, o.Quantile)
		}
	}
	slices.Sort(usual)
	return slices.Compact(usual)
}

// quantile estimates a quantile of the latency. Requests of the same second share
// its fate, so the interval is no narrower than the one over whole seconds.
func (e examined) quantile(q float64) stat.Estimate {
	estimate := stat.Quantile(e.settled, q, stat.Confidence)
	if !estimate.OK() || len(e.intervals) < leastIntervals {
		return estimate
	}
	draws, known := e.draws[q]
	if !known {
		draws = e.resample([]float64{q})[q]
	}
	return estimate.Widen(draws)
}

// resample draws quantiles over whole intervals. The draws of a quantile are the same
// whichever others are asked for, and adding up the intervals is nearly all the work.
func (e examined) resample(quantiles []float64) map[float64][]float64 {
	if len(e.intervals) < leastIntervals {
		return nil
	}
	blocks := make([]stat.Distribution, len(e.intervals))
	for i, s := range e.intervals {
		blocks[i] = s.latency
	}
	random := rand.New(rand.NewPCG(e.Spec.Seed, uint64(e.Index)))
	draws := stat.Bootstrap(blocks, quantiles, 0, bootstrapDraws, random)
	out := make(map[float64][]float64, len(quantiles))
	for i, q := range quantiles {
		out[q] = draws[i]
	}
	return out
}

// mostIntervals is how many a phase is looked at in at most. A day has 3 600, which
// a bootstrap draws in runs of some 30 anyway.
const mostIntervals = 600

// intervalsOf returns the intervals with answers, and puts neighbours together
// where there are more than mostIntervals.
func intervalsOf(seconds []record.SecondLatency) (intervals []interval) {
	together := max(1, (len(seconds)+mostIntervals-1)/mostIntervals)
	for run := range slices.Chunk(seconds, together) {
		parts := make([]stat.Distribution, len(run))
		for i, s := range run {
			parts[i] = distributionOf(s)
		}
		if whole := stat.Merge(parts...); whole.N() > 0 {
			intervals = append(intervals, interval{run[0].Start, run[len(run)-1].End, whole})
		}
	}
	return intervals
}
