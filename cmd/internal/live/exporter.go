package live

import (
	"maps"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Exporter exposes the running figures to Prometheus: counters of the arrivals
// and what became of them, gauges of the moment, and native histograms of
// latency, service time and send lag. Counters go on over the phases of a run.
// Its methods may be called from any goroutine.
type Exporter struct {
	handler http.Handler

	mu       sync.Mutex // guards all below
	phase    scenarios.Phase
	done     record.Counts    // of the phases that have ended
	current  record.Counts    // of the phase that goes on
	failed   map[string]int64 // what went wrong in the phases that have ended, by class
	failing  map[string]int64 // in the phase that goes on
	begin    time.Duration    // of the phase, once there was a tick
	last     record.Tick
	latency  map[string]*buckets // by request
	service  map[string]*buckets
	sendLag  map[string]*buckets
	describe descriptions
}

type descriptions struct {
	requests, errors, rate, achieved, inFlight, waiting, phase *prometheus.Desc
	quantile, latency, service, sendLag                        *prometheus.Desc
}

// NewExporter returns an exporter that has seen nothing yet.
func NewExporter() *Exporter {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sailplan_"+name, help, labels, nil)
	}
	e := &Exporter{
		failed:  map[string]int64{},
		latency: map[string]*buckets{}, service: map[string]*buckets{}, sendLag: map[string]*buckets{},
		describe: descriptions{
			requests: desc("requests_total", "Arrivals, by what became of them: intended, sent, answered, bad, failed, timed_out, shed.", "state"),
			errors:   desc("errors_total", "Arrivals that were not answered well, by class.", "class"),
			rate:     desc("intended_rate", "Arrivals a second that the phase intends at this moment; 0 for a closed loop."),
			achieved: desc("achieved_rate", "Answers a second in the last interval."),
			inFlight: desc("in_flight", "Requests sent and not settled."),
			waiting:  desc("waiting", "Arrivals that are due and wait for a stream."),
			phase:    desc("phase_info", "The phase that goes on, or was the last.", "name", "kind"),
			quantile: desc("latency_quantile_seconds", "Latency in the last interval, of all requests; for servers that do not scrape native histograms.", "quantile"),
			latency:  desc("latency_seconds", "From the intended instant to the end of the answer.", "request"),
			service:  desc("service_seconds", "From sending to the end of the answer.", "request"),
			sendLag:  desc("send_lag_seconds", "From the intended instant to sending.", "request"),
		},
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(e)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	e.handler = mux
	return e
}

// ServeHTTP answers a scrape at /metrics.
func (e *Exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// Note is not exposed.
func (e *Exporter) Note(string) {}

// PhaseEnd is not exposed: verdicts are for the report.
func (e *Exporter) PhaseEnd(analysis.PhaseSummary) {}

// PhaseStart begins a phase.
func (e *Exporter) PhaseStart(_ int, spec scenarios.Phase) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.phase, e.last = spec, record.Tick{}
	e.done.Intended += e.current.Intended
	e.done.Sent += e.current.Sent
	e.done.Answered += e.current.Answered
	e.done.Bad += e.current.Bad
	e.done.Failed += e.current.Failed
	e.done.TimedOut += e.current.TimedOut
	e.done.Shed += e.current.Shed
	for class, n := range e.failing {
		e.failed[class] += n
	}
	e.current, e.failing, e.begin = record.Counts{}, nil, 0
}

// Tick takes the latest figures.
func (e *Exporter) Tick(t record.Tick) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last.At == 0 {
		e.begin = t.Start
	}
	e.last = t
}

// Interval adds an interval. It keeps nothing of the caller's histograms.
func (e *Exporter) Interval(interval record.Interval) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current, e.failing = interval.Counts, maps.Clone(interval.Errors)
	for _, r := range interval.ByRequest {
		for _, h := range []struct {
			to   map[string]*buckets
			from *hdrhistogram.Histogram
		}{{e.latency, r.Latency}, {e.service, r.Service}, {e.sendLag, r.SendLag}} {
			if h.to[r.Request] == nil {
				h.to[r.Request] = &buckets{counts: map[int]int64{}}
			}
			h.to[r.Request].add(h.from)
		}
	}
}

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(e, to) }

// Collect implements prometheus.Collector.
func (e *Exporter) Collect(to chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.describe
	for state, n := range map[string]int64{
		"intended": e.done.Intended + e.current.Intended, "sent": e.done.Sent + e.current.Sent,
		"answered": e.done.Answered + e.current.Answered, "bad": e.done.Bad + e.current.Bad,
		"failed": e.done.Failed + e.current.Failed, "timed_out": e.done.TimedOut + e.current.TimedOut,
		"shed": e.done.Shed + e.current.Shed,
	} {
		to <- prometheus.MustNewConstMetric(d.requests, prometheus.CounterValue, float64(n), state)
	}
	total := maps.Clone(e.failed)
	for class, n := range e.failing {
		total[class] += n
	}
	for class, n := range total {
		to <- prometheus.MustNewConstMetric(d.errors, prometheus.CounterValue, float64(n), class)
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(d.rate, e.phase.RPSAt(e.last.At-e.begin))
	achieved := 0.0
	if length := e.last.At - e.last.Start; length > 0 {
		achieved = float64(e.last.Answered) / length.Seconds()
	}
	gauge(d.achieved, achieved)
	for quantile, latency := range map[string]time.Duration{"0.5": e.last.P50, "0.99": e.last.P99, "1": e.last.Max} {
		gauge(d.quantile, latency.Seconds(), quantile)
	}
	gauge(d.inFlight, float64(e.current.InFlight))
	gauge(d.waiting, float64(e.current.Waiting))
	gauge(d.phase, 1, e.phase.Name, string(e.phase.Kind))
	for _, h := range []struct {
		desc *prometheus.Desc
		from map[string]*buckets
	}{{d.latency, e.latency}, {d.service, e.service}, {d.sendLag, e.sendLag}} {
		for request, b := range h.from {
			to <- b.metric(h.desc, request)
		}
	}
}

// schema is how fine the native histograms are: 2^(2^−schema) from one boundary to
// the next, which is 4.4 %.
const schema = 4

// leastSeconds is what counts as zero: what we record is no finer.
const leastSeconds = 1e-6

// buckets is a native histogram as Prometheus defines it: bucket i holds the
// values above base^(i−1) up to base^i, base being 2^(2^−schema).
type buckets struct {
	counts map[int]int64
	zero   uint64
	n      uint64
	sum    float64 // seconds
}

func (b *buckets) add(h *hdrhistogram.Histogram) {
	if h == nil {
		return
	}
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		seconds := float64(bar.From+bar.To) / 2 / float64(time.Second)
		b.n += uint64(bar.Count)
		b.sum += seconds * float64(bar.Count)
		if seconds <= leastSeconds {
			b.zero += uint64(bar.Count)
			continue
		}
		b.counts[int(math.Ceil(math.Log2(seconds)*(1<<schema)))] += bar.Count
	}
}

func (b *buckets) metric(desc *prometheus.Desc, request string) prometheus.Metric {
	m, err := prometheus.NewConstNativeHistogram(desc, b.n, b.sum, maps.Clone(b.counts), nil, b.zero, schema, leastSeconds, time.Time{}, request)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
