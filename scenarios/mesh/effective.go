package mesh

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sailplan-io/sailplan/scenarios"
)

// ErrNoRule says that no DestinationRule is about the host that was asked for.
var ErrNoRule = errors.New("no DestinationRule for this host")

// ErrNoSubset says that the DestinationRule has no subset of the name.
var ErrNoSubset = errors.New("no such subset")

// istioDefault is the note of a value that nobody set.
const istioDefault = "Istio default"

// EffectiveFor computes the policy for one destination from the DestinationRules
// among the objects, as Istio does:
//
//   - the rule with the most specific host applies; of several for the same host
//     the oldest one, with the subsets and, where it has none, the traffic policy
//     of the younger ones; where the files do not say when each was created, the
//     order of the files stands for it;
//   - portLevelSettings for the port replace the whole policy, and inherit nothing;
//   - the blocks of a subset's policy replace those of the rule's, one by one;
//   - below all of them stands what the mesh's configuration says, where the objects
//     hold it: connectTimeout, tcpKeepalive, h2UpgradePolicy, and the blocks of
//     defaultTrafficPolicy, each as a whole;
//   - a number of 0 in connectionPool, and maxEjectionPercent 0, mean "not set".
//
// host may be short, as in "reviews", and then stands for the namespace of the
// rule. An empty host takes the one that the rules are about, and is an error
// when they are about several. subset may be empty, port 0. Sources:
// pilot/pkg/networking/core/cluster_traffic_policy.go and
// pilot/pkg/networking/util (MergeSubsetTrafficPolicy) of Istio.
func EffectiveFor(objects []Object, host, subset string, port uint32) (Policy, error) {
	rules, notes, err := rulesFor(objects, host)
	if err != nil {
		return Policy{}, err
	}
	first := rules[0]
	policy := IstioDefaults()
	policy.Host, policy.Subset, policy.Port = scalar(first.spec, "host"), subset, port
	policy.Notes = notes

	top := block{document: first.document}
	for _, rule := range rules {
		if node := lookup(rule.spec, "trafficPolicy"); node != nil && top.node == nil {
			top = block{rule.document, node}
		}
	}
	chosen, _ := blocksOf(top, port)
	if subset != "" {
		own, err := subsetPolicy(rules, subset)
		if err != nil {
			return Policy{}, err
		}
		overriding, isPortLevel := blocksOf(own, port)
		chosen = chosen.overriddenBy(overriding, isPortLevel)
	}
	if settings := top.child("portLevelSettings").node; port == 0 && settings != nil && len(settings.Content) > 0 {
		policy.Notes = append(policy.Notes, fmt.Sprintf("%s:%d: portLevelSettings hold for their ports alone, and are left out where no port is asked for", top.document.Name, settings.Line))
	}
	base := meshDefaults(objects, &policy)
	base.overriddenBy(chosen, false).apply(&policy)
	return policy, nil
}

// rulesFor returns the DestinationRules that apply to the host, the one that counts
// first, at least one.
func rulesFor(objects []Object, host string) (rules []Object, notes []string, err error) {
	all := slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return o.Note != "" || o.Kind != KindDestinationRule })
	var hosts []string
	for _, rule := range all {
		if name := scalar(rule.spec, "host"); !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	switch {
	case len(all) == 0:
		return nil, nil, fmt.Errorf("%w: the files hold no DestinationRule at all", ErrNoRule)
	case host == "" && len(hosts) > 1:
		return nil, nil, fmt.Errorf("the DestinationRules are about several hosts, name one of %s", strings.Join(hosts, ", "))
	case host == "":
		host = hosts[0]
	}
	best := 0
	for _, rule := range all {
		best = max(best, specificity(rule, host))
	}
	if best == 0 {
		return nil, nil, fmt.Errorf("host %s: %w: the files have rules for %s", host, ErrNoRule, strings.Join(hosts, ", "))
	}
	rules = slices.DeleteFunc(all, func(rule Object) bool { return specificity(rule, host) != best })
	first := "the oldest"
	if slices.ContainsFunc(rules, func(o Object) bool { return o.created().IsZero() }) {
		first = "the oldest, which is taken to be the first in the files, since these do not say (metadata.creationTimestamp),"
	} else {
		slices.SortStableFunc(rules, func(a, b Object) int {
			return cmp.Or(a.created().Compare(b.created()), strings.Compare(a.Name, b.Name))
		})
	}
	for i, rule := range rules {
		if i > 0 {
			notes = append(notes, fmt.Sprintf("%s:%d: a further DestinationRule for the same host: Istio takes only its subsets, and its traffic policy where %s has none", rule.File, rule.Line, first))
		}
		if lookup(rule.spec, "workloadSelector") != nil {
			notes = append(notes, fmt.Sprintf("%s:%d: the rule selects its clients; it is taken as if the gateway were one", rule.File, rule.Line))
		}
	}
	return rules, notes, nil
}

