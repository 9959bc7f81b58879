package experiment_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/scenarios/lab"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// childWord makes the test binary a child of a lab, as the hidden subcommand does
// with the program.
const childWord = "lab-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		if err := lab.Child(context.Background(), os.Args[2:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// envoy returns the path of a real Envoy, or ends the test without one.
func envoy(t *testing.T) string {
	t.Helper()
	found, err := lab.FindEnvoy(lab.EnvoyPlaces{Environment: os.Getenv("SAILPLAN_ENVOY"), SearchPath: os.Getenv("PATH")})
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "envoy") {
			t.Fatalf("envoy is required: %v", err)
		}
		t.Skipf("no envoy: %v", err)
	}
	return found.Path
}

// row is a policy of testdata with what real Envoy was seen to do.
type row struct {
	setup         breaker.Setup
	trial         string
	verdict       breaker.Verdict
	seen, because *regexp.Regexp
	// busy rows need what processors there are, so they come first and alone.
	busy bool
}

// readRow reads a policy and the comments above it.
func readRow(t *testing.T, file string) row {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := mesh.Parse(filepath.Base(file), text)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := mesh.EffectiveFor(objects, "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := row{setup: breaker.Setup{Client: policy, Server: policy, Workers: 2, Protocol: breaker.HTTP2, Fast: true}}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
		value = strings.TrimSpace(value)
		switch {
		case !strings.HasPrefix(line, "# "):
		case key == "endpoints":
			if r.setup.Endpoints, err = strconv.Atoi(value); err != nil {
				t.Fatal(err)
			}
		case key == "protocol":
			r.setup.Protocol = breaker.Protocol(value)
		case key == "retries":
			words := strings.Fields(value)
			attempts, err := strconv.Atoi(words[0])
			if err != nil {
				t.Fatal(err)
			}
			perTry, err := time.ParseDuration(words[1])
			if err != nil {
				t.Fatal(err)
			}
			r.setup.Retries = &breaker.Retries{Attempts: uint32(attempts), PerTry: perTry, Timeout: time.Second, On: words[2]}
		case key == "trial":
			r.trial = value
		case key == "verdict":
			r.verdict = breaker.Verdict(value)
		case key == "clients":
			clients, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			r.setup.Peak = &breaker.Peak{RPS: 100, AnswerSeconds: 0.1, Clients: clients}
		case key == "alone":
			r.busy = value == "true"
		case key == "seen":
			r.seen = regexp.MustCompile(value)
		case key == "because":
			r.because = regexp.MustCompile(value)
		}
	}
	if r.setup.Endpoints == 0 || r.trial == "" || r.verdict == "" || r.seen == nil && r.because == nil {
		t.Fatalf("%s does not say what was seen", file)
	}
	return r
}

// What ends trials leaves nothing running.
func TestBreakerInterrupted(t *testing.T) {
	path := envoy(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := readRow(t, "testdata/breaker/requests-10.yaml")
	trials, err := breaker.Select(breaker.Plan(r.setup), []string{"http2MaxRequests of a"})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	tried := 0
	facts, err := experiment.Breaker(ctx, experiment.BreakerOptions{
		Trials: trials, EnvoyPath: path, StateDir: state, Self: []string{self, childWord}, Seed: 1,
		Note: func(string) {},
		Done: func(breaker.Result) {
			tried++
			interrupt(experiment.Interrupted{By: "a test"})
		},
	})
	var interrupted experiment.Interrupted
	if !errors.As(err, &interrupted) || tried != 1 || len(facts.Results) != 1 {
		t.Errorf("got %d results and %v, want one and the interruption", len(facts.Results), err)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) > 0 {
		t.Errorf("left in the state folder: %v, %v", left, err)
	}
}

// A trial in which a proxy dies is made once more, on new ones.
func TestBreakerAfterADeath(t *testing.T) {
	path := envoy(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := readRow(t, "testdata/breaker/connect-timeout-300ms.yaml")
	trials, err := breaker.Select(breaker.Plan(r.setup), []string{r.trial})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var killing sync.WaitGroup
	var notes []string
	facts, err := experiment.Breaker(ctx, experiment.BreakerOptions{
		Trials: trials, EnvoyPath: path, StateDir: t.TempDir(), Self: []string{self, childWord}, Seed: 1,
		Note: func(note string) {
			if notes = append(notes, note); len(notes) == 1 {
				killing.Go(func() { killChild(ctx, t, filepath.Base(path)) })
			}
		},
		Done: func(breaker.Result) {},
	})
	killing.Wait()
	if err != nil || len(facts.Results) != 1 || facts.Results[0].Verdict != breaker.Pass {
		t.Errorf("got %+v, %v, want a trial that passes", facts.Results, err)
	}
	if len(notes) != 2 || !strings.HasPrefix(notes[1], "  once more: ") {
		t.Errorf("got the notes %q", notes)
	}
}

// killChild kills the first child of this process that runs such a program.
func killChild(ctx context.Context, t *testing.T, program string) {
	for ctx.Err() == nil {
		lists, err := filepath.Glob("/proc/self/task/*/children")
		if err != nil || len(lists) == 0 {
			t.Errorf("which children there are cannot be read: %v", err)
			return
		}
		for _, list := range lists {
			pids, _ := os.ReadFile(list) // a thread may be gone
			for _, text := range strings.Fields(string(pids)) {
				line, _ := os.ReadFile("/proc/" + text + "/cmdline")
				name, _, _ := strings.Cut(string(line), "\x00")
				pid, err := strconv.Atoi(text)
				if filepath.Base(name) != program || err != nil {
					continue
				}
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Errorf("killing %d: %v", pid, err)
				}
				return
			}
		}
		runtime.Gosched()
	}
	t.Error("no proxy was started")
}

// Each policy of testdata is put on real Envoys, and does what they were seen to do
// when it was written.
func TestPoliciesOnEnvoy(t *testing.T) {
	path := envoy(t)
	files, err := filepath.Glob("testdata/breaker/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("got %d policies, %v, want at least 20", len(files), err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			r := readRow(t, file)
			if !r.busy {
				t.Parallel()
			}
			trials, err := breaker.Select(breaker.Plan(r.setup), []string{r.trial})
			if err != nil || len(trials) != 1 {
				t.Fatalf("got %d trials of %q, %v, want one", len(trials), r.trial, err)
			}
			facts, err := experiment.Breaker(t.Context(), experiment.BreakerOptions{
				Trials: trials, EnvoyPath: path, StateDir: t.TempDir(), Self: []string{self, childWord}, Seed: 1,
				Note: func(string) {}, Done: func(breaker.Result) {},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := facts.Results[0]
			if got.Verdict != r.verdict || r.seen != nil && !r.seen.MatchString(got.Observed) || r.because != nil && !r.because.MatchString(got.Reason) {
				t.Errorf("%s: got %s, observed %q, because %q;\nwant %s, observed %v, because %v", got.Name, got.Verdict, got.Observed, got.Reason, r.verdict, r.seen, r.because)
			}
			t.Logf("%s in %.1f s: %s %s", got.Verdict, got.Seconds, got.Observed, got.Reason)
		})
	}
}
