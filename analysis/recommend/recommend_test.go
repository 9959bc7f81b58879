package recommend

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// subject is a gateway with a limit of 500m whose replica costs 0.05 cores and
// 100 µs a request, and whose edge lies at 4 000/s.
func subject() Subject {
	var demand []models.DemandPoint
	var memory []models.MemoryPoint
	for i, rps := range []float64{200, 600, 1200, 1800, 2400} {
		noise := []float64{0.001, -0.001, 0.001, -0.001, 0.0005}[i]
		demand = append(demand, models.DemandPoint{RPS: rps, Cores: 0.05 + 100e-6*rps + noise, WakeUps: math.NaN()})
		memory = append(memory, models.MemoryPoint{Bytes: 100e6 + 50e3*rps*0.05 + 1e4*noise, InFlight: rps * 0.05, Connections: math.NaN()})
	}
	return Subject{
		Name: "gateway", Role: scenarios.RoleGateway, Replicas: 1, Concurrency: 1, CPULimit: 0.5, MemoryLimit: 256 << 20,
		Edge:   stat.Estimate{Value: 4000, Low: 3600, High: 4500, Confidence: 0.95, N: 9},
		Demand: models.FitDemand(demand), Memory: models.FitMemory(memory), Highest: 4400, Tolerated: 0.05, MaxRequests: 1000,
	}
}

func find(c Capacity, bound string) Candidate {
	for _, candidate := range c.Candidates {
		if candidate.BoundBy == bound {
			return candidate
		}
	}
	return Candidate{}
}

func TestCapacity(t *testing.T) {
	none := stat.NotEstimable(0, "the sidecar bound first")
	for _, test := range []struct {
		name     string
		change   func(s *Subject)
		bound    string
		from, to float64 // of the safe rate
	}{
		// (0.75·0.5 − 0.05) ÷ 100 µs = 3 250/s, less the interval.
		{"CPU", func(*Subject) {}, BoundCPU, 3150, 3250},
		{"the edge's safe end", func(s *Subject) { s.Edge = stat.Estimate{Value: 3300, Low: 2000, High: 4000, N: 9} }, BoundEdge, 2000, 2000},
		{"threads below the limit", func(s *Subject) { s.CPULimit = 4; s.Edge = none }, BoundCPU, 6800, 7000},
		// √(4+100) − 2 = 8.198; its square ÷ 50 ms.
		{"a small pool", func(s *Subject) { s.MaxRequests = 100 }, BoundPool, 1344, 1345},
		// (0.8·128 MiB − 100 MB) ÷ 50 kB = 147 in flight ÷ 50 ms.
		{"memory", func(s *Subject) { s.MemoryLimit = 128 << 20; s.Edge, s.CPULimit, s.Concurrency = none, 0, 0 }, BoundMemory, 2900, 2960},
		// The same, and 4 MB of connections: 67 in flight.
		{"memory with connections", func(s *Subject) {
			s.MemoryLimit = 128 << 20
			s.Edge, s.CPULimit, s.Concurrency = none, 0, 0
			s.Memory.PerConnection, s.Memory.MostConnections = stat.Estimate{Value: 20e3, Low: 20e3, High: 20e3, N: 5}, 200
		}, BoundMemory, 1300, 1360},
		{"nothing known", func(s *Subject) {
			s.Edge, s.CPULimit, s.Concurrency, s.MemoryLimit, s.MaxRequests = none, 0, 0, 0, 0
		}, "", math.NaN(), math.NaN()},
		{"an edge without a safe end", func(s *Subject) { s.Edge = stat.Estimate{Value: 100, Low: math.Inf(-1), High: math.Inf(1), N: 2} }, BoundEdge, 0, 0},
		// 75 % of 60m is less than the 50m of idling.
		{"CPU used up at idle", func(s *Subject) { s.CPULimit = 0.06 }, BoundCPU, 0, 0},
		// 80 % of 64 MiB is less than the 100 MB of the base.
		{"memory used up at idle", func(s *Subject) { s.MemoryLimit = 64 << 20 }, BoundMemory, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := subject()
			test.change(&s)
			c := CapacityOf(s)
			if c.BoundBy != test.bound {
				t.Fatalf("bound by %q, want %q: %+v", c.BoundBy, test.bound, c.Candidates)
			}
			if test.bound == "" {
				if c.OK() || !math.IsNaN(c.Safe()) {
					t.Errorf("capacity %+v, want none", c)
				}
				return
			}
			if replicas, why := ReplicasFor(c, Load{PlannedRPS: 10000}); test.to == 0 && (replicas != nil || c.OK() || !strings.Contains(why, c.Candidates[0].Reason)) {
				t.Errorf("capacity %+v, replicas %+v (%s), want none because %s", c.Estimate, replicas, why, c.Candidates[0].Reason)
			}
			if safe := c.Safe(); !(safe >= test.from && safe <= test.to) {
				t.Errorf("safe rate %.1f, want %g to %g", safe, test.from, test.to)
			}
			if len(c.Candidates) != 4 || slices.ContainsFunc(c.Candidates, func(x Candidate) bool { return x.Reason == "" }) {
				t.Errorf("candidates %+v, want four with reasons", c.Candidates)
			}
			if !slices.IsSortedFunc(c.Candidates, func(a, b Candidate) int { return cmp.Compare(orInf(a.Safe), orInf(b.Safe)) }) {
				t.Errorf("candidates do not rise: %+v", c.Candidates)
			}
		})
	}
	s := subject()
	s.CPULimit, s.Highest = 4, 1000
	if got := find(CapacityOf(s), BoundPool); len(got.Rps.Warnings) != 1 {
		t.Errorf("a pool candidate far beyond the measured range has warnings %q, want one", got.Rps.Warnings)
	}
}

