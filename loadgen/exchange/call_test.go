package exchange_test

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// The messages are those that Envoy 1.40 was seen to put into grpc-message.
func TestClassifyCall(t *testing.T) {
	const proxy, upstream = exchange.FromProxy, exchange.FromProxy | exchange.UpstreamAnswered
	tests := []struct {
		name     string
		code     uint32
		evidence exchange.Evidence
		message  string
		want     exchange.Class
	}{
		{"good", 0, upstream, "", exchange.Good},
		{"good, whatever it says", 0, upstream, "fault filter abort", exchange.Good},
		{"not found", 5, upstream, "no such product", exchange.GRPCNotFound},
		{"denied by the service", 7, upstream, "not yours", exchange.GRPCPermissionDenied},
		{"denied by rules", 7, proxy, "RBAC: access denied", exchange.RBACDenied},
		{"exhausted", 8, upstream, "quota", exchange.GRPCResourceExhausted},
		{"rate limit as exhausted", 8, proxy, "local_rate_limited", exchange.RateLimited},
		{"rate limit", 14, proxy, "local_rate_limited", exchange.RateLimited},
		{"unimplemented by the service", 12, upstream, "unknown method", exchange.GRPCUnimplemented},
		{"unimplemented without a proxy", 12, 0, "unknown method", exchange.GRPCUnimplemented},
		{"no route", 12, proxy, "", exchange.NoRoute},
		{"unavailable by the service", 14, upstream, "try later", exchange.GRPCUnavailable},
		{"breaker by header", 14, proxy | exchange.SaysOverloaded, "", exchange.Overflow},
		{"breaker by message", 14, proxy, "upstream connect error or disconnect/reset before headers. reset reason: overflow", exchange.Overflow},
		{"no endpoint", 14, proxy, "no healthy upstream", exchange.NoHealthyUpstream},
		{"refused", 14, proxy, "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure", exchange.ConnectFailure},
		{"upstream closed", 14, proxy, "upstream connect error or disconnect/reset before headers. reset reason: connection termination", exchange.UpstreamReset},
		{"route timeout", 14, proxy, "upstream request timeout", exchange.Timeout504},
		{"fault", 14, proxy, "fault filter abort", exchange.FaultInjected},
		{"fault with another status", 5, proxy, "fault filter abort", exchange.FaultInjected},
		{"a number of no code", 99, upstream, "", exchange.GRPCOther},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := exchange.ClassifyCall(tt.code, tt.evidence|exchange.MessageEvidence([]byte(tt.message)))
			if got != tt.want {
				t.Errorf("ClassifyCall(%d, %q) = %s, want %s", tt.code, tt.message, got, tt.want)
			}
		})
	}
}
