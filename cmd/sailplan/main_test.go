package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// These tests run the built binary, since exit codes, signals and children only
// mean something there.

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// binaryVariable hands the built binary from TestMain to the tests.
const binaryVariable = "SAILPLAN_TEST_BINARY"

func buildAndRun(m *testing.M) int {
	if port := os.Getenv(serverVariable); port != "" {
		return serveBuild(port)
	}
	dir, err := os.MkdirTemp("", "sailplan-cli-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "sailplan")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(binaryVariable, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// required reports whether the environment says that a part must be there.
func required(part string) bool {
	return slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), part)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SAILPLAN_CACHE", filepath.Join(env.WorkDir, ".cache"))
			env.Setenv("PATH", filepath.Dir(os.Getenv(binaryVariable))+string(filepath.ListSeparator)+env.Getenv("PATH"))
			return nil
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		UpdateScripts: os.Getenv("SAILPLAN_TEST_UPDATE") != "",
	})
}

// exits runs sailplan and checks its exit code: exits CODE ARG…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("sailplan", args[1:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("sailplan %s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// command is one run of the binary in a test.
type command struct {
	*exec.Cmd
	t              *testing.T
	dir            string // working directory
	stdout, stderr output
	done           chan struct{}
}

// output collects what a program writes; it may be read meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start starts the binary in a folder of its own that holds the files.
func start(t *testing.T, files map[string]string, args ...string) *command {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := prepare(t, dir, os.Getenv(binaryVariable), args...)
	c.begin()
	return c
}

// prepare makes a command that runs in dir, with a cache of its own there.
func prepare(t *testing.T, dir, binary string, args ...string) *command {
	t.Helper()
	c := &command{t: t, dir: dir, done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	t.Cleanup(cancel)
	c.Cmd = exec.CommandContext(ctx, binary, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "SAILPLAN_CACHE="+filepath.Join(dir, ".cache"))
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	c.WaitDelay = 10 * time.Second
	return c
}

// begin starts the command; it is killed when the test ends.
func (c *command) begin() {
	c.t.Helper()
	if err := c.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.Wait() // ProcessState tells
	}()
	t := c.t // a subtest may take the command over
	t.Cleanup(func() {
		_ = c.Process.Kill() // it has ended as a rule
		<-c.done
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", c.stdout.String(), c.stderr.String())
		}
	})
}

// wait waits for the end and returns the exit code, −1 after a signal.
func (c *command) wait() int {
	<-c.done
	return c.ProcessState.ExitCode()
}

// judged runs the binary until it gives an answer, three times at most: that
// others held the machine up is said with exit code 4, and not what is tested.
func judged(t *testing.T, files map[string]string, args ...string) (*command, int) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		c := start(t, files, args...)
		code := c.wait()
		if code != 4 || attempt == 3 {
			return c, code
		}
		t.Logf("attempt %d: not a valid measurement", attempt)
	}
}

// until waits for a condition; it fails the test when the program ends or two
// minutes pass first.
func (c *command) until(what string, condition func() bool) {
	c.t.Helper()
	if c.reaches(condition) {
		return
	}
	select {
	case <-c.done:
		c.t.Fatalf("the program ended (code %d) before %s", c.ProcessState.ExitCode(), what)
	default:
		c.t.Fatalf("two minutes passed before %s", what)
	}
}

// reaches waits for a condition and reports whether it came true before the
// program ended, or two minutes passed.
func (c *command) reaches(condition func() bool) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range 6000 {
		if condition() {
			return true
		}
		select {
		case <-c.done:
			return false
		case <-ticker.C:
		}
	}
	return false
}

// children returns the processes below pid, by their command names.
func children(pid int) map[int]string {
	found := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents, names := map[int]int{}, map[int]string{}
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
		fields := strings.Fields(string(data[end+1:]))
		child, _ := strconv.Atoi(string(bytes.TrimSpace(data[:open])))
		parent, _ := strconv.Atoi(fields[1])
		if fields[0] == "Z" {
			continue
		}
		parents[child], names[child] = parent, string(data[open+1:end])
	}
	for child := range parents {
		for up := child; up > 1; up = parents[up] {
			if parents[up] == pid {
				found[child] = names[child]
				break
			}
		}
	}
	return found
}

// gone waits until none of the processes is there any more.
func gone(t *testing.T, pids map[int]string) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var left []string
	for range 200 {
		left = nil
		for pid, name := range pids {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err == nil && !bytes.Contains(data, []byte(") Z ")) {
				left = append(left, fmt.Sprintf("%d (%s)", pid, name))
			}
		}
		if len(left) == 0 {
			return
		}
		<-ticker.C
	}
	t.Errorf("still there after 10 s: %v", left)
}