// specificity tells how well a rule's host fits: 0 not at all, more for a longer
// wildcard, most for the very name.
func specificity(rule Object, host string) int {
	pattern, namespace := scalar(rule.spec, "host"), rule.Namespace
	if namespace == "" {
		namespace = "default"
	}
	switch {
	case pattern == host || qualified(pattern, namespace) == qualified(host, namespace):
		return math.MaxInt
	case pattern == "*":
		return 1
	case strings.HasPrefix(pattern, "*.") && strings.HasSuffix(qualified(host, namespace), pattern[1:]):
		return 1 + len(pattern)
	}
	return 0
}

// qualified completes a short name within a namespace. Istio does so for names
// without a dot.
func qualified(host, namespace string) string {
	if strings.Contains(host, ".") || host == "*" {
		return host
	}
	return host + "." + namespace + ".svc.cluster.local"
}

func subsetPolicy(rules []Object, name string) (block, error) {
	var names []string
	for _, rule := range rules {
		subsets := lookup(rule.spec, "subsets")
		if subsets == nil {
			continue
		}
		for _, subset := range subsets.Content {
			if scalar(subset, "name") == name {
				return block{rule.document, lookup(subset, "trafficPolicy")}, nil
			}
			names = append(names, scalar(subset, "name"))
		}
	}
	if near, ok := scenarios.Nearest(name, names); ok {
		return block{}, fmt.Errorf("subset %q: %w: did you mean %q?", name, ErrNoSubset, near)
	}
	return block{}, fmt.Errorf("subset %q: %w: there are %q", name, ErrNoSubset, names)
}

// block is a mapping in a file; its node is nil where the file has none.
type block struct {
	document scenarios.Document
	node     *yaml.Node
}

func (b block) child(key string) block { return block{b.document, lookup(b.node, key)} }

// blocks are the parts of a traffic policy that are chosen as a whole.
type blocks struct{ pool, outlier, budget block }

// blocksOf returns the blocks that hold for the port, and whether they are
// port-level settings.
func blocksOf(policy block, port uint32) (blocks, bool) {
	if settings := policy.child("portLevelSettings").node; settings != nil && port != 0 {
		for _, setting := range settings.Content {
			if scalar(lookup(setting, "port"), "number") == strconv.FormatUint(uint64(port), 10) {
				own := block{policy.document, setting}
				return blocks{pool: own.child("connectionPool"), outlier: own.child("outlierDetection")}, true
			}
		}
	}
	return blocks{policy.child("connectionPool"), policy.child("outlierDetection"), policy.child("retryBudget")}, false
}

func (b blocks) overriddenBy(own blocks, isPortLevel bool) blocks {
	if own.pool.node != nil || isPortLevel {
		b.pool = own.pool
	}
	if own.outlier.node != nil || isPortLevel {
		b.outlier = own.outlier
	}
	if own.budget.node != nil {
		b.budget = own.budget
	}
	return b
}

// apply overwrites the defaults in policy with what the blocks set.
func (b blocks) apply(policy *Policy) {
	tcp, http := b.pool.child("tcp"), b.pool.child("http")
	t, h := &policy.ConnectionPool.TCP, &policy.ConnectionPool.HTTP
	tcp.limit("maxConnections", &t.MaxConnections)
	tcp.duration("connectTimeout", &t.ConnectTimeout)
	tcp.duration("maxConnectionDuration", &t.MaxConnectionDuration)
	tcp.duration("idleTimeout", &t.IdleTimeout)
	tcp.child("tcpKeepalive").keepalive(&t.Keepalive)
	http.limit("http1MaxPendingRequests", &h.MaxPendingRequests)
	http.limit("http2MaxRequests", &h.MaxRequests)
	http.limit("maxRequestsPerConnection", &h.MaxRequestsPerConnection)
	http.limit("maxRetries", &h.MaxRetries)
	http.limit("maxConcurrentStreams", &h.MaxConcurrentStreams)
	tcp.duration("idleTimeout", &h.IdleTimeout)
	http.duration("idleTimeout", &h.IdleTimeout)
	http.flag("useClientProtocol", &h.UseClientProtocol)
	if node := http.child("h2UpgradePolicy").node; node != nil {
		h.H2UpgradePolicy = Value[H2Upgrade]{H2Upgrade(node.Value), http.source(node)}
	}
	http.child("http2KeepAlive").duration("interval", &h.HTTP2KeepAlive.Interval)
	http.child("http2KeepAlive").duration("timeout", &h.HTTP2KeepAlive.Timeout)
	b.outlier.outlierDetection(&policy.OutlierDetection)
	if b.budget.node != nil {
		policy.RetryBudget.Enabled = Value[bool]{true, b.budget.source(b.budget.node)}
		b.budget.number("minRetryConcurrency", &policy.RetryBudget.MinRetryConcurrency)
		if node := b.budget.child("percent").node; node != nil {
			if percent, err := strconv.ParseFloat(node.Value, 64); err == nil {
				policy.RetryBudget.Percent = Value[float64]{percent, b.budget.source(node)}
			}
		}
	}
}

