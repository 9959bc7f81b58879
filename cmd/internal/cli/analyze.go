package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

func (a *app) analyzeCommand() *cobra.Command {
	var o outputOptions
	c := &cobra.Command{
		Use:   "analyze DIR",
		Short: "Compute the result of a run directory again",
		Long: `analyze reads a run directory, also one whose run was killed, and computes what
it says: the same models, recommendation and verdict as after the run, and the
same exit code. The reports in the directory are written again. Of a folder with the
sizings of a sweep it compares these again.

With --calibrate the CPU demand of a lab is multiplied by what a short load on your
own target used, over what the lab's model predicts at the same rate. A factor
outside of 0.5 to 2 is refused (exit code 4): then something else runs there.`,
		Example: `  sailplan analyze sailplan-runs/quickstart-2026-11-22T10-00-00
  sailplan analyze DIR --explain
  sailplan analyze LAB --calibrate sailplan-runs/checkout-2026-11-22T10-00-00
  sailplan analyze DIR --json - | jq .components`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.again(given[0], o, true)
		},
	}
	o.flags(c)
	o.explainFlag(c)
	o.calibrateFlag(c)
	return c
}

func (a *app) reportCommand() *cobra.Command {
	var o outputOptions
	c := &cobra.Command{
		Use:   "report DIR",
		Short: "Write the reports of a run directory again",
		Long: `report reads a run directory, also one whose run was killed, and writes
report.html, report.md, the result as JSON and the manifests into it. It exits
with 0 when it could write them, whatever they say; analyze exits with the
verdict.`,
		Example: `  sailplan report sailplan-runs/quickstart-2026-11-22T10-00-00
  sailplan report DIR --markdown -`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.again(given[0], o, false)
		},
	}
	o.flags(c)
	return c
}

// again concludes a run directory; verdict says whether the exit code is the
// result's.
func (a *app) again(dir string, o outputOptions, verdict bool) error {
	rec, err := record.Open(dir)
	if errors.Is(err, record.ErrNotRun) && o.calibrate == "" {
		if dirs, _ := runsIn(dir); len(dirs) > 1 {
			return a.sweepAgain(dir, dirs, o, verdict)
		}
	}
	if err != nil {
		return usage(err)
	}
	err = a.conclude(dir, rec.Ended, nil, a.streams(o), o)
	var coded exitError
	if !verdict && errors.As(err, &coded) && coded.err == nil {
		return nil
	}
	return err
}

// sweepAgain is again for the folder of a sweep.
func (a *app) sweepAgain(dir string, dirs []string, o outputOptions, verdict bool) error {
	records, err := openRuns(dirs)
	if err != nil {
		return err
	}
	err = a.concludeSweep(dir, records, a.streams(o), o)
	var coded exitError
	if !verdict && errors.As(err, &coded) && coded.err == nil {
		return nil
	}
	return err
}
