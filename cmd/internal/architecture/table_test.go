package architecture

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// table says for each package, by its folder, what of this module it may import.
type table map[string][]string

// roomRow is a row of the table of rooms: package, what it owns, imports.
var (
	roomRow = regexp.MustCompile("^\\| `([a-z0-9/]+)` \\|[^|]*\\| ([^|]*) \\|$")
	quoted  = regexp.MustCompile("^`([a-z0-9/.]+)`$")
)

// readTable reads the table of rooms from the text of docs/design.md.
func readTable(markdown string) (table, error) {
	rooms := make(table)
	inTable := false
	for number, line := range strings.Split(markdown, "\n") {
		switch {
		case strings.HasPrefix(line, "| package |"):
			inTable = true
			continue
		case !strings.HasPrefix(line, "|"):
			inTable = false
		}
		if !inTable || strings.HasPrefix(line, "|---") {
			continue
		}
		row := roomRow.FindStringSubmatch(line)
		if row == nil {
			return nil, fmt.Errorf("line %d is not a row of the table: %s", number+1, line)
		}
		if _, twice := rooms[row[1]]; twice {
			return nil, fmt.Errorf("line %d: %s has a row already", number+1, row[1])
		}
		rooms[row[1]] = []string{}
		if row[2] == "–" {
			continue
		}
		for _, item := range strings.Split(row[2], ", ") {
			name := quoted.FindStringSubmatch(item)
			if name == nil {
				return nil, fmt.Errorf("line %d: %q is not a package in backquotes", number+1, item)
			}
			rooms[row[1]] = append(rooms[row[1]], name[1])
		}
	}
	if len(rooms) == 0 {
		return nil, fmt.Errorf("there is no table that begins with | package |")
	}
	return rooms, nil
}

// matches reports whether a package is meant by a pattern: its own name, or
// x/... for x and all below it.
func matches(pattern, folder string) bool {
	above, wide := strings.CutSuffix(pattern, "...")
	if !wide {
		return pattern == folder
	}
	return strings.HasPrefix(folder+"/", above)
}

// forbidden returns which of the imports, folders of this module, a package may
// not have. A package without a row may import nothing, and is named itself.
func (rooms table) forbidden(folder string, imports []string) []string {
	allowed, known := rooms[folder]
	if !known {
		return []string{fmt.Sprintf("%s has no row in the table of rooms", folder)}
	}
	var found []string
	for _, imported := range imports {
		if !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, imported) }) {
			found = append(found, fmt.Sprintf("%s imports %s, which the table of rooms does not allow", folder, imported))
		}
	}
	return found
}

// order is the one way in which imports go: what stands later may import what
// stands earlier.
func order() []string { return []string{"scenarios", "loadgen", "analysis", "reports", "cmd"} }

// against returns which of the imports of a package's tests lie in a folder
// further along than the package's own.
func against(folder string, imports []string) []string {
	top := func(name string) int {
		first, _, _ := strings.Cut(name, "/")
		return slices.Index(order(), first)
	}
	var found []string
	if top(folder) < 0 {
		found = append(found, fmt.Sprintf("%s is in none of the folders %s", folder, strings.Join(order(), ", ")))
	}
	for _, imported := range imports {
		if top(imported) > top(folder) {
			found = append(found, fmt.Sprintf("a test of %s imports %s, against the one direction", folder, imported))
		}
	}
	return found
}