func (b block) keepalive(k *Keepalive) {
	if b.node == nil {
		return
	}
	k.Enabled = Value[bool]{true, b.source(b.node)}
	b.number("probes", &k.Probes)
	for _, field := range []struct {
		key   string
		value *Value[time.Duration]
	}{{"time", &k.Time}, {"interval", &k.Interval}} {
		b.duration(field.key, field.value)
		if whole := field.value.Value.Truncate(time.Second); whole != field.value.Value {
			field.value.Source.Note = fmt.Sprintf("%s, cut to whole seconds by Istio", field.value.Value)
			field.value.Value = whole
		}
	}
}

func (b block) outlierDetection(o *OutlierDetection) {
	if b.node == nil {
		return
	}
	o.Enabled = Value[bool]{true, b.source(b.node)}
	b.number("consecutive5xxErrors", &o.Consecutive5xxErrors)
	b.number("consecutiveGatewayErrors", &o.ConsecutiveGatewayErrors)
	b.flag("splitExternalLocalOriginErrors", &o.SplitExternalLocalOriginErrors)
	b.limit("consecutiveLocalOriginFailures", &o.ConsecutiveLocalOriginFailures)
	b.duration("interval", &o.Interval)
	b.duration("baseEjectionTime", &o.BaseEjectionTime)
	b.limit("maxEjectionPercent", &o.MaxEjectionPercent)
	b.number("minHealthPercent", &o.MinHealthPercent)
	if codes := b.child("outlierDetectionHttpErrorCodes").node; codes != nil && len(codes.Content) > 0 {
		o.HTTPErrorCodes = Value[[]uint32]{nil, b.source(codes)}
		for _, code := range codes.Content {
			if n, err := strconv.ParseUint(code.Value, 10, 32); err == nil {
				o.HTTPErrorCodes.Value = append(o.HTTPErrorCodes.Value, uint32(n))
			}
		}
	}
}

func (b block) source(node *yaml.Node) Source {
	return Source{File: b.document.Name, Line: node.Line, Column: node.Column}
}

// number sets a value for which zero has its plain meaning. What cannot be read
// was refused by Parse.
func (b block) number(key string, value *Value[uint32]) {
	if n, node := integer(b.node, key); node != nil && n >= 0 && n <= math.MaxUint32 {
		*value = Value[uint32]{uint32(n), b.source(node)}
	}
}

// limit sets a value for which Istio takes zero for "not set".
func (b block) limit(key string, value *Value[uint32]) {
	n, node := integer(b.node, key)
	if node != nil && n == 0 {
		value.Source = b.source(node)
		value.Source.Note = "0 means not set: " + istioDefault
		return
	}
	b.number(key, value)
}

func (b block) duration(key string, value *Value[time.Duration]) {
	node := b.child(key).node
	if node == nil {
		return
	}
	if d, err := duration(node); err == nil {
		*value = Value[time.Duration]{d, b.source(node)}
	}
}

func (b block) flag(key string, value *Value[bool]) {
	if node := b.child(key).node; node != nil {
		*value = Value[bool]{strings.EqualFold(node.Value, "true"), b.source(node)}
	}
}

// IstioDefaults returns the policy of a destination that no DestinationRule is
// about, under a mesh configuration that sets nothing either.
func IstioDefaults() Policy {
	return Policy{
		ConnectionPool: ConnectionPool{
			TCP: TCPSettings{
				MaxConnections:        byDefault[uint32](Unlimited),
				ConnectTimeout:        byDefault(10 * time.Second),
				Keepalive:             Keepalive{byDefault(false), byDefault[uint32](0), byDefault(time.Duration(0)), byDefault(time.Duration(0))},
				MaxConnectionDuration: byDefault(time.Duration(0)),
				IdleTimeout:           byDefault(time.Hour),
			},
			HTTP: HTTPSettings{
				MaxPendingRequests:       byDefault[uint32](Unlimited),
				MaxRequests:              byDefault[uint32](Unlimited),
				MaxRequestsPerConnection: byDefault[uint32](0),
				MaxRetries:               byDefault[uint32](Unlimited),
				IdleTimeout:              byDefault(time.Hour),
				H2UpgradePolicy:          byDefault(H2Default),
				UseClientProtocol:        byDefault(false),
				MaxConcurrentStreams:     byDefault[uint32](UnlimitedStreams),
				HTTP2KeepAlive:           HTTP2KeepAlive{byDefault(time.Duration(0)), byDefault(time.Duration(0))},
			},
		},
		OutlierDetection: OutlierDetection{
			Enabled:                        byDefault(false),
			Consecutive5xxErrors:           byDefault[uint32](5),
			ConsecutiveGatewayErrors:       byDefault[uint32](0),
			SplitExternalLocalOriginErrors: byDefault(false),
			ConsecutiveLocalOriginFailures: byDefault[uint32](5),
			Interval:                       byDefault(10 * time.Second),
			BaseEjectionTime:               byDefault(30 * time.Second),
			MaxEjectionPercent:             byDefault[uint32](10),
			MinHealthPercent:               byDefault[uint32](0),
			HTTPErrorCodes:                 byDefault([]uint32(nil)),
		},
		RetryBudget: RetryBudget{byDefault(false), byDefault(20.0), byDefault[uint32](3)},
	}
}

func byDefault[T any](value T) Value[T] {
	return Value[T]{value, Source{Note: istioDefault}}
}
