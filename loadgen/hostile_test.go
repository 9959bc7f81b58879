//go:build linux

package loadgen_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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

// closed runs a short phase in a closed loop, as fast as the server goes.
func closed(t *testing.T, plan scenarios.Plan, duration time.Duration) record.Phase {
	t.Helper()
	sink := &collect{}
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Closed, Duration: duration, Interval: 100 * time.Millisecond,
	}, sink, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, facts, sink)
	return facts
}

// reply returns the bytes of a good answer with a body, a CONTINUATION and trailers.
func reply(id uint32) []byte {
	var b, block bytes.Buffer
	f, e := http2.NewFramer(&b, nil), hpack.NewEncoder(&block)
	_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = e.WriteField(hpack.HeaderField{Name: "x-secret", Value: "never indexed", Sensitive: true})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes()[:5]})
	_ = f.WriteContinuation(id, true, block.Bytes()[5:])
	_ = f.WriteData(id, false, []byte("some of the body"))
	_ = f.WriteDataPadded(id, false, []byte("and more"), make([]byte, 5))
	block.Reset()
	_ = e.WriteField(hpack.HeaderField{Name: "x-trailer", Value: "1", Sensitive: true})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	return b.Bytes()
}

// TestCutAtEachByte: each connection answers one request, and ends somewhere in
// the answer to the second one: at every byte in turn, with and without a reset.
func TestCutAtEachByte(t *testing.T) {
	length := len(reply(1))
	var cuts atomic.Int64
	seen := make([]atomic.Int64, length)
	plan := planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		if id == 1 {
			_, err := s.Write(reply(id))
			return err == nil
		}
		n := int(cuts.Add(1)-1) % length
		seen[n].Add(1)
		_, _ = s.Write(reply(id)[:n])
		if n%2 == 1 {
			_ = s.Conn.(*net.TCPConn).SetLinger(0)
		}
		return false
	}))
	plan.Connections.StreamsPerConnection = 1
	facts := closed(t, plan, time.Second)
	lost := facts.Errors["connection-lost"]
	if c := facts.Counts; c.Failed != lost || lost != cuts.Load() || c.Answered < lost || c.InFlight+c.TimedOut > 0 {
		t.Errorf("counts %+v, errors %v; want %d lost", facts.Counts, facts.Errors, cuts.Load())
	}
	for n := range seen {
		if seen[n].Load() == 0 {
			t.Fatalf("the answer was never cut at byte %d of %d: %d cuts", n, length, cuts.Load())
		}
	}
}

// TestCutGreeting: a target that ends the connection at each byte of its first
// frame is an error of Open, which says whom it concerns.
func TestCutGreeting(t *testing.T) {
	const greeting = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x10"
	for n := range len(greeting) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
			_, _ = io.WriteString(conn, greeting[:n])
			_ = conn.Close()
		}()
		plan := planFor(listener.Addr().String())
		plan.Connections.Count = 1
		session, err := loadgen.Open(context.Background(), plan, loadgen.Options{})
		if err == nil {
			_ = session.Close()
			t.Fatalf("after %d bytes: the connection was opened", n)
		}
		if !strings.Contains(err.Error(), listener.Addr().String()) {
			t.Errorf("after %d bytes: %v, want an error that names the target", n, err)
		}
		_ = listener.Close()
		<-done
	}
}

