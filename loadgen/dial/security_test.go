//go:build linux

package dial_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/dial"
)

// secure runs a TLS server that says ok to every client and waits for its end.
func secure(t testing.TB, config *tls.Config) string {
	return serve(t, func(c net.Conn) {
		server := tls.Server(c, config)
		if server.Handshake() == nil {
			_, _ = io.WriteString(server, "ok")
		}
		_, _ = io.Copy(io.Discard, server)
	})
}

// greet opens a link and reads what the server says, session tickets included.
func greet(t testing.TB, address string, config *dial.TLS) (*dial.Link, error) {
	t.Helper()
	ctx := within(t, 10*time.Second)
	link, err := dial.Open(ctx, dial.Options{Address: address, TLS: config})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = link.Close() })
	buffer := make([]byte, 10)
	for {
		link.Arrived()
		n, err := link.Read(buffer)
		if n > 0 {
			return link, nil
		}
		if err != dial.ErrWouldBlock {
			return nil, dial.Late(address, err)
		}
		if err := link.Wait(ctx, false); err != nil {
			return nil, err
		}
	}
}

func newTLS(t testing.TB, o dial.TLSOptions) *dial.TLS {
	t.Helper()
	config, err := dial.NewTLS(o)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// TestAgreement: what the options ask for is what is agreed on.
func TestAgreement(t *testing.T) {
	ca := newAuthority(t)
	server := tls.Config{Certificates: []tls.Certificate{ca.issue("shop.test", time.Now().Add(time.Hour))}, NextProtos: []string{"h2", "http/1.1"}}
	base := dial.TLSOptions{CAFile: ca.file, Authority: "shop.test:443"}
	tests := []struct {
		name   string
		server func(*tls.Config)
		client func(*dial.TLSOptions)
		want   dial.Agreement // empty fields are not compared
		cause  dial.Cause
		says   string
	}{
		{"as it is", nil, nil, dial.Agreement{Protocol: "h2", Version: "TLS 1.3", Curve: "X25519MLKEM768"}, "", ""},
		{"HTTP/1.1", nil, func(o *dial.TLSOptions) { o.Protocol = dial.ProtocolHTTP1 }, dial.Agreement{Protocol: "http/1.1"}, "", ""},
		{"HTTP/1.1 without ALPN", func(c *tls.Config) { c.NextProtos = nil }, func(o *dial.TLSOptions) { o.Protocol = dial.ProtocolHTTP1 }, dial.Agreement{Version: "TLS 1.3"}, "", ""},
		{"at most 1.2", nil, func(o *dial.TLSOptions) { o.MaxVersion = "1.2" }, dial.Agreement{Version: "TLS 1.2"}, "", ""},
		{"a suite", nil, func(o *dial.TLSOptions) {
			o.MaxVersion, o.CipherSuites = "1.2", []string{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}
		}, dial.Agreement{Suite: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}, "", ""},
		{"a curve", nil, func(o *dial.TLSOptions) { o.Curves = []string{"P-384"} }, dial.Agreement{Curve: "P-384"}, "", ""},
		{"a curve of 1.2", nil, func(o *dial.TLSOptions) { o.MaxVersion, o.Curves = "1.2", []string{"P-521"} }, dial.Agreement{Curve: "P-521"}, "", ""},
		{"the server is too old", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, func(o *dial.TLSOptions) { o.MinVersion = "1.3" },
			dial.Agreement{}, dial.CauseVersion, "tls.minVersion"},
		{"the server is too new", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, func(o *dial.TLSOptions) { o.MaxVersion = "1.2" },
			dial.Agreement{}, dial.CauseVersion, "tls.maxVersion"},
		{"no suite in common", func(c *tls.Config) { c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384} },
			func(o *dial.TLSOptions) {
				o.MaxVersion, o.CipherSuites = "1.2", []string{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}
			}, dial.Agreement{}, dial.CauseAlert, "no cipher suite or curve in common"},
		{"another protocol", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, nil, dial.Agreement{}, dial.CauseNoProtocol, "asked for h2"},
		{"another name", nil, func(o *dial.TLSOptions) { o.ServerName = "bank.test" }, dial.Agreement{}, dial.CauseName, "bank.test"},
		{"another authority, but the name", nil, func(o *dial.TLSOptions) { o.Authority, o.ServerName = "bank.test", "shop.test" }, dial.Agreement{Protocol: "h2"}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config, options := server.Clone(), base
			if tt.server != nil {
				tt.server(config)
			}
			if tt.client != nil {
				tt.client(&options)
			}
			link, err := greet(t, secure(t, config), newTLS(t, options))
			if tt.cause != "" {
				wantCause(t, err, tt.cause)
				if err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %q, want one with %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, ok := link.Agreed()
			for _, field := range [][2]string{{got.Protocol, tt.want.Protocol}, {got.Version, tt.want.Version}, {got.Suite, tt.want.Suite}, {got.Curve, tt.want.Curve}} {
				if field[1] != "" && field[0] != field[1] {
					t.Errorf("agreed on %+v, want %s", got, field[1])
				}
			}
			if !ok || got.Resumed {
				t.Errorf("agreed on %+v, %v", got, ok)
			}
		})
	}
}

