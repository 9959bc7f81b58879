package skew

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestScaleUpKnown(t *testing.T) {
	for _, c := range []struct {
		name      string
		up        ScaleUp
		remaining float64
		want      float64
	}{
		{"new ones take nothing", ScaleUp{Connections: 8, From: 1, To: 4}, 1, 4},
		{"four from two, at once", ScaleUp{Connections: 2, From: 2, To: 4}, 1, 1.5 * 2},
		// The first replica has each of four with 3/4: of P(4, 3, 2, 1, 0) =
		// (81, 108, 54, 12, 1)/256 the maxima are 4, 3, 2, 3, 4, and the mean is 2.
		{"half way", ScaleUp{Connections: 4, From: 1, To: 2}, 0.5, (4*81 + 3*108 + 2*54 + 3*12 + 4) / 256.0 / 2},
		{"two on two in the end", ScaleUp{Connections: 2, From: 1, To: 2}, 0, 1.5},
		{"nothing changes", ScaleUp{Connections: 3, From: 3, To: 3}, 0.4, 51.0 / 27},
		// Four end; one of four in turn comes back to the four that are left.
		{"round robin, half way", ScaleUp{Connections: 8, From: 1, To: 4, Placement: RoundRobin}, 0.5, 2.5},
		// Four end; none comes back.
		{"least connection, half way", ScaleUp{Connections: 8, From: 1, To: 4, Placement: LeastConnection}, 0.5, 2},
		{"least connection, three quarters", ScaleUp{Connections: 8, From: 1, To: 4, Placement: LeastConnection}, 0.25, 1},
		{"round robin in the end", ScaleUp{Connections: 8, From: 1, To: 4, Placement: RoundRobin}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.up.with(c.remaining); !near(got.Value, c.want, 1e-9) {
				t.Errorf("got %.6f, want %.6f", got.Value, c.want)
			}
		})
	}
}

// TestEndsAreRandom: of eight connections on two replicas in turn four end, k of them
// on the first with C(4, k)² ÷ 70, and one comes to each of four in turn. The busiest
// has 5, 4 or 3 in 2, 32 and 36 of 70 cases: 246/70 of a mean of 2. 4 000 draws with a
// standard deviation of 0.28 leave four standard errors of 0.018.
func TestEndsAreRandom(t *testing.T) {
	got := ScaleUp{Connections: 8, From: 2, To: 4, Placement: RoundRobin, Seed: 1}.with(0.5)
	if want := 246.0 / 70 / 2; !near(got.Value, want, 0.018) {
		t.Errorf("got %.4f, want %.4f", got.Value, want)
	}
}

// TestScaleUpAgainstConnections plays single connections that end at their age.
// 4 000 draws leave a standard error below 0.4 % of the factor, as its standard
// deviation is below a quarter of it: four of them are the tolerance.
func TestScaleUpAgainstConnections(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, u := range []ScaleUp{
		{Connections: 8, From: 1, To: 4, Turnover: Turnover{Lifetime: 60}},
		{Connections: 40, From: 2, To: 6, Turnover: Turnover{Lifetime: 60}},
		{Connections: 40, From: 2, To: 6, Turnover: Turnover{Lifetime: 60, Random: true}},
		{Connections: 600, From: 3, To: 4, Turnover: Turnover{Lifetime: 60}},
	} {
		for _, seconds := range []float64{0, 15, 30, 45, 120} {
			const draws = 4000
			sum := 0.0
			for range draws {
				counts := make([]float64, u.To)
				for range u.Connections {
					ends := u.Turnover.Lifetime * random.Float64()
					if u.Turnover.Random {
						ends = u.Turnover.Lifetime * random.ExpFloat64()
					}
					if ends > seconds {
						counts[random.IntN(u.From)]++
					} else {
						counts[random.IntN(u.To)]++
					}
				}
				sum += slices.Max(counts) * float64(u.To) / float64(u.Connections)
			}
			want := sum / draws
			if got := u.At(seconds); !near(got.Value, want, 0.016*want) {
				t.Errorf("%+v after %g s: got %.4f, played %.4f", u, seconds, got.Value, want)
			}
		}
	}
}

