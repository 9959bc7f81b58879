package grpc

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/h2"
)

// The kinds of request of the tests.
const (
	unary = iota
	streaming
	plainRequest
	checked
)

// server writes what a server would, into a Conn.
type server struct {
	t       testing.TB
	conn    *Conn
	bytes   bytes.Buffer
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
}

func newServer(t testing.TB) *server {
	t.Helper()
	fields := []exchange.Field{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/a.B/C"}}
	s := &server{t: t, conn: New(&h2.Config{
		Requests: []exchange.Request{
			unary:        {Name: "unary", Fields: fields, Body: framed(0, 3), Call: &exchange.Call{}},
			streaming:    {Name: "streaming", Fields: fields, Body: framed(0, 3), Call: &exchange.Call{ServerStreaming: true}},
			plainRequest: {Name: "plain", Fields: fields},
			checked: {Name: "checked", Fields: fields, Body: framed(0, 3), Call: &exchange.Call{}, Check: &exchange.Check{
				Status: []exchange.StatusRange{{From: 200, To: 200}}, Body: []byte("needle"),
			}},
		},
		MaxStreams: 100, BackendHeader: "x-backend",
	})}
	s.framer = http2.NewFramer(&s.bytes, nil)
	s.encoder = hpack.NewEncoder(&s.block)
	s.must(s.framer.WriteSettings())
	s.feed(1 << 20)
	return s
}

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// feed gives the Conn what was written, in pieces.
func (s *server) feed(size int) {
	s.t.Helper()
	for piece := range slices.Chunk(s.bytes.Bytes(), size) {
		s.must(s.conn.Ingest(bytes.Clone(piece), 1))
	}
	s.bytes.Reset()
	s.conn.Wrote(len(s.conn.Out()))
}

func (s *server) headers(id uint32, end bool, pairs ...string) {
	s.t.Helper()
	s.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		s.must(s.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}))
	}
	s.must(s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.block.Bytes(), EndStream: end, EndHeaders: true}))
}

// data writes a body in frames of a size.
func (s *server) data(id uint32, size int, end bool, body []byte) {
	s.t.Helper()
	for len(body) > size {
		s.must(s.framer.WriteData(id, false, body[:size]))
		body = body[size:]
	}
	s.must(s.framer.WriteDataPadded(id, end, body, make([]byte, size%3)))
}

// head is the header block of an answer, as servers of gRPC send it.
func (s *server) head(id uint32) {
	s.headers(id, false, ":status", "200", "content-type", "application/grpc", "x-backend", "pod-1")
}

