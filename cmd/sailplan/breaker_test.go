package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const breakerRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: prod}
spec:
  host: reviews.prod.svc.cluster.local
  trafficPolicy:
    connectionPool: {tcp: {connectTimeout: 400ms}, http: {http2MaxRequests: 10}}
    outlierDetection: {consecutive5xxErrors: 5}
`

// Trials on real Envoys end in the exit code, the JSON, the reports and the JUnit file
// that they should.
func TestBreakerTrials(t *testing.T) {
	envoyPath := envoy(t)
	for _, test := range []struct {
		name, rule, only, verdict string
		code                      int
	}{
		{"all hold", breakerRule, "connectTimeout", "pass", 0},
		{"one fails", breakerRule, "one bad endpoint", "fail", 3},
		{"not measurable", strings.Replace(breakerRule, "http2MaxRequests: 10", "http2MaxRequests: 1000000", 1), "http2MaxRequests of a client", "not-measurable", 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, map[string]string{"dr.yaml": test.rule}, "breaker", "-f", "dr.yaml", "--fast", "--endpoints", "3", "--envoy", envoyPath,
				"--only", test.only, "--out", "out", "--junit", "b.xml", "--quiet")
			if got := c.wait(); got != test.code {
				t.Fatalf("exit code: got %d, want %d: %s", got, test.code, c.stderr.String())
			}
			content, err := os.ReadFile(filepath.Join(c.dir, "out", "breaker.json"))
			if err != nil {
				t.Fatal(err)
			}
			var report struct {
				Trials []struct {
					Name, Field, Verdict, Expected, Observed, Reason string
					Limit                                            any
					Seconds                                          float64
				}
				Findings []struct {
					Code, Severity, Message, File, Fix string
					Line                               int
				}
			}
			if err := json.Unmarshal(content, &report); err != nil {
				t.Fatal(err)
			}
			if len(report.Trials) != 1 || report.Trials[0].Verdict != test.verdict || report.Trials[0].Expected == "" || report.Trials[0].Limit == nil {
				t.Fatalf("got %+v, want one trial with %s", report.Trials, test.verdict)
			}
			for _, file := range []string{"out/report.html", "out/report.md", "b.xml"} {
				text, err := os.ReadFile(filepath.Join(c.dir, file))
				if err != nil || !strings.Contains(string(text), report.Trials[0].Name) {
					t.Errorf("%s does not name the trial (%v)", file, err)
				}
			}
			neverEjects := false
			for _, f := range report.Findings {
				neverEjects = neverEjects || f.Code == "SP011" && f.File == "dr.yaml" && f.Line == 8 && f.Fix != ""
			}
			if !neverEjects {
				t.Errorf("SP011 is not found at its line: %+v", report.Findings)
			}
		})
	}
}

func TestBreakerIsInterrupted(t *testing.T) {
	envoyPath := envoy(t)
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		code   int
		when   func(c *command) (string, func() bool)
	}{
		{"while the lab starts", syscall.SIGINT, 130, func(c *command) (string, func() bool) {
			return "a child started", func() bool { return len(children(c.Process.Pid)) > 0 }
		}},
		{"in the second trial", syscall.SIGTERM, 143, func(c *command) (string, func() bool) {
			return "the second trial began", func() bool { return strings.Contains(c.stderr.String(), "trial 2 of") }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, map[string]string{"dr.yaml": breakerRule}, "breaker", "-f", "dr.yaml", "--fast", "--endpoints", "2", "--envoy", envoyPath, "--out", "out")
			c.until(test.when(c))
			lab := children(c.Process.Pid)
			if err := c.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			if got := c.wait(); got != test.code {
				t.Errorf("exit code: got %d, want %d", got, test.code)
			}
			gone(t, lab)
		})
	}
}
