package scenarios

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// flat is a document with the places of all that is in it.
func flat(node *yaml.Node) string {
	if node == nil {
		return "nothing"
	}
	parts := []string{fmt.Sprintf("%d:%d %s %q", node.Line, node.Column, node.ShortTag(), node.Value)}
	for _, child := range node.Content {
		parts = append(parts, flat(child))
	}
	return "(" + strings.Join(parts, " ") + ")"
}

func flatAll(documents []Document) []string {
	all := make([]string, len(documents))
	for i, d := range documents {
		all[i] = flat(d.Root)
	}
	return all
}

func partLimits() DocumentLimits {
	return DocumentLimits{FileBytes: 1 << 20, DocumentBytes: 1 << 20, Documents: 1000, Depth: 64, Nodes: 100_000}
}

// sameInParts holds the reading of parts to the reading of the whole. Parts may be
// given up, never differ.
func sameInParts(t *testing.T, data []byte) (read bool) {
	t.Helper()
	whole := Document{Name: "a.yaml", data: data}
	parts := partsOf(data, 1)
	var text []byte
	for _, p := range parts {
		if p.above != bytes.Count(text, []byte("\n")) {
			t.Errorf("a part after %d lines has %d above", bytes.Count(text, []byte("\n")), p.above)
		}
		text = append(text, p.text...)
	}
	if !bytes.Equal(text, data) {
		t.Fatalf("the parts make %q, want %q", text, data)
	}
	want, err := readStream(whole, part{text: data}, partLimits())
	got, ok := readParts(whole, parts, partLimits())
	if ok && (err != nil || !slices.Equal(flatAll(got), flatAll(want))) {
		t.Errorf("%q\nin parts: %q\nas a whole: %q, error %v", data, flatAll(got), flatAll(want), err)
	}
	return ok && len(parts) > 1
}

func TestParts(t *testing.T) {
	for name, test := range map[string]struct {
		in     string
		inPart bool // it can be read so
	}{
		"two documents":         {"a: 1\n---\nb: 2\n", true},
		"many":                  {strings.Repeat("---\na: [1, 2]\n", 20), true},
		"windows":               {"a: 1\r\n---\r\nb: 2\r\n", true},
		"a text with dashes":    {"a: |\n  x\n  ---\n  y\n---\nb: >\n  1\n", true},
		"more dashes":           {"a: 1\n---\nb: 2\n----\n", false},
		"an end":                {"a: 1\n...\n---\nb: 2\n", true},
		"ends with a beginning": {"a: 1\n---", true},
		"a directive":           {"a: 1\n...\n%YAML 1.1\n---\nb: 2\n", false},
		"an anchor from before": {"a: &x 1\n---\nb: *x\n", false},
		"an anchor within":      {"a: 12345\nc: 123456\n# 12345678901234567890\n---\nb: &x {c: 1}\nd: *x\n", true},
		"a broken one":          {"a: 1\n---\nb: [\n", false},
		"an open quote":         {"a: \"1\n---\nb: 2\"\n", false},
		"comments":              {"# a\n---\n# b\n---\n# c\na: 1\n", true},
		"one document":          {"a: 1\n", false},
		"nothing":               {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sameInParts(t, []byte(test.in)); got != test.inPart {
				t.Errorf("read in parts: %t, want %t", got, test.inPart)
			}
		})
	}
}

// FuzzParts wants parts to be read as the whole is.
func FuzzParts(f *testing.F) {
	f.Add([]byte("a: &x 1\n---\nb: *x\n--- |\n text\n...\n%YAML 1.2\n---\n- 1\n"))
	f.Add([]byte("{a: [1]}\n--- # c\n'a\n  b': 1\n---\n? a\n: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sameInParts(t, data) })
}
