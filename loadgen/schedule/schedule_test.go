package schedule_test

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/schedule"
	"github.com/sailplan-io/sailplan/scenarios"
)

func arrivals(t testing.TB, phase scenarios.Phase) []time.Duration {
	t.Helper()
	a, err := schedule.New(phase)
	if err != nil {
		t.Fatal(err)
	}
	var all []time.Duration
	for {
		at, ok := a.Next()
		if !ok {
			return all
		}
		all = append(all, at)
	}
}

func TestConstantIsExact(t *testing.T) {
	tests := []struct {
		name     string
		rate     scenarios.Rate
		duration time.Duration
		want     int
	}{
		{"3 000 000 at 300 000/s", scenarios.Rate{Count: 300_000, Per: time.Second}, 10 * time.Second, 3_000_000},
		{"a third of a second", scenarios.Rate{Count: 3, Per: time.Second}, time.Hour, 10_800},
		{"seven in three seconds", scenarios.Rate{Count: 7, Per: 3 * time.Second}, time.Hour, 8_400},
		{"per minute", scenarios.Rate{Count: 90, Per: time.Minute}, time.Hour, 5_400},
		{"a fraction", scenarios.PerSecond(1234.567), 1000 * time.Second, 1_234_567},
		{"one in a duration", scenarios.Rate{Count: 1, Per: time.Hour}, time.Minute, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := arrivals(t, scenarios.Phase{Process: scenarios.Constant, Rate: tt.rate, Duration: tt.duration})
			if len(got) != tt.want {
				t.Fatalf("%d arrivals, want %d", len(got), tt.want)
			}
			step := max(1, len(got)/1000)
			for i := 0; i < len(got); i += step {
				// ⌊i·per ÷ count⌋ by arithmetic of any size.
				want := new(big.Int).Mul(big.NewInt(int64(i)), big.NewInt(int64(tt.rate.Per)))
				want.Div(want, big.NewInt(tt.rate.Count))
				if got[i] != time.Duration(want.Int64()) {
					t.Fatalf("arrival %d at %d ns, want %s ns", i, got[i], want)
				}
			}
			last := len(got) - 1
			exact := float64(last) * float64(tt.rate.Per) / float64(tt.rate.Count)
			if off := math.Abs(float64(got[last]) - exact); off > 1000 {
				t.Errorf("the last arrival is off by %.0f ns, want at most 1 µs", off)
			}
		})
	}
}

// andersonDarling returns A² of gaps against an exponential distribution of
// known mean (case 0): −n − (1/n) Σ (2i−1)·(ln F(x_i) + ln(1 − F(x_{n+1−i}))).
func andersonDarling(gaps []float64, mean float64) float64 {
	slices.Sort(gaps)
	n := len(gaps)
	sum := 0.0
	for i, x := range gaps {
		// ln F(x) and ln(1 − F) of the mirrored gap, which is −x/mean.
		lower := math.Log(-math.Expm1(-max(x, 0.5e-9) / mean))
		upper := -gaps[n-1-i] / mean
		sum += float64(2*i+1) * (lower + upper)
	}
	return -float64(n) - sum/float64(n)
}

func TestPoisson(t *testing.T) {
	const rate, seconds = 1000, 100
	phase := scenarios.Phase{Process: scenarios.Poisson, Rate: scenarios.PerSecond(rate), Duration: seconds * time.Second, Seed: 42}
	got := arrivals(t, phase)

	// The count is Poisson with mean and variance 100 000: 4 standard deviations.
	if n, want := float64(len(got)), float64(rate*seconds); math.Abs(n-want) > 4*math.Sqrt(want) {
		t.Errorf("%d arrivals, want %g ± %.0f", len(got), want, 4*math.Sqrt(want))
	}
	gaps := make([]float64, 0, len(got))
	last := time.Duration(0)
	for _, at := range got {
		if at < last {
			t.Fatalf("arrival at %s after one at %s", at, last)
		}
		gaps = append(gaps, (at - last).Seconds())
		last = at
	}
	// 3.857 is the 1 % point of A² when the distribution is wholly known
	// (D'Agostino and Stephens, Goodness-of-Fit Techniques, table 4.2).
	if a := andersonDarling(gaps, 1.0/rate); a > 3.857 {
		t.Errorf("Anderson-Darling statistic %.3f, want at most 3.857", a)
	}
	// The same test has to see a process that is not Poisson.
	regular := make([]float64, 1000)
	for i := range regular {
		regular[i] = 1.0 / rate
	}
	if a := andersonDarling(regular, 1.0/rate); a < 3.857 {
		t.Errorf("Anderson-Darling statistic %.3f of regular gaps, want above 3.857", a)
	}
}

