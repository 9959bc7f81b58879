package analysis

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/scenarios"
)

// The rates that are told apart: a CPU quota makes three of one capacity.
const (
	RateOfEdge       = "slo-edge"   // the highest that holds the objectives
	RateOfCPULimit   = "cpu-limit"  // the lowest at which CPU reaches its ceiling
	RateOfSaturation = "saturation" // what is answered at most
)

// SideBySide is one of three rates of the whole chain, in the three ways in which a
// sizing comes to it. What a way does not tell is not estimable, with the reason.
type SideBySide struct {
	Rate      string        `json:"rate"`
	Component string        `json:"component,omitempty"` // whose CPU it is
	Forecast  stat.Estimate `json:"forecastRps"`         // from low load alone
	Fitted    stat.Estimate `json:"fittedRps"`           // from the climb and the sweep
	Measured  stat.Estimate `json:"measuredRps"`         // from the search, or from the phases on both sides
	// ForecastError and FittedError are relative to what was measured; nil without both.
	ForecastError *float64 `json:"forecastError,omitempty"`
	FittedError   *float64 `json:"fittedError,omitempty"`
}

// atCeiling is the share of the CPU that a component can use from which on it is at
// its ceiling: a quota is never used to the last microsecond.
const atCeiling = 0.97

// saturated is the share of the arrivals that is answered below which a phase shows
// what is answered at most.
const saturated = 0.95

// sideBySide puts the three rates beside each other; none where there was no edge.
func (r *Result) sideBySide(phases []examined) []SideBySide {
	if !r.SLOEdge.Rps.OK() {
		return nil
	}
	edge := SideBySide{Rate: RateOfEdge, Forecast: r.notForecast(), Fitted: r.SLOEdge.Rps, Measured: stat.NotEstimable(0, "there was no blind search")}
	if r.Forecast != nil {
		edge.Forecast = r.Forecast.SLOEdgeRps
	}
	if v := r.Verification; v != nil {
		edge.Measured = v.MeasuredRps
	}
	out := []SideBySide{edge}
	if c, bound := r.busiest(); c != nil {
		out = append(out, r.cpuLimit(*c, bound, phases), r.saturation(c.Name, bound, phases))
	}
	for i := range out {
		s := &out[i]
		s.ForecastError, s.FittedError = errorOf(s.Forecast, s.Measured), errorOf(s.Fitted, s.Measured)
	}
	return out
}

// errorOf is the relative error of a prediction; nil where the measurement is a bound
// or there are not both.
func errorOf(predicted, measured stat.Estimate) *float64 {
	if !predicted.OK() || !measured.OK() || !(measured.Value > 0) || math.IsInf(measured.High, 1) {
		return nil
	}
	e := predicted.Value/measured.Value - 1
	return &e
}

func (r *Result) notForecast() stat.Estimate {
	return stat.NotEstimable(0, "there are too few phases at low load to forecast from")
}

// busiest is the component whose CPU reaches its ceiling first, as the fit has it, and
// what was forecast of it; nil where no ceiling is known.
func (r *Result) busiest() (busiest *Component, forecast *Bound) {
	for i := range r.Components {
		c := &r.Components[i]
		if all := c.chainRate(c.CPULimitRps); all.OK() && (busiest == nil || all.Value < busiest.chainRate(busiest.CPULimitRps).Value) {
			busiest = c
		}
	}
	if busiest == nil || r.Forecast == nil {
		return busiest, nil
	}
	for i := range r.Forecast.Bounds {
		if b := &r.Forecast.Bounds[i]; b.Component == busiest.Name && b.CPULimitRps != nil {
			return busiest, b
		}
	}
	return busiest, nil
}

// chainRate is a rate of one replica as that of the whole chain, with the replicas that
// were measured.
func (c *Component) chainRate(e stat.Estimate) stat.Estimate {
	return e.Scale(float64(max(c.ReplicasMeasured, 1)))
}

// cpuLimit brackets the rate at which the CPU of a component reaches its ceiling.
func (r *Result) cpuLimit(c Component, bound *Bound, phases []examined) SideBySide {
	out := SideBySide{Rate: RateOfCPULimit, Component: c.Name, Forecast: r.notForecast(), Fitted: c.chainRate(c.CPULimitRps)}
	if bound != nil {
		out.Forecast = *bound.CPULimitRps
	}
	ceiling := float64(max(c.ReplicasMeasured, 1)) * c.ceiling()
	var below, above float64 // the highest rate below the ceiling, the lowest at it
	n := 0
	for _, p := range measured(phases) {
		used, ok := p.summary.CPUCores[c.Name]
		if !ok || !used.OK() {
			continue
		}
		n++
		if rps := p.summary.OfferedRps; used.Value >= atCeiling*ceiling {
			if above == 0 || rps < above {
				above = rps
			}
		} else {
			below = math.Max(below, rps)
		}
	}
	switch {
	case above == 0 && below == 0:
		out.Measured = stat.NotEstimable(0, "no phase shows its CPU")
	case above == 0:
		out.Measured = stat.Estimate{Value: below, Low: below, High: math.Inf(1), Confidence: stat.Confidence, N: n, Warnings: []string{"not reached: its CPU was below the ceiling up to the highest rate"}}
	case below == 0:
		out.Measured = stat.NotEstimable(n, "its CPU was at the ceiling from the lowest rate on")
	default:
		// Noise can put a phase above the ceiling at a lower rate than one below it.
		low, high := math.Min(below, above), math.Max(below, above)
		out.Measured = stat.Estimate{Value: (low + high) / 2, Low: low, High: high, Confidence: stat.Confidence, N: n}
	}
	return out
}

// ceiling is the CPU that a replica can use at most, in cores.
func (c *Component) ceiling() float64 {
	usable := float64(c.Concurrency)
	if c.CPULimitCores > 0 && (usable <= 0 || c.CPULimitCores < usable) {
		return c.CPULimitCores
	}
	return usable
}

// saturation is what was answered at most, where more was offered.
func (r *Result) saturation(component string, bound *Bound, phases []examined) SideBySide {
	out := SideBySide{
		Rate: RateOfSaturation, Component: component, Forecast: r.notForecast(),
		Fitted: stat.NotEstimable(0, "a fit of phases that are not throttled does not tell what batches cost"),
	}
	if bound != nil && bound.SaturatedRps != nil {
		out.Forecast = *bound.SaturatedRps
	}
	most, n := 0.0, 0
	full := stat.Estimate{Confidence: stat.Confidence}
	for _, p := range measured(phases) {
		achieved := p.summary.AchievedRps
		most, n = math.Max(most, achieved), n+1
		if p.summary.OfferedRps > 0 && achieved < saturated*p.summary.OfferedRps && achieved > full.Value {
			full.Value = achieved
		}
	}
	switch {
	case most == 0:
		out.Measured = stat.NotEstimable(0, "nothing was answered in a valid phase")
	case full.Value == 0 || most > full.Value:
		out.Measured = stat.Estimate{Value: most, Low: most, High: math.Inf(1), Confidence: stat.Confidence, N: n, Warnings: []string{
			fmt.Sprintf("not reached: at %s nearly every arrival was still answered in time", perSecond(most)),
		}}
	default:
		full.Low, full.High, full.N = full.Value, full.Value, n
		out.Measured = full
	}
	return out
}

// measured are the valid phases of a sizing that say something of a rate.
func measured(phases []examined) []examined {
	return valid(ofKind(phases, scenarios.KindClimb, scenarios.KindSteady, scenarios.KindSearch, scenarios.KindProof))
}
