package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// What a replica of the production that these tests make up costs.
const (
	observedIdle    = 0.05   // cores
	observedRequest = 150e-6 // CPU seconds
	observedScrape  = 15 * time.Second
	observedHours   = 6
)

// replica is one replica of a made-up production: its rate at each share of the
// time, and what happens to its series.
type replica struct {
	pod     string
	zone    string // a label beside the pod
	rate    func(share float64) float64
	lives   [2]float64 // shares of the time
	silent  [2]float64 // between these it is not scraped
	restart float64    // its counters begin anew; 0: never
}

// wave is the day of a service: from 200/s to 1 000/s and back.
func wave(share float64) float64 { return 600 - 400*math.Cos(2*math.Pi*share) }

// exposition writes what a Prometheus scraped of the replicas, as OpenMetrics. The
// label case keeps the productions of the tests apart.
func exposition(name string, from time.Time, replicas []replica) (cpu, requests, memory, latency []string) {
	random := rand.New(rand.NewPCG(5, 5))
	steps := int(observedHours * time.Hour / observedScrape)
	for i, r := range replicas {
		var seconds, answered float64
		restarted := false
		for step := range steps {
			share := float64(step) / float64(steps)
			if share < r.lives[0] || share > r.lives[1] {
				continue
			}
			if r.restart > 0 && share >= r.restart && !restarted {
				seconds, answered, restarted = 0, 0, true
			}
			rate := r.rate(share) * (1 + 0.05*random.NormFloat64())
			answered += rate * observedScrape.Seconds()
			seconds += (observedIdle + observedRequest*rate) * observedScrape.Seconds() * (1 + 0.02*random.NormFloat64())
			if share >= r.silent[0] && share < r.silent[1] {
				continue
			}
			// The replicas are scraped at instants of their own.
			at := float64(from.Unix()) + float64(step)*observedScrape.Seconds() + float64(i)*3.7
			line := func(metric, more string, v float64) string {
				return fmt.Sprintf("%s{case=%q,pod=%q,zone=%q%s} %.3f %.3f", metric, name, r.pod, r.zone, more, v, at)
			}
			cpu = append(cpu, line("cpu_seconds_total", "", 1000+seconds))
			requests = append(requests, line("requests_total", "", math.Floor(answered)))
			memory = append(memory, line("memory_bytes", "", 80e6+1000*rate))
			for _, b := range []struct {
				le    string
				share float64
			}{{"10.0", 0.9}, {"50.0", 0.995}, {"100.0", 1}, {"+Inf", 1}} {
				latency = append(latency, line("duration_milliseconds_bucket", fmt.Sprintf(",le=%q", b.le), math.Floor(answered*b.share)))
			}
		}
	}
	return cpu, requests, memory, latency
}

// productions starts a Prometheus that has scraped several productions up to an
// instant, by the names of their cases, and returns its base URL.
func productions(t *testing.T, from time.Time, cases map[string][]replica) string {
	t.Helper()
	return backfilled(t, production(from, cases))
}

// production writes what a Prometheus has scraped of several productions.
func production(from time.Time, cases map[string][]replica) string {
	families := []struct {
		name, kind string
		lines      []string
	}{{"cpu_seconds", "counter", nil}, {"requests", "counter", nil}, {"memory_bytes", "gauge", nil}, {"duration_milliseconds", "histogram", nil}}
	for name, replicas := range cases {
		cpu, requests, memory, latency := exposition(name, from, replicas)
		for i, lines := range [][]string{cpu, requests, memory, latency} {
			families[i].lines = append(families[i].lines, lines...)
		}
	}
	var text strings.Builder
	for _, f := range families {
		fmt.Fprintf(&text, "# TYPE %s %s\n%s\n", f.name, f.kind, strings.Join(f.lines, "\n"))
	}
	return text.String()
}

