package lab_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// missing skips the test because the machine lacks something, or fails it when
// that something is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), what) {
		t.Fatalf("%s is required: %s", what, why)
	}
	t.Skipf("no %s: %s", what, why)
}

// envoyFor returns the Envoy to test the kind of lab with; empty for the
// stand-in.
func envoyFor(t *testing.T, kind lab.Kind) string {
	t.Helper()
	if kind == lab.KindEmbedded {
		return ""
	}
	found, err := lab.FindEnvoy(lab.EnvoyPlaces{Environment: os.Getenv("SAILPLAN_ENVOY"), SearchPath: os.Getenv("PATH")})
	if err != nil {
		missing(t, "envoy", err.Error())
	}
	return found.Path
}

// eachKind runs a test on real Envoys and on the stand-in.
func eachKind(t *testing.T, test func(t *testing.T, config lab.Config)) {
	t.Helper()
	for _, kind := range []lab.Kind{lab.KindEnvoy, lab.KindEmbedded} {
		t.Run(string(kind), func(t *testing.T) { test(t, labConfig(t, envoyFor(t, kind))) })
	}
}

func defaultPolicy(t *testing.T) mesh.Policy {
	t.Helper()
	objects, err := mesh.Parse("default", mesh.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	policy, err := mesh.EffectiveFor(objects, lab.ServiceHost, "", lab.ServicePort)
	if err != nil {
		t.Fatal(err)
	}
	if policy.ConnectionPool.HTTP.MaxRequests.Value != 1000 {
		t.Fatalf("the default policy does not apply to the test service: %+v", policy)
	}
	return policy
}

func labConfig(t *testing.T, envoy string) lab.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return lab.Config{
		Lab: scenarios.Lab{
			Gateway: scenarios.LabProxy{Concurrency: 1},
			Sidecar: scenarios.LabProxy{Concurrency: 1},
			Service: scenarios.LabService{
				Replicas:      2,
				Latency:       scenarios.LatencyShape{Median: time.Millisecond, P99: 4 * time.Millisecond},
				ResponseBytes: 1024,
			},
		},
		Policy:    defaultPolicy(t),
		EnvoyPath: envoy,
		StateDir:  t.TempDir(),
		Self:      []string{self, childWord},
		Seed:      1,
	}
}

// startLab starts a lab that is stopped at the end of the test, and checks that
// it leaves nothing behind.
func startLab(t *testing.T, config lab.Config) *lab.Lab {
	t.Helper()
	l, err := lab.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := l.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		checkNothingLeft(t, config.StateDir, l.Members())
	})
	return l
}

// checkNothingLeft fails when a process, a cgroup or a file is left of a lab.
func checkNothingLeft(t *testing.T, stateDir string, members []lab.Member) {
	t.Helper()
	for _, m := range members {
		if err := unix.Kill(m.PID, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("%s-%d (pid %d) is left: %v", m.Component, m.Replica, m.PID, err)
		}
		for _, folder := range []string{m.Cgroup.CPU, m.Cgroup.CPUAcct, m.Cgroup.Memory} {
			if _, err := os.Lstat(folder); folder != "" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("cgroup %s is left", folder)
			}
		}
	}
	left, err := os.ReadDir(stateDir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the state folder: %v, %v", left, err)
	}
}

// client speaks HTTP/2 to the endpoint.
func client(t *testing.T, endpoint scenarios.Endpoint) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	if endpoint.TLS.CAFile != "" {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP2(true)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool(t, endpoint.TLS.CAFile), ServerName: endpoint.TLS.ServerName}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", file)
	}
	return pool
}

// get returns status, header and body of an answer.
func get(ctx context.Context, client *http.Client, url string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// stats reads a proxy's statistics.
func stats(t *testing.T, m lab.Member) map[string]int64 {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	_, body, err := get(t.Context(), &http.Client{Transport: transport}, m.AdminURL+"/stats?format=json")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Stats []struct {
			Name  string
			Value json.Number
		}
	}
	if err := json.Unmarshal([]byte(body), &parsed); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]int64)
	for _, s := range parsed.Stats {
		if n, err := s.Value.Int64(); err == nil && s.Name != "" {
			values[s.Name] = n
		}
	}
	return values
}

func TestChain(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) {
			eachKind(t, func(t *testing.T, config lab.Config) {
				config.Lab.Gateway.TLS = secure
				l := startLab(t, config)
				endpoint := l.Endpoint()
				c := client(t, endpoint)
				backends := make(map[string]int)
				const n = 250 // more than maxRequestsPerConnection
				for range n {
					response, body, err := get(t.Context(), c, endpoint.Scheme+"://"+endpoint.Address+"/products")
					if err != nil {
						t.Fatal(err)
					}
					if response.StatusCode != 200 || len(body) != 1024 || response.ProtoMajor != 2 {
						t.Fatalf("status %d, %d bytes, %s, want 200, 1024 bytes, HTTP/2", response.StatusCode, len(body), response.Proto)
					}
					backends[response.Header.Get(lab.BackendHeader)]++
				}
				if len(backends) != 2 || backends["0"] == 0 || backends["1"] == 0 {
					t.Errorf("answers by backend: %v, want some of 0 and of 1", backends)
				}
				checkMembers(t, l, n)
			})
		})
	}
}

