package sampler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// ClusterQuery says of which Envoys, and of which of their upstream clusters, a
// Prometheus is to be asked for the counters.
type ClusterQuery struct {
	URL string // of the Prometheus
	// Labels are matchers that pick the Envoys, as they stand between the braces of a
	// selector. Without them a single Envoy may have the cluster.
	Labels string
	// Cluster is the name; where it is empty, the one that Istio names by host, subset
	// and port is looked for, any port with 0.
	Cluster, Host, Subset string
	Port                  uint32
	// Proxy chooses the proxy for a question; nil: none is used.
	Proxy func(*http.Request) (*url.URL, error)
}

// ClusterSeries reads the counters and gauges of one upstream cluster of one or more
// Envoys from a Prometheus that scrapes them. It is used by one goroutine at a time.
type ClusterSeries struct {
	Cluster string
	Envoys  []string      // names of those that are read: their pods, else addresses
	Every   time.Duration // between two scrapes
	api     promv1.API
	client  *http.Client
	query   string
	known   []string  // the label sets, in the order of Envoys
	total   []float64 // requests that each had counted at the last look
}

const (
	metricPrefix  = "envoy_cluster_"
	requestsTotal = "upstream_rq_total"
	// requestsByCode has a label for the class, or one for the status, which is not read.
	requestsByCode = "upstream_rq"
	// longestScrape is the distance of scrapes above which trials would take too long.
	longestScrape = time.Minute
	// mostEnvoys bounds what one question brings.
	mostEnvoys = 200
)

// clusterLabels tell the cluster of a series: as Istio configures Envoy, and as Envoy
// does of itself. Where both are there, Envoy's ends at the first dot.
func clusterLabels() []string { return []string{"cluster_name", "envoy_cluster_name"} }

// classOf returns the class of statuses that a series counts, as "2xx"; empty for one that
// counts no class. Istio's label says "2xx", Envoy's own "2".
func classOf(metric model.Metric) string {
	for _, label := range []model.LabelName{"response_code_class", "envoy_response_code_class"} {
		if class := strings.TrimSuffix(string(metric[label]), "xx"); class != "" {
			return class + "xx"
		}
	}
	return ""
}

// seriesRead are the statistics that trials look at, as Prometheus names them.
func seriesRead() []string {
	return []string{
		"upstream_cx_(active|connect_timeout|idle_timeout|max_requests|overflow|total)",
		"upstream_rq_(active|active_overflow|pending_active|pending_overflow|retry|retry_overflow|total|xx)",
		requestsByCode,
		"outlier_detection_ejections_(active|enforced_total|overflow)",
	}
}

