package reports

import (
	"cmp"
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
	if result.LoadSummary != nil {
		d.add(latencySection(*result.LoadSummary))
		d.add(mixSection(*result.LoadSummary))
		d.add(stepsSection(*result.LoadSummary))
		d.add(answersSection(*result.LoadSummary))
	}
	d.add(validitySection(result, rec))
	d.add(loadCharts(result, rec))
	if result.LoadSummary != nil {
		d.add(backendsSection(*result.LoadSummary))
		d.add(slowestSection(*result.LoadSummary))
		d.add(connectionsSection(*result.LoadSummary))
		d.add(credentialsSection(*result.LoadSummary))
		d.add(generatorSection(*result.LoadSummary))
	}
	d.add(phaseSection(result))
	d.add(reproduceSection(result, rec))
	return d
}

func loadAnswer(result analysis.Result) Section {
	s := Section{Title: "Answer", Blocks: []Block{verdict(result)}}
	s.Blocks = append(s.Blocks, endNotes(result)...)
	s.Blocks = append(s.Blocks, whyInvalid(result)...)
	if l := result.LoadSummary; l != nil && l.LoadEnded != "" {
		s.Blocks = append(s.Blocks, Note{Info, endSentence("The load ended before its time: " + l.LoadEnded)})
	}
	if checks := loadObjectives(result); len(checks) > 0 {
		s.Blocks = append(s.Blocks, Checks{"objectives", checks})
	}
	if l := result.LoadSummary; l != nil {
		s.Blocks = append(s.Blocks, KeyValues{[]KeyValue{
			{"Rate", fmt.Sprintf("%s achieved of %s intended", quantity.Rate(l.Rate.AchievedRps), quantity.Rate(l.Rate.IntendedRps))},
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
	if result.Outcome == analysis.Found {
		return nil // the answer itself
	}
	for _, o := range result.Objectives {
		c := Check{Name: o.Text, Status: statusOf(o), Text: "no valid answer"}
		if result.LoadSummary != nil {
			c.Text = standing(o, *result.LoadSummary)
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
		t.Rows = append(t.Rows, Row{Level: Bad, Cells: []string{errorClass(class), quantity.Count(l.Errors[class])}})
	}
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: "Answers", Blocks: []Block{t}}
}

// errorClass puts a class that does not speak for itself into words.
func errorClass(class string) string {
	switch class {
	case "shed":
		return "never sent: the backlog was full [shed]"
	case "shed-waiting":
		return "never sent: waited for a free stream until its timeout [shed-waiting]"
	case "shed-interrupted":
		return "never sent: waiting when the load was stopped [shed-interrupted]"
	}
	return class
}

// loadCharts has the timeline only: one rate has no curve.
func loadCharts(result analysis.Result, rec *record.Record) Section {
	if result.LoadSummary == nil {
		return chartSection(result, rec)
	}
	return Section{Title: "Charts", Blocks: timelineCharts(result, rec)}
}

func generatorSection(l analysis.LoadSummary) Section {
	g := l.Generator
	return Section{Title: "The generator itself", Detail: true, Blocks: []Block{
		KeyValues{[]KeyValue{
			{"CPU time", cpuTime(g)},
			{"Peak memory", quantity.Bytes(float64(g.PeakMemoryBytes))},
			{"Longest GC pause", quantity.Duration(g.GCPauseSeconds)},
			{"Scheduling latency p99", quantity.Duration(g.SchedulingLatencySeconds)},
			{"Waited for a processor", quantity.Duration(g.RunDelaySeconds)},
			{"Throttled periods", quantity.Count(g.ThrottledPeriods)},
			{"Wake-ups of the sender", wakeUps(l)},
			{"Coefficient of variation of the gaps", quantity.Number(g.ArrivalGaps.CV)},
		}},
		Note{verdictLevel(l.Verdict), "Verdict: " + verdictText(l.Verdict)},
	}}
}

func cpuTime(g analysis.GeneratorSummary) string {
	text := quantity.Duration(g.CPUSeconds)
	if g.CPUSecondsPerMillionRequests != nil {
		text += ", " + quantity.Duration(*g.CPUSecondsPerMillionRequests) + " for a million requests"
	}
	return text
}

func wakeUps(l analysis.LoadSummary) string {
	text := quantity.Count(l.Generator.WakeUps)
	if w := l.Generator.Writes; w > 0 {
		text += fmt.Sprintf(", %.1f requests in a write", float64(l.Requests.Sent)/float64(w))
	}
	return text
}

// connectionsSection tells how connecting went.
func connectionsSection(l analysis.LoadSummary) Section {
	c := l.Connections
	if c.Opened == 0 && c.OpenFailed == 0 {
		return Section{}
	}
	values := []KeyValue{
		{"Connections", fmt.Sprintf("%s opened, %s closed, %s open at the end", quantity.Count(c.Opened), quantity.Count(c.Closed), quantity.Count(int64(c.Open)))},
		{"Connecting", spread(c.ConnectSeconds)},
	}
	if c.OpenFailed > 0 {
		values = append(values, KeyValue{"Could not connect", fmt.Sprintf("%s times; the first time: %s", quantity.Count(c.OpenFailed), OneLine(c.OpenError))})
	}
	if c.TLSVersion != "" {
		agreed := c.TLSVersion + ", " + c.CipherSuite
		for _, group := range slices.Sorted(maps.Keys(c.KeyExchanges)) {
			agreed += fmt.Sprintf(", %s × %s", group, quantity.Count(c.KeyExchanges[group]))
		}
		if c.ResumedHandshakes > 0 {
			agreed += fmt.Sprintf("; %s handshakes resumed a session", quantity.Count(c.ResumedHandshakes))
		}
		values = append(values, KeyValue{"TLS", agreed}, KeyValue{"TLS handshake", spread(c.HandshakeSeconds)})
	}
	if c.ProtocolError != "" {
		values = append(values, KeyValue{"Broke the protocol", OneLine(c.ProtocolError)})
	}
	if c.GoAways > 0 || c.Retried > 0 {
		values = append(values, KeyValue{"Sent away", fmt.Sprintf("%s times by GOAWAY; %s requests were sent again", quantity.Count(c.GoAways), quantity.Count(c.Retried))})
	}
	if c.LostIdleSeconds != nil {
		values = append(values, KeyValue{"Idle before the other side ended without a word", spread(c.LostIdleSeconds)})
	}
	if c.LocalPorts > 0 {
		values = append(values, KeyValue{"Local ports", quantity.Count(int64(c.LocalPorts)) + " used"})
	}
	values = append(values, KeyValue{"In flight", quantity.Count(c.MaxInFlight) + " requests at the most"})
	return Section{Title: "Connections", Detail: true, Blocks: []Block{KeyValues{values}}}
}

func spread(times map[string]stat.Estimate) string {
	return "p50 " + quantity.Value(times["p50"], quantity.Seconds) + ", p99 " + quantity.Value(times["p99"], quantity.Seconds) +
		", max " + quantity.Value(times["max"], quantity.Seconds)
}

// mixSection tells the kinds of request apart, when there are several.
func mixSection(l analysis.LoadSummary) Section {
	if len(l.ByRequest) < 2 {
		return Section{}
	}
	t := Table{Caption: "Latency by kind of request", Columns: []Column{
		{Title: "Request"}, {Title: "Answered", Right: true}, {Title: "p50", Right: true}, {Title: "p99", Right: true}, {Title: "Mean", Right: true}, {Title: "Max", Right: true},
	}}
	for _, r := range l.ByRequest {
		t.Rows = append(t.Rows, Row{Cells: []string{
			r.Name, quantity.Count(r.Answered), cell(r.LatencySeconds, "p50"), cell(r.LatencySeconds, "p99"), cell(r.LatencySeconds, "mean"), cell(r.LatencySeconds, "max"),
		}})
	}
	return Section{Title: "The mix", Blocks: []Block{t}}
}

// stepsSection tells the steps of a shape apart.
func stepsSection(l analysis.LoadSummary) Section {
	if len(l.Steps) == 0 {
		return Section{}
	}
	t := Table{Caption: "Latency by step; objectives are judged over the whole load", Columns: []Column{
		{Title: "From", Right: true}, {Title: "To", Right: true}, {Title: "Intended", Right: true}, {Title: "Achieved", Right: true},
		{Title: "p50", Right: true}, {Title: "p99", Right: true}, {Title: "Max", Right: true},
	}}
	for _, s := range l.Steps {
		t.Rows = append(t.Rows, Row{Cells: []string{
			quantity.Duration(s.FromSeconds), quantity.Duration(s.ToSeconds), quantity.Rate(s.IntendedRps), quantity.Rate(s.AchievedRps),
			cell(s.LatencySeconds, "p50"), cell(s.LatencySeconds, "p99"), cell(s.LatencySeconds, "max"),
		}})
	}
	return Section{Title: "Steps", Blocks: []Block{t}}
}

// mostBackends is how many rows the table of backends has at most.
const mostBackends = 50

// backendsSection tells who answered, the busiest first.
func backendsSection(l analysis.LoadSummary) Section {
	if len(l.Backends) == 0 {
		return Section{}
	}
	total := int64(0)
	for _, n := range l.Backends {
		total += n
	}
	names := slices.SortedFunc(maps.Keys(l.Backends), func(a, b string) int {
		return cmp.Or(cmp.Compare(l.Backends[b], l.Backends[a]), strings.Compare(a, b))
	})
	t := Table{Caption: "Answers by the backend that named itself in them", Columns: []Column{{Title: "Backend"}, {Title: "Answers", Right: true}, {Title: "Share", Right: true}}}
	for _, name := range names[:min(len(names), mostBackends)] {
		n := l.Backends[name]
		t.Rows = append(t.Rows, Row{Cells: []string{name, quantity.Count(n), quantity.Percent(float64(n) / float64(total))}})
	}
	blocks := []Block{t}
	if s := l.BackendSpread; s != nil {
		note := Note{Good, fmt.Sprintf("The load was even over %s backends, as far as chance allows.", quantity.Count(int64(s.Backends)))}
		if !s.Even {
			note = Note{Warning, fmt.Sprintf("The load was not even over %s backends: the shares go from %s to %s.",
				quantity.Count(int64(s.Backends)), quantity.Percent(s.LeastShare), quantity.Percent(s.MostShare))}
		}
		blocks = append(blocks, note)
	}
	if left := len(names) - mostBackends; left > 0 {
		blocks = append(blocks, Note{Info, quantity.Count(int64(left)) + " more backends are in result.json."})
	}
	return Section{Title: "Backends", Blocks: blocks}
}

// slowestSection names requests that can be looked up in Jaeger or Zipkin.
func slowestSection(l analysis.LoadSummary) Section {
	if len(l.Slowest) == 0 {
		return Section{}
	}
	t := Table{Caption: "The slowest of the requests that carried a traceparent, to open in Jaeger or Zipkin", Columns: []Column{
		{Title: "Trace id"}, {Title: "Request"}, {Title: "Due", Right: true}, {Title: "Latency", Right: true},
	}}
	for _, trace := range l.Slowest {
		t.Rows = append(t.Rows, Row{Cells: []string{trace.ID, trace.Request, quantity.Duration(trace.At.Seconds()), quantity.Duration(trace.LatencySeconds)}})
	}
	return Section{Title: "Slowest traces", Blocks: []Block{t}}
}

// credentialsSection tells what happened to the credential.
func credentialsSection(l analysis.LoadSummary) Section {
	if len(l.Credentials) == 0 {
		return Section{}
	}
	t := Table{Caption: "The credential while the run went on", Columns: []Column{{Title: "At", Right: true}, {Title: "Event"}}}
	for _, e := range l.Credentials {
		t.Rows = append(t.Rows, Row{Cells: []string{quantity.Duration(e.AtSeconds), e.Message}})
	}
	return Section{Title: "Credentials", Detail: true, Blocks: []Block{t}}
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
