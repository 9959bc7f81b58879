package scenarios

import (
	"encoding/json"
	"reflect"
	"strconv"
	"time"
)

// schemaID names the schema; it is not an address to load it from.
const schemaID = "https://sailplan.io/schemas/v1/scenario.json"

// schema is the part of JSON Schema (draft 2020-12) that describes a scenario.
// The order of the fields is that of the output.
type schema struct {
	Schema               string              `json:"$schema,omitempty"`
	ID                   string              `json:"$id,omitempty"`
	Title                string              `json:"title,omitempty"`
	Description          string              `json:"description,omitempty"`
	Ref                  string              `json:"$ref,omitempty"`
	Type                 any                 `json:"type,omitempty"`
	Enum                 []string            `json:"enum,omitempty"`
	Pattern              string              `json:"pattern,omitempty"`
	Minimum              *json.Number        `json:"minimum,omitempty"`
	ExclusiveMinimum     *json.Number        `json:"exclusiveMinimum,omitempty"`
	Maximum              *json.Number        `json:"maximum,omitempty"`
	ExclusiveMaximum     *json.Number        `json:"exclusiveMaximum,omitempty"`
	MinItems             int                 `json:"minItems,omitempty"`
	Default              any                 `json:"default,omitempty"`
	Examples             []any               `json:"examples,omitempty"`
	Items                *schema             `json:"items,omitempty"`
	Required             []string            `json:"required,omitempty"`
	Properties           map[string]*schema  `json:"properties,omitempty"`
	AdditionalProperties any                 `json:"additionalProperties,omitempty"`
	OneOf                []*schema           `json:"oneOf,omitempty"`
	AnyOf                []*schema           `json:"anyOf,omitempty"`
	DependentRequired    map[string][]string `json:"dependentRequired,omitempty"`
	Definitions          map[string]*schema  `json:"$defs,omitempty"`
}

// Schema returns the JSON Schema (draft 2020-12) of the scenario file, for
// editors and other tools. It is made from the types and the field table that
// the decoder uses. What needs more than one key to tell, as that a target off
// loopback needs guards.maxRate, only Validate checks.
func Schema() []byte {
	b := schemaBuilder{fields: fields(), definitions: make(map[string]*schema)}
	root := b.object(scenarioType())
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.ID = schemaID
	root.Title = "sailplan scenario"
	root.Description = "What to load, how, what must hold meanwhile, and what to plan for."
	root.OneOf = []*schema{{Required: []string{"target"}}, {Required: []string{"lab"}}}
	root.Definitions = b.definitions
	b.combinations()
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil // texts, numbers and maps of them can always be written
	}
	return append(text, '\n')
}

type schemaBuilder struct {
	fields      map[string]field
	definitions map[string]*schema
}

// combinations adds what the schema can tell about keys that belong together.
func (b schemaBuilder) combinations() {
	b.definitions["Objective"].OneOf = []*schema{{Required: []string{"quantile", "latency"}}, {Required: []string{"errorRatio"}}}
	b.definitions["TLS"].DependentRequired = map[string][]string{"certFile": {"keyFile"}, "keyFile": {"certFile"}}
	b.definitions["Request"].AnyOf = oneKey("path", "grpc")
	b.definitions["Auth"].OneOf = oneKey("tokenFile", "exec", "oauth2ClientCredentials")
	b.definitions["Shape"].OneOf = oneKey("ramp", "steps", "spike", "sine", "replay")
	b.definitions["Replay"].OneOf = oneKey("file", "query")
	b.definitions["LatencyShape"].DependentRequired = map[string][]string{"median": {"p99"}, "p99": {"median"}}
}

// oneKey is a choice between keys.
func oneKey(keys ...string) []*schema {
	choice := make([]*schema, len(keys))
	for i, key := range keys {
		choice[i] = &schema{Required: []string{key}}
	}
	return choice
}

