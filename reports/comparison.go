package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/analysis/quantity"
)

// Comparison is the document of two sets of runs: the verdict first, then the table,
// then what changed beside what was measured. open is the status of a check whose verdict
// is inconclusive: Unknown, or where that is no reason to stop, Skipped.
func Comparison(c analysis.Comparison, open Status) Document {
	title := "Comparison of " + orUnnamed(c.Scenario)
	if c.NewScenario != "" {
		title += " with " + c.NewScenario
	}
	d := Document{
		Title:    title,
		Evidence: Note{Info, comparedRuns(c)},
	}
	answer := Section{Title: "Answer", Blocks: []Block{comparisonVerdict(c, open)}}
	if c.Paired {
		answer.Blocks = append(answer.Blocks, Note{Info, "For a canary this means: " + c.Canary + "."})
	}
	for _, warning := range c.Warnings {
		answer.Blocks = append(answer.Blocks, Note{Warning, endSentence(warning)})
	}
	if c.Paired && pairsThatCount(c) < len(c.Base) {
		answer.Blocks = append(answer.Blocks, Note{Info, fmt.Sprintf("%d of %d pairs count: both runs of a pair have to.", pairsThatCount(c), len(c.Base))})
	}
	for _, side := range []struct {
		name string
		runs []analysis.ComparedRun
	}{{"base", c.Base}, {"new", c.New}} {
		for _, run := range side.runs {
			if !run.Used {
				answer.Blocks = append(answer.Blocks, Note{Warning, endSentence(fmt.Sprintf("%s (%s) does not count: %s", run.Dir, side.name, run.WhyNot))})
			}
		}
	}
	d.add(answer)
	d.add(findingsSection(c))
	d.add(consistencySection(c))
	d.add(environmentSection(c))
	d.add(expectedSection(c.Expected))
	d.add(findingChecks(c, open))
	return d
}

// expectedSection is what was told beforehand.
func expectedSection(expected []compare.Expectation) Section {
	if len(expected) == 0 {
		return Section{}
	}
	t := Table{
		Caption: fmt.Sprintf("The smallest change for the worse that %d pairs show four times in five, with four fifths confidence", expected[0].Pairs),
		Columns: []Column{{Title: "Metric"}, {Title: "Change", Right: true}, {Title: "By the scatter of", Right: true}},
	}
	for _, e := range expected {
		change := "not known: they are all alike"
		switch {
		case e.Needs > 0:
			change = fmt.Sprintf("none: that takes %d pairs", e.Needs)
		case e.Detectable > 0:
			change = fmt.Sprintf("%s (%s … %s)", expectedValue(e, e.Detectable), expectedValue(e, e.Low), expectedValue(e, e.High))
		}
		t.Rows = append(t.Rows, Row{Cells: []string{e.Name, change, strconv.Itoa(e.From)}})
	}
	return Section{Title: "Told beforehand", Detail: true, Blocks: []Block{t}}
}

func expectedValue(e compare.Expectation, change float64) string {
	if e.Absolute && e.Unit != "ratio" {
		return quantity.Number(change)
	}
	return quantity.Percent(change)
}

func comparedRuns(c analysis.Comparison) string {
	count := func(runs []analysis.ComparedRun) int {
		n := 0
		for _, run := range runs {
			if run.Used {
				n++
			}
		}
		return n
	}
	if c.Paired {
		return fmt.Sprintf("%d pairs of runs of the base and new ones, side by side.", pairsThatCount(c))
	}
	plural := func(n int, one, more string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, more)
	}
	return plural(count(c.Base), "run", "runs") + " of the base against " + plural(count(c.New), "new one", "new ones") + "."
}

// pairsThatCount is how many pairs have two runs that count.
func pairsThatCount(c analysis.Comparison) int {
	n := 0
	for i := range min(len(c.Base), len(c.New)) {
		if c.Base[i].Used && c.New[i].Used {
			n++
		}
	}
	return n
}

func comparisonVerdict(c analysis.Comparison, open Status) Verdict {
	v := Verdict{Detail: endSentence(c.OutcomeReason)}
	switch c.Outcome {
	case analysis.Regression:
		v.Level, v.Status, v.Text = Bad, Failed, "Regressed"
	case analysis.NothingRegressed:
		v.Level, v.Status, v.Text = Good, Passed, "Nothing regressed"
	case analysis.NotRestored:
		v.Level, v.Status, v.Text = Bad, Failed, "Not restored"
	case analysis.Undecided:
		v.Level, v.Status, v.Text = Warning, open, "Inconclusive"
	default:
		v.Level, v.Status, v.Text = Warning, Unknown, "No answer: the measurements are not valid"
	}
	return v
}

func findingsSection(c analysis.Comparison) Section {
	t := Table{
		Caption: findingsCaption(c.Findings),
		Columns: []Column{
			{Title: "Metric"}, {Title: "Base", Right: true}, {Title: "New", Right: true}, {Title: "Change", Right: true, Strong: true},
			{Title: "Verdict", Strong: true}, {Title: "Why", Prose: true},
		},
	}
	for _, f := range c.Findings {
		t.Rows = append(t.Rows, Row{Level: findingLevel(f.Verdict), Cells: []string{
			f.Name, valueIn(f.BaseMedian.Value, f.Unit), valueIn(f.NewMedian.Value, f.Unit), changeWords(f), string(f.Verdict), why(f, c.Paired),
		}})
	}
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: "Metrics", Blocks: []Block{t}}
}

