//go:build linux

package dial_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/dial"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // of its own certificate, PEM
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue returns a certificate for a name that is valid until an instant.
func (a *authority) issue(name string, until time.Time) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve runs a handler for each connection of a listener until the test ends.
func serve(t testing.TB, handler func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handler(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestHandshakeFailures: each failure is told by its cause.
func TestHandshakeFailures(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	good := ca.issue("shop.test", later)
	tests := []struct {
		name   string
		server *tls.Config
		ca     string
		want   dial.Cause
		says   string
	}{
		{"agreed", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"h2"}}, ca.file, "", ""},
		{"unknown authority", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"h2"}}, other.file, dial.CauseAuthority, "unknown authority"},
		{"system authorities", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"h2"}}, "", dial.CauseAuthority, "unknown authority"},
		{"another name", &tls.Config{Certificates: []tls.Certificate{ca.issue("bank.test", later)}, NextProtos: []string{"h2"}}, ca.file, dial.CauseName, "bank.test"},
		{"expired", &tls.Config{Certificates: []tls.Certificate{ca.issue("shop.test", time.Now().Add(-time.Hour))}, NextProtos: []string{"h2"}}, ca.file, dial.CauseExpired, "expired"},
		{"only http/1.1", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"http/1.1"}}, ca.file, dial.CauseNoProtocol, "asked for h2"},
		{"no ALPN", &tls.Config{Certificates: []tls.Certificate{good}}, ca.file, dial.CauseNoProtocol, "asked for h2"},
		{"no client certificate, TLS 1.2", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"h2"},
			ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, ca.file, dial.CauseAlert, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := serve(t, func(c net.Conn) {
				server := tls.Server(c, tt.server)
				_ = server.Handshake()
				_, _ = io.Copy(io.Discard, server)
			})
			config, err := dial.NewTLS(dial.TLSOptions{CAFile: tt.ca, Authority: "shop.test:443"})
			if err != nil {
				t.Fatal(err)
			}
			link, err := dial.Open(within(t, 5*time.Second), dial.Options{Address: address, TLS: config})
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				state, ok := link.State()
				if !ok || state.NegotiatedProtocol != "h2" || link.Times().Handshake <= 0 || link.Times().Connect <= 0 {
					t.Errorf("state %v, times %+v", state.NegotiatedProtocol, link.Times())
				}
				if err := link.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			wantCause(t, err, tt.want)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q, want one that says %q", err, tt.says)
			}
		})
	}
}

func wantCause(t *testing.T, err error, want dial.Cause) {
	t.Helper()
	var failure *dial.Error
	if !errors.As(err, &failure) {
		t.Fatalf("error %v, want a *dial.Error", err)
	}
	if failure.Cause != want {
		t.Errorf("cause %q of %q, want %q", failure.Cause, err, want)
	}
}

// TestClientCertificate: it is sent when it is there; without it a server of TLS
// 1.3 refuses only after the handshake, which Late explains.
func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	later := time.Now().Add(time.Hour)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	config := &tls.Config{
		Certificates: []tls.Certificate{ca.issue("shop.test", later)}, NextProtos: []string{"h2"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}
	address := serve(t, func(c net.Conn) {
		server := tls.Server(c, config)
		_, _ = io.WriteString(server, "ok")
		_, _ = io.Copy(io.Discard, server)
	})
	client := ca.issue("client.test", later)
	key, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	certFile, keyFile := filepath.Join(directory, "cert.pem"), filepath.Join(directory, "key.pem")
	writePEM(t, certFile, "CERTIFICATE", client.Certificate[0])
	writePEM(t, keyFile, "PRIVATE KEY", key)

	read := func(files dial.TLSOptions) (string, error) {
		client, err := dial.NewTLS(files)
		if err != nil {
			t.Fatal(err)
		}
		ctx := within(t, 5*time.Second)
		link, err := dial.Open(ctx, dial.Options{Address: address, TLS: client})
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		buffer := make([]byte, 10)
		for {
			link.Arrived()
			n, err := link.Read(buffer)
			if err != dial.ErrWouldBlock {
				return string(buffer[:n]), err
			}
			if err := link.Wait(ctx, false); err != nil {
				return "", err
			}
		}
	}
	files := dial.TLSOptions{CAFile: ca.file, Authority: "shop.test"}
	_, err = read(files)
	err = dial.Late(address, err)
	wantCause(t, err, dial.CauseAlert)
	if !strings.Contains(err.Error(), "tls.certFile") {
		t.Errorf("error %q, want one that says what to set", err)
	}
	files.CertFile, files.KeyFile = certFile, keyFile
	if got, err := read(files); got != "ok" || err != nil {
		t.Errorf("read %q, %v; want ok", got, err)
	}
	if plain := errors.New("plain"); dial.Late(address, plain) != plain {
		t.Error("Late changes an error that is no alert")
	}
}