// runDir returns the only run directory below the command's folder.
func (c *command) runDir() string {
	c.t.Helper()
	found, err := filepath.Glob(filepath.Join(c.dir, "sailplan-runs", "*", "run.json"))
	if err != nil || len(found) != 1 {
		c.t.Fatalf("run directories: got %v, %v; want one", found, err)
	}
	return filepath.Dir(found[0])
}

// readJSON reads a file of the run directory.
func readJSON[T any](t *testing.T, file string) T {
	t.Helper()
	var value T
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &value)
	}
	if err != nil {
		t.Fatalf("reading %s: %v", file, err)
	}
	return value
}

// serveH2C serves cleartext HTTP/2 on loopback and returns its URL.
func serveH2C(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return "http://" + listener.Addr().String()
}

// pemOf returns the certificate of a test server.
func pemOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// labScenario is a small lab on the stand-in, so that these tests need nothing
// but this program.
const labScenario = `apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: small}
lab:
  proxy: embedded
  gateway: {concurrency: 1}
  sidecar: {concurrency: 1}
  service: {replicas: 1, latency: {median: 1ms, p99: 2ms}, responseBytes: 128}
connections: {count: 2, streamsPerConnection: 50}
requests: [{name: get, weight: 1, method: GET, path: /}]
objectives: [{quantile: 0.99, latency: 50ms}]
guards: {maxRate: 5000/s}
demand: {peakRate: 1000/s}
`

// begun reports whether the run has recorded at least n phases' starts.
func (c *command) begun(n int) func() bool {
	return func() bool {
		files, _ := filepath.Glob(filepath.Join(c.dir, "sailplan-runs", "*", "events.jsonl"))
		if len(files) != 1 {
			return false
		}
		data, err := os.ReadFile(files[0])
		return err == nil && bytes.Count(data, []byte(`"phase-start"`)) >= n
	}
}

func TestInterruptAtAnyMoment(t *testing.T) {
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		code   int
		when   func(c *command) (what string, condition func() bool)
		record bool // a record must be there
	}{
		{"while the lab starts", syscall.SIGINT, 130, func(c *command) (string, func() bool) {
			return "a child started", func() bool { return len(children(c.Process.Pid)) > 0 }
		}, false},
		{"in the warm-up", syscall.SIGINT, 130, func(c *command) (string, func() bool) {
			return "the first phase began", c.begun(1)
		}, true},
		{"in the climb", syscall.SIGINT, 130, func(c *command) (string, func() bool) {
			return "the fourth phase began", c.begun(4)
		}, true},
		{"terminated", syscall.SIGTERM, 143, func(c *command) (string, func() bool) {
			return "the second phase began", c.begun(2)
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, map[string]string{"small.yaml": labScenario}, "size", "small.yaml", "--quick")
			c.until(test.when(c))
			lab := children(c.Process.Pid)
			if err := c.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			if got := c.wait(); got != test.code {
				t.Errorf("exit code: got %d, want %d", got, test.code)
			}
			gone(t, lab)
			if test.record {
				checkReport(t, c.runDir(), "interrupted")
			}
		})
	}
}

// checkReport runs report on a directory and looks for what it must say, and
// holds analyze to the exit code of the run.
func checkReport(t *testing.T, dir, ended string) {
	t.Helper()
	analyze := exec.Command(os.Getenv(binaryVariable), "analyze", dir)
	analyzed, err := analyze.CombinedOutput()
	if analyze.ProcessState == nil {
		t.Fatalf("analyze: %v", err)
	}
	// Nobody knows how a killed run would have ended: it could not be done.
	want := map[string]int{"interrupted": 130, "failed": 1, "": 1}[ended]
	if why := readJSON[struct{ EndedWhy string }](t, filepath.Join(dir, "run.json")).EndedWhy; strings.Contains(why, "SIGTERM") {
		want = 143
	}
	if got := analyze.ProcessState.ExitCode(); got != want {
		t.Errorf("analyze: exit code %d, want %d\n%s", got, want, analyzed)
	}
	out, err := exec.Command(os.Getenv(binaryVariable), "report", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("report: %v\n%s", err, out)
	}
	result := readJSON[struct {
		Outcome string `json:"outcome"`
		Ended   string `json:"ended"`
	}](t, filepath.Join(dir, "recommendation.json"))
	if result.Ended != ended || result.Outcome != "incomplete" {
		t.Errorf("result: got %+v, want an incomplete one that ended %q", result, ended)
	}
	for _, name := range []string{"report.html", "report.md"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, want a report", name, err)
		}
	}
}

