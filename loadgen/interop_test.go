//go:build linux

package loadgen_test

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
	"fmt"
	"io"
	"log"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// site is what all servers serve, and with what they prove who they are.
type site struct {
	directory, certFile, keyFile string
	upstream                     string // Go's server with the same content
}

// The sizes of what is served and uploaded, in bytes.
const (
	pageBytes   = 16 << 10
	largeBytes  = 1 << 20
	uploadBytes = 200_000
)

// served is where a server of some make listens, by protocol, and how it answers
// an upload.
type served struct {
	endpoints map[string]scenarios.Endpoint
	method    string // of the upload
	statuses  []int  // that answer it
	answer    int64  // bytes of that answer
	retries   bool   // connections are closed after some requests
}

// makers start servers of different make.
func makers() []struct {
	name  string
	start func(*testing.T, site) served
} {
	return []struct {
		name  string
		start func(*testing.T, site) served
	}{{"nghttpd", startNghttpd}, {"nginx", startNginx}, {"caddy", startCaddy}, {"envoy", startEnvoyProxy}, {"go", startGo}}
}

// TestInterop runs the same load against servers of different make, in each
// protocol that they speak: every answer is counted as what it was.
func TestInterop(t *testing.T) {
	s := newSite(t)
	for _, maker := range makers() {
		t.Run(maker.name, func(t *testing.T) {
			server := maker.start(t, s)
			for name, endpoint := range server.endpoints {
				t.Run(name, func(t *testing.T) { interop(t, server, endpoint) })
			}
		})
	}
}

func interop(t *testing.T, server served, endpoint scenarios.Endpoint) {
	plan := scenarios.Plan{
		Name: "interop", Endpoint: endpoint, Timeout: 20 * time.Second, Seed: 1,
		Connections: scenarios.Connections{Count: 6, StreamsPerConnection: 20, ConnectTimeout: 5 * time.Second},
		Requests: []scenarios.Request{
			{Name: "page", Weight: 12, Path: "/page"},
			{Name: "large", Weight: 1, Path: "/large"},
			{Name: "upload", Weight: 2, Method: server.method, Path: "/upload", Body: strings.Repeat("u", uploadBytes)},
			{Name: "head", Weight: 3, Method: "HEAD", Path: "/page"},
			{Name: "missing", Weight: 2, Path: "/missing"},
		},
	}
	want := map[string]int64{"page": pageBytes, "large": largeBytes, "upload": server.answer, "head": 0, "missing": -1}
	found, err := loadgen.Check(context.Background(), plan, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range found.Answers {
		good := a.Status == 200
		switch a.Request {
		case "upload":
			good = slices.Contains(server.statuses, a.Status)
		case "missing":
			good = a.Status == 404
		}
		if bytes := want[a.Request]; !good || bytes >= 0 && a.Bytes != bytes {
			t.Errorf("%s: %d with %d bytes, want %d", a.Request, a.Status, a.Bytes, bytes)
		}
		if a.Request == "missing" {
			want["missing"] = a.Bytes
		}
	}

	const requests = 500
	sink := &collect{}
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Constant, Rate: scenarios.PerSecond(requests), Duration: time.Second, Interval: 200 * time.Millisecond, Seed: 7,
	}, sink, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, facts, sink)
	c := facts.Counts
	if c.Intended != requests || c.Answered != requests || c.Bad != 0 {
		t.Errorf("counts %+v, errors %v; want %d answered", c, facts.Errors, requests)
	}
	uploads := int64(0)
	for _, status := range server.statuses {
		if status != 200 {
			uploads += facts.Statuses[status]
		}
	}
	if facts.Statuses[404] != sink.byRequest["missing"] || facts.Statuses[200]+uploads != requests-sink.byRequest["missing"] {
		t.Errorf("statuses %v of requests %v", facts.Statuses, sink.byRequest)
	}
	bodies := int64(0)
	for name, n := range sink.byRequest {
		bodies += n * want[name]
		if n < 20 {
			t.Errorf("%d of %s: too few to say anything", n, name)
		}
	}
	// What is not body is frames, headers, and those of connections.
	if over := c.BytesReceived - bodies; over < 10*requests || over > 1000*requests {
		t.Errorf("%d bytes received for bodies of %d", c.BytesReceived, bodies)
	}
	conns := facts.Connection
	if over := c.BytesSent - sink.byRequest["upload"]*uploadBytes; over < 10*requests || over > 1000*requests+conns.Retried*uploadBytes {
		t.Errorf("%d bytes sent for %d uploads, %d requests sent again", c.BytesSent, sink.byRequest["upload"], conns.Retried)
	}
	if again := conns.Opened > int64(plan.Connections.Count); again != server.retries {
		t.Errorf("connections %+v, want more than %d opened: %t", conns, plan.Connections.Count, server.retries)
	}
}

