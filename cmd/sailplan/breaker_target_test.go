package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// A running Envoy's limits are compared with the files, and it gets no more than
// --max-rate.
func TestBreakerOfARunningSystem(t *testing.T) {
	envoyPath := envoy(t)
	running := start(t, map[string]string{"lab.yaml": onEnvoy(labScenario)}, "lab", "lab.yaml", "--envoy", envoyPath)
	gateway := regexp.MustCompile(`(?m)^gateway +0 +pid \d+ +(http://\S+)`)
	entry := regexp.MustCompile(`(?m)^load goes to +(\S+) `)
	running.until("the lab is up", func() bool { return strings.Contains(running.stdout.String(), "Ctrl-C ends it") })
	admin, url := gateway.FindStringSubmatch(running.stdout.String()), entry.FindStringSubmatch(running.stdout.String())
	if admin == nil || url == nil {
		t.Fatalf("the lab does not say where it is: %s", running.stdout.String())
	}
	rule := string(mesh.DefaultPolicy())
	for _, test := range []struct {
		name, rule string
		code       int
		failed     string
	}{
		// 200/s cannot put 1000 in flight.
		{"as the files say", rule, 4, ""},
		{"another limit in the files", strings.Replace(rule, "http2MaxRequests: 1000", "http2MaxRequests: 900", 1), 3, "live connectionPool.http.http2MaxRequests"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, map[string]string{"dr.yaml": test.rule}, "breaker", "-f", "dr.yaml", "--target", url[1], "--admin", admin[1],
				"--max-rate", "200/s", "--duration", "2s", "--out", "out", "--quiet")
			if got := c.wait(); got != test.code {
				t.Fatalf("exit code: got %d, want %d: %s%s", got, test.code, c.stderr.String(), c.stdout.String())
			}
			content, err := os.ReadFile(filepath.Join(c.dir, "out", "breaker.json"))
			if err != nil {
				t.Fatal(err)
			}
			var report struct {
				Target string
				Trials []struct{ Name, Verdict, Observed, Reason string }
			}
			if err := json.Unmarshal(content, &report); err != nil {
				t.Fatal(err)
			}
			live := 0
			for _, trial := range report.Trials {
				if strings.HasPrefix(trial.Name, "live ") {
					live++
					if (trial.Verdict == "fail") != (trial.Name == test.failed) {
						t.Errorf("%s: %s, %s, %s", trial.Name, trial.Verdict, trial.Observed, trial.Reason)
					}
				}
			}
			if report.Target != url[1] || live < 10 {
				t.Errorf("got target %q and %d live settings", report.Target, live)
			}
		})
	}
	wrong := start(t, map[string]string{"dr.yaml": rule}, "breaker", "-f", "dr.yaml", "--target", url[1], "--admin", admin[1])
	if got := wrong.wait(); got != 2 || !strings.Contains(wrong.stderr.String(), "--max-rate") {
		t.Errorf("without --max-rate: exit code %d, %s", got, wrong.stderr.String())
	}
}

// measured tries a rule, and once or twice more where something could not be measured,
// as on a machine that others keep busy: what can be measured is in the end, and a trial
// that fails is not repeated.
func measured(t *testing.T, wanted int, rule string, args ...string) *command {
	t.Helper()
	const most = 3
	for attempt := 1; ; attempt++ {
		c := start(t, map[string]string{"dr.yaml": rule}, append([]string{"breaker", "-f", "dr.yaml", "--out", "out", "--quiet"}, args...)...)
		got := c.wait()
		if got == 4 && wanted != 4 && attempt < most {
			t.Logf("not measurable, attempt %d: %s", attempt, c.stdout.String())
			continue
		}
		if got != wanted {
			t.Errorf("exit code: got %d, want %d: %s%s", got, wanted, c.stderr.String(), c.stdout.String())
		}
		return c
	}
}

// limitedRule has limits that some 300 requests a second of 100 ms exceed.
const limitedRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service, namespace: lab}
spec:
  host: service.lab.svc.cluster.local
  trafficPolicy:
    connectionPool:
      http:
        http1MaxPendingRequests: 100
        http2MaxRequests: 20
        maxRequestsPerConnection: 50
        idleTimeout: 2s
    outlierDetection:
      consecutive5xxErrors: 7
      consecutiveGatewayErrors: 3
      maxEjectionPercent: 50
    retryBudget: {percent: 25, minRetryConcurrency: 4}
`

const limitedLab = `apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: live}
lab:
  proxy: envoy
  gateway: {concurrency: 1}
  sidecar: {concurrency: 1}
  service: {replicas: 2, latency: {median: 100ms, p99: 101ms}, responseBytes: 64}
  policy: [rule.yaml]
