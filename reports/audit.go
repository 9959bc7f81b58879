package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// Audit is the document of what was found in a mesh's files: how many findings of
// which kind, then the findings rule by rule with what to do about them, and on
// demand the checklist of production readiness.
func Audit(r audit.Result, checklist bool) Document {
	d := Document{Title: "Audit of " + counted(r.Files, "file"), Evidence: Note{Info, auditedWhat(r)}}
	answer := Section{Title: "Answer", Blocks: []Block{auditVerdict(r)}}
	for _, u := range r.Unreadable {
		answer.Blocks = append(answer.Blocks, Note{Bad, endSentence(placed(u.File, u.Line) + ": " + hintedText(u.Message, u.Hint))})
	}
	if len(r.LeftOut) > 0 {
		var more []string
		for _, left := range r.LeftOut {
			more = append(more, fmt.Sprintf("%d of %s", left.Count, left.What))
		}
		answer.Blocks = append(answer.Blocks, Note{Info, "Not listed and not counted, because there are as many already: " + strings.Join(more, ", ") + "."})
	}
	if r.Measured != nil && len(r.Measured.Says) > 0 {
		answer.Blocks = append(answer.Blocks, Note{Info, fmt.Sprintf("Held to what was measured in %s: %s.", r.Measured.Run, strings.Join(r.Measured.Says, "; "))})
	}
	d.add(answer)
	for _, severity := range []struct {
		level audit.Severity
		title string
	}{{audit.Error, "Errors"}, {audit.Warning, "Warnings"}, {audit.Info, "For information"}} {
		d.add(findingsOf(r.Findings, severity.level, severity.title))
	}
	d.add(silencedSection(r.Silenced))
	if checklist {
		d.add(checklistSection(r.Practices))
	}
	d.add(auditChecks(r))
	return d
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func placed(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

func hintedText(message, hint string) string {
	if hint == "" {
		return message
	}
	return message + " (" + hint + ")"
}

func auditedWhat(r audit.Result) string {
	if len(r.Read) == 0 {
		return "Nothing in these files is of a kind that an audit reads."
	}
	list := func(counts []audit.Count) string {
		parts := make([]string, len(counts))
		for i, c := range counts {
			parts[i] = fmt.Sprintf("%d %s", c.Count, c.What)
		}
		return strings.Join(parts, ", ")
	}
	text := "Read " + list(r.Read) + "."
	if len(r.Skipped) > 0 {
		text += " Not looked at: " + list(r.Skipped) + "."
	}
	return text
}

func auditVerdict(r audit.Result) Verdict {
	errors, warnings, infos := r.Number(audit.Error), r.Number(audit.Warning), r.Number(audit.Info)
	v := Verdict{Level: Good, Status: Passed, Text: "No findings"}
	if len(r.Findings) > 0 {
		v.Text = strings.Join([]string{counted(errors, "error"), counted(warnings, "warning"), fmt.Sprintf("%d for information", infos)}, ", ")
	}
	switch {
	case errors > 0:
		v.Level, v.Status = Bad, Failed
	case warnings > 0:
		v.Level = Warning
	}
	if len(r.Unreadable) > 0 {
		v.Level, v.Status = Bad, Unknown
		v.Detail = "Not everything could be read, so this is not the whole answer."
	} else if len(r.Read) == 0 {
		v.Level, v.Text = Warning, "Nothing to audit"
	}
	return v
}

// rules groups findings of one severity by their rule.
func rulesOf(findings []audit.Finding, severity audit.Severity) [][]audit.Finding {
	var groups [][]audit.Finding
	for _, f := range findings {
		if f.Severity != severity {
			continue
		}
		if last := len(groups) - 1; last >= 0 && groups[last][0].Code == f.Code {
			groups[last] = append(groups[last], f)
			continue
		}
		groups = append(groups, []audit.Finding{f})
	}
	return groups
}

const (
	shownPlaces = 10 // of one rule
	shownFixes  = 2
)

func findingsOf(findings []audit.Finding, severity audit.Severity, title string) Section {
	level := map[audit.Severity]Level{audit.Error: Bad, audit.Warning: Warning, audit.Info: Info}[severity]
	s := Section{Title: title}
	titles := map[string]audit.Rule{}
	for _, rule := range audit.Rules() {
		titles[rule.Code] = rule
	}
	for _, group := range rulesOf(findings, severity) {
		rule := titles[group[0].Code]
		t := Table{Caption: fmt.Sprintf("%s %s", rule.Code, rule.Title), Columns: []Column{{Title: "Where", Strong: true}, {Title: "Object"}, {Title: "What", Prose: true}}}
		var fixes []string
		for i, f := range group {
			if i < shownPlaces {
				t.Rows = append(t.Rows, Row{Level: level, Cells: []string{placed(f.File, f.Line), f.Object, f.Message}})
			}
			if f.Fix != "" && !slices.Contains(fixes, f.Fix) {
				fixes = append(fixes, f.Fix)
			}
		}
		if more := len(group) - shownPlaces; more > 0 {
			t.Rows = append(t.Rows, Row{Level: level, Cells: []string{"…", "", fmt.Sprintf("and %s more; --json has all of them", counted(more, "place"))}})
		}
		s.Blocks = append(s.Blocks, t, Note{Info, rule.Why})
		for _, fix := range fixes[:min(len(fixes), shownFixes)] {
			s.Blocks = append(s.Blocks, Code{strings.TrimSuffix(fix, "\n")})
		}
		for _, caution := range group[0].Caution {
			s.Blocks = append(s.Blocks, Note{Warning, caution})
		}
	}
	if len(s.Blocks) == 0 {
		return Section{}
	}
	return s
}

func silencedSection(silenced []audit.Silenced) Section {
	if len(silenced) == 0 {
		return Section{}
	}
	t := Table{Columns: []Column{{Title: "Where"}, {Title: "Rule"}, {Title: "Reason", Prose: true}}}
	for _, f := range silenced {
		t.Rows = append(t.Rows, Row{Cells: []string{placed(f.File, f.Line), f.Code, f.Reason}})
	}
	return Section{Title: "Silenced by comments", Blocks: []Block{t}}
}

func checklistSection(practices []audit.Practice) Section {
	t := Table{Columns: []Column{{Title: "Practice"}, {Title: "Status", Strong: true}, {Title: "Evidence"}, {Title: "Why", Prose: true}}}
	number := map[audit.Status]int{}
	for _, p := range practices {
		number[p.Status]++
		level := map[audit.Status]Level{audit.Met: Good, audit.NotMet: Bad, audit.Undecidable: Info}[p.Status]
		where := Absent
		if len(p.Evidence) > 0 {
			where = placed(p.Evidence[0].File, p.Evidence[0].Line)
		}
		t.Rows = append(t.Rows, Row{Level: level, Cells: []string{p.Name, string(p.Status), where, p.Why}})
		if p.Status != audit.NotMet {
			continue
		}
		t.Rows[len(t.Rows)-1].Cells[3] += ": " + p.Evidence[0].Text
		for _, e := range p.Evidence[1:] {
			t.Rows = append(t.Rows, Row{Level: level, Continues: true, Cells: []string{p.Name, "", placed(e.File, e.Line), e.Text}})
		}
	}
	summary := fmt.Sprintf("%d of %d practices are met, %d are not, %d cannot be told from these files.", number[audit.Met], len(practices), number[audit.NotMet], number[audit.Undecidable])
	return Section{Title: "Production readiness", Blocks: []Block{Note{Info, summary}, t}}
}

// auditChecks are the cases of a JUnit file: one a rule. A rule fails by findings
// of severity error; others stand in the case's text.
func auditChecks(r audit.Result) Section {
	var items []Check
	for _, rule := range audit.Rules() {
		c := Check{Name: rule.Code + " " + rule.Name, Status: Passed}
		var lines []string
		for _, f := range r.Findings {
			if f.Code != rule.Code {
				continue
			}
			if f.Severity == audit.Error {
				c.Status = Failed
			}
			lines = append(lines, fmt.Sprintf("%s: %s: %s", f.Severity, placed(f.File, f.Line), f.Message))
		}
		c.Text = strings.Join(lines, "; ")
		items = append(items, c)
	}
	checks := []Block{Checks{"rules", items}}
	var files []Check
	for _, u := range r.Unreadable {
		files = append(files, Check{placed(u.File, u.Line), Unknown, u.Message})
	}
	if len(files) > 0 {
		checks = append(checks, Checks{"files that could not be read", files})
	}
	return Section{Title: "Checks", Detail: true, Blocks: checks}
}
