package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// TestLargeBodiesBothWays sends 1 MiB up and 1 MiB down at the same time on each
// of three streams, through small windows that the peer opens bit by bit and
// changes on the way, over a socket that takes a few bytes at a time.
func TestLargeBodiesBothWays(t *testing.T) {
	const size = 1 << 20
	random := rand.New(rand.NewPCG(5, 6))
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	p := greeted(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3000}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16 << 10})
	for i := range 3 {
		p.conn.Start(1, uint32(i), &exchange.Variation{Body: body, HasBody: true})
		p.headers(uint32(2*i+1), false, ":status", "200", "content-length", fmt.Sprint(size))
	}
	got, ended, down := map[uint32][]byte{}, 0, map[uint32]int{}
	stream, connection := map[uint32]int{1: 3000, 3: 3000, 5: 3000}, initialWindow
	peak := 0
	for step := 0; ended < 3; step++ {
		if step > 100_000 {
			t.Fatalf("no end in sight: %d bytes up, %d down", len(got[1]), down[1])
		}
		// The socket takes some of what waits.
		out := p.conn.Out()
		n := min(len(out), 1+random.IntN(40_000))
		p.from.Write(out[:n])
		p.conn.Wrote(n)
		p.conn.Pump()
		peak = max(peak, cap(p.conn.out))
		for _, f := range wholeFrames(p) {
			if f.kind != http2.FrameData {
				continue
			}
			got[f.id] = append(got[f.id], f.data...)
			if stream[f.id] -= f.length; stream[f.id] < 0 {
				t.Fatalf("stream %d sends %d bytes more than its window", f.id, -stream[f.id])
			}
			if connection -= f.length; connection < 0 {
				t.Fatalf("%d bytes more than the window of the connection", -connection)
			}
			if f.end {
				ended++
			}
			n := uint32(f.length + 1 + random.IntN(3000))
			p.windowUpdate(f.id, n)
			p.windowUpdate(0, uint32(f.length))
			stream[f.id] += int(n)
			connection += f.length
		}
		for id := uint32(1); id <= 5; id += 2 {
			if n := min(size-down[id], random.IntN(16<<10)); n > 0 {
				p.write(func(f *http2.Framer) error { return f.WriteData(id, false, body[down[id]:down[id]+n]) })
				down[id] += n
			}
		}
		p.want(nil)
		p.raw = nil
	}
	for id := uint32(1); id <= 5; id += 2 {
		if !bytes.Equal(got[id], body) {
			t.Errorf("stream %d: %d bytes came, and not those that were sent", id, len(got[id]))
		}
		for rest := body[down[id]:]; ; {
			n := min(len(rest), maxFrame)
			p.write(func(f *http2.Framer) error { return f.WriteData(id, n == len(rest), rest[:n]) })
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	p.want(nil)
	done := p.done()
	for _, d := range done {
		if d.Outcome != exchange.Answered || d.Class != exchange.Good || d.Received != size {
			t.Errorf("ended %+v, want an answer of %d bytes", d, size)
		}
	}
	if len(done) != 3 {
		t.Errorf("%d requests ended, want 3", len(done))
	}
	if peak > 4*uploadBuffer {
		t.Errorf("%d bytes were kept to be written, want at most %d", peak, 4*uploadBuffer)
	}
}

// wholeFrames returns the frames of which all has come.
func wholeFrames(p *peer) (all []frame) {
	for {
		b := p.from.Bytes()
		if len(b) < frameHeader || len(b) < frameHeader+parseHead(b).length {
			return all
		}
		rest := bytes.Clone(b[frameHeader+parseHead(b).length:])
		p.from.Truncate(len(b) - len(rest))
		one, err := p.framer.ReadFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		p.from.Write(rest)
		f := frame{kind: one.Header().Type, id: one.Header().StreamID, length: int(one.Header().Length)}
		if d, ok := one.(*http2.DataFrame); ok {
			f.end, f.data = d.StreamEnded(), bytes.Clone(d.Data())
		}
		all = append(all, f)
	}
}

// TestContentLength: a body that is shorter or longer than was said is no answer,
// but for those that have no body.
func TestContentLength(t *testing.T) {
	tests := []struct {
		name, method, status string
		lengths              []string
		body                 int
		want                 exchange.Outcome
	}{
		{"right", "GET", "200", []string{"5"}, 5, exchange.Answered},
		{"too short", "GET", "200", []string{"5"}, 4, exchange.Reset},
		{"too long", "GET", "200", []string{"5"}, 6, exchange.Reset},
		{"nothing came", "GET", "200", []string{"5"}, 0, exchange.Reset},
		{"nothing was to come", "GET", "200", []string{"0"}, 0, exchange.Answered},
		{"HEAD", "HEAD", "200", []string{"5"}, 0, exchange.Answered},
		{"204", "GET", "204", []string{"5"}, 0, exchange.Answered},
		{"304", "GET", "304", []string{"5"}, 0, exchange.Answered},
		{"an error cut short", "GET", "503", []string{"100"}, 19, exchange.Reset},
		{"twice the same", "GET", "200", []string{"5", "5"}, 5, exchange.Answered},
		{"two different", "GET", "200", []string{"5", "6"}, 5, exchange.Reset},
		{"no number", "GET", "200", []string{"five"}, 5, exchange.Reset},
		{"negative", "GET", "200", []string{"-5"}, 5, exchange.Reset},
		{"not said", "GET", "200", nil, 5, exchange.Answered},
	}
	for _, tt := range tests {
		for _, split := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, split), func(t *testing.T) {
				p := greeted(t)
				p.split = split
				p.conn.cfg.Requests[0].Fields[0].Value = tt.method
				p.conn.Start(0, 1, nil)
				pairs := []string{":status", tt.status}
				for _, n := range tt.lengths {
					pairs = append(pairs, "content-length", n)
				}
				p.headers(1, tt.body == 0, pairs...)
				if tt.body > 0 {
					p.write(func(f *http2.Framer) error { return f.WriteData(1, true, make([]byte, tt.body)) })
				}
				p.want(nil)
				class := exchange.Good
				if tt.want == exchange.Reset {
					class = exchange.ProtocolError
				}
				p.wantDone(1, tt.want, class)
			})
		}
	}
}

