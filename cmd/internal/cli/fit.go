package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis/fit"
	"github.com/sailplan-io/sailplan/analysis/models/scaling"
	"github.com/sailplan-io/sailplan/reports"
)

// fitOptions are the flags of `fit`.
type fitOptions struct {
	model, file      string
	x, y             string // columns
	predict, inverse []float64
	noise            string
	servers          int
	html             string
	points           bool // also the table of the points
	outputs          outputOptions
}

func (a *app) fitCommand() *cobra.Command {
	var o fitOptions
	c := &cobra.Command{
		Use:   "fit MODEL DATA.csv",
		Short: "Fit a scalability, demand or queueing model to measurements in a CSV file",
		Long: `fit reads two columns of a CSV file whose first line names them, fits a model,
and says what the model predicts, with intervals, and how well models do on points
that they were not shown.

  usl        throughput against concurrency or replicas: Universal Scalability Law
  amdahl     the same without coherency, linear without contention as well
  linear     throughput in proportion
  piecewise  in proportion up to a kink, and a smaller slope beyond
  demand     CPU cores against a rate
  mmc        mean response time in seconds against a rate: a queue with c servers

--predict names values of x, --inverse values of y. A y that the model does not
reach is called infeasible, and is no error.

Exit codes: 0 fitted; 1 could not be done; 2 wrong use, or a file that can't be
fitted: too few points, a value that is no number above 0, the same x twice.`,
		Example: `  sailplan fit usl sweep.csv --x concurrency --y throughput --predict 96,128
  sailplan fit usl sweep.csv --x replicas --y rps --inverse 11048 --json -
  sailplan fit demand cpu.csv --x rps --y cores --inverse 0.75
  sailplan fit mmc latency.csv --x rps --y seconds --predict 900 --servers 4`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			o.model, o.file = given[0], given[1]
			return a.fit(o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.x, "x", "", "`COLUMN` of the concurrency, replicas or rate (default: the first of two)")
	f.StringVar(&o.y, "y", "", "`COLUMN` of the throughput, cores or seconds (default: the second of two)")
	f.Float64SliceVar(&o.predict, "predict", nil, "predict y at these `X`, with commas between")
	f.Float64SliceVar(&o.inverse, "inverse", nil, "find the x for these `Y`, with commas between")
	f.StringVar(&o.noise, "noise", "relative", "how y scatters: relative to its size, as load tests do, or constant (usl, amdahl, linear, piecewise)")
	f.IntVar(&o.servers, "servers", 0, "servers of mmc; 0 finds out")
	f.BoolVar(&o.points, "points", false, "print the points beside what was fitted, too")
	f.StringVar(&o.html, "html", "", "write an HTML report with a chart to `FILE`; - is standard output")
	o.outputs.flags(c)
	return c
}

// check turns the flags into the options of a fit.
func (o fitOptions) check() (fit.Options, error) {
	options := fit.Options{Model: o.model, Servers: o.servers, Predict: o.predict, Inverse: o.inverse}
	if !slices.Contains(fit.Models(), o.model) {
		return options, fmt.Errorf("no model %q: there are %s", o.model, strings.Join(fit.Models(), ", "))
	}
	switch o.noise {
	case "relative":
	case "constant":
		if o.model == fit.Demand || o.model == fit.MMC {
			return options, fmt.Errorf("--noise constant is for the scalability models; %s has its own", o.model)
		}
		options.Noise = scaling.Constant
	default:
		return options, fmt.Errorf("--noise %s: has to be relative or constant", o.noise)
	}
	switch {
	case o.servers != 0 && o.model != fit.MMC:
		return options, fmt.Errorf("--servers is for mmc, not for %s", o.model)
	case o.servers < 0:
		return options, fmt.Errorf("--servers %d: has to be above 0, or 0 to find out", o.servers)
	}
	return options, nil
}

func (a *app) fit(o fitOptions) error {
	options, err := o.check()
	if err != nil {
		return usage(err)
	}
	table, err := a.readTable(o)
	if err != nil {
		return usage(err)
	}
	result, err := fit.Fit(table, options)
	if err != nil {
		return usage(err)
	}
	return a.tellDocument(reports.Fit(result), result, o.outputs, o.html, a.streams(o.outputs), o.points)
}

func (a *app) readTable(o fitOptions) (fit.Table, error) {
	columns := fit.Columns{X: o.x, Y: o.y, ZeroX: fit.ZeroX(o.model)}
	if o.file == "-" {
		return fit.ReadTable("-", a.Stdin, columns)
	}
	f, err := os.Open(o.file)
	if err != nil {
		return fit.Table{}, err
	}
	table, err := fit.ReadTable(o.file, io.Reader(f), columns)
	return table, errors.Join(err, f.Close())
}
