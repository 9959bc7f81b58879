package sampler

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// LiveCluster is what a running Envoy has been told of an upstream cluster.
type LiveCluster struct {
	Name   string
	Limits map[string]LiveValue // by the field of a DestinationRule that they come from
}

// LiveValue is one of its settings. Given is false where the configuration leaves it to
// Envoy's default, which Text then is.
type LiveValue struct {
	Text  string // a number, or a duration such as "30s"
	Given bool
}

// ReadLiveCluster asks an Envoy's admin endpoint for the cluster of a destination. name
// is the cluster's; where it is empty, the one that Istio names by host, subset and
// port is looked for, any port with 0.
func ReadLiveCluster(ctx context.Context, adminURL, name, host, subset string, port uint32) (LiveCluster, error) {
	pattern := "^" + regexp.QuoteMeta(name) + "$"
	if name == "" {
		number := "[0-9]+"
		if port != 0 {
			number = strconv.FormatUint(uint64(port), 10)
		}
		pattern = `^outbound\|` + number + `\|` + regexp.QuoteMeta(subset) + `\|` + regexp.QuoteMeta(host)
	}
	base, err := url.Parse(adminURL)
	if err != nil || base.Host == "" {
		return LiveCluster{}, fmt.Errorf("admin URL %q is not a URL with a host", adminURL)
	}
	var found []LiveCluster
	for _, resource := range []string{"dynamic_active_clusters", "static_clusters"} {
		dump := base.JoinPath("config_dump")
		dump.RawQuery = url.Values{"resource": {resource}, "name_regex": {pattern}}.Encode()
		text, err := getDump(ctx, dump.String())
		if err != nil {
			return LiveCluster{}, err
		}
		more, err := parseClusters(text)
		if err != nil {
			return LiveCluster{}, fmt.Errorf("the admin endpoint %s: %w", adminURL, err)
		}
		found = append(found, more...)
	}
	expression, err := regexp.Compile(pattern)
	if err != nil {
		return LiveCluster{}, fmt.Errorf("cluster %q: %w", name, err)
	}
	found = slices.DeleteFunc(found, func(c LiveCluster) bool { return !expression.MatchString(c.Name) })
	switch len(found) {
	case 0:
		return LiveCluster{}, fmt.Errorf("the Envoy at %s has no cluster that fits %s", adminURL, pattern)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, c := range found {
		names = append(names, c.Name)
	}
	return LiveCluster{}, fmt.Errorf("the Envoy at %s has several clusters that fit, name one of %s", adminURL, strings.Join(names, ", "))
}

// getDump returns a part of the configuration; nothing where Envoy has none of it,
// which it says with 404.
func getDump(ctx context.Context, address string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: leastAdminTimeout}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxStats))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the admin endpoint's answer: %w", err)
	case response.StatusCode == http.StatusNotFound:
		return []byte("{}"), nil
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the admin endpoint answered %s", response.Status)
	}
	return text, nil
}

// dumpedCluster is the part of a cluster's configuration that a DestinationRule sets.
type dumpedCluster struct {
	Name            string `json:"name"`
	ConnectTimeout  string `json:"connect_timeout"`
	CircuitBreakers struct {
		Thresholds []struct {
			Priority           string  `json:"priority"`
			MaxConnections     *uint32 `json:"max_connections"`
			MaxPendingRequests *uint32 `json:"max_pending_requests"`
			MaxRequests        *uint32 `json:"max_requests"`
			MaxRetries         *uint32 `json:"max_retries"`
			RetryBudget        *struct {
				Percent *struct {
					Value float64 `json:"value"`
				} `json:"budget_percent"`
				Least *uint32 `json:"min_retry_concurrency"`
			} `json:"retry_budget"`
		} `json:"thresholds"`
	} `json:"circuit_breakers"`
	OutlierDetection *struct {
		Consecutive5xx     *uint32 `json:"consecutive_5xx"`
		Enforcing5xx       *uint32 `json:"enforcing_consecutive_5xx"`
		Gateway            *uint32 `json:"consecutive_gateway_failure"`
		EnforcingGateway   *uint32 `json:"enforcing_consecutive_gateway_failure"`
		Split              bool    `json:"split_external_local_origin_errors"`
		Local              *uint32 `json:"consecutive_local_origin_failure"`
		Interval           string  `json:"interval"`
		BaseEjectionTime   string  `json:"base_ejection_time"`
		MaxEjectionPercent *uint32 `json:"max_ejection_percent"`
	} `json:"outlier_detection"`
	Common struct {
		Panic *struct {
			Value float64 `json:"value"`
		} `json:"healthy_panic_threshold"`
	} `json:"common_lb_config"`
	Protocols map[string]struct {
		Common struct {
			IdleTimeout *string `json:"idle_timeout"`
			MaxRequests *uint32 `json:"max_requests_per_connection"`
			MaxDuration *string `json:"max_connection_duration"`
		} `json:"common_http_protocol_options"`
		Explicit struct {
			HTTP2 *struct {
				Streams *uint32 `json:"max_concurrent_streams"`
			} `json:"http2_protocol_options"`
		} `json:"explicit_http_config"`
	} `json:"typed_extension_protocol_options"`
}

