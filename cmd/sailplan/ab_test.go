package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const abScenario = `apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: pool}
lab:
  proxy: embedded
  gateway: {concurrency: 1}
  sidecar: {concurrency: 1}
  service: {replicas: 1, latency: {median: 20ms, p99: 30ms}, responseBytes: 100}
  policy: [POLICY]
connections: {count: 2, streamsPerConnection: 100}
load: {arrivals: poisson, rate: 100/s, duration: 1s, warmUp: 200ms}
objectives: [{quantile: 0.5, latency: 2s}]
guards: {maxErrorRatio: 90%}
observe: {interval: 250ms}
margins: {latencyP50: 50%}
`

const abRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pool}
spec:
  host: service
  trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1000}}}
`

// Two DestinationRules side by side: one that sheds requests is found by its errors,
// every form says so, and that the rules differ.
func TestABOfTwoDestinationRules(t *testing.T) {
	c := start(t, map[string]string{
		"wide.yaml": strings.Replace(abScenario, "POLICY", "dr-wide.yaml", 1), "dr-wide.yaml": abRule,
		"tight.yaml": strings.Replace(abScenario, "POLICY", "dr-tight.yaml", 1), "dr-tight.yaml": strings.Replace(abRule, "1000", "2", 1),
	}, "ab", "--together", "--base", "wide.yaml", "--new", "tight.yaml", "--pairs", "10", "--out", "out", "--markdown", "ab.md", "--junit", "ab.xml")
	if got := c.wait(); got != 3 {
		t.Fatalf("exit code: got %d, want 3: %s\n%s", got, c.stderr.String(), c.stdout.String())
	}
	for name, wants := range map[string][]string{
		"ab.md":  {"Regressed", "roll back", "connectionPool.http.http2MaxRequests | 1000 | 2"},
		"ab.xml": {`name="error ratio"`, "<failure"},
	} {
		text, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has no %q:\n%s", name, want, text)
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(c.dir, "out", "ab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Canary   string
		Expected []struct {
			Name  string
			Pairs int
		}
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	if result.Canary != "roll back" || len(result.Expected) == 0 || result.Expected[0].Pairs != 10 {
		t.Errorf("ab.json has %+v", result)
	}
	for _, want := range []string{"pair 10: both sides", "what 10 pairs will show four times in five"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("no %q while it goes:\n%s", want, c.stderr.String())
		}
	}
}

// A canary of an Envoy: each side has the binary that it was given.
func TestABOfTwoEnvoys(t *testing.T) {
	envoyPath := envoy(t)
	other := filepath.Join(t.TempDir(), "envoy-other")
	if err := os.Symlink(envoyPath, other); err != nil {
		t.Fatal(err)
	}
	c := start(t, map[string]string{"lab.yaml": strings.Replace(onEnvoy(abScenario), "POLICY", "dr.yaml", 1), "dr.yaml": abRule},
		"ab", "--base", "lab.yaml", "--new", "lab.yaml", "--base-envoy", envoyPath, "--new-envoy", other, "--pairs", "1", "--out", "out", "--markdown", "ab.md")
	if got := c.wait(); got != 0 && got != 4 { // a pair says little
		t.Fatalf("exit code: got %d: %s", got, c.stderr.String())
	}
	for _, want := range []string{"base: proxies: real Envoy", "(--base-envoy)", "(--new-envoy)", "pair 1: base", "pair 1: new"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("no %q while it goes:\n%s", want, c.stderr.String())
		}
	}
	text, err := os.ReadFile(filepath.Join(c.dir, "ab.md"))
	if err != nil || !strings.Contains(string(text), "For a canary this means: not decided") {
		t.Errorf("ab.md: %v\n%s", err, text)
	}
}

// A new side that fails every request is stopped by the guard in the first pair. The
// answer says which side it was, and what that means.
func TestABWithAGuard(t *testing.T) {
	good := serveH2C(t, func(http.ResponseWriter, *http.Request) {})
	bad := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	c := start(t, map[string]string{"base.yaml": targetScenario(good, "200/s", "2s"), "new.yaml": targetScenario(bad, "200/s", "4s")},
		"ab", "--base", "base.yaml", "--new", "new.yaml", "--pairs", "2", "--out", "out")
	if got := c.wait(); got != 5 {
		t.Errorf("exit code: got %d, want 5", got)
	}
	for _, want := range []string{"new, pair 1", "maxErrorRatio", "roll back"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("standard error has no %q:\n%s", want, c.stderr.String())
		}
	}
}
