package queue

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// within reports whether the truth lies in the interval, or just beside it: of a
// dozen intervals at 95 % one may well miss, by a little. Half the width more is
// what one in 500 misses with nine degrees of freedom.
func within(e stat.Estimate, truth float64) bool {
	half := (e.High - e.Low) / 2
	return near(e.Value, truth, 1.5*half)
}

// The simulator against closed forms, within its own interval, which must also be
// narrow enough to mean something.
func TestSimulationAgreesWithFormulas(t *testing.T) {
	for _, test := range []struct {
		arrivals, service string
		servers           int
		load              float64
		narrow            float64 // half the interval of the mean wait, relative
		wait              func() float64
	}{
		{"M", "M", 1, 0.7, 0.05, func() float64 { return 0.7 / 0.3 }},
		{"M", "D", 1, 0.8, 0.05, func() float64 { return 0.8 / (2 * 0.2) }},
		{"M", "H2(4)", 1, 0.6, 0.1, func() float64 { return 0.6 * 5 / (2 * 0.4) }},
		{"M", "LN(4)", 1, 0.6, 0.1, func() float64 { return 0.6 * 5 / (2 * 0.4) }},
		{"M", "M", 4, 0.8, 0.05, func() float64 { m := mmc(t, 3.2, 1, 4); return m.MeanWait() }},
		{"M", "M", 20, 0.9, 0.15, func() float64 { m := mmc(t, 18, 1, 20); return m.MeanWait() }},
		// D/M/1: σ = e^(−(1−σ)/ρ), W = σ ÷ (1−σ); σ = 0.2031878700 for ρ = 1/2
		// (Kleinrock, "Queueing systems", vol. 1, 1975, sec. 6.4).
		{"D", "M", 1, 0.5, 0.05, func() float64 { return 0.20318787 / (1 - 0.20318787) }},
		{"D", "D", 3, 0.9, 1, func() float64 { return 0 }},
	} {
		t.Run(test.arrivals+"/"+test.service, func(t *testing.T) {
			_, got := simulated(t, test.arrivals, test.service, test.servers, test.load, 60_000, 10)
			want := test.wait()
			if !within(got.Wait, want) || got.Wait.High-got.Wait.Value > test.narrow*got.Wait.Value+1e-4 {
				t.Errorf("mean wait %g [%g, %g], want %g ± %.0f %%", got.Wait.Value, got.Wait.Low, got.Wait.High, want, 100*test.narrow)
			}
			if !within(got.Response, want+1) && test.service != "D" {
				t.Errorf("mean response %+v, want %g", got.Response, want+1)
			}
			if !near(got.Utilization, test.load, 1e-12) || got.Requests != 60_000 || got.Wait.N != 10 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestSimulatedQuantiles(t *testing.T) {
	s := Simulation{
		Arrivals: shape(t, "M", 1/3.2), Service: shape(t, "M", 1), Servers: 4,
		Quantiles: []float64{0.5, 0.99, 0.9999}, Requests: 52_000, Replications: 30, Seed: 3,
	}
	got, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	m := mmc(t, 3.2, 1, 4)
	if !within(got.Waited, m.WaitProbability()) {
		t.Errorf("share that waited %+v, want %g", got.Waited, m.WaitProbability())
	}
	for i, q := range []float64{0.5, 0.99} {
		if want := m.ResponseQuantile(q); !within(got.Quantiles[i], want) || got.Quantiles[i].High > 1.1*want {
			t.Errorf("p%g %+v, want %g", 100*q, got.Quantiles[i], want)
		}
	}
	if e := got.Quantiles[2]; e.OK() || !strings.Contains(e.Warnings[0], "73023") {
		t.Errorf("p99.99 of 52 000 requests: %+v, want not estimable", e)
	}
	s.Replications = 2
	got, _ = s.Run()
	again, err := s.Run()
	if err != nil || !reflect.DeepEqual(again.Quantiles[:2], got.Quantiles[:2]) {
		t.Errorf("the same seed gives %+v, then %+v", got.Quantiles, again.Quantiles)
	}
	s.Seed++
	if other, _ := s.Run(); other.Wait.Value == got.Wait.Value {
		t.Error("another seed gives the same")
	}
}

// Intervals of the simulator hold the truth about as often as they say: 150
// simulations tell a coverage to ± 3.6 % (two standard errors).
func TestSimulationCoverage(t *testing.T) {
	m := mmc(t, 1.2, 1, 2)
	const simulations = 150
	mean, p99 := 0, 0
	for seed := range uint64(simulations) {
		got, err := Simulation{
			Arrivals: shape(t, "M", 1/1.2), Service: shape(t, "M", 1), Servers: 2,
			Requests: 9_000, Replications: 6, Quantiles: []float64{0.99}, Seed: seed,
		}.Run()
		if err != nil {
			t.Fatal(err)
		}
		if got.Response.Low <= m.MeanResponse() && m.MeanResponse() <= got.Response.High {
			mean++
		}
		if want := m.ResponseQuantile(0.99); got.Quantiles[0].Low <= want && want <= got.Quantiles[0].High {
			p99++
		}
	}
	t.Logf("covered: mean %.1f %%, p99 %.1f %%", 100*float64(mean)/simulations, 100*float64(p99)/simulations)
	if mean < simulations*91/100 || p99 < simulations*91/100 {
		t.Errorf("of %d intervals %d hold the mean, %d the p99", simulations, mean, p99)
	}
}

// Several queues: drawn at random each is M/M/1 with the same load, behind one
// queue they are M/M/c, and least-request lies between.
func TestSplit(t *testing.T) {
	run := func(s Simulation) Simulated {
		t.Helper()
		got, err := s.Run()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	split := Simulation{
		Arrivals: shape(t, "M", 1/(0.8*8)), Service: shape(t, "M", 1), Servers: 1, Queues: 8,
		Requests: 80_000, Quantiles: []float64{0.99}, Seed: 5,
	}
	random, pooled := run(split), run(split.Pooled())
	if want := mmc(t, 0.8, 1, 1); !within(random.Wait, want.MeanWait()) || !within(random.Quantiles[0], want.ResponseQuantile(0.99)) {
		t.Errorf("random: wait %+v, want %g; p99 %+v, want %g", random.Wait, want.MeanWait(), random.Quantiles[0], want.ResponseQuantile(0.99))
	}
	if want := mmc(t, 6.4, 1, 8); !within(pooled.Wait, want.MeanWait()) || !within(pooled.Quantiles[0], want.ResponseQuantile(0.99)) {
		t.Errorf("pooled: wait %+v, want %g; p99 %+v, want %g", pooled.Wait, want.MeanWait(), pooled.Quantiles[0], want.ResponseQuantile(0.99))
	}
	split.Split = LeastRequest
	least := run(split)
	if !(pooled.Wait.High < least.Wait.Low && least.Wait.High < random.Wait.Low) {
		t.Errorf("waits: pooled %+v, least-request %+v, random %+v", pooled.Wait, least.Wait, random.Wait)
	}
	// Two choices out of many queues: P(at least i requests) = ρ^(2^i − 1), so the mean
	// time is Σρ^(2^i − 2) = 1.9474 at ρ = 0.8 (Mitzenmacher, "The power of two choices in
	// randomized load balancing", 2001), and somewhat more for few queues.
	split.Queues, split.Arrivals, split.Requests = 200, shape(t, "M", 1/(0.8*200)), 200_000
	if got := run(split); !near(got.Response.Value, 1.9474, 0.03) {
		t.Errorf("two choices of 200 queues: response %+v, want 1.947", got.Response)
	}
	split.Queues, split.Split, split.Service = 2, RoundRobin, shape(t, "D", 1)
	split.Arrivals = shape(t, "D", 0.6)
	if got := run(split); got.Waited.Value != 0 || !(got.Waited.High > 0) || len(got.Warnings) != 1 {
		t.Errorf("constant arrivals in turns: %+v, want that none waits, and a bound", got)
	}
}

func TestMeasuredTimes(t *testing.T) {
	h := hdrhistogram.New(1, 60_000_000_000, 3)
	for _, bar := range []struct{ value, count int64 }{{1_000_000, 70}, {2_000_000, 0}, {5_000_000, 25}, {90_000_000, 5}} {
		if err := h.RecordValues(bar.value, bar.count); err != nil {
			t.Fatal(err)
		}
	}
	times, err := Measured(stat.OfHistogram(h, 1e-9))
	if err != nil {
		t.Fatal(err)
	}
	// By hand, in ms: mean 0.7·1 + 0.25·5 + 0.05·90 = 6.45, mean square 411.95; three
	// digits of the histogram.
	if !near(times.Mean(), 6.45e-3, 1e-5) || !near(times.CV2(), 411.95/(6.45*6.45)-1, 0.02) {
		t.Errorf("mean %g, cv² %g", times.Mean(), times.CV2())
	}
	next := times.start(rand.New(rand.NewPCG(1, 2)))
	const draws = 100_000
	seen := map[int]int{}
	for range draws {
		seen[int(math.Round(1000*next()))]++
	}
	for ms, want := range map[int]float64{1: 0.7, 5: 0.25, 90: 0.05} {
		if share := float64(seen[ms]) / draws; !near(share, want, 4*math.Sqrt(want/draws)) {
			t.Errorf("%d ms: %.4f of the draws, want %g", ms, share, want)
		}
	}
	if len(seen) != 3 {
		t.Errorf("drew %v", seen)
	}
	// Pollaczek–Khinchine holds for any service time: 80 requests a second.
	got, err := Simulation{Arrivals: shape(t, "M", 1.0/80), Service: times, Servers: 1, Seed: 9}.Run()
	want, _ := MG1Wait(80, times.Mean(), times.CV2())
	if err != nil || !within(got.Wait, want) {
		t.Errorf("mean wait %+v, %v, want %g", got.Wait, err, want)
	}
}

// Every rank of a distribution is found, with steps of the guide of any width.
func TestTable(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for range 50 {
		values, counts := make([]float64, 1+random.IntN(40)), make([]int64, 40)
		want := []float64{}
		for i := range values {
			values[i], counts[i] = float64(i), int64(random.IntN(4)*random.IntN(30))
		}
		counts[len(values)-1]++
		for i, v := range values {
			want = append(want, slices.Repeat([]float64{v}, int(counts[i]))...)
		}
		table := newTable(stat.NewDistribution(values, counts))
		for rank, v := range want {
			if got := table.at(int64(rank)); got != v {
				t.Fatalf("rank %d of %v × %v is %g, want %g", rank, values, counts, got, v)
			}
		}
	}
}

func TestRecordedTimes(t *testing.T) {
	times, err := Recorded([]float64{1, 2, 3, 6})
	// Mean 3, variance (4+1+0+9) ÷ 4.
	if err != nil || times.Mean() != 3 || !near(times.CV2(), 3.5/9, 1e-15) {
		t.Fatalf("%+v, %v", times, err)
	}
	next := times.start(rand.New(rand.NewPCG(1, 1)))
	drawn := make([]float64, 8)
	for i := range drawn {
		drawn[i] = next()
	}
	if !slices.Equal(drawn[:4], drawn[4:]) || slices.Max(drawn) != 6 || drawn[0]+drawn[1]+drawn[2]+drawn[3] != 12 {
		t.Errorf("drew %v, want the times in their order, around", drawn)
	}
	// What belongs together stays together: bursts of four before one server wait for
	// each other, 0 + 1 + 2 + 3 services, though the same gaps in disorder would not.
	burst, err := Recorded([]float64{0, 0, 0, 40})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Simulation{Arrivals: burst, Service: shape(t, "D", 1), Servers: 1, Requests: 4000}.Run()
	if err != nil || !near(got.Wait.Value, 1.5, 1e-9) {
		t.Errorf("mean wait of bursts %+v, %v, want 1.5", got.Wait, err)
	}
}

// The mean and the variation of drawn times are what their distribution says:
// within four standard errors of a million draws.
func TestDrawnTimes(t *testing.T) {
	for _, name := range []string{"M", "D", "H2(4)", "LN(4)", "LN(1/4)"} {
		times := shape(t, name, 0.02)
		next := times.start(rand.New(rand.NewPCG(8, 8)))
		const n = 1_000_000
		sum, squares := 0.0, 0.0
		for range n {
			v := next()
			sum += v
			squares += v * v
		}
		mean := sum / n
		cv2 := squares/n/(mean*mean) - 1
		if !near(mean/0.02, 1, 4*math.Sqrt(times.CV2()/n)+1e-9) {
			t.Errorf("%s: mean %g, want 0.02", name, mean)
		}
		if !near(cv2, times.CV2(), 0.05*times.CV2()+1e-9) {
			t.Errorf("%s: cv² %g, want %g", name, cv2, times.CV2())
		}
	}
}

func TestWarmup(t *testing.T) {
	// Odoni and Roth: ρ·(1+1) ÷ (2.8·(1−√ρ)²) requests for M/M/1, at ρ = 0.81 that is
	// 0.81·2 ÷ (2.8·0.01) = 57.857; five times as much, rounded up.
	s := Simulation{Arrivals: shape(t, "M", 1/0.81), Service: shape(t, "M", 1), Servers: 1, Requests: 2000, Replications: 2}
	got, err := s.Run()
	if err != nil || got.Warmup != 290 || len(got.Warnings) != 1 {
		t.Errorf("warm-up %d, warnings %q, %v; want 290 and that 2000 requests are few", got.Warmup, got.Warnings, err)
	}
	// What lies above p99 should be worth ten of these: 10·57.857 ÷ 0.01.
	s.Requests, s.Quantiles = 0, []float64{0.5, 0.99}
	if got, err = s.Run(); err != nil || got.Requests != 57_858 || len(got.Warnings) != 0 {
		t.Errorf("chosen for a p99: %d, warnings %q, %v, want 57858", got.Requests, got.Warnings, err)
	}
	s.Quantiles = nil
	if got, err = s.Run(); err != nil || got.Requests != simRequests || len(got.Warnings) != 0 {
		t.Errorf("chosen by itself: %+v, %v", got, err)
	}
}

func TestSimulationRefuses(t *testing.T) {
	good := Simulation{Arrivals: shape(t, "M", 1), Service: shape(t, "M", 0.5), Servers: 1}
	for _, test := range []struct {
		name   string
		change func(*Simulation)
		want   string
	}{
		{"no arrivals", func(s *Simulation) { s.Arrivals = Times{} }, "must be given"},
		{"no service times", func(s *Simulation) { s.Service = Times{} }, "must be given"},
		{"no servers", func(s *Simulation) { s.Servers = 0 }, "0 servers"},
		{"negative queues", func(s *Simulation) { s.Queues = -1 }, "-1 queues"},
		{"an unknown split", func(s *Simulation) { s.Split = "fair" }, `split "fair"`},
		{"one replication", func(s *Simulation) { s.Replications = 1 }, "1 replications"},
		{"negative requests", func(s *Simulation) { s.Requests = -1 }, "-1 requests"},
		{"a quantile of 1", func(s *Simulation) { s.Quantiles = []float64{1} }, "probability 1"},
		{"saturated", func(s *Simulation) { s.Arrivals = shape(t, "M", 0.5) }, "infeasible"},
		{"overloaded", func(s *Simulation) { s.Arrivals, s.Queues = shape(t, "M", 0.1), 2 }, "infeasible"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := good
			test.change(&s)
			_, err := s.Run()
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrInfeasible) != (test.want == "infeasible") {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
	if _, err := good.Run(); err != nil {
		t.Error(err)
	}
}

func TestTimesRefuse(t *testing.T) {
	of := func(_ Times, err error) error { return err }
	for name, err := range map[string]error{
		"exponential without a mean":      of(Exponential(0)),
		"exponential, not a number":       of(Exponential(math.NaN())),
		"constant, negative":              of(Constant(-1)),
		"hyperexponential, cv² below one": of(Hyperexponential(1, 0.9)),
		"lognormal without variation":     of(Lognormal(1, 0)),
		"recorded, none":                  of(Recorded(nil)),
		"recorded, negative":              of(Recorded([]float64{1, -1})),
		"recorded, all zero":              of(Recorded([]float64{0, 0})),
		"measured, none":                  of(Measured(stat.Distribution{})),
		"measured, endless":               of(Measured(stat.NewDistribution([]float64{1}, []int64{5}).Endless(1, 0))),
		"measured, all zero":              of(Measured(stat.NewDistribution([]float64{0}, []int64{5}))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkSimulation(b *testing.B) {
	// A thousand different service times, as a histogram of a steady phase has them.
	values, counts := make([]float64, 1000), make([]int64, 1000)
	for i := range values {
		values[i], counts[i] = 0.002+0.000_02*float64(i), int64(1000-i)
	}
	service, err := Measured(stat.NewDistribution(values, counts))
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name            string
		servers, queues int
		split           Split
	}{{"1 server", 1, 1, Random}, {"16 servers", 16, 1, Random}, {"256 servers", 256, 1, Random}, {"16 queues of 4, least-request", 4, 16, LeastRequest}} {
		b.Run(bench.name, func(b *testing.B) {
			arrivals, err := Exponential(service.Mean() / 0.8 / float64(bench.servers*bench.queues))
			if err != nil {
				b.Fatal(err)
			}
			s := Simulation{
				Arrivals: arrivals, Service: service, Servers: bench.servers, Queues: bench.queues, Split: bench.split,
				Requests: 50_000, Replications: 2, Quantiles: []float64{0.5, 0.99},
			}
			b.ReportAllocs()
			requests := 0
			for b.Loop() {
				got, err := s.Run()
				if err != nil {
					b.Fatal(err)
				}
				requests += s.Replications * (got.Requests + got.Warmup)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(requests), "ns/request")
		})
	}
}
