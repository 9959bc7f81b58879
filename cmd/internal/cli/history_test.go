package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pastOf writes a run directory of the given number, half an hour after the one before.
func pastOf(t *testing.T, number int, dir string) {
	t.Helper()
	from := filepath.Join("..", "..", "..", "analysis", "testdata", "records", "gateway-quota")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, runFile)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var run map[string]any
	if err := json.Unmarshal(text, &run); err != nil {
		t.Fatal(err)
	}
	run["startedAt"] = fmt.Sprintf("2026-03-01T%02d:%02d:00Z", number/2, 30*(number%2))
	if text, err = json.Marshal(run); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Runs that a branch has now, and those that later commits replaced, are read in the
// order in which they were made, each with the commit that brought it.
func TestHistoryOfABranch(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "git") {
			t.Fatal(err)
		}
		t.Skip("there is no git")
	}
	repository := t.TempDir()
	p := newProcess(t, "")
	environment := append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	p.Environ = func() []string { return environment }
	git := func(arguments ...string) string {
		t.Helper()
		command := exec.Command("git", arguments...)
		command.Dir, command.Env = repository, environment
		text, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", arguments, err, text)
		}
		return strings.TrimSpace(string(text))
	}
	git("init", "-q", "-b", "main")
	git("commit", "-q", "--allow-empty", "-m", "nothing yet")
	git("checkout", "-q", "-b", "results")
	var commits []string
	for i := range 3 { // each replaces the one before
		pastOf(t, i, filepath.Join(repository, "runs", "a b", "latest"))
		git("add", "-A")
		git("commit", "-q", "-m", "run")
		commits = append(commits, git("rev-parse", "--short=10", "HEAD")+":runs/a b/latest")
	}
	pastOf(t, 3, filepath.Join(repository, "runs", "kept"))
	git("add", "-A")
	git("commit", "-q", "-m", "run")
	commits = append(commits, git("rev-parse", "--short=10", "HEAD")+":runs/kept")
	git("rm", "-rq", "runs/kept")
	git("commit", "-q", "-m", "tidied up")
	git("checkout", "-q", "main")
	t.Chdir(repository)

	if code := Main([]string{"history", "runs", "--git", "results", "--json", "-"}, p.Process); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	var got struct {
		Metrics []struct{ Runs []string }
	}
	if err := json.Unmarshal(p.stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Metrics) == 0 || len(got.Metrics[0].Runs) != len(commits) {
		t.Fatalf("%+v, want %d runs", got, len(commits))
	}
	for i, run := range got.Metrics[0].Runs {
		if !strings.HasSuffix(run, " "+commits[i]) {
			t.Errorf("run %d is %q, want %q", i, run, commits[i])
		}
	}
	for name, arguments := range map[string][]string{
		"a branch that is none":  {"history", "runs", "--git", "gone"},
		"a branch like a flag":   {"history", "runs", "--git=--output=x"},
		"a folder without a run": {"history", "elsewhere", "--git", "results"},
	} {
		p := newProcess(t, "")
		p.Environ = func() []string { return environment }
		if code := Main(arguments, p.Process); code != exitUsage || p.stderr.Len() == 0 {
			t.Errorf("%s: exit code %d\n%s", name, code, p.stderr.String())
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("the name of a branch was taken for a flag of Git")
	}
}

// A history has a table, a course in text, and charts.
func TestHistoryForms(t *testing.T) {
	root := t.TempDir()
	for i := range 3 {
		pastOf(t, i, filepath.Join(root, fmt.Sprint(i)))
	}
	page := filepath.Join(root, "history.html")
	p := newProcess(t, "")
	if code := Main([]string{"history", root, "--html", page, "--markdown", filepath.Join(root, "history.md")}, p.Process); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	text, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(text, []byte("uPlot")) {
		t.Errorf("%v: the page has no chart", err)
	}
	for _, want := range []string{"highest rate that holds", "▁▁▁", "Not known yet", "8 runs to tell a change, and there are 3"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, p.stdout.String())
		}
	}
}

// One run that can't be read does not keep the others from being looked at.
func TestHistoryOfBrokenRuns(t *testing.T) {
	root := t.TempDir()
	broken := func(dir string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, runFile), []byte(`{"formatVersion": 1, "to`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	broken("half")
	p := newProcess(t, "")
	if code := Main([]string{"history", root}, p.Process); code != exitInvalid || !strings.Contains(p.stderr.String(), "half is left out") {
		t.Errorf("of one run that is broken: exit code %d\n%s", code, p.stderr.String())
	}
	pastOf(t, 0, filepath.Join(root, "good"))
	p = newProcess(t, "")
	if code := Main([]string{"history", root, "--json", "-"}, p.Process); code != exitDone || !strings.Contains(p.stderr.String(), "half is left out") {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	var got struct {
		FormatVersion int
		Scenario      string
		Metrics       []struct{ Runs []string }
		Skipped       []struct{ Dir, WhyNot string }
	}
	if err := json.Unmarshal(p.stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.FormatVersion != 1 || got.Scenario == "" || len(got.Metrics) == 0 || len(got.Metrics[0].Runs) != 1 ||
		len(got.Skipped) != 1 || !strings.HasSuffix(got.Skipped[0].Dir, "half") || got.Skipped[0].WhyNot == "" {
		t.Errorf("%+v", got)
	}
}
