package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// scenarioFor is a scenario of a target, with more of its text.
func scenarioFor(url, more string) string {
	return "apiVersion: sailplan.io/v1\nkind: Scenario\nmetadata: {name: interplay}\n" +
		"target: {url: \"" + url + "\"}\nconnections: {count: 2, streamsPerConnection: 10}\n" + more
}

// holdsNowhere fails when a secret stands in what a command wrote anywhere.
func holdsNowhere(t *testing.T, c *command, secret string) {
	t.Helper()
	if strings.Contains(c.stdout.String()+c.stderr.String(), secret) {
		t.Error("the secret is in the output")
	}
	files := 0
	err := filepath.WalkDir(filepath.Join(c.dir, "run"), func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(data), secret) {
			t.Errorf("the secret is in %s", name)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("looked into %d files, %v, want a run directory", files, err)
	}
}

// resultOf decodes what a command wrote with --json -.
func resultOf(t *testing.T, c *command, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.stdout.String()), into); err != nil {
		t.Fatalf("standard output is not only JSON: %v", err)
	}
}

// TestFeedTakenOnceEndsTheLoad: with its last row the load is over, which is no
// failure and is said. Every row is sent once.
func TestFeedTakenOnceEndsTheLoad(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	url := serveH2C(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path]++
	})
	var rows strings.Builder
	rows.WriteString("id\n")
	for i := range 1000 {
		fmt.Fprintf(&rows, "row%d\n", i)
	}
	c, code := judged(t, map[string]string{
		"ids.csv": rows.String(),
		"s.yaml":  scenarioFor(url, "feed: {file: ids.csv, order: once}\nrequests: [{name: a, path: \"/u/${id}\"}]\nload: {rate: 400/s, duration: 60s}\n"),
	}, "run", "s.yaml", "--json", "-", "--out", "run")
	if code != 0 && code != 4 { // 4: the machine was too busy for a verdict; what was sent counts all the same
		t.Fatalf("exit code: got %d, want 0", code)
	}
	var result struct {
		LoadEnded string
		Requests  struct{ Answered int }
	}
	resultOf(t, c, &result)
	if !strings.Contains(result.LoadEnded, "feed") || !strings.Contains(c.stderr.String(), "load ended: ") || result.Requests.Answered != 1000 {
		t.Errorf("got %+v, want 1 000 answers and that the feed's end is said, in the view too", result)
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range 1000 { // the first row is the preflight's as well
		if n := seen[fmt.Sprintf("/u/row%d", i)]; n < 1 || n > 3 || i > 0 && n > 1 {
			t.Fatalf("row %d came %d times", i, n)
		}
	}
}

// TestTokenFileThatIsTakenAway: the token in use stays, what happened is told, and
// the token is nowhere in what is left behind.
func TestTokenFileThatIsTakenAway(t *testing.T) {
	t.Parallel()
	const token = "s3cr3t-t0k3n-of-the-file"
	var requests, without atomic.Int64
	url := serveH2C(t, func(_ http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+token {
			without.Add(1)
		}
	})
	c := start(t, map[string]string{
		"token":  token + "\n",
		"s.yaml": scenarioFor(url, "auth: {tokenFile: token}\nrequests: [{name: a, path: /}]\nload: {rate: 200/s, duration: 6s}\n"),
	}, "run", "s.yaml", "--json", "-", "--out", "run")
	// More than the check before the load sends.
	c.until("the load was under way", func() bool { return requests.Load() > 20 })
	if err := os.Remove(filepath.Join(c.dir, "token")); err != nil {
		t.Fatal(err)
	}
	c.until("it was told", func() bool { return strings.Contains(c.stderr.String(), "credential not renewed") })
	if code := c.wait(); code != 0 && code != 4 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	var result struct{ Credentials []struct{ Message string } }
	resultOf(t, c, &result)
	if len(result.Credentials) == 0 || !strings.Contains(result.Credentials[0].Message, "credential not renewed") {
		t.Errorf("got %+v, want the event in the result", result.Credentials)
	}
	if n := without.Load(); n > 0 {
		t.Errorf("%d requests came without the token", n)
	}
	holdsNowhere(t, c, token)
}

