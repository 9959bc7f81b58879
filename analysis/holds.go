package analysis

import (
	"fmt"
	"math"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// nanosecond is the unit of the histograms of a record, in seconds.
const nanosecond = 1e-9

// Holds reports whether a phase holds every objective, by the measured quantile
// itself and the share of arrivals that went wrong, and says by how much. A
// phase that measured nothing does not hold. Whether the phase is a valid
// measurement is not its question: see Judge.
func Holds(phase record.PhaseData, objectives []scenarios.Objective) (holds bool, reason string) {
	return holdsAll(settled(stat.OfHistogram(phase.Latency, nanosecond), phase.Counts), phase.Counts, objectives)
}

// settled is the latency of every arrival that came to an end, the ends that were
// no answers included: an arrival that was shed, failed or timed out is later than
// every limit. latency is that of the answers, and of the timeouts with their
// timeout as the value; those are the largest of it, as long as all requests have
// the same timeout.
func settled(latency stat.Distribution, c record.Counts) stat.Distribution {
	return latency.Endless(min(c.TimedOut, latency.N()), c.Failed+c.Shed)
}

// holdsAll wants the latency of all settled arrivals.
func holdsAll(latency stat.Distribution, counts record.Counts, objectives []scenarios.Objective) (holds bool, reason string) {
	if counts.Intended == 0 || latency.N() == 0 {
		return false, "nothing was measured"
	}
	if len(objectives) == 0 {
		return true, "there is no objective"
	}
	holds = true
	words := make([]string, 0, len(objectives))
	for _, o := range objectives {
		ok, text := holdsOne(latency, counts, o)
		holds = holds && ok
		words = append(words, text)
	}
	return holds, strings.Join(words, "; ")
}

// objectiveUse returns how much of the tightest objective a phase uses: 1 is the
// limit, 1.3 misses it by 30 %. 0 without an objective, or when nothing was measured.
func objectiveUse(latency stat.Distribution, counts record.Counts, objectives []scenarios.Objective) float64 {
	use := 0.0
	if counts.Intended == 0 || latency.N() == 0 {
		return use
	}
	for _, o := range objectives {
		switch {
		case o.IsLatency():
			use = max(use, latency.Quantile(o.Quantile)/o.Latency.Seconds())
		case o.ErrorRatio > 0:
			use = max(use, ErrorRatio(counts)/float64(o.ErrorRatio))
		}
	}
	return min(use, 1e9)
}

func holdsOne(latency stat.Distribution, counts record.Counts, o scenarios.Objective) (bool, string) {
	if !o.IsLatency() {
		ratio := ErrorRatio(counts)
		if ratio > float64(o.ErrorRatio) {
			return false, fmt.Sprintf("errors %s > %s", percent(ratio), percent(float64(o.ErrorRatio)))
		}
		return true, fmt.Sprintf("errors %s ≤ %s", percent(ratio), percent(float64(o.ErrorRatio)))
	}
	seen := latency.Quantile(o.Quantile)
	name := stat.QuantileName(o.Quantile)
	if n := latency.N(); n < int64(stat.SamplesFor(o.Quantile)) {
		name = fmt.Sprintf("%s of only %d answers", name, n)
	}
	if math.IsInf(seen, 1) {
		return false, fmt.Sprintf("%s > %s, since %s were never answered", name, duration(o.Latency.Seconds()), percent(latency.ShareAbove(math.MaxFloat64)))
	}
	relation, ok := "≤", true
	if seen > o.Latency.Seconds() {
		relation, ok = ">", false
	}
	return ok, fmt.Sprintf("%s %s %s %s", name, duration(seen), relation, duration(o.Latency.Seconds()))
}

// ErrorRatio returns the share of arrivals that went wrong, in [0, 1]: shed,
// failed, timed out or answered badly. 0 when nothing arrived.
func ErrorRatio(c record.Counts) float64 {
	if c.Intended <= 0 {
		return 0
	}
	return min(1, float64(max(c.Errors(), 0))/float64(c.Intended))
}
