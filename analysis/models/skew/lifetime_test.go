package skew

import (
	"math"
	"strings"
	"testing"
)

// costs are those of a balancer that sees the fewest connections, from one replica
// to two: φ falls from 2 by 2 in a lifetime until it is 1, so K = ∫₀^½ 1 − 2u du =
// 1/4. Six scale-ups an hour, 100 connections at 1 ms, 5 cores:
// T = √(0.1 ÷ (5·6/3600 · 1/4)) = √48 s.
func costs() Costs {
	return Costs{
		ScaleUp:             ScaleUp{Connections: 100, From: 1, To: 2, Placement: LeastConnection},
		HandshakeCPUSeconds: 0.001, RequestCores: 5, RequestRate: 5000, ScaleUpsPerHour: 6,
		Shortest: 1,
	}
}

func TestLifetime(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*Costs)
		lifetime float64
		bound    Constraint
		feasible bool
	}{
		{"cheapest", func(*Costs) {}, 6, BoundCost, true},
		{"a hundred times the handshakes", func(c *Costs) { c.HandshakeCPUSeconds = 0.1 }, 69, BoundCost, true},
		{"not too short", func(c *Costs) { c.Shortest = 0 }, 60, BoundShortest, true},
		// 0.1 ÷ (0.001 · 5).
		{"handshakes", func(c *Costs) { c.LargestShare = 0.001 }, 20, BoundHandshakes, true},
		// 0.1 ÷ (0.0007 · 5) = 28.6, and not below.
		{"handshakes, rounded up", func(c *Costs) { c.LargestShare = 0.0007 }, 29, BoundHandshakes, true},
		// Within 10 % of 1 when 55 of 100 are left: 0.45 lifetimes, 450 s ÷ 0.45.
		{"settles in time", func(c *Costs) { c.ScaleUpsPerHour, c.SettleWithin = 0, 450 }, 1000, BoundSettle, true},
		{"cheaper than it has to be", func(c *Costs) { c.HandshakeCPUSeconds, c.SettleWithin = 0.1, 450 }, 69, BoundCost, true},
		{"contradiction", func(c *Costs) { c.LargestShare, c.SettleWithin = 0.001, 5 }, 20, BoundHandshakes, false},
		{"never scaled", func(c *Costs) { c.ScaleUpsPerHour = 0 }, 0, BoundNone, true},
		{"as many as before", func(c *Costs) { c.ScaleUp.To = 1 }, 0, BoundNone, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := costs()
			c.change(&in)
			got, err := Lifetime(in)
			if err != nil {
				t.Fatal(err)
			}
			if !near(got.Lifetime, c.lifetime, 1e-9) || got.Bound != c.bound || got.Feasible != c.feasible {
				t.Errorf("got %g s by %s, feasible %t, want %g s by %s, feasible %t", got.Lifetime, got.Bound, got.Feasible, c.lifetime, c.bound, c.feasible)
			}
			if got.Lifetime > 0 && got.Requests != int(got.Lifetime*50) {
				t.Errorf("%d requests in %g s at 50/s a connection", got.Requests, got.Lifetime)
			}
			if got.Feasible == strings.Contains(strings.Join(got.Warnings, " "), "which this forbids") {
				t.Errorf("warnings %q", got.Warnings)
			}
			if got.Reason == "" {
				t.Error("no reason")
			}
		})
	}
}

// TestLifetimeCostsLeast: at the cheapest lifetime both costs are the same, as in
// Harris' rule, and their sum is larger on either side.
func TestLifetimeCostsLeast(t *testing.T) {
	in := costs()
	in.ScaleUp = ScaleUp{Connections: 64, From: 3, To: 5}
	in.HandshakeCPUSeconds, in.LargestShare = 0.2, 10
	cost := func(lifetime float64) float64 {
		fixed := in
		fixed.ScaleUpsPerHour, fixed.SettleWithin = 0, lifetime*settles(in)
		got, err := Lifetime(fixed)
		if err != nil {
			t.Fatal(err)
		}
		idle := in.ScaleUpsPerHour / 3600 * in.RequestCores * got.Lifetime * in.ScaleUp.excess()
		return got.HandshakeCores + idle
	}
	got, err := Lifetime(in)
	if err != nil {
		t.Fatal(err)
	}
	if got.Bound != BoundCost || !near(got.HandshakeCores, got.ImbalanceCores, 0.1*got.HandshakeCores) {
		t.Errorf("by %s: %.4f cores of handshakes, %.4f idle, want the same", got.Bound, got.HandshakeCores, got.ImbalanceCores)
	}
	if best := cost(got.CheapestSeconds); best > cost(got.CheapestSeconds/2) || best > cost(got.CheapestSeconds*2) {
		t.Errorf("%.4f cores at %.0f s, but %.4f at half and %.4f at twice of it", best, got.CheapestSeconds, cost(got.CheapestSeconds/2), cost(got.CheapestSeconds*2))
	}
}

// settles returns the time to settle in lifetimes.
func settles(c Costs) float64 {
	u := c.ScaleUp
	u.Turnover.Lifetime = 1
	return u.TimeToRebalance(0.1)
}

func TestLifetimeErrors(t *testing.T) {
	for name, change := range map[string]func(*Costs){
		"no connections":     func(c *Costs) { c.ScaleUp.Connections = 0 },
		"fewer replicas":     func(c *Costs) { c.ScaleUp.From = 3 },
		"free handshakes":    func(c *Costs) { c.HandshakeCPUSeconds = 0 },
		"no load":            func(c *Costs) { c.RequestCores = 0 },
		"not a number":       func(c *Costs) { c.RequestCores = math.NaN() },
		"negative scale-ups": func(c *Costs) { c.ScaleUpsPerHour = -1 },
	} {
		in := costs()
		change(&in)
		if _, err := Lifetime(in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
