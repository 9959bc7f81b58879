package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios"
)

// liveTarget reads what a running Envoy has been told, holds it against the files, and
// returns the system with the plan of the trials that it allows.
func (a *app) liveTarget(ctx context.Context, o breakerOptions, d *destination) (*experiment.BreakerTarget, func(breaker.Setup) []breaker.Trial, error) {
	if o.admin == "" {
		return nil, nil, usage(errors.New("--target needs --admin, the admin endpoint of the Envoy through which it is reached, for its limits and counters"))
	}
	if o.maxRate == "" {
		return nil, nil, usage(errors.New("--target needs --max-rate: no more than that is sent"))
	}
	rate, err := scenarios.ParseRate(o.maxRate)
	if err != nil || rate.IsZero() {
		return nil, nil, usage(fmt.Errorf("--max-rate %q: a rate above zero, for instance 200/s", o.maxRate))
	}
	if o.duration <= 0 {
		return nil, nil, usage(fmt.Errorf("--duration %s: has to be above zero", o.duration))
	}
	plan, err := targetPlan(o, rate)
	if err != nil {
		return nil, nil, usage(fmt.Errorf("--target: %w", err))
	}
	live, err := sampler.ReadLiveCluster(ctx, o.admin, o.cluster, d.report.Host, d.report.Subset, d.report.Port)
	if err != nil {
		return nil, nil, fmt.Errorf("--admin: %w", err)
	}
	values := make(map[string]breaker.LiveValue, len(live.Limits))
	for field, v := range live.Limits {
		values[field] = breaker.LiveValue(v)
	}
	d.report.Target = withoutSecrets(o.target)
	d.report.Notes = append(d.report.Notes, fmt.Sprintf("the limits are those of cluster %s of the Envoy at %s", live.Name, withoutSecrets(o.admin)))
	d.report.Trials = breaker.CompareLive(d.setup.Client, values)
	target := &experiment.BreakerTarget{Plan: plan, AdminURL: o.admin, Cluster: live.Name}
	system := breaker.Live{MaxRate: rate.RPS(), Seconds: o.duration.Seconds()}
	base, err := experiment.Meet(ctx, experiment.BreakerOptions{Target: target, Seed: 1}, system.Base())
	if err != nil {
		return nil, nil, err
	}
	if note := breaker.UntriedNote(d.setup.Untried()); note != "" {
		d.report.Notes = append(d.report.Notes, note)
	}
	return target, func(s breaker.Setup) []breaker.Trial { return s.PlanLive(system, base) }, nil
}

// mostErrors is the share of requests that may go wrong, for a while, before the load
// is stopped. A trial exceeds a limit by half, so that a third is shed.
const mostErrors = 0.8

// targetPlan is what is sent to a running system, but for the load.
func targetPlan(o breakerOptions, rate scenarios.Rate) (scenarios.Plan, error) {
	scenario, err := scenarioOfURL(o.target)
	if err != nil {
		return scenarios.Plan{}, err
	}
	if o.tls.CAFile != "" {
		if o.tls.CAFile, err = filepath.Abs(o.tls.CAFile); err != nil {
			return scenarios.Plan{}, err
		}
	}
	scenario.Target.TLS = o.tls
	scenario.Load.Rate, scenario.Load.Duration = rate, o.duration
	scenario.Guards.MaxRate, scenario.Guards.MaxErrorRatio = rate, mostErrors
	scenario = scenarios.Defaults(scenario)
	if err := scenarios.Validate(scenario); err != nil {
		return scenarios.Plan{}, err
	}
	plan, err := scenarios.Resolve(scenario)
	if err != nil {
		return scenarios.Plan{}, err
	}
	if !plan.Endpoint.OnLoopback() {
		plan.RunID = rand.Text()
	}
	return plan, nil
}
