package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
