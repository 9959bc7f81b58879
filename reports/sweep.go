package reports

import (
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// Sweep is the document of sizings with different worker threads and CPU limits of the
// gateway: which of them to run, and what a quota costs.
func Sweep(s analysis.Sweep) Document {
	d := Document{
		Title:    "Worker threads and CPU limit of the gateway of " + orUnnamed(s.Scenario),
		Evidence: Note{Info, fmt.Sprintf("Evidence: lab, %d sizings with real Envoys on this machine, one after the other.", len(s.Runs))},
	}
	if s.Evidence != record.EvidenceLab {
		d.Evidence = Note{Warning, fmt.Sprintf("Evidence: embedded stand-in, not Envoy: %d sizings show how a sweep works, not what Envoy costs.", len(s.Runs))}
	}
	answer := Section{Title: "Answer", Blocks: []Block{sweepVerdict(s)}}
	for _, warning := range s.Warnings {
		answer.Blocks = append(answer.Blocks, Note{Warning, endSentence(warning)})
	}
	answer.Blocks = append(answer.Blocks, sweepTable(s))
	d.add(answer)
	d.add(quotaSection(s))
	if len(s.Explain) > 0 {
		d.add(Section{Title: ArithmeticTitle, Detail: true, Blocks: []Block{Code{arithmetic(s.Basis)}}})
	}
	return d
}

func sweepVerdict(s analysis.Sweep) Verdict {
	switch s.Outcome {
	case analysis.Recommended:
		return Verdict{Good, Passed, "Run the gateway with " + s.Runs[s.Chosen].Name(), s.OutcomeReason}
	case analysis.Infeasible:
		return Verdict{Bad, Failed, "Infeasible with any of these settings", s.OutcomeReason}
	case analysis.Contradicted:
		return Verdict{Bad, Failed, "Contradicted: no setting has a proof that agrees with its prediction", s.OutcomeReason}
	}
	return Verdict{Bad, Unknown, "No answer: no setting came to a recommendation", s.OutcomeReason}
}

func sweepTable(s analysis.Sweep) Table {
	caption := "Each setting by a sizing of its own"
	if s.PlannedRps > 0 {
		caption += ", for the planned " + quantity.Rate(s.PlannedRps)
	}
	t := Table{
		Caption: caption,
		Columns: []Column{
			{Title: "Setting", Strong: true}, {Title: "SLO edge, measured", Right: true}, {Title: "A replica carries", Right: true}, {Title: "Bound by"},
			{Title: "Replicas", Right: true}, {Title: "CPU of each", Right: true}, {Title: "Cores in all", Right: true, Strong: true}, {Title: "", Prose: true},
		},
	}
	for i, r := range s.Runs {
		row := Row{Cells: []string{
			r.Name(), quantity.ShortEstimate(r.MeasuredRps, quantity.PerSecond), quantity.Rate(r.Capacity.Safe()), orAbsent(r.Capacity.BoundBy),
			replicas(r.Replicas), orAbsent(r.Requests.CPU), quantity.BareCores(r.CPUCores), r.WhyNot,
		}}
		last := &row.Cells[len(row.Cells)-1]
		switch {
		case r.WhyNot != "":
			row.Level = Bad
		case i == s.Chosen:
			row.Level, *last = Good, "chosen"
		}
		if r.CostPerHour > 0 {
			*last = strings.TrimPrefix(*last+", "+quantity.FineNumber(r.CostPerHour)+" an hour", ", ")
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// quotaSection says what a CPU quota costs.
func quotaSection(s analysis.Sweep) Section {
	section := Section{Title: "What the quota costs"}
	t := Table{
		Caption: "p99 of phases at about the same rate of a gateway, of which one was throttled by its CPU limit and the other was not",
		Columns: []Column{
			{Title: "Throttled"}, {Title: "Rate", Right: true}, {Title: "Periods throttled", Right: true}, {Title: "p99", Right: true, Strong: true},
			{Title: "Not throttled"}, {Title: "Rate", Right: true}, {Title: "p99", Right: true, Strong: true},
		},
	}
	for _, p := range s.Prices {
		t.Rows = append(t.Rows, Row{Cells: []string{
			s.Runs[p.With].Name(), quantity.Rate(p.WithRps), quantity.Percent(p.ThrottledRatio), quantity.Duration(p.WithSeconds),
			s.Runs[p.Without].Name(), quantity.Rate(p.WithoutRps), quantity.Duration(p.WithoutSeconds),
		}})
	}
	if len(t.Rows) > 0 {
		section.Blocks = append(section.Blocks, t)
	}
	trials := 0
	for _, r := range s.Runs {
		if r.QuotaTrial != nil {
			trials++
			section.Blocks = append(section.Blocks, Note{Info, r.Name() + ", in a trial: " + r.QuotaTrial.Reason})
		}
	}
	if len(t.Rows) == 0 && trials == 0 {
		section.Blocks = append(section.Blocks, Note{Info, "No two phases at about the same rate, one throttled and one not, were measured: set `sizing: {quotaPrice: true}` in the scenario, or add a setting with a limit of " +
			"whole cores, as 1@1, to see what the quota costs."})
	}
	return section
}
