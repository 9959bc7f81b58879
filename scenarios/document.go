package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Document is one document of a YAML file, without aliases and merge keys: they
// have been replaced by what they stand for.
type Document struct {
	Name string     // of the file, as it appears in messages
	Root *yaml.Node // a mapping, sequence or scalar; nil when the document is empty
	data []byte     // of the whole file, for excerpts
}

// DocumentLimits bound what ReadDocuments accepts. A scenario of a few hundred
// lines is far below all of them; a file made to exhaust memory is not.
type DocumentLimits struct {
	FileBytes     int // of the file
	DocumentBytes int // of one document
	Documents     int
	Depth         int // of nesting
	Nodes         int // in one document, aliases expanded
}

// maxProblems ends the search for further problems in a document: each takes a
// scan for its line, and nobody reads more.
const maxProblems = 100

// ReadDocuments reads a YAML (or JSON) file. Duplicate keys and aliases that
// grow beyond the limits are errors. The error is of type Errors.
func ReadDocuments(name string, data []byte, limits DocumentLimits) ([]Document, error) {
	whole := Document{Name: name, data: data}
	if len(data) > limits.FileBytes {
		return nil, Errors{{File: name, Message: fmt.Sprintf("the file has %s, more than the limit of %s", size(len(data)), size(limits.FileBytes))}}
	}
	if line, length := longestDocument(data); length > limits.DocumentBytes {
		return nil, Errors{whole.ProblemAt(line, 1, "", fmt.Sprintf("this document has %s, more than the limit of %s", size(length), size(limits.DocumentBytes)))}
	}
	if parts := partsOf(data, leastPart); len(parts) > 1 {
		if documents, ok := readParts(whole, parts, limits); ok {
			return documents, nil
		}
		// What is wrong is told as one reader of the whole file finds it.
	}
	return readStream(whole, part{text: data}, limits)
}

// readStream reads the documents of a file, or of a part of it.
func readStream(whole Document, in part, limits DocumentLimits) ([]Document, error) {
	var documents []Document
	var problems Errors
	decoder := yaml.NewDecoder(bytes.NewReader(in.text))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return documents, problems.orNil()
		}
		if err != nil {
			problems = append(problems, whole.syntaxProblem(err))
			return documents, problems.orNil()
		}
		if len(documents) == limits.Documents {
			problems = append(problems, whole.ProblemAt(node.Line, node.Column, "", fmt.Sprintf("more than %d documents in one file", limits.Documents)))
			return documents, problems.orNil()
		}
		in.place(&node)
		document := whole
		e := expander{document: document, limits: limits}
		if len(node.Content) == 1 {
			document.Root = e.expand(node.Content[0], 0)
		}
		if document.Root != nil && document.Root.Kind == yaml.ScalarNode && document.Root.ShortTag() == "!!null" {
			document.Root = nil
		}
		problems = append(problems, e.problems...)
		documents = append(documents, document)
		if e.stopped {
			return documents, problems.orNil()
		}
	}
}

// part is some of a file's documents.
type part struct {
	text  []byte
	above int // lines of the file before it
}

// place gives the nodes their lines in the file.
func (p part) place(node *yaml.Node) {
	if p.above == 0 {
		return
	}
	node.Line += p.above
	for _, child := range node.Content {
		p.place(child)
	}
}

// A file is read in so many parts at once, if each has this many bytes: parsing is
// most of the time that a large file takes.
const (
	mostParts = 4
	leastPart = 256 << 10
)

// partsOf splits a file before lines that begin a document, into parts of about the
// same size, each of least bytes or more but for the last.
func partsOf(data []byte, least int) []part {
	size := max(least, (len(data)+mostParts-1)/mostParts)
	var parts []part
	start, above := 0, 0
	for len(data)-start > size {
		end := start + size
		for ; ; end++ {
			next := bytes.Index(data[end:], []byte("\n---"))
			if next < 0 {
				return append(parts, part{data[start:], above})
			}
			if end += next + 1; end+3 == len(data) || bytes.IndexByte([]byte(" \t\r\n"), data[end+3]) >= 0 {
				break
			}
		}
		parts = append(parts, part{data[start:end], above})
		above += bytes.Count(data[start:end], []byte("\n"))
		start = end
	}
	return append(parts, part{data[start:], above})
}

