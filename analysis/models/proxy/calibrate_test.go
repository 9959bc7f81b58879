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
	truth := Server{Cost: Cost{PerRequest: 80e-6, PerWakeUp: 65e-6, Cold: 380e-6}, Threads: 1, WakeDelay: 60e-6, Events: 2, Quota: 0.3}
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
	truth := Server{Cost: Cost{PerRequest: 100e-6, PerWakeUp: 60e-6, Cold: 100e-6}, Threads: 1, WakeDelay: 60e-6, Events: 2}
	c, err := Calibrate(phases(truth, 0.01, 1, 150, 400, 1000, 2000, 3500, 5000, 6500), Server{Threads: 1}, Prior{WakeUp: Ratio{1.2, 0.5}, Cold: Ratio{2, 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for _, candidate := range c.Candidates {
		mean += candidate.PerWakeUp / candidate.PerRequest / float64(len(c.Candidates))
	}
	if math.Abs(mean-0.6) > 0.12 {
		t.Errorf("got a ratio of %.2f, want 0.6: the phases contradict the prior's 1.2", mean)
	}
}

// bunch makes a phase of a known server in which one wake-up serves many.
func bunch(server Server, rps, wakeUpsPerRequest float64) Point {
	w := rps * wakeUpsPerRequest
	return Point{RPS: rps, Cores: server.PerRequest*rps + server.PerWakeUp*w + (server.Request(rps/64)-server.PerRequest)*rps/64, WakeUps: w, RunDelay: 3 * w * server.WakeDelay, Bunch: 64}
}

// The prior says 0.75, and single requests at low load do not contradict it.
func TestBunchesTellTheRatioOfCosts(t *testing.T) {
	for _, ratio := range []float64{0.4, 0.8, 2} {
		truth := Server{Cost: Cost{PerRequest: 80e-6, PerWakeUp: 80e-6 * ratio, Cold: 350e-6}, Threads: 1, WakeDelay: 60e-6, Events: 2, Quota: 0.3}
		points := phases(truth, 0.02, 3, 150, 300, 500, 700, 900)
		saturation := func(server Server, _ float64) float64 { return server.Saturation() }
		without, err := Calibrate(points, Server{Threads: 1, Quota: 0.3}, EnvoyPrior())
		if err != nil {
			t.Fatal(err)
		}
		with, err := Calibrate(append(points, bunch(truth, 150, 0.4), bunch(truth, 300, 0.3)), Server{Threads: 1, Quota: 0.3}, EnvoyPrior())
		if err != nil {
			t.Fatal(err)
		}
		want := truth.Saturation()
		wide, narrow := without.Predict(saturation), with.Predict(saturation)
		if math.Abs(narrow.Value/want-1) > 0.12 || narrow.Low > want || narrow.High < want {
			t.Errorf("ratio %v: got saturation at %.0f/s [%.0f, %.0f], want %.0f", ratio, narrow.Value, narrow.Low, narrow.High, want)
		}
		if w, n := math.Log(wide.High/wide.Low), math.Log(narrow.High/narrow.Low); n > 0.75*w {
			t.Errorf("ratio %v: the interval spans %.2f with bunches and %.2f without, want it narrower by a quarter", ratio, n, w)
		}
		if with.Candidates[2].Events != without.Candidates[2].Events || with.Candidates[2].WakeDelay != without.Candidates[2].WakeDelay {
			t.Errorf("ratio %v: bunches changed how single requests wake: %+v, without %+v", ratio, with.Candidates[2], without.Candidates[2])
		}
	}
}

// The parts of an even distribution over five costs are these costs, and those of a
// single one are all that one.
func TestParts(t *testing.T) {
	for name, test := range map[string]struct{ ratios, weights, want []float64 }{
		"even":     {[]float64{1, 2, 3, 4, 5}, []float64{1, 1, 1, 1, 1}, []float64{1, 2, 3, 4, 5}},
		"one":      {[]float64{1, 2, 3}, []float64{0, 7, 0}, []float64{2, 2, 2, 2, 2}},
		"by means": {[]float64{1, 4}, []float64{1, 1}, []float64{1, 1, 2, 4, 4}}, // the middle one has half of each: √(1·4)
	} {
		var fits []fitted
		for i, r := range test.ratios {
			fits = append(fits, fitted{wakeUp: r, cold: 2 * r, request: 1 / r, weight: test.weights[i]})
		}
		got := parts(fits, 5)
		if len(got) != len(test.want) {
			t.Fatalf("%s: got %v, want %v", name, got, test.want)
		}
		for i := range got {
			if math.Abs(got[i].wakeUp/test.want[i]-1) > 1e-9 || math.Abs(got[i].cold/test.want[i]/2-1) > 1e-9 {
				t.Errorf("%s: got %v, want %v", name, got, test.want)
				break
			}
		}
	}
}

// The interval is for what a search of a few phases finds on a machine whose speed
// scatters, of a proxy whose ratio of costs the prior knows: well in one case, so
// that the scatter is all, and badly in the other. 200 trials of a nominal 95 %:
// three standard errors are 4.6 points.
func TestIntervalsHoldWhatASearchFinds(t *testing.T) {
	const trials, scatter = 200, 0.07
	for name, prior := range map[string]Prior{"an Envoy": EnvoyPrior(), "ratios that are known": {WakeUp: Ratio{0.8, 0.01}, Cold: Ratio{2, 0.01}}} {
		random := rand.New(rand.NewPCG(11, 1))
		held := 0
		for i := range trials {
			ratio := prior.WakeUp.Median * math.Exp(prior.WakeUp.SD*random.NormFloat64())
			cold := prior.Cold.Median * math.Exp(prior.Cold.SD*random.NormFloat64())
			truth := Server{Cost: Cost{PerRequest: 75e-6, PerWakeUp: 75e-6 * ratio, Cold: 75e-6 * cold}, Threads: 1, WakeDelay: 60e-6, Events: 2, Quota: 0.3}
			c, err := Calibrate(phases(truth, scatter, uint64(i), 180, 300, 340, 510, 680, 870, 1100), Server{Threads: 1, Quota: 0.3}, prior)
			if err != nil {
				t.Fatal(err)
			}
			// A rate that formulas give stands for the edge, which takes a simulation: half
			// way between where CPU reaches the quota and saturation.
			capacity := func(server Server, _ float64) float64 { return math.Sqrt(server.RateAt(0.3) * server.Saturation()) }
			speed := math.Exp(scatter / math.Sqrt(searchPhases) * random.NormFloat64())
			found := truth
			found.PerRequest, found.PerWakeUp, found.Cold = truth.PerRequest*speed, truth.PerWakeUp*speed, truth.Cold*speed
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
