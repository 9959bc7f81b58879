package proxy

import (
	"math"
	"slices"
	"testing"
)

var cheap = Server{Cost: Cost{Idle: 0.01, PerRequest: 70e-6, PerWakeUp: 90e-6}, Threads: 1, WakeDelay: 60e-6, Events: 2}

func TestSimulationAgreesWithTheFormulaWithoutAQuota(t *testing.T) {
	for _, threads := range []int{1, 2} {
		server := cheap
		server.Threads, server.Cold = threads, 200e-6
		for _, rps := range []float64{200, 1000, 3000, 6000} {
			// An answer that takes long falls on an independent state of the thread.
			o := Simulate(server, Load{RPS: rps, Upstream: []float64{0.004, 0.006, 0.011}}, 40_000, 3)
			cores, wakeUps := server.Steady(rps)
			if math.Abs(o.Cores/cores-1) > 0.03 || math.Abs(o.WakeUps/wakeUps-1) > 0.05 {
				t.Errorf("%d threads, %v/s: got %.3f cores and %.0f wake-ups, the formula has %.3f and %.0f", threads, rps, o.Cores, o.WakeUps, cores, wakeUps)
			}
		}
	}
}

// At 100/s requests are 10 ms apart, of which half of the cost of being cold is paid, and
// at 900/s a tenth; busier threads sleep a little less.
func TestColdRequestsCostMore(t *testing.T) {
	for rps, share := range map[float64]float64{100: 0.5, 900: 0.1} {
		load := Load{RPS: rps, Upstream: []float64{0.004, 0.006, 0.011}}
		cold := cheap
		cold.Cold = 300e-6
		hot, o := Simulate(cheap, load, 40_000, 3), Simulate(cold, load, 40_000, 3)
		spared := (hot.WakeUps - o.WakeUps) * cheap.PerWakeUp
		if each, want := (o.Cores-hot.Cores+spared)/rps, share*300e-6; math.Abs(each/want-1) > 0.03 {
			t.Errorf("%v/s: got %.1f µs more for each request, want %.1f", rps, each*1e6, want*1e6)
		}
	}
}

func TestQuotaIsUsedUpAndNotExceeded(t *testing.T) {
	for _, threads := range []int{1, 2} {
		server := cheap
		server.Threads, server.Quota = threads, 0.25
		demand, _ := server.Steady(2200)
		o := Simulate(server, Load{RPS: 2200, Upstream: []float64{0.005}}, 60_000, 1)
		if demand < 0.3 || math.Abs(o.Cores-0.25) > 0.005 || o.Throttled < 0.9 {
			t.Errorf("%d threads: a demand of %.3f cores under a quota of 0.25: got %.3f cores, %.2f of the periods throttled, want all of the quota", threads, demand, o.Cores, o.Throttled)
		}
	}
}

// With a quota of q on one thread a stall lasts (1 − q) of a period at most, and a
// request meets one on its way out and another on its way back.
func TestStallsAreAsLongAsWhatTheQuotaLeaves(t *testing.T) {
	server := cheap
	server.Quota = 0.3
	o := Simulate(server, Load{RPS: 3000, Upstream: []float64{0.005}}, 50_000, 1)
	longest := slices.Max(o.Latency)
	if longest < 0.05 || longest > 2*(1-0.3)*Period+0.03 {
		t.Errorf("got a longest latency of %.3f s, want more than a half stall and less than two", longest)
	}
}

func TestSaturationIsWhatIsAnsweredAtMost(t *testing.T) {
	server := cheap
	server.Quota, server.Cold = 0.3, 1e-3
	within := Simulate(server, Load{RPS: 0.95 * server.Saturation()}, 80_000, 1)
	beyond := Simulate(server, Load{RPS: 1.1 * server.Saturation()}, 80_000, 1)
	// Beyond it a queue grows by a tenth of the time that arrivals take.
	grown := 0.1 / 1.1 * 80_000 / server.Saturation()
	if p99 := within.Quantile(0.99); p99 > 0.6 {
		t.Errorf("below saturation: got p99 %.2f s, want no growing queue", p99)
	}
	if p99 := beyond.Quantile(0.99); p99 < 0.7*grown {
		t.Errorf("beyond saturation: got p99 %.2f s, want a queue that has grown to some %.2f s", p99, grown)
	}
}

func TestSimulationsRepeat(t *testing.T) {
	a := Simulate(cheap, Load{RPS: 1000, Upstream: []float64{0.005, 0.01}}, 2000, 7)
	b := Simulate(cheap, Load{RPS: 1000, Upstream: []float64{0.005, 0.01}}, 2000, 7)
	if !slices.Equal(a.Latency, b.Latency) {
		t.Error("the same seed gave different latencies")
	}
}

func TestEdgeLiesWhereTheObjectiveBreaks(t *testing.T) {
	server := cheap
	server.Quota = 0.3
	upstream := []float64{0.004, 0.005, 0.006, 0.01, 0.02}
	edge := Edge(server, upstream, 0.99, 0.05, 0, Requests, 1)
	near := Edge(server, upstream, 0.99, 0.05, edge*0.8, Requests, 1)
	if math.Abs(near/edge-1) > 0.02 {
		t.Errorf("from nearby got %.0f/s, from far %.0f/s", near, edge)
	}
	for _, c := range []struct {
		share float64
		holds bool
	}{{0.9, true}, {1.1, false}} {
		p99 := Simulate(server, Load{RPS: c.share * edge, Upstream: upstream}, 60_000, 99).Quantile(0.99)
		if (p99 <= 0.05) != c.holds {
			t.Errorf("at %.1f of the edge of %.0f/s: got p99 %.3f s, want holds %v", c.share, edge, p99, c.holds)
		}
	}
	server.Quota = 0.4
	if wider := Edge(server, upstream, 0.99, 0.05, 0, Requests, 1); wider < 1.2*edge {
		t.Errorf("a third more quota: got an edge of %.0f/s after %.0f/s", wider, edge)
	}
	if none := Edge(server, upstream, 0.99, 0.001, 0, Requests, 1); none != 0 {
		t.Errorf("an objective below what an answer takes: got an edge of %.0f/s, want none", none)
	}
}
