package analysis

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// QuotaTrial is what the CPU quotas of a lab cost, measured at one rate with all of
// them and with none, in turns.
type QuotaTrial struct {
	Rps     float64     `json:"rps"` // offered
	With    []QuotaSide `json:"with"`
	Without []QuotaSide `json:"without"`
	// P99 of the whole chain: the mean over the phases, and their range.
	WithP99    stat.Estimate `json:"withP99Seconds"`
	WithoutP99 stat.Estimate `json:"withoutP99Seconds"`
	// The price: with ÷ without, with the interval of the rank test of Mann and Whitney
	// over phases. CPU is that of every component, in the order of With.
	P99Ratio  stat.Estimate `json:"p99Ratio"`
	CPURatios []QuotaRatio  `json:"cpuRatios"`
	Told      bool          `json:"told"` // whether the interval of P99Ratio leaves out 1
	Reason    string        `json:"reason"`
}

// QuotaSide is a component on one side: the mean over the phases, and their range.
type QuotaSide struct {
	Component  string        `json:"component"`
	CPUSeconds stat.Estimate `json:"cpuSecondsPerRequest"` // idle CPU and wake-ups in it, all replicas
	Throttled  float64       `json:"throttledRatio"`       // share of quota periods
}

// bound reports whether the quota of the component did anything.
func (s QuotaSide) bound() bool { return s.Throttled >= leastThrottled }

// QuotaRatio is what a component's CPU for a request is with the quotas, as a multiple of
// that without.
type QuotaRatio struct {
	Component string        `json:"component"`
	Ratio     stat.Estimate `json:"ratio"`
}

// leastThrottled is the share of quota periods from which on a quota is said to bind in
// the phases that have it.
const leastThrottled = 0.05

// quotaTrial returns nil where no price was asked for, and one that tells none, with the
// reason, where none was measured.
func quotaTrial(rec *record.Record, phases []examined) *QuotaTrial {
	if len(phases) == 0 {
		if !rec.Scenario.Sizing.QuotaPrice {
			return nil
		}
		const why = "no price of the quotas was measured: the run ended before it, or no CPU limit was enforced"
		none := stat.NotEstimable(0, why)
		return &QuotaTrial{With: []QuotaSide{}, Without: []QuotaSide{}, WithP99: none, WithoutP99: none, P99Ratio: none, CPURatios: []QuotaRatio{}, Reason: why}
	}
	var with, without []examined
	for _, p := range valid(phases) {
		if p.Spec.QuotasLifted {
			without = append(without, p)
		} else {
			with = append(with, p)
		}
	}
	out := &QuotaTrial{With: quotaSides(rec, with), Without: quotaSides(rec, without), CPURatios: []QuotaRatio{}}
	out.Rps = finite(mean(phases, func(p examined) float64 { return p.offered }))
	p99 := func(p examined) float64 { return p.quantile(0.99).Value }
	out.WithP99, out.WithoutP99 = rangeOver(with, p99), rangeOver(without, p99)
	out.P99Ratio = ratioOver(with, without, p99)
	for _, c := range rec.Components {
		out.CPURatios = append(out.CPURatios, QuotaRatio{c.Name, ratioOver(with, without, cpuOfRequest(c))})
	}
	out.Told = out.P99Ratio.OK() && slices.ContainsFunc(out.With, QuotaSide.bound) && (out.P99Ratio.Low > 1 || out.P99Ratio.High < 1)
	out.Reason = out.words(phases, with, without)
	return out
}

// of is the price in words for a component that was throttled; empty where none is told.
func (t *QuotaTrial) of(component string) string {
	if t == nil || !t.Told || !slices.ContainsFunc(t.With, func(s QuotaSide) bool { return s.Component == component && s.bound() }) {
		return ""
	}
	return t.Reason
}