// TestResetsByCode: the codes are those of RFC 9113, section 7.
func TestResetsByCode(t *testing.T) {
	want := []string{"reset-no-error", "reset-protocol-error", "reset-internal-error", "reset-flow-control-error",
		"reset-settings-timeout", "reset-stream-closed", "reset-frame-size-error", "reset-refused-stream", "reset-cancel",
		"reset-compression-error", "reset-connect-error", "reset-enhance-your-calm", "reset-inadequate-security",
		"reset-http-1-1-required", "reset-unknown-code"}
	for code, class := range want {
		for _, begun := range []bool{false, true} {
			p := greeted(t)
			p.conn.Start(1, 1, nil)
			if begun {
				p.headers(1, false, ":status", "200")
			}
			p.write(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCode(code)) })
			p.want(nil)
			d := p.done()
			refused := code == int(http2.ErrCodeRefusedStream)
			if len(d) != 1 || d[0].Class.String() != class || (d[0].Outcome == exchange.Refused) != refused {
				t.Errorf("code %d: ended %+v, want %s", code, d, class)
			}
			p.frames()
			p.windowUpdate(0, 1<<20)
			p.want(nil)
			if f, ok := has(p.frames(), http2.FrameData); ok {
				t.Errorf("code %d: wrote %+v after the reset", code, f)
			}
		}
	}
}

// TestEarlyAnswer: what is left of an upload is not sent when its answer is
// complete, and the window of the connection is free for others.
func TestEarlyAnswer(t *testing.T) {
	p := greeted(t)
	p.conn.Start(1, 1, nil) // takes the whole window of the connection
	p.conn.Start(1, 2, nil)
	p.frames()
	p.headers(1, false, ":status", "413", "content-length", "9")
	p.write(func(f *http2.Framer) error { return f.WriteData(1, true, []byte("too large")) })
	// As RFC 9113, section 8.1, has it: the server does not want the rest.
	p.write(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeNo) })
	p.want(nil)
	p.wantDone(1, exchange.Answered, exchange.Service4xx)
	if f, ok := has(p.frames(), http2.FrameRSTStream); !ok || f.id != 1 || f.code != http2.ErrCodeCancel {
		t.Errorf("wrote %+v, want RST_STREAM with CANCEL", f)
	}
	p.windowUpdate(0, 10)
	p.want(nil)
	frames := p.frames()
	if len(frames) != 1 || frames[0].id != 3 || frames[0].length != 10 {
		t.Errorf("wrote %+v, want ten bytes of the other upload", frames)
	}
}

// TestGoAwayThenLower: a second GOAWAY may take back what the first one left.
func TestGoAwayThenLower(t *testing.T) {
	p := greeted(t)
	for i := range 5 {
		p.conn.Start(0, uint32(i), nil)
	}
	var ended []uint32
	for _, last := range []uint32{7, 7, 3, 9} {
		p.write(func(f *http2.Framer) error { return f.WriteGoAway(last, http2.ErrCodeEnhanceYourCalm, []byte("why")) })
		p.want(nil)
		for _, d := range p.done() {
			if d.Outcome != exchange.Unprocessed || d.Class != exchange.GoneAway {
				t.Errorf("ended %+v, want it not processed", d)
			}
			ended = append(ended, d.Token)
		}
		ended = append(ended, 99)
	}
	if want := []uint32{4, 99, 99, 2, 3, 99, 99}; !slices.Equal(ended, want) {
		t.Errorf("ended %v, want %v", ended, want)
	}
	if got := p.conn.Active(); got != 2 || p.conn.Free() != 0 || p.conn.GoAways() != 4 {
		t.Errorf("%d streams open, %d free, %d GOAWAYs; want 2, 0 and 4", got, p.conn.Free(), p.conn.GoAways())
	}
}

// TestSettingsAmidEverything changes all settings between the frames of an answer
// and of an upload.
func TestSettingsAmidEverything(t *testing.T) {
	p := greeted(t)
	p.conn.Start(1, 1, nil)
	p.frames()
	settings := func(values ...http2.Setting) {
		p.write(func(f *http2.Framer) error { return f.WriteSettings(values...) })
	}
	p.headers(1, false, ":status", "200")
	settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1<<24 - 1},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 1}, http2.Setting{ID: 0x99, Val: 7})
	p.write(func(f *http2.Framer) error { return f.WriteData(1, false, []byte("x")) })
	p.want(nil)
	if f, ok := has(p.frames(), http2.FrameSettings); !ok || !f.ack {
		t.Errorf("wrote %+v, want the settings acknowledged", f)
	}
	p.decoder.SetAllowedMaxDynamicTableSize(0)
	if got := p.conn.Free(); got != 0 {
		t.Errorf("%d streams free at a limit of none", got)
	}
	settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	p.windowUpdate(0, 1<<20)
	p.headers(1, true, "x-end", "1")
	p.want(nil)
	p.wantDone(1, exchange.Answered, exchange.Good)
	p.frames()
	p.conn.Start(1, 2, nil)
	frames := p.frames()
	if sent, end := uploaded(frames); sent != 100_000 || !end || len(frames) != 2 || len(frames[0].fields) != 5 {
		t.Errorf("wrote %d frames with %d bytes, want HEADERS and one DATA of 100000", len(frames), sent)
	}
}
