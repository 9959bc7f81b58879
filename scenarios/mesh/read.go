package mesh

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	extensionsv1alpha1 "istio.io/api/extensions/v1alpha1"
	networkingv1 "istio.io/api/networking/v1"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1beta1 "istio.io/api/networking/v1beta1"
	securityv1 "istio.io/api/security/v1"
	telemetryv1 "istio.io/api/telemetry/v1"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	kubenetworkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/sailplan-io/sailplan/scenarios"
)

// The kinds that Read gives to Helm values, which name none themselves.
const (
	KindIstiodValues  = "istiod values"
	KindGatewayValues = "gateway values"
)

// Reader reads files one after the other, and learns only once what kinds there are.
type Reader struct {
	kinds  map[string]kind
	shapes *shapes
}

// NewReader returns a Reader.
func NewReader() *Reader {
	return &Reader{kinds(), &shapes{map[reflect.Type]*shape{}}}
}

// Read reads one file by a Reader of its own.
func Read(name string, data []byte) ([]Object, error) { return NewReader().Read(name, data) }

// Read reads a YAML file of Kubernetes objects and of Helm values for Istio's
// charts, for an audit: unlike Parse it reads every kind that it knows strictly,
// and it returns objects with problems together with their Faults. An object of
// another kind has a Note. The error, of type scenarios.Errors, says that the
// file is no YAML, is beyond the limits, or holds what is no object at all.
//
// A file without any object is empty, and no error.
func (r *Reader) Read(name string, data []byte) ([]Object, error) {
	documents, err := scenarios.ReadDocuments(name, data, limits())
	if err != nil {
		return nil, withTemplateHint(err, data)
	}
	p := parser{all: true, kinds: r.kinds, shapes: r.shapes}
	for _, document := range documents {
		if document.Root != nil {
			p.object(document, document.Root)
		}
	}
	if len(p.problems) > 0 {
		return p.objects, p.problems
	}
	return p.objects, nil
}

// read reads one object of any kind.
func (p *parser) read(document scenarios.Document, root *yaml.Node, object Object) Object {
	outer := p.problems
	p.problems = nil
	defer func() { p.problems = outer }()
	switch k, known := p.kindOf(object); {
	case object.Kind == "":
		p.values(document, root, &object)
	case object.isMeshConfigMap():
		p.meshConfigMap(document, object)
	case !known:
		object.Note = "kinds that are not read here"
		p.strangeKind(document, root, object)
	case !slices.Contains(k.versions, object.APIVersion):
		p.fail(document, lookup(root, "apiVersion"), "apiVersion", "write "+k.versions[0], "%q is no version of %s", object.APIVersion, object.Kind)
	case k.message != nil:
		p.istio(document, root, object, k.message)
	default:
		reflected{strict{parser: p, document: document}}.value(root, k.object, "", nil)
		p.proxyConfig(document, object)
	}
	for _, problem := range p.problems {
		object.Faults = append(object.Faults, Fault{problem, problem.Message == unknownField})
	}
	return object
}

// istio reads an object of one of Istio's own kinds.
func (p *parser) istio(document scenarios.Document, root *yaml.Node, object Object, message protoreflect.MessageDescriptor) {
	var around []ancestor
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch key, value := root.Content[i], root.Content[i+1]; key.Value {
		case "apiVersion", "kind", "status", "spec":
		case "metadata":
			reflected{strict{parser: p, document: document}}.value(value, reflect.TypeFor[metadata](), "metadata", nil)
		default:
			hint := fmt.Sprintf("fields of %s belong under spec", object.Kind)
			if near, ok := scenarios.Nearest(key.Value, []string{"apiVersion", "kind", "metadata", "spec", "status"}); ok {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			p.fail(document, key, key.Value, hint, unknownField)
		}
	}
	if object.Name == "" && scalar(lookup(root, "metadata"), "generateName") == "" {
		p.fail(document, root, "metadata.name", "", "is missing")
	}
	if object.spec == nil {
		// A policy without a spec denies everything, and Istio accepts it.
		return
	}
	strict{parser: p, document: document}.message(object.spec, message, "spec", around)
	wrong := slices.ContainsFunc(p.problems, func(problem scenarios.Problem) bool { return problem.Message != unknownField })
	if object.Kind == KindDestinationRule && !wrong {
		p.check(object)
	}
}

// kind says how the objects of a kind are read: along the message of their spec,
// or along the Go type of the whole object.
type kind struct {
	versions []string // the first is what one should write
	message  protoreflect.MessageDescriptor
	object   reflect.Type
}

// kindOf returns how an object is read, if its kind in its group is known here.
func (p *parser) kindOf(object Object) (kind, bool) {
	group, _, grouped := strings.Cut(object.APIVersion, "/")
	if !grouped {
		group = ""
	}
	k, known := p.kinds[group+"/"+object.Kind]
	return k, known
}

// versionHint names the versions of a kind, where it is known.
func (p *parser) versionHint(name string) string {
	var versions []string
	for key, k := range p.kinds {
		if _, kind, _ := strings.Cut(key, "/"); kind == name {
			versions = append(versions, k.versions[0])
		}
	}
	if len(versions) == 0 {
		return ""
	}
	slices.Sort(versions)
	return "write apiVersion: " + strings.Join(versions, ", or ")
}

