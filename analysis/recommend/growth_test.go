package recommend

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models/growth"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// growing is a future that grows by a share a month from 1000/s on 2026-03-01.
func growing(perMonth float64, days int) *Future {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return &Future{Forecast: growth.FromRate(start, 1000, perMonth, days), Scale: 1, From: "growthPerMonth", Months: 6}
}

// sizedItem is a component whose replica safely carries 500/s, bound by its edge, and
// whose CPU reaches its limit at 800/s.
func sizedItem(load Load) GrowthItem {
	item := GrowthItem{
		Subject: Subject{Name: "gateway", Declared: Declared{Replicas: 4}}, Capacity: carrying(500), Load: load,
		CPULimit: stat.Estimate{Value: 800, Low: 700, High: 1000, Confidence: 0.95, N: 9},
	}
	item.Replicas, _ = ReplicasFor(item.Capacity, load)
	return item
}

func limitOf(t *testing.T, g *Growth, by string) Limit {
	t.Helper()
	i := slices.IndexFunc(g.Limits, func(l Limit) bool { return l.By == by })
	if i < 0 {
		t.Fatalf("no limit %s in %+v", by, g.Limits)
	}
	return g.Limits[i]
}

// TestGrowthDates holds the dates to compound interest: n months of 30.4375 days with
// (1 + g)^n = limit ÷ peak.
func TestGrowthDates(t *testing.T) {
	load := Load{PlannedRPS: 2000, PeakRPS: 1000, Zones: 1, MaxUnavailable: "0", MaxSurge: "1", Headroom: 0.2}
	item := sizedItem(load) // 4 carry it, 5 are recommended
	g := GrowthFor(growing(0.05, 730), []GrowthItem{item})
	if g == nil || g.Start != "2026-03-01" || g.PeakRps != 1000 || g.From != "growthPerMonth" {
		t.Fatalf("growth %+v", g)
	}
	day := func(limit float64) float64 { return math.Ceil(math.Log(limit/1000)/math.Log(1.05)*MonthDays) - 1 }
	for _, c := range []struct {
		by       string
		replicas int
		limit    float64
		low      float64 // of the limit
		high     float64
	}{
		// One of 5 may be lost: 4 × 500. One of 4: 3 × 500.
		{ByReplicaMaximum, 5, 2000, 2000, 2000},
		{ByReplicasToday, 4, 1500, 1500, 1500},
		{BoundEdge, 5, 5 * 550, 5 * 500, 5 * 650},
		{ByCPULimit, 5, 5 * 800, 5 * 700, 5 * 1000},
	} {
		l := limitOf(t, g, c.by)
		if math.Abs(l.Rps.Value-c.limit) > 0.01 || l.Replicas != c.replicas {
			t.Errorf("%s is %.1f/s of %d replicas, want %.1f of %d", c.by, l.Rps.Value, l.Replicas, c.limit, c.replicas)
		}
		want, soon, late := day(c.limit), day(c.low), day(c.high)
		date := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(want)).Format(time.DateOnly)
		if want > 730 {
			date = ""
		}
		// Carried rates are found by bisection, so a day may lie on either side.
		if date != "" && (math.Abs(l.Days.Value-want) > 0 || l.Date != date || math.Abs(l.Days.Low-soon) > 0) {
			t.Errorf("%s is reached after %g days from %g, on %s, want %g from %g on %s", c.by, l.Days.Value, l.Days.Low, l.Date, want, soon, date)
		}
		if late <= 730 && l.Days.High != late || late > 730 && !math.IsInf(l.Days.High, 1) {
			t.Errorf("%s is reached after %g days at the latest, want %g", c.by, l.Days.High, late)
		}
	}
	if l := g.Limits[0]; l.By != ByReplicasToday {
		t.Errorf("the first limit is %s, want the one that is reached first", l.By)
	}
	known := redo(t, "growth", g.Basis)
	if known["beforeA"] >= known["limitA"] || known["afterA"] < known["limitA"]*(1-1e-9) {
		t.Errorf("the peak goes from %g to %g on the day that %g is reached", known["beforeA"], known["afterA"], known["limitA"])
	}
	if g.BoundBy != "gateway "+ByReplicasToday || g.RunnerUp != "gateway "+ByReplicaMaximum {
		t.Errorf("bound by %q, then %q", g.BoundBy, g.RunnerUp)
	}
}

// TestGrowthReserve: 1000 × 1.05^m of peak with headroom, carried by ceil(… ÷ 500) and
// one more.
func TestGrowthReserve(t *testing.T) {
	load := Load{PlannedRPS: 2000, PeakRPS: 1000, Zones: 1, MaxUnavailable: "0", MaxSurge: "1", Headroom: 0.2}
	item := sizedItem(load)
	item.Resources = &Resources{Requests: Quantities{CPU: "500m", Memory: "128Mi"}}
	g := GrowthFor(growing(0.05, 730), []GrowthItem{item})
	var months []int
	for _, r := range g.Reserve {
		months = append(months, r.Months)
		days := math.Ceil(float64(r.Months) * MonthDays)
		peak := 1000 * math.Pow(1.05, days/MonthDays)
		replicas := int(math.Ceil(1.2*peak/500)) + 1
		if math.Abs(r.PeakRps.Value-peak) > 0.01 || math.Abs(r.PlannedRps-1.2*peak) > 0.01 || r.Components[0].Replicas != replicas {
			t.Errorf("after %d months %+v, want a peak of %.1f, %d replicas", r.Months, r, peak, replicas)
		}
		if c := r.Components[0]; c.CPUCores != 0.5*float64(replicas) || c.Memory != 128*mebi*float64(replicas) {
			t.Errorf("%d replicas request %g cores, %g bytes", replicas, c.CPUCores, c.Memory)
		}
	}
	if !slices.Equal(months, []int{1, 2, 3, 6}) {
		t.Errorf("reserved for %v months, want up to the six that are planned for", months)
	}
}

