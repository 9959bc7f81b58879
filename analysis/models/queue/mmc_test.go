package queue

import (
	"errors"
	"math"
	"testing"
)

func mmc(t *testing.T, rate, service float64, servers int) MMC {
	t.Helper()
	m, err := NewMMC(rate, service, servers)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMMCPublished(t *testing.T) {
	// Systems Group, ETH Zürich, Advanced Systems Lab 2017, slides "M/M/x queues":
	// nine requests a second, servers of five a second; as kept in the tests of
	// Marzolla's Octave package queueing.
	for _, test := range []struct {
		servers           int
		waiting, response float64
	}{{2, 7.674, 1.053}, {4, 0.105, 0.212}} {
		m := mmc(t, 9, 0.2, test.servers)
		if got := m.MeanWaiting(); !near(got, test.waiting, 1e-3) {
			t.Errorf("%d servers: %.4f wait, want %g", test.servers, got, test.waiting)
		}
		if got := m.MeanResponse(); !near(got, test.response, 1e-3) {
			t.Errorf("%d servers: response %.4f s, want %g", test.servers, got, test.response)
		}
	}
}

// M/M/1 has a closed form for everything: R is exponential with mean 1 ÷ (μ−λ),
// N is geometric.
func TestMMCOfOneServer(t *testing.T) {
	m := mmc(t, 8, 0.1, 1)
	for _, test := range []struct {
		name      string
		got, want float64
	}{
		{"utilisation", m.Utilization(), 0.8},
		{"P(wait)", m.WaitProbability(), 0.8},
		{"mean wait", m.MeanWait(), 0.4},
		{"P(W > 0.5 s)", m.WaitAbove(0.5), 0.8 * math.Exp(-1)},
		{"median wait", m.WaitQuantile(0.5), math.Log(0.8/0.5) / 2},
		{"p10 of wait", m.WaitQuantile(0.1), 0},
		{"mean response", m.MeanResponse(), 0.5},
		{"P(R > 1 s)", m.ResponseAbove(1), math.Exp(-2)},
		{"p99 of response", m.ResponseQuantile(0.99), math.Log(100) / 2},
		{"p0 of response", m.ResponseQuantile(0), 0},
		{"mean waiting", m.MeanWaiting(), 3.2},
		{"mean in system", m.MeanInSystem(), 4},
		{"P(N > 0)", m.InSystemAbove(0), 0.8},
		{"P(N > 9)", m.InSystemAbove(9), math.Pow(0.8, 10)},
		{"P(N > −1)", m.InSystemAbove(-1), 1},
	} {
		if !near(test.got, test.want, 1e-11) {
			t.Errorf("%s = %g, want %g", test.name, test.got, test.want)
		}
	}
	// P(N > n) = 0.8^(n+1) ≤ 0.01 from n = 20: 0.8^21 = 0.0092, 0.8^20 = 0.0115.
	if n, err := m.Limit(0.01); err != nil || n != 20 {
		t.Errorf("limit %d, %v, want 20", n, err)
	}
}

// The distribution of M/M/c by its birth-death equations, summed up in full: p(n)
// is proportional to a^n ÷ n! up to c, and to ρ more for each beyond.
func TestMMCInSystem(t *testing.T) {
	const a, c = 3.6, 5
	weights, total := make([]float64, 400), 0.0
	for n := range weights {
		weights[n] = 1
		if n > 0 {
			weights[n] = weights[n-1] * a / float64(min(n, c))
		}
		total += weights[n]
	}
	m := mmc(t, 36, 0.1, c)
	above, mean := 1.0, 0.0
	for n := range 30 {
		above -= weights[n] / total
		if got := m.InSystemAbove(n); !near(got, above, 1e-12) {
			t.Errorf("P(N > %d) = %g, want %g", n, got, above)
		}
	}
	for n, w := range weights {
		mean += float64(n) * w / total
	}
	if got := m.MeanInSystem(); !near(got, mean, 1e-10) {
		t.Errorf("mean in system %g, want %g", got, mean)
	}
	for _, epsilon := range []float64{0.9, 0.5, 0.2, 0.05, 0.01, 1e-6} {
		n, err := m.Limit(epsilon)
		if err != nil || m.InSystemAbove(n) > epsilon || m.InSystemAbove(n-1) <= epsilon {
			t.Errorf("limit for %g is %d, %v: P(N > n) = %g, one less %g", epsilon, n, err, m.InSystemAbove(n), m.InSystemAbove(n-1))
		}
	}
}

// The tail of the response time, integrated by Simpson's rule, is its mean; and
// it is the convolution of waiting and service.
func TestMMCResponseTail(t *testing.T) {
	for _, test := range []struct {
		name    string
		rate    float64
		servers int
	}{
		{"nearly idle", 0.5, 4},
		{"half full", 20, 4},
		{"θ = μ", 30, 4},
		{"θ close to μ", 30 - 1e-9, 4},
		{"nearly saturated", 39.9, 4},
		{"one server", 9, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := mmc(t, test.rate, 0.1, test.servers)
			const steps = 200000
			end := m.ResponseQuantile(1 - 1e-13)
			h := end / steps
			sum := 0.0
			for i := range steps / 2 {
				x := float64(2*i) * h
				sum += h / 3 * (m.ResponseAbove(x) + 4*m.ResponseAbove(x+h) + m.ResponseAbove(x+2*h))
			}
			if want := m.MeanResponse(); !near(sum/want, 1, 1e-9) {
				t.Errorf("the tail integrates to %.12g, the mean is %.12g", sum, want)
			}
			for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
				if got := m.ResponseAbove(m.ResponseQuantile(q)); !near(got, 1-q, 1e-11) {
					t.Errorf("P(R > p%g) = %.14g", 100*q, got)
				}
			}
		})
	}
	// By hand: c = 2, λ = μ = 10, C = 1/3, θ = μ: P(R > 0.1) = e^−1·(1 + 1/3).
	if got, want := mmc(t, 10, 0.1, 2).ResponseAbove(0.1), math.Exp(-1)*4/3; !near(got, want, 1e-14) {
		t.Errorf("P(R > 0.1 s) = %g, want %g", got, want)
	}
}

func TestMMCRefuses(t *testing.T) {
	for _, test := range []struct {
		name          string
		rate, service float64
		servers       int
		infeasible    bool
	}{
		{"ρ = 1", 10, 0.1, 1, true},
		{"ρ > 1", 31, 0.1, 3, true},
		{"negative rate", -1, 0.1, 1, false},
		{"rate not a number", math.NaN(), 0.1, 1, false},
		{"no service time", 1, 0, 1, false},
		{"endless service time", 1, math.Inf(1), 1, false},
		{"no servers", 1, 0.1, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := NewMMC(test.rate, test.service, test.servers); err == nil || errors.Is(err, ErrInfeasible) != test.infeasible {
				t.Errorf("error %v; want one that is ErrInfeasible: %v", err, test.infeasible)
			}
		})
	}
}
