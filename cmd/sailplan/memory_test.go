//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPeakMemory: the whole program, from its start to its report, takes little, and
// what it takes does not depend on how long it sends.
func TestPeakMemory(t *testing.T) {
	answer := make([]byte, 16<<10)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = w.Write(answer[:1<<10])
			return
		}
		_, _ = w.Write(answer)
	}
	sealed := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	sealed.EnableHTTP2 = true
	sealed.StartTLS()
	defer sealed.Close()
	plain := serveH2C(t, handler)
	realistic := map[string]string{"ca.pem": pemOf(sealed), "realistic.yaml": realisticScenario(sealed.URL)}

	// Most bytes that are the process's own. Pages of the program's file, of which a start
	// touches some 30 MB because each package that is linked in registers its types, are the
	// page cache's, and go when memory is short.
	const small, large = 24_000_000, 32_000_000
	for _, tt := range []struct {
		name  string
		files map[string]string
		line  []string
		most  int64
	}{
		{"one plain request, 2 s", nil, []string{plain + "/small", "--duration", "2s"}, small},
		{"one plain request, 6 s", nil, []string{plain + "/small", "--duration", "6s"}, small},
		{"ten realistic ones with TLS", realistic, []string{"realistic.yaml", "--duration", "4s"}, large},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := append([]string{"run"}, tt.line...)
			c := start(t, tt.files, append(line, "--rate", "max", "--connections", "8", "--streams", "32", "--quiet")...)
			peak := c.peakMemory()
			t.Logf("%.1f MB at most", float64(peak)/1e6)
			if peak > tt.most {
				t.Errorf("it took %d bytes, want %d at most", peak, tt.most)
			}
			if _, err := os.Stat(c.runDir() + "/report.html"); err != nil {
				t.Errorf("it has not come to its report: %v", err)
			}
		})
	}
}

// peakMemory waits for the end of a command, and returns the most memory that it had
// resident that is no file's page, in bytes.
func (c *command) peakMemory() (bytes int64) {
	c.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return bytes
		case <-ticker.C:
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				if err != nil {
					c.t.Fatal(err)
				}
				bytes = max(bytes, kib<<10)
			}
		}
	}
}

// realisticScenario has ten kinds of requests with a token of 1 KiB, 12 headers and
// checks of their answers.
func realisticScenario(url string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "apiVersion: sailplan.io/v1\nkind: Scenario\nmetadata: {name: realistic}\ntarget: {url: %q, tls: {caFile: ca.pem, serverName: example.com}}\nload: {arrivals: closed}\nrequests:\n", url)
	for kind := range 10 {
		fmt.Fprintf(&s, "  - name: r%d\n    path: /%d\n    weight: %d\n    check: {status: \"200\", body: \"\\0\\0\"}\n    headers:\n", kind, kind, kind+1)
		fmt.Fprintf(&s, "      authorization: Bearer %s\n", strings.Repeat("t", 1024))
		for header := range 11 {
			fmt.Fprintf(&s, "      x-header-%d: %s\n", header, strings.Repeat("v", 20))
		}
	}
	return s.String()
}
