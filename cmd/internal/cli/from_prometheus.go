package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/cmd/internal/live"
	"github.com/sailplan-io/sailplan/scenarios"
)

// historyOptions are the flags of a sizing without a load.
type historyOptions struct {
	use      bool
	since    string
	from, to string // RFC 3339
}

func (o *historyOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.use, "from-prometheus", false, "send nothing: size from what observe.prometheus has seen in production")
	f.StringVar(&o.since, "since", "7d", "with --from-prometheus: how far back, for instance 12h or 7d")
	f.StringVar(&o.from, "from", "", "with --from-prometheus: start of the range, as `TIME` in RFC 3339")
	f.StringVar(&o.to, "to", "", "with --from-prometheus: end of the range (default: now)")
}

// leastWindows is how many windows a range has room for at least.
const leastWindows = 4

// between returns the range of time that the flags name.
func (o historyOptions) between(now time.Time) (from, to time.Time, err error) {
	to = now.Truncate(time.Second)
	if o.to != "" {
		if to, err = time.Parse(time.RFC3339, o.to); err != nil {
			return from, to, fmt.Errorf("--to %s: not a time as 2026-11-22T12:00:00Z", o.to)
		}
	}
	if o.from != "" {
		if from, err = time.Parse(time.RFC3339, o.from); err != nil {
			return from, to, fmt.Errorf("--from %s: not a time as 2026-11-22T12:00:00Z", o.from)
		}
	} else {
		since, err := model.ParseDuration(o.since)
		if err != nil {
			return from, to, fmt.Errorf("--since %s: not a duration as 12h or 7d", o.since)
		}
		from = to.Add(-time.Duration(since))
	}
	if to.After(now) {
		return from, to, fmt.Errorf("--to %s lies in the future", o.to)
	}
	length := to.Sub(from)
	if least := leastWindows * analysis.WindowLength(experiment.ObserveStep(length)); length < least {
		return from, to, fmt.Errorf("from %s to %s is too short a time to learn from: at least %s are needed", from.Format(time.RFC3339), to.Format(time.RFC3339), least)
	}
	return from, to, nil
}

// check refuses flags that do not go together.
func (o historyOptions) check(c *cobra.Command) error {
	given := func(names ...string) string {
		at := slices.IndexFunc(names, c.Flags().Changed)
		if at < 0 {
			return ""
		}
		return names[at]
	}
	switch {
	case !o.use:
		if name := given("since", "from", "to"); name != "" {
			return fmt.Errorf("--%s says which time --from-prometheus reads: add --from-prometheus", name)
		}
	case given("quick", "proxy", "envoy", "listen", "workers", "calibrate") != "":
		return fmt.Errorf("--%s is of a load, and --from-prometheus sends none", given("quick", "proxy", "envoy", "listen", "workers", "calibrate"))
	case given("since") != "" && given("from") != "":
		return errors.New("--since and --from both say where the range begins: leave one of them out")
	}
	return nil
}

// needsHistory refuses a scenario that production cannot be read with.
func needsHistory(s scenarios.Scenario) error {
	counted := slices.ContainsFunc(s.Observe.Components, func(c scenarios.ObservedComponent) bool { return c.Prometheus.Requests != "" })
	used := slices.ContainsFunc(s.Observe.Components, func(c scenarios.ObservedComponent) bool { return c.Prometheus.CPUSeconds != "" })
	switch {
	case s.Target == nil:
		return fmt.Errorf("scenario %s: --from-prometheus is about a system that runs, and the scenario describes a lab: name a target", s.Metadata.Name)
	case s.Observe.Prometheus == "":
		return fmt.Errorf("scenario %s: --from-prometheus needs observe.prometheus, the URL to ask", s.Metadata.Name)
	case !counted:
		return fmt.Errorf("scenario %s: --from-prometheus needs to know the rate: name observe.components[].prometheus.requests of the component that the load enters by", s.Metadata.Name)
	case !used:
		return fmt.Errorf("scenario %s: --from-prometheus needs observe.components[].prometheus.cpuSeconds of a component at least", s.Metadata.Name)
	}
	return nil
}

// fromPrometheus sizes without a load.
func (a *app) fromPrometheus(ctx context.Context, o driveOptions, history historyOptions) error {
	if o.scenario == "" {
		return usage(errors.New("--from-prometheus needs a scenario that says what to ask"))
	}
	scenario, err := a.loadScenario(o.scenario)
	if err == nil {
		err = needsHistory(scenario)
	}
	if err != nil {
		return usage(err)
	}
	from, to, err := history.between(time.Now())
	if err != nil {
		return usage(err)
	}
	streams := a.streams(o.outputs)
	tty, width := terminalOf(streams.progress)
	view := live.New(streams.progress, live.Options{Terminal: tty, Width: width, Quiet: o.quiet, Now: time.Now})
	defer view.Close()
	options := experiment.Options{Scenario: scenario, Dir: o.out, Tool: a.tool(), Observer: view}
	if options.Dir == "" {
		options.Dir = filepath.Join(runsDir, scenario.Metadata.Name+"-observed-"+timestamp(time.Now()))
	}
	ending, runErr := experiment.Observe(ctx, options, from, to)
	view.Close()
	if errors.Is(runErr, experiment.ErrDirExists) {
		return usage(runErr)
	}
	return a.conclude(options.Dir, ending, runErr, streams, o.outputs)
}
