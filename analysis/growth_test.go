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

// sizedWith analyses the record of a gateway with a quota as if its scenario said
// something else of demand.
func sizedWith(t *testing.T, change func(*record.Record)) Result {
	t.Helper()
	rec, err := record.Open(filepath.Join("testdata", "records", "gateway-quota"))
	if err != nil {
		t.Fatal(err)
	}
	change(rec)
	result, err := Analyze(rec)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestGrowthIsJoinedToTheRecommendation(t *testing.T) {
	still := sizedWith(t, func(*record.Record) {})
	if still.Growth != nil {
		t.Errorf("nothing is said of growth: %+v", still.Growth)
	}
	result := sizedWith(t, func(rec *record.Record) {
		rec.Scenario.Demand.GrowthPerMonth, rec.Scenario.Demand.HorizonMonths = 0.05, 6
	})
	g := result.Growth
	if g == nil || len(g.Limits) == 0 || g.From != "growthPerMonth" || g.PeakRps != result.Demand.PeakRps {
		t.Fatalf("growth %+v", g)
	}
	// What is recommended for the end of the horizon with headroom carries the peak
	// until its end at the least.
	for _, l := range g.Limits {
		if l.By == "replica-maximum" && l.Outcome == "reached" && l.Days.Value < 6*30.4375 {
			t.Errorf("%s reaches its most replicas after %g days, within the time that is planned for", l.Component, l.Days.Value)
		}
	}
	last := g.Reserve[len(g.Reserve)-1]
	if last.Months != 6 || math.Abs(last.PlannedRps/result.Demand.PlannedRps-1) > 0.002 {
		t.Errorf("reserved for %d months: %+v, want the planned rate of %.0f/s", last.Months, last, result.Demand.PlannedRps)
	}
	for i, c := range last.Components {
		if want := result.Components[i].Replicas.Value; c.Component != result.Components[i].Name || c.Replicas != want {
			t.Errorf("reserved at the end of the horizon: %+v, want the %d that are recommended", c, want)
		}
	}
}

// pastOf is a history of days that grows by a share a day.
func pastOf(days int, first, perDay float64) (out []scenarios.RateSample) {
	for day := range days {
		at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, day)
		weekday := 1 - 0.3*float64(day%7)/7
		out = append(out, scenarios.RateSample{At: at, RPS: first * math.Pow(1+perDay, float64(day)) * weekday})
	}
	return out
}

func TestHistoryOfDemandIsPlannedFor(t *testing.T) {
	history := func(rates []scenarios.RateSample, peak float64) Result {
		return sizedWith(t, func(rec *record.Record) {
			rec.Demand = rates
			rec.Scenario.Demand.HorizonMonths = 3
			rec.Scenario.Demand.PeakRate = scenarios.PerSecond(peak)
			rec.Scenario.Demand.Headroom = 0.2
		})
	}
	// 84 days at 0.2 % a day: the last week's highest is day 77, and of 92 days more, up
	// to day 175, that is the last one of the same weekday.
	result := history(pastOf(84, 1000, 0.002), 5000)
	factor := math.Pow(1.002, 175-77)
	if got := result.Demand.GrowthFactor; math.Abs(got/factor-1) > 1e-6 {
		t.Errorf("grows by %.4f until the end of the horizon, want %.4f", got, factor)
	}
	if want := 5000 * 1.2 * factor; math.Abs(result.Demand.PlannedRps/want-1) > 1e-6 {
		t.Errorf("planned for %.0f/s, want %.0f", result.Demand.PlannedRps, want)
	}
	if g := result.Growth; g == nil || g.From != "history" || !strings.Contains(strings.Join(g.Warnings, "; "), "are they of the same traffic?") {
		t.Errorf("growth %+v, want a warning that the peaks are apart", g)
	}
	// Without a stated peak that of the last week counts.
	unstated := history(pastOf(84, 1000, 0.002), 0)
	if want := 1000 * math.Pow(1.002, 77); math.Abs(unstated.Demand.PeakRps/want-1) > 1e-9 || unstated.Components[0].Replicas == nil {
		t.Errorf("a peak of %.0f/s, want %.0f, and replicas for it", unstated.Demand.PeakRps, want)
	}
	// Too short a history plans for no growth, and says so.
	short := history(pastOf(9, 1000, 0.002), 5000)
	if short.Demand.GrowthFactor != 0 || short.Growth == nil || !strings.Contains(short.Growth.Why, "less than two weeks") || short.Demand.PlannedRps != 6000 {
		t.Errorf("of nine days: %+v, %+v", short.Demand, short.Growth)
	}
}
