//go:build linux

package loadgen_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// script is one connection of a server that follows a script.
type script struct {
	net.Conn
	*http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	number  int // of the connection, from 0
}

// answer writes a short good answer.
func (s *script) answer(id uint32) error {
	s.block.Reset()
	if err := s.encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}); err != nil {
		return err
	}
	return s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.block.Bytes(), EndHeaders: true, EndStream: true})
}

// serveScript runs a server that calls request for each request of a connection
// until that returns false, and then closes the connection.
func serveScript(t testing.TB, settings []http2.Setting, request func(s *script, id uint32) bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveScriptOn(t, listener, settings, request)
	return listener.Addr().String()
}

func serveScriptOn(t testing.TB, listener net.Listener, settings []http2.Setting, request func(s *script, id uint32) bool) {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	group.Go(func() {
		for number := 0; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			group.Go(func() {
				runScript(conn, number, settings, request)
				_ = conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		group.Wait()
	})
}

func runScript(conn net.Conn, number int, settings []http2.Setting, request func(s *script, id uint32) bool) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	s := &script{Conn: conn, Framer: http2.NewFramer(conn, conn), number: number}
	s.encoder = hpack.NewEncoder(&s.block)
	if err := s.WriteSettings(settings...); err != nil {
		return
	}
	for {
		f, err := s.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = s.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			if !request(s, f.StreamID) {
				return
			}
		}
	}
}

// run runs one short phase and checks its accounts.
func run(t *testing.T, plan scenarios.Plan, duration time.Duration) record.Phase {
	t.Helper()
	sink := &collect{}
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Poisson, Rate: scenarios.PerSecond(1000), Duration: duration, Interval: 100 * time.Millisecond, Seed: 1,
	}, sink, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, facts, sink)
	return facts
}

// TestGoAway: each connection takes thirty-five requests, then answers the
// thirtieth, says GOAWAY with it as the last one, and ignores what is above it.
func TestGoAway(t *testing.T) {
	plan := planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		const last = 2*30 - 1
		switch {
		case id < last:
			return s.answer(id) == nil
		case id == last+10:
			return s.answer(last) == nil && s.WriteGoAway(last, http2.ErrCodeNo, nil) == nil
		}
		return true
	}))
	plan.Timeout = time.Second
	facts := run(t, plan, time.Second)
	c := facts.Counts
	// When no more requests come, the last few on each connection wait in vain
	// for the one that makes the server go away.
	if c.Answered+c.TimedOut != c.Intended || c.TimedOut > 4*5 {
		t.Errorf("counts %+v, errors %v; want all answered but for some at the end", c, facts.Errors)
	}
	conns := facts.Connection
	if conns.Retried < 5*conns.GoAways || conns.GoAways < 20 || conns.Opened < conns.GoAways || conns.Open < 1 || conns.Opened-conns.Closed != int64(conns.Open) {
		t.Errorf("connections %+v, want one opened and five requests sent again for each GOAWAY", conns)
	}
}

// TestGoAwayLoop: a server that sends GOAWAY at once and answers nothing.
func TestGoAwayLoop(t *testing.T) {
	plan := planFor(serveScript(t, nil, func(s *script, _ uint32) bool {
		return s.WriteGoAway(0, http2.ErrCodeNo, nil) == nil
	}))
	plan.Timeout = 500 * time.Millisecond
	facts := run(t, plan, 500*time.Millisecond)
	if c := facts.Counts; c.Answered != 0 || c.Failed+c.Shed+c.TimedOut != c.Intended {
		t.Errorf("counts %+v, want nothing answered", c)
	}
	// 10, 20, 40 … ms between tries of each of four connections.
	if got := facts.Connection.Opened; got > 100 {
		t.Errorf("%d connections opened: they are not opened ever more slowly", got)
	}
}

// TestRefused: a refused request is sent again once, without being counted twice.
func TestRefused(t *testing.T) {
	facts := run(t, planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		if s.number == 0 && id%20 == 1 {
			return s.WriteRSTStream(id, http2.ErrCodeRefusedStream) == nil
		}
		return s.answer(id) == nil
	})), time.Second)
	c := facts.Counts
	if c.Answered+c.Failed != c.Sent || c.Failed != facts.Errors["reset-refused-stream"] {
		t.Errorf("counts %+v, errors %v", c, facts.Errors)
	}
	if retried := facts.Connection.Retried; retried < c.Sent/100 || c.Failed > retried/2 {
		t.Errorf("%d retried, %d failed of %d", retried, c.Failed, c.Sent)
	}
}

