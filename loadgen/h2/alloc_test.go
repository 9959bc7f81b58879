package h2

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// answers are header blocks as servers write them again and again.
func answers() map[string]func(*peer) []byte {
	fields := []string{":status", "200", "server", "envoy", "content-type", "text/plain", "x-backend", "pod-1",
		"date", "Sun, 22 Nov 2026 20:00:00 GMT", "content-length", "1024", "x-envoy-upstream-service-time", "3"}
	return map[string]func(*peer) []byte{
		"indexed": func(p *peer) []byte {
			p.headers(1, true, fields...) // fills the tables
			return p.encode(fields...)
		},
		"literal": func(p *peer) []byte {
			p.headers(1, true, fields...)
			return blockOf(p.t, fields...)
		},
		// Each answer inserts, and evicts before long.
		"inserted": func(p *peer) []byte {
			p.headers(1, true, fields...)
			block := []byte{0x88}
			for i := 2; i < len(fields); i += 2 {
				block = appendString(appendString(append(block, 0x40), fields[i]), fields[i+1])
			}
			return block
		},
	}
}

// roundTrips prepares a Conn and a function that sends a batch of requests, each
// with a variation, and takes in their answers.
func roundTrips(tb testing.TB, batch int, answer func(*peer) []byte, v *exchange.Variation, check *exchange.Check) func() {
	p := newPeer(tb)
	p.conn.cfg.MaxStreams = batch
	requests := slices.Clone(p.conn.cfg.Requests)
	requests[0].Check = check
	if v != nil {
		requests[0].Fields = slices.DeleteFunc(slices.Clone(requests[0].Fields), func(f exchange.Field) bool { return f.Name == ":path" })
	}
	p.conn.Update(requests)
	p.write(func(f *http2.Framer) error { return f.WriteSettings() })
	p.want(nil)
	p.frames()
	p.conn.Start(0, 0, v)
	block := answer(p)
	p.want(nil)
	p.frames()
	p.conn.Forget()
	one := appendHeader(nil, len(block), http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0)
	one = append(one, block...)
	one = append(appendHeader(one, 1024, http2.FrameData, http2.FlagDataEndStream, 0), make([]byte, 1018)...)
	one = append(one, "theend"...)
	all := make([]byte, 0, batch*len(one))
	for range batch {
		all = append(all, one...)
	}
	second := frameHeader + len(block)
	setID := func(head []byte, id uint32) {
		head[5], head[6], head[7], head[8] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
	}
	return func() {
		for i := range batch {
			id := p.conn.nextID
			p.conn.Start(0, uint32(i), v)
			setID(all[i*len(one):], id)
			setID(all[i*len(one)+second:], id)
		}
		p.conn.Wrote(len(p.conn.Out()))
		p.conn.sendWindow = initialWindow // as the peer gives it back
		if err := p.conn.Ingest(all, 1); err != nil {
			tb.Fatal(err)
		}
		done := p.conn.Done()
		if len(done) != batch {
			tb.Fatalf("%d of %d answered", len(done), batch)
		}
		for i := range done {
			if done[i].Class != exchange.Good || done[i].Backend != "pod-1" || done[i].Received != 1024 {
				tb.Fatalf("answer %+v, want a good one of pod-1", done[i])
			}
		}
		p.conn.Forget()
		p.conn.Wrote(len(p.conn.Out()))
	}
}

// sendings are what requests may have of their own.
func sendings() map[string]*exchange.Variation {
	return map[string]*exchange.Variation{
		"as it is": nil,
		"varied": {
			Path: "/item/4711?colour=blue",
			Fields: []exchange.Field{
				{Name: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
				{Name: "content-length", Value: "300"}, {Name: "authorization", Value: "Bearer " + strings.Repeat("t", 100)},
			},
			Body: make([]byte, 300), HasBody: true,
		},
	}
}

func TestNothingIsAllocated(t *testing.T) {
	check := &exchange.Check{Status: []exchange.StatusRange{{From: 200, To: 299}}, Header: exchange.Field{Name: "content-type", Value: "text"}, Body: []byte("theend")}
	for name, answer := range answers() {
		for sending, v := range sendings() {
			t.Run(name+"/"+sending, func(t *testing.T) {
				trip := roundTrips(t, 32, answer, v, check)
				for range 50 {
					trip() // until buffers have their size
				}
				if got := testing.AllocsPerRun(20, trip); got != 0 {
					t.Errorf("%v allocations in 32 requests and answers, want 0", got)
				}
			})
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, name := range []string{"indexed", "literal", "inserted"} {
		for _, sending := range []string{"as it is", "varied"} {
			b.Run(name+"/"+sending, func(b *testing.B) {
				trip := roundTrips(b, 32, answers()[name], sendings()[sending], nil)
				b.ReportAllocs()
				for b.Loop() {
					trip()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/request")
			})
		}
	}
}
