package terminal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/reports/terminal"
)

var update = flag.Bool("update", false, "write testdata anew")

// document builds the document of a sample result of package reports.
func document(t *testing.T, name string) reports.Document {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "results", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var result analysis.Result
	if err := json.Unmarshal(data, &result); err != nil {
		t.Fatal(err)
	}
	if result.Command == "run" {
		return reports.Load(result, nil)
	}
	return reports.Sizing(result, nil)
}

func write(t *testing.T, d reports.Document, o terminal.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := terminal.Write(&b, d, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		sample string
		file   string
		o      terminal.Options
	}{
		{"recommended", "recommended", terminal.Options{}},
		{"recommended", "recommended-details", terminal.Options{Details: true}},
		{"recommended", "recommended-60", terminal.Options{Width: 60}},
		{"contradicted", "contradicted", terminal.Options{}},
		{"embedded", "embedded", terminal.Options{}},
		{"not-reached", "not-reached", terminal.Options{}},
		{"infeasible", "infeasible", terminal.Options{}},
		{"invalid", "invalid", terminal.Options{}},
		{"incomplete", "incomplete", terminal.Options{}},
		{"empty", "empty", terminal.Options{}},
		{"hostile", "hostile", terminal.Options{Details: true}},
		{"load-held", "load-held", terminal.Options{Details: true}},
		{"load-missed", "load-missed", terminal.Options{}},
	} {
		got := write(t, document(t, c.sample), c.o)
		path := filepath.Join("testdata", c.file+".txt")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from what is written now (go test ./reports/terminal -update):\n%s", path, got)
		}
	}
}

func TestWidthIsKept(t *testing.T) {
	for _, sample := range []string{"recommended", "hostile", "load-held", "infeasible"} {
		for _, width := range []int{60, 100, 140} {
			for _, line := range strings.Split(write(t, document(t, sample), terminal.Options{Width: width}), "\n") {
				if n := utf8.RuneCountInString(line); n > width {
					t.Errorf("%s: a line of %d columns in %d: %q", sample, n, width, line)
				}
			}
		}
	}
}

// TestNoEscapes holds hostile names away from the terminal.
func TestNoEscapes(t *testing.T) {
	got := write(t, document(t, "hostile"), terminal.Options{Details: true})
	for _, r := range got {
		if r != '\n' && (r < 0x20 || r == 0x7f || (r >= 0x80 && r <= 0xa0) || (r >= 0x202a && r <= 0x202e)) {
			t.Fatalf("the output has %U", r)
		}
	}
	bold := write(t, document(t, "hostile"), terminal.Options{Bold: true})
	if strings.Count(bold, "\x1b[1m") != strings.Count(bold, "\x1b[0m") || strings.Count(bold, "\x1b") != 2*strings.Count(bold, "\x1b[1m") {
		t.Errorf("bold is not always ended, or there are other escapes:\n%q", bold)
	}
	if !strings.Contains(bold, "\x1b[1m") {
		t.Error("nothing is bold")
	}
}

func TestAnswerFitsTheFirstScreen(t *testing.T) {
	lines := strings.Split(write(t, document(t, "recommended"), terminal.Options{}), "\n")
	if !strings.HasPrefix(lines[0], "Evidence: lab, real Envoy 1.40.0") {
		t.Errorf("the first line is %q", lines[0])
	}
	const screen = 45
	if !strings.Contains(strings.Join(lines[:screen], "\n"), "HPA") {
		t.Errorf("the recommendation is not within %d lines", screen)
	}
}

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	if err := terminal.Write(full{}, document(t, "recommended"), terminal.Options{}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}
