package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

func uploaded(frames []frame) (bytes int, end bool) {
	for _, f := range frames {
		if f.kind == http2.FrameData {
			bytes += f.length
			end = end || f.end
		}
	}
	return bytes, end
}

func (p *peer) windowUpdate(id, n uint32) {
	p.write(func(f *http2.Framer) error { return f.WriteWindowUpdate(id, n) })
}

// TestUploadObeysWindows sends a body of 100 000 bytes through windows that the
// peer opens step by step.
func TestUploadObeysWindows(t *testing.T) {
	p := greeted(t)
	p.conn.Start(1, 1, nil)
	sent, end := uploaded(p.frames())
	if sent != initialWindow || end {
		t.Fatalf("%d bytes sent (end: %t), want the initial window of 65535", sent, end)
	}
	steps := []struct {
		name string
		open func()
		want int
	}{
		{"stream alone", func() { p.windowUpdate(1, 1000) }, 0},
		{"then connection", func() { p.windowUpdate(0, 400) }, 400},
		{"connection again", func() { p.windowUpdate(0, 10_000) }, 600},
		{"by a new initial window", func() {
			p.write(func(f *http2.Framer) error {
				return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: initialWindow + 50})
			})
		}, 50},
		{"a smaller initial window", func() {
			p.write(func(f *http2.Framer) error {
				return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			})
		}, 0},
		{"not yet above zero", func() { p.windowUpdate(1, initialWindow+50) }, 0},
		{"one byte above zero", func() { p.windowUpdate(1, 1) }, 1},
	}
	for _, s := range steps {
		s.open()
		p.want(nil)
		n, end := uploaded(p.frames())
		if n != s.want || end {
			t.Fatalf("%s: %d bytes sent (end: %t), want %d", s.name, n, end, s.want)
		}
		sent += n
	}
	p.windowUpdate(0, 1<<20)
	p.windowUpdate(1, 1<<20)
	p.want(nil)
	n, end := uploaded(p.frames())
	if sent += n; sent != 100_000 || !end {
		t.Errorf("%d bytes sent in all (end: %t), want 100000", sent, end)
	}
	p.headers(1, true, ":status", "200")
	p.want(nil)
	p.wantDone(1, exchange.Answered, exchange.Good)
}

// TestUploadsShareOut bounds what is buffered for many uploads at once.
func TestUploadsShareOut(t *testing.T) {
	p := greeted(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	p.windowUpdate(0, 10<<20)
	p.want(nil)
	p.frames()
	for i := range 8 {
		p.conn.Start(1, uint32(i), nil)
	}
	if got := len(p.conn.Out()); got > 2*uploadBuffer {
		t.Errorf("%d bytes are buffered, want at most %d", got, 2*uploadBuffer)
	}
	total := 0
	for range 100 {
		n, _ := uploaded(p.frames())
		total += n
		p.conn.Pump()
	}
	if total != 800_000 {
		t.Errorf("%d bytes uploaded, want 800000", total)
	}
}

func TestUploadObeysFrameSize(t *testing.T) {
	p := greeted(t, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 20_000}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	p.conn.Start(1, 1, nil)
	for _, f := range p.frames() {
		if f.kind == http2.FrameData && f.length > 20_000 {
			t.Errorf("a DATA frame of %d bytes, allowed are 20000", f.length)
		}
	}
}

func TestLargeHeadersAreContinued(t *testing.T) {
	p := newPeer(t)
	// Bytes that Huffman coding makes longer, so that the block is as long as this.
	huge := string(bytes.Repeat([]byte{0xf9}, 40_000))
	p.conn.cfg.Requests[0].Fields = append(p.conn.cfg.Requests[0].Fields, exchange.Field{Name: "x-huge", Value: huge})
	p.frames()
	p.write(func(f *http2.Framer) error { return f.WriteSettings() })
	p.want(nil)
	p.frames()
	p.conn.Start(0, 1, nil)
	frames := p.frames()
	if len(frames) != 3 || frames[2].kind != http2.FrameContinuation {
		t.Fatalf("wrote %d frames, want HEADERS and two CONTINUATIONs", len(frames))
	}
	for _, f := range frames {
		if f.length > maxFrame {
			t.Errorf("a frame of %d bytes", f.length)
		}
	}
	if f := frames[2].fields; len(f) != 6 || f[5].Value != huge {
		t.Errorf("decoded %d fields, want 6 with the huge one", len(f))
	}
}

// TestStreamWindowIsEnforced: a peer that sends more than it may loses the stream.
func TestStreamWindowIsEnforced(t *testing.T) {
	p := greeted(t)
	p.conn.Start(0, 1, nil)
	p.headers(1, false, ":status", "200")
	p.want(nil)
	// As if the window had never been given back.
	p.conn.streams[0].unreturned = streamWindow - 10
	p.write(func(f *http2.Framer) error { return f.WriteData(1, false, make([]byte, 11)) })
	p.want(nil)
	p.wantDone(1, exchange.Reset, exchange.ProtocolError)
	if f, ok := has(p.frames(), http2.FrameRSTStream); !ok || f.code != http2.ErrCodeFlowControl {
		t.Errorf("wrote %+v, want RST_STREAM with FLOW_CONTROL_ERROR", f)
	}
}

func TestConnectionWindowIsEnforced(t *testing.T) {
	p := greeted(t)
	p.conn.Start(0, 1, nil)
	p.headers(1, false, ":status", "200")
	p.want(nil)
	p.conn.unreturned = connWindow - 10
	p.write(func(f *http2.Framer) error { return f.WriteData(1, false, make([]byte, 11)) })
	p.want(code(http2.ErrCodeFlowControl))
}

func TestStreamLimitOfThePeer(t *testing.T) {
	p := greeted(t, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
	p.conn.Start(0, 1, nil)
	p.conn.Start(0, 2, nil)
	for _, step := range []struct {
		limit uint32
		free  int
	}{{2, 0}, {1, 0}, {0, 0}, {5, 3}, {1000, 8}} {
		p.write(func(f *http2.Framer) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: step.limit})
		})
		p.want(nil)
		if got := p.conn.Free(); got != step.free {
			t.Errorf("%d streams free at a limit of %d with 2 open, want %d", got, step.limit, step.free)
		}
	}
}

