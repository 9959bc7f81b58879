package mesh

import (
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// meshConfigs returns the mesh's configurations among objects, as IstioOperator and
// the values of istiod's chart hold them.
func meshConfigs(objects []Object) []block {
	var found []block
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
		case o.Note != "":
		case o.Kind == "IstioOperator":
			add(o, "spec", "meshConfig")
			add(o, "spec", "values", "meshConfig")
		case o.Kind == KindIstiodValues:
			add(o, "meshConfig")
		}
	}
	return found
}

// meshDefaults puts into a policy what the mesh's configuration says instead of
// Istio's defaults, and returns the blocks of its defaultTrafficPolicy, which hold
// where a DestinationRule has none of the kind.
func meshDefaults(objects []Object, policy *Policy) blocks {
	var base blocks
	for _, config := range meshConfigs(objects) {
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

// InboundFor returns the policy as the sidecars of the destination's pods apply it to
// what comes in: the connection pool of the DestinationRule, unless a Sidecar of the
// namespace has an inboundConnectionPool, or one for the port. Which pods a Sidecar
// selects is not looked at. Outlier detection is not applied inbound.
func InboundFor(objects []Object, policy Policy) Policy {
	policy.OutlierDetection, policy.RetryBudget = IstioDefaults().OutlierDetection, IstioDefaults().RetryBudget
	namespace := namespaceOf(policy.Host)
	for _, o := range objects {
		if o.Kind != "Sidecar" || o.Note != "" || namespace != "" && o.Namespace != "" && o.Namespace != namespace {
			continue
		}
		all := block{o.document, o.spec}
		pool := all.child("inboundConnectionPool")
		if listeners := all.child("ingress").node; listeners != nil && policy.Port != 0 {
			for _, item := range listeners.Content {
				if scalar(lookup(item, "port"), "number") == strconv.FormatUint(uint64(policy.Port), 10) && lookup(item, "connectionPool") != nil {
					pool = block{o.document, lookup(item, "connectionPool")}
				}
			}
		}
		if pool.node != nil {
			policy.ConnectionPool = IstioDefaults().ConnectionPool
			blocks{pool: pool}.apply(&policy)
		}
	}
	return policy
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
