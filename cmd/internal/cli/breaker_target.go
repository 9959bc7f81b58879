package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios"
)

// running is a system that runs, with the plan of the trials that it allows.
type running struct {
	target *experiment.BreakerTarget
	plan   func(breaker.Setup) []breaker.Trial
}

// close lets go of what was opened for it.
func (r running) close() {
	if r.target != nil && r.target.Series != nil {
		r.target.Series.Close()
	}
}

// liveTarget reads what a running Envoy has been told, holds it against the files, and
// meets the system.
func (a *app) liveTarget(ctx context.Context, o breakerOptions, d *destination) (_ running, err error) {
	rate, err := targetRate(o)
	if err != nil {
		return running{}, usage(err)
	}
	plan, err := targetPlan(o, rate)
	if err != nil {
		return running{}, usage(fmt.Errorf("--target: %w", err))
	}
	d.report.Target = withoutSecrets(o.target)
	r := running{target: &experiment.BreakerTarget{Plan: plan, AdminURL: o.admin, Cluster: o.cluster}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.target.Failing, err = failingRequests(o, rate, plan); err != nil {
		return running{}, usage(fmt.Errorf("--fault-url: %w", err))
	}
	system := breaker.Live{MaxRate: rate.RPS(), Seconds: o.duration.Seconds(), Failing: len(r.target.Failing) > 0}
	if o.admin != "" {
		if err := compareLive(ctx, o, d, r.target); err != nil {
			return running{}, err
		}
	}
	if o.prometheus != "" {
		if err := openSeries(ctx, o, d, r.target, &system); err != nil {
			return running{}, err
		}
	}
	base, err := experiment.Meet(ctx, experiment.BreakerOptions{Target: r.target, Seed: 1}, system.Base())
	if err != nil {
		return running{}, err
	}
	if note := breaker.UntriedNote(d.setup.Untried(system)); note != "" {
		d.report.Notes = append(d.report.Notes, note)
	}
	r.plan = func(s breaker.Setup) []breaker.Trial { return s.PlanLive(system, base) }
	return r, nil
}

// targetRate looks at what --target needs beside it.
func targetRate(o breakerOptions) (rate scenarios.Rate, err error) {
	if o.admin == "" && o.prometheus == "" {
		return rate, errors.New("--target needs to see counters: --admin names the admin endpoint of the Envoy through which it is reached, --prometheus a Prometheus that scrapes it")
	}
	if o.labels != "" && o.prometheus == "" {
		return rate, errors.New("--prometheus-labels picks Envoys in a Prometheus, and --prometheus does not name one")
	}
	if o.maxRate == "" {
		return rate, errors.New("--target needs --max-rate: no more than that is sent")
	}
	if rate, err = scenarios.ParseRate(o.maxRate); err != nil || rate.IsZero() {
		return rate, fmt.Errorf("--max-rate %q: a rate above zero, for instance 200/s", o.maxRate)
	}
	if o.duration <= 0 {
		return rate, fmt.Errorf("--duration %s: has to be above zero", o.duration)
	}
	return rate, nil
}

// compareLive holds the settings of the Envoy at --admin against the files.
func compareLive(ctx context.Context, o breakerOptions, d *destination, target *experiment.BreakerTarget) error {
	live, err := sampler.ReadLiveCluster(ctx, o.admin, o.cluster, d.report.Host, d.report.Subset, d.report.Port)
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	values := make(map[string]breaker.LiveValue, len(live.Limits))
	for field, v := range live.Limits {
		values[field] = breaker.LiveValue(v)
	}
	d.report.Notes = append(d.report.Notes, fmt.Sprintf("the limits are those of cluster %s of the Envoy at %s", live.Name, withoutSecrets(o.admin)))
	d.report.Trials = breaker.CompareLive(d.setup.Client, values)
	target.Cluster = live.Name
	return nil
}

// openSeries finds the counters of the Envoys in the Prometheus.
func openSeries(ctx context.Context, o breakerOptions, d *destination, target *experiment.BreakerTarget, system *breaker.Live) error {
	series, err := sampler.OpenClusterSeries(ctx, sampler.ClusterQuery{
		URL: o.prometheus, Labels: o.labels, Proxy: http.ProxyFromEnvironment,
		Cluster: target.Cluster, Host: d.report.Host, Subset: d.report.Subset, Port: d.report.Port,
	})
	if err != nil {
		return fmt.Errorf("--prometheus: %w", err)
	}
	target.Series = series
	system.Envoys, system.Every = len(series.Envoys), series.Every
	d.report.Notes = append(d.report.Notes, fmt.Sprintf("the counters are those of cluster %s of %s, which Prometheus at %s scrapes every %s", series.Cluster, strings.Join(series.Envoys, ", "), withoutSecrets(o.prometheus), series.Every))
	if o.admin == "" {
		d.report.Notes = append(d.report.Notes, "which limits the Envoys run with was not compared with the files: Prometheus does not know them, and --admin names an Envoy that does")
	}
	return nil
}

// mostErrors is the share of requests that may go wrong, for a while, before the load
// is stopped. A trial exceeds a limit by half, so that a third is shed.
const mostErrors = 0.8

// failingRequests are those that the service answers with an error, by --fault-url.
func failingRequests(o breakerOptions, rate scenarios.Rate, usual scenarios.Plan) ([]scenarios.Request, error) {
	if o.faultURL == "" {
		return nil, nil
	}
	at := o
	at.target = o.faultURL
	failing, err := targetPlan(at, rate)
	if err != nil {
		return nil, err
	}
	if failing.Endpoint.Scheme != usual.Endpoint.Scheme || failing.Endpoint.Authority != usual.Endpoint.Authority {
		return nil, fmt.Errorf("%s is not where --target is: %s", withoutSecrets(o.faultURL), withoutSecrets(o.target))
	}
	return failing.Requests, nil
}

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
