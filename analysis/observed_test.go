package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// production makes samples of two replicas of a gateway, one a minute of ten hours,
// that carry rate(share of the time) each; change alters a replica's sample, or
// leaves it out.
func production(rate func(share float64) float64, change func(replica string, at time.Duration, s *record.Sample) bool) []record.Sample {
	var out []record.Sample
	const whole = 10 * time.Hour
	done := map[string]float64{}
	for at := time.Duration(0); at <= whole; at += time.Minute {
		for _, replica := range []string{"a", "b"} {
			r := rate(float64(at) / float64(whole))
			done[replica] += 60 * r
			s := record.Sample{At: at, Component: "gateway", Replica: replica, Metrics: map[record.Metric]float64{
				record.DownRequests: done[replica], record.CPUSeconds: 0.05*at.Seconds() + 100e-6*done[replica],
			}}
			if change == nil || change(replica, at, &s) {
				out = append(out, s)
			}
		}
	}
	return out
}

var watched = []record.Component{{Name: "service", Role: scenarios.RoleService}, {Name: "gateway", Role: scenarios.RoleGateway, Replicas: 2, CPULimitCores: 0.2}}

func TestChooseWindows(t *testing.T) {
	wave := func(share float64) float64 { return 300 - 200*math.Cos(2*math.Pi*share) }
	all := func(string, time.Duration, *record.Sample) bool { return true }
	for _, test := range []struct {
		name   string
		change func(replica string, at time.Duration, s *record.Sample) bool
		bad    [2]int // windows that are left out, at least and at most
		avoids [2]time.Duration
	}{
		{"all there", all, [2]int{0, 0}, [2]time.Duration{}},
		{"an hour is missing", func(_ string, at time.Duration, _ *record.Sample) bool {
			return at < 4*time.Hour || at > 5*time.Hour
		}, [2]int{6, 9}, [2]time.Duration{4*time.Hour + 16*time.Minute, 5*time.Hour - 16*time.Minute}},
		{"counters begin anew", func(replica string, at time.Duration, s *record.Sample) bool {
			if replica == "a" && at >= 7*time.Hour+8*time.Minute {
				s.Metrics[record.DownRequests] -= 7e6
				s.Metrics[record.CPUSeconds] -= 1500
			}
			return true
		}, [2]int{1, 1}, [2]time.Duration{7*time.Hour + 7*time.Minute, 7*time.Hour + 9*time.Minute}},
		{"a replica goes", func(replica string, at time.Duration, _ *record.Sample) bool {
			return replica == "a" || at < 2*time.Hour+59*time.Minute
		},
			[2]int{1, 1}, [2]time.Duration{2*time.Hour + 58*time.Minute, 3 * time.Hour}},
	} {
		t.Run(test.name, func(t *testing.T) {
			windows, left := ChooseWindows(production(wave, test.change), watched, WindowLength(time.Minute))
			if left < test.bad[0] || left > test.bad[1] {
				t.Errorf("%d windows are left out, want %v", left, test.bad)
			}
			if len(windows) < 30 || len(windows) > mostWindows || !slices.IsSortedFunc(windows, func(a, b Window) int { return int(a.Start - b.Start) }) {
				t.Errorf("%d windows, want from 30 to %d in order of time", len(windows), mostWindows)
			}
			lowest, highest := math.Inf(1), 0.0
			for _, w := range windows {
				lowest, highest = math.Min(lowest, w.Rate()), math.Max(highest, w.Rate())
				if test.avoids[1] > 0 && w.Start < test.avoids[1] && w.End > test.avoids[0] {
					t.Errorf("window from %s to %s is chosen", w.Start, w.End)
				}
			}
			// 200/s and 1 000/s of both replicas together, as means of eight minutes.
			if lowest > 215 && test.bad[0] == 0 || highest < 960 && test.name != "a replica goes" && test.bad[0] < 6 {
				t.Errorf("rates from %.0f/s to %.0f/s, want those from 200/s to 1 000/s", lowest, highest)
			}
		})
	}
}

func TestNothingToChooseFrom(t *testing.T) {
	if windows, left := ChooseWindows(nil, watched, time.Minute); windows != nil || left != 0 {
		t.Errorf("without samples: %v, %d", windows, left)
	}
	uncounted := []record.Sample{{Component: "gateway", Metrics: map[record.Metric]float64{record.CPUSeconds: 1}}}
	if windows, _ := ChooseWindows(uncounted, watched, time.Minute); windows != nil {
		t.Errorf("without requests: %v", windows)
	}
	if got := Entry([]record.Sample{{Component: "service", Metrics: map[record.Metric]float64{record.DownRequests: 1}}}, watched); got != "service" {
		t.Errorf("entry: got %q, want the only one whose requests are counted", got)
	}
}