// TestGrowthOfClusters: a limit of the busiest cluster is one of its share of the peak.
func TestGrowthOfClusters(t *testing.T) {
	load := Load{PlannedRPS: 2000, PeakRPS: 1000, Zones: 1, Clusters: 2, ClusterShare: 0.6, MaxUnavailable: "0", MaxSurge: "1"}
	g := GrowthFor(growing(0.05, 3650), []GrowthItem{sizedItem(load)})
	// The other cluster lost: all 2 000 ÷ 500 and one more.
	if l := limitOf(t, g, ByCPULimit); l.Replicas != 5 || math.Abs(l.Rps.Value-5*800/0.6) > 0.01 {
		t.Errorf("CPU limit %+v, want 5 × 800 ÷ 0.6", l)
	}
	if l := limitOf(t, g, ByReplicaMaximum); math.Abs(l.Rps.Value-2000) > 0.01 {
		t.Errorf("replica maximum at %.1f/s, want 2000", l.Rps.Value)
	}
}

func TestGrowthThatIsNone(t *testing.T) {
	load := Load{PlannedRPS: 2000, PeakRPS: 1000, Zones: 1}
	if g := GrowthFor(nil, []GrowthItem{sizedItem(load)}); g != nil {
		t.Errorf("without a forecast: %+v", g)
	}
	if g := GrowthFor(growing(0.05, 365), []GrowthItem{{Subject: Subject{Name: "service"}}}); g != nil {
		t.Errorf("without anything sized: %+v", g)
	}
	f := &Future{Forecast: growth.FromHistory(growth.History{}, growth.Options{}), Scale: 1}
	if g := GrowthFor(f, []GrowthItem{sizedItem(load)}); g == nil || !strings.Contains(g.Why, "fewer than two values") || len(g.Limits) != 0 {
		t.Errorf("of no history: %+v", g)
	}
	// Replicas of today that are not as those that were measured say nothing.
	other := sizedItem(load)
	other.Subject.CPULimit, other.Subject.Declared.CPULimit = 0.5, 2
	g := GrowthFor(growing(0.05, 365), []GrowthItem{other})
	if i := slices.IndexFunc(g.Limits, func(l Limit) bool { return l.By == ByReplicasToday }); i >= 0 || !strings.Contains(strings.Join(g.Warnings, "; "), "today have a CPU limit of 2 cores, and it was measured with 500m") {
		t.Errorf("of replicas with another limit: %+v, %q", g.Limits, g.Warnings)
	}
	// A limit that is passed today.
	late := growing(0.05, 365)
	late.Scale = 3
	if l := limitOf(t, GrowthFor(late, []GrowthItem{sizedItem(load)}), ByReplicasToday); l.Outcome != string(growth.Already) || l.Date != "2026-03-01" {
		t.Errorf("a limit below the peak of today: %+v", l)
	}
}

// TestGrowthByHistory: a history without noise has the date on which its formula first
// reaches the limit, and the scale is that of the peak stated.
func TestGrowthByHistory(t *testing.T) {
	start := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC) // a Monday
	rate := func(day int) float64 {
		season := [7]float64{1, 1.02, 1.05, 1.1, 1.2, 0.6, 0.5}
		return 400 * math.Pow(1.002, float64(day)) * season[day%7]
	}
	var h growth.History
	for day := range 84 {
		h.Times, h.Rates = append(h.Times, start.AddDate(0, 0, day)), append(h.Rates, rate(day))
	}
	f := &Future{Forecast: growth.FromHistory(h, growth.Options{Seed: 1, Draws: 50, HorizonDays: 700}), From: "history", Months: 3}
	f.Scale = 1000 / f.Forecast.Highest
	load := Load{PlannedRPS: 2000, PeakRPS: 1000, Zones: 1, MaxUnavailable: "0", MaxSurge: "1"}
	g := GrowthFor(f, []GrowthItem{sizedItem(load)})
	want := 0
	for rate(84+want)*f.Scale < 1500 {
		want++
	}
	l := limitOf(t, g, ByReplicasToday)
	if l.Days.Value != float64(want) || g.DaysOfHistory != 84 || len(g.Weekdays) != 7 || math.Abs(g.PeakRps-1000) > 1e-9 {
		t.Errorf("reached after %g days, want %d; %+v", l.Days.Value, want, g)
	}
	redo(t, "growth of a history", g.Basis)
}
