package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/fit"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Fit is the document of `fit`: what a model says of points that were measured
// elsewhere.
func Fit(result fit.Result) Document {
	d := Document{
		Title: fmt.Sprintf("%s fitted to %s", result.Model, tableName(result.File)),
		Evidence: Note{Info, fmt.Sprintf("%s of %s against %s, measured elsewhere: what spoiled the measurement can't be seen from here.",
			pointCount(len(result.Points)), result.Y, result.X)},
	}
	d.add(fitAnswer(result))
	d.add(predictionSection(result))
	d.add(inverseSection(result))
	d.add(alternativeSection(result))
	d.add(fitCharts(result))
	d.add(fittedPointSection(result))
	return d
}

func tableName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

func pointCount(n int) string {
	if n == 1 {
		return "One point"
	}
	return quantity.Count(int64(n)) + " points"
}

func fitAnswer(result fit.Result) Section {
	s := Section{Title: "Answer", Blocks: []Block{fitVerdict(result)}}
	for _, warning := range result.Warnings {
		s.Blocks = append(s.Blocks, Note{Warning, endSentence(warning)})
	}
	formula := result.Formula
	if result.Peak != nil {
		formula += fmt.Sprintf("; X is %s, N is %s", result.Y, result.X)
	}
	left := result.ErrorText(result.LooError) + unitOf(result) + " when each point is predicted from the others"
	if result.LastOut > 0 {
		left += fmt.Sprintf(", %s for the last %s from those before", result.ErrorText(result.LastOutError)+unitOf(result), lastCount(result.LastOut))
	}
	s.Blocks = append(s.Blocks, KeyValues{[]KeyValue{
		{"Formula", formula},
		{"Residuals", result.ErrorText(result.ResidualStandardError) + unitOf(result) + " standard error"},
		{"Left out", left},
	}}, parameterTable(result))
	return s
}

func parameterTable(result fit.Result) Table {
	t := Table{
		Caption: "The parameters with their 95 % intervals",
		Columns: []Column{{Title: "parameter"}, {Title: "estimate", Right: true, Strong: true}, {Title: "from", Right: true}, {Title: "to", Right: true}, {Title: "what it is", Prose: true}},
	}
	for _, p := range result.Parameters {
		t.Rows = append(t.Rows, Row{Cells: []string{p.Name, quantity.Value(p.Estimate, quantity.Fine), end(p.Estimate, p.Low), end(p.Estimate, p.High), p.Meaning}})
	}
	return t
}

// unitOf is the unit of errors: none, where they are percents.
func unitOf(result fit.Result) string {
	if result.Noise == "relative" {
		return ""
	}
	return " " + result.Y
}

func lastCount(n int) string {
	if n == 1 {
		return "one"
	}
	return fmt.Sprintf("1 to %d", n)
}

// fitVerdict is the sentence that most people fit a curve for.
func fitVerdict(result fit.Result) Verdict {
	v := Verdict{Level: Good, Status: Passed, Text: "Fitted"}
	if len(result.Warnings) > 0 {
		v.Level, v.Text = Warning, "Fitted, with reservations"
	}
	peak := result.Peak
	switch {
	case peak == nil:
	case !peak.Throughput.OK():
		v.Detail = endSentence(first(peak.Throughput.Warnings))
	default:
		v.Detail = fmt.Sprintf("%s is highest at %s %s: %s.", result.Y, result.X,
			quantity.Estimate(peak.Concurrency, quantity.Fine), quantity.Estimate(peak.Throughput, quantity.Fine))
		if why := first(peak.Throughput.Warnings); why != "" {
			v.Level = Warning
			v.Detail += " " + endSentence(why)
		}
	}
	return v
}

func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return strings.ToUpper(texts[0][:1]) + texts[0][1:]
}

func predictionSection(result fit.Result) Section {
	t := Table{Caption: fmt.Sprintf("In 95 of 100 one more measurement of %s lies from – to", result.Y)}
	switch {
	case result.Model == fit.Demand:
		t.Caption = fmt.Sprintf("The mean of %s lies from – to, with 95 %% confidence", result.Y)
	case result.Peak != nil:
		t.Caption += "; beyond the points that covers every model that they don't reject"
	}
	for _, p := range result.Predictions {
		t.Rows = append(t.Rows, estimateRow(p.X, p.Estimate))
	}
	t.Columns = estimateColumns(result.X, result.Y, t.Rows)
	return section("Predictions", t)
}

