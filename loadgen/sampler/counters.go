package sampler

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// Counters reads all counters and gauges of one upstream cluster of an Envoy, for
// trials that look at one mechanism; a Sampler reads the few that every run needs.
type Counters struct {
	url     string
	cluster string
	client  *http.Client
}

// NewCounters prepares to read the statistics of a target's Cluster at its
// AdminURL; nothing is read yet. Close must be called.
func NewCounters(target Target) (*Counters, error) {
	base, err := url.Parse(target.AdminURL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("admin URL %q is not a URL with a host", target.AdminURL)
	}
	stats := base.JoinPath("stats")
	filter := "^" + regexp.QuoteMeta(clusterPrefix+target.Cluster) + string(statEnd) + `?\.`
	stats.RawQuery = url.Values{"format": {"json"}, "filter": {filter}}.Encode()
	return &Counters{
		url: stats.String(), cluster: target.Cluster,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: leastAdminTimeout},
	}, nil
}

const (
	clusterPrefix = "cluster."
	// statEnd is what newer Istio writes behind the name of a cluster in statistics.
	statEnd = ';'
)

// ofCluster returns what follows the name of a cluster in the name of a statistic.
func ofCluster(name, cluster string) (rest string, is bool) {
	rest, isCluster := strings.CutPrefix(name, clusterPrefix)
	rest, is = strings.CutPrefix(rest, cluster)
	rest, ends := strings.CutPrefix(strings.TrimPrefix(rest, string(statEnd)), ".")
	return rest, isCluster && is && ends
}

// Close lets the connection go.
func (c *Counters) Close() { c.client.CloseIdleConnections() }

// Read returns the counters and gauges by their names without the cluster's, as
// "upstream_rq_active", and the instant they are of. Histograms are left out.
func (c *Counters) Read(ctx context.Context) (map[string]float64, time.Time, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	asked := time.Now()
	response, err := c.client.Do(request)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxStats))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("reading the admin endpoint's answer: %w", err)
	}
	at := asked.Add(time.Since(asked) / 2)
	if response.StatusCode != http.StatusOK {
		return nil, at, fmt.Errorf("the admin endpoint answered %s", response.Status)
	}
	values, err := parseCounters(body, c.cluster)
	return values, at, err
}

func parseCounters(body []byte, cluster string) (map[string]float64, error) {
	var answer statsAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not the JSON of statistics: %w", err)
	}
	values := make(map[string]float64, len(answer.Stats))
	for _, entry := range answer.Stats {
		name, ours := ofCluster(entry.Name, cluster)
		if !ours || entry.Value == nil {
			continue
		}
		value, err := entry.Value.Float64()
		if err != nil {
			continue // a text
		}
		values[name] = value
	}
	return values, nil
}

// CPUSeconds returns what a process of this machine has used so far.
func CPUSeconds(pid int) (float64, error) {
	r, err := newProcessSource(Target{PID: pid}, "").read()
	if err != nil {
		return 0, err
	}
	seconds, known := r.metrics[record.CPUSeconds]
	if !known {
		return 0, fmt.Errorf("process %d: its CPU time is not known", pid)
	}
	return seconds, nil
}
