package analysis

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// targetOf writes the record of one phase of load on a target whose gateway costs
// factor times what the one of testdata/records/gateway-quota does.
func targetOf(t *testing.T, factor, rps float64, change func(*chain)) *record.Record {
	t.Helper()
	c := &chain{
		name: "mine", evidence: record.EvidenceTarget, p50: 0.001, p99: 0.004, every: 2 * time.Second, objective: 50 * time.Millisecond, peak: 5000,
		parts: []part{gatewayPart(func(p *part) {
			p.idle, p.perRequest, p.perWakeUp = factor*p.idle, factor*p.perRequest, factor*p.perWakeUp
			p.CPULimitCores, p.prometheus = 2, true
		})},
	}
	change(c)
	c.random, c.now = rand.New(rand.NewPCG(9, 9)), time.Second
	dir := filepath.Join(t.TempDir(), "target")
	run := c.header()
	run.Command = "run"
	var err error
	if c.run, err = record.Create(dir, run, time.Now()); err != nil {
		t.Fatal(err)
	}
	phase := scenarios.Phase{Name: "load", Kind: scenarios.KindLoad, Process: scenarios.Poisson, Rate: scenarios.PerSecond(rps), Duration: 30 * time.Second, Interval: time.Second, Seed: 1}
	if err := c.phase(phase); err != nil {
		t.Fatal(err)
	}
	if err := c.run.Close(record.EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	return openRecord(t, dir)
}

func openRecord(t *testing.T, dir string) *record.Record {
	t.Helper()
	rec, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestCalibrate(t *testing.T) {
	lab := openRecord(t, filepath.Join("testdata", "records", "gateway-quota"))
	alone, err := Analyze(lab)
	if err != nil {
		t.Fatal(err)
	}
	same := func(*chain) {}
	gateway := func(change func(*part)) func(*chain) {
		return func(c *chain) { change(&c.parts[0]) }
	}
	for _, test := range []struct {
		name        string
		factor, rps float64
		change      func(*chain)
		refused     string // why; empty: it is not
	}{
		{"the same", 1, 1000, same, ""},
		{"a third more", 1.33, 1000, same, ""},
		{"at another rate", 1.33, 2000, same, ""},
		{"less", 0.6, 1500, same, ""},
		{"under another name, but the only gateway", 1.33, 1000, gateway(func(p *part) { p.Name = "istio-ingressgateway" }), ""},
		{"spread over two replicas", 1.33, 2000, gateway(func(p *part) { p.Replicas, p.shares = 2, []float64{0.5, 0.5} }), ""},
		{"far more", 2.5, 1000, same, "outside of 0.5 to 2"},
		{"far less", 0.4, 1000, same, "outside of 0.5 to 2"},
		{"throttled", 1.33, 2000, gateway(func(p *part) { p.CPULimitCores = 0.2 }), "throttled"},
		{"no gateway", 1, 1000, gateway(func(p *part) { p.Name, p.Role = "cart", scenarios.RoleControlPlane }), "no component could be compared"},
		{"a late generator", 1, 1000, func(c *chain) { c.lag = 0.04 }, "send lag"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := AnalyzeCalibrated(lab, targetOf(t, test.factor, test.rps, test.change))
			if err != nil {
				t.Fatal(err)
			}
			evidence := record.EvidenceCalibrated
			if test.refused != "" {
				evidence = record.EvidenceLab
			}
			if r.Calibration == nil || r.Evidence != evidence {
				t.Fatalf("evidence %q, want %q; calibration %+v", r.Evidence, evidence, r.Calibration)
			}
			gateway := r.Components[0]
			if test.refused != "" {
				if r.Outcome != Invalid || r.Calibration.Applied || !strings.Contains(r.OutcomeReason, test.refused) || gateway.Replicas != nil {
					t.Errorf("outcome %s: %s; want a refusal that says %q", r.Outcome, r.OutcomeReason, test.refused)
				}
				return
			}
			if r.Outcome != Recommended || !r.Calibration.Applied {
				t.Fatalf("outcome %s: %s", r.Outcome, r.OutcomeReason)
			}
			f := r.Calibration.Components[0].Factor
			// The lab's own model is good to some per cent (TestRecordsFindTheTruth).
			if math.Abs(f.Value/test.factor-1) > 0.05 || f.Low > test.factor || f.High < test.factor || f.High > 1.3*f.Low {
				t.Errorf("factor %.3f (%.3f – %.3f), want %.3f", f.Value, f.Low, f.High, test.factor)
			}
			if got, want := gateway.CPUSecondsPerRequest.Value, f.Value*alone.Components[0].CPUSecondsPerRequest.Value; math.Abs(got/want-1) > 1e-9 {
				t.Errorf("CPU of a request %g, want %g", got, want)
			}
			part := gatewayPart(func(p *part) { p.CPULimitCores = 0.3 })
			want := solve(func(rate float64) bool { _, cores := part.cores(rate, 1); return test.factor*cores >= 0.3 })
			if got := gateway.CPULimitRps.Value; math.Abs(got/want-1) > 0.1 {
				t.Errorf("CPU reaches its limit at %.0f/s, want %.0f/s", got, want)
			}
			// The quota binds at the edge, so the edge moves as much.
			if moved, lab := gateway.SLOEdgeRps.Value/alone.Components[0].SLOEdgeRps.Value, gateway.CPULimitRps.Value/alone.Components[0].CPULimitRps.Value; math.Abs(moved/lab-1) > 0.05 {
				t.Errorf("the edge moves by %.3f, CPU at its limit by %.3f", moved, lab)
			}
			if !(gateway.CapacityPerReplicaRps.Safe() > 0) || gateway.Replicas == nil {
				t.Error("nothing is recommended")
			}
		})
	}
}

// Of a sizing of a target the phases without throttling count.
func TestCalibrateByASizing(t *testing.T) {
	lab := openRecord(t, filepath.Join("testdata", "records", "gateway-quota"))
	r, err := AnalyzeCalibrated(lab, openRecord(t, filepath.Join("testdata", "records", "target-prometheus")))
	if err != nil {
		t.Fatal(err)
	}
	// Both gateways were made with the same costs.
	if f := r.Calibration.Components[0].Factor; r.Outcome != Recommended || math.Abs(f.Value-1) > 0.05 {
		t.Errorf("outcome %s: %s; factor %v, want 1", r.Outcome, r.OutcomeReason, f)
	}
}

// What is not calibrated stays the lab's, and is told.
func TestCalibrateTellsWhatIsNot(t *testing.T) {
	lab := openRecord(t, filepath.Join("testdata", "records", "gateway-quota"))
	r, err := AnalyzeCalibrated(lab, targetOf(t, 1.2, 1000, func(*chain) {}))
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Warnings, "\n")
	for _, want := range []string{"sidecar not calibrated", "service not calibrated", "the proof is of the lab", "calibrated gateway: ", "a factor of 1.2"} {
		if !strings.Contains(said, want) {
			t.Errorf("the warnings do not say %q: %s", want, said)
		}
	}
}
