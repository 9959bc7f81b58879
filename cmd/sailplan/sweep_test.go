package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// sweepResult is what this test looks at.
type sweepResult struct {
	Outcome, OutcomeReason, BoundBy, RunnerUp string
	Chosen                                    int
	PlannedRps                                float64
	Runs                                      []struct {
		Dir           string
		Concurrency   int
		CPULimitCores float64
		Outcome       string
		Replicas      int
		Requests      struct{ CPU string }
		CPUCores      float64
		WhyNot        string
	}
}

// TestSweepConcurrency sizes a lab with one worker thread of its gateway and with two,
// and reckons again from what the two sizings left which of them requests less.
func TestSweepConcurrency(t *testing.T) {
	c, code := judged(t, map[string]string{"s.yaml": queueScenario}, "size", "s.yaml", "--quick", "--sweep-concurrency", "1,2", "--out", "sweep", "--json", "sweep.json")
	if code != 0 {
		t.Fatalf("exit code: got %d, want 0", code)
	}
	s := readJSON[sweepResult](t, filepath.Join(c.dir, "sweep.json"))
	if len(s.Runs) != 2 || s.Outcome != "recommended" || s.PlannedRps < 1000 {
		t.Fatalf("%+v", s)
	}
	cheapest, least := -1, math.Inf(1)
	var costs []float64
	for i, r := range s.Runs {
		dir := fmt.Sprintf("sweep/%d-threads-1", i+1)
		run := readJSON[record.Run](t, filepath.Join(c.dir, dir, "run.json"))
		if r.Dir != dir || r.Concurrency != i+1 || run.Components[0].Concurrency != i+1 || run.Components[1].Concurrency != 1 {
			t.Errorf("run %d: %s with %d threads; the record has %+v", i, r.Dir, r.Concurrency, run.Components)
		}
		sized := readJSON[struct {
			Outcome    string
			Components []struct {
				Replicas  *struct{ Value int }
				Resources *struct {
					Requests    struct{ CPU string }
					Concurrency int
				}
			}
		}](t, filepath.Join(c.dir, dir, "recommendation.json"))
		if (r.WhyNot == "") != (sized.Outcome == "recommended") || r.Outcome != sized.Outcome {
			t.Errorf("run %d is %q (%q), and its own sizing says %q", i, r.Outcome, r.WhyNot, sized.Outcome)
		}
		if r.WhyNot != "" {
			continue
		}
		gateway := sized.Components[0]
		cost := float64(gateway.Replicas.Value) * cores(t, gateway.Resources.Requests.CPU)
		if math.Abs(r.CPUCores-cost) > 1e-9 || gateway.Resources.Concurrency != i+1 {
			t.Errorf("run %d requests %g cores with %d threads, want %d × %s", i, r.CPUCores, gateway.Resources.Concurrency, gateway.Replicas.Value, gateway.Resources.Requests.CPU)
		}
		if costs = append(costs, cost); cost < least {
			cheapest, least = i, cost
		}
		if found, _ := filepath.Glob(filepath.Join(c.dir, dir, "manifests", "*")); len(found) == 0 {
			t.Errorf("run %d has no manifests", i)
		}
	}
	if s.Chosen != cheapest {
		t.Fatalf("chosen is run %d, want %d of %v cores", s.Chosen, cheapest, costs)
	}
	name := []string{"1 thread, CPU limit 1", "2 threads, CPU limit 1"}[cheapest]
	if s.BoundBy != name || !strings.HasPrefix(s.OutcomeReason, name+": ") || len(costs) == 2 && !strings.Contains(s.OutcomeReason, "the next is "+s.RunnerUp) {
		t.Errorf("bound by %q, runner-up %q: %s; want %q", s.BoundBy, s.RunnerUp, s.OutcomeReason, name)
	}
	said := c.stdout.String()
	for _, want := range []string{"Run the gateway with " + name, "chosen", "What was chosen, with its manifests: " + s.Runs[cheapest].Dir} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	before, err := os.ReadFile(filepath.Join(c.dir, "sweep", "sweep.json"))
	if err != nil {
		t.Fatal(err)
	}
	if written, err := os.ReadFile(filepath.Join(c.dir, "sweep.json")); err != nil || !bytes.Equal(before, written) {
		t.Errorf("--json wrote something else than the folder has (%v)", err)
	}
	again := prepare(t, c.dir, os.Getenv(binaryVariable), "analyze", "sweep")
	again.begin()
	if got := again.wait(); got != 0 {
		t.Errorf("analyze: exit code %d, want 0", got)
	}
	if after, err := os.ReadFile(filepath.Join(c.dir, "sweep", "sweep.json")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("analyze gives another result (%v)", err)
	}
}

// cores reads a CPU quantity of Kubernetes, as 1, 0.5 or 300m.
func cores(t *testing.T, quantity string) float64 {
	t.Helper()
	number, milli := strings.CutSuffix(quantity, "m")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatal(err)
	}
	if milli {
		v /= 1000
	}
	return v
}
