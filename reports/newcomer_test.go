package reports_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/reports"
)

// noted returns the notes of a section.
func noted(t *testing.T, d reports.Document, title string) (notes []reports.Note) {
	t.Helper()
	for _, s := range d.Sections {
		if s.Title != title {
			continue
		}
		for _, b := range s.Blocks {
			if n, ok := b.(reports.Note); ok {
				notes = append(notes, n)
			}
		}
		return notes
	}
	t.Fatalf("there is no section %q", title)
	return nil
}

// TestWarningsOfTheLoadAreSaid: a load that is valid and yet not what was asked
// for says so beside its validity.
func TestWarningsOfTheLoadAreSaid(t *testing.T) {
	unsent := analysis.Reason{Code: "shed", Message: "67 % of the arrivals were never sent"}
	short := analysis.Reason{Code: "too-short", Message: "the load was short"}
	r := loadHeld()
	r.LoadSummary.Verdict.Warnings = []analysis.Reason{unsent, unsent}
	r.LoadSummary.Verdict.NotForFit = []analysis.Reason{short}
	want := []reports.Note{
		{reports.Good, "The measurement is valid."},
		{reports.Warning, "the load was short [too-short]"},
		{reports.Warning, "67 % of the arrivals were never sent [shed]"},
	}
	if got := noted(t, reports.Load(r, nil), "Validity and warnings"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// What makes it not valid is said once.
	r.Valid, r.InvalidReasons = false, []analysis.Reason{short}
	want = []reports.Note{
		{reports.Bad, "The measurement is not valid."},
		{reports.Bad, "the load was short [too-short]"},
		{reports.Warning, "67 % of the arrivals were never sent [shed]"},
	}
	if got := noted(t, reports.Load(r, nil), "Validity and warnings"); !slices.Equal(got, want) {
		t.Errorf("not valid: got %v, want %v", got, want)
	}
}

// TestWarningsOfTheProofAreSaid: those of the phases that decide, and how many
// others have some.
func TestWarningsOfTheProofAreSaid(t *testing.T) {
	r := recommended()
	r.Phases = slices.Clone(r.Phases)
	busy := analysis.Reason{Code: "busy-host", Message: "others used the processor"}
	others := 0
	for i := range r.Phases {
		p := &r.Phases[i]
		p.Verdict.Warnings = nil
		switch {
		case p.Index == r.Verification.ObjectiveHeldBelow.Phase:
			p.Verdict = analysis.Verdict{Valid: true, Warnings: []analysis.Reason{busy}}
		case others < 2 && p.Verdict.Valid && p.Index != r.Verification.ObjectiveMissedAbove.Phase:
			p.Verdict.Warnings = []analysis.Reason{busy}
			others++
		}
	}
	if !slices.ContainsFunc(r.Phases, func(p analysis.PhaseSummary) bool { return p.Index == r.Verification.ObjectiveHeldBelow.Phase }) {
		held := r.Phases[0]
		held.Index, held.Verdict = r.Verification.ObjectiveHeldBelow.Phase, analysis.Verdict{Valid: true, Warnings: []analysis.Reason{busy}}
		r.Phases = append(r.Phases, held)
	}
	var warned, counted bool
	for _, n := range noted(t, reports.Sizing(r, nil), "Validity and warnings") {
		warned = warned || n.Level == reports.Warning && strings.HasPrefix(n.Text, "Phase 17, ") && strings.HasSuffix(n.Text, ": others used the processor [busy-host]")
		counted = counted || n.Level == reports.Info && n.Text == "2 of the valid phases have warnings: see the table of phases."
	}
	if !warned || !counted {
		t.Errorf("got %v, want the warning of phase 17 and that two others have some", noted(t, reports.Sizing(r, nil), "Validity and warnings"))
	}
}

// TestNoObjectiveIsSaidOnce: without an objective nothing holds.
func TestNoObjectiveIsSaidOnce(t *testing.T) {
	r := loadHeld()
	r.Objectives, r.Outcome, r.OutcomeReason = nil, analysis.Measured, "there was no objective to hold"
	for i := range r.Phases {
		r.Phases[i].Holds, r.Phases[i].HoldsReason = true, "there is no objective"
	}
	d := reports.Load(r, nil)
	v := d.Sections[0].Blocks[0].(reports.Verdict)
	if strings.Count(v.Text+v.Detail, "no objective") != 1 {
		t.Errorf("got %q and %q, want it said once", v.Text, v.Detail)
	}
	for _, table := range blocks[reports.Table](d) {
		at := slices.IndexFunc(table.Columns, func(c reports.Column) bool { return c.Title == "Result" })
		for _, row := range table.Rows {
			if at >= 0 && !strings.HasPrefix(row.Cells[at], "measured") {
				t.Errorf("result of a phase: got %q, want measured", row.Cells[at])
			}
		}
	}
}

// TestNeverSentIsSaidInWords: the classes of what was never sent, and in brackets
// what they are in JSON.
func TestNeverSentIsSaidInWords(t *testing.T) {
	r := loadHeld()
	r.LoadSummary.Errors = map[string]int64{"shed": 1, "shed-waiting": 2, "shed-interrupted": 3, "reset-cancel": 4}
	got := map[string]string{}
	for _, table := range blocks[reports.Table](reports.Load(r, nil)) {
		if table.Columns[0].Title == "Answer" {
			for _, row := range table.Rows {
				got[row.Cells[1]] = row.Cells[0]
			}
		}
	}
	for n, want := range map[string]string{
		"1": "never sent: the backlog was full [shed]",
		"2": "never sent: waited for a free stream until its timeout [shed-waiting]",
		"3": "never sent: waiting when the load was stopped [shed-interrupted]",
		"4": "reset-cancel",
	} {
		if got[n] != want {
			t.Errorf("got %q, want %q", got[n], want)
		}
	}
}

// TestWhyConnectingFailedIsSaid, also when no connection was opened at all.
func TestWhyConnectingFailedIsSaid(t *testing.T) {
	r := loadHeld()
	for _, opened := range []int64{9, 0} {
		c := &r.LoadSummary.Connections
		c.Opened, c.OpenFailed, c.OpenError = opened, 12, "connect to 10.0.0.1:80: connection\nrefused"
		found := ""
		for _, values := range blocks[reports.KeyValues](reports.Load(r, nil)) {
			for _, item := range values.Items {
				if item.Key == "Could not connect" {
					found = item.Value
				}
			}
		}
		if want := "12 times; the first time: connect to 10.0.0.1:80: connection refused"; found != want {
			t.Errorf("%d opened: got %q, want %q", opened, found, want)
		}
	}
}
