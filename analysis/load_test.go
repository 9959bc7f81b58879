package analysis

import (
	"math"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// The bounds: a tenth above the mean, and four times the root of the mean for chance.
func TestBackendSpread(t *testing.T) {
	tests := []struct {
		name     string
		backends map[string]int64
		even     bool
		absent   bool
	}{
		{name: "none", absent: true},
		{name: "one", backends: map[string]int64{"a": 1000}, absent: true},
		{name: "even", backends: map[string]int64{"a": 10_000, "b": 10_300}, even: true},
		{name: "a third more", backends: map[string]int64{"a": 10_000, "b": 20_000}},
		{name: "few answers prove nothing", backends: map[string]int64{"a": 10, "b": 20}, even: true},
	}
	for _, tt := range tests {
		got := backendSpread(tt.backends)
		if (got == nil) != tt.absent || got != nil && got.Even != tt.even {
			t.Errorf("%s: got %+v, want even %t, absent %t", tt.name, got, tt.even, tt.absent)
		}
	}
	if got := backendSpread(map[string]int64{"a": 25, "b": 75}); got.LeastShare != 0.25 || got.MostShare != 0.75 || got.Backends != 2 {
		t.Errorf("got %+v, want shares of 25 %% and 75 %%", got)
	}
}

// second is an interval of a load that began at 100 s, with as many answers of one
// latency.
func second(from, to float64, latency time.Duration, n int64) record.SecondLatency {
	at := func(s float64) time.Duration { return 100*time.Second + time.Duration(s*1e9) }
	return record.SecondLatency{Start: at(from), End: at(to), Values: []int64{int64(latency)}, Counts: []int64{n}}
}

func TestStepSummaries(t *testing.T) {
	scenario := scenarios.Scenario{Load: scenarios.Load{Shape: &scenarios.Shape{Steps: []scenarios.StepShape{
		{Rate: scenarios.PerSecond(100), For: 2 * time.Second}, {Rate: scenarios.PerSecond(300), For: time.Second}, {Rate: scenarios.PerSecond(1), For: time.Second},
	}}}}
	load := examined{PhaseData: record.PhaseData{
		Phase: record.Phase{Spec: scenarios.Phase{Duration: 5 * time.Second}, Start: 100 * time.Second, SendEnd: 104 * time.Second, End: 106 * time.Second},
		Seconds: []record.SecondLatency{
			second(0, 1, 10*time.Millisecond, 100), second(1, 1.5, 10*time.Millisecond, 60),
			second(1.5, 2.5, 500*time.Millisecond, 1000), // in two steps: in neither
			second(2.5, 3, 30*time.Millisecond, 150), second(3, 4, 40*time.Millisecond, 2),
			second(4, 5, time.Second, 7), // after the end of sending
		},
	}}
	got := stepSummaries(load, scenario)
	want := []struct{ from, to, intended, achieved, p50, max float64 }{
		{0, 2, 100, 160 / 1.5, 0.010, 0.010}, {2, 3, 300, 300, 0.030, 0.030}, {3, 4, 1, 2, -1, 0.040},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d steps, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.FromSeconds != w.from || g.ToSeconds != w.to || g.IntendedRps != w.intended || g.AchievedRps != w.achieved || math.Abs(g.LatencySeconds["max"].Value-w.max) > 1e-9 {
			t.Errorf("step %d: got %+v, want %+v", i, g, w)
		}
		if p50 := g.LatencySeconds["p50"]; w.p50 > 0 && math.Abs(p50.Value-w.p50) > 1e-9 || w.p50 < 0 && p50.OK() {
			t.Errorf("step %d: p50 %v, want %v", i, p50, w.p50)
		}
	}
	if got := stepSummaries(load, scenarios.Scenario{}); got != nil {
		t.Errorf("without steps: got %v", got)
	}
}

// TestOpeningTimes: of all connections where the record has them, each exactly
// where they are few, and of the first where the record is an older one.
func TestOpeningTimes(t *testing.T) {
	many := &record.Times{Seconds: []float64{0.001, 0.5}, Counts: []int64{9900, 100}}
	few := &record.Times{Seconds: []float64{0.00202}, Counts: []int64{3}}
	first := make([]float64, 1000)
	for i := range first {
		first[i] = 0.001
	}
	tests := []struct {
		name     string
		all      *record.Times
		first    []float64
		n        int64
		p50, max float64
	}{
		{"all of many", many, first, 10_000, 0.001, 0.5},
		{"few", few, []float64{0.00201, 0.002, 0.002}, 3, 0.002, 0.00201},
		{"an older record", nil, first, 1000, 0.001, 0.001},
		{"out of order", &record.Times{Seconds: []float64{2, 1}, Counts: []int64{1000, 1000}}, []float64{3}, 1, 3, 3},
		{"without counts", &record.Times{Seconds: []float64{2, 3}}, []float64{3}, 1, 3, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := openingTimes(tt.all, tt.first)
			if d.N() != tt.n || d.Quantile(0.5) != tt.p50 || d.Max() != tt.max {
				t.Errorf("%d with the median %g and at most %g, want %d, %g, %g", d.N(), d.Quantile(0.5), d.Max(), tt.n, tt.p50, tt.max)
			}
		})
	}
}
