package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGrowthFromPrometheus asks a real Prometheus for twelve weeks of demand that grows
// by 4 % a month, and holds the dates to what that demand really does.
func TestGrowthFromPrometheus(t *testing.T) {
	const days = 84
	from := time.Now().Add(-8 * time.Hour).Truncate(time.Minute)
	first := from.Truncate(24*time.Hour).AddDate(0, 0, -days)
	weekday := [7]float64{0.6, 1, 1.02, 1.04, 1.1, 1.2, 0.7}
	peak := func(day float64) float64 { // of the day that begins so many days after the first
		return 1500 * math.Pow(1.04, day/30.4375) * weekday[int(first.Weekday()+time.Weekday(day))%7]
	}
	past := "# TYPE demand gauge\n"
	for day := range days {
		for hour := 0; hour < 24; hour += 3 {
			at := first.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
			past += fmt.Sprintf("demand{shop=\"a\"} %.6f %d\n", peak(float64(day))*(0.4+0.6*math.Sin(math.Pi*float64(hour)/24)), at.Unix())
		}
	}
	whole := [2]float64{0, 1}
	half := func(share float64) float64 { return wave(share) / 2 }
	prometheus := backfilled(t, past+production(from, map[string][]replica{
		"steady": {{pod: "a", rate: half, lives: whole}, {pod: "b", rate: half, lives: whole}},
	}))
	scenario := strings.Replace(observedScenario(prometheus, "steady"), "demand: {peakRate: 2000/s}", `demand:
  zones: 1
  history: {query: 'max_over_time(demand{shop="a"}[3h])', last: 2160h}
  today: [{name: gateway, replicas: 3}]`, 1)
	c := watch(t, scenario, "--from", from.UTC().Format(time.RFC3339), "--to", from.Add(observedHours*time.Hour).UTC().Format(time.RFC3339))
	if got := c.wait(); got != 0 {
		t.Fatalf("exit code: got %d, want 0", got)
	}
	r := readJSON[struct {
		Demand struct{ PeakRps, GrowthFactor, PlannedRps float64 }
		Growth struct {
			From, Why     string
			PerMonthRatio struct{ Value *float64 }
			DaysOfHistory int
			Limits        []struct {
				Component, By, Outcome, Date string
				Rps                          struct{ Value *float64 }
			}
		}
	}](t, filepath.Join(c.dir, "run", "recommendation.json"))
	g := r.Growth
	if g.From != "history" || g.Why != "" || g.DaysOfHistory < days-2 || g.DaysOfHistory > days {
		t.Fatalf("growth %+v, want that of %d days", g, days)
	}
	// The logarithm of the trend is a straight line, and there is no noise: what is left
	// is that a window of three hours reaches into the next day.
	if v := g.PerMonthRatio.Value; v == nil || math.Abs(*v-0.04) > 0.002 {
		t.Errorf("grows by %v a month, want 0.04", v)
	}
	looked := false
	for _, l := range g.Limits {
		if l.By != "replicas-today" || l.Rps.Value == nil {
			continue
		}
		looked = true
		day := float64(days)
		for peak(day) < *l.Rps.Value {
			day++
		}
		want := first.AddDate(0, 0, int(day))
		if got, err := time.Parse(time.DateOnly, l.Date); err != nil || math.Abs(got.Sub(want).Hours()) > 8*24 {
			t.Errorf("%s of %s, %.0f/s, is reached on %q, want about %s", l.By, l.Component, *l.Rps.Value, l.Date, want.Format(time.DateOnly))
		}
	}
	if !looked {
		t.Errorf("no limit of today's replicas in %+v", g.Limits)
	}
	if rows, err := os.ReadFile(filepath.Join(c.dir, "run", "demand.csv")); err != nil || strings.Count(string(rows), "\n") < 8*days {
		t.Errorf("the record has not what was asked for: %d bytes, %v", len(rows), err)
	}
	for _, form := range []string{"report.md", "report.html"} {
		if text, err := os.ReadFile(filepath.Join(c.dir, "run", form)); err != nil || !strings.Contains(string(text), "When the peak reaches each limit") {
			t.Errorf("%s does not have the dates (%v)", form, err)
		}
	}
}
