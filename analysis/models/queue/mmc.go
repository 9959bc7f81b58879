package queue

import (
	"errors"
	"fmt"
	"math"
)

// MMC is a queue with Poisson arrivals, exponential service times and servers
// that take requests in the order in which they came. NewMMC makes one.
//
// Sources of the formulas: Kleinrock, "Queueing systems", vol. 1, 1975, sec. 3.5;
// Gross, Shortle, Thompson and Harris, "Fundamentals of queueing theory", 2008,
// sec. 2.3.
type MMC struct {
	rate    float64 // λ
	service float64 // 1 ÷ μ
	servers int     // c
	waits   float64 // C(c, a), the probability of waiting
}

// NewMMC returns the queue with arrivals at rate a second (≥ 0), a mean service
// time of serviceSeconds (> 0), and so many servers (1 to 2^20). ErrInfeasible
// when arrivals outpace the servers: rate × serviceSeconds ≥ servers.
func NewMMC(rate, serviceSeconds float64, servers int) (MMC, error) {
	err := errors.Join(atLeast("rate", rate, 0), above("mean service time", serviceSeconds, 0), checkServers(servers))
	if err == nil {
		err = checkStable(rate*serviceSeconds, servers)
	}
	if err != nil {
		return MMC{}, fmt.Errorf("M/M/c: %w", err)
	}
	offered := rate * serviceSeconds
	return MMC{rate, serviceSeconds, servers, erlangC(erlangB(offered, servers), offered, servers)}, nil
}

// Utilization returns ρ, the share of the servers that is busy, in [0, 1).
func (m MMC) Utilization() float64 { return m.rate * m.service / float64(m.servers) }

// spare is θ = cμ − λ, the rate at which a full house empties.
func (m MMC) spare() float64 { return float64(m.servers)/m.service - m.rate }

// WaitProbability returns the probability that a request waits (Erlang C).
func (m MMC) WaitProbability() float64 { return m.waits }

// MeanWait returns the mean time before service, C ÷ (cμ − λ) seconds.
func (m MMC) MeanWait() float64 { return m.waits / m.spare() }

// WaitAbove returns P(W > t) = C·exp(−(cμ − λ)t) for t ≥ 0.
func (m MMC) WaitAbove(seconds float64) float64 {
	return m.waits * math.Exp(-m.spare()*math.Max(0, seconds))
}

// WaitQuantile returns the waiting time that a share q of the requests does not
// exceed, q in [0, 1); 0 when so many do not wait at all.
func (m MMC) WaitQuantile(q float64) float64 {
	if 1-q >= m.waits {
		return 0
	}
	return math.Log(m.waits/(1-q)) / m.spare()
}

// MeanResponse returns the mean of waiting and service, in seconds.
func (m MMC) MeanResponse() float64 { return m.service + m.MeanWait() }

// ResponseAbove returns P(R > t) for t ≥ 0. With θ = cμ − λ:
//
//	(1−C)·e^(−μt) + C·(θ·e^(−μt) − μ·e^(−θt)) ÷ (θ − μ)
//
// and e^(−μt)·(1 + C·μt) where θ = μ. Written as e^(−μt)·(1 + C·μ·h) with
// h = (1 − e^(−(θ−μ)t)) ÷ (θ − μ), which does not cancel when θ is close to μ.
func (m MMC) ResponseAbove(seconds float64) float64 {
	t := math.Max(0, seconds)
	mu := 1 / m.service
	// A saturated queue has θ < μ: factor the slower decay out, so that nothing overflows.
	slow, gap := mu, m.spare()-mu
	if gap < 0 {
		slow = m.spare()
	}
	h := t
	if x := math.Abs(gap) * t; x > 0 {
		h = -math.Expm1(-x) / math.Abs(gap)
	}
	return math.Exp(-mu*t) + m.waits*mu*h*math.Exp(-slow*t)
}

// ResponseQuantile returns the response time that a share q of the requests does
// not exceed, q in [0, 1): by bisection of ResponseAbove, to twelve digits.
func (m MMC) ResponseQuantile(q float64) float64 {
	if q <= 0 {
		return 0
	}
	low, high := 0.0, m.service
	for m.ResponseAbove(high) > 1-q && !math.IsInf(high, 0) {
		low, high = high, 2*high
	}
	for range 100 {
		middle := low + (high-low)/2
		if high-low <= 1e-12*high {
			break
		}
		if m.ResponseAbove(middle) > 1-q {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// MeanWaiting returns the mean number of requests that wait, λ × MeanWait.
func (m MMC) MeanWaiting() float64 { return m.rate * m.MeanWait() }

// MeanInSystem returns the mean number of requests that wait or are served.
func (m MMC) MeanInSystem() float64 { return m.rate * m.MeanResponse() }

// InSystemAbove returns P(N > n), the share of the time during which more than n
// requests wait or are served.
func (m MMC) InSystemAbove(n int) float64 {
	if n < 0 {
		return 1
	}
	rho := m.Utilization()
	if n >= m.servers-1 {
		return m.waits * math.Pow(rho, float64(n+1-m.servers))
	}
	// Downwards from P(N = c−1): all terms are positive, so nothing cancels.
	offered := m.rate * m.service
	if offered == 0 {
		return 0
	}
	sum, p := m.waits, m.waits*(1-rho)*float64(m.servers)/offered
	for k := m.servers - 1; k > n; k-- {
		sum += p
		p *= float64(k) / offered
	}
	return math.Min(1, sum)
}

// Limit returns the least n that waiting and served requests together exceed
// during at most a share epsilon of the time: P(N > n) ≤ ε.
func (m MMC) Limit(epsilon float64) (int, error) {
	if err := probability(epsilon); err != nil {
		return 0, fmt.Errorf("limit: %w", err)
	}
	if m.rate == 0 {
		return 0, nil
	}
	if m.waits > epsilon {
		// C·ρ^(n+1−c) ≤ ε
		n := float64(m.servers-1) + math.Ceil(math.Log(epsilon/m.waits)/math.Log(m.Utilization())-1e-9)
		return int(n), nil
	}
	low, high := -1, m.servers-1 // P(N > low) > ε ≥ P(N > high)
	for high-low > 1 {
		middle := low + (high-low)/2
		if m.InSystemAbove(middle) > epsilon {
			low = middle
		} else {
			high = middle
		}
	}
	return high, nil
}
