package reports

import (
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// What was told beforehand is in the document as it was told.
func TestExpectedSection(t *testing.T) {
	section := expectedSection([]compare.Expectation{
		{Metric: compare.Metric{Name: "latency p50", Unit: "seconds"}, Pairs: 12, Detectable: 0.05, Low: 0.04, High: 0.09, From: 4},
		{Metric: compare.Metric{Name: "error ratio", Unit: "ratio", Absolute: true}, Pairs: 12, From: 4},
		{Metric: compare.Metric{Name: "handshakes"}, Pairs: 12, Needs: 13, From: 4},
	})
	table, _ := section.Blocks[0].(Table)
	want := []string{"5 % (4 % … 9 %)", "not known: they are all alike", "none: that takes 13 pairs"}
	for i, row := range table.Rows {
		if got := strings.ReplaceAll(row.Cells[1], "\u00a0", " "); got != want[i] {
			t.Errorf("%s: %q, want %q", row.Cells[0], got, want[i])
		}
	}
	if len(table.Rows) != len(want) || len(expectedSection(nil).Blocks) != 0 {
		t.Errorf("%d rows", len(table.Rows))
	}
}

// The title names both sides where they have different names.
func TestComparisonTitle(t *testing.T) {
	for want, c := range map[string]analysis.Comparison{
		"Comparison of shop":                   {Scenario: "shop"},
		"Comparison of shop-old with shop-new": {Scenario: "shop-old", NewScenario: "shop-new"},
		"Comparison of an unnamed scenario":    {},
	} {
		if got := Comparison(c, Skipped).Title; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What differs beside the measurements is warned of, unless it is what was chosen for a
// comparison side by side.
func TestEnvironmentWarnings(t *testing.T) {
	proxy := analysis.Difference{What: "proxy of the lab", Base: "envoy 1.39.3", New: "envoy 1.40.0", Expected: true}
	kernel := analysis.Difference{What: "kernel", Base: "6.1", New: "6.6"}
	for _, test := range []struct {
		name   string
		paired bool
		given  []analysis.Difference
		warned []string
	}{
		{"nothing", false, nil, nil},
		{"another kernel", false, []analysis.Difference{kernel}, []string{"same conditions"}},
		{"another proxy", false, []analysis.Difference{proxy}, []string{"differ in proxy of the lab"}},
		{"both", false, []analysis.Difference{proxy, kernel}, []string{"same conditions", "differ in proxy of the lab"}},
		{"another proxy side by side", true, []analysis.Difference{proxy}, nil},
		{"both side by side", true, []analysis.Difference{proxy, kernel}, []string{"same conditions"}},
	} {
		var warned []string
		for _, block := range environmentSection(analysis.Comparison{Paired: test.paired, Differences: test.given}).Blocks {
			if note, ok := block.(Note); ok && note.Level == Warning {
				warned = append(warned, note.Text)
			}
		}
		if len(warned) != len(test.warned) {
			t.Errorf("%s: %q", test.name, warned)
			continue
		}
		for i, want := range test.warned {
			if !strings.Contains(warned[i], want) {
				t.Errorf("%s: %q, want %q", test.name, warned[i], want)
			}
		}
	}
}

// A negative number has a true minus, whatever its unit.
func TestChangeHasAMinus(t *testing.T) {
	for _, unit := range []string{"seconds", "ratio", "count"} {
		for _, absolute := range []bool{false, true} {
			f := compare.Finding{Metric: compare.Metric{Unit: unit, Absolute: absolute}, Change: stat.Estimate{Value: -0.104, Low: -0.2, High: -0.01, Confidence: 0.9}}
			if got := changeWords(f); !strings.HasPrefix(got, "−") || strings.Contains(got, "-") {
				t.Errorf("%s, absolute %t: %q", unit, absolute, got)
			}
		}
	}
}

// Two ends are wrong in as many as the interval leaves out: 10 % are two of twenty, 2 % two
// of a hundred.
func TestFindingsCaption(t *testing.T) {
	for want, level := range map[string]float64{"at 90 %, so that each end is wrong in one of 20": 0.9, "at 98 %, so that each end is wrong in one of 100": 0.98} {
		got := findingsCaption([]compare.Finding{{Change: stat.NotEstimable(2, "nothing")}, {Change: stat.Estimate{Confidence: level}}})
		if !strings.HasSuffix(strings.ReplaceAll(got, "\u00a0", " "), want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := findingsCaption(nil); got != "Medians of the runs" {
		t.Errorf("of nothing: %q", got)
	}
}

// What is not as before is a case of its own, which fails where it has to be as before.
func TestConsistencyChecks(t *testing.T) {
	for outcome, want := range map[analysis.Outcome]Status{analysis.NotRestored: Failed, analysis.NothingRegressed: Skipped} {
		section := findingChecks(analysis.Comparison{Outcome: outcome, Consistency: []analysis.Consistency{{What: "routing"}, {What: "statuses", Consistent: true}}}, Skipped)
		checks, _ := section.Blocks[0].(Checks)
		if len(checks.Items) != 2 || checks.Items[0].Status != want || checks.Items[1].Status != Passed {
			t.Errorf("%s: %+v", outcome, checks)
		}
	}
}
