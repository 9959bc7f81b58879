package h2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

func TestGreeting(t *testing.T) {
	p := newPeer(t)
	if p.conn.Ready() || p.conn.Free() != 0 {
		t.Errorf("ready %t with %d free streams before the peer's settings", p.conn.Ready(), p.conn.Free())
	}
	frames := p.frames()
	if len(frames) != 2 || frames[0].kind != http2.FrameSettings || frames[1].kind != http2.FrameWindowUpdate {
		t.Errorf("wrote %+v, want SETTINGS and WINDOW_UPDATE", frames)
	}
	p.write(func(f *http2.Framer) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 3})
	})
	p.want(nil)
	if got := p.conn.Free(); got != 3 {
		t.Errorf("%d streams free, want the peer's 3", got)
	}
	if f, ok := has(p.frames(), http2.FrameSettings); !ok || !f.ack {
		t.Error("the peer's settings were not acknowledged")
	}
}

func TestRequestIsWritten(t *testing.T) {
	p := greeted(t)
	for i := range 3 {
		p.conn.Start(0, uint32(i), nil)
		frames := p.frames()
		if len(frames) != 1 || frames[0].kind != http2.FrameHeaders || !frames[0].end || frames[0].id != uint32(2*i+1) {
			t.Fatalf("wrote %+v, want HEADERS that end stream %d", frames, 2*i+1)
		}
		if got := len(frames[0].fields); got != 5 {
			t.Errorf("%d fields: %v, want 5", got, frames[0].fields)
		}
	}
	if got := p.conn.Free(); got != 7 {
		t.Errorf("%d streams free, want 7", got)
	}
}

