package analysis

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// The codes of reasons. They are stable: reports and users' scripts refer to them.
const (
	CodeNothingMeasured  = "nothing-measured"
	CodeCutShort         = "cut-short"
	CodeSendLag          = "send-lag"
	CodeNoConnection     = "no-connection"
	CodeStreamsExhausted = "streams-exhausted"
	CodeRateNotReached   = "rate-not-reached"
	CodeGeneratorCPU     = "generator-cpu"
	CodeGeneratorQuota   = "generator-throttled"
	CodeGeneratorDelay   = "generator-run-delay"
	CodeGeneratorStall   = "generator-stalled"
	CodeGCPause          = "gc-pause"
	CodeSchedDelay       = "scheduling-delay"
	CodeSteal            = "steal"
	CodeHostBusy         = "host-busy"
	CodeCPUPressure      = "cpu-pressure"
	CodeComponentWaited  = "component-waited"
	CodeArrivals         = "arrivals"
	CodeNotStationary    = "not-stationary"
	CodeNotSettled       = "not-settled"
	CodeBreaksLater      = "breaks-later"
	CodeTooFewAnswers    = "too-few-answers"
	CodeSampleGap        = "sample-gap"
	CodeReplicasChanged  = "replicas-changed"
	CodeUnevenLoad       = "uneven-load"
	CodeErrorsUnjudged   = "errors-unjudged"
	CodeCredentials      = "credentials"
)

// The limits of Judge. Those of the generator's own disturbances come from the
// strictest objective: see Conditions.lagLimit.
const (
	maxUnsentShare      = 0.01 // of the arrivals that were due
	maxGeneratorCPU     = 0.90 // cores; the sending loop is one thread
	warnGeneratorCPU    = 0.70
	maxRunDelay         = 0.20 // seconds a second that sending threads wait for a processor
	warnRunDelay        = 0.05
	maxThrottledPeriods = 0.05 // of the generator's own quota periods
	maxSteal            = 0.05 // of the host's processor time
	warnSteal           = 0.02
	leastIdle           = 0.03
	warnPressure        = 0.75
	warnComponentWait   = 0.25 // seconds a second, per replica
	maxUneven           = 0.50 // the busiest backend above the mean
	warnUneven          = 0.25
	maxDeniedJump       = 0.02 // share of denied answers after some instant, above that before it
	warnErrors          = 0.01 // of the arrivals, where no objective is about errors
)

// judgement collects what the rules say.
type judgement struct {
	phase      record.PhaseData
	conditions Conditions
	samples    models.Sampled
	latency    stat.Distribution
	settled    stat.Distribution
	intervals  []interval
	seconds    float64 // of sending
	// waited says that arrivals waited for a free stream: then the system under
	// test, not the generator, holds the sending up.
	waited bool
	// lost says that they waited because there was no connection.
	lost bool
	// sure says that the generator's disturbances, which only ever make latencies
	// longer, cannot be why the objectives hold or miss: they hold in spite of them,
	// or miss by far without them. Then they spoil a fit, but not the evidence.
	sure    bool
	verdict Verdict
}

func (j *judgement) invalid(code, format string, args ...any) {
	j.verdict.Reasons = append(j.verdict.Reasons, Reason{code, fmt.Sprintf(format, args...)})
}

func (j *judgement) notForFit(code, format string, args ...any) {
	j.verdict.NotForFit = append(j.verdict.NotForFit, Reason{code, fmt.Sprintf(format, args...)})
}

func (j *judgement) warn(code, format string, args ...any) {
	j.verdict.Warnings = append(j.verdict.Warnings, Reason{code, fmt.Sprintf(format, args...)})
}

// Judge says whether a phase is a valid measurement: evidence for an objective
// held or missed. A system that does not keep up is a valid miss; a generator
// that does not, or a disturbed machine, is no measurement. A valid phase may
// still be of no use for a fit (Verdict.NotForFit), for instance when a queue
// grew through it.
func Judge(phase record.PhaseData, conditions Conditions) Verdict {
	return examine(phase, conditions).summary.Verdict
}

