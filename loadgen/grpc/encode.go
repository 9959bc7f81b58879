package grpc

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Encoder turns messages in JSON into the bytes of a call's body. It belongs to
// one goroutine. A message costs some microseconds and some allocations, so
// messages that don't change are encoded once, by Method.Request.
type Encoder struct {
	method  *Method
	message *dynamicpb.Message
	json    protojson.UnmarshalOptions
	wire    proto.MarshalOptions
}

// Encoder returns an encoder of the method's request messages.
func (m *Method) Encoder() *Encoder {
	return &Encoder{
		method:  m,
		message: dynamicpb.NewMessage(m.descriptor.Input()),
		json:    protojson.UnmarshalOptions{Resolver: m.types},
		wire:    proto.MarshalOptions{Deterministic: true},
	}
}

// Append appends a message to out, with its prefix: a byte for "not compressed"
// and the length. The message is JSON by the mapping of protobuf; none is a
// message without fields. What is not in the message's type is an error that
// names the place, the type, and the field that may have been meant.
func (e *Encoder) Append(out, message []byte) ([]byte, error) {
	proto.Reset(e.message)
	if len(bytes.TrimSpace(message)) > 0 {
		if err := e.json.Unmarshal(message, e.message); err != nil {
			return out, fmt.Errorf("message of %s: %w", e.method.name, e.explain(message, err))
		}
	}
	start := len(out)
	out = append(out, 0, 0, 0, 0, 0)
	out, err := e.wire.MarshalAppend(out, e.message)
	if err != nil {
		return out[:start], fmt.Errorf("message of %s: %s", e.method.name, plain(err))
	}
	length := len(out) - start - prefixSize
	if uint64(length) > math.MaxUint32 {
		return out[:start], fmt.Errorf("message of %s: %d bytes do not fit into a call", e.method.name, length)
	}
	binary.BigEndian.PutUint32(out[start+1:], uint32(length))
	return out, nil
}

// explain says what is wrong with a message that could not be read.
func (e *Encoder) explain(message []byte, err error) error {
	var value any
	if json.Unmarshal(message, &value) == nil {
		if unknown := unknownField("", value, e.method.descriptor.Input()); unknown != nil {
			return unknown
		}
	}
	return fmt.Errorf("%s is expected: %s", e.method.descriptor.Input().FullName(), plain(err))
}

// unknownField looks for a field that is not in a message's type.
func unknownField(path string, value any, of protoreflect.MessageDescriptor) error {
	object, is := value.(map[string]any)
	if !is || ownJSON(of.FullName()) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if strings.HasPrefix(name, "[") { // an extension
			continue
		}
		field := of.Fields().ByJSONName(name)
		if field == nil {
			field = of.Fields().ByTextName(name)
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		if field == nil {
			var names []string
			for i := range of.Fields().Len() {
				names = append(names, of.Fields().Get(i).JSONName())
			}
			return fmt.Errorf("%s: %s has no field %q: %s", at, of.FullName(), name, suggest(name, names))
		}
		if err := unknownIn(at, object[name], field); err != nil {
			return err
		}
	}
	return nil
}

// unknownIn looks into the value of a field.
func unknownIn(at string, value any, field protoreflect.FieldDescriptor) error {
	if field.IsMap() {
		entries, _ := value.(map[string]any)
		if field.MapValue().Message() == nil {
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			if err := unknownField(fmt.Sprintf("%s[%q]", at, key), entries[key], field.MapValue().Message()); err != nil {
				return err
			}
		}
		return nil
	}
	if field.Message() == nil {
		return nil
	}
	if list, is := value.([]any); is && field.IsList() {
		for i := range list {
			if err := unknownField(fmt.Sprintf("%s[%d]", at, i), list[i], field.Message()); err != nil {
				return err
			}
		}
		return nil
	}
	return unknownField(at, value, field.Message())
}

// ownJSON reports whether the JSON of a type does not consist of its fields.
func ownJSON(name protoreflect.FullName) bool {
	switch name {
	case "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value":
		return true
	}
	return false
}
