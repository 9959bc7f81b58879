package mesh

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sailplan-io/sailplan/scenarios"
)

// strict walks the nodes of a spec along the descriptor of its protobuf message
// and reports what does not fit. It accepts what the Kubernetes API server
// accepts for the object: JSON names of fields, enums by name, numbers without
// quotes, durations as Go writes them.
type strict struct {
	parser   *parser
	document scenarios.Document
}

// ancestor is a message around the one that is being read.
type ancestor struct {
	path    string
	message protoreflect.MessageDescriptor
}

func (s strict) fail(at *yaml.Node, path, hint, format string, args ...any) {
	s.parser.fail(s.document, at, path, hint, format, args...)
}

func (s strict) message(node *yaml.Node, message protoreflect.MessageDescriptor, path string, around []ancestor) {
	if s.wellKnown(node, message, path) {
		return
	}
	if node.Kind != yaml.MappingNode {
		s.fail(node, path, "", "expected fields and values, found %s", describe(node))
		return
	}
	around = append(slices.Clip(around), ancestor{path, message})
	oneofs := make(map[protoreflect.FullName]string)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field := message.Fields().ByJSONName(key.Value)
		if field == nil {
			s.fail(key, join(path, key.Value), unknownHint(key.Value, around), unknownField)
			continue
		}
		if isNull(value) {
			continue
		}
		if oneof := field.ContainingOneof(); oneof != nil {
			if first, seen := oneofs[oneof.FullName()]; seen {
				s.fail(key, join(path, key.Value), "", "only one of %s and %s can be given", first, key.Value)
			}
			oneofs[oneof.FullName()] = key.Value
		}
		s.field(value, field, join(path, key.Value), around)
	}
}

// unknownHint looks for the field that was meant: a similar name in the same
// message, or the same name in a message near by.
func unknownHint(name string, around []ancestor) string {
	here := around[len(around)-1].message
	var names []string
	for i := range here.Fields().Len() {
		names = append(names, here.Fields().Get(i).JSONName())
	}
	near, isNear := scenarios.Nearest(name, names)
	if isNear && strings.EqualFold(strings.ReplaceAll(name, "_", ""), near) {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, a := range slices.Backward(around) {
		if found := findBelow(a.message, name, 4); found != "" {
			return fmt.Sprintf("%q belongs at %s", name, join(a.path, found))
		}
	}
	if isNear {
		return fmt.Sprintf("did you mean %q?", near)
	}
	slices.Sort(names)
	return "known here: " + strings.Join(names, ", ")
}

// findBelow returns the path of the field with the name below a message, at most
// depth levels down, the least deep one first.
func findBelow(message protoreflect.MessageDescriptor, name string, depth int) string {
	if message.Fields().ByJSONName(name) != nil {
		return name
	}
	best := ""
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if depth == 0 || field.Message() == nil || field.IsMap() {
			continue
		}
		below := findBelow(field.Message(), name, depth-1)
		if below == "" {
			continue
		}
		path := field.JSONName() + "." + below
		if best == "" || strings.Count(path, ".") < strings.Count(best, ".") {
			best = path
		}
	}
	return best
}

func (s strict) field(node *yaml.Node, field protoreflect.FieldDescriptor, path string, around []ancestor) {
	switch {
	case field.IsMap():
		if node.Kind != yaml.MappingNode {
			s.fail(node, path, "", "expected keys and values, found %s", describe(node))
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			s.value(node.Content[i+1], field.MapValue(), join(path, node.Content[i].Value), around)
		}
	case field.IsList():
		if node.Kind != yaml.SequenceNode {
			s.fail(node, path, "write a dash and a space before each item", "expected a list, found %s", describe(node))
			return
		}
		for i, item := range node.Content {
			s.value(item, field, fmt.Sprintf("%s[%d]", path, i), around)
		}
	default:
		s.value(node, field, path, around)
	}
}

// value checks a single value, whatever the cardinality of its field.
func (s strict) value(node *yaml.Node, field protoreflect.FieldDescriptor, path string, around []ancestor) {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		s.message(node, field.Message(), path, around)
	case protoreflect.EnumKind:
		s.enum(node, field.Enum(), path)
	default:
		s.scalar(node, field.Kind(), path)
	}
}

func (s strict) enum(node *yaml.Node, enum protoreflect.EnumDescriptor, path string) {
	var names []string
	for i := range enum.Values().Len() {
		names = append(names, string(enum.Values().Get(i).Name()))
	}
	if node.Kind == yaml.ScalarNode && slices.Contains(names, node.Value) {
		return
	}
	hint := "one of " + strings.Join(names, ", ")
	if near, ok := scenarios.Nearest(node.Value, names); ok {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	s.fail(node, path, hint, "%s is not a value of this field", describe(node))
}

func (s strict) scalar(node *yaml.Node, kind protoreflect.Kind, path string) {
	if node.Kind != yaml.ScalarNode {
		s.fail(node, path, "", "expected %s, found %s", kindName(kind), describe(node))
		return
	}
	tag, text := node.ShortTag(), node.Value
	var err error
	ok := true
	switch kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		ok = tag == "!!str"
	case protoreflect.BoolKind:
		ok = tag == "!!bool"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		var x float64
		x, err = strconv.ParseFloat(text, 64)
		ok = (tag == "!!int" || tag == "!!float") && err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		ok = isInteger(node, -1<<31, 1<<31-1)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		ok = isInteger(node, 0, 1<<32-1)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		ok = isInteger(node, math.MinInt64, math.MaxInt64)
	default:
		ok = isInteger(node, 0, math.MaxInt64)
	}
	if ok {
		return
	}
	hint := ""
	switch {
	case kind == protoreflect.StringKind:
		hint = fmt.Sprintf("put it in quotes: %q", text)
	case tag == "!!str" && node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		hint = "write it without quotes"
	}
	s.fail(node, path, hint, "expected %s, found %s", kindName(kind), describe(node))
}

func isInteger(node *yaml.Node, least, most int64) bool {
	n, err := strconv.ParseInt(node.Value, 10, 64)
	return node.ShortTag() == "!!int" && err == nil && n >= least && n <= most
}

func kindName(kind protoreflect.Kind) string {
	switch kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return "text"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "a whole number up to 2147483647"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "a whole number from 0 to 4294967295"
	}
	return "a whole number"
}

// wellKnown checks the messages that are written as one value, and reports
// whether the message is one of them.
func (s strict) wellKnown(node *yaml.Node, message protoreflect.MessageDescriptor, path string) bool {
	switch message.FullName() {
	case "google.protobuf.Duration":
		if _, err := duration(node); err != nil {
			s.fail(node, path, "write for instance 30s, 1m or 500ms", "%s", err.Error())
		}
	case "google.protobuf.UInt32Value", "google.protobuf.Int32Value", "google.protobuf.UInt64Value", "google.protobuf.Int64Value",
		"google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.BoolValue", "google.protobuf.StringValue":
		s.scalar(node, message.Fields().ByName("value").Kind(), path)
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.Any", "google.protobuf.ListValue", "google.protobuf.Timestamp":
		// Any content is allowed.
	default:
		return false
	}
	return true
}

// duration reads a duration as the API server does.
func duration(node *yaml.Node) (time.Duration, error) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" {
		return 0, fmt.Errorf("expected a duration with its unit, found %s", describe(node))
	}
	d, err := time.ParseDuration(node.Value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("expected a duration with its unit, found %s", describe(node))
	}
	return d, nil
}
