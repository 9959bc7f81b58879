package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// Effective is the document of the effective policy for a destination.
func Effective(r breaker.Report) Document {
	d := Document{Title: "Policy for " + destinationName(r), Evidence: Note{Info, "Read from the files; nothing was tried."}}
	s := Section{Title: "Effective policy", Blocks: breakerNotes(r)}
	s.Blocks = append(s.Blocks, settingTables(r)...)
	d.add(s)
	d.add(peakSection(r))
	return d
}

// peakSection holds the settings against the peak, and says what that is.
func peakSection(r breaker.Report) Section {
	if len(r.Peak) == 0 && len(r.Judgements) == 0 {
		return Section{}
	}
	t := Table{Caption: "The peak", Columns: []Column{{Title: "What"}, {Title: "Value", Right: true, Strong: true}, {Title: "From", Prose: true}}}
	if r.PeakRun != "" {
		t.Caption = "The peak, by the run in " + r.PeakRun
	}
	for _, given := range r.Peak {
		t.Rows = append(t.Rows, Row{Cells: []string{given.What, given.Text(), given.Source}})
	}
	s := resultSection("The settings against the peak", "Judgement", r.Judgements)
	if len(t.Rows) > 0 {
		s.Title, s.Blocks = "The settings against the peak", slices.Concat([]Block{t}, s.Blocks)
	}
	return s
}

func destinationName(r breaker.Report) string {
	name := r.Host
	if r.Subset != "" {
		name += ", subset " + r.Subset
	}
	if r.Port != 0 {
		name += fmt.Sprintf(", port %d", r.Port)
	}
	return name
}

func breakerNotes(r breaker.Report) []Block {
	var blocks []Block
	for _, note := range r.Notes {
		blocks = append(blocks, Note{Info, endSentence(note)})
	}
	return blocks
}

// settingTables have the policy of each side.
func settingTables(r breaker.Report) []Block {
	var blocks []Block
	for _, side := range []struct {
		side    breaker.Side
		caption string
	}{
		{breaker.Client, "At each client's Envoy, a gateway or a sidecar, over all endpoints together"},
		{breaker.Server, "At each endpoint's sidecar, over all clients together: the pool applies inbound too"},
	} {
		t := Table{Caption: side.caption, Columns: []Column{{Title: "Field"}, {Title: "Value", Right: true, Strong: true}, {Title: "From"}}}
		for _, s := range r.Settings {
			if s.Side == side.side {
				row := Row{Cells: []string{s.Field, s.Text(), s.Source}}
				if s.Set {
					row.Level = Good
				}
				t.Rows = append(t.Rows, row)
			}
		}
		blocks = append(blocks, t)
	}
	return blocks
}

// Breaker is the document of the trials of a circuit breaker: the answer, each trial
// with what was expected and what was observed, the findings with their fixes, how
// it went over time, and the policy that was tried.
func Breaker(r breaker.Report) Document {
	d := Document{Title: "Circuit breaker of " + destinationName(r), Evidence: Note{Info, breakerEvidence(r)}}
	answer := Section{Title: "Answer", Blocks: []Block{breakerVerdict(r)}}
	if r.Fast {
		answer.Blocks = append(answer.Blocks, Note{Warning, "The policy's times were shortened (--fast): what each trial used stands in it, and times that are given are of the shortened policy."})
	}
	answer.Blocks = append(answer.Blocks, breakerNotes(r)...)
	d.add(answer)
	d.add(resultSection("Trials", "Trial", r.Trials))
	d.add(peakSection(r))
	d.add(breakerFindings(r))
	d.add(timelineSection(r))
	d.add(trialChecks(r))
	d.add(Section{Title: "Effective policy", Detail: true, Blocks: settingTables(r)})
	return d
}