func TestPoissonKeepsItsRate(t *testing.T) {
	// Ten hours at 90 a minute: the mean of 54 000 ± 4σ, and nothing drifts.
	got := arrivals(t, scenarios.Phase{Process: scenarios.Poisson, Rate: scenarios.Rate{Count: 90, Per: time.Minute}, Duration: 10 * time.Hour, Seed: 3})
	if n := float64(len(got)); math.Abs(n-54_000) > 4*math.Sqrt(54_000) {
		t.Errorf("%g arrivals, want 54000 ± %.0f", n, 4*math.Sqrt(54_000))
	}
}

func TestSameSeedSameArrivals(t *testing.T) {
	phase := scenarios.Phase{Process: scenarios.Poisson, Rate: scenarios.PerSecond(500), Duration: 4 * time.Second, Seed: 9}
	first := arrivals(t, phase)
	if again := arrivals(t, phase); !slices.Equal(first, again) {
		t.Error("the same seed gave other arrivals")
	}
	phase.Seed = 10
	if other := arrivals(t, phase); slices.Equal(first, other) {
		t.Error("another seed gave the same arrivals")
	}
}

func TestNewRefuses(t *testing.T) {
	good := scenarios.Phase{Name: "p", Process: scenarios.Constant, Rate: scenarios.PerSecond(1), Duration: time.Second}
	tests := []struct {
		name   string
		change func(*scenarios.Phase)
		closed bool
	}{
		{"closed loop", func(p *scenarios.Phase) { p.Process = scenarios.Closed }, true},
		{"no rate", func(p *scenarios.Phase) { p.Rate = scenarios.Rate{} }, false},
		{"rate without time", func(p *scenarios.Phase) { p.Rate = scenarios.Rate{Count: 1} }, false},
		{"no duration", func(p *scenarios.Phase) { p.Duration = 0 }, false},
		{"unknown process", func(p *scenarios.Phase) { p.Process = "bursts" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			phase := good
			tt.change(&phase)
			_, err := schedule.New(phase)
			if err == nil {
				t.Fatal("no error")
			}
			if got := errors.Is(err, schedule.ErrClosed); got != tt.closed {
				t.Errorf("errors.Is(%v, ErrClosed) = %t, want %t", err, got, tt.closed)
			}
		})
	}
}

// TestFarFuture walks where the product of number and period needs 128 bits.
func TestFarFuture(t *testing.T) {
	got := arrivals(t, scenarios.Phase{
		Process: scenarios.Constant, Rate: scenarios.Rate{Count: 1, Per: 290 * 365 * 24 * time.Hour}, Duration: math.MaxInt64,
	})
	if len(got) != 2 { // 0 and 290 years; 580 years do not fit into a Duration
		t.Errorf("%d arrivals, want 2", len(got))
	}
}

