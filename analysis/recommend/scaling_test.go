package recommend

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/models/hpa"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// scaled returns what is recommended for subject() under a load.
func scaled(t *testing.T, s Subject, load Load) (*HPA, Capacity, *Replicas) {
	t.Helper()
	c := CapacityOf(s)
	replicas, why := ReplicasFor(c, load)
	if replicas == nil {
		t.Fatal(why)
	}
	h, why := HPAFor(s, c, replicas, load)
	if h == nil {
		t.Fatal(why)
	}
	return h, c, replicas
}

func TestHPAFor(t *testing.T) {
	s, load := subject(), Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 3}
	h, c, replicas := scaled(t, s, load)
	resources, _ := ResourcesFor(s, c, replicas, load)
	// 30 000/s over 10 replicas: 0.05 + 100 µs × 3 000 = 0.35 ÷ 0.75 = 467m and the interval.
	if resources.Requests.CPU != "480m" {
		t.Fatalf("request %s, want 480m", resources.Requests.CPU)
	}
	// At its safe rate of nearly 3 250/s a replica uses 0.375 cores, 78 % of the request.
	// With a third of them lost the rest carries half as much again: below 78/1.5 =
	// 52 % that does, and above 52/1.1 = 47 % the tolerance goes beyond.
	if h.TargetCPUUtilization < 35 || h.TargetCPUUtilization > 50 {
		t.Errorf("target %d %%, want 35 to 50", h.TargetCPUUtilization)
	}
	if h.MinReplicas < 2 || h.MinReplicas >= replicas.Value || h.MaxReplicas <= replicas.Value || h.MaxReplicas > 2*replicas.Value {
		t.Errorf("%d to %d replicas, want fewer and more than %d", h.MinReplicas, h.MaxReplicas, replicas.Value)
	}
	trial := h.Trial
	chosen := trial.Candidates[trial.Chosen]
	if chosen.TargetCPUUtilization != h.TargetCPUUtilization || max(chosen.MinReplicas, chosen.LowestReplicas, load.Zones) != h.MinReplicas || !chosen.Holds || chosen.OverSeconds != 0 || chosen.WorstLoad > 1 {
		t.Errorf("chosen %+v, recommended %+v", chosen, h)
	}
	for _, candidate := range trial.Candidates {
		if candidate.Holds && candidate.PodHours < chosen.PodHours {
			t.Errorf("%+v is cheaper than what was chosen, %+v", candidate, chosen)
		}
	}
	if chosen.PodHours >= trial.FixedPodHours || trial.FixedReplicas != replicas.Value || len(trial.Series) < 50 {
		t.Errorf("%g pod-hours with %d moments, want less than %g of %d replicas", chosen.PodHours, len(trial.Series), trial.FixedPodHours, trial.FixedReplicas)
	}
	for _, words := range []string{"from 5\u00a0000/s to the planned 30\u00a0000/s", "rule of thumb", "pod-hours"} {
		if !strings.Contains(h.Reason, words) {
			t.Errorf("reason %q does not say %q", h.Reason, words)
		}
	}
	for _, words := range []string{"one of 3 zones lost", "a replica lost", "a rolling update with 25% missing"} {
		if !strings.Contains(trial.Disturbances, words) {
			t.Errorf("disturbances %q do not name %q", trial.Disturbances, words)
		}
	}
	known := redo(t, "autoscaler", h.Basis)
	if known["target"] != float64(h.TargetCPUUtilization) || known["minReplicas"] != float64(h.MinReplicas) || known["maxReplicas"] != float64(h.MaxReplicas) || known["cheapest"] != chosen.PodHours {
		t.Errorf("the arithmetic ends at %g %%, %g to %g replicas, %g pod-hours; recommended %d %%, %d to %d, %g", known["target"], known["minReplicas"], known["maxReplicas"], known["cheapest"],
			h.TargetCPUUtilization, h.MinReplicas, h.MaxReplicas, chosen.PodHours)
	}
	if above, _ := ReplicasFor(c, Load{PlannedRPS: 45000, PeakRPS: 15000, Zones: 3}); known["replicasAbove"] != float64(above.Value) {
		t.Errorf("%g replicas for half as much again, want %d", known["replicasAbove"], above.Value)
	}
	if h.RunnerUp == "" || h.BoundBy != ByObjective || len(h.WouldChange) != 3 {
		t.Errorf("basis %+v", h.Basis)
	}
}

