package reports

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// ratesBlocks put the SLO edge, the CPU limit and saturation beside each other, each as
// it was forecast, fitted and measured.
func ratesBlocks(result analysis.Result) []Block {
	if len(result.Rates) == 0 {
		return nil
	}
	from := "from low load"
	if result.Forecast != nil {
		from = "from phases up to " + quantity.Rate(result.Forecast.BelowRps)
	}
	t := Table{
		Caption: "Three rates of the whole chain, which are not the same: forecast " + from + ", fitted to the climb and the sweep, and measured",
		Columns: []Column{
			{Title: "Rate"}, {Title: "Forecast", Right: true}, {Title: "Fitted", Right: true}, {Title: "Measured", Right: true, Strong: true},
			{Title: "Forecast is off by", Right: true}, {Title: "Fit is off by", Right: true},
		},
	}
	var notes []Block
	for _, r := range result.Rates {
		name := rateName(r)
		t.Rows = append(t.Rows, Row{Cells: []string{
			name, quantity.ShortEstimate(r.Forecast, quantity.PerSecond), quantity.ShortEstimate(r.Fitted, quantity.PerSecond),
			measuredRate(r.Measured), errorText(r.ForecastError), errorText(r.FittedError),
		}})
		for _, of := range []struct {
			what string
			e    stat.Estimate
		}{{"forecast", r.Forecast}, {"fitted", r.Fitted}, {"measured", r.Measured}} {
			if len(of.e.Warnings) > 0 && !(r.Rate == analysis.RateOfEdge && of.what != "forecast") { // of the edge it is said elsewhere
				notes = append(notes, Note{Info, fmt.Sprintf("%s, %s: %s", name, of.what, of.e.Warnings[0])})
			}
		}
	}
	return append([]Block{t}, notes...)
}

func rateName(r analysis.SideBySide) string {
	switch r.Rate {
	case analysis.RateOfEdge:
		return "objectives hold up to"
	case analysis.RateOfCPULimit:
		return "CPU of " + r.Component + " at its limit"
	}
	return "answered at most"
}

// measuredRate writes a rate that was not reached as what it is at the least.
func measuredRate(e stat.Estimate) string {
	if e.OK() && math.IsInf(e.High, 1) {
		return "above " + quantity.Rate(e.Low)
	}
	return quantity.ShortEstimate(e, quantity.PerSecond)
}

func errorText(e *float64) string {
	if e == nil {
		return quantity.Absent
	}
	return quantity.SignedPercent(*e)
}
