package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// ServiceHost and ServicePort are what the test service is to the mesh: the
// destination whose policy applies.
const (
	ServiceHost        = "service.lab.svc.cluster.local"
	ServicePort uint32 = 80
)

// Names as Istio gives them.
const (
	outboundCluster = "outbound|80||" + ServiceHost
	inboundCluster  = "inbound|8080||"
	outboundSNI     = "outbound_.80_._." + ServiceHost
	// Prefixes of the HTTP statistics: http.<prefix>.downstream_rq_total.
	gatewayPrefix = "outbound_gateway"
	sidecarPrefix = "inbound_sidecar"

	gatewayAccount = "gateway"
	serviceAccount = "service"
)

// proxyConfig is what a proxy of the lab needs to know, real or stand-in.
type proxyConfig struct {
	Name        string   // node id
	Upstreams   []uint32 // ports on loopback
	Policy      mesh.Policy
	CAFile      string
	Identity    keyPair  // SPIFFE identity
	Public      *keyPair // gateway: serve TLS with this; nil: cleartext
	Concurrency int      // worker threads
	Direct      bool     // gateway: the upstreams are services, in cleartext
	HTTP1       bool     // the upstreams are spoken to in HTTP/1.1
	Retries     *Retries // gateway: of its route; nil: Istio's default
}

// gatewayBootstrap is the client side: the DestinationRule applies to its
// outbound cluster, which has one endpoint per sidecar.
func gatewayBootstrap(c proxyConfig) (*bootstrapv3.Bootstrap, error) {
	b := &configBuilder{}
	manager := b.connectionManager(gatewayPrefix, outboundCluster)
	manager.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
	manager.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{
		Subject: wrapperspb.Bool(true), Cert: true, Dns: true, Uri: true,
	}
	route := manager.GetRouteConfig().VirtualHosts[0].Routes[0].GetRoute()
	route.RetryPolicy = b.defaultRetries()
	if c.Retries != nil {
		route.RetryPolicy = b.retries(*c.Retries)
		route.Timeout = durationpb.New(c.Retries.Timeout)
	}
	var socket *corev3.TransportSocket
	if c.Public != nil {
		common := commonTLS(*c.Public, []string{"h2", "http/1.1"})
		socket = b.transportSocket(&tlsv3.DownstreamTlsContext{
			CommonTlsContext:         common,
			RequireClientCertificate: wrapperspb.Bool(false),
		})
	}
	cluster := b.cluster(outboundCluster, c.Upstreams, c.Policy.ConnectionPool)
	b.retryBudget(cluster, c.Policy.RetryBudget)
	b.outlierDetection(cluster, c.Policy.OutlierDetection)
	if !c.Direct {
		common := commonTLS(c.Identity, []string{"istio", protocolName(c.HTTP1)})
		common.ValidationContextType = validate(c.CAFile, exactly(spiffeID(serviceAccount)))
		cluster.TransportSocket = b.transportSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: outboundSNI})
	}
	b.protocolOptions(cluster, c.Policy.ConnectionPool, c.HTTP1, errorMatcher(c.Policy.OutlierDetection.HTTPErrorCodes.Value))
	return b.bootstrap(c.Name, b.listener("gateway", manager, socket), cluster)
}

// sidecarBootstrap is the server side of one pod: it accepts only callers of
// the mesh and applies the connection pool once more, towards its own service.
func sidecarBootstrap(c proxyConfig) (*bootstrapv3.Bootstrap, error) {
	b := &configBuilder{}
	manager := b.connectionManager(sidecarPrefix, inboundCluster)
	manager.ForwardClientCertDetails = hcmv3.HttpConnectionManager_APPEND_FORWARD
	manager.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{
		Subject: wrapperspb.Bool(true), Dns: true, Uri: true,
	}
	common := commonTLS(c.Identity, []string{"h2", "http/1.1"})
	common.TlsParams = &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2,
		TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
		CipherSuites: []string{
			"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
			"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
			"AES256-GCM-SHA384", "AES128-GCM-SHA256",
		},
	}
	common.ValidationContextType = validate(c.CAFile, &matcherv3.StringMatcher{
		MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "spiffe://" + trustDomain + "/"},
	})
	socket := b.transportSocket(&tlsv3.DownstreamTlsContext{
		CommonTlsContext:         common,
		RequireClientCertificate: wrapperspb.Bool(true),
	})
	cluster := b.cluster(inboundCluster, c.Upstreams, c.Policy.ConnectionPool)
	b.protocolOptions(cluster, c.Policy.ConnectionPool, c.HTTP1, nil)
	return b.bootstrap(c.Name, b.listener("sidecar", manager, socket), cluster)
}

// configBuilder packs messages and keeps the first error, which only a
// programming mistake can cause.
type configBuilder struct{ err error }

func (b *configBuilder) any(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("pack %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return packed
}

func (b *configBuilder) transportSocket(m proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: b.any(m)},
	}
}

