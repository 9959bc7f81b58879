package loadgen

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/scenarios"
)

// readConn notes what it is given, and when that came in. It takes all for the answer
// to a request.
type readConn struct {
	exchange.Conn // nothing else is asked of it
	bytes         int
	at            int64
	done          []exchange.Completion
}

func (c *readConn) Ingest(p []byte, at int64) error {
	c.bytes, c.at = c.bytes+len(p), at
	return nil
}

func (c *readConn) Done() []exchange.Completion { return c.done }
func (c *readConn) Forget()                     {}
func (c *readConn) Out() []byte                 { return nil }
func (c *readConn) GoAways() int                { return 0 }
func (c *readConn) PeerLimit() (uint32, bool)   { return 0, false }
func (c *readConn) Leaving() bool               { return false }
func (c *readConn) Free() int                   { return 0 }
func (c *readConn) Active() int                 { return 0 }
func (c *readConn) Ended(int64)                 {}
func (c *readConn) Fail(exchange.Class)         {}

// serverTLS returns what a server of HTTP/2 needs to serve TLS.
func serverTLS() *tls.Config {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	config := certificate.TLS.Clone()
	config.NextProtos = []string{"h2"}
	return config
}

// What comes in during a rest ends when it came in, in cleartext and with TLS, however
// late it is read and decrypted. When it was more than fits into a buffer there is no
// rest for a while.
func TestEndsDuringRests(t *testing.T) {
	config := serverTLS()
	for _, sealed := range []bool{false, true} {
		t.Run(map[bool]string{false: "cleartext", true: "TLS"}[sealed], func(t *testing.T) {
			send := make(chan int)
			defer close(send)
			w, l, conn := attached(t, sealed, config, send)
			// comes sends bytes during a rest, and reads them much later.
			comes := func(bytes int) (before, there, at int64) {
				conn.bytes, w.restless = 0, 0
				w.restedAt = w.now()
				before = w.now()
				send <- bytes
				if err := l.dial.Wait(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				for there = w.now(); w.now() < there+int64(2*time.Millisecond); {
				}
				w.awoke()
				w.receive(l)
				return before, there, conn.at
			}
			for conn.bytes == 0 { // what TLS has to say first may come alone
				comes(100)
			}
			for attempt := 0; ; attempt++ {
				before, there, at := comes(100)
				if at > there && attempt < 1000 {
					continue // the kernel takes a while to begin
				}
				if conn.bytes != 100 || at < before || at > there {
					t.Fatalf("%d bytes at %d, want 100 from %d to %d", conn.bytes, at, before, there)
				}
				break
			}
			if w.restless != 0 {
				t.Error("no rest after 100 bytes")
			}
			w.run = paced(t, scenarios.Plan{}, scenarios.Constant)
			conn.done = []exchange.Completion{{Token: w.take(0), Outcome: exchange.Answered, Status: 200}}
			_, there, at := comes(100) // intended at 0, so that its latency is when it ended
			if got := w.run.set.requests[0].Latency.Max(); float64(got) < 0.999*float64(at) || float64(got) > 1.001*float64(there) {
				t.Errorf("an answer ends at %d, want from %d to %d", got, at, there)
			}
			w.run, conn.done = nil, nil
			for seen := 0; ; seen++ {
				if comes(200 << 10); w.restless > w.now() {
					break
				}
				if seen == 20 { // a read may have been before all was there
					t.Fatal("rest after more than a buffer takes")
				}
				for conn.bytes < 200<<10 {
					w.receive(l)
				}
			}
			w.rested = false
			if now := w.now(); w.received(time.Now().UnixNano()-int64(time.Millisecond), now) != now {
				t.Error("what is read without a rest ends earlier than it is read")
			}
		})
	}
}

// The poller tells once that something came in, or that the peer is done. What a worker
// does not read at once it reads in the next turns, without being told, and does not
// sleep before; the same for the end.
func TestReadsWithoutBeingToldAgain(t *testing.T) {
	config := serverTLS()
	for _, tt := range []struct {
		name   string
		sealed bool
		bytes  int
	}{
		{"little", false, 1},
		{"many times the buffer", false, 3 << 20},
		{"little over TLS", true, 1},
		{"many times the buffer over TLS", true, 3 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			send := make(chan int, 1)
			w, l, conn := attached(t, tt.sealed, config, send)
			stopped, stop := context.WithCancel(t.Context())
			stop() // nothing is opened in place of the connection
			w.ctx = stopped
			send <- tt.bytes
			close(send) // and the connection
			for !l.closed {
				patience := w.patience(w.now())
				if patience == 0 != (len(w.unread) > 0) {
					t.Fatalf("sleeps %d ns with %d unread", patience, len(w.unread))
				}
				if patience < 0 {
					patience = int64(10 * time.Second) // of a test that fails
				}
				events, err := w.poll.wait(patience)
				if err != nil || len(events) == 0 && len(w.unread) == 0 {
					t.Fatalf("nothing happens any more after %d bytes, %v; want %d and the end", conn.bytes, err, tt.bytes)
				}
				w.hearOut()
				w.serve(events)
			}
			if conn.bytes != tt.bytes {
				t.Errorf("%d bytes, want %d", conn.bytes, tt.bytes)
			}
		})
	}
}

// attached returns a worker with a connection of which it asks when something came
// in, whose peer sends as many bytes as it is told.
func attached(t *testing.T, sealed bool, config *tls.Config, send <-chan int) (*worker, *link, *readConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		out := io.Writer(c)
		if sealed {
			sealer := tls.Server(c, config)
			if err := sealer.Handshake(); err != nil {
				return
			}
			out = sealer
		}
		for n := range send {
			if _, err := out.Write(make([]byte, n)); err != nil {
				return
			}
		}
	}()
	options := dial.Options{Address: listener.Addr().String()}
	if sealed {
		if options.TLS, err = dial.NewTLS(dial.TLSOptions{Protocol: dial.ProtocolHTTP2, Insecure: true}); err != nil {
			t.Fatal(err)
		}
	}
	conn := &readConn{}
	opened := opened{conn: conn}
	if opened.link, err = dial.Open(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	w := &worker{
		base: time.Now(), unused: -1, maximum: 8, flights: []flight{{oldest: -1, newest: -1}}, flightOf: []int32{0},
		places: make([]place, 1), openings: newOpenings(), stamping: true,
		buffer: make([]byte, readBuffer), sealed: make([]byte, readBuffer),
	}
	if w.poll, err = newPoller(8, false); err != nil {
		t.Fatal(err)
	}
	if err := w.attach(0, opened); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = opened.link.Close()
		w.poll.close()
		_ = listener.Close()
		<-done
	})
	return w, w.links[0], conn
}

// A step of the real-time clock changes an end by no more than the rest.
func TestReceivedIsBounded(t *testing.T) {
	w := &worker{rested: true, restedAt: 1000, awokeAt: 1900, awokeWall: 1_000_001_900}
	tests := []struct {
		name            string
		wall, now, want int64
	}{
		{"in the rest", 1_000_001_500, 2000, 1500},
		{"after the rest", 1_000_001_950, 2000, 1950},
		{"the clock was set back", 5, 2000, 1000},
		{"the clock was set forward", 2_000_000_000, 2000, 2000},
		{"not known", 0, 2000, 2000},
	}
	for _, tt := range tests {
		if got := w.received(tt.wall, tt.now); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
