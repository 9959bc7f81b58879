package html_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// chromium returns the path of a browser, or skips the test.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "chromium") {
		t.Fatal("no chromium on PATH, and SAILPLAN_TEST_REQUIRE asks for it")
	}
	t.Skip("no chromium on PATH")
	return ""
}

// TestInABrowser opens pages from a file: each of their charts is drawn, and
// nothing is complained about.
func TestInABrowser(t *testing.T) {
	browser := chromium(t)
	for _, name := range []string{"recommended", "incomplete", "hostile", "load-held", "empty"} {
		t.Run(name, func(t *testing.T) {
			page := write(t, document(t, name))
			want := len(elements(t, page, "figure"))
			dom, log := open(t, browser, page)
			if got := len(elements(t, dom, "canvas")); got != want {
				t.Errorf("%d canvas elements for %d charts", got, want)
			}
			if strings.Contains(log, "CONSOLE") {
				t.Errorf("the console has:\n%s", log)
			}
		})
	}
}

// open loads a page and returns its elements after the scripts have run, and
// what the browser logged.
func open(t *testing.T, browser, page string) (dom, log string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-extensions", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--enable-logging=stderr", "--window-size=1280,900", "--dump-dom", "file://"+file)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", browser, err, stderr.String())
	}
	return stdout.String(), stderr.String()
}
