//go:build linux

package loadgen_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

// TestAlertAfterHandshake: a TLS 1.3 client has finished its handshake when the
// server refuses its missing certificate, and when it ends or breaks the
// encryption amid a request.
func TestAlertAfterHandshake(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	config := certificate.TLS.Clone()
	certificate.Close()
	config.NextProtos = []string{"h2"}
	serveTLS := func(t *testing.T, config *tls.Config, request func(s *script, id uint32) bool) scenarios.Plan {
		listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
		if err != nil {
			t.Fatal(err)
		}
		serveScriptOn(t, listener, nil, request)
		address := listener.Addr().String()
		plan := planFor(address)
		plan.Endpoint = scenarios.Endpoint{Scheme: "https", Authority: address, Address: address, Protocol: scenarios.ProtocolH2, TLS: scenarios.TLS{Insecure: true}}
		return plan
	}
	t.Run("certificate required", func(t *testing.T) {
		strict := config.Clone()
		strict.ClientAuth = tls.RequireAnyClientCert
		session, err := loadgen.Open(context.Background(), serveTLS(t, strict, func(*script, uint32) bool { return true }), loadgen.Options{})
		if err == nil {
			_ = session.Close()
			t.Fatal("the connection was opened")
		}
		if !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%v, want an error that speaks of the certificate", err)
		}
	})
	ends := map[string]func(conn *tls.Conn){
		"close notify": func(conn *tls.Conn) { _ = conn.CloseWrite() },
		"broken record": func(conn *tls.Conn) {
			_, _ = conn.NetConn().Write([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))
		},
		"plain alert":     func(conn *tls.Conn) { _, _ = conn.NetConn().Write([]byte("\x15\x03\x03\x00\x02\x02\x28")) },
		"half a record":   func(conn *tls.Conn) { _, _ = conn.NetConn().Write([]byte("\x17\x03\x03\x40")) },
		"no TLS any more": func(conn *tls.Conn) { _, _ = io.WriteString(conn.NetConn(), "HTTP/1.1 400 Bad Request\r\n\r\n") },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			plan := serveTLS(t, config, func(s *script, id uint32) bool {
				if id < 2*10 {
					return s.answer(id) == nil
				}
				end(s.Conn.(*tls.Conn))
				return false
			})
			plan.Connections.StreamsPerConnection = 1
			facts := closed(t, plan, 300*time.Millisecond)
			c := facts.Counts
			if c.Failed == 0 || c.Failed != facts.Errors["connection-lost"] || c.Answered < 5*c.Failed {
				t.Errorf("counts %+v, errors %v; want each tenth lost", c, facts.Errors)
			}
		})
	}
}
