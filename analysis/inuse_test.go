package analysis

import (
	"math"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// TestInUseAt has phases of 100/s, 200/s and 400/s with known numbers in use, which
// come from the samples as they are written here.
func TestInUseAt(t *testing.T) {
	w := newWorld(5)
	rec := &record.Record{Run: w.run()}
	rec.Components = []record.Component{{Name: "gateway", Role: scenarios.RoleGateway, Replicas: 2}}
	for _, rps := range []float64{100, 200, 400} {
		p := w.phase("load", scenarios.KindLoad, rps, 10*time.Second)
		p.Samples = nil
		for i := range 10 {
			for replica, share := range map[string]float64{"0": 0.5, "1": 1} {
				p.Samples = append(p.Samples, record.Sample{At: p.Start + time.Duration(i)*time.Second, Component: "gateway", Replica: replica, Metrics: map[record.Metric]float64{
					record.CPUSeconds: rps / 1000 * float64(i), record.UpInFlight: share * (rps/10 + float64(i)), record.UpPending: rps / 100, record.UpConnections: 3,
				}})
			}
		}
		rec.Data = append(rec.Data, p)
	}
	planned := func(rps float64) Result {
		return Result{Demand: Demand{PlannedRps: rps}, Components: []Component{{Name: "gateway", Replicas: &recommend.Replicas{CarriesPlannedRate: 2}}}}
	}
	for name, test := range map[string]struct {
		change func(*record.Record)
		result Result
		want   InUse
	}{
		"nothing planned":                {nil, Result{}, InUse{RPS: 200, InFlight: 49, Pending: 4, Connections: 3, CPURPS: 200, Cores: 0.4}},
		"200/s planned":                  {nil, planned(200), InUse{RPS: 100, InFlight: 29, Pending: 2, Connections: 3, CPURPS: 100, Cores: 0.2}},
		"less planned than was measured": {nil, planned(10), InUse{RPS: 50, InFlight: 19, Pending: 1, Connections: 3, CPURPS: 50, Cores: 0.1}},
		"the highest missed":             {func(r *record.Record) { r.Data[2].Counts.Bad = r.Data[2].Counts.Answered }, Result{}, InUse{RPS: 100, InFlight: 29, Pending: 2, Connections: 3, CPURPS: 100, Cores: 0.2}},
		"no samples": {func(r *record.Record) {
			for i := range r.Data {
				r.Data[i].Samples = nil
			}
		}, Result{}, InUse{}},
	} {
		t.Run(name, func(t *testing.T) {
			changed := *rec
			changed.Data = append([]record.PhaseData{}, rec.Data...)
			if test.change != nil {
				test.change(&changed)
			}
			host, got := InUseAt(&changed, test.result)
			if host != labHost || len(got) != 1 {
				t.Fatalf("got %+v of %q, want one component of %q", got, host, labHost)
			}
			test.want.Component, test.want.Role = "gateway", scenarios.RoleGateway
			for what, pair := range map[string][2]float64{
				"rps": {got[0].RPS, test.want.RPS}, "in flight": {got[0].InFlight, test.want.InFlight}, "pending": {got[0].Pending, test.want.Pending},
				"connections": {got[0].Connections, test.want.Connections}, "rps of CPU": {got[0].CPURPS, test.want.CPURPS}, "cores": {got[0].Cores, test.want.Cores},
			} {
				if math.Abs(pair[0]-pair[1]) > 0.02*pair[1] {
					t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
				}
			}
		})
	}
}