// TestServerThatKnowsNoVersions answers with TLS 1.1 whatever the client asked for.
func TestServerThatKnowsNoVersions(t *testing.T) {
	hello := slices.Concat(
		[]byte{22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2}, // record and message of the server's hello, RFC 4346
		make([]byte, 32), []byte{0, 0xc0, 0x13, 0}) // random, no session, a suite, no compression
	address := serve(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write(hello)
		_, _ = io.Copy(io.Discard, c)
	})
	_, err := greet(t, address, newTLS(t, dial.TLSOptions{Authority: "shop.test"}))
	wantCause(t, err, dial.CauseVersion)
	if err != nil && !strings.Contains(err.Error(), "tls.minVersion") {
		t.Errorf("error %q, want one that says what to set", err)
	}
}

func TestTLSOptionsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options dial.TLSOptions
		says    string
	}{
		{"version", dial.TLSOptions{MinVersion: "1.1"}, `minVersion is "1.1", want 1.2 or 1.3`},
		{"versions", dial.TLSOptions{MinVersion: "1.3", MaxVersion: "1.2"}, "minVersion 1.3 is above maxVersion 1.2"},
		{"suite", dial.TLSOptions{CipherSuites: []string{"ECDHE-RSA-AES128-GCM-SHA256"}}, "IANA name"},
		{"suite of 1.3", dial.TLSOptions{CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, "is of TLS 1.3"},
		{"suites with 1.3", dial.TLSOptions{MinVersion: "1.3", CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}, "rules out"},
		{"curve", dial.TLSOptions{Curves: []string{"P256"}}, "P-256"},
		{"curve of 1.3", dial.TLSOptions{MaxVersion: "1.2", Curves: []string{"X25519MLKEM768"}}, "needs TLS 1.3"},
		{"protocol", dial.TLSOptions{Protocol: "h3"}, `"h3"`},
		{"SPIFFE", dial.TLSOptions{SPIFFEID: "shop.test"}, "spiffe://"},
		{"SPIFFE and insecure", dial.TLSOptions{SPIFFEID: "spiffe://cluster.local/ns/a/sa/b", Insecure: true}, "leave one out"},
	} {
		if _, err := dial.NewTLS(tt.options); err == nil || !strings.HasPrefix(err.Error(), "tls: ") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.says)
		}
	}
}

