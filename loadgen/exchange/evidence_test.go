package exchange_test

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

func TestFieldEvidence(t *testing.T) {
	tests := []struct {
		name, value string
		want        exchange.Evidence
	}{
		{"server", "envoy", exchange.FromProxy}, {"server", "istio-envoy", exchange.FromProxy}, {"server", "nginx", 0},
		{"x-envoy-overloaded", "true", exchange.SaysOverloaded}, {"x-envoy-overloaded", "", 0},
		{"x-envoy-upstream-service-time", "12", exchange.UpstreamAnswered}, {"content-type", "envoy", 0},
	}
	for _, tt := range tests {
		if got := exchange.FieldEvidence([]byte(tt.name), []byte(tt.value)); got != tt.want {
			t.Errorf("%s: %s shows %d, want %d", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestParseStatus(t *testing.T) {
	tests := []struct {
		text string
		want int32
	}{{"200", 200}, {"100", 100}, {"999", 999}, {"099", 0}, {"20", 0}, {"2000", 0}, {"2x0", 0}, {"-20", 0}, {"", 0}}
	for _, tt := range tests {
		if got := exchange.ParseStatus([]byte(tt.text)); got != tt.want {
			t.Errorf("%q is %d, want %d", tt.text, got, tt.want)
		}
	}
}
