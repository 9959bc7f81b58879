package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/cmd/internal/live"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// abOptions are the flags of ab.
type abOptions struct {
	verdictOptions
	base, after             string // URL or scenario
	baseEnvoy, afterEnvoy   string
	baseStart, afterStart   string
	pairs                   string // a number, or auto
	maxTime                 time.Duration
	together                bool
	out                     string
	foreseeBy               string // folder of earlier runs
	quiet                   bool
	rate                    string
	duration                time.Duration
	connections, streamsPer int
}

func (a *app) abCommand() *cobra.Command {
	var o abOptions
	c := &cobra.Command{
		Use:   "ab --base URL|SCENARIO --new URL|SCENARIO",
		Short: "Measure two sides in turns, and say whether the new one is worse",
		Long: `ab sends the same load to two systems in turns, A B B A, so that what the machine
does meanwhile does not favour either, and compares pair by pair. It adds pairs until
each metric is decided, or the time is up. A pair with a run that is not valid is
measured again. Which changes so many pairs will show is told as soon as four pairs tell
the scatter, or before the first one by --foresee-by. With --together both sides of a
pair are measured at the same time, as a canary is: what disturbs then disturbs both
alike, and they disturb each other alike.

` + looksWords() + `

A side is a URL, a scenario with a target or with a lab (two DestinationRules are two
scenarios; two Envoy binaries are --base-envoy and --new-envoy), or a shell command
that starts the system before each of its runs and is ended after it.

The same serves a canary: the base is the old gateway, the new side the canary, and the
answer is promote, roll back, or not decided.

It leaves a folder of run directories, which compare reads too, with ab.json and
report.html.

Exit code: 0 nothing regressed, 3 something did, 4 not valid.`,
		Example: `  sailplan ab --base http://127.0.0.1:8080/ --new http://127.0.0.1:8081/ --rate 2000/s
  sailplan ab --base old.yaml --new new.yaml --pairs 12
  sailplan ab --base lab.yaml --new lab.yaml --base-envoy envoy-1.39 --new-envoy envoy-1.40
  sailplan ab --base http://gateway-old:80/ --new http://gateway-new:80/ --rate 500/s --together
  sailplan ab --base http://127.0.0.1:8080/ --new http://127.0.0.1:8080/ \
    --base-start './server-old -port 8080' --new-start './server-new -port 8080'`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return a.ab(c, o) },
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&o.base, "base", "", "`URL|SCENARIO` that is there already")
	f.StringVar(&o.after, "new", "", "`URL|SCENARIO` that is to be judged")
	f.StringVar(&o.baseEnvoy, "base-envoy", "", "Envoy binary of the base's lab")
	f.StringVar(&o.afterEnvoy, "new-envoy", "", "Envoy binary of the new side's lab")
	f.StringVar(&o.baseStart, "base-start", "", "shell `COMMAND` that is the base; it runs while the base is measured")
	f.StringVar(&o.afterStart, "new-start", "", "shell `COMMAND` that is the new side")
	f.StringVar(&o.pairs, "pairs", "auto", "how many pairs, or auto: until each metric is decided")
	f.BoolVar(&o.together, "together", false, "measure both sides of a pair at the same time instead of in turns")
	f.DurationVar(&o.maxTime, "max-time", 20*time.Minute, "begin no pair that would end later than this")
	f.StringVar(&o.foreseeBy, "foresee-by", "", "`FOLDER` of earlier runs of the base, or of an earlier ab: their scatter tells before the first pair which changes will show")
	f.StringVar(&o.rate, "rate", "", "requests a second, instead of the scenarios' (default 100/s for a URL)")
	f.DurationVar(&o.duration, "duration", 0, "of each run, instead of the scenarios' (default 10s for a URL)")
	f.IntVar(&o.connections, "connections", 0, "connections, instead of the scenarios'")
	f.IntVar(&o.streamsPer, "streams", 0, "requests in flight on a connection at most")
	f.StringVar(&o.out, "out", "", "folder for the runs (default: "+runsDir+"/ab-TIME)")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	return c
}

