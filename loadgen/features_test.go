//go:build linux

package loadgen_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// seen is what a server saw of requests.
type seen struct {
	mu       sync.Mutex // guards all below
	requests []*http.Request
	byPeer   map[string]int // requests by the client's address, which names a connection
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	if s.byPeer == nil {
		s.byPeer = map[string]int{}
	}
	s.byPeer[r.RemoteAddr]++
	s.mu.Unlock()
	_, _ = w.Write([]byte("ok"))
}

// steady is 500/s for a second.
func steady() scenarios.Phase {
	return scenarios.Phase{Process: scenarios.Constant, Rate: scenarios.PerSecond(500), Duration: time.Second, Interval: 200 * time.Millisecond, Seed: 3}
}

// runPhase runs a phase in a session of its own and holds it to its accounts.
func runPhase(t *testing.T, plan scenarios.Plan, phase scenarios.Phase, workers int) record.Phase {
	t.Helper()
	sink := &collect{}
	facts, err := loadgen.Run(context.Background(), plan, phase, sink, loadgen.Options{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, facts, sink)
	return facts
}

// TestMaxRequests: no connection carries more requests than allowed, and none is
// missing between one and its successor.
func TestMaxRequests(t *testing.T) {
	for _, most := range []int{1, 7, 50} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			server := &seen{}
			plan := planFor(serve(t, server))
			plan.Connections.MaxRequests = most
			facts := runPhase(t, plan, steady(), 1)
			if facts.Counts.Answered != 500 {
				t.Errorf("counts %+v, want 500 answered", facts.Counts)
			}
			for peer, n := range server.byPeer {
				if n > most {
					t.Errorf("%s carried %d requests, want at most %d", peer, n, most)
				}
			}
			if least := int64(500/most) - 4; facts.Connection.Opened < least || facts.Connection.Retried > 0 {
				t.Errorf("connections %+v, want at least %d opened and nothing sent twice", facts.Connection, least)
			}
			if facts.Connection.LocalPorts < len(server.byPeer) {
				t.Errorf("%d local ports, the server saw %d", facts.Connection.LocalPorts, len(server.byPeer))
			}
		})
	}
}

// TestOpeningTimes: those of all connections are in the facts, of the first thousand
// each by itself.
func TestOpeningTimes(t *testing.T) {
	plan := planFor(serve(t, &seen{}))
	plan.Connections = scenarios.Connections{Count: 4, StreamsPerConnection: 4, MaxRequests: 1}
	plan.Timeout = 20 * time.Second
	phase := steady()
	phase.Rate, phase.Duration = scenarios.PerSecond(600), 2*time.Second
	facts := runPhase(t, plan, phase, 2)
	c := facts.Connection
	if c.Opened < 1200 || c.ConnectTimes.N() != c.Opened || len(c.ConnectSeconds) != 1000 || c.HandshakeTimes != nil {
		t.Fatalf("%d opened, %d times of all, %d of the first, handshakes %v; want 1200 or more, as many, 1000 and none",
			c.Opened, c.ConnectTimes.N(), len(c.ConnectSeconds), c.HandshakeTimes)
	}
	// The first are among all: each bucket holds at least those that lie in it.
	for i, high := range c.ConnectTimes.Seconds {
		low, n := 0.0, int64(0)
		if i > 0 {
			low = c.ConnectTimes.Seconds[i-1]
		}
		if high <= low || c.ConnectTimes.Counts[i] <= 0 {
			t.Fatalf("bucket %d ends at %g s with %d in it, the one before at %g s", i, high, c.ConnectTimes.Counts[i], low)
		}
		for _, v := range c.ConnectSeconds {
			if v > low && v <= high {
				n++
				if v < 0.98*high-1e-6 {
					t.Errorf("%g s counts as %g s", v, high)
				}
			}
		}
		if n > c.ConnectTimes.Counts[i] {
			t.Errorf("up to %g s there are %d of the first, and %d of all", high, n, c.ConnectTimes.Counts[i])
		}
	}
}

// TestMaxAge: connections are replaced when they have come to their age.
func TestMaxAge(t *testing.T) {
	plan := planFor(serve(t, &seen{}))
	plan.Connections.MaxAge = 200 * time.Millisecond
	facts := runPhase(t, plan, steady(), 2)
	// Four connections, five lives each in a second; the first lives are shorter.
	if c := facts.Connection; facts.Counts.Answered != 500 || c.Opened < 10 || c.Opened > 30 || c.Retried > 0 || c.Closed < c.Opened-4 {
		t.Errorf("counts %+v and connections %+v, want 500 answered over some twenty connections", facts.Counts, c)
	}
}

