package sampler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// scrape is one sample of a fake Prometheus, at an instant since the base.
type scrape struct {
	at    time.Duration
	value float64
}

// fakePrometheus answers instant queries as a Prometheus 3 does.
type fakePrometheus struct {
	base time.Time
	skew time.Duration // of its clock

	mu     sync.Mutex // guards all below
	series map[string]map[string][]scrape
	status map[string]int // a query's error, by selector
	asked  []string
}

func (f *fakePrometheus) start(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

func (f *fakePrometheus) add(selector, replica string, scrapes ...scrape) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.series == nil {
		f.series = map[string]map[string][]scrape{}
	}
	if f.series[selector] == nil {
		f.series[selector] = map[string][]scrape{}
	}
	f.series[selector][replica] = append(f.series[selector][replica], scrapes...)
}

func (f *fakePrometheus) fail(selector string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = map[string]int{selector: status}
}

func (f *fakePrometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path != "/api/v1/query" {
		http.NotFound(w, r)
		return
	}
	query := r.FormValue("query")
	f.asked = append(f.asked, query)
	w.Header().Set("Content-Type", "application/json")
	if query == "time()" {
		now := float64(f.wall(time.Since(f.base)).UnixMilli()) / 1e3
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%.3f,"%.3f"]}}`, now, now)
		return
	}
	selector := query[:strings.LastIndexByte(query, '[')]
	if status := f.status[selector]; status != 0 {
		kind := "bad_data"
		if status >= 500 {
			kind = "unavailable"
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":"error","errorType":%q,"error":"invalid parameter \"query\""}`, kind)
		return
	}
	type stream struct {
		Metric map[string]string `json:"metric"`
		Values [][2]any          `json:"values"`
	}
	streams := []stream{}
	for replica, scrapes := range f.series[selector] {
		one := stream{Metric: map[string]string{"__name__": "m", "pod": strings.TrimRight(replica, "*"), "id": replica}}
		for _, s := range scrapes {
			one.Values = append(one.Values, [2]any{float64(f.wall(s.at).UnixMilli()) / 1e3, fmt.Sprint(s.value)})
		}
		streams = append(streams, one)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"status": "success", "data": map[string]any{"resultType": "matrix", "result": streams},
	})
}

func (f *fakePrometheus) wall(at time.Duration) time.Time { return f.base.Add(at + f.skew) }

