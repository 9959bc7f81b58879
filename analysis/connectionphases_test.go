package analysis

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Phases with connections held open tell what each takes of memory, and at how many a
// replica runs out, and nothing else: all that was fitted without them stays.
func TestConnectionPhases(t *testing.T) {
	const each = 30e3 // bytes of memory of a connection
	open := func() *record.Record {
		rec, err := record.Open(filepath.Join("testdata", "records", "gateway-quota"))
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	before, err := Analyze(open())
	if err != nil {
		t.Fatal(err)
	}
	gateway := before.Components[0]
	if gateway.MemoryBytesPerConnection.OK() || gateway.Resources.ConnectionsRunOut != 0 || !strings.Contains(gateway.Resources.ConnectionsReason, "not known") {
		t.Fatalf("without such phases: %+v, %d connections", gateway.MemoryBytesPerConnection, gateway.Resources.ConnectionsRunOut)
	}
	rec := open()
	last := rec.Data[len(rec.Data)-1]
	at, base := last.End+time.Second, 0.0
	for _, s := range last.Samples {
		if s.Component == "gateway" {
			base = math.Max(base, s.Metrics[record.WorkingSetBytes])
		}
	}
	for i, held := range []int{0, 80, 160, 240, 320, 400, 480} {
		phase := record.PhaseData{Phase: record.Phase{
			Index: len(rec.Data), Ended: record.EndedDone,
			Spec:  scenarios.Phase{Name: "held", Kind: scenarios.KindConnections, Rate: scenarios.PerSecond(100), Duration: 2 * time.Second, HeldConnections: held},
			Start: at, SendEnd: at + 2*time.Second, End: at + 2*time.Second,
			Counts: record.Counts{Intended: 200, Sent: 200, Answered: 200},
		}}
		for k := range 4 {
			phase.Samples = append(phase.Samples, record.Sample{
				At: at + time.Duration(k)*500*time.Millisecond, Component: "gateway", Replica: "gateway-0",
				Metrics: map[record.Metric]float64{record.WorkingSetBytes: base + each*float64(held) + 4096*float64(i%2), record.DownConnections: float64(8 + held), record.CPUSeconds: 1e6},
			})
		}
		rec.Data, at = append(rec.Data, phase), at+3*time.Second
	}
	after, err := Analyze(rec)
	if err != nil {
		t.Fatal(err)
	}
	held := after.Components[0]
	if e := held.MemoryBytesPerConnection; !e.OK() || math.Abs(e.Value-each) > 0.01*each {
		t.Errorf("a connection takes %+v, want %g bytes", e, each)
	}
	limit := quantityBytes(t, held.Resources.Limits.Memory)
	if want := (limit - held.MemoryBaseBytes.Value) / each; math.Abs(float64(held.Resources.ConnectionsRunOut)-want) > 0.1*want {
		t.Errorf("it runs out with %d connections, want some %.0f in %g bytes", held.Resources.ConnectionsRunOut, want, limit)
	}
	if held.CPUSecondsPerRequest.Value != gateway.CPUSecondsPerRequest.Value || after.SLOEdge.Rps.Value != before.SLOEdge.Rps.Value || after.Outcome != before.Outcome ||
		held.CapacityPerReplicaRps.Safe() != gateway.CapacityPerReplicaRps.Safe() || held.Replicas.Value != gateway.Replicas.Value || after.Verification.Reason != before.Verification.Reason {
		t.Error("the phases enter something else than memory")
	}
}

// quantityBytes reads a quantity in MiB.
func quantityBytes(t *testing.T, quantity string) float64 {
	t.Helper()
	b, err := scenarios.ParseBytes(quantity)
	if err != nil {
		t.Fatal(err)
	}
	return float64(b)
}
