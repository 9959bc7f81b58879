package h2

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// peer is a server made of bytes: what it writes is fed into a Conn, what the
// Conn writes is read frame by frame. x/net's Framer is the other opinion on
// what the bytes mean.
type peer struct {
	t       testing.TB
	conn    *Conn
	framer  *http2.Framer
	toConn  bytes.Buffer
	encoder *hpack.Encoder
	block   bytes.Buffer
	from    bytes.Buffer
	decoder *hpack.Decoder
	now     int64
	split   int // feed in pieces of this many bytes; 0: all at once
	raw     []byte
}

func testConfig() *Config {
	get := []exchange.Field{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "shop.example.com"}, {Name: ":path", Value: "/products"},
		{Name: "user-agent", Value: "sailplan"},
	}
	post := slices.Clone(get)
	post[0].Value = "POST"
	return &Config{
		Requests: []exchange.Request{
			{Name: "get", Fields: get},
			{Name: "post", Fields: post, Body: bytes.Repeat([]byte("x"), 100_000)},
		},
		MaxStreams: 10, BackendHeader: "x-backend",
	}
}

// newPeer returns a peer whose Conn has its preface out and no settings yet.
func newPeer(t testing.TB) *peer {
	p := &peer{t: t, conn: New(testConfig()), decoder: hpack.NewDecoder(4096, nil)}
	p.framer = http2.NewFramer(&p.toConn, &p.from)
	p.framer.AllowIllegalWrites = true
	p.encoder = hpack.NewEncoder(&p.block)
	p.from.Write(p.conn.Out())
	p.conn.Wrote(len(p.conn.Out()))
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(&p.from, preface); err != nil || string(preface) != http2.ClientPreface {
		t.Fatalf("preface %q, %v", preface, err)
	}
	return p
}

// greeted returns a peer after the exchange of settings.
func greeted(t testing.TB, settings ...http2.Setting) *peer {
	p := newPeer(t)
	p.write(func(f *http2.Framer) error { return f.WriteSettings(settings...) })
	p.want(nil)
	p.frames()
	return p
}

// write collects frames for the Conn.
func (p *peer) write(frame func(*http2.Framer) error) {
	p.t.Helper()
	if err := frame(p.framer); err != nil {
		p.t.Fatal(err)
	}
}

// headers collects a HEADERS frame with name-value pairs.
func (p *peer) headers(id uint32, end bool, pairs ...string) {
	p.t.Helper()
	p.write(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.encode(pairs...), EndStream: end, EndHeaders: true})
	})
}

func (p *peer) encode(pairs ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		if err := p.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
			p.t.Fatal(err)
		}
	}
	return bytes.Clone(p.block.Bytes())
}

// feed gives the Conn what was collected.
func (p *peer) feed() error {
	p.now++
	b := bytes.Clone(p.toConn.Bytes())
	p.raw = append(p.raw, b...)
	p.toConn.Reset()
	if p.split == 0 {
		return p.conn.Ingest(b, p.now)
	}
	for piece := range slices.Chunk(b, p.split) {
		if err := p.conn.Ingest(bytes.Clone(piece), p.now); err != nil {
			return err
		}
	}
	return nil
}

// want feeds and compares the error: nil for none.
func (p *peer) want(want *http2.ErrCode) {
	p.t.Helper()
	err := p.feed()
	switch {
	case want == nil && err != nil:
		p.t.Fatalf("Ingest: %v", err)
	case want != nil && err == nil:
		p.t.Fatalf("Ingest: no error, want %s", *want)
	case want != nil && err.(*Error).Code != *want:
		p.t.Fatalf("Ingest: %v, want %s", err, *want)
	}
}

// frame is one frame that the Conn wrote.
type frame struct {
	kind   http2.FrameType
	id     uint32
	end    bool
	code   http2.ErrCode
	length int
	fields []hpack.HeaderField
	value  uint32 // of WINDOW_UPDATE
	data   []byte
	ack    bool
}

// frames returns what the Conn has written since the last call.
func (p *peer) frames() []frame {
	p.t.Helper()
	p.from.Write(p.conn.Out())
	p.conn.Wrote(len(p.conn.Out()))
	var all []frame
	var block []byte
	for {
		f, err := p.framer.ReadFrame()
		if err == io.EOF {
			return all
		}
		if err != nil {
			p.t.Fatalf("the connection wrote what can't be read: %v", err)
		}
		h := f.Header()
		got := frame{kind: h.Type, id: h.StreamID, length: int(h.Length)}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			got.end = f.StreamEnded()
			block = append(block[:0], f.HeaderBlockFragment()...)
			if f.HeadersEnded() {
				got.fields = p.decode(block)
			}
		case *http2.ContinuationFrame:
			block = append(block, f.HeaderBlockFragment()...)
			if f.HeadersEnded() {
				got.fields = p.decode(block)
			}
		case *http2.DataFrame:
			got.end = f.StreamEnded()
			got.data = bytes.Clone(f.Data())
		case *http2.RSTStreamFrame:
			got.code = f.ErrCode
		case *http2.GoAwayFrame:
			got.code = f.ErrCode
		case *http2.WindowUpdateFrame:
			got.value = f.Increment
		case *http2.SettingsFrame:
			got.ack = f.IsAck()
		case *http2.PingFrame:
			got.ack = f.IsAck()
		}
		all = append(all, got)
	}
}

func (p *peer) decode(block []byte) []hpack.HeaderField {
	p.t.Helper()
	fields, err := p.decoder.DecodeFull(block)
	if err != nil {
		p.t.Fatalf("the connection wrote a header block that can't be decoded: %v", err)
	}
	return fields
}

// done returns what has ended since the last call.
func (p *peer) done() []exchange.Completion {
	done := slices.Clone(p.conn.Done())
	p.conn.Forget()
	return done
}

// wantDone compares what has ended with one request's outcome.
func (p *peer) wantDone(token uint32, outcome exchange.Outcome, class exchange.Class) exchange.Completion {
	p.t.Helper()
	done := p.done()
	if len(done) != 1 {
		p.t.Fatalf("%d requests ended: %+v, want one", len(done), done)
	}
	if d := done[0]; d.Token != token || d.Outcome != outcome || d.Class != class {
		p.t.Fatalf("ended: token %d, outcome %d, class %s; want %d, %d, %s", d.Token, d.Outcome, d.Class, token, outcome, class)
	}
	return done[0]
}

// has reports whether a frame of a kind is among frames, and returns the first.
func has(frames []frame, kind http2.FrameType) (frame, bool) {
	i := slices.IndexFunc(frames, func(f frame) bool { return f.kind == kind })
	if i < 0 {
		return frame{}, false
	}
	return frames[i], true
}

func code(c http2.ErrCode) *http2.ErrCode { return &c }