func (a *app) ab(c *cobra.Command, o abOptions) error {
	margins, err := o.check()
	if err != nil {
		return err
	}
	planned := 0
	if o.pairs != "auto" {
		if planned, err = strconv.Atoi(o.pairs); err != nil || planned < 1 {
			return usage(fmt.Errorf("--pairs %q: a number of pairs, or auto", o.pairs))
		}
	}
	if o.base == "" || o.after == "" {
		return usage(errors.New("both --base and --new are needed\nsee `sailplan ab --help`"))
	}
	if o.together && o.baseStart != "" && o.afterStart != "" && o.base == o.after {
		return usage(errors.New("--together starts both sides at once, so their commands need different addresses in --base and --new"))
	}
	s := a.streams(o.outputOptions)
	tty, width := terminalOf(s.progress)
	view := live.New(s.progress, live.Options{Terminal: tty, Width: width, Quiet: o.quiet, Now: time.Now})
	defer view.Close()
	dir := o.out
	if dir == "" {
		dir = filepath.Join(runsDir, "ab-"+timestamp(time.Now()))
	}
	base, err := a.side(c, o, "base", o.base, o.baseEnvoy, o.baseStart, view)
	if err != nil {
		return err
	}
	// Only one of two phases at the same time is shown while it goes.
	if o.together {
		base.Options.Observer = besides{view}
	}
	after, err := a.side(c, o, "new", o.after, o.afterEnvoy, o.afterStart, view)
	if err != nil {
		return err
	}
	note := view.Note
	if o.quiet {
		note = func(string) {}
	}
	judge := &pairJudge{note: note, planned: planned, began: time.Now(), most: o.maxTime, margins: margins, restored: o.restored}
	if o.foreseeBy != "" {
		if err := judge.foreseeBy(o.foreseeBy, base.Options.Scenario); err != nil {
			return err
		}
	}
	ending, err := experiment.AB(c.Context(), experiment.ABOptions{Dir: dir, Base: base, New: after, Together: o.together, More: judge.more, Begin: judge.begin, Pair: judge.pair})
	view.Close()
	if errors.Is(err, experiment.ErrDirExists) {
		return usage(err)
	}
	if ending == record.EndedGuard {
		err = errors.Join(err, errors.New("a guard ended that run, so its pair is not compared: where it was the new side's, roll back; to see by how much it is worse, allow more with that guard"))
	}
	if judge.failed != nil {
		err = errors.Join(err, judge.failed)
	}
	comparison, compareErr := judge.compare()
	if compareErr != nil {
		if err == nil {
			err = compareErr
		}
		return exitError{codeOf(ending, analysis.Result{Outcome: analysis.Incomplete}), err}
	}
	o.html = filepath.Join(dir, "report.html")
	encoded, encodeErr := encodeResult(comparison)
	if encodeErr != nil {
		return encodeErr
	}
	if err := writeFile(filepath.Join(dir, "ab.json"), encoded); err != nil {
		return err
	}
	told := a.tellComparison(comparison, o.verdictOptions)
	fmt.Fprintf(s.table, "\nIn %s: the runs, ab.json, report.html\n", dir)
	if err != nil || ending != record.EndedDone {
		return exitError{codeOf(ending, analysis.Result{Outcome: analysis.Incomplete}), err}
	}
	return told
}

// side reads one side of ab.
func (a *app) side(c *cobra.Command, o abOptions, name, what, envoy, start string, view *live.View) (experiment.Side, error) {
	var side experiment.Side
	scenario, err := a.scenarioOf(what)
	if err != nil {
		return side, usage(fmt.Errorf("--%s: %w", name, err))
	}
	load := runOptions{rate: o.rate, duration: o.duration, connections: o.connections, streams: o.streamsPer}
	if err := load.apply(&scenario, c.Flags().Changed, isURL(what)); err != nil {
		return side, usage(err)
	}
	scenario = scenarios.Defaults(scenario)
	if err := errors.Join(scenarios.Validate(scenario), needsLoad(scenario)); err != nil {
		return side, usage(fmt.Errorf("--%s: %w", name, err))
	}
	if start != "" && scenario.Lab != nil {
		return side, usage(fmt.Errorf("--%s-start is about a target, but its scenario describes a lab", name))
	}
	side = experiment.Side{Name: name, Start: start, Options: experiment.Options{
		Scenario: scenario, Tool: a.tool(), Observer: view, Workers: 1, Environment: a.Environ(),
	}}
	if side.Options.StateDir, err = a.stateDir(); err != nil {
		return side, err
	}
	if side.Options.Self, err = a.self(); err != nil {
		return side, err
	}
	if scenario.Lab != nil {
		side.Options.Proxy, err = a.chooseProxy(c.Context(), scenario.Lab.Proxy, envoy, func(message string) {
			// Each side has a flag of its own for what is --envoy elsewhere.
			view.Note(name + ": " + strings.Replace(message, "(--envoy)", "(--"+name+"-envoy)", 1))
		})
	} else if envoy != "" {
		return side, usage(fmt.Errorf("--%s-envoy is about a lab, but that side is a target", name))
	}
	return side, err
}

