package schedule_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/schedule"
	"github.com/sailplan-io/sailplan/scenarios"
)

// point is a scenarios.CurvePoint that can be written in short.
type point struct {
	At  time.Duration
	RPS float64
}

type points []point

// curve returns the points as a phase has them.
func (p points) curve() []scenarios.CurvePoint {
	curve := make([]scenarios.CurvePoint, len(p))
	for i := range p {
		curve[i] = scenarios.CurvePoint(p[i])
	}
	return curve
}

// curved is a phase with a curve.
func curved(process scenarios.Process, curve points, seed uint64) scenarios.Phase {
	return scenarios.Phase{Name: "curve", Process: process, Duration: curve[len(curve)-1].At, Curve: curve.curve(), Seed: seed}
}

// area returns ∫ rate from the start to an instant by the trapezium rule, which
// is exact on straight lines, in rational numbers.
func area(curve points, at time.Duration) *big.Rat {
	sum := new(big.Rat)
	rational := func(x float64) *big.Rat { return new(big.Rat).SetFloat64(x) }
	for i := 1; i < len(curve); i++ {
		a, b := curve[i-1], curve[i]
		if at <= a.At {
			break
		}
		if b.At == a.At {
			continue
		}
		to, end := min(at, b.At), rational(b.RPS)
		if to < b.At {
			share := big.NewRat(int64(to-a.At), int64(b.At-a.At))
			end.Sub(end, rational(a.RPS))
			end.Mul(end, share)
			end.Add(end, rational(a.RPS))
		}
		end.Add(end, rational(a.RPS))
		sum.Add(sum, end.Mul(end, big.NewRat(int64(to-a.At), 2_000_000_000)))
	}
	return sum
}

// checkConstant wants arrival k of a constant process where the area passes k,
// within 2 ns, and as many as the whole area holds.
func checkConstant(t *testing.T, curve points, step int) {
	t.Helper()
	got := arrivals(t, curved(scenarios.Constant, curve, 1))
	end := curve[len(curve)-1].At
	whole, _ := area(curve, end).Float64()
	if n := float64(len(got)); math.Abs(n-whole) > 1+1e-9*whole {
		t.Fatalf("%d arrivals, want %.3f", len(got), whole)
	}
	for k := 0; k < len(got); k++ {
		if k%step != 0 && k < len(got)-50 { // the end is where rounding shows
			continue
		}
		want := new(big.Rat).SetInt64(int64(k))
		if before := area(curve, max(0, got[k]-2)); before.Cmp(want) > 0 {
			t.Fatalf("arrival %d at %d ns is late: the area has passed it 2 ns before", k, got[k])
		}
		if after := area(curve, got[k]+3); after.Cmp(want) <= 0 {
			t.Fatalf("arrival %d at %d ns is early: the area has not passed it 3 ns later", k, got[k])
		}
	}
}

func TestCurveIsExact(t *testing.T) {
	const s, hour, day = time.Second, time.Hour, 24 * time.Hour
	tests := []struct {
		name  string
		curve points
		want  int // by hand
	}{
		{"flat", points{{0, 300_000}, {10 * s, 300_000}}, 3_000_000},
		{"ramp from nothing", points{{0, 0}, {10 * s, 1000}}, 5000},
		{"ramp to nothing", points{{0, 1000}, {10 * s, 0}}, 5000},
		{"long ramp to nothing", points{{0, 100}, {day, 0}}, 4_320_000},
		{"slight slope", points{{0, 1000}, {hour, 1000.000001}}, 3_600_001},
		{"jumps and silence", points{{0, 0}, {s, 0}, {s, 100}, {2 * s, 100}, {2 * s, 0}, {5 * s, 0}, {5 * s, 10}, {6 * s, 10}}, 110},
		{"silence at the end", points{{0, 50}, {2 * s, 50}, {2 * s, 0}, {9 * s, 0}}, 100},
		{"a sawtooth through zero", points{{0, 0}, {s, 2000}, {2 * s, 0}, {3 * s, 2000}, {4 * s, 0}}, 4000},
		{"less than one arrival", points{{0, 0.1}, {s, 0.1}}, 1},
		{"a jump at the start", points{{0, 5}, {0, 10}, {s, 10}}, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := arrivals(t, curved(scenarios.Constant, tt.curve, 1)); len(got) != tt.want {
				t.Errorf("%d arrivals, want %d", len(got), tt.want)
			}
			checkConstant(t, tt.curve, max(1, tt.want/500))
		})
	}
}

