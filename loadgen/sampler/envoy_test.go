package sampler

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

func TestParseStats(t *testing.T) {
	captured, err := os.ReadFile(filepath.Join("testdata", "envoy-1.40-stats.json"))
	if err != nil {
		t.Fatal(err)
	}
	stats := func(entries ...string) string { return `{"stats":[` + strings.Join(entries, ",") + `]}` }
	value := func(name string, n int) string { return fmt.Sprintf(`{"name":%q,"value":%d}`, name, n) }
	histogram := func(values string) string {
		return `{"histograms":{"supported_quantiles":[50,99],"computed_quantiles":[` + values + `]}}`
	}
	type metrics = map[record.Metric]float64
	tests := []struct {
		name, body string
		target     Target
		want       metrics
		fails      bool
	}{
		// Captured after six requests, five of them upstream over one connection,
		// opened in less than the millisecond that Envoy counts in.
		{"captured from 1.40", string(captured), Target{Role: scenarios.RoleGateway}, metrics{
			record.DownConnections: 0, record.DownInFlight: 0, record.DownRequests: 6,
			record.UpConnections: 1, record.UpConnectionsMade: 1, record.UpInFlight: 0, record.UpRequests: 5,
			record.UpPending: 0, record.UpOverflow: 0, record.UpRetries: 0, record.UpConnectMillisP99: 0, record.Ejected: 0,
		}, false},
		{"both kinds of overflow", stats(value("cluster.a.upstream_rq_pending_overflow", 3), value("cluster.a.upstream_rq_active_overflow", 4)),
			Target{}, metrics{record.UpOverflow: 7}, false},
		{"overflow before 1.38", stats(value("cluster.a.upstream_rq_pending_overflow", 3)), Target{}, metrics{record.UpOverflow: 3}, false},
		{"several listeners and clusters", stats(value("http.a.downstream_rq_total", 1), value("http.b.downstream_rq_total", 2),
			value("cluster.outbound|80||a.b.c.upstream_rq_total", 3), value("cluster.outbound|80||d;.upstream_rq_total", 4)),
			Target{}, metrics{record.DownRequests: 3, record.UpRequests: 7}, false},
		{"not the admin endpoint and the control plane", stats(value("http.admin.downstream_rq_total", 9), value("http.a.downstream_rq_total", 1),
			value("cluster.xds-grpc.upstream_rq_total", 9), value("cluster.prometheus_stats.upstream_rq_total", 9), value("cluster.agent;.upstream_rq_total", 9)),
			Target{}, metrics{record.DownRequests: 1}, false},
		{"narrowed to one listener and cluster", stats(value("http.a.downstream_rq_total", 1), value("http.ab.downstream_rq_total", 2),
			value("cluster.c.upstream_rq_total", 3), value("cluster.c.d.upstream_rq_total", 4)),
			Target{StatPrefix: "a", Cluster: "c"}, metrics{record.DownRequests: 1, record.UpRequests: 3}, false},
		{"a sidecar's inbound side", stats(value("http.inbound_0.0.0.0_8080.downstream_rq_total", 1), value("http.outbound_0.0.0.0_80.downstream_rq_total", 2),
			value("cluster.inbound|8080||.upstream_rq_total", 3), value("cluster.outbound|80||x.upstream_rq_total", 4)),
			Target{Role: scenarios.RoleSidecar}, metrics{record.DownRequests: 1, record.UpRequests: 3}, false},
		{"a gateway's whole", stats(value("http.inbound_x.downstream_rq_total", 1), value("http.outbound_x.downstream_rq_total", 2)),
			Target{Role: scenarios.RoleGateway}, metrics{record.DownRequests: 3}, false},
		{"connect times of the slowest cluster", stats(histogram(
			`{"name":"cluster.a.upstream_cx_connect_ms","values":[{"cumulative":1,"interval":9},{"cumulative":2.5,"interval":9}]},` +
				`{"name":"cluster.b.upstream_cx_connect_ms","values":[{"cumulative":1,"interval":9},{"cumulative":1.5,"interval":9}]}`)),
			Target{}, metrics{record.UpConnectMillisP99: 2.5}, false},
		{"connect times not recorded yet", stats(value("cluster.a.upstream_rq_total", 0), histogram(
			`{"name":"cluster.a.upstream_cx_connect_ms","values":[{"cumulative":null,"interval":null},{"cumulative":null,"interval":null}]}`)),
			Target{}, metrics{record.UpRequests: 0}, false},
		{"dropped by Istio's default", stats(), Target{}, nil, true},
		{"a web page", "<html>", Target{}, nil, true},
		{"no number", `{"stats":[{"name":"http.a.downstream_rq_total","value":"x"}]}`, Target{}, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStats([]byte(test.body), test.target)
			if (err != nil) != test.fails {
				t.Fatalf("error = %v, want one: %v", err, test.fails)
			}
			compareMetrics(t, got, test.want)
		})
	}
}