// exchanges are answers to one request on stream 1, with their outcome.
func exchanges() []struct {
	name    string
	kind    int
	answer  func(*peer)
	outcome exchange.Outcome
	class   exchange.Class
	status  int32
	bytes   int64
} {
	data := func(id uint32, end bool, body string) func(*http2.Framer) error {
		return func(f *http2.Framer) error { return f.WriteData(id, end, []byte(body)) }
	}
	return []struct {
		name    string
		kind    int
		answer  func(*peer)
		outcome exchange.Outcome
		class   exchange.Class
		status  int32
		bytes   int64
	}{
		{"without body", 0, func(p *peer) { p.headers(1, true, ":status", "204") }, exchange.Answered, exchange.Good, 204, 0},
		{"with body", 0, func(p *peer) {
			p.headers(1, false, ":status", "200", "content-type", "text/plain")
			p.write(data(1, false, "hello"))
			p.write(data(1, true, " world"))
		}, exchange.Answered, exchange.Good, 200, 11},
		{"body ends in an empty frame", 0, func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.write(data(1, false, "hello"))
			p.write(data(1, true, ""))
		}, exchange.Answered, exchange.Good, 200, 5},
		{"padded", 0, func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.write(func(f *http2.Framer) error { return f.WriteDataPadded(1, true, []byte("abc"), make([]byte, 50)) })
		}, exchange.Answered, exchange.Good, 200, 3},
		{"padded headers with priority", 0, func(p *peer) {
			p.write(func(f *http2.Framer) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(":status", "200"), EndStream: true,
					EndHeaders: true, PadLength: 7, Priority: http2.PriorityParam{StreamDep: 3, Weight: 9}})
			})
		}, exchange.Answered, exchange.Good, 200, 0},
		{"continuations", 0, func(p *peer) {
			block := p.encode(":status", "200", "x-long", strings.Repeat("z", 500))
			p.write(func(f *http2.Framer) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:3], EndStream: true})
			})
			p.write(func(f *http2.Framer) error { return f.WriteContinuation(1, false, block[3:40]) })
			p.write(func(f *http2.Framer) error { return f.WriteContinuation(1, true, block[40:]) })
		}, exchange.Answered, exchange.Good, 200, 0},
		{"informational first", 0, func(p *peer) {
			p.headers(1, false, ":status", "100")
			p.headers(1, false, ":status", "103", "link", "</a>")
			p.headers(1, true, ":status", "200")
		}, exchange.Answered, exchange.Good, 200, 0},
		{"trailers", 0, func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.write(data(1, false, "hello"))
			p.headers(1, true, "grpc-status", "0")
		}, exchange.Answered, exchange.Good, 200, 5},
		{"pings and unknown frames between", 0, func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.write(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{1}) })
			p.write(func(f *http2.Framer) error { return f.WriteRawFrame(0x42, 0xff, 1, []byte("what")) })
			p.write(func(f *http2.Framer) error { return f.WritePriority(1, http2.PriorityParam{StreamDep: 0, Weight: 1}) })
			p.write(data(1, true, "x"))
		}, exchange.Answered, exchange.Good, 200, 1},
		{"breaker", 0, func(p *peer) {
			p.headers(1, false, ":status", "503", "x-envoy-overloaded", "true", "server", "envoy")
			p.write(data(1, true, "upstream connect error or disconnect/reset before headers. reset reason: overflow"))
		}, exchange.Answered, exchange.Overflow, 503, 81},
		{"no healthy upstream", 0, func(p *peer) {
			p.headers(1, false, ":status", "503", "server", "envoy")
			p.write(data(1, true, "no healthy upstream"))
		}, exchange.Answered, exchange.NoHealthyUpstream, 503, 19},
		{"early answer to an upload", 1, func(p *peer) { p.headers(1, true, ":status", "413") }, exchange.Answered, exchange.Service4xx, 413, 0},
		{"reset", 0, func(p *peer) {
			p.write(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeInternal) })
		}, exchange.Reset, exchange.ResetInternal, 0, 0},
		{"reset amid the body", 0, func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.write(data(1, false, "hel"))
			p.write(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) })
		}, exchange.Reset, exchange.ResetCancel, 200, 3},
		{"refused", 0, func(p *peer) {
			p.write(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeRefusedStream) })
		}, exchange.Refused, exchange.ResetRefused, 0, 0},
		{"not processed", 0, func(p *peer) {
			p.write(func(f *http2.Framer) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) })
		}, exchange.Unprocessed, exchange.GoneAway, 0, 0},
		{"processed in spite of a GOAWAY", 0, func(p *peer) {
			p.write(func(f *http2.Framer) error { return f.WriteGoAway(1, http2.ErrCodeNo, []byte("bye")) })
			p.headers(1, true, ":status", "200")
		}, exchange.Answered, exchange.Good, 200, 0},
		{"no status", 0, func(p *peer) { p.headers(1, true, "content-type", "text/plain") }, exchange.Reset, exchange.ProtocolError, 0, 0},
		{"strange status", 0, func(p *peer) { p.headers(1, true, ":status", "2x0") }, exchange.Reset, exchange.ProtocolError, 0, 0},
		{"two statuses", 0, func(p *peer) { p.headers(1, true, ":status", "200", ":status", "200") }, exchange.Reset, exchange.ProtocolError, 0, 0},
		{"status after a field", 0, func(p *peer) { p.headers(1, true, "a", "b", ":status", "200") }, exchange.Reset, exchange.ProtocolError, 0, 0},
		{"informational at the end", 0, func(p *peer) { p.headers(1, true, ":status", "100") }, exchange.Reset, exchange.ProtocolError, 0, 0},
		{"switching protocols", 0, func(p *peer) { p.headers(1, false, ":status", "101") }, exchange.Reset, exchange.ProtocolError, 0, 0},
		{"body before headers", 0, func(p *peer) { p.write(data(1, true, "x")) }, exchange.Reset, exchange.ProtocolError, 0, 0},
		{"trailers that don't end", 0, func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.headers(1, false, "a", "b")
		}, exchange.Reset, exchange.ProtocolError, 200, 0},
		{"window update by nothing", 0, func(p *peer) {
			p.write(func(f *http2.Framer) error { return f.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4)) })
		}, exchange.Reset, exchange.ProtocolError, 0, 0},
	}
}