// TestHeaderTableChanges: the peer changes the size of its table in mid-run.
func TestHeaderTableChanges(t *testing.T) {
	p := greeted(t)
	for token, size := range []uint32{4096, 0, 100, 4096, 60, 1 << 20} {
		p.write(func(f *http2.Framer) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: size})
		})
		p.want(nil)
		p.decoder.SetAllowedMaxDynamicTableSize(size)
		p.frames()
		for range 2 {
			p.conn.Start(0, uint32(token), nil)
			if f, ok := has(p.frames(), http2.FrameHeaders); !ok || len(f.fields) != 5 {
				t.Errorf("table of %d: wrote %+v, want 5 fields", size, f)
			}
			if p.conn.Free() == 0 {
				p.conn.Fail(exchange.ConnectionLost)
				return
			}
		}
	}
}

func TestGoAway(t *testing.T) {
	p := greeted(t)
	for i := range 4 {
		p.conn.Start(0, uint32(i), nil)
	}
	// First a warning, as proxies drain, then the last stream.
	p.write(func(f *http2.Framer) error { return f.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil) })
	p.want(nil)
	if !p.conn.Leaving() || p.conn.Free() != 0 || len(p.done()) != 0 {
		t.Errorf("after the warning: leaving %t, %d free", p.conn.Leaving(), p.conn.Free())
	}
	p.write(func(f *http2.Framer) error { return f.WriteGoAway(3, http2.ErrCodeNo, nil) })
	p.want(nil)
	done := p.done()
	if len(done) != 2 || done[0].Token != 2 || done[1].Token != 3 || done[0].Outcome != exchange.Unprocessed {
		t.Errorf("ended: %+v, want tokens 2 and 3 not processed", done)
	}
	p.headers(3, true, ":status", "200")
	p.headers(1, true, ":status", "200")
	p.want(nil)
	if got := len(p.done()); got != 2 || p.conn.Active() != 0 {
		t.Errorf("%d answered, %d still open, want 2 and 0", got, p.conn.Active())
	}
	if got := p.conn.GoAways(); got != 2 {
		t.Errorf("%d GOAWAYs counted, want 2", got)
	}
}

// TestIdentifiersRunOut: a connection leaves before it would reuse identifiers.
func TestIdentifiersRunOut(t *testing.T) {
	p := greeted(t)
	p.conn.nextID = maxStreamID - 2
	p.conn.Start(0, 1, nil)
	if !p.conn.Leaving() || p.conn.Free() != 0 {
		t.Errorf("leaving %t with %d free streams, want true and none", p.conn.Leaving(), p.conn.Free())
	}
	if f, _ := has(p.frames(), http2.FrameHeaders); f.id != maxStreamID-2 {
		t.Errorf("the last stream is %d, want %d", f.id, maxStreamID-2)
	}
}