// judge is Judge of a phase that is read already.
func judge(e examined, conditions Conditions) Verdict {
	phase := e.PhaseData
	j := &judgement{
		phase: phase, conditions: conditions, samples: e.samples, latency: e.latency, settled: e.settled, intervals: e.intervals,
		seconds: (phase.SendEnd - phase.Start).Seconds(),
		verdict: Verdict{Reasons: []Reason{}, NotForFit: []Reason{}, Warnings: []Reason{}},
	}
	if phase.Spec.Kind == scenarios.KindObserved {
		j.observed()
		j.verdict.Valid = len(j.verdict.Reasons) == 0
		j.verdict.UsableForFit = j.verdict.Valid && len(j.verdict.NotForFit) == 0
		return j.verdict
	}
	j.lost = j.unconnected()
	j.waited = j.lost || j.waitedForStreams()
	holds, _ := holdsAll(j.settled, phase.Counts, conditions.Objectives)
	j.sure = holds && len(conditions.Objectives) > 0 || j.missedByFar()
	if j.complete() {
		j.sendLag()
		j.reachedRate()
		j.generator()
		j.disturbances()
		j.host()
		j.arrivals()
		j.stationary()
		j.enoughAnswers()
		j.sampling()
		j.replicas()
		j.spread()
		j.errors()
		j.credentials()
	}
	j.verdict.Valid = len(j.verdict.Reasons) == 0
	j.verdict.UsableForFit = j.verdict.Valid && len(j.verdict.NotForFit) == 0
	return j.verdict
}

// complete reports whether there is a whole phase to judge.
func (j *judgement) complete() bool {
	c := j.phase.Counts
	if c.Sent <= 0 && c.Shed <= 0 || !(j.seconds > 0) {
		j.invalid(CodeNothingMeasured, "nothing was sent")
		return false
	}
	switch {
	case j.phase.Unfinished:
		j.invalid(CodeCutShort, "the run ended in the middle of the phase")
	case j.phase.Ended == record.EndedGuard:
		j.notForFit(CodeCutShort, "a guard ended the phase: %s", j.phase.EndedWhy)
	case j.phase.Ended != record.EndedDone && j.phase.Ended != "":
		j.invalid(CodeCutShort, "the phase ended before its time (%s): %s", j.phase.Ended, j.phase.EndedWhy)
	}
	if j.latency.N() == 0 && c.Errors() == 0 {
		j.invalid(CodeNothingMeasured, "no answer was timed")
	}
	return true
}

// connectionLost is the class of requests whose connection ended under them.
const connectionLost = "connection-lost"

// unconnected reports whether arrivals waited, or were shed, because connections
// were lost: the target went away, or would not be connected to again.
func (j *judgement) unconnected() bool {
	c := j.phase.Connection
	gone := j.conditions.Connections > 0 && c.Open < j.conditions.Connections && !j.phase.Unfinished
	return j.phase.Counts.Sent < j.phase.Counts.Intended && (gone || j.phase.Phase.Errors[connectionLost] > 0)
}

// waitedForStreams reports whether the system held requests for so long that no
// stream was free. That a stream was wanted is not enough: a generator that
// stalled sends all that is overdue at once and runs out of streams by itself.
// When it is the system's doing, answers take as long as it takes to fill the
// streams at this rate (Little's law).
func (j *judgement) waitedForStreams() bool {
	c := j.phase.Counts
	streams := j.conditions.streams(j.phase)
	full := c.Shed > 0 || c.Waiting > 0 || (streams > 0 && j.phase.Connection.MaxInFlight >= streams)
	for _, tick := range j.phase.Timeline {
		full = full || tick.Counts.Waiting > 0
	}
	if !full {
		return false
	}
	rate := models.OfferedRPS(j.phase)
	if streams == 0 || rate <= 0 {
		return true
	}
	service := stat.OfHistogram(j.phase.Service, nanosecond)
	fill := float64(streams) / rate
	unanswered := float64(c.TimedOut+c.Failed+c.InFlight) / math.Max(1, float64(c.Sent))
	return service.ShareAbove(fill/2)+unanswered > 0.01
}

// missedByFar reports whether the time from sending to the answer, which knows
// nothing of the generator's lateness, misses an objective by half, or the errors
// do by twice.
func (j *judgement) missedByFar() bool {
	service := stat.OfHistogram(j.phase.Service, nanosecond)
	for _, o := range j.conditions.Objectives {
		if o.IsLatency() && service.N() >= int64(stat.SamplesFor(o.Quantile)) && service.Quantile(o.Quantile) > 1.5*o.Latency.Seconds() {
			return true
		}
		if !o.IsLatency() && j.phase.Counts.Intended >= 1000 && ErrorRatio(j.phase.Counts) > math.Max(2*float64(o.ErrorRatio), 0.01) {
			return true
		}
	}
	return false
}

