package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/analysis/quantity"
)

// PastOf is the document of a series of runs: what changed, the courses, and which runs
// were left out.
func PastOf(name string, metrics []analysis.MetricPast, skipped []analysis.ComparedRun) Document {
	d := Document{Title: "History of " + orUnnamed(name), Evidence: Note{Info, "Each point is one run, in the order in which they were started."}}
	changes, summary := pastChanges(metrics)
	s := Section{Title: "Changes", Blocks: []Block{summary}}
	if len(changes.Rows) > 0 {
		s.Blocks = append(s.Blocks, changes)
	}
	d.add(s)
	d.add(pastLines(metrics))
	d.add(pastCharts(metrics))
	d.add(leftOut(skipped))
	return d
}

// pastChanges lists what changed in the metrics, and sums it up.
func pastChanges(metrics []analysis.MetricPast) (Table, Verdict) {
	changes := Table{
		Caption: "A change is where what lies before differs from what lies after by more than in 99 of 100 shuffles",
		Columns: []Column{{Title: "Metric"}, {Title: "What", Strong: true}, {Title: "Since", Prose: true}, {Title: "Before", Right: true}, {Title: "After", Right: true}, {Title: "Change", Right: true}},
	}
	for _, m := range metrics {
		for _, c := range m.Past.Changes {
			level := Good
			if (c.After > c.Before) != m.Metric.Higher {
				level = Bad
			}
			changes.Rows = append(changes.Rows, Row{Level: level, Cells: []string{
				m.Metric.Name, "change", m.Runs[c.At], valueIn(c.Before, m.Metric.Unit), valueIn(c.After, m.Metric.Unit), relative(c.Before, c.After),
			}})
		}
		if m.Past.Drift != 0 {
			level := Good
			if (m.Past.Drift > 0) != m.Metric.Higher {
				level = Bad
			}
			changes.Rows = append(changes.Rows, Row{Level: level, Cells: []string{m.Metric.Name, "drift", "from " + m.Runs[0] + " on, little by little", "", "", quantity.SignedPercent(m.Past.Drift)}})
		}
		for _, at := range m.Past.Outliers {
			changes.Rows = append(changes.Rows, Row{Cells: []string{m.Metric.Name, "outlier, no change", m.Runs[at], "", valueIn(m.Values[at], m.Metric.Unit), ""}})
		}
		if m.Past.Pending {
			changes.Rows = append(changes.Rows, Row{Level: Warning, Cells: []string{m.Metric.Name, "stands out, not decided yet", m.Runs[len(m.Runs)-1], "", valueIn(m.Values[len(m.Values)-1], m.Metric.Unit), ""}})
		}
	}
	return changes, pastVerdict(metrics)
}

// pastVerdict says how many metrics changed. It is no reason to stop: what changed may have
// done so long ago.
func pastVerdict(metrics []analysis.MetricPast) Verdict {
	longest, worse, better, pending := 0, 0, 0, 0
	for _, m := range metrics {
		longest = max(longest, len(m.Values))
		rose := m.Past.Drift
		if n := len(m.Past.Changes); n > 0 {
			rose = m.Past.Changes[n-1].After - m.Past.Changes[n-1].Before
		}
		switch {
		case rose == 0 && m.Past.Pending:
			pending++
		case rose == 0:
		case (rose > 0) != m.Metric.Higher:
			worse++
		default:
			better++
		}
	}
	switch {
	case longest < compare.LeastPast:
		return Verdict{Warning, Skipped, "Not known yet", fmt.Sprintf("It takes %d runs to tell a change, and there are %d.", compare.LeastPast, longest)}
	case worse > 0:
		return Verdict{Bad, Skipped, "Worse than it was", fmt.Sprintf("With its last change %d of %d metrics became worse, and %d better.", worse, len(metrics), better)}
	case better > 0:
		return Verdict{Good, Passed, "Better than it was", fmt.Sprintf("With its last change %d of %d metrics became better, and none worse.", better, len(metrics))}
	case pending > 0:
		return Verdict{Warning, Skipped, "No change yet", fmt.Sprintf("The last run of %d of %d metrics stands out; the next ones will tell whether that is a change.", pending, len(metrics))}
	}
	return Verdict{Good, Passed, "No change", fmt.Sprintf("None of %d metrics changed.", len(metrics))}
}