// TestCommandForACredential: the command sees the user's environment.
func TestCommandForACredential(t *testing.T) {
	t.Setenv("SAILPLAN_TEST_TOKEN", "t0k3n-of-the-environment")
	var without atomic.Int64
	url := serveH2C(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0k3n-of-the-environment" {
			without.Add(1)
		}
	})
	c := start(t, map[string]string{
		"s.yaml": scenarioFor(url, "auth: {exec: [sh, -c, 'printf %s \"$SAILPLAN_TEST_TOKEN\" | cat']}\nrequests: [{name: a, path: /}]\nload: {rate: 50/s, duration: 1s}\n"),
	}, "run", "s.yaml", "--out", "run")
	if code := c.wait(); code != 0 && code != 4 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	if n := without.Load(); n > 0 {
		t.Errorf("%d requests came without the token", n)
	}
	holdsNowhere(t, c, "t0k3n-of-the-environment")
}

// TestServerThatDeniesFromTheMiddleOn is no measurement of the service.
func TestServerThatDeniesFromTheMiddleOn(t *testing.T) {
	var n atomic.Int64
	url := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) > 600 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	c := start(t, nil, "run", url, "--rate", "300/s", "--duration", "4s", "--json", "-", "--out", "run", "--objective", "p90<5s")
	if code := c.wait(); code != 4 {
		t.Errorf("exit code: got %d, want 4", code)
	}
	var result struct {
		Verdict struct {
			Reasons []struct{ Code, Message string }
		}
		Errors map[string]int64
	}
	resultOf(t, c, &result)
	found := false
	for _, r := range result.Verdict.Reasons {
		found = found || r.Code == "credentials" && strings.Contains(r.Message, "401 or 403")
	}
	if !found || result.Errors["unauthorized"] < 500 {
		t.Errorf("got %+v, want the reason and its class", result)
	}
}

// TestFailedChecksMissTheObjective: an answer that lacks what the check wants is an
// error, whatever its status.
func TestFailedChecksMissTheObjective(t *testing.T) {
	url := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "sold out") })
	c, code := judged(t, map[string]string{
		"s.yaml": scenarioFor(url, "requests: [{name: a, path: /, check: {body: in stock}}]\nload: {rate: 300/s, duration: 3s}\nguards: {maxErrorRatio: 1}\n"),
	}, "run", "s.yaml", "--json", "-", "--out", "run", "--objective", "errors<1%")
	if code != 3 && code != 4 { // 4: the machine was too busy for a verdict; the counts hold all the same
		t.Errorf("exit code: got %d, want 3", code)
	}
	var result struct {
		Statuses, Errors map[string]int64
		Requests         struct{ Answered, Bad int64 }
	}
	resultOf(t, c, &result)
	if r := result.Requests; r.Answered == 0 || r.Bad != r.Answered || result.Errors["check-failed"] != r.Answered || result.Statuses["200"] != r.Answered {
		t.Errorf("got %+v, want every answer to be one of 200 that failed its check", result)
	}
}

// TestSeveralTargetsShareTheLoad: by their weights, from the command line on.
func TestSeveralTargetsShareTheLoad(t *testing.T) {
	t.Parallel()
	var counts [2]atomic.Int64
	named := func(i int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			counts[i].Add(1)
			w.Header().Set("x-sailplan-backend", fmt.Sprint("backend-", i))
		}
	}
	first, second := serveH2C(t, named(0)), serveH2C(t, named(1))
	scenario := strings.Replace(scenarioFor(first, "requests: [{name: a, path: /}]\nload: {rate: 400/s, duration: 2s, traceShare: 10%}\n"),
		first+"\"}", first+"\", also: [{url: \""+second+"\", weight: 3}]}", 1)
	c := start(t, map[string]string{"s.yaml": scenario}, "run", "s.yaml", "--connections", "8", "--json", "-", "--out", "run")
	if code := c.wait(); code != 0 && code != 4 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	var result struct {
		Backends      map[string]int64
		BackendSpread struct{ Even bool }
		Slowest       []struct{ TraceID string }
	}
	resultOf(t, c, &result)
	a, b := float64(result.Backends["backend-0"]), float64(result.Backends["backend-1"])
	if a == 0 || b/a < 2.5 || b/a > 3.5 || result.BackendSpread.Even {
		t.Errorf("got %+v, want a share of 1 : 3, which is not even", result)
	}
	page, err := os.ReadFile(filepath.Join(c.dir, "run", "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Slowest) == 0 || len(result.Slowest[0].TraceID) != 32 || !strings.Contains(string(page), result.Slowest[0].TraceID) {
		t.Errorf("got traces %+v, want some, and the slowest in the report", result.Slowest)
	}
}

