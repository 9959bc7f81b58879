package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const faultRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: prod}
spec:
  host: shop.prod.svc.cluster.local
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 5, interval: 1s, baseEjectionTime: 1s, maxEjectionPercent: PERCENT}
`

// faultEnvoy is an Envoy in front of endpoints, as a user's own may be configured.
const faultEnvoy = `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: entry
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: entry
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: "outbound|80||shop.prod.svc.cluster.local"}}]}]}
          http_filters:
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: "outbound|80||shop.prod.svc.cluster.local"
    type: STATIC
    common_lb_config: {healthy_panic_threshold: {value: 0}}
    outlier_detection: {consecutive_5xx: 5, interval: 1s, base_ejection_time: 1s, max_ejection_percent: PERCENT, enforcing_consecutive_5xx: 100, enforcing_success_rate: 0}
    load_assignment:
      cluster_name: shop
      endpoints: [{lb_endpoints: [ENDPOINTS]}]
`

// fronted starts an Envoy in front of n endpoints that answer /fault with 500, and returns
// the addresses of its entry and of its admin endpoint, and how many errors were asked for.
func fronted(t *testing.T, n int, percent string) (entry, admin string, faults *atomic.Int64) {
	t.Helper()
	faults = &atomic.Int64{}
	var endpoints []string
	for range n {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fault" {
				faults.Add(1)
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
		t.Cleanup(service.Close)
		host, port, _ := strings.Cut(strings.TrimPrefix(service.URL, "http://"), ":")
		endpoints = append(endpoints, fmt.Sprintf("{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}", host, port))
	}
	dir := t.TempDir()
	config := strings.NewReplacer("PERCENT", percent, "ENDPOINTS", strings.Join(endpoints, ", ")).Replace(faultEnvoy)
	if err := os.WriteFile(filepath.Join(dir, "envoy.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "admin")
	proxy := exec.CommandContext(t.Context(), envoy(t), "-c", filepath.Join(dir, "envoy.yaml"), "--concurrency", "1", "--use-dynamic-base-id", "--admin-address-path", at, "--log-level", "error")
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.Process.Kill() // it may have ended
		_ = proxy.Wait()
	})
	listening := regexp.MustCompile(`entry::(127\.0\.0\.1:\d+)`)
	waitUntil(t, "the Envoy listens", func() bool {
		address, err := os.ReadFile(at)
		if err != nil || len(address) == 0 {
			return false
		}
		admin = "http://" + strings.TrimSpace(string(address))
		response, err := http.Get(admin + "/listeners")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		found := listening.FindSubmatch(text)
		if err != nil || found == nil {
			return false
		}
		entry = "http://" + string(found[1])
		return true
	})
	return entry, admin, faults
}

// Outlier detection of a running system is tried where its service offers an error: real
// Envoy ejects as many endpoints as the policy allows, and the others go on.
func TestBreakerWithAFaultThatTheServiceOffers(t *testing.T) {
	for _, test := range []struct {
		percent, path, verdict, says string
	}{
		{"50", "/fault", "pass", `^\d+ errors, 2 ejections, \d+ more declined, at most 2 out at once; after that 0 of \d+ went wrong; all were back after`},
		{"10", "/fault", "fail", `^\d+ errors, 0 ejections`},
		{"50", "/", "not-measurable", `^0 errors`},
		{"100", "/fault", "not-measurable", `^$`},
	} {
		t.Run(test.percent+test.path, func(t *testing.T) {
			entry, admin, faults := fronted(t, 4, test.percent)
			c := start(t, map[string]string{"dr.yaml": strings.ReplaceAll(faultRule, "PERCENT", test.percent)}, "breaker", "-f", "dr.yaml", "--endpoints", "4",
				"--target", entry+"/", "--fault-url", entry+test.path, "--admin", admin, "--max-rate", "60/s", "--duration", "4s", "--out", "out", "--quiet")
			c.wait()
			report := readJSON[struct {
				Trials []struct{ Name, Verdict, Observed, Reason string }
			}](t, filepath.Join(c.dir, "out", "breaker.json"))
			tried := false
			for _, trial := range report.Trials {
				if trial.Name != "errors that the service offers" {
					continue
				}
				tried = true
				if trial.Verdict != test.verdict || !regexp.MustCompile(test.says).MatchString(trial.Observed) {
					t.Errorf("got %s, observed %q, because %q; want %s, observed %s", trial.Verdict, trial.Observed, trial.Reason, test.verdict, test.says)
				}
			}
			if !tried {
				t.Errorf("outlier detection was not tried: %+v, %s", report.Trials, c.stderr.String())
			}
			if asked := faults.Load() > 0; asked != (test.path == "/fault" && test.percent != "100") {
				t.Errorf("the service was asked for %d errors", faults.Load())
			}
		})
	}
}

// waitUntil waits for something, at most a minute.
func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited a minute, and not: %s", what)
		}
	}
}
