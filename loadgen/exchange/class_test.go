package exchange_test

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// The bodies and fields are those that Envoy 1.40 was seen to answer with.
func TestClassify(t *testing.T) {
	const proxy, upstream = exchange.FromProxy, exchange.FromProxy | exchange.UpstreamAnswered
	tests := []struct {
		name     string
		status   int
		evidence exchange.Evidence
		body     string
		want     exchange.Class
	}{
		{"good", 200, upstream, "", exchange.Good},
		{"redirect", 301, upstream, "", exchange.Good},
		{"breaker by header", 503, proxy | exchange.SaysOverloaded, "", exchange.Overflow},
		{"breaker by body", 503, proxy, "upstream connect error or disconnect/reset before headers. reset reason: overflow", exchange.Overflow},
		{"all ejected", 503, proxy, "no healthy upstream", exchange.NoHealthyUpstream},
		{"refused", 503, proxy, "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused", exchange.ConnectFailure},
		{"connect timeout", 503, proxy, "upstream connect error or disconnect/reset before headers. reset reason: connection timeout", exchange.ConnectFailure},
		{"upstream closed", 503, proxy, "upstream connect error or disconnect/reset before headers. reset reason: connection termination", exchange.UpstreamReset},
		{"upstream protocol error", 502, proxy, "upstream connect error or disconnect/reset before headers. reset reason: protocol error", exchange.UpstreamReset},
		{"route timeout", 504, proxy, "upstream request timeout", exchange.Timeout504},
		{"rate limit", 429, proxy, "local_rate_limited", exchange.RateLimited},
		{"rbac", 403, proxy, "RBAC: access denied", exchange.RBACDenied},
		{"403 of the service", 403, upstream, "forbidden", exchange.Unauthorized},
		{"401", 401, upstream, "", exchange.Unauthorized},
		{"no route", 404, proxy, "", exchange.NoRoute},
		{"404 of the service", 404, upstream, "404 page not found", exchange.Service4xx},
		{"404 without a proxy", 404, 0, "404 page not found", exchange.Service4xx},
		{"fault", 503, proxy, "fault filter abort", exchange.FaultInjected},
		{"fault with another status", 418, proxy, "fault filter abort", exchange.FaultInjected},
		{"503 of the service", 503, upstream, "try later", exchange.Service5xx},
		{"500", 500, upstream, "", exchange.Service5xx},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := exchange.Classify(tt.status, tt.evidence|exchange.BodyEvidence([]byte(tt.body)))
			if got != tt.want {
				t.Errorf("Classify(%d, %q) = %s, want %s", tt.status, tt.body, got, tt.want)
			}
		})
	}
}

// The codes are those of RFC 9113, section 7.
func TestResetClass(t *testing.T) {
	tests := []struct {
		code uint32
		want string
	}{
		{0, "reset-no-error"}, {1, "reset-protocol-error"}, {2, "reset-internal-error"},
		{3, "reset-flow-control-error"}, {4, "reset-settings-timeout"}, {5, "reset-stream-closed"},
		{6, "reset-frame-size-error"}, {7, "reset-refused-stream"}, {8, "reset-cancel"},
		{9, "reset-compression-error"}, {10, "reset-connect-error"}, {11, "reset-enhance-your-calm"},
		{12, "reset-inadequate-security"}, {13, "reset-http-1-1-required"}, {14, "reset-unknown-code"},
		{1 << 31, "reset-unknown-code"},
	}
	for _, tt := range tests {
		if got := exchange.ResetClass(tt.code).String(); got != tt.want {
			t.Errorf("ResetClass(%d) = %s, want %s", tt.code, got, tt.want)
		}
	}
}

func TestClassNames(t *testing.T) {
	seen := map[string]exchange.Class{}
	for c := exchange.Class(0); int(c) < exchange.Classes; c++ {
		name := c.String()
		if name == "" {
			t.Errorf("class %d has no name", c)
		}
		if other, twice := seen[name]; twice {
			t.Errorf("classes %d and %d are both called %s", other, c, name)
		}
		seen[name] = c
	}
	if got := exchange.Class(exchange.Classes).String(); got != "" {
		t.Errorf("the class after the last is called %q, want no name", got)
	}
}

func TestIsBad(t *testing.T) {
	tests := []struct {
		status int
		class  exchange.Class
		want   bool
	}{
		{200, exchange.Good, false}, {404, exchange.Service4xx, false}, {428, exchange.Service4xx, false},
		{429, exchange.RateLimited, true}, {499, exchange.Service4xx, false}, {500, exchange.Service5xx, true},
		{503, exchange.Overflow, true}, {599, exchange.Service5xx, true},
		{200, exchange.CheckFailed, true}, {401, exchange.Unauthorized, false},
		{200, exchange.GRPCCancelled, true}, {200, exchange.GRPCUnavailable, true}, {200, exchange.GRPCOther, true},
		{200, exchange.Overflow, true}, {200, exchange.RBACDenied, true}, {404, exchange.CheckFailed, true},
	}
	for _, tt := range tests {
		if got := exchange.IsBad(tt.status, tt.class); got != tt.want {
			t.Errorf("IsBad(%d, %s) = %t, want %t", tt.status, tt.class, got, tt.want)
		}
	}
}

// The codes are those of the gRPC core documentation (statuscodes).
func TestGRPCClass(t *testing.T) {
	tests := []struct {
		code uint32
		want string
	}{
		{0, "good"}, {1, "grpc-cancelled"}, {2, "grpc-unknown"}, {4, "grpc-deadline-exceeded"}, {5, "grpc-not-found"},
		{7, "grpc-permission-denied"}, {8, "grpc-resource-exhausted"}, {12, "grpc-unimplemented"}, {13, "grpc-internal"},
		{14, "grpc-unavailable"}, {16, "grpc-unauthenticated"}, {17, "grpc-other"}, {1 << 31, "grpc-other"},
	}
	for _, tt := range tests {
		if got := exchange.GRPCClass(tt.code).String(); got != tt.want {
			t.Errorf("GRPCClass(%d) = %s, want %s", tt.code, got, tt.want)
		}
	}
}
