package models

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// near fails unless got lies within a relative tolerance of want.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Abs(want)) {
		t.Errorf("%s = %.6g, want %.6g", what, got, want)
	}
}

// measured is one Envoy 1.40 with one worker thread without a quota: rate, cores,
// wake-ups a second, under smooth Poisson arrivals.
func measured() []DemandPoint {
	return []DemandPoint{
		{250, 0.089, 319}, {500, 0.144, 545}, {1000, 0.211, 933}, {1500, 0.275, 1251}, {2000, 0.323, 1552}, {3000, 0.443, 2001},
	}
}

func withoutWakeUps(points []DemandPoint) []DemandPoint {
	for i := range points {
		points[i].WakeUps = math.NaN()
	}
	return points
}

func TestFitDemandOfEnvoy(t *testing.T) {
	d := FitDemand(measured())
	if !d.OK() {
		t.Fatal(d.Words)
	}
	for _, p := range measured() {
		near(t, "cores", d.CoresAt(p.RPS).Value, p.Cores, 0.12)
		near(t, "wake-ups", d.WakeUpsAt(p.RPS), p.WakeUps, 0.08)
	}
	// numpy: a line through ln wake-ups over ln rate.
	near(t, "scale", d.Scale, 5.279905368537906, 1e-6)
	near(t, "exponent", d.Exponent, 0.7458641820786202, 1e-6)
	// The rate and the wake-ups of this table rise together (variance inflation
	// above 10), so the cost of a request is that of the line: 135 µs by numpy, with
	// the same weights.
	near(t, "per request", d.PerRequest.Value, 0.00013519, 1e-3)
	if d.PerRequest.Low > 0.00011073 || d.PerRequest.Low < 0.00008 {
		t.Errorf("per request, low: %g, want that of the regression, 111 µs, or below", d.PerRequest.Low)
	}
	if d.PerWakeUp.OK() || len(d.PerRequest.Warnings) != 1 {
		t.Errorf("per wake-up %+v, per request %+v: want the former not estimable and the latter with a warning", d.PerWakeUp, d.PerRequest)
	}
	// A quota of 300m was reached at 1 500/s under load; the model says so within a sixth.
	near(t, "rate at 300m", d.RateAt(0.3).Value, 1700, 0.16)
}

// The low part of the table predicts the rest better with wake-ups than without:
// that is what they are for.
func TestFitDemandExtrapolates(t *testing.T) {
	// cores = 0.049 + 66 µs × requests + 99 µs × wake-ups, the published fit, with
	// wake-ups that saturate, and repetitions that differ by 1 %.
	random := rand.New(rand.NewPCG(1, 2))
	wakeUps := func(rps float64) float64 { return 5.28 * math.Pow(rps, 0.746) }
	cores := func(rps float64) float64 { return 0.049 + 66e-6*rps + 99e-6*wakeUps(rps) }
	var with, without []DemandPoint
	for _, rps := range []float64{50, 100, 200, 400, 800, 1200} {
		for range 2 {
			p := DemandPoint{rps, cores(rps) * (1 + 0.01*random.NormFloat64()), wakeUps(rps) * (1 + 0.01*random.NormFloat64())}
			with = append(with, p)
			p.WakeUps = math.NaN()
			without = append(without, p)
		}
	}
	good, line := FitDemand(with), FitDemand(without)
	truth := cores(3000)
	a, b := good.CoresAt(3000), line.CoresAt(3000)
	if math.Abs(a.Value-truth) > 0.04*truth || !(math.Abs(a.Value-truth) < math.Abs(b.Value-truth)) {
		t.Errorf("at 3000/s: %.3f cores with wake-ups, %.3f without, want %.3f and the former closer", a.Value, b.Value, truth)
	}
	if len(a.Warnings) == 0 || len(good.CoresAt(1300).Warnings) != 0 {
		t.Errorf("warnings %q at 2.5 times the highest rate, %q at 1.1 times, want one and none", a.Warnings, good.CoresAt(1300).Warnings)
	}
	if !strings.Contains(good.Words, "wake-ups = ") || !strings.Contains(line.Words, "wake-ups are not known") {
		t.Errorf("words %q and %q", good.Words, line.Words)
	}
}

