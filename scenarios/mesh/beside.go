package mesh

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"

	"github.com/sailplan-io/sailplan/scenarios"
)

// meshConfigs returns the mesh's configurations among objects, as IstioOperator, the
// values of istiod's chart, and the ConfigMap that istiod reads hold them; the notes say
// which could not be read.
func meshConfigs(objects []Object) (found []block, notes []string) {
	add := func(o Object, keys ...string) {
		config := block{o.document, o.root}
		for _, key := range keys {
			config = config.child(key)
		}
		if config.node != nil {
			found = append(found, config)
		}
	}
	for _, o := range objects {
		switch {
		case o.isMeshConfigMap():
			config, err := textWithin(o.document, block{o.document, o.root}.child("data").child("mesh").node)
			if err != nil {
				notes = append(notes, fmt.Sprintf("%s:%d: data.mesh of the ConfigMap %s is left out: %v", o.File, o.Line, o.Name, err))
			} else if config.node != nil {
				found = append(found, config)
			}
		case o.Note != "":
		case o.Kind == "IstioOperator":
			add(o, "spec", "meshConfig")
			add(o, "spec", "values", "meshConfig")
		case o.Kind == KindIstiodValues:
			add(o, "meshConfig")
		}
	}
	return found, notes
}

// isMeshConfigMap reports whether the object is what istiod reads its configuration
// from: the ConfigMap istio, or istio-REVISION.
func (o Object) isMeshConfigMap() bool {
	if o.Kind != "ConfigMap" || o.APIVersion != "v1" || o.whole == nil {
		return false
	}
	return (o.Name == "istio" || strings.HasPrefix(o.Name, "istio-")) && lookup(lookup(o.root, "data"), "mesh") != nil
}

// meshConfigMap reads the YAML inside of the ConfigMap that istiod reads as strictly as
// the same configuration elsewhere.
func (p *parser) meshConfigMap(document scenarios.Document, object Object) {
	const path = "data.mesh"
	text := object.Root().Get("data", "mesh")
	config, err := textWithin(document, text.node)
	if err != nil {
		p.fail(document, text.node, path, "", "%s", err.Error())
		return
	}
	if config.node == nil {
		return
	}
	strict{parser: p, document: document}.message(config.node, (&meshv1alpha1.MeshConfig{}).ProtoReflect().Descriptor(), path, nil)
	inside := &whole{document: document, root: config.node, text: text, placed: true}
	object.whole.mesh = Field{within: inside, node: config.node, at: config.node, key: text.key}
}

// proxyConfig reads the YAML inside of the annotation by which a pod configures its proxy.
func (p *parser) proxyConfig(document scenarios.Document, object Object) {
	const annotation = "proxy.istio.io/config"
	for _, metadata := range []Field{object.Root().Get("metadata"), object.Spec("template", "metadata")} {
		text := metadata.Get("annotations", annotation)
		config, err := textWithin(document, text.node)
		switch {
		case err != nil:
			p.fail(document, text.node, text.Path(), "", "%s", err.Error())
		case config.node != nil:
			strict{parser: p, document: document}.message(config.node, (&meshv1alpha1.ProxyConfig{}).ProtoReflect().Descriptor(), text.Path(), nil)
		}
	}
}

// MeshConfigs returns the places of an object that Read read at which the mesh is
// configured: of an IstioOperator, the values of istiod's chart, and the ConfigMap that
// istiod reads.
func (o Object) MeshConfigs() []Field {
	var all []Field
	for _, f := range o.meshConfigFields() {
		if f.Exists() {
			all = append(all, f)
		}
	}
	return all
}

func (o Object) meshConfigFields() []Field {
	switch {
	case o.whole == nil || o.Note != "":
	case o.Kind == "IstioOperator":
		return []Field{o.Spec("meshConfig"), o.Spec("values", "meshConfig")}
	case o.Kind == KindIstiodValues:
		return []Field{o.Root().Get("meshConfig")}
	case o.Kind == "ConfigMap":
		return []Field{o.whole.mesh}
	}
	return nil
}

// textWithin reads the YAML inside of a text of a file. Its lines are those of the file
// where the text stands in lines of its own, and otherwise that of the text.
func textWithin(document scenarios.Document, text *yaml.Node) (block, error) {
	if text == nil || text.Value == "" {
		return block{}, nil
	}
	within := limits()
	within.Documents = 1
	documents, err := scenarios.ReadDocuments(document.Name, []byte(text.Value), within)
	if err != nil {
		var problems scenarios.Errors
		if errors.As(err, &problems) && len(problems) > 0 {
			return block{}, fmt.Errorf("it is not YAML: %s", problems[0].Message)
		}
		return block{}, fmt.Errorf("it is not YAML: %w", err)
	}
	if len(documents) == 0 || documents[0].Root == nil {
		return block{}, nil
	}
	root := documents[0].Root
	place(root, text)
	return block{document, root}, nil
}

