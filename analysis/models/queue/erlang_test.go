package queue

import (
	"errors"
	"math"
	"testing"
)

// near reports whether got lies within tolerance of want, absolutely.
func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestErlangB(t *testing.T) {
	for _, test := range []struct {
		name            string
		offered         float64
		servers         int
		want, tolerance float64
	}{
		{"no load", 0, 3, 0, 0},
		{"one server: a ÷ (1+a)", 1, 1, 0.5, 1e-15},
		{"exact fraction of the sum: 4/109", 2, 5, 4.0 / 109, 1e-15},
		{"the Erlang Calculator's manual: 15 lines carry 8.108 erlang at 1 %", 8.108, 15, 0.01, 2e-6},
		{"published tables: 10 lines carry 4.461 erlang at 1 %", 4.461, 10, 0.01, 5e-6},
		// Far beyond where powers and factorials overflow: B(n, n) ≈ 1 ÷ (√(πn/2) + 2/3),
		// Jagerman, "Some properties of the Erlang loss function", 1974.
		{"asymptotics of 10^4", 1e4, 1e4, 0.0079365, 1e-6},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ErlangB(test.offered, test.servers)
			if err != nil || !near(got, test.want, test.tolerance) {
				t.Errorf("ErlangB(%g, %d) = %g, %v, want %g ± %g", test.offered, test.servers, got, err, test.want, test.tolerance)
			}
		})
	}
}

func TestErlangC(t *testing.T) {
	for _, test := range []struct {
		name    string
		offered float64
		servers int
		want    float64
	}{
		{"one server waits with probability ρ", 0.7, 1, 0.7},
		{"two servers: 2ρ² ÷ (1+ρ)", 1.5, 2, 2 * 0.75 * 0.75 / 1.75},
		{"exact fraction of the sums: 4/9", 2, 3, 4.0 / 9},
		{"no load", 0, 4, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ErlangC(test.offered, test.servers)
			if err != nil || !near(got, test.want, 1e-14) {
				t.Errorf("ErlangC(%g, %d) = %g, %v, want %g", test.offered, test.servers, got, err, test.want)
			}
		})
	}
	// An exercise that a lecture answers from a curve: 120 customers an hour, three
	// minutes each, ten servers wait with a probability of "about 0.10".
	if got, err := ErlangC(6, 10); err != nil || !near(got, 0.10, 0.005) {
		t.Errorf("ErlangC(6, 10) = %g, %v, want about 0.10", got, err)
	}
}

func TestErlangRefuses(t *testing.T) {
	for _, test := range []struct {
		name       string
		offered    float64
		servers    int
		infeasible bool
	}{
		{"as much load as servers", 3, 3, true},
		{"more load than servers", 3.5, 3, true},
		{"no servers", 1, 0, false},
		{"servers beyond the bound", 1, maxServers + 1, false},
		{"negative load", -1, 1, false},
		{"load not a number", math.NaN(), 1, false},
		{"endless load", math.Inf(1), 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ErlangC(test.offered, test.servers)
			if err == nil || !math.IsNaN(got) || errors.Is(err, ErrInfeasible) != test.infeasible {
				t.Errorf("ErlangC = %g, %v; want an error that is ErrInfeasible: %v", got, err, test.infeasible)
			}
			if _, err := ErlangB(test.offered, test.servers); (err == nil) != test.infeasible {
				t.Errorf("ErlangB: error %v; a loss system is stable under any finite load", err)
			}
		})
	}
}

func TestServers(t *testing.T) {
	for _, test := range []struct {
		name                         string
		rate, service, wait, epsilon float64
		want                         int
	}{
		// Wolfram's reference of ErlangC: 30 calls an hour of five minutes each, 90 % not
		// delayed; exact fractions give C(2.5, 5) = 0.1304 and C(2.5, 6) = 0.0474.
		{"a support centre", 30.0 / 3600, 300, 0, 0.1, 6},
		// By hand: C(1, 4) = 0.0204, C(1, 5) = 0.0038.
		{"one erlang", 10, 0.1, 0, 0.01, 5},
		// One server, ρ = 0.5: P(W > t) = 0.5·e^(−5t) = 0.1 at t = 0.322.
		{"one server is enough with patience", 5, 0.1, 0.33, 0.1, 1},
		{"and two with a little less", 5, 0.1, 0.31, 0.1, 2},
		{"no load", 0, 1, 0, 0.01, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Servers(test.rate, test.service, test.wait, test.epsilon)
			if err != nil || got != test.want {
				t.Errorf("Servers = %d, %v, want %d", got, err, test.want)
			}
		})
	}
	if _, err := Servers(1e9, 1, 0, 0.01); !errors.Is(err, ErrInfeasible) {
		t.Errorf("Servers of 10^9 erlang: %v, want ErrInfeasible", err)
	}
	for _, epsilon := range []float64{0, 1, -1, math.NaN()} {
		if _, err := Servers(1, 1, 0, epsilon); err == nil {
			t.Errorf("Servers with ε = %g: no error", epsilon)
		}
	}
}

// The factor k of c = a + k·√a for P(wait) ≤ 1 % falls with the load.
func TestSquareRootStaffing(t *testing.T) {
	for _, test := range []struct{ offered, want float64 }{{1, 4.0}, {10, 2.85}, {100, 2.5}} {
		c, err := Servers(test.offered, 1, 0, 0.01)
		if err != nil {
			t.Fatal(err)
		}
		if k := (float64(c) - test.offered) / math.Sqrt(test.offered); !near(k, test.want, 0.005) {
			t.Errorf("k(%g) = %.3f, want %g", test.offered, k, test.want)
		}
	}
}

func TestPoolSize(t *testing.T) {
	for _, test := range []struct {
		name              string
		inFlight, epsilon float64
		unlimited         int // Poisson tables, e.g. of Zwillinger, "Standard mathematical tables", 1996
		refusing          int
	}{
		// Poisson(2): P(N ≤ 5) = 0.9834, P(N ≤ 6) = 0.9955; B(2, 6) = 0.0121, B(2, 7) = 0.0034.
		{"two in flight", 2, 0.01, 6, 7},
		// Poisson(10): P(N ≤ 17) = 0.9857, P(N ≤ 18) = 0.9928; tables of Erlang B:
		// 17 lines carry 9.65 and 18 carry 10.4 erlang at 1 %.
		{"ten in flight", 10, 0.01, 18, 18},
		{"nothing in flight", 0, 0.01, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := PoolSize(test.inFlight, test.epsilon); err != nil || got != test.unlimited {
				t.Errorf("PoolSize = %d, %v, want %d", got, err, test.unlimited)
			}
			if got, err := PoolSizeRefusing(test.inFlight, test.epsilon); err != nil || got != test.refusing {
				t.Errorf("PoolSizeRefusing = %d, %v, want %d", got, err, test.refusing)
			}
		})
	}
	if _, err := PoolSize(1e9, 0.01); !errors.Is(err, ErrInfeasible) {
		t.Errorf("PoolSize of 10^9: %v, want ErrInfeasible", err)
	}
	if _, err := PoolSizeRefusing(math.NaN(), 0.01); err == nil {
		t.Error("PoolSizeRefusing of NaN: no error")
	}
}
