package analysis

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// arrivals compares the gaps between sends with the process that was asked for.
// The effect is judged, not its significance: at these numbers any test rejects.
func (j *judgement) arrivals() {
	gaps := j.phase.Generator.ArrivalGaps
	if gaps.N < 100 || j.waited || !(gaps.MeanSeconds > 0) || !(gaps.CV >= 0) {
		return
	}
	noise := 4 / math.Sqrt(float64(gaps.N)/bunch(j.phase.Spec))
	var process string
	switch j.phase.Spec.Process {
	case scenarios.Poisson:
		process = "Poisson arrivals have %.3g"
	case scenarios.Constant:
		// A jitter below a tenth of the tolerated lag is no burst.
		if gaps.CV*gaps.MeanSeconds < j.conditions.lagLimit()/10 {
			return
		}
		process = "a constant rate has %.3g"
	default:
		return
	}
	want := intendedCV(j.phase.Spec, gaps.MeanSeconds, j.phase.Generator)
	process = fmt.Sprintf(process, want)
	off := math.Abs(gaps.CV-want) / math.Max(1, want)
	switch {
	case off > 1+noise:
		j.invalid(CodeArrivals, "the gaps between sends vary by %.2f of their mean, where %s: this is another load", gaps.CV, process)
	case off > 0.4+noise:
		// What work costs depends on how it is batched; on which side of the edge the
		// rate lies, hardly.
		j.notForFit(CodeArrivals, "the gaps between sends vary by %.2f of their mean, where %s: work that comes in bursts costs less", gaps.CV, process)
	case off > 0.2+noise:
		j.warn(CodeArrivals, "the gaps between sends vary by %.2f of their mean, where %s", gaps.CV, process)
	}
	if want := j.phase.Spec.Rate.RPS(); want > 0 {
		if share := math.Abs(1/(gaps.MeanSeconds*want) - 1); share > 0.03+noise {
			j.invalid(CodeArrivals, "sends came %s apart on average, where %s asks for %s", duration(gaps.MeanSeconds), perSecond(want), duration(1/want))
		}
	}
}

// intendedCV returns the standard deviation ÷ mean that the gaps between sends
// have when the pacing does what it means to: at high rates each sending thread
// lets arrivals gather for the slack s after the first one, and sends them at once.
//
// Poisson arrivals with the mean gap m: the cycle is s + X with X exponential of
// mean m, and carries 1 + s/m arrivals in the mean, so that the gaps have
// E(g²) = ((s+m)² + m²) ÷ (1 + s/m), which gives CV² = n + 1/n − 1 with n = 1 + s/m.
// A constant rate: each n = ⌊s/m⌋ + 1 gaps sum up to n·m in one of them, so
// CV² = n − 1. Without slack these are 1 and 0. Where arrivals come in bunches of b,
// these are the cycles of bunches, and carry b times as many: CV² = b·(n + 1/n) − 1 and
// b·n − 1, with b·m for m.
func intendedCV(spec scenarios.Phase, mean float64, g record.Generator) float64 {
	b := bunch(spec)
	n := 1 + g.SlackSeconds/(b*mean*math.Max(1, float64(g.Threads)))
	if spec.Process == scenarios.Constant {
		return math.Sqrt(b*n - 1)
	}
	return math.Sqrt(b*(n+1/n) - 1)
}

// bunch returns how many arrivals come at one instant.
func bunch(spec scenarios.Phase) float64 { return float64(max(spec.Bunch, 1)) }

// halves returns the latencies of the first and the second half of the sending,
// and how many intervals there were.
func (j *judgement) halves() (first, second stat.Distribution, intervals int) {
	middle := j.phase.Start + (j.phase.SendEnd-j.phase.Start)/2
	var parts [2][]stat.Distribution
	for _, s := range j.intervals {
		half := 0
		if s.start+(s.end-s.start)/2 >= middle {
			half = 1
		}
		parts[half] = append(parts[half], s.latency)
	}
	return stat.Merge(parts[0]...), stat.Merge(parts[1]...), len(j.intervals)
}

func distributionOf(s record.SecondLatency) stat.Distribution {
	values := make([]float64, len(s.Values))
	for i, v := range s.Values {
		values[i] = float64(v) * nanosecond
	}
	return stat.NewDistribution(values, s.Counts)
}

