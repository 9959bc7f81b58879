package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

//go:embed regressions.yaml
var regressionsScenario []byte

// The kinds of comparisons, beside those of worse gateways.
const (
	same   = "same"   // Envoy with itself
	canary = "canary" // an older Envoy with the pinned one
)

const (
	pairsEach = "12"
	// pairsCost are those of the dearer gateway, whose 5 % lie 2.5 % beyond the margin: with
	// 12 they would be found four times in five at best.
	pairsCost  = "24"
	mostTime   = 10 * time.Minute // within which a change has to be found
	sameCount  = 20
	worseCount = 10
	// firstSame is how many comparisons of Envoy with itself come first: they say what
	// the others could show, before those are made.
	firstSame = 4
)

// verdict is one comparison, a line of the raw results.
type verdict struct {
	Kind      string           `json:"kind"`
	Number    int              `json:"number"`
	How       string           `json:"how,omitempty"` // what makes the gateway worse
	Machine   string           `json:"machine"`
	StartedAt time.Time        `json:"startedAt"`
	Seconds   float64          `json:"seconds"`
	Exit      int              `json:"exit"`
	Outcome   analysis.Outcome `json:"outcome"`
	Reason    string           `json:"reason"`
	Envoys    string           `json:"envoys,omitempty"` // where they differ
	Pairs     int              `json:"pairs"`            // with those that did not count
	Metrics   []metricVerdict  `json:"metrics"`
}

// metricVerdict is what a comparison said of a metric.
type metricVerdict struct {
	Name       string          `json:"name"`
	Change     stat.Estimate   `json:"change"`
	Detectable float64         `json:"detectable"`
	Verdict    compare.Verdict `json:"verdict"`
}

// pairsOf is how many pairs a comparison of a kind takes.
func pairsOf(kind string) string {
	if kind == dearer {
		return pairsCost
	}
	return pairsEach
}

// task is one comparison to be made.
type task struct {
	kind   string
	number int
	old    string // path of the base's Envoy; empty: the pinned one
}

// tasks lists all comparisons in the order in which they are made: the kinds in turns,
// so that a drift of the machine meets each.
func tasks(older []string) []task {
	var all []task
	made := map[string]int{}
	add := func(kind string) {
		made[kind]++
		all = append(all, task{kind: kind, number: made[kind]})
	}
	for range firstSame {
		add(same)
	}
	for i := range worseCount {
		add(dearer)
		add(slower)
		for made[same] < firstSame+(i+1)*(sameCount-firstSame)/worseCount {
			add(same)
		}
	}
	for i, path := range older {
		all = append(all, task{kind: canary, number: i + 1, old: path})
	}
	return all
}

// regressions says how comparisons are made, and where their results are kept.
type regressions struct {
	binary, page, raw, envoy string
	older                    []string      // paths of older Envoys
	most                     time.Duration // no comparison is begun that would end later
	keep                     string        // folder for the run directories
}

// measure makes the comparisons that are not among the raw results yet, as long as there
// is time, and writes the page of all results.
func (r regressions) measure() error {
	done, err := readVerdicts(r.raw)
	if err != nil {
		return err
	}
	scenario := filepath.Join(r.keep, "regressions.yaml")
	if err := os.WriteFile(scenario, regressionsScenario, 0o644); err != nil {
		return err
	}
	began, longest := time.Now(), time.Duration(0)
	for _, t := range tasks(r.older) {
		if slices.ContainsFunc(done, func(v verdict) bool { return v.Kind == t.kind && v.Number == t.number && v.current() }) {
			continue
		}
		if time.Since(began)+longest > r.most {
			fmt.Fprintf(os.Stderr, "the time is up (%s); the next call goes on from here\n", r.most)
			break
		}
		if t.kind != same {
			fmt.Fprintln(os.Stderr, expectation(done))
		}
		v, err := r.compare(t, scenario)
		if err != nil {
			return fmt.Errorf("%s %d: %w", t.kind, t.number, err)
		}
		longest = max(longest, time.Duration(v.Seconds*float64(time.Second)))
		fmt.Fprintf(os.Stderr, "%s %d: exit %d after %.0f s: %s\n", t.kind, t.number, v.Exit, v.Seconds, v.Reason)
		if err := appendVerdict(r.raw, v); err != nil {
			return err
		}
		done = append(done, v)
	}
	if r.page == "" {
		return nil
	}
	return os.WriteFile(r.page, regressionsPage(done), 0o644)
}