func TestSilenceHasNoArrivals(t *testing.T) {
	const s = time.Second
	curve := points{{0, 0}, {2 * s, 0}, {2 * s, 100}, {3 * s, 0}, {5 * s, 0}, {6 * s, 50}}
	for _, process := range []scenarios.Process{scenarios.Constant, scenarios.Poisson} {
		for _, at := range arrivals(t, curved(process, curve, 3)) {
			if at < 2*s || at > 3*s && at < 5*s {
				t.Errorf("%s: an arrival at %s, where the rate is zero", process, at)
			}
		}
	}
}

// randomCurve has jumps, silence, slopes of all sizes.
func randomCurve(r *rand.Rand) points {
	curve := points{{0, 0}}
	at := time.Duration(0)
	rate := func() float64 {
		if r.IntN(4) == 0 {
			return 0
		}
		return math.Exp(r.Float64()*12 - 4)
	}
	curve[0].RPS = rate()
	for range 1 + r.IntN(12) {
		if r.IntN(3) == 0 {
			curve = append(curve, point{at, rate()})
		}
		at += time.Duration(1 + r.Int64N(int64(3*time.Second)))
		curve = append(curve, point{at, rate()})
	}
	return curve
}

func TestRandomCurves(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		curve := randomCurve(r)
		if scenarios.CheckCurve(curve.curve(), curve[len(curve)-1].At) != nil {
			continue // nothing but silence
		}
		checkConstant(t, curve, 97)
		last := time.Duration(0)
		for _, at := range arrivals(t, curved(scenarios.Poisson, curve, r.Uint64())) {
			if at < last || at >= curve[len(curve)-1].At {
				t.Fatalf("%v: Poisson arrival at %s after %s", curve, at, last)
			}
			last = at
		}
		if t.Failed() {
			t.Fatalf("curve %v", curve)
		}
	}
}

// TestCountsPerSegment wants the integral of each segment, within one arrival.
func TestCountsPerSegment(t *testing.T) {
	const s = time.Second
	curve := points{{0, 10}, {3 * s, 1000}, {5 * s, 1000}, {5 * s, 0}, {6 * s, 0}, {8 * s, 777.7}, {9 * s, 3}}
	got := arrivals(t, curved(scenarios.Constant, curve, 1))
	for i := 1; i < len(curve); i++ {
		from, to := curve[i-1], curve[i]
		count := 0.0
		for _, at := range got {
			if at >= from.At && at < to.At {
				count++
			}
		}
		if want := (to.At - from.At).Seconds() * (from.RPS + to.RPS) / 2; math.Abs(count-want) > 1 {
			t.Errorf("from %s to %s: %g arrivals, want %.3f", from.At, to.At, count, want)
		}
	}
}

// adCritical is the 1 % point of A² when the distribution is wholly known
// (D'Agostino and Stephens, Goodness-of-Fit Techniques, 1986, table 4.2).
const adCritical = 3.857

func TestPoissonOnACurve(t *testing.T) {
	const s = time.Second
	curve := points{{0, 0}, {10 * s, 2000}, {20 * s, 2000}, {20 * s, 100}, {40 * s, 100}, {40 * s, 0}, {50 * s, 0}, {60 * s, 1500}, {70 * s, 10}}
	for _, seed := range []uint64{1, 2, 3} {
		// By the time-rescaling theorem the areas between arrivals are independent
		// and exponential with mean one (Daley and Vere-Jones, 2nd ed., th. 7.4.I).
		var gaps []float64
		last := new(big.Rat)
		for _, at := range arrivals(t, curved(scenarios.Poisson, curve, seed)) {
			now := area(curve, at)
			gap, _ := new(big.Rat).Sub(now, last).Float64()
			gaps, last = append(gaps, gap), now
		}
		whole, _ := area(curve, 70*s).Float64()
		if n := float64(len(gaps)); math.Abs(n-whole) > 4*math.Sqrt(whole) {
			t.Errorf("seed %d: %g arrivals, want %.0f ± %.0f", seed, n, whole, 4*math.Sqrt(whole))
		}
		if a := andersonDarling(gaps, 1); a > adCritical {
			t.Errorf("seed %d: Anderson-Darling statistic %.3f, want at most %.3f", seed, a, adCritical)
		}
	}
}

