package recommend

import (
	"math"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// sized returns what is recommended for a subject that has to carry 9 000/s.
func sized(t *testing.T, s Subject) *Resources {
	t.Helper()
	load := Load{PlannedRPS: 9000, Zones: 3}
	capacity := CapacityOf(s)
	replicas, _ := ReplicasFor(capacity, load)
	r, why := ResourcesFor(s, capacity, replicas, load)
	if r == nil {
		t.Fatal(why)
	}
	return r
}

func TestResourcesArithmetic(t *testing.T) {
	s := subject()
	s.Memory.PerConnection, s.Memory.MostConnections = stat.Estimate{Value: 18e3, Low: 16e3, High: 20e3, N: 5}, 200
	r := sized(t, s)
	cpu, memory := redo(t, "CPU", *r.CPU), redo(t, "memory", *r.Memory)
	if cpuQuantity(cpu["cpuRequest"]) != r.Requests.CPU || memoryText(memory["memoryRequest"]*mebi) != r.Requests.Memory || memoryText(memory["memoryLimit"]*mebi) != r.Limits.Memory {
		t.Errorf("the arithmetic ends at %v, %v, %v, set is %+v, %+v", cpu["cpuRequest"], memory["memoryRequest"], memory["memoryLimit"], r.Requests, r.Limits)
	}
	// The fit is 100 MB + 50 kB in flight, 150 of them: 107.5 MB, and 4 MB of 200
	// connections: 112Mi and 144Mi. (144 MiB − 107.5 MB) ÷ 20 kB = 2 174, less the intervals.
	if r.Requests.Memory != "112Mi" || r.Limits.Memory != "144Mi" || r.ConnectionsRunOut < 2100 || r.ConnectionsRunOut > 2174 {
		t.Errorf("memory %s, %s, runs out at %d connections", r.Requests.Memory, r.Limits.Memory, r.ConnectionsRunOut)
	}
	if r.CPU.BoundBy != ByUse || r.CPU.RunnerUp != ByCeiling || r.Memory.BoundBy != ByModel {
		t.Errorf("CPU bound by %s, then %s; memory by %s", r.CPU.BoundBy, r.CPU.RunnerUp, r.Memory.BoundBy)
	}
	if r.Concurrency != 1 || !strings.Contains(r.ConcurrencyReason, "one worker thread, as measured") {
		t.Errorf("%d threads: %s", r.Concurrency, r.ConcurrencyReason)
	}
}

func TestResourcesCeiling(t *testing.T) {
	s := subject()
	s.CPULimit = 0.4
	capacity := CapacityOf(s)
	load := Load{PlannedRPS: 3 * capacity.Safe()} // three are full: each uses 75 % of its limit, and so the request is the limit
	replicas, _ := ReplicasFor(capacity, load)
	r, _ := ResourcesFor(s, capacity, replicas, load)
	redo(t, "CPU", *r.CPU)
	if r.Requests.CPU != "400m" || r.Limits.CPU != "400m" {
		t.Errorf("CPU %s of %s, want all of it", r.Requests.CPU, r.Limits.CPU)
	}
}

func TestThrottlingPrice(t *testing.T) {
	s := subject()
	s.Throttling = []ThrottlePoint{{500, 0, 0.002}, {1000, 0.04, 0.0022}, {1500, 0.87, 0.024}, {2000, 1, 0.042}, {1200, 0.1, 0.01}, {0, 1, 0.5}}
	r := sized(t, s)
	// The quota of 300m in a lab: p99 goes from 2.2 ms to 24 ms where it begins to bind.
	if got, want := *r.Throttling, (Throttling{UnthrottledRps: 1000, UnthrottledP99Seconds: 0.0022, ThrottledRps: 1500, ThrottledP99Seconds: 0.024, ThrottledRatio: 0.87}); got != want {
		t.Errorf("price %+v, want %+v", got, want)
	}
	for _, words := range []string{"p99 is 24\u00a0ms at 1\u00a0500/s per replica, where it is throttled in 87\u00a0%", "2.2\u00a0ms at 1\u00a0000/s", "a limit of 1 core"} {
		if !strings.Contains(r.ConcurrencyReason, words) {
			t.Errorf("reason %q does not say %q", r.ConcurrencyReason, words)
		}
	}
	s.Throttling = s.Throttling[:2]
	if r := sized(t, s); r.Throttling.ThrottledRps != 0 || !strings.Contains(r.ConcurrencyReason, "its price was not measured") {
		t.Errorf("without a throttled phase: %+v, %s", r.Throttling, r.ConcurrencyReason)
	}
	s.CPULimit = 0
	if r := sized(t, s); r.Throttling != nil {
		t.Errorf("without a quota: %+v", r.Throttling)
	}
}

// Memory that grows at constant load blocks a size for it, and nothing else.
func TestLeakBlocksMemory(t *testing.T) {
	s := subject()
	s.Memory.Leak, s.Memory.Drift = true, stat.Estimate{Value: 8e3, Low: 6e3, High: 10e3, Confidence: 0.95, N: 20}
	r := sized(t, s)
	if r.Requests.Memory != "" || r.Limits.Memory != "" || r.Memory != nil || r.Requests.CPU == "" {
		t.Errorf("resources %+v, want no memory", *r)
	}
	// 256 MiB − 106 MB in 36 MB an hour at most.
	if r.Leak == nil || math.Abs(r.Leak.HoursToLimit-(268.4e6-s.Memory.Largest)/36e6) > 0.01 || r.Leak.BytesPerHour.Value != 28.8e6 {
		t.Errorf("leak %+v", r.Leak)
	}
	if !strings.Contains(r.Reason, "no fixed size lasts, and none is recommended") {
		t.Errorf("reason %q", r.Reason)
	}
	s.Demand = Subject{}.Demand
	if r, why := ResourcesFor(s, Capacity{}, nil, Load{}); r != nil || !strings.Contains(why, "leak") {
		t.Errorf("with nothing else known: %+v, %q", r, why)
	}
}

func TestControlPlane(t *testing.T) {
	load := Load{Zones: 3}
	for _, test := range []struct {
		name    string
		in      ControlPlane
		load    Load
		want    int
		boundBy string
	}{
		{"one per zone", ControlPlane{}, load, 3, ByZoneLoss},
		{"a single zone", ControlPlane{}, Load{Zones: 1}, 2, ByReplicaLoss},
		// min(15 + 5 × 2, 100) = 25/s; 10 000 ÷ (25 × 60) = 6.67 ≤ R(R − 1): 4.
		{"ten thousand proxies", ControlPlane{Proxies: 10000, Within: 60, Cores: 2}, load, 4, ByReconnect},
		// 18 150 ÷ (25 × 60) = 12.1, just above the 12 of 4 × 3.
		{"just too many proxies for four", ControlPlane{Proxies: 18150, Within: 60, Cores: 2}, load, 5, ByReconnect},
		// 20/s: 100 000 ÷ (20 × 60) = 83.3 ≤ 10 × 9.
		{"many proxies, unknown size", ControlPlane{Proxies: 100000, Within: 60}, load, 10, ByReconnect},
		// 100/s at the most: 100 000 ÷ (100 × 60) = 16.7 ≤ 5 × 4.
		{"many proxies, many cores", ControlPlane{Proxies: 100000, Within: 60, Cores: 64}, load, 5, ByReconnect},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ControlPlaneFor(test.in, test.load)
			if r.Value != test.want || r.BoundBy != test.boundBy {
				t.Errorf("%d replicas bound by %s, want %d by %s: %s", r.Value, r.BoundBy, test.want, test.boundBy, r.Reason)
			}
			redo(t, "control plane", r.Basis)
			if n := float64(r.Value); test.in.Proxies > 0 {
				connects := math.Min(15+5*math.Max(1, test.in.Cores), 100)
				if again := float64(test.in.Proxies) / n / ((n - 1) * connects); again > test.in.Within {
					t.Errorf("the proxies of a lost replica are served again after %.0f s", again)
				}
			}
		})
	}
	s := Subject{Name: "istiod", Role: scenarios.RoleControlPlane, MostCores: 0.3, Memory: subject().Memory}
	r, why := ResourcesFor(s, Capacity{}, nil, Load{})
	if r == nil || r.Requests.CPU != "400m" || r.Requests.Memory == "" || r.Concurrency != 0 {
		t.Errorf("resources %+v %s, want 0.3 cores to be 75 %%, and no worker threads", r, why)
	}
}

