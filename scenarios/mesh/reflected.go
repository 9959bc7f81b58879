package mesh

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sailplan-io/sailplan/scenarios"
)

// metadata is the metadata of any object.
type metadata = metav1.ObjectMeta

// reflected walks the nodes of an object along its Go type, by the names that
// its fields have in JSON. It is to Kubernetes' kinds what strict is to Istio's,
// whose messages may lie inside.
type reflected struct{ strict }

// outer is an object around the one that is being read.
type outer struct {
	path  string
	shape reflect.Type
}

func (r reflected) value(node *yaml.Node, t reflect.Type, path string, around []outer) {
	if node == nil || isNull(node) || r.special(node, t, path) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		r.value(node, t.Elem(), path, around)
	case reflect.Struct:
		r.object(node, t, path, around)
	case reflect.Slice, reflect.Array:
		r.list(node, t, path, around)
	case reflect.Map:
		if node.Kind != yaml.MappingNode {
			r.fail(node, path, "", "expected keys and values, found %s", describe(node))
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			r.value(node.Content[i+1], t.Elem(), join(path, node.Content[i].Value), around)
		}
	case reflect.String:
		r.scalar(node, protoreflect.StringKind, path)
	case reflect.Bool:
		r.scalar(node, protoreflect.BoolKind, path)
	case reflect.Float32, reflect.Float64:
		r.scalar(node, protoreflect.DoubleKind, path)
	case reflect.Int32, reflect.Int16, reflect.Int8:
		r.scalar(node, protoreflect.Int32Kind, path)
	case reflect.Uint32, reflect.Uint16:
		r.scalar(node, protoreflect.Uint32Kind, path)
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Uint8:
		r.scalar(node, protoreflect.Int64Kind, path)
	default:
		// An interface takes anything.
	}
}

// writing is how the values of a type are written.
type writing int

const (
	plain     writing = iota // as their Go type
	quantity                 // as 500m
	intOrText                // as 8080, or as http
	message                  // as a message of Istio's
	ownWay                   // as the type itself reads it, which may be anything
)

// shape is what reading needs to know of a type, found out once.
type shape struct {
	writing writing
	message protoreflect.MessageDescriptor
	fields  map[string]reflect.Type // of a struct, by the names in JSON; found out when asked for
}

// shapes are those of the types that were met.
type shapes struct{ known map[reflect.Type]*shape }

func (all *shapes) of(t reflect.Type) *shape {
	if known := all.known[t]; known != nil {
		return known
	}
	s, pointer := &shape{}, reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[resource.Quantity]():
		s.writing = quantity
	case t == reflect.TypeFor[intstr.IntOrString]():
		s.writing = intOrText
	case pointer.Implements(reflect.TypeFor[proto.Message]()):
		s.writing = ownWay
		if m, ok := reflect.New(t).Interface().(proto.Message); ok {
			s.writing, s.message = message, m.ProtoReflect().Descriptor()
		}
	case t.Kind() == reflect.Struct && pointer.Implements(reflect.TypeFor[json.Unmarshaler]()):
		s.writing = ownWay
	}
	all.known[t] = s
	return s
}

// special reads the types that are written in a way of their own, and reports
// whether the type is one of them.
func (r reflected) special(node *yaml.Node, t reflect.Type, path string) bool {
	s := r.parser.shapes.of(t)
	switch s.writing {
	case quantity:
		if node.Kind != yaml.ScalarNode {
			r.fail(node, path, "", "expected a quantity, found %s", describe(node))
		} else if _, err := resource.ParseQuantity(node.Value); err != nil {
			r.fail(node, path, "write for instance 500m, 2, 512Mi or 1Gi", "expected a quantity, found %s", describe(node))
		}
	case intOrText:
		if node.Kind != yaml.ScalarNode {
			r.fail(node, path, "", "expected a number or text, found %s", describe(node))
		}
	case message:
		r.message(node, s.message, path, nil)
	}
	return s.writing != plain
}

