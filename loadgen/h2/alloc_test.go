package h2

import (
	"testing"

	"golang.org/x/net/http2"
)

// roundTrips prepares a Conn and a function that sends a batch of requests and
// takes in their answers, as they come from a peer that indexes its fields.
func roundTrips(tb testing.TB, batch int) func() {
	p := newPeer(tb)
	p.conn.cfg.MaxStreams = batch
	p.write(func(f *http2.Framer) error { return f.WriteSettings() })
	p.want(nil)
	p.frames()
	// The first answer fills the tables, the later ones are indices.
	p.conn.Start(0, 0, nil)
	p.headers(1, true, ":status", "200", "server", "envoy", "content-type", "text/plain", "x-backend", "pod-1")
	p.want(nil)
	p.frames()
	p.conn.Forget()
	block := p.encode(":status", "200", "server", "envoy", "content-type", "text/plain", "x-backend", "pod-1")
	answer := appendHeader(nil, len(block), http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0)
	answer = append(answer, block...)
	answer = append(appendHeader(answer, 1024, http2.FrameData, http2.FlagDataEndStream, 0), make([]byte, 1024)...)
	answers := make([]byte, 0, batch*len(answer))
	for range batch {
		answers = append(answers, answer...)
	}
	second := frameHeader + len(block)
	setID := func(head []byte, id uint32) {
		head[5], head[6], head[7], head[8] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
	}
	return func() {
		for i := range batch {
			id := p.conn.nextID
			p.conn.Start(0, uint32(i), nil)
			setID(answers[i*len(answer):], id)
			setID(answers[i*len(answer)+second:], id)
		}
		p.conn.Wrote(len(p.conn.Out()))
		if err := p.conn.Ingest(answers, 1); err != nil {
			tb.Fatal(err)
		}
		if got := len(p.conn.Done()); got != batch {
			tb.Fatalf("%d of %d answered", got, batch)
		}
		p.conn.Forget()
		p.conn.Wrote(len(p.conn.Out()))
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if got := testing.AllocsPerRun(100, roundTrips(t, 32)); got != 0 {
		t.Errorf("%v allocations in 32 requests and answers, want 0", got)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	trip := roundTrips(b, 32)
	b.ReportAllocs()
	for b.Loop() {
		trip()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/request")
}