func TestMix(t *testing.T) {
	tests := []struct {
		name    string
		weights []float64
	}{
		{"one", []float64{3}},
		{"nine to one", []float64{9, 1}},
		{"with zeros", []float64{0, 5, 0, 1, 0}},
		{"many", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{"tiny beside huge", []float64{1e-6, 1e6}},
	}
	const n = 1_000_000
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mix, err := schedule.NewMix(tt.weights, 5)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, len(tt.weights))
			for range n {
				got[mix.Next()]++
			}
			sum := 0.0
			for _, w := range tt.weights {
				sum += w
			}
			for i, w := range tt.weights {
				p := w / sum
				// Binomial: five standard deviations.
				if want := n * p; math.Abs(got[i]-want) > 5*math.Sqrt(n*p*(1-p)) {
					t.Errorf("kind %d drawn %g times, want %.0f", i, got[i], want)
				}
				if w == 0 && got[i] > 0 {
					t.Errorf("kind %d has no weight but was drawn", i)
				}
			}
		})
	}
}

func TestMixRefuses(t *testing.T) {
	for name, weights := range map[string][]float64{
		"none": {}, "zeros": {0, 0}, "negative": {1, -1}, "not a number": {math.NaN()}, "infinite": {math.Inf(1)},
	} {
		if _, err := schedule.NewMix(weights, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestShare(t *testing.T) {
	turn := schedule.NewShare(3, false, 1)
	for i := range 9 {
		if got, want := turn.Next(), i%3; got != want {
			t.Fatalf("arrival %d goes to worker %d, want %d", i, got, want)
		}
	}
	random := schedule.NewShare(4, true, 1)
	got := [4]float64{}
	for range 100_000 {
		got[random.Next()]++
	}
	for i, n := range got {
		if math.Abs(n-25_000) > 5*math.Sqrt(25_000*0.75) {
			t.Errorf("worker %d gets %g of 100000, want 25000", i, n)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	for _, process := range []scenarios.Process{scenarios.Constant, scenarios.Poisson} {
		a, err := schedule.New(scenarios.Phase{Process: process, Rate: scenarios.PerSecond(1000), Duration: 1000 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		mix, err := schedule.NewMix([]float64{1, 2}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(1000, func() { a.Next(); mix.Next() }); got != 0 {
			t.Errorf("%s: %v allocations per arrival, want 0", process, got)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, process := range []scenarios.Process{scenarios.Constant, scenarios.Poisson} {
		b.Run(string(process), func(b *testing.B) {
			a, err := schedule.New(scenarios.Phase{Process: process, Rate: scenarios.PerSecond(1e6), Duration: math.MaxInt64})
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

func TestBunches(t *testing.T) {
	const size = 50
	phase := scenarios.Phase{Process: scenarios.Constant, Rate: scenarios.PerSecond(1000), Duration: 2 * time.Second, Bunch: size}
	got := arrivals(t, phase)
	if len(got) != 2000 {
		t.Fatalf("%d arrivals, want 2000", len(got))
	}
	for i, at := range got {
		if want := time.Duration(i/size) * 50 * time.Millisecond; at != want {
			t.Fatalf("arrival %d at %s, want %s", i, at, want)
		}
	}
	phase.Process, phase.Duration, phase.Seed = scenarios.Poisson, 200*time.Second, 7
	got = arrivals(t, phase)
	if n := float64(len(got)); math.Abs(n-200_000) > 4.5*math.Sqrt(200_000*size) {
		t.Errorf("%v Poisson arrivals in 200 s, want some 200 000", n)
	}
	var gaps []float64
	for i := size; i < len(got); i += size {
		if got[i-1] != got[i-size] {
			t.Fatalf("arrivals %d to %d do not come at one instant", i-size, i-1)
		}
		gaps = append(gaps, (got[i] - got[i-1]).Seconds())
	}
	// 2.492: the 5 % point of case 0 (Stephens 1974).
	if a := andersonDarling(gaps, 0.05); a > 2.492 {
		t.Errorf("A² of the gaps between bunches is %.2f, want an exponential distribution", a)
	}
	phase.Curve = []scenarios.CurvePoint{{RPS: 1000}, {At: 200 * time.Second, RPS: 1000}}
	if _, err := schedule.New(phase); err == nil {
		t.Error("bunches of a rate that changes are taken")
	}
}