// checkMembers checks that every process is named, and that statistics appear
// under the names that a member tells.
func checkMembers(t *testing.T, l *lab.Lab, requests int64) {
	t.Helper()
	var names []string
	var atSidecars int64
	for _, m := range l.Members() {
		names = append(names, fmt.Sprintf("%s-%d", m.Component, m.Replica))
		if m.PID <= 0 {
			t.Errorf("%+v has no process", m)
		}
		if m.Component == lab.ComponentService {
			continue
		}
		values := stats(t, m)
		in := values["http."+m.StatPrefix+".downstream_rq_total"]
		out := values["cluster."+m.Cluster+".upstream_rq_total"]
		if in < out || out == 0 {
			t.Errorf("%s-%d: %d requests came in, %d went out", m.Component, m.Replica, in, out)
		}
		if m.Component == lab.ComponentSidecar {
			atSidecars += in
		} else if in < requests {
			t.Errorf("%d requests at the gateway, want at least %d", in, requests)
		}
		if got := values["server.concurrency"]; got != int64(m.Concurrency) {
			t.Errorf("%s-%d: concurrency %d, want %d", m.Component, m.Replica, got, m.Concurrency)
		}
	}
	if atSidecars < requests {
		t.Errorf("%d requests at the sidecars, want at least %d", atSidecars, requests)
	}
	if want := []string{"gateway-0", "sidecar-0", "sidecar-1", "service-0", "service-1"}; !slices.Equal(names, want) {
		t.Errorf("members %v, want %v", names, want)
	}
}

// TestStandInStatNames: a sampler must find in Envoy what it finds in the
// stand-in.
func TestStandInStatNames(t *testing.T) {
	standIn := startLab(t, labConfig(t, ""))
	envoy := startLab(t, labConfig(t, envoyFor(t, lab.KindEnvoy)))
	for i, m := range standIn.Members()[:2] {
		known := stats(t, envoy.Members()[i])
		for name, value := range stats(t, m) {
			// Envoy makes counters of upstream status classes as they occur.
			if _, ok := known[name]; !ok && value > 0 {
				t.Errorf("Envoy's %s has no %s", m.Component, name)
			}
		}
	}
}

// TestOverload: past http2MaxRequests both kinds refuse with Envoy's marks.
func TestOverload(t *testing.T) {
	eachKind(t, func(t *testing.T, config lab.Config) {
		config.Policy.ConnectionPool.HTTP.MaxRequests.Value = 2
		config.Lab.Service.Replicas = 1
		config.Lab.Service.Latency = scenarios.LatencyShape{Median: 500 * time.Millisecond, P99: 500 * time.Millisecond}
		l := startLab(t, config)
		c := client(t, l.Endpoint())
		const n = 20
		var mu sync.Mutex
		var served, refused int
		var running sync.WaitGroup
		for range n {
			running.Go(func() {
				response, body, err := get(t.Context(), c, "http://"+l.Endpoint().Address+"/")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case response.StatusCode == 200:
					served++
				case response.StatusCode == 503 && response.Header.Get("x-envoy-overloaded") == "true" &&
					body == "upstream connect error or disconnect/reset before headers. reset reason: overflow":
					refused++
				default:
					t.Errorf("status %d, header %v, body %q", response.StatusCode, response.Header, body)
				}
			})
		}
		running.Wait()
		if served == 0 || refused == 0 || served+refused != n {
			t.Errorf("%d served, %d refused of %d, want some of both", served, refused, n)
		}
		gateway := l.Members()[0]
		if got := stats(t, gateway)["cluster."+gateway.Cluster+".upstream_rq_active_overflow"]; got != int64(refused) {
			t.Errorf("upstream_rq_active_overflow = %d, want %d", got, refused)
		}
	})
}

