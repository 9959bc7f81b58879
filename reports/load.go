package reports

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
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
			{"Rate", fmt.Sprintf("%s achieved of %s intended", Rate(l.AchievedRps), Rate(l.IntendedRps))},
			{"Requests", fmt.Sprintf("%s intended, %s sent, %s answered", Count(l.Requests.Intended), Count(l.Requests.Sent), Count(l.Requests.Answered))},
			{"Not answered well", fmt.Sprintf("%s: %s shed, %s failed, %s timed out, %s answered with an error",
				Count(l.Requests.Errors()), Count(l.Requests.Shed), Count(l.Requests.Failed), Count(l.Requests.TimedOut), Count(l.Requests.Bad))},
		}})
	}
	return s
}

// loadObjectives says of each objective how the load stood to it.
func loadObjectives(result analysis.Result) []Check {
	var checks []Check
	for _, o := range result.Objectives {
		c := Check{Name: o.Text, Status: Unknown, Text: "no valid answer"}
		if result.Load != nil {
			c.Text = standing(o, *result.Load)
		}
		switch result.Outcome {
		case analysis.Held:
			c.Status = Passed
		case analysis.Missed:
			c.Status = missedStatus(o, result)
		}
		checks = append(checks, c)
	}
	return checks
}

// missedStatus says whether o is the objective that was missed.
func missedStatus(o analysis.Objective, result analysis.Result) Status {
	if len(result.Objectives) == 1 {
		return Failed
	}
	l := result.Load
	if l == nil {
		return Unknown
	}
	if o.LatencySeconds > 0 {
		e, ok := l.LatencySeconds[quantileKey(o.Quantile)]
		switch {
		case !ok || !e.OK():
			return Unknown
		case e.Value > o.LatencySeconds:
			return Failed
		}
		return Passed
	}
	if float64(l.Requests.Errors()) > o.ErrorRatio*float64(l.Requests.Intended) {
		return Failed
	}
	return Passed
}

// standing is what was measured of what an objective is about.
func standing(o analysis.Objective, l analysis.LoadSummary) string {
	if o.LatencySeconds > 0 {
		key := quantileKey(o.Quantile)
		e, ok := l.LatencySeconds[key]
		if !ok {
			return key + " was not measured"
		}
		return "measured " + key + ": " + Estimate(e, Seconds)
	}
	return fmt.Sprintf("%s of %s requests were not answered well", Count(l.Requests.Errors()), Count(l.Requests.Intended))
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
		return Absent
	}
	return Estimate(e, Seconds)
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
		row := Row{Cells: []string{"status " + strconv.Itoa(status), Count(l.Statuses[status])}}
		if status >= 500 || status == 429 {
			row.Level = Bad
		}
		t.Rows = append(t.Rows, row)
	}
	for _, class := range slices.Sorted(maps.Keys(l.Errors)) {
		t.Rows = append(t.Rows, Row{Level: Bad, Cells: []string{class, Count(l.Errors[class])}})
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
			{"CPU time", Duration(g.CPUSeconds)},
			{"Peak memory", Bytes(float64(g.PeakMemoryBytes))},
			{"Longest GC pause", Duration(g.GCPauseMax.Seconds())},
			{"Scheduling latency p99", Duration(g.SchedLatencyP99.Seconds())},
			{"Waited for a processor", Duration(g.RunDelaySeconds)},
			{"Throttled periods", Count(g.ThrottledPeriods)},
			{"Wake-ups of the sender", Count(g.WakeUps)},
			{"Coefficient of variation of the gaps", Number(g.ArrivalGaps.CV)},
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
