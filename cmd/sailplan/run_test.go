package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRunOfURLHasItsFigures looks for the names that scripts read.
func TestRunOfURLHasItsFigures(t *testing.T) {
	t.Parallel()
	url := serveH2C(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer hush" || r.URL.RawQuery != "q=1" || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.Copy(w, r.Body)
	})
	c := start(t, nil, "run", url+"/echo?q=1", "--rate", "200/s", "--duration", "5s", "--connections", "2", "--streams", "10",
		"-H", "Authorization: Bearer hush", "--data", "hello", "--json", "-", "--out", "run", "--quiet")
	if got := c.wait(); got != 0 && got != 4 { // 4: the machine was too busy for a verdict
		t.Fatalf("exit code: got %d, want 0\n%s", got, c.stderr.String())
	}
	if strings.Contains(c.stdout.String()+c.stderr.String(), "hush") {
		t.Error("the credential is repeated in the output")
	}
	var result map[string]any
	if err := json.Unmarshal([]byte(c.stdout.String()), &result); err != nil {
		t.Fatalf("standard output is not only JSON: %v", err)
	}
	number := func(path string) float64 {
		var at any = result
		for name := range strings.SplitSeq(path, ".") {
			object, ok := at.(map[string]any)
			if !ok || object[name] == nil {
				t.Errorf("the result lacks %s", path)
				return -1
			}
			at = object[name]
		}
		v, ok := at.(float64)
		if !ok {
			t.Errorf("%s is %v, want a number", path, at)
		}
		return v
	}
	intended := number("requests.intended")
	for _, path := range []string{"requests.sent", "requests.answered", "statuses.200"} {
		if got := number(path); got != intended {
			t.Errorf("%s: got %v, want %v", path, got, intended)
		}
	}
	for _, path := range []string{"requests.failed", "requests.timedOut", "requests.shed"} {
		if got := number(path); got != 0 {
			t.Errorf("%s: got %v, want 0", path, got)
		}
	}
	for _, path := range []string{
		"rate.intendedRps", "rate.achievedRps", "latencySeconds.p50.value", "latencySeconds.p99.value", "latencySeconds.max.value", "latencySeconds.mean.value",
		"serviceSeconds.p50.value", "sendLagSeconds.p50.value", "connections.opened", "connections.connectSeconds.max.value",
		"generator.cpuSeconds", "generator.cpuSecondsPerMillionRequests", "generator.peakMemoryBytes",
	} {
		if got := number(path); !(got > 0) {
			t.Errorf("%s: got %v, want more than 0", path, got)
		}
	}
	number("connections.closed")
	number("generator.gcPauseSeconds")
	// 200/s for five seconds cannot tell p99.9: null, and never a number.
	if p999 := result["latencySeconds"].(map[string]any)["p999"].(map[string]any); p999["value"] != nil {
		t.Errorf("p99.9 of 1 000 requests: got %v, want null", p999["value"])
	}
	verdict := result["verdict"].(map[string]any)
	if _, ok := verdict["valid"].(bool); !ok {
		t.Errorf("verdict: got %v, want valid and reasons", verdict)
	}
	if _, ok := verdict["reasons"].([]any); !ok {
		t.Errorf("verdict: got %v, want valid and reasons", verdict)
	}
}

// TestFindMax looks for the highest rate of a server that answers one request at
// a time, each after two milliseconds and what the sleep takes longer.
func TestFindMax(t *testing.T) {
	t.Parallel()
	var one sync.Mutex
	url := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) {
		one.Lock()
		defer one.Unlock()
		<-time.After(2 * time.Millisecond)
		fmt.Fprint(w, "hello")
	})
	c := start(t, nil, "run", url, "--find-max", "--objective", "p90<100ms", "--max-rate", "5000/s", "--duration", "1s", "--json", "-", "--out", "run")
	code := c.wait()
	var result struct {
		Outcome, OutcomeReason string
		SLOEdge                struct {
			Rps struct{ Value, Low, High float64 }
			End string
		}
	}
	if err := json.Unmarshal([]byte(c.stdout.String()), &result); err != nil {
		t.Fatalf("standard output is not only JSON: %v\n%s", err, c.stderr.String())
	}
	if code == 4 {
		t.Logf("the machine was too busy for an answer: %s", result.OutcomeReason)
		return
	}
	edge := result.SLOEdge.Rps
	if code != 0 || result.Outcome != "found" || edge.Value < 150 || edge.Value > 520 || edge.Low > edge.Value || edge.High < edge.Value {
		t.Errorf("exit code %d, %s: %s; edge %+v, want one below 500/s with its interval", code, result.Outcome, result.OutcomeReason, edge)
	}
}

// TestListen scrapes the figures of a load that goes on.
func TestListen(t *testing.T) {
	t.Parallel()
	url := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	c := start(t, nil, "run", url, "--rate", "100/s", "--duration", "4s", "--listen", "127.0.0.1:0", "--out", "run")
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+/metrics`)
	sent := regexp.MustCompile(`sailplan_requests_total\{state="answered"\} ([1-9]\d*)`)
	c.until("figures of answered requests", func() bool {
		at := address.FindString(c.stderr.String())
		if at == "" {
			return false
		}
		answer, err := http.Get(at)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		page, err := io.ReadAll(answer.Body)
		return err == nil && sent.Match(page)
	})
	if code := c.wait(); code != 0 && code != 4 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	if _, err := http.Get(address.FindString(c.stderr.String())); err == nil {
		t.Error("the figures are served after the end")
	}
}
