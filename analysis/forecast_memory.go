package analysis

import (
	"fmt"
	"math"

	gonum "gonum.org/v1/gonum/stat"

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
	root := (math.Sqrt(9+4*math.Max(0, peak)) - 3) / 2
	return root * root
}

const (
	// memoryStep is what a group's memory is known to, in bytes: the kernel charges
	// it 64 pages of 4 KiB at a time for each processor, here one for two of them
	// (MEMCG_CHARGE_BATCH in linux/memcontrol.h), half of that to either side.
	memoryStep = 128 << 10
	// memorySearch is half the width, as a share, of what a bisection for the rate at
	// which memory ends leaves open.
	memorySearch = 0.03
)

// memoryPoint is one rate as the memory of a component sees it.
type memoryPoint struct {
	peak, bytes float64 // in flight at most; held then
}

// memory adds where components use up their memory: the kernel kills them there. A
// proxy that has once taken memory keeps it, so only phases count that no higher
// rate came before, of those of one rate the last, and the first samples of all.
func (s *forecaster) memory() {
	for _, c := range s.rec.Components {
		_, limit := limitsOf(s.rec, c)
		if limit <= 0 {
			continue
		}
		var points []memoryPoint
		seconds, replicas := 0.0, 1.0
		for _, rising := range s.rising {
			last := 0.0
			for _, p := range rising {
				bytes, ok := p.samples.Max(c.Name, record.WorkingSetBytes)
				if !ok || p.latency.N() == 0 {
					continue
				}
				replicas, seconds = float64(perReplicaOf(p, c).replicas), p.latency.Mean()
				if first, known := firstPoint(p, c.Name); known && last == 0 {
					points = append(points, first)
				}
				point := memoryPoint{peakOf(p.offered / replicas * seconds), bytes}
				if last > 0 && p.offered < 1.15*last {
					points[len(points)-1] = point
				} else {
					points = append(points, point)
				}
				last = p.offered
			}
		}
		peak, ok := fills(points, limit)
		if !ok {
			continue
		}
		rate := func(peak float64) float64 { return meanOf(peak) / seconds * replicas }
		s.bounds = append(s.bounds, Bound{
			Component: c.Name, Resource: models.BindsMemory,
			EdgeRps: stat.Estimate{
				Value: rate(peak.Value), Low: rate(peak.Low) * (1 - memorySearch), High: rate(peak.High) * (1 + memorySearch),
				Confidence: peak.Confidence, N: peak.N,
			},
			Reason: fmt.Sprintf("its limit is used up by %.0f requests in flight at once, %s each", peak.Value, duration(seconds)),
		})
	}
}

// firstPoint returns what was held, and in flight, at the first samples of a phase.
func firstPoint(p examined, component string) (first memoryPoint, ok bool) {
	for _, replica := range p.samples[component] {
		bytes, inFlight := replica[record.WorkingSetBytes], replica[record.DownInFlight]
		if bytes.N > 0 && inFlight.N > 0 && bytes.First > first.bytes {
			first, ok = memoryPoint{inFlight.First, bytes.First}, true
		}
	}
	return first, ok
}

// fills returns how many requests in flight fill the limit, by a straight line
// through the points; its scatter is no less than memoryStep. ok is false when there
// are too few points, or when memory does not visibly grow.
func fills(points []memoryPoint, limit float64) (peak stat.Estimate, ok bool) {
	var x, y []float64
	for _, p := range points {
		x, y = append(x, p.peak), append(y, p.bytes)
	}
	if len(x) < 3 {
		return stat.Estimate{}, false
	}
	base, each := gonum.LinearRegression(x, y, nil, false)
	n, middle := float64(len(x)), gonum.Mean(x, nil)
	spread, squares := 0.0, 0.0
	for i := range x {
		spread += (x[i] - middle) * (x[i] - middle)
		squares += math.Pow(y[i]-base-each*x[i], 2)
	}
	sd := math.Max(memoryStep, math.Sqrt(squares/(n-2)))
	z := stat.Z(stat.Confidence)
	if !(each > z*sd/math.Sqrt(spread)) {
		return stat.Estimate{}, false
	}
	at := (limit - base) / each
	half := z * sd * math.Sqrt(1/n+(at-middle)*(at-middle)/spread) / each
	return stat.Estimate{Value: at, Low: at - half, High: at + half, Confidence: stat.Confidence, N: len(x)}, at > 0
}
