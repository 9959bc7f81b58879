package skew

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// measuredDraws is how often windows are drawn for the interval of Measured.
const measuredDraws = 1000

// leastWindows is how many windows an interval needs.
const leastWindows = 4

// Measured returns the factor of the hottest replica that a run has shown. rates
// holds one row for each window of time (a sampling interval, say) with the rate,
// or the CPU, of each replica in it; rows with a value that is missing (NaN) or
// negative are left out.
//
// The value is the load of the replica that had most over the whole time ÷ the mean
// of all. The interval is that of a circular block bootstrap over windows, 95 %: it
// says how well this placement was measured, and nothing about the next one. The
// hottest of replicas that are alike is above the mean by chance, so with few
// requests the factor is a little too high.
func Measured(rates [][]float64, seed uint64) stat.Estimate {
	windows, replicas := complete(rates)
	if replicas < 1 || len(windows) == 0 {
		return stat.NotEstimable(0, "there is no window with the load of every replica")
	}
	value := busiest(windows, nil)
	if math.IsNaN(value) {
		return stat.NotEstimable(len(windows), "the replicas had no load")
	}
	e := stat.Estimate{Value: value, Low: 1, High: float64(replicas), N: len(windows)}
	if left := len(rates) - len(windows); left > 0 {
		e.Warnings = append(e.Warnings, fmt.Sprintf("%d of %d windows lack the load of a replica and are left out", left, len(rates)))
	}
	if len(windows) < leastWindows {
		e.Warnings = append(e.Warnings, fmt.Sprintf("%d windows are too few for an interval: at least %d are needed", len(windows), leastWindows))
		return e
	}
	e.Confidence = stat.Confidence
	random := rand.New(rand.NewPCG(seed, uint64(len(windows))))
	length := max(1, int(2*math.Cbrt(float64(len(windows)))))
	draws, chosen := make([]float64, measuredDraws), make([]int, 0, len(windows)+length)
	for d := range draws {
		chosen = chosen[:0]
		for len(chosen) < len(windows) {
			start := random.IntN(len(windows))
			for i := range length {
				chosen = append(chosen, (start+i)%len(windows))
			}
		}
		draws[d] = busiest(windows, chosen[:len(windows)])
	}
	e.Low, e.High, _ = stat.Percentiles(draws, stat.Confidence)
	// Few blocks know little of how much blocks differ: as with Student's t, and the
	// interval of a mean, it has to be wider.
	wider := stat.StudentT(stat.Confidence, max(1, len(windows)/length-1)) / distuv.UnitNormal.Quantile(0.5+stat.Confidence/2)
	e.Low = math.Max(1, value-wider*math.Max(0, value-e.Low))
	e.High = math.Min(float64(replicas), value+wider*math.Max(0, e.High-value))
	return e
}

// complete returns the rows that have a load for every replica.
func complete(rates [][]float64) (windows [][]float64, replicas int) {
	for _, row := range rates {
		replicas = max(replicas, len(row))
	}
	for _, row := range rates {
		if len(row) == replicas && !slices.ContainsFunc(row, func(v float64) bool { return !(v >= 0) || math.IsInf(v, 0) }) {
			windows = append(windows, row)
		}
	}
	return windows, replicas
}

// busiest returns the factor of the hottest replica over the chosen windows, all
// when chosen is nil; NaN without load.
func busiest(windows [][]float64, chosen []int) float64 {
	loads := make([]float64, len(windows[0]))
	add := func(row []float64) {
		for i, v := range row {
			loads[i] += v
		}
	}
	if chosen == nil {
		for _, row := range windows {
			add(row)
		}
	}
	for _, c := range chosen {
		add(windows[c])
	}
	total := 0.0
	for _, v := range loads {
		total += v
	}
	return slices.Max(loads) * float64(len(loads)) / total
}

// EffectiveConnections returns how many connections of equal load, placed at
// random, scatter the load over replicas as much as these loads are scattered. With
// it a measured skew predicts another number of replicas: Hottest(its value rounded
// down, or its low end to be safe, replicas, Random).
//
// Of C such connections the counts n_r on R replicas are multinomial, and
// Σ(n_r − C/R)²/(C/R) = C·R·Σ(s_r − 1/R)² for the shares s_r is about χ² with R − 1
// degrees of freedom (Pearson, 1900): its mean gives the value, its quantiles the
// interval. With few replicas that is wide. It is meant for random placement, of
// which one measurement is one draw; the low end is at least 1.
func EffectiveConnections(loads []float64) stat.Estimate {
	replicas := float64(len(loads))
	total := 0.0
	for _, v := range loads {
		if !(v >= 0) {
			return stat.NotEstimable(0, "a replica's load is missing")
		}
		total += v
	}
	if replicas < 2 || !(total > 0) || math.IsInf(total, 0) {
		return stat.NotEstimable(len(loads), "two replicas and a load are needed to see how it scatters")
	}
	scatter := 0.0
	for _, v := range loads {
		scatter += replicas * (v/total - 1/replicas) * (v/total - 1/replicas)
	}
	if scatter < 1e-12 {
		return stat.NotEstimable(len(loads), "the load is perfectly even: no number of connections placed at random explains that")
	}
	chi := distuv.ChiSquared{K: replicas - 1}
	tail := (1 - stat.Confidence) / 2
	return stat.Estimate{
		Value: math.Max(1, (replicas-1)/scatter), Low: math.Max(1, chi.Quantile(tail)/scatter), High: math.Max(1, chi.Quantile(1-tail)/scatter),
		Confidence: stat.Confidence, N: len(loads),
	}
}