// jumping is a load that jumps to fifteen times what it was after an hour.
func jumping() []hpa.Point {
	return []hpa.Point{{RPS: 1000}, {At: time.Hour, RPS: 1000}, {At: time.Hour, RPS: 15000}, {At: 3 * time.Hour, RPS: 15000}}
}

// The rule of thumb by hand: the ramp grows by 25 000/s within 900 s from 5 000/s,
// 0.56 % a second; the lag is 30 + 15 + 60 + 15 s. 78 % ÷ 1.1 × (1 − 0.0056 × 120) = 24 %.
func TestRuleOfThumb(t *testing.T) {
	h, c, _ := scaled(t, subject(), Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 3})
	use := subject().Demand.CoresAt(c.Safe()).Low / 0.48
	want := int(100 * use / 1.1 * (1 - 25000.0/900/5000*120))
	if h.Trial.RuleOfThumb != want || want < 20 || want > 25 {
		t.Errorf("rule of thumb %d %%, want %d %%", h.Trial.RuleOfThumb, want)
	}
	last := h.Explain[len(h.Explain)-1]
	if math.Abs(100*last.Result-float64(want)) > 1 || len(last.Values) != 4 {
		t.Errorf("explained as %+v", last)
	}
	// A load that comes at once leaves the formula nothing to say.
	jump := Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1, Scaling: Pattern{Curve: jumping()}}
	if h, _, _ := scaled(t, subject(), jump); h.Trial.RuleOfThumb != 0 || !strings.Contains(h.Reason, "no target is low enough") {
		t.Errorf("rule of thumb %d %%: %s", h.Trial.RuleOfThumb, h.Reason)
	}
}

func TestHPAForLoads(t *testing.T) {
	day := func(shape ...float64) []hpa.Point {
		var out []hpa.Point
		for i, rps := range shape {
			out = append(out, hpa.Point{At: time.Duration(i) * 6 * time.Hour, RPS: rps})
		}
		return out
	}
	base, _, _ := scaled(t, subject(), Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 3})
	oneZone, _, _ := scaled(t, subject(), Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1})
	podHours := func(h *HPA) float64 { return h.Trial.Candidates[h.Trial.Chosen].PodHours }
	for _, test := range []struct {
		name   string
		load   Load
		change func(s *Subject)
		check  func(h *HPA) bool
	}{
		{"one zone needs less in reserve", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1}, nil,
			func(h *HPA) bool { return h.TargetCPUUtilization > base.TargetCPUUtilization }},
		{"a gentle day needs less in reserve", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1, Scaling: Pattern{Curve: day(5, 10, 15, 10, 5)}}, nil,
			func(h *HPA) bool {
				return h.TargetCPUUtilization >= 55 && h.MinReplicas <= 6 && strings.Contains(h.Trial.Load, "your load of 24\u00a0h, from 10\u00a0000/s to the planned 30\u00a0000/s")
			}},
		{"a load that jumps has to be carried all the time", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1, Scaling: Pattern{Curve: jumping()}}, nil,
			func(h *HPA) bool { return h.MinReplicas >= 10 }},
		{"an hour until ready", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1, Scaling: Pattern{Timing: hpa.Timing{StartUp: time.Hour}}}, nil,
			func(h *HPA) bool { return h.MinReplicas >= 10 }},
		{"a little time over is allowed", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 3, Scaling: Pattern{OverAllowed: 0.05}}, nil,
			func(h *HPA) bool {
				return podHours(h) < podHours(base) && strings.Contains(h.Reason, "at most 5\u00a0% of the time")
			}},
		{"never above 75 %", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1}, func(s *Subject) { s.Edge.Value, s.Edge.Low, s.CPULimit = 9000, 9000, 8 },
			func(h *HPA) bool {
				return h.TargetCPUUtilization <= 75 && slices.MaxFunc(h.Trial.Candidates, func(a, b TrialCandidate) int { return a.TargetCPUUtilization - b.TargetCPUUtilization }).TargetCPUUtilization == 75
			}},
		{"above it when one says so", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1, Scaling: Pattern{HighestTarget: 90}}, nil,
			func(h *HPA) bool { return len(h.Trial.Candidates) == 15 }},
		{"two clusters", Load{PlannedRPS: 60000, PeakRPS: 30000, Zones: 1, Clusters: 2}, nil,
			func(h *HPA) bool {
				return strings.Contains(h.Trial.Disturbances, "another cluster lost, and 2 times the load") && h.TargetCPUUtilization <= 40
			}},
		{"few connections", Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1, Connections: 400}, nil,
			func(h *HPA) bool {
				return h.TargetCPUUtilization < oneZone.TargetCPUUtilization && podHours(h) > 1.1*podHours(oneZone)
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := subject()
			if test.change != nil {
				test.change(&s)
			}
			if h, _, _ := scaled(t, s, test.load); !test.check(h) {
				t.Errorf("%d %% from %d to %d: %s\n%+v", h.TargetCPUUtilization, h.MinReplicas, h.MaxReplicas, h.Reason, h.Trial.Candidates)
			}
		})
	}
}