// TestMutualTLS: a sidecar talks to nobody without a certificate of the mesh.
func TestMutualTLS(t *testing.T) {
	eachKind(t, func(t *testing.T, config lab.Config) {
		l := startLab(t, config)
		sidecar := l.Members()[1]
		if sidecar.Component != lab.ComponentSidecar {
			t.Fatalf("%+v is no sidecar", sidecar)
		}
		admin := &http.Transport{DisableKeepAlives: true}
		_, text, err := get(t.Context(), &http.Client{Transport: admin}, sidecar.AdminURL+"/listeners?format=json")
		if err != nil {
			t.Fatal(err)
		}
		_, port, found := strings.Cut(strings.ReplaceAll(text, " ", ""), `"port_value":`)
		if !found {
			t.Fatalf("no port in %s", text)
		}
		address := "127.0.0.1:" + strings.TrimFunc(port, func(r rune) bool { return r < '0' || r > '9' })
		certificate := func(name string) []tls.Certificate {
			files, err := filepath.Glob(filepath.Join(config.StateDir, "*", "files", name+".pem"))
			if err != nil || len(files) != 1 {
				t.Fatalf("certificates of %s: %v, %v", name, files, err)
			}
			pair, err := tls.LoadX509KeyPair(files[0], strings.TrimSuffix(files[0], ".pem")+".key")
			if err != nil {
				t.Fatal(err)
			}
			return []tls.Certificate{pair}
		}
		for _, tt := range []struct {
			name         string
			certificates []tls.Certificate
			accepted     bool
		}{
			{"the gateway's identity", certificate("gateway"), true},
			{"no certificate", nil, false},
			{"the right identity from another authority", []tls.Certificate{forged(t, "spiffe://cluster.local/ns/lab/sa/gateway")}, false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				transport := &http.Transport{
					Protocols: new(http.Protocols),
					// The server's identity is not what this test is about.
					TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: tt.certificates},
				}
				transport.Protocols.SetHTTP2(true)
				defer transport.CloseIdleConnections()
				response, _, err := get(t.Context(), &http.Client{Transport: transport, Timeout: time.Minute}, "https://"+address+"/")
				if accepted := err == nil && response.StatusCode == 200; accepted != tt.accepted {
					t.Errorf("accepted = %t (%v), want %t", accepted, err, tt.accepted)
				}
			})
		}
		t.Run("cleartext", func(t *testing.T) {
			if response, _, err := get(t.Context(), client(t, scenarios.Endpoint{}), "http://"+address+"/"); err == nil {
				t.Errorf("cleartext was answered with %d", response.StatusCode)
			}
		})
	})
}