// answers are what servers may answer to stream 1, and what becomes of it.
func answers() []struct {
	name     string
	kind     int
	answer   func(*server)
	outcome  exchange.Outcome
	class    exchange.Class
	messages int32
} {
	type list = []struct {
		name     string
		kind     int
		answer   func(*server)
		outcome  exchange.Outcome
		class    exchange.Class
		messages int32
	}
	// whole is an answer with a body and trailers.
	whole := func(body []byte, trailers ...string) func(*server) {
		return func(s *server) {
			s.head(1)
			s.data(1, 7, false, body)
			s.headers(1, true, trailers...)
		}
	}
	// only is an answer that is one header block.
	only := func(pairs ...string) func(*server) {
		return func(s *server) { s.headers(1, true, pairs...) }
	}
	const grpc = "application/grpc"
	three := slicesOf(0, 9, 30)
	return list{
		{"good", unary, whole(framed(0, 20), "grpc-status", "0"), exchange.Answered, exchange.Good, 1},
		{"good and streaming", streaming, whole(three, "grpc-status", "0"), exchange.Answered, exchange.Good, 3},
		{"a stream of nothing", streaming, only(":status", "200", "content-type", grpc, "grpc-status", "0"), exchange.Answered, exchange.Good, 0},
		{"compressed, of a codec", unary, func(s *server) {
			s.headers(1, false, ":status", "200", "content-type", "Application/gRPC+proto")
			s.data(1, 5, false, framed(1, 20))
			s.headers(1, true, "grpc-status", "0")
		}, exchange.Answered, exchange.Good, 1},
		{"not found, trailers only", unary, only(":status", "200", "content-type", grpc, "grpc-status", "5", "grpc-message", "no"), exchange.Answered, exchange.GRPCNotFound, 0},
		{"aborted in the middle", streaming, whole(three, "grpc-status", "10"), exchange.Answered, exchange.GRPCAborted, 3},
		{"every number above", unary, whole(nil, "grpc-status", "17"), exchange.Answered, exchange.GRPCOther, 0},
		{"no number", unary, whole(framed(0, 1), "grpc-status", "OK"), exchange.Answered, exchange.GRPCOther, 1},
		{"two numbers", unary, whole(framed(0, 1), "grpc-status", "0", "grpc-status", "14"), exchange.Answered, exchange.GRPCOther, 1},
		{"no status", unary, whole(framed(0, 1), "x", "y"), exchange.Answered, exchange.GRPCOther, 1},
		{"no trailers", unary, func(s *server) { s.head(1); s.data(1, 9, true, framed(0, 1)) }, exchange.Answered, exchange.GRPCOther, 1},
		{"a status in front of the body", unary, func(s *server) {
			s.headers(1, false, ":status", "200", "content-type", grpc, "grpc-status", "0")
			s.data(1, 9, true, framed(0, 1))
		}, exchange.Answered, exchange.GRPCOther, 1},
		{"a web page", unary, func(s *server) {
			s.headers(1, false, ":status", "200", "content-type", "text/html")
			s.data(1, 9, true, []byte("<html>welcome</html>"))
		}, exchange.Answered, exchange.GRPCOther, 0},
		{"another protocol of that name", unary, only(":status", "200", "content-type", "application/grpc-web", "grpc-status", "0"), exchange.Answered, exchange.GRPCOther, 0},
		{"good without a message", unary, whole(nil, "grpc-status", "0"), exchange.Answered, exchange.GRPCInternal, 0},
		{"two messages for one", unary, whole(slicesOf(1, 1), "grpc-status", "0"), exchange.Answered, exchange.GRPCInternal, 2},
		{"good, but cut short", streaming, whole(three[:40], "grpc-status", "0"), exchange.Answered, exchange.GRPCInternal, 2},
		{"206 that is good otherwise", unary, func(s *server) {
			s.headers(1, false, ":status", "206", "content-type", grpc)
			s.data(1, 9, false, framed(0, 1))
			s.headers(1, true, "grpc-status", "0")
		}, exchange.Answered, exchange.GRPCOther, 1},
		{"204", unary, only(":status", "204"), exchange.Answered, exchange.GRPCOther, 0},
		{"503 of a proxy", unary, func(s *server) {
			s.headers(1, false, ":status", "503", "server", "envoy")
			s.data(1, 100, true, []byte("no healthy upstream"))
		}, exchange.Answered, exchange.NoHealthyUpstream, 0},
		{"404 with a status of gRPC", unary, only(":status", "404", "content-type", grpc, "grpc-status", "0"), exchange.Answered, exchange.Service4xx, 0},
		{"breaker", unary, only(":status", "200", "content-type", grpc, "grpc-status", "14", "x-envoy-overloaded", "true", "server", "envoy"), exchange.Answered, exchange.Overflow, 0},
		{"no route", unary, only(":status", "200", "content-type", grpc, "grpc-status", "12", "server", "envoy"), exchange.Answered, exchange.NoRoute, 0},
		{"no method", unary, only(":status", "200", "content-type", grpc, "grpc-status", "12", "server", "envoy", "x-envoy-upstream-service-time", "1"), exchange.Answered, exchange.GRPCUnimplemented, 0},
		{"no endpoint", unary, only(":status", "200", "content-type", grpc, "grpc-status", "14", "grpc-message", "no healthy upstream"), exchange.Answered, exchange.NoHealthyUpstream, 0},
		{"check holds", checked, whole(append([]byte{0, 0, 0, 0, 8}, "a needle"...), "grpc-status", "0"), exchange.Answered, exchange.Good, 1},
		{"check fails", checked, whole(framed(0, 8), "grpc-status", "0"), exchange.Answered, exchange.CheckFailed, 1},
		{"a bad status says more than a check", checked, whole(framed(0, 8), "grpc-status", "13"), exchange.Answered, exchange.GRPCInternal, 1},
		{"a good status of HTTP is no excuse", checked, whole(append([]byte{0, 0, 0, 0, 8}, "a needle"...), "grpc-status", "13"), exchange.Answered, exchange.GRPCInternal, 1},
		{"reset", unary, func(s *server) { s.head(1); s.must(s.framer.WriteRSTStream(1, http2.ErrCodeCancel)) }, exchange.Reset, exchange.ResetCancel, 0},
		{"refused", unary, func(s *server) { s.must(s.framer.WriteRSTStream(1, http2.ErrCodeRefusedStream)) }, exchange.Refused, exchange.ResetRefused, 0},
		{"plain", plainRequest, only(":status", "200"), exchange.Answered, exchange.Good, 0},
		{"plain with a body", plainRequest, func(s *server) { s.head(1); s.data(1, 9, true, framed(0, 9)) }, exchange.Answered, exchange.Good, 0},
	}
}