// findingsCaption says how sure the intervals are, which depends on how often is looked.
func findingsCaption(findings []compare.Finding) string {
	for _, f := range findings {
		if level := f.Change.Confidence; level > 0 && level < 1 {
			return fmt.Sprintf("Medians of the runs; the change with its interval at %s, so that each end is wrong in one of %.0f", quantity.Percent(level), 2/(1-level))
		}
	}
	return "Medians of the runs"
}

func findingLevel(v compare.Verdict) Level {
	switch v {
	case compare.Regressed:
		return Bad
	case compare.Inconclusive:
		return Warning
	case compare.Improved:
		return Good
	case compare.Equivalent:
	}
	return Info
}

func why(f compare.Finding, paired bool) string {
	text := f.Reason
	if f.Effective[0] > 0 && f.Effective[1] > 0 {
		text += fmt.Sprintf("; the seconds of the runs are worth %.0f and %.0f independent ones", f.Effective[0], f.Effective[1])
	}
	one, more := "run a side", "runs a side"
	if paired {
		one, more = "pair", "pairs"
	}
	switch {
	case f.MoreRuns == 1:
		text += "; about one more " + one + " would tell"
	case f.MoreRuns > 1:
		text += fmt.Sprintf("; about %d more %s would tell", f.MoreRuns, more)
	}
	return text
}

// changeWords writes a change with its interval: "+10.1 % (+9.2 … +11.3 %)".
func changeWords(f compare.Finding) string {
	if !f.Change.OK() {
		return Absent
	}
	write := quantity.SignedPercent
	if f.Absolute {
		write = func(v float64) string {
			if f.Unit == "ratio" {
				return quantity.SignedPercent(v)
			}
			return signedNumber(v)
		}
	}
	text := write(f.Change.Value)
	if !math.IsInf(f.Change.Low, 0) && !math.IsInf(f.Change.High, 0) && f.Change.Low != f.Change.High {
		text += fmt.Sprintf(" (%s … %s)", write(f.Change.Low), write(f.Change.High))
	}
	return text
}

func signedNumber(v float64) string {
	if v > 0 {
		return "+" + quantity.Number(v)
	}
	return quantity.Number(v)
}

func valueIn(v float64, unit string) string {
	if math.IsNaN(v) {
		return Absent
	}
	switch unit {
	case "seconds":
		return quantity.Duration(v)
	case "bytes":
		return quantity.Bytes(v)
	case "rps":
		return quantity.Rate(v)
	case "ratio":
		return quantity.Percent(v)
	}
	return quantity.Number(v)
}

// consistencySection says what is no number: who answered, how, and what is told of the
// components.
func consistencySection(c analysis.Comparison) Section {
	t := Table{Columns: []Column{{Title: "As before"}, {Title: "Verdict", Strong: true}, {Title: "Base"}, {Title: "New"}, {Title: "Why", Prose: true}}}
	for _, each := range c.Consistency {
		level, verdict := Info, "consistent"
		if !each.Consistent {
			level, verdict = Warning, "not consistent"
			if c.Outcome == analysis.NotRestored {
				level = Bad
			}
		}
		t.Rows = append(t.Rows, Row{Level: level, Cells: []string{each.What, verdict, orAbsent(each.Base), orAbsent(each.New), each.Reason}})
	}
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: "Routing, statuses, telemetry", Blocks: []Block{t}}
}

func environmentSection(c analysis.Comparison) Section {
	t := Table{Columns: []Column{{Title: "What changed beside"}, {Title: "Base"}, {Title: "New"}}}
	s := Section{Title: "Environment"}
	unexpected := false
	var wanted []string // maybe
	for _, d := range c.Differences {
		level := Info
		if d.Expected {
			wanted = append(wanted, d.What)
		} else {
			level, unexpected = Warning, true
		}
		t.Rows = append(t.Rows, Row{Level: level, Cells: []string{d.What, orAbsent(d.Base), orAbsent(d.New)}})
	}
	if len(t.Rows) == 0 {
		s.Blocks = []Block{Note{Info, "Machine, versions, lab and policy are the same on both sides."}}
		return s
	}
	if unexpected {
		s.Blocks = append(s.Blocks, Note{Warning, "The sides were not measured under the same conditions, so a change need not come from what was to be compared."})
	}
	if len(wanted) > 0 && !c.Paired { // who measures side by side has chosen both
		s.Blocks = append(s.Blocks, Note{Warning, "The sides differ in " + strings.Join(wanted, ", ") + ": where that is not what was to be compared, a change may come from it."})
	}
	s.Blocks = append(s.Blocks, t)
	return s
}

// findingChecks are the cases of a JUnit file: a metric each, and where all has to be as
// it was before, what is no number.
func findingChecks(c analysis.Comparison, open Status) Section {
	var items, others []Check
	for _, f := range c.Findings {
		check := Check{Name: f.Name, Status: Passed, Text: string(f.Verdict) + ": " + why(f, c.Paired)}
		switch f.Verdict {
		case compare.Regressed:
			check.Status = Failed
		case compare.Inconclusive:
			check.Status = open
		case compare.Equivalent, compare.Improved:
		}
		if change := changeWords(f); change != Absent {
			check.Text = change + ", " + check.Text
		}
		items = append(items, check)
	}
	for _, each := range c.Consistency {
		check := Check{Name: each.What, Status: Passed, Text: each.Reason}
		switch {
		case each.Consistent:
		case c.Outcome == analysis.NotRestored:
			check.Status = Failed
		default:
			check.Status = Skipped
		}
		others = append(others, check)
	}
	s := Section{Title: "Checks", Detail: true}
	if len(items) > 0 {
		s.Blocks = append(s.Blocks, Checks{"metrics", items})
	}
	if len(others) > 0 {
		s.Blocks = append(s.Blocks, Checks{"as before", others})
	}
	return s
}