// readParts reads the parts of a file at once; ok is false when anything is wrong
// with them, or might be if they were read as one: an anchor may be used in a later
// document.
func readParts(whole Document, parts []part, limits DocumentLimits) (documents []Document, ok bool) {
	read := make([][]Document, len(parts))
	failed := make([]bool, len(parts))
	var group sync.WaitGroup
	for i, one := range parts {
		group.Go(func() {
			var err error
			read[i], err = readStream(whole, one, limits)
			failed[i] = err != nil
		})
	}
	group.Wait()
	documents = slices.Concat(read...)
	return documents, !slices.Contains(failed, true) && len(documents) <= limits.Documents
}

// size prints a number of bytes in the unit that fits it.
func size(n int) string {
	switch {
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
	case n >= 1<<10:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return strconv.Itoa(n) + " bytes"
}

// longestDocument returns the first line and the length of the longest stretch
// between document markers. It looks at the text only, before anything is
// parsed, because parsing costs a hundred times the size of the text.
func longestDocument(data []byte) (line, length int) {
	start, startLine := 0, 1
	at, atLine := 0, 1
	longest, longestLine := 0, 1
	for at < len(data) {
		end := bytes.IndexByte(data[at:], '\n')
		next := len(data)
		if end >= 0 {
			next = at + end + 1
		}
		if bytes.HasPrefix(data[at:], []byte("---")) {
			if at-start > longest {
				longest, longestLine = at-start, startLine
			}
			start, startLine = at, atLine
		}
		at, atLine = next, atLine+1
	}
	if len(data)-start > longest {
		longest, longestLine = len(data)-start, startLine
	}
	return longestLine, longest
}

// syntaxProblem turns an error of the YAML parser into a problem with a place.
// The parser tells the line in its text, and no column.
func (d Document) syntaxProblem(err error) Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := regexp.MustCompile(`^line (\d+): (?s)(.*)$`).FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits by the pattern; too many give 0
		message = m[2]
	}
	if m := regexp.MustCompile(`^unknown anchor '(.+)' referenced$`).FindStringSubmatch(message); m != nil {
		if at := bytes.Index(d.data, []byte("*"+m[1])); at >= 0 {
			line = 1 + bytes.Count(d.data[:at], []byte("\n"))
		}
	}
	if line == 0 {
		line = 1
	}
	column := 1
	if text, ok := d.line(line); ok {
		column = 1 + len(text) - len(strings.TrimLeft(text, " \t"))
	}
	problem := d.ProblemAt(line, column, "", "not valid YAML: "+printable(message))
	problem.Hint = d.syntaxHint(message, line)
	return problem
}

// syntaxHint says what is usually behind an error of the YAML parser; empty: it says
// enough itself.
func (d Document) syntaxHint(message string, line int) string {
	for number := max(1, line-1); number <= line; number++ {
		if text, _ := d.line(number); strings.HasPrefix(text, "<<<<<<<") || strings.HasPrefix(text, ">>>>>>>") || strings.HasPrefix(text, "=======") {
			return "a merge conflict is not resolved here"
		}
	}
	switch {
	case strings.Contains(message, "cannot start any token"):
		return "YAML is indented with spaces; quote a value that starts with a special character"
	case strings.Contains(message, "mapping values are not allowed"):
		return "look at the indentation of this line and of the one above; quote a value that has a colon in it"
	case strings.Contains(message, "did not find expected '-' indicator"), strings.Contains(message, "did not find expected key"):
		return "look at the indentation of the lines before"
	case strings.Contains(message, "UTF-8"), strings.Contains(message, "control characters are not allowed"):
		return "this is no text file"
	}
	return ""
}

// line returns a line of the file, from 1, without its end.
func (d Document) line(number int) (string, bool) {
	rest := d.data
	for range number - 1 {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return "", false
		}
		rest = rest[i+1:]
	}
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	// A line of a file made by a program may have megabytes.
	const longest = 4096
	if len(rest) > longest {
		rest = rest[:longest]
	}
	return strings.TrimSuffix(string(rest), "\r"), true
}

// Problem describes something wrong at a node.
func (d Document) Problem(at *yaml.Node, path, message string) Problem {
	if at == nil {
		return d.ProblemAt(1, 1, path, message)
	}
	return d.ProblemAt(at.Line, at.Column, path, message)
}

