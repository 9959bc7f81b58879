package audit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// telemetryRules are about what is measured and watched.
func telemetryRules() []Rule {
	return []Rule{
		{
			Code: "SP100", Name: "requests-counted-twice", Severity: Warning, Title: "A query that counts each request twice",
			Why:   "With a sidecar on both sides, client and server both report a request. A query over istio_requests_total or istio_request_duration_milliseconds without a reporter adds the two up, and mixes two different latencies.",
			Fix:   "expr: histogram_quantile(0.99, sum by (le, destination_service_name) (rate(istio_request_duration_milliseconds_bucket{reporter=\"destination\"}[5m])))\n",
			check: countedTwice,
		},
		{
			Code: "SP101", Name: "one-number-for-all-services", Severity: Info, Title: "A latency over all services together",
			Why:   "A quantile over the requests of the whole mesh is that of the busiest service. A service with a hundredth of the traffic may fail altogether, and a p99 does not move.",
			Fix:   "expr: histogram_quantile(0.99, sum by (le, destination_service_name, destination_service_namespace) (rate(istio_request_duration_milliseconds_bucket{reporter=\"destination\"}[5m])))\n",
			check: mixedServices,
		},
		{
			Code: "SP102", Name: "metric-is-not-there", Severity: Warning, Title: "A query of a metric that proxies do not keep",
			Why:     "Istio drops nearly all of Envoy's own metrics. Those of connection pools, circuit breakers and outlier detection are there only where proxyStatsMatcher includes them, so an alert on them never fires.",
			Fix:     "meshConfig:\n  defaultConfig:\n    proxyStatsMatcher:\n      inclusionRegexps:\n      - .*upstream_rq_.*overflow.*\n      - .*circuit_breakers.*\n      - .*outlier_detection.*\n",
			Caution: []string{"Every metric is one for each cluster that a proxy knows: memory of proxies and of Prometheus grows with the number of services. Pods have to be restarted."},
			check:   droppedMetrics,
		},
		{
			Code: "SP103", Name: "half-of-the-overflows", Severity: Warning, Title: "A query that sees half of what was shed",
			Why:   "From Envoy 1.38 on, requests above http2MaxRequests are counted in upstream_rq_active_overflow; upstream_rq_pending_overflow has only those above http1MaxPendingRequests.",
			Fix:   "expr: sum(rate(envoy_cluster_upstream_rq_pending_overflow[1m])) + (sum(rate(envoy_cluster_upstream_rq_active_overflow[1m])) or vector(0))\n",
			check: halfOverflows,
		},
		{
			Code: "SP104", Name: "every-request-traced", Severity: Warning, Title: "Every request is traced",
			Why:   "Each span is built and sent by the proxy: at 100 %, tracing costs CPU on every request of every hop, and the collector becomes the first thing that falls over under load.",
			Fix:   "tracing:\n- randomSamplingPercentage: 1\n",
			check: fullTracing,
		},
	}
}

// expression is a query of a PrometheusRule.
type expression struct {
	object mesh.Object
	field  mesh.Field
	text   string
	alert  bool
}

func (in *inspection) expressions() []expression {
	var all []expression
	for _, o := range in.of("PrometheusRule") {
		for _, group := range spec(o, "groups").Items() {
			for _, rule := range group.Get("rules").Items() {
				all = append(all, expression{o, rule.Get("expr"), rule.Get("expr").Text(), rule.Get("alert").Exists()})
			}
		}
	}
	return all
}

var (
	istioMetric = regexp.MustCompile(`\bistio_(requests_total|request_duration_milliseconds\w*|request_bytes\w*|response_bytes\w*|tcp_\w+_total)\b`)
	envoyMetric = regexp.MustCompile(`\benvoy_(cluster_(upstream_(rq|cx)|circuit_breakers|outlier_detection)|listener_ssl)\w*`)
	grouping    = regexp.MustCompile(`\bby\s*\(([^)]*)\)`)
)

// metricIn returns the first metric of the kind in a query. A name with a colon is
// that of a recording, which has its own query.
func metricIn(kind *regexp.Regexp, query string) string {
	for _, at := range kind.FindAllStringIndex(query, -1) {
		if (at[0] == 0 || query[at[0]-1] != ':') && (at[1] == len(query) || query[at[1]] != ':') {
			return query[at[0]:at[1]]
		}
	}
	return ""
}

func countedTwice(in *inspection) []hit {
	var hits []hit
	for _, e := range in.expressions() {
		if metric := metricIn(istioMetric, e.text); metric != "" && !strings.Contains(e.text, "reporter") {
			hits = append(hits, hit{object: e.object, at: e.field, message: metric + " without reporter has each request twice, once from each side"})
		}
	}
	return hits
}

func mixedServices(in *inspection) []hit {
	var hits []hit
	for _, e := range in.expressions() {
		if !strings.Contains(e.text, "histogram_quantile") || !strings.Contains(e.text, "istio_request_duration_milliseconds") {
			continue
		}
		by := grouping.FindAllStringSubmatch(e.text, -1)
		split := strings.Contains(e.text, "destination_") || strings.Contains(e.text, "without")
		for _, labels := range by {
			split = split || strings.Trim(strings.TrimSpace(labels[1]), ",") != "le"
		}
		if len(by) > 0 && !split {
			hits = append(hits, hit{object: e.object, at: e.field, message: "one quantile for all services of the mesh together"})
		}
	}
	return hits
}

func droppedMetrics(in *inspection) []hit {
	for _, config := range in.meshConfigs() {
		if config.field.Get("defaultConfig", "proxyStatsMatcher").Exists() {
			return nil
		}
	}
	for _, pod := range in.pods {
		if pod.config.Get("proxyStatsMatcher").Exists() {
			return nil
		}
	}
	var hits []hit
	for _, e := range in.expressions() {
		if metric := metricIn(envoyMetric, e.text); metric != "" {
			hits = append(hits, hit{object: e.object, at: e.field, message: metric + " is not kept unless proxyStatsMatcher includes it, and no file has one"})
		}
	}
	return hits
}

func halfOverflows(in *inspection) []hit {
	var hits []hit
	for _, e := range in.expressions() {
		if strings.Contains(e.text, "upstream_rq_pending_overflow") && !strings.Contains(e.text, "active_overflow") {
			hits = append(hits, hit{object: e.object, at: e.field, message: "requests shed by http2MaxRequests are counted in upstream_rq_active_overflow, from Envoy 1.38 on"})
		}
	}
	return hits
}

func fullTracing(in *inspection) []hit {
	var hits []hit
	add := func(o mesh.Object, f mesh.Field) {
		if share, err := strconv.ParseFloat(f.Text(), 64); err == nil && share >= 100 {
			hits = append(hits, hit{object: o, at: f, message: fmt.Sprintf("%s is %s", f.Key(), f.Text())})
		}
	}
	for _, o := range in.of("Telemetry") {
		for _, tracing := range spec(o, "tracing").Items() {
			add(o, tracing.Get("randomSamplingPercentage"))
		}
	}
	for _, config := range in.meshConfigs() {
		add(config.object, config.field.Get("defaultConfig", "tracing", "sampling"))
	}
	for _, o := range in.of("IstioOperator") {
		add(o, spec(o, "values", "pilot", "traceSampling"))
	}
	for _, o := range in.of(mesh.KindIstiodValues) {
		add(o, o.Root().Get("traceSampling"))
		add(o, o.Root().Get("pilot", "traceSampling"))
	}
	return hits
}
