package queue

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// ErrInfeasible says that there is no steady state, or that no number of servers
// is enough: a queue would grow without end.
var ErrInfeasible = errors.New("infeasible")

// maxServers bounds how far a search goes, and the time of a recursion.
const maxServers = 1 << 20

// ErlangB returns the probability that a request finds all servers busy and is
// refused (M/G/c/c). offered is the load a = arrival rate × mean service time in
// erlang, finite and ≥ 0; servers in [1, 2^20]. Only the mean of the service time
// matters.
//
//	B(0) = 1, B(k) = a·B(k−1) ÷ (k + a·B(k−1))
//
// Source: Kleinrock, "Queueing systems", vol. 1, 1975, sec. 3.6; the recursion as
// in Cooper, "Introduction to queueing theory", 1981, sec. 3.3.
func ErlangB(offered float64, servers int) (float64, error) {
	if err := checkLoad(offered, servers); err != nil {
		return math.NaN(), fmt.Errorf("erlang B: %w", err)
	}
	return erlangB(offered, servers), nil
}

// ErlangC returns the probability that a request has to wait (M/M/c). offered and
// servers are those of ErlangB; ErrInfeasible when offered ≥ servers.
//
//	C = B ÷ (1 − ρ·(1 − B)), ρ = a ÷ c
//
// Source: Kleinrock, "Queueing systems", vol. 1, 1975, sec. 3.5.
func ErlangC(offered float64, servers int) (float64, error) {
	if err := checkLoad(offered, servers); err != nil {
		return math.NaN(), fmt.Errorf("erlang C: %w", err)
	}
	if err := checkStable(offered, servers); err != nil {
		return math.NaN(), fmt.Errorf("erlang C: %w", err)
	}
	return erlangC(erlangB(offered, servers), offered, servers), nil
}

func erlangB(offered float64, servers int) float64 {
	b := 1.0
	for k := 1; k <= servers; k++ {
		b = nextB(b, offered, k)
	}
	return b
}

func nextB(b, offered float64, k int) float64 { return offered * b / (float64(k) + offered*b) }

func erlangC(b, offered float64, servers int) float64 {
	return b / (1 - offered/float64(servers)*(1-b))
}

// Servers returns the least number of servers with which at most a share epsilon
// of the requests waits longer than waitSeconds (M/M/c). rate is in requests a
// second, serviceSeconds the mean service time; waitSeconds 0 asks for the share
// that waits at all. ErrInfeasible when 2^20 servers are too few.
func Servers(rate, serviceSeconds, waitSeconds, epsilon float64) (int, error) {
	err := errors.Join(atLeast("rate", rate, 0), above("mean service time", serviceSeconds, 0),
		atLeast("waiting time", waitSeconds, 0), probability(epsilon))
	if err != nil {
		return 0, fmt.Errorf("servers: %w", err)
	}
	offered, b := rate*serviceSeconds, 1.0
	for c := 1; c <= maxServers; c++ {
		b = nextB(b, offered, c)
		if offered >= float64(c) {
			continue
		}
		waits := erlangC(b, offered, c) * math.Exp(-(float64(c)/serviceSeconds-rate)*waitSeconds)
		if waits <= epsilon {
			return c, nil
		}
	}
	return 0, fmt.Errorf("servers: %w: %d servers are too few for a load of %g", ErrInfeasible, maxServers, offered)
}

// PoolSize returns the least limit that requests in flight exceed during at most
// a share epsilon of the time when nothing holds them back: the least c with
// P(N > c) ≤ ε for N of a Poisson distribution (M/G/∞). inFlight is the mean,
// rate × mean time in flight (Little's law); with the time at which requests are
// given up in place of the mean it is the worst case. For in-flight counts that
// were measured, take the quantile of their distribution instead.
//
// Source: Takács, "Introduction to the theory of queues", 1962, ch. 3; the tail
// is the regularised incomplete gamma function P(c+1, a).
func PoolSize(inFlight, epsilon float64) (int, error) {
	if err := errors.Join(atLeast("mean in flight", inFlight, 0), probability(epsilon)); err != nil {
		return 0, fmt.Errorf("pool size: %w", err)
	}
	if inFlight == 0 {
		return 0, nil
	}
	c := sort.Search(maxServers+1, func(c int) bool { return mathext.GammaIncReg(float64(c)+1, inFlight) <= epsilon })
	if c > maxServers {
		return 0, fmt.Errorf("pool size: %w: %d is too small a limit for %g in flight", ErrInfeasible, maxServers, inFlight)
	}
	return c, nil
}

// PoolSizeRefusing returns the least limit at which at most a share epsilon of the
// requests is refused, when what finds the pool full is refused at once (Erlang B).
// It is never above PoolSize + 1: what was refused takes no place.
func PoolSizeRefusing(inFlight, epsilon float64) (int, error) {
	if err := errors.Join(atLeast("mean in flight", inFlight, 0), probability(epsilon)); err != nil {
		return 0, fmt.Errorf("pool size: %w", err)
	}
	b := 1.0
	for c := 1; c <= maxServers; c++ {
		if b = nextB(b, inFlight, c); b <= epsilon {
			return c, nil
		}
	}
	return 0, fmt.Errorf("pool size: %w: %d is too small a limit for %g in flight", ErrInfeasible, maxServers, inFlight)
}

func checkLoad(offered float64, servers int) error {
	return errors.Join(atLeast("offered load", offered, 0), checkServers(servers))
}

func checkServers(servers int) error {
	if servers < 1 || servers > maxServers {
		return fmt.Errorf("%d servers: must be from 1 to %d", servers, maxServers)
	}
	return nil
}

// checkStable returns ErrInfeasible unless the load is below what the servers do.
func checkStable(offered float64, servers int) error {
	if offered >= float64(servers) {
		return fmt.Errorf("%w: a load of %g for %d servers", ErrInfeasible, offered, servers)
	}
	return nil
}

func atLeast(name string, v, least float64) error {
	if !(v >= least) || math.IsInf(v, 0) {
		return fmt.Errorf("%s %g: must be finite and at least %g", name, v, least)
	}
	return nil
}

func above(name string, v, bound float64) error {
	if !(v > bound) || math.IsInf(v, 0) {
		return fmt.Errorf("%s %g: must be finite and above %g", name, v, bound)
	}
	return nil
}

func probability(p float64) error {
	if !(p > 0 && p < 1) {
		return fmt.Errorf("probability %g: must lie between 0 and 1", p)
	}
	return nil
}