// TestHostile is a corpus of what targets may do to a client, each with its
// outcome: request is called for each request of a connection.
func TestHostile(t *testing.T) {
	const enough = 64 << 20 // bytes that a target which must be stopped would write
	var stuck atomic.Bool   // it was not stopped
	flood := func(frames []byte, to io.Writer) {
		for sent := 0; sent < enough; sent += len(frames) {
			if _, err := to.Write(frames); err != nil {
				return
			}
		}
		stuck.Store(true)
	}
	frames := func(kind http2.FrameType, id uint32, payload []byte, to io.Writer) ([]byte, io.Writer) {
		var b bytes.Buffer
		_ = http2.NewFramer(&b, nil).WriteRawFrame(kind, 0, id, payload)
		return bytes.Repeat(b.Bytes(), 1+16<<10/b.Len()), to
	}
	block := []byte{0x88}
	raw := func(kind http2.FrameType, flags http2.Flags, payload []byte) func(*script, uint32) bool {
		return func(s *script, id uint32) bool { return s.WriteRawFrame(kind, flags, id, payload) == nil }
	}
	each := func(first, then func(*script, uint32) bool) func(*script, uint32) bool {
		return func(s *script, id uint32) bool { return first(s, id) && then(s, id) }
	}
	answer := func(s *script, id uint32) bool { return s.answer(id) == nil }
	tests := []struct {
		name    string
		request func(*script, uint32) bool
		want    string // the one class of errors; empty: all are answered
	}{
		{"slow bytes", func(s *script, id uint32) bool {
			if id%20 != 1 {
				return s.answer(id) == nil
			}
			tick := time.NewTicker(100 * time.Microsecond)
			defer tick.Stop()
			for _, b := range reply(id) {
				<-tick.C
				if _, err := s.Write([]byte{b}); err != nil {
					return false
				}
			}
			return true
		}, ""},
		{"endless CONTINUATION", func(s *script, id uint32) bool {
			_ = s.WriteRawFrame(http2.FrameHeaders, 0, id, block)
			flood(frames(http2.FrameContinuation, id, make([]byte, 16<<10), s))
			return false
		}, "protocol-error"},
		{"endless CONTINUATION without bytes", func(s *script, id uint32) bool {
			_ = s.WriteRawFrame(http2.FrameHeaders, 0, id, block)
			flood(frames(http2.FrameContinuation, id, nil, s))
			return false
		}, "protocol-error"},
		{"a few bytes that stand for a huge header", func(s *script, id uint32) bool {
			bomb := append([]byte{0x88, 0x40, 1, 'x', 0x7f, 0xa1, 0x1e}, make([]byte, 4000)...) // an entry of 4000 bytes
			return s.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, id, append(bomb, bytes.Repeat([]byte{0xbe}, 10_000)...)) == nil
		}, "protocol-error"},
		{"thousands of informational answers", func(s *script, id uint32) bool {
			// Only the timeout bounds them: each says that the answer is to come.
			var b bytes.Buffer
			_ = http2.NewFramer(&b, nil).WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, id, []byte{0x08, 3, '1', '0', '0'})
			_, err := s.Write(bytes.Repeat(b.Bytes(), 2000))
			return err == nil && s.answer(id) == nil
		}, ""},
		{"oversized frame", raw(http2.FrameData, 0, make([]byte, 1<<20)), "protocol-error"},
		{"window overflow of the connection", func(s *script, _ uint32) bool { return s.WriteWindowUpdate(0, 1<<31-1) == nil }, "protocol-error"},
		{"window overflow of a stream", func(s *script, id uint32) bool { return s.WriteWindowUpdate(id, 1<<31-1) == nil }, "protocol-error"},
		{"invalid index", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, []byte{0xff, 0xff, 0x7f}), "protocol-error"},
		{"invalid Huffman code", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, []byte{0x88, 0, 1, 'a', 0x84, 0xff, 0xff, 0xff, 0xff}), "protocol-error"},
		{"no status", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, []byte{0, 1, 'a', 1, 'b'}), "protocol-error"},
		{"frames on closed streams", each(answer, func(s *script, id uint32) bool {
			return s.WriteData(id, true, []byte("late")) == nil && s.WriteWindowUpdate(id, 10) == nil &&
				s.WriteRSTStream(id, http2.ErrCodeNo) == nil && s.answer(id) == nil
		}), ""},
		{"a stream that was never opened", func(s *script, id uint32) bool { return s.WriteData(id+2000, true, nil) == nil }, "protocol-error"},
		{"PING between all frames", each(func(s *script, _ uint32) bool {
			for range 20 {
				if s.WritePing(false, [8]byte{1}) != nil {
					return false
				}
			}
			return true
		}, answer), ""},
		{"PING flood without reading", func(s *script, _ uint32) bool {
			flood(frames(http2.FramePing, 0, make([]byte, 8), s))
			return false
		}, "protocol-error"},
		{"SETTINGS flood without reading", func(s *script, _ uint32) bool {
			flood(frames(http2.FrameSettings, 0, []byte{0, 1, 0, 0, 0, 100}, s))
			return false
		}, "protocol-error"},
		{"all refused", func(s *script, id uint32) bool { return s.WriteRSTStream(id, http2.ErrCodeRefusedStream) == nil }, "reset-refused-stream"},
		{"all reset", func(s *script, id uint32) bool { return s.WriteRSTStream(id, http2.ErrCodeCancel) == nil }, "reset-cancel"},
		{"reset with an unknown code", func(s *script, id uint32) bool { return s.WriteRSTStream(id, 0xdeadbeef) == nil }, "reset-unknown-code"},
		{"HTTP/1 in the middle", func(s *script, _ uint32) bool {
			_, err := io.WriteString(s, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			return err == nil
		}, "protocol-error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stuck.Store(false)
			plan := planFor(serveScript(t, nil, tt.request))
			plan.Connections.Count = 2
			plan.Timeout = 20 * time.Second // nothing here may need it
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			facts := run(t, plan, 200*time.Millisecond)
			runtime.ReadMemStats(&after)
			c := facts.Counts
			if tt.want == "" && c.Answered != c.Intended {
				t.Errorf("counts %+v, errors %v; want all answered", c, facts.Errors)
			}
			if tt.want != "" && (c.Failed == 0 || c.Failed != facts.Errors[tt.want] || c.Answered+c.TimedOut > 0) {
				t.Errorf("counts %+v, errors %v; want only %s", c, facts.Errors, tt.want)
			}
			if stuck.Load() {
				t.Error("the target was not stopped")
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
		})
	}
}

// TestDrainsForEver: a target that says again and again that it will go away,
// with ever lower last streams, and serves what is below them.
func TestDrainsForEver(t *testing.T) {
	facts := run(t, planFor(serveScript(t, nil, func(s *script, id uint32) bool {
		if id == 21 {
			for last := uint32(1<<31 - 1); last > id; last /= 2 {
				if s.WriteGoAway(last|1, http2.ErrCodeNo, []byte(fmt.Sprint(last))) != nil {
					return false
				}
			}
			return s.WriteGoAway(id, http2.ErrCodeNo, nil) == nil && s.answer(id) == nil
		}
		return id > 21 || s.answer(id) == nil
	})), 500*time.Millisecond)
	if c := facts.Counts; c.Answered != c.Intended || facts.Connection.Opened < 10 {
		t.Errorf("counts %+v, errors %v, connections %+v; want all answered, on many connections", c, facts.Errors, facts.Connection)
	}
}