// backfilled starts a Prometheus that holds some metrics, written as OpenMetrics, and
// returns its base URL.
func backfilled(t *testing.T, metrics string) string {
	t.Helper()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			if required("prometheus") {
				t.Fatal(err)
			}
			t.Skipf("skipped: no Prometheus: %v", err)
		}
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"metrics.om": metrics + "# EOF\n", "prometheus.yml": "global: {scrape_interval: 15s}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	backfill := exec.Command("promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=672h", "metrics.om", "data")
	backfill.Dir = dir
	if out, err := backfill.CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v: %s", err, out)
	}
	// Prometheus does not say which port it got; so it is given one that was free.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	server := prepare(t, dir, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=1y", "--web.listen-address="+address)
	server.begin()
	server.until("Prometheus was ready", func() bool {
		answer, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return "http://" + address
}

// observedScenario describes a gateway whose production a Prometheus has scraped.
func observedScenario(prometheus, name string) string {
	selector := func(metric string) string { return fmt.Sprintf("%s{case=%q}", metric, name) }
	return fmt.Sprintf(`apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: shop}
target: {url: "http://127.0.0.1:1"}
requests: [{name: get, weight: 1, method: GET, path: /}]
load: {rate: 1/s, duration: 1s}
objectives: [{quantile: 0.99, latency: 80ms}]
demand: {peakRate: 2000/s}
observe:
  prometheus: %q
  components:
    - name: gateway
      role: gateway
      replicas: 2
      limits: {cpu: 300m, memory: 512Mi}
      prometheus: {cpuSeconds: %q, requests: %q, workingSetBytes: %q, latencyBuckets: %q}
`, prometheus, selector("cpu_seconds_total"), selector("requests_total"), selector("memory_bytes"), selector("duration_milliseconds_bucket"))
}

// observedResult is what these tests look at.
type observedResult struct {
	Evidence, Outcome, OutcomeReason string
	Warnings                         []string
	SLOEdge                          struct {
		End string
		RPS struct{ Value *float64 }
	}
	Components []struct {
		CPUSecondsPerRequest, CPUIdleCores struct{ Value, Low, High *float64 }
		CapacityPerReplicaRps              struct {
			Low     *float64
			BoundBy string
		}
		Replicas *struct{ Value int }
	}
	Observed struct {
		HighestRps, ReachesRps, PlannedTimes float64
		Reason                               string
	}
	Verification *struct{}
}

func TestSizeFromPrometheus(t *testing.T) {
	whole := [2]float64{0, 1}
	half := func(share float64) float64 { return wave(share) / 2 }
	from := time.Now().Add(-8 * time.Hour).Truncate(time.Minute)
	prometheus := productions(t, from, map[string][]replica{
		"steady": {{pod: "a", rate: half, lives: whole}, {pod: "b", rate: half, lives: whole}},
		"troubled": {
			{pod: "a", rate: half, lives: whole, silent: [2]float64{0.3, 0.4}},
			{pod: "b", rate: half, lives: whole, restart: 0.6},
			{pod: "c", rate: half, lives: [2]float64{0.75, 1}},
		},
		"flat":    {{pod: "a", rate: func(float64) float64 { return 300 }, lives: whole}},
		"doubled": {{pod: "a", rate: half, lives: whole}, {pod: "a", zone: "other", rate: half, lives: whole}},
	})
	begin := from.UTC().Format(time.RFC3339)
	end := from.Add(observedHours * time.Hour).UTC().Format(time.RFC3339)
	within := func(t *testing.T, what string, got *float64, want, tolerance float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > tolerance*want {
			t.Errorf("%s: got %v, want %g within %.0f %%", what, got, want, 100*tolerance)
		}
	}
	for _, name := range []string{"steady", "troubled"} {
		t.Run(name, func(t *testing.T) {
			c := watch(t, observedScenario(prometheus, name), "--from", begin, "--to", end)
			if got := c.wait(); got != 0 {
				t.Fatalf("exit code: got %d, want 0", got)
			}
			file := filepath.Join(c.dir, "run", "recommendation.json")
			r := readJSON[observedResult](t, file)
			if r.Evidence != string(record.EvidenceObserved) || r.Outcome != "recommended" || r.Verification != nil || !strings.Contains(r.OutcomeReason, "nothing was proved") {
				t.Errorf("evidence %q, outcome %q: %s", r.Evidence, r.Outcome, r.OutcomeReason)
			}
			// 48 windows with noise of 2 % of a scrape, 8 scrapes each: the error of the
			// slope is far below 1 %.
			within(t, "CPU of a request", r.Components[0].CPUSecondsPerRequest.Value, observedRequest, 0.03)
			within(t, "CPU at idle", r.Components[0].CPUIdleCores.Value, observedIdle, 0.15)
			within(t, "capacity at 75 % of 300m", r.Components[0].CapacityPerReplicaRps.Low, (0.75*0.3-observedIdle)/observedRequest, 0.03)
			if b := r.Components[0].CapacityPerReplicaRps.BoundBy; b != "cpu-75%" {
				t.Errorf("bound by %q, want the CPU: production shows no edge", b)
			}
			if r.SLOEdge.End != "not-reached" {
				t.Errorf("the edge's end is %q, want not-reached", r.SLOEdge.End)
			}
			run := readJSON[record.Run](t, filepath.Join(c.dir, "run", "run.json"))
			if told := strings.Contains(strings.Join(run.Notes, "\n"), "of no use"); told != (name == "troubled") {
				t.Errorf("notes %q: windows of no use are told: %t", run.Notes, told)
			}
			if found, _ := filepath.Glob(filepath.Join(c.dir, "run", "manifests", "*.yaml")); len(found) > 0 {
				t.Errorf("manifests that are no examples: %q", found)
			}
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			again := prepare(t, c.dir, os.Getenv(binaryVariable), "analyze", "run")
			again.begin()
			if got := again.wait(); got != 0 {
				t.Errorf("analyze: exit code %d, want 0", got)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
				t.Errorf("analyze gives another result (%v)", err)
			}
		})
	}
	steady := observedScenario(prometheus, "steady")
	t.Run("far below its limit", func(t *testing.T) { farBelow(t, steady, begin, end) })
	for _, test := range []struct {
		name, scenario string
		args           []string
		code           int
		says           string
	}{
		{"the rate never changes", observedScenario(prometheus, "flat"), []string{"--from", begin, "--to", end}, 4, "a fit needs 3"},
		// The two replicas together were seen to carry 1 000/s.
		{"a peak far above what was observed", strings.Replace(steady, "2000/s", "5000/s", 1), []string{"--from", begin, "--to", end}, 4, "No answer: what was observed does not reach that far"},
		{"a range before all scrapes", steady, []string{"--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z"}, 1, "returned nothing"},
		{"no series of that name", observedScenario(prometheus, "nobody"), []string{"--since", "10h"}, 1, `requests_total{case="nobody"}`},
		{"two series of a replica", observedScenario(prometheus, "doubled"), []string{"--since", "10h"}, 1, "several series"},
		{"nobody answers", observedScenario("http://127.0.0.1:1", "steady"), []string{"--since", "10h"}, 1, "connection refused"},
		{"too short", steady, []string{"--since", "5m"}, 2, "too short"},
		{"the future", steady, []string{"--to", "2100-01-01T00:00:00Z"}, 2, "future"},
		{"two starts", steady, []string{"--since", "5h", "--from", begin}, 2, "--since and --from"},
		{"flags of a load", steady, []string{"--quick"}, 2, "--quick"},
		{"nothing counts requests", strings.Replace(steady, "requests: \"requests_total", "inFlight: \"requests_total", 1), nil, 2, "prometheus.requests"},
		{"a lab", strings.Replace(steady, "target: {url: \"http://127.0.0.1:1\"}", "lab: {}", 1), nil, 2, "lab"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := watch(t, test.scenario, test.args...)
			if got := c.wait(); got != test.code {
				t.Errorf("exit code: got %d, want %d", got, test.code)
			}
			if said := c.stderr.String() + c.stdout.String(); !strings.Contains(said, test.says) {
				t.Errorf("it does not say %q", test.says)
			}
			if _, err := os.Stat(filepath.Join(c.dir, "run")); test.code < 4 && err == nil {
				t.Error("it left a run directory")
			}
		})
	}
}

