package reports_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestSamples keeps the files that the renderers' tests read.
func TestSamples(t *testing.T) {
	for name, result := range samples() {
		got, err := json.MarshalIndent(result, "", "  ")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		path := filepath.Join("testdata", "results", name+".json")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Compared as results, so that a field that is new since the file was
		// written makes no difference.
		var stored analysis.Result
		if err := json.Unmarshal(want, &stored); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		want, err = json.MarshalIndent(stored, "", "  ")
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what sample_test.go says: run go test ./reports -update", path)
		}
	}
}

func build(result analysis.Result, rec *record.Record) reports.Document {
	if result.Command == "run" {
		return reports.Load(result, rec)
	}
	return reports.Sizing(result, rec)
}

func blocks[B reports.Block](d reports.Document) []B {
	var found []B
	for _, s := range d.Sections {
		for _, b := range s.Blocks {
			if b, ok := b.(B); ok {
				found = append(found, b)
			}
		}
	}
	return found
}

func TestEveryDocumentIsWhole(t *testing.T) {
	for name, result := range samples() {
		for _, rec := range []*record.Record{nil, timeline(result)} {
			d := build(result, rec)
			if !strings.HasPrefix(d.Evidence.Text, "Evidence: ") {
				t.Errorf("%s: evidence %q", name, d.Evidence.Text)
			}
			if _, ok := d.Sections[0].Blocks[0].(reports.Verdict); !ok {
				t.Errorf("%s: begins with %T, want the verdict", name, d.Sections[0].Blocks[0])
			}
			for _, table := range blocks[reports.Table](d) {
				if len(table.Rows) == 0 {
					t.Errorf("%s: table %q has no rows", name, table.Caption)
				}
				for _, row := range table.Rows {
					if len(row.Cells) != len(table.Columns) {
						t.Errorf("%s: table %q: row %q has %d cells for %d columns", name, table.Caption, row.Cells, len(row.Cells), len(table.Columns))
					}
					for _, cell := range row.Cells {
						if strings.Contains(cell, "NaN") || strings.Contains(cell, "Inf") {
							t.Errorf("%s: table %q: cell %q", name, table.Caption, cell)
						}
					}
				}
			}
			for _, series := range blocks[reports.Series](d) {
				if len(series.Lines) == 0 {
					t.Errorf("%s: chart %q has no lines", name, series.Title)
				}
			}
		}
	}
}

func TestVerdictAndEvidence(t *testing.T) {
	for name, want := range map[string]struct {
		level    reports.Level
		verdict  string
		evidence string
	}{
		"recommended":  {reports.Good, "Recommended, and the proof agrees", "Evidence: lab, real Envoy 1.40.0 on this machine. CPU and memory limits enforced."},
		"target":       {reports.Good, "Recommended, and the proof agrees", "Evidence: target, https://shop.example.com."},
		"embedded":     {reports.Good, "Recommended, and the proof agrees", "Evidence: embedded stand-in, not Envoy: it shows how sizing works, not what Envoy costs. Limits NOT enforced: no permission to create a cgroup below /sys/fs/cgroup."},
		"infeasible":   {reports.Bad, "Infeasible: no number of replicas meets the objective", "Evidence: lab, real Envoy 1.40.0 on this machine. CPU and memory limits enforced."},
		"contradicted": {reports.Bad, "Contradicted: the proof did not find what was predicted", "Evidence: lab, real Envoy 1.40.0 on this machine. CPU and memory limits enforced."},
		"invalid":      {reports.Bad, "No answer: the measurement is not valid", "Evidence: lab, real Envoy 1.40.0 on this machine. CPU and memory limits enforced."},
		"incomplete":   {reports.Warning, "No answer: the run ended before there was enough to answer", "Evidence: lab, real Envoy 1.40.0 on this machine. CPU and memory limits enforced."},
		"empty":        {reports.Warning, "No answer: the result has no outcome", "Evidence: of an unknown kind."},
		"load-missed":  {reports.Bad, "An objective was missed", "Evidence: lab, real Envoy 1.40.0 on this machine. CPU and memory limits enforced."},
	} {
		result := samples()[name]
		d := build(result, timeline(result))
		v := d.Sections[0].Blocks[0].(reports.Verdict)
		if v.Level != want.level || v.Text != want.verdict {
			t.Errorf("%s: verdict %v %q, want %v %q", name, v.Level, v.Text, want.level, want.verdict)
		}
		if d.Evidence.Text != want.evidence {
			t.Errorf("%s: evidence %q, want %q", name, d.Evidence.Text, want.evidence)
		}
	}
}

func TestNothingIsRecommendedWithoutAnAnswer(t *testing.T) {
	for _, name := range []string{"infeasible", "invalid", "incomplete", "empty"} {
		for _, table := range blocks[reports.Table](build(samples()[name], nil)) {
			if table.Caption == "Recommendation" {
				t.Errorf("%s: has a table of recommendations", name)
			}
		}
	}
}

