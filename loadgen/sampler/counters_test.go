package sampler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/sampler"
)

func TestCounters(t *testing.T) {
	// As Envoy 1.40 writes them, shortened, and one with the name that newer Istio gives
	// to statistics; the proxy sends what the filter leaves.
	const answer = `{"stats":[
	 {"name":"cluster.outbound|80||service.lab.svc.cluster.local.upstream_rq_active","value":3},
	 {"name":"cluster.outbound|80||service.lab.svc.cluster.local.upstream_rq_active_overflow","value":41},
	 {"name":"cluster.outbound|80||service.lab.svc.cluster.local;.upstream_rq_total","value":77},
	 {"name":"cluster.outbound|80||service.lab.svc.cluster.local-canary.upstream_rq_total","value":9},
	 {"name":"cluster.outbound|80||service.lab.svc.cluster.local.outlier_detection.ejections_active","value":1},
	 {"name":"cluster.other.upstream_rq_active","value":9},
	 {"histograms":{"supported_quantiles":[50],"computed_quantiles":[]}}]}`
	var asked string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Get("filter")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	c, err := sampler.NewCounters(sampler.Target{AdminURL: server.URL, Cluster: "outbound|80||service.lab.svc.cluster.local"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	values, _, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != 4 || values["upstream_rq_total"] != 77 || values["upstream_rq_active"] != 3 || values["upstream_rq_active_overflow"] != 41 || values["outlier_detection.ejections_active"] != 1 {
		t.Errorf("got %v", values)
	}
	if want := `^cluster\.outbound\|80\|\|service\.lab\.svc\.cluster\.local;?\.`; asked != want {
		t.Errorf("asked for %s, want %s", asked, want)
	}
	status = http.StatusForbidden
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("403 is taken for an answer")
	}
	if _, err := sampler.NewCounters(sampler.Target{AdminURL: "nonsense"}); err == nil {
		t.Error("a URL without a host is taken")
	}
}
