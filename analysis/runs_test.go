package analysis

import (
	"errors"
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

// loads makes records of a run at 600/s. floor is added to every latency, quota sets
// what the gateway may use.
func loads(t *testing.T, n int, seed uint64, floor float64) []*record.Record {
	t.Helper()
	var all []*record.Record
	for i := range n {
		w := newWorld(seed + uint64(i))
		w.noise, w.floor = 0.01, floor
		rec := &record.Record{Run: w.run(), Dir: fmt.Sprintf("run-%d-%d", seed, i)}
		rec.Command = "run"
		rec.StartedAt = rec.StartedAt.Add(time.Duration(seed)*time.Hour + time.Duration(i)*time.Minute)
		rec.Data = []record.PhaseData{w.phase("load", scenarios.KindLoad, 600, 4*time.Second)}
		rec.Phases = []record.Phase{rec.Data[0].Phase}
		all = append(all, rec)
	}
	return all
}

func verdictOf(c Comparison, name string) compare.Verdict {
	for _, f := range c.Findings {
		if f.Name == name {
			return f.Verdict
		}
	}
	return "absent"
}

func TestCompareRuns(t *testing.T) {
	base := loads(t, 6, 1, 0.004)
	for _, test := range []struct {
		name    string
		after   []*record.Record
		outcome Outcome
		p50     compare.Verdict
	}{
		{"the same", loads(t, 6, 20, 0.004), NothingRegressed, compare.Equivalent},
		{"a millisecond slower", loads(t, 6, 40, 0.005), Regression, compare.Regressed},
		{"a millisecond faster", loads(t, 6, 60, 0.003), NothingRegressed, compare.Improved},
		{"three runs", loads(t, 2, 80, 0.005), Undecided, compare.Inconclusive},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := CompareRuns(base, test.after, nil, Pairing{})
			if err != nil {
				t.Fatal(err)
			}
			if got := verdictOf(c, latencyP50); got != test.p50 {
				t.Errorf("p50 is %s, want %s: %+v", got, test.p50, c.Findings[0])
			}
			if c.Outcome != test.outcome {
				t.Errorf("outcome %s (%s), want %s", c.Outcome, c.OutcomeReason, test.outcome)
			}
			if got := verdictOf(c, "CPU per request, gateway"); got != compare.Equivalent && len(test.after) == 6 {
				t.Errorf("CPU per request of the gateway is %s", got)
			}
		})
	}
}

func TestCompareRunsWithMargin(t *testing.T) {
	c, err := CompareRuns(loads(t, 6, 1, 0.004), loads(t, 6, 40, 0.005), map[string]float64{latencyP50: 0.5}, Pairing{})
	if err != nil || verdictOf(c, latencyP50) != compare.Equivalent {
		t.Errorf("%v: with a margin of a half p50 is %s", err, verdictOf(c, latencyP50))
	}
}