func inverseSection(result fit.Result) Section {
	t := Table{Caption: fmt.Sprintf("%s that it takes until the fitted %s is reached; the upper end of the interval is the safe one", result.X, result.Y)}
	if result.Model == fit.MMC || result.Model == fit.Demand {
		t.Caption = fmt.Sprintf("%s up to which the fitted %s is not exceeded; the lower end of the interval is the safe one", result.X, result.Y)
	}
	for _, i := range result.Inverse {
		row := estimateRow(i.Y, i.Estimate)
		if !i.Feasible {
			row.Level, row.Cells[1] = Bad, "infeasible"
			row.Cells[4] = strings.TrimPrefix(row.Cells[4], "infeasible: ")
		}
		t.Rows = append(t.Rows, row)
	}
	t.Columns = estimateColumns(result.Y, result.X, t.Rows)
	return section("Inverse", t)
}

// estimateRow is an estimate beside what it belongs to.
func estimateRow(of float64, e stat.Estimate) Row {
	row := Row{Cells: []string{quantity.FineNumber(of), quantity.Value(e, quantity.Fine), end(e, e.Low), end(e, e.High), strings.Join(e.Warnings, "; ")}}
	if len(e.Warnings) > 0 {
		row.Level = Warning
	}
	return row
}

// estimateColumns are those of estimateRow; without a remark in any row the last
// is left out.
func estimateColumns(of, what string, rows []Row) []Column {
	columns := []Column{{Title: of, Right: true}, {Title: what, Right: true, Strong: true}, {Title: "from", Right: true}, {Title: "to", Right: true}}
	last := len(columns)
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Cells[last] != "" }) {
		return append(columns, Column{Title: "remark", Prose: true})
	}
	for i := range rows {
		rows[i].Cells = rows[i].Cells[:last]
	}
	return columns
}

// section is a section of one table, none when the table is empty.
func section(title string, t Table) Section {
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: title, Blocks: []Block{t}}
}

// end writes an end of an interval.
func end(e stat.Estimate, bound float64) string {
	switch {
	case !e.OK() || e.Confidence <= 0:
		return Absent
	case math.IsInf(bound, 1):
		return "unbounded"
	case math.IsInf(bound, -1):
		return Absent
	}
	return quantity.FineNumber(bound)
}

func alternativeSection(result fit.Result) Section {
	if len(result.Alternatives) == 0 {
		return Section{}
	}
	t := Table{
		Caption: "Error of each point when it is left out, of the last points when they are, and of what was fitted. The simplest model that is good at points it did not see is preferred",
		Columns: []Column{{Title: "model"}, {Title: "one out", Right: true}, {Title: "last out", Right: true}, {Title: "residuals", Right: true}, {Title: "remark", Prose: true}},
	}
	add := func(name string, one, last, residual fit.Number, note string, level Level) {
		if name == result.Preferred {
			note, level = strings.TrimPrefix(note+"; preferred", "; "), Good
		}
		t.Rows = append(t.Rows, Row{Level: level, Cells: []string{name, result.ErrorText(one), result.ErrorText(last), result.ErrorText(residual), note}})
	}
	add(result.Model, result.LooError, result.LastOutError, result.ResidualStandardError, "asked for", Info)
	for _, a := range result.Alternatives {
		add(a.Model, a.LooError, a.LastOutError, a.ResidualStandardError, a.Rejected, Info)
	}
	return Section{Title: "Models beside it", Blocks: []Block{t}}
}

func fitCharts(result fit.Result) Section {
	s := Series{
		Title:   result.Y + " against " + result.X,
		Caption: "Bars are 95 % intervals, as in the predictions.",
		X:       Axis{Label: result.X}, Y: Axis{Label: result.Y},
	}
	measured, curve := Line{Name: "measured", Color: colorFirst, Dots: true}, Line{Name: result.Model, Color: colorSecond}
	for _, p := range result.Points {
		measured.Points = append(measured.Points, bare(p.X, p.Y))
	}
	for _, p := range result.Curve {
		curve.add(p.X, p.Estimate, 1)
	}
	s.Lines = drawn(measured, curve)
	if len(s.Lines) == 0 {
		return Section{}
	}
	return Section{Title: "Chart", Blocks: []Block{s}}
}

func fittedPointSection(result fit.Result) Section {
	t := Table{Columns: []Column{{Title: "line", Right: true}, {Title: result.X, Right: true}, {Title: result.Y, Right: true}, {Title: "fitted", Right: true}, {Title: "off by", Right: true}}}
	for _, p := range result.Points {
		off := Absent
		if f := float64(p.Fitted); !math.IsNaN(f) {
			off = quantity.SignedPercent(p.Off())
		}
		t.Rows = append(t.Rows, Row{Cells: []string{quantity.Count(int64(p.Line)), quantity.FineNumber(p.X), quantity.FineNumber(p.Y), quantity.FineNumber(float64(p.Fitted)), off}})
	}
	return Section{Title: "Points", Detail: true, Blocks: []Block{t}}
}
