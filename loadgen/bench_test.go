//go:build linux

package loadgen_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

// TestNothingIsAllocatedPerRequest counts what a closed loop allocates against a
// server in another process: a phase has its price, a request has none.
func TestNothingIsAllocatedPerRequest(t *testing.T) {
	plan := planFor(serverProcess(t))
	plan.Connections.StreamsPerConnection = 32
	session, err := loadgen.Open(context.Background(), plan, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	phase := scenarios.Phase{Process: scenarios.Closed, Duration: time.Second}
	if _, err := session.Phase(context.Background(), phase, nil); err != nil { // lets buffers grow
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	facts, err := session.Phase(context.Background(), phase, nil)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	allocations := after.Mallocs - before.Mallocs
	// A phase's own price is some hundred allocations, whatever it sends.
	if answered := facts.Counts.Answered; allocations > 1000+uint64(answered)/100 {
		t.Errorf("%d allocations for %d requests, want none for each", allocations, answered)
	}
}

// BenchmarkClosedLoop reports what a request costs, all included, against Go's
// own server in another process.
func BenchmarkClosedLoop(b *testing.B) {
	plan := planFor(serverProcess(b))
	plan.Connections = scenarios.Connections{Count: 8, StreamsPerConnection: 32}
	session, err := loadgen.Open(context.Background(), plan, loadgen.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	b.ReportAllocs()
	answered, cpu := int64(0), 0.0
	for b.Loop() {
		facts, err := session.Phase(context.Background(), scenarios.Phase{Process: scenarios.Closed, Duration: time.Second}, nil)
		if err != nil {
			b.Fatal(err)
		}
		answered += facts.Counts.Answered
		cpu += facts.Generator.CPUSeconds
	}
	b.ReportMetric(cpu/float64(answered)*1e6, "cpu-s/1e6-requests")
	b.ReportMetric(float64(answered)/float64(b.N), "requests/op")
}