// newSite writes the files and starts the upstream.
func newSite(t *testing.T) site {
	t.Helper()
	directory := t.TempDir()
	s := site{
		directory: filepath.Join(directory, "site"),
		certFile:  filepath.Join(directory, "cert.pem"), keyFile: filepath.Join(directory, "key.pem"),
	}
	if err := os.Mkdir(s.directory, 0o755); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		s.certFile:                          pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		s.keyFile:                           pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		filepath.Join(s.directory, "page"):  bytes.Repeat([]byte("sail plan\n"), pageBytes/10+1)[:pageBytes],
		filepath.Join(s.directory, "large"): bytes.Repeat([]byte("sail plan\n"), largeBytes/10+1)[:largeBytes],
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.upstream = s.serve(t, &protocols, false)
	return s
}

// serve runs Go's server with the site until the test ends.
func (s site) serve(t *testing.T, protocols *http.Protocols, secure bool) (address string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(s.directory)))
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != uploadBytes || err != nil {
			http.Error(w, fmt.Sprintf("%d bytes, %v", n, err), http.StatusBadRequest)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if secure {
			_ = server.ServeTLS(listener, s.certFile, s.keyFile)
		} else {
			_ = server.Serve(listener)
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}

// endpoint returns where a port of a server is.
func (s site) endpoint(port string, protocol scenarios.Protocol, secure bool) scenarios.Endpoint {
	e := scenarios.Endpoint{Scheme: "http", Authority: "localhost:" + port, Address: "127.0.0.1:" + port, Protocol: protocol}
	if secure {
		e.Scheme, e.TLS.CAFile = "https", s.certFile
	}
	return e
}

// installed returns the path of a program that a test needs.
func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		// Debian has servers where only root looks.
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			lacking(t, program)
		}
	}
	return path
}

// lacking skips a test for want of a program, or fails it where that is required.
func lacking(t *testing.T, program string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), program) {
		t.Fatalf("%s is required and not there", program)
	}
	t.Skipf("there is no %s on this machine", program)
}

// freePorts returns ports of loopback on which nobody listens. They lie below
// those that the kernel gives to others in the meantime.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, 0, n)
	for range 1000 {
		if len(ports) == n {
			return ports
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+mathrand.IntN(10_000))))
		if err != nil {
			continue
		}
		defer listener.Close() // all at the end, so that they differ
		ports = append(ports, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	}
	t.Fatal("no free ports")
	return nil
}

// child runs a server until the test ends and waits until it is ready.
func child(t *testing.T, environ []string, ready func() bool, program string, args ...string) {
	t.Helper()
	command := exec.Command(program, args...)
	command.Env = append(os.Environ(), environ...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		// The kernel takes the end of the thread that started the child for the
		// parent's, so that thread stays as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s: %s", program, output.Bytes()[max(0, output.Len()-2000):])
		}
	})
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range 1000 {
		is := ready()
		select {
		case <-ended:
			t.Fatalf("%s ended", program)
		case <-ticker.C:
		}
		if is {
			return
		}
	}
	t.Fatalf("%s is not ready after 20 s", program)
}

// listening returns whether somebody listens on all ports.
func listening(ports ...string) func() bool {
	return func() bool {
		for _, port := range ports {
			conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
			if err != nil {
				return false
			}
			_ = conn.Close()
		}
		return true
	}
}

func startNghttpd(t *testing.T, s site) served {
	program, ports := installed(t, "nghttpd"), freePorts(t, 2)
	child(t, nil, listening(ports[0]), program, "-a", "127.0.0.1", "-d", s.directory, "--echo-upload", "--no-tls", ports[0])
	child(t, nil, listening(ports[1]), program, "-a", "127.0.0.1", "-d", s.directory, "--echo-upload", ports[1], s.keyFile, s.certFile)
	return served{
		method: "POST", statuses: []int{200}, answer: uploadBytes,
		endpoints: map[string]scenarios.Endpoint{
			"h2c": s.endpoint(ports[0], scenarios.ProtocolH2C, false), "h2": s.endpoint(ports[1], scenarios.ProtocolH2, true),
		},
	}
}

