package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// order is what a child of this program is asked to send.
type order struct {
	Work    work
	Address string // of the server
	Profile string // file for a CPU profile; empty: none
}

// plan returns what our client is told.
func (o order) plan() scenarios.Plan {
	w := o.Work
	plan := scenarios.Plan{
		Name:        "peers",
		Endpoint:    scenarios.Endpoint{Scheme: "http", Authority: o.Address, Address: o.Address, Protocol: scenarios.ProtocolH2C},
		Connections: scenarios.Connections{Count: w.Connections, StreamsPerConnection: w.Streams, ConnectTimeout: 30 * time.Second},
		Pacing:      w.Pacing,
		Timeout:     10 * time.Second,
	}
	if w.TLS {
		plan.Endpoint.Scheme, plan.Endpoint.Protocol, plan.Endpoint.TLS.Insecure = "https", scenarios.ProtocolH2, true
	}
	headers := map[string]string{}
	for _, h := range w.Headers {
		name, value, _ := strings.Cut(h, ": ")
		headers[name] = value
	}
	for i, path := range w.Paths {
		r := scenarios.Request{Name: fmt.Sprintf("request %d", i+1), Weight: 1, Method: "GET", Path: path, Headers: headers}
		if w.Check != "" {
			r.Check = &scenarios.Check{Status: "200", Body: w.Check}
		}
		plan.Requests = append(plan.Requests, r)
	}
	return plan
}

func (o order) phase() scenarios.Phase {
	phase := scenarios.Phase{Name: o.Work.Name, Kind: scenarios.KindLoad, Process: scenarios.Closed, Duration: o.Work.Length, Seed: 1}
	if o.Work.Rate > 0 {
		phase.Process, phase.Rate = o.Work.Process, scenarios.PerSecond(float64(o.Work.Rate))
	}
	return phase
}

// outcome is what such a child found, without what its parent measures.
type outcome struct {
	Facts          record.Phase
	LagP50, LagP99 time.Duration
	P50, P99       time.Duration
	Opening        time.Duration // of all connections
}

// lags keeps the send lags and the latencies of all intervals.
type lags struct{ lag, latency *hdrhistogram.Histogram }

// Interval adds one interval's values.
func (l *lags) Interval(i record.Interval) {
	for _, r := range i.ByRequest {
		l.lag.Merge(r.SendLag)
		l.latency.Merge(r.Latency)
	}
}

// serveOrder reads an order, carries it out and writes its outcome.
func serveOrder(in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	begin := time.Now()
	session, err := loadgen.Open(context.Background(), o.plan(), loadgen.Options{Workers: max(1, o.Work.Workers)})
	if err != nil {
		return err
	}
	found := outcome{Opening: time.Since(begin)}
	if o.Profile != "" {
		file, err := os.Create(o.Profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	sink := &lags{lag: record.NewHistogram(), latency: record.NewHistogram()}
	found.Facts, err = session.Phase(context.Background(), o.phase(), sink)
	if err != nil {
		return err
	}
	found.LagP50, found.LagP99 = time.Duration(sink.lag.ValueAtPercentile(50)), time.Duration(sink.lag.ValueAtPercentile(99))
	found.P50, found.P99 = time.Duration(sink.latency.ValueAtPercentile(50)), time.Duration(sink.latency.ValueAtPercentile(99))
	if err := session.Close(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(found)
}
