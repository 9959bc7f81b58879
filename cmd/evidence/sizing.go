package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
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

// writeSizings repeats quick sizings of the built-in quickstart.
func writeSizings(binary, dir, out string, runs int) error {
	trials := map[string][]trial{}
	// Interleaved, so that a drift of the machine meets every configuration.
	for round := range runs {
		for _, c := range configurations() {
			at := filepath.Join(dir, fmt.Sprintf("%s-%d", slug(c.name), round+1))
			file, err := c.write(at + ".yaml")
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			t, err := size(binary, at, file, "--proxy", c.proxy)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "%s, run %d: exit %d after %.0f s: %s\n", c.name, round+1, t.exit, t.took.Seconds(), t.result.OutcomeReason)
			trials[c.name] = append(trials[c.name], t)
		}
	}
	var page strings.Builder
	writeSizingPage(&page, trials)
	return os.WriteFile(out, []byte(page.String()), 0o644)
}

// write writes the scenario of a configuration, and returns its name.
func (c configuration) write(file string) (string, error) {
	data, _ := scenarios.Example("quickstart")
	scenario, err := scenarios.Decode("quickstart", data)
	if err != nil {
		return "", err
	}
	scenario.Lab.Gateway.Limits.CPU = c.cpu
	text, err := json.Marshal(scenario) // JSON is YAML
	if err != nil {
		return "", err
	}
	return file, os.WriteFile(file, text, 0o644)
}

func writeSizingPage(w io.Writer, trials map[string][]trial) {
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
			fmt.Fprintln(w, sizingRow(i+1, t))
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

func sizingRow(n int, t trial) string {
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
