package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// auditLab has some 20 requests in flight, by Little's law: 100/s that take 200 ms.
const auditLab = `apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: audited}
lab:
  proxy: envoy
  gateway: {concurrency: 1}
  sidecar: {concurrency: 1}
  service: {replicas: 1, latency: {median: 200ms, p99: 202ms}, responseBytes: 128}
connections: {count: 2, streamsPerConnection: 100}
requests: [{name: get, weight: 1, method: GET, path: /}]
load: {rate: 100/s, duration: 6s}
objectives: [{quantile: 0.9, latency: 5s}]
guards: {maxRate: 400/s}
demand: {peakRate: 1000/s}
`

const auditedMesh = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service, namespace: lab}
spec:
  host: service.lab.svc.cluster.local
  trafficPolicy:
    connectionPool:
      http:
        http1MaxPendingRequests: 500
        http2MaxRequests: 9
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: service, namespace: lab}
spec:
  selector: {matchLabels: {app: service}}
  template:
    metadata:
      labels: {app: service}
      annotations:
        sidecar.istio.io/proxyCPU: 1m
        sidecar.istio.io/proxyMemory: 64Mi
        sidecar.istio.io/proxyCPULimit: "1"
        sidecar.istio.io/proxyMemoryLimit: 128Mi
    spec:
      containers: [{name: service, image: "service:1"}]
`

// TestAuditWithARun measures on real Envoys and holds files to what was measured.
func TestAuditWithARun(t *testing.T) {
	c, code := judged(t, map[string]string{"s.yaml": auditLab, "mesh.yaml": auditedMesh, "roomy.yaml": strings.NewReplacer("http2MaxRequests: 9", "http2MaxRequests: 400", "proxyCPU: 1m", "proxyCPU: 800m").Replace(auditedMesh)},
		"run", "s.yaml", "--envoy", envoy(t))
	if code != 0 {
		t.Fatalf("the run: exit code %d\n%s", code, c.stderr.String())
	}
	for _, test := range []struct {
		file string
		code int
		want []string // findings of the rules that need a run: code, severity, line
	}{
		{"mesh.yaml", 3, []string{"SP018 error 10", "SP075 warning 21"}},
		{"roomy.yaml", 0, nil},
	} {
		t.Run(test.file, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "audit.json")
			a := prepare(t, c.dir, os.Getenv(binaryVariable), "audit", test.file, "--run", c.runDir(), "--json", out)
			a.begin()
			if got := a.wait(); got != test.code {
				t.Errorf("exit code: got %d, want %d\n%s", got, test.code, a.stdout.String())
			}
			result := readJSON[audit.Result](t, out)
			var got []string
			for _, f := range result.Findings {
				if f.Code == "SP018" || f.Code == "SP075" {
					got = append(got, strings.Join([]string{f.Code, string(f.Severity), strconv.Itoa(f.Line)}, " "))
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got findings %q, want %q", got, test.want)
			}
			said, _ := json.Marshal(result.Measured)
			found := regexp.MustCompile(`http2MaxRequests: (\d+) in use at once at one (gateway|sidecar), at `).FindSubmatch(said)
			if found == nil {
				t.Fatalf("what was measured: %s", said)
			}
			// The most of a few samples of a Poisson count of mean 20, on a machine that
			// may stand still for a moment.
			if n, _ := strconv.Atoi(string(found[1])); n < 15 || n > 150 {
				t.Errorf("got %d in flight, want some 20 to 35", n)
			}
		})
	}
}
