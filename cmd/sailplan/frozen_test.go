package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFrozenGeneratorIsNoMeasurement stops the program itself for a second of six.
// What it could not send meanwhile counts from the instants at which it was due,
// and the verdict says that the
// generator is to blame: exit code 4.
func TestFrozenGeneratorIsNoMeasurement(t *testing.T) {
	url := serveH2C(t, func(http.ResponseWriter, *http.Request) {})
	c := start(t, nil, "run", url, "--rate", "1000/s", "--duration", "6s", "--arrivals", "constant", "--json", "-", "--quiet")
	c.until("load", c.inPhase("load"))
	pause := time.NewTimer(2 * time.Second)
	<-pause.C
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	pause.Reset(time.Second)
	<-pause.C
	stood := time.Since(began)
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := c.wait(); got != 4 {
		t.Errorf("exit code: got %d, want 4", got)
	}
	var result struct {
		Requests       struct{ Intended, Sent int64 }
		SendLagSeconds struct{ P99 struct{ Value float64 } }
		LatencySeconds struct{ P99 struct{ Value float64 } }
		Verdict        struct {
			Valid   bool
			Reasons []struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(c.stdout.String()), &result); err != nil {
		t.Fatal(err)
	}
	if result.Requests.Intended != 6000 || result.Requests.Sent != 6000 {
		t.Errorf("requests: got %+v, want 6000 intended and sent", result.Requests)
	}
	// One request in six is late by up to the whole pause: p99 of 6000 is the 60th
	// from the top, which was due 60 ms into it.
	least := 0.95 * (stood - 60*time.Millisecond).Seconds()
	if lag, latency := result.SendLagSeconds.P99.Value, result.LatencySeconds.P99.Value; lag < least || latency < least {
		t.Errorf("p99 of the send lag %.3f s and of the latency %.3f s, want at least %.3f s", lag, latency, least)
	}
	codes := ""
	for _, reason := range result.Verdict.Reasons {
		codes += reason.Code + " "
	}
	if result.Verdict.Valid || !strings.Contains(codes, "send-lag") {
		t.Errorf("verdict: valid %t with reasons %q, want not valid because of send-lag", result.Verdict.Valid, codes)
	}
}