// TestExchanges feeds each answer as a whole, byte by byte, and in pieces.
func TestExchanges(t *testing.T) {
	for _, tt := range exchanges() {
		for _, split := range []int{0, 1, 7, 10} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, split), func(t *testing.T) {
				p := greeted(t)
				p.split = split
				p.conn.Start(tt.kind, 77, nil)
				tt.answer(p)
				p.want(nil)
				d := p.wantDone(77, tt.outcome, tt.class)
				if d.Status != tt.status || d.Received != tt.bytes {
					t.Errorf("status %d with %d bytes, want %d with %d", d.Status, d.Received, tt.status, tt.bytes)
				}
				if p.conn.Active() != 0 {
					t.Errorf("%d streams are still open", p.conn.Active())
				}
				if reset, ok := has(p.frames(), http2.FrameRSTStream); tt.class == exchange.ProtocolError && (!ok || reset.code != http2.ErrCodeProtocol) {
					t.Errorf("the breach was answered with %+v, want RST_STREAM with PROTOCOL_ERROR", reset)
				}
			})
		}
	}
}

// TestLostAtEachByte ends the connection after each byte of each answer: every
// request ends exactly once.
func TestLostAtEachByte(t *testing.T) {
	for _, tt := range exchanges() {
		t.Run(tt.name, func(t *testing.T) {
			p := greeted(t)
			p.conn.Start(tt.kind, 77, nil)
			p.raw = nil
			tt.answer(p)
			p.want(nil)
			for n := range p.raw {
				q := greeted(t)
				q.conn.Start(tt.kind, 77, nil)
				if err := q.conn.Ingest(p.raw[:n], 1); err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				q.conn.Fail(exchange.ConnectionLost)
				done := q.done()
				if len(done) != 1 {
					t.Fatalf("after %d of %d bytes: %d requests ended, want 1", n, len(p.raw), len(done))
				}
				if d := done[0]; d.Outcome != exchange.Lost && d.Outcome != tt.outcome {
					t.Fatalf("after %d of %d bytes: outcome %d", n, len(p.raw), d.Outcome)
				}
			}
		})
	}
}

