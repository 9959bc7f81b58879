package sampler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// History reads what a Prometheus holds of the queries of the targets, from one
// instant to another. The instants of its samples are those of the scrapes, since
// Options.Base; clocks are not compared, because all of them are the server's.
type History struct {
	source *prometheusSource
	from   time.Time
	to     time.Time
	step   time.Duration
}

// NewHistory prepares it; nothing is asked yet. Of each series there is at most one
// sample a step.
func NewHistory(options Options, from, to time.Time, step time.Duration) (*History, error) {
	source, err := newPrometheusSource(options.withDefaults())
	if err != nil {
		return nil, err
	}
	if source == nil {
		return nil, errors.New("no component has a query to ask of Prometheus (observe.components[].prometheus)")
	}
	source.base = options.Base
	return &History{source: source, from: from, to: to, step: step}, nil
}

// Close lets go of connections.
func (h *History) Close() { h.source.close() }

// Samples returns all samples in order of time. A query without any series in the
// range, or with two for one replica, is an error.
func (h *History) Samples(ctx context.Context) ([]record.Sample, error) {
	rows := map[row]map[record.Metric]float64{}
	var errs []error
	for _, query := range h.source.queries {
		series, err := h.read(ctx, query)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil && !answered(err) {
			return nil, err // the next question would not be answered either
		}
		errs = append(errs, err)
		h.source.collect(query, series, rows)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.component, b.component), cmp.Compare(a.replica, b.replica))
	})
	samples := make([]record.Sample, 0, len(keys))
	for _, key := range keys {
		samples = append(samples, record.Sample{At: h.source.since(key.at), Component: key.component, Replica: key.replica, Metrics: rows[key]})
	}
	return samples, nil
}

var (
	errNoSeries = errors.New("returned nothing")
	errTwice    = errors.New("returned several series for one replica: narrow it down, or set replicaLabel")
)

// answered reports whether an error is an answer to the question.
func answered(err error) bool {
	var refused *promv1.Error
	return errors.Is(err, errNoSeries) || errors.Is(err, errTwice) || errors.As(err, &refused)
}

// read asks for one query's values, and for the instants at which they were
// scraped: a range query alone gives each value the instant of its step.
func (h *History) read(ctx context.Context, query promQuery) (map[string][]model.SamplePair, error) {
	selector := strings.TrimSpace(query.selector)
	values, err := h.ask(ctx, query, selector)
	if err != nil {
		return nil, err
	}
	instants, err := h.ask(ctx, query, "timestamp("+selector+")")
	if err != nil {
		return nil, err
	}
	out := map[string][]model.SamplePair{}
	for replica, pairs := range values {
		scraped := map[model.Time]model.Time{} // by step
		for _, pair := range instants[replica] {
			scraped[pair.Timestamp] = model.Time(math.Round(float64(pair.Value) * 1e3))
		}
		for _, pair := range pairs {
			// A scrape answers every step until the next one.
			at, known := scraped[pair.Timestamp]
			if done := out[replica]; known && (len(done) == 0 || at > done[len(done)-1].Timestamp) {
				out[replica] = append(done, model.SamplePair{Timestamp: at, Value: pair.Value})
			}
		}
	}
	return out, nil
}

// ask returns the series of an expression over the range, by replica.
func (h *History) ask(ctx context.Context, query promQuery, expression string) (map[string][]model.SamplePair, error) {
	fail := func(err error) error {
		return fmt.Errorf("prometheus query %s of component %s, %s, from %s to %s: %w",
			query.field, query.component, expression, h.from.UTC().Format(time.RFC3339), h.to.UTC().Format(time.RFC3339), err)
	}
	value, _, _, err := h.source.api.QueryRange(ctx, expression, promv1.Range{Start: h.from, End: h.to, Step: h.step})
	if err != nil {
		return nil, fail(err)
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, fail(fmt.Errorf("returned a %s", value.Type()))
	}
	series := map[string][]model.SamplePair{}
	for _, stream := range matrix {
		replica := string(stream.Metric[model.LabelName(query.label)])
		if _, twice := series[replica]; twice {
			return nil, fail(fmt.Errorf("%w (%s=%q)", errTwice, query.label, replica))
		}
		series[replica] = stream.Values
	}
	if len(series) == 0 {
		return nil, fail(errNoSeries)
	}
	return series, nil
}

// Bucket is one bucket of a histogram of latencies.
type Bucket struct {
	Above, UpTo float64 // seconds; UpTo is +Inf in the last one
	Count       float64
}

// Latencies returns by how much the buckets of a histogram grew in a window of time,
// over all series of the selector together; none when it did not grow. Buckets are
// in milliseconds where the metric's name says so, or is one of Envoy's, and in
// seconds otherwise.
func (h *History) Latencies(ctx context.Context, selector string, from, to time.Time) ([]Bucket, error) {
	selector = strings.TrimSpace(selector)
	expression := fmt.Sprintf("sum by (le) (increase(%s[%dms]))", selector, to.Sub(from).Milliseconds())
	value, _, _, err := h.source.api.Query(ctx, expression, to)
	if err != nil {
		return nil, fmt.Errorf("prometheus query %s at %s: %w", expression, to.UTC().Format(time.RFC3339), err)
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("prometheus query %s returned a %s", expression, value.Type())
	}
	unit := 1.0
	if name, _, _ := strings.Cut(selector, "{"); strings.Contains(name, "milliseconds") || strings.HasPrefix(name, "envoy_") {
		unit = 1e-3
	}
	return bucketsOf(vector, unit)
}

// bucketsOf takes cumulative buckets apart.
func bucketsOf(vector model.Vector, unit float64) ([]Bucket, error) {
	type bound struct{ le, count float64 }
	var bounds []bound
	for _, sample := range vector {
		le, err := strconv.ParseFloat(string(sample.Metric[model.BucketLabel]), 64)
		if err != nil {
			return nil, fmt.Errorf("the label le of a bucket, %q, is not a number: latencyBuckets needs the buckets of a classic histogram", sample.Metric[model.BucketLabel])
		}
		bounds = append(bounds, bound{le, float64(sample.Value)})
	}
	slices.SortFunc(bounds, func(a, b bound) int { return cmp.Compare(a.le, b.le) })
	var buckets []Bucket
	before := bound{}
	for _, b := range bounds {
		// Scrapes of several series at several instants let a sum fall a little.
		if n := b.count - before.count; n > 0 && b.le > 0 {
			buckets = append(buckets, Bucket{Above: before.le * unit, UpTo: b.le * unit, Count: n})
			before.count = b.count
		}
		before.le = math.Max(b.le, 0)
	}
	return buckets, nil
}
