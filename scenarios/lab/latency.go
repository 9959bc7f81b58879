package lab

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// z99 is the 0.99 quantile of the standard normal distribution (R: qnorm(0.99)).
const z99 = 2.3263478740408408

// maxDelay cuts the lognormal's endless tail.
const maxDelay = time.Hour

// delayDistribution is a lognormal service time: ln T is normal with mean mu
// (ln seconds) and standard deviation sigma, so
//
//	median = exp(mu),  p99 = exp(mu + z99·sigma),  sigma = ln(p99/median)/z99.
type delayDistribution struct {
	none      bool // answer at once
	mu, sigma float64
}

// newDelayDistribution requires 0 < median ≤ p99, or both zero for no delay.
func newDelayDistribution(shape scenarios.LatencyShape) (delayDistribution, error) {
	if shape.Median == 0 && shape.P99 == 0 {
		return delayDistribution{none: true}, nil
	}
	if shape.Median <= 0 || shape.P99 < shape.Median {
		return delayDistribution{}, fmt.Errorf("service latency: median %s and p99 %s: want 0 < median ≤ p99", shape.Median, shape.P99)
	}
	return delayDistribution{
		mu:    math.Log(shape.Median.Seconds()),
		sigma: math.Log(shape.P99.Seconds()/shape.Median.Seconds()) / z99,
	}, nil
}

// sample draws one delay, at most an hour.
func (d delayDistribution) sample(random *rand.Rand) time.Duration {
	if d.none {
		return 0
	}
	seconds := math.Exp(d.mu + d.sigma*random.NormFloat64())
	return time.Duration(min(seconds, maxDelay.Seconds()) * float64(time.Second))
}
