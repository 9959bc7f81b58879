package reports_test

import (
	"math"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports"
)

// section returns the blocks of a section as text.
func section(d reports.Document, title string) string {
	var text strings.Builder
	for _, s := range d.Sections {
		if s.Title != title {
			continue
		}
		for _, b := range s.Blocks {
			switch b := b.(type) {
			case reports.Table:
				for _, row := range b.Rows {
					text.WriteString(strings.Join(row.Cells, " | ") + "\n")
				}
			case reports.KeyValues:
				for _, item := range b.Items {
					text.WriteString(item.Key + ": " + item.Value + "\n")
				}
			case reports.Note:
				text.WriteString(b.Text + "\n")
			}
		}
	}
	return strings.ReplaceAll(text.String(), "\u00a0", " ")
}

func exactly(v float64) stat.Estimate { return stat.Estimate{Value: v, Low: v, High: v, N: 9} }

func TestGrowthSection(t *testing.T) {
	result := samples()["recommended"]
	result.Growth = &analysis.Growth{
		From: "history", Start: "2026-03-01", HorizonDays: 365, PeakRps: 1000, Shape: "exponential", DaysOfHistory: 84,
		PerMonth: stat.Estimate{Value: 0.04, Low: 0.03, High: 0.05, Confidence: 0.95, N: 84}, Weekdays: []float64{0.6, 1, 1, 1.1, 1, 1.3, 0.7},
		Limits: []recommend.Limit{
			{Component: "gateway", By: recommend.ByReplicasToday, Rps: exactly(900), Outcome: "already reached", Date: "2026-03-01", Why: "the 4 replicas of today"},
			{Component: "gateway", By: recommend.ByReplicaMaximum, Rps: exactly(1200), Outcome: "reached", Days: exactly(140), Date: "2026-07-19", Earliest: "2026-06-10", Latest: "", Why: "86 replicas"},
			{Component: "gateway", By: recommend.ByCPULimit, Rps: exactly(9000), Outcome: "not within the horizon", Days: stat.NotEstimable(84, "x"), Why: "too far"},
		},
		Reserve:  []recommend.Reserve{{Months: 3, Date: "2026-06-01", PeakRps: exactly(1125), PlannedRps: 1350, Components: []recommend.ReserveOfPart{{Component: "gateway", Replicas: 7, CPUCores: 2.1, Memory: 512 << 20}}}},
		Warnings: []string{"the season rests on fewer than four weeks"},
	}
	got := section(reports.Sizing(result, nil), "Growth")
	for _, want := range []string{
		"by 4 % (3 % – 5 %) a month from a weekly peak of 1 000/s up to 2026-03-01, exponential, as 84 days of history show; Friday is the busiest day, 130 % of the mean",
		"gateway | replicas-today | 900/s | reached already | – |",
		"gateway | replica-maximum | 1 200/s | 2026-07-19 | 2026-06-10 – later than 365 days | 86 replicas",
		"Not within 365 days: gateway cpu-limit (9 000/s).",
		"2026-06-01 (3 mo.) | 1 125/s | 1 350/s | gateway 7 (2.1 cores, 512 MiB)",
		"Growth: the season rests on fewer than four weeks",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for rps := 10000.0; rps <= 14000; rps += 1000 {
		result.Growth.Limits = append(result.Growth.Limits, recommend.Limit{Component: "sidecar", By: recommend.ByCPULimit, Rps: exactly(rps), Outcome: "not within the horizon", Days: stat.NotEstimable(84, "x")})
	}
	if long, want := section(reports.Sizing(result, nil), "Growth"), "sidecar cpu-limit (11 000/s), and 3 more at higher rates."; !strings.Contains(long, want) {
		t.Errorf("no %q in\n%s", want, long)
	}
	if strings.Contains(got, "too far") {
		t.Errorf("what is too far has a row of its own:\n%s", got)
	}
	result.Growth = &analysis.Growth{Why: "the history has 9 whole days"}
	if got := section(reports.Sizing(result, nil), "Growth"); got != "Nothing is known of growth: the history has 9 whole days.\n" {
		t.Errorf("got %q", got)
	}
}

func TestRatesSideBySide(t *testing.T) {
	result := samples()["recommended"]
	off := -0.05
	inf := math.Inf(1)
	result.Rates = []analysis.SideBySide{
		{Rate: analysis.RateOfEdge, Forecast: exactly(950), Fitted: exactly(980), Measured: exactly(1000), ForecastError: &off},
		{Rate: analysis.RateOfCPULimit, Component: "gateway", Forecast: exactly(800), Fitted: exactly(820), Measured: stat.Estimate{Value: 750, Low: 700, High: 800, Confidence: 0.95, N: 9}},
		{
			Rate: analysis.RateOfSaturation, Component: "gateway", Forecast: exactly(2000), Fitted: stat.NotEstimable(0, "a fit does not tell"),
			Measured: stat.Estimate{Value: 1300, Low: 1300, High: inf, Confidence: 0.95, N: 9, Warnings: []string{"not reached"}},
		},
	}
	got := section(reports.Sizing(result, nil), "Three capacities")
	for _, want := range []string{
		"objectives hold up to | 950/s | 980/s | 1 000/s | −5 % | –",
		"CPU of gateway at its limit | 800/s | 820/s | 750/s (700 – 800) | – | –",
		"answered at most | 2 000/s | – | above 1 300/s | – | –",
		"answered at most, fitted: a fit does not tell",
		"answered at most, measured: not reached",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestSweepDocument(t *testing.T) {
	sweep := analysis.Sweep{
		Scenario: "shop", Evidence: "lab", PlannedRps: 6000, Outcome: analysis.Recommended, OutcomeReason: "the least", Chosen: 1, Warnings: []string{"either will do"},
		Runs: []analysis.SweptRun{
			{Concurrency: 1, CPULimitCores: 0.3, Outcome: analysis.Contradicted, MeasuredRps: exactly(1600), Replicas: 20, WhyNot: "its proof contradicts its prediction"},
			{Concurrency: 2, Outcome: analysis.Recommended, MeasuredRps: exactly(5000), Replicas: 4, CPUCores: 2.4, CostPerHour: 0.1017},
		},
		Prices: []analysis.QuotaPrice{{With: 0, Without: 1, WithRps: 1200, WithoutRps: 1300, ThrottledRatio: 0.9, WithSeconds: 0.046, WithoutSeconds: 0.022}},
	}
	d := reports.Sweep(sweep)
	got := section(d, "Answer") + section(d, "What the quota costs")
	for _, want := range []string{
		"1 thread, CPU limit 300m | 1 600/s |", "its proof contradicts its prediction", "2 threads, no CPU limit | 5 000/s |", "chosen, 0.1017 an hour", "either will do.",
		"1 thread, CPU limit 300m | 1 200/s | 90 % | 46 ms | 2 threads, no CPU limit | 1 300/s | 22 ms",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	verdict := func(outcome analysis.Outcome) reports.Verdict {
		sweep.Outcome = outcome
		return reports.Sweep(sweep).Sections[0].Blocks[0].(reports.Verdict)
	}
	if v := verdict(analysis.Recommended); v.Status != reports.Passed || !strings.Contains(v.Text, "2 threads, no CPU limit") {
		t.Errorf("verdict %+v", v)
	}
	for _, outcome := range []analysis.Outcome{analysis.Infeasible, analysis.Contradicted} {
		if v := verdict(outcome); v.Status != reports.Failed {
			t.Errorf("%s: %+v", outcome, v)
		}
	}
	if v := verdict(analysis.Invalid); v.Status != reports.Unknown {
		t.Errorf("invalid: %+v", v)
	}
}

// TestRecordsWordsAreSaidOnce: the result repeats the notes and warnings of its record.
func TestRecordsWordsAreSaidOnce(t *testing.T) {
	result := samples()["recommended"]
	result.Warnings = []string{"a note", "the record ends early", "of the result alone"}
	rec := &record.Record{Run: record.Run{Notes: []string{"a note"}}, Warnings: []string{"the record ends early"}}
	for _, from := range []*record.Record{rec, nil} {
		got := section(reports.Sizing(result, from), "Validity and warnings")
		for _, once := range result.Warnings {
			if strings.Count(got, once) != 1 {
				t.Errorf("%q is there %d times, want once in\n%s", once, strings.Count(got, once), got)
			}
		}
	}
}