// farBelow sizes a production whose replicas could carry 4 667/s each by their model, at
// 75 % of a core, and were seen to carry 500/s, for a plan far above what was observed.
func farBelow(t *testing.T, steady, begin, end string) {
	scenario := strings.Replace(steady, "cpu: 300m", "cpu: 1", 1)
	scenario = strings.Replace(scenario, "{peakRate: 2000/s}", "{peakRate: 2000/s, headroom: 100%, zones: 1}", 1)
	c := watch(t, scenario, "--from", begin, "--to", end)
	if got := c.wait(); got != 0 {
		t.Fatalf("exit code: got %d, want 0", got)
	}
	r := readJSON[observedResult](t, filepath.Join(c.dir, "run", "recommendation.json"))
	gateway := r.Components[0]
	if low := gateway.CapacityPerReplicaRps.Low; low == nil || *low < 1470 || *low > 1620 || gateway.CapacityPerReplicaRps.BoundBy != "3x-observed" {
		t.Errorf("capacity %+v, want three times the 500/s that a replica was seen to carry, or what it was by chance", gateway.CapacityPerReplicaRps)
	}
	// 4 000/s are planned for, 3 with nothing lost, and one may be lost.
	if gateway.Replicas == nil || gateway.Replicas.Value != 4 {
		t.Errorf("replicas %+v, want 4", gateway.Replicas)
	}
	o := r.Observed
	if o.HighestRps < 980 || o.HighestRps > 1060 || math.Abs(o.ReachesRps-3*o.HighestRps) > 0.1 || math.Abs(o.PlannedTimes*o.HighestRps-4000) > 1 || !strings.Contains(o.Reason, "the 4\u00a0000/s asked for lies beyond 3 times") {
		t.Errorf("observed: %+v", o)
	}
	if said := strings.Join(strings.Fields(c.stdout.String()), " "); !strings.Contains(said, "asked for lies beyond 3 times") || !strings.Contains(said, "at most 3 times") {
		t.Error("the answer does not say how far it reaches")
	}
}

// watch starts a sizing from what Prometheus knows.
func watch(t *testing.T, scenario string, args ...string) *command {
	t.Helper()
	return start(t, map[string]string{"s.yaml": scenario}, append([]string{"size", "--from-prometheus", "s.yaml", "--out", "run"}, args...)...)
}