// TestConnectionErrors are breaches that end the connection, with their code by RFC 9113.
func TestConnectionErrors(t *testing.T) {
	raw := func(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte) func(*peer) {
		return func(p *peer) {
			p.write(func(f *http2.Framer) error { return f.WriteRawFrame(kind, flags, id, payload) })
		}
	}
	tests := []struct {
		name   string
		answer func(*peer)
		want   http2.ErrCode
	}{
		{"frame too large", raw(http2.FrameData, 0, 1, make([]byte, maxFrame+1)), http2.ErrCodeFrameSize},
		{"DATA on the connection", raw(http2.FrameData, 0, 0, []byte("x")), http2.ErrCodeProtocol},
		{"DATA on a stream never opened", raw(http2.FrameData, 0, 9, []byte("x")), http2.ErrCodeProtocol},
		{"DATA with too much padding", func(p *peer) {
			p.headers(1, false, ":status", "200")
			raw(http2.FrameData, http2.FlagDataPadded, 1, []byte{9, 0, 0})(p)
		}, http2.ErrCodeProtocol},
		{"HEADERS on the connection", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, []byte{0x88}), http2.ErrCodeProtocol},
		{"HEADERS on a stream never opened", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 3, []byte{0x88}), http2.ErrCodeProtocol},
		{"HEADERS on an even stream", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 2, []byte{0x88}), http2.ErrCodeProtocol},
		{"HEADERS with too much padding", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersPadded, 1, []byte{9, 0x88}), http2.ErrCodeProtocol},
		{"HEADERS without their priority", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersPriority, 1, []byte{1, 2}), http2.ErrCodeFrameSize},
		{"bad index", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, []byte{0xff, 0x40}), http2.ErrCodeCompression},
		{"block that ends early", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, []byte{0x88, 0x40, 5, 'a'}), http2.ErrCodeCompression},
		{"CONTINUATION alone", raw(http2.FrameContinuation, 0, 1, []byte{0x88}), http2.ErrCodeProtocol},
		{"another frame in a header block", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, []byte{0x88})(p)
			raw(http2.FramePing, 0, 0, make([]byte, 8))(p)
		}, http2.ErrCodeProtocol},
		{"CONTINUATION of another stream", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, []byte{0x88})(p)
			raw(http2.FrameContinuation, 0, 3, []byte{0x88})(p)
		}, http2.ErrCodeProtocol},
		{"endless CONTINUATION", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, nil)(p)
			for range maxPieces + 1 {
				raw(http2.FrameContinuation, 0, 1, nil)(p)
			}
		}, http2.ErrCodeEnhanceYourCalm},
		{"endless headers", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, nil)(p)
			for range maxBlock/maxFrame + 1 {
				raw(http2.FrameContinuation, 0, 1, make([]byte, maxFrame))(p)
			}
		}, http2.ErrCodeEnhanceYourCalm},
		{"header list that explodes", func(p *peer) {
			// One field of 3 000 bytes, repeated by its index of one byte.
			block := p.encode(":status", "200", "x", strings.Repeat("y", 3000))
			raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, append(block, bytes.Repeat([]byte{0xbe}, 1000)...))(p)
		}, http2.ErrCodeEnhanceYourCalm},
		{"SETTINGS on a stream", raw(http2.FrameSettings, 0, 1, nil), http2.ErrCodeProtocol},
		{"SETTINGS of odd size", raw(http2.FrameSettings, 0, 0, make([]byte, 5)), http2.ErrCodeFrameSize},
		{"SETTINGS acknowledged with payload", raw(http2.FrameSettings, http2.FlagSettingsAck, 0, make([]byte, 6)), http2.ErrCodeFrameSize},
		{"initial window too large", raw(http2.FrameSettings, 0, 0, []byte{0, 4, 0x80, 0, 0, 0}), http2.ErrCodeFlowControl},
		{"frame size too small", raw(http2.FrameSettings, 0, 0, []byte{0, 5, 0, 0, 0x3f, 0xff}), http2.ErrCodeProtocol},
		{"frame size too large", raw(http2.FrameSettings, 0, 0, []byte{0, 5, 1, 0, 0, 0}), http2.ErrCodeProtocol},
		{"push enabled", raw(http2.FrameSettings, 0, 0, []byte{0, 2, 0, 0, 0, 1}), http2.ErrCodeProtocol},
		{"PING on a stream", raw(http2.FramePing, 0, 1, make([]byte, 8)), http2.ErrCodeProtocol},
		{"PING of odd size", raw(http2.FramePing, 0, 0, make([]byte, 7)), http2.ErrCodeFrameSize},
		{"WINDOW_UPDATE of odd size", raw(http2.FrameWindowUpdate, 0, 0, make([]byte, 3)), http2.ErrCodeFrameSize},
		{"WINDOW_UPDATE by nothing", raw(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)), http2.ErrCodeProtocol},
		{"window overflow", raw(http2.FrameWindowUpdate, 0, 0, []byte{0x7f, 0xff, 0xff, 0xff}), http2.ErrCodeFlowControl},
		{"WINDOW_UPDATE on a stream never opened", raw(http2.FrameWindowUpdate, 0, 9, []byte{0, 0, 0, 1}), http2.ErrCodeProtocol},
		{"RST_STREAM of odd size", raw(http2.FrameRSTStream, 0, 1, make([]byte, 5)), http2.ErrCodeFrameSize},
		{"RST_STREAM on the connection", raw(http2.FrameRSTStream, 0, 0, make([]byte, 4)), http2.ErrCodeProtocol},
		{"GOAWAY on a stream", raw(http2.FrameGoAway, 0, 1, make([]byte, 8)), http2.ErrCodeProtocol},
		{"GOAWAY too short", raw(http2.FrameGoAway, 0, 0, make([]byte, 7)), http2.ErrCodeFrameSize},
		{"PUSH_PROMISE", raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, []byte{0, 0, 0, 2, 0x88}), http2.ErrCodeProtocol},
		{"PRIORITY on the connection", raw(http2.FramePriority, 0, 0, make([]byte, 5)), http2.ErrCodeProtocol},
		{"PRIORITY of odd size", raw(http2.FramePriority, 0, 1, make([]byte, 4)), http2.ErrCodeFrameSize},
		{"SETTINGS flood", func(p *peer) {
			for range maxOut/frameHeader + 1 {
				raw(http2.FrameSettings, 0, 0, nil)(p)
			}
		}, http2.ErrCodeEnhanceYourCalm},
		{"PING flood", func(p *peer) {
			for range maxOut/17 + 1 {
				raw(http2.FramePing, 0, 0, make([]byte, 8))(p)
			}
		}, http2.ErrCodeEnhanceYourCalm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := greeted(t)
			p.conn.Start(0, 5, nil)
			p.frames()
			tt.answer(p)
			p.want(code(tt.want))
			p.conn.Fail(exchange.ProtocolError)
			p.wantDone(5, exchange.Lost, exchange.ProtocolError)
			if f, ok := has(p.frames(), http2.FrameGoAway); !ok || f.code != tt.want {
				t.Errorf("wrote %+v, want GOAWAY with %s", f, tt.want)
			}
			if err := p.conn.Ingest([]byte{0}, 1); err == nil {
				t.Error("the connection goes on after its end")
			}
			if got := p.conn.Free(); got != 0 {
				t.Errorf("%d streams free on an ended connection", got)
			}
		})
	}
}