func TestFitDemandRecoversALine(t *testing.T) {
	var points []DemandPoint
	for i, rps := range []float64{100, 400, 900, 1600, 2500} {
		noise := []float64{0.002, -0.002, 0.001, -0.003, 0.002}[i]
		points = append(points, DemandPoint{rps, 0.02 + 120e-6*rps + noise, math.NaN()})
	}
	d := FitDemand(points)
	near(t, "idle", d.Idle.Value, 0.02, 0.15)
	near(t, "per request", d.PerRequest.Value, 120e-6, 0.03)
	if !(d.PerRequest.Low <= 120e-6 && 120e-6 <= d.PerRequest.High) {
		t.Errorf("interval %+v does not hold 120 µs", d.PerRequest)
	}
	at := d.RateAt(0.5)
	near(t, "rate at half a core", at.Value, 4000, 0.05)
	if !(at.Low < at.Value && at.Value < at.High) || len(at.Warnings) != 1 {
		t.Errorf("rate at half a core %+v, want an interval and a warning of extrapolation", at)
	}
	near(t, "there and back", d.CoresAt(at.Value).Value, 0.5, 1e-6)
	// The safe end of the rate is where the upper end of the cores is reached.
	near(t, "safe end", d.CoresAt(at.Low).High, 0.5, 1e-6)
}

func TestFitDemandNotEstimable(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		name   string
		points []DemandPoint
		why    string
	}{
		{"nothing", nil, "0 different rates"},
		{"two rates, often", []DemandPoint{{100, 0.1, nan}, {101, 0.1, nan}, {200, 0.2, nan}, {202, 0.2, nan}}, "2 different rates"},
		{"falling", []DemandPoint{{100, 0.3, nan}, {200, 0.2, nan}, {300, 0.1, nan}}, "does not grow"},
		{"not numbers", []DemandPoint{{nan, 0.3, nan}, {200, nan, nan}, {300, math.Inf(1), nan}}, "0 different rates"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := FitDemand(test.points)
			if d.OK() || !strings.Contains(d.Words, test.why) {
				t.Errorf("OK = %v, %q, want … %q …", d.OK(), d.Words, test.why)
			}
			if d.CoresAt(100).OK() || d.RateAt(0.5).OK() || d.PerRequest.OK() || d.Idle.OK() {
				t.Error("a demand that is not estimable estimates")
			}
		})
	}
}

func TestFitDemandWithoutIntercept(t *testing.T) {
	// A line through these has a negative intercept, which idling cannot have.
	d := FitDemand(withoutWakeUps([]DemandPoint{{100, 0.005, 0}, {200, 0.02, 0}, {400, 0.05, 0}}))
	if !d.OK() || d.Idle.OK() || !strings.Contains(d.Words, "without an intercept") {
		t.Errorf("%q with idle %+v, want a fit without an intercept", d.Words, d.Idle)
	}
	if got := d.CoresAt(0).Value; got != 0 {
		t.Errorf("%g cores at idle, want 0", got)
	}
}

func TestRateAtIdle(t *testing.T) {
	d := FitDemand(withoutWakeUps([]DemandPoint{{100, 0.21, 0}, {200, 0.22, 0}, {400, 0.24, 0}}))
	if got := d.RateAt(0.1); got.Value != 0 || got.Low != 0 || !strings.Contains(got.Warnings[0], "at idle") {
		t.Errorf("RateAt(0.1) = %+v where idling takes 0.2, want 0 with a warning", got)
	}
}

