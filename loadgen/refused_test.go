//go:build linux

package loadgen_test

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

// TestRefusedIsTriedOnceMore: a server that refuses every stream sees each request
// twice, and no more often.
func TestRefusedIsTriedOnceMore(t *testing.T) {
	var seen atomic.Int64
	plan := planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		seen.Add(1)
		return s.WriteRSTStream(id, http2.ErrCodeRefusedStream) == nil
	}))
	phase := steady()
	phase.Rate = scenarios.PerSecond(50)
	for _, workers := range []int{1, 2} {
		seen.Store(0)
		facts := runPhase(t, plan, phase, workers)
		c := facts.Counts
		if c.Intended != 50 || c.Failed != 50 || facts.Errors["reset-refused-stream"] != 50 {
			t.Errorf("%d workers: counts %+v, errors %v; want 50 refused", workers, c, facts.Errors)
		}
		if got := seen.Load(); got != 100 || facts.Connection.Retried != 50 {
			t.Errorf("%d workers: the server saw %d requests, %d were sent again; want 100 and 50", workers, got, facts.Connection.Retried)
		}
	}
}

// TestThreeTimes: a server that stands still at the first request of a connection
// with one stream makes all others wait unsent. Their service is short, their send
// lag and with it their latency are long, and latency is the sum of both.
func TestThreeTimes(t *testing.T) {
	const stall, length = 800 * time.Millisecond, 400 * time.Millisecond
	plan := planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		if id == 1 {
			stalled := time.NewTimer(stall)
			<-stalled.C
		}
		return s.answer(id) == nil
	}))
	plan.Connections.Count, plan.Connections.StreamsPerConnection = 1, 1
	plan.Timeout = time.Minute
	sink := &collect{}
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Constant, Rate: scenarios.PerSecond(100), Duration: length, Interval: 100 * time.Millisecond,
	}, sink, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, facts, sink)
	if facts.Counts.Answered != 40 {
		t.Fatalf("counts %+v, want 40 answered", facts.Counts)
	}
	latency, service, lag := sink.all.Latency, sink.all.Service, sink.all.SendLag
	// None was answered before the stall was over, and the last was due before
	// the phase was.
	least := int64(stall - length)
	if got := latency.Min(); got < least {
		t.Errorf("shortest latency %s, want at least %s", time.Duration(got), time.Duration(least))
	}
	// All but the first, which the stall itself kept, were sent after it.
	if got := lag.ValueAtPercentile(10); got < least {
		t.Errorf("p10 of the send lag %s, want at least %s", time.Duration(got), time.Duration(least))
	}
	if got := service.ValueAtPercentile(50); got >= least {
		t.Errorf("p50 of the service time %s: what a request waited unsent was counted in", time.Duration(got))
	}
	if got := service.Max(); got < int64(stall)*999/1000 {
		t.Errorf("longest service time %s, want the stall of %s", time.Duration(got), stall)
	}
	if sum := service.Mean() + lag.Mean(); math.Abs(sum-latency.Mean()) > 0.005*latency.Mean() {
		t.Errorf("mean latency %s, of service time and send lag %s", time.Duration(latency.Mean()), time.Duration(sum))
	}
}
