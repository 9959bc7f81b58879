package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// readJSON reads one JSON value as a document. The YAML reader would not do: it
// does not know JSON's surrogate pairs.
func readJSON(data []byte) (Document, error) {
	limits := scenarioLimits()
	document := Document{data: data}
	if len(data) > limits.FileBytes {
		return document, fmt.Errorf("%s are more than the limit of %s", size(len(data)), size(limits.FileBytes))
	}
	r := jsonReader{decoder: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1, limits: limits}
	r.decoder.UseNumber()
	node, err := r.value(0)
	if err != nil {
		return document, err
	}
	e := expander{document: document, limits: limits}
	document.Root = e.expand(node, 0)
	return document, e.problems.orNil()
}

// jsonReader builds nodes from tokens and keeps count of lines.
type jsonReader struct {
	decoder *json.Decoder
	data    []byte
	limits  DocumentLimits
	at      int // offset up to which lines are counted
	line    int
	column  int // characters of the line before at
}

func (r *jsonReader) token() (json.Token, *yaml.Node, error) {
	start := int(r.decoder.InputOffset())
	token, err := r.decoder.Token()
	if err != nil {
		return nil, nil, err
	}
	for start < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[start]) >= 0 {
		start++
	}
	if r.at < start {
		passed := r.data[r.at:start]
		if lines := bytes.Count(passed, []byte{'\n'}); lines > 0 {
			r.line, r.column = r.line+lines, 0
			passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
		}
		// A token does not begin within a character.
		r.column += utf8.RuneCount(passed)
		r.at = start
	}
	return token, &yaml.Node{Line: r.line, Column: 1 + r.column}, nil
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > r.limits.Depth {
		return nil, fmt.Errorf("nested deeper than %d levels", r.limits.Depth)
	}
	token, node, err := r.token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		if t == '{' {
			node.Kind, node.Tag = yaml.MappingNode, "!!map"
		}
		// Inside an object, the tokens alternate between keys and values.
		for r.decoder.More() {
			child, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		_, _, err := r.token()
		return node, err
	case string:
		node.Tag, node.Value = "!!str", t
	case json.Number:
		node.Tag, node.Value = numberTag(t.String()), t.String()
	case bool:
		node.Tag, node.Value = "!!bool", strconv.FormatBool(t)
	default:
		node.Tag, node.Value = "!!null", "null"
	}
	node.Kind = yaml.ScalarNode
	return node, nil
}
