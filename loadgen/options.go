package loadgen

import (
	"fmt"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/credential"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Options of a session that do not follow from the plan.
type Options struct {
	// Base is the anchor of the run: every instant is the time since it, by the
	// monotonic clock. Zero means the moment of Open.
	Base time.Time
	// Workers is the number of sending threads; 0 means 1. There are never more
	// than connections.
	Workers int
	// Credential says how the plan's credential is got, where it has one.
	Credential credential.Options
}

func (o Options) withDefaults(plan scenarios.Plan) Options {
	if o.Base.IsZero() {
		o.Base = time.Now()
	}
	o.Workers = max(1, min(o.Workers, plan.Connections.Count))
	return o
}

// Sink takes what happened in each interval. Interval is called from the
// goroutine that called Phase, once an interval and once more for the rest at
// the end; a slow sink makes intervals longer and never holds up the load.
type Sink interface {
	Interval(record.Interval)
}

// GuardError is the cause of a context that was cancelled by a guard
// (context.WithCancelCause), so that the phase's facts say so.
type GuardError struct {
	Reason string // in words, with the numbers
}

// Error returns the reason.
func (e *GuardError) Error() string { return e.Reason }

const (
	// drainTime is how long answers are awaited after an interruption.
	drainTime = 2 * time.Second
	// leadTime is how far ahead a phase's start is set, so that all workers
	// have heard of it.
	leadTime = 2 * time.Millisecond
	// backendHeader is the response header in which the lab's service names
	// itself.
	backendHeader = "x-sailplan-backend"
	// maxBackends bounds how many backends are told apart.
	maxBackends = 1000
	// maxConnectTimes bounds how many connect times are kept in a phase.
	maxConnectTimes = 1000
	// minBacklog and maxBacklog are the bounds of the default of Phase.MaxBacklog;
	// a waiting arrival takes 16 bytes.
	minBacklog, maxBacklog = 1000, 500_000
)

// checkPlan refuses what a session can't do.
func checkPlan(plan scenarios.Plan) error {
	switch {
	case plan.Connections.Count < 1:
		return fmt.Errorf("plan %s: connections.count is %d", plan.Name, plan.Connections.Count)
	case plan.Connections.StreamsPerConnection < 1:
		return fmt.Errorf("plan %s: connections.streamsPerConnection is %d", plan.Name, plan.Connections.StreamsPerConnection)
	case plan.Timeout <= 0:
		return fmt.Errorf("plan %s: timeout is %s", plan.Name, plan.Timeout)
	case len(plan.Requests) == 0:
		return fmt.Errorf("plan %s: no requests", plan.Name)
	}
	switch plan.Endpoint.Protocol {
	case scenarios.ProtocolH2C, scenarios.ProtocolH2, scenarios.ProtocolHTTP1, scenarios.ProtocolGRPC:
		return nil
	}
	return fmt.Errorf("plan %s: protocol %q is not spoken by the load generator: use h2, h2c, http/1.1 or grpc", plan.Name, plan.Endpoint.Protocol)
}

// checkPhase refuses a phase that can't be sent, or must not be.
func checkPhase(plan scenarios.Plan, phase scenarios.Phase) error {
	if phase.Duration <= 0 {
		return fmt.Errorf("phase %q: duration is %s", phase.Name, phase.Duration)
	}
	if phase.Interval < 0 || phase.MaxBacklog < 0 {
		return fmt.Errorf("phase %q: negative interval or backlog", phase.Name)
	}
	limit := plan.Guards.MaxRate
	if limit.IsZero() {
		return nil
	}
	if phase.Process == scenarios.Closed {
		return fmt.Errorf("phase %q: a closed loop has no rate that guards.maxRate %s could hold", phase.Name, limit)
	}
	if peak := phase.PeakRPS(); peak > limit.RPS() {
		return fmt.Errorf("phase %q: rate %s is above guards.maxRate %s", phase.Name, scenarios.PerSecond(peak), limit)
	}
	return nil
}

// backlogBound returns how many arrivals of a phase may wait: as many as come due
// within the timeout, so that it is the timeout that gives them up.
func backlogBound(plan scenarios.Plan, phase scenarios.Phase) int {
	if phase.MaxBacklog > 0 {
		return phase.MaxBacklog
	}
	return int(min(max(minBacklog, phase.PeakRPS()*plan.Timeout.Seconds()), maxBacklog))
}
