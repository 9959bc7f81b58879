package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/scenarios"
)

func (a *app) scenarioCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "scenario",
		Short: "Write, check and describe scenario files",
		Args:  args(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.scenarioInitCommand(), a.scenarioValidateCommand(), a.scenarioSchemaCommand())
	return c
}

func (a *app) scenarioInitCommand() *cobra.Command {
	var example string
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented scenario to start from",
		Long:  `init writes a scenario in which every key is explained, to standard output or to a file that does not exist yet.`,
		Example: `  sailplan scenario init checkout.yaml
  sailplan scenario init --example target > checkout.yaml`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			data, ok := scenarios.Example(example)
			if !ok {
				return usage(fmt.Errorf("no example %q: there are %q", example, scenarios.Examples()))
			}
			if len(given) == 0 || given[0] == "-" {
				_, err := a.Stdout.Write(data)
				return err
			}
			f, err := os.OpenFile(given[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return usage(fmt.Errorf("%s exists already: name another file, or remove it", given[0]))
			}
			if err != nil {
				return err
			}
			_, err = f.Write(data)
			return errors.Join(err, f.Close())
		},
	}
	c.Flags().StringVar(&example, "example", "init", fmt.Sprintf("which: one of %q", scenarios.Examples()))
	return c
}

func (a *app) scenarioValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "validate FILE…",
		Short:   "Check scenario files",
		Long:    `validate reads scenario files strictly and reports everything that is wrong, each with file, line and column. Exit code 2 when something is.`,
		Example: `  sailplan scenario validate checkout.yaml`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			var errs []error
			for _, name := range given {
				if _, err := a.loadScenario(name); err != nil {
					errs = append(errs, err)
					continue
				}
				fmt.Fprintf(a.Stdout, "%s: valid\n", name)
			}
			if err := errors.Join(errs...); err != nil {
				return usage(err)
			}
			return nil
		},
	}
}

func (a *app) scenarioSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of scenario files",
		Example: `  sailplan scenario schema > sailplan.schema.json`,
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Stdout.Write(scenarios.Schema())
			return err
		},
	}
}
