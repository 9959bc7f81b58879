package queue

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Closed networks of textbooks, with the residence times and queue lengths of their
// last population. A residence time is that of all visits.
func TestClosedPublished(t *testing.T) {
	for _, test := range []struct {
		name       string
		network    Closed
		population int
		rps        float64
		residence  []float64
		inStation  []float64
	}{
		{
			// Response times per visit of the book: 0.025, 0.570, 1.140, 1.244.
			name: "Bolch, Greiner, de Meer and Trivedi, Queueing networks and Markov chains, 1998, example 8.3",
			network: Closed{Stations: []Station{
				{DemandSeconds: 0.02}, {DemandSeconds: 0.4 * 0.2}, {DemandSeconds: 0.2 * 0.4}, {DemandSeconds: 0.1 * 0.6},
			}},
			population: 6, rps: 9.920,
			residence: []float64{0.025, 0.4 * 0.570, 0.2 * 1.140, 0.1 * 1.244},
			inStation: []float64{0.244, 2.261, 2.261, 1.234},
		},
		{
			name: "the same book, example 8.4: two servers, two queues, and a delay",
			network: Closed{Stations: []Station{
				{DemandSeconds: 0.5, Servers: 2}, {DemandSeconds: 0.5 * 0.6}, {DemandSeconds: 0.5 * 0.8}, {DemandSeconds: 1, Delay: true},
			}},
			population: 3, rps: 1.218,
			residence: []float64{0.512, 0.5 * 0.776, 0.5 * 1.127, 1},
			inStation: []float64{0.624, 0.473, 0.686, 1.217},
		},
		{
			// Response times per visit: 0.373, 4.854, 0.300.
			name: "Jain, The art of computer systems performance analysis, 1991, example 34.2, p. 577: a timesharing system",
			network: Closed{ThinkSeconds: 4, Stations: []Station{
				{DemandSeconds: 16 * 0.125}, {DemandSeconds: 10 * 0.3}, {DemandSeconds: 5 * 0.2},
			}},
			population: 20, rps: 0.333,
			residence: []float64{16 * 0.373, 10 * 4.854, 5 * 0.300},
			inStation: []float64{1.991, 16.177, 0.500},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			states, err := test.network.Solve(test.population)
			if err != nil {
				t.Fatal(err)
			}
			got := states[len(states)-1]
			if got.Population != test.population || !near(got.RPS/test.rps, 1, 2e-3) {
				t.Errorf("throughput %g with %d, want %g", got.RPS, got.Population, test.rps)
			}
			for k, station := range got.Stations {
				if !near(station.ResidenceSeconds, test.residence[k], math.Max(6e-4, 1e-3*test.residence[k])) {
					t.Errorf("station %d: residence %.4f s, want %.4f", k+1, station.ResidenceSeconds, test.residence[k])
				}
				if !near(station.InStation, test.inStation[k], 1.2e-3) {
					t.Errorf("station %d: %.4f requests, want %.3f", k+1, station.InStation, test.inStation[k])
				}
			}
		})
	}
}

// repairman returns throughput and response time of n clients that think for z
// seconds before c servers, from the birth-death equations of M/M/c//n.
func repairman(n, c int, z, demand float64) (rps, response float64) {
	weight, total, busy := 1.0, 1.0, 0.0
	for j := 1; j <= n; j++ {
		weight *= float64(n-j+1) / z * demand / float64(min(j, c))
		total += weight
		busy += weight * float64(min(j, c))
	}
	rps = busy / total / demand
	return rps, float64(n)/rps - z
}

// The case with which Marzolla's Octave package queueing demonstrates that the usual
// load-dependent recursion breaks down (qncscmva, after Casale, "A note on stable
// flow-equivalent aggregation in closed networks", 2008): eight servers of four
// seconds, ten seconds to think.
func TestClosedIsStable(t *testing.T) {
	for _, test := range []struct {
		name      string
		n, c      int
		z, demand float64
	}{
		{"the published case", 90, 8, 10, 4},
		{"many servers", 200, 64, 1, 0.5},
		{"a delay as long as it gets", 150, 16, 1000, 1},
		{"one server", 60, 1, 5, 0.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			states, err := Closed{ThinkSeconds: test.z, Stations: []Station{{DemandSeconds: test.demand, Servers: test.c}}}.Solve(test.n)
			if err != nil {
				t.Fatal(err)
			}
			for _, state := range states {
				rps, response := repairman(state.Population, test.c, test.z, test.demand)
				if !near(state.RPS/rps, 1, 1e-11) || !near(state.ResponseSeconds/response, 1, 1e-9) {
					t.Fatalf("%d requests: %g a second in %g s, want %g in %g s", state.Population, state.RPS, state.ResponseSeconds, rps, response)
				}
			}
		})
	}
}

