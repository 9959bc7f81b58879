package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// observed is a lab that a Prometheus scrapes, as a cluster's would be.
type observed struct {
	lab        *command
	url        string // of the gateway
	pid        int    // of the gateway's Envoy
	prometheus string // base URL
	ledger     *ledger
}

// ledger is what the exporter told at each scrape, and what the cgroup of the
// same process accounted for at that moment.
type ledger struct {
	mu      sync.Mutex
	entries []entry
}

type entry struct{ at, told, accounted float64 }

// nearest returns the entry that was made nearest to an instant.
func (l *ledger) nearest(at float64) (found entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if math.Abs(e.at-at) < math.Abs(found.at-at) {
			found = e
		}
	}
	return found
}

// observe starts real Envoys and a real Prometheus that scrapes the gateway once
// a second: its statistics from its admin endpoint, and its CPU time, which Envoy
// does not tell, from an exporter that reads it as exporters do.
func observe(t *testing.T) observed {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if required("prometheus") {
			t.Fatal(err)
		}
		t.Skipf("skipped: no Prometheus: %v", err)
	}
	path := envoy(t)
	scenario := strings.NewReplacer("cpu: \"1\"", "cpu: 200m", "median: 10ms, p99: 12ms", "median: 1ms, p99: 2ms").Replace(onEnvoy(queueScenario))
	o := observed{lab: start(t, map[string]string{"s.yaml": scenario}, "lab", "s.yaml", "--envoy", path)}
	o.lab.until("the lab was up", func() bool { return strings.Contains(o.lab.stdout.String(), "Ctrl-C ends it") })
	said := regexp.MustCompile(`load goes to +(\S+)[^§]*\ngateway +0 +pid (\d+) +http://(\S+)`).FindStringSubmatch(o.lab.stdout.String())
	if said == nil {
		t.Fatalf("the lab does not say where it is: %q", o.lab.stdout.String())
	}
	o.url, o.ledger = said[1], &ledger{}
	if o.pid, err = strconv.Atoi(said[2]); err != nil {
		t.Fatal(err)
	}
	accounting := ""
	for _, group := range groupsOf(o.lab.Process.Pid) {
		if strings.HasSuffix(group, "-gateway-0") && groupUsage(group) > 0 {
			accounting = group
		}
	}
	if accounting == "" {
		limited(t, nil)
	}
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		seconds, err := processSeconds(o.pid)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		o.ledger.mu.Lock()
		defer o.ledger.mu.Unlock()
		o.ledger.entries = append(o.ledger.entries, entry{float64(time.Now().UnixNano()) / 1e9, seconds, groupUsage(accounting)})
		fmt.Fprintf(w, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.2f\n", seconds)
	}))
	t.Cleanup(exporter.Close)
	o.prometheus = scrape(t, program, map[string]string{
		"envoy": said[3] + "/stats/prometheus", "process": strings.TrimPrefix(exporter.URL, "http://") + "/metrics",
	})
	for _, selector := range []string{cpuSelector, requestsSelector} {
		o.lab.until("Prometheus had scraped "+selector, func() bool { return len(o.raw(t, selector, time.Minute)) > 1 })
	}
	return o
}

const (
	cpuSelector      = `process_cpu_seconds_total{pod="gateway-0"}`
	requestsSelector = `envoy_http_downstream_rq_total{pod="gateway-0",envoy_http_conn_manager_prefix="outbound_gateway"}`
	inFlightSelector = `envoy_http_downstream_rq_active{pod="gateway-0",envoy_http_conn_manager_prefix="outbound_gateway"}`
	memorySelector   = `envoy_server_memory_physical_size{pod="gateway-0"}`
)

// processSeconds is the CPU time of a process as exporters report it, in ticks.
func processSeconds(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, err
}

// groupUsage is the CPU time of a cgroup, 0 where it does not account for any.
func groupUsage(folder string) float64 {
	if text, err := os.ReadFile(filepath.Join(folder, "cpuacct.usage")); err == nil {
		nanos, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		return nanos / 1e9
	}
	text, _ := os.ReadFile(filepath.Join(folder, "cpu.stat"))
	if found := regexp.MustCompile(`usage_usec (\d+)`).FindSubmatch(text); found != nil {
		micros, _ := strconv.ParseFloat(string(found[1]), 64)
		return micros / 1e6
	}
	return 0
}

