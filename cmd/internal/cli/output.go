package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/reports/html"
	"github.com/sailplan-io/sailplan/reports/junit"
	"github.com/sailplan-io/sailplan/reports/manifests"
	"github.com/sailplan-io/sailplan/reports/markdown"
	"github.com/sailplan-io/sailplan/reports/terminal"
)

// outputOptions say where results go beside the run directory.
type outputOptions struct {
	json, junit, markdown string // a file, or "-" for standard output
	explain               bool   // print the arithmetic too
	calibrate             string // run directory of a phase on a target; empty: none
}

func (o *outputOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.json, "json", "", "write the result as JSON to `FILE`; - is standard output")
	c.Flags().StringVar(&o.junit, "junit", "", "write a JUnit report to `FILE`; - is standard output")
	c.Flags().StringVar(&o.markdown, "markdown", "", "write a Markdown report to `FILE`; - is standard output")
}

// explainFlag adds the flag of the commands that recommend.
func (o *outputOptions) explainFlag(c *cobra.Command) {
	c.Flags().BoolVar(&o.explain, "explain", false, "print the arithmetic of every recommendation, step by step")
}

// calibrateFlag adds the flag of the commands that size a lab.
func (o *outputOptions) calibrateFlag(c *cobra.Command) {
	c.Flags().StringVar(&o.calibrate, "calibrate", "", "rescale the lab's CPU by the load phase of `RUN`, the run directory of a short load on your own target")
}

func (o outputOptions) toStdout() bool {
	return o.json == "-" || o.junit == "-" || o.markdown == "-"
}

// streams are where a command writes: when a result goes to standard output,
// everything else goes to standard error.
type streams struct {
	progress io.Writer
	table    io.Writer
	result   io.Writer
}

func (a *app) streams(o outputOptions) streams {
	s := streams{progress: a.Stderr, table: a.Stdout, result: a.Stdout}
	if o.toStdout() {
		s.table = a.Stderr
	}
	return s
}

func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.Stdin)
	}
	return os.ReadFile(name)
}

// conclude computes the result of a run directory, writes the reports, prints
// the table, and turns it all into an exit code.
func (a *app) conclude(dir string, ending record.Ending, runErr error, s streams, o outputOptions) error {
	rec, err := record.Open(dir)
	if err != nil {
		// The run ended before there was a record; its own error says why.
		if runErr != nil {
			return exitError{codeOf(ending, analysis.Result{}), runErr}
		}
		return err
	}
	var target *record.Record
	if o.calibrate != "" {
		if target, err = openCalibration(o.calibrate); err != nil {
			return errors.Join(runErr, err)
		}
		if rec.Evidence != record.EvidenceLab {
			return usage(fmt.Errorf("--calibrate rescales what real Envoys cost in a lab, and %s is of evidence %q", dir, rec.Evidence))
		}
	}
	result, err := analysis.AnalyzeCalibrated(rec, target)
	if err != nil {
		return errors.Join(runErr, fmt.Errorf("analysing %s: %w", dir, err))
	}
	if err := a.write(rec, result, s, o); err != nil {
		return errors.Join(runErr, err)
	}
	code := codeOf(ending, result)
	if runErr != nil && ending == record.EndedFailed {
		return exitError{code, runErr}
	}
	if code != exitDone {
		return exitError{code: code}
	}
	return nil
}

// codeOf is the exit code of a run that ended so, with that result.
func codeOf(ending record.Ending, result analysis.Result) int {
	switch ending {
	case record.EndedGuard:
		return exitGuard
	case record.EndedInterrupted:
		if strings.Contains(result.EndedWhy, terminatedBy) {
			return exitTerminated
		}
		return exitInterrupted
	case record.EndedFailed:
		return exitFailed
	}
	switch result.Outcome {
	case analysis.Recommended, analysis.Held, analysis.Measured, analysis.Found:
		return exitDone
	case analysis.Infeasible, analysis.Contradicted, analysis.Missed:
		return exitNo
	case analysis.Invalid:
		return exitInvalid
	}
	return exitFailed
}

