package sampler

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// dumped is what Envoy 1.40 answered to /config_dump?resource=static_clusters, shortened.
const dumped = `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster","cluster":{
 "@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"outbound|80||reviews.prod.svc.cluster.local","type":"STATIC","connect_timeout":"5s",
 "circuit_breakers":{"thresholds":[{"max_connections":100,"max_pending_requests":4294967295,"max_requests":1000,"max_retries":4294967295}]},
 "outlier_detection":{"consecutive_5xx":5,"interval":"30s","base_ejection_time":"30s","enforcing_consecutive_5xx":100,"enforcing_success_rate":0},
 "typed_extension_protocol_options":{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions":{"@type":"x","common_http_protocol_options":{"idle_timeout":"3600s","max_requests_per_connection":100}}}}}]}`

func TestReadLiveCluster(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("resource") != "static_clusters" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(dumped)) // the test fails when it is missing
	}))
	defer server.Close()
	cluster, err := ReadLiveCluster(t.Context(), server.URL, "", "reviews.prod.svc.cluster.local", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]LiveValue{
		"connectionPool.tcp.maxConnections":            {"100", true},
		"connectionPool.tcp.connectTimeout":            {"5s", true},
		"connectionPool.http.http2MaxRequests":         {"1000", true},
		"connectionPool.http.http1MaxPendingRequests":  {"4294967295", true},
		"connectionPool.http.maxRequestsPerConnection": {"100", true},
		"connectionPool.http.idleTimeout":              {"3600s", true},
		"outlierDetection":                             {"true", true},
		"outlierDetection.consecutive5xxErrors":        {"5", true},
		"outlierDetection.maxEjectionPercent":          {"10", false},
	} {
		if got := cluster.Limits[field]; got != want {
			t.Errorf("%s: got %v, want %v", field, got, want)
		}
	}
	for _, test := range []struct {
		name, host, subset string
		port               uint32
		says               string
	}{
		{"", "ratings.prod.svc.cluster.local", "", 0, "no cluster that fits"},
		{"", "reviews.prod.svc.cluster.local", "v2", 0, "no cluster that fits"},
		{"", "reviews.prod.svc.cluster.local", "", 8080, "no cluster that fits"},
		{"other", "", "", 0, "no cluster that fits"},
	} {
		if _, err := ReadLiveCluster(t.Context(), server.URL, test.name, test.host, test.subset, test.port); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: got %v", test, err)
		}
	}
	if _, err := ReadLiveCluster(t.Context(), server.URL, "outbound|80||reviews.prod.svc.cluster.local", "", "", 0); err != nil {
		t.Errorf("by its name: %v", err)
	}
}

// FuzzParseClusters wants clusters with all their settings, or an error, of any text.
func FuzzParseClusters(f *testing.F) {
	f.Add([]byte(dumped))
	f.Add([]byte(`{"configs":[{"cluster":{"name":"a"}},{"cluster":null},{}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		clusters, err := parseClusters(text)
		if err != nil {
			return
		}
		for _, c := range clusters {
			if c.Name == "" || len(c.Limits) < 8 {
				t.Errorf("got %+v", c)
			}
		}
	})
}
