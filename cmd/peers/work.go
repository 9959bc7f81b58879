package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// work is what every client of a row is given.
type work struct {
	Name        string
	TLS         bool
	Connections int
	Streams     int
	Rate        int // requests per second; 0: as many as go
	Length      time.Duration
	Paths       []string
	Headers     []string // name: value
	Pacing      scenarios.Pacing
	Process     scenarios.Process
	Workers     int    // of ours
	Check       string // substring of every answer; empty: not looked for
	Servers     int    // threads of the server
	Replay      bool   // the server is a replay
}

// row is a line of the table: one work, its clients, and what is asked of them.
type row struct {
	work
	Clients []string           // beside ours, in the order of the table
	Bounds  map[string]float64 // highest ratio of our CPU to that of a client; absent: none is asked for
}

// Names of the clients.
const (
	ours   = "sailplan"
	h2load = "h2load"
	oha    = "oha"
	fortio = "fortio"
	vegeta = "vegeta"
	k6     = "k6"
)

// nghttpd is the server.
const nghttpd = "nghttpd"

// longer is how many times as long some works are sent: at a fixed rate there are fewer
// requests to share what starting costs, and of ten thousand connections each has its
// first request, which costs more than the next ones.
const longer = 5

const (
	smallFile = "1k" // of 1 KiB
	largeFile = "16k-"
	mixSize   = 10

	fewConnections, manyConnections = 100, 10000
)

// tokenBytes is how long the bearer token of realistic requests is.
const tokenBytes = 1024

// rows returns the lines of the table. length is how long each client sends.
func rows(length time.Duration) []row {
	plain := func(name string, tls bool, connections, streams int) work {
		return work{Name: name, TLS: tls, Connections: connections, Streams: streams, Length: length, Paths: []string{"/" + smallFile}, Servers: 1}
	}
	fixed := func(name string, process scenarios.Process, pacing scenarios.Pacing) work {
		w := plain(name, false, 8, 32)
		w.Rate, w.Process, w.Pacing, w.Length = 20000, process, pacing, longer*length
		return w
	}
	two := func(name string, workers int) work {
		w := plain(name, false, 32, 16)
		w.Workers, w.Replay = workers, true
		return w
	}
	single := func(name string, connections int) work {
		w := plain(name, false, connections, 1)
		w.Length = longer * length
		return w
	}
	paced := func(name string, connections int) work {
		w := single(name, connections)
		w.Rate, w.Process, w.Pacing = 20000, scenarios.Poisson, scenarios.Economical
		return w
	}
	bare := plain("TLS 1.3, 8 × 32, 16 KiB answers, one plain request", true, 8, 32)
	bare.Paths = []string{"/" + largeFile + "0"}
	real := plain("TLS 1.3, 8 × 32, realistic requests", true, 8, 32)
	real.Paths, real.Headers, real.Check = mixPaths(), realHeaders(), "sail"
	return []row{
		{work: plain("cleartext, 8 × 32", false, 8, 32), Clients: []string{h2load, oha, fortio, vegeta},
			Bounds: map[string]float64{h2load: 0.8, oha: 1. / 3, fortio: 1. / 15, vegeta: 1. / 15}},
		{work: plain("TLS 1.3, 8 × 32", true, 8, 32), Clients: []string{h2load}, Bounds: map[string]float64{h2load: 0.8}},
		{work: plain("cleartext, 1 × 100", false, 1, 100), Clients: []string{h2load}, Bounds: map[string]float64{h2load: 1}},
		{work: plain("cleartext, 256 × 1", false, 256, 1), Clients: []string{h2load}, Bounds: map[string]float64{h2load: 1}},
		{work: bare, Clients: []string{h2load}},
		{work: real, Clients: []string{h2load, k6}, Bounds: map[string]float64{k6: 1. / 5}},
		{work: fixed("20 000/s, constant, economical", scenarios.Constant, scenarios.Economical), Clients: []string{h2load}, Bounds: map[string]float64{h2load: 1}},
		{work: fixed("20 000/s, Poisson, economical", scenarios.Poisson, scenarios.Economical), Clients: []string{h2load}, Bounds: map[string]float64{h2load: 1}},
		{work: fixed("20 000/s, constant, precise", scenarios.Constant, scenarios.Precise)},
		{work: two("cleartext, 32 × 16, replay, one thread", 1)},
		{work: two("cleartext, 32 × 16, replay, two threads", 2)},
		{work: single("cleartext, 100 × 1", fewConnections)},
		{work: single("cleartext, 10 000 × 1", manyConnections), Clients: []string{h2load}},
		{work: paced("20 000/s, 100 × 1", fewConnections)},
		{work: paced("20 000/s, 10 000 × 1", manyConnections)},
	}
}

func mixPaths() []string {
	paths := make([]string, 0, mixSize)
	for i := range mixSize {
		paths = append(paths, fmt.Sprintf("/%s%d", largeFile, i))
	}
	return paths
}

// realHeaders are twelve header fields as a client of a mesh sends them.
func realHeaders() []string {
	return []string{
		"authorization: Bearer " + strings.Repeat("eyJhbGciOiJSUzI1", tokenBytes/16),
		"accept: application/json", "accept-encoding: identity", "accept-language: en-GB,en;q=0.8,de;q=0.5",
		"cache-control: no-cache", "x-request-source: checkout-web", "x-tenant: 4f0c2a9e-1c1c-4f9a-9d2e-8a6f3f8f1b11",
		"x-api-version: 2026-11-01", "x-b3-traceid: 463ac35c9f6413ad48485a3953bb6124", "x-b3-spanid: a2fb4a1d1a96d312",
		"x-b3-sampled: 0", "x-forwarded-for: 203.0.113.195",
	}
}