func breakerEvidence(r breaker.Report) string {
	if r.Target != "" {
		return "The running system at " + r.Target + ": its client's Envoy, without faults and within the rate that was allowed."
	}
	return fmt.Sprintf("Real Envoy %s on this machine, %s and %s each, in front of the lab's test service. An Istio proxy with telemetry costs more, and trips at the same limits.",
		r.Envoy, counted(r.Endpoints, "endpoint"), counted(r.Workers, "worker thread"))
}

func breakerVerdict(r breaker.Report) Verdict {
	what := counted(len(r.Trials), "trial")
	if n := len(r.Judgements); n > 0 {
		what += " and " + counted(n, "judgement")
	}
	failed, unknown := r.Number(breaker.Fail), r.Number(breaker.NotMeasurable)
	v := Verdict{Level: Good, Status: Passed, Text: fmt.Sprintf("The policy does what it says: %s passed", what)}
	switch {
	case len(r.All()) == 0:
		return Verdict{Level: Warning, Status: Skipped, Text: "There is nothing to try", Detail: "The policy sets no limit and no outlier detection."}
	case failed > 0:
		v.Level, v.Status = Bad, Failed
		v.Text = fmt.Sprintf("The policy does not do what it says: %d of %s failed", failed, what)
	case unknown > 0:
		v.Level, v.Status = Warning, Unknown
		v.Text = fmt.Sprintf("%d of %s could not be measured, the others passed", unknown, what)
	}
	if r.Incomplete != "" {
		if v.Level != Bad {
			v.Level, v.Status, v.Text = Warning, Unknown, "Not all trials were made"
		}
		v.Detail = endSentence(r.Incomplete)
	}
	for _, t := range r.All() {
		if t.Verdict == breaker.Fail {
			v.Detail = strings.TrimSpace(v.Detail + " " + endSentence(t.Name+": "+t.Reason))
		}
	}
	return v
}

func trialStatus(v breaker.Verdict) Status {
	switch v {
	case breaker.Pass:
		return Passed
	case breaker.Fail:
		return Failed
	case breaker.NotMeasurable:
	}
	return Unknown
}

// resultSection has what was expected and what was observed, one by one.
func resultSection(title, column string, results []breaker.Result) Section {
	t := Table{Columns: []Column{{Title: column, Strong: true}, {Title: "Verdict"}, {Title: "What", Prose: true}}}
	for i, trial := range results {
		status := trialStatus(trial.Verdict)
		add := func(continues bool, cells ...string) {
			t.Rows = append(t.Rows, Row{Level: status.Level(), Continues: continues, Cells: cells})
		}
		name := fmt.Sprintf("%d. %s%s", i+1, trial.Name, limitOf(trial))
		add(false, name, string(trial.Verdict), "expected: "+trial.Expected)
		if trial.Observed != "" {
			add(true, name, "", "observed: "+trial.Observed+took(trial.Seconds))
		}
		if trial.Reason != "" {
			add(true, name, "", "because: "+trial.Reason)
		}
	}
	return section(title, t)
}

// limitOf writes the limit behind the name of a trial, where the name tells of which field.
func limitOf(r breaker.Result) string {
	if r.Limit == nil || !strings.Contains(r.Name, r.Field[strings.LastIndex(r.Field, ".")+1:]) {
		return ""
	}
	return fmt.Sprintf(" (%v)", r.Limit)
}

func took(seconds float64) string {
	if seconds == 0 {
		return ""
	}
	return "; the trial took " + quantity.Duration(seconds)
}

// trialChecks are the cases of a JUnit file: one a trial, or judgement.
func trialChecks(r breaker.Report) Section {
	var items []Check
	for _, trial := range r.All() {
		text := "expected: " + trial.Expected
		for _, more := range []string{trial.Observed, trial.Reason} {
			if more != "" {
				text += "; " + more
			}
		}
		items = append(items, Check{trial.Name, trialStatus(trial.Verdict), text})
	}
	if len(items) == 0 {
		return Section{}
	}
	return Section{Title: "Checks", Detail: true, Blocks: []Block{Checks{"trials", items}}}
}