// productForm adds up all states of a network one by one: the weight of a state is
// the product of D^j ÷ (1·2·…·min(j, c)…) over stations (Gordon and Newell, "Closed
// queuing systems with exponential servers", 1967). The throughput is the ratio of
// the sums for n−1 and n.
func productForm(network Closed, n int) (rps float64, inStation []float64) {
	stations := append([]Station{{DemandSeconds: network.ThinkSeconds, Delay: true}}, network.Stations...)
	weight := func(s Station, j int) float64 {
		w := 1.0
		for i := 1; i <= j; i++ {
			servers := min(i, s.servers())
			if s.Delay {
				servers = i
			}
			w *= s.DemandSeconds / float64(servers)
		}
		return w
	}
	sums := make([]float64, n+1)
	inStation = make([]float64, len(stations))
	var place func(k, left, population int, w float64, at []int)
	place = func(k, left, population int, w float64, at []int) {
		if k == len(stations)-1 {
			at[k] = left
			w *= weight(stations[k], left)
			sums[population] += w
			for i, j := range at {
				if population == n {
					inStation[i] += w * float64(j)
				}
			}
			return
		}
		for j := 0; j <= left; j++ {
			at[k] = j
			place(k+1, left-j, population, w*weight(stations[k], j), at)
		}
	}
	for population := n - 1; population <= n; population++ {
		place(0, population, population, 1, make([]int, len(stations)))
	}
	for i := range inStation {
		inStation[i] /= sums[n]
	}
	return sums[n-1] / sums[n], inStation[1:]
}

func TestClosedIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	for range 30 {
		network := Closed{ThinkSeconds: random.Float64() * float64(random.IntN(2))}
		for range 1 + random.IntN(4) {
			network.Stations = append(network.Stations, Station{
				DemandSeconds: random.Float64(), Servers: random.IntN(5), Delay: random.IntN(5) == 0,
			})
		}
		n := 1 + random.IntN(8)
		states, err := network.Solve(n)
		if err != nil {
			t.Fatal(err)
		}
		rps, inStation := productForm(network, n)
		got := states[n-1]
		if !near(got.RPS/rps, 1, 1e-11) {
			t.Errorf("%+v with %d: throughput %.12g, want %.12g", network, n, got.RPS, rps)
		}
		for k := range inStation {
			if !near(got.Stations[k].InStation, inStation[k], 1e-10) {
				t.Errorf("%+v with %d: station %d has %g, want %g", network, n, k, got.Stations[k].InStation, inStation[k])
			}
		}
	}
}

// Laws that hold whatever the network: Little's, utilisation, bounds.
func TestClosedLaws(t *testing.T) {
	network := Closed{ThinkSeconds: 2, Stations: []Station{
		{Name: "gateway", DemandSeconds: 0.02, Servers: 2},
		{Name: "sidecar", DemandSeconds: 0.03},
		{Name: "service", DemandSeconds: 0.4, Servers: 16},
		{Name: "network", DemandSeconds: 0.01, Delay: true},
		{Name: "unused", Servers: 4},
	}}
	const n = 2000
	states, err := network.Solve(n)
	if err != nil {
		t.Fatal(err)
	}
	between := network.cycle(n, -1)
	for i, state := range states {
		there := state.RPS * network.ThinkSeconds
		for _, station := range state.Stations {
			there += station.InStation
			if !(station.InStation >= 0) || station.Name != "network" && station.Utilization > 1+1e-9 {
				t.Fatalf("%d requests: %+v", state.Population, station)
			}
		}
		bounds, err := network.Bounds(state.Population)
		if err != nil {
			t.Fatal(err)
		}
		const slack = 1e-9
		if !near(there/float64(state.Population), 1, slack) || !near(state.RPS*between[i], 1, slack) ||
			state.RPS < bounds.LowRPS*(1-slack) || state.RPS > bounds.HighRPS*(1+slack) ||
			state.ResponseSeconds < bounds.LowResponseSeconds*(1-slack) || state.ResponseSeconds > bounds.HighResponseSeconds*(1+slack) {
			t.Fatalf("%d requests: %g are there, %g a second (%g by adding stations), %g s; bounds %+v",
				state.Population, there, state.RPS, 1/between[i], state.ResponseSeconds, bounds)
		}
	}
	if got := states[n-1].RPS; !near(got, 1/0.03, 1e-6) {
		t.Errorf("throughput of %d requests %g, want that of the bottleneck, %g", n, got, 1/0.03)
	}
}