// What was reckoned without an answer is not called a recommendation.
func TestWhatIsKnownWithoutAnAnswerIsNotToBeApplied(t *testing.T) {
	for outcome, want := range map[analysis.Outcome]string{
		analysis.Recommended: "Recommendation", analysis.Contradicted: "had the proof not contradicted it: do not apply",
		analysis.Incomplete: "without a proof: do not apply", analysis.Infeasible: "do not apply",
	} {
		result := samples()["recommended"]
		result.Outcome = outcome
		found := false
		for _, table := range blocks[reports.Table](build(result, nil)) {
			found = found || strings.Contains(table.Caption, want)
			if table.Caption == "Recommendation" && outcome != analysis.Recommended {
				t.Errorf("%s: the table says that it is a recommendation", outcome)
			}
		}
		if !found {
			t.Errorf("%s: no table says %q", outcome, want)
		}
	}
}

func TestChecks(t *testing.T) {
	status := func(d reports.Document) map[string]reports.Status {
		found := map[string]reports.Status{"outcome/outcome": d.Sections[0].Blocks[0].(reports.Verdict).Status}
		for _, checks := range blocks[reports.Checks](d) {
			for _, c := range checks.Items {
				found[checks.Group+"/"+c.Name] = c.Status
			}
		}
		return found
	}
	for name, want := range map[string]map[string]reports.Status{
		"recommended": {
			"outcome/outcome": reports.Passed, "objectives/p99 ≤ 50 ms": reports.Passed, "objectives/errors ≤ 0.1 %": reports.Passed,
			"verification/prediction agrees with measurement":            reports.Passed,
			"verification/objective held just below the measured edge":   reports.Passed,
			"verification/objective missed just above the measured edge": reports.Passed,
		},
		"contradicted": {
			"outcome/outcome": reports.Failed, "objectives/p99 ≤ 50 ms": reports.Unknown, "objectives/errors ≤ 0.1 %": reports.Unknown,
			"verification/prediction agrees with measurement":            reports.Failed,
			"verification/objective held just below the measured edge":   reports.Passed,
			"verification/objective missed just above the measured edge": reports.Failed,
		},
		"not-reached": {
			"outcome/outcome": reports.Passed, "objectives/p99 ≤ 50 ms": reports.Passed, "objectives/errors ≤ 0.1 %": reports.Passed,
			"verification/prediction agrees with measurement":            reports.Passed,
			"verification/objective held just below the measured edge":   reports.Unknown,
			"verification/objective missed just above the measured edge": reports.Skipped,
		},
		"infeasible": {
			"outcome/outcome": reports.Failed, "objectives/p99 ≤ 5 ms": reports.Failed,
			"verification/prediction agrees with measurement": reports.Skipped,
		},
		"invalid": {
			"outcome/outcome": reports.Unknown, "objectives/p99 ≤ 50 ms": reports.Unknown, "objectives/errors ≤ 0.1 %": reports.Unknown,
			"verification/prediction agrees with measurement": reports.Skipped,
		},
		"load-held":   {"outcome/outcome": reports.Passed, "objectives/p99 ≤ 50 ms": reports.Passed, "objectives/errors ≤ 0.1 %": reports.Passed},
		"load-missed": {"outcome/outcome": reports.Failed, "objectives/p99 ≤ 50 ms": reports.Passed, "objectives/errors ≤ 0.1 %": reports.Failed},
	} {
		got := status(build(samples()[name], nil))
		if len(got) != len(want) {
			t.Errorf("%s: checks %v, want %v", name, got, want)
		}
		for check, status := range want {
			if got[check] != status {
				t.Errorf("%s: %s is %v, want %v", name, check, got[check], status)
			}
		}
	}
}

// TestPhasesThatSpoilNothing checks that an answer is not doubted beside itself
// because of single phases that were left out.
func TestPhasesThatSpoilNothing(t *testing.T) {
	const reason = "1 of 15 phases: another guest took 7 % of the processors [steal]"
	levels := func(d reports.Document) map[string]reports.Level {
		found := map[string]reports.Level{}
		for _, s := range d.Sections {
			for _, b := range s.Blocks {
				if note, ok := b.(reports.Note); ok && note.Text == reason {
					found[s.Title] = note.Level
				}
			}
		}
		return found
	}
	result := samples()["target"]
	if got, want := levels(build(result, nil)), map[string]reports.Level{"Validity and warnings": reports.Warning}; !reflect.DeepEqual(got, want) {
		t.Errorf("valid: %v, want %v", got, want)
	}
	result.Valid = false
	if got, want := levels(build(result, nil)), map[string]reports.Level{"Answer": reports.Bad, "Validity and warnings": reports.Bad}; !reflect.DeepEqual(got, want) {
		t.Errorf("not valid: %v, want %v", got, want)
	}
}