func TestInsecureAcceptsAnything(t *testing.T) {
	certificate := newAuthority(t).issue("bank.test", time.Now().Add(-time.Hour))
	address := serve(t, func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}).Handshake()
	})
	config, err := dial.NewTLS(dial.TLSOptions{Authority: "shop.test", Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	link, err := dial.Open(within(t, 5*time.Second), dial.Options{Address: address, TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	_ = link.Close()
}

func TestOpenFailures(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	config, err := dial.NewTLS(dial.TLSOptions{Authority: "shop.test"})
	if err != nil {
		t.Fatal(err)
	}
	plain := serve(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.test ESMTP\r\n") })
	closing := serve(t, func(net.Conn) {})
	silent := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	tests := []struct {
		name    string
		options dial.Options
		want    dial.Cause
	}{
		{"refused", dial.Options{Address: refused}, dial.CauseRefused},
		{"no port", dial.Options{Address: "127.0.0.1"}, dial.CauseAddress},
		{"port zero", dial.Options{Address: "127.0.0.1:0"}, dial.CauseAddress},
		{"port too large", dial.Options{Address: "127.0.0.1:70000"}, dial.CauseAddress},
		{"not TLS", dial.Options{Address: plain, TLS: config}, dial.CauseNotTLS},
		{"closed in the handshake", dial.Options{Address: closing, TLS: config}, dial.CauseClosed},
		{"silent in the handshake", dial.Options{Address: silent, TLS: config}, dial.CauseTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dial.Open(within(t, 300*time.Millisecond), tt.options)
			wantCause(t, err, tt.want)
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := dial.Open(ctx, dial.Options{Address: silent, TLS: config})
		wantCause(t, err, dial.CauseInterrupted)
	})
}

func TestNewTLSRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]dial.TLSOptions{
		"no such authority": {CAFile: "no-such-file"},
		"empty authority":   {CAFile: empty},
		"key is missing":    {CertFile: empty},
		"no such key":       {CertFile: empty, KeyFile: "no-such-file"},
	} {
		if _, err := dial.NewTLS(files); err == nil || !strings.HasPrefix(err.Error(), "tls: ") {
			t.Errorf("%s: error %v, want one about tls", name, err)
		}
	}
}

// TestRecordsInPieces hands the client what the server sends byte by byte, with
// the client reading after each: crypto/tls goes on after ErrWouldBlock wherever
// a record is cut, session tickets and the closing alert included.
func TestRecordsInPieces(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue("shop.test", time.Now().Add(time.Hour))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{1, 2, 1000} {
			t.Run(fmt.Sprintf("%s/%d", tls.VersionName(version), size), func(t *testing.T) {
				piecemeal(t, ca, certificate, version, size)
			})
		}
	}
}

func piecemeal(t *testing.T, ca *authority, certificate tls.Certificate, version uint16, size int) {
	messages := [][]byte{[]byte("hello"), bytes.Repeat([]byte("0123456789"), 300), {}, []byte("!")}
	want := bytes.Join(messages, nil)
	opened := make(chan struct{})
	server := serve(t, func(c net.Conn) {
		s := tls.Server(c, &tls.Config{
			Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}, MinVersion: version, MaxVersion: version,
		})
		if s.Handshake() != nil {
			return
		}
		<-opened // what is sent before is passed without being read
		for _, m := range messages {
			if _, err := s.Write(m); err != nil {
				return
			}
		}
		_ = s.CloseWrite()
		_, _ = io.Copy(io.Discard, s)
	})
	requests := make(chan struct{}) // one for each piece
	over := make(chan struct{})     // the relay has nothing more
	relay := serve(t, func(c net.Conn) {
		defer close(over)
		relayPieces(c, server, size, requests)
	})
	config, err := dial.NewTLS(dial.TLSOptions{CAFile: ca.file, Authority: "shop.test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 20*time.Second)
	link, err := openWhile(ctx, dial.Options{Address: relay, TLS: config}, requests)
	close(opened)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	link.Share(make([]byte, 4096))
	var got []byte
	buffer := make([]byte, 700)
	blocked := 0
	for { // read first: TLS may have taken more than the handshake from the socket
		link.Arrived()
		err := error(nil)
		for err == nil {
			n := 0
			n, err = link.Read(buffer)
			got = append(got, buffer[:n]...)
		}
		if err == io.EOF {
			break
		}
		if err != dial.ErrWouldBlock {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
		blocked++
		select {
		case requests <- struct{}{}:
		case <-over:
		case <-ctx.Done():
			t.Fatalf("after %d bytes: %v", len(got), ctx.Err())
		}
		if err := link.Wait(ctx, false); err != nil {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, want %d", len(got), len(want))
	}
	if size == 1 && blocked < len(want)/2 { // some may have come with the handshake
		t.Errorf("only %d reads had to wait: the records did not come in pieces", blocked)
	}
}

// openWhile opens a link and asks for pieces as long as that takes.
func openWhile(ctx context.Context, o dial.Options, requests chan<- struct{}) (*dial.Link, error) {
	opened, asked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		for {
			select {
			case requests <- struct{}{}:
			case <-opened:
				return
			}
		}
	}()
	link, err := dial.Open(ctx, o)
	close(opened)
	<-asked
	return link, err
}

// relayPieces passes bytes both ways, and those for the client in pieces, each
// when it is asked for.
func relayPieces(client net.Conn, server string, size int, requests <-chan struct{}) {
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		_, _ = io.Copy(upstream, client)
		_ = upstream.(*net.TCPConn).CloseWrite()
	}()
	defer func() {
		_ = client.Close()
		<-up
		_ = upstream.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := upstream.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			select {
			case <-requests:
			case <-up:
				return
			}
			k := min(size, len(rest))
			if _, err := client.Write(rest[:k]); err != nil {
				return
			}
			rest = rest[k:]
		}
		if err != nil {
			return
		}
	}
}

// TestWriteDoesNotBlock writes to a peer that does not read until the kernel
// takes no more, then lets it read: nothing is lost or written twice.
// A peer that sends without end does not keep the loop from other links: for each
// Arrived there are a few helpings, with and without TLS.
func TestReadingEnds(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue("localhost", time.Now().Add(time.Hour))
	trust := newTLS(t, dial.TLSOptions{CAFile: ca.file, ServerName: "localhost"})
	for _, tt := range []struct {
		name string
		tls  *dial.TLS
	}{{"cleartext", nil}, {"TLS", trust}} {
		t.Run(tt.name, func(t *testing.T) {
			address := serve(t, func(c net.Conn) {
				if tt.tls != nil {
					c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
				}
				for block := make([]byte, 16<<10); ; {
					if _, err := c.Write(block); err != nil {
						return
					}
				}
			})
			ctx := within(t, time.Minute)
			link, err := dial.Open(ctx, dial.Options{Address: address, TLS: tt.tls})
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			link.Share(make([]byte, 4<<10))
			buffer, most := make([]byte, 1<<10), 0
			for range 1000 {
				if err := link.Wait(ctx, false); err != nil {
					t.Fatal(err)
				}
				link.Arrived()
				got, err := 0, error(nil)
				for n := 0; err == nil && got < 1<<20; got += n {
					n, err = link.Read(buffer)
				}
				if err != dial.ErrWouldBlock {
					t.Fatalf("after %d bytes of one arrival: %v, want %v", got, err, dial.ErrWouldBlock)
				}
				most = max(most, got)
			}
			// With TLS a record may end in what comes first, and be longer.
			if most < 1<<10 || most > 24<<10 {
				t.Errorf("an arrival took up to %d bytes, want a few KiB", most)
			}
		})
	}
}

func TestWriteDoesNotBlock(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue("shop.test", time.Now().Add(time.Hour))
	config, err := dial.NewTLS(dial.TLSOptions{CAFile: ca.file, Authority: "shop.test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]dial.Options{"cleartext": {}, "TLS": {TLS: config}} {
		t.Run(name, func(t *testing.T) {
			read := make(chan struct{})
			received := make(chan []byte, 1)
			options.Address = serve(t, func(c net.Conn) {
				if options.TLS != nil {
					s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
					if err := s.Handshake(); err != nil {
						return
					}
					c = s
				}
				<-read
				all, _ := io.ReadAll(c)
				received <- all
			})
			ctx := within(t, 20*time.Second)
			link, err := dial.Open(ctx, options)
			if err != nil {
				t.Fatal(err)
			}
			var want []byte
			chunk := make([]byte, 10_000)
			for i := 0; ; i++ {
				for j := range chunk {
					chunk[j] = byte(i + j/7)
				}
				n, err := link.Write(chunk)
				want = append(want, chunk[:n]...)
				if err == dial.ErrWouldBlock {
					break
				}
				if err != nil || len(want) > 64<<20 {
					t.Fatalf("after %d bytes: %v, want ErrWouldBlock", len(want), err)
				}
			}
			close(read)
			for link.Pending() {
				if err := link.Flush(); err == dial.ErrWouldBlock {
					err = link.Wait(ctx, true)
					if err != nil {
						t.Fatal(err)
					}
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if err := link.Close(); err != nil {
				t.Fatal(err)
			}
			if got := <-received; !bytes.Equal(got, want) {
				t.Errorf("the peer got %d bytes, %d were taken", len(got), len(want))
			}
		})
	}
}
