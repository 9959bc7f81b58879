package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports"
)

// verdictOptions are what commands share that compare.
type verdictOptions struct {
	outputOptions
	html         string
	inconclusive string
	margins      []string
	restored     bool
}

func (o *verdictOptions) flags(c *cobra.Command) {
	o.outputOptions.flags(c)
	c.Flags().StringVar(&o.html, "html", "", "write an HTML report to `FILE`")
	c.Flags().StringVar(&o.inconclusive, "inconclusive", "pass", "what the exit code says when nothing regressed but not everything is known: pass (0) or fail (3)")
	c.Flags().BoolVar(&o.restored, "restored", false, "the new side has to be what the base was: routing, statuses and telemetry count, too")
	c.Flags().StringArrayVar(&o.margins, "margin", nil, "`METRIC=PERCENT` up to which a change does not matter, as 'latency p99=15%'; instead of the scenario's; can be repeated")
}

// check reads the flags' values.
func (o *verdictOptions) check() (map[string]float64, error) {
	if o.inconclusive != "pass" && o.inconclusive != "fail" {
		return nil, usage(fmt.Errorf("--inconclusive is pass or fail, not %q", o.inconclusive))
	}
	margins := map[string]float64{}
	for _, text := range o.margins {
		name, share, ok := strings.Cut(text, "=")
		percent, isPercent := strings.CutSuffix(strings.TrimSpace(share), "%")
		value, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		if !ok || err != nil || !isPercent || !(value >= 0 && value <= 1000) {
			return nil, usage(fmt.Errorf("--margin %q: write it as 'latency p99=15%%'", text))
		}
		margins[strings.TrimSpace(name)] = value / 100
	}
	return margins, nil
}

func (a *app) compareCommand() *cobra.Command {
	var o verdictOptions
	c := &cobra.Command{
		Use:   "compare BASE… [--] NEW…",
		Short: "Say whether new runs are worse than those of the base",
		Long: `compare reads run directories, or folders of them, of one scenario, and says of
each metric whether the new side regressed, improved, is equivalent within its
margin, or whether these runs cannot tell.

A run is one measurement, however long it lasts: four runs a side are the fewest
with which anything small can be told, ten are good. With two arguments the first is
the base; with more, -- stands between the sides. Runs that are not valid are left
out and named. Margins are those of the scenario of the last new run.

With --restored the new runs were made after a rollback or a restore, and the base
before what is undone: which backends answer, with which statuses, and which metrics
components have must be as they were as well.

Exit code: 0 nothing regressed, 3 something did, 4 no valid runs, 2 runs that cannot
be compared.`,
		Example: `  sailplan compare runs/main runs/pull-request
  sailplan compare main-1 main-2 main-3 main-4 -- new-1 new-2 new-3 new-4
  sailplan compare runs/main runs/new --markdown comment.md --inconclusive=fail
  sailplan compare runs/main runs/new --margin 'latency p99=15%'
  sailplan compare runs/before runs/after-rollback --restored`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(c *cobra.Command, given []string) error {
			margins, err := o.check()
			if err != nil {
				return err
			}
			base, after, err := sides(given, c.ArgsLenAtDash())
			if err != nil {
				return err
			}
			old, err := openRuns(base)
			if err != nil {
				return err
			}
			fresh, err := openRuns(after)
			if err != nil {
				return err
			}
			comparison, err := analysis.CompareRuns(old, fresh, margins, analysis.Pairing{Restored: o.restored})
			if err != nil {
				return usage(err)
			}
			if err := knownMargins(margins, comparison.Findings); err != nil {
				return err
			}
			return a.tellComparison(comparison, o)
		},
	}
	o.flags(c)
	return c
}

// sides tells the base's arguments from the others'.
func sides(given []string, dash int) (base, after []string, err error) {
	switch {
	case dash > 0 && dash < len(given):
		return given[:dash], given[dash:], nil
	case dash < 0 && len(given) == 2:
		return given[:1], given[1:], nil
	}
	return nil, nil, usage(errors.New("with more than two arguments, write -- between the runs of the base and the new ones\nsee `sailplan compare --help`"))
}

// openRuns opens run directories, and those in folders of them.
func openRuns(paths []string) ([]*record.Record, error) {
	var all []*record.Record
	for _, path := range paths {
		dirs, err := runsIn(path)
		if err != nil {
			return nil, usage(err)
		}
		for _, dir := range dirs {
			rec, err := record.Open(dir)
			if err != nil {
				return nil, usage(err)
			}
			all = append(all, rec)
		}
	}
	return all, nil
}

// runFile is what makes a folder a run directory.
const runFile = "run.json"

// runsIn returns the run directories that a path stands for.
func runsIn(path string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(path, runFile)); err == nil {
		return []string{path}, nil
	}
	var found []string
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && entry.Name() == runFile {
			found = append(found, filepath.Dir(name))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for runs in %s: %w", path, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s is no run directory, and has none in it: a run directory has a %s", path, runFile)
	}
	slices.Sort(found)
	return found, nil
}

// knownMargins refuses a margin for what was not compared.
func knownMargins(margins map[string]float64, findings []compare.Finding) error {
	for name := range margins {
		if !slices.ContainsFunc(findings, func(f compare.Finding) bool { return f.Name == name }) {
			var names []string
			for _, f := range findings {
				names = append(names, f.Name)
			}
			return usage(fmt.Errorf("--margin: no metric is called %q; there are: %s", name, strings.Join(names, ", ")))
		}
	}
	return nil
}

// tellComparison writes a comparison in all forms, and makes it an exit code.
func (a *app) tellComparison(c analysis.Comparison, o verdictOptions) error {
	s := a.streams(o.outputOptions)
	open := reports.Skipped
	if o.inconclusive == "fail" {
		open = reports.Unknown
	}
	if err := a.tellDocument(reports.Comparison(c, open), c, o.outputOptions, o.html, s, false); err != nil {
		return err
	}
	a.annotate(c, s)
	switch c.Outcome {
	case analysis.Regression, analysis.NotRestored:
		return exitError{code: exitNo}
	case analysis.Invalid:
		return exitError{code: exitInvalid}
	case analysis.Undecided:
		if o.inconclusive == "fail" {
			return exitError{code: exitNo}
		}
	}
	return nil
}

// annotate writes what GitHub shows beside a change, when it runs there.
func (a *app) annotate(c analysis.Comparison, s streams) {
	if on, _ := a.LookupEnv("GITHUB_ACTIONS"); on != "true" {
		return
	}
	// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	tell := func(command, title, text string) {
		title = strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escape.Replace(title))
		fmt.Fprintf(s.table, "::%s title=%s::%s\n", command, title, escape.Replace(text))
	}
	if c.Outcome == analysis.Invalid {
		tell("error", "no answer", c.OutcomeReason)
	}
	for _, f := range c.Findings {
		if command := map[compare.Verdict]string{compare.Regressed: "error", compare.Inconclusive: "warning"}[f.Verdict]; command != "" {
			tell(command, fmt.Sprintf("%s %s", f.Name, f.Verdict), cmp.Or(f.Reason, string(f.Verdict)))
		}
	}
	for _, each := range c.Consistency {
		if !each.Consistent && c.Outcome == analysis.NotRestored {
			tell("error", each.What+" not as before", each.Reason)
		}
	}
	for _, d := range c.Differences {
		if !d.Expected {
			tell("warning", d.What+" differs", fmt.Sprintf("%s, and now %s", cmp.Or(d.Base, "none"), cmp.Or(d.New, "none")))
		}
	}
}
