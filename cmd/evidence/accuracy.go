package main

import (
	"cmp"
	"embed"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// labs are the scenarios whose capacity is forecast, and the policies that they name.
//
//go:embed configurations/*.yaml
var labs embed.FS

// names returns the configurations: the files that no other one names as a policy.
func names() ([]string, error) {
	entries, err := labs.ReadDir("configurations")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); !strings.HasSuffix(name, "-policy") {
			out = append(out, name)
		}
	}
	return out, nil
}

// unpack writes the files of all configurations into a folder.
func unpack(dir string) error {
	entries, err := labs.ReadDir("configurations")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		text, err := labs.ReadFile(path.Join("configurations", e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// row is one configuration: what low load forecasts, and what was found.
type row struct {
	name           string
	forecast       analysis.Forecast
	measured       stat.Estimate
	bound          string   // what was seen to bind
	onePoint, rule float64  // rates by the two rules of thumb; NaN: they say nothing
	note           string   // why there is no row
	outcomes       []string // of the sizings
}

func (r row) error() float64 { return r.forecast.SLOEdgeRps.Value/r.measured.Value - 1 }

// writeAccuracy sizes every configuration, runs times each, and writes the table.
func writeAccuracy(binary, dir, out, only string, runs int) error {
	all, err := names()
	if err != nil {
		return err
	}
	if only != "" {
		all = strings.Split(only, ",")
	}
	files := filepath.Join(dir, "configurations")
	if err := unpack(files); err != nil {
		return err
	}
	trials := map[string][]trial{}
	for round := range runs {
		for _, name := range all {
			t, err := size(binary, filepath.Join(dir, fmt.Sprintf("%s-%d", name, round+1)), filepath.Join(files, name+".yaml"))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(os.Stderr, "%s, run %d: exit %d after %.0f s: %s\n", name, round+1, t.exit, t.took.Seconds(), t.result.OutcomeReason)
			trials[name] = append(trials[name], t)
		}
	}
	var rows []row
	var host record.Host
	for _, name := range all {
		r, h, err := rowOf(binary, filepath.Join(files, name+".yaml"), name, trials[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows, host = append(rows, r), h
	}
	var page strings.Builder
	writeAccuracyPage(&page, rows, host, runs)
	if only != "" {
		_, err := io.WriteString(os.Stdout, page.String())
		return err
	}
	return os.WriteFile(out, []byte(page.String()), 0o644)
}

// rowOf computes the row of a configuration from its records.
func rowOf(binary, file, name string, trials []trial) (r row, h record.Host, err error) {
	r.name = name
	var recs []*record.Record
	seen := map[string]int{}
	for _, t := range trials {
		rec, err := record.Open(t.dir)
		if err != nil {
			return row{}, record.Host{}, err
		}
		recs = append(recs, rec)
		seen[bound(t.result.SLOEdge.Component, t.result.SLOEdge.Resource)]++
		r.outcomes = append(r.outcomes, string(t.result.Outcome))
	}
	r.measured, _ = analysis.MeasuredEdge(recs...)
	if out := outOfMemory(recs); out != "" {
		r.bound = out
		if r.measured, err = memoryEdge(binary, file, trials, recs); err != nil {
			return row{}, record.Host{}, err
		}
	}
	if !(r.measured.Value > 0) {
		r.note = "no edge was found"
		return r, recs[0].Host, nil
	}
	for what, n := range seen {
		if r.bound != "" && seen[r.bound] == 0 {
			break // it died of what it was bound by
		}
		if n > seen[r.bound] || n == seen[r.bound] && what < r.bound {
			r.bound = what
		}
	}
	below := analysis.ForecastShare * r.measured.Value
	r.forecast = analysis.ForecastBelow(below, recs...)
	r.onePoint, r.rule = rulesOfThumb(recs, below)
	return r, recs[0].Host, nil
}

// bound names a component and a resource.
func bound(component, resource string) string {
	return strings.TrimSpace(cmp.Or(component, "the machine") + ": " + cmp.Or(resource, "nothing known"))
}

// coresPerThousand is the second rule of thumb: what Istio's documentation says that
// a proxy uses for a thousand requests a second.
const coresPerThousand = 0.2

// rulesOfThumb returns the rate at which the gateways' CPU would be used up if each
// request cost what it does at the highest of the phases up to below, and the same
// with what is commonly said of a proxy.
func rulesOfThumb(recs []*record.Record, below float64) (onePoint, rule float64) {
	onePoint, rule = math.NaN(), math.NaN()
	highest := 0.0
	for _, rec := range recs {
		i := slices.IndexFunc(rec.Components, func(c record.Component) bool { return c.Role == scenarios.RoleGateway })
		if i < 0 {
			continue
		}
		gateway := rec.Components[i]
		cores := float64(max(gateway.Concurrency, 1))
		if gateway.CPULimitCores > 0 {
			cores = math.Min(cores, gateway.CPULimitCores)
		}
		cores *= float64(max(gateway.Replicas, 1))
		rule = cores / coresPerThousand * 1000
		conditions := analysis.ConditionsOf(rec.Run)
		for _, data := range rec.Data {
			if kind := data.Spec.Kind; kind != scenarios.KindClimb && kind != scenarios.KindSteady {
				continue
			}
			s := analysis.Summarize(data, conditions)
			used, ok := s.CPUCores[gateway.Name]
			if !ok || !s.Verdict.Valid || s.OfferedRps > below || s.OfferedRps < highest || !(used.Value > 0) {
				continue
			}
			highest, onePoint = s.OfferedRps, cores/(used.Value/s.AchievedRps)
		}
	}
	return onePoint, rule
}
