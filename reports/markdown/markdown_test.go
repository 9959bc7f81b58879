package markdown_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/reports/markdown"
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

func write(t *testing.T, d reports.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := markdown.Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var names = []string{
	"recommended", "target", "embedded", "infeasible", "contradicted", "not-reached", "invalid", "incomplete", "empty", "hostile", "load-held", "load-missed",
}

func TestGolden(t *testing.T) {
	for _, name := range names {
		got := write(t, document(t, name))
		path := filepath.Join("testdata", name+".md")
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
			t.Errorf("%s differs from what is written now (go test ./reports/markdown -update):\n%s", path, got)
		}
	}
}

// columns returns how many cells a row of a table has for a reader of Markdown.
func columns(line string) int {
	n := 0
	for i := range len(line) {
		if line[i] == '|' && (i == 0 || line[i-1] != '\\') {
			n++
		}
	}
	return n - 1
}

// TestTablesStayTables counts the cells of every row: names with pipes and line
// breaks must not make more of them.
func TestTablesStayTables(t *testing.T) {
	for _, name := range names {
		want := 0
		for _, line := range strings.Split(write(t, document(t, name)), "\n") {
			switch {
			case !strings.HasPrefix(line, "|"):
				want = 0
			case want == 0:
				want = columns(line)
			case columns(line) != want:
				t.Errorf("%s: a row of %d cells in a table of %d: %s", name, columns(line), want, line)
			}
		}
	}
}

func TestFitsAComment(t *testing.T) {
	const githubLimit = 65536
	if n := len(write(t, document(t, "recommended"))); n > githubLimit/2 {
		t.Errorf("%d bytes; a comment has at most %d", n, githubLimit)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain 1 240/s (1 180 – 1 300)": "plain 1 240/s (1 180 – 1 300)",
		"<script>":                      `\<script\>`,
		"a|b\nc":                        `a\|b c`,
		"- list":                        `\- list`,
		"minus -1":                      "minus -1",
		"12. list":                      `12\. list`,
		"1.5 cores":                     `1\.5 cores`,
		"v1.2":                          "v1.2",
		"# heading":                     `\# heading`,
		"[a](http://b)":                 `\[a\](http://b)`,
		"&lt;":                          `\&lt;`,
		`\|`:                            `\\\|`,
		"$x$":                           `\$x\$`,
		"@team":                         "@\u200bteam",
	} {
		if got := markdown.Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzEscape checks that whatever goes in, no character with a meaning comes out
// without a backslash of its own.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "|", `\`, "a\r\n|b", "```", "<b>", "1) x", "\xff|"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := markdown.Escape(text)
		if strings.ContainsAny(got, "\n\r") {
			t.Errorf("Escape(%q) has a line break: %q", text, got)
		}
		escaped := false
		for _, r := range got {
			if !escaped && strings.ContainsRune("`*_[]<>&|~#$", r) {
				t.Errorf("Escape(%q) has a bare %q: %q", text, r, got)
			}
			escaped = !escaped && r == '\\'
		}
		if escaped {
			t.Errorf("Escape(%q) ends in a bare backslash: %q", text, got)
		}
	})
}

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	if err := markdown.Write(full{}, document(t, "recommended")); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}
