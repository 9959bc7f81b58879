package analysis

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// The tolerances of StationaryEnough between successive chunks.
const (
	settledLatency = 0.20 // of p50
	settledCPU     = 0.15 // of the CPU per request, summed over all components
	// Differences below this are not worth another chunk.
	settledLeastLatency = 0.0002 // seconds
	settledLeastCPU     = 0.02   // cores
)

// StationaryEnough reports whether a warm-up has come to its end: the median
// latency and the CPU per request of its last two chunks agree within a
// tolerance. The chunks are phases of the same rate, in order of time.
func StationaryEnough(chunks []record.PhaseData) (settled bool, reason string) {
	if len(chunks) < 2 {
		return false, fmt.Sprintf("%d chunk: two are needed to compare", len(chunks))
	}
	before, after := chunks[len(chunks)-2], chunks[len(chunks)-1]
	was, is := stat.OfHistogram(before.Latency, nanosecond), stat.OfHistogram(after.Latency, nanosecond)
	if was.N() == 0 || is.N() == 0 {
		return false, "no answers to compare"
	}
	p50, last := was.Quantile(0.5), is.Quantile(0.5)
	words := fmt.Sprintf("p50 %s after %s", duration(last), duration(p50))
	if change := math.Abs(last - p50); change > settledLeastLatency && change > settledLatency*math.Min(p50, last) {
		return false, words + ": still moving"
	}
	early, earlyCores, ok := cpuPerAnswer(before)
	late, lateCores, alsoOK := cpuPerAnswer(after)
	if !ok || !alsoOK {
		return true, words + "; CPU is not known"
	}
	words += fmt.Sprintf(", CPU %s per request after %s", duration(late), duration(early))
	if change := math.Abs(late - early); change > settledCPU*math.Min(early, late) && math.Abs(lateCores-earlyCores) > settledLeastCPU {
		return false, words + ": still moving"
	}
	return true, words
}

// cpuPerAnswer returns CPU seconds per arrival and the cores of all components
// together, the generator and the host left out.
func cpuPerAnswer(phase record.PhaseData) (seconds, cores float64, ok bool) {
	samples, rate := models.Samples(phase), models.OfferedRPS(phase)
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		if name == record.ComponentGenerator || name == record.ComponentHost {
			continue
		}
		used, known := samples.Rate(name, record.CPUSeconds)
		if !known {
			return 0, 0, false
		}
		cores, ok = cores+used, true
	}
	if !ok || rate <= 0 {
		return 0, 0, false
	}
	return cores / rate, cores, true
}
