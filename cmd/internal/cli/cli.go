package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// Process is all that a command sees of the process it runs in.
type Process struct {
	Version    string
	Stdin      io.Reader
	Stdout     io.Writer
	Stderr     io.Writer
	LookupEnv  func(string) (string, bool)
	Environ    func() []string // as NAME=value, for programs that are run for the user
	Executable func() (string, error)
}

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNo          = 3 // the answer is no
	exitInvalid     = 4 // measurement not valid, so no answer
	exitGuard       = 5
	exitInterrupted = 130
	exitTerminated  = 143
)

// exitError is an error, or with a nil err just an end, with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

func usage(err error) error { return exitError{exitUsage, err} }

// childCommand is the hidden subcommand that lab children run as.
const childCommand = "lab-child"

// Main runs one command line and returns its exit code.
func Main(args []string, process Process) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	// A lab child is told what to do by its parent, and ends by the signals' default.
	if len(args) > 0 && args[0] == childCommand {
		if err := lab.Child(ctx, args[1:], process.Stdout, process.Stderr); err != nil {
			fmt.Fprintln(process.Stderr, err)
			return exitFailed
		}
		return exitDone
	}
	received := make(chan syscall.Signal, 1)
	finished := make(chan struct{})
	defer close(finished)
	go watchSignals(finished, func(s syscall.Signal) {
		received <- s
		cancel(experiment.Interrupted{By: signalName(s)})
	})
	root := newRoot(process)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	select {
	case s := <-received:
		code := exitInterrupted
		if s == syscall.SIGTERM {
			code = exitTerminated
		}
		tell(process.Stderr, err)
		return code
	default:
	}
	return tell(process.Stderr, err)
}

// watchSignals calls interrupt at the first signal, once. A second one ends the
// program at once, and the lab dies with it; but one that follows within a second
// is the first again, since terminals and shells signal a process and its group.
func watchSignals(finished <-chan struct{}, interrupt func(syscall.Signal)) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	select {
	case <-finished:
		return
	case s := <-signals:
		number, _ := s.(syscall.Signal)
		interrupt(number)
	}
	repeat := time.NewTimer(time.Second)
	defer repeat.Stop()
	select {
	case <-finished:
	case <-repeat.C:
	}
}

// tell prints an error, unless it is only an exit code whose reason has been
// told already, and returns its exit code.
func tell(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	coded := exitError{code: exitFailed}
	if !errors.As(err, &coded) || coded.err != nil {
		fmt.Fprintln(w, "sailplan:", err)
	}
	return coded.code
}

// terminatedBy names the signal of an orderly shutdown, in records too.
const terminatedBy = "SIGTERM"

// signalName is what the user, or whoever else, did.
func signalName(s syscall.Signal) string {
	if s == syscall.SIGTERM {
		return terminatedBy
	}
	return "Ctrl-C"
}

func newRoot(process Process) *cobra.Command {
	root := &cobra.Command{
		Use:   "sailplan",
		Short: "Load testing and capacity planning for Istio meshes",
		Long: `sailplan drives HTTP/2 load through gateways and sidecars, samples what they
consume, fits models to it, recommends replicas, limits and thresholds, and then
proves the recommendation with another run.`,
		Example: `  sailplan size                      size the built-in example in a lab on this machine
  sailplan size checkout.yaml        size what a scenario describes
  sailplan run checkout.yaml         send the scenario's load and report
  sailplan report sailplan-runs/…    write the reports of a run again`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(c *cobra.Command, given []string) error {
			if len(given) == 0 {
				return nil
			}
			hint := "see `sailplan --help`"
			if near := c.SuggestionsFor(given[0]); len(near) > 0 {
				hint = "did you mean " + strings.Join(near, " or ") + "?"
			}
			return usage(fmt.Errorf("unknown command %q: %s", given[0], hint))
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(process.Stdin)
	root.SetOut(process.Stdout)
	root.SetErr(process.Stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nsee `%s --help`", err, c.CommandPath()))
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	app := &app{process}
	root.AddCommand(
		app.sizeCommand(), app.runCommand(), app.analyzeCommand(), app.reportCommand(),
		app.compareCommand(), app.abCommand(), app.historyCommand(), app.fitCommand(), app.auditCommand(), app.breakerCommand(),
		app.scenarioCommand(), app.labCommand(), app.versionCommand(),
	)
	return root
}

// app is what the commands share.
type app struct{ Process }

// args wraps a positional-argument check so that its error is a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if err := check(c, given); err != nil {
			return usage(fmt.Errorf("%w\nsee `%s --help`", err, c.CommandPath()))
		}
		return nil
	}
}

func (a *app) env(name string) string {
	value, _ := a.LookupEnv(name)
	return value
}

// cacheDir is where downloads are kept between runs.
func (a *app) cacheDir() (string, error) {
	if dir := a.env("SAILPLAN_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache folder: %w; name one in SAILPLAN_CACHE", err)
	}
	return filepath.Join(dir, "sailplan"), nil
}

// stateDir is where running labs are registered, so that the next start can
// remove what a killed one left.
func (a *app) stateDir() (string, error) {
	cache, err := a.cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "state")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	return dir, nil
}

func (a *app) self() ([]string, error) {
	path, err := a.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program itself: %w", err)
	}
	return []string{path, childCommand}, nil
}

func (a *app) tool() record.Tool {
	tool := record.Tool{Name: "sailplan", Version: a.Version, GoVersion: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				tool.Revision = s.Value
			}
		}
	}
	return tool
}

// terminalOf reports whether the stream is a terminal, and how wide.
func terminalOf(w io.Writer) (is bool, width int) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return false, 0
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		return true, width
	}
	return true, 80
}

// timestamp names a run directory by the moment of its start.
func timestamp(t time.Time) string { return t.Format("2006-01-02T15-04-05") }