// words say the price, or why there is none.
func (t *QuotaTrial) words(phases, with, without []examined) string {
	if len(with) == 0 || len(without) == 0 {
		side := "with the CPU quotas"
		if len(with) > 0 {
			side = "without the CPU quotas"
		}
		reasons := invalidReasonsOf(phases)
		return fmt.Sprintf("no price is told: no phase %s was a valid measurement: %s", side, reasons)
	}
	words := fmt.Sprintf("at %s p99 is %s with the CPU quotas and %s without", perSecond(t.Rps),
		quantity.Value(t.WithP99, quantity.Seconds), quantity.Value(t.WithoutP99, quantity.Seconds))
	switch {
	case !t.P99Ratio.OK():
		words += ", but no price is told: " + firstWarning(t.P99Ratio)
	case !slices.ContainsFunc(t.With, QuotaSide.bound):
		words += ", but no price is told: at this rate no quota bound"
	case t.Told:
		words += fmt.Sprintf(", %s times", timesWords(t.P99Ratio))
	case math.IsInf(t.P99Ratio.Low, 0) || !(t.P99Ratio.Low > 0):
		words += ", but no price is told: " + firstWarning(t.P99Ratio)
	default:
		words += fmt.Sprintf(", %s times: phases of both sides overlap, so that no price is told by it", timesWords(t.P99Ratio))
	}
	for i, cpu := range t.CPURatios {
		side, other := t.With[i], t.Without[i]
		if !side.bound() || !side.CPUSeconds.OK() || !other.CPUSeconds.OK() {
			continue
		}
		words += fmt.Sprintf("; a request costs %s %s of CPU with its quota, throttled in %s of the periods, and %s without", side.Component,
			quantity.Value(side.CPUSeconds, quantity.Seconds), percent(side.Throttled), quantity.Value(other.CPUSeconds, quantity.Seconds))
		if cpu.Ratio.Low > 0 && !math.IsInf(cpu.Ratio.High, 1) {
			words += fmt.Sprintf(", %s times", timesWords(cpu.Ratio))
		}
	}
	return words
}

// timesWords is a ratio with its interval.
func timesWords(e stat.Estimate) string {
	return fmt.Sprintf("%.3g (%.3g – %.3g)", e.Value, e.Low, e.High)
}

// invalidReasonsOf is why the first phase that is not valid is not.
func invalidReasonsOf(phases []examined) string {
	for _, p := range phases {
		if reasons := p.summary.Verdict.Reasons; len(reasons) > 0 {
			return reasons[0].Message
		}
	}
	return "there was none"
}

// cpuOfRequest returns what a request costs a component in a phase: CPU seconds, all of
// its replicas.
func cpuOfRequest(c record.Component) func(examined) float64 {
	return func(p examined) float64 {
		r := perReplicaOf(p, c)
		return r.cores / r.rps
	}
}

// ratioOver estimates with ÷ without over phases, by their logarithms: values of such
// phases are skewed, and a price is a factor.
func ratioOver(with, without []examined, of func(examined) float64) stat.Estimate {
	logs := func(phases []examined) (out []float64) {
		for _, p := range phases {
			if v := of(p); v > 0 && !math.IsInf(v, 1) {
				out = append(out, math.Log(v))
			}
		}
		return out
	}
	e := stat.Shift(logs(without), logs(with), stat.Confidence)
	e.Value, e.Low, e.High = math.Exp(e.Value), math.Exp(e.Low), math.Exp(e.High)
	return e
}

func quotaSides(rec *record.Record, phases []examined) (sides []QuotaSide) {
	for _, c := range rec.Components {
		throttled := mean(phases, func(p examined) float64 { return perReplicaOf(p, c).throttled })
		sides = append(sides, QuotaSide{
			Component:  c.Name,
			CPUSeconds: rangeOver(phases, cpuOfRequest(c)),
			Throttled:  finite(throttled),
		})
	}
	return sides
}

// mean is that of the phases of which something is known; NaN of none.
func mean(phases []examined, of func(examined) float64) float64 {
	sum, n := 0.0, 0.0
	for _, p := range phases {
		if v := of(p); !math.IsNaN(v) && !math.IsInf(v, 0) {
			sum, n = sum+v, n+1
		}
	}
	return sum / n
}

// rangeOver is the mean over phases with their lowest and highest: too few for more.
func rangeOver(phases []examined, of func(examined) float64) stat.Estimate {
	e := stat.Estimate{Value: mean(phases, of), Low: math.Inf(1), High: math.Inf(-1), N: len(phases)}
	if math.IsNaN(e.Value) {
		return stat.NotEstimable(len(phases), "it was not measured")
	}
	for _, p := range phases {
		if v := of(p); !math.IsNaN(v) && !math.IsInf(v, 0) {
			e.Low, e.High = math.Min(e.Low, v), math.Max(e.High, v)
		}
	}
	e.Warnings = []string{fmt.Sprintf("the interval is the range over %d phases", len(phases))}
	return e
}
