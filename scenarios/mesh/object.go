package mesh

import (
	"bytes"
	_ "embed" // for the default policy
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	networkingv1 "istio.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sailplan-io/sailplan/scenarios"
)

//go:embed default-policy.yaml
var defaultPolicy []byte

// DefaultPolicy returns the YAML of the usual production DestinationRule, which
// the lab uses when the scenario names none.
func DefaultPolicy() []byte { return bytes.Clone(defaultPolicy) }

// KindDestinationRule is the kind of object whose spec Parse reads.
const KindDestinationRule = "DestinationRule"

// Object is one Kubernetes object of a file.
type Object struct {
	APIVersion string
	Kind       string
	Namespace  string // as written; empty when left out
	Name       string
	File       string
	Line       int              // where the object starts
	Note       string           // why the object was skipped; empty when it was read
	Warnings   scenarios.Errors // of an object that Istio accepts, though hardly as meant

	// Faults are what Read found in the object that does not fit its kind.
	Faults []Fault

	spec *yaml.Node
	*whole
}

// Before reports whether the object comes before another in the order that istiod brings
// objects of one kind into, of which the first holds: by when they were created, and of
// those of one second by their names. known is false where a file does not say when.
func (o Object) Before(other Object) (before, known bool) {
	own, others := o.created(), other.created()
	if own.IsZero() || others.IsZero() {
		return false, false
	}
	if order := own.Compare(others); order != 0 {
		return order < 0, true
	}
	return o.Name < other.Name, true
}

// created is when the object was created; zero where the file does not say it.
func (o Object) created() time.Time {
	at, err := time.Parse(time.RFC3339, o.Root().Get("metadata", "creationTimestamp").Text())
	if err != nil {
		return time.Time{}
	}
	return at
}

// Fault is a place in an object that does not fit its kind.
type Fault struct {
	scenarios.Problem
	Unknown bool // the field does not exist; otherwise its value would be refused
}

const unknownField = "unknown field"

// limits of a file. A Kubernetes object has at most 1.5 MiB, because etcd takes
// no more.
func limits() scenarios.DocumentLimits {
	return scenarios.DocumentLimits{FileBytes: 16 << 20, DocumentBytes: 2 << 20, Documents: 100_000, Depth: 64, Nodes: 500_000}
}

// Parse reads a YAML file of Kubernetes objects, one or several documents, also
// of kind List. DestinationRules are read strictly: a field that Istio does not
// know, a value of the wrong type or one that Istio would refuse is an error
// with its place. Objects of other kinds are returned with a note. The error is
// of type scenarios.Errors.
//
// name is the file's name as it appears in messages and sources.
func Parse(name string, data []byte) ([]Object, error) {
	documents, err := scenarios.ReadDocuments(name, data, limits())
	if err != nil {
		return nil, withTemplateHint(err, data)
	}
	p := parser{}
	for _, document := range documents {
		if document.Root != nil && len(p.problems) < maxProblems {
			p.object(document, document.Root)
		}
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	if len(p.objects) == 0 {
		return nil, scenarios.Errors{{File: name, Line: 1, Column: 1, Message: "the file holds no Kubernetes object"}}
	}
	return p.objects, nil
}

// withTemplateHint explains the usual reason why a file with {{ is not YAML.
func withTemplateHint(err error, data []byte) error {
	var problems scenarios.Errors
	if errors.As(err, &problems) && len(problems) > 0 && bytes.Contains(data, []byte("{{")) {
		problems[len(problems)-1].Hint = "this looks like a Helm template: render it first, with `helm template`"
	}
	return err
}

// maxProblems bounds what is reported of one file.
const maxProblems = 100

type parser struct {
	kinds    map[string]kind // that are read, when all are
	shapes   *shapes
	all      bool // every kind is read, and objects with problems are kept
	objects  []Object
	problems scenarios.Errors
}

func (p *parser) fail(document scenarios.Document, at *yaml.Node, path, hint, format string, args ...any) {
	if len(p.problems) >= maxProblems {
		return
	}
	problem := document.Problem(at, path, fmt.Sprintf(format, args...))
	problem.Hint = hint
	p.problems = append(p.problems, problem)
}

func (p *parser) object(document scenarios.Document, root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		p.fail(document, root, "", "", "expected a Kubernetes object, found %s", describe(root))
		return
	}
	object := Object{File: document.Name, Line: root.Line, spec: lookup(root, "spec"), whole: wholeOf(document, root)}
	object.Kind = p.text(document, root, "kind")
	object.APIVersion = p.text(document, root, "apiVersion")
	if p.all && object.Kind == "" && object.APIVersion == "" || p.all && object.APIVersion == "" && lookup(root, "metadata") == nil {
		object.Kind = "" // the chart gateway has a value of this name
		p.objects = append(p.objects, p.read(document, root, object))
		return
	}
	if object.Kind == "" {
		p.fail(document, root, "", "", "not a Kubernetes object: kind is missing")
		return
	}
	if object.APIVersion == "" {
		p.fail(document, root, "", p.versionHint(object.Kind), "not a Kubernetes object: apiVersion is missing")
		return
	}
	if object.Kind == "List" {
		p.list(document, root)
		return
	}
	if metadata := lookup(root, "metadata"); metadata != nil && metadata.Kind == yaml.MappingNode {
		object.Name, object.Namespace = scalar(metadata, "name"), scalar(metadata, "namespace")
	}
	if p.all {
		p.objects = append(p.objects, p.read(document, root, object))
		return
	}
	group, _, _ := strings.Cut(object.APIVersion, "/")
	if object.Kind != KindDestinationRule || !strings.HasSuffix(group, "istio.io") {
		object.Note = fmt.Sprintf("%s %s is not read here", object.Kind, object.Name)
		p.objects = append(p.objects, object)
		return
	}
	before := len(p.problems)
	p.envelope(document, root)
	if object.spec == nil {
		p.fail(document, root, "spec", "", "is missing")
	}
	if len(p.problems) > before {
		return
	}
	s := strict{parser: p, document: document}
	s.message(object.spec, (&networkingv1.DestinationRule{}).ProtoReflect().Descriptor(), "spec", nil)
	if len(p.problems) > before {
		return
	}
	object.Warnings = p.check(object)
	if len(p.problems) == before {
		p.objects = append(p.objects, object)
	}
}

