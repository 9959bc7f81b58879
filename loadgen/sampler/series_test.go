package sampler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scraped is one Envoy that a fake Prometheus scrapes, with the labels that Istio's
// configuration of Envoy gives to its series.
type scraped struct {
	pod, job string
	cluster  string
	label    string // of the cluster
	every    time.Duration
	ended    time.Duration // how long ago the last scrape was, besides; 0: it runs
	total    func(at time.Time) float64
}

// seriesServer answers as a Prometheus whose clock is ahead by skew.
type seriesServer struct {
	skew time.Duration

	mu     sync.Mutex // guards all below
	envoys []scraped
	asked  []string
}

func (f *seriesServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	query := r.FormValue("query")
	f.asked = append(f.asked, query)
	now := time.Now().Add(f.skew)
	if query == "time()" {
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%.3f,"%.3f"]}}`, seconds(now), seconds(now))
		return
	}
	type stream struct {
		Metric map[string]string `json:"metric"`
		Values [][2]any          `json:"values"`
	}
	result := []stream{}
	for _, e := range f.envoys {
		if !strings.Contains(query, e.label+"=") || strings.Contains(query, "envoy_cluster_name") != (e.label == "envoy_cluster_name") {
			continue
		}
		last := now.Truncate(e.every).Add(-e.ended.Truncate(e.every))
		for name, factor := range map[string]float64{"upstream_rq_total": 1, "upstream_rq_active": 0.5, "outlier_detection_ejections_active": 0.1, "upstream_rq/2xx": 0.8, "upstream_rq/200": 0.7} {
			if !strings.HasPrefix(query, "{") && name != "upstream_rq_total" {
				continue
			}
			name, class, _ := strings.Cut(name, "/")
			s := stream{Metric: map[string]string{"__name__": "envoy_cluster_" + name, e.label: e.cluster, "pod": e.pod, "namespace": "istio-system", "job": e.job}}
			if strings.HasSuffix(class, "xx") {
				s.Metric["response_code_class"] = class
			} else if class != "" {
				s.Metric["response_code"] = class
			}
			for back := 3; back >= 0; back-- {
				at := last.Add(-time.Duration(back) * e.every)
				s.Values = append(s.Values, [2]any{seconds(at), fmt.Sprint(factor * e.total(at))})
			}
			result = append(result, s)
		}
	}
	text, err := json.Marshal(result)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":%s}}`, text)
}

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1e3 }

func steady(n float64) func(time.Time) float64 { return func(time.Time) float64 { return n } }

const reviews = "outbound|80||reviews.prod.svc.cluster.local"

func istio(pod string) scraped {
	return scraped{pod: pod, job: "envoy", cluster: reviews, label: "cluster_name", every: 300 * time.Millisecond, total: steady(10)}
}

func openSeries(t *testing.T, f *seriesServer, labels string) (*ClusterSeries, error) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c, err := OpenClusterSeries(t.Context(), ClusterQuery{URL: server.URL, Labels: labels, Host: "reviews.prod.svc.cluster.local"})
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