// TestRedirectsAreNotFollowed: nobody named the other server.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int64
	other := serveH2C(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	url := serveH2C(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusFound) })
	c := start(t, nil, "run", url, "--rate", "100/s", "--duration", "1s", "--json", "-", "--out", "run")
	if code := c.wait(); code != 0 && code != 4 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	var result struct{ Statuses map[string]int64 }
	resultOf(t, c, &result)
	if followed.Load() != 0 || result.Statuses["302"] == 0 {
		t.Errorf("%d redirects were followed; statuses %v, want answers of 302", followed.Load(), result.Statuses)
	}
}

// TestReplayOfAQuery: the curve comes from Prometheus, and is in the record.
func TestReplayOfAQuery(t *testing.T) {
	now := time.Now().Unix()
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[%d,"100"],[%d,"300"],[%d,"100"]]}]}}`, now-60, now-59, now-58)
	}))
	defer prometheus.Close()
	url := serveH2C(t, func(http.ResponseWriter, *http.Request) {})
	c := start(t, map[string]string{"s.yaml": scenarioFor(url, "observe: {prometheus: \""+prometheus.URL+"\"}\nrequests: [{name: a, path: /}]\n"+
		"load: {arrivals: constant, shape: {replay: {query: \"sum(rate(x[1m]))\", last: 1m, scale: 2}}}\n")},
		"run", "s.yaml", "--json", "-", "--out", "run")
	if code := c.wait(); code != 0 && code != 4 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	var result struct{ Requests struct{ Intended int64 } }
	resultOf(t, c, &result)
	if got := result.Requests.Intended; got < 799 || got > 801 { // two trapezia of 400 each
		t.Errorf("got %d arrivals, want 800", got)
	}
	data, err := os.ReadFile(filepath.Join(c.dir, "run", "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var run struct {
		Notes  []string
		Phases []struct{ Spec struct{ Curve [][2]float64 } }
	}
	if err := json.Unmarshal(data, &run); err != nil {
		t.Fatal(err)
	}
	if len(run.Phases) != 1 || fmt.Sprint(run.Phases[0].Spec.Curve) != "[[0 200] [1 600] [2 200]]" || !strings.Contains(strings.Join(run.Notes, "\n"), "sum(rate(x[1m]))") {
		t.Errorf("got %+v, want the curve and where it is from", run)
	}
}

// TestMistakes: what is wrong, and what to do about it.
func TestMistakes(t *testing.T) {
	old := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer old.Close()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	oldSecure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer oldSecure.Close()
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"not HTTP/2 in cleartext", []string{old.URL}, 1, `--protocol http/1\.1`},
		{"not HTTP/2 over TLS", []string{oldSecure.URL, "--insecure"}, 1, `--protocol http/1\.1`},
		{"unknown certificate", []string{secure.URL}, 1, `--ca.*--insecure`},
		{"TLS to a server in cleartext", []string{strings.Replace(old.URL, "http:", "https:", 1)}, 1, `http://`},
		{"gRPC without a method", []string{old.URL, "--protocol", "grpc"}, 2, `(?s)grpc.*scenario`},
		{"no scheme", []string{strings.TrimPrefix(old.URL, "http://")}, 2, `needs its scheme`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, nil, append([]string{"run", "--rate", "10/s", "--duration", "1s", "--out", "run"}, tt.args...)...)
			if code := c.wait(); code != tt.code || !regexp.MustCompile(tt.want).MatchString(c.stderr.String()) {
				t.Errorf("exit code %d, want %d with %s:\n%s", code, tt.code, tt.want, c.stderr.String())
			}
			if strings.Count(c.stderr.String(), "\n") > 6 {
				t.Errorf("more than six lines:\n%s", c.stderr.String())
			}
		})
	}
}
