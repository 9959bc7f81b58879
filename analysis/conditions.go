package analysis

import (
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Conditions are what a phase is judged under, beside its own facts.
type Conditions struct {
	Objectives []scenarios.Objective
	Host       record.Host
	Components []record.Component
	Streams    int              // requests the generator may have in flight; 0: not known
	Pacing     scenarios.Pacing // precise pacing spins, and so uses a core by design
}

// ConditionsOf returns the conditions of a run.
func ConditionsOf(run record.Run) Conditions {
	return Conditions{
		Objectives: run.Scenario.Objectives,
		Host:       run.Host,
		Components: run.Components,
		Streams:    run.Scenario.Connections.Count * run.Scenario.Connections.StreamsPerConnection,
		Pacing:     run.Scenario.Load.Pacing,
	}
}

// strictest returns the smallest latency that an objective tolerates, in
// seconds, and its quantile; ok is false when none is about latency.
func (c Conditions) strictest() (seconds, quantile float64, ok bool) {
	seconds = math.Inf(1)
	for _, o := range c.Objectives {
		if o.IsLatency() && o.Latency.Seconds() < seconds {
			seconds, quantile, ok = o.Latency.Seconds(), o.Quantile, true
		}
	}
	return seconds, quantile, ok
}

// defaultLagLimit is the send lag that is tolerated when no objective says what
// would be small.
const defaultLagLimit = 10 * time.Millisecond

// lagLimit is what the generator may add to a latency without spoiling it: a
// tenth of the strictest objective, in seconds.
func (c Conditions) lagLimit() float64 {
	if seconds, _, ok := c.strictest(); ok {
		return seconds / 10
	}
	return defaultLagLimit.Seconds()
}

// streams is how many requests could be in flight during the phase.
func (c Conditions) streams(phase record.PhaseData) int64 {
	streams := int64(c.Streams)
	if limit, open := phase.Connection.MaxStreams, int64(phase.Connection.Open); limit > 0 && open > 0 {
		if peers := limit * open; streams == 0 || peers < streams {
			streams = peers
		}
	}
	return streams
}

// objectiveText writes an objective as "p99 ≤ 50 ms" or "errors ≤ 0.1 %".
func objectiveText(o scenarios.Objective) string {
	if o.IsLatency() {
		return fmt.Sprintf("%s ≤ %s", stat.QuantileName(o.Quantile), milliseconds(o.Latency.Seconds()))
	}
	return "errors ≤ " + percent(float64(o.ErrorRatio))
}

// milliseconds writes seconds as "12.3 ms".
func milliseconds(seconds float64) string { return fmt.Sprintf("%.3g ms", seconds*1e3) }

// percent writes a share as "12.3 %".
func percent(share float64) string { return fmt.Sprintf("%.3g %%", share*100) }

// perSecond writes a rate as "1234/s".
func perSecond(rps float64) string {
	if math.Abs(rps) >= 100 {
		return fmt.Sprintf("%.0f/s", rps)
	}
	return fmt.Sprintf("%.3g/s", rps)
}
