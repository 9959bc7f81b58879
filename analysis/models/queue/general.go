package queue

import (
	"errors"
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// MG1Wait returns the mean waiting time, in seconds, of one server with Poisson
// arrivals at rate a second and service times with any distribution of that mean
// and squared coefficient of variation cv2 ≥ 0. It is exact. ErrInfeasible when
// rate × serviceSeconds ≥ 1.
//
//	Wq = ρ·s·(1 + cs²) ÷ (2·(1 − ρ))
//
// Source: Pollaczek and Khinchine, in Kleinrock, "Queueing systems", vol. 1, 1975,
// sec. 5.6.
func MG1Wait(rate, serviceSeconds, cv2 float64) (float64, error) {
	err := errors.Join(atLeast("rate", rate, 0), above("mean service time", serviceSeconds, 0),
		atLeast("squared coefficient of variation", cv2, 0))
	if err == nil {
		err = checkStable(rate*serviceSeconds, 1)
	}
	if err != nil {
		return math.NaN(), fmt.Errorf("M/G/1: %w", err)
	}
	rho := rate * serviceSeconds
	return rho * serviceSeconds * (1 + cv2) / (2 * (1 - rho)), nil
}

const (
	// By how much the approximation errs at high load: (approximation − truth) ÷ truth.
	allenCunneenError = 0.4
	// How the error grows as waiting becomes rare, as a power of P(wait).
	allenCunneenRare = 0.2
)

// AllenCunneen estimates the mean waiting time, in seconds, for any arrivals and
// service times of which the squared coefficients of variation are known:
//
//	Wq ≈ Wq(M/M/c)·(ca² + cs²) ÷ 2
//
// The interval is the error of the approximation, not of a measurement. At high
// load that is ±40 %. Where few requests wait, the chance of waiting is far from
// Erlang's C: about C^(1/z) with the peakedness z = (ca² + cs²) ÷ (1 + cs²), and
// so the interval widens, down by C^(1/z − 1) for regular arrivals, up by as much
// for bursts, and by C^±0.2 for the service times. All queues that were
// simulated lie in it: 1 to 50 servers, loads from 0.5 to 0.9, ca² and cs² from 0
// to 4. A warning says which way it errs.
//
// Sources: Allen, "Probability, statistics and queueing theory", 1990, sec. 5.3;
// for the peakedness Whitt, "Understanding the efficiency of multi-server service
// systems", 1992. Only a mean can be had this way: for a p99 simulate.
func AllenCunneen(rate, serviceSeconds float64, servers int, arrivalCV2, serviceCV2 float64) (stat.Estimate, error) {
	err := errors.Join(atLeast("squared coefficient of variation of the arrivals", arrivalCV2, 0),
		atLeast("squared coefficient of variation of the service times", serviceCV2, 0))
	if err != nil {
		return stat.Estimate{}, fmt.Errorf("G/G/c: %w", err)
	}
	m, err := NewMMC(rate, serviceSeconds, servers)
	if err != nil {
		return stat.Estimate{}, fmt.Errorf("G/G/c: %w", err)
	}
	value := m.MeanWait() * (arrivalCV2 + serviceCV2) / 2
	e := stat.Estimate{Value: value, Low: value / (1 + allenCunneenError), High: value / (1 - allenCunneenError), Confidence: stat.Confidence}
	if c := m.WaitProbability(); c > 0 {
		power := (1+serviceCV2)/(arrivalCV2+serviceCV2) - 1 // 1/z − 1
		e.Low *= math.Pow(c, allenCunneenRare+math.Max(0, power))
		e.High *= math.Pow(c, -allenCunneenRare+math.Min(0, power))
	}
	if w := allenCunneenBias(servers, arrivalCV2, serviceCV2); w != "" {
		e.Warnings = []string{"an approximation of the mean, and likely " + w}
	}
	return e, nil
}

// allenCunneenBias says which way the approximation errs.
func allenCunneenBias(servers int, arrivalCV2, serviceCV2 float64) string {
	switch {
	case arrivalCV2 < 1:
		return "too high: arrivals are more regular than Poisson's"
	case arrivalCV2 > 1 && servers > 1:
		return "too low: arrivals come in bursts"
	case arrivalCV2 > 1:
		return "too high: bursts before one server"
	case servers > 1 && serviceCV2 > 1:
		return "too high: other servers go on while one is held up"
	case servers > 1 && serviceCV2 < 1:
		return "too low: service times vary little"
	}
	return ""
}
