//go:build linux

package loadgen_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// serve starts an HTTP/2 server in cleartext and returns its address.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: &protocols}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}

// planFor returns a plan for a server in cleartext.
func planFor(address string) scenarios.Plan {
	return scenarios.Plan{
		Name:        "test",
		Endpoint:    scenarios.Endpoint{Scheme: "http", Authority: address, Address: address, Protocol: scenarios.ProtocolH2C},
		Connections: scenarios.Connections{Count: 4, StreamsPerConnection: 16, ConnectTimeout: 5 * time.Second},
		Requests:    []scenarios.Request{{Name: "get", Weight: 1, Method: "GET", Path: "/"}},
		Timeout:     5 * time.Second,
	}
}

// collect keeps what a sink is told: intervals without their histograms, and the
// histograms' sums.
type collect struct {
	intervals             []record.Interval
	latency, service, lag int64
	maxLatency            time.Duration
	lagP50, lagP99        time.Duration
	byRequest             map[string]int64
}

func (c *collect) Interval(i record.Interval) {
	for _, r := range i.ByRequest {
		c.latency += r.Latency.TotalCount()
		c.service += r.Service.TotalCount()
		c.lag += r.SendLag.TotalCount()
		c.lagP50 = max(c.lagP50, time.Duration(r.SendLag.ValueAtQuantile(50)))
		c.lagP99 = max(c.lagP99, time.Duration(r.SendLag.ValueAtQuantile(99)))
		c.maxLatency = max(c.maxLatency, time.Duration(r.Latency.Max()))
		if c.byRequest == nil {
			c.byRequest = map[string]int64{}
		}
		c.byRequest[r.Request] += r.Latency.TotalCount()
	}
	i.ByRequest = nil
	c.intervals = append(c.intervals, i)
}

func TestPhaseSmoke(t *testing.T) {
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1024)) }))
	session, err := loadgen.Open(context.Background(), planFor(address), loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, process := range []scenarios.Process{scenarios.Poisson, scenarios.Constant, scenarios.Closed} {
		sink := &collect{}
		facts, err := session.Phase(context.Background(), scenarios.Phase{
			Name: "smoke", Process: process, Rate: scenarios.PerSecond(2000), Duration: 1500 * time.Millisecond, Interval: 500 * time.Millisecond, Seed: 7,
		}, sink)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", process, facts)
		for _, i := range sink.intervals {
			t.Logf("%+v", i)
		}
	}
}
