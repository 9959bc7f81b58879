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
	within  *whole
	node    *yaml.Node // the value; nil where there is none
	at      *yaml.Node // where a reader should look: the key, or what is around a missing value
	key     string     // the last one that was followed
	missing string     // the keys that were followed from at, where there is no value
}

// whole is what fields are in: an object, or the YAML inside of a text of one.
type whole struct {
	document scenarios.Document
	root     *yaml.Node
	text     Field // that the YAML is in; the zero Field: none
	placed   bool  // the YAML inside of the text has the lines of the file
	top, at  Field // of an object: all of it, and its spec
	mesh     Field // of the ConfigMap that istiod reads: the YAML inside of it
}

// Root returns the whole object.
func (o Object) Root() Field {
	if o.whole == nil {
		return Field{}
	}
	return o.top
}

// Spec returns the field spec of the object, and follows the keys downwards from it.
func (o Object) Spec(keys ...string) Field {
	if o.whole == nil {
		return Field{}.Get(keys...)
	}
	return o.at.Get(keys...)
}

func wholeOf(document scenarios.Document, root *yaml.Node) *whole {
	w := &whole{document: document, root: root}
	w.top = Field{within: w, node: root, at: root}
	w.at = w.top.get("spec")
	return w
}

// Get follows the keys downwards. A value that is null counts as missing, as it
// does to Kubernetes.
func (f Field) Get(keys ...string) Field {
	for _, key := range keys {
		f = f.get(key)
	}
	return f
}

func (f Field) get(key string) Field {
	if f.node != nil && f.node.Kind == yaml.MappingNode {
		content := f.node.Content
		for i := 0; i+1 < len(content); i += 2 {
			if name := content[i]; name.Value == key && !isNull(content[i+1]) {
				return Field{within: f.within, node: content[i+1], at: name, key: key}
			}
		}
	}
	missing := key
	if f.missing != "" {
		missing = f.missing + "." + key
	}
	return Field{within: f.within, at: f.at, key: key, missing: missing}
}

// Exists reports whether there is a value.
func (f Field) Exists() bool { return f.node != nil }

// Items returns the items of a list; none when it is no list.
func (f Field) Items() []Field {
	if f.node == nil || f.node.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Field, 0, len(f.node.Content))
	for _, node := range f.node.Content {
		items = append(items, Field{within: f.within, node: node, at: node, key: f.key})
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

// Path returns the keys that lead to the place, as "spec.subsets[0].name". It looks
// for the place in the whole object: asked for every field, it takes long.
func (f Field) Path() string {
	if f.within == nil {
		return f.missing
	}
	sought := f.node
	if sought == nil {
		sought = f.at
	}
	path, _ := pathTo(f.within.root, sought)
	if f.within.text.node != nil {
		path = joined(f.within.text.Path(), path)
	}
	if f.missing != "" {
		path = joined(path, f.missing)
	}
	return path
}

// pathTo returns the path of a value, or of the value of a key.
func pathTo(in, sought *yaml.Node) (path string, found bool) {
	if in == nil || in == sought {
		return "", in != nil
	}
	switch in.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(in.Content); i += 2 {
			if in.Content[i] == sought {
				return in.Content[i].Value, true
			}
			if path, found := pathTo(in.Content[i+1], sought); found {
				return joined(in.Content[i].Value, path), true
			}
		}
	case yaml.SequenceNode:
		for i, item := range in.Content {
			if path, found := pathTo(item, sought); found {
				return joined(fmt.Sprintf("[%d]", i), path), true
			}
		}
	}
	return "", false
}

// joined puts a path before another, which may begin with an index.
func joined(path, more string) string {
	if more == "" || strings.HasPrefix(more, "[") {
		return path + more
	}
	return join(path, more)
}

// File returns the name of the file.
func (f Field) File() string {
	if f.within == nil {
		return ""
	}
	return f.within.document.Name
}

// place is the node that tells line and column; nil: there is none.
func (f Field) place() *yaml.Node {
	if f.within != nil && f.within.text.node != nil && !f.within.placed {
		return f.within.text.place()
	}
	return f.at
}

// YAML returns the value as YAML, without comments; empty where there is none.
func (f Field) YAML() string {
	if f.node == nil {
		return ""
	}
	var out strings.Builder
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(bare(f.node)); err != nil {
		return "" // what was read can be written
	}
	return out.String()
}

// bare copies a value without its comments.
func bare(node *yaml.Node) *yaml.Node {
	out := *node
	out.HeadComment, out.LineComment, out.FootComment, out.Content = "", "", "", nil
	for _, child := range node.Content {
		out.Content = append(out.Content, bare(child))
	}
	return &out
}

// Line returns the line of the key, or of what is around a missing value; from 1.
func (f Field) Line() int {
	if at := f.place(); at != nil {
		return max(1, at.Line)
	}
	return 1
}

// Column returns the column that belongs to Line; from 1.
func (f Field) Column() int {
	if at := f.place(); at != nil {
		return max(1, at.Column)
	}
	return 1
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
	if f.Text() == "" {
		return Field{within: f.within, at: f.at, key: f.key}, nil
	}
	within := scenarios.DocumentLimits{FileBytes: 256 << 10, DocumentBytes: 256 << 10, Documents: 1, Depth: 32, Nodes: 20_000}
	documents, err := scenarios.ReadDocuments(f.File(), []byte(f.Text()), within)
	if err != nil {
		return Field{}, fmt.Errorf("%s: the text is not YAML", f.Path())
	}
	inner := Field{within: &whole{document: f.within.document, text: f}, at: f.at, key: f.key}
	if len(documents) == 1 && documents[0].Root != nil {
		inner.node, inner.within.root = documents[0].Root, documents[0].Root
		inner.at = inner.node
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
