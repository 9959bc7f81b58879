package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// A running Envoy's limits are compared with the files, and it gets no more than
// --max-rate.
func TestBreakerOfARunningSystem(t *testing.T) {
	envoyPath := envoy(t)
	running := start(t, map[string]string{"lab.yaml": onEnvoy(labScenario)}, "lab", "lab.yaml", "--envoy", envoyPath)
	gateway := regexp.MustCompile(`(?m)^gateway +0 +pid \d+ +(http://\S+)`)
	entry := regexp.MustCompile(`(?m)^load goes to +(\S+) `)
	running.until("the lab is up", func() bool { return strings.Contains(running.stdout.String(), "Ctrl-C ends it") })
	admin, url := gateway.FindStringSubmatch(running.stdout.String()), entry.FindStringSubmatch(running.stdout.String())
	if admin == nil || url == nil {
		t.Fatalf("the lab does not say where it is: %s", running.stdout.String())
	}
	rule := string(mesh.DefaultPolicy())
	for _, test := range []struct {
		name, rule string
		code       int
		failed     string
	}{
		// 200/s cannot put 1000 in flight.
		{"as the files say", rule, 4, ""},
		{"another limit in the files", strings.Replace(rule, "http2MaxRequests: 1000", "http2MaxRequests: 900", 1), 3, "live connectionPool.http.http2MaxRequests"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, map[string]string{"dr.yaml": test.rule}, "breaker", "-f", "dr.yaml", "--target", url[1], "--admin", admin[1],
				"--max-rate", "200/s", "--duration", "2s", "--out", "out", "--quiet")
			if got := c.wait(); got != test.code {
				t.Fatalf("exit code: got %d, want %d: %s%s", got, test.code, c.stderr.String(), c.stdout.String())
			}
			content, err := os.ReadFile(filepath.Join(c.dir, "out", "breaker.json"))
			if err != nil {
				t.Fatal(err)
			}
			var report struct {
				Target string
				Trials []struct{ Name, Verdict, Observed, Reason string }
			}
			if err := json.Unmarshal(content, &report); err != nil {
				t.Fatal(err)
			}
			live := 0
			for _, trial := range report.Trials {
				if strings.HasPrefix(trial.Name, "live ") {
					live++
					if (trial.Verdict == "fail") != (trial.Name == test.failed) {
						t.Errorf("%s: %s, %s, %s", trial.Name, trial.Verdict, trial.Observed, trial.Reason)
					}
				}
			}
			if report.Target != url[1] || live < 10 {
				t.Errorf("got target %q and %d live settings", report.Target, live)
			}
		})
	}
	wrong := start(t, map[string]string{"dr.yaml": rule}, "breaker", "-f", "dr.yaml", "--target", url[1], "--admin", admin[1])
	if got := wrong.wait(); got != 2 || !strings.Contains(wrong.stderr.String(), "--max-rate") {
		t.Errorf("without --max-rate: exit code %d, %s", got, wrong.stderr.String())
	}
}