// write writes every report of a result into its run directory, and where the
// flags say.
func (a *app) write(rec *record.Record, result analysis.Result, s streams, o outputOptions) error {
	document := reports.Sizing(result, rec)
	name := "recommendation.json"
	if result.Command == "run" {
		document, name = reports.Load(result, rec), "result.json"
	}
	f, err := formsOf(document, result)
	if err != nil {
		return err
	}
	files := map[string][]byte{name: f.json, "report.html": f.html, "report.md": f.markdown}
	objects, err := manifests.Files(result)
	if err != nil {
		return fmt.Errorf("writing the manifests: %w", err)
	}
	for _, f := range objects {
		files[filepath.Join("manifests", f.Name)] = f.Content
	}
	// What an earlier report recommended must not stay beside what this one does.
	if err := os.RemoveAll(filepath.Join(rec.Dir, "manifests")); err != nil {
		return fmt.Errorf("removing the manifests of an earlier report: %w", err)
	}
	for file, content := range files {
		if err := writeFile(filepath.Join(rec.Dir, file), content); err != nil {
			return err
		}
	}
	if err := a.deliverForms(f, o, "", s); err != nil {
		return err
	}
	if o.explain {
		document.Unfold(reports.ScalingTitle)
		document.Unfold(reports.DecidedTitle)
		document.Unfold(reports.ArithmeticTitle)
	}
	if err := show(document, s, false); err != nil {
		return err
	}
	fmt.Fprintf(s.table, "\nIn %s: report.html, report.md, %s", rec.Dir, name)
	if len(objects) > 0 {
		fmt.Fprint(s.table, ", manifests/")
	}
	fmt.Fprintln(s.table)
	fmt.Fprint(s.table, exampleNote(objects))
	return nil
}

// exampleNote says which manifests are not to be applied as they are; empty where all may
// be.
func exampleNote(objects []manifests.File) string {
	examples := 0
	for _, f := range objects {
		if strings.HasSuffix(f.Name, ".example") {
			examples++
		}
	}
	switch {
	case examples == 0:
		return ""
	case examples == len(objects):
		return "The manifests are examples: each says why it is not to be applied as it is, and what would be.\n"
	}
	return fmt.Sprintf("%d of %d manifests are examples (.example): each says why it is not to be applied as it is.\n", examples, len(objects))
}

// forms are a document, and what it is made of, as files have them.
type forms struct{ json, html, markdown, junit []byte }

func formsOf(document reports.Document, result any) (forms, error) {
	encoded, err := encodeResult(result)
	if err != nil {
		return forms{}, err
	}
	var page, text, cases bytes.Buffer
	if err := errors.Join(html.Write(&page, document), markdown.Write(&text, document), junit.Write(&cases, document)); err != nil {
		return forms{}, fmt.Errorf("writing the reports: %w", err)
	}
	return forms{encoded, page.Bytes(), text.Bytes(), cases.Bytes()}, nil
}

// encodeResult is a result as JSON.
func encodeResult(result any) ([]byte, error) {
	encoded, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	return append(encoded, '\n'), nil
}

// deliverForms writes the forms where the flags say; page is that of --html.
func (a *app) deliverForms(f forms, o outputOptions, page string, s streams) error {
	return errors.Join(a.deliver(o.json, f.json, s), a.deliver(o.junit, f.junit, s), a.deliver(o.markdown, f.markdown, s), a.deliver(page, f.html, s))
}

// show prints a document as text.
func show(document reports.Document, s streams, details bool) error {
	_, width := terminalOf(s.table)
	if err := terminal.Write(s.table, document, terminal.Options{Width: width, Details: details}); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
}

// tellDocument writes a document and what it is made of where the flags say, page being
// that of --html, and prints it.
func (a *app) tellDocument(document reports.Document, result any, o outputOptions, page string, s streams, details bool) error {
	f, err := formsOf(document, result)
	if err != nil {
		return err
	}
	if page == "-" {
		s.table = a.Stderr
	}
	if err := a.deliverForms(f, o, page, s); err != nil {
		return err
	}
	return show(document, s, details)
}

func (a *app) deliver(to string, content []byte, s streams) error {
	switch to {
	case "":
		return nil
	case "-":
		_, err := s.result.Write(content)
		return err
	}
	return writeFile(to, content)
}

// writeFile replaces a file as a whole, so that a reader never sees half of it.
func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	temporary := name + ".tmp"
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(temporary))
	}
	if err := os.Rename(temporary, name); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