func TestFitMemory(t *testing.T) {
	nan := math.NaN()
	grow := func(n int, of func(i float64) MemoryPoint) []MemoryPoint {
		var out []MemoryPoint
		for i := range n {
			out = append(out, of(float64(i)))
		}
		return out
	}
	t.Run("in flight", func(t *testing.T) {
		m := FitMemory(grow(6, func(i float64) MemoryPoint {
			return MemoryPoint{Bytes: 40e6 + 20e3*50*i, InFlight: 50 * i, Connections: 8}
		}))
		near(t, "base", m.Base.Value, 40e6, 1e-6)
		near(t, "per in flight", m.PerInFlight.Value, 20e3, 1e-6)
		near(t, "at 1000", m.At(1000).High, 60e6, 1e-6)
		if m.PerConnection.OK() {
			t.Errorf("per connection %+v though there were always 8", m.PerConnection)
		}
	})
	t.Run("nothing varied", func(t *testing.T) {
		m := FitMemory(grow(6, func(i float64) MemoryPoint {
			return MemoryPoint{Bytes: 40e6 + 1e6*i, InFlight: 3 + i/10, Connections: nan}
		}))
		if m.PerInFlight.OK() || m.PerConnection.OK() || m.Base.Value != 45e6 || m.At(1000).High != 45e6 {
			t.Errorf("%+v, want only the largest value, 45 MB", m)
		}
	})
	t.Run("varied by less than a factor of two", func(t *testing.T) {
		m := FitMemory(grow(6, func(i float64) MemoryPoint {
			return MemoryPoint{Bytes: 40e6 + 20e3*10*i, InFlight: 100 + 10*i, Connections: 8}
		}))
		if m.PerInFlight.OK() {
			t.Errorf("per in flight %+v from 100 to 150 in flight, want it not estimable", m.PerInFlight)
		}
	})
	t.Run("never below what was seen", func(t *testing.T) {
		points := grow(8, func(i float64) MemoryPoint {
			return MemoryPoint{Bytes: 40e6 + 20e3*50*i, InFlight: 50 * i, Connections: 8}
		})
		points[1].Bytes = 90e6
		if got := FitMemory(points).At(0).High; got < 90e6 {
			t.Errorf("at rest %.0f bytes, want at least the 90 MB that were seen", got)
		}
	})
	t.Run("both", func(t *testing.T) {
		m := FitMemory(grow(8, func(i float64) MemoryPoint {
			connections := 10 + 30*math.Mod(i*3, 8)
			return MemoryPoint{Bytes: 30e6 + 10e3*40*i + 50e3*connections, InFlight: 40 * i, Connections: connections}
		}))
		near(t, "per in flight", m.PerInFlight.Value, 10e3, 1e-6)
		near(t, "per connection", m.PerConnection.Value, 50e3, 1e-6)
		// There were up to 220 connections: 30 MB + 220 × 50 kB, and 1 000 × 10 kB.
		near(t, "idle", m.Idle().Value, 41e6, 1e-6)
		near(t, "at 1000", m.At(1000).High, 51e6, 1e-6)
	})
	t.Run("none", func(t *testing.T) {
		if m := FitMemory(nil); m.Base.OK() || m.At(10).OK() {
			t.Errorf("%+v, want nothing estimable", m)
		}
	})
}

func TestBinding(t *testing.T) {
	unknown := Pressure{Component: "x", Throttled: -1, Quota: -1, Concurrency: -1, Memory: -1, Overflow: -1}
	with := func(name string, change func(p *Pressure)) Pressure {
		p := unknown
		p.Component = name
		change(&p)
		return p
	}
	throttled := with("gateway", func(p *Pressure) { p.Throttled, p.Quota = 0.9, 0.99 })
	threads := with("sidecar", func(p *Pressure) { p.Concurrency = 0.97 })
	shedding := with("gateway", func(p *Pressure) { p.Overflow = 12 })
	for _, test := range []struct {
		name      string
		pressures []Pressure
		errors    bool
		idle      float64
		component string
		resource  string
	}{
		{"nothing known", []Pressure{unknown}, false, -1, "", BindsLatency},
		{"the machine", []Pressure{unknown}, false, 0.02, "", BindsHostCPU},
		{"a machine with room", []Pressure{unknown}, false, 0.5, "", BindsLatency},
		{"throttled", []Pressure{throttled, threads}, false, 0.02, "gateway", BindsCPUQuota},
		{"threads", []Pressure{unknown, threads}, false, 0.5, "sidecar", BindsCPUConcurrency},
		{"quota without throttling counters", []Pressure{with("gateway", func(p *Pressure) { p.Quota = 0.97 })}, false, 0.5, "gateway", BindsCPUQuota},
		{"quota used, but hardly ever up", []Pressure{with("gateway", func(p *Pressure) { p.Throttled, p.Quota = 0.02, 0.8 })}, false, 0.5, "", BindsLatency},
		{"shed requests broke it", []Pressure{shedding, threads}, true, 0.5, "gateway", BindsPool},
		{"shed requests beside saturated threads", []Pressure{shedding, threads}, false, 0.5, "sidecar", BindsCPUConcurrency},
		{"memory", []Pressure{with("gateway", func(p *Pressure) { p.Memory = 0.97 })}, false, 0.5, "gateway", BindsMemory},
	} {
		t.Run(test.name, func(t *testing.T) {
			component, resource, _ := Binding(test.pressures, test.errors, test.idle)
			if component != test.component || resource != test.resource {
				t.Errorf("Binding = %q, %q, want %q, %q", component, resource, test.component, test.resource)
			}
		})
	}
}

