package main

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// The goals that the page is held against.
const (
	goalMedian   = 0.10
	goalWorst    = 0.25
	goalCoverage = 0.9
	goalHalf     = 0.15
)

const accuracyIntro = `# What low load tells

Written by ` + "`make evidence`" + `. Each row is one configuration of the lab with real Envoys: what
is forecast from the phases at or below 60 %% of its capacity, and the capacity that
` + "`sailplan size`" + ` then finds blindly, by a search that knows no forecast. %d quick sizings
of each configuration are taken together, one at a time. The scenarios are in
` + "`cmd/evidence/configurations`" + `.

Nothing in a forecast is drawn on from a curve: what a request and a wake-up cost is
fitted to the low phases, and the proxy is then simulated with that cost under its quota,
see ` + "`analysis/models/proxy`" + `. What tells the two apart are low phases in which requests
come in bunches. What is known of the ratio of their costs beforehand comes from earlier
sizings of most of these configurations, on two Intel Xeon processors; none of those runs
is in this table, and the rules of the forecast were fixed before the first of its runs was
made. Phases in which programs that have nothing to do with the load used more than a
quarter of the machine count neither for a forecast nor for what was found.

Where a component runs out of memory the kernel kills it, and with it ends the sizing; the
rate is then found by a bisection of loads, each in a new lab.

The capacity is the highest rate at which all objectives hold. Beside it stand what two
rules of thumb say of the gateway: its CPU limit ÷ (CPU ÷ rate, in the highest of the
phases that the forecast rests on), and 0.2 vCPU for each 1 000 requests a second.

Machine: %s.

| configuration | forecast | interval | measured | its interval | error | forecast of what binds | what bound | CPU ÷ rate | 0.2 vCPU per 1 000/s |
|---|---|---|---|---|---|---|---|---|---|
`

// writeAccuracyPage writes docs/accuracy.md.
func writeAccuracyPage(w io.Writer, rows []row, host record.Host, runs int) {
	fmt.Fprintf(w, accuracyIntro, runs, machine(host))
	for _, r := range rows {
		fmt.Fprintln(w, r.line())
	}
	writeScore(w, rows)
}

func (r row) line() string {
	if r.note != "" {
		return fmt.Sprintf("| %s | – | – | %s | – | – | – | %s | – | – |", r.name, r.note, r.bound)
	}
	f := r.forecast.SLOEdgeRps
	if !f.OK() {
		return fmt.Sprintf("| %s | not estimable | – | %s | %s | – | – | %s | %s | %s |", r.name, rate(r.measured.Value), interval(r.measured.Low, r.measured.High), r.bound,
			withError(r.onePoint, r.measured.Value), withError(r.rule, r.measured.Value))
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %+.1f %% | %s | %s | %s | %s |", r.name, rate(f.Value), interval(f.Low, f.High), rate(r.measured.Value),
		interval(r.measured.Low, r.measured.High), 100*r.error(), bound(r.forecast.Component, r.forecast.Resource), r.bound,
		withError(r.onePoint, r.measured.Value), withError(r.rule, r.measured.Value))
}

func interval(low, high float64) string {
	if math.IsInf(high, 1) {
		return fmt.Sprintf("from %.0f", low)
	}
	return fmt.Sprintf("%.0f – %.0f", low, high)
}

func withError(rps, measured float64) string {
	if math.IsNaN(rps) {
		return "–"
	}
	return fmt.Sprintf("%s, %+.0f %%", rate(rps), 100*(rps/measured-1))
}

// writeScore says how the rows stand to the goals.
func writeScore(w io.Writer, rows []row) {
	var errors, halves, onePoint, rule []float64
	covered, right, n := 0, 0, 0
	for _, r := range rows {
		if r.note != "" {
			continue
		}
		n++
		onePoint = append(onePoint, math.Abs(r.onePoint/r.measured.Value-1))
		rule = append(rule, math.Abs(r.rule/r.measured.Value-1))
		f := r.forecast.SLOEdgeRps
		if !f.OK() {
			continue
		}
		errors = append(errors, math.Abs(r.error()))
		halves = append(halves, (f.High-f.Low)/2/f.Value)
		if f.Low <= r.measured.Value && r.measured.Value <= f.High {
			covered++
		}
		if bound(r.forecast.Component, r.forecast.Resource) == r.bound {
			right++
		}
	}
	if len(errors) == 0 {
		return
	}
	median := func(v []float64) float64 {
		v = slices.Sorted(slices.Values(v))
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	verdict := func(met bool) string {
		if met {
			return "met"
		}
		return "**missed**"
	}
	fmt.Fprintf(w, "\n| | | goal | |\n|---|---|---|---|\n")
	fmt.Fprintf(w, "| median of the absolute errors | %.1f %% | at most %.0f %% | %s |\n", 100*median(errors), 100*goalMedian, verdict(median(errors) <= goalMedian))
	fmt.Fprintf(w, "| the worst | %.1f %% | at most %.0f %% | %s |\n", 100*slices.Max(errors), 100*goalWorst, verdict(slices.Max(errors) <= goalWorst))
	fmt.Fprintf(w, "| intervals that hold what was measured | %d of %d | nine in ten | %s |\n", covered, n, verdict(float64(covered) >= goalCoverage*float64(n)))
	fmt.Fprintf(w, "| median half of the intervals' width | ± %.1f %% | at most ± %.0f %% | %s |\n", 100*median(halves), 100*goalHalf, verdict(median(halves) <= goalHalf))
	fmt.Fprintf(w, "| what binds is forecast rightly | %d of %d | all but one | %s |\n", right, n, verdict(right >= n-1))
	fmt.Fprintf(w, "| CPU ÷ rate: median, worst | %.0f %%, %.0f %% | | |\n", 100*median(onePoint), 100*slices.Max(onePoint))
	fmt.Fprintf(w, "| 0.2 vCPU per 1 000/s: median, worst | %.0f %%, %.0f %% | | |\n", 100*median(rule), 100*slices.Max(rule))
}
