package skew

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Draws of a simulation. The standard error of a mean factor is its standard
// deviation ÷ √draws; 4 000 leave 1.6 % of that deviation.
const (
	mostDraws   = 4000
	leastDraws  = 400
	placedInAll = 2e5 // connections, over all draws
)

// Weighted is Hottest for connections of unequal load, by simulation. Weights are
// loads in any unit, at least 0; balancers do not see them.
func Weighted(weights []float64, replicas int, placement Placement, seed uint64) stat.Estimate {
	if e, bad := unfit(len(weights), replicas); bad {
		return e
	}
	total := 0.0
	for _, w := range weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return stat.NotEstimable(0, fmt.Sprintf("a connection's load of %v", w))
		}
		total += w
	}
	if total == 0 {
		return stat.NotEstimable(0, "the connections have no load")
	}
	random := rand.New(rand.NewPCG(seed, uint64(len(weights))))
	order := slices.Clone(weights)
	e := drawn(len(weights), replicas, func(loads []float64) {
		clear(loads)
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for i, w := range order {
			at := i % replicas // in turn, which is also where the fewest are
			if placement == Random {
				at = random.IntN(replicas)
			}
			loads[at] += w
		}
	})
	e = e.Scale(float64(len(weights)) / total)
	e.Warnings = idle(len(weights), replicas)
	return e
}

// drawn returns the factor of the hottest replica over many draws. place fills in
// the load of each replica; a connection's mean load is 1.
func drawn(connections, replicas int, place func(loads []float64)) stat.Estimate {
	draws := min(max(int(placedInAll/float64(connections)), leastDraws), mostDraws)
	factors := make([]float64, draws)
	loads := make([]float64, replicas)
	sum := 0.0
	for i := range factors {
		place(loads)
		factors[i] = slices.Max(loads) * float64(replicas) / float64(connections)
		sum += factors[i]
	}
	low, high, _ := stat.Percentiles(factors, stat.Confidence)
	return stat.Estimate{
		Value: sum / float64(draws), Low: low, High: high,
		Confidence: stat.Confidence, N: connections, Warnings: idle(connections, replicas),
	}
}
