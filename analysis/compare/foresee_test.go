package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// A t-test at 5 %, one side, finds half a standard deviation four times in five with 27
// pairs, and 0.8 of one with 12 (Cohen, "Statistical power analysis", 1988, and G*Power
// 3: d = 0.4922 and 0.7701). Of ranks it takes π/3 times as many.
func TestReach(t *testing.T) {
	for _, test := range []struct {
		pairs int
		want  float64
	}{{27, 0.4922}, {12, 0.7701}} {
		if got := reach(test.pairs, 0.05) / math.Sqrt(math.Pi/3); math.Abs(got/test.want-1) > 0.005 {
			t.Errorf("%d pairs: %.4f, want %.4f", test.pairs, got, test.want)
		}
	}
}

// What is foreseen happens: a change of that size is called regressed about four times
// in five, as one of several metrics.
func TestForeseenIsFound(t *testing.T) {
	const trials, sd = 1000, 0.03
	for _, test := range []struct {
		name           string
		pairs, metrics int
		alpha          float64
		margin         float64
		higher         bool
	}{
		{"12 pairs of one metric", 12, 1, Alpha, 0.05, false},
		{"12 pairs of 8 metrics", 12, 8, Alpha, 0.05, false},
		{"a look at 27 pairs of 10 metrics", 27, 10, LookAlpha, 0.025, false},
		{"20 pairs, more is better", 20, 4, Alpha, 0.1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(21, uint64(test.pairs*test.metrics)))
			metric := Metric{Name: "x", Margin: test.margin, Higher: test.higher}
			pairsOf := func(n int, change float64) Series {
				s := Series{Metric: metric}
				for range n {
					s.Base = append(s.Base, 1)
					s.New = append(s.New, (1+change)*math.Exp(sd*random.NormFloat64()))
				}
				return s
			}
			before := make([]Series, test.metrics)
			for i := range before {
				before[i] = pairsOf(5000, 0) // so many that the scatter is known
			}
			told := Foresee(before, true, test.pairs, test.alpha)
			change := told[0].Detectable
			if test.higher {
				change = -change
			}
			found := 0
			for range trials {
				all := make([]Series, test.metrics)
				for i := range all {
					all[i] = pairsOf(test.pairs, 0)
				}
				all[0] = pairsOf(test.pairs, change)
				if Pairs(all, test.alpha)[0].Verdict == Regressed {
					found++
				}
			}
			share := float64(found) / trials
			t.Logf("%.3f of changes by %.4f", share, told[0].Detectable)
			if math.Abs(share-0.8) > 0.05 {
				t.Errorf("found in %.3f, want 0.80", share)
			}
			if !(told[0].Low < told[0].Detectable && told[0].Detectable < told[0].High) {
				t.Errorf("from %g to %g, and in the middle %g", told[0].Low, told[0].High, told[0].Detectable)
			}
		})
	}
}

// Four pairs tell the scatter badly, and the interval says how badly: it holds what
// many pairs would tell in four of five cases.
func TestForeseenFromFewPairs(t *testing.T) {
	const trials, sd, pairs = 2000, 0.03, 12
	random := rand.New(rand.NewPCG(22, 0))
	truth := math.Expm1(math.Log1p(0.05) + sd*reach(pairs, Alpha))
	for _, test := range []struct {
		name   string
		paired bool
	}{{"pairs", true}, {"runs of the base", false}} {
		t.Run(test.name, func(t *testing.T) {
			held := 0
			for range trials {
				s := Series{Metric: Metric{Name: "x", Margin: 0.05}}
				for range LeastToForesee {
					s.Base = append(s.Base, math.Exp(sd/math.Sqrt2*random.NormFloat64()))
					s.New = append(s.New, math.Exp(sd/math.Sqrt2*random.NormFloat64()))
				}
				e := Foresee([]Series{s}, test.paired, pairs, Alpha)[0]
				if e.Low <= truth && truth <= e.High {
					held++
				}
			}
			if share := float64(held) / trials; math.Abs(share-0.8) > 0.03 {
				t.Errorf("held in %.3f, want 0.80", share)
			}
		})
	}
}

func TestForeseeWhatCannotBe(t *testing.T) {
	latency := Metric{Name: "latency p50", Margin: 0.05}
	many := func(v float64) []float64 { return []float64{v, v * 1.01, v * 0.99, v} }
	for _, test := range []struct {
		name   string
		series Series
		pairs  int
		want   int // expectations
		needs  int
	}{
		{"three pairs", Series{latency, many(1)[:3], many(1)[:3]}, 12, 0, 0},
		{"a value that is not there", Series{latency, append(many(1)[:3], math.NaN()), many(1)}, 12, 0, 0},
		{"a ratio to 0", Series{latency, []float64{0, 1, 1, 1}, many(1)}, 12, 0, 0},
		{"4 pairs at 5 % on one side", Series{latency, many(1), many(1)}, 4, 1, 5}, // 2⁻⁴ > 0.05 ≥ 2⁻⁵
		{"5 pairs", Series{latency, many(1), []float64{1.01, 0.99, 1, 1}}, 5, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Foresee([]Series{test.series}, true, test.pairs, Alpha)
			if len(got) != test.want || (test.want > 0 && (got[0].Needs != test.needs || (got[0].Detectable > 0) != (test.needs == 0))) {
				t.Errorf("%+v, want %d, needing %d", got, test.want, test.needs)
			}
		})
	}
	if n := stat.PairedShiftNeeds(1 - 2*Alpha); n != 5 {
		t.Errorf("an interval takes %d pairs", n)
	}
	errors := Series{Metric{Name: "error ratio", Margin: 0.001, Absolute: true}, make([]float64, 4), make([]float64, 4)}
	if got := Foresee([]Series{errors}, true, 12, Alpha)[0]; got.Detectable != 0 || got.Needs != 0 || got.From != 4 {
		t.Errorf("without scatter nothing is known, and it says %+v", got)
	}
}

// So many pairs show something among so many metrics and nothing among one more, however
// clear a change is: 2⁻⁸ lies between 0.01 ÷ 2 and 0.01 ÷ 3, and between 0.05 ÷ 12 and
// 0.05 ÷ 13; 2⁻⁴ is above 0.05.
func TestShows(t *testing.T) {
	for _, test := range []struct {
		pairs   int
		alpha   float64
		metrics int
	}{{FirstLook(), LookAlpha, 2}, {8, Alpha, 12}, {6, Alpha, 3}, {5, Alpha, 1}, {4, Alpha, 0}, {12, LookAlpha, 40}} {
		if got := Shows(test.pairs, test.alpha); got != test.metrics {
			t.Errorf("%d pairs at %g show among %d metrics, want %d", test.pairs, test.alpha, got, test.metrics)
		}
		for metrics := max(1, test.metrics); metrics <= test.metrics+1; metrics++ {
			all := make([]Series, metrics)
			for m := range all {
				all[m].Metric = latency
				for i := range test.pairs {
					all[m].Base, all[m].New = append(all[m].Base, 1+0.001*float64(i)), append(all[m].New, 2+0.001*float64(i*i))
				}
			}
			want := Regressed
			if metrics > test.metrics {
				want = Inconclusive
			}
			if f := Pairs(all, test.alpha)[0]; f.Verdict != want {
				t.Errorf("%d pairs at %g, twice the latency, among %d metrics: %s, want %s", test.pairs, test.alpha, metrics, f.Verdict, want)
			}
		}
	}
}
