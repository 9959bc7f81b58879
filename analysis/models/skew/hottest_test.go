package skew

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// near reports whether two numbers differ by at most tolerance.
func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

// enumerate returns the mean of the largest number over all replicas^connections
// placements, and the share of placements in which it is at most each number.
func enumerate(connections, replicas int) (mean float64, atMost []float64) {
	atMost = make([]float64, connections+1)
	counts := make([]int, replicas)
	total := 0.0
	var place func(left int)
	place = func(left int) {
		if left == 0 {
			busiest := slices.Max(counts)
			mean, total = mean+float64(busiest), total+1
			for m := busiest; m <= connections; m++ {
				atMost[m]++
			}
			return
		}
		for i := range counts {
			counts[i]++
			place(left - 1)
			counts[i]--
		}
	}
	place(connections)
	for m := range atMost {
		atMost[m] /= total
	}
	return mean / total, atMost
}

func TestHottestIsTheMultinomialMaximum(t *testing.T) {
	for _, c := range []struct{ connections, replicas int }{
		{1, 1}, {5, 1}, {1, 3}, {2, 2}, {3, 2}, {4, 4}, {8, 2}, {8, 4}, {7, 5}, {6, 7}, {12, 3},
	} {
		mean, atMost := enumerate(c.connections, c.replicas)
		got := Hottest(c.connections, c.replicas, Random)
		if want := mean * float64(c.replicas) / float64(c.connections); !near(got.Value, want, 1e-9) {
			t.Errorf("%d on %d: got %.9f, want %.9f", c.connections, c.replicas, got.Value, want)
		}
		d := hottestOf(c.connections, []group{{c.replicas, 1 / float64(c.replicas)}})
		for i, p := range d.cdf {
			if !near(p, atMost[d.first+i], 1e-9) {
				t.Errorf("%d on %d: P(max ≤ %d) is %g, want %g", c.connections, c.replicas, d.first+i, p, atMost[d.first+i])
			}
		}
	}
}

// TestHottestKnown holds values that others have published or that one can see.
func TestHottestKnown(t *testing.T) {
	for _, c := range []struct {
		name                  string
		connections, replicas int
		placement             Placement
		want, tolerance       float64
	}{
		// P(both on one) = 1/2, so (2 + 1)/2 connections, mean 1.
		{"two on two", 2, 2, Random, 1.5, 1e-12},
		// Three in a row 1/4 of the time, else two: 9/4 of a mean of 3/2.
		{"three on two", 3, 2, Random, 1.5, 1e-12},
		// E max = 1·6/27 + 2·18/27 + 3·3/27 = 51/27.
		{"three on three", 3, 3, Random, 51.0 / 27, 1e-12},
		// Birthdays: 23 people share none of 365 days with probability 0.4927, so
		// the maximum exceeds 1 with 0.5073 (and 2 with 0.0127; 3 with 0.0001).
		{"birthdays", 23, 365, Random, (1 + 0.5073 + 0.0127 + 0.0001) * 365 / 23, 0.0002 * 365 / 23},
		// Mean absolute deviation of a fair binomial: 100 tosses, 50 ± 3.979.
		{"a hundred tosses", 100, 2, Random, 1 + 3.9795/50, 1e-5},
		{"round robin", 8, 4, RoundRobin, 1, 1e-12},
		{"round robin with a rest", 9, 4, RoundRobin, 3 / 2.25, 1e-12},
		{"fewer than replicas", 2, 8, LeastConnection, 4, 1e-12},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Hottest(c.connections, c.replicas, c.placement)
			if !near(got.Value, c.want, c.tolerance) {
				t.Errorf("got %.6f, want %.6f", got.Value, c.want)
			}
			if got.Low > got.Value || got.High < got.Value {
				t.Errorf("%.3f lies outside of %.3f – %.3f", got.Value, got.Low, got.High)
			}
			if idle := c.connections < c.replicas; idle != (len(got.Warnings) > 0) {
				t.Errorf("warnings %q", got.Warnings)
			}
		})
	}
}

