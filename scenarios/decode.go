package scenarios

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// scenarioLimits are far above any scenario that a person writes.
func scenarioLimits() DocumentLimits {
	return DocumentLimits{FileBytes: 1 << 20, DocumentBytes: 1 << 20, Documents: 2, Depth: 32, Nodes: 50_000}
}

// Decode reads a scenario file strictly: unknown and duplicate keys, wrong types
// and wrong units are errors, all of them reported, each with its place. The
// error is of type Errors. Nothing is filled in and only single values are
// checked; Defaults and Validate do the rest.
//
// name is the file's path as the user gave it. It appears in messages, and file
// names inside the scenario are relative to its folder (Scenario.Dir).
func Decode(name string, data []byte) (*Scenario, error) {
	documents, err := ReadDocuments(name, data, scenarioLimits())
	if err != nil {
		return nil, err
	}
	whole := Document{Name: name, data: data}
	documents = slices.DeleteFunc(documents, func(d Document) bool { return d.Root == nil })
	switch {
	case len(documents) == 0:
		p := whole.ProblemAt(1, 1, "", "the scenario is empty")
		p.Hint = "`sailplan scenario init` writes an example"
		return nil, Errors{p}
	case len(documents) > 1:
		return nil, Errors{documents[1].Problem(documents[1].Root, "", "a second document: a file holds one scenario")}
	}
	s, err := decodeRoot(documents[0], documents[0].Root, "apiVersion", "kind")
	if err != nil {
		return nil, err
	}
	s.Dir = filepath.Dir(name)
	return s, nil
}

// decodeRoot reads a scenario in which the keys of the given names are required.
func decodeRoot(document Document, root *yaml.Node, required ...string) (*Scenario, error) {
	s := &Scenario{}
	d := decoder{
		document: document,
		fields:   fields(),
		origin:   &origin{document: document, at: make(map[string]place), zero: make(map[string]bool)},
	}
	d.decode(root, reflect.ValueOf(s).Elem(), "", field{})
	for _, key := range required {
		if _, written := d.origin.at[key]; !written && root.Kind == yaml.MappingNode {
			d.fail(root, key, "is missing", "write "+key+": "+d.fields["Scenario."+key].enum[0])
		}
	}
	if err := d.problems.orNil(); err != nil {
		return nil, err
	}
	s.origin = d.origin
	return s, nil
}

// origin remembers where a scenario's values were written. It never changes once
// decoding is done, so copies of a scenario share it.
type origin struct {
	document Document
	at       map[string]place
	zero     map[string]bool // paths that were written with a zero or empty value
}

// place is where a key and its value stand, lines and columns from 1.
type place struct {
	keyLine, keyColumn     int
	valueLine, valueColumn int
}

// decoder walks the nodes of a document along the types of the scenario.
type decoder struct {
	document Document
	fields   map[string]field
	origin   *origin
	problems Errors
}

func (d *decoder) fail(at *yaml.Node, path, message, hint string) {
	if len(d.problems) >= maxProblems {
		return
	}
	p := d.document.Problem(at, path, message)
	p.Hint = hint
	d.problems = append(d.problems, p)
}

// decode stores the node's value. path is that of the value, f what is known of
// its key.
func (d *decoder) decode(node *yaml.Node, value reflect.Value, path string, f field) {
	if isNull(node) {
		d.fail(node, path, "there is no value", nullHint(value.Type()))
		return
	}
	if value.Kind() == reflect.Pointer {
		value.Set(reflect.New(value.Type().Elem()))
		d.decode(node, value.Elem(), path, f)
		return
	}
	switch {
	case isScalarType(value.Type()):
		d.decodeScalar(node, value, path, f)
	case value.Kind() == reflect.Struct:
		d.decodeStruct(node, value, path)
	case value.Kind() == reflect.Slice:
		d.decodeSlice(node, value, path, f)
	case value.Kind() == reflect.Map:
		d.decodeMap(node, value, path)
	}
	if value.IsZero() || (value.Kind() == reflect.Slice && value.Len() == 0) {
		d.origin.zero[path] = true
	}
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

func nullHint(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return "write {} behind it to take all defaults, or remove the key"
	default:
		return "remove the key to take the default"
	}
}