connections: {count: 2, streamsPerConnection: 50}
requests: [{name: get, weight: 1, method: GET, path: /}]
objectives: [{quantile: 0.99, latency: 1s}]
demand: {peakRate: 100/s}
`

// A running system's limits are exceeded where the rate that is allowed suffices, and
// every setting that an Envoy has is compared.
func TestBreakerExceedsTheLimitsOfARunningSystem(t *testing.T) {
	running := start(t, map[string]string{"lab.yaml": limitedLab, "rule.yaml": limitedRule}, "lab", "lab.yaml", "--envoy", envoy(t))
	running.until("the lab is up", func() bool { return strings.Contains(running.stdout.String(), "Ctrl-C ends it") })
	said := regexp.MustCompile(`load goes to +(\S+)[^\n]*\ngateway +0 +pid \d+ +(http://\S+)`).FindStringSubmatch(running.stdout.String())
	if said == nil {
		t.Fatalf("the lab does not say where it is: %s", running.stdout.String())
	}
	pass, unknown := "pass", "not-measurable"
	for _, test := range []struct {
		name, rule, maxRate string
		code                int
		trials              map[string]string
		differ              []string
	}{
		{"exceeded", limitedRule, "600/s", 0, map[string]string{
			"http2MaxRequests of a client": pass, "maxRequestsPerConnection": pass, "idleTimeout": pass,
		}, nil},
		{"not exceeded, and other files", strings.NewReplacer("percent: 25", "percent: 30", "consecutiveGatewayErrors: 3", "consecutiveGatewayErrors: 2").Replace(limitedRule), "50/s", 3, map[string]string{
			"http2MaxRequests of a client": unknown, "maxRequestsPerConnection": pass, "idleTimeout": pass,
		}, []string{"live outlierDetection.consecutiveGatewayErrors", "live retryBudget.percent"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := measured(t, test.code, test.rule, "--target", said[1], "--admin", said[2],
				"--max-rate", test.maxRate, "--concurrency", "1", "--duration", "6s")
			report := readJSON[struct {
				Trials []struct{ Name, Verdict, Observed, Reason string }
			}](t, filepath.Join(c.dir, "out", "breaker.json"))
			var differ []string
			live, made := 0, 0
			for _, trial := range report.Trials {
				if strings.HasPrefix(trial.Name, "live ") {
					if live++; trial.Verdict != pass {
						differ = append(differ, trial.Name)
					}
					continue
				}
				if made++; trial.Verdict != test.trials[trial.Name] {
					t.Errorf("%s: got %s, observed %q, because %q, want %s", trial.Name, trial.Verdict, trial.Observed, trial.Reason, test.trials[trial.Name])
				}
			}
			slices.Sort(differ)
			if made != len(test.trials) || live < 18 || !slices.Equal(differ, test.differ) {
				t.Errorf("got %d trials and %d settings, of which differ %q; want %d, at least 18, %q", made, live, differ, len(test.trials), test.differ)
			}
		})
	}
}

// The counters of a running system are read from a Prometheus that scrapes its Envoy.
func TestBreakerReadsCountersFromPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if required("prometheus") {
			t.Fatal(err)
		}
		t.Skipf("skipped: no Prometheus: %v", err)
	}
	// A calm load suffices where a limit is low.
	rule := strings.NewReplacer("http2MaxRequests: 20", "http2MaxRequests: 10", "maxRequestsPerConnection: 50", "maxRequestsPerConnection: 20").Replace(limitedRule)
	running := start(t, map[string]string{"lab.yaml": limitedLab, "rule.yaml": rule}, "lab", "lab.yaml", "--envoy", envoy(t))
	running.until("the lab is up", func() bool { return strings.Contains(running.stdout.String(), "Ctrl-C ends it") })
	said := regexp.MustCompile(`load goes to +(\S+)[^\n]*\ngateway +0 +pid \d+ +http://(\S+)`).FindStringSubmatch(running.stdout.String())
	if said == nil {
		t.Fatalf("the lab does not say where it is: %s", running.stdout.String())
	}
	const every = 300 * time.Millisecond
	o := observed{prometheus: scrapeEvery(t, program, every, map[string]string{"envoy": said[2] + "/stats/prometheus"})}
	running.until("Prometheus had scraped the gateway", func() bool {
		return len(o.raw(t, `envoy_cluster_upstream_rq_total{pod="gateway-0"}`, time.Minute)) > 1
	})
	c := measured(t, 0, rule, "--target", said[1], "--prometheus", o.prometheus,
		"--prometheus-labels", `pod="gateway-0"`, "--max-rate", "400/s", "--concurrency", "1", "--duration", "4s")
	report := readJSON[struct {
		Notes  []string
		Trials []struct {
			Name, Verdict, Observed, Reason string
			Timeline                        []struct{ Seconds, InFlight float64 }
		}
	}](t, filepath.Join(c.dir, "out", "breaker.json"))
	var made []string
	for _, trial := range report.Trials {
		made = append(made, trial.Name)
		if trial.Verdict != "pass" {
			t.Errorf("%s: got %s, observed %q, because %q", trial.Name, trial.Verdict, trial.Observed, trial.Reason)
		}
		for i, point := range trial.Timeline {
			// Looks are scrapes.
			if i > 0 && point.Seconds-trial.Timeline[i-1].Seconds < 0.9*every.Seconds() {
				t.Errorf("%s: looks at %g s and %g s", trial.Name, trial.Timeline[i-1].Seconds, point.Seconds)
			}
		}
	}
	if want := []string{"http2MaxRequests of a client", "maxRequestsPerConnection", "idleTimeout"}; !slices.Equal(made, want) {
		t.Errorf("got the trials %q, want %q, and no settings, which Prometheus does not know", made, want)
	}
	if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, "the counters are those of cluster outbound|80||service.lab.svc.cluster.local of gateway-0, which Prometheus") {
		t.Errorf("the notes do not say what was read: %q", notes)
	}
}
