package models

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// What a drift of memory needs to be called a leak.
const (
	leakSeconds = 120  // the second half of the phases covers so long at least
	leakPoints  = 6    // and has so many phases
	leakPerHour = 0.05 // the drift takes so much of the largest value seen in an hour
)

// drift fits bytes = base + drift·time + a·inFlight + b·most over the second half of
// the phases, in which programs that fill up once have done so. most is the most in
// flight in any phase so far, since what was once taken is rarely given back: growth
// at constant load is then time's own. The points come in order of time.
//
// Only the second half counts because growth that ends, of caches and heaps at the
// start, is no leak, and looks like one over the whole run.
func drift(points []MemoryPoint) (perSecond stat.Estimate, leak bool) {
	half := points[len(points)/2:]
	if len(half) < leakPoints || math.IsNaN(half[0].At) {
		return stat.NotEstimable(len(half), fmt.Sprintf("%d phases in the second half, a drift of memory needs %d", len(half), leakPoints)), false
	}
	if covered := half[len(half)-1].At - half[0].At; !(covered >= leakSeconds) {
		return stat.NotEstimable(len(half), fmt.Sprintf("the second half of the phases covers %.0f s, a drift of memory needs %d", covered, leakSeconds)), false
	}
	most, inFlight := 0.0, []float64{}
	for _, p := range points {
		if p.InFlight > most {
			most = p.InFlight
		}
		inFlight = append(inFlight, most)
	}
	inFlight = inFlight[len(points)/2:]
	varies := func(of func(i int) float64) bool {
		for i := range half {
			if of(i) != of(0) {
				return true
			}
		}
		return false
	}
	columns := []func(i int) float64{func(int) float64 { return 1 }, func(i int) float64 { return half[i].At }}
	for _, of := range []func(i int) float64{func(i int) float64 { return half[i].InFlight }, func(i int) float64 { return inFlight[i] }} {
		if varies(of) && !math.IsNaN(of(0)) {
			columns = append(columns, of)
		}
	}
	rows, bytes := make([][]float64, len(half)), make([]float64, len(half))
	for i, p := range half {
		for _, of := range columns {
			rows[i] = append(rows[i], of(i))
		}
		bytes[i] = p.Bytes
	}
	fit, err := stat.LeastSquares(rows, bytes, nil)
	if err != nil {
		return stat.NotEstimable(len(half), "the drift of memory cannot be told from the load"), false
	}
	perSecond = fit.Coefficient(1, stat.Confidence)
	largest := 0.0
	for _, p := range half {
		largest = math.Max(largest, p.Bytes)
	}
	return perSecond, perSecond.Low > 0 && perSecond.Low*3600 > leakPerHour*largest
}

// steppedDown is the share of the most in flight up to which a phase after it
// counts as a step down again.
const steppedDown = 0.5

// hysteresis returns which share of what memory grew by, from the phases before it
// to the one with the most in flight, was still held when the load had come down
// again: 0 when it was all given back, 1 when nothing was. The points come in order
// of time.
func hysteresis(points []MemoryPoint) stat.Estimate {
	peak := -1
	for i, p := range points {
		if !math.IsNaN(p.InFlight) && (peak < 0 || p.InFlight > points[peak].InFlight) {
			peak = i
		}
	}
	if peak < 0 {
		return stat.NotEstimable(len(points), "requests in flight are not known")
	}
	low := func(part []MemoryPoint) (mean, least, most float64, n int) {
		least, most = math.Inf(1), math.Inf(-1)
		for _, p := range part {
			if p.InFlight <= steppedDown*points[peak].InFlight {
				mean, least, most, n = mean+p.Bytes, math.Min(least, p.Bytes), math.Max(most, p.Bytes), n+1
			}
		}
		return mean / float64(n), least, most, n
	}
	before, _, _, up := low(points[:peak])
	after, least, most, down := low(points[peak+1:])
	switch grew := points[peak].Bytes - before; {
	case up == 0 || down == 0:
		return stat.NotEstimable(up+down, "there was no step up and down again")
	case !(grew > 0.02*before):
		return stat.NotEstimable(up+down, "memory did not grow with the load, so nothing could be given back")
	default:
		share := func(bytes float64) float64 { return math.Min(1, math.Max(0, (bytes-before)/grew)) }
		return stat.Estimate{Value: share(after), Low: share(least), High: share(most), Confidence: stat.Confidence, N: up + down}
	}
}