// workload issues a certificate as a mesh does: a URI, and no name.
func (a *authority) workload(until time.Time, ids ...string) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		Subject: pkix.Name{Organization: []string{"mesh"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, id := range ids {
		uri, err := url.Parse(id)
		if err != nil {
			a.t.Fatal(err)
		}
		template.URIs = append(template.URIs, uri)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestSPIFFE: the URI counts instead of the names, and the chain still does.
func TestSPIFFE(t *testing.T) {
	const id = "spiffe://cluster.local/ns/shop/sa/cart"
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name        string
		certificate tls.Certificate
		cause       dial.Cause
		says        string
	}{
		{"the one", ca.workload(later, id), "", ""},
		{"one of two", ca.workload(later, "https://shop.test", id), "", ""},
		{"another", ca.workload(later, "spiffe://cluster.local/ns/shop/sa/pay"), dial.CauseName, "has URI spiffe://cluster.local/ns/shop/sa/pay, want " + id},
		{"a longer one", ca.workload(later, id+"2"), dial.CauseName, id + "2"},
		{"a shorter one", ca.workload(later, "spiffe://cluster.local/ns/shop/sa"), dial.CauseName, "want " + id},
		{"another domain", ca.workload(later, "spiffe://cluster.remote/ns/shop/sa/cart"), dial.CauseName, "cluster.remote"},
		{"a name only", ca.issue("shop.test", later), dial.CauseName, "no URI, only the names shop.test"},
		{"nothing", ca.workload(later), dial.CauseName, "no URI and no names"},
		{"of an unknown authority", other.workload(later, id), dial.CauseAuthority, "unknown authority"},
		{"expired", ca.workload(time.Now().Add(-time.Hour), id), dial.CauseExpired, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := secure(t, &tls.Config{Certificates: []tls.Certificate{tt.certificate}, NextProtos: []string{"h2"}})
			_, err := greet(t, address, newTLS(t, dial.TLSOptions{CAFile: ca.file, Authority: "shop.test:443", SPIFFEID: id}))
			if tt.cause == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCause(t, err, tt.cause)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q, want one with %q", err, tt.says)
			}
		})
	}
}

// TestResumption: with resume, further connections resume the first one's
// session, also when the server is checked by its SPIFFE id; without, none does.
func TestResumption(t *testing.T) {
	const id = "spiffe://cluster.local/ns/shop/sa/cart"
	ca := newAuthority(t)
	named, workload := ca.issue("shop.test", time.Now().Add(time.Hour)), ca.workload(time.Now().Add(time.Hour), id)
	for _, tt := range []struct {
		name        string
		certificate tls.Certificate
		options     dial.TLSOptions
		want        bool
	}{
		{"off", named, dial.TLSOptions{}, false},
		{"on", named, dial.TLSOptions{Resume: true}, true},
		{"on, TLS 1.2", named, dial.TLSOptions{Resume: true, MaxVersion: "1.2"}, true},
		{"on, SPIFFE", workload, dial.TLSOptions{Resume: true, SPIFFEID: id}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := secure(t, &tls.Config{Certificates: []tls.Certificate{tt.certificate}, NextProtos: []string{"h2"}})
			tt.options.CAFile, tt.options.Authority = ca.file, "shop.test"
			config := newTLS(t, tt.options)
			for i := range 3 {
				link, err := greet(t, address, config)
				if err != nil {
					t.Fatal(err)
				}
				if got, _ := link.Agreed(); got.Resumed != (tt.want && i > 0) {
					t.Errorf("connection %d: resumed is %v", i+1, got.Resumed)
				}
				_ = link.Close()
			}
		})
	}
}