// disturbed records a disturbance by the generator: invalid, or no more than unfit
// where it is moderate and the answer sure.
func (j *judgement) disturbed(moderate bool, code, format string, args ...any) {
	if moderate && j.sure {
		j.notForFit(code, format, args...)
		return
	}
	j.invalid(code, format, args...)
}

func (j *judgement) sendLag() {
	lag := stat.OfHistogram(j.phase.SendLag, nanosecond)
	if lag.N() == 0 || j.closed() {
		return
	}
	limit, p99 := j.conditions.lagLimit(), lag.Quantile(0.99)
	if p99 <= limit {
		return
	}
	if j.lost {
		j.warn(CodeNoConnection, "arrivals waited for a connection (send lag p99 %s)", duration(p99))
		return
	}
	if j.waited {
		j.warn(CodeStreamsExhausted, "arrivals waited for a free stream (send lag p99 %s): the system did not answer fast enough for %d streams",
			duration(p99), j.conditions.streams(j.phase))
		return
	}
	j.disturbed(p99 <= 5*limit, CodeSendLag, "send lag p99 is %s, more than the %s that the objective tolerates: the generator was late, not the system",
		duration(p99), duration(limit))
}

func (j *judgement) closed() bool { return j.phase.Spec.Process == scenarios.Closed }

// reachedRate compares what was due with what was asked for, and what was sent
// with what was due.
func (j *judgement) reachedRate() {
	if j.closed() {
		return
	}
	c := j.phase.Counts
	// A reason beside "done" is that a feed had no more rows.
	whole := j.phase.Ended == record.EndedDone && j.phase.EndedWhy == "" && !j.phase.Unfinished
	if want := j.phase.Spec.Rate.RPS() * j.phase.Spec.Duration.Seconds(); whole && want > 0 {
		tolerance := 0.01*want + 2
		if j.phase.Spec.Process == scenarios.Poisson {
			tolerance += 4.5 * math.Sqrt(want*bunch(j.phase.Spec))
		} else {
			tolerance += bunch(j.phase.Spec)
		}
		if math.Abs(float64(c.Intended)-want) > tolerance {
			j.invalid(CodeRateNotReached, "%d arrivals came due where %s for %.3g s asks for %.0f",
				c.Intended, perSecond(j.phase.Spec.Rate.RPS()), j.phase.Spec.Duration.Seconds(), want)
		}
	}
	unsent := c.Intended - c.Sent
	share := float64(unsent) / math.Max(1, float64(c.Intended))
	if share <= maxUnsentShare && unsent <= 0 {
		return
	}
	switch {
	case j.lost:
		j.warn(CodeNoConnection, "%d of %d arrivals (%s) were never sent because connections were lost: %d of %d were open at the end",
			unsent, c.Intended, percent(share), j.phase.Connection.Open, j.conditions.Connections)
	case j.waited:
		j.warn(CodeStreamsExhausted, "%d of %d arrivals (%s) were never sent because no stream came free", unsent, c.Intended, percent(share))
	case share > maxUnsentShare:
		j.invalid(CodeRateNotReached, "the generator left %d of %d arrivals (%s) unsent though the system kept up", unsent, c.Intended, percent(share))
	}
}

func (j *judgement) generator() {
	g, whole := j.phase.Generator, (j.phase.End - j.phase.Start).Seconds()
	if whole <= 0 {
		whole = j.seconds
	}
	// Each sending thread can use one core, and can wait for one.
	threads := math.Max(1, float64(g.Threads))
	if cores := g.CPUSeconds / whole / threads; j.conditions.Pacing != scenarios.Precise && !j.closed() {
		switch {
		case cores > maxGeneratorCPU:
			j.invalid(CodeGeneratorCPU, "the generator used %.2f of the one core that a sending thread can use", cores)
		case cores > warnGeneratorCPU:
			j.warn(CodeGeneratorCPU, "the generator used %.2f of the one core that a sending thread can use", cores)
		}
	}
	if n := g.ThrottledPeriods; n > 0 {
		// A quota period lasts 100 ms unless somebody changed it.
		if share := float64(n) * 0.1 / whole; share > maxThrottledPeriods {
			j.invalid(CodeGeneratorQuota, "the generator's own CPU quota stopped it in %d periods (%s of the time)", n, percent(math.Min(1, share)))
		} else {
			j.warn(CodeGeneratorQuota, "the generator's own CPU quota stopped it in %d periods", n)
		}
	}
	switch share := g.RunDelaySeconds / whole / threads; {
	case share > maxRunDelay:
		j.disturbed(share <= 2*maxRunDelay, CodeGeneratorDelay, "the sending threads waited for a processor %s of the time", percent(share))
	case share > warnRunDelay:
		j.warn(CodeGeneratorDelay, "the sending threads waited for a processor %s of the time", percent(share))
	}
}

