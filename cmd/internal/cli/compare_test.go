package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
)

func TestCompareOfWrongUse(t *testing.T) {
	empty := t.TempDir()
	record := filepath.Join("..", "..", "..", "loadgen", "record", "testdata", "v1-finished")
	half := t.TempDir()
	if err := os.WriteFile(filepath.Join(half, "run.json"), []byte(`{"formatVersion": 1, "to`), 0o644); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "run.json"), []byte(`{"formatVersion": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"one side", []string{"compare", record}, exitUsage, "at least 2"},
		{"three without --", []string{"compare", record, record, record}, exitUsage, "write -- between"},
		{"a folder without runs", []string{"compare", empty, record}, exitUsage, "is no run directory, and has none in it"},
		{"what is not there", []string{"compare", filepath.Join(empty, "gone"), record}, exitUsage, "gone"},
		{"half a record", []string{"compare", record, half}, exitUsage, "run.json"},
		{"a newer format", []string{"compare", record, newer}, exitUsage, "99"},
		{"a margin without a number", []string{"compare", record, record, "--margin", "p99"}, exitUsage, "latency p99=15%"},
		{"a margin of nothing there is", []string{"compare", record, record, "--margin", "p99=15%"}, exitUsage, `no metric is called "p99"`},
		{"another word for inconclusive", []string{"compare", record, record, "--inconclusive", "maybe"}, exitUsage, "pass or fail"},
		{"history of nothing", []string{"history", empty}, exitUsage, "has none in it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProcess(t, "")
			if code := Main(test.args, p.Process); code != test.code || !strings.Contains(p.stderr.String(), test.says) {
				t.Errorf("exit code %d, want %d; it says\n%s", code, test.code, p.stderr.String())
			}
		})
	}
}

func TestRunsIn(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"b", "a", "deep/er"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "run.json"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := runsIn(root)
	if err != nil || len(got) != 3 || !strings.HasSuffix(got[0], "/a") || !strings.HasSuffix(got[2], "deep/er") {
		t.Errorf("%v: %q", err, got)
	}
	if got, err := runsIn(filepath.Join(root, "a")); err != nil || len(got) != 1 {
		t.Errorf("%v: %q", err, got)
	}
}

// What the exit code says, and in which forms.
func TestCompareExits(t *testing.T) {
	root := t.TempDir()
	one, two, killed := filepath.Join(root, "one"), filepath.Join(root, "two"), filepath.Join(root, "killed")
	pastOf(t, 0, one)
	pastOf(t, 1, two)
	if err := os.CopyFS(killed, os.DirFS(filepath.Join("..", "..", "..", "loadgen", "record", "testdata", "v1-killed"))); err != nil {
		t.Fatal(err)
	}
	quick := filepath.Join("..", "..", "..", "loadgen", "record", "testdata", "v1-finished")
	for _, test := range []struct {
		name string
		args []string
		code int
		says string // of both streams
	}{
		{"not known", []string{"compare", one, two}, exitDone, "Inconclusive"},
		{"not known, and that is no", []string{"compare", one, two, "--inconclusive=fail"}, exitNo, "Inconclusive"},
		{"not known, of a restore", []string{"compare", one, two, "--restored"}, exitDone, "Inconclusive"},
		{"as JSON", []string{"compare", one, two, "--json", "-"}, exitDone, `"outcome": "inconclusive"`},
		{"as JUnit", []string{"compare", one, two, "--junit", "-"}, exitDone, "<skipped"},
		{"as JUnit that fails", []string{"compare", one, two, "--junit", "-", "--inconclusive=fail"}, exitNo, "<error"},
		{"as Markdown", []string{"compare", one, two, "--markdown", "-"}, exitDone, "Inconclusive"},
		{"one side was killed", []string{"compare", killed, killed}, exitInvalid, "was killed"},
		{"one side is of nothing to compare", []string{"compare", quick, quick}, exitInvalid, "no run of the base is valid"},
		{"of different scenarios", []string{"compare", one, quick}, exitUsage, "not of the same scenario"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProcess(t, "")
			if code := Main(test.args, p.Process); code != test.code || !strings.Contains(p.stdout.String()+p.stderr.String(), test.says) {
				t.Errorf("exit code %d, want %d; it says\n%s\n%s", code, test.code, p.stdout.String(), p.stderr.String())
			}
		})
	}
}

// The verdict stands first in what is made for a comment on a change.
func TestCompareComment(t *testing.T) {
	root := t.TempDir()
	one, two := filepath.Join(root, "one"), filepath.Join(root, "two")
	pastOf(t, 0, one)
	pastOf(t, 1, two)
	p := newProcess(t, "")
	if code := Main([]string{"compare", one, two, "--markdown", "-"}, p.Process); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	text := p.stdout.String()
	verdict, table, environment := strings.Index(text, "Inconclusive"), strings.Index(text, "| Metric"), strings.Index(text, "Environment")
	if verdict < 0 || !(verdict < table && table < environment) {
		t.Errorf("verdict at %d, table at %d, environment at %d of\n%s", verdict, table, environment, text)
	}
}

// A line break or a percent sign in an annotation would end it or be read as code.
func TestAnnotations(t *testing.T) {
	p := newProcess(t, "")
	a := &app{Process: p.Process}
	a.LookupEnv = func(string) (string, bool) { return "true", true }
	a.annotate(analysis.Comparison{Findings: []compare.Finding{
		{Metric: compare.Metric{Name: "CPU per request, gateway"}, Verdict: compare.Regressed, Reason: "worse by more than 5 %\nand so on"},
		{Metric: compare.Metric{Name: "latency p50"}, Verdict: compare.Inconclusive, Reason: "too few"},
		{Metric: compare.Metric{Name: "memory"}, Verdict: compare.Equivalent, Reason: "the same"},
	}}, a.streams(outputOptions{}))
	want := "::error title=CPU per request%2C gateway regressed::worse by more than 5 %25%0Aand so on\n::warning title=latency p50 inconclusive::too few\n"
	if got := p.stdout.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, test := range []struct {
		name string
		of   analysis.Comparison
		want string
	}{
		{"no answer", analysis.Comparison{Outcome: analysis.Invalid, OutcomeReason: "no run of the base is valid"}, "::error title=no answer::no run of the base is valid\n"},
		{"not as before", analysis.Comparison{Outcome: analysis.NotRestored, Consistency: []analysis.Consistency{{What: "routing", Reason: "50 %"}, {What: "statuses", Consistent: true}}},
			"::error title=routing not as before::50 %25\n"},
		{"not as before, which nobody asked for", analysis.Comparison{Outcome: analysis.NothingRegressed, Consistency: []analysis.Consistency{{What: "routing"}}}, ""},
		{"another machine", analysis.Comparison{Differences: []analysis.Difference{{What: "processors", Base: "2", New: "4"}, {What: "target", Expected: true}}},
			"::warning title=processors differs::2, and now 4\n"},
	} {
		p.stdout.Reset()
		a.annotate(test.of, a.streams(outputOptions{}))
		if got := p.stdout.String(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	p.stdout.Reset()
	a.LookupEnv = func(string) (string, bool) { return "", false }
	a.annotate(analysis.Comparison{Findings: []compare.Finding{{Verdict: compare.Regressed}}}, a.streams(outputOptions{}))
	if p.stdout.Len() > 0 {
		t.Errorf("where nobody reads annotations: %q", p.stdout.String())
	}
}