func (b schemaBuilder) object(t reflect.Type) *schema {
	out := &schema{Type: "object", Properties: make(map[string]*schema), AdditionalProperties: false}
	for key, index := range sortedKeys(t) {
		f := b.fields[t.Name()+"."+key]
		if f.required {
			out.Required = append(out.Required, key)
		}
		property := b.value(t.Field(index).Type, f)
		property.Description = f.text
		out.Properties[key] = property
	}
	return out
}

func (b schemaBuilder) value(t reflect.Type, f field) *schema {
	switch {
	case t.Kind() == reflect.Pointer:
		return b.value(t.Elem(), f)
	case isScalarType(t):
		return scalarSchema(t, f)
	case t.Kind() == reflect.Slice:
		item := f
		item.initial, item.text = "", ""
		list := &schema{Type: "array", Items: b.value(t.Elem(), item)}
		if t.Elem() == reflect.TypeFor[Request]() || t.Elem() == reflect.TypeFor[Objective]() {
			list.MinItems = 1
		}
		return list
	case t.Kind() == reflect.Map:
		return &schema{Type: "object", AdditionalProperties: &schema{Type: "string"}}
	}
	if _, done := b.definitions[t.Name()]; !done {
		b.definitions[t.Name()] = nil // against endless recursion, should a type ever contain itself
		b.definitions[t.Name()] = b.object(t)
	}
	return &schema{Ref: "#/$defs/" + t.Name()}
}

func scalarSchema(t reflect.Type, f field) *schema {
	out := &schema{Type: "string", Enum: f.enum, Pattern: f.pattern}
	switch {
	case t == reflect.TypeFor[Rate]():
		out.Pattern = ratePattern
	case t == reflect.TypeFor[time.Duration]():
		out.Pattern = durationPattern
	case t == reflect.TypeFor[Bytes]():
		out = quantitySchema(bytesPattern, "integer")
	case t == reflect.TypeFor[CPU]():
		out = quantitySchema(cpuPattern, "number")
	case t == reflect.TypeFor[Portion]():
		out = quantitySchema(portionPattern, "integer")
	case t == reflect.TypeFor[Ratio]():
		out = quantitySchema(ratioPattern, "number")
		out.AnyOf[1].setBounds(f)
	case t.Kind() == reflect.Bool:
		out.Type = "boolean"
	case t.Kind() == reflect.Float64:
		out.Type = "number"
		out.setBounds(f)
	case t.Kind() == reflect.Int, t.Kind() == reflect.Uint64:
		out.Type = "integer"
		out.setBounds(f)
		if t.Kind() == reflect.Uint64 && out.Minimum == nil {
			out.Minimum = number("0")
		}
	}
	if f.initial != "" {
		out.Default = example(t, f.initial)
	}
	for _, text := range f.examples {
		out.Examples = append(out.Examples, example(t, text))
	}
	return out
}

// quantitySchema describes a value that is written as text with a unit or as a
// plain number.
func quantitySchema(pattern, plain string) *schema {
	return &schema{AnyOf: []*schema{{Type: "string", Pattern: pattern}, {Type: plain, Minimum: number("0")}}}
}

func (s *schema) setBounds(f field) {
	for _, b := range []struct {
		text string
		into **json.Number
	}{{f.least, &s.Minimum}, {f.above, &s.ExclusiveMinimum}, {f.most, &s.Maximum}, {f.below, &s.ExclusiveMaximum}} {
		if b.text != "" {
			*b.into = number(b.text)
		}
	}
	if s.ExclusiveMinimum != nil {
		s.Minimum = nil
	}
}

// example returns a default or example as the kind of JSON value that the key
// takes.
func example(t reflect.Type, text string) any {
	_, err := strconv.ParseFloat(text, 64)
	isNumber := t.Kind() == reflect.Int || t.Kind() == reflect.Uint64 || t.Kind() == reflect.Float64
	if err == nil && isNumber {
		return json.Number(text)
	}
	return text
}

func number(text string) *json.Number {
	n := json.Number(text)
	return &n
}
