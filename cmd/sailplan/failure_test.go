package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTargetThatCannotBeDriven holds preflight to its word: it says what is
// wrong with a target before anything is sent or recorded.
func TestTargetThatCannotBeDriven(t *testing.T) {
	quiet := log.New(io.Discard, "", 0) // handshakes fail here on purpose
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	untrusted := httptest.NewUnstartedServer(hello)
	untrusted.EnableHTTP2, untrusted.Config.ErrorLog = true, quiet
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	onlyHTTP1 := httptest.NewUnstartedServer(hello)
	onlyHTTP1.Config.ErrorLog = quiet
	onlyHTTP1.StartTLS()
	t.Cleanup(onlyHTTP1.Close)
	cleartext := httptest.NewServer(hello) // HTTP/1.1
	t.Cleanup(cleartext.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })

	for _, test := range []struct {
		name, url, tls string
		stderr         []string
	}{
		{"a certificate nobody signed", untrusted.URL, "", []string{"certificate", "unknown authority"}},
		{"a certificate for another name", untrusted.URL, "{caFile: ca.pem, serverName: shop.example.org}", []string{"certificate", "shop.example.org"}},
		{"no HTTP/2 over TLS", onlyHTTP1.URL, "{insecure: true}", []string{"h2", "protocol"}},
		{"no HTTP/2 in cleartext", cleartext.URL, "", []string{"HTTP/2"}},
		{"TLS spoken to cleartext", strings.Replace(cleartext.URL, "http:", "https:", 1), "", []string{"TLS"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			scenario := targetScenario(test.url, "10/s", "1s")
			if test.tls != "" {
				scenario = strings.Replace(scenario, fmt.Sprintf("{url: %q}", test.url), fmt.Sprintf("{url: %q, tls: %s}", test.url, test.tls), 1)
			}
			c := start(t, map[string]string{"s.yaml": scenario, "ca.pem": pemOf(untrusted)}, "run", "s.yaml")
			if got := c.wait(); got != 1 {
				t.Errorf("exit code: got %d, want 1", got)
			}
			for _, want := range test.stderr {
				if !strings.Contains(c.stderr.String(), want) {
					t.Errorf("standard error: got %q, want it to name %q", c.stderr.String(), want)
				}
			}
			if _, err := os.Stat(filepath.Join(c.dir, "sailplan-runs")); !os.IsNotExist(err) {
				t.Errorf("run directory: %v, want none", err)
			}
		})
	}
}

func TestPrometheusThatAnswersNothing(t *testing.T) {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data := `{"resultType":"matrix","result":[]}`
		if r.FormValue("query") == "time()" {
			now := float64(time.Now().UnixMilli()) / 1e3
			data = fmt.Sprintf(`{"resultType":"scalar","result":[%.3f,"%.3f"]}`, now, now)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status":"success","data":%s}`, data)
	}))
	t.Cleanup(prometheus.Close)
	url := serveH2C(t, func(http.ResponseWriter, *http.Request) {})
	scenario := targetScenario(url, "10/s", "1s") + fmt.Sprintf(`observe:
  prometheus: %q
  components:
    - {name: gateway, role: gateway, replicas: 1, prometheus: {cpuSeconds: 'container_cpu_usage_seconds_total{pod=~"ingress.*"}'}}
`, prometheus.URL)
	c := start(t, map[string]string{"s.yaml": scenario}, "run", "s.yaml")
	if got := c.wait(); got != 1 {
		t.Errorf("exit code: got %d, want 1", got)
	}
	for _, want := range []string{"container_cpu_usage_seconds_total", "gateway"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("standard error: got %q, want it to name %q", c.stderr.String(), want)
		}
	}
}

func TestProxyThatDiesEndsTheRun(t *testing.T) {
	c := start(t, map[string]string{"small.yaml": labScenario}, "size", "small.yaml", "--quick")
	c.until("the second phase began", c.begun(2))
	lab := children(c.Process.Pid)
	killed := 0
	for pid := range lab {
		arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(arguments), "gateway") {
			killed = pid
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if killed == 0 {
		t.Fatalf("no gateway among the children %v", lab)
	}
	if got := c.wait(); got != 1 {
		t.Errorf("exit code: got %d, want 1", got)
	}
	if !strings.Contains(c.stderr.String(), "gateway") || !strings.Contains(c.stderr.String(), "died") {
		t.Errorf("standard error: got %q, want it to say that the gateway died", c.stderr.String())
	}
	gone(t, lab)
	checkReport(t, c.runDir(), "failed")
}

func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=128k"); err != nil {
		if required("cgroup") {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("skipped: a small disk can't be mounted here (%v)", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	filler := make([]byte, 112<<10)
	if err := os.WriteFile(filepath.Join(disk, "filler"), filler, 0o600); err != nil {
		t.Fatal(err)
	}
	url := serveH2C(t, func(http.ResponseWriter, *http.Request) {})
	c := start(t, map[string]string{"s.yaml": targetScenario(url, "1000/s", "60s")}, "run", "s.yaml", "--out", filepath.Join(disk, "run"))
	began := time.Now()
	if got := c.wait(); got != 1 {
		t.Errorf("exit code: got %d, want 1", got)
	}
	if took := time.Since(began); took > 50*time.Second {
		t.Errorf("the load went on for %v although nothing could be recorded", took)
	}
	if !strings.Contains(c.stderr.String(), "no space left on device") {
		t.Errorf("standard error: got %q, want it to say that the disk is full", c.stderr.String())
	}
}

// TestLimitsThatCannotBindAreSaid runs as a user who may not make cgroups.
func TestLimitsThatCannotBindAreSaid(t *testing.T) {
	if os.Getuid() != 0 {
		if required("cgroup") {
			t.Fatal("root is needed to become another user")
		}
		t.Skip("skipped: root is needed to become another user")
	}
	dir, err := os.MkdirTemp("", "sailplan-nobody-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile(os.Getenv(binaryVariable))
	if err != nil {
		t.Fatal(err)
	}
	scenario := strings.NewReplacer(
		"gateway: {concurrency: 1}", "gateway: {concurrency: 1, limits: {cpu: 300m}}",
		"demand:", "load: {rate: 300/s, duration: 4s}\ndemand:",
	).Replace(labScenario)
	for name, content := range map[string][]byte{"s.yaml": []byte(scenario), "sailplan": binary} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	c := prepare(t, dir, filepath.Join(dir, "sailplan"), "run", "s.yaml")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	c.begin()
	if got := c.wait(); got != 0 {
		t.Errorf("exit code: got %d, want 0", got)
	}
	result := readJSON[struct {
		Lab struct {
			LimitsEnforced bool
			LimitsWhyNot   string
		}
	}](t, filepath.Join(c.runDir(), "result.json"))
	if result.Lab.LimitsEnforced || result.Lab.LimitsWhyNot == "" {
		t.Errorf("lab: got %+v, want limits that are not enforced, and why", result.Lab)
	}
	if !strings.Contains(c.stdout.String(), "Limits NOT") {
		t.Errorf("standard output: got %q, want it to say that limits are not enforced", c.stdout.String())
	}
}