func TestNoHPA(t *testing.T) {
	s, load := subject(), Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 3}
	c := CapacityOf(s)
	replicas, _ := ReplicasFor(c, load)
	if h, why := HPAFor(s, c, nil, load); h != nil || why == "" {
		t.Errorf("without replicas: %+v, %q", h, why)
	}
	without := s
	without.Demand = models.Demand{}
	if h, why := HPAFor(without, c, replicas, load); h != nil || why == "" {
		t.Errorf("without demand: %+v, %q", h, why)
	}
	if h, why := HPAFor(s, c, replicas, Load{PlannedRPS: 30000, PeakRPS: 15000, Scaling: Pattern{Timing: hpa.Timing{Sync: time.Millisecond}}}); h != nil || why == "" {
		t.Errorf("with looks every millisecond: %+v, %q", h, why)
	}
}

// idling is a gateway that uses 0.2 cores without a request, and 60 µs for each.
func idling() Subject {
	s := subject()
	var demand []models.DemandPoint
	for i, rps := range []float64{200, 600, 1200, 1800, 2400} {
		demand = append(demand, models.DemandPoint{RPS: rps, Cores: 0.2 + 60e-6*rps + []float64{0.001, -0.001, 0.001, -0.001, 0.0005}[i], WakeUps: math.NaN()})
	}
	s.Demand = models.FitDemand(demand)
	return s
}

func TestSignalWhereAnIdleReplicaUsesMuch(t *testing.T) {
	s, load := idling(), Load{PlannedRPS: 20000, PeakRPS: 10000, Zones: 1}
	c := CapacityOf(s)
	replicas, _ := ReplicasFor(c, load)
	h, why := HPAFor(s, c, replicas, load)
	if h != nil || !strings.Contains(why, "an idle replica uses 200m already") {
		t.Fatalf("%+v, %q, want no target", h, why)
	}
	signal, why := SignalFor(s, c, replicas, load, nil)
	if signal == nil || signal.Metric != SignalRequests || !signal.Alone || signal.Trial == nil {
		t.Fatalf("%+v, %q", signal, why)
	}
	if signal.ThresholdPerReplica >= c.Safe() || signal.ThresholdPerReplica < c.Safe()/4 || signal.MinReplicas >= replicas.Value {
		t.Errorf("%+v, where %g are safe and %d replicas fixed", signal, c.Safe(), replicas.Value)
	}
	known := redo(t, "signal", *signal.Basis)
	if known["threshold"] != signal.ThresholdPerReplica || known["minReplicas"] != float64(signal.MinReplicas) || known["maxReplicas"] != float64(signal.MaxReplicas) {
		t.Errorf("the arithmetic ends at %g/s, %g to %g replicas, want %+v", known["threshold"], known["minReplicas"], known["maxReplicas"], signal)
	}
	if chosen := signal.Trial.Candidates[signal.Trial.Chosen]; chosen.RPSPerReplica != signal.ThresholdPerReplica || chosen.OverSeconds != 0 {
		t.Errorf("chosen %+v", chosen)
	}
}

