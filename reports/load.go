package reports

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// Load is the document of `run`: a load without a sizing. Without a record
// (nil) it has no timeline.
func Load(result analysis.Result, rec *record.Record) Document {
	d := Document{
		Title:    "Load of " + orUnnamed(result.Scenario),
		Evidence: evidence(result, rec),
	}
	d.add(loadAnswer(result))
	if result.Load != nil {
		d.add(latencySection(*result.Load))
		d.add(answersSection(*result.Load))
	}
	d.add(validitySection(result, rec))
	d.add(loadCharts(result, rec))
	if result.Load != nil {
		d.add(generatorSection(*result.Load))
	}
	d.add(phaseSection(result))
	d.add(reproduceSection(result, rec))
	return d
}

func loadAnswer(result analysis.Result) Section {
	s := Section{Title: "Answer", Blocks: []Block{verdict(result)}}
	s.Blocks = append(s.Blocks, endNotes(result)...)
	s.Blocks = append(s.Blocks, whyInvalid(result)...)
	if checks := loadObjectives(result); len(checks) > 0 {
		s.Blocks = append(s.Blocks, Checks{"objectives", checks})
	}
	if l := result.Load; l != nil {
		s.Blocks = append(s.Blocks, KeyValues{[]KeyValue{
			{"Rate", fmt.Sprintf("%s achieved of %s intended", quantity.Rate(l.AchievedRps), quantity.Rate(l.IntendedRps))},
			{"Requests", fmt.Sprintf("%s intended, %s sent, %s answered", quantity.Count(l.Requests.Intended), quantity.Count(l.Requests.Sent), quantity.Count(l.Requests.Answered))},
			{"Not answered well", fmt.Sprintf("%s: %s shed, %s failed, %s timed out, %s answered with an error",
				quantity.Count(l.Requests.Errors()), quantity.Count(l.Requests.Shed), quantity.Count(l.Requests.Failed), quantity.Count(l.Requests.TimedOut), quantity.Count(l.Requests.Bad))},
		}})
	}
	return s
}

// loadObjectives says of each objective how the load stood to it.
func loadObjectives(result analysis.Result) []Check {
	var checks []Check
	for _, o := range result.Objectives {
		c := Check{Name: o.Text, Status: statusOf(o), Text: "no valid answer"}
		if result.Load != nil {
			c.Text = standing(o, *result.Load)
		}
		checks = append(checks, c)
	}
	return checks
}

// statusOf is what the analysis says of an objective.
func statusOf(o analysis.Objective) Status {
	switch {
	case o.Holds == nil:
		return Unknown
	case *o.Holds:
		return Passed
	}
	return Failed
}

// standing is what was measured of what an objective is about.
func standing(o analysis.Objective, l analysis.LoadSummary) string {
	if o.LatencySeconds > 0 {
		key := quantileKey(o.Quantile)
		e, ok := l.LatencySeconds[key]
		if !ok {
			return key + " was not measured"
		}
		return "measured " + key + ": " + quantity.Estimate(e, quantity.Seconds)
	}
	return fmt.Sprintf("%s of %s requests were not answered well", quantity.Count(l.Requests.Errors()), quantity.Count(l.Requests.Intended))
}

// quantileKey is the name of a quantile in a result: p50, p99, p999.
func quantileKey(q float64) string {
	digits := strings.TrimPrefix(strconv.FormatFloat(q, 'f', -1, 64), "0.")
	if len(digits) == 1 {
		digits += "0"
	}
	return "p" + digits
}

// latencySection puts the three times of a request beside each other.
func latencySection(l analysis.LoadSummary) Section {
	t := Table{
		Caption: "Latency counts from the instant a request was due, service time from when it was sent, send lag is what lies between",
		Columns: []Column{{Title: ""}, {Title: "Latency", Right: true}, {Title: "Service time", Right: true}, {Title: "Send lag", Right: true}},
	}
	for _, key := range latencyKeys(l) {
		t.Rows = append(t.Rows, Row{Cells: []string{
			key, cell(l.LatencySeconds, key), cell(l.ServiceSeconds, key), cell(l.SendLagSeconds, key),
		}})
	}
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: "Latency", Blocks: []Block{t}}
}

func cell(estimates map[string]stat.Estimate, key string) string {
	e, ok := estimates[key]
	if !ok {
		return quantity.Absent
	}
	return quantity.Estimate(e, quantity.Seconds)
}

// latencyKeys returns the keys in the order a reader expects.
func latencyKeys(l analysis.LoadSummary) []string {
	seen := map[string]bool{}
	for _, m := range []map[string]stat.Estimate{l.LatencySeconds, l.ServiceSeconds, l.SendLagSeconds} {
		for key := range m {
			seen[key] = true
		}
	}
	order := []string{"mean", "p50", "p90", "p95", "p99", "p999", "p9999", "max"}
	var keys []string
	for _, key := range order {
		if seen[key] {
			keys = append(keys, key)
			delete(seen, key)
		}
	}
	return append(keys, slices.Sorted(maps.Keys(seen))...)
}

func answersSection(l analysis.LoadSummary) Section {
	t := Table{Caption: "Answers by status, and requests without an answer by cause", Columns: []Column{{Title: "Answer"}, {Title: "Requests", Right: true}}}
	for _, status := range slices.Sorted(maps.Keys(l.Statuses)) {
		row := Row{Cells: []string{"status " + strconv.Itoa(status), quantity.Count(l.Statuses[status])}}
		if status >= 500 || status == 429 {
			row.Level = Bad
		}
		t.Rows = append(t.Rows, row)
	}
	for _, class := range slices.Sorted(maps.Keys(l.Errors)) {
		t.Rows = append(t.Rows, Row{Level: Bad, Cells: []string{class, quantity.Count(l.Errors[class])}})
	}
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: "Answers", Blocks: []Block{t}}
}

// loadCharts has the timeline only: one rate has no curve.
func loadCharts(result analysis.Result, rec *record.Record) Section {
	return Section{Title: "Charts", Blocks: timelineCharts(result, rec)}
}

func generatorSection(l analysis.LoadSummary) Section {
	g := l.Generator
	return Section{Title: "The generator itself", Detail: true, Blocks: []Block{
		KeyValues{[]KeyValue{
			{"CPU time", quantity.Duration(g.CPUSeconds)},
			{"Peak memory", quantity.Bytes(float64(g.PeakMemoryBytes))},
			{"Longest GC pause", quantity.Duration(g.GCPauseMax.Seconds())},
			{"Scheduling latency p99", quantity.Duration(g.SchedLatencyP99.Seconds())},
			{"Waited for a processor", quantity.Duration(g.RunDelaySeconds)},
			{"Throttled periods", quantity.Count(g.ThrottledPeriods)},
			{"Wake-ups of the sender", quantity.Count(g.WakeUps)},
			{"Coefficient of variation of the gaps", quantity.Number(g.ArrivalGaps.CV)},
		}},
		Note{verdictLevel(l.Verdict), "Verdict: " + verdictText(l.Verdict)},
	}}
}

func verdictLevel(v analysis.Verdict) Level {
	switch {
	case !v.Valid:
		return Bad
	case len(v.Warnings) > 0:
		return Warning
	}
	return Good
}
