// Command evidence runs what takes too long for the tests, on the built binary
// and as a user would, and writes what came out as a table into docs/sizing.md.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// configuration is one lab whose sizing is repeated.
type configuration struct {
	name  string
	proxy string
	cpu   scenarios.CPU // of the gateway
}

func configurations() []configuration {
	return []configuration{
		{"Envoy, gateway at 300m", scenarios.ProxyEnvoy, 300},
		{"Envoy, gateway at 600m", scenarios.ProxyEnvoy, 600},
		{"stand-in, gateway at 300m", scenarios.ProxyEmbedded, 300},
	}
}

// trial is one sizing.
type trial struct {
	exit   int
	took   time.Duration
	result analysis.Result
}

func main() {
	binary := flag.String("binary", "bin/sailplan", "the built sailplan")
	out := flag.String("out", "docs/sizing.md", "the table to write")
	runs := flag.Int("runs", 3, "sizings of each configuration")
	keep := flag.String("keep", "", "folder that keeps the run directories, and in which those that are there already are not run again; empty: they are removed")
	flag.Parse()
	if err := run(*binary, *out, *runs, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "evidence:", err)
		os.Exit(1)
	}
}

func run(binary, out string, runs int, keep string) error {
	dir := keep
	if dir == "" {
		temporary, err := os.MkdirTemp("", "sailplan-evidence-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	trials := map[string][]trial{}
	// Interleaved, so that a drift of the machine meets every configuration.
	for round := range runs {
		for _, c := range configurations() {
			at := filepath.Join(dir, fmt.Sprintf("%s-%d", slug(c.name), round+1))
			t, err := kept(at)
			if errors.Is(err, fs.ErrNotExist) {
				t, err = size(binary, at, c)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "%s, run %d: exit %d after %.0f s: %s\n", c.name, round+1, t.exit, t.took.Seconds(), t.result.OutcomeReason)
			trials[c.name] = append(trials[c.name], t)
		}
	}
	var page strings.Builder
	write(&page, trials)
	return os.WriteFile(out, []byte(page.String()), 0o644)
}

// size runs one quick sizing.
func size(binary, dir string, c configuration) (trial, error) {
	data, _ := scenarios.Example("quickstart")
	scenario, err := scenarios.Decode("quickstart", data)
	if err != nil {
		return trial{}, err
	}
	scenario.Lab.Gateway.Limits.CPU = c.cpu
	text, err := json.Marshal(scenario) // JSON is YAML
	if err != nil {
		return trial{}, err
	}
	file := dir + ".yaml"
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return trial{}, err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return trial{}, err
	}
	command := exec.Command(binary, "size", file, "--quick", "--proxy", c.proxy, "--out", dir)
	began := time.Now()
	output, err := command.CombinedOutput()
	t := trial{exit: command.ProcessState.ExitCode(), took: time.Since(began)}
	if err != nil && (t.exit < 0 || t.exit == 2) { // 2: it did not run at all
		return trial{}, fmt.Errorf("%w\n%s", err, output)
	}
	if err := t.read(dir); err != nil {
		return trial{}, fmt.Errorf("%w\n%s", err, output)
	}
	note, err := json.Marshal(ending{Exit: t.exit, Seconds: t.took.Seconds()})
	if err != nil {
		return trial{}, err
	}
	return t, os.WriteFile(dir+".json", note, 0o644)
}

// ending is what the run directory of a trial does not say.
type ending struct {
	Exit    int     `json:"exit"`
	Seconds float64 `json:"seconds"`
}

// kept returns the trial that an earlier call has left; fs.ErrNotExist when it
// has left none.
func kept(dir string) (trial, error) {
	note, err := os.ReadFile(dir + ".json")
	if err != nil {
		return trial{}, err
	}
	var e ending
	if err := json.Unmarshal(note, &e); err != nil {
		return trial{}, fmt.Errorf("%s.json: %w", dir, err)
	}
	t := trial{exit: e.Exit, took: time.Duration(e.Seconds * float64(time.Second))}
	return t, t.read(dir)
}

func (t *trial) read(dir string) error {
	recommendation, err := os.ReadFile(filepath.Join(dir, "recommendation.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(recommendation, &t.result)
}

func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

func write(w io.Writer, trials map[string][]trial) {
	fmt.Fprint(w, "# What sizing finds\n\nWritten by `make evidence`. Each row is one `sailplan size --quick` of the built-in\nquickstart, one at a time; what else the machine did is not known to this page.\n")
	first := true
	for _, c := range configurations() {
		ts := trials[c.name]
		if first && len(ts) > 0 {
			fmt.Fprintf(w, "\nMachine: %s.\n", machine(ts[0].result.Host))
			first = false
		}
		fmt.Fprintf(w, "\n## %s\n\n| run | seconds | exit | predicted SLO edge | measured SLO edge | error | bound by | just below | just above | gateway capacity per replica |\n|---|---|---|---|---|---|---|---|---|---|\n", c.name)
		var errors []float64
		for i, t := range ts {
			fmt.Fprintln(w, row(i+1, t))
			if v := t.result.Verification; v != nil && v.MeasuredRps.OK() {
				errors = append(errors, math.Abs(v.RelativeError))
			}
		}
		if len(errors) > 0 {
			slices.Sort(errors)
			fmt.Fprintf(w, "\nMedian of the absolute errors: %.1f %%.\n", 100*errors[len(errors)/2])
		}
	}
}

func machine(h record.Host) string {
	return fmt.Sprintf("%d processors (%s), %.0f GiB, %s %s", h.CPUs, cmp.Or(h.CPUModel, "unknown"), float64(h.MemoryBytes)/(1<<30), h.OS, h.Kernel)
}

func row(n int, t trial) string {
	predicted, measured, off, below, above := "–", "–", "–", "–", "–"
	if v := t.result.Verification; v != nil {
		predicted, measured = rate(v.PredictedRps.Value), rate(v.MeasuredRps.Value)
		if !math.IsNaN(v.RelativeError) {
			off = fmt.Sprintf("%+.1f %%", 100*v.RelativeError)
		}
		below, above = proof(v.ObjectiveHeldBelow), proof(v.ObjectiveMissedAbove)
	}
	capacity := "–"
	for _, c := range t.result.Components {
		if c.Role == string(scenarios.RoleGateway) {
			capacity = rate(c.CapacityPerReplicaRps.Value) + " (" + c.CapacityPerReplicaRps.BoundBy + ")"
		}
	}
	return fmt.Sprintf("| %d | %.0f | %d | %s | %s | %s | %s | %s | %s | %s |",
		n, t.took.Seconds(), t.exit, predicted, measured, off, t.result.SLOEdge.BoundBy, below, above, capacity)
}

func rate(rps float64) string {
	if math.IsNaN(rps) {
		return "not estimable"
	}
	return fmt.Sprintf("%.0f/s", rps)
}

func proof(p *analysis.ProofPoint) string {
	if p == nil {
		return "–"
	}
	words := "missed at " + rate(p.Rps)
	if p.Holds {
		words = "holds at " + rate(p.Rps)
	}
	if strings.Contains(p.Reason, "cannot tell") {
		words += ", too close to tell"
	}
	return words
}