// scrape starts a Prometheus that scrapes the addresses once a second.
func scrape(t *testing.T, program string, jobs map[string]string) string {
	t.Helper()
	return scrapeEvery(t, program, time.Second, jobs)
}

// scrapeEvery starts a Prometheus that scrapes the addresses, with paths, by the names
// of their jobs, and returns its base URL.
func scrapeEvery(t *testing.T, program string, every time.Duration, jobs map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: %[1]dms, scrape_timeout: %[1]dms}\nscrape_configs:\n", every.Milliseconds())
	for job, at := range jobs {
		address, path, _ := strings.Cut(at, "/")
		config += fmt.Sprintf("  - job_name: %s\n    metrics_path: /%s\n    static_configs: [{targets: [%q], labels: {pod: gateway-0}}]\n", job, path, address)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	// Prometheus does not say which port it got; so it is given one that was free.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	server := exec.CommandContext(t.Context(), program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var said output
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // ended by a signal
		if t.Failed() {
			t.Logf("Prometheus:\n%s", said.String())
		}
	})
	return "http://" + address
}

// pair is one raw sample: seconds since 1970, and the value.
type pair struct{ at, value float64 }

// raw asks Prometheus for a series as it was scraped; nil while it has none.
func (o observed) raw(t *testing.T, selector string, window time.Duration) (samples []pair) {
	t.Helper()
	query := url.Values{"query": {fmt.Sprintf("%s[%ds]", selector, int(window.Seconds()))}}
	answer, err := http.Get(o.prometheus + "/api/v1/query?" + query.Encode())
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	var decoded struct {
		Data struct{ Result []struct{ Values [][2]any } }
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || json.Unmarshal(body, &decoded) != nil || len(decoded.Data.Result) == 0 {
		return nil
	}
	for _, v := range decoded.Data.Result[0].Values {
		at, _ := v[0].(float64)
		text, _ := v[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, pair{at, value})
	}
	return samples
}

// scenario drives the observed lab as a target. Its gateway is observed twice: as
// a cluster's would be, and by its process, for comparison.
func (o observed) scenario() string {
	return fmt.Sprintf(`apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: observed}
target: {url: %q}
connections: {count: 4, streamsPerConnection: 100}
requests: [{name: get, weight: 1, method: GET, path: /}]
load: {rate: 200/s, duration: 1s}
objectives: [{quantile: 0.9, latency: 100ms}]
guards: {maxRate: 4000/s, maxErrorRatio: 100%%}
demand: {peakRate: 1000/s}
observe:
  prometheus: %q
  components:
    - name: gateway
      role: gateway
      limits: {cpu: 200m, memory: 512Mi}
      prometheus: {cpuSeconds: %q, requests: %q, inFlight: %q, rssBytes: %q}
    - {name: same-process, role: egress-gateway, pid: %d, limits: {cpu: 200m, memory: 512Mi}}
`, o.url, o.prometheus, cpuSelector, requestsSelector, inFlightSelector, memorySelector, o.pid)
}

// checkSamples holds the record to Prometheus's own series: each sample at the
// instant of its scrape, none invented, none left out; and to as many in each
// phase that counts as the fit needs.
func (o observed) checkSamples(t *testing.T, dir string) {
	t.Helper()
	run := readJSON[record.Run](t, filepath.Join(dir, "run.json"))
	file, err := os.Open(filepath.Join(dir, "samples.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	base := float64(run.StartedAt.UnixNano()) / 1e9
	var recorded []pair
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var row struct {
			AtNanos   float64
			Component string
			Metrics   map[string]float64
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if seconds, has := row.Metrics["cpuSeconds"]; has && row.Component == "gateway" {
			recorded = append(recorded, pair{base + row.AtNanos/1e9, seconds})
		}
	}
	if len(recorded) < 2 {
		t.Fatalf("samples of the gateway's CPU: got %d", len(recorded))
	}
	var scraped []pair
	for _, s := range o.raw(t, cpuSelector, 15*time.Minute) {
		if s.at >= recorded[0].at-0.02 && s.at <= recorded[len(recorded)-1].at+0.02 {
			scraped = append(scraped, s)
		}
	}
	if len(recorded) != len(scraped) {
		t.Errorf("samples of the gateway's CPU: %d are recorded, Prometheus has %d", len(recorded), len(scraped))
	}
	for i := range min(len(recorded), len(scraped)) {
		// The clocks are one; their comparison is good to some milliseconds.
		if math.Abs(recorded[i].at-scraped[i].at) > 0.02 || recorded[i].value != scraped[i].value {
			t.Fatalf("sample %d: recorded %+v, scraped %+v", i, recorded[i], scraped[i])
		}
	}
	first := o.ledger.nearest(recorded[0].at)
	for _, s := range recorded {
		// Ticks are hundredths of a second, and the two are not read at once.
		e := o.ledger.nearest(s.at)
		used, accounted := s.value-recorded[0].value, e.accounted-first.accounted
		if e.accounted > 0 && math.Abs(used-accounted) > 0.05+0.02*accounted {
			t.Fatalf("CPU of the gateway grew by %.2f s as recorded, by %.2f s in its cgroup", used, accounted)
		}
	}
	for _, phase := range run.Phases {
		inside := 0
		for _, s := range recorded {
			if at := time.Duration((s.at - base) * 1e9); at >= phase.Start && at <= phase.SendEnd {
				inside++
			}
		}
		if kind := phase.Spec.Kind; kind != scenarios.KindPreflight && kind != scenarios.KindWarmUp && inside < 3 {
			t.Errorf("phase %s of %s: %d samples of the gateway lie inside, want 3 or more", phase.Spec.Name, phase.SendEnd-phase.Start, inside)
		}
	}
}

func TestTargetObservedThroughPrometheus(t *testing.T) {
	o := observe(t)
	t.Run("run", func(t *testing.T) {
		c := start(t, map[string]string{"s.yaml": o.scenario()}, "run", "s.yaml", "--out", "run")
		if got := c.wait(); got != 0 && got != 4 {
			t.Errorf("exit code: got %d, want 0, or 4 on a busy machine", got)
		}
		o.checkSamples(t, filepath.Join(c.dir, "run"))
	})
	t.Run("size", func(t *testing.T) {
		c := start(t, map[string]string{"s.yaml": o.scenario()}, "size", "s.yaml", "--quick", "--out", "run")
		if got := c.wait(); got != 0 && got != 3 && got != 4 {
			t.Errorf("exit code: got %d, want 0, 3 or 4", got)
		}
		o.checkSamples(t, filepath.Join(c.dir, "run"))
		result := readJSON[struct {
			Evidence   string
			Components []struct {
				CPUSecondsPerRequest, CPULimitRps struct{ Value *float64 }
				CapacityPerReplicaRps             struct {
					Value   *float64
					BoundBy string
				}
			}
		}](t, filepath.Join(c.dir, "run", "recommendation.json"))
		if result.Evidence != "target" || len(result.Components) != 2 {
			t.Fatalf("result: got %+v, want the target's two components", result)
		}
		scraped, local := result.Components[0], result.Components[1]
		agree(t, "CPU seconds per request", scraped.CPUSecondsPerRequest.Value, local.CPUSecondsPerRequest.Value)
		agree(t, "rate at the CPU limit", scraped.CPULimitRps.Value, local.CPULimitRps.Value)
		// An edge is ascribed to one component; the CPU is each one's own. A capacity is
		// withheld where its safe end is 0, as it can be of few scrapes.
		bound := scraped.CapacityPerReplicaRps.BoundBy
		if both := scraped.CapacityPerReplicaRps.Value != nil && local.CapacityPerReplicaRps.Value != nil; both && bound == local.CapacityPerReplicaRps.BoundBy {
			agree(t, "capacity, bound by "+bound, scraped.CapacityPerReplicaRps.Value, local.CapacityPerReplicaRps.Value)
		}
	})
}

// agree holds a figure that was got through Prometheus to the one that the same
// process showed here.
func agree(t *testing.T, what string, scraped, local *float64) {
	t.Helper()
	switch {
	case scraped == nil && local == nil:
		t.Logf("%s: not estimable, by either way", what)
	case scraped == nil || local == nil:
		t.Errorf("%s: got %v as scraped, %v as seen here; want both", what, scraped, local)
	case math.Abs(*scraped / *local - 1) > 0.25:
		t.Errorf("%s: got %g as scraped, %g as seen here", what, *scraped, *local)
	default:
		t.Logf("%s: %.4g as scraped, %.4g as seen here", what, *scraped, *local)
	}
}
