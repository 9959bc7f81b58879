package sampler

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun samples a process, an admin endpoint and a Prometheus until each has
// given a few rows.
func TestRun(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"stats":[{"name":"http.a.downstream_rq_total","value":12}]}`)
	}))
	defer admin.Close()
	base := time.Now()
	f := &fakePrometheus{base: base}
	f.add("cpu", "gw-a", scrape{-time.Second, 1})
	const interval = 20 * time.Millisecond
	s, err := New(Options{
		Base: base, Interval: interval, PrometheusInterval: interval, Prometheus: f.start(t),
		Targets: []Target{
			{Component: "sidecar", Role: scenarios.RoleSidecar, Replica: "0", PID: os.Getpid(), AdminURL: admin.URL},
			{Component: "gateway", Queries: scenarios.PrometheusQueries{CPUSeconds: "cpu"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var got collected
	rows := map[string]int{}
	emit := func(sample record.Sample) {
		got.sample(sample)
		got.mu.Lock()
		defer got.mu.Unlock()
		for metric := range sample.Metrics {
			rows[sample.Component+"/"+sample.Replica+" "+string(metric)]++
		}
		if rows["sidecar/0 cpuSeconds"] >= 4 && rows["sidecar/0 downstreamRequests"] >= 4 && rows["gateway/gw-a cpuSeconds"] >= 1 {
			cancel()
		}
	}
	s.Run(ctx, emit, got.event)
	for _, want := range []string{
		"generator/ cpuSeconds", "generator/ rssBytes", "host/ idleSeconds", "sidecar/0 threads",
		"sidecar/0 cpuSeconds", "sidecar/0 downstreamRequests", "gateway/gw-a cpuSeconds",
	} {
		if rows[want] == 0 {
			t.Errorf("no %s", want)
		}
	}
	if rows["gateway/gw-a cpuSeconds"] != 1 {
		t.Errorf("the one scrape came %d times", rows["gateway/gw-a cpuSeconds"])
	}
	last := map[string]time.Duration{}
	for _, sample := range got.samples {
		for metric := range sample.Metrics {
			key := sample.Component + sample.Replica + string(metric)
			if before, has := last[key]; has && sample.At <= before {
				t.Errorf("%s at %s after %s", key, sample.At, before)
			}
			last[key] = sample.At
		}
	}
	if n := s.Fresh("sidecar", 0); n < 4 {
		t.Errorf("fresh = %d, want 4 at least", n)
	}
	if n := s.Fresh("gateway", 0); n != 0 {
		t.Errorf("fresh of what was scraped before = %d, want 0", n)
	}
	if n := s.Fresh("gateway", -2*time.Second); n != 1 {
		t.Errorf("fresh = %d, want 1", n)
	}
}

func TestRunTellsOfLosses(t *testing.T) {
	admin := httptest.NewServer(http.NotFoundHandler())
	defer admin.Close()
	root := copyTree(t)
	s, err := New(Options{
		Base: time.Now(), Interval: 10 * time.Millisecond, Root: root,
		Targets: []Target{
			{Component: "service", Replica: "0", PID: 4242},
			{Component: "gateway", AdminURL: admin.URL},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var got collected
	event := func(e record.Event) {
		got.event(e)
		got.mu.Lock()
		defer got.mu.Unlock()
		if e.Phase != -1 || e.At <= 0 {
			t.Errorf("event %+v has no instant, or a phase", e)
		}
		kinds := map[record.EventKind]int{}
		for _, e := range got.events {
			kinds[e.Kind]++
		}
		if kinds[record.EventComponent] >= 2 && kinds[record.EventSampleGap] >= 1 {
			cancel()
		}
	}
	emit := func(sample record.Sample) {
		if sample.Component == "service" {
			if err := os.RemoveAll(root + "/proc/4242"); err != nil {
				t.Error(err)
			}
		}
	}
	s.Run(ctx, emit, event)
	_, events := got.take()
	joined := strings.Join(events, "\n")
	// The generator's own process is not in this tree of files either.
	for _, want := range []string{"component generator:", "component service/0: process 4242", "sample-gap gateway:"} {
		if strings.Count(joined, want) != 1 {
			t.Errorf("%q stands %d times in\n%s", want, strings.Count(joined, want), joined)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	admin := httptest.NewServer(http.NotFoundHandler())
	admin.Close()
	s, err := New(Options{Base: time.Now(), Targets: []Target{
		{Component: "service", Replica: "1", PID: 1 << 30},
		{Component: "gateway", AdminURL: admin.URL},
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Check(context.Background())
	for _, want := range []string{"service/1", "the process is gone", "gateway", "admin endpoint"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q in it", err, want)
		}
	}
}

func TestFreshness(t *testing.T) {
	sample := func(replica string, at time.Duration, metrics ...record.Metric) record.Sample {
		s := record.Sample{Component: "gateway", Replica: replica, At: at, Metrics: map[record.Metric]float64{}}
		for _, metric := range metrics {
			s.Metrics[metric] = 1
		}
		return s
	}
	var f freshness
	if got := f.count("gateway", 0); got != 0 {
		t.Errorf("nothing sampled: %d, want 0", got)
	}
	for i := range 5 {
		f.note(sample("a", time.Duration(i)*15*time.Second, record.CPUSeconds))
	}
	f.note(sample("a", 61*time.Second, record.DownRequests))
	f.note(sample("gone", 0, record.CPUSeconds))
	tests := []struct {
		name      string
		component string
		since     time.Duration
		want      int
	}{
		{"the rarer metric counts", "gateway", 0, 1},
		{"since an instant of both", "gateway", 60 * time.Second, 1},
		{"after the rarer metric", "gateway", 62 * time.Second, 0},
		{"another component", "sidecar", 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := f.count(test.component, test.since); got != test.want {
				t.Errorf("count = %d, want %d", got, test.want)
			}
		})
	}
	for i := range 2 * keptInstants {
		f.note(sample("a", time.Minute+time.Duration(i)*time.Second, record.CPUSeconds, record.DownRequests))
	}
	if got := f.count("gateway", 0); got != keptInstants {
		t.Errorf("count = %d, want at most %d", got, keptInstants)
	}
}

// BenchmarkLocal is the work of one interval for six processes, the generator
// itself and the host; at one interval a second, 10 ms would be 1 % of a core.
func BenchmarkLocal(b *testing.B) {
	var targets []Target
	for range 6 {
		targets = append(targets, Target{Component: "x", PID: os.Getpid()})
	}
	s, err := New(Options{Base: time.Now(), Targets: targets})
	if err != nil {
		b.Fatal(err)
	}
	out := output{emit: func(record.Sample) {}, event: func(e record.Event) { b.Error(e.Message) }}
	b.ReportAllocs()
	for b.Loop() {
		s.local(out)
	}
}

// BenchmarkParseStats is the work on one answer of an Envoy.
func BenchmarkParseStats(b *testing.B) {
	body, err := os.ReadFile("testdata/envoy-1.40-stats.json")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseStats(body, Target{}); err != nil {
			b.Fatal(err)
		}
	}
}