// ProblemAt describes something wrong at a line and column, from 1.
func (d Document) ProblemAt(line, column int, path, message string) Problem {
	p := Problem{File: d.Name, Line: line, Column: column, Path: printable(path), Message: printable(message)}
	if text, ok := d.line(line); ok && column <= len(text)+1 {
		p.Excerpt = printable(text)
	}
	return p
}

// expander copies a document with aliases and merge keys replaced by what they
// stand for, within the limits.
type expander struct {
	document Document
	limits   DocumentLimits
	nodes    int
	aliases  int  // how deep inside of aliases
	stopped  bool // a limit was hit
	problems Errors
}

func (e *expander) fail(at *yaml.Node, message string) {
	e.problems = append(e.problems, e.document.Problem(at, "", message))
	e.stopped = e.stopped || len(e.problems) == maxProblems
}

func (e *expander) expand(node *yaml.Node, depth int) *yaml.Node {
	if e.stopped {
		return nil
	}
	e.nodes++
	switch {
	case depth > e.limits.Depth:
		e.stopped = true
		e.fail(node, fmt.Sprintf("nested deeper than %d levels", e.limits.Depth))
		return nil
	case e.nodes > e.limits.Nodes:
		e.stopped = true
		e.fail(node, fmt.Sprintf("more than %d values, aliases expanded", e.limits.Nodes))
		return nil
	}
	switch node.Kind {
	case yaml.AliasNode:
		e.aliases++
		expanded := e.expand(node.Alias, depth+1)
		e.aliases--
		return expanded
	case yaml.MappingNode:
		return e.expandMapping(node, depth)
	case yaml.SequenceNode:
		out := shallow(node)
		for _, child := range node.Content {
			out.Content = append(out.Content, e.expand(child, depth+1))
		}
		return e.orNil(out)
	}
	return e.own(node)
}

// own returns a node that stands at one place only, which is the node itself unless
// an alias brought it.
func (e *expander) own(node *yaml.Node) *yaml.Node {
	if e.aliases == 0 {
		return node
	}
	return shallow(node)
}

func (e *expander) orNil(node *yaml.Node) *yaml.Node {
	if e.stopped {
		return nil
	}
	return node
}

func shallow(node *yaml.Node) *yaml.Node {
	out := *node
	out.Content = make([]*yaml.Node, 0, len(node.Content))
	out.Anchor = ""
	return &out
}

func (e *expander) expandMapping(node *yaml.Node, depth int) *yaml.Node {
	out := shallow(node)
	firstLine := make(map[string]int)
	var merges []*yaml.Node
	for i := 0; i+1 < len(node.Content) && !e.stopped; i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = e.expand(key, depth+1)
		}
		if key != nil {
			key = e.own(key)
		}
		if key == nil || key.Kind != yaml.ScalarNode {
			e.fail(node.Content[i], "a key must be plain text")
			continue
		}
		if key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		if line, seen := firstLine[key.Value]; seen {
			e.fail(key, fmt.Sprintf("duplicate key %q: it is already on line %d", key.Value, line))
			continue
		}
		firstLine[key.Value] = key.Line
		e.nodes++
		out.Content = append(out.Content, key, e.expand(value, depth+1))
	}
	for _, merge := range merges {
		e.merge(out, firstLine, merge, depth)
	}
	return e.orNil(out)
}

// merge adds the keys of the mapping, or of the mappings in the sequence, that
// out does not have yet.
func (e *expander) merge(out *yaml.Node, have map[string]int, source *yaml.Node, depth int) {
	expanded := e.expand(source, depth+1)
	if expanded == nil {
		return
	}
	sources := []*yaml.Node{expanded}
	if expanded.Kind == yaml.SequenceNode {
		sources = expanded.Content
	}
	if slices.ContainsFunc(sources, func(n *yaml.Node) bool { return n == nil || n.Kind != yaml.MappingNode }) {
		e.fail(source, "a merge key (<<) takes a mapping, or a list of mappings")
		return
	}
	for _, mapping := range sources {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			key := mapping.Content[i]
			if _, seen := have[key.Value]; seen {
				continue
			}
			have[key.Value] = key.Line
			out.Content = append(out.Content, key, mapping.Content[i+1])
		}
	}
}
