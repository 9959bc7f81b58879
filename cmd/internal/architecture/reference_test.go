package architecture

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
)

var update = flag.Bool("update", false, "write what is made from the schema into docs/scenario.md")

// shape is what the reference says of a key, as the JSON Schema has it.
type shape struct {
	Description string           `json:"description"`
	Ref         string           `json:"$ref"`
	Items       *shape           `json:"items"`
	Properties  map[string]shape `json:"properties"`
	Required    []string         `json:"required"`
	Enum        []string         `json:"enum"`
	Default     any              `json:"default"`
	Examples    []any            `json:"examples"`
	Definitions map[string]shape `json:"$defs"`
}

// definition is the name of the object that a key, or each item of its list, is;
// "" when it is a plain value.
func (s shape) definition() string {
	if s.Items != nil {
		return s.Items.definition()
	}
	return strings.TrimPrefix(s.Ref, "#/$defs/")
}

// reference writes the keys of a scenario as Markdown, one table an object.
func reference(schema []byte) (string, error) {
	var root shape
	if err := json.Unmarshal(schema, &root); err != nil {
		return "", err
	}
	// An object that several keys are, such as limits, is described once, under
	// the names of all of them.
	paths := map[string][]string{"": {"the file"}}
	order := []string{""}
	for i := 0; i < len(order); i++ {
		object, above := root, ""
		if order[i] != "" {
			object, above = root.Definitions[order[i]], paths[order[i]][0]+"."
		}
		for _, key := range slices.Sorted(maps.Keys(object.Properties)) {
			inner := object.Properties[key].definition()
			if inner == "" {
				continue
			}
			if paths[inner] == nil {
				order = append(order, inner)
			}
			suffix := ""
			if object.Properties[key].Items != nil {
				suffix = "[]"
			}
			paths[inner] = append(paths[inner], above+key+suffix)
		}
	}
	var b strings.Builder
	for _, name := range order {
		object := root
		if name == "" {
			b.WriteString("\n### The file\n")
		} else {
			object = root.Definitions[name]
			fmt.Fprintf(&b, "\n### %s\n", strings.Join(paths[name], ", "))
		}
		b.WriteString("\n| key | meaning | default | examples |\n|---|---|---|---|\n")
		for _, key := range slices.Sorted(maps.Keys(object.Properties)) {
			b.WriteString(row(key, object.Properties[key], slices.Contains(object.Required, key)))
		}
	}
	return b.String(), nil
}

func row(key string, s shape, required bool) string {
	text := s.Description
	if len(s.Enum) > 1 {
		text += " One of " + code(anys(s.Enum)) + "."
	}
	initial := ""
	switch {
	case required:
		initial = "required"
	case s.Default != nil:
		initial = code([]any{s.Default})
	}
	examples := s.Examples
	if s.Items != nil && examples == nil {
		examples = s.Items.Examples
	}
	if examples == nil && len(s.Enum) == 1 {
		examples = anys(s.Enum)
	}
	line := "|"
	for _, text := range []string{"`" + key + "`", cell(text), initial, code(examples)} {
		if text != "" {
			text += " "
		}
		line += " " + text + "|"
	}
	return line + "\n"
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

func code(values []any) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = "`" + cell(fmt.Sprint(value)) + "`"
	}
	return strings.Join(quoted, ", ")
}

// cell keeps a text from ending its cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

func TestScenarioReference(t *testing.T) {
	const begin, end = "<!-- begin: made from the schema", "<!-- end: made from the schema -->"
	name := filepath.Join(root, "docs", "scenario.md")
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(page), begin)
	marker, rest, foundMarker := strings.Cut(rest, "\n")
	_, tail, foundEnd := strings.Cut(rest, end)
	if !found || !foundMarker || !foundEnd {
		t.Fatalf("docs/scenario.md has lost its marks: %s … %s", begin, end)
	}
	keys, err := reference(scenarios.Schema())
	if err != nil {
		t.Fatal(err)
	}
	want := head + begin + marker + "\n" + keys + "\n" + end + tail
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Error("docs/scenario.md does not have the keys of the schema: run this test with -update")
	}
}

// TestScenariosInDocs reads every YAML block of the pages that is a scenario.
func TestScenariosInDocs(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, name := range append(pages, filepath.Join(root, "README.md")) {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(page), "```yaml\n")[1:] {
			text, _, _ := strings.Cut(block, "```")
			if !strings.Contains(text, "kind: Scenario") {
				continue
			}
			count++
			place := fmt.Sprintf("%s, YAML block %d", filepath.Base(name), i+1)
			scenario, err := scenarios.Decode(place, []byte(text))
			if err == nil {
				err = scenarios.Validate(scenarios.Defaults(*scenario))
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	if count == 0 {
		t.Error("found no scenario in the pages")
	}
}