// TestOpenClusterSeries: which Envoys are read is never guessed.
func TestOpenClusterSeries(t *testing.T) {
	with := func(change func(*scraped)) scraped {
		e := istio("gateway-b")
		change(&e)
		return e
	}
	for name, test := range map[string]struct {
		envoys []scraped
		labels string
		want   []string // Envoys
		says   string
	}{
		"one":                      {[]scraped{istio("gateway-a")}, "", []string{"istio-system/gateway-a"}, ""},
		"Envoy's own labels":       {[]scraped{with(func(e *scraped) { e.label = "envoy_cluster_name" })}, "", []string{"istio-system/gateway-b"}, ""},
		"two that are chosen":      {[]scraped{istio("gateway-a"), istio("gateway-b")}, `pod=~"gateway-.*"`, []string{"istio-system/gateway-a", "istio-system/gateway-b"}, ""},
		"braces around the labels": {[]scraped{istio("gateway-a"), istio("gateway-b")}, `{pod=~"gateway-.*"}`, []string{"istio-system/gateway-a", "istio-system/gateway-b"}, ""},
		"two, and nobody chose":    {[]scraped{istio("gateway-a"), istio("gateway-b")}, "", nil, "2 Envoys have the cluster (istio-system/gateway-a, istio-system/gateway-b)"},
		"one that has ended":       {[]scraped{istio("gateway-a"), with(func(e *scraped) { e.ended = 3 * time.Second })}, "", []string{"istio-system/gateway-a"}, ""},
		"scraped twice":            {[]scraped{istio("gateway-b"), with(func(e *scraped) { e.job = "again" })}, `pod="gateway-b"`, nil, "is it scraped twice"},
		"several ports":            {[]scraped{istio("gateway-a"), with(func(e *scraped) { e.cluster = strings.Replace(reviews, "80", "81", 1) })}, "", nil, "name one of outbound|80||"},
		"none":                     {nil, "", nil, "proxyStatsMatcher"},
		"too seldom":               {[]scraped{with(func(e *scraped) { e.every = 2 * time.Minute })}, "", nil, "scraped every 2m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &seriesServer{envoys: test.envoys, skew: time.Hour}
			c, err := openSeries(t, f, test.labels)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %v, want it to say %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(c.Envoys, test.want) || c.Cluster != reviews || c.Every != 300*time.Millisecond {
				t.Errorf("got %v of %s every %s, want %v", c.Envoys, c.Cluster, c.Every, test.want)
			}
			if asked := f.asked[1]; !strings.Contains(asked, `"outbound\\|[0-9]+\\|\\|reviews\\.prod\\.svc\\.cluster\\.local;?"`) {
				t.Errorf("asked %s", asked)
			}
		})
	}
}

// TestClusterSeriesRead: what is read was scraped after it was asked for, by whatever
// clock.
func TestClusterSeriesRead(t *testing.T) {
	born := time.Now()
	clock := func(skew time.Duration) func(time.Time) float64 { // counts the milliseconds
		return func(at time.Time) float64 { return float64(at.Add(-skew).Sub(born).Milliseconds()) + 1e6 }
	}
	for _, skew := range []time.Duration{0, time.Hour, -time.Hour} {
		a, b := istio("gateway-a"), istio("gateway-b")
		a.total, b.total, b.every = clock(skew), clock(skew), 400*time.Millisecond
		c, err := openSeries(t, &seriesServer{envoys: []scraped{a, b}, skew: skew}, `pod=~".*"`)
		if err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		values, at, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			total := v["upstream_rq_total"]
			if scrapedAt := born.Add(time.Duration(total-1e6) * time.Millisecond); scrapedAt.Before(asked.Add(-10 * time.Millisecond)) {
				t.Errorf("skew %s, %s: it was scraped %s before it was asked for", skew, c.Envoys[i], asked.Sub(scrapedAt))
			}
			if len(v) != 4 || v["upstream_rq_active"] != total/2 || v["outlier_detection.ejections_active"] != total*0.1 || v["upstream_rq_2xx"] != total*0.8 {
				t.Errorf("skew %s, %s: got %v", skew, c.Envoys[i], v)
			}
		}
		if late := at.Sub(asked); late < -20*time.Millisecond || late > time.Since(asked) {
			t.Errorf("skew %s: the scrape was %s after it was asked for", skew, late)
		}
	}
}

// TestClusterSeriesChanges: counters of other Envoys than before tell nothing.
func TestClusterSeriesChanges(t *testing.T) {
	for name, test := range map[string]struct {
		change func([]scraped) []scraped
		says   string
	}{
		"one more":        {func(e []scraped) []scraped { return append(e, istio("gateway-c")) }, "another Envoy with these labels, istio-system/gateway-c"},
		"one starts anew": {func(e []scraped) []scraped { e[0].total = steady(3); return e }, "istio-system/gateway-a started anew"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &seriesServer{envoys: []scraped{istio("gateway-a"), istio("gateway-b")}}
			c, err := openSeries(t, f, `pod=~".*"`)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.mu.Lock()
			f.envoys = test.change(f.envoys)
			f.mu.Unlock()
			if _, _, err := c.Read(t.Context()); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
		})
	}
	t.Run("cut short", func(t *testing.T) {
		f := &seriesServer{envoys: []scraped{istio("gateway-a")}}
		c, err := openSeries(t, f, "")
		if err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.envoys[0].ended = time.Hour
		f.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, _, err := c.Read(ctx); err == nil {
			t.Error("an Envoy that is not scraped has values")
		}
	})
}
