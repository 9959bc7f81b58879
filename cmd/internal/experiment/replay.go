package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/sailplan-io/sailplan/scenarios"
)

const (
	// replayPoints is how many samples are asked for at most; Prometheus refuses to
	// answer with more than 11 000.
	replayPoints = 10_000
	// replayStep is the least time between two samples.
	replayStep = time.Second
	// replayPatience is how long the answer may take.
	replayPatience = 30 * time.Second
)

// replay asks for the curve of a load that comes from Prometheus, and makes the
// phases of the plan with it. They are recorded with all their points, so that the
// run can be repeated without asking again.
func (r *runner) replay(ctx context.Context, command string) error {
	scenario := r.options.Scenario
	if command != "run" || !scenario.NeedsQuery() {
		return nil
	}
	end := time.Now()
	samples, err := rateSamples(ctx, scenario.Observe.Prometheus, scenario.Load.Shape.Replay.Query, scenario.Load.Shape.Replay.Last, end)
	if err != nil {
		return fmt.Errorf("load.shape.replay.query: %w", err)
	}
	completed := scenarios.Defaults(scenario)
	curve, err := scenarios.CurveFromSamples(samples, completed.Load.Shape.Replay.Scale, completed.Load.Duration)
	if err != nil {
		return fmt.Errorf("load.shape.replay.query: %w", err)
	}
	if r.plan.Phases, err = scenarios.RunPhases(completed, curve); err != nil {
		return fmt.Errorf("scenario %s: %w", scenario.Metadata.Name, err)
	}
	r.system.notes = append(r.system.notes, fmt.Sprintf("the rate follows %s from %s on, for %s: %s in the mean, %s at its peak",
		scenario.Load.Shape.Replay.Query, samples[0].At.UTC().Format(time.RFC3339), curve[len(curve)-1].At,
		scenarios.PerSecond(roundRate(scenarios.MeanOf(curve))), scenarios.PerSecond(roundRate(scenarios.PeakOf(curve)))))
	return nil
}

// roundRate leaves three decimals, for people.
func roundRate(rps float64) float64 { return math.Round(rps*1e3) / 1e3 }

// rateSamples asks Prometheus for the one series of a query over a stretch of time
// that ends at an instant. What is not a number, as a ratio is when nothing
// happens, is left out.
func rateSamples(ctx context.Context, url, query string, last time.Duration, end time.Time) ([]scenarios.RateSample, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	client, err := api.NewClient(api.Config{Address: url, RoundTripper: transport})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, replayPatience)
	defer cancel()
	step := max(replayStep, (last+replayPoints-1)/replayPoints).Truncate(time.Millisecond)
	value, _, _, err := prometheus.NewAPI(client).QueryRange(ctx, query, prometheus.Range{Start: end.Add(-last), End: end, Step: step})
	if err != nil {
		var refused *prometheus.Error
		if errors.As(err, &refused) && refused.Type == prometheus.ErrBadData {
			return nil, fmt.Errorf("prometheus does not understand it: %w", err)
		}
		return nil, fmt.Errorf("asking Prometheus: %w", err)
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("prometheus answered with a %s instead of a series", value.Type())
	}
	switch len(matrix) {
	case 0:
		return nil, fmt.Errorf("it has no series in the last %s: look whether the metric and its labels are right", last)
	case 1:
	default:
		return nil, fmt.Errorf("it has %d series, of which one can be used: put sum(…) around it (%s, …)", len(matrix), namesOf(matrix, 2))
	}
	var samples []scenarios.RateSample
	for _, pair := range matrix[0].Values {
		if rps := float64(pair.Value); !math.IsNaN(rps) {
			samples = append(samples, scenarios.RateSample{At: pair.Timestamp.Time(), RPS: rps})
		}
	}
	if len(samples) < 2 {
		return nil, fmt.Errorf("it has %d values in the last %s: at least two are needed", len(samples), last)
	}
	return samples, nil
}

// namesOf returns the labels of the first series.
func namesOf(matrix model.Matrix, most int) string {
	var names []string
	for _, series := range matrix[:min(most, len(matrix))] {
		names = append(names, series.Metric.String())
	}
	return strings.Join(names, ", ")
}
