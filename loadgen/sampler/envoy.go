package sampler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// statFilter keeps the answer, and the proxy's work for it, small. It is not
// combined with usedonly: a counter that is there and has not counted yet is 0 as
// a fact, and only one that the proxy does not have is absent.
const statFilter = `^(http\..*\.downstream_(cx_active|rq_active|rq_total)` +
	`|cluster\..*\.(upstream_(cx_active|cx_total|cx_connect_ms|rq_active|rq_total|rq_retry` +
	`|rq_pending_active|rq_pending_overflow|rq_active_overflow)|outlier_detection\.ejections_active))$`

// maxStats bounds an answer.
const maxStats = 16 << 20

// adminSource reads one Envoy's statistics.
type adminSource struct {
	target Target
	url    string
	client *http.Client
	outage outage
}

func newAdminSource(target Target, client *http.Client) (*adminSource, error) {
	base, err := url.Parse(target.AdminURL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("admin URL %q is not a URL with a host", target.AdminURL)
	}
	stats := base.JoinPath("stats")
	stats.RawQuery = url.Values{"format": {"json"}, "filter": {statFilter}}.Encode()
	return &adminSource{target: target, url: stats.String(), client: client}, nil
}

func (a *adminSource) read(ctx context.Context) (reading, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return reading{}, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	asked := time.Now()
	response, err := a.client.Do(request)
	if err != nil {
		return reading{}, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxStats))
	if err != nil {
		return reading{}, fmt.Errorf("reading the admin endpoint's answer: %w", err)
	}
	answered := time.Now()
	if response.StatusCode != http.StatusOK {
		return reading{}, fmt.Errorf("the admin endpoint %s answered %s", a.target.AdminURL, response.Status)
	}
	metrics, err := parseStats(body, a.target)
	if err != nil {
		return reading{}, fmt.Errorf("the admin endpoint %s: %w", a.target.AdminURL, err)
	}
	return reading{at: asked.Add(answered.Sub(asked) / 2), metrics: metrics}, nil
}

// statsAnswer is the answer to /stats?format=json. An entry is either a counter or
// gauge, or all the histograms.
type statsAnswer struct {
	Stats []struct {
		Name       string       `json:"name"`
		Value      *json.Number `json:"value"` // text for text readouts, which the filter leaves out
		Histograms *struct {
			Quantiles []float64 `json:"supported_quantiles"`
			Computed  []struct {
				Name   string `json:"name"`
				Values []struct {
					Cumulative *float64 `json:"cumulative"` // null: nothing recorded
				} `json:"values"`
			} `json:"computed_quantiles"`
		} `json:"histograms"`
	} `json:"stats"`
}

// parseStats adds up the statistics that carry the users' traffic. The p99 of the
// connect times is the largest of all clusters, over the proxy's life.
func parseStats(body []byte, target Target) (map[record.Metric]float64, error) {
	var answer statsAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not the JSON of statistics: %w", err)
	}
	counts := func(name string) bool { return wanted(name, target) }
	if inboundOnly(answer, target) {
		all := counts
		counts = func(name string) bool { return all(name) && isInbound(name) }
	}
	metrics := make(map[record.Metric]float64, 12)
	for _, entry := range answer.Stats {
		if entry.Histograms != nil {
			for _, histogram := range entry.Histograms.Computed {
				at := indexOf(entry.Histograms.Quantiles, 99)
				if !counts(histogram.Name) || at < 0 || at >= len(histogram.Values) || histogram.Values[at].Cumulative == nil ||
					!strings.HasSuffix(histogram.Name, ".upstream_cx_connect_ms") {
					continue
				}
				p99, has := metrics[record.UpConnectMillisP99]
				if value := *histogram.Values[at].Cumulative; !has || value > p99 {
					metrics[record.UpConnectMillisP99] = value
				}
			}
			continue
		}
		metric, known := metricOf(entry.Name)
		if !known || entry.Value == nil || !counts(entry.Name) {
			continue
		}
		value, err := entry.Value.Float64()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name, err)
		}
		metrics[metric] += value
	}
	if len(metrics) == 0 {
		return nil, errors.New("none of the statistics are there: in Istio, proxyStatsMatcher has to include " +
			"upstream_cx, upstream_rq, downstream_cx and downstream_rq")
	}
	return metrics, nil
}

func indexOf(quantiles []float64, wanted float64) int {
	for i, quantile := range quantiles {
		if quantile == wanted {
			return i
		}
	}
	return -1
}

// metricOf tells which metric a statistic adds to. Up to Envoy 1.37 the pending
// counter counts both kinds of overflow; from 1.38 on each has its own.
func metricOf(name string) (record.Metric, bool) {
	suffix := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case strings.HasPrefix(name, "http."):
		switch suffix {
		case "downstream_cx_active":
			return record.DownConnections, true
		case "downstream_rq_active":
			return record.DownInFlight, true
		case "downstream_rq_total":
			return record.DownRequests, true
		}
	case strings.HasPrefix(name, "cluster."):
		switch suffix {
		case "upstream_cx_active":
			return record.UpConnections, true
		case "upstream_cx_total":
			return record.UpConnectionsMade, true
		case "upstream_rq_active":
			return record.UpInFlight, true
		case "upstream_rq_total":
			return record.UpRequests, true
		case "upstream_rq_pending_active":
			return record.UpPending, true
		case "upstream_rq_pending_overflow", "upstream_rq_active_overflow":
			return record.UpOverflow, true
		case "upstream_rq_retry":
			return record.UpRetries, true
		case "ejections_active":
			return record.Ejected, true
		}
	}
	return "", false
}

// wanted reports whether a statistic belongs to the users' traffic: not to the
// admin endpoint, and not to the proxy's own talk with its control plane.
func wanted(name string, target Target) bool {
	if rest, isHTTP := strings.CutPrefix(name, "http."); isHTTP {
		if target.StatPrefix != "" {
			return strings.HasPrefix(rest, target.StatPrefix+".downstream_")
		}
		return !strings.HasPrefix(rest, "admin.") && !strings.HasPrefix(rest, "agent.")
	}
	rest, isCluster := strings.CutPrefix(name, clusterPrefix)
	if !isCluster {
		return false
	}
	if target.Cluster != "" {
		after, found := ofCluster(name, target.Cluster)
		return found && (strings.HasPrefix(after, "upstream_") || strings.HasPrefix(after, "outlier_detection."))
	}
	for _, own := range []string{"xds-grpc", "sds-grpc", "prometheus_stats", "agent", "zipkin"} {
		if strings.HasPrefix(rest, own+".") || strings.HasPrefix(rest, own+";") {
			return false
		}
	}
	return true
}

// inboundOnly reports whether the proxy is a sidecar as Istio configures it. Its
// service's own calls, which leave through the same proxy, are not the load.
func inboundOnly(answer statsAnswer, target Target) bool {
	if target.StatPrefix != "" || target.Cluster != "" || target.Role != scenarios.RoleSidecar {
		return false
	}
	for _, entry := range answer.Stats {
		if isInbound(entry.Name) {
			return true
		}
	}
	return false
}

func isInbound(name string) bool {
	return strings.HasPrefix(name, "http.inbound_") || strings.HasPrefix(name, "cluster.inbound|")
}
