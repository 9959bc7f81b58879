package stat

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// upTo is the distribution of 1, 2, …, n.
func upTo(n int) Distribution {
	values, counts := make([]float64, n), make([]int64, n)
	for i := range values {
		values[i], counts[i] = float64(i+1), 1
	}
	return NewDistribution(values, counts)
}

func TestSamplesFor(t *testing.T) {
	// The published bars of the order-statistic interval.
	for _, test := range []struct {
		q    float64
		want int
	}{{0.99, 726}, {0.999, 7294}, {0.9999, 73023}, {0.01, 726}, {0.5, 11}, {0, math.MaxInt}, {1, math.MaxInt}, {math.NaN(), math.MaxInt}} {
		if got := SamplesFor(test.q); got != test.want {
			t.Errorf("SamplesFor(%g) = %d, want %d", test.q, got, test.want)
		}
	}
}

func TestQuantileExists(t *testing.T) {
	if e := Quantile(upTo(725), 0.99, 0.95); e.OK() || len(e.Warnings) != 1 || e.N != 725 {
		t.Errorf("p99 of 725 answers = %+v, want it not estimable with a reason", e)
	}
	// By hand: n = 1000, nq = 990, 1.96·√(990·0.01) = 6.17: ranks 983 and 998.
	e := Quantile(upTo(1000), 0.99, 0.95)
	if e.Value != 990 || e.Low != 983 || e.High != 998 || e.N != 1000 {
		t.Errorf("p99 of 1…1000 = %+v, want 990 [983, 998]", e)
	}
	data, err := json.Marshal(Quantile(upTo(10), 0.99, 0.95))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"value":null,"low":null,"high":null,"confidence":0,"n":10,"warnings":["p99 needs at least 726 answers, there were 10"]}`; string(data) != want {
		t.Errorf("JSON %s, want %s", data, want)
	}
}

func TestDistribution(t *testing.T) {
	d := NewDistribution([]float64{1, 2, 5, 9}, []int64{3, 0, 5, 2})
	for _, test := range []struct {
		name      string
		got, want float64
	}{
		{"n", float64(d.N()), 10},
		{"mean", d.Mean(), (3 + 25 + 18) / 10.0},
		{"max", d.Max(), 9},
		{"p30", d.Quantile(0.3), 1},
		{"p31", d.Quantile(0.31), 5},
		{"p80", d.Quantile(0.8), 5},
		{"p81", d.Quantile(0.81), 9},
		{"p0", d.Quantile(0), 1},
		{"p100", d.Quantile(1), 9},
		{"above 5", d.ShareAbove(5), 0.2},
		{"above 4", d.ShareAbove(4), 0.7},
		{"above 0", d.ShareAbove(0), 1},
		{"above 9", d.ShareAbove(9), 0},
		{"merged n", float64(Merge(d, upTo(2)).N()), 12},
		{"merged median", Merge(d, upTo(2)).Quantile(0.5), 5},
		{"merged p25", Merge(d, upTo(2)).Quantile(0.25), 1},
	} {
		if test.got != test.want {
			t.Errorf("%s = %g, want %g", test.name, test.got, test.want)
		}
	}
	var none Distribution
	if !math.IsNaN(none.Quantile(0.5)) || !math.IsNaN(none.Mean()) || none.N() != 0 || none.ShareAbove(1) != 0 {
		t.Error("an empty distribution has values")
	}
}

func TestOfHistogram(t *testing.T) {
	h := hdrhistogram.New(1000, 3_600_000_000_000, 3)
	for i := int64(1); i <= 1000; i++ {
		if err := h.RecordValue(i * 100_000); err != nil {
			t.Fatal(err)
		}
	}
	d := OfHistogram(h, 1e-9)
	near(t, "p99", d.Quantile(0.99), 0.099, 0.002) // 0.1 % of quantisation, and a rank
	near(t, "mean", d.Mean(), 0.05005, 0.002)
	if OfHistogram(nil, 1).N() != 0 {
		t.Error("no histogram has observations")
	}
}

// Seconds that differ from each other make the quantile less certain than their
// number of requests says.
func TestBootstrapSeesSeconds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	make60 := func(offset float64) []Distribution {
		var out []Distribution
		for s := range 60 {
			values, counts := make([]float64, 200), make([]int64, 200)
			for i := range values {
				values[i], counts[i] = float64(i)+offset*math.Sin(float64(s/10)*2.5), 1
			}
			out = append(out, NewDistribution(values, counts))
		}
		return out
	}
	for _, test := range []struct {
		name   string
		offset float64
		wider  bool
	}{{"alike", 0, false}, {"waves", 40, true}} {
		t.Run(test.name, func(t *testing.T) {
			blocks := make60(test.offset)
			plain := Quantile(Merge(blocks...), 0.5, 0.95)
			wide := plain.Widen(Bootstrap(blocks, []float64{0.5}, 0, 300, random)[0])
			if got := wide.High-wide.Low > 2*(plain.High-plain.Low); got != test.wider {
				t.Errorf("interval [%g, %g] became [%g, %g]: wider = %v, want %v", plain.Low, plain.High, wide.Low, wide.High, got, test.wider)
			}
			if wide.Value != plain.Value {
				t.Errorf("value moved from %g to %g", plain.Value, wide.Value)
			}
		})
	}
	if draws := Bootstrap(nil, []float64{0.5}, 0, 10, random); len(draws) != 1 || draws[0] != nil {
		t.Errorf("no blocks gave %v", draws)
	}
}

// What is merged, and in which order, does not show: it is the sorted list of all.
func TestMergeIsSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for parts := range 9 {
		var all []float64
		var list []Distribution
		for range parts {
			part := make([]float64, random.IntN(40))
			ones := make([]int64, len(part))
			for i := range part {
				part[i], ones[i] = float64(random.IntN(30)), 1
			}
			slices.Sort(part)
			all, list = append(all, part...), append(list, NewDistribution(part, ones))
		}
		slices.Sort(all)
		merged := Merge(list...)
		if merged.N() != int64(len(all)) {
			t.Fatalf("%d parts: %d observations, want %d", parts, merged.N(), len(all))
		}
		for i, v := range all {
			if got := merged.AtRank(int64(i + 1)); got != v {
				t.Errorf("%d parts: rank %d is %g, want %g", parts, i+1, got, v)
			}
		}
	}
}

// Other quantiles that are asked for at the same time change nothing.
func TestBootstrapOfSeveralQuantiles(t *testing.T) {
	var blocks []Distribution
	for s := range 20 {
		blocks = append(blocks, NewDistribution([]float64{float64(s % 3), float64(s + 5)}, []int64{3, int64(1 + s%4)}))
	}
	quantiles := []float64{0.1, 0.5, 0.99}
	together := Bootstrap(blocks, quantiles, 0, 50, rand.New(rand.NewPCG(1, 2)))
	for i, q := range quantiles {
		alone := Bootstrap(blocks, []float64{q}, 0, 50, rand.New(rand.NewPCG(1, 2)))[0]
		if len(alone) != 50 || !slices.Equal(together[i], alone) {
			t.Errorf("%g: %v together, %v alone", q, together[i], alone)
		}
	}
}

// The 95 % interval of the median of a normal sample covers it about as often.
func TestQuantileCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	covered, trials := 0, 600
	for range trials {
		values, counts := make([]float64, 400), make([]int64, 400)
		for i := range values {
			values[i], counts[i] = random.NormFloat64(), 1
		}
		slices.Sort(values)
		if e := Quantile(NewDistribution(values, counts), 0.5, 0.95); e.Low <= 0 && 0 <= e.High {
			covered++
		}
	}
	if share := float64(covered) / float64(trials); share < 0.93 || share > 0.985 {
		t.Errorf("covered %.3f, want about 0.95", share)
	}
}

func TestAutocorrelation(t *testing.T) {
	// numpy 2, by the definition.
	near(t, "lag 1", Autocorrelation([]float64{2, 4, 6, 3, 5, 8, 7, 9, 12, 10}), 0.563203463203463, 1e-9)
	for _, series := range [][]float64{nil, {1, 2, 3}, {4, 4, 4, 4, 4}} {
		if got := Autocorrelation(series); got != 0 {
			t.Errorf("Autocorrelation(%v) = %g, want 0", series, got)
		}
	}
}

func TestPercentiles(t *testing.T) {
	draws := []float64{math.NaN()}
	for i := range 1001 {
		draws = append(draws, float64(1000-i))
	}
	low, high, ok := Percentiles(draws, 0.95)
	if low != 25 || high != 975 || !ok {
		t.Errorf("Percentiles = %g, %g, %v, want 25, 975, true", low, high, ok)
	}
	if _, _, ok := Percentiles([]float64{math.NaN()}, 0.95); ok {
		t.Error("percentiles of nothing")
	}
}

func TestQuantileName(t *testing.T) {
	for q, want := range map[float64]string{0.5: "p50", 0.99: "p99", 0.999: "p99.9", 0.9999: "p99.99"} {
		if got := QuantileName(q); got != want {
			t.Errorf("QuantileName(%g) = %s, want %s", q, got, want)
		}
	}
}
