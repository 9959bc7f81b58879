package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/cmd/internal/live"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// runsDir is where run directories go unless --out says otherwise.
const runsDir = "sailplan-runs"

// driveOptions are the flags of the commands that drive load.
type driveOptions struct {
	scenario string // file; empty: the built-in quickstart
	quick    bool
	proxy    string
	envoy    string
	out      string
	quiet    bool
	listen   string // address of the exporter; empty: none
	workers  int    // sending threads
	outputs  outputOptions
}

func (o *driveOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.proxy, "proxy", "", "proxies of a lab: auto, envoy or embedded (default: the scenario's)")
	f.StringVar(&o.envoy, "envoy", "", "path of the Envoy binary (default: $SAILPLAN_ENVOY, the cache folder, PATH)")
	f.StringVar(&o.out, "out", "", "run directory (default: "+runsDir+"/NAME-TIME)")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	f.StringVar(&o.listen, "listen", "", "expose the running figures to Prometheus at `ADDRESS`, for instance 127.0.0.1:9464")
	f.IntVar(&o.workers, "workers", 1, "sending threads; each takes a processor at most")
	o.outputs.flags(c)
}

func (a *app) sizeCommand() *cobra.Command {
	var o driveOptions
	var history historyOptions
	var sweep string
	c := &cobra.Command{
		Use:   "size [SCENARIO]",
		Short: "Find out what a mesh can carry, and recommend replicas, limits and thresholds",
		Long: `size starts the lab (or drives the target) that the scenario describes, climbs
until the objectives break, measures steady phases below that, fits models,
recommends, and proves: a search that does not know the prediction measures
where the objectives really break. Without a scenario it sizes a built-in
example: a gateway limited to 300m CPU in front of two pods.

With --from-prometheus nothing is sent: the same models are fitted to what
observe.prometheus has seen of the components under their users' load. Where the
objectives break, such data cannot tell, and nothing is proved.

With --sweep-concurrency the lab is sized once for each number of worker threads of its
gateway, with a CPU limit where one follows after @, and the setting that requests the
least for the planned rate is recommended, with what the CPU quota costs. Each sizing
has a folder of its own.

It leaves a run directory with report.html, report.md, recommendation.json and
manifests/.

Exit codes: 0 recommended, and the proof agrees (with --from-prometheus: there is
none); 1 could not be done; 2 wrong
use; 3 infeasible, or the proof contradicts; 4 measurement not valid; 5 a guard
stopped the load; 130 and 143 interrupted and terminated.`,
		Example: `  sailplan size --quick
  sailplan size checkout.yaml --out runs/checkout --json -
  sailplan size checkout.yaml --explain
  sailplan size --proxy embedded --quick
  sailplan size --quick --sweep-concurrency 1,1@1,2@2
  sailplan size --from-prometheus checkout.yaml --since 7d`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			if len(given) > 0 {
				o.scenario = given[0]
			}
			if err := history.check(c); err != nil {
				return usage(err)
			}
			if sweep != "" {
				switch {
				case history.use:
					return usage(errors.New("--sweep-concurrency starts labs, and --from-prometheus sends nothing"))
				case o.outputs.calibrate != "":
					return usage(errors.New("--sweep-concurrency compares labs: calibrate the sizing that is chosen, with analyze --calibrate"))
				}
				return a.sweep(c.Context(), o, sweep)
			}
			if history.use {
				return a.fromPrometheus(c.Context(), o, history)
			}
			need := needsObjective
			if o.outputs.calibrate != "" {
				if _, err := openCalibration(o.outputs.calibrate); err != nil {
					return err
				}
				need = needsLab
			}
			return a.drive(c.Context(), o, need, experiment.Size)
		},
	}
	o.flags(c)
	o.outputs.explainFlag(c)
	o.outputs.calibrateFlag(c)
	history.flags(c)
	c.Flags().StringVar(&sweep, "sweep-concurrency", "", "size a lab with each of these `THREADS[@CPU]` of its gateway, for instance 1,2@500m,2@2, and choose")
	c.Flags().BoolVar(&o.quick, "quick", false, "answer within 90 seconds, with wider intervals")
	return c
}

// experimentFunc is an experiment: it leaves a run directory.
type experimentFunc func(context.Context, experiment.Options) (record.Ending, error)

// needsObjective refuses a scenario that `size` can't find an edge for.
func needsObjective(s scenarios.Scenario) error {
	switch {
	case len(s.Objectives) == 0:
		return fmt.Errorf("scenario %s: size needs objectives, for instance `objectives: [{quantile: 0.99, latency: 50ms}]`", s.Metadata.Name)
	case s.Load.Arrivals == scenarios.Closed:
		return fmt.Errorf("scenario %s: size needs open arrivals, poisson or constant: a closed loop slows down with the system and hides its edge", s.Metadata.Name)
	}
	return nil
}