// OpenClusterSeries looks for the series in the Prometheus. It is an error when it has
// none, when those of several clusters fit, when an Envoy is scraped twice, and when
// scrapes are more than a minute apart. Close must be called.
func OpenClusterSeries(ctx context.Context, q ClusterQuery) (*ClusterSeries, error) {
	client := &http.Client{Transport: &http.Transport{Proxy: q.Proxy}, Timeout: prometheusTimeout}
	connection, err := api.NewClient(api.Config{Address: q.URL, Client: client})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	c := &ClusterSeries{api: promv1.NewAPI(connection), client: client}
	if err := c.find(ctx, q); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close lets the connection go.
func (c *ClusterSeries) Close() { c.client.CloseIdleConnections() }

// find learns which Envoys have the cluster, and how often they are scraped.
func (c *ClusterSeries) find(ctx context.Context, q ClusterQuery) error {
	now, err := c.now(ctx)
	if err != nil {
		return err
	}
	labels := strings.Trim(q.Labels, "{}, ")
	var expression string
	for _, label := range clusterLabels() {
		matchers := label + "=~" + strconv.Quote(q.pattern())
		if labels != "" {
			matchers += "," + labels
		}
		expression = fmt.Sprintf("%s%s{%s}", metricPrefix, requestsTotal, matchers)
		matrix, err := c.ask(ctx, expression, longWindow)
		if err != nil {
			return err
		}
		f := found{label: label, clusters: map[string]bool{}, sets: map[string]string{}}
		if err := f.take(matrix, now); err != nil {
			return fmt.Errorf("prometheus: %s: %w", expression, err)
		}
		if len(f.sets) == 0 {
			continue
		}
		if err := f.fits(labels); err != nil {
			return fmt.Errorf("prometheus: %s: %w", expression, err)
		}
		c.use(f, labels)
		return nil
	}
	return fmt.Errorf("prometheus: nothing of %s within the last minutes: no Envoy with these labels has the cluster, or Istio drops its counters, which proxyStatsMatcher with upstream_rq, upstream_cx and outlier_detection keeps (rule SP102 of the audit)", expression)
}

// pattern is an expression for the name of the cluster, all of it.
func (q ClusterQuery) pattern() string {
	name := regexp.QuoteMeta(q.Cluster)
	if q.Cluster == "" {
		port := "[0-9]+"
		if q.Port != 0 {
			port = strconv.FormatUint(uint64(q.Port), 10)
		}
		name = `outbound\|` + port + `\|` + regexp.QuoteMeta(q.Subset) + `\|` + regexp.QuoteMeta(q.Host)
		if !strings.Contains(q.Host, ".") {
			name += `(\..+)?`
		}
	}
	return name + string(statEnd) + "?"
}

// found is what a Prometheus has of a cluster.
type found struct {
	label    string            // that tells the cluster
	clusters map[string]bool   // by name
	sets     map[string]string // the labels of an Envoy, by its name
	gaps     []time.Duration   // between scrapes
}

// take looks at series, of which those of Envoys that have ended are left out.
func (f *found) take(matrix model.Matrix, now model.Time) error {
	for _, stream := range matrix {
		n := len(stream.Values)
		if n == 0 || now.Sub(stream.Values[n-1].Timestamp) > patience(stream.Values) {
			continue
		}
		f.clusters[string(stream.Metric[model.LabelName(f.label)])] = true
		set, envoy := identityOf(stream.Metric)
		if _, twice := f.sets[envoy]; twice && len(f.clusters) == 1 {
			return fmt.Errorf("there are several series of %s: is it scraped twice? narrow the labels down to one job", envoy)
		}
		f.sets[envoy] = set
		for i := 1; i < n; i++ {
			f.gaps = append(f.gaps, stream.Values[i].Timestamp.Sub(stream.Values[i-1].Timestamp))
		}
	}
	slices.Sort(f.gaps)
	return nil
}

// fits says what is wrong with what was found.
func (f *found) fits(labels string) error {
	names := slices.Sorted(maps.Keys(f.sets))
	switch {
	case len(f.clusters) > 1:
		return fmt.Errorf("it is of several clusters, name one of %s", strings.Join(slices.Sorted(maps.Keys(f.clusters)), ", "))
	case labels == "" && len(names) > 1:
		return fmt.Errorf("%d Envoys have the cluster (%s): labels have to say through which of them the target is reached, all of its replicas", len(names), some(names))
	case len(names) > mostEnvoys:
		return fmt.Errorf("%d Envoys fit: at most %d are read", len(names), mostEnvoys)
	case len(f.gaps) == 0:
		return errors.New("it was scraped once so far: wait for the next scrape")
	case f.every() > longestScrape:
		return fmt.Errorf("it is scraped every %s: to see what is in flight during a trial it takes a scrape each minute at least", f.every())
	}
	return nil
}

// every is the distance of scrapes.
func (f *found) every() time.Duration { return f.gaps[len(f.gaps)/2] }

// use makes the question for the counters.
func (c *ClusterSeries) use(f found, labels string) {
	c.Envoys, c.Every = slices.Sorted(maps.Keys(f.sets)), f.every()
	for cluster := range f.clusters {
		c.Cluster = cluster
	}
	for _, envoy := range c.Envoys {
		c.known = append(c.known, f.sets[envoy])
	}
	c.total = make([]float64, len(c.known))
	c.query = fmt.Sprintf("{__name__=~%q,%s=%q", metricPrefix+"("+strings.Join(seriesRead(), "|")+")", f.label, c.Cluster)
	if labels != "" {
		c.query += "," + labels
	}
	c.query += "}"
}

// patience is how old the last sample of an Envoy that still runs may be.
func patience(values []model.SamplePair) time.Duration {
	n := len(values)
	if n < 2 {
		return 2 * longestScrape
	}
	return 3 * values[n-1].Timestamp.Sub(values[n-2].Timestamp)
}

// some names the first few.
func some(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:few], ", ") + " …"
}

// identityOf returns the labels that tell one Envoy from another, and a name for it.
func identityOf(metric model.Metric) (set, name string) {
	own := metric.Clone()
	delete(own, model.MetricNameLabel)
	for _, label := range []model.LabelName{"cluster_name", "response_code", "response_code_class"} {
		delete(own, label)
		delete(own, "envoy_"+label)
	}
	name = string(own["instance"])
	if pod := string(own[defaultReplicaLabel]); pod != "" {
		name = pod
		if namespace := string(own["namespace"]); namespace != "" {
			name = namespace + "/" + pod
		}
	}
	return own.String(), name
}