// nginxConfig closes each connection after 40 requests.
const nginxConfig = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 40;
  root %[1]s;
  dav_methods PUT;
  ssl_certificate %[2]s;
  ssl_certificate_key %[3]s;
  server { listen 127.0.0.1:%[4]s; }
  server { listen 127.0.0.1:%[5]s http2; }
  server { listen 127.0.0.1:%[6]s ssl http2; }
}
`

func startNginx(t *testing.T, s site) served {
	program, ports, directory := installed(t, "nginx"), freePorts(t, 3), t.TempDir()
	// Uploads are stored, so the folder is one of its own.
	root := filepath.Join(directory, "site")
	if err := os.CopyFS(root, os.DirFS(s.directory)); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(directory, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, root, s.certFile, s.keyFile, ports[0], ports[1], ports[2])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	child(t, nil, listening(ports...), program, "-p", directory, "-c", config, "-e", "stderr")
	return served{
		method: "PUT", statuses: []int{201, 204}, retries: true,
		endpoints: map[string]scenarios.Endpoint{
			"http/1.1": s.endpoint(ports[0], scenarios.ProtocolHTTP1, false), "h2c": s.endpoint(ports[1], scenarios.ProtocolH2C, false),
			"h2": s.endpoint(ports[2], scenarios.ProtocolH2, true), "http/1.1 over TLS": s.endpoint(ports[2], scenarios.ProtocolHTTP1, true),
		},
	}
}

const caddyConfig = `
{
	admin off
	auto_https off
	servers {
		protocols h1 h2 h2c
	}
}
(site) {
	bind 127.0.0.1
	root * %[1]s
	file_server
	reverse_proxy /upload %[2]s
}
http://:%[5]s {
	import site
}
https://localhost:%[6]s {
	import site
	tls %[3]s %[4]s
}
`

func startCaddy(t *testing.T, s site) served {
	program, ports, directory := installed(t, "caddy"), freePorts(t, 2), t.TempDir()
	config := filepath.Join(directory, "Caddyfile")
	text := fmt.Sprintf(caddyConfig, s.directory, s.upstream, s.certFile, s.keyFile, ports[0], ports[1])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	child(t, []string{"HOME=" + directory, "XDG_CONFIG_HOME=" + directory, "XDG_DATA_HOME=" + directory},
		listening(ports...), program, "run", "--config", config, "--adapter", "caddyfile")
	return served{
		method: "POST", statuses: []int{200},
		endpoints: map[string]scenarios.Endpoint{
			"http/1.1": s.endpoint(ports[0], scenarios.ProtocolHTTP1, false), "h2c": s.endpoint(ports[0], scenarios.ProtocolH2C, false),
			"h2": s.endpoint(ports[1], scenarios.ProtocolH2, true), "http/1.1 over TLS": s.endpoint(ports[1], scenarios.ProtocolHTTP1, true),
		},
	}
}

// proxyConfig is an Envoy that takes HTTP/1.1 and HTTP/2 alike.
const proxyConfig = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          codec_type: AUTO
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: go}}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: go
    connect_timeout: 1s
    load_assignment: {cluster_name: go, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]}
`

func startEnvoyProxy(t *testing.T, s site) served {
	places := lab.EnvoyPlaces{Environment: os.Getenv("SAILPLAN_ENVOY"), SearchPath: os.Getenv("PATH")}
	if cache, err := os.UserCacheDir(); err == nil {
		places.CacheDir = filepath.Join(cache, "sailplan")
	}
	found, err := lab.FindEnvoy(places)
	if err != nil {
		lacking(t, "envoy")
	}
	_, port, err := net.SplitHostPort(s.upstream)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	config, admin := filepath.Join(directory, "envoy.yaml"), filepath.Join(directory, "admin")
	if err := os.WriteFile(config, fmt.Appendf(nil, proxyConfig, port), 0o600); err != nil {
		t.Fatal(err)
	}
	child(t, nil, func() bool { return listenerOf(admin) != "" }, found.Path, "-c", config, "--concurrency", "1",
		"--disable-hot-restart", "--log-level", "error", "--admin-address-path", admin)
	_, own, err := net.SplitHostPort(listenerOf(admin))
	if err != nil {
		t.Fatal(err)
	}
	return served{
		method: "POST", statuses: []int{200},
		endpoints: map[string]scenarios.Endpoint{
			"http/1.1": s.endpoint(own, scenarios.ProtocolHTTP1, false), "h2c": s.endpoint(own, scenarios.ProtocolH2C, false),
		},
	}
}

// startGo has servers that speak one protocol each, which they insist on.
func startGo(t *testing.T, s site) served {
	found := served{method: "POST", statuses: []int{200}, endpoints: map[string]scenarios.Endpoint{}}
	add := func(name string, protocol scenarios.Protocol, secure bool, choose func(*http.Protocols)) {
		var protocols http.Protocols
		choose(&protocols)
		_, port, err := net.SplitHostPort(s.serve(t, &protocols, secure))
		if err != nil {
			t.Fatal(err)
		}
		found.endpoints[name] = s.endpoint(port, protocol, secure)
	}
	add("http/1.1", scenarios.ProtocolHTTP1, false, func(p *http.Protocols) { p.SetHTTP1(true) })
	add("http/1.1 over TLS", scenarios.ProtocolHTTP1, true, func(p *http.Protocols) { p.SetHTTP1(true) })
	add("h2", scenarios.ProtocolH2, true, func(p *http.Protocols) { p.SetHTTP2(true) })
	add("h2c", scenarios.ProtocolH2C, false, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	return found
}