// place gives to the nodes of the YAML inside of a text their lines in the file.
func place(node, text *yaml.Node) {
	node.Column = text.Column
	if text.Style&yaml.LiteralStyle != 0 {
		node.Line += text.Line // on which the text's first line does not stand yet
	} else {
		node.Line = text.Line
	}
	for _, child := range node.Content {
		place(child, text)
	}
}

// meshDefaults puts into a policy what the mesh's configuration says instead of
// Istio's defaults, and returns the blocks of its defaultTrafficPolicy, which hold
// where a DestinationRule has none of the kind.
func meshDefaults(objects []Object, policy *Policy) blocks {
	var base blocks
	configs, notes := meshConfigs(objects)
	policy.Notes = append(policy.Notes, notes...)
	for i, config := range configs {
		if i > 0 {
			policy.Notes = append(policy.Notes, fmt.Sprintf("%s:%d: a further configuration of the mesh: what it sets is taken in place of what the one before sets", config.document.Name, config.node.Line))
		}
		tcp, http := &policy.ConnectionPool.TCP, &policy.ConnectionPool.HTTP
		config.duration("connectTimeout", &tcp.ConnectTimeout)
		config.child("tcpKeepalive").keepalive(&tcp.Keepalive)
		if node := config.child("h2UpgradePolicy").node; node != nil {
			http.H2UpgradePolicy = Value[H2Upgrade]{H2Upgrade(node.Value), config.source(node)}
		}
		if own := config.child("defaultTrafficPolicy"); own.node != nil {
			base, _ = blocksOf(own, 0)
		}
	}
	return base
}

// namespaceOf returns the namespace in the name of a service; empty where it has none.
func namespaceOf(host string) string {
	parts := strings.Split(host, ".")
	if len(parts) >= 3 && parts[2] == "svc" {
		return parts[1]
	}
	return ""
}

// Route is what a VirtualService says of the requests to a destination.
type Route struct {
	Attempts Value[uint32] // beside the first one
	On       Value[string] // conditions and statuses, with commas between
	PerTry   Value[time.Duration]
	Timeout  Value[time.Duration] // 0: none
}

// defaultRetryOn is on what Istio retries where a route does not say it.
const defaultRetryOn = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"

// RouteTo returns the first route of HTTP among the VirtualServices whose destination
// is the host, and the subset where one is given; ok is false when there is none.
func RouteTo(objects []Object, host, subset string) (route Route, ok bool) {
	for _, o := range objects {
		if o.Kind != "VirtualService" || o.Note != "" {
			continue
		}
		routes := lookup(o.spec, "http")
		if routes == nil || routes.Kind != yaml.SequenceNode {
			continue
		}
		for _, node := range routes.Content {
			if leadsTo(node, o.Namespace, host, subset) {
				return routeOf(block{o.document, node}), true
			}
		}
	}
	return Route{}, false
}

func leadsTo(route *yaml.Node, namespace, host, subset string) bool {
	list := lookup(route, "route")
	if list == nil || list.Kind != yaml.SequenceNode {
		return false
	}
	if namespace == "" {
		namespace = "default"
	}
	for _, item := range list.Content {
		to := lookup(item, "destination")
		name := scalar(to, "host")
		if name != "" && (name == host || qualified(name, namespace) == qualified(host, namespace)) && (subset == "" || scalar(to, "subset") == subset) {
			return true
		}
	}
	return false
}

func routeOf(b block) Route {
	r := Route{byDefault[uint32](2), byDefault(defaultRetryOn), byDefault(time.Duration(0)), byDefault(time.Duration(0))}
	b.duration("timeout", &r.Timeout)
	retries := b.child("retries")
	if n, node := integer(retries.node, "attempts"); node != nil && n >= 0 && n <= math.MaxInt32 {
		r.Attempts = Value[uint32]{uint32(n), retries.source(node)}
	}
	retries.duration("perTryTimeout", &r.PerTry)
	if node := retries.child("retryOn").node; node != nil && node.Value != "" {
		r.On = Value[string]{node.Value, retries.source(node)}
	}
	return r
}
