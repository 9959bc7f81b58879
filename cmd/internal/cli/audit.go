package cli

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/reports/sarif"
	"github.com/sailplan-io/sailplan/scenarios/audit"
)

type auditOptions struct {
	outputOptions
	sarif     string
	run       string
	checklist bool
}

func (a *app) auditCommand() *cobra.Command {
	var o auditOptions
	c := &cobra.Command{
		Use:   "audit PATH…",
		Short: "Find what in a mesh's files does not do what it says",
		Long: `audit reads the files of a mesh, or folders of them: Istio's objects, IstioOperator
and the values of the charts istiod and gateway, and of Kubernetes what stands beside
them. Unknown fields are found too, which the API server drops without a word. What
it looks for, why, and how each thing is put right, is in docs/rules.md.

Files are audited together, so give those of one environment at a time. A comment in a
file silences a finding of the object or field that it stands at:

  # sailplan:ignore SP012 one replica on purpose: it is a cache

Templates of Helm have to be rendered first; - reads standard input.

Exit code: 0 no errors, 3 findings of severity error, 2 files that cannot be read.`,
		Example: `  sailplan audit deploy/production
  sailplan audit deploy/production --checklist
  helm template istiod istio/istiod -f values.yaml | sailplan audit values.yaml -
  sailplan audit deploy/production --sarif findings.sarif --junit findings.xml
  sailplan audit deploy/production --run sailplan-runs/checkout-2026-11-20T10-00-00`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error { return a.audit(given, o) },
	}
	o.flags(c)
	c.Flags().StringVar(&o.sarif, "sarif", "", "write the findings as SARIF 2.1.0 to `FILE`; - is standard output")
	c.Flags().StringVar(&o.run, "run", "", "compare limits and requests with what was measured in the run directory `DIR`")
	c.Flags().BoolVar(&o.checklist, "checklist", false, "also print the checklist of production readiness")
	return c
}

// garbagePercent lets the heap grow to five times of what is in use before it is
// collected: an audit keeps nearly all that it allocates, and ends soon. It saves a
// third of the time that a file of ten megabytes takes on one processor.
const garbagePercent = 400

func (a *app) audit(paths []string, o auditOptions) error {
	defer debug.SetGCPercent(debug.SetGCPercent(garbagePercent))
	measured, err := measuredIn(o.run)
	if err != nil {
		return usage(err)
	}
	s := a.streams(o.outputOptions)
	if o.sarif == "-" {
		s.table = a.Stderr
	}
	files, passed, err := a.meshFiles(paths)
	if err != nil {
		return usage(err)
	}
	for _, folder := range passed {
		fmt.Fprintf(s.progress, "%s holds templates of Helm, which are left out: render them with `helm template`\n", folder)
	}
	if len(files) == 0 {
		return usage(fmt.Errorf("no file in %s ends in .yaml, .yml or .json", strings.Join(paths, ", ")))
	}
	if measured.Source != "" && len(measured.Says()) == 0 {
		fmt.Fprintf(s.progress, "%s has no valid measurement of proxies, so no rule uses it\n", measured.Source)
	}
	result := audit.Audit(files, measured)
	if err := a.tellAudit(result, o, s); err != nil {
		return err
	}
	switch {
	case len(result.Unreadable) > 0:
		return exitError{code: exitUsage}
	case result.Number(audit.Error) > 0:
		return exitError{code: exitNo}
	}
	return nil
}

// tellAudit writes a result where the flags say.
func (a *app) tellAudit(result audit.Result, o auditOptions, s streams) error {
	var findings bytes.Buffer
	if err := sarif.Write(&findings, result, a.Version); err != nil {
		return fmt.Errorf("writing the findings: %w", err)
	}
	if err := a.deliver(o.sarif, findings.Bytes(), s); err != nil {
		return err
	}
	return a.tellDocument(reports.Audit(result, o.checklist), result, o.outputOptions, "", s, false)
}

// What is read of a mesh's files at most, so that a wrong path is an error and no
// hour of waiting.
const (
	mostFiles = 20_000
	mostBytes = 256 << 20
)

// meshFiles reads the files of the paths, and says which folders of templates it
// went past. A file that is named is read whatever its name.
func (a *app) meshFiles(paths []string) (files []audit.File, passed []string, err error) {
	seen, size := map[string]bool{}, 0
	add := func(name string) error {
		if seen[filepath.Clean(name)] {
			return nil
		}
		seen[filepath.Clean(name)] = true
		content, err := a.readFile(name)
		if err != nil {
			return err
		}
		if name == "-" {
			name = "standard input"
		}
		files, size = append(files, audit.File{Name: name, Data: content}), size+len(content)
		if len(files) > mostFiles || size > mostBytes {
			return fmt.Errorf("more than %d files or %d MiB: give the folder of the mesh's files only", mostFiles, mostBytes>>20)
		}
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if path == "-" || err == nil && !info.IsDir() {
			if err := add(path); err != nil {
				return nil, nil, err
			}
			continue
		}
		err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && name != path && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
				return fs.SkipDir
			case entry.IsDir() && entry.Name() == "templates" && isChart(filepath.Dir(name)):
				passed = append(passed, name)
				return fs.SkipDir
			case entry.Type().IsRegular() && isMeshFile(entry.Name()):
				return add(name)
			}
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return files, passed, nil
}

func isMeshFile(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name))) && name != "Chart.yaml" && name != "values.schema.json"
}

func isChart(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "Chart.yaml"))
	return err == nil
}
