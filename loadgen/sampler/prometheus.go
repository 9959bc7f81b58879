package sampler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

const (
	defaultReplicaLabel = "pod"
	// firstWindow is how far back the first question looks, so that the sample
	// before a phase is there; also the longest window.
	firstWindow = 2 * time.Minute
	longWindow  = 10 * time.Minute
	checkWindow = 5 * time.Minute
	// clockError is what a clock comparison is off by at least: timestamps have
	// milliseconds.
	clockError = 5 * time.Millisecond
)

// promQuery is one column of a component in Prometheus.
type promQuery struct {
	component string
	label     string // that tells replicas apart
	metric    record.Metric
	field     string // in the scenario file, for errors
	selector  string
}

// prometheusSource reads raw series. It is used by one goroutine at a time.
type prometheusSource struct {
	base     time.Time
	api      promv1.API
	client   *http.Client
	interval time.Duration
	queries  []promQuery
	local    func() time.Time // the wall clock, by the base's monotonic clock

	skew      time.Duration // how far Prometheus's clock is ahead
	skewKnown bool
	skewTold  bool
	asked     time.Duration // since the base: the last successful question
	last      map[freshKey]model.Time
	replicas  map[string][]string // of each component, at the last question
	outages   map[string]*outage  // by component and field
}

// newPrometheusSource returns nil when no target has queries.
func newPrometheusSource(options Options) (*prometheusSource, error) {
	var queries []promQuery
	for _, target := range options.Targets {
		queries = append(queries, queriesOf(target)...)
	}
	if len(queries) == 0 {
		return nil, nil
	}
	if options.Prometheus == "" {
		return nil, fmt.Errorf("component %s has queries, but there is no URL of a Prometheus", queries[0].component)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: options.Proxy}, Timeout: prometheusTimeout}
	connection, err := api.NewClient(api.Config{Address: options.Prometheus, Client: client})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	base := options.Base
	return &prometheusSource{
		base: base, api: promv1.NewAPI(connection), client: client,
		interval: options.PrometheusInterval, queries: queries,
		local:    func() time.Time { return base.Round(0).Add(time.Since(base)) },
		last:     map[freshKey]model.Time{},
		replicas: map[string][]string{},
		outages:  map[string]*outage{},
	}, nil
}

func queriesOf(target Target) []promQuery {
	q := target.Queries
	label := q.ReplicaLabel
	if label == "" {
		label = defaultReplicaLabel
	}
	var queries []promQuery
	for _, column := range []struct {
		metric          record.Metric
		field, selector string
	}{
		{record.CPUSeconds, "cpuSeconds", q.CPUSeconds},
		{record.Periods, "periods", q.Periods},
		{record.ThrottledPeriods, "throttledPeriods", q.ThrottledPeriods},
		{record.WorkingSetBytes, "workingSetBytes", q.WorkingSetBytes},
		{record.RSSBytes, "rssBytes", q.RSSBytes},
		{record.DownConnections, "connections", q.Connections},
		{record.DownInFlight, "inFlight", q.InFlight},
		{record.DownRequests, "requests", q.Requests},
	} {
		if column.selector != "" {
			queries = append(queries, promQuery{target.Component, label, column.metric, column.field, column.selector})
		}
	}
	return queries
}

func (p *prometheusSource) close() { p.client.CloseIdleConnections() }

