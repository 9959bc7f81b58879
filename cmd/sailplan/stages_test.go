package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/lab"
	"github.com/sailplan-io/sailplan/scenarios/lab/process"
)

// queueScenario is a lab whose edge is at some 200/s, because all requests share
// the two streams of one connection: every stage of a sizing is reached, at rates
// that leave room for other runs beside it.
const queueScenario = `apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: queue}
lab:
  proxy: embedded
  gateway: {concurrency: 1, limits: {cpu: "1"}}
  sidecar: {concurrency: 1}
  service: {replicas: 1, latency: {median: 10ms, p99: 12ms}, responseBytes: 128}
connections: {count: 1, streamsPerConnection: 2}
requests: [{name: get, weight: 1, method: GET, path: /}]
objectives: [{quantile: 0.9, latency: 200ms}]
guards: {maxRate: 400/s}
demand: {peakRate: 1000/s}
`

// onEnvoy is the scenario with real Envoy as its proxies.
func onEnvoy(scenario string) string {
	return strings.Replace(scenario, "proxy: embedded", "proxy: envoy", 1)
}

// envoy returns where a real Envoy is, or skips.
func envoy(t *testing.T) string {
	t.Helper()
	places := lab.EnvoyPlaces{Environment: os.Getenv("SAILPLAN_ENVOY"), SearchPath: os.Getenv("PATH")}
	if cache, err := os.UserCacheDir(); err == nil {
		places.CacheDir = filepath.Join(cache, "sailplan")
	}
	found, err := lab.FindEnvoy(places)
	if err != nil {
		if required("envoy") {
			t.Fatal(err)
		}
		t.Skipf("skipped: no real Envoy: %v", err)
	}
	return found.Path
}

// inPhase reports whether a phase whose name begins so has been recorded as
// begun, and whether its lab is therefore under load of that stage.
func (c *command) inPhase(name string) func() bool {
	return func() bool {
		files, _ := filepath.Glob(filepath.Join(c.dir, "sailplan-runs", "*", "events.jsonl"))
		if len(files) != 1 {
			return false
		}
		data, err := os.ReadFile(files[0])
		return err == nil && bytes.Contains(data, fmt.Appendf(nil, `"phase-start","phase":%d,"subject":"%s`, bytes.Count(data, []byte(`"phase-end"`)), name))
	}
}

// groupsOf returns the cgroups that a run has made.
func groupsOf(pid int) (found []string) {
	prefix := fmt.Sprintf("sailplan-%d-", pid)
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // others' groups come and go
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), prefix) {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// limited fails when a lab has no cgroups although they are required, and says
// so once when it may have none.
func limited(t *testing.T, groups []string) {
	t.Helper()
	switch {
	case len(groups) > 0:
	case required("cgroup"):
		t.Error("the lab has no cgroups")
	default:
		t.Log("this machine permits no cgroups: that they go is not tested")
	}
}

// TestEndInEveryStage ends runs in the stages that come late in a sizing. They
// go side by side, since each takes a minute.
func TestEndInEveryStage(t *testing.T) {
	t.Parallel()
	size := func(t *testing.T, scenario string, flags ...string) *command {
		return start(t, map[string]string{"s.yaml": scenario}, append([]string{"size", "s.yaml", "--quick"}, flags...)...)
	}
	envoyPath := func() (path string) {
		t.Run("real Envoy", func(t *testing.T) { path = envoy(t) })
		return path
	}()
	type moment struct {
		name   string
		run    func(t *testing.T) *command
		phase  string
		signal syscall.Signal
		caught <-chan caught
	}
	embedded := func(t *testing.T) *command { return size(t, queueScenario) }
	moments := []moment{
		{name: "interrupted in the search", run: embedded, phase: "search ", signal: syscall.SIGINT},
		{name: "killed in the search", run: embedded, phase: "search ", signal: syscall.SIGKILL},
		{name: "interrupted in the proof", run: embedded, phase: "above", signal: syscall.SIGINT},
	}
	if envoyPath != "" {
		moments = slices.Insert(moments, 0, moment{
			name: "interrupted in the sweep, on Envoy", phase: "steady 2", signal: syscall.SIGINT,
			run: func(t *testing.T) *command { return size(t, onEnvoy(queueScenario), "--envoy", envoyPath) },
		})
	}
	for i := range moments {
		moments[i].caught = catch(moments[i].run(t), moments[i].phase, moments[i].signal)
	}
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			got := <-m.caught
			for attempt := 1; got.err != nil; attempt++ {
				// A machine that is held up by others leads to no answer, long before that phase.
				if attempt == 3 || got.c.wait() != 4 {
					t.Fatal(got.err)
				}
				got = <-catch(m.run(t), m.phase, m.signal)
			}
			c, lab := got.c, got.lab
			c.t = t
			if len(lab) != 3 {
				t.Errorf("children: got %v, want gateway, sidecar and service", lab)
			}
			limited(t, got.groups)
			code, ended := 130, "interrupted"
			if m.signal == syscall.SIGKILL {
				code, ended = -1, ""
			}
			if got := c.wait(); got != code {
				t.Errorf("exit code: got %d, want %d", got, code)
			}
			gone(t, lab)
			if m.signal == syscall.SIGKILL {
				c.startAgain()
			}
			if left := groupsOf(c.Process.Pid); len(left) > 0 {
				t.Errorf("cgroups left: %v", left)
			}
			if left, _ := os.ReadDir(filepath.Join(c.dir, ".cache", "state")); len(left) > 0 {
				t.Errorf("left in the state folder: %v", left)
			}
			checkReport(t, c.runDir(), ended)
		})
	}
}