func TestStages(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to float64
		want     string
	}{
		{"to a tenth", 1000, 100, "700 490 343 241 169 119 100"},
		{"not quite 30 %", 1000, 700, ""},
		{"just above", 1000, 699, "700 699"},
		{"up", 100, 1000, ""},
		{"to one", 3, 1, "2 1"},
		{"from nothing", 0, 5, ""},
		{"to nothing", 5, 0, ""},
	} {
		got := ""
		for i, v := range stages(test.from, test.to, whole) {
			if i > 0 {
				got += " "
			}
			got += writeWhole(v)
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	s := subject()
	s.Declared = Declared{Replicas: 20, CPURequest: 2, CPULimit: 0.5, MemoryRequest: 1 << 30, MemoryLimit: 1 << 30}
	all := StagesFor(s, &Replicas{Value: 6}, &Resources{Requests: Quantities{CPU: "480m", Memory: "112Mi"}, Limits: Quantities{CPU: "500m", Memory: "144Mi"}})
	if len(all) != 4 || all[0].Setting != "replicas" || strings.Join(all[0].Steps, " ") != "14 10 7 6" || all[1].Setting != "requests.cpu" || strings.Join(all[1].Steps, " ") != "1400m 980m 690m 490m 480m" {
		t.Errorf("stages %+v", all)
	}
	if first, is := First(all, "gateway", "limits.memory"); first != "720Mi" || !is {
		t.Errorf("first step of memory %q, %v", first, is)
	}
	if _, is := First(all, "gateway", "limits.cpu"); is {
		t.Error("what is not reduced has a first step")
	}
	pool := PoolStages(&ConnectionPool{HTTP: PoolHTTP{HTTP2MaxRequests: 500}}, map[string]float64{"http.http2MaxRequests": 1000})
	if len(pool) != 1 || strings.Join(pool[0].Steps, " ") != "700 500" || !strings.Contains(pool[0].Check, "upstream_rq_active_overflow") {
		t.Errorf("stages of the pool %+v", pool)
	}
}

func TestCosts(t *testing.T) {
	gateway := CostItem{
		Name: "gateway", Resources: &Resources{Requests: Quantities{CPU: "500m", Memory: "512Mi"}},
		Today: &Replicas{Value: 4}, Planned: &Replicas{Value: 6},
		Declared: Declared{Replicas: 10, CPURequest: 1, MemoryRequest: 1 << 30},
	}
	prices := scenarios.Prices{CPUHour: 0.04, GiBHour: 0.01, Currency: "EUR"}
	load := Load{PeakRPS: 2000, PlannedRPS: 4800, Headroom: 0.2, GrowthPerMonth: 1, HorizonMonths: 1, Clusters: 2}
	c := CostsFor([]CostItem{gateway, {Name: "service"}}, prices, load, 1000)
	if c == nil {
		t.Fatal("no costs")
	}
	// A replica: 0.5 × 0.04 + 0.5 × 0.01 = 0.025; today 1 × 0.04 + 1 × 0.01 = 0.05. Two
	// clusters: 10 × 0.05, 4 × 0.025 and 6 × 0.025, twice. 3.6 million requests an hour,
	// and twice as many at the end of the horizon.
	for _, of := range []struct {
		name          string
		got           *Cost
		hour, million float64
	}{{"now", c.Now, 1, 1 / 3.6}, {"recommended", c.Recommended, 0.2, 0.2 / 3.6}, {"at the horizon", c.AtHorizon, 0.3, 0.3 / 7.2}} {
		if math.Abs(of.got.PerHour-of.hour) > 1e-12 || math.Abs(of.got.PerMillionRequests-of.million) > 1e-12 {
			t.Errorf("%s %+v, want %g an hour and %g for a million requests", of.name, *of.got, of.hour, of.million)
		}
	}
	redo(t, "costs", c.Basis)
	gateway.Declared = Declared{}
	c = CostsFor([]CostItem{gateway}, prices, load, 0)
	if c.Now != nil || c.RateRps != 2000 || len(c.Notes) != 2 {
		t.Errorf("of nothing declared: %+v", c)
	}
	redo(t, "costs", c.Basis)
	if c := CostsFor([]CostItem{gateway}, scenarios.Prices{}, load, 0); c != nil {
		t.Errorf("without prices: %+v", c)
	}
	if c := CostsFor([]CostItem{{Name: "service"}}, prices, load, 0); c != nil {
		t.Errorf("of nothing sized: %+v", c)
	}
}

// Memory holds the connections that are planned for, where it is known what one takes.
func TestMemoryOfPlannedConnections(t *testing.T) {
	for _, test := range []struct {
		name        string
		connections int
		per         float64 // bytes, of a connection; 0: not known
		memory      [2]string
		boundBy     string
		planned     float64 // on the busiest replica
	}{
		{"not known how many", 0, 20e3, [2]string{"112Mi", "144Mi"}, ByModel, 0},
		{"fewer than in the measurement", 300, 20e3, [2]string{"112Mi", "144Mi"}, ByModel, 100},
		// 6 000 on 3 replicas, placed in turns: 2 000 on each, 1 800 more than were measured:
		// 36 MB beside the 111.5 MB. 147.5 MB = 140.7 MiB, ÷ 0.8 = 175.8 MiB.
		{"more", 6000, 20e3, [2]string{"144Mi", "176Mi"}, ByConnections, 2000},
		{"more, and not known what one takes", 6000, 0, [2]string{"112Mi", "144Mi"}, ByModel, 2000},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := subject()
			s.Memory.MostConnections = 200
			s.Memory.PerConnection = stat.NotEstimable(5, "connections were 200 throughout")
			if test.per > 0 {
				s.Memory.PerConnection = stat.Estimate{Value: test.per, Low: test.per, High: test.per, N: 5}
			}
			load := Load{PlannedRPS: 9000, Zones: 3, Connections: test.connections, Placement: scenarios.PlacementRoundRobin}
			capacity := CapacityOf(s)
			replicas, why := ReplicasFor(capacity, load)
			if replicas == nil || replicas.CarriesPlannedRate != 3 {
				t.Fatalf("replicas %+v (%s), want three with nothing lost", replicas, why)
			}
			r, _ := ResourcesFor(s, capacity, replicas, load)
			redo(t, "memory", *r.Memory)
			if got := [2]string{r.Requests.Memory, r.Limits.Memory}; got != test.memory || r.Memory.BoundBy != test.boundBy {
				t.Errorf("memory %v, bound by %s, want %v, %s", got, r.Memory.BoundBy, test.memory, test.boundBy)
			}
			if test.per > 0 && float64(r.ConnectionsRunOut) < test.planned {
				t.Errorf("it runs out of memory with %d connections, and %g are planned for", r.ConnectionsRunOut, test.planned)
			}
			if said := strings.Contains(r.ConnectionsReason, "demand.connections brings "+PlainNumber(test.planned)); said != (test.planned > 0) {
				t.Errorf("reason %q, want it to name %g connections", r.ConnectionsReason, test.planned)
			}
		})
	}
}