func TestSignalBesideCPU(t *testing.T) {
	load := Load{PlannedRPS: 20000, PeakRPS: 10000, Zones: 1}
	for _, test := range []struct {
		name   string
		change func(s *Subject)
		want   float64 // in flight; 0: none
		says   string
	}{
		{"CPU binds", func(*Subject) {}, 0, ""},
		// √(4+100) − 2 = 8.198; its square are 67.2 in flight; ÷ 1.1 = 61.
		{"the pool binds", func(s *Subject) { s.MaxRequests = 100 }, 61, "the connection pool gives out before CPU does"},
		// 80 % of 128 MiB, less 100 MB, are room for 147.5 of 50 kB; ÷ 1.1 = 134.
		{"memory binds", func(s *Subject) {
			s.MemoryLimit, s.Edge, s.CPULimit, s.Concurrency = 128<<20, stat.NotEstimable(0, "x"), 0, 0
		}, 134, "memory gives out before CPU does"},
		{"the edge with CPU at its limit", func(s *Subject) {
			s.Edge.Value, s.Edge.Low, s.EdgeBinds = 2400, 2200, models.BindsCPUQuota
		}, 0, ""},
		{"no objective on latency", func(s *Subject) { s.Edge.Low, s.EdgeBinds, s.Tolerated = 2200, models.BindsPool, 0 }, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := subject()
			test.change(&s)
			h, c, replicas := scaled(t, s, load)
			signal, why := SignalFor(s, c, replicas, load, h)
			if test.want == 0 {
				if signal != nil || why != "" {
					t.Errorf("%+v, %q, want none", signal, why)
				}
				return
			}
			if signal == nil || signal.Metric != SignalInFlight || signal.Alone || signal.ThresholdPerReplica != test.want || !strings.Contains(signal.Reason, test.says) {
				t.Fatalf("%+v, want %g in flight because %s", signal, test.want, test.says)
			}
			if known := redo(t, "signal", *signal.Basis); known["threshold"] != test.want {
				t.Errorf("the arithmetic ends at %g, want %g", known["threshold"], test.want)
			}
			if signal.MinReplicas != h.MinReplicas || signal.MaxReplicas != h.MaxReplicas {
				t.Errorf("%d to %d, want as by CPU, %d to %d", signal.MinReplicas, signal.MaxReplicas, h.MinReplicas, h.MaxReplicas)
			}
		})
	}
	// Where latency binds and no component is at a limit: 2 200/s ÷ 1.1.
	slow := subject()
	slow.Edge.Value, slow.Edge.Low, slow.EdgeBinds = 2400, 2200, models.BindsLatency
	h, c, replicas := scaled(t, slow, load)
	if signal, _ := SignalFor(slow, c, replicas, load, h); signal == nil || signal.Metric != SignalRequests || signal.Alone || signal.ThresholdPerReplica != 2000 {
		t.Errorf("latency binds: %+v, want 2000/s", signal)
	}
	if signal, why := SignalFor(subject(), CapacityOf(subject()), nil, load, nil); signal != nil || why != "" {
		t.Errorf("without replicas %+v, %q", signal, why)
	}
}

func TestWithSidecar(t *testing.T) {
	load := Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 1}
	h, _, _ := scaled(t, subject(), load)
	before := *h
	// A sidecar that carries more changes nothing.
	strong := carrying(9000)
	replicas, _ := ReplicasFor(strong, load)
	if same, why := h.WithSidecar("sidecar", strong, replicas, load); same != h || why != "" {
		t.Errorf("%+v, %q, want what it was", same, why)
	}
	// One that carries half as much asks for about twice the replicas.
	weak := carrying(1600)
	replicas, _ = ReplicasFor(weak, load)
	changed, why := h.WithSidecar("sidecar", weak, replicas, load)
	if changed == nil {
		t.Fatal(why)
	}
	was, is := before.Trial.Candidates[before.Trial.Chosen], changed.Trial.Candidates[changed.Trial.Chosen]
	if changed.MaxReplicas < 19 || is.HighestReplicas < was.HighestReplicas*3/2 || changed.TargetCPUUtilization >= before.TargetCPUUtilization || !strings.Contains(changed.Reason, "sidecar shares the pods and carries 1\u00a0600/s safely") {
		t.Errorf("%d %% from %d to %d, up to %d: %s", changed.TargetCPUUtilization, changed.MinReplicas, changed.MaxReplicas, is.HighestReplicas, changed.Reason)
	}
	if same, _ := h.WithSidecar("sidecar", weak, nil, load); same != h {
		t.Error("changed by a sidecar that is not sized")
	}
}