// TestAndersonDarlingTellsProcessesApart wants the test to see what is not
// Poisson.
func TestAndersonDarlingTellsProcessesApart(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	tests := map[string]func() float64{
		"constant gaps": func() float64 { return 1 },
		// Balanced means, squared coefficient of variation 2: p = (1+√(1/3))/2.
		"hyperexponential": func() float64 {
			p := (1 + math.Sqrt(1.0/3)) / 2
			if r.Float64() < p {
				return r.ExpFloat64() / (2 * p)
			}
			return r.ExpFloat64() / (2 * (1 - p))
		},
		"a rate that is 10 % off": func() float64 { return r.ExpFloat64() / 1.1 },
	}
	for name, gap := range tests {
		gaps := make([]float64, 5000)
		for i := range gaps {
			gaps[i] = gap()
		}
		if a := andersonDarling(gaps, 1); a <= adCritical {
			t.Errorf("%s: Anderson-Darling statistic %.3f, want above %.3f", name, a, adCritical)
		}
	}
}

func TestSameSeedSameArrivalsOnACurve(t *testing.T) {
	curve := points{{0, 100}, {10 * time.Second, 900}}
	first := arrivals(t, curved(scenarios.Poisson, curve, 9))
	if again := arrivals(t, curved(scenarios.Poisson, curve, 9)); !slices.Equal(first, again) {
		t.Error("the same seed gave other arrivals")
	}
	if other := arrivals(t, curved(scenarios.Poisson, curve, 10)); slices.Equal(first, other) {
		t.Error("another seed gave the same arrivals")
	}
}

func TestNewRefusesCurves(t *testing.T) {
	const s = time.Second
	for name, curve := range map[string]points{
		"one point":          {{0, 1}},
		"late start":         {{s, 1}, {2 * s, 1}},
		"out of order":       {{0, 1}, {2 * s, 1}, {s, 1}, {2 * s, 1}},
		"negative":           {{0, 1}, {2 * s, -1}},
		"not a number":       {{0, math.NaN()}, {2 * s, 1}},
		"infinite":           {{0, math.Inf(1)}, {2 * s, 1}},
		"nothing":            {{0, 0}, {2 * s, 0}},
		"nothing but a peak": {{0, 0}, {s, 0}, {s, 5}, {s, 0}, {2 * s, 0}},
	} {
		phase := curved(scenarios.Constant, curve, 1)
		if _, err := schedule.New(phase); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	phase := curved(scenarios.Constant, points{{0, 1}, {s, 1}}, 1)
	phase.Duration = 2 * s
	if _, err := schedule.New(phase); err == nil {
		t.Error("a curve shorter than the phase: no error")
	}
}

func TestNothingIsAllocatedOnACurve(t *testing.T) {
	for _, process := range []scenarios.Process{scenarios.Constant, scenarios.Poisson} {
		a, err := schedule.New(curved(process, points{{0, 0}, {time.Hour, 1e6}}, 1))
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(1000, func() { a.Next() }); got != 0 {
			t.Errorf("%s: %v allocations per arrival, want 0", process, got)
		}
	}
}

func BenchmarkNextOnACurve(b *testing.B) {
	var curve points
	for i := range 1000 {
		curve = append(curve, point{time.Duration(i) * time.Hour, 1e6 * float64(i%2)})
	}
	for _, process := range []scenarios.Process{scenarios.Constant, scenarios.Poisson} {
		b.Run(string(process), func(b *testing.B) {
			a, err := schedule.New(curved(process, curve, 1))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				a.Next()
			}
		})
	}
}
