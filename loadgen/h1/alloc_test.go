package h1

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// roundTrip prepares a function that sends a request and takes in its answer.
func roundTrip(tb testing.TB, kind int, v *exchange.Variation, body int) func() {
	c := New(testConfig())
	text := "HTTP/1.1 200 OK\r\nserver: envoy\r\ndate: Sun, 22 Nov 2026 20:00:00 GMT\r\ncontent-type: text/plain\r\n" +
		"x-envoy-upstream-service-time: 3\r\nX-Backend: pod-1\r\nX-Version: v2\r\ncontent-length: 1024\r\n\r\n"
	answer := append([]byte(text), make([]byte, 1024)...)
	copy(answer[len(text)+1000:], "needle")
	cut := len(text) - 30
	return func() {
		c.Start(kind, 1, v)
		for len(c.Out()) > 0 {
			c.Wrote(len(c.Out()))
			c.Pump()
		}
		for _, b := range [][]byte{answer[:cut], answer[cut : len(text)+1003], answer[len(text)+1003:]} {
			if body == 0 {
				b = answer
			}
			if err := c.Ingest(b, 1); err != nil {
				tb.Fatal(err)
			}
			if body == 0 {
				break
			}
		}
		if d := c.Done(); len(d) != 1 || d[0].Class != exchange.Good {
			tb.Fatalf("%+v", d)
		}
		c.Forget()
	}
}

func TestNothingIsAllocated(t *testing.T) {
	tests := []struct {
		name string
		kind int
		vary *exchange.Variation
	}{
		{"GET", get, nil}, {"check", checked, nil}, {"upload", put, nil},
		{"variation", post, &exchange.Variation{Path: "/x", Fields: []exchange.Field{{Name: "traceparent", Value: "00-1-2-01"}}, Body: make([]byte, 100), HasBody: true}},
	}
	for _, tt := range tests {
		for cuts := range 2 {
			trip := roundTrip(t, tt.kind, tt.vary, cuts)
			trip()
			if got := testing.AllocsPerRun(100, trip); got != 0 {
				t.Errorf("%s: %v allocations, want 0", tt.name, got)
			}
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, bench := range []struct {
		name string
		kind int
	}{{"get", get}, {"checked", checked}} {
		b.Run(bench.name, func(b *testing.B) {
			trip := roundTrip(b, bench.kind, nil, 0)
			b.ReportAllocs()
			for b.Loop() {
				trip()
			}
		})
	}
}
