// Command evidence runs what takes too long for the tests, on the built binary
// and as a user would, and writes what came out as tables into the docs:
// docs/sizing.md says what repeated sizings of one lab find, docs/accuracy.md what
// is forecast for many from low load, and what is then found, docs/regressions.md
// which changes for the worse comparisons find.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == asEnvoy {
		err := becomeEnvoy(os.Args[2], os.Args[3], os.Args[4:])
		fmt.Fprintln(os.Stderr, "evidence, as Envoy:", err)
		os.Exit(1)
	}
	binary := flag.String("binary", "bin/sailplan", "the built sailplan")
	sizing := flag.String("sizing", "", "page for the table of repeated sizings; empty: they are not run")
	accuracy := flag.String("accuracy", "", "page for the table of forecasts; empty: they are not made")
	only := flag.String("only", "", "of the forecasts only these configurations, with commas between; their table goes to standard output")
	runs := flag.Int("runs", 3, "sizings of each configuration")
	keep := flag.String("keep", "", "folder that keeps the run directories, and in which those that are there already are not run again; empty: they are removed")
	var r regressions
	flag.StringVar(&r.page, "regressions", "", "page for the table of comparisons")
	flag.StringVar(&r.raw, "raw", "", "file that keeps the raw results of comparisons; those that are in it are not made again. Empty: none are made")
	flag.StringVar(&r.envoy, "envoy", "", "the Envoy that comparisons are made with")
	older := flag.String("older", "", "older Envoys that are compared with it as a canary would be, with commas between")
	flag.DurationVar(&r.most, "at-most", time.Hour, "begin no comparison that would end later; the next call goes on")
	flag.Parse()
	if *older != "" {
		r.older = strings.Split(*older, ",")
	}
	r.binary = *binary
	if err := run(*binary, *sizing, *accuracy, *only, *runs, *keep, r); err != nil {
		fmt.Fprintln(os.Stderr, "evidence:", err)
		os.Exit(1)
	}
}

func run(binary, sizing, accuracy, only string, runs int, keep string, r regressions) error {
	dir := keep
	if dir == "" {
		temporary, err := os.MkdirTemp("", "sailplan-evidence-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	if sizing != "" {
		if err := writeSizings(binary, dir, sizing, runs); err != nil {
			return err
		}
	}
	if accuracy != "" {
		if err := writeAccuracy(binary, dir, accuracy, only, runs); err != nil {
			return err
		}
	}
	if r.raw != "" {
		r.keep = dir
		return r.measure()
	}
	return nil
}

// trial is one sizing.
type trial struct {
	dir    string
	exit   int
	took   time.Duration
	result analysis.Result
}

// size runs one quick sizing of a scenario, or returns the one that an earlier
// call has left in dir.
func size(binary, dir, file string, options ...string) (trial, error) {
	t, err := kept(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	arguments := append([]string{"size", file, "--quick", "--out", dir}, options...)
	command := exec.Command(binary, arguments...)
	began := time.Now()
	output, err := command.CombinedOutput()
	t = trial{dir: dir, exit: command.ProcessState.ExitCode(), took: time.Since(began)}
	if err != nil && (t.exit < 0 || t.exit == 2) { // 2: it did not run at all
		return trial{}, fmt.Errorf("%w\n%s", err, output)
	}
	if err := t.read(); err != nil {
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
	t := trial{dir: dir, exit: e.Exit, took: time.Duration(e.Seconds * float64(time.Second))}
	return t, t.read()
}

func (t *trial) read() error {
	recommendation, err := os.ReadFile(filepath.Join(t.dir, "recommendation.json"))
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

func machine(h record.Host) string {
	processors := fmt.Sprintf("%d processors", h.CPUs)
	if h.CPUs == 1 {
		processors = "one processor"
	}
	return processors + fmt.Sprintf(" (%s), %.0f GiB, %s %s", cmp.Or(h.CPUModel, "unknown"), float64(h.MemoryBytes)/(1<<30), h.OS, h.Kernel)
}

func rate(rps float64) string {
	if math.IsNaN(rps) {
		return "not estimable"
	}
	return fmt.Sprintf("%.0f/s", rps)
}
