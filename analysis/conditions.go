package analysis

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Conditions are what a phase is judged under, beside its own facts.
type Conditions struct {
	Objectives  []scenarios.Objective
	Host        record.Host
	Components  []record.Component
	Connections int              // that the generator keeps open; 0: not known
	Streams     int              // requests the generator may have in flight; 0: not known
	Pacing      scenarios.Pacing // precise pacing spins, and so uses a core by design
}

// ConditionsOf returns the conditions of a run.
func ConditionsOf(run record.Run) Conditions {
	perConnection := run.Scenario.Connections.StreamsPerConnection
	if t := run.Scenario.Target; t != nil && t.Protocol == scenarios.ProtocolHTTP1 {
		perConnection = 1
	}
	return Conditions{
		Objectives:  run.Scenario.Objectives,
		Host:        run.Host,
		Components:  run.Components,
		Connections: run.Scenario.Connections.Count,
		Streams:     run.Scenario.Connections.Count * perConnection,
		Pacing:      run.Scenario.Load.Pacing,
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

// objectiveText writes an objective as "p99 ≤ 50 ms" or "errors ≤ 0.1 %". It is the
// objective's name, in tests and alerts too, so its spaces are ordinary ones.
func objectiveText(o scenarios.Objective) string {
	return strings.ReplaceAll(objectiveWords(o), quantity.NoBreak, " ")
}

func objectiveWords(o scenarios.Objective) string {
	if o.IsLatency() {
		return fmt.Sprintf("%s ≤ %s", stat.QuantileName(o.Quantile), duration(o.Latency.Seconds()))
	}
	return "errors ≤ " + percent(float64(o.ErrorRatio))
}

// duration writes seconds as "12.3 ms".
func duration(seconds float64) string { return quantity.Duration(seconds) }

// percent writes a share as "12.3 %".
func percent(share float64) string { return quantity.Percent(share) }

// perSecond writes a rate as "1 234/s".
func perSecond(rps float64) string { return quantity.Rate(rps) }