func TestForeignPeers(t *testing.T) {
	tests := []struct{ name, bytes, want string }{
		{"HTTP/1.1", "HTTP/1.1 400 Bad Request\r\n\r\n", "asked for HTTP/2, the server answered in HTTP/1"},
		{"a TLS alert", "\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS"},
		{"another frame first", "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", "the first frame is PING"},
	}
	for _, tt := range tests {
		for _, split := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, split), func(t *testing.T) {
				p := newPeer(t)
				p.split = split
				p.toConn.WriteString(tt.bytes)
				if err := p.feed(); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
			})
		}
	}
}

// TestSameBlockAgain: a header block of the same bytes means something else when
// the table has changed in between, and after an update of what is wanted.
func TestSameBlockAgain(t *testing.T) {
	p := greeted(t)
	id, token := uint32(1), uint32(0)
	get := func(block string) exchange.Completion {
		t.Helper()
		token++
		p.conn.Start(0, token, nil)
		p.write(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block), EndStream: true, EndHeaders: true})
		})
		id += 2
		p.want(nil)
		return p.done()[0]
	}
	backend := func(name string) string {
		return "\x88" + string(appendPlain(appendPlain([]byte{0x40}, "x-backend"), name))
	}
	get(backend("a"))
	for range 3 {
		if got := get("\x88\xbe").Backend; got != "a" {
			t.Errorf("backend %q, want a", got)
		}
	}
	get(backend("b"))
	for range 3 {
		if got := get("\x88\xbe").Backend; got != "b" {
			t.Errorf("backend %q, want b", got)
		}
	}
	get("\x20\x3f\xe1\x1f\x88") // empties the table
	if err := func() error {
		p.conn.Start(0, 99, nil)
		p.write(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte("\x88\xbe"), EndStream: true, EndHeaders: true})
		})
		return p.feed()
	}(); err == nil {
		t.Error("an index that the table has lost is taken")
	}
	p = greeted(t)
	id = 1
	get("\x88\x40\x06x-late\x02on")
	get("\x88\xbe")
	get("\x88\xbe")
	requests := testConfig().Requests
	requests[0].Check = &exchange.Check{Header: exchange.Field{Name: "x-late", Value: "on"}}
	p.conn.Update(requests)
	for range 2 {
		if got := get("\x88\xbe").Class; got != exchange.Good {
			t.Errorf("class %s, want the header seen", got)
		}
	}
	if got := get("\x88").Class; got != exchange.CheckFailed {
		t.Errorf("class %s without the header, want %s", got, exchange.CheckFailed)
	}
}