func (d *decoder) decodeStruct(node *yaml.Node, value reflect.Value, path string) {
	if node.Kind != yaml.MappingNode {
		d.fail(node, path, "expected keys and values, found "+describe(node), "")
		return
	}
	keys := structKeys(value.Type())
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		index, known := keys[key.Value]
		if !known {
			d.unknownKey(key, path, slices.Sorted(maps.Keys(keys)))
			continue
		}
		childPath := join(path, key.Value)
		d.origin.at[childPath] = place{key.Line, key.Column, child.Line, child.Column}
		d.decode(child, value.Field(index), childPath, d.fields[value.Type().Name()+"."+key.Value])
	}
}

func (d *decoder) unknownKey(key *yaml.Node, path string, siblings []string) {
	hint := ""
	near, isNear := Nearest(key.Value, siblings)
	places := keysElsewhere()[key.Value]
	switch {
	case isNear && (len(places) == 0 || editDistance(strings.ToLower(key.Value), strings.ToLower(near)) <= 1):
		hint = fmt.Sprintf("did you mean %q?", near)
	case len(places) > 0:
		hint = fmt.Sprintf("%q belongs at %s", key.Value, strings.Join(places, " or "))
	default:
		hint = "known here: " + strings.Join(siblings, ", ")
	}
	d.fail(key, join(path, key.Value), "unknown key", hint)
}

func (d *decoder) decodeSlice(node *yaml.Node, value reflect.Value, path string, f field) {
	if node.Kind != yaml.SequenceNode {
		hint := "write a dash and a space before each item"
		if node.Kind == yaml.ScalarNode {
			hint = "write [" + node.Value + "]"
		}
		d.fail(node, path, "expected a list, found "+describe(node), hint)
		return
	}
	value.Set(reflect.MakeSlice(value.Type(), len(node.Content), len(node.Content)))
	for i, child := range node.Content {
		childPath := fmt.Sprintf("%s[%d]", path, i)
		d.origin.at[childPath] = place{child.Line, child.Column, child.Line, child.Column}
		d.decode(child, value.Index(i), childPath, f)
	}
}

// decodeMap reads text by text; the scenario has no other maps.
func (d *decoder) decodeMap(node *yaml.Node, value reflect.Value, path string) {
	if node.Kind != yaml.MappingNode {
		d.fail(node, path, "expected keys and values, found "+describe(node), "")
		return
	}
	value.Set(reflect.MakeMap(value.Type()))
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		childPath := join(path, key.Value)
		d.origin.at[childPath] = place{key.Line, key.Column, child.Line, child.Column}
		element := reflect.New(value.Type().Elem()).Elem()
		d.decode(child, element, childPath, field{})
		value.SetMapIndex(reflect.ValueOf(key.Value), element)
	}
}

func (d *decoder) decodeScalar(node *yaml.Node, value reflect.Value, path string, f field) {
	if node.Kind != yaml.ScalarNode {
		d.fail(node, path, "expected "+expected(value.Type())+", found "+describe(node), "")
		return
	}
	if err := setScalar(value, node.Value, node.ShortTag()); err != nil {
		d.fail(node, path, err.Error(), scalarHint(value.Type(), node))
		return
	}
	if message, hint := f.check(value); message != "" {
		d.fail(node, path, message, hint)
	}
}

// isScalarType tells the types that are written as one value.
func isScalarType(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return true
	}
	return false
}

