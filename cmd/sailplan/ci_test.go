package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// serverVariable makes the test program the server of a build, at the port.
const serverVariable = "SAILPLAN_TEST_SERVER"

// serveBuild is the server that the pipelines of docs/ci.md measure.
func serveBuild(port string) int {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: "127.0.0.1:" + port, Protocols: protocols, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("well"))
	})}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	return 1
}

// fence is a block of code of a page.
type fence struct{ language, text string }

func fencesOf(t *testing.T, page string) []fence {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var all []fence
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all = append(all, fence{m[1], m[2]})
	}
	return all
}

// pipeline is a folder in which the commands of docs/ci.md can run: with a scenario, two
// builds of a server, a Git repository, and stand-ins for what a CI service brings.
type pipeline struct {
	dir, log, port string
	environment    []string
}

func newPipeline(t *testing.T) pipeline {
	t.Helper()
	p := pipeline{dir: t.TempDir()}
	bin := filepath.Join(t.TempDir(), "bin")
	p.log = filepath.Join(bin, "log")
	p.port = freePort(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	scenario := func(port string) string {
		return "apiVersion: sailplan.io/v1\nkind: Scenario\nmetadata: {name: perf}\ntarget: {url: 'http://127.0.0.1:" + port + "', protocol: h2c}\n" +
			"load: {rate: 200/s, duration: 1s, warmUp: 200ms}\nobjectives: [{quantile: 0.9, latency: 2s}]\n"
	}
	standing := freePort(t) // of a server that is there all the time
	for _, name := range []string{"perf", "old", "new"} {
		write(filepath.Join(p.dir, name+".yaml"), scenario(standing), 0o644)
	}
	for _, build := range []string{"build-main", "build-pr"} {
		write(filepath.Join(p.dir, build, "server"), fmt.Sprintf("#!/bin/sh\n%s=\"$2\" exec '%s'\n", serverVariable, self), 0o755)
	}
	// Noise may look like a regression: what counts is that each call was right, which
	// the log says.
	write(filepath.Join(bin, "sailplan"), fmt.Sprintf("#!/bin/sh\n'%s' \"$@\"\ncode=$?\necho \"$code $*\" >>'%s'\n[ $code -eq 3 ] || [ $code -eq 4 ] || exit $code\n", os.Getenv(binaryVariable), p.log), 0o755)
	write(filepath.Join(bin, "go"), "#!/bin/sh\n[ \"$1\" = install ]\n", 0o755)
	// gh run list · gh run download ID --name N --dir D · gh pr comment N --body-file F
	write(filepath.Join(bin, "gh"), "#!/bin/sh\ncase \"$1 $2\" in\n'run list') echo 41 ;;\n'run download') [ \"$3\" = 41 ] && mkdir -p \"$7\" && cp -r stored/. \"$7\" ;;\n'pr comment') [ \"$3\" = 7 ] && cp \"$5\" commented.md ;;\n*) exit 9 ;;\nesac\n", 0o755)
	// curl … --output FILE URL of an artefact or a note, the last with --data-urlencode body@FILE
	write(filepath.Join(bin, "curl"), `#!/bin/sh
for a; do
  [ "$p" = --output ] && output="$a"
  [ "$p" = --data-urlencode ] && body="${a#body@}"
  p="$a"
done
case "$p" in
https://gitlab.example.com/api/v4/projects/5/jobs/artifacts/main/raw/runs.tar?job=performance) [ -z "$body" ] && tar -cf "$output" -C stored . ;;
https://gitlab.example.com/api/v4/projects/5/merge_requests/8/notes) cp "$body" noted.md && echo '{}' >"$output" ;;
*) exit 22 ;;
esac
`, 0o755)
	p.environment = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "CI_COMMIT_BRANCH=change", "CI_DEFAULT_BRANCH=main",
		"CI_API_V4_URL=https://gitlab.example.com/api/v4", "CI_PROJECT_ID=5", "CI_JOB_TOKEN=secret", "CI_MERGE_REQUEST_IID=8", "PERFORMANCE_TOKEN=secret")
	server := exec.Command(self)
	server.Env = append(os.Environ(), serverVariable+"="+standing)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	awaitListener(t, "127.0.0.1:"+standing)
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func awaitListener(t *testing.T, address string) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-look.C {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			return
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// run runs the lines of a script as the service's shell does, with the values that it
// would put in, and what takes long made short.
func (p pipeline) run(t *testing.T, script string) {
	t.Helper()
	script = strings.NewReplacer(
		"${{ github.event.number }}", "7", "-port 8080", "-port "+p.port, "127.0.0.1:8080", "127.0.0.1:"+p.port,
		"--duration 10s --max-time 15m", "--duration 1s --max-time 2m --pairs 2", "--pairs 12", "--pairs 2", "--cpu-list 1", "--cpu-list 0",
		"$(sailplan lab install --release 1.39.3)", "$SAILPLAN_ENVOY", "$(sailplan lab install)", "$SAILPLAN_ENVOY", "--new lab.yaml", "--new lab.yaml --pairs 1 --rate 100/s --duration 1s",
	).Replace(script)
	command := exec.Command("bash", "-eo", "pipefail", "-c", script)
	command.Dir, command.Env = p.dir, p.environment
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v of\n%s\n%s", err, script, text)
	}
}

// Every command of docs/ci.md is run here, with stand-ins for gh, curl and
// `go install`; and the files for the two services are what they are called.
func TestPipelines(t *testing.T) {
	for _, program := range []string{"git", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			if required(program) {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	p := newPipeline(t)
	measure := "for i in 1 2 3 4 5; do sailplan run perf.yaml --out \"runs/new/$i\" --quiet; done"
	p.run(t, measure+`
		mv runs/new runs/base
		cp -r runs/base stored; cp -r runs/base runs/before; cp -r runs/base runs/after
		sailplan scenario init lab.yaml
		git init -q -b main; git init -q --bare origin.git; git remote add origin "$PWD/origin.git"
		git add perf.yaml; git commit -q -m first
		git push -q origin main:performance-results`)
	counted := map[string]int{}
	for _, f := range fencesOf(t, "ci.md") {
		counted[f.language]++
		switch f.language {
		case "sh":
			if strings.Contains(f.text, "--base-envoy") && os.Getenv("SAILPLAN_ENVOY") == "" {
				if required("envoy") {
					t.Error("there is no SAILPLAN_ENVOY")
				}
				t.Log("not run, for want of SAILPLAN_ENVOY:", f.text)
				continue
			}
			if strings.Contains(f.text, "taskset") {
				if _, err := exec.LookPath("taskset"); err != nil {
					t.Log("not run, for want of taskset:", f.text)
					continue
				}
			}
			p.run(t, f.text+"\nrm -rf runs/new")
		case "yaml":
			for _, script := range scriptsOf(t, f.text) {
				p.run(t, script)
			}
			p.run(t, "rm -rf runs/new") // each is a job of its own
		default:
			t.Errorf("a block of no language:\n%s", f.text)
		}
		if t.Failed() {
			return
		}
	}
	if counted["sh"] < 6 || counted["yaml"] < 4 {
		t.Errorf("the page has %v blocks", counted)
	}
	for _, name := range []string{"commented.md", "noted.md"} { // of GitHub, of GitLab
		if _, err := os.Stat(filepath.Join(p.dir, name)); err != nil {
			t.Error("nobody commented on the change:", err)
		}
	}
	p.checkCalls(t)
}

// checkCalls reads from the log that every call of sailplan was right.
func (p pipeline) checkCalls(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		code, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !slices.Contains([]string{"0", "3", "4"}, code) {
			t.Errorf("exit code %s: sailplan %s", code, call)
		}
		name, _, _ := strings.Cut(call, " ")
		made[name] = true
	}
	for _, name := range []string{"run", "compare", "ab", "history"} {
		if !made[name] {
			t.Errorf("the page has no %s", name)
		}
	}
}

// scriptsOf returns the scripts of a file for GitHub or GitLab, or of a part of one, and
// checks their shape; a part of a scenario has none.
func scriptsOf(t *testing.T, text string) []string {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var scripts []string
	step := func(node any) {
		s, _ := node.(map[string]any)
		run, isRun := s["run"].(string)
		uses, isUses := s["uses"].(string)
		switch {
		case isRun == isUses:
			t.Errorf("a step needs one of run and uses: %v", s)
		case isUses && !regexp.MustCompile(`^[a-z-]+/[a-z-]+@v[0-9]+$`).MatchString(uses):
			t.Errorf("uses: %s", uses)
		case isRun:
			scripts = append(scripts, run)
		}
	}
	switch node := tree.(type) {
	case []any: // steps
		for _, each := range node {
			step(each)
		}
	case map[string]any:
		if jobs, ok := node["jobs"].(map[string]any); ok {
			for name, job := range jobs {
				job, _ := job.(map[string]any)
				steps, _ := job["steps"].([]any)
				if job["runs-on"] == nil || len(steps) == 0 || node["on"] == nil {
					t.Errorf("job %s: %v", name, job)
				}
				for _, each := range steps {
					step(each)
				}
			}
		}
		for _, job := range node {
			job, _ := job.(map[string]any)
			lines, isGitLab := job["script"].([]any)
			if !isGitLab {
				continue
			}
			whole := []string{} // a job of GitLab runs its lines in one shell
			for _, line := range lines {
				line, ok := line.(string)
				if !ok {
					t.Errorf("a line of script is %T", line)
				}
				whole = append(whole, line)
			}
			scripts = append(scripts, strings.Join(whole, "\n"))
		}
	}
	return scripts
}