func TestTimeToRebalance(t *testing.T) {
	lives := Turnover{Lifetime: 100}
	for _, c := range []struct {
		name      string
		up        ScaleUp
		want      float64
		tolerance float64
	}{
		{"connections do not end", ScaleUp{Connections: 8, From: 1, To: 4}, math.Inf(1), 0},
		{"nothing to do", ScaleUp{Connections: 8, From: 4, To: 4, Turnover: lives}, 0, 0},
		{"no replicas", ScaleUp{Connections: 8, To: 4, Turnover: lives}, math.NaN(), 0},
		// 100 a replica in the end, so at most 110 of 400 may be left.
		{"least connection", ScaleUp{Connections: 400, From: 1, To: 4, Placement: LeastConnection, Turnover: lives}, 72.5, 0.2},
		// With s of 400 left and the rest in turn, the first has 400s + 100(1 − s):
		// 110 at s = 1/30.
		{"round robin", ScaleUp{Connections: 400, From: 1, To: 4, Placement: RoundRobin, Turnover: lives}, 100 * 29.0 / 30, 0.3},
		{"round robin, random ends", ScaleUp{Connections: 400, From: 1, To: 4, Placement: RoundRobin, Turnover: Turnover{Lifetime: 100, Random: true}}, 100 * math.Log(30), 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.up.TimeToRebalance(0.1)
			if math.IsNaN(c.want) != math.IsNaN(got) || math.IsInf(c.want, 1) != math.IsInf(got, 1) {
				t.Fatalf("got %g, want %g", got, c.want)
			}
			if !math.IsNaN(got) && !math.IsInf(got, 1) && !near(got, c.want, c.tolerance) {
				t.Errorf("got %g, want %g ± %g", got, c.want, c.tolerance)
			}
		})
	}
	up := ScaleUp{Connections: 64, From: 2, To: 8, Turnover: lives}
	limit := Hottest(64, 8, Random).Value * 1.1
	at := up.TimeToRebalance(0.1)
	if before, after := up.At(at-0.1).Value, up.At(at+0.1).Value; before <= limit || after > limit {
		t.Errorf("after %.2f s: the factor goes from %.4f to %.4f, want it to pass %.4f", at, before, after, limit)
	}
}

func TestRequestsLifetime(t *testing.T) {
	// 1 000 requests a second on 50 connections are 20 on each.
	if got := RequestsLifetime(600, 50, 1000); got != 30 {
		t.Errorf("got %g s, want 30", got)
	}
}

func TestAfterLoss(t *testing.T) {
	// Every placement of five on three, the third is lost, and every way in which its
	// connections come to the other two.
	mean, total := 0.0, 0.0
	for code := range 243 {
		var counts [3]int
		for c, i := code, 0; i < 5; c, i = c/3, i+1 {
			counts[c%3]++
		}
		ways := 1 << counts[2]
		for way := range ways {
			first := counts[0]
			for i := range counts[2] {
				first += way >> i & 1
			}
			mean += float64(max(first, 5-first)) / float64(ways)
		}
		total++
	}
	got := AfterLoss(5, 3, 1, Random, 1)
	if want := mean / total / 2.5; !near(got.Hottest.Value, want, 1e-9) {
		t.Errorf("factor %.6f, want %.6f", got.Hottest.Value, want)
	}
	if r := got.Reconnects; !near(r.Value, 5.0/3, 1e-12) || r.Low != 0 || r.High != 4 {
		t.Errorf("reconnects %.3f (%g – %g), want 1.667 (0 – 4)", r.Value, r.Low, r.High)
	}
	for _, c := range []struct {
		name       string
		loss       Loss
		hottest    float64
		reconnects float64
	}{
		{"round robin", AfterLoss(8, 4, 1, RoundRobin, 1), 3 / (8.0 / 3), 2},
		{"least connection", AfterLoss(8, 4, 2, LeastConnection, 1), 1, 4},
	} {
		if !near(c.loss.Hottest.Value, c.hottest, 1e-9) || c.loss.Reconnects.Value != c.reconnects {
			t.Errorf("%s: factor %g and %g reconnects, want %g and %g", c.name, c.loss.Hottest.Value, c.loss.Reconnects.Value, c.hottest, c.reconnects)
		}
	}
	if all := AfterLoss(8, 4, 4, Random, 1); all.Hottest.OK() || all.Reconnects.OK() {
		t.Errorf("all are lost: %+v", all)
	}
}