func (r reflected) list(node *yaml.Node, t reflect.Type, path string, around []outer) {
	if t.Elem().Kind() == reflect.Uint8 {
		r.scalar(node, protoreflect.StringKind, path)
		return
	}
	if node.Kind != yaml.SequenceNode {
		r.fail(node, path, "write a dash and a space before each item", "expected a list, found %s", describe(node))
		return
	}
	for i, item := range node.Content {
		r.value(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i), around)
	}
}

func (r reflected) object(node *yaml.Node, t reflect.Type, path string, around []outer) {
	if node.Kind != yaml.MappingNode {
		r.fail(node, path, "", "expected fields and values, found %s", describe(node))
		return
	}
	around = append(slices.Clip(around), outer{path, t})
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field := r.parser.shapes.fieldsOf(t)[key.Value]
		if field == nil {
			r.fail(key, join(path, key.Value), r.unknownFieldHint(key.Value, around), unknownField)
			continue
		}
		r.value(value, field, join(path, key.Value), around)
	}
}

// fieldsOf returns the types of a struct's fields by their names in JSON.
func (all *shapes) fieldsOf(t reflect.Type) map[string]reflect.Type {
	shape := all.of(t)
	if shape.fields == nil {
		shape.fields = map[string]reflect.Type{}
		addFields(shape.fields, t)
	}
	return shape.fields
}

// addFields adds the fields of a struct by their names in JSON, but for names that
// are there already: of two the outer one counts.
func addFields(fields map[string]reflect.Type, t reflect.Type) {
	var inlined []reflect.Type
	for i := range t.NumField() {
		field := t.Field(i)
		name, inline := jsonName(field)
		switch {
		case inline:
			inlined = append(inlined, structOf(field.Type))
		case name != "" && fields[name] == nil:
			fields[name] = field.Type
		}
	}
	for _, inner := range inlined {
		addFields(fields, inner)
	}
}

// jsonName returns the name of a field in JSON, empty when it has none, and
// whether the fields of the field's type take its place.
func jsonName(field reflect.StructField) (name string, inline bool) {
	tag, tagged := field.Tag.Lookup("json")
	name, options, _ := strings.Cut(tag, ",")
	switch {
	case name == "-" || !field.IsExported() && !field.Anonymous:
		return "", false
	case name == "" && (field.Anonymous || strings.Contains(options, "inline")) && structOf(field.Type).Kind() == reflect.Struct:
		return "", true
	case name == "" && !tagged:
		return field.Name, false
	}
	return name, false
}

func structOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// unknownFieldHint looks for the field that was meant, as unknownHint does.
func (r reflected) unknownFieldHint(name string, around []outer) string {
	here := around[len(around)-1].shape
	names := slices.Sorted(maps.Keys(r.parser.shapes.fieldsOf(here)))
	near, isNear := scenarios.Nearest(name, names)
	if isNear && strings.EqualFold(strings.NewReplacer("_", "", "-", "").Replace(name), near) {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, a := range slices.Backward(around) {
		if found := r.parser.shapes.below(a.shape, name, 4); found != "" {
			return fmt.Sprintf("%q belongs at %s", name, join(a.path, found))
		}
	}
	if isNear {
		return fmt.Sprintf("did you mean %q?", near)
	}
	const most = 20
	if len(names) > most {
		names = append(names[:most:most], "…")
	}
	return "known here: " + strings.Join(names, ", ")
}

// below returns the path of the field with the name below a struct, at most
// depth levels down, the least deep one first; lists are not looked into.
func (all *shapes) below(t reflect.Type, name string, depth int) string {
	t = structOf(t)
	if depth < 0 || t.Kind() != reflect.Struct || all.of(t).writing == message {
		return ""
	}
	fields := all.fieldsOf(t)
	if fields[name] != nil {
		return name
	}
	best := ""
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key == "status" {
			continue
		}
		below := all.below(fields[key], name, depth-1)
		if below != "" && (best == "" || strings.Count(below, ".")+1 < strings.Count(best, ".")) {
			best = key + "." + below
		}
	}
	return best
}
