package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Every metric that runs are compared by, with the margin that the scenario has for it.
// All margins differ here, so that none is taken for another.
func TestMetricsOfRuns(t *testing.T) {
	base, after := loads(t, 4, 1, 0.004), loads(t, 4, 20, 0.004)
	for _, rec := range slices.Concat(base, after) {
		rec.Scenario.Margins = scenarios.Margins{
			LatencyP50: 0.01, LatencyP90: 0.02, LatencyP99: 0.03, ErrorRatio: 0.04,
			HighestRate: 0.05, CPUPerRequest: 0.06, Memory: 0.07, Handshakes: 0.08,
		}
		p := &rec.Data[0]
		p.Connection.TLSVersion, p.Connection.Opened = "TLS 1.3", 12
		rec.Phases[0] = p.Phase
	}
	c, err := CompareRuns(base, after, nil, Pairing{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]compare.Metric{}
	for _, f := range c.Findings {
		got[f.Name] = f.Metric
		if f.Name == "handshakes" && (f.BaseMedian.Value != 12 || f.Verdict != compare.Equivalent) {
			t.Errorf("handshakes: %v, %s", f.BaseMedian, f.Verdict)
		}
		if f.Name == "memory, gateway" && math.Abs(f.BaseMedian.Value/44e6-1) > 0.01 { // what is resident, the larger one
			t.Errorf("memory of the gateway: %v", f.BaseMedian)
		}
	}
	want := map[string]compare.Metric{}
	for _, m := range []compare.Metric{
		{Name: "latency p50", Unit: "seconds", Margin: 0.01}, {Name: "latency p90", Unit: "seconds", Margin: 0.02},
		{Name: "latency p99", Unit: "seconds", Margin: 0.03}, {Name: "latency p99 ÷ p50", Margin: 0.03},
		{Name: "error ratio", Unit: "ratio", Margin: 0.04, Absolute: true}, {Name: "handshakes", Unit: "count", Margin: 0.08},
		{Name: "CPU per request, gateway", Unit: "seconds", Margin: 0.06}, {Name: "memory, gateway", Unit: "bytes", Margin: 0.07},
		{Name: "CPU per request, sidecar", Unit: "seconds", Margin: 0.06}, {Name: "memory, sidecar", Unit: "bytes", Margin: 0.07},
		{Name: "CPU per request, service", Unit: "seconds", Margin: 0.06}, {Name: "memory, service", Unit: "bytes", Margin: 0.07},
	} {
		want[m.Name] = m
	}
	for name, m := range want {
		if got[name] != m {
			t.Errorf("got %+v, want %+v", got[name], m)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d metrics, want %d: %v", len(got), len(want), got)
	}
	// Without TLS there are no handshakes to compare.
	if c, err = CompareRuns(loads(t, 4, 1, 0.004), loads(t, 4, 20, 0.004), nil, Pairing{}); err != nil || verdictOf(c, "handshakes") != "absent" {
		t.Errorf("%v: handshakes without TLS are %s", err, verdictOf(c, "handshakes"))
	}
}

// Sizings are compared by the highest rate that holds: a smaller one is worse.
func TestHighestRateOfRuns(t *testing.T) {
	sizings := func(seed uint64, quota float64) []*record.Record {
		var all []*record.Record
		for i := range 3 {
			w := newWorld(seed + uint64(i))
			w.quota, w.noise = quota, 0.01
			rec := w.sizing()
			rec.Dir = fmt.Sprintf("sizing-%d-%d", seed, i)
			all = append(all, rec)
		}
		return all
	}
	base := sizings(1, 0.3)
	for _, test := range []struct {
		name  string
		quota float64
		want  compare.Verdict
		by    float64 // the rate goes with the quota
	}{{"a third of the CPU less", 0.2, compare.Regressed, -1. / 3}, {"a half more", 0.45, compare.Improved, 0.5}} {
		c, err := CompareRuns(base, sizings(20, test.quota), nil, Pairing{})
		if err != nil {
			t.Fatal(err)
		}
		f := c.Findings[0]
		if f.Name != "highest rate that holds" || f.Unit != "rps" || !f.Higher || f.Margin != 0.05 || f.Verdict != test.want || math.Abs(f.Change.Value-test.by) > 0.1 {
			t.Errorf("%s: %s is %s by %v (%s)", test.name, f.Name, f.Verdict, f.Change, f.Reason)
		}
	}
}

// Each thing in which environments can differ is told, with whether one may want it.
func TestEveryDifferenceOfEnvironments(t *testing.T) {
	for _, test := range []struct {
		what     string
		expected bool
		change   func(*record.Record)
	}{
		{"sailplan", false, func(r *record.Record) { r.Tool.Version = "another" }},
		{"Go of sailplan", false, func(r *record.Record) { r.Tool.GoVersion = "go1.99" }},
		{"kind of evidence", false, func(r *record.Record) { r.Evidence = record.EvidenceEmbedded }},
		{"processors", false, func(r *record.Record) { r.Host.CPUModel = "another" }},
		{"memory of the machine", false, func(r *record.Record) { r.Host.MemoryBytes *= 2 }},
		{"kernel", false, func(r *record.Record) { r.Host.Kernel = "another" }},
		{"target", true, func(r *record.Record) { r.Scenario.Target = &scenarios.Target{URL: "http://another"} }},
		{"proxy of the lab", true, func(r *record.Record) { r.Lab.Kind = "embedded" }},
		{"limits of the lab in force", false, func(r *record.Record) { r.Lab.LimitsEnforced = !r.Lab.LimitsEnforced }},
	} {
		t.Run(test.what, func(t *testing.T) {
			base, after := loads(t, 2, 1, 0), loads(t, 2, 2, 0)
			for _, rec := range after {
				test.change(rec)
			}
			got := differencesBetween(base, after)
			if len(got) != 1 || got[0].What != test.what || got[0].Expected != test.expected || got[0].Base == got[0].New {
				t.Errorf("got %+v, want %s, expected: %t", got, test.what, test.expected)
			}
		})
	}
}

// A run whose requests left too late says nothing of the system, and does not count.
func TestCompareRunsLeavesOutLateGenerators(t *testing.T) {
	base, after := loads(t, 4, 1, 0.004), loads(t, 4, 20, 0.004)
	late := &after[1].Data[0]
	late.SendLag = record.NewHistogram()
	for range late.Counts.Sent {
		if err := late.SendLag.RecordValue(int64(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := CompareRuns(base, after, nil, Pairing{})
	if err != nil || c.New[1].Used || !strings.Contains(c.New[1].WhyNot, "not valid") || !c.New[0].Used {
		t.Errorf("%v: %+v", err, c.New)
	}
	for _, rec := range after {
		rec.Data[0].SendLag = late.SendLag
	}
	if c, err = CompareRuns(base, after, nil, Pairing{}); err != nil || c.Outcome != Invalid || c.OutcomeReason != "no run of the new side is valid" || len(c.Findings) != 0 {
		t.Errorf("%v: %s: %s", err, c.Outcome, c.OutcomeReason)
	}
}