// TestEightOnFour is the case that people meet. Of the 65 536 placements 2 520 have a
// maximum of two, 33 600 of three, 22 260 of four, 6 048 of five, and 1 108 of more.
func TestEightOnFour(t *testing.T) {
	got := Hottest(8, 4, Random)
	if !near(got.Value, 1.76904, 1e-5) || got.Low != 1 || got.High != 2.5 {
		t.Errorf("got %.4f (%.3f – %.3f), want 1.7690 (1 – 2.5)", got.Value, got.Low, got.High)
	}
}

// TestHottestOfMany compares with simulation. 20 000 draws leave a standard error of σ/√20 000, where σ of
// a maximum is below that of one number, √λ: four of them are the tolerance.
func TestHottestOfMany(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ connections, replicas int }{
		{64, 8}, {200, 40}, {1000, 3}, {1000, 100}, {5000, 2}, {5000, 20}, {20000, 50}, {100000, 10},
	} {
		draws := min(20000, 10_000_000/c.connections)
		sum, above := 0.0, 0
		got := Hottest(c.connections, c.replicas, Random)
		mean := float64(c.connections) / float64(c.replicas)
		for range draws {
			counts := make([]int, c.replicas)
			for range c.connections {
				counts[random.IntN(c.replicas)]++
			}
			factor := float64(slices.Max(counts)) / mean
			sum += factor
			if factor > got.High+1e-9 || factor < got.Low-1e-9 {
				above++
			}
		}
		want := sum / float64(draws)
		tolerance := 4/math.Sqrt(mean*float64(draws)) + 0.0005
		if !near(got.Value, want, tolerance) {
			t.Errorf("%d on %d: got %.4f, simulated %.4f ± %.4f", c.connections, c.replicas, got.Value, want, tolerance)
		}
		if outside := float64(above) / float64(draws); outside > 0.05+4*math.Sqrt(0.05/float64(draws)) {
			t.Errorf("%d on %d: %.3f of placements lie outside of the interval, want 0.05 at most", c.connections, c.replicas, outside)
		}
	}
}

// TestTwoKindsOfReplicas compares with sums over the binomial number of connections
// on the first replica: of two, the other one has the rest.
func TestTwoKindsOfReplicas(t *testing.T) {
	for _, c := range []struct {
		connections int
		probability float64
	}{{1, 0.7}, {10, 0.9}, {200, 0.5}, {200, 0.875}, {200, 0.999}, {200, 1}, {3000, 0.625}} {
		n := float64(c.connections)
		want := 0.0
		for k := range c.connections + 1 {
			logBinomial := func(n, k float64) float64 {
				a, _ := math.Lgamma(n + 1)
				b, _ := math.Lgamma(k + 1)
				c, _ := math.Lgamma(n - k + 1)
				return a - b - c
			}
			p := 0.0
			switch x := float64(k); {
			case c.probability < 1:
				p = math.Exp(logBinomial(n, x) + x*math.Log(c.probability) + (n-x)*math.Log(1-c.probability))
			case x == n:
				p = 1
			}
			want += p * math.Max(float64(k), n-float64(k))
		}
		got := hottestOf(c.connections, []group{{1, c.probability}, {0, 0.3}, {1, 1 - c.probability}}).mean()
		if !near(got, want, 1e-6*want) {
			t.Errorf("%+v: got %.6f, want %.6f", c, got, want)
		}
	}
}

func TestHottestNotEstimable(t *testing.T) {
	for _, c := range [][2]int{{0, 4}, {8, 0}, {-1, -1}} {
		if got := Hottest(c[0], c[1], Random); got.OK() || len(got.Warnings) != 1 {
			t.Errorf("%v: got %+v, want not estimable", c, got)
		}
	}
}

func BenchmarkHottest(b *testing.B) {
	for b.Loop() {
		Hottest(500, 20, Random)
	}
}

func BenchmarkHottestOfMany(b *testing.B) {
	for b.Loop() {
		Hottest(50000, 20, Random)
	}
}