// besides observes a run without showing its phase while it goes.
type besides struct{ *live.View }

func (besides) PhaseStart(int, scenarios.Phase) {}
func (besides) Tick(record.Tick)                {}

// pairJudge decides whether further pairs are worth it.
type pairJudge struct {
	note        func(string)
	planned     int // 0: until decided
	began       time.Time
	most        time.Duration
	margins     map[string]float64
	restored    bool
	base, after []*record.Record
	longest     time.Duration // of a pair
	pairBegan   time.Time
	good        int // pairs that are valid on both sides
	next        int // of them at the next look
	expected    []compare.Expectation
	foretold    string // by what, in words
	failed      error
}

// triesPerPair is how many pairs are measured for one that counts, at most.
const triesPerPair = 2

// triesInVain is after how many pairs it ends when none of them counts: what is wrong with
// all of these is wrong with the next ones, too.
const triesInVain = 4

func (j *pairJudge) more(tried int) bool {
	now := time.Now()
	defer func() { j.pairBegan = now }()
	if j.failed != nil {
		return false
	}
	if tried > 0 {
		j.longest = max(j.longest, now.Sub(j.pairBegan))
		if now.Sub(j.began)+j.longest > j.most {
			j.note(fmt.Sprintf("after %d pairs the time is up (--max-time %s)", tried, j.most))
			return false
		}
	}
	if j.good == 0 && tried >= triesInVain {
		j.note(fmt.Sprintf("none of the first %d pairs counts, so no more are measured", tried))
		return false
	}
	if j.failed = j.foresee(tried, now); j.failed != nil {
		return false
	}
	until := j.planned
	if until == 0 {
		if j.next == 0 {
			j.next = compare.FirstLook()
			j.note(firstLookWords())
		}
		until = j.next
	}
	if j.good < until {
		if tried >= triesPerPair*until {
			j.note(fmt.Sprintf("of %d pairs only %d are valid on both sides", tried, j.good))
			return false
		}
		return true
	}
	if j.planned > 0 {
		return false
	}
	comparison, err := j.compare()
	if err != nil {
		j.failed = err
		return false
	}
	j.note(fmt.Sprintf("after %d pairs: %s", j.good, comparison.OutcomeReason))
	next, ok := compare.NextLook(j.good)
	j.next = next
	return ok && !compare.Decided(comparison.Findings)
}

// begin says what is measured now: what follows looks alike for both sides.
func (j *pairJudge) begin(pair int, side string) {
	if side == "" {
		side = "both sides"
	}
	j.note(fmt.Sprintf("pair %d: %s", pair+1, side))
}

// pair reads the runs of a pair.
func (j *pairJudge) pair(pair int, base, after string) {
	valid := true
	for _, side := range []struct {
		dir  string
		runs *[]*record.Record
	}{{base, &j.base}, {after, &j.after}} {
		rec, err := record.Open(side.dir)
		if err != nil {
			j.failed = err
			return
		}
		*side.runs = append(*side.runs, rec)
		if why := analysis.WhyNotCompared(rec); why != "" {
			valid = false
			j.note(fmt.Sprintf("pair %d does not count: %s: %s", pair+1, filepath.Base(side.dir), why))
		}
	}
	if valid {
		j.good++
	}
}

func (j *pairJudge) compare() (analysis.Comparison, error) {
	n := min(len(j.base), len(j.after))
	if n == 0 {
		return analysis.Comparison{}, errors.New("no pair was measured")
	}
	comparison, err := analysis.CompareRuns(j.base[:n], j.after[:n], j.margins, analysis.Pairing{Paired: true, Looks: j.planned == 0, Restored: j.restored})
	comparison.Expected = j.expected
	return comparison, err
}