func (b *configBuilder) bootstrap(node string, listener *listenerv3.Listener, cluster *clusterv3.Cluster) (*bootstrapv3.Bootstrap, error) {
	if b.err != nil {
		return nil, fmt.Errorf("configure %s: %w", node, b.err)
	}
	return &bootstrapv3.Bootstrap{
		Node:  &corev3.Node{Id: node, Cluster: "lab"},
		Admin: &bootstrapv3.Admin{Address: loopback(0)},
		// Istio's own, beside Envoy's: the label has the whole name of a cluster, and
		// Envoy's ends at the first dot of the host.
		StatsConfig: &metricsv3.StatsConfig{StatsTags: []*metricsv3.TagSpecifier{{
			TagName:  "cluster_name",
			TagValue: &metricsv3.TagSpecifier_Regex{Regex: `^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)`},
		}}},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Listeners: []*listenerv3.Listener{listener},
			Clusters:  []*clusterv3.Cluster{cluster},
		},
	}, nil
}

func (b *configBuilder) listener(name string, manager *hcmv3.HttpConnectionManager, socket *corev3.TransportSocket) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name:    name,
		Address: loopback(0),
		FilterChains: []*listenerv3.FilterChain{{
			Filters: []*listenerv3.Filter{{
				Name:       "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: b.any(manager)},
			}},
			TransportSocket: socket,
		}},
	}
}

// connectionManager has one route: everything to the cluster. Access logs are
// off: they cost, and nobody reads them.
func (b *configBuilder) connectionManager(prefix, cluster string) *hcmv3.HttpConnectionManager {
	noTimeout := durationpb.New(0)
	return &hcmv3.HttpConnectionManager{
		CodecType:         hcmv3.HttpConnectionManager_AUTO,
		StatPrefix:        prefix,
		ServerName:        "istio-envoy",
		UseRemoteAddress:  wrapperspb.Bool(prefix == gatewayPrefix),
		StreamIdleTimeout: noTimeout,
		NormalizePath:     wrapperspb.Bool(true),
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name:             prefix,
			ValidateClusters: wrapperspb.Bool(true),
			VirtualHosts: []*routev3.VirtualHost{{
				Name:    prefix,
				Domains: []string{"*"},
				Routes: []*routev3.Route{{
					Name:  "default",
					Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
					Action: &routev3.Route_Route{Route: &routev3.RouteAction{
						ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
						Timeout:          noTimeout,
					}},
				}},
			}},
		}},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name:       "envoy.filters.http.router",
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: b.any(&routerv3.Router{})},
		}},
	}
}

// defaultRetries are Istio's where no VirtualService says otherwise. A plain
// 503 is not among them, so what a limit sheds reaches the caller.
func (b *configBuilder) defaultRetries() *routev3.RetryPolicy {
	return &routev3.RetryPolicy{
		RetryOn:    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
		NumRetries: wrapperspb.UInt32(2),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: b.any(&previoushostsv3.PreviousHostsPredicate{}),
			},
		}},
		HostSelectionRetryMaxAttempts: 5,
	}
}

// retries are those of a VirtualService, on another host where there is one; nil
// when there are none. As Istio does, statuses among the conditions become a list.
func (b *configBuilder) retries(r Retries) *routev3.RetryPolicy {
	if r.Attempts == 0 {
		return nil
	}
	policy := b.defaultRetries()
	policy.NumRetries, policy.PerTryTimeout = wrapperspb.UInt32(r.Attempts), positive(r.PerTry)
	var conditions []string
	for condition := range strings.SplitSeq(r.On, ",") {
		condition = strings.TrimSpace(condition)
		if status, err := strconv.ParseUint(condition, 10, 16); err == nil {
			policy.RetriableStatusCodes = append(policy.RetriableStatusCodes, uint32(status))
			condition = "retriable-status-codes"
		}
		if condition != "" && !slices.Contains(conditions, condition) {
			conditions = append(conditions, condition)
		}
	}
	policy.RetryOn = strings.Join(conditions, ",")
	return policy
}

func commonTLS(identity keyPair, alpn []string) *tlsv3.CommonTlsContext {
	return &tlsv3.CommonTlsContext{
		AlpnProtocols: alpn,
		TlsCertificates: []*tlsv3.TlsCertificate{{
			CertificateChain: fromFile(identity.CertFile),
			PrivateKey:       fromFile(identity.KeyFile),
		}},
	}
}

// validate accepts peers whose certificate the lab's authority signed and
// whose SPIFFE identity matches.
func validate(caFile string, identity *matcherv3.StringMatcher) *tlsv3.CommonTlsContext_ValidationContext {
	return &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
		TrustedCa: fromFile(caFile),
		MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
			SanType: tlsv3.SubjectAltNameMatcher_URI,
			Matcher: identity,
		}},
	}}
}

func exactly(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: s}}
}

func fromFile(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}

func loopback(port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       "127.0.0.1",
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

// endpoints turns ports on loopback into one locality.
func endpoints(ports []uint32) []*endpointv3.LocalityLbEndpoints {
	locality := &endpointv3.LocalityLbEndpoints{}
	for _, port := range ports {
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: loopback(port)}},
		})
	}
	return []*endpointv3.LocalityLbEndpoints{locality}
}

// positive returns d for a field that means "none" when absent.
func positive(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}

// marshalConfig words a configuration as Envoy reads it.
func marshalConfig(m *bootstrapv3.Bootstrap) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", m.GetNode().GetId(), err)
	}
	return text, nil
}
