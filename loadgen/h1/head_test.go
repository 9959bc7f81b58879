package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

func TestRequests(t *testing.T) {
	const (
		start = " /a?b=c HTTP/1.1\r\nhost: shop.test\r\n"
		body  = "content-length: 5\r\n\r\nhello"
	)
	tests := []struct {
		name string
		kind int
		vary *exchange.Variation
		want string
	}{
		{"GET", get, nil, "GET" + start + "accept: */*\r\n\r\n"},
		{"a body, whose length is its own", post, nil, "POST" + start + body},
		{"HEAD", headOnly, nil, "HEAD" + start + "\r\n"},
		{"nothing of its own", post, &exchange.Variation{}, "POST" + start + body},
		{"path", get, &exchange.Variation{Path: "/p/1"}, "GET /p/1 HTTP/1.1\r\nhost: shop.test\r\naccept: */*\r\n\r\n"},
		{"path that would end the line", get, &exchange.Variation{Path: "/a b\r\nx: y\x7f"}, "GET /a%20b%0D%0Ax:%20y%7F HTTP/1.1\r\nhost: shop.test\r\naccept: */*\r\n\r\n"},
		{"fields", get, &exchange.Variation{Fields: []exchange.Field{{Name: "x-id", Value: "7"}, {Name: "x-b", Value: ""}}}, "GET" + start + "accept: */*\r\nx-id: 7\r\nx-b: \r\n\r\n"},
		{"field that would end its line", get, &exchange.Variation{Fields: []exchange.Field{{Name: "x-id", Value: "7\r\nx: y\x00"}}}, "GET" + start + "accept: */*\r\nx-id: 7  x: y \r\n\r\n"},
		{"host", get, &exchange.Variation{Fields: []exchange.Field{{Name: "host", Value: "bank.test"}}}, "GET /a?b=c HTTP/1.1\r\nhost: bank.test\r\naccept: */*\r\n\r\n"},
		{"authority", get, &exchange.Variation{Fields: []exchange.Field{{Name: ":authority", Value: "bank.test"}}}, "GET /a?b=c HTTP/1.1\r\nhost: bank.test\r\naccept: */*\r\n\r\n"},
		{"body", post, &exchange.Variation{Body: []byte("hi"), HasBody: true}, "POST" + start + "content-length: 2\r\n\r\nhi"},
		{"body with a length that is not its own", post, &exchange.Variation{
			Fields: []exchange.Field{{Name: "content-length", Value: "7"}, {Name: "transfer-encoding", Value: "chunked"}}, Body: []byte("hi"), HasBody: true,
		}, "POST" + start + "content-length: 2\r\n\r\nhi"},
		{"no body after all", post, &exchange.Variation{HasBody: true}, "POST" + start + "content-length: 0\r\n\r\n"},
		{"a body after all", get, &exchange.Variation{Body: []byte("hi"), HasBody: true}, "GET" + start + "accept: */*\r\ncontent-length: 2\r\n\r\nhi"},
		{"everything", post, &exchange.Variation{
			Path: "/p", Fields: []exchange.Field{{Name: "a", Value: "b"}, {Name: "host", Value: "h"}}, Body: []byte("hi"), HasBody: true,
		}, "POST /p HTTP/1.1\r\nhost: h\r\na: b\r\ncontent-length: 2\r\n\r\nhi"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 1 << 20} {
				c := New(testConfig())
				for range 2 { // the head is encoded by the first and reused by the second
					slot := c.Start(tt.kind, 1, tt.vary)
					if got := sent(c, size); got != tt.want {
						t.Errorf("wrote %q, want %q", got, tt.want)
					}
					if got := c.Active(); got != 1 || c.Free() != 0 {
						t.Errorf("%d active, %d free", got, c.Free())
					}
					c.written = 0 // as if nothing was written, so that the connection goes on
					c.Cancel(slot)
				}
			}
		})
	}
}

// TestLargeBody: it leaves in pieces, of which none is kept.
func TestLargeBody(t *testing.T) {
	c := New(testConfig())
	for _, vary := range []*exchange.Variation{nil, {HasBody: true, Body: bytes.Repeat([]byte("x"), 300_000)}} {
		c.Start(put, 1, vary)
		want := c.requests[put].Body
		if vary != nil {
			want = bytes.Clone(vary.Body)
			clear(vary.Body) // the caller uses it again
		}
		var text bytes.Buffer
		for len(c.Out()) > 0 {
			if got := len(c.Out()); got > piece {
				t.Fatalf("%d bytes at once", got)
			}
			n := min(10_007, len(c.Out()))
			text.Write(c.Out()[:n])
			c.Wrote(n)
		}
		request, err := http.ReadRequest(bufio.NewReader(&text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(request.Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of body, %v; want %d", len(got), err, len(want))
		}
		if cap(c.out) > 4*copied {
			t.Errorf("%d bytes are kept for what is written", cap(c.out))
		}
		c.written = 0
		c.Cancel(0)
	}
}

func TestUpdate(t *testing.T) {
	c := New(testConfig())
	c.Start(get, 1, nil)
	renewed := testConfig().Requests
	renewed[get].Fields = append(renewed[get].Fields, exchange.Field{Name: "authorization", Value: "Bearer new"})
	c.Update(renewed)
	if got := sent(c, 1<<20); strings.Contains(got, "Bearer") {
		t.Errorf("the request in flight became %q", got)
	}
	if err := feed(c, "HTTP/1.1 204 No Content\r\n\r\n", 0); err != nil {
		t.Fatal(err)
	}
	one(t, c)
	c.Start(get, 2, nil)
	if got := sent(c, 1<<20); !strings.Contains(got, "\r\nauthorization: Bearer new\r\n") {
		t.Errorf("the next request is %q", got)
	}
}