// What production shows at a tenth of what a replica could carry is believed up to three
// times what one was seen to carry. Replicas carry 500/s at the most, and both together
// 1 000/s; as means of eight minutes a little less.
func TestObservedFarBelow(t *testing.T) {
	for _, test := range []struct {
		name     string
		limit    float64 // cores, of the gateway
		demand   scenarios.Demand
		capacity [2]float64
		boundBy  string
		needed   int // replicas with nothing lost, by the capacity; 0: none are recommended
		says     string
	}{
		// (0.75 × limit − 0.05) ÷ 100 µs.
		{"near", 0.14, scenarios.Demand{}, [2]float64{545, 555}, "cpu-75%", 2, ""},
		{"beyond the range", 0.2, scenarios.Demand{}, [2]float64{990, 1010}, "cpu-75%", 1, ""},
		{"far below its limit", 1, scenarios.Demand{}, [2]float64{1440, 1500}, "3x-observed", 1, ""},
		{"a plan within three times", 1, scenarios.Demand{PeakRate: scenarios.PerSecond(1000), Headroom: 0.5, HorizonMonths: 12, GrowthPerMonth: 0.05}, [2]float64{1440, 1500}, "3x-observed", 2, ""},
		// 1 000/s × 1.5 × 1.1^12 = 4 708/s.
		{"a plan beyond three times", 1, scenarios.Demand{PeakRate: scenarios.PerSecond(1000), Headroom: 0.5, HorizonMonths: 12, GrowthPerMonth: 0.1}, [2]float64{1440, 1500}, "3x-observed", 4, "the 4\u00a0708/s asked for lies beyond 3 times"},
		{"a peak beyond three times", 0.2, scenarios.Demand{PeakRate: scenarios.PerSecond(3100)}, [2]float64{990, 1010}, "cpu-75%", 0, "today's peak of 3\u00a0100/s lies beyond 3 times"},
		// A third of 8 000/s comes to the cluster that is observed.
		{"a peak of three clusters", 0.2, scenarios.Demand{PeakRate: scenarios.PerSecond(8000), Clusters: 3}, [2]float64{990, 1010}, "cpu-75%", 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			wave := func(share float64) float64 { return 300 - 200*math.Cos(2*math.Pi*share) }
			rec := observedRecord(production(wave, nil), func(rec *record.Record) {
				rec.Components = slices.Clone(rec.Components)
				rec.Components[1].CPULimitCores = test.limit
				rec.Scenario.Demand = test.demand
			})
			r, err := Analyze(rec)
			if err != nil {
				t.Fatal(err)
			}
			c := r.Components[1]
			capacity := c.CapacityPerReplicaRps
			if safe := capacity.Safe(); !(safe >= test.capacity[0] && safe <= test.capacity[1]) || capacity.BoundBy != test.boundBy {
				t.Errorf("capacity %g by %q, want it in %v by %q", safe, capacity.BoundBy, test.capacity, test.boundBy)
			}
			if (test.boundBy == "3x-observed" || test.name == "beyond the range") && len(capacity.Warnings) == 0 {
				t.Error("it carries no warning")
			}
			said := r.OutcomeReason + strings.Join(r.Warnings, "\n")
			if !strings.Contains(said, test.says) || test.says == "" && strings.Contains(said, "lies beyond 3 times") {
				t.Errorf("it says %q, want %q", said, test.says)
			}
			if o := r.Observed; o == nil || o.HighestRps < 960 || o.HighestRps > 1000 || o.ReachesRps != 3*o.HighestRps || (o.Reason != "") != (test.says != "") {
				t.Errorf("observed: %+v", o)
			}
			if test.needed == 0 {
				if r.Outcome != Invalid || r.Valid || c.Replicas != nil || c.Resources != nil || c.HPA != nil || r.ConnectionPool != nil {
					t.Errorf("outcome %s with %+v, want nothing recommended", r.Outcome, c.Replicas)
				}
				return
			}
			if covered := !strings.Contains(r.OutcomeReason, "it covers plans up to 3"); covered != (test.says == "") {
				t.Errorf("the answer says %q", r.OutcomeReason)
			}
			if r.Outcome != Recommended || c.Replicas == nil || c.Replicas.CarriesPlannedRate != test.needed {
				t.Errorf("outcome %s with %+v, want %d replicas with nothing lost", r.Outcome, c.Replicas, test.needed)
			}
		})
	}
}

