package mesh

import (
	"fmt"
	"math"
	"time"
)

// Unlimited is what Istio hands to Envoy for a connection-pool limit that is
// absent or zero: 2^32-1. Envoy's own defaults (1024, 3 retries) never apply
// under Istio.
const Unlimited = math.MaxUint32

// UnlimitedStreams is the number of concurrent HTTP/2 streams on a connection
// when maxConcurrentStreams is absent or zero: 2^31-1, the protocol's own bound.
const UnlimitedStreams = math.MaxInt32

// Source is where a value comes from: a place in the user's file, or a default.
type Source struct {
	File   string // empty for a default
	Line   int    // from 1; 0 for a default
	Column int    // from 1; 0 for a default
	Note   string // for a default: whose; otherwise empty, or how the value was altered
}

// IsDefault reports whether no file set the value.
func (s Source) IsDefault() bool { return s.File == "" }

// String prints the source as "file:line" or, for a default, as its note.
func (s Source) String() string {
	if s.IsDefault() {
		return s.Note
	}
	place := fmt.Sprintf("%s:%d", s.File, s.Line)
	if s.Note != "" {
		place += " (" + s.Note + ")"
	}
	return place
}

// Value is one setting together with its source.
type Value[T any] struct {
	Value  T
	Source Source
}

// Policy is the effective traffic policy for one destination, complete: every
// field has a value, set or default.
type Policy struct {
	Host   string // host of the DestinationRule that was used; empty when none matched
	Subset string // empty: no subset
	Port   uint32 // 0: no port-level settings were asked for

	ConnectionPool   ConnectionPool
	OutlierDetection OutlierDetection
	RetryBudget      RetryBudget

	Notes []string // what a reader of the files might not expect
}

// RetryBudget is trafficPolicy.retryBudget. Where it is enabled it bounds retries
// instead of ConnectionPool.HTTP.MaxRetries.
type RetryBudget struct {
	Enabled             Value[bool]
	Percent             Value[float64] // of the requests that are active, 0 to 100
	MinRetryConcurrency Value[uint32]  // retries that are allowed in any case
}

// ConnectionPool is the effective trafficPolicy.connectionPool.
type ConnectionPool struct {
	TCP  TCPSettings
	HTTP HTTPSettings
}

// TCPSettings is connectionPool.tcp.
type TCPSettings struct {
	MaxConnections        Value[uint32]        // per Envoy process and cluster; Unlimited when not set
	ConnectTimeout        Value[time.Duration] // > 0
	Keepalive             Keepalive
	MaxConnectionDuration Value[time.Duration] // 0: no bound
	IdleTimeout           Value[time.Duration] // of a TCP proxy; 0: never closed for idleness
}

// Keepalive is connectionPool.tcp.tcpKeepalive.
type Keepalive struct {
	Enabled  Value[bool]          // false: SO_KEEPALIVE is not set
	Probes   Value[uint32]        // 0: the operating system's
	Time     Value[time.Duration] // whole seconds, as Istio passes them on; 0: the operating system's
	Interval Value[time.Duration] // whole seconds, as Istio passes them on; 0: the operating system's
}

// H2Upgrade is connectionPool.http.h2UpgradePolicy.
type H2Upgrade string

// The upgrade policies. H2Default is what the mesh says, and the mesh's default
// is not to upgrade.
const (
	H2Default      H2Upgrade = "DEFAULT"
	H2DoNotUpgrade H2Upgrade = "DO_NOT_UPGRADE"
	H2DoUpgrade    H2Upgrade = "UPGRADE"
)

// HTTPSettings is connectionPool.http.
type HTTPSettings struct {
	MaxPendingRequests       Value[uint32]        // http1MaxPendingRequests; applies to HTTP/2 too; Unlimited when not set
	MaxRequests              Value[uint32]        // http2MaxRequests; applies to HTTP/1.1 too; Unlimited when not set
	MaxRequestsPerConnection Value[uint32]        // 0: no bound; 1: no keep-alive
	MaxRetries               Value[uint32]        // concurrent, over the cluster; Unlimited when not set
	IdleTimeout              Value[time.Duration] // of an HTTP connection; 0: never closed for idleness
	H2UpgradePolicy          Value[H2Upgrade]
	UseClientProtocol        Value[bool]
	// MaxConcurrentStreams takes effect only where the cluster speaks HTTP/2
	// explicitly (port named http2 or grpc, or H2DoUpgrade); UnlimitedStreams
	// when not set.
	MaxConcurrentStreams Value[uint32]
	HTTP2KeepAlive       HTTP2KeepAlive
}

// HTTP2KeepAlive is connectionPool.http.http2KeepAlive: PING frames on HTTP/2
// connections. Off unless both are set.
type HTTP2KeepAlive struct {
	Interval Value[time.Duration] // 0: off
	Timeout  Value[time.Duration] // 0: off
}

// OutlierDetection is the effective trafficPolicy.outlierDetection. Nothing is
// ever ejected unless Enabled. Success-rate ejection does not exist under Istio.
type OutlierDetection struct {
	Enabled Value[bool] // whether an outlierDetection block exists

	Consecutive5xxErrors           Value[uint32] // 0: does not eject
	ConsecutiveGatewayErrors       Value[uint32] // 0: does not eject
	SplitExternalLocalOriginErrors Value[bool]
	ConsecutiveLocalOriginFailures Value[uint32] // counts only when split
	Interval                       Value[time.Duration]
	BaseEjectionTime               Value[time.Duration]
	MaxEjectionPercent             Value[uint32]   // 1 to 100
	MinHealthPercent               Value[uint32]   // panic threshold; 0: no panic
	HTTPErrorCodes                 Value[[]uint32] // what counts as an error; empty: 5xx
}
