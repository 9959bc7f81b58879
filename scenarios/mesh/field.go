package mesh

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sailplan-io/sailplan/scenarios"
)

// Field is a place in an object: a value with its line, or the place where a
// value is missing. The zero Field is missing too.
type Field struct {
	document scenarios.Document
	node     *yaml.Node // the value; nil where there is none
	at       *yaml.Node // where a reader should look: the key, or what is around a missing value
	path     string
	key      string // the last in path
	fixed    bool   // the value was read from a text inside the file, and all of it is at the same place
}

// Root returns the whole object.
func (o Object) Root() Field { return Field{document: o.document, node: o.root, at: o.root} }

// Get follows the keys downwards. A value that is null counts as missing, as it
// does to Kubernetes.
func (f Field) Get(keys ...string) Field {
	for _, key := range keys {
		f = f.get(key)
	}
	return f
}

func (f Field) get(key string) Field {
	next := f
	next.node, next.path, next.key = nil, join(f.path, key), key
	if f.node == nil || f.node.Kind != yaml.MappingNode {
		return next
	}
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		if name, value := f.node.Content[i], f.node.Content[i+1]; name.Value == key && !isNull(value) {
			next.node = value
			if !f.fixed {
				next.at = name
			}
			return next
		}
	}
	return next
}

// Exists reports whether there is a value.
func (f Field) Exists() bool { return f.node != nil }

// Items returns the items of a list; none when it is no list.
func (f Field) Items() []Field {
	if f.node == nil || f.node.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Field, 0, len(f.node.Content))
	for i, node := range f.node.Content {
		item := f
		item.node, item.path = node, fmt.Sprintf("%s[%d]", f.path, i)
		if !f.fixed {
			item.at = node
		}
		items = append(items, item)
	}
	return items
}

// Keys returns the keys of a mapping in their order; none when it is no mapping.
func (f Field) Keys() []string {
	if f.node == nil || f.node.Kind != yaml.MappingNode {
		return nil
	}
	keys := make([]string, 0, len(f.node.Content)/2)
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		keys = append(keys, f.node.Content[i].Value)
	}
	return keys
}

// Text returns the text of a single value; empty when there is none.
func (f Field) Text() string {
	if f.node == nil || f.node.Kind != yaml.ScalarNode {
		return ""
	}
	return f.node.Value
}

// Number returns a whole number.
func (f Field) Number() (int64, bool) {
	n, err := strconv.ParseInt(f.Text(), 10, 64)
	return n, err == nil
}

// Duration returns a duration that is written as Istio reads it.
func (f Field) Duration() (time.Duration, bool) {
	if f.node == nil {
		return 0, false
	}
	d, err := duration(f.node)
	return d, err == nil
}

// IsTrue reports whether the value is true.
func (f Field) IsTrue() bool { return strings.EqualFold(f.Text(), "true") }

// IsFalse reports whether the value is there and is false.
func (f Field) IsFalse() bool { return strings.EqualFold(f.Text(), "false") }

// Key returns the last of the keys that lead to the place; a key may have dots in it.
func (f Field) Key() string { return f.key }

// Path returns the keys that lead to the place, as "spec.subsets[0].name".
func (f Field) Path() string { return f.path }

// File returns the name of the file.
func (f Field) File() string { return f.document.Name }

// Line returns the line of the key, or of what is around a missing value; from 1.
func (f Field) Line() int {
	if f.at == nil {
		return 1
	}
	return max(1, f.at.Line)
}

// Column returns the column that belongs to Line; from 1.
func (f Field) Column() int {
	if f.at == nil {
		return 1
	}
	return max(1, f.at.Column)
}

// LastLine returns the last line on which something of the value begins.
func (f Field) LastLine() int {
	if f.node == nil {
		return f.Line()
	}
	return max(f.Line(), lastLine(f.node))
}

func lastLine(node *yaml.Node) int {
	last := node.Line
	if node.Kind == yaml.ScalarNode && node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		last += strings.Count(strings.TrimRight(node.Value, "\n"), "\n") + 1
	}
	for _, child := range node.Content {
		last = max(last, lastLine(child))
	}
	return last
}

// Embedded returns the YAML that stands inside a text, as an annotation may hold
// it. All of it is placed where the text is.
func (f Field) Embedded() (Field, error) {
	within := scenarios.DocumentLimits{FileBytes: 256 << 10, DocumentBytes: 256 << 10, Documents: 1, Depth: 32, Nodes: 20_000}
	inner := Field{document: f.document, at: f.at, path: f.path, key: f.key, fixed: true}
	documents, err := scenarios.ReadDocuments(f.document.Name, []byte(f.Text()), within)
	if err != nil {
		return inner, fmt.Errorf("%s: the text is not YAML", f.path)
	}
	if len(documents) == 1 {
		inner.node = documents[0].Root
	}
	return inner, nil
}

// LastLineAt returns the last line of what begins on the line: of the field, or of
// the item of a list, that is outermost among those that begin there.
func (f Field) LastLineAt(line int) int {
	if f.node == nil {
		return line
	}
	return max(line, lastLineAt(f.node, line))
}

func lastLineAt(node *yaml.Node, line int) int {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Line == line {
				return lastLine(node.Content[i+1])
			}
		}
	case yaml.SequenceNode:
		for _, item := range node.Content {
			if item.Line == line {
				return lastLine(item)
			}
		}
	}
	for _, child := range node.Content {
		if last := lastLineAt(child, line); last > 0 {
			return last
		}
	}
	return 0
}

// IsInsideText reports whether the line lies inside a text of several lines.
func (f Field) IsInsideText(line int) bool {
	return f.node != nil && isInsideText(f.node, line)
}

func isInsideText(node *yaml.Node, line int) bool {
	if node.Kind == yaml.ScalarNode && node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return line > node.Line && line <= lastLine(node)
	}
	for _, child := range node.Content {
		if isInsideText(child, line) {
			return true
		}
	}
	return false
}
