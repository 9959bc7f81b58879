//go:build linux

package loadgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

// envoyConfig is a gateway whose route /ok leads to an upstream that it gives
// three requests at a time, /gone to a port where nobody listens, /none to a
// cluster without endpoints, and all else nowhere.
const envoyConfig = `
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
          codec_type: HTTP2
          http2_protocol_options: {max_concurrent_streams: 50}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {match: {path: /ok}, route: {cluster: ok}}
              - {match: {path: /slow}, route: {cluster: ok, timeout: 0.05s}}
              - {match: {path: /gone}, route: {cluster: gone}}
              - {match: {path: /none}, route: {cluster: none}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: ok
    connect_timeout: 1s
    circuit_breakers: {thresholds: [{max_requests: 3}]}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment: {cluster_name: ok, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]}
  - name: gone
    connect_timeout: 1s
    load_assignment: {cluster_name: gone, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}
  - name: none
    connect_timeout: 1s
    load_assignment: {cluster_name: none}
`

// startEnvoy starts Envoy in front of an upstream and returns its address.
func startEnvoy(t *testing.T, upstream string) string {
	t.Helper()
	binary := os.Getenv("SAILPLAN_ENVOY")
	if binary == "" {
		binary, _ = exec.LookPath("envoy")
	}
	if binary == "" {
		if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "envoy") {
			t.Fatal("envoy is required, but neither SAILPLAN_ENVOY nor PATH has it")
		}
		t.Skip("no envoy: set SAILPLAN_ENVOY to its path")
	}
	_, port, err := net.SplitHostPort(upstream)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	config, admin := filepath.Join(directory, "envoy.yaml"), filepath.Join(directory, "admin")
	if err := os.WriteFile(config, fmt.Appendf(nil, envoyConfig, port), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, binary, "-c", config, "--concurrency", "1", "--disable-hot-restart",
		"--log-level", "error", "--admin-address-path", admin)
	var log bytes.Buffer
	command.Stderr = &log
	if err := command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range 500 {
		<-ticker.C
		if address := listenerOf(admin); address != "" {
			return address
		}
	}
	t.Fatalf("envoy did not start: %s", log.String())
	return ""
}

// listenerOf asks Envoy's admin endpoint where it listens; "" when it can't be asked yet.
func listenerOf(admin string) string {
	address, err := os.ReadFile(admin)
	if err != nil || len(address) == 0 {
		return ""
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	response, err := client.Get("http://" + strings.TrimSpace(string(address)) + "/listeners?format=json")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var listeners struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if json.NewDecoder(response.Body).Decode(&listeners) != nil || len(listeners.Statuses) == 0 {
		return ""
	}
	s := listeners.Statuses[0].Local.Socket
	return fmt.Sprintf("%s:%d", s.Address, s.Port)
}

// TestEnvoy: what a real Envoy answers is told apart, its limit of streams is
// obeyed, and its breaker is seen.
func TestEnvoy(t *testing.T) {
	upstream := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		timer := time.NewTimer(10 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		kilobyte(w, r)
	}))
	plan := planFor(startEnvoy(t, upstream))
	plan.Connections = scenarios.Connections{Count: 2, StreamsPerConnection: 1000}
	want := []struct {
		path   string
		status int
		class  string
	}{
		{"/ok", 200, "good"}, {"/nowhere", 404, "no-route"}, {"/none", 503, "no-healthy-upstream"},
		{"/gone", 503, "connect-failure"}, {"/slow", 504, "timeout-504"},
	}
	plan.Requests = nil
	for _, w := range want {
		plan.Requests = append(plan.Requests, scenarios.Request{Name: w.path, Weight: 1, Path: w.path})
	}
	found, err := loadgen.Check(context.Background(), plan, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got := found.Answers[i]; got.Status != w.status || got.Class != w.class {
			t.Errorf("%s: %d, %s; want %d, %s", w.path, got.Status, got.Class, w.status, w.class)
		}
	}
	plan.Requests = plan.Requests[:1]
	sink := &collect{}
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Closed, Duration: time.Second, Interval: 100 * time.Millisecond,
	}, sink, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, facts, sink)
	if facts.Connection.MaxStreams != 50 || facts.Connection.MaxInFlight > 100 {
		t.Errorf("connections %+v, want at most 50 streams on each", facts.Connection)
	}
	if c := facts.Counts; facts.Statuses[200] == 0 || facts.Errors["overflow"] != c.Bad || c.Bad == 0 || c.Failed+c.TimedOut > 0 {
		t.Errorf("counts %+v, errors %v, statuses %v; want answers and overflows alone", c, facts.Errors, facts.Statuses)
	}
	if facts.Backends["b"] != facts.Statuses[200] {
		t.Errorf("backends %v, want %d of b", facts.Backends, facts.Statuses[200])
	}
}
