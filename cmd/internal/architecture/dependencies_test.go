package architecture

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	requirement   = regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/[A-Za-z0-9./_-]+) (v\S+)( // indirect)?$`)
	dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (v\\S+) \\| [0-9]{4}-[0-9]{2}-[0-9]{2} \\| [^|]+ \\| [^|]+ \\|$")
)

// undeclared compares the modules of a go.mod with the table of a page: every
// direct one has a row with its version, and every row is of a module of go.mod.
func undeclared(gomod, page string) []string {
	rows := make(map[string]string)
	for _, row := range dependencyRow.FindAllStringSubmatch(page, -1) {
		rows[row[1]] = row[2]
	}
	var found []string
	for _, line := range requirement.FindAllStringSubmatch(gomod, -1) {
		name, version, indirect := line[1], line[2], line[3] != ""
		listed, is := rows[name]
		delete(rows, name)
		switch {
		case !is && !indirect:
			found = append(found, fmt.Sprintf("%s has no row", name))
		case is && listed != version:
			found = append(found, fmt.Sprintf("%s is in use as %s and listed as %s", name, version, listed))
		}
	}
	for name := range rows {
		found = append(found, fmt.Sprintf("%s is listed and not in go.mod", name))
	}
	return found
}

func TestDependenciesAreNamed(t *testing.T) {
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range undeclared(string(gomod), string(page)) {
		t.Errorf("docs/dependencies.md: %s", problem)
	}
}

func TestUndeclaredDependenciesAreFound(t *testing.T) {
	const (
		gomod = "module example.com/m\n\ngo 1.26.0\n\nrequire example.com/one v1.0.0\n\nrequire (\n\texample.com/two v2.0.0\n\texample.com/deep v0.1.0 // indirect\n)\n"
		one   = "| `example.com/one` | v1.0.0 | 2026-01-02 | MIT | for one |\n"
		two   = "| `example.com/two` | v2.0.0 | 2026-01-02 | MIT | for two |\n"
	)
	for _, test := range []struct {
		name, page string
		want       int
	}{
		{"all", one + two, 0},
		{"an indirect one too", one + two + "| `example.com/deep` | v0.1.0 | 2026-01-02 | MIT | for depth |\n", 0},
		{"one is missing", one, 1},
		{"both are missing", "", 2},
		{"another version", one + "| `example.com/two` | v2.0.1 | 2026-01-02 | MIT | for two |\n", 1},
		{"a row too many", one + two + "| `example.com/three` | v1.0.0 | 2026-01-02 | MIT | for three |\n", 1},
		{"no reason", one + "| `example.com/two` | v2.0.0 | 2026-01-02 | MIT |\n", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := undeclared(gomod, test.page); len(got) != test.want {
				t.Errorf("found %q, want %d findings", got, test.want)
			}
		})
	}
}