// No cost lies below zero, whatever chance does to the fit.
func TestCostsAreNotNegative(t *testing.T) {
	var points []DemandPoint
	for i, rps := range []float64{100, 200, 300, 400, 500, 600} {
		points = append(points, DemandPoint{RPS: rps, Cores: 0.004 + 20e-6*rps + []float64{0.003, -0.003, 0.004, -0.002, 0.003, -0.004}[i], WakeUps: math.NaN()})
	}
	d := FitDemand(points)
	if !d.Idle.OK() || d.Idle.Low != 0 || !(d.PerRequest.Low >= 0) {
		t.Errorf("idle %v, per request %v", d.Idle, d.PerRequest)
	}
}

// What the intervals of a demand hold, over sweeps whose wake-ups saturate and
// whose phases scatter as the measured table's do, more so at high rates: the CPU
// in the middle of the range and at its end.
func TestDemandCoverage(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	wakeUps := func(rps float64) float64 { return 5.28 * math.Pow(rps, 0.746) }
	cores := func(rps float64) float64 { return 0.049 + 66e-6*rps + 99e-6*wakeUps(rps) }
	const sweeps = 1000
	at := []float64{600, 1900}
	held, fitted := make([]int, len(at)), 0
	for range sweeps {
		var points []DemandPoint
		for _, i := range random.Perm(10) {
			rps := 150 * math.Pow(2000./150, float64(i)/9)
			scatter := 0.02 + 0.02*float64(i)/9
			points = append(points, DemandPoint{rps, cores(rps) * (1 + scatter*random.NormFloat64()), wakeUps(rps) * (1 + 0.02*random.NormFloat64())})
		}
		d := FitDemand(points)
		if !d.OK() {
			continue
		}
		fitted++
		for i, rps := range at {
			if e := d.CoresAt(rps); e.Low <= cores(rps) && cores(rps) <= e.High {
				held[i]++
			}
		}
	}
	if fitted < sweeps*99/100 {
		t.Fatalf("%d of %d sweeps have a demand", fitted, sweeps)
	}
	for i, rps := range at {
		share := 100 * float64(held[i]) / float64(fitted)
		t.Logf("at %g/s: %.1f of a hundred", rps, share)
		// The standard error of the count is 0.7.
		if share < 92 || share > 99 {
			t.Errorf("at %g/s %.1f of a hundred intervals hold the CPU, want 92 to 99", rps, share)
		}
	}
}

// TestFewPhasesStillTell: of a quick sizing five phases are left below throttling. A
// rival of three columns fitted to them reaches from no CPU to any; it must not take the
// rate away that a replica carries. The points are of one Envoy 1.40 under 300m.
func TestFewPhasesStillTell(t *testing.T) {
	d := FitDemand([]DemandPoint{
		{RPS: 198.4, Cores: 0.0818, WakeUps: 384.8}, {RPS: 295.6, Cores: 0.1250, WakeUps: 531.8}, {RPS: 415.2, Cores: 0.1375, WakeUps: 719.7},
		{RPS: 534.0, Cores: 0.1771, WakeUps: 870.5}, {RPS: 854.5, Cores: 0.2479, WakeUps: 1179.2},
	})
	if e := d.RateAt(0.225); !(e.Low > 400) || !(e.High < 1500) {
		t.Errorf("225m are reached at %+v by %s, want a rate with a safe end above 0", e, d.Words)
	}
}