func TestKilledRunCanBeRead(t *testing.T) {
	c := start(t, map[string]string{"small.yaml": labScenario}, "size", "small.yaml", "--quick")
	c.until("the third phase began", c.begun(3))
	lab := children(c.Process.Pid)
	if len(lab) < 3 {
		t.Errorf("children: got %v, want gateway, sidecar and service", lab)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait()
	gone(t, lab)
	checkReport(t, c.runDir(), "")
	// What the killed run could not remove is removed by the next start.
	state := filepath.Join(c.dir, ".cache", "state")
	if left, _ := os.ReadDir(state); len(left) == 0 {
		t.Fatal("the killed run left nothing in the state folder: this test shows nothing")
	}
	next := exec.Command(os.Getenv(binaryVariable), "size", "small.yaml", "--quick")
	next.Dir, next.Env = c.dir, append(os.Environ(), "SAILPLAN_CACHE="+filepath.Join(c.dir, ".cache"))
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		_ = next.Wait() // ended by a signal
	}()
	c.until("the next run began", func() bool {
		files, _ := filepath.Glob(filepath.Join(c.dir, "sailplan-runs", "*", "events.jsonl"))
		return len(files) == 2
	})
	if err := next.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-c.done
	if left, _ := os.ReadDir(state); len(left) > 0 {
		t.Errorf("left in the state folder after the next run: %v", left)
	}
}

func TestGuardEndsTheLoad(t *testing.T) {
	url := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	c := start(t, map[string]string{"s.yaml": targetScenario(url, "500/s", "10s")}, "run", "s.yaml")
	began := time.Now()
	if got := c.wait(); got != 5 {
		t.Errorf("exit code: got %d, want 5", got)
	}
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("the load of ten seconds went on for %v after every answer was an error", took)
	}
	run := readJSON[struct {
		Ended    string `json:"ended"`
		EndedWhy string `json:"endedWhy"`
	}](t, filepath.Join(c.runDir(), "run.json"))
	if run.Ended != "guard" || !strings.Contains(run.EndedWhy, "maxErrorRatio") {
		t.Errorf("run.json: got %+v, want it to name the guard", run)
	}
}

// targetScenario is a scenario that drives a server of the test's.
func targetScenario(url, rate, duration string) string {
	return fmt.Sprintf(`apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: target}
target: {url: %q}
connections: {count: 2, streamsPerConnection: 100}
requests: [{name: get, weight: 1, method: GET, path: /}]
load: {rate: %s, duration: %s}
objectives: [{quantile: 0.99, latency: 50ms}]
guards: {maxRate: 1000000/s, maxErrorRatio: 20%%}
demand: {peakRate: 1000/s}
`, url, rate, duration)
}

// lenient gives a scenario an objective that a machine which others keep busy
// can still be held to.
func lenient(scenario string) string {
	return strings.Replace(scenario, "quantile: 0.99, latency: 50ms", "quantile: 0.9, latency: 1s", 1)
}

func TestRunHoldsItsObjective(t *testing.T) {
	url := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	c, got := judged(t, map[string]string{"s.yaml": lenient(targetScenario(url, "300/s", "4s"))}, "run", "s.yaml", "--json", "-")
	if got != 0 {
		t.Fatalf("exit code: got %d, want 0", got)
	}
	var result struct {
		Outcome  string
		Requests struct{ Intended, Sent, Answered int64 }
		Statuses map[string]int64
	}
	if err := json.Unmarshal([]byte(c.stdout.String()), &result); err != nil {
		t.Fatalf("standard output is not only JSON: %v", err)
	}
	if r := result.Requests; r.Intended != r.Answered || r.Sent != r.Answered || result.Statuses["200"] != r.Answered {
		t.Errorf("accounts: got %+v, want every arrival answered with 200", result)
	}
}

func TestRunMissesItsObjective(t *testing.T) {
	url := serveH2C(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.NewTimer(1200 * time.Millisecond).C:
		case <-r.Context().Done():
		}
	})
	if _, got := judged(t, map[string]string{"s.yaml": lenient(targetScenario(url, "50/s", "4s"))}, "run", "s.yaml"); got != 3 {
		t.Errorf("exit code: got %d, want 3", got)
	}
}

func TestInfeasibleObjective(t *testing.T) {
	scenario := strings.NewReplacer("median: 1ms, p99: 2ms", "median: 200ms, p99: 300ms", "latency: 50ms}", "latency: 100ms}").Replace(labScenario)
	c, got := judged(t, map[string]string{"s.yaml": scenario}, "size", "s.yaml", "--quick")
	if got != 3 {
		t.Errorf("exit code: got %d, want 3", got)
	}
	result := readJSON[struct{ Outcome, OutcomeReason string }](t, filepath.Join(c.runDir(), "recommendation.json"))
	if result.Outcome != "infeasible" {
		t.Errorf("outcome: got %+v, want infeasible", result)
	}
}

func TestGeneratorThatCannotReachTheRate(t *testing.T) {
	url := serveH2C(t, func(http.ResponseWriter, *http.Request) {})
	scenario := targetScenario(url, "1000000/s", "3s")
	c := start(t, map[string]string{"s.yaml": strings.Replace(scenario, "maxErrorRatio: 20%", "maxErrorRatio: 100%", 1)}, "run", "s.yaml")
	if got := c.wait(); got != 4 {
		t.Errorf("exit code: got %d, want 4", got)
	}
}