// TestCertificateIsReadAgain: a new client certificate is used by the next
// connection and ends resumption; a broken one is told and leaves the old one.
func TestCertificateIsReadAgain(t *testing.T) {
	ca := newAuthority(t)
	later := time.Now().Add(time.Hour)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	var mu sync.Mutex
	var seen []string
	server := &tls.Config{
		Certificates: []tls.Certificate{ca.issue("shop.test", later)}, NextProtos: []string{"h2"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		VerifyConnection: func(state tls.ConnectionState) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, state.PeerCertificates[0].Subject.CommonName)
			return nil
		},
	}
	address := secure(t, server)
	directory := t.TempDir()
	certFile, keyFile := filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")
	put := func(c tls.Certificate, cert, key bool) {
		t.Helper()
		der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		if cert {
			replace(t, certFile, "CERTIFICATE", c.Certificate[0])
		}
		if key {
			replace(t, keyFile, "PRIVATE KEY", der)
		}
	}
	one, two := ca.issue("one.test", later), ca.issue("two.test", later)
	put(one, true, true)
	var told []error
	config := newTLS(t, dial.TLSOptions{
		CAFile: ca.file, Authority: "shop.test", CertFile: certFile, KeyFile: keyFile, Resume: true,
		CheckEvery: time.Nanosecond, Reloaded: func(err error) { told = append(told, err) },
	})
	connect := func(want string, resumed bool) {
		t.Helper()
		link, err := greet(t, address, config)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if got := seen[len(seen)-1]; got != want {
			t.Errorf("the server saw %s, want %s", got, want)
		}
		if got, _ := link.Agreed(); got.Resumed != resumed {
			t.Errorf("resumed is %v, want %v", got.Resumed, resumed)
		}
		_ = link.Close()
	}
	connect("one.test", false)
	connect("one.test", true)
	put(two, true, false) // the key is not there yet
	connect("one.test", true)
	connect("one.test", true)
	if len(told) != 1 || told[0] == nil || !strings.Contains(told[0].Error(), "the old one stays in use") {
		t.Fatalf("told %v, want one error", told)
	}
	put(two, false, true)
	connect("two.test", false)
	connect("two.test", true)
	if len(told) != 2 || told[1] != nil {
		t.Errorf("told %v, want that the second change went well", told)
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	connect("two.test", true)
	connect("two.test", true)
	if len(told) != 3 || !errors.Is(told[2], os.ErrNotExist) {
		t.Errorf("told %v, want that the key is gone", told)
	}
}

// TestCertificateIsNotCheckedAllTheTime: within CheckEvery a change is not seen.
func TestCertificateIsNotCheckedAllTheTime(t *testing.T) {
	ca := newAuthority(t)
	directory := t.TempDir()
	certFile, keyFile := filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")
	client := ca.issue("client.test", time.Now().Add(time.Hour))
	der, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", client.Certificate[0])
	writePEM(t, keyFile, "PRIVATE KEY", der)
	address := secure(t, &tls.Config{Certificates: []tls.Certificate{ca.issue("shop.test", time.Now().Add(time.Hour))}, NextProtos: []string{"h2"}})
	config := newTLS(t, dial.TLSOptions{
		CAFile: ca.file, Authority: "shop.test", CertFile: certFile, KeyFile: keyFile,
		CheckEvery: time.Hour, Reloaded: func(err error) { t.Errorf("looked at: %v", err) },
	})
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if _, err := greet(t, address, config); err != nil {
		t.Error(err)
	}
}

// replace puts another file in the place of one.
func replace(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	writePEM(t, file+".new", kind, der)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// TestAlertsSayWhatToDo: what a server has against the client's certificate comes
// as an alert, after the handshake with TLS 1.3.
func TestAlertsSayWhatToDo(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			name   string
			client *tls.Certificate
			says   string
		}{
			{"none", nil, "set tls.certFile and tls.keyFile"},
			{"of an unknown authority", new(other.issue("client.test", later)), "does not trust the authority of tls.certFile"},
			{"expired", new(ca.issue("client.test", time.Now().Add(-time.Hour))), "the certificate in tls.certFile has expired"},
		} {
			if version == tls.VersionTLS12 && tt.client == nil {
				tt.says = "tls.certFile" // the alert of TLS 1.2 is less precise
			}
			t.Run(tls.VersionName(version)+"/"+tt.name, func(t *testing.T) {
				address := secure(t, &tls.Config{
					Certificates: []tls.Certificate{ca.issue("shop.test", later)}, NextProtos: []string{"h2"},
					MaxVersion: version, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
				})
				options := dial.TLSOptions{CAFile: ca.file, Authority: "shop.test"}
				if tt.client != nil {
					der, err := x509.MarshalPKCS8PrivateKey(tt.client.PrivateKey)
					if err != nil {
						t.Fatal(err)
					}
					directory := t.TempDir()
					options.CertFile, options.KeyFile = filepath.Join(directory, "c"), filepath.Join(directory, "k")
					writePEM(t, options.CertFile, "CERTIFICATE", tt.client.Certificate[0])
					writePEM(t, options.KeyFile, "PRIVATE KEY", der)
				}
				_, err := greet(t, address, newTLS(t, options))
				wantCause(t, err, dial.CauseAlert)
				if err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %q, want one with %q", err, tt.says)
				}
			})
		}
	}
}