func newSource(t *testing.T, f *fakePrometheus, queries scenarios.PrometheusQueries) *prometheusSource {
	t.Helper()
	s, err := New(Options{
		Base: f.base, Prometheus: f.start(t), PrometheusInterval: time.Second,
		Targets: []Target{{Component: "gateway", Role: scenarios.RoleGateway, Queries: queries}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.prometheus.close)
	return s.prometheus
}

// collected gathers what a source hands out.
type collected struct {
	mu      sync.Mutex
	samples []record.Sample
	events  []record.Event
}

func (c *collected) output() output {
	return output{emit: c.sample, event: c.event, log: Options{}.withDefaults().Log}
}

func (c *collected) sample(s record.Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples = append(c.samples, s)
}

func (c *collected) event(e record.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
}

func (c *collected) take() (lines, events []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.samples {
		text, _ := json.Marshal(s.Metrics)
		lines = append(lines, fmt.Sprintf("%s %s/%s %s", s.At.Round(100*time.Millisecond), s.Component, s.Replica, text))
	}
	for _, e := range c.events {
		events = append(events, string(e.Kind)+" "+e.Subject+": "+e.Message)
	}
	c.samples, c.events = nil, nil
	return lines, events
}

func TestPrometheusRawSamples(t *testing.T) {
	for _, skew := range []time.Duration{0, 90 * time.Second, -time.Hour} {
		t.Run("skew "+skew.String(), func(t *testing.T) {
			f := &fakePrometheus{base: time.Now(), skew: skew}
			f.add("cpu", "gw-a", scrape{-10 * time.Second, 1}, scrape{5 * time.Second, 2})
			f.add("cpu", "gw-b", scrape{-9 * time.Second, 7})
			// The proxy's own counters are scraped at the same instants for one replica.
			f.add("rq", "gw-a", scrape{-10 * time.Second, 100}, scrape{5 * time.Second, 200})
			source := newSource(t, f, scenarios.PrometheusQueries{CPUSeconds: "cpu", Requests: "rq"})
			if err := source.check(context.Background()); err != nil {
				t.Fatal(err)
			}
			f.asked = f.asked[:1]
			var out collected
			source.poll(context.Background(), out.output())
			lines, events := out.take()
			want := []string{
				`-10s gateway/gw-a {"cpuSeconds":1,"downstreamRequests":100}`,
				`-9s gateway/gw-b {"cpuSeconds":7}`,
				`5s gateway/gw-a {"cpuSeconds":2,"downstreamRequests":200}`,
			}
			if !slices.Equal(lines, want) {
				t.Errorf("first: %q, want %q", lines, want)
			}
			if told := len(events) == 1 && strings.Contains(events[0], "clock"); told != (skew != 0) {
				t.Errorf("events = %q for a skew of %s", events, skew)
			}
			f.add("cpu", "gw-b", scrape{6 * time.Second, 8})
			source.poll(context.Background(), out.output())
			if lines, events = out.take(); len(events) != 0 {
				t.Errorf("told again: %q", events)
			}
			if !slices.Equal(lines, []string{`6s gateway/gw-b {"cpuSeconds":8}`}) {
				t.Errorf("then: %q, want only the new sample", lines)
			}
			if asked := f.asked[1]; asked != "cpu[2m]" {
				t.Errorf("asked %q, want the raw series", asked)
			}
		})
	}
}

func TestPrometheusTellsOfReplicas(t *testing.T) {
	f := &fakePrometheus{base: time.Now()}
	f.add("cpu", "gw-a", scrape{-time.Second, 1})
	source := newSource(t, f, scenarios.PrometheusQueries{CPUSeconds: "cpu"})
	var out collected
	source.poll(context.Background(), out.output())
	if _, events := out.take(); len(events) != 0 {
		t.Errorf("events = %q, want none at first", events)
	}
	f.add("cpu", "gw-b", scrape{0, 1})
	// A replica that ended long ago is still in the window.
	f.add("cpu", "gw-old", scrape{-90 * time.Second, 1})
	source.poll(context.Background(), out.output())
	if _, events := out.take(); !slices.Equal(events, []string{"replicas gateway: 2 replicas instead of 1: gw-a, gw-b"}) {
		t.Errorf("events = %q", events)
	}
}

func TestPrometheusOutage(t *testing.T) {
	f := &fakePrometheus{base: time.Now()}
	source := newSource(t, f, scenarios.PrometheusQueries{CPUSeconds: "cpu"})
	var out collected
	for range 3 {
		source.poll(context.Background(), out.output())
	}
	_, events := out.take()
	if len(events) != 1 || !strings.HasPrefix(events[0], "sample-gap gateway: ") || !strings.Contains(events[0], "returned nothing") {
		t.Errorf("events = %q, want one gap", events)
	}
	f.add("cpu", "gw-a", scrape{0, 1})
	source.poll(context.Background(), out.output())
	lines, events := out.take()
	if len(lines) != 1 || len(events) != 1 || !strings.HasPrefix(events[0], "note gateway: answers again") {
		t.Errorf("after it: %q %q", lines, events)
	}
}

func TestPrometheusCheck(t *testing.T) {
	tests := []struct {
		name  string
		setup func(*fakePrometheus)
		want  []string // parts of the error
	}{
		{"all well", func(f *fakePrometheus) { f.add("rq{a=\"b\"}", "gw-a", scrape{0, 1}) }, nil},
		{"a query that returns nothing", func(*fakePrometheus) {}, []string{"requests", "gateway", `rq{a="b"}`, "returned nothing"}},
		{"two series for a replica", func(f *fakePrometheus) {
			f.add("rq{a=\"b\"}", "gw-a", scrape{0, 1})
			f.add("rq{a=\"b\"}", "gw-a*", scrape{0, 1})
		}, []string{"requests", "several series", `pod="gw-a"`, "replicaLabel"}},
		{"not a selector", func(f *fakePrometheus) { f.fail("rq{a=\"b\"}", http.StatusBadRequest) }, []string{"requests", "plain selector"}},
		{"unavailable", func(f *fakePrometheus) { f.fail("rq{a=\"b\"}", http.StatusServiceUnavailable) }, []string{"requests"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &fakePrometheus{base: time.Now()}
			f.add("cpu", "gw-a", scrape{0, 1})
			test.setup(f)
			source := newSource(t, f, scenarios.PrometheusQueries{CPUSeconds: "cpu", Requests: "rq{a=\"b\"}"})
			err := source.check(context.Background())
			if (err == nil) != (test.want == nil) {
				t.Fatalf("error = %v", err)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error = %v, want %q in it", err, part)
				}
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		s, err := New(Options{Base: time.Now(), Prometheus: server.URL, Targets: []Target{
			{Component: "gateway", Queries: scenarios.PrometheusQueries{CPUSeconds: "cpu"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(context.Background()); err == nil || !strings.Contains(err.Error(), "Prometheus") {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("no URL", func(t *testing.T) {
		_, err := New(Options{Base: time.Now(), Targets: []Target{
			{Component: "gateway", Queries: scenarios.PrometheusQueries{CPUSeconds: "cpu"}},
		}})
		if err == nil {
			t.Error("no error")
		}
	})
}

// TestPrometheusProxy: the way to Prometheus is the caller's choice, and no
// environment's.
func TestPrometheusProxy(t *testing.T) {
	fake := &fakePrometheus{}
	proxy, err := url.Parse(fake.start(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	asked := 0
	for name, choose := range map[string]func(*http.Request) (*url.URL, error){
		"given": func(*http.Request) (*url.URL, error) { asked++; return proxy, nil },
		"none":  nil,
	} {
		address := "http://prometheus.invalid:9090"
		if choose == nil {
			address = proxy.String()
		}
		s, err := New(Options{Base: time.Now(), Prometheus: address, Proxy: choose, Targets: []Target{
			{Component: "gateway", Queries: scenarios.PrometheusQueries{CPUSeconds: "cpu"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.prometheus.measureSkew(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.prometheus.close()
	}
	if asked == 0 {
		t.Error("the proxy was not asked for")
	}
}