// TestResets: resets are counted by their code.
func TestResets(t *testing.T) {
	facts := run(t, planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		switch id % 8 {
		case 1:
			return s.WriteRSTStream(id, http2.ErrCodeInternal) == nil
		case 3:
			return s.WriteRSTStream(id, http2.ErrCodeEnhanceYourCalm) == nil
		}
		return s.answer(id) == nil
	})), 500*time.Millisecond)
	if a, b := facts.Errors["reset-internal-error"], facts.Errors["reset-enhance-your-calm"]; a == 0 || b == 0 || a+b != facts.Counts.Failed {
		t.Errorf("errors %v, want two kinds of reset that make up %d", facts.Errors, facts.Counts.Failed)
	}
}

// TestConnectionLost: connections that end without a word, with requests in flight.
func TestConnectionLost(t *testing.T) {
	facts := run(t, planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		if id > 2*50 {
			return false
		}
		return s.answer(id) == nil
	})), time.Second)
	c := facts.Counts
	if c.Failed == 0 || c.Failed != facts.Errors["connection-lost"] || c.Answered < c.Intended*8/10 {
		t.Errorf("counts %+v, errors %v; want few lost", c, facts.Errors)
	}
	if facts.Connection.Closed == 0 || facts.Connection.Opened <= 4 {
		t.Errorf("connections %+v, want them replaced", facts.Connection)
	}
}

// TestProtocolError: a peer that breaks the protocol is left.
func TestProtocolError(t *testing.T) {
	facts := run(t, planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		if id > 2*50 {
			return s.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 5)) == nil
		}
		return s.answer(id) == nil
	})), 500*time.Millisecond)
	if facts.Counts.Failed == 0 || facts.Counts.Failed != facts.Errors["protocol-error"] {
		t.Errorf("counts %+v, errors %v; want protocol errors", facts.Counts, facts.Errors)
	}
}

// TestStreamLimit: the peer's limit holds, though the plan allows more.
func TestStreamLimit(t *testing.T) {
	var mu sync.Mutex
	open, most := map[int]int{}, 0
	plan := planFor(serveScript(t, []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 3}}, func(s *script, id uint32) bool {
		mu.Lock()
		open[s.number]++
		most = max(most, open[s.number])
		full := open[s.number] == 3
		mu.Unlock()
		if !full {
			return true // answered together with the third
		}
		mu.Lock()
		open[s.number] = 0
		mu.Unlock()
		return s.answer(id-4) == nil && s.answer(id-2) == nil && s.answer(id) == nil
	}))
	plan.Timeout = time.Second // of the last ones, which have no third
	facts := run(t, plan, 500*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	if most != 3 || facts.Connection.MaxStreams != 3 || facts.Connection.MaxInFlight > 12 {
		t.Errorf("%d streams at once, facts %+v; want 3", most, facts.Connection)
	}
}

// TestTargetComesBack: the target goes away for a while. What could not be sent
// keeps its intended instant.
func TestTargetComesBack(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	gone := make(chan struct{})
	var once sync.Once
	// Connection 0 to 3 end at their hundredth request, and the listener with the first.
	serveScriptOn(t, listener, nil, func(s *script, id uint32) bool {
		if id > 2*100 {
			once.Do(func() {
				_ = listener.Close()
				close(gone)
			})
			return false
		}
		return s.answer(id) == nil
	})
	back := make(chan struct{})
	go func() {
		defer close(back)
		<-gone
		pause := time.NewTimer(300 * time.Millisecond)
		<-pause.C
		again, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("listen again: %v", err)
			return
		}
		serveScriptOn(t, again, nil, func(s *script, id uint32) bool { return s.answer(id) == nil })
	}()
	facts := run(t, planFor(address), 2*time.Second)
	<-back
	c := facts.Counts
	if c.Answered < c.Intended*9/10 || c.Failed == 0 || facts.Connection.Open != 4 {
		t.Errorf("counts %+v, errors %v, connections %+v; want most answered after all", c, facts.Errors, facts.Connection)
	}
}

// TestSilentTarget: a peer that opens no window and reads nothing more does not
// hold up the end.
func TestSilentTarget(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	plan := planFor(serveScript(t, []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, func(*script, uint32) bool {
		<-stop // reads no more
		return false
	}))
	plan.Timeout = 300 * time.Millisecond
	plan.Requests[0].Method, plan.Requests[0].Body = "POST", string(make([]byte, 1<<20))
	facts := run(t, plan, 300*time.Millisecond)
	if c := facts.Counts; c.Answered != 0 || c.TimedOut == 0 || c.TimedOut+c.Shed != c.Intended {
		t.Errorf("counts %+v, want none answered", c)
	}
}