func parseClusters(text []byte) ([]LiveCluster, error) {
	var dump struct {
		Configs []struct {
			Cluster dumpedCluster `json:"cluster"`
		} `json:"configs"`
	}
	if err := json.Unmarshal(text, &dump); err != nil {
		return nil, fmt.Errorf("not the JSON of a configuration: %w", err)
	}
	var clusters []LiveCluster
	for _, config := range dump.Configs {
		if config.Cluster.Name != "" {
			clusters = append(clusters, LiveCluster{config.Cluster.Name, config.Cluster.limits()})
		}
	}
	return clusters, nil
}

// limits names the settings as a DestinationRule does. Envoy's defaults are those of
// its API: 1024 of each limit, 3 retries, 5 s to connect, an hour idle, and of outlier
// detection 5 errors, 10 s, 30 s and 10 %.
func (c dumpedCluster) limits() map[string]LiveValue {
	number := func(n *uint32, byDefault uint32) LiveValue {
		if n == nil {
			return LiveValue{strconv.FormatUint(uint64(byDefault), 10), false}
		}
		return LiveValue{strconv.FormatUint(uint64(*n), 10), true}
	}
	text := func(s, byDefault string) LiveValue {
		if s == "" {
			return LiveValue{byDefault, false}
		}
		return LiveValue{s, true}
	}
	limits := map[string]LiveValue{"connectionPool.tcp.connectTimeout": text(c.ConnectTimeout, "5s")}
	var connections, pending, requests, retries *uint32
	for _, t := range c.CircuitBreakers.Thresholds {
		if t.Priority == "" || t.Priority == "DEFAULT" {
			connections, pending, requests, retries = t.MaxConnections, t.MaxPendingRequests, t.MaxRequests, t.MaxRetries
		}
	}
	limits["retryBudget"] = LiveValue{"false", true}
	for _, t := range c.CircuitBreakers.Thresholds {
		if budget := t.RetryBudget; budget != nil && (t.Priority == "" || t.Priority == "DEFAULT") {
			limits["retryBudget"] = LiveValue{"true", true}
			limits["retryBudget.percent"] = LiveValue{"20", false}
			if budget.Percent != nil {
				limits["retryBudget.percent"] = LiveValue{strconv.FormatFloat(budget.Percent.Value, 'g', -1, 64), true}
			}
			limits["retryBudget.minRetryConcurrency"] = number(budget.Least, 3)
		}
	}
	const usual, usualRetries = 1024, 3
	limits["connectionPool.tcp.maxConnections"] = number(connections, usual)
	limits["connectionPool.http.http1MaxPendingRequests"] = number(pending, usual)
	limits["connectionPool.http.http2MaxRequests"] = number(requests, usual)
	if limits["retryBudget"].Text == "false" { // which takes its place
		limits["connectionPool.http.maxRetries"] = number(retries, usualRetries)
	}
	limits["connectionPool.http.maxRequestsPerConnection"] = LiveValue{"0", false}
	limits["connectionPool.http.idleTimeout"] = LiveValue{"3600s", false}
	limits["connectionPool.tcp.maxConnectionDuration"] = LiveValue{"0s", false}
	for _, p := range c.Protocols {
		if p.Common.MaxDuration != nil {
			limits["connectionPool.tcp.maxConnectionDuration"] = LiveValue{*p.Common.MaxDuration, true}
		}
		// Without HTTP/2, Istio drops the field.
		if p.Explicit.HTTP2 != nil {
			limits["connectionPool.http.maxConcurrentStreams"] = number(p.Explicit.HTTP2.Streams, math.MaxInt32)
		}
		if p.Common.IdleTimeout != nil {
			limits["connectionPool.http.idleTimeout"] = LiveValue{*p.Common.IdleTimeout, true}
		}
		if p.Common.MaxRequests != nil {
			limits["connectionPool.http.maxRequestsPerConnection"] = number(p.Common.MaxRequests, 0)
		}
	}
	limits["outlierDetection"] = LiveValue{strconv.FormatBool(c.OutlierDetection != nil), true}
	if o := c.OutlierDetection; o != nil {
		errors := number(o.Consecutive5xx, 5)
		if o.Enforcing5xx != nil && *o.Enforcing5xx == 0 {
			errors = LiveValue{"0", true}
		}
		limits["outlierDetection.consecutive5xxErrors"] = errors
		// Not enforced unless it is said.
		limits["outlierDetection.consecutiveGatewayErrors"] = LiveValue{"0", false}
		if o.EnforcingGateway != nil && *o.EnforcingGateway > 0 {
			limits["outlierDetection.consecutiveGatewayErrors"] = number(o.Gateway, 5)
		}
		limits["outlierDetection.splitExternalLocalOriginErrors"] = LiveValue{strconv.FormatBool(o.Split), true}
		if o.Split {
			limits["outlierDetection.consecutiveLocalOriginFailures"] = number(o.Local, 5)
		}
		limits["outlierDetection.minHealthPercent"] = LiveValue{"50", false}
		if c.Common.Panic != nil {
			limits["outlierDetection.minHealthPercent"] = LiveValue{strconv.FormatFloat(c.Common.Panic.Value, 'f', -1, 64), true}
		}
		limits["outlierDetection.interval"] = text(o.Interval, "10s")
		limits["outlierDetection.baseEjectionTime"] = text(o.BaseEjectionTime, "30s")
		limits["outlierDetection.maxEjectionPercent"] = number(o.MaxEjectionPercent, 10)
	}
	return limits
}
