package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// run makes a run's seconds of 200 latencies each around 10 ms. lag is how the load of a
// second depends on the one before, offset by how much the whole run differs, in
// deviations of seconds.
func run(random *rand.Rand, n int, factor, lag, offset float64) Seconds {
	const scatter = 0.06
	level := offset * scatter * random.NormFloat64()
	state := random.NormFloat64()
	out := make(Seconds, n)
	for i := range out {
		state = lag*state + math.Sqrt(1-lag*lag)*random.NormFloat64()
		centre := 0.010 * factor * math.Exp(level+scatter*state)
		counts := map[float64]int64{}
		for range 200 {
			counts[math.Round(centre*math.Exp(0.3*random.NormFloat64())*5e3)/5e3]++
		}
		var values []float64
		var ns []int64
		for v := range counts {
			values = append(values, v)
		}
		slices.Sort(values)
		for _, v := range values {
			ns = append(ns, counts[v])
		}
		out[i] = stat.NewDistribution(values, ns)
	}
	return out
}

func TestSingle(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	for _, test := range []struct {
		name string
		n    int
		by   float64
		lag  float64
		want Verdict
	}{
		{"a third slower", 120, 1.33, 0, Regressed},
		{"a third faster", 120, 0.67, 0, Improved},
		{"the same, and one run cannot say more", 120, 1, 0, Inconclusive},
		{"a third slower, but the seconds depend on each other", 120, 1.33, 0.97, Inconclusive},
		{"a third slower in ten seconds", 10, 1.33, 0, Inconclusive},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := Single(latency, run(random, test.n, 1, test.lag, 0), run(random, test.n, test.by, test.lag, 0), 0.5, Alpha, 1)
			if !(f.Effective[0] >= 1 && f.Effective[0] <= float64(test.n)) || !(f.Effective[1] >= 1) {
				t.Errorf("the seconds are worth %v independent ones", f.Effective)
			}
			if f.Verdict != test.want || f.Reason == "" {
				t.Errorf("%s: %s (change %v), want %s", f.Verdict, f.Reason, f.Change, test.want)
			}
		})
	}
	nothing := Single(latency, nil, nil, 0.99, Alpha, 1)
	if nothing.Verdict != Inconclusive || nothing.Change.OK() {
		t.Errorf("of no seconds: %s, %v", nothing.Verdict, nothing.Change)
	}
}

// One run a side, and nothing changed but what runs differ by.
func TestSingleFalseAlarms(t *testing.T) {
	const comparisons = 100
	free := latency
	free.Margin = 0
	for _, test := range []struct{ lag, offset float64 }{{0, 0}, {0.3, 0}, {0.6, 0}, {0.9, 0}, {0, 0.2}, {0, 0.5}, {0.6, 0.5}} {
		random := rand.New(rand.NewPCG(5, uint64(100*test.lag+1000*test.offset)))
		alarms := 0
		for i := range comparisons {
			f := Single(free, run(random, 60, 1, test.lag, test.offset), run(random, 60, 1, test.lag, test.offset), 0.5, Alpha, uint64(i))
			if f.Verdict == Regressed {
				alarms++
			}
		}
		if most := 0.05 + 3*math.Sqrt(0.05*0.95/comparisons); float64(alarms)/comparisons > most {
			t.Errorf("lag %g, offset %g: %d alarms in %d", test.lag, test.offset, alarms, comparisons)
		}
	}
}

// An autoregression of lag ρ is worth n·(1−ρ)÷(1+ρ) independent values.
func TestEffectiveSize(t *testing.T) {
	for _, lag := range []float64{0, 0.5, 0.8} {
		random := rand.New(rand.NewPCG(9, uint64(10*lag)))
		sum, draws := 0.0, 40
		for range draws {
			series := make([]float64, 2000)
			state := random.NormFloat64()
			for i := range series {
				state = lag*state + math.Sqrt(1-lag*lag)*random.NormFloat64()
				series[i] = state
			}
			sum += EffectiveSize(series)
		}
		want := 2000 * (1 - lag) / (1 + lag)
		if got := sum / float64(draws); math.Abs(got/want-1) > 0.15 {
			t.Errorf("lag %g: %.0f, want about %.0f", lag, got, want)
		}
	}
}