// breakerFindings has what an audit of the files says, the worst first.
func breakerFindings(r breaker.Report) Section {
	s := Section{Title: "Findings"}
	for _, severity := range []audit.Severity{audit.Error, audit.Warning, audit.Info} {
		part := findingsOf(r.Findings, severity, "")
		s.Blocks = append(s.Blocks, part.Blocks...)
	}
	return s
}

// timelineSection draws what was in flight, shed and ejected as the trials went.
func timelineSection(r breaker.Report) Section {
	x := Axis{Label: "time since the first trial", Unit: "s"}
	inFlight := Line{Name: "in flight at a client", Color: colorFirst}
	waiting := Line{Name: "waiting for a connection", Color: colorSecond}
	server := Line{Name: "in flight at the busiest sidecar", Color: colorThird}
	shed := Line{Name: "shed by limits", Color: colorFirst}
	errors := Line{Name: "answers of 5xx", Color: colorSecond}
	ejected := Line{Name: "endpoints ejected", Color: colorFirst}
	var markers []Marker
	for i, trial := range r.Trials {
		if len(trial.Timeline) == 0 {
			continue
		}
		points := thinned(trial.Timeline)
		markers = append(markers, marker(strconv.Itoa(i+1), points[0].Seconds))
		for i, p := range points {
			inFlight.Points = append(inFlight.Points, bare(p.Seconds, p.InFlight))
			waiting.Points = append(waiting.Points, bare(p.Seconds, p.Pending))
			server.Points = append(server.Points, bare(p.Seconds, p.Server))
			ejected.Points = append(ejected.Points, bare(p.Seconds, p.Ejected))
			if i == 0 {
				continue
			}
			before := points[i-1]
			if over := p.Seconds - before.Seconds; over > 0 && p.Errors >= before.Errors {
				shed.Points = append(shed.Points, bare(p.Seconds, (p.Shed+p.ServerShed-before.Shed-before.ServerShed)/over))
				errors.Points = append(errors.Points, bare(p.Seconds, (p.Errors-before.Errors)/over))
			}
		}
		end := points[len(points)-1].Seconds
		for _, line := range []*Line{&inFlight, &waiting, &server, &shed, &errors, &ejected} {
			line.gap(end)
		}
	}
	s := Section{Title: "How it went"}
	for _, series := range []Series{
		{Title: "Requests at the proxies", X: x, Y: Axis{Label: "requests"}, Lines: drawn(inFlight, waiting, server), Markers: markers},
		{Title: "What went wrong, by second", X: x, Y: Axis{Label: "rate", Unit: "/s"}, Lines: drawn(shed, errors), Markers: markers},
		{Title: "Ejected endpoints", X: x, Y: Axis{Label: "endpoints"}, Lines: drawn(ejected), Markers: markers},
	} {
		if len(series.Lines) > 0 {
			if len(s.Blocks) == 0 {
				series.Caption = "The numbers at the lines are those of the trials: each begins there."
			}
			s.Blocks = append(s.Blocks, series)
		}
	}
	if len(s.Blocks) == 0 {
		return Section{}
	}
	return s
}

// drawnPoints is about how many points of a trial are drawn.
const drawnPoints = 250

// thinned leaves out points where there are more than a chart can show; the first, the
// last and those at which an endpoint goes or comes back stay.
func thinned(points []breaker.Point) []breaker.Point {
	step := (len(points) + drawnPoints - 1) / drawnPoints
	if step <= 1 {
		return points
	}
	var kept []breaker.Point
	for i, p := range points[:len(points)-1] {
		if i%step == 0 || p.Ejected != points[i-1].Ejected {
			kept = append(kept, p)
		}
	}
	return slices.Concat(kept, points[len(points)-1:])
}

// marker is a vertical line where something begins.
func marker(label string, at float64) Marker {
	return Marker{Label: label, At: at, Low: math.NaN(), High: math.NaN(), Color: colorMuted}
}