// TestCancel: what still comes for a stream that was cancelled is passed over,
// also when its slot is used by another stream, and headers keep the decoder right.
func TestCancel(t *testing.T) {
	for _, split := range []int{0, 1} {
		t.Run(fmt.Sprint(split), func(t *testing.T) {
			p := greeted(t)
			p.split = split
			slot := p.conn.Start(0, 1, nil)
			p.headers(1, false, ":status", "503")
			p.want(nil)
			// Half a DATA frame, then the cancellation.
			p.write(func(f *http2.Framer) error { return f.WriteData(1, true, make([]byte, 3000)) })
			half := bytes.Clone(p.toConn.Bytes())
			p.toConn.Reset()
			if err := p.conn.Ingest(half[:1000], 2); err != nil {
				t.Fatal(err)
			}
			p.conn.Cancel(slot)
			if f, ok := has(p.frames(), http2.FrameRSTStream); !ok || f.id != 1 || f.code != http2.ErrCodeCancel {
				t.Errorf("wrote %+v, want RST_STREAM with CANCEL", f)
			}
			p.conn.Start(0, 2, nil)
			if err := p.conn.Ingest(half[1000:], 3); err != nil {
				t.Fatal(err)
			}
			p.headers(1, true, "x-late", "trailer")
			p.headers(3, true, ":status", "200", "x-late", "trailer")
			p.want(nil)
			p.wantDone(2, exchange.Answered, exchange.Good)
		})
	}
}

// TestCancelAmidAnErrorsBody is the same with a body that is collected as a whole.
func TestCancelAmidAnErrorsBody(t *testing.T) {
	p := greeted(t)
	slot := p.conn.Start(0, 1, nil)
	p.headers(1, false, ":status", "503")
	p.want(nil)
	p.write(func(f *http2.Framer) error { return f.WriteData(1, true, make([]byte, 500)) })
	half := bytes.Clone(p.toConn.Bytes())
	p.toConn.Reset()
	if err := p.conn.Ingest(half[:100], 2); err != nil {
		t.Fatal(err)
	}
	p.conn.Cancel(slot)
	p.conn.Start(0, 2, nil)
	if err := p.conn.Ingest(half[100:], 3); err != nil {
		t.Fatal(err)
	}
	p.headers(3, true, ":status", "200")
	p.want(nil)
	p.wantDone(2, exchange.Answered, exchange.Good)
}

func TestBackendAndInstant(t *testing.T) {
	p := greeted(t)
	p.conn.Start(0, 1, nil)
	p.now = 41
	p.headers(1, true, ":status", "200", "x-backend", "pod-7")
	p.want(nil)
	d := p.wantDone(1, exchange.Answered, exchange.Good)
	if d.Backend != "pod-7" || d.First != 42 {
		t.Errorf("backend %q at %d, want pod-7 at 42", d.Backend, d.First)
	}
}

// TestManyStreamsInAnyOrder runs thousands of requests that end in random order,
// in pieces of random size.
func TestManyStreamsInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	p := greeted(t)
	open := map[uint32]uint32{} // token to stream
	id, token, answered := uint32(1), uint32(0), 0
	for answered < 5000 {
		for p.conn.Free() > 0 && random.IntN(4) > 0 {
			p.conn.Start(0, token, nil)
			open[token] = id
			token++
			id += 2
		}
		for tok, stream := range open {
			if random.IntN(3) == 0 {
				continue
			}
			p.headers(stream, false, ":status", "200", "x-n", fmt.Sprint(tok))
			p.write(func(f *http2.Framer) error { return f.WriteData(stream, true, make([]byte, random.IntN(2000))) })
		}
		p.split = 1 + random.IntN(5000)
		p.want(nil)
		p.raw = nil
		for _, d := range p.done() {
			if _, ok := open[d.Token]; !ok {
				t.Fatalf("token %d ended twice or was never sent", d.Token)
			}
			delete(open, d.Token)
			answered++
		}
		p.frames()
	}
	if p.conn.Active() != len(open) {
		t.Errorf("%d streams open, want %d", p.conn.Active(), len(open))
	}
}