// forged makes a certificate for an identity that signs itself.
func forged(t *testing.T, id string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{uri}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestLimits(t *testing.T) {
	eachKind(t, func(t *testing.T, config lab.Config) {
		config.Lab.Gateway.Limits = scenarios.Limits{CPU: 300, Memory: 256 << 20}
		l := startLab(t, config)
		if enforced, why := l.LimitsEnforced(); !enforced {
			missing(t, "cgroup", strings.Join(why, "; "))
		}
		m := l.Members()[0]
		if !m.LimitsBind {
			t.Error("the gateway's limits do not bind")
		}
		for _, tt := range []struct{ folder, file, want string }{
			{m.Cgroup.CPU, map[int]string{1: "cpu.cfs_quota_us", 2: "cpu.max"}[m.Cgroup.Version], map[int]string{1: "30000", 2: "30000 100000"}[m.Cgroup.Version]},
			{m.Cgroup.Memory, map[int]string{1: "memory.limit_in_bytes", 2: "memory.max"}[m.Cgroup.Version], "268435456"},
			{m.Cgroup.CPU, "cgroup.procs", fmt.Sprint(m.PID)},
		} {
			text, err := os.ReadFile(filepath.Join(tt.folder, tt.file))
			if got := strings.TrimSpace(string(text)); got != tt.want || err != nil {
				t.Errorf("%s = %q, %v, want %q", tt.file, got, err, tt.want)
			}
		}
		// Lifted for a while, the quota comes back; only the gateway has one.
		file := filepath.Join(m.Cgroup.CPU, map[int]string{1: "cpu.cfs_quota_us", 2: "cpu.max"}[m.Cgroup.Version])
		for _, on := range []bool{false, true} {
			want := map[bool]map[int]string{false: {1: "-1", 2: "max 100000"}, true: {1: "30000", 2: "30000 100000"}}[on][m.Cgroup.Version]
			changed, err := l.EnforceCPU(on)
			if err != nil || changed != 1 {
				t.Errorf("enforced %v: %d processes, %v, want one", on, changed, err)
			}
			text, err := os.ReadFile(file)
			if got := strings.TrimSpace(string(text)); got != want || err != nil {
				t.Errorf("enforced %v: quota %q, %v, want %q", on, got, err, want)
			}
		}
	})
}

// TestFailed: a component that dies is named, with how it ended.
func TestFailed(t *testing.T) {
	eachKind(t, func(t *testing.T, config lab.Config) {
		l := startLab(t, config)
		victim := l.Members()[1]
		if err := unix.Kill(victim.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if got, want := (<-l.Failed()).Error(), "component died: sidecar-0: signal: killed"; !strings.HasPrefix(got, want) {
			t.Errorf("failed with %q, want %q", got, want)
		}
	})
}

func TestStartErrors(t *testing.T) {
	script := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "envoy")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const version = `[ "$1" = --version ] && echo "envoy version: 0/1.40.0/Clean/RELEASE/x" && exit 0` + "\n"
	for _, tt := range []struct {
		name  string
		alter func(t *testing.T, c *lab.Config)
		want  string
	}{
		{"Envoy asked for, none there", func(_ *testing.T, c *lab.Config) { c.Lab.Proxy = scenarios.ProxyEnvoy }, "asks for Envoy, and there is none"},
		{"not Envoy", func(t *testing.T, c *lab.Config) { c.EnvoyPath = script(t, "echo hello") }, "this is not Envoy: hello"},
		{"Envoy fails at once", func(t *testing.T, c *lab.Config) {
			c.EnvoyPath = script(t, version+"echo 'error initializing configuration: boom' >&2; exit 1")
		}, "exit status 1; its last lines:\n  error initializing configuration: boom"},
		{"no replicas", func(_ *testing.T, c *lab.Config) { c.Lab.Service.Replicas = 0 }, "0 service replicas"},
		{"no workers", func(_ *testing.T, c *lab.Config) { c.Lab.Gateway.Concurrency = 0 }, "concurrency"},
		{"impossible latency", func(_ *testing.T, c *lab.Config) { c.Lab.Service.Latency.P99 = 1 }, "want 0 < median ≤ p99"},
		{"no such child", func(_ *testing.T, c *lab.Config) { c.Self = []string{"/no/such/program"} }, "no such file"},
		{"not a proxy kind", func(_ *testing.T, c *lab.Config) { c.Lab.Proxy = "nginx" }, `unknown proxy "nginx"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := labConfig(t, "")
			tt.alter(t, &config)
			l, err := lab.Start(t.Context(), config)
			if err == nil {
				t.Error("started")
				_ = l.Stop(t.Context())
			} else if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v\nwant one with %q", err, tt.want)
			}
			checkNothingLeft(t, config.StateDir, nil)
		})
	}
}

// TestRejectedConfig: what Envoy says of a configuration that it refuses
// reaches the user.
func TestRejectedConfig(t *testing.T) {
	config := labConfig(t, envoyFor(t, lab.KindEnvoy))
	config.Policy.OutlierDetection.MaxEjectionPercent.Value = 101
	l, err := lab.Start(t.Context(), config)
	if err == nil {
		_ = l.Stop(t.Context())
		t.Fatal("Envoy took a maxEjectionPercent of 101")
	}
	if !strings.Contains(err.Error(), "gateway-0: exit status 1") || !strings.Contains(err.Error(), "MaxEjectionPercent") {
		t.Errorf("error = %v, want one that names the gateway and the field", err)
	}
	checkNothingLeft(t, config.StateDir, nil)
}

// TestOutOfMemory: a component that its memory limit ends says so.
func TestOutOfMemory(t *testing.T) {
	config := labConfig(t, envoyFor(t, lab.KindEnvoy))
	config.Lab.Gateway.Limits.Memory = 6 << 20
	l, err := lab.Start(t.Context(), config)
	if err == nil {
		enforced, why := l.LimitsEnforced()
		_ = l.Stop(t.Context())
		if !enforced {
			missing(t, "cgroup", strings.Join(why, "; "))
		}
		t.Fatal("Envoy runs in 6 MiB")
	}
	if !strings.Contains(err.Error(), "gateway-0: signal: killed (memory limit exceeded)") {
		t.Errorf("error = %v, want one that names the gateway and its memory limit", err)
	}
	checkNothingLeft(t, config.StateDir, nil)
}

// TestInterruptedStart: a start that is given up leaves nothing behind.
func TestInterruptedStart(t *testing.T) {
	config := labConfig(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	config.Progress = func(text string) {
		if strings.HasPrefix(text, "starting 1 × gateway") {
			cancel()
		}
	}
	l, err := lab.Start(ctx, config)
	if err == nil {
		_ = l.Stop(t.Context())
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
	checkNothingLeft(t, config.StateDir, nil)
}

// TestKilledOwner: the lab of a program that is killed dies with it, and the
// next start removes what is left.
func TestKilledOwner(t *testing.T) {
	eachKind(t, func(t *testing.T, config lab.Config) {
		members := runOwner(t, config)
		for _, m := range members {
			awaitGone(t, m.PID)
		}
		next := config
		next.EnvoyPath = ""
		l := startLab(t, next)
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		checkNothingLeft(t, config.StateDir, members)
	})
}

// awaitGone waits until no living process has the id.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); unix.Kill(pid, 0) == nil; <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("pid %d is still there", pid)
		}
	}
}