func TestAdminSource(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prefix/stats" || r.URL.Query().Get("format") != "json" || r.URL.Query().Get("filter") != statFilter {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, `{"stats":[{"name":"http.a.downstream_rq_total","value":12}]}`)
	}))
	defer server.Close()
	source, err := newAdminSource(Target{AdminURL: server.URL + "/prefix/"}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	got, err := source.read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got.at.Before(before) || got.at.After(time.Now()) {
		t.Errorf("instant %v is not between asking and the answer", got.at)
	}
	compareMetrics(t, got.metrics, map[record.Metric]float64{record.DownRequests: 12})
	status = http.StatusServiceUnavailable
	if _, err := source.read(context.Background()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("error = %v, want the status", err)
	}
	for _, bad := range []string{"127.0.0.1:15000", "http://", "http://[::1"} {
		if _, err := newAdminSource(Target{AdminURL: bad}, server.Client()); err == nil {
			t.Errorf("admin URL %q was accepted", bad)
		}
	}
}

// envoy returns a real Envoy, or skips.
func envoy(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SAILPLAN_ENVOY")
	if path == "" {
		path, _ = exec.LookPath("envoy")
	}
	if path != "" {
		return path
	}
	if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "envoy") {
		t.Fatal("no Envoy: set SAILPLAN_ENVOY")
	}
	t.Skip("no Envoy: set SAILPLAN_ENVOY")
	return ""
}

// TestRealEnvoy asks a real one for its counters and compares them with the
// requests that were made.
func TestRealEnvoy(t *testing.T) {
	binary := envoy(t)
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()
	template, err := os.ReadFile(filepath.Join("testdata", "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(backend.URL, "http://"), ":")
	dir := t.TempDir()
	config := strings.NewReplacer("BACKEND_HOST", host, "BACKEND_PORT", port).Replace(string(template))
	write(t, dir, "envoy.yaml", config)
	process := exec.Command(binary, "-c", filepath.Join(dir, "envoy.yaml"), "--concurrency", "1",
		"--disable-hot-restart", "--admin-address-path", filepath.Join(dir, "admin"), "--log-format", "%v", "-l", "info")
	stderr, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = process.Wait()
	}()
	defer func() {
		_ = process.Process.Kill()
		<-ended
	}()
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "starting main dispatch loop") {
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	defer func() { <-drained }()
	defer func() { _ = process.Process.Kill() }()

	admin, err := os.ReadFile(filepath.Join(dir, "admin"))
	if err != nil {
		t.Fatalf("Envoy did not start: %v", err)
	}
	adminURL := "http://" + strings.TrimSpace(string(admin))
	listener := listenerOf(t, adminURL)
	const requests = 7
	for range requests {
		response, err := http.Get("http://" + listener + "/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	s, err := New(Options{Base: time.Now(), Targets: []Target{{
		Component: "gateway", Role: scenarios.RoleGateway, PID: process.Process.Pid, AdminURL: adminURL,
		StatPrefix: "gateway", Cluster: "outbound|80||shop.example",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
	got, err := s.admins[0].read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	for metric, want := range map[record.Metric]float64{
		record.DownRequests: requests, record.UpRequests: requests, record.UpConnectionsMade: 1, record.UpOverflow: 0,
	} {
		if value, has := got.metrics[metric]; !has || value != want {
			t.Errorf("%s = %v (there: %v), want %v", metric, value, has, want)
		}
	}
}

// listenerOf asks Envoy where its one listener is.
func listenerOf(t *testing.T, adminURL string) string {
	t.Helper()
	response, err := http.Get(adminURL + "/listeners")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(strings.TrimSpace(line), "::")
	return address
}