// carrying returns a capacity with that safe rate.
func carrying(safe float64) Capacity {
	e := stat.Estimate{Value: safe * 1.1, Low: safe, High: safe * 1.3, N: 9}
	return Capacity{Estimate: e, BoundBy: BoundEdge, Candidates: []Candidate{{BoundBy: BoundEdge, Rps: e, Safe: safe, Reason: "x"}}}
}

func TestReplicasFor(t *testing.T) {
	// By hand: R = ceil(planned ÷ safe), R+1, Z·ceil(R ÷ (Z−1)).
	for _, test := range []struct {
		name                            string
		planned, safe                   float64
		zones                           int
		carries, replica, zone, decided int
	}{
		{"three zones", 12000, 1000, 3, 12, 13, 18, 18},
		{"uneven over three zones", 13000, 1000, 3, 13, 14, 21, 21},
		{"two zones double", 5000, 1000, 2, 5, 6, 10, 10},
		{"one zone", 5000, 1000, 1, 5, 6, 0, 6},
		{"no zones named", 5000, 1000, 0, 5, 6, 0, 6},
		{"one is enough", 10, 1000, 3, 1, 2, 3, 3},
		{"exactly", 3000, 1000, 4, 3, 4, 4, 4},
		{"many zones", 3000, 1000, 10, 3, 4, 10, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, why := ReplicasFor(carrying(test.safe), Load{PlannedRPS: test.planned, Zones: test.zones})
			if r == nil {
				t.Fatal(why)
			}
			got := [4]int{r.CarriesPlannedRate, r.SurvivesReplicaLoss, r.SurvivesZoneLoss, r.Value}
			if want := [4]int{test.carries, test.replica, test.zone, test.decided}; got != want {
				t.Errorf("replicas %v, want %v (%s)", got, want, r.Reason)
			}
			// What the words promise: the rest carries the planned rate.
			if left := r.Value - 1; float64(left)*test.safe < test.planned {
				t.Errorf("%d left carry less than the planned rate", left)
			}
			if z := test.zones; z > 1 {
				worst := (r.Value + z - 1) / z // the fullest zone goes
				if float64(r.Value-worst)*test.safe < test.planned {
					t.Errorf("after a zone %d are left, which carry less than the planned rate", r.Value-worst)
				}
			}
		})
	}
	for _, test := range []struct {
		name     string
		capacity Capacity
		planned  float64
		why      string
	}{
		{"no plan", carrying(1000), 0, "no rate to plan for"},
		{"no capacity", Capacity{Estimate: stat.NotEstimable(0, "x")}, 1000, "not known"},
		{"absurd", carrying(0.01), 1e9, "more than 10000"},
	} {
		if r, why := ReplicasFor(test.capacity, Load{PlannedRPS: test.planned, Zones: 3}); r != nil || !strings.Contains(why, test.why) {
			t.Errorf("%s: %+v, %q, want none because … %q …", test.name, r, why, test.why)
		}
	}
}

func TestResourcesFor(t *testing.T) {
	s := subject()
	c := CapacityOf(s)
	load := Load{PlannedRPS: 9000, PeakRPS: 6000, Zones: 3}
	replicas, _ := ReplicasFor(c, load)
	r, why := ResourcesFor(s, c, replicas, load)
	if r == nil {
		t.Fatal(why)
	}
	// 9 000/s over 3 replicas: 0.05 + 100 µs × 3 000 = 0.35 cores ÷ 0.75 = 467m and the
	// interval; memory 100 MB + 50 kB × 150 = 107.5 MB → 112Mi, ÷ 0.8 → 144Mi.
	want := Resources{Requests: Quantities{CPU: "480m", Memory: "112Mi"}, Limits: Quantities{CPU: "500m", Memory: "144Mi"}}
	if r.Requests != want.Requests || r.Limits != want.Limits {
		t.Errorf("resources %+v, want %+v", *r, want)
	}
	s.CPULimit, s.Concurrency = 0, 0
	if r, _ = ResourcesFor(s, c, replicas, load); r.Limits.CPU != "" || r.Requests.CPU == "" {
		t.Errorf("without a limit: %+v, want a CPU request and no limit", *r)
	}
	if r, why := ResourcesFor(Subject{}, Capacity{}, nil, load); r != nil || why == "" {
		t.Errorf("of nothing known: %+v, %q", r, why)
	}
}

func TestQuantities(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{cpuQuantity(0.291), "300m"}, {cpuQuantity(0.29), "290m"}, {cpuQuantity(2), "2"}, {cpuQuantity(1.001), "1010m"},
		{memoryQuantity(1), "64Mi"}, {memoryQuantity(100 << 20), "112Mi"}, {memoryQuantity(1020 << 20), "1Gi"}, {memoryQuantity(1 << 30), "1Gi"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
	for v, want := range map[float64]int{0: 10, 10: 10, 11: 11, 99.2: 100, 101: 110, 1234: 1300, 1e300: 2000000000, math.NaN(): 10} {
		if got := niceUp(v); got != want {
			t.Errorf("niceUp(%g) = %d, want %d", v, got, want)
		}
	}
}

func TestCapacityJSON(t *testing.T) {
	data, err := json.Marshal(CapacityOf(subject()))
	if err != nil {
		t.Fatal(err)
	}
	var back Capacity
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != string(again) || back.BoundBy != BoundCPU || math.IsNaN(back.Safe()) {
		t.Errorf("%s became %s", data, again)
	}
}
