package live

import (
	"io"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// interval holds one millisecond for each of the first hundred whole numbers.
func interval(answered int64) record.Interval {
	h := record.RequestHistograms{Request: "get", Latency: record.NewHistogram(), Service: record.NewHistogram(), SendLag: record.NewHistogram()}
	for ms := range int64(100) {
		_ = h.Latency.RecordValue((ms + 1) * 1e6)
		_ = h.SendLag.RecordValue(0)
	}
	return record.Interval{End: time.Second, Counts: record.Counts{Intended: 100, Sent: 100, Answered: answered, InFlight: 100 - answered}, ByRequest: []record.RequestHistograms{h}}
}

func TestExporterCountsOverPhases(t *testing.T) {
	e := NewExporter()
	for phase := range 2 {
		e.PhaseStart(phase, scenarios.Phase{Name: "load", Kind: scenarios.KindLoad, Rate: scenarios.PerSecond(100)})
		e.Interval(interval(60))
		e.Interval(interval(90)) // counts are since the start of the phase
		e.Tick(record.Tick{Start: time.Second, At: 3 * time.Second, Answered: 90, P99: 7 * time.Millisecond})
	}
	server := httptest.NewServer(e)
	defer server.Close()
	answer, err := server.Client().Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`sailplan_requests_total{state="intended"} 200`, `sailplan_requests_total{state="answered"} 180`,
		`sailplan_in_flight 10`, `sailplan_achieved_rate 45`, `sailplan_intended_rate 100`,
		`sailplan_phase_info{kind="load",name="load"} 1`, `sailplan_latency_seconds_count{request="get"} 400`,
		`sailplan_latency_quantile_seconds{quantile="0.99"} 0.007`,
	} {
		if !strings.Contains(string(page), want+"\n") {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
}

// TestExporterHistogramsAreNative reads the buckets back by the definition of
// Prometheus, and holds a quantile against the values that went in.
func TestExporterHistogramsAreNative(t *testing.T) {
	e := NewExporter()
	e.Interval(interval(100))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(e)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*dto.Histogram{}
	for _, f := range families {
		if f.GetType() == dto.MetricType_HISTOGRAM || f.GetType() == dto.MetricType_GAUGE_HISTOGRAM {
			found[f.GetName()] = f.GetMetric()[0].GetHistogram()
		}
	}
	latency, lag := found["sailplan_latency_seconds"], found["sailplan_send_lag_seconds"]
	if latency == nil || lag == nil {
		t.Fatalf("got %v, want histograms of latency and send lag", found)
	}
	if got := lag.GetZeroCount(); got != 100 {
		t.Errorf("send lags of nothing: got %d in the zero bucket, want 100", got)
	}
	base := math.Pow(2, math.Pow(2, -float64(latency.GetSchema())))
	index, delta, seen, p90 := int32(0), int64(0), int64(0), 0.0
	deltas := latency.GetPositiveDelta()
	for _, span := range latency.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			delta, deltas = delta+deltas[0], deltas[1:]
			if seen += delta; seen >= 90 && p90 == 0 {
				p90 = math.Pow(base, float64(index)) // the upper bound of its bucket
			}
			index++
		}
	}
	if seen != 100 || p90 < 0.09 || p90 > 0.09*base*1.001 {
		t.Errorf("got %d values and a p90 of at most %v, want 100 and the bucket of 0.09", seen, p90)
	}
	if got := latency.GetSampleSum(); math.Abs(got-5.05) > 0.01 {
		t.Errorf("sum: got %v, want 5.05 s", got)
	}
}
