package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// process is a process of the test's: its streams and a cache folder of its own.
type process struct {
	Process
	stdout, stderr bytes.Buffer
	cache          string
}

func newProcess(t *testing.T, stdin string) *process {
	t.Helper()
	p := &process{cache: t.TempDir()}
	p.Process = Process{
		Version: "1.2.3", Stdin: strings.NewReader(stdin), Stdout: &p.stdout, Stderr: &p.stderr,
		Environ: func() []string { return nil },
		LookupEnv: func(name string) (string, bool) {
			if name == "SAILPLAN_CACHE" {
				return p.cache, true
			}
			return "", false
		},
		Executable: func() (string, error) { return "/opt/sailplan", nil },
	}
	return p
}

const scenarioText = `apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: small}
lab: {proxy: auto}
requests: [{name: get, weight: 1, method: GET, path: /}]
load: {rate: 10/s, duration: 1s}
objectives: [{quantile: 0.99, latency: 50ms}]
demand: {peakRate: 10/s}
`

func TestCodeOf(t *testing.T) {
	for _, test := range []struct {
		name   string
		ending record.Ending
		result analysis.Result
		want   int
	}{
		{"recommended", record.EndedDone, analysis.Result{Outcome: analysis.Recommended}, 0},
		{"objectives held", record.EndedDone, analysis.Result{Outcome: analysis.Held}, 0},
		{"measured, without an objective", record.EndedDone, analysis.Result{Outcome: analysis.Measured}, 0},
		{"infeasible", record.EndedDone, analysis.Result{Outcome: analysis.Infeasible}, 3},
		{"the proof contradicts", record.EndedDone, analysis.Result{Outcome: analysis.Contradicted}, 3},
		{"an objective was missed", record.EndedDone, analysis.Result{Outcome: analysis.Missed}, 3},
		{"not valid", record.EndedDone, analysis.Result{Outcome: analysis.Invalid}, 4},
		{"incomplete", record.EndedDone, analysis.Result{Outcome: analysis.Incomplete}, 1},
		{"failed, whatever was measured", record.EndedFailed, analysis.Result{Outcome: analysis.Recommended}, 1},
		{"a guard, whatever was measured", record.EndedGuard, analysis.Result{Outcome: analysis.Held}, 5},
		{"Ctrl-C", record.EndedInterrupted, analysis.Result{EndedWhy: experiment.Interrupted{By: "Ctrl-C"}.Error()}, 130},
		{"terminated", record.EndedInterrupted, analysis.Result{EndedWhy: experiment.Interrupted{By: "SIGTERM"}.Error()}, 143},
		{"killed", "", analysis.Result{Outcome: analysis.Incomplete}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := codeOf(test.ending, test.result); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestTell(t *testing.T) {
	broken := errors.New("it broke")
	for _, test := range []struct {
		name string
		err  error
		code int
		said string
	}{
		{"nothing", nil, 0, ""},
		{"an error of no kind", broken, 1, "sailplan: it broke\n"},
		{"wrong use, wrapped", fmt.Errorf("reading: %w", usage(broken)), 2, "sailplan: reading: it broke\n"},
		{"only a code: its reason is in the report", exitError{code: 3}, 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var said bytes.Buffer
			if got := tell(&said, test.err); got != test.code || said.String() != test.said {
				t.Errorf("got %d and %q, want %d and %q", got, said.String(), test.code, test.said)
			}
		})
	}
}

func TestMainWithoutAnExperiment(t *testing.T) {
	for _, test := range []struct {
		name           string
		args           []string
		stdin          string
		code           int
		stdout, stderr string // part of it
	}{
		{"no arguments", nil, "", 0, "Usage:", ""},
		{"version", []string{"version"}, "", 0, "sailplan 1.2.3, go", ""},
		{"an unknown command that is nearly one", []string{"sise"}, "", 2, "", "did you mean size?"},
		{"an unknown flag", []string{"run", "x", "--rat"}, "", 2, "", "sailplan run --help"},
		{"too few arguments", []string{"run"}, "", 2, "", "sailplan run --help"},
		{"a scenario from standard input", []string{"scenario", "validate", "-"}, scenarioText, 0, "-: valid", ""},
		{"a broken one from standard input", []string{"scenario", "validate", "-"}, "kind: [", 2, "", "-:1:"},
		{"run without a rate", []string{"run", "-"}, strings.Replace(scenarioText, "rate: 10/s, ", "", 1), 2, "", "load.rate"},
		{"size of a closed loop", []string{"size", "-"}, strings.Replace(scenarioText, "rate: 10/s,", "arrivals: closed,", 1), 2, "", "open arrivals"},
		{"a proxy that there is not", []string{"size", "-", "--proxy", "nginx"}, scenarioText, 2, "", "nginx"},
		{"lab of a target", []string{"lab", "-"}, strings.NewReplacer("lab: {proxy: auto}", `target: {url: "http://127.0.0.1:1"}`).Replace(scenarioText), 2, "", "has a target"},
		{"a folder without a run", []string{"report", "."}, "", 2, "", "run.json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProcess(t, test.stdin)
			if got := Main(test.args, p.Process); got != test.code {
				t.Errorf("exit code: got %d, want %d", got, test.code)
			}
			if !strings.Contains(p.stdout.String(), test.stdout) {
				t.Errorf("standard output: got %q, want %q in it", p.stdout.String(), test.stdout)
			}
			if !strings.Contains(p.stderr.String(), test.stderr) || test.stderr == "" && p.stderr.Len() > 0 {
				t.Errorf("standard error: got %q, want %q in it", p.stderr.String(), test.stderr)
			}
		})
	}
}

func TestWhatACommandNeeds(t *testing.T) {
	objective := []scenarios.Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}}
	for _, test := range []struct {
		name string
		need func(scenarios.Scenario) error
		s    scenarios.Scenario
		want string // part of the error; empty: none
	}{
		{"size of nothing to hold", needsObjective, scenarios.Scenario{}, "needs objectives"},
		{"size of a closed loop", needsObjective, scenarios.Scenario{Objectives: objective, Load: scenarios.Load{Arrivals: scenarios.Closed}}, "open arrivals"},
		{"size", needsObjective, scenarios.Scenario{Objectives: objective}, ""},
		{"run without a rate", needsLoad, scenarios.Scenario{}, "load.rate"},
		{"run of a closed loop", needsLoad, scenarios.Scenario{Load: scenarios.Load{Arrivals: scenarios.Closed}}, ""},
		{"run of a closed loop under a limit", needsLoad, scenarios.Scenario{Load: scenarios.Load{Arrivals: scenarios.Closed}, Guards: scenarios.Guards{MaxRate: scenarios.PerSecond(100)}}, "give --rate 100/s"},
		{"run", needsLoad, scenarios.Scenario{Load: scenarios.Load{Rate: scenarios.PerSecond(1)}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.need(test.s)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// drove runs drive with the flags and an experiment that leaves an empty record,
// and returns the options that the experiment was started with.
func drove(t *testing.T, p *process, flags []string, ending record.Ending, why string, fails error) (experiment.Options, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	var o driveOptions
	command := &cobra.Command{}
	o.flags(command)
	if err := command.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	o.scenario = "-"
	var got experiment.Options
	a := &app{p.Process}
	err := a.drive(t.Context(), o, needsObjective, func(_ context.Context, options experiment.Options) (record.Ending, error) {
		got = options
		if errors.Is(fails, experiment.ErrDirExists) {
			return record.EndedFailed, fails
		}
		w, err := record.Create(options.Dir, record.Run{Command: "size", Scenario: options.Scenario, Tool: options.Tool}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(ending, why); err != nil {
			t.Fatal(err)
		}
		return ending, fails
	})
	return got, err
}

func TestFlagsReachTheExperiment(t *testing.T) {
	p := newProcess(t, scenarioText)
	got, _ := drove(t, p, []string{"--proxy", "embedded", "--out", "mine"}, record.EndedDone, "", nil)
	if got.Dir != "mine" {
		t.Errorf("run directory: got %q, want the one of --out", got.Dir)
	}
	if got.Proxy.Kind != scenarios.ProxyEmbedded || got.Scenario.Lab.Proxy != scenarios.ProxyEmbedded {
		t.Errorf("proxy: got %+v, scenario's %q; want the embedded one of --proxy", got.Proxy, got.Scenario.Lab.Proxy)
	}
	if want := filepath.Join(p.cache, "state"); got.StateDir != want {
		t.Errorf("state folder: got %q, want %q", got.StateDir, want)
	}
	if !slices.Equal(got.Self, []string{"/opt/sailplan", childCommand}) {
		t.Errorf("command line of children: got %q", got.Self)
	}
	if got.Tool.Version != "1.2.3" || got.Scenario.Metadata.Name != "small" || got.Quick {
		t.Errorf("got version %q, scenario %q, quick %v", got.Tool.Version, got.Scenario.Metadata.Name, got.Quick)
	}
	if !strings.Contains(p.stderr.String(), "embedded stand-in, as asked") {
		t.Errorf("standard error: got %q, want it to say what the proxies are", p.stderr.String())
	}
}

// TestMaxRateOfAClosedLoop: what no rate can bound is refused before anything is
// sent.
func TestMaxRateOfAClosedLoop(t *testing.T) {
	t.Chdir(t.TempDir())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := newProcess(t, "")
	if got := Main([]string{"run", "http://" + listener.Addr().String() + "/", "--rate", "max", "--max-rate", "100/s"}, p.Process); got != exitUsage {
		t.Errorf("exit code: got %d, want %d", got, exitUsage)
	}
	for _, want := range []string{"--rate max", "--max-rate", "give --rate 100/s instead", "leave out the limit"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("standard error: got %q, want %q in it", p.stderr.String(), want)
		}
	}
	if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if conn, err := listener.Accept(); err == nil {
		conn.Close()
		t.Error("somebody connected")
	}
	if entries, err := os.ReadDir(runsDir); err == nil {
		t.Errorf("left %v", entries)
	}
}

// TestQuietDoesNotNameTheTarget: what the user has just typed is no warning.
func TestQuietDoesNotNameTheTarget(t *testing.T) {
	text := strings.NewReplacer("lab: {proxy: auto}", `target: {url: "http://127.0.0.1:1"}`).Replace(scenarioText)
	for _, test := range []struct {
		flags []string
		said  bool
	}{{nil, true}, {[]string{"--quiet"}, false}} {
		p := newProcess(t, text)
		_, _ = drove(t, p, test.flags, record.EndedDone, "", nil)
		if got := strings.Contains(p.stderr.String(), "target: http://127.0.0.1:1"); got != test.said {
			t.Errorf("%q: got %q, want the target named: %t", test.flags, p.stderr.String(), test.said)
		}
	}
}

// TestPhaseLineWithoutAnObjective: the view knows whether there is something to hold.
func TestPhaseLineWithoutAnObjective(t *testing.T) {
	for _, test := range []struct {
		objectives []scenarios.Objective
		want       string
	}{{[]scenarios.Objective{}, "  measured\n"}, {[]scenarios.Objective{{Quantile: 0.99, Latency: time.Second}}, "  holds\n"}} {
		t.Chdir(t.TempDir())
		p := newProcess(t, "")
		scenario, err := scenarioOfURL("http://127.0.0.1:1/")
		if err != nil {
			t.Fatal(err)
		}
		scenario.Objectives = test.objectives
		a := &app{p.Process}
		_ = a.driveScenario(t.Context(), driveOptions{workers: 1}, scenarios.Defaults(scenario), func(scenarios.Scenario) error { return nil },
			func(_ context.Context, options experiment.Options) (record.Ending, error) {
				options.Observer.PhaseEnd(analysis.PhaseSummary{Name: "load", Kind: "load", Holds: true, Verdict: analysis.Verdict{Valid: true}})
				return record.EndedFailed, experiment.ErrDirExists
			})
		if !strings.Contains(p.stderr.String(), test.want) {
			t.Errorf("got %q, want %q in it", p.stderr.String(), test.want)
		}
	}
}

func TestRunDirectoryIsNamedByScenarioAndTime(t *testing.T) {
	got, _ := drove(t, newProcess(t, scenarioText), []string{"--proxy", "embedded"}, record.EndedDone, "", nil)
	name, found := strings.CutPrefix(got.Dir, runsDir+"/small-")
	if _, err := time.Parse("2006-01-02T15-04-05", name); !found || err != nil {
		t.Errorf("got %q, want sailplan-runs/small-TIME", got.Dir)
	}
}

func TestHowARunEndsIsTheExitCode(t *testing.T) {
	died := errors.New("component died: gateway-0")
	for _, test := range []struct {
		name   string
		ending record.Ending
		why    string
		fails  error
		code   int
		said   string // empty: only a code
	}{
		{"the directory is in use", record.EndedFailed, "", fmt.Errorf("x %w", experiment.ErrDirExists), 2, "--out"},
		{"a component died", record.EndedFailed, died.Error(), died, 1, "gateway-0"},
		{"a guard", record.EndedGuard, "guards.maxErrorRatio", errors.New("guard"), 5, ""},
		{"Ctrl-C", record.EndedInterrupted, "interrupted by Ctrl-C", context.Canceled, 130, ""},
		{"terminated", record.EndedInterrupted, "interrupted by SIGTERM", context.Canceled, 143, ""},
		{"nothing was measured", record.EndedDone, "", nil, 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			options, err := drove(t, newProcess(t, scenarioText), []string{"--proxy", "embedded", "--quiet"}, test.ending, test.why, test.fails)
			var said bytes.Buffer
			if got := tell(&said, err); got != test.code {
				t.Errorf("exit code: got %d, want %d (%v)", got, test.code, err)
			}
			if !strings.Contains(said.String(), test.said) || test.said == "" && said.Len() > 0 {
				t.Errorf("said %q, want %q in it", said.String(), test.said)
			}
			if _, err := os.Stat(filepath.Join(options.Dir, "report.html")); (err == nil) == (test.code == exitUsage) {
				t.Errorf("report.html: %v", err)
			}
		})
	}
}

// TestResultOnStandardOutputIsAlone holds "-" to its word: what goes there can be
// read by a program, and everything else goes to standard error.
func TestResultOnStandardOutputIsAlone(t *testing.T) {
	p := newProcess(t, scenarioText)
	options, _ := drove(t, p, []string{"--proxy", "embedded", "--json", "-", "--junit", "cases.xml", "--markdown", "deep/report.md"}, record.EndedDone, "", nil)
	var result struct{ Outcome string }
	if err := json.Unmarshal(p.stdout.Bytes(), &result); err != nil || result.Outcome != "incomplete" {
		t.Errorf("standard output: got %+v, %v; want the result alone", result, err)
	}
	if !strings.Contains(p.stderr.String(), "report.html") {
		t.Errorf("standard error: got %q, want the table there", p.stderr.String())
	}
	for _, name := range []string{"cases.xml", "deep/report.md", filepath.Join(options.Dir, "recommendation.json")} {
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, want it written", name, err)
		}
	}
}

func TestEnvoyThatWasAskedForMustBeThere(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags []string
	}{
		{"by its path", []string{"--envoy", "no-such-envoy"}},
		{"by its path and as the proxy", []string{"--proxy", "envoy", "--envoy", "no-such-envoy"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			options, err := drove(t, newProcess(t, scenarioText), test.flags, record.EndedDone, "", nil)
			if err == nil || !strings.Contains(err.Error(), "no-such-envoy") {
				t.Errorf("got %v, want an error that names the file", err)
			}
			if options.Dir != "" {
				t.Error("the experiment was started all the same")
			}
		})
	}
}

func TestReportForgivesWhatAnalyzeDoesNot(t *testing.T) {
	p := newProcess(t, scenarioText)
	options, _ := drove(t, p, []string{"--proxy", "embedded"}, record.EndedInterrupted, "interrupted by Ctrl-C", context.Canceled)
	for command, want := range map[string]int{"report": 0, "analyze": 130} {
		if got := Main([]string{command, options.Dir}, newProcess(t, "").Process); got != want {
			t.Errorf("%s: exit code %d, want %d", command, got, want)
		}
	}
}

func TestManifestsOfAnEarlierReportGo(t *testing.T) {
	p := newProcess(t, scenarioText)
	options, _ := drove(t, p, []string{"--proxy", "embedded"}, record.EndedDone, "", nil)
	stale := filepath.Join(options.Dir, "manifests", "stale.yaml")
	if err := writeFile(stale, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got := Main([]string{"report", options.Dir}, newProcess(t, "").Process); got != 0 {
		t.Fatalf("exit code: got %d, want 0", got)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("%v: what was recommended before is still there", err)
	}
}