// TestOpenRate: connections are opened one after another at a rate.
func TestOpenRate(t *testing.T) {
	plan := planFor(serve(t, &seen{}))
	plan.Connections.Count, plan.Connections.OpenRate = 11, scenarios.PerSecond(50)
	begin := time.Now()
	session, err := loadgen.Open(context.Background(), plan, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("11 connections took %s at 50/s, want at least 200 ms", took)
	}
}

// TestSeveralTargets: connections are shared out by weight, and each request says
// whose it is.
func TestSeveralTargets(t *testing.T) {
	first, second := &seen{}, &seen{}
	plan := planFor(serve(t, first))
	other := plan.Endpoint
	other.Address = serve(t, second)
	other.Authority, other.Path, other.Weight = "other.example.com", "/v2", 3
	plan.Endpoint.Also = []scenarios.Endpoint{other}
	plan.Connections.Count = 8
	runPhase(t, plan, steady(), 2)
	if len(first.byPeer) != 2 || len(second.byPeer) != 6 {
		t.Errorf("%d and %d connections, want 2 and 6", len(first.byPeer), len(second.byPeer))
	}
	if n := len(first.requests) + len(second.requests); n != 500 || len(second.requests) < 300 || len(second.requests) > 450 {
		t.Errorf("%d of %d requests to the second target, want some 375 of 500", len(second.requests), n)
	}
	if r := second.requests[0]; r.Host != "other.example.com" || r.URL.Path != "/v2/" {
		t.Errorf("the second target was asked for %s %s", r.Host, r.URL.Path)
	}
}

// TestFeed: every request takes a row, and a feed that is taken once ends the load.
func TestFeed(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("id,name\n")
	for i := range 300 {
		fmt.Fprintf(&rows, "%d,n%d\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(file, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, process := range []scenarios.Process{scenarios.Constant, scenarios.Closed} {
		for _, workers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d workers", process, workers), func(t *testing.T) {
				server := &seen{}
				plan := planFor(serve(t, server))
				plan.Feed = &scenarios.Feed{File: file, Order: scenarios.FeedOnce}
				plan.Requests = []scenarios.Request{{Name: "item", Weight: 1, Path: "/items/${id}", Headers: map[string]string{"x-name": "${name}"}}}
				phase := steady()
				phase.Process = process
				facts := runPhase(t, plan, phase, workers)
				if facts.Counts.Answered != 300 || facts.Ended != record.EndedDone || !strings.Contains(facts.EndedWhy, "feed") {
					t.Errorf("counts %+v, ended %s %q; want 300 answered and an end by the feed", facts.Counts, facts.Ended, facts.EndedWhy)
				}
				ids := map[string]bool{}
				for _, r := range server.requests {
					id := strings.TrimPrefix(r.URL.Path, "/items/")
					ids[id] = true
					if r.Header.Get("x-name") != "n"+id {
						t.Fatalf("row %s has the name %q", id, r.Header.Get("x-name"))
					}
				}
				if len(ids) != 300 {
					t.Errorf("%d different rows were sent, want 300", len(ids))
				}
			})
		}
	}
}

