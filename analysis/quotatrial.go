package analysis

import (
	"fmt"
	"math"

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
	Reason     string        `json:"reason"`
}

// QuotaSide is a component on one side: the mean over the phases, and their range.
type QuotaSide struct {
	Component  string        `json:"component"`
	CPUSeconds stat.Estimate `json:"cpuSecondsPerRequest"` // idle CPU and wake-ups in it, all replicas
	Throttled  float64       `json:"throttledRatio"`       // share of quota periods
}

// quotaTrial returns nil where there are not valid phases of both sides.
func quotaTrial(rec *record.Record, phases []examined) *QuotaTrial {
	var with, without []examined
	for _, p := range valid(phases) {
		if p.Spec.QuotasLifted {
			without = append(without, p)
		} else {
			with = append(with, p)
		}
	}
	if len(with) == 0 || len(without) == 0 {
		return nil
	}
	out := &QuotaTrial{With: quotaSides(rec, with), Without: quotaSides(rec, without)}
	out.Rps = mean(valid(phases), func(p examined) float64 { return p.offered })
	p99 := func(p examined) float64 { return p.quantile(0.99).Value }
	out.WithP99, out.WithoutP99 = rangeOver(with, p99), rangeOver(without, p99)
	out.Reason = fmt.Sprintf("at %s p99 is %s with the CPU quotas and %s without", perSecond(out.Rps),
		quantity.Value(out.WithP99, quantity.Seconds), quantity.Value(out.WithoutP99, quantity.Seconds))
	if out.WithP99.OK() && out.WithoutP99.OK() && out.WithP99.Low <= out.WithoutP99.High {
		out.Reason += ", but phases of both sides overlap, so that no price is told by it"
	}
	for i, side := range out.With {
		if other := out.Without[i]; side.Throttled > 0 && side.CPUSeconds.OK() && other.CPUSeconds.OK() {
			out.Reason += fmt.Sprintf("; a request costs %s %s of CPU with, throttled in %s of the periods, and %s without", side.Component,
				quantity.Value(side.CPUSeconds, quantity.Seconds), percent(side.Throttled), quantity.Value(other.CPUSeconds, quantity.Seconds))
		}
	}
	return out
}

func quotaSides(rec *record.Record, phases []examined) (sides []QuotaSide) {
	for _, c := range rec.Components {
		throttled := mean(phases, func(p examined) float64 { return perReplicaOf(p, c).throttled })
		sides = append(sides, QuotaSide{
			Component: c.Name,
			CPUSeconds: rangeOver(phases, func(p examined) float64 {
				r := perReplicaOf(p, c)
				return r.cores / r.rps
			}),
			Throttled: finite(throttled),
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
