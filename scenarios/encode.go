package scenarios

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Encode writes the scenario as YAML in the spelling of the scenario file.
// Values that are zero are left out, unless the file that the scenario was read
// from spells them out; apiVersion and kind are always there. Decode reads the
// same scenario back.
func Encode(s Scenario) ([]byte, error) {
	s.APIVersion, s.Kind = cmp.Or(s.APIVersion, APIVersion), cmp.Or(s.Kind, Kind)
	root, err := s.node()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("writing scenario %q: %w", s.Metadata.Name, err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("writing scenario %q: %w", s.Metadata.Name, err)
	}
	return out.Bytes(), nil
}

// MarshalJSON writes the scenario with the names and spellings of the scenario
// file: durations as "50ms", rates as "5000/s", quantities as "300m".
func (s Scenario) MarshalJSON() ([]byte, error) {
	root, err := s.node()
	if err != nil {
		return nil, err
	}
	return appendJSON(nil, root)
}

// UnmarshalJSON reads a scenario as strictly as Decode. The places of its values
// are not kept, and Dir stays empty.
func (s *Scenario) UnmarshalJSON(data []byte) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil // by convention of encoding/json
	}
	document, err := readJSON(data)
	if err != nil {
		return fmt.Errorf("reading a scenario from JSON: %w", err)
	}
	decoded, err := decodeRoot(document, document.Root)
	if err != nil {
		return fmt.Errorf("reading a scenario from JSON: %w", err)
	}
	decoded.origin = decoded.origin.withoutPlaces()
	*s = *decoded
	return nil
}

// withoutPlaces keeps only which single values and lists were written as zero;
// nil when there are none.
func (o *origin) withoutPlaces() *origin {
	if len(o.zero) == 0 {
		return nil
	}
	return &origin{zero: o.zero}
}

func (s Scenario) node() (*yaml.Node, error) {
	n := noder{}
	if s.origin != nil {
		n.zero = s.origin.zero
	}
	return n.node(reflect.ValueOf(s), "")
}

// noder turns values into YAML nodes.
type noder struct {
	zero map[string]bool // paths that are written although they are zero
}

func (n noder) node(value reflect.Value, path string) (*yaml.Node, error) {
	switch {
	case value.Kind() == reflect.Pointer:
		return n.node(value.Elem(), path)
	case isScalarType(value.Type()):
		return scalarNode(value, path)
	case value.Kind() == reflect.Struct:
		return n.structNode(value, path)
	case value.Kind() == reflect.Map:
		return n.mapNode(value, path)
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for i := range value.Len() {
		item, err := n.node(value.Index(i), fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		list.Content = append(list.Content, item)
	}
	return list, nil
}

func (n noder) structNode(value reflect.Value, path string) (*yaml.Node, error) {
	mapping := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := range value.NumField() {
		key := value.Type().Field(i).Tag.Get("yaml")
		if key == "" || key == "-" || n.omitted(value, i, join(path, key)) {
			continue
		}
		child, err := n.node(value.Field(i), join(path, key))
		if err != nil {
			return nil, err
		}
		mapping.Content = append(mapping.Content, textNode(key), child)
	}
	return mapping, nil
}

// omitted tells whether a field is left out. An objective on errors keeps its
// ratio even when it is zero: without it nothing would be left of the objective.
func (n noder) omitted(parent reflect.Value, index int, path string) bool {
	value := parent.Field(index)
	if objective, ok := parent.Interface().(Objective); ok && value.Type() == reflect.TypeFor[Ratio]() && !objective.IsLatency() && objective.Quantile == 0 {
		return false
	}
	isEmpty := value.IsZero() || (value.Kind() == reflect.Slice || value.Kind() == reflect.Map) && value.Len() == 0
	return isEmpty && (!n.zero[path] || value.Kind() == reflect.Pointer)
}

func (n noder) mapNode(value reflect.Value, path string) (*yaml.Node, error) {
	mapping := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	texts, ok := value.Interface().(map[string]string)
	if !ok {
		return nil, fmt.Errorf("%s: a value of type %s cannot be written", path, value.Type())
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if !utf8.ValidString(key) || !utf8.ValidString(texts[key]) {
			return nil, fmt.Errorf("%s: text that is not UTF-8 cannot be written", join(path, key))
		}
		mapping.Content = append(mapping.Content, textNode(key), textNode(texts[key]))
	}
	return mapping, nil
}

func scalarNode(value reflect.Value, path string) (*yaml.Node, error) {
	text, err := scalarText(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%s: text that is not UTF-8 cannot be written", path)
	}
	isText := value.Kind() == reflect.String || value.Type() == reflect.TypeFor[time.Duration]()
	if _, ok := value.Interface().(encoding.TextMarshaler); ok || isText {
		return textNode(text), nil
	}
	switch value.Kind() {
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: text}, nil
	case reflect.Float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: numberTag(text), Value: text}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: text}, nil
}

// textNode is a piece of text. What a YAML reader would take for something else,
// or could not carry plainly, is quoted.
func textNode(text string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}

func numberTag(text string) string {
	if strings.ContainsAny(text, ".eE") {
		return "!!float"
	}
	return "!!int"
}

// appendJSON appends a node that holds no aliases, keys in their order.
func appendJSON(out []byte, node *yaml.Node) ([]byte, error) {
	var err error
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag != "!!str" {
			return append(out, node.Value...), nil
		}
		text, err := json.Marshal(node.Value)
		return append(out, text...), err
	case yaml.SequenceNode:
		out = append(out, '[')
		for i, item := range node.Content {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendJSON(out, item); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	}
	out = append(out, '{')
	for i, item := range node.Content {
		switch {
		case i%2 == 1:
			out = append(out, ':')
		case i > 0:
			out = append(out, ',')
		}
		if out, err = appendJSON(out, item); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// scalarText spells a single value as the scenario file does.
func scalarText(value reflect.Value) (string, error) {
	if marshaler, ok := value.Interface().(encoding.TextMarshaler); ok {
		text, err := marshaler.MarshalText()
		return string(text), err
	}
	if duration, ok := value.Interface().(time.Duration); ok {
		if duration < 0 {
			return "", fmt.Errorf("duration %s is negative", duration)
		}
		return durationText(duration), nil
	}
	switch value.Kind() {
	case reflect.String:
		return value.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(value.Bool()), nil
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(value.Int(), 10), nil
	case reflect.Uint64:
		return strconv.FormatUint(value.Uint(), 10), nil
	case reflect.Float64:
		x := value.Float()
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return "", fmt.Errorf("%v is not a number that can be written", x)
		}
		return strconv.FormatFloat(x, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("a value of type %s cannot be written", value.Type())
}

// spell is scalarText for messages.
func spell(value reflect.Value) string {
	text, err := scalarText(value)
	if err != nil {
		return fmt.Sprint(value.Interface())
	}
	return text
}

// durationText prints a duration without units that are zero: "1m" and "1h30m",
// not "1m0s" and "1h30m0s".
func durationText(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0 && d < time.Hour:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d%time.Minute == 0:
		return durationText(d.Truncate(time.Hour)) + durationText(d%time.Hour)
	}
	return d.String()
}
