package experiment

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios"
)

// The steps in which a range of time is read.
const (
	leastStep = 15 * time.Second
	mostSteps = 2000
)

// ObserveStep returns how far apart the samples of a range are read.
func ObserveStep(length time.Duration) time.Duration {
	return max(leastStep, (length/mostSteps + time.Second - 1).Truncate(time.Second))
}

// Observe leaves a run directory of what a Prometheus knows of the scenario's
// components between two instants. Nothing is sent to them.
func Observe(ctx context.Context, options Options, from, to time.Time) (record.Ending, error) {
	if err := checkDir(options.Dir); err != nil {
		return record.EndedFailed, err
	}
	system, err := openSystem(ctx, options)
	if err != nil {
		return record.EndedFailed, err
	}
	past, err := pastDemand(ctx, options.Scenario)
	if err != nil {
		ending, _ := endingOf(ctx, err)
		return ending, err
	}
	step := ObserveStep(to.Sub(from))
	history, err := sampler.NewHistory(sampler.Options{
		Base: from, Prometheus: options.Scenario.Observe.Prometheus, Proxy: http.ProxyFromEnvironment, Targets: system.targets,
	}, from, to, step)
	if err != nil {
		return record.EndedFailed, err
	}
	defer history.Close()
	options.Observer.Note(fmt.Sprintf("reading %s from Prometheus in steps of %s", to.Sub(from), step))
	samples, err := history.Samples(ctx)
	if err != nil {
		ending, _ := endingOf(ctx, err)
		return ending, err
	}
	length := analysis.WindowLength(step)
	windows, left := analysis.ChooseWindows(samples, system.components, length)
	notes := []string{fmt.Sprintf("nothing was sent: from what Prometheus showed between %s and %s, %d windows of %s were chosen",
		from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), len(windows), length)}
	if left > 0 {
		notes = append(notes, fmt.Sprintf("%d windows are of no use: no requests were counted in them, or replicas came, went or started anew", left))
	}
	phases := make([]record.Phase, len(windows))
	for i, w := range windows {
		phases[i] = w.Phase(i + 1)
	}
	told, err := observedTraffic(ctx, history, options.Scenario, phases, from)
	if err != nil {
		ending, _ := endingOf(ctx, err)
		return ending, err
	}
	notes = append(notes, told...)
	for _, note := range notes {
		options.Observer.Note(note)
	}
	writer, err := record.Create(options.Dir, record.Run{
		Tool: options.Tool, Command: "size", Evidence: record.EvidenceObserved, Scenario: options.Scenario, Seed: options.Scenario.Seed,
		Host: describeHost(), Components: system.components, Notes: notes,
	}, from)
	if err != nil {
		return record.EndedFailed, err
	}
	for _, sample := range samples {
		writer.Sample(sample)
	}
	if len(past) > 0 {
		err = writer.Demand(past)
	}
	latency := latencyQuery(options.Scenario, analysis.Entry(samples, system.components))
	for i := 0; err == nil && i < len(phases); i++ {
		err = recordWindow(ctx, writer, history, phases[i], latency, from)
	}
	ending, why := endingOf(ctx, err)
	if closeErr := writer.Close(ending, why); err == nil && closeErr != nil {
		return record.EndedFailed, closeErr
	}
	return ending, err
}

// latencyQuery is the latency of a component, or of the first that has one.
func latencyQuery(scenario scenarios.Scenario, component string) string {
	components := scenario.Observe.Components
	has := func(c scenarios.ObservedComponent) bool { return c.Prometheus.LatencyBuckets != "" }
	at := slices.IndexFunc(components, func(c scenarios.ObservedComponent) bool { return c.Name == component && has(c) })
	if at < 0 {
		at = slices.IndexFunc(components, has)
	}
	if at < 0 {
		return ""
	}
	return components[at].Prometheus.LatencyBuckets
}

// recordWindow writes one window as a phase.
func recordWindow(ctx context.Context, writer *record.Writer, history *sampler.History, facts record.Phase, latency string, from time.Time) error {
	p, err := writer.BeginPhase(facts.Spec)
	if err != nil {
		return err
	}
	if latency != "" {
		buckets, err := history.Latencies(ctx, latency, from.Add(facts.Start), from.Add(facts.End))
		if err != nil {
			return err
		}
		p.Interval(record.Interval{
			Start: facts.Start, End: facts.End, Counts: facts.Counts,
			ByRequest: []record.RequestHistograms{{Request: "observed", Latency: histogramOf(buckets)}},
		})
	}
	_, err = p.End(facts)
	return err
}

// histogramOf spreads the values of each bucket evenly between its bounds, as
// histogram_quantile takes them to lie. What is above the highest bound counts as
// the longest time that a record can hold.
func histogramOf(buckets []sampler.Bucket) *hdrhistogram.Histogram {
	const places = 64
	h := record.NewHistogram()
	for _, b := range buckets {
		n := int64(math.Round(b.Count))
		if math.IsInf(b.UpTo, 1) || b.UpTo >= time.Hour.Seconds() {
			_ = h.RecordValues(int64(time.Hour), n)
			continue
		}
		done := int64(0)
		for i := range places {
			upTo := n * int64(i+1) / places
			at := b.Above + (b.UpTo-b.Above)*(float64(i)+0.5)/places
			_ = h.RecordValues(int64(at*1e9), upTo-done) // within an hour
			done = upTo
		}
	}
	return h
}