func (p *parser) list(document scenarios.Document, root *yaml.Node) {
	items := lookup(root, "items")
	if items == nil || items.Kind != yaml.SequenceNode {
		p.fail(document, root, "items", "", "a List needs items")
		return
	}
	for _, item := range items.Content {
		// A List inside a List does not exist in Kubernetes.
		if item.Kind == yaml.MappingNode && scalar(item, "kind") == "List" {
			p.fail(document, item, "items", "", "a List inside a List")
			continue
		}
		p.object(document, item)
	}
}

// envelope checks what is around the spec.
func (p *parser) envelope(document scenarios.Document, root *yaml.Node) {
	if version := scalar(root, "apiVersion"); !slices.Contains(apiVersions(), version) {
		p.fail(document, lookup(root, "apiVersion"), "apiVersion", "write "+apiVersions()[0], "%q is no version of DestinationRule", version)
	}
	p.known(document, root, "", []string{"apiVersion", "kind", "metadata", "spec", "status"})
	metadata := lookup(root, "metadata")
	if metadata == nil || metadata.Kind != yaml.MappingNode {
		p.fail(document, root, "metadata", "", "is missing")
		return
	}
	p.known(document, metadata, "metadata", metadataKeys())
	if scalar(metadata, "name") == "" && scalar(metadata, "generateName") == "" {
		p.fail(document, metadata, "metadata.name", "", "is missing")
	}
}

func apiVersions() []string {
	return []string{"networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"}
}

// known reports the keys of a mapping that are not among the names.
func (p *parser) known(document scenarios.Document, mapping *yaml.Node, path string, names []string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		if slices.Contains(names, key.Value) {
			continue
		}
		hint := ""
		if near, ok := scenarios.Nearest(key.Value, names); ok {
			hint = fmt.Sprintf("did you mean %q?", near)
		} else if path == "" {
			hint = "fields of a DestinationRule belong under spec"
		}
		p.fail(document, key, join(path, key.Value), hint, unknownField)
	}
}

// metadataKeys are the names of Kubernetes' ObjectMeta.
func metadataKeys() []string {
	var keys []string
	t := reflect.TypeFor[metav1.ObjectMeta]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		keys = append(keys, name)
	}
	return keys
}

// text returns a text value of a mapping and reports one that is not text.
func (p *parser) text(document scenarios.Document, mapping *yaml.Node, key string) string {
	node := lookup(mapping, key)
	if node == nil {
		return ""
	}
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" {
		p.fail(document, node, key, "", "expected text, found %s", describe(node))
		return ""
	}
	return node.Value
}

// lookup returns the value of a key; nil when it is absent or null, which is the
// same to Kubernetes.
func lookup(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if value := mapping.Content[i+1]; mapping.Content[i].Value == key && !isNull(value) {
			return value
		}
	}
	return nil
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// scalar returns the text of a value of a mapping, empty when there is none.
func scalar(mapping *yaml.Node, key string) string {
	node := lookup(mapping, key)
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "fields and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", node.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
