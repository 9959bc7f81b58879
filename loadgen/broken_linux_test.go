package loadgen

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// breaker breaks a worker when the first interval is over.
type breaker struct {
	t      *testing.T
	worker *worker
	told   bool
}

func (b *breaker) Interval(record.Interval) {
	if !b.told {
		b.told = true
		breakPoller(b.t, b.worker)
	}
}

// breakPoller puts something into the place of a worker's epoll descriptor that
// can't be waited for.
func breakPoller(t *testing.T, w *worker) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = unix.Close(null) }()
	if err := unix.Dup3(null, w.poll.epoll, unix.O_CLOEXEC); err != nil {
		t.Error(err)
	}
	w.poll.notify() // the wait that goes on still is for the old one
}

// A worker whose loop has broken ends the phase and all that are asked for later
// with an error; none waits for what never comes.
func TestBrokenWorker(t *testing.T) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.Protocols = &protocols
	server.Start()
	defer server.Close()
	address := server.Listener.Addr().String()
	plan := scenarios.Plan{
		Name:        "broken",
		Endpoint:    scenarios.Endpoint{Scheme: "http", Authority: address, Address: address, Protocol: scenarios.ProtocolH2C},
		Connections: scenarios.Connections{Count: 4, StreamsPerConnection: 4},
		Requests:    []scenarios.Request{{Name: "get", Weight: 1, Method: "GET", Path: "/"}},
		Timeout:     time.Second,
	}
	phase := scenarios.Phase{Process: scenarios.Constant, Rate: scenarios.PerSecond(500), Duration: time.Hour, Interval: 50 * time.Millisecond}
	for _, tt := range []struct {
		name           string
		workers        int
		before, closed bool // broken before the phase; in a closed loop
	}{
		{"alone, while a phase goes on", 1, false, false},
		{"beside others, while a phase goes on", 3, false, false},
		{"in a closed loop", 2, false, true},
		{"alone, between phases", 1, true, false},
		{"beside others, between phases", 3, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			session, err := Open(context.Background(), plan, Options{Workers: tt.workers})
			if err != nil {
				t.Fatal(err)
			}
			sink := &breaker{t: t, worker: session.workers[tt.workers-1], told: tt.before}
			if tt.before {
				breakPoller(t, sink.worker)
			}
			wanted := phase
			if tt.closed {
				wanted.Process = scenarios.Closed
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 3 {
					facts, err := session.Phase(context.Background(), wanted, sink)
					if err == nil || !strings.Contains(err.Error(), "the sending loop broke") {
						t.Errorf("phase %d: error %v and facts %+v, want one that says that the loop broke", i, err, facts)
					}
				}
				if err := session.Close(); err != nil {
					t.Error(err)
				}
			}()
			limit := time.NewTimer(time.Minute)
			defer limit.Stop()
			select {
			case <-done:
			case <-limit.C:
				t.Fatal("a phase or the end of the session hangs")
			}
		})
	}
}