// strangeKind reports a kind that its group does not have: one of another group, or
// misspelt. Groups have more kinds than are read here, Istio's do not.
func (p *parser) strangeKind(document scenarios.Document, root *yaml.Node, object Object) {
	group, _, grouped := strings.Cut(object.APIVersion, "/")
	if !grouped {
		group = ""
	}
	var here []string
	for key := range p.kinds {
		if of, kind, _ := strings.Cut(key, "/"); of == group {
			here = append(here, kind)
		}
	}
	if len(here) == 0 {
		return
	}
	slices.Sort(here)
	at := lookup(root, "kind")
	if hint := p.versionHint(object.Kind); hint != "" {
		p.fail(document, at, "kind", hint, "%s has no %s", object.APIVersion, object.Kind)
		return
	}
	near, isNear := scenarios.Nearest(object.Kind, here)
	switch {
	case isNear && (strings.HasSuffix(group, "istio.io") || strings.EqualFold(near, object.Kind) || near+"s" == object.Kind):
		p.fail(document, at, "kind", fmt.Sprintf("did you mean %q?", near), "%s has no %s", object.APIVersion, object.Kind)
	case strings.HasSuffix(group, "networking.istio.io"), strings.HasSuffix(group, "security.istio.io"):
		p.fail(document, at, "kind", "known here: "+strings.Join(here, ", "), "%s has no %s", object.APIVersion, object.Kind)
	}
}

func kinds() map[string]kind {
	networking := []string{"networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"}
	security := []string{"security.istio.io/v1", "security.istio.io/v1beta1"}
	message := func(m protoreflect.ProtoMessage, versions ...string) kind {
		return kind{versions: versions, message: m.ProtoReflect().Descriptor()}
	}
	return map[string]kind{
		"networking.istio.io/Gateway":             message(&networkingv1.Gateway{}, networking...),
		"networking.istio.io/DestinationRule":     message(&networkingv1.DestinationRule{}, networking...),
		"networking.istio.io/VirtualService":      message(&networkingv1.VirtualService{}, networking...),
		"networking.istio.io/ServiceEntry":        message(&networkingv1.ServiceEntry{}, networking...),
		"networking.istio.io/Sidecar":             message(&networkingv1.Sidecar{}, networking...),
		"networking.istio.io/WorkloadEntry":       message(&networkingv1.WorkloadEntry{}, networking...),
		"networking.istio.io/WorkloadGroup":       message(&networkingv1.WorkloadGroup{}, networking...),
		"networking.istio.io/EnvoyFilter":         message(&networkingv1alpha3.EnvoyFilter{}, "networking.istio.io/v1alpha3"),
		"networking.istio.io/ProxyConfig":         message(&networkingv1beta1.ProxyConfig{}, "networking.istio.io/v1beta1"),
		"security.istio.io/PeerAuthentication":    message(&securityv1.PeerAuthentication{}, security...),
		"security.istio.io/AuthorizationPolicy":   message(&securityv1.AuthorizationPolicy{}, security...),
		"security.istio.io/RequestAuthentication": message(&securityv1.RequestAuthentication{}, security...),
		"telemetry.istio.io/Telemetry":            message(&telemetryv1.Telemetry{}, "telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1"),
		"extensions.istio.io/WasmPlugin":          message(&extensionsv1alpha1.WasmPlugin{}, "extensions.istio.io/v1alpha1"),
		"install.istio.io/IstioOperator":          {versions: []string{"install.istio.io/v1alpha1"}, object: reflect.TypeFor[istioOperator]()},
		"/Service":                                {versions: []string{"v1"}, object: reflect.TypeFor[corev1.Service]()},
		"/Namespace":                              {versions: []string{"v1"}, object: reflect.TypeFor[corev1.Namespace]()},
		"/Pod":                                    {versions: []string{"v1"}, object: reflect.TypeFor[corev1.Pod]()},
		"apps/Deployment":                         {versions: []string{"apps/v1"}, object: reflect.TypeFor[appsv1.Deployment]()},
		"apps/StatefulSet":                        {versions: []string{"apps/v1"}, object: reflect.TypeFor[appsv1.StatefulSet]()},
		"apps/DaemonSet":                          {versions: []string{"apps/v1"}, object: reflect.TypeFor[appsv1.DaemonSet]()},
		"policy/PodDisruptionBudget":              {versions: []string{"policy/v1"}, object: reflect.TypeFor[policyv1.PodDisruptionBudget]()},
		"networking.k8s.io/NetworkPolicy":         {versions: []string{"networking.k8s.io/v1"}, object: reflect.TypeFor[kubenetworkingv1.NetworkPolicy]()},
		"networking.k8s.io/Ingress":               {versions: []string{"networking.k8s.io/v1"}, object: reflect.TypeFor[kubenetworkingv1.Ingress]()},
		"monitoring.coreos.com/PrometheusRule":    {versions: []string{"monitoring.coreos.com/v1"}, object: reflect.TypeFor[monitoringv1.PrometheusRule]()},
		"monitoring.coreos.com/ServiceMonitor":    {versions: []string{"monitoring.coreos.com/v1"}, object: reflect.TypeFor[monitoringv1.ServiceMonitor]()},
		"monitoring.coreos.com/PodMonitor":        {versions: []string{"monitoring.coreos.com/v1"}, object: reflect.TypeFor[monitoringv1.PodMonitor]()},
		"autoscaling/HorizontalPodAutoscaler":     {versions: []string{"autoscaling/v2", "autoscaling/v1"}, object: reflect.TypeFor[autoscaler]()},
	}
}

// autoscaler has the fields of both versions of HorizontalPodAutoscaler.
type autoscaler struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadata       `json:"metadata"`
	Spec       autoscalerSpec `json:"spec"`
	Status     any            `json:"status"`
}

type autoscalerSpec struct {
	autoscalingv2.HorizontalPodAutoscalerSpec `json:",inline"`
	Version1                                  autoscalingv1.HorizontalPodAutoscalerSpec `json:",inline"`
}
