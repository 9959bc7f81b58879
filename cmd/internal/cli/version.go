package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			tool := a.tool()
			line := fmt.Sprintf("sailplan %s, %s", tool.Version, tool.GoVersion)
			if tool.Revision != "" {
				line += ", revision " + tool.Revision
			}
			_, err := fmt.Fprintln(a.Stdout, line)
			return err
		},
	}
}