// TestTraces: the stated share of requests carries a traceparent, and the slowest
// of them are told.
func TestTraces(t *testing.T) {
	sent := map[string]time.Time{}
	var mu sync.Mutex
	n, slowest := 0, ""
	form := regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-01$`)
	plan := planFor(serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if text := r.Header.Get("traceparent"); text != "" {
			match := form.FindStringSubmatch(text)
			if match == nil {
				t.Errorf("traceparent %q", text)
			} else {
				sent[match[1]] = time.Now()
				if n++; n == 100 {
					slowest = match[1]
				}
			}
			if n == 100 && slowest != "" && strings.Contains(text, slowest) {
				mu.Unlock()
				timer := time.NewTimer(400 * time.Millisecond)
				<-timer.C
				return
			}
		}
		mu.Unlock()
	})))
	plan.TraceShare = 0.5
	facts := runPhase(t, plan, steady(), 1)
	// Five standard deviations of a binomial count.
	if n < 195 || n > 305 || len(sent) != n {
		t.Errorf("%d of 500 requests carried a traceparent, %d different ones; want half of them", n, len(sent))
	}
	if len(facts.Slowest) != 20 || facts.Slowest[0].ID != slowest || facts.Slowest[0].LatencySeconds < 0.4 || facts.Slowest[0].Request != "get" {
		t.Errorf("the slowest are %+v, want twenty with %s first", facts.Slowest, slowest)
	}
	for i, trace := range facts.Slowest {
		if _, known := sent[trace.ID]; !known || i > 0 && trace.LatencySeconds > facts.Slowest[i-1].LatencySeconds {
			t.Errorf("trace %d is %+v, which is not in order or was never sent", i, trace)
		}
	}
}

// TestTimeoutsOfRequests: each kind of request has its own.
func TestTimeoutsOfRequests(t *testing.T) {
	hang := make(chan struct{})
	plan := planFor(serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang })))
	defer close(hang)
	plan.Connections.StreamsPerConnection = 100
	plan.Requests = []scenarios.Request{
		{Name: "long", Weight: 1, Path: "/l", Timeout: 900 * time.Millisecond}, {Name: "short", Weight: 1, Path: "/s", Timeout: 100 * time.Millisecond},
	}
	sink := &collect{}
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Constant, Rate: scenarios.PerSecond(100), Duration: 300 * time.Millisecond, Interval: 500 * time.Millisecond,
	}, sink, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, facts, sink)
	if facts.Counts.TimedOut != 30 {
		t.Errorf("counts %+v, want 30 timed out", facts.Counts)
	}
	if got := time.Duration(sink.all.Latency.Min()); got > 101*time.Millisecond || got < 99*time.Millisecond {
		t.Errorf("the shortest latency is %s, want 100 ms", got)
	}
	if got := time.Duration(sink.all.Latency.Max()); got > 901*time.Millisecond || got < 899*time.Millisecond {
		t.Errorf("the longest latency is %s, want 900 ms", got)
	}
	if first := sink.intervals[0].Counts; first.TimedOut == 0 || first.InFlight == 0 {
		t.Errorf("after half a second %+v, want the short ones timed out and the long ones in flight", first)
	}
}

// TestCredential: requests carry the token of a file, and the new one when the
// file changes.
func TestCredential(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	by, changed := map[string]int{}, false
	plan := planFor(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		by[r.Header.Get("authorization")]++
		if by["Bearer first"] >= 100 && !changed {
			changed = true
			if err := os.WriteFile(file, []byte("second\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
		if by["Bearer second"] > 100 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})))
	plan.Auth = &scenarios.Auth{TokenFile: file}
	phase := steady()
	phase.Rate, phase.Duration = scenarios.PerSecond(200), 3*time.Second
	facts := runPhase(t, plan, phase, 2)
	if by["Bearer first"] < 100 || by["Bearer second"] < 100 || len(by) != 2 {
		t.Errorf("authorization %v, want both tokens and nothing else", by)
	}
	if facts.Counts.Denied != int64(facts.Statuses[401]) || facts.Counts.Denied == 0 {
		t.Errorf("%d denied, %d with 401", facts.Counts.Denied, facts.Statuses[401])
	}
}

// TestRetriesUnderMaxRate: a server that refuses every other stream does not make
// the load exceed guards.maxRate.
func TestRetriesUnderMaxRate(t *testing.T) {
	var mu sync.Mutex
	n, first, last := 0, time.Time{}, time.Time{}
	plan := planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		mu.Lock()
		n++
		if last = time.Now(); n == 1 {
			first = last
		}
		refuse := n%2 == 0
		mu.Unlock()
		if refuse {
			return s.WriteRSTStream(id, http2.ErrCodeRefusedStream) == nil
		}
		return s.answer(id) == nil
	}))
	plan.Guards.MaxRate, plan.Timeout = scenarios.PerSecond(500), 500*time.Millisecond
	phase := steady()
	phase.Rate, phase.Duration = scenarios.PerSecond(400), 2*time.Second
	facts := runPhase(t, plan, phase, 1)
	if facts.Connection.Retried < 100 {
		t.Errorf("connections %+v, want many sent again", facts.Connection)
	}
	if most := 500*last.Sub(first).Seconds() + 25; float64(n) > most {
		t.Errorf("the server saw %d requests in %s, want at most %.0f", n, last.Sub(first), most)
	}
}

// TestLeavingConnectionIsClosed: a connection whose peer has said GOAWAY and never
// answers what it promised to goes when the last request on it has timed out.
func TestLeavingConnectionIsClosed(t *testing.T) {
	plan := planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		return id > 1 || s.WriteGoAway(1<<30-1, http2.ErrCodeNo, nil) == nil
	}))
	plan.Timeout, plan.Connections.Count = 200*time.Millisecond, 1
	phase := steady()
	phase.Rate, phase.Duration = scenarios.PerSecond(20), 500*time.Millisecond
	facts := runPhase(t, plan, phase, 1)
	if c := facts.Connection; c.GoAways == 0 || c.Closed < c.GoAways-1 || c.Closed == 0 {
		t.Errorf("connections %+v, want those that said GOAWAY closed", c)
	}
}