// leftOut names the runs that do not count.
func leftOut(skipped []analysis.ComparedRun) Section {
	t := Table{Columns: []Column{{Title: "Run"}, {Title: "Why", Prose: true}}}
	for _, run := range skipped {
		t.Rows = append(t.Rows, Row{Cells: []string{run.Dir, run.WhyNot}})
	}
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: "Left out", Detail: true, Blocks: []Block{t}}
}

// pastLines are the series as text: for forms without charts.
func pastLines(metrics []analysis.MetricPast) Section {
	t := Table{Columns: []Column{{Title: "Metric"}, {Title: "Runs", Right: true}, {Title: "Lowest", Right: true}, {Title: "Highest", Right: true}, {Title: "Last", Right: true}, {Title: "Course"}}}
	for _, m := range metrics {
		if len(m.Values) == 0 {
			continue
		}
		t.Rows = append(t.Rows, Row{Cells: []string{
			m.Metric.Name, strconv.Itoa(len(m.Values)), valueIn(slices.Min(m.Values), m.Metric.Unit), valueIn(slices.Max(m.Values), m.Metric.Unit),
			valueIn(m.Values[len(m.Values)-1], m.Metric.Unit), course(m.Values),
		}})
	}
	return Section{Title: "Courses", Blocks: []Block{t}}
}

// courseColumns is how wide a course is at most.
const courseColumns = 32

// course draws values as a row of bars, from the lowest to the highest; where there are
// more values than columns, a bar is the mean of several.
func course(values []float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	columns := min(len(values), courseColumns)
	low, high := slices.Min(values), slices.Max(values)
	var out strings.Builder
	for i := range columns {
		part := values[i*len(values)/columns : (i+1)*len(values)/columns]
		sum := 0.0
		for _, v := range part {
			sum += v
		}
		level := 0.0
		if high > low {
			level = (sum/float64(len(part)) - low) / (high - low)
		}
		out.WriteRune(bars[int(math.Round(level*float64(len(bars)-1)))])
	}
	return out.String()
}

func relative(before, after float64) string {
	if before == 0 {
		return Absent
	}
	return quantity.SignedPercent(after/before - 1)
}

func pastCharts(metrics []analysis.MetricPast) Section {
	s := Section{Title: "Series"}
	for _, m := range metrics {
		scale, unit := 1.0, ""
		switch m.Metric.Unit {
		case "seconds":
			scale, unit = 1e3, "ms"
		case "bytes":
			scale, unit = 1./(1<<20), "MiB"
		case "ratio":
			scale, unit = 100, "%"
		}
		line, outliers := Line{Name: m.Metric.Name, Dots: true}, Line{Name: "outlier", Dots: true, Color: 1}
		for i, v := range m.Values {
			if math.IsNaN(v) {
				continue
			}
			to := &line
			if slices.Contains(m.Past.Outliers, i) {
				to = &outliers
			}
			to.Points = append(to.Points, Point{float64(i + 1), v * scale, math.NaN(), math.NaN()})
		}
		chart := Series{Title: m.Metric.Name, X: Axis{Label: "run"}, Y: Axis{Label: m.Metric.Name, Unit: unit}, Lines: []Line{line}}
		if len(outliers.Points) > 0 {
			chart.Lines = append(chart.Lines, outliers)
		}
		for _, c := range m.Past.Changes {
			chart.Markers = append(chart.Markers, Marker{Label: "change", At: float64(c.At) + 0.5, Low: math.NaN(), High: math.NaN()})
		}
		s.Blocks = append(s.Blocks, chart)
	}
	return s
}