// setScalar reads text, which the YAML reader took for a value of the type in
// tag (as in "!!str").
func setScalar(value reflect.Value, text, tag string) error {
	isNumber := tag == "!!int" || tag == "!!float"
	isText := tag == "!!str"
	if unmarshaler, ok := value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if !isNumber && !isText {
			return fmt.Errorf("expected %s, found %s", expected(value.Type()), printable(text))
		}
		return unmarshaler.UnmarshalText([]byte(text))
	}
	if value.Type() == reflect.TypeFor[time.Duration]() {
		duration, err := parseDuration(text)
		if err == nil && !isText {
			err = fmt.Errorf("expected %s, found %s", expected(value.Type()), text)
		}
		value.SetInt(int64(duration))
		return err
	}
	wrong := fmt.Errorf("expected %s, found %q", expected(value.Type()), printable(text))
	switch value.Kind() {
	case reflect.String:
		if !isText {
			return wrong
		}
		value.SetString(text)
	case reflect.Bool:
		if tag != "!!bool" {
			return wrong
		}
		value.SetBool(strings.EqualFold(text, "true"))
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 32)
		if tag != "!!int" || err != nil {
			return wrong
		}
		value.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		// The YAML reader takes what an int64 cannot hold for a float.
		if !isNumber || err != nil {
			return wrong
		}
		value.SetUint(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if !isNumber || err != nil || math.IsNaN(x) || math.IsInf(x, 0) || strings.ContainsAny(text, "xXpP_") {
			return wrong
		}
		value.SetFloat(x)
	}
	return nil
}

// parseDuration reads "50ms", "1m30s" or "2h"; ≥ 0.
func parseDuration(text string) (time.Duration, error) {
	duration, err := time.ParseDuration(text)
	if err != nil || !durationExpression.MatchString(text) {
		return 0, fmt.Errorf("expected a duration with its unit (ns, us, ms, s, m, h), found %q", printable(text))
	}
	return duration, nil
}

func expected(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Rate]():
		return "a rate such as 5000/s"
	case reflect.TypeFor[Bytes]():
		return "a size such as 512Mi"
	case reflect.TypeFor[CPU]():
		return "cores such as 500m or 2"
	case reflect.TypeFor[Ratio]():
		return "a share such as 20% or 0.2"
	case reflect.TypeFor[Portion]():
		return "a number of replicas or a share such as 1 or 25%"
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 50ms"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "text"
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(node.Value)
}

// scalarHint says how the value would be written where that can be guessed.
func scalarHint(t reflect.Type, node *yaml.Node) string {
	text := node.Value
	isPlainNumber := isPlainDecimal(text)
	switch {
	case t == reflect.TypeFor[Rate]() && isPlainNumber:
		return "write " + text + "/s for a rate per second"
	case t == reflect.TypeFor[time.Duration]() && isPlainNumber:
		return "write " + text + "s for seconds, " + text + "ms for milliseconds"
	case t == reflect.TypeFor[time.Duration]() && strings.HasSuffix(text, "d"):
		return "days are written in hours: 24h"
	case t == reflect.TypeFor[Bytes]() && (strings.HasSuffix(text, "B") || strings.HasSuffix(text, "b")):
		return "Kubernetes quantities have no B: write Ki, Mi, Gi (powers of 1024) or k, M, G (powers of 1000)"
	case t == reflect.TypeFor[Bytes]() && strings.HasSuffix(text, "m"):
		return "m means a thousandth of a byte; write Mi or M"
	case t.Kind() == reflect.String && node.ShortTag() != "!!str":
		return "put it in quotes: " + strconv.Quote(text)
	case t.Kind() == reflect.Bool:
		return "write true or false, without quotes"
	case t.Kind() == reflect.Int && isPlainNumber, t.Kind() == reflect.Float64 && isPlainNumber:
		if node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			return "write the number without quotes"
		}
	}
	return ""
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func scenarioType() reflect.Type { return reflect.TypeFor[Scenario]() }

// structKeys returns the index of the field for each key.
func structKeys(t reflect.Type) map[string]int {
	keys := make(map[string]int)
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" && key != "-" {
			keys[key] = i
		}
	}
	return keys
}

// eachKey calls visit for every key below t, lists written as "requests[]".
func eachKey(path string, t reflect.Type, visit func(path, key string)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			path += "[]"
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || isScalarType(t) {
		return
	}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" && key != "-" {
			visit(join(path, key), key)
			eachKey(join(path, key), t.Field(i).Type, visit)
		}
	}
}