// caught is a run that a signal was sent to, and what it had made by then.
type caught struct {
	c      *command
	lab    map[int]string
	groups []string
	err    error
}

// catch waits for a phase in the background and then sends the signal, so that
// no phase is missed while another run is looked at.
func catch(c *command, phase string, signal syscall.Signal) <-chan caught {
	done := make(chan caught, 1)
	go func() {
		got := caught{c: c}
		if !c.reaches(c.inPhase(phase)) {
			got.err = fmt.Errorf("%s was not reached", phase)
			_ = c.Process.Kill() // it has ended as a rule
		} else {
			got.lab, got.groups = children(c.Process.Pid), groupsOf(c.Process.Pid)
			got.err = c.Process.Signal(signal)
		}
		done <- got
	}()
	return done
}

// startAgain starts a lab where a run was killed, which removes what that run
// could not, and ends it.
func (c *command) startAgain() {
	c.t.Helper()
	if left, _ := os.ReadDir(filepath.Join(c.dir, ".cache", "state")); len(left) == 0 {
		c.t.Error("the killed run left nothing in the state folder: this test shows nothing")
	}
	next := prepare(c.t, c.dir, os.Getenv(binaryVariable), "lab", "s.yaml")
	next.begin()
	next.until("the lab was up", func() bool { return strings.Contains(next.stdout.String(), "Ctrl-C ends it") })
	if err := next.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
	if got := next.wait(); got != 130 {
		c.t.Errorf("the next start: exit code %d, want 130", got)
	}
}

// TestEnvoyThatDiesEndsTheRun kills a proxy while a sizing climbs.
func TestEnvoyThatDiesEndsTheRun(t *testing.T) {
	t.Parallel()
	path := envoy(t)
	for _, component := range []string{"gateway", "sidecar"} {
		t.Run(component, func(t *testing.T) {
			c := start(t, map[string]string{"s.yaml": onEnvoy(queueScenario)}, "size", "s.yaml", "--quick", "--envoy", path)
			c.until("climb 1", c.inPhase("climb 1"))
			lab := children(c.Process.Pid)
			killed := 0
			for pid := range lab {
				program, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
				arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				if err == nil && program == path && bytes.Contains(arguments, []byte(component+"-0.json")) {
					killed = pid
				}
			}
			if killed == 0 {
				t.Fatalf("no Envoy of the %s among the children %v", component, lab)
			}
			if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if got := c.wait(); got != 1 {
				t.Errorf("exit code: got %d, want 1", got)
			}
			for _, want := range []string{component + "-0", "died", "signal: killed"} {
				if !strings.Contains(c.stderr.String(), want) {
					t.Errorf("standard error: got %q, want it to say %q", c.stderr.String(), want)
				}
			}
			gone(t, lab)
			if left := groupsOf(c.Process.Pid); len(left) > 0 {
				t.Errorf("cgroups left: %v", left)
			}
			checkReport(t, c.runDir(), "failed")
			run := readJSON[struct{ EndedWhy string }](t, filepath.Join(c.runDir(), "run.json"))
			if !strings.Contains(run.EndedWhy, component+"-0") {
				t.Errorf("run.json: ended because of %q, want it to name the %s", run.EndedWhy, component)
			}
		})
	}
}

