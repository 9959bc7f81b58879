package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// commentWidth is how long the lines of a comment get.
const commentWidth = 96

// render writes an object as YAML with its comments.
func render(o object, header []string) ([]byte, error) {
	data, err := json.Marshal(o.value)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("reading back: %w", err)
	}
	delete(fields, "status") // is the cluster's to write
	prune(fields)
	data, err = json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	data, err = sigsyaml.JSONToYAML(data)
	if err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("reading YAML back: %w", err)
	}
	for _, c := range o.comments {
		if err := annotate(document.Content[0], c); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	for _, line := range header {
		for _, wrapped := range wrap(line) {
			out.WriteString("# " + wrapped + "\n")
		}
	}
	if first := document.Content[0].Content; len(first) > 0 && first[0].HeadComment != "" {
		out.WriteString("\n") // it would look like a part of the header
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return out.Bytes(), nil
}

// prune removes what the API types write though it was never set: null, and
// objects and lists without content. In a patch a null would delete the field.
func prune(value any) (empty bool) {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		for name, field := range v {
			if prune(field) {
				delete(v, name)
			}
		}
		return len(v) == 0
	case []any:
		for _, item := range v {
			prune(item)
		}
		return len(v) == 0
	}
	return false
}

// annotate puts a comment above the field at its path. A path that is not there
// is an error, so that no reason is lost when an object changes.
func annotate(node *yaml.Node, c comment) error {
	text := strings.Join(wrap(c.text), "\n")
	if text == "" {
		return nil
	}
	at := node
	if c.path != "" {
		for _, name := range strings.Split(c.path, "/") {
			key, value, err := child(node, strings.ReplaceAll(name, "~1", "/"))
			if err != nil {
				return fmt.Errorf("comment on %s: %w", c.path, err)
			}
			at, node = key, value
		}
	}
	at.HeadComment = text
	return nil
}

// child returns the node that a comment on a field stands above, and the value
// of the field.
func child(node *yaml.Node, name string) (key, value *yaml.Node, err error) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i], node.Content[i+1], nil
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i], nil
		}
	}
	return nil, nil, fmt.Errorf("there is no %q", name)
}

// wrap returns text as lines for a comment. Control characters and line breaks
// in it, which would end the comment, are gone.
func wrap(text string) []string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\ufeff', r == '\ufffe', r == '\uffff':
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
	var lines []string
	for word := range strings.FieldsSeq(clean) {
		last := len(lines) - 1
		if last >= 0 && utf8.RuneCountInString(lines[last])+1+utf8.RuneCountInString(word) <= commentWidth {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return slices.Clip(lines)
}
