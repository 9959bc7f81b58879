package analysis

import (
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// After a rollback everything has to be as it was before it; each case is one thing that
// is not.
func TestRestored(t *testing.T) {
	each := func(change func(*record.PhaseData)) func([]*record.Record) {
		return func(all []*record.Record) {
			for _, rec := range all {
				change(&rec.Data[0])
				rec.Phases[0] = rec.Data[0].Phase
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(after []*record.Record)
		off    string // what is not consistent; empty: all is
		reason string
	}{
		{"as before", func([]*record.Record) {}, "", "every backend has its share"},
		{"new pods", each(func(p *record.PhaseData) {
			p.Backends = map[string]int64{"service-8": p.Backends["service-2"], "service-9": p.Backends["service-1"]}
		}), "", "other names, and the same shares"},
		{"a backend gets less", each(func(p *record.PhaseData) {
			n := p.Backends["service-1"] + p.Backends["service-2"]
			p.Backends = map[string]int64{"service-1": n / 5, "service-2": n - n/5}
		}), "routing", "service-1 had 50\u00a0% of the answers, and service-1 has 20\u00a0%"},
		{"a backend is left out", each(func(p *record.PhaseData) {
			p.Backends = map[string]int64{"service-1": p.Backends["service-1"]}
		}), "routing", "2 backends answered, and now it is 1"},
		{"another status", each(func(p *record.PhaseData) {
			p.Statuses = map[int]int64{200: p.Counts.Answered * 9 / 10, 304: p.Counts.Answered / 10}
		}), "statuses", "200 came to 100\u00a0% of the requests, and now to 90\u00a0%"},
		{"a metric is gone", each(func(p *record.PhaseData) {
			p.Samples = slices.Clone(p.Samples)
			for i, s := range p.Samples {
				p.Samples[i].Metrics = map[record.Metric]float64{}
				for name, v := range s.Metrics {
					if s.Component != "gateway" || name != record.WorkingSetBytes {
						p.Samples[i].Metrics[name] = v
					}
				}
			}
		}), "telemetry", "told no more: gateway workingSetBytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, after := loads(t, 6, 1, 0.004), loads(t, 6, 20, 0.004)
			test.change(after)
			c, err := CompareRuns(before, after, nil, Pairing{Restored: true})
			if err != nil {
				t.Fatal(err)
			}
			var off, reasons []string
			for _, each := range c.Consistency {
				if !each.Consistent {
					off = append(off, each.What)
				}
				reasons = append(reasons, each.Reason)
			}
			if strings.Join(off, " ") != test.off || !strings.Contains(strings.Join(reasons, "; "), test.reason) {
				t.Errorf("not consistent: %q, want %q; reasons %q", off, test.off, reasons)
			}
			if (c.Outcome == NotRestored) != (test.off != "") {
				t.Errorf("outcome %s: %s", c.Outcome, c.OutcomeReason)
			}
			// Without the flag the numbers alone decide.
			if c, err = CompareRuns(before, after, nil, Pairing{}); err != nil || c.Outcome == NotRestored || len(c.Consistency) != 3 {
				t.Errorf("%v: without --restored the outcome is %s", err, c.Outcome)
			}
		})
	}
}

func TestMarginsOfTheScenario(t *testing.T) {
	base, after := loads(t, 6, 1, 0.004), loads(t, 6, 40, 0.005)
	for _, rec := range after {
		rec.Scenario.Margins = scenarios.Margins{LatencyP50: 0.5}
	}
	c, err := CompareRuns(base, after, nil, Pairing{})
	if err != nil || verdictOf(c, latencyP50) != compare.Equivalent || verdictOf(c, latencyP90) != compare.Regressed {
		t.Errorf("%v: p50 with a margin of a half is %s, p90 with that of a record from before there were margins %s", err, verdictOf(c, latencyP50), verdictOf(c, latencyP90))
	}
	// What is given by name goes before the scenario.
	if c, err = CompareRuns(base, after, map[string]float64{latencyP50: 0.01}, Pairing{}); err != nil || verdictOf(c, latencyP50) != compare.Regressed {
		t.Errorf("%v: p50 with --margin is %s", err, verdictOf(c, latencyP50))
	}
}

// A service that answers nothing well is worse, whatever its latencies are.
func TestCompareRunsWithoutSuccess(t *testing.T) {
	base, after := loads(t, 6, 1, 0.004), loads(t, 6, 20, 0.004)
	for _, rec := range after {
		p := &rec.Data[0]
		p.Statuses = map[int]int64{503: p.Counts.Answered}
		p.Counts.Bad = p.Counts.Answered
		rec.Phases[0] = p.Phase
	}
	c, err := CompareRuns(base, after, nil, Pairing{})
	if err != nil || c.Outcome != Regression || verdictOf(c, "error ratio") != compare.Regressed {
		t.Errorf("%v: outcome %s (%s), error ratio %s", err, c.Outcome, c.OutcomeReason, verdictOf(c, "error ratio"))
	}
	for _, rec := range after { // nor does anything come back
		p := &rec.Data[0]
		p.Statuses, p.Backends = map[int]int64{}, nil
		p.Counts.Bad, p.Counts.TimedOut, p.Counts.Answered = 0, p.Counts.Sent, 0
		p.Latency, p.Service, p.Seconds, p.ByRequest = record.NewHistogram(), record.NewHistogram(), nil, nil
		rec.Phases[0] = p.Phase
	}
	if c, err = CompareRuns(base, after, nil, Pairing{}); err != nil || c.Outcome != Regression || verdictOf(c, "error ratio") != compare.Regressed {
		t.Errorf("%v: outcome %s (%s), error ratio %s", err, c.Outcome, c.OutcomeReason, verdictOf(c, "error ratio"))
	}
	if _, err := CompareRuns(after[:1], after[1:2], nil, Pairing{}); err != nil {
		t.Errorf("one run a side, and no answer on either: %v", err)
	}
}

func TestMachineSpeed(t *testing.T) {
	base, after := loads(t, 6, 1, 0.004), loads(t, 6, 20, 0.004)
	warned := func() bool {
		c, err := CompareRuns(base, after, nil, Pairing{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, "the generator itself +20\u00a0%") })
	}
	if warned() {
		t.Error("a warning about machines that are equally fast")
	}
	for _, rec := range after {
		rec.Data[0].Generator.CPUSeconds *= 1.2
	}
	if !warned() {
		t.Error("no warning about a machine that was slower by a fifth")
	}
}

// After a restore another version is nothing that was to be compared.
func TestRestoredWithAnotherVersion(t *testing.T) {
	for _, restored := range []bool{false, true} {
		before, after := loads(t, 6, 1, 0.004), loads(t, 6, 20, 0.004)
		for _, rec := range after {
			rec.Lab.EnvoyVersion = "1.39.0"
		}
		c, err := CompareRuns(before, after, nil, Pairing{Restored: restored})
		if err != nil || len(c.Differences) != 1 || c.Differences[0].Expected == restored {
			t.Errorf("%v: restored %t: differences %+v", err, restored, c.Differences)
		}
	}
}