// What a component costs is CPU time divided by answers.
func TestCompareRunsCostOfARequest(t *testing.T) {
	c, err := CompareRuns(loads(t, 6, 1, 0), loads(t, 6, 20, 0), nil, Pairing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Findings {
		want := map[string]float64{"CPU per request, gateway": newWorld(1).gatewayCores(600) / 600, "CPU per request, service": (2*0.01 + 40e-6*600) / 600}[f.Name]
		if want > 0 && math.Abs(f.BaseMedian.Value/want-1) > 0.02 {
			t.Errorf("%s is %g, want %g", f.Name, f.BaseMedian.Value, want)
		}
	}
}

func TestCompareRunsRefuses(t *testing.T) {
	other := loads(t, 2, 40, 0)
	other[1].Scenario.Connections.Count = 9
	_, err := CompareRuns(loads(t, 2, 1, 0), other, nil, Pairing{})
	if !errors.Is(err, ErrOtherScenario) || !strings.Contains(err.Error(), "connections.count is 8 and 9") || !strings.Contains(err.Error(), "run-40-1") {
		t.Errorf("got %v", err)
	}
	if _, err := CompareRuns(nil, other, nil, Pairing{}); err == nil {
		t.Error("a side without runs was taken")
	}
}

func TestCompareRunsLeavesOutWhatDoesNotCount(t *testing.T) {
	base, after := loads(t, 5, 1, 0.004), loads(t, 5, 20, 0.004)
	after[2].Ended = record.EndedInterrupted
	after[3].Data = nil
	c, err := CompareRuns(base, after, nil, Pairing{})
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, run := range c.New {
		if run.Used {
			used++
		} else if run.WhyNot == "" {
			t.Errorf("%s is left out without a reason", run.Dir)
		}
	}
	if used != 3 || c.Outcome == Invalid {
		t.Errorf("%d new runs are used, outcome %s", used, c.Outcome)
	}
	for _, rec := range after {
		rec.Ended = record.EndedInterrupted
	}
	if c, err = CompareRuns(base, after, nil, Pairing{}); err != nil || c.Outcome != Invalid || !strings.Contains(c.OutcomeReason, "the new side") {
		t.Errorf("%v: outcome %s: %s", err, c.Outcome, c.OutcomeReason)
	}
}

func TestDifferencesOfEnvironments(t *testing.T) {
	base, after := loads(t, 1, 1, 0), loads(t, 1, 2, 0)
	if d := differencesBetween(base, after); len(d) != 0 {
		t.Errorf("the same environment differs in %v", d)
	}
	after[0].Host.CPUs = 4
	after[0].Lab.EnvoyVersion = "1.39.0"
	after[0].Lab.Policy[0].Value = "50"
	got := differencesBetween(base, after)
	what := func(d Difference) string { return fmt.Sprintf("%s %s→%s %t", d.What, d.Base, d.New, d.Expected) }
	var names []string
	for _, d := range got {
		names = append(names, what(d))
	}
	want := []string{"processors 2→4 false", "proxy of the lab envoy 1.40.0→envoy 1.39.0 true", "policy connectionPool.http.http2MaxRequests 1000→50 true"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestHistoryOf(t *testing.T) {
	records := append(loads(t, 12, 1, 0.004), loads(t, 12, 30, 0.006)...)
	other := loads(t, 1, 10, 0)[0]
	other.Scenario.Connections.Count = 1
	slices.Reverse(records)
	metrics, skipped, err := HistoryOf(append(records, other), 1)
	if err != nil || len(skipped) != 1 {
		t.Fatalf("%v, %d skipped", err, len(skipped))
	}
	for _, m := range metrics {
		if m.Metric.Name != latencyP50 {
			continue
		}
		if len(m.Past.Changes) != 1 || m.Past.Changes[0].At != 12 || !(m.Past.Changes[0].After > m.Past.Changes[0].Before) {
			t.Errorf("changes of p50: %+v", m.Past)
		}
		return
	}
	t.Error("p50 has no history")
}

// The names of both sides are told where they differ.
func TestComparisonNames(t *testing.T) {
	for _, test := range []struct{ name, base, after, scenario, other string }{
		{"one scenario", "shop", "shop", "shop", ""},
		{"two scenarios", "shop-old", "shop-new", "shop-old", "shop-new"},
		{"the new one has no name", "shop", "", "shop", "an unnamed scenario"},
	} {
		base, after := loads(t, 2, 1, 0.004), loads(t, 2, 20, 0.004)
		for i := range base {
			base[i].Scenario.Metadata.Name, after[i].Scenario.Metadata.Name = test.base, test.after
		}
		for _, paired := range []bool{false, true} {
			c, err := CompareRuns(base, after, nil, Pairing{Paired: paired})
			if err != nil || c.Scenario != test.scenario || c.NewScenario != test.other {
				t.Errorf("%s: %v: %q and %q, want %q and %q", test.name, err, c.Scenario, c.NewScenario, test.scenario, test.other)
			}
		}
	}
}

// Pairs may be of two scenarios: what these ask differently is told, and another load is
// nothing that one would want to compare.
func TestPairsOfTwoScenarios(t *testing.T) {
	base, after := loads(t, 2, 1, 0.004), loads(t, 2, 20, 0.004)
	for _, rec := range after {
		rec.Scenario.Lab = &scenarios.Lab{Gateway: scenarios.LabProxy{Concurrency: 2}}
		rec.Scenario.Connections.Count = 9
	}
	for _, rec := range base {
		rec.Scenario.Lab = &scenarios.Lab{Gateway: scenarios.LabProxy{Concurrency: 1}}
	}
	c, err := CompareRuns(base, after, nil, Pairing{Paired: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{
		{"scenario connections.count", "8", "9", false},
		{"scenario lab.gateway.concurrency", "1", "2", true},
	}
	if !slices.Equal(c.Differences, want) {
		t.Errorf("got %+v, want %+v", c.Differences, want)
	}
}
