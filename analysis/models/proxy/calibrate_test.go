package proxy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// phases makes points of a known server with some scatter of the machine's speed.
func phases(server Server, scatter float64, seed uint64, rates ...float64) []Point {
	random := rand.New(rand.NewPCG(seed, 5))
	var out []Point
	for _, rps := range rates {
		cores, wakeUps := server.Steady(rps)
		out = append(out, Point{RPS: rps, Cores: cores * math.Exp(scatter*random.NormFloat64()), WakeUps: wakeUps, RunDelay: wakeUps * server.WakeDelay})
	}
	return out
}

func TestCalibrationFindsTheCostOfAKnownServer(t *testing.T) {
	truth := Server{Cost: Cost{Idle: 0.01, PerRequest: 80e-6, PerWakeUp: 90e-6}, Threads: 1, WakeDelay: 60e-6, Events: 2, Quota: 0.3}
	c, err := Calibrate(phases(truth, 0, 1, 150, 300, 500, 700, 900, 1100), Server{Threads: 1, Quota: 0.3}, EnvoyPrior())
	if err != nil {
		t.Fatal(err)
	}
	best := c.Candidates[len(c.Candidates)/2]
	if math.Abs(best.Events/2-1) > 0.1 || math.Abs(best.WakeDelay/60e-6-1) > 0.01 {
		t.Errorf("got %.2f wake-ups a request and a delay of %.0f µs, want 2 and 60", best.Events, best.WakeDelay*1e6)
	}
	edge := func(server Server, near float64) float64 {
		return Edge(server, []float64{0.006}, 0.99, 0.05, near, Requests, 1)
	}
	want := edge(truth, 0)
	got := c.Predict(edge)
	if math.Abs(got.Value/want-1) > 0.06 || got.Low > want || got.High < want {
		t.Errorf("got an edge of %.0f/s [%.0f, %.0f], the server's own is %.0f/s", got.Value, got.Low, got.High, want)
	}
}

func TestWideRangesTellRequestsFromWakeUps(t *testing.T) {
	truth := Server{Cost: Cost{Idle: 0.01, PerRequest: 100e-6, PerWakeUp: 60e-6}, Threads: 1, WakeDelay: 60e-6, Events: 2}
	c, err := Calibrate(phases(truth, 0.01, 1, 150, 400, 1000, 2000, 3500, 5000, 6500), Server{Threads: 1}, Prior{Ratio: 1.2, SD: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for _, candidate := range c.Candidates {
		mean += candidate.Weight * candidate.PerWakeUp / candidate.PerRequest
	}
	if math.Abs(mean-0.6) > 0.12 {
		t.Errorf("got a ratio of %.2f, want 0.6: the phases contradict the prior's 1.2", mean)
	}
}

// The interval is for what a search of a few phases finds on a machine whose speed
// scatters, of a proxy whose ratio of costs the prior knows: well in one case, so
// that the scatter is all, and badly in the other. 200 trials of a nominal 95 %:
// three standard errors are 4.6 points.
func TestIntervalsHoldWhatASearchFinds(t *testing.T) {
	const trials, scatter = 200, 0.07
	for name, prior := range map[string]Prior{"an Envoy": EnvoyPrior(), "a ratio that is known": {Ratio: 1.1, SD: 0.01}} {
		random := rand.New(rand.NewPCG(11, 1))
		held := 0
		for i := range trials {
			ratio := prior.Ratio * math.Exp(prior.SD*random.NormFloat64())
			truth := Server{Cost: Cost{Idle: 0.01, PerRequest: 75e-6, PerWakeUp: 75e-6 * ratio}, Threads: 1, WakeDelay: 60e-6, Events: 2, Quota: 0.3}
			c, err := Calibrate(phases(truth, scatter, uint64(i), 180, 300, 340, 510, 680, 870, 1100), Server{Threads: 1, Quota: 0.3}, prior)
			if err != nil {
				t.Fatal(err)
			}
			// A rate that formulas give stands for the edge, which takes a simulation: half
			// way between where CPU reaches the quota and saturation.
			capacity := func(server Server, _ float64) float64 { return math.Sqrt(server.RateAt(0.3) * server.Saturation()) }
			speed := math.Exp(scatter / math.Sqrt(searchPhases) * random.NormFloat64())
			found := truth
			found.Idle, found.PerRequest, found.PerWakeUp = truth.Idle*speed, truth.PerRequest*speed, truth.PerWakeUp*speed
			if e := c.Predict(capacity); e.Low <= capacity(found, 0) && capacity(found, 0) <= e.High {
				held++
			}
		}
		share := float64(held) / trials
		t.Logf("%s: %.1f %% hold", name, 100*share)
		if share < 0.95-0.046 {
			t.Errorf("%s: got %.1f %% of the intervals holding what was found, want some 95 %%", name, 100*share)
		}
	}
}

func TestCalibrationRefuses(t *testing.T) {
	good := phases(cheap, 0, 1, 100, 200, 300, 400)
	for name, points := range map[string][]Point{
		"too few":         good[:3],
		"no wake-ups":     {{RPS: 1, Cores: 1}, {RPS: 2, Cores: 1}, {RPS: 3, Cores: 1}, {RPS: 4, Cores: 1}},
		"not numbers":     {good[0], good[1], good[2], {RPS: math.NaN(), Cores: 1, WakeUps: 1}},
		"no load but CPU": {good[0], good[1], good[2], {RPS: 0, Cores: 1, WakeUps: 1}},
	} {
		if c, err := Calibrate(points, Server{Threads: 1}, EnvoyPrior()); err == nil {
			t.Errorf("%s: got %+v, want an error", name, c)
		}
	}
}
