package h2

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// FuzzIngest feeds what a peer might send, in two ways of cutting it, while
// requests are open. Nothing may panic, every request ends at most once, both
// ways agree, and what waits to be written stays bounded.
func FuzzIngest(f *testing.F) {
	for _, tt := range exchanges() {
		p := greeted(f)
		p.conn.Start(tt.kind, 77, nil)
		p.raw = nil
		tt.answer(p)
		_ = p.feed()
		f.Add(p.raw, uint8(3))
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		whole := fuzzed(t, b, len(b)+1)
		pieces := fuzzed(t, b, int(cut)+1)
		if whole != pieces {
			t.Errorf("at once: %+v; in pieces of %d: %+v", whole, int(cut)+1, pieces)
		}
	})
}

// fuzzResult is what must not depend on how bytes are cut.
type fuzzResult struct {
	failed           bool
	code             http2.ErrCode
	ended, answered  int
	tokens, statuses int64
	read             string
}

func fuzzed(t *testing.T, b []byte, size int) (r fuzzResult) {
	cfg := testConfig()
	cfg.Requests[0].Check = &exchange.Check{Header: exchange.Field{Name: "x-backend"}, Body: []byte("hel")}
	cfg.Reader, cfg.Fields = &reading{text: map[int32]string{}}, []string{"grpc-status"}
	c := New(cfg)
	if err := c.Ingest([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}, 0); err != nil {
		t.Fatal(err)
	}
	const requests = 4
	for token := range uint32(requests) {
		c.Start(int(token%2), token, nil)
	}
	for len(b) > 0 {
		n := min(size, len(b))
		err := c.Ingest(bytes.Clone(b[:n]), 1)
		b = b[n:]
		if err != nil {
			r.failed, r.code = true, err.(*Error).Code
			break
		}
		if got := len(c.Out()); got > maxOut+2*uploadBuffer+1<<17 {
			t.Fatalf("%d bytes wait to be written", got)
		}
	}
	c.Fail(exchange.ConnectionLost)
	seen := [requests]bool{}
	for _, d := range c.Done() {
		if seen[d.Token] {
			t.Fatalf("request %d ended twice", d.Token)
		}
		seen[d.Token] = true
		r.ended++
		if d.Outcome == exchange.Answered {
			r.answered++
		}
		r.tokens = r.tokens*31 + int64(d.Token) + 7*int64(d.Outcome)
		r.statuses += int64(d.Status) + 1000*int64(d.Class)*int64(d.Token+1)
	}
	told := cfg.Reader.(*reading).text
	for _, slot := range slices.Sorted(maps.Keys(told)) {
		r.read += fmt.Sprint(slot, told[slot])
	}
	if r.ended != requests || c.Active() != 0 {
		t.Fatalf("%d of %d requests ended, %d streams open", r.ended, requests, c.Active())
	}
	return r
}