func TestAnswers(t *testing.T) {
	for _, tt := range answers() {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1 << 20, 1, 3} {
				s := newServer(t)
				s.conn.Start(tt.kind, 42, nil)
				tt.answer(s)
				s.feed(size)
				done := s.conn.Done()
				if len(done) != 1 {
					t.Fatalf("in pieces of %d: %d answers, want one", size, len(done))
				}
				d := done[0]
				if d.Token != 42 || d.Outcome != tt.outcome || d.Class != tt.class || d.Messages != tt.messages {
					t.Errorf("in pieces of %d: token %d, outcome %d, class %s, %d messages; want 42, %d, %s, %d",
						size, d.Token, d.Outcome, d.Class, d.Messages, tt.outcome, tt.class, tt.messages)
				}
			}
		})
	}
}

// TestSlotsBeginAnew: an answer has nothing of the one that had its slot before.
func TestSlotsBeginAnew(t *testing.T) {
	s := newServer(t)
	slot := s.conn.Start(streaming, 1, nil)
	s.head(1)
	s.data(1, 7, false, slicesOf(1, 2, 3)[:12])
	s.feed(1 << 20)
	s.conn.Cancel(slot)
	s.conn.Update([]exchange.Request{unary: {Call: &exchange.Call{ServerStreaming: true}}, checked: {}})
	if again := s.conn.Start(unary, 2, nil); again != slot {
		t.Fatalf("slot %d, want %d again", again, slot)
	}
	s.data(1, 7, false, []byte{9, 9, 9}) // crosses the reset
	s.head(3)
	s.data(3, 100, false, slicesOf(1, 1))
	s.headers(3, true, "grpc-status", "0")
	s.feed(1 << 20)
	if d := s.conn.Done(); len(d) != 1 || d[0].Token != 2 || d[0].Class != exchange.Good || d[0].Messages != 2 || d[0].Backend != "pod-1" {
		t.Errorf("ended: %+v, want token 2, good, two messages of pod-1", d)
	}
}

// FuzzAnswer: whatever a server sends, in whatever pieces, the scores agree.
func FuzzAnswer(f *testing.F) {
	for _, tt := range answers() {
		s := newServer(f)
		tt.answer(s)
		f.Add(bytes.Clone(s.bytes.Bytes()), uint8(tt.kind), uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, kind, cut uint8) {
		score := func(size int) (all []exchange.Completion) {
			s := newServer(t)
			s.conn.Start(int(kind)%4, 7, nil)
			s.conn.Start(streaming, 8, nil)
			for piece := range slices.Chunk(b, size) {
				if s.conn.Ingest(bytes.Clone(piece), 1) != nil {
					break
				}
			}
			s.conn.Fail(exchange.ConnectionLost)
			return slices.Clone(s.conn.Done())
		}
		whole, pieces := score(len(b)+1), score(int(cut)+1)
		for _, done := range [][]exchange.Completion{whole, pieces} {
			for i := range done {
				if done[i].Outcome != exchange.Answered {
					done[i].Received = 0 // how much had come when it ended
				}
			}
		}
		if len(whole) != 2 || !slices.Equal(whole, pieces) {
			t.Errorf("at once: %+v; in pieces of %d: %+v", whole, int(cut)+1, pieces)
		}
	})
}

// calls prepares a Conn and a function that sends a batch of calls and takes in
// their answers, as a server sends them that indexes its fields.
func calls(tb testing.TB, batch int) func() {
	s := newServer(tb)
	body := slicesOf(10, 1000)
	answer := func(id uint32) {
		s.head(id)
		s.data(id, 600, false, body)
		s.headers(id, true, "grpc-status", "0", "grpc-message", "")
	}
	id := uint32(1)
	return func() {
		s.bytes.Reset()
		for range batch {
			s.conn.Start(streaming, id, nil)
			answer(id)
			id += 2
		}
		s.conn.Wrote(len(s.conn.Out()))
		if err := s.conn.Ingest(s.bytes.Bytes(), 1); err != nil {
			tb.Fatal(err)
		}
		if d := s.conn.Done(); len(d) != batch || d[0].Messages != 2 || d[0].Class != exchange.Good {
			tb.Fatalf("%d answers, the first %+v; want %d, good, of 2 messages", len(d), d[0], batch)
		}
		s.conn.Forget()
		s.conn.Wrote(len(s.conn.Out()))
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if got := testing.AllocsPerRun(100, calls(t, 32)); got != 0 {
		t.Errorf("%v allocations in 32 calls and answers, want 0", got)
	}
}

func BenchmarkCall(b *testing.B) {
	call := calls(b, 32)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/call")
}