func TestBounds(t *testing.T) {
	// Two stations of 9.2 s and 8 s, 120 s to think, twenty requests: at most 0.109 a
	// second in at least 64 s. From the tests of Marzolla's Octave package queueing;
	// by hand 1 ÷ 9.2 and 20·9.2 − 120.
	network := Closed{ThinkSeconds: 120, Stations: []Station{{DemandSeconds: 9.2}, {DemandSeconds: 8}}}
	bounds, err := network.Bounds(20)
	if err != nil || !near(bounds.HighRPS, 0.1087, 1e-4) || !near(bounds.LowResponseSeconds, 64, 1e-9) {
		t.Errorf("bounds %+v, %v", bounds, err)
	}
	if !near(bounds.LowRPS, 20.0/(120+20*17.2), 1e-12) || !near(bounds.HighResponseSeconds, 20*17.2, 1e-9) {
		t.Errorf("bounds %+v, want n ÷ (Z + nD) = %g and nD = %g", bounds, 20.0/464, 344.0)
	}
	if knee, err := network.Knee(); err != nil || !near(knee, 137.2/9.2, 1e-12) {
		t.Errorf("knee %g, %v, want %g", knee, err, 137.2/9.2)
	}
	// Where nobody waits, the others do not matter: 5 s more of a delay.
	delayed := Closed{ThinkSeconds: 120, Stations: append([]Station{{DemandSeconds: 5, Delay: true}}, network.Stations...)}
	bounds, err = delayed.Bounds(20)
	if err != nil || !near(bounds.LowRPS, 20.0/(125+20*17.2), 1e-12) || !near(bounds.HighResponseSeconds, 5+20*17.2, 1e-9) {
		t.Errorf("bounds with a delay %+v, %v", bounds, err)
	}
	network.Stations[0].Servers = 4
	if knee, err := network.Knee(); err != nil || !near(knee, 137.2/8, 1e-12) {
		t.Errorf("knee with four servers at the first %g, %v, want %g", knee, err, 137.2/8)
	}
	if knee, err := (Closed{ThinkSeconds: 1}).Knee(); err != nil || !math.IsInf(knee, 1) {
		t.Errorf("knee without queues %g, %v, want none", knee, err)
	}
}

func TestClosedRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		network Closed
		n       int
		want    string
	}{
		{"nobody", Closed{ThinkSeconds: 1}, 0, "0 requests"},
		{"a negative demand", Closed{Stations: []Station{{Name: "db", DemandSeconds: -1}}}, 1, `station 1 "db": demand -1`},
		{"a demand that is not a number", Closed{Stations: []Station{{DemandSeconds: math.NaN()}}}, 1, "demand NaN"},
		{"negative servers", Closed{Stations: []Station{{DemandSeconds: 1, Servers: -1}}}, 1, "-1 servers"},
		{"no demand at all", Closed{Stations: []Station{{}}}, 1, "no station has a demand"},
		{"endless thinking", Closed{ThinkSeconds: math.Inf(1)}, 1, "time to think"},
		{"more than can be solved", Closed{Stations: []Station{{DemandSeconds: 1, Servers: 1 << 16}}}, 1 << 16, "too many"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.network.Solve(test.n); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if _, err := test.network.Bounds(test.n); err == nil {
				t.Error("Bounds: no error")
			}
		})
	}
}