// compare makes one comparison, with everything on one processor: processors of a
// virtual machine are not equally fast, and that changes from second to second.
func (r regressions) compare(t task, scenario string) (verdict, error) {
	dir, err := os.MkdirTemp(r.keep, t.kind+"-*")
	if err != nil {
		return verdict{}, err
	}
	defer os.RemoveAll(dir)
	arguments := []string{
		r.binary, "ab", "--together", "--base", scenario, "--new", scenario, "--pairs", pairsOf(t.kind), "--max-time", mostTime.String(),
		"--quiet", "--out", filepath.Join(dir, "ab"), "--base-envoy", r.envoy,
	}
	v := verdict{Kind: t.kind, Number: t.number}
	after := r.envoy
	switch t.kind {
	case dearer, slower:
		v.How = how(t.kind)
		if after, err = writeEnvoy(dir, t.kind, r.envoy); err != nil {
			return verdict{}, err
		}
	case canary:
		arguments[len(arguments)-1] = t.old
	}
	arguments = append(arguments, "--new-envoy", after)
	if taskset, err := exec.LookPath("taskset"); err == nil {
		arguments = append([]string{taskset, "--cpu-list", strconv.Itoa(runtime.NumCPU() - 1)}, arguments...)
	}
	command := exec.Command(arguments[0], arguments[1:]...)
	began := time.Now()
	output, err := command.CombinedOutput()
	v.StartedAt, v.Seconds, v.Exit = began.UTC().Truncate(time.Second), time.Since(began).Round(time.Second/10).Seconds(), command.ProcessState.ExitCode()
	if v.Exit != 0 && v.Exit != 3 && v.Exit != 4 { // it did not come to its end, and what there is of it is no comparison
		return v, fmt.Errorf("%w\n%s", err, output)
	}
	text, readErr := os.ReadFile(filepath.Join(dir, "ab", "ab.json"))
	if readErr != nil {
		return v, fmt.Errorf("%w: %w\n%s", err, readErr, output)
	}
	var c analysis.Comparison
	if err := json.Unmarshal(text, &c); err != nil {
		return v, err
	}
	v.take(c)
	rec, err := record.Open(c.Base[0].Dir)
	if err != nil {
		return v, err
	}
	v.Machine = machine(rec.Host)
	return v, nil
}

// take fills in what a comparison found.
func (v *verdict) take(c analysis.Comparison) {
	v.Outcome, v.Reason, v.Pairs = c.Outcome, c.OutcomeReason, len(c.Base)
	for _, f := range c.Findings {
		change := f.Change
		change.Warnings = nil
		v.Metrics = append(v.Metrics, metricVerdict{f.Name, change, f.Detectable, f.Verdict})
	}
	for _, d := range c.Differences {
		if strings.HasPrefix(d.What, "proxy") {
			v.Envoys = d.Base + " → " + d.New
		}
	}
}

// current reports whether the comparison was made with what is worse today: how much
// that is was found by trying.
func (v verdict) current() bool {
	return v.Kind != dearer && v.Kind != slower || v.How == how(v.Kind)
}

// of returns what was said of a metric; a verdict of its zero value when nothing was.
func (v verdict) of(name string) metricVerdict {
	for _, m := range v.Metrics {
		if m.Name == name {
			return m
		}
	}
	return metricVerdict{Change: stat.NotEstimable(0, "not compared")}
}

// readVerdicts reads the raw results; none when there is no file yet. A line that was
// cut off, by a kill, is left out, so that its comparison is made again.
func readVerdicts(file string) ([]verdict, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []verdict
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			fmt.Fprintf(os.Stderr, "%s: a line is left out: %v\n", file, err)
			continue
		}
		all = append(all, v)
	}
	return all, lines.Err()
}

func appendVerdict(file string, v verdict) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
