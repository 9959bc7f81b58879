package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/scenarios"
)

// gatewaySetting is what a sweep varies: the worker threads of the lab's gateway, and
// its CPU limit.
type gatewaySetting struct {
	threads int
	cpu     scenarios.CPU // 0: the scenario's
}

// mostSettings bounds a sweep: each setting is a sizing.
const mostSettings = 8

// parseSettings reads "1,2@500m,2@2".
func parseSettings(text string) ([]gatewaySetting, error) {
	var settings []gatewaySetting
	for _, part := range strings.Split(text, ",") {
		number, cpu, limited := strings.Cut(strings.TrimSpace(part), "@")
		n, err := strconv.Atoi(number)
		s := gatewaySetting{threads: n}
		if err == nil && limited {
			s.cpu, err = scenarios.ParseCPU(cpu)
			if s.cpu <= 0 && err == nil {
				err = errors.New("no CPU")
			}
		}
		switch {
		case err != nil || n < 1 || n > 1024:
			return nil, fmt.Errorf("--sweep-concurrency %q: %q is no number of worker threads, or threads@CPU limit: write for instance 1,2@500m", text, part)
		case slices.Contains(settings, s):
			return nil, fmt.Errorf("--sweep-concurrency %q: %s is there twice", text, part)
		}
		settings = append(settings, s)
	}
	switch {
	case len(settings) < 2:
		return nil, fmt.Errorf("--sweep-concurrency %q: two settings at the least make a sweep", text)
	case len(settings) > mostSettings:
		return nil, fmt.Errorf("--sweep-concurrency %q: %d settings, each of which is a sizing; at most %d are measured", text, len(settings), mostSettings)
	}
	return settings, nil
}

// of returns the scenario with the setting.
func (s gatewaySetting) of(scenario scenarios.Scenario) scenarios.Scenario {
	lab := *scenario.Lab
	lab.Gateway.Concurrency = s.threads
	if s.cpu > 0 {
		lab.Gateway.Limits.CPU = s.cpu
	}
	scenario.Lab = &lab
	return scenario
}

// folder is the name of the setting's run directory.
func (s gatewaySetting) folder(scenario scenarios.Scenario) string {
	name := fmt.Sprintf("%d-threads", s.threads)
	if limit := s.of(scenario).Lab.Gateway.Limits.CPU; limit > 0 {
		name += "-" + limit.String()
	}
	return name
}

// sweep sizes the lab with each setting, one after the other, and compares.
func (a *app) sweep(ctx context.Context, o driveOptions, text string) error {
	settings, err := parseSettings(text)
	if err != nil {
		return usage(err)
	}
	scenario, err := a.loadScenario(o.scenario)
	if err == nil && scenario.Lab == nil {
		err = fmt.Errorf("scenario %s: --sweep-concurrency starts labs, and this drives a target: measure it with one setting after the other", scenario.Metadata.Name)
	}
	if err == nil {
		err = needsObjective(scenario)
	}
	if err != nil {
		return usage(err)
	}
	dir := o.out
	if dir == "" {
		dir = filepath.Join(runsDir, scenario.Metadata.Name+"-sweep-"+timestamp(time.Now()))
	}
	s := a.streams(o.outputs)
	each := &app{a.Process}
	each.Stdout = io.Discard // the answers of single sizings are in their folders
	var dirs []string
	for i, setting := range settings {
		one := o
		one.outputs = outputOptions{}
		one.out = filepath.Join(dir, setting.folder(scenario))
		if !o.quiet {
			fmt.Fprintf(s.progress, "setting %d of %d: %s\n", i+1, len(settings), filepath.Base(one.out))
		}
		err := each.driveScenario(ctx, one, setting.of(scenario), needsObjective, experiment.Size)
		var coded exitError
		if err != nil && !(errors.As(err, &coded) && coded.err == nil && (coded.code == exitNo || coded.code == exitInvalid)) {
			return err
		}
		dirs = append(dirs, one.out)
	}
	records, err := openRuns(dirs)
	if err != nil {
		return err
	}
	return a.concludeSweep(dir, records, s, o.outputs)
}

// concludeSweep compares the sizings of a sweep, writes what it comes to, and turns it
// into an exit code.
func (a *app) concludeSweep(dir string, records []*record.Record, s streams, o outputOptions) error {
	result, err := analysis.SweepOf(records)
	if err != nil {
		return usage(fmt.Errorf("%s: %w", dir, err))
	}
	document := reports.Sweep(result)
	f, err := formsOf(document, result)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"sweep.json": f.json, "report.html": f.html, "report.md": f.markdown} {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	if err := a.deliverForms(f, o, "", s); err != nil {
		return err
	}
	if o.explain {
		document.Unfold(reports.ArithmeticTitle)
	}
	if err := show(document, s, false); err != nil {
		return err
	}
	fmt.Fprintf(s.table, "\nIn %s: the sizings with their manifests, sweep.json, report.html, report.md\n", dir)
	if result.Chosen >= 0 {
		fmt.Fprintf(s.table, "What was chosen, with its manifests: %s\n", result.Runs[result.Chosen].Dir)
	}
	if code := codeOf(record.EndedDone, analysis.Result{Outcome: result.Outcome}); code != exitDone {
		return exitError{code: code}
	}
	return nil
}