func TestPatternOf(t *testing.T) {
	got := PatternOf(scenarios.Scaling{
		Load:   []scenarios.RateAt{{At: 0, Rate: scenarios.PerSecond(5)}, {At: time.Hour, Rate: scenarios.PerSecond(9)}},
		Trough: scenarios.PerSecond(3), StartUp: 2 * time.Minute, MetricsEvery: time.Minute, SyncEvery: 20 * time.Second, OverAllowed: 0.01, HighestTarget: 0.8,
	})
	if !slices.Equal(got.Curve, []hpa.Point{{At: 0, RPS: 5}, {At: time.Hour, RPS: 9}}) || got.Trough != 3 || got.OverAllowed != 0.01 || got.HighestTarget != 80 ||
		got.Timing != (hpa.Timing{StartUp: 2 * time.Minute, Scrape: time.Minute, Sync: 20 * time.Second}) {
		t.Errorf("%+v", got)
	}
}

func TestHPAJSON(t *testing.T) {
	h, _, _ := scaled(t, subject(), Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 3})
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back HPA
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(data) || back.Trial.Candidates[0] != h.Trial.Candidates[0] {
		t.Errorf("%v: %s became %s", err, data, again)
	}
}

func TestNeedlessAutoscaler(t *testing.T) {
	if why := (&HPA{MinReplicas: 2, MaxReplicas: 2}).Needless(); !strings.Contains(why, "2 replicas carry even 1.5 times the planned rate") {
		t.Errorf("from 2 to 2: %q", why)
	}
	if why := (&HPA{MinReplicas: 2, MaxReplicas: 3}).Needless(); why != "" {
		t.Errorf("from 2 to 3: %q", why)
	}
	if why := (*HPA)(nil).Needless(); why != "" {
		t.Errorf("of none: %q", why)
	}
}

// TestReplicasStandInTheSimulation: what the formulas recommend for losses holds in the
// simulation as well, with connections that spread unevenly: the lost ones come to
// the replicas that are left, those of a lost cluster too, and pods that are still
// starting spread nothing.
func TestReplicasStandInTheSimulation(t *testing.T) {
	s := subject()
	for _, load := range []Load{
		{PlannedRPS: 8041, PeakRPS: 5000, Zones: 3, Connections: 400},
		{PlannedRPS: 8041, PeakRPS: 5000, Zones: 3, Clusters: 2, ClusterShare: 0.6, Connections: 400},
		{PlannedRPS: 20000, PeakRPS: 10000, Zones: 1, Clusters: 3, Connections: 200},
	} {
		c := carrying(629)
		r, why := ReplicasFor(c, load)
		if r == nil {
			t.Fatal(why)
		}
		request, _ := requestCores(s, operatingRPS(c, r, load))
		a := attempt{subject: s, capacity: c, replicas: *r, load: load, safe: 629, request: request}
		// A target that is never reached: nothing scales.
		o := a.world().Simulate(hpa.Setting{Target: 10000, Min: r.Value, Max: r.Value}, 0)
		if o.OverSeconds > 0 {
			t.Errorf("%+v: %d replicas are above their safe rate for %g s, %.3f of it at the worst", load, r.Value, o.OverSeconds, o.WorstLoad)
		}
	}
}

// Why there are more replicas at the least than the simulation needed is one of two
// things, and they are not confused.
func TestWhyNotFewerReplicas(t *testing.T) {
	for _, test := range []struct {
		name              string
		tried, seen, zone int
		want              string
	}{
		{"as few as hold", 4, 4, 3, ""},
		{"never came down so far", 2, 5, 3, "at least 5: the load never let it come down further"},
		{"one in each zone", 2, 2, 3, "at least 3, one in each zone; 2 would hold"},
		{"zones, and did not come down", 2, 3, 6, "at least 6, one in each zone; 3 would hold"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := attempt{load: Load{Zones: test.zone}}
			best := hpa.Candidate{Setting: hpa.Setting{Min: test.tried, Max: 20}, Outcome: hpa.Outcome{MinPods: test.seen}}
			got := a.leastWords(a.seen(best), best)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