// check asks each query once and returns all that is wrong.
func (p *prometheusSource) check(ctx context.Context) error {
	if err := p.measureSkew(ctx); err != nil {
		return err
	}
	var errs []error
	for _, query := range p.queries {
		_, err := p.ask(ctx, query, checkWindow)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// measureSkew compares the clocks. PromQL's time() is the instant at which the
// server evaluates it.
func (p *prometheusSource) measureSkew(ctx context.Context) error {
	asked := p.local()
	value, _, _, err := p.api.Query(ctx, "time()", time.Time{})
	if err != nil {
		return fmt.Errorf("asking Prometheus for its time: %w", err)
	}
	answered := p.local()
	scalar, ok := value.(*model.Scalar)
	if !ok {
		return fmt.Errorf("asking Prometheus for its time: the answer is a %s", value.Type())
	}
	roundTrip := answered.Sub(asked)
	server := time.Unix(0, int64(float64(scalar.Value)*1e3)*int64(time.Millisecond))
	p.skew = server.Sub(asked.Add(roundTrip / 2))
	if p.skew.Abs() <= roundTrip/2+clockError {
		p.skew = 0
	}
	p.skewKnown = true
	return nil
}

// ask returns a query's raw series of a time window up to the server's now, by
// replica. No series, or two for one replica, is an error.
func (p *prometheusSource) ask(ctx context.Context, query promQuery, window time.Duration) (map[string][]model.SamplePair, error) {
	expression := fmt.Sprintf("%s[%s]", strings.TrimSpace(query.selector), model.Duration(window.Round(time.Second)))
	value, _, _, err := p.api.Query(ctx, expression, time.Time{})
	if err != nil {
		hint := ""
		var apiErr *promv1.Error
		if errors.As(err, &apiErr) && apiErr.Type == promv1.ErrBadData {
			hint = " (a plain selector is needed, without functions or operators)"
		}
		return nil, fmt.Errorf("prometheus query %s of component %s, %s%s: %w", query.field, query.component, expression, hint, err)
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("prometheus query %s of component %s, %s, returned a %s instead of raw series",
			query.field, query.component, expression, value.Type())
	}
	series := map[string][]model.SamplePair{}
	for _, stream := range matrix {
		if len(stream.Values) == 0 {
			continue
		}
		replica := string(stream.Metric[model.LabelName(query.label)])
		if _, twice := series[replica]; twice {
			return nil, fmt.Errorf("prometheus query %s of component %s, %s, returned several series with %s=%q: "+
				"narrow it down to one series per replica, or set replicaLabel",
				query.field, query.component, query.selector, query.label, replica)
		}
		series[replica] = stream.Values
	}
	if len(series) == 0 {
		return nil, fmt.Errorf("prometheus query %s of component %s, %s, returned nothing",
			query.field, query.component, expression)
	}
	return series, nil
}

// row is one replica at one scrape.
type row struct {
	component, replica string
	at                 model.Time
}

// poll asks for what is new.
func (p *prometheusSource) poll(ctx context.Context, out output) {
	now := p.local().Sub(p.base.Round(0))
	if !p.skewKnown {
		err := p.measureSkew(ctx)
		if ctx.Err() != nil {
			return
		}
		p.outage("").report(out, "prometheus", now, err)
		if err != nil {
			return
		}
	}
	if p.skew != 0 && !p.skewTold {
		p.skewTold = true
		out.event(record.Event{Kind: record.EventNote, Subject: "prometheus", Message: fmt.Sprintf(
			"its clock is %s ahead of this machine's; the instants of its samples are corrected", p.skew.Round(time.Millisecond))})
	}
	window := firstWindow
	if p.asked > 0 {
		window = min(now-p.asked+firstWindow, longWindow)
	}
	rows := map[row]map[record.Metric]float64{}
	seen := map[string]map[string]bool{} // replicas by component
	complete := true
	for _, query := range p.queries {
		series, err := p.ask(ctx, query, window)
		if ctx.Err() != nil {
			return
		}
		p.outage(query.component+"."+query.field).report(out, query.component, now, err)
		if err != nil {
			complete = false
			continue
		}
		p.collect(query, series, rows)
		if seen[query.component] == nil {
			seen[query.component] = map[string]bool{}
		}
		for replica, pairs := range series {
			// A replica that has ended stays in the window for a while.
			if age := now - p.since(pairs[len(pairs)-1].Timestamp); age <= ceased {
				seen[query.component][replica] = true
			}
		}
	}
	if complete {
		p.asked = now
	}
	for _, component := range slices.Sorted(maps.Keys(seen)) {
		p.noteReplicas(component, slices.Sorted(maps.Keys(seen[component])), out)
	}
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.component, b.component), cmp.Compare(a.replica, b.replica))
	})
	for _, key := range keys {
		out.emit(record.Sample{At: p.since(key.at), Component: key.component, Replica: key.replica, Metrics: rows[key]})
	}
}

func (p *prometheusSource) outage(key string) *outage {
	if p.outages[key] == nil {
		p.outages[key] = &outage{}
	}
	return p.outages[key]
}

// since places a scrape on the run's time line.
func (p *prometheusSource) since(scraped model.Time) time.Duration {
	return scraped.Time().Sub(p.base.Round(0)) - p.skew
}

// collect adds the samples that were not seen before.
func (p *prometheusSource) collect(query promQuery, series map[string][]model.SamplePair, rows map[row]map[record.Metric]float64) {
	for replica, pairs := range series {
		key := freshKey{query.component, replica, query.metric}
		last, known := p.last[key]
		for _, pair := range pairs {
			if known && pair.Timestamp <= last {
				continue
			}
			at := row{query.component, replica, pair.Timestamp}
			if rows[at] == nil {
				rows[at] = map[record.Metric]float64{}
			}
			rows[at][query.metric] = float64(pair.Value)
			last, known = pair.Timestamp, true
		}
		p.last[key] = last
	}
}

// noteReplicas tells when a component's replicas have changed.
func (p *prometheusSource) noteReplicas(component string, now []string, out output) {
	before, known := p.replicas[component]
	p.replicas[component] = now
	if !known || slices.Equal(before, now) {
		return
	}
	out.event(record.Event{Kind: record.EventReplicas, Subject: component, Message: fmt.Sprintf(
		"%d replicas instead of %d: %s", len(now), len(before), strings.Join(now, ", "))})
}
