package lab

import (
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	matcherconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

const httpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// cluster carries the part of a connection pool that Istio puts on a client's
// outbound and on a server's inbound cluster alike. Thresholds are given for
// the default priority only and without tracking what remains, as Istio does.
func (b *configBuilder) cluster(name string, ports []uint32, pool mesh.ConnectionPool) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       durationpb.New(pool.TCP.ConnectTimeout.Value),
		LbPolicy:             clusterv3.Cluster_LEAST_REQUEST,
		LoadAssignment:       &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: endpoints(ports)},
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections:     wrapperspb.UInt32(pool.TCP.MaxConnections.Value),
			MaxPendingRequests: wrapperspb.UInt32(pool.HTTP.MaxPendingRequests.Value),
			MaxRequests:        wrapperspb.UInt32(pool.HTTP.MaxRequests.Value),
			MaxRetries:         wrapperspb.UInt32(pool.HTTP.MaxRetries.Value),
		}}},
	}
	if keepalive := pool.TCP.Keepalive; keepalive.Enabled.Value {
		tcp := &corev3.TcpKeepalive{}
		if n := keepalive.Probes.Value; n > 0 {
			tcp.KeepaliveProbes = wrapperspb.UInt32(n)
		}
		if d := keepalive.Time.Value; d > 0 {
			tcp.KeepaliveTime = wrapperspb.UInt32(uint32(d.Seconds()))
		}
		if d := keepalive.Interval.Value; d > 0 {
			tcp.KeepaliveInterval = wrapperspb.UInt32(uint32(d.Seconds()))
		}
		c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: tcp}
	}
	return c
}

// protocolOptions makes the cluster speak HTTP/2 explicitly, which is what
// lets maxConcurrentStreams take effect, or HTTP/1.1. matcher may be nil.
func (b *configBuilder) protocolOptions(c *clusterv3.Cluster, pool mesh.ConnectionPool, http1 bool, matcher *upstreamhttpv3.HttpProtocolOptions_OutlierDetection) {
	common := &corev3.HttpProtocolOptions{
		// Envoy reads zero as "never", as the policy does.
		IdleTimeout:           durationpb.New(pool.HTTP.IdleTimeout.Value),
		MaxConnectionDuration: positive(pool.TCP.MaxConnectionDuration.Value),
	}
	if n := pool.HTTP.MaxRequestsPerConnection.Value; n > 0 {
		common.MaxRequestsPerConnection = wrapperspb.UInt32(n)
	}
	h2 := &corev3.Http2ProtocolOptions{
		MaxConcurrentStreams: wrapperspb.UInt32(pool.HTTP.MaxConcurrentStreams.Value),
	}
	if ping := pool.HTTP.HTTP2KeepAlive; ping.Interval.Value > 0 && ping.Timeout.Value > 0 {
		h2.ConnectionKeepalive = &corev3.KeepaliveSettings{
			Interval: durationpb.New(ping.Interval.Value),
			Timeout:  durationpb.New(ping.Timeout.Value),
		}
	}
	explicit := &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: h2},
	}
	if http1 {
		explicit.ProtocolConfig = &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}}
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{
		httpProtocolOptions: b.any(&upstreamhttpv3.HttpProtocolOptions{
			CommonHttpProtocolOptions: common,
			UpstreamProtocolOptions:   &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
			OutlierDetection:          matcher,
		}),
	}
}

// retryBudget bounds retries by a share of the requests, where the policy does.
func (b *configBuilder) retryBudget(c *clusterv3.Cluster, budget mesh.RetryBudget) {
	if !budget.Enabled.Value {
		return
	}
	c.GetCircuitBreakers().GetThresholds()[0].RetryBudget = &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
		BudgetPercent:       &typev3.Percent{Value: budget.Percent.Value},
		MinRetryConcurrency: wrapperspb.UInt32(budget.MinRetryConcurrency.Value),
	}
}

// protocolName is how ALPN calls what is spoken to a sidecar.
func protocolName(http1 bool) string {
	if http1 {
		return "http/1.1"
	}
	return "h2"
}

// outlierDetection sets what Istio sets; without a block in the policy, nothing.
func (b *configBuilder) outlierDetection(c *clusterv3.Cluster, o mesh.OutlierDetection) {
	if !o.Enabled.Value {
		return
	}
	// A count of zero switches that kind off; Envoy wants a count anyway.
	enforce := func(count uint32) *wrapperspb.UInt32Value {
		if count == 0 {
			return wrapperspb.UInt32(0)
		}
		return wrapperspb.UInt32(100)
	}
	given := func(count uint32) *wrapperspb.UInt32Value {
		if count == 0 {
			return nil
		}
		return wrapperspb.UInt32(count)
	}
	c.OutlierDetection = &clusterv3.OutlierDetection{
		Consecutive_5Xx:                    given(o.Consecutive5xxErrors.Value),
		EnforcingConsecutive_5Xx:           enforce(o.Consecutive5xxErrors.Value),
		ConsecutiveGatewayFailure:          given(o.ConsecutiveGatewayErrors.Value),
		EnforcingConsecutiveGatewayFailure: enforce(o.ConsecutiveGatewayErrors.Value),
		Interval:                           durationpb.New(o.Interval.Value),
		BaseEjectionTime:                   durationpb.New(o.BaseEjectionTime.Value),
		MaxEjectionPercent:                 wrapperspb.UInt32(o.MaxEjectionPercent.Value),
		EnforcingSuccessRate:               wrapperspb.UInt32(0),
	}
	if o.SplitExternalLocalOriginErrors.Value {
		c.OutlierDetection.SplitExternalLocalOriginErrors = true
		c.OutlierDetection.ConsecutiveLocalOriginFailure = given(o.ConsecutiveLocalOriginFailures.Value)
		c.OutlierDetection.EnforcingConsecutiveLocalOriginFailure = enforce(o.ConsecutiveLocalOriginFailures.Value)
		c.OutlierDetection.EnforcingLocalOriginSuccessRate = wrapperspb.UInt32(0)
	}
	c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{
		HealthyPanicThreshold: &typev3.Percent{Value: float64(o.MinHealthPercent.Value)},
	}
}

// errorMatcher redefines what outlier detection counts as an error; nil leaves
// it at 5xx.
func errorMatcher(codes []uint32) *upstreamhttpv3.HttpProtocolOptions_OutlierDetection {
	if len(codes) == 0 {
		return nil
	}
	var rules []*matcherconfigv3.MatchPredicate
	for _, code := range codes {
		rules = append(rules, &matcherconfigv3.MatchPredicate{Rule: &matcherconfigv3.MatchPredicate_HttpResponseHeadersMatch{
			HttpResponseHeadersMatch: &matcherconfigv3.HttpHeadersMatch{Headers: []*routev3.HeaderMatcher{{
				Name: ":status",
				HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{
					StringMatch: exactly(strconv.FormatUint(uint64(code), 10)),
				},
			}}},
		}})
	}
	matcher := rules[0]
	if len(rules) > 1 { // a set needs at least two
		matcher = &matcherconfigv3.MatchPredicate{Rule: &matcherconfigv3.MatchPredicate_OrMatch{
			OrMatch: &matcherconfigv3.MatchPredicate_MatchSet{Rules: rules},
		}}
	}
	return &upstreamhttpv3.HttpProtocolOptions_OutlierDetection{ErrorMatcher: matcher}
}