// stationary compares the halves of the phase. A drift must be large, beyond
// what the number of answers explains, and matter against the objective.
func (j *judgement) stationary() {
	first, second, intervals := j.halves()
	if intervals < 2 || first.N() < 50 || second.N() < 50 {
		return
	}
	limit, quantile, ok := j.conditions.strictest()
	if !ok {
		limit, quantile = math.Inf(1), 0.99
	}
	holds, _ := holdsAll(j.settled, j.phase.Counts, j.conditions.Objectives)
	before, after := stat.Quantile(first, 0.5, stat.Confidence), stat.Quantile(second, 0.5, stat.Confidence)
	apart := before.High < after.Low || after.High < before.Low
	matters := math.Abs(after.Value-before.Value) > math.Min(limit/20, 0.005)
	if !apart || !matters || (after.Value < 1.5*before.Value && before.Value < 1.5*after.Value) {
		j.drift()
		return
	}
	if after.Value < before.Value {
		j.notForFit(CodeNotSettled, "p50 fell from %s in the first half to %s in the second: the system had not settled", duration(before.Value), duration(after.Value))
		return
	}
	j.notForFit(CodeNotStationary, "p50 rose from %s in the first half to %s in the second: a queue grew, the rate is beyond what the system sustains", duration(before.Value), duration(after.Value))
	if late := second.Quantile(quantile); ok && holds && late > limit {
		j.invalid(CodeBreaksLater, "the objective held over the whole phase, but %s of its second half is %s: it would have broken, had the phase been longer", stat.QuantileName(quantile), duration(late))
	}
}

// drift looks for a slower trend: of the median over the intervals of a longer
// phase, and of the CPU from the first half to the second.
func (j *judgement) drift() {
	var medians []float64
	for _, s := range j.intervals {
		if s.latency.N() >= 20 && s.end <= j.phase.SendEnd {
			medians = append(medians, s.latency.Quantile(0.5))
		}
	}
	if trend := stat.MannKendall(medians); trend.N >= 8 && trend.P < 0.001 && math.Abs(trend.Tau) > 0.6 {
		from, to := medians[0], medians[len(medians)-1]
		if math.Max(from, to) > 1.3*math.Min(from, to) {
			j.warn(CodeNotStationary, "p50 drifted steadily from %s to %s over %d intervals", duration(from), duration(to), trend.N)
		}
	}
	first, second := sampleHalves(j.phase)
	for _, c := range j.conditions.Components {
		early, known := first.Rate(c.Name, record.CPUSeconds)
		late, ok := second.Rate(c.Name, record.CPUSeconds)
		if known && ok && math.Abs(late-early) > 0.05 && (late > 1.4*early || early > 1.4*late) {
			j.notForFit(CodeNotSettled, "CPU of %s went from %.2f to %.2f cores between the halves of the phase", c.Name, early, late)
		}
	}
}

// sampleHalves returns the samples of the halves of the sending.
func sampleHalves(phase record.PhaseData) (first, second models.Sampled) {
	middle := phase.Start + (phase.SendEnd-phase.Start)/2
	early, late := phase, phase
	early.SendEnd, late.Start = middle, middle
	return models.Samples(early), models.Samples(late)
}

// enoughAnswers asks whether the quantiles of the objectives exist. Too few
// answers are still evidence of a miss that no luck explains.
func (j *judgement) enoughAnswers() {
	n := j.latency.N()
	for _, o := range j.conditions.Objectives {
		if !o.IsLatency() {
			continue
		}
		if need := stat.SamplesFor(o.Quantile); n < int64(need) {
			j.notForFit(CodeTooFewAnswers, "%s needs at least %d answers, there were %d", stat.QuantileName(o.Quantile), need, n)
		}
	}
}

// sampling looks for components without samples, and for holes in them.
func (j *judgement) sampling() {
	for _, c := range j.conditions.Components {
		replicas := j.samples[c.Name]
		if len(replicas) == 0 {
			j.warn(CodeSampleGap, "%s was not sampled during the phase", c.Name)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(replicas)) {
			if gap := holes(replicas[name], j.phase); gap != "" {
				j.warn(CodeSampleGap, "%s: %s", replicaName(c.Name, name), gap)
			}
		}
	}
}

