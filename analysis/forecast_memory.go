package analysis

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// peakOf returns how many of n requests in flight in the mean are in flight at some
// time within seconds: their number is a Poisson one where requests come and last
// independently, and exceeds three standard deviations about once in so long.
func peakOf(n float64) float64 { return n + 3*math.Sqrt(n) }

// meanOf is the inverse of peakOf.
func meanOf(peak float64) float64 {
	root := (math.Sqrt(9+4*peak) - 3) / 2
	return root * root
}

// memorySearch is half the width, as a share, of what a bisection for the rate at
// which memory ends leaves open.
const memorySearch = 0.03

// memory adds where components use up their memory: the kernel kills them there. A
// proxy that has once taken memory keeps it, so only phases count that no higher
// rate came before.
func (s *forecaster) memory() {
	for _, c := range s.rec.Components {
		_, limit := limitsOf(s.rec, c)
		if limit <= 0 {
			continue
		}
		rows := [][]float64{}
		var bytes, latencies []float64
		replicas := 1.0
		for _, rising := range s.rising {
			for i, p := range rising {
				r := perReplicaOf(p, c)
				largest, ok := p.samples.Max(c.Name, record.WorkingSetBytes)
				if !ok || p.latency.N() == 0 {
					continue
				}
				replicas = float64(r.replicas)
				if first, known := firstBytes(p, c.Name); known && i == 0 {
					rows, bytes = append(rows, []float64{1, 0}), append(bytes, first) // nothing is in flight yet
				}
				rows = append(rows, []float64{1, peakOf(p.offered / replicas * p.latency.Mean())})
				bytes, latencies = append(bytes, largest), append(latencies, p.latency.Mean())
			}
		}
		if bound, ok := memoryBound(rows, bytes, limit); ok {
			seconds := latencies[len(latencies)-1]
			rate := func(peak float64) float64 { return meanOf(math.Max(0, peak)) / seconds * replicas }
			s.bounds = append(s.bounds, Bound{
				Component: c.Name, Resource: models.BindsMemory,
				EdgeRps: stat.Estimate{
					Value: rate(bound.Value), Low: rate(bound.Low) * (1 - memorySearch), High: rate(bound.High) * (1 + memorySearch),
					Confidence: stat.Confidence, N: bound.N,
				},
				Reason: fmt.Sprintf("its limit is used up by %.0f requests in flight at once, %s each", bound.Value, duration(seconds)),
			})
		}
	}
}

// firstBytes returns the working set at the start of a phase.
func firstBytes(p examined, component string) (bytes float64, ok bool) {
	for _, replica := range p.samples[component] {
		if series := replica[record.WorkingSetBytes]; series.N > 0 {
			bytes, ok = math.Max(bytes, series.First), true
		}
	}
	return bytes, ok
}

// memoryBound returns how many requests in flight fill the limit, by a straight line
// through bytes; ok is false when there are too few points, or memory does not grow.
func memoryBound(rows [][]float64, bytes []float64, limit float64) (stat.Estimate, bool) {
	if len(rows) < 4 {
		return stat.Estimate{}, false
	}
	fit, err := stat.LeastSquares(rows, bytes, nil)
	if err != nil {
		return stat.Estimate{}, false
	}
	slope := fit.Coefficient(1, stat.Confidence)
	if !(slope.Low > 0) {
		return stat.Estimate{}, false
	}
	at := (limit - fit.Coefficients[0]) / slope.Value
	there := fit.Mean([]float64{1, at}, stat.Confidence)
	return stat.Estimate{
		Value: at, Low: at - (there.High-there.Value)/slope.Value, High: at + (there.Value-there.Low)/slope.Value,
		Confidence: stat.Confidence, N: len(rows),
	}, at > 0
}