// disturbances are the generator's pauses. One that is long, but hits fewer
// requests than a quarter of what the quantile leaves out, hardly moves it.
func (j *judgement) disturbances() {
	limit := j.conditions.lagLimit()
	_, quantile, ok := j.conditions.strictest()
	if !ok {
		quantile = 0.99
	}
	if pause := j.phase.Generator.GCPauseMax.Seconds(); pause > limit {
		if share := pause / j.seconds; share > (1-quantile)/4 {
			j.disturbed(pause <= 5*limit, CodeGCPause, "a garbage collection stopped the generator for %s, %s of the phase", duration(pause), percent(share))
		} else {
			j.warn(CodeGCPause, "a garbage collection stopped the generator for %s", duration(pause))
		}
	}
	switch delay := j.phase.Generator.SchedLatencyP99.Seconds(); {
	case delay > 5*limit:
		j.disturbed(delay <= 20*limit, CodeSchedDelay, "goroutines of the generator waited %s to run (p99)", duration(delay))
	case delay > limit:
		j.warn(CodeSchedDelay, "goroutines of the generator waited %s to run (p99)", duration(delay))
	}
	j.stalls()
}

// stalls looks for intervals of the timeline that are far longer than the rest:
// then the generator did nothing for a while, and nothing else would show it.
func (j *judgement) stalls() {
	ticks := j.phase.Timeline
	usual := max(j.phase.Spec.Interval, record.IntervalFor(j.phase.Spec.Duration)).Seconds()
	before := j.phase.Start
	for _, tick := range ticks {
		if tick.At > j.phase.SendEnd {
			break
		}
		if gap := (tick.At - before).Seconds(); gap > 1.5*usual && gap-usual > 0.2 && before != j.phase.Start {
			j.invalid(CodeGeneratorStall, "the generator's timeline has a hole of %.2f s", gap)
			return
		}
		before = tick.At
	}
}

func (j *judgement) host() {
	cpus := float64(j.conditions.Host.CPUs)
	if cpus <= 0 {
		return
	}
	if rate, ok := j.samples.Rate(record.ComponentHost, record.StealSeconds); ok {
		switch share := rate / cpus; {
		case share > maxSteal:
			j.invalid(CodeSteal, "the hypervisor took %s of the host's processor time", percent(share))
		case share > warnSteal:
			j.warn(CodeSteal, "the hypervisor took %s of the host's processor time", percent(share))
		}
	}
	if rate, ok := j.samples.Rate(record.ComponentHost, record.IdleSeconds); ok && rate/cpus < leastIdle {
		j.warn(CodeHostBusy, "the host had only %s of its processor time left", percent(math.Max(0, rate/cpus)))
	}
	if rate, ok := j.samples.Rate(record.ComponentHost, record.CPUPressure); ok && rate > warnPressure {
		j.warn(CodeCPUPressure, "some task of the host waited for a processor %s of the time", percent(math.Min(1, rate)))
	}
	for _, c := range j.conditions.Components {
		if share, ok := j.waitedShare(c.Name); ok && share > warnComponentWait {
			j.warn(CodeComponentWaited, "%s waited for a processor %s of the time: the machine was too small for it beside the rest", c.Name, percent(share))
		}
	}
}

// waitedShare returns the share of the time that a replica of a component was
// runnable without running. Not known while a quota holds it back: the kernel
// counts that as waiting too, once for each thread, and it is the limit under
// test, not the machine.
func (j *judgement) waitedShare(component string) (share float64, ok bool) {
	if throttled, known := j.samples.Throttled(component); known && throttled > maxThrottledForFit {
		return 0, false
	}
	delay, ok := j.samples.Rate(component, record.RunDelaySeconds)
	return delay / math.Max(1, float64(len(j.samples[component]))), ok
}
