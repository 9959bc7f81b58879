package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports"
)

func (a *app) historyCommand() *cobra.Command {
	var o outputOptions
	var page, branch string
	c := &cobra.Command{
		Use:   "history DIR",
		Short: "Find out since when runs are slower",
		Long: `history reads all run directories below a folder, in the order in which they were
started, and says where a metric changed: at once, or little by little, which no
comparison of two builds shows. A single value that stands out is no change. Runs of
another scenario than the last one, and those that cannot be read or are not valid, are
left out and named. It takes eight runs to tell a change.

Exit code: 0 whatever changed, since that may be long ago; 4 no run counts; 2 no runs.

With --git the runs are those that were ever committed below the folder on a branch of
the Git repository here, also where later commits replaced or removed them; each run is
named by the commit that brought it.`,
		Example: `  sailplan history runs/
  sailplan history runs/ --html history.html
  sailplan history runs/ --git performance-results`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			var runs past
			var err error
			if branch == "" {
				runs, err = pastRuns(given[0])
			} else {
				runs, err = a.committedRuns(c.Context(), branch, given[0])
			}
			if err != nil {
				return err
			}
			return a.tellHistory(runs, o, page)
		},
	}
	o.flags(c)
	c.Flags().StringVar(&page, "html", "", "write an HTML report with charts to `FILE`")
	c.Flags().StringVar(&branch, "git", "", "read what was committed below DIR on a `BRANCH`")
	return c
}

// past is a series of runs, and those that can't be read: one of them does not keep all
// others from being looked at.
type past struct {
	records    []*record.Record
	unreadable []analysis.ComparedRun
}

// read opens a run directory, and knows it by the name.
func (p *past) read(dir, name string) {
	rec, err := record.Open(dir)
	if err != nil {
		p.unreadable = append(p.unreadable, analysis.ComparedRun{Dir: name, WhyNot: err.Error()})
		return
	}
	rec.Dir = name
	p.records = append(p.records, rec)
}

// pastRuns opens the runs below a folder.
func pastRuns(folder string) (past, error) {
	var p past
	dirs, err := runsIn(folder)
	if err != nil {
		return p, usage(err)
	}
	for _, dir := range dirs {
		p.read(dir, dir)
	}
	return p, nil
}

// historyResult is what history writes as JSON. It is an API: fields are added, not
// changed or removed.
type historyResult struct {
	FormatVersion int                    `json:"formatVersion"`
	Scenario      string                 `json:"scenario"`
	Metrics       []analysis.MetricPast  `json:"metrics"`
	Skipped       []analysis.ComparedRun `json:"skipped"`
}

// tellHistory writes what is known of a series of runs.
func (a *app) tellHistory(p past, o outputOptions, page string) error {
	s := a.streams(o)
	result := historyResult{FormatVersion: analysis.ResultFormatVersion, Metrics: []analysis.MetricPast{}, Skipped: p.unreadable}
	if len(p.records) > 0 {
		metrics, skipped, err := analysis.HistoryOf(p.records, 1)
		if err != nil {
			return err
		}
		result.Metrics, result.Skipped = metrics, append(result.Skipped, skipped...)
		last := slices.MaxFunc(p.records, func(a, b *record.Record) int { return a.StartedAt.Compare(b.StartedAt) })
		result.Scenario = last.Scenario.Metadata.Name
	}
	for _, run := range result.Skipped {
		fmt.Fprintf(s.progress, "%s is left out: %s\n", run.Dir, run.WhyNot)
	}
	if len(result.Metrics) == 0 {
		return exitError{exitInvalid, errors.New("no run counts")}
	}
	return a.tellDocument(reports.PastOf(result.Scenario, result.Metrics, result.Skipped), result, o, page, s, false)
}

// committed is a run directory as a commit has it.
type committed struct{ commit, dir string }

// committedRuns opens every run that was committed below a folder on a branch.
func (a *app) committedRuns(ctx context.Context, branch, dir string) (p past, err error) {
	runs, err := a.listCommitted(ctx, branch, dir)
	if err != nil {
		return p, usage(err)
	}
	work, err := os.MkdirTemp("", "sailplan-history-*")
	if err != nil {
		return p, fmt.Errorf("reading runs from Git: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	for i, run := range runs {
		to := filepath.Join(work, fmt.Sprint(i))
		if err := a.extract(ctx, run, to); err != nil {
			return p, err
		}
		p.read(to, run.commit[:min(len(run.commit), 10)]+":"+run.dir)
	}
	return p, nil
}

// listCommitted lists the runs that commits of a branch added or replaced below a
// folder, the oldest first.
func (a *app) listCommitted(ctx context.Context, branch, dir string) ([]committed, error) {
	pattern := ":(glob)" + path.Join(filepath.ToSlash(dir), "**", runFile)
	text, err := a.git(ctx, "-c", "core.quotePath=false", "log", "--reverse", "--first-parent", "-m", "--no-renames", "--diff-filter=AM", "--name-only", "--relative",
		"--format=commit %H", "--end-of-options", branch, "--", pattern)
	if err != nil {
		return nil, err
	}
	var runs []committed
	commit := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if hash, is := strings.CutPrefix(line, "commit "); is {
			commit = hash
		} else if line != "" {
			runs = append(runs, committed{commit, path.Dir(line)})
		}
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("no run was committed below %s on %s: a run directory has a %s", dir, branch, runFile)
	}
	return runs, nil
}

// mostRunBytes bounds what is taken of one file of a commit.
const mostRunBytes = 1 << 30

// extract writes the files of a run directory as a commit has them.
func (a *app) extract(ctx context.Context, run committed, to string) error {
	text, err := a.git(ctx, "archive", "--format=tar", run.commit, "--", run.dir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("reading runs from Git: %w", err)
	}
	archive := tar.NewReader(bytes.NewReader(text))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s of commit %s: %w", run.dir, run.commit, err)
		}
		// A run directory has no folders that belong to the record.
		if header.Typeflag != tar.TypeReg || path.Dir(header.Name) != run.dir {
			continue
		}
		file, err := os.OpenFile(filepath.Join(to, path.Base(header.Name)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("reading runs from Git: %w", err)
		}
		_, err = io.Copy(file, io.LimitReader(archive, mostRunBytes))
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("reading %s of commit %s: %w", run.dir, run.commit, err)
		}
	}
}

// git runs Git here and returns what it prints.
func (a *app) git(ctx context.Context, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Env = a.Environ()
	var said bytes.Buffer
	command.Stderr = &said
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", arguments[0], err, strings.TrimSpace(said.String()))
	}
	return text, nil
}