// drive runs an experiment, then analyses the directory that it left and writes
// the reports.
func (a *app) drive(ctx context.Context, o driveOptions, need func(scenarios.Scenario) error, run experimentFunc) error {
	scenario, err := a.loadScenario(o.scenario)
	if err != nil {
		return usage(err)
	}
	return a.driveScenario(ctx, o, scenario, need, run)
}

// driveScenario is drive with a scenario that was read already.
func (a *app) driveScenario(ctx context.Context, o driveOptions, scenario scenarios.Scenario, need func(scenarios.Scenario) error, run experimentFunc) error {
	if scenario.Lab != nil && o.proxy != "" {
		scenario.Lab.Proxy = o.proxy
	}
	if err := scenarios.Validate(scenario); err != nil {
		return usage(err)
	}
	if o.workers < 1 {
		return usage(fmt.Errorf("--workers %d: at least one thread has to send", o.workers))
	}
	if err := need(scenario); err != nil {
		return usage(err)
	}
	streams := a.streams(o.outputs)
	tty, width := terminalOf(streams.progress)
	view := live.New(streams.progress, live.Options{
		Terminal: tty, Width: width, Quiet: o.quiet, Unjudged: len(scenario.Objectives) == 0, Now: time.Now,
	})
	defer view.Close()
	exporter, stopExporter, err := a.export(o.listen, view)
	if err != nil {
		return err
	}
	defer stopExporter()
	options := experiment.Options{
		Scenario: scenario,
		Quick:    o.quick,
		Dir:      o.out,
		Tool:     a.tool(),
		Observer: view,
		Workers:  o.workers,

		Environment: a.Environ(),
	}
	if exporter != nil {
		options.Observer, options.Sink = watchers{view, exporter}, exporter
	}
	if options.Dir == "" {
		options.Dir = filepath.Join(runsDir, scenario.Metadata.Name+"-"+timestamp(time.Now()))
	}
	if options.StateDir, err = a.stateDir(); err != nil {
		return err
	}
	if options.Self, err = a.self(); err != nil {
		return err
	}
	if scenario.Lab != nil {
		if options.Proxy, err = a.chooseProxy(ctx, scenario.Lab.Proxy, o.envoy, view.Note); err != nil {
			return err
		}
	} else if !o.quiet {
		view.Note("target: " + scenario.Target.URL)
	}
	ending, runErr := run(ctx, options)
	view.Close()
	if errors.Is(runErr, experiment.ErrDirExists) {
		return usage(runErr)
	}
	return a.conclude(options.Dir, ending, hinted(runErr, scenario.Target), streams, o.outputs)
}

// loadScenario reads a scenario file, or the built-in quickstart for "".
func (a *app) loadScenario(name string) (scenarios.Scenario, error) {
	data, _ := scenarios.Example("quickstart")
	if name == "" {
		name = "the built-in quickstart"
	} else {
		var err error
		if data, err = a.readFile(name); err != nil {
			return scenarios.Scenario{}, fmt.Errorf("scenario: %w", err)
		}
	}
	s, err := scenarios.Decode(name, data)
	if err != nil {
		return scenarios.Scenario{}, err
	}
	completed := scenarios.Defaults(*s)
	if err := scenarios.Validate(completed); err != nil {
		return completed, err
	}
	return completed, scenarios.ValidateFiles(completed)
}

// chooseProxy decides what the lab runs on and says so in the first line.
func (a *app) chooseProxy(ctx context.Context, kind, path string, note func(string)) (experiment.Proxy, error) {
	if kind == scenarios.ProxyEmbedded {
		note("proxies: the embedded stand-in, as asked; its figures are not Envoy's")
		return experiment.Proxy{Kind: scenarios.ProxyEmbedded}, nil
	}
	cache, err := a.cacheDir()
	if err != nil {
		return experiment.Proxy{}, err
	}
	found, err := lab.FindEnvoy(lab.EnvoyPlaces{
		Explicit: path, Environment: a.env("SAILPLAN_ENVOY"), CacheDir: cache, SearchPath: a.env("PATH"),
	})
	if errors.Is(err, lab.ErrNoEnvoy) {
		note("no Envoy found: installing " + lab.EnvoyRelease + " into " + cache + " (this does not count into the time)")
		found.Source = "just installed"
		found.Path, err = lab.InstallEnvoy(ctx, lab.Installation{CacheDir: cache, Environ: a.Environ()})
	}
	if err == nil {
		var version string
		if version, err = lab.EnvoyVersion(ctx, found.Path); err == nil {
			note("proxies: real Envoy " + version + " (" + found.Source + ")")
			return experiment.Proxy{Kind: scenarios.ProxyEnvoy, EnvoyPath: found.Path}, nil
		}
	}
	if kind == scenarios.ProxyEnvoy || path != "" || a.env("SAILPLAN_ENVOY") != "" || ctx.Err() != nil {
		return experiment.Proxy{}, fmt.Errorf("real Envoy was asked for: %w", err)
	}
	note("proxies: the embedded stand-in, its figures are not Envoy's (" + err.Error() + ")")
	return experiment.Proxy{Kind: scenarios.ProxyEmbedded}, nil
}