// now returns Prometheus's own time, which the timestamps of its samples are of.
func (c *ClusterSeries) now(ctx context.Context) (model.Time, error) {
	value, _, _, err := c.api.Query(ctx, "time()", time.Time{})
	if err != nil {
		return 0, fmt.Errorf("asking Prometheus for its time: %w", err)
	}
	scalar, ok := value.(*model.Scalar)
	if !ok {
		return 0, fmt.Errorf("asking Prometheus for its time: the answer is a %s", value.Type())
	}
	return model.TimeFromUnixNano(int64(float64(scalar.Value)*1e3) * int64(time.Millisecond)), nil
}

func (c *ClusterSeries) ask(ctx context.Context, selector string, window time.Duration) (model.Matrix, error) {
	expression := fmt.Sprintf("%s[%s]", selector, model.Duration(window.Round(time.Second)))
	value, _, _, err := c.api.Query(ctx, expression, time.Time{})
	if err != nil {
		hint := ""
		var apiErr *promv1.Error
		if errors.As(err, &apiErr) && apiErr.Type == promv1.ErrBadData {
			hint = ` (labels are written as namespace="istio-system",pod=~"gateway-.*")`
		}
		return nil, fmt.Errorf("prometheus query %s%s: %w", expression, hint, err)
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("prometheus query %s returned a %s instead of raw series", expression, value.Type())
	}
	return matrix, nil
}

// Read waits until every Envoy has been scraped after Read was called, at most three
// scrapes' time and ten seconds, and returns what each of them said by the names of
// Envoy, as "upstream_rq_active", with the instant of the oldest of these scrapes by
// this machine's clock. That an Envoy started anew, or that there are others now, is an
// error, since nothing could be told of what its counters rose by.
func (c *ClusterSeries) Read(ctx context.Context) ([]map[string]float64, time.Time, error) {
	asked := time.Now()
	from, err := c.now(ctx)
	if err != nil {
		return nil, asked, err
	}
	limit := 3*c.Every + prometheusTimeout
	pause := max(50*time.Millisecond, min(c.Every/10, time.Second))
	for {
		matrix, err := c.ask(ctx, c.query, max(2*c.Every, 10*time.Second))
		if err != nil {
			return nil, asked, err
		}
		values, at, late, err := c.latest(matrix, from)
		if err != nil {
			return nil, asked, err
		}
		if late == "" {
			return values, asked.Add(at.Sub(from)), c.advance(values)
		}
		if time.Since(asked) > limit {
			return nil, asked, fmt.Errorf("prometheus has scraped nothing of %s for %s: has it ended?", late, limit)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, asked, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// latest returns the values of the last scrape of each Envoy, and the oldest instant
// among them; late is the name of one that was not scraped since from.
func (c *ClusterSeries) latest(matrix model.Matrix, from model.Time) (values []map[string]float64, at model.Time, late string, err error) {
	scraped := make([]model.Time, len(c.known))
	values = make([]map[string]float64, len(c.known))
	for _, stream := range matrix {
		if len(stream.Values) == 0 {
			continue
		}
		last := stream.Values[len(stream.Values)-1]
		set, envoy := identityOf(stream.Metric)
		i := slices.Index(c.known, set)
		switch {
		case i < 0 && last.Timestamp < from:
			continue // one that ended before
		case i < 0:
			return nil, 0, "", fmt.Errorf("prometheus scrapes another Envoy with these labels, %s: replicas changed during the trial", envoy)
		case last.Timestamp > scraped[i]:
			scraped[i], values[i] = last.Timestamp, map[string]float64{}
		case last.Timestamp < scraped[i]:
			continue // what the Envoy tells no more
		}
		if name := statisticOf(stream.Metric); name != requestsByCode {
			values[i][name] = float64(last.Value)
		}
	}
	at = slices.Min(scraped)
	if i := slices.Index(scraped, at); at < from {
		late = c.Envoys[i]
	}
	return values, at, late, nil
}

// advance refuses counters that went back.
func (c *ClusterSeries) advance(values []map[string]float64) error {
	for i, v := range values {
		now, kept := v[requestsTotal]
		if kept && now < c.total[i] {
			return fmt.Errorf("%s started anew during the trial: its counters began at zero", c.Envoys[i])
		}
		c.total[i] = now
	}
	return nil
}

// statisticOf returns Envoy's own name of a statistic, without the cluster's.
func statisticOf(metric model.Metric) string {
	name := strings.TrimPrefix(string(metric[model.MetricNameLabel]), metricPrefix)
	if class := classOf(metric); class != "" {
		return "upstream_rq_" + class
	}
	if rest, is := strings.CutPrefix(name, "outlier_detection_"); is {
		return "outlier_detection." + rest
	}
	return name
}
