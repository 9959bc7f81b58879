package experiment

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/sailplan-io/sailplan/scenarios"
)

// conditionInterval is how often the PromQL guards are asked: a breach must end
// the load within two seconds.
const conditionInterval = time.Second

// conditions are the PromQL guards of a scenario.
type conditions struct {
	api   prometheus.API
	rules []scenarios.Condition
}

func newConditions(url string, rules []scenarios.Condition) (conditions, error) {
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		return conditions{}, fmt.Errorf("guards.abortWhen: prometheus %s: %w", url, err)
	}
	return conditions{prometheus.NewAPI(client), rules}, nil
}

// breached returns why the load must stop; empty when it may go on. A guard
// that cannot be asked is an error: load without its guard is not what the user
// agreed to.
func (c conditions) breached(ctx context.Context) (string, error) {
	for _, rule := range c.rules {
		ctx, cancel := context.WithTimeout(ctx, conditionInterval)
		value, _, _, err := c.api.Query(ctx, rule.Query, time.Time{})
		cancel()
		if err != nil {
			return "", fmt.Errorf("guards.abortWhen %q: asking Prometheus: %w", rule.Name, err)
		}
		if got, is := firstNonZero(value); is {
			return fmt.Sprintf("guards.abortWhen %q: %s is %v", rule.Name, rule.Query, got), nil
		}
	}
	return "", nil
}

// watch asks until ctx ends and calls stop once, with the reason. Two questions
// in a row must fail before that ends the run.
func (c conditions) watch(ctx context.Context, stop func(reason string, err error)) {
	ticker := time.NewTicker(conditionInterval)
	defer ticker.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		reason, err := c.breached(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures++; failures < 2 {
				continue
			}
			stop("", err)
			return
		case reason != "":
			stop(reason, nil)
			return
		}
		failures = 0
	}
}

// breaches reports whether a value breaches a guard. Not a number is what a ratio
// is before there was any traffic.
func breaches(v model.SampleValue) bool { return v != 0 && !math.IsNaN(float64(v)) }

// firstNonZero returns the first sample of an answer that is not zero.
func firstNonZero(value model.Value) (float64, bool) {
	switch v := value.(type) {
	case *model.Scalar:
		return float64(v.Value), breaches(v.Value)
	case model.Vector:
		for _, sample := range v {
			if breaches(sample.Value) {
				return float64(sample.Value), true
			}
		}
	}
	return 0, false
}