// observedRecord is a record of windows chosen from samples.
func observedRecord(samples []record.Sample, change func(*record.Record)) *record.Record {
	windows, _ := ChooseWindows(samples, watched, WindowLength(time.Minute))
	rec := &record.Record{Run: record.Run{
		Command: "size", Evidence: record.EvidenceObserved, Components: watched, Ended: record.EndedDone,
		Scenario: scenarios.Scenario{
			Target:     &scenarios.Target{URL: "http://127.0.0.1:8080"},
			Objectives: []scenarios.Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}, {ErrorRatio: 0.01}},
		},
	}}
	for i, w := range windows {
		data := record.PhaseData{Phase: w.Phase(i)}
		data.Index = i
		for _, s := range samples {
			if s.At >= w.Start && s.At <= w.End {
				data.Samples = append(data.Samples, s)
			}
		}
		rec.Data = append(rec.Data, data)
	}
	change(rec)
	return rec
}

func TestAnalyzeObserved(t *testing.T) {
	wave := func(share float64) float64 { return 300 - 200*math.Cos(2*math.Pi*share) }
	samples := production(wave, nil)
	latency := func(limit float64) func(*record.Record) {
		return func(rec *record.Record) {
			for i := range rec.Data {
				d := &rec.Data[i]
				d.Latency = record.NewHistogram()
				slow := 20 * time.Millisecond
				if float64(d.Counts.Answered)/d.Window().Seconds() > limit {
					slow = 90 * time.Millisecond
				}
				_ = d.Latency.RecordValues(int64(5*time.Millisecond), d.Counts.Answered*97/100)
				_ = d.Latency.RecordValues(int64(slow), d.Counts.Answered*3/100)
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*record.Record)
		want   Outcome
		end    string
		says   string // among the warnings
	}{
		{"without latency", func(*record.Record) {}, Recommended, "unknown", "no latency was observed"},
		{"the objective held throughout", latency(1e9), Recommended, "not-reached", "buckets"},
		{"the objective was missed", latency(700), Recommended, "reached", "buckets"},
		{"no window", func(rec *record.Record) { rec.Data = nil }, Incomplete, "unknown", ""},
		{"interrupted", func(rec *record.Record) { rec.Ended = record.EndedInterrupted }, Incomplete, "unknown", ""},
		{"nobody came", func(rec *record.Record) {
			for i := range rec.Data {
				rec.Data[i].Counts, rec.Data[i].Samples = record.Counts{}, nil
			}
		}, Invalid, "unknown", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Analyze(observedRecord(samples, test.change))
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != test.want || r.SLOEdge.End != test.end {
				t.Fatalf("outcome %s (%s), edge %s; want %s and %s", r.Outcome, r.OutcomeReason, r.SLOEdge.End, test.want, test.end)
			}
			if !strings.Contains(strings.Join(r.Warnings, "\n"), test.says) {
				t.Errorf("the warnings do not say %q: %q", test.says, r.Warnings)
			}
			for _, o := range r.Objectives {
				if o.Holds != nil {
					t.Errorf("%s: holds is %t, but nothing was tried", o.Text, *o.Holds)
				}
			}
			if test.want != Recommended {
				return
			}
			gateway := r.Components[1]
			if got := gateway.CPUSecondsPerRequest.Value; math.Abs(got-100e-6) > 1e-7 {
				t.Errorf("CPU of a request: got %g, want 100 µs", got)
			}
			if r.Demand.PeakRps < 960 || r.Demand.PeakRps > 1000 || !strings.Contains(r.Demand.Reason, "observed") {
				t.Errorf("peak %.0f/s (%s), want the highest observed", r.Demand.PeakRps, r.Demand.Reason)
			}
			if test.end == "reached" {
				if e := r.SLOEdge.Rps.Value; e < 650 || e > 750 || gateway.CapacityPerReplicaRps.BoundBy != "slo-edge" {
					t.Errorf("edge %.0f/s, capacity bound by %q; want 700/s, which binds", e, gateway.CapacityPerReplicaRps.BoundBy)
				}
			} else if b := gateway.CapacityPerReplicaRps.BoundBy; b != "cpu-75%" {
				t.Errorf("capacity bound by %q: want the CPU", b)
			}
		})
	}
}
