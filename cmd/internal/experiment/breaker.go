package experiment

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios"
)

// BreakerOptions are what trials of a circuit breaker are made with.
type BreakerOptions struct {
	Trials    []breaker.Trial
	EnvoyPath string
	StateDir  string
	Self      []string // command line with which this program starts a lab child
	Seed      uint64
	// Target is a running system to make the trials on; nil: labs.
	Target *BreakerTarget
	// Note is told in words what is being done; Done what came out of each trial.
	Note func(string)
	Done func(breaker.Result)
}

// BreakerTarget is a running system, and where its clients' Envoys show their counters.
type BreakerTarget struct {
	Plan scenarios.Plan // endpoint, requests and guards
	// Failing are requests that the service answers with an error; none: it offers none.
	Failing           []scenarios.Request
	AdminURL, Cluster string // of one Envoy; not used with Series
	// Series are the counters in a Prometheus, of all Envoys through which the target is
	// reached; nil: those of the admin endpoint. They are left open.
	Series *sampler.ClusterSeries
}

// Meet makes one step on the running system before there is a plan for it.
func Meet(ctx context.Context, o BreakerOptions, step breaker.Step) (breaker.Facts, error) {
	b, err := openTarget(o)
	if err != nil {
		return breaker.Facts{}, err
	}
	facts, err := b.run(ctx, []breaker.Step{step})
	if err = errors.Join(err, b.close()); err != nil {
		return breaker.Facts{}, fmt.Errorf("meeting the target: %w", err)
	}
	return facts[0], nil
}

// BreakerFacts is what came out of trials.
type BreakerFacts struct {
	Results []breaker.Result
	Envoy   string // version of the proxies
}

// Breaker makes the trials one after the other, each on a bench of its own, and
// leaves nothing running. On an error the results are of the trials before it.
func Breaker(ctx context.Context, o BreakerOptions) (facts BreakerFacts, err error) {
	t := &trials{options: o, base: time.Now()}
	defer func() { err = errors.Join(err, t.close()) }()
	for i, trial := range o.Trials {
		if err := context.Cause(ctx); err != nil {
			return facts, err
		}
		o.Note(fmt.Sprintf("trial %d of %d: %s", i+1, len(o.Trials), trial.Name))
		result, err := t.try(ctx, trial)
		// What disturbs a measurement may be gone the second time: a machine that slept, or
		// was too busy to answer at all.
		switch {
		case err != nil && context.Cause(ctx) == nil:
			o.Note("  once more: " + err.Error())
			closing := t.close()
			if result, err = t.try(ctx, trial); err != nil {
				err = errors.Join(err, closing)
			}
		case err == nil && result.Verdict == breaker.NotMeasurable && trial.Impossible == "":
			o.Note("  once more: " + result.Reason)
			result, err = t.try(ctx, trial)
		}
		if err != nil {
			return facts, fmt.Errorf("trial of %s: %w", trial.Name, err)
		}
		facts.Results = append(facts.Results, result)
		if t.bench != nil && t.bench.lab != nil {
			facts.Envoy = t.bench.lab.EnvoyVersion()
		}
		o.Done(result)
	}
	return facts, nil
}

// trials keeps the last bench for the next trial that wants the same.
type trials struct {
	options BreakerOptions
	base    time.Time
	bench   *bench
	spec    breaker.Bench
}

func (t *trials) close() error {
	if t.bench == nil {
		return nil
	}
	err := t.bench.close()
	t.bench = nil
	return err
}

// try makes one trial.
func (t *trials) try(ctx context.Context, trial breaker.Trial) (breaker.Result, error) {
	if trial.Impossible != "" {
		return trial.Judge(nil, 0), nil
	}
	begin := time.Now()
	var all []breaker.Facts
	for _, part := range trial.Parts {
		if err := t.open(ctx, part.Bench); err != nil {
			return breaker.Result{}, err
		}
		facts, err := t.bench.run(ctx, part.Steps)
		if err != nil {
			return breaker.Result{}, err
		}
		all = append(all, facts...)
	}
	result := trial.Judge(all, time.Since(begin).Seconds())
	for i := range result.Timeline {
		result.Timeline[i].Seconds += begin.Sub(t.base).Seconds()
	}
	return result, nil
}

// open makes the bench that is wanted the one that is there. What was ejected stays
// so for a while, so a bench with outlier detection is used once.
func (t *trials) open(ctx context.Context, spec breaker.Bench) error {
	if t.options.Target != nil {
		var err error
		if t.bench == nil {
			t.bench, err = openTarget(t.options)
		}
		return err
	}
	used := t.spec.Client.OutlierDetection.Enabled.Value
	if t.bench != nil && !used && reflect.DeepEqual(t.spec, spec) {
		return t.bench.mend(ctx)
	}
	if err := t.close(); err != nil {
		return err
	}
	opened, err := openBench(ctx, t.options, spec)
	if err != nil {
		return err
	}
	t.bench, t.spec = opened, spec
	return nil
}