// holes says what is missing in the samples of a replica, in words; empty: nothing.
func holes(replica models.Replica, phase record.PhaseData) string {
	longest, n := time.Duration(0), 0
	var first, last time.Duration
	for _, metric := range slices.Sorted(maps.Keys(replica)) {
		if series := replica[metric]; series.N > n {
			n, longest, first, last = series.N, series.LongestGap, series.FirstAt, series.LastAt
		}
	}
	sending := phase.SendEnd - phase.Start
	switch {
	case n < 2:
		return fmt.Sprintf("%d sample in the phase, a difference needs two", n)
	case n >= 4 && longest > 3*(last-first)/time.Duration(n-1):
		return fmt.Sprintf("no sample for %.2g s", longest.Seconds())
	case last-first < sending/2:
		return fmt.Sprintf("samples cover only %.2g s of %.2g s", (last - first).Seconds(), sending.Seconds())
	}
	return ""
}

func replicaName(component, replica string) string {
	if replica == "" || replica == component {
		return component
	}
	return component + " " + replica
}

// replicas looks for replicas that came, went or started anew during the phase.
func (j *judgement) replicas() {
	middle := j.phase.Start + (j.phase.SendEnd-j.phase.Start)/2
	for _, c := range j.conditions.Components {
		came, went, restarted := 0, 0, 0
		for _, replica := range j.samples[c.Name] {
			var first, last time.Duration
			seen, fell := false, false
			for metric, series := range replica {
				if !seen || series.FirstAt < first {
					first = series.FirstAt
				}
				last, seen = max(last, series.LastAt), true
				// Switches and delays are sums over threads, which may end.
				fell = fell || (series.Fell && (metric == record.CPUSeconds || metric == record.DownRequests))
			}
			if !seen {
				continue
			}
			if first > middle {
				came++
			}
			if last < middle {
				went++
			}
			if fell {
				restarted++
			}
		}
		switch n := len(j.samples[c.Name]); {
		case restarted > 0:
			j.invalid(CodeReplicasChanged, "%d of %d replicas of %s started anew during the phase: counters fell", restarted, n, c.Name)
		case came > 0 && came < n || went > 0 && went < n:
			j.invalid(CodeReplicasChanged, "the replicas of %s changed during the phase: %d came, %d went", c.Name, came, went)
		}
	}
}

// spread asks whether the load was even enough over the backends to speak of
// "per replica". What chance explains does not count.
func (j *judgement) spread() {
	n, total, largest := float64(len(j.phase.Backends)), 0.0, 0.0
	for _, answers := range j.phase.Backends {
		total += float64(answers)
		largest = math.Max(largest, float64(answers))
	}
	if n < 2 || total < 100 {
		return
	}
	mean := total / n
	excess, noise := largest/mean-1, unevenByChance(mean)
	switch {
	case excess > maxUneven+noise:
		j.notForFit(CodeUnevenLoad, "the busiest of %.0f backends answered %s more than the mean: there is no load per replica", n, percent(excess))
	case excess > warnUneven+noise:
		j.warn(CodeUnevenLoad, "the busiest of %.0f backends answered %s more than the mean", n, percent(excess))
	}
}

// unevenByChance is by how much the busiest of several backends exceeds the mean
// number of answers, as a share of it, without any reason: four standard deviations.
func unevenByChance(mean float64) float64 { return 4 / math.Sqrt(mean) }

// errors points to arrivals that went wrong where no objective asks: no latency
// shows what was shed or reset, and an error is often answered faster.
func (j *judgement) errors() {
	ratio := ErrorRatio(j.phase.Counts)
	judged := slices.ContainsFunc(j.conditions.Objectives, func(o scenarios.Objective) bool { return !o.IsLatency() })
	if ratio > warnErrors && !judged {
		j.warn(CodeErrorsUnjudged, "%s of the arrivals were shed, failed or answered with an error, which a latency does not show, and no objective is about errors", percent(ratio))
	}
}

// credentials looks for an instant from which on answers are 401 or 403 that were
// not before: then a credential ran out, and what was measured afterwards is how
// fast the target says no. A share that is there from the start is the load's own.
func (j *judgement) credentials() {
	all := j.phase.Counts
	for _, tick := range j.phase.Timeline {
		before, after := tick.Counts, all.Answered-tick.Counts.Answered
		if before.Answered == 0 || after <= 0 {
			continue
		}
		denied := all.Denied - before.Denied
		share, was := float64(denied)/float64(after), float64(before.Denied)/float64(before.Answered)
		if denied >= 10 && share-was > maxDeniedJump && share > 2*was {
			j.invalid(CodeCredentials, "%s of the answers were 401 or 403 from %.3g s into the phase on, %s before: a credential ran out or was withdrawn",
				percent(share), (tick.At - j.phase.Start).Seconds(), percent(was))
			return
		}
	}
}
