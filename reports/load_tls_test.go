package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
)

// What TLS agreed on, and why connections were given up, is said beside the times.
func TestConnectionsTellOfTLS(t *testing.T) {
	section := connectionsSection(analysis.LoadSummary{Connections: analysis.ConnectionSummary{
		Opened: 9, TLSVersion: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256",
		KeyExchanges: map[string]int64{"X25519": 1, "P-256": 8}, ResumedHandshakes: 5, ProtocolError: "two lengths\nthat differ",
	}})
	got := fmt.Sprint(section.Blocks)
	for _, want := range []string{
		"TLS 1.3, TLS_AES_128_GCM_SHA256, P-256 × 8, X25519 × 1; 5 handshakes resumed a session", "{Broke the protocol two lengths that differ}",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %q in it", got, want)
		}
	}
}