// TestSizingByAStarvedGenerator holds size to giving no answer when the
// generator, not the system, is the limit: it gets a fiftieth of a core.
func TestSizingByAStarvedGenerator(t *testing.T) {
	t.Parallel()
	url := serveH2C(t, func(http.ResponseWriter, *http.Request) {})
	dir := t.TempDir()
	// This test is the target; so there is a component to recommend something for.
	scenario := strings.Replace(targetScenario(url, "100/s", "1s"), "quantile: 0.99", "quantile: 0.9", 1) + fmt.Sprintf(`observe:
  components: [{name: gateway, role: gateway, pid: %d, limits: {cpu: "1", memory: 1Gi}}]
`, os.Getpid())
	if err := os.WriteFile(filepath.Join(dir, "s.yaml"), []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := os.Getenv(binaryVariable)
	owner, err := process.NewOwner(process.Config{StateDir: t.TempDir(), Self: []string{binary, "lab-child"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := owner.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	program, err := owner.Start(t.Context(), process.Options{
		Name: "starved", Path: binary, Args: []string{"size", "s.yaml", "--quick", "--out", "run"}, Dir: dir,
		Env:    append(os.Environ(), "SAILPLAN_CACHE="+filepath.Join(dir, ".cache")),
		Limits: process.Limits{CPUMilli: 20}, TailLines: 200,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !program.LimitsBind() {
		if required("cgroup") {
			t.Fatalf("limits do not bind: %v", owner.WhyNoLimits())
		}
		t.Skipf("skipped: no limit binds here: %v", owner.WhyNoLimits())
	}
	select {
	case <-program.Exited():
	case <-time.After(2 * time.Minute):
		t.Fatalf("still going on after two minutes: %v", program.Tail())
	}
	said := strings.Join(program.Tail(), "\n")
	if got := program.Exit().Code; got != 4 {
		t.Errorf("exit code: got %d, want 4\n%s", got, said)
	}
	if !strings.Contains(said, "there is no use in going on") || !strings.Contains(said, "generator") {
		t.Errorf("it said %q, want the reason in words", said)
	}
	result := readJSON[struct {
		Outcome, OutcomeReason string
		Valid                  bool
		InvalidReasons         []struct{ Code, Message string }
		ConnectionPool         *struct{}
		Components             []struct{ Replicas, Resources, HPA *struct{} }
	}](t, filepath.Join(dir, "run", "recommendation.json"))
	if result.Outcome != "invalid" || result.Valid || result.OutcomeReason == "" || len(result.InvalidReasons) == 0 {
		t.Errorf("result: got %+v, want an invalid one with reasons", result)
	}
	if result.ConnectionPool != nil {
		t.Errorf("a connection pool is recommended: %+v", result.ConnectionPool)
	}
	if len(result.Components) != 1 {
		t.Errorf("components: got %d, want the one that is observed", len(result.Components))
	}
	for _, c := range result.Components {
		if c.Replicas != nil || c.Resources != nil || c.HPA != nil {
			t.Errorf("something is recommended: %+v", c)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "run", "manifests")); !os.IsNotExist(err) {
		t.Errorf("manifests: %v, %v; want none", left, err)
	}
}
