package h1

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// exchanges are complete answers to one request.
func exchanges() []struct {
	name   string
	kind   int
	answer string
	ends   bool // the peer closes behind it
	status int32
	bytes  int64
	class  exchange.Class
	leaves bool
} {
	return []struct {
		name   string
		kind   int
		answer string
		ends   bool
		status int32
		bytes  int64
		class  exchange.Class
		leaves bool
	}{
		{"length", get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, 5, exchange.Good, false},
		{"no body", get, "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"no reason", get, "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", false, 200, 1, exchange.Good, false},
		{"a later minor version", get, "HTTP/1.2 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 200, 1, exchange.Good, false},
		{"the same length twice", get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", false, 200, 5, exchange.Good, false},
		{"whitespace around a value", get, "HTTP/1.1 200 OK\r\nContent-Length: \t 5 \t\r\n\r\nhello", false, 200, 5, exchange.Good, false},
		{"chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", false, 200, 11, exchange.Good, false},
		{"no chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"hexadecimal chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00a\r\n0123456789\r\nB  \r\n0123456789X\r\n0\r\n\r\n", false, 200, 21, exchange.Good, false},
		{"chunk extensions", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;last\r\n\r\n", false, 200, 5, exchange.Good, false},
		{"trailers", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n", false, 200, 5, exchange.Good, false},
		{"until the end", get, "HTTP/1.1 200 OK\r\n\r\nhello", true, 200, 5, exchange.Good, true},
		{"until the end, empty", get, "HTTP/1.1 200 OK\r\n\r\n", true, 200, 0, exchange.Good, true},
		{"HTTP/1.0 until the end", get, "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello", true, 200, 5, exchange.Good, true},
		{"HTTP/1.0 with a length", get, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, 5, exchange.Good, true},
		{"HTTP/1.0 that stays", get, "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", false, 200, 5, exchange.Good, false},
		{"close", get, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false, 200, 5, exchange.Good, true},
		{"close among other options", get, "HTTP/1.1 200 OK\r\nConnection: x-sum , CLOSE\r\nContent-Length: 0\r\n\r\n", false, 200, 0, exchange.Good, true},
		{"close, and bytes behind the answer", get, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nxyz", false, 200, 1, exchange.Good, true},
		{"keep-alive", get, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"asked to close", closing, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, 2, exchange.Good, true},
		{"HEAD", headOnly, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"HEAD of chunks", headOnly, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"HEAD without a length", headOnly, "HTTP/1.1 200 OK\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"204", get, "HTTP/1.1 204 No Content\r\n\r\n", false, 204, 0, exchange.Good, false},
		{"304 with the length of what did not change", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n", false, 304, 0, exchange.Good, false},
		{"100 first", post, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, 2, exchange.Good, false},
		{"103 first, whose fields mean nothing", get, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, 2, exchange.Good, false},
		{"empty value", get, "HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"every character of a name", get, "HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~09azAZ: x\r\nContent-Length: 0\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"bytes beyond ASCII in a value", get, "HTTP/1.1 200 \xc3\xa9\r\nX: \xff\xfe\r\nContent-Length: 0\r\n\r\n", false, 200, 0, exchange.Good, false},
		{"404", get, "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found", false, 404, 9, exchange.Service4xx, false},
		{"no route", get, "HTTP/1.1 404 Not Found\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n", false, 404, 0, exchange.NoRoute, false},
		{"breaker", get, "HTTP/1.1 503 Service Unavailable\r\nX-Envoy-Overloaded: true\r\nserver: envoy\r\ncontent-length: 3\r\n\r\nbad", false, 503, 3, exchange.Overflow, false},
		{"no healthy upstream, in chunks", get, "HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n\r\n3\r\nno \r\n10\r\nhealthy upstream\r\n0\r\n\r\n", false, 503, 19, exchange.NoHealthyUpstream, false},
		{"check holds", checked, "HTTP/1.1 200 OK\r\nX-Version: shop v2\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nxnee\r\n4\r\ndley\r\n0\r\n\r\n", false, 200, 8, exchange.Good, false},
		{"check fails by its header", checked, "HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 6\r\n\r\nneedle", false, 200, 6, exchange.CheckFailed, false},
		{"check fails by its body", checked, "HTTP/1.1 200 OK\r\nX-Version: v2\r\nContent-Length: 6\r\n\r\nneedly", false, 200, 6, exchange.CheckFailed, false},
		{"error with a check", checked, "HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\nneedle", false, 503, 6, exchange.Service5xx, false},
		{"refused tunnel", connect, "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", false, 405, 0, exchange.Service4xx, false},
	}
}

// TestExchanges feeds each answer as a whole, byte by byte, and in pieces.
func TestExchanges(t *testing.T) {
	for _, tt := range exchanges() {
		for _, size := range []int{0, 1, 2, 7} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, size), func(t *testing.T) {
				c := asked(t, tt.kind)
				if err := feed(c, tt.answer, size); err != nil {
					t.Fatal(err)
				}
				if tt.ends {
					if len(c.Done()) != 0 || c.Leaving() || c.Free() != 0 {
						t.Fatalf("before the end %+v is done, leaving %t, %d free", c.Done(), c.Leaving(), c.Free())
					}
					c.Ended(2)
				}
				d := one(t, c)
				if d.Token != 77 || d.Outcome != exchange.Answered || d.Class != tt.class || d.Status != tt.status || d.Received != tt.bytes {
					t.Errorf("%+v (%s), want %d with %d bytes, %s", d, d.Class, tt.status, tt.bytes, tt.class)
				}
				if d.First != 1 {
					t.Errorf("the header block came at %d, want 1", d.First)
				}
				if c.Leaving() != tt.leaves || c.Active() != 0 || c.Free() != map[bool]int{true: 0, false: 1}[tt.leaves] {
					t.Errorf("leaving %t, %d active, %d free; want leaving %t", c.Leaving(), c.Active(), c.Free(), tt.leaves)
				}
			})
		}
	}
}

// TestLostAtEachByte ends the connection before each byte of each answer: the
// request ends exactly once, and is not taken for answered.
func TestLostAtEachByte(t *testing.T) {
	for _, tt := range exchanges() {
		if tt.ends || strings.Contains(tt.name, "bytes behind") {
			continue // complete at any byte of the body
		}
		t.Run(tt.name, func(t *testing.T) {
			for n := range len(tt.answer) {
				c := asked(t, tt.kind)
				if err := c.Ingest([]byte(tt.answer[:n]), 1); err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				c.Ended(2)
				c.Fail(exchange.ConnectionLost)
				if d := one(t, c); d.Outcome != exchange.Lost || d.Class != exchange.ConnectionLost {
					t.Fatalf("after %d of %d bytes: %+v", n, len(tt.answer), d)
				}
				if c.Free() != 0 || c.Active() != 0 || !c.Leaving() {
					t.Fatalf("after %d bytes the connection goes on", n)
				}
			}
		})
	}
}

// TestBreaches are answers that a careful client does not take.
func TestBreaches(t *testing.T) {
	long := strings.Repeat("y", 9000)
	tests := []struct{ name, answer, want string }{
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "two content-lengths"},
		{"one length in other digits", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\nhello", "two content-lengths"},
		{"a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "no number"},
		{"a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "no number"},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "no number"},
		{"an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", "no number"},
		{"a length beyond all numbers", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", "no number"},
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both"},
		{"chunks and length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "both"},
		{"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
		{"compressed transfer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "other than chunked"},
		{"identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "other than chunked"},
		{"hidden chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n", "other than chunked"},
		{"chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "other than chunked"},
		{"LF alone in the status line", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "LF alone"},
		{"LF alone in a field", "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", "LF alone"},
		{"LF alone at the end", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", "LF alone"},
		{"LF alone in a chunk's size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", "LF alone"},
		{"CR in a field", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "control character"},
		{"NUL in a field", "HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", "control character"},
		{"DEL in a field", "HTTP/1.1 200 OK\r\nX: a\x7fb\r\n\r\n", "control character"},
		{"ESC in the reason", "HTTP/1.1 200 \x1b[2J\r\n\r\n", "control character"},
		{"folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "folded"},
		{"whitespace before the first field", "HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n", "folded"},
		{"whitespace before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", `' '`},
		{"no name", "HTTP/1.1 200 OK\r\n: 0\r\n\r\n", "without a name"},
		{"no colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", "without a name"},
		{"a name beyond ASCII", "HTTP/1.1 200 OK\r\nCont\xc3\xa9nt: 0\r\n\r\n", "whose name"},
		{"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", "does not begin"},
		{"another protocol", "SSH-2.0-OpenSSH_9\r\n", "does not begin"},
		{"HTTP/2 in text", "HTTP/2 200\r\n\r\n", "does not begin"},
		{"lower case", "http/1.1 200 OK\r\n\r\n", "does not begin"},
		{"a minor version of two digits", "HTTP/1.10 200 OK\r\n\r\n", "status line"},
		{"a minor version that is no digit", "HTTP/1.x 200 OK\r\n\r\n", "status line"},
		{"a minor version that is missing", "HTTP/1.\r200 OK\r\n\r\n", "control character"},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", "status line"},
		{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "status line"},
		{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "status line"},
		{"a status below all", "HTTP/1.1 099 OK\r\n\r\n", "status line"},
		{"no status", "HTTP/1.1\r\n\r\n", "status line"},
		{"an informational answer without sense", "HTTP/1.1 103 Early\r\nContent-Length: x\r\n\r\n", "no number"},
		{"switching protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "switches"},
		{"chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n", "longer than its size"},
		{"chunk shorter than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\r\n0\r\n\r\n", "LF alone"},
		{"chunk without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell" + long, "longer than its size"},
		{"no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "size that can't be read"},
		{"a size with a sign", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n", "size that can't be read"},
		{"a size with a prefix", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", "size that can't be read"},
		{"a size behind whitespace", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n", "size that can't be read"},
		{"whitespace before an extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 ;a\r\nhello\r\n", "size that can't be read"},
		{"a size beyond all numbers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n", "no number that we can hold"},
		{"endless extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + long + "\r\n", "more than 4096 bytes"},
		{"bad trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nhello\r\n\r\n", "without a name"},
		{"endless field", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", maxBlock), "more than 262144 bytes"},
		{"endless fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+long+"\r\n", 30), "more than 262144 bytes"},
		{"endless informational answers", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 8000), "more than 262144 bytes"},
		{"endless trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: "+long+"\r\n", 30), "more than 262144 bytes"},
		{"HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", "the server speaks HTTP/2"},
		{"TLS alert", "\x15\x03\x03\x00\x02\x02\x46", "the server speaks TLS"},
		{"almost HTTP/2", "\x00\x00\x12\x05\x00\x00\x00\x00\x00\x00\x03", "does not begin"},
	}
	for _, tt := range tests {
		for _, size := range []int{0, 1, 1000} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, size), func(t *testing.T) {
				c := asked(t, get)
				err := feed(c, tt.answer, size)
				var breach *Error
				if !errors.As(err, &breach) || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want one with %q", err, tt.want)
				}
				c.Fail(exchange.ProtocolError)
				if d := one(t, c); d.Outcome != exchange.Lost || d.Class != exchange.ProtocolError {
					t.Errorf("%+v, want it lost", d)
				}
				if err := c.Ingest([]byte("x"), 1); err == nil || c.Free() != 0 || len(c.Out()) > 0 {
					t.Error("the connection goes on after its end")
				}
			})
		}
	}
}

func TestTunnelIsABreach(t *testing.T) {
	c := asked(t, connect)
	if err := feed(c, "HTTP/1.1 200 OK\r\n\r\n", 0); err == nil || !strings.Contains(err.Error(), "tunnel") {
		t.Errorf("error %v, want one about a tunnel", err)
	}
}

// TestBytesBehindAnAnswer that was said to be the last one's: the answer counts,
// the connection ends.
func TestBytesBehindAnAnswer(t *testing.T) {
	c := asked(t, get)
	if err := feed(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n", 0); err == nil {
		t.Error("no error")
	}
	if d := one(t, c); d.Outcome != exchange.Answered || d.Received != 1 {
		t.Errorf("%+v, want an answer of one byte", d)
	}
	if c.Free() != 0 {
		t.Error("the connection is still used")
	}
}

// TestUnasked: what a peer says before it was asked.
func TestUnasked(t *testing.T) {
	tests := []struct{ name, bytes, want string }{
		{"HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00", "the server speaks HTTP/2"},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS"},
		{"an answer", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", "nobody asked for"},
	}
	for _, tt := range tests {
		for _, size := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, size), func(t *testing.T) {
				c := New(testConfig())
				if err := feed(c, tt.bytes, size); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				// The same while a request waits to be written: the peer can't
				// have taken it, so it may be sent again whatever its method.
				c = served(t, New(testConfig()))
				c.Start(post, 77, nil)
				if err := feed(c, tt.bytes, size); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				c.Fail(exchange.ProtocolError)
				if d := one(t, c); d.Outcome != exchange.Unprocessed || d.Token != 77 {
					t.Errorf("%+v, want it unprocessed", d)
				}
			})
		}
	}
	c := New(testConfig())
	if err := c.Ingest([]byte{0x15}, 1); err != nil || c.Free() != 0 {
		t.Errorf("error %v, %d free; want to wait for more", err, c.Free())
	}
}

// TestSentAgain: which requests may be sent again when the connection is lost.
func TestSentAgain(t *testing.T) {
	tests := []struct {
		name    string
		fresh   bool // nothing was answered before
		kind    int
		written int
		answer  string
		class   exchange.Class
		want    exchange.Outcome
	}{
		{"GET on a used connection", false, get, 1 << 20, "", exchange.ConnectionLost, exchange.Unprocessed},
		{"HEAD on a used connection", false, headOnly, 1 << 20, "", exchange.ConnectionLost, exchange.Unprocessed},
		{"OPTIONS on a used connection", false, options, 1 << 20, "", exchange.ConnectionLost, exchange.Unprocessed},
		{"POST on a used connection", false, post, 1 << 20, "", exchange.ConnectionLost, exchange.Lost},
		{"PUT on a used connection", false, put, 1 << 20, "", exchange.ConnectionLost, exchange.Lost},
		{"GET on a new connection", true, get, 1 << 20, "", exchange.ConnectionLost, exchange.Lost},
		{"GET with a byte of answer", false, get, 1 << 20, "H", exchange.ConnectionLost, exchange.Lost},
		{"GET after 103", false, get, 1 << 20, "HTTP/1.1 103 Early\r\n\r\n", exchange.ConnectionLost, exchange.Lost},
		{"GET amid the body", false, get, 1 << 20, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", exchange.ConnectionLost, exchange.Lost},
		{"GET after a breach", false, get, 1 << 20, "", exchange.ProtocolError, exchange.Lost},
		{"POST of which nothing was written", true, post, 0, "", exchange.ConnectionLost, exchange.Unprocessed},
		{"POST of which a byte was written", true, post, 1, "", exchange.ConnectionLost, exchange.Lost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(testConfig())
			if !tt.fresh {
				served(t, c)
			}
			c.Start(tt.kind, 77, nil)
			for left := tt.written; left > 0 && len(c.Out()) > 0; {
				n := min(left, len(c.Out()))
				c.Wrote(n)
				left -= n
			}
			if err := feed(c, tt.answer, 0); err != nil {
				t.Fatal(err)
			}
			c.Ended(2)
			c.Fail(tt.class)
			if d := one(t, c); d.Outcome != tt.want || d.Class != tt.class || d.Token != 77 {
				t.Errorf("%+v, want outcome %d", d, tt.want)
			}
		})
	}
}

// TestEarlyAnswers come before all of an upload was written.
func TestEarlyAnswers(t *testing.T) {
	tests := []struct {
		name, answer string
		goesOn       bool // the upload, while the answer comes
		complete     bool
	}{
		{"complete", "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", false, true},
		{"refused with a close, amid its body", "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhe", false, false},
		{"refused until the end", "HTTP/1.1 413 Too Large\r\n\r\nhe", false, false},
		{"an echo", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, false},
		{"an echo until the end", "HTTP/1.1 200 OK\r\n\r\nhello", true, false},
		{"an informational answer", "HTTP/1.1 100 Continue\r\n\r\n", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(testConfig())
			c.Start(put, 77, nil)
			c.Wrote(len(c.Out()))
			if err := feed(c, tt.answer, 0); err != nil {
				t.Fatal(err)
			}
			if got := len(c.Out()) > 0; got != tt.goesOn {
				t.Errorf("the upload goes on: %t, want %t", got, tt.goesOn)
			}
			if got := len(c.Done()) == 1; got != tt.complete {
				t.Errorf("answered: %t, want %t", got, tt.complete)
			}
			if tt.complete && (c.Free() != 0 || !c.Leaving()) {
				t.Error("the connection is used again, though the server waits for more of the body")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	c := New(testConfig())
	slot := c.Start(get, 1, nil)
	c.Cancel(slot)
	if c.Free() != 1 || c.Leaving() || len(c.Out()) > 0 {
		t.Errorf("%d free, leaving %t, %q to write; nothing was written yet, so it goes on", c.Free(), c.Leaving(), c.Out())
	}
	slot = c.Start(post, 2, nil)
	c.Wrote(3)
	c.Cancel(slot)
	if c.Free() != 0 || c.Active() != 0 || !c.Leaving() || len(c.Out()) > 0 {
		t.Errorf("%d free, %d active, leaving %t, %q to write; want it to be left", c.Free(), c.Active(), c.Leaving(), c.Out())
	}
	if err := feed(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0); err != nil {
		t.Errorf("what comes late: %v", err)
	}
	c.Fail(exchange.ConnectionLost)
	if len(c.Done()) != 0 {
		t.Errorf("%+v is reported, though it was cancelled", c.Done())
	}
}

// TestGoAways counts what peers announce, not what we conclude.
func TestGoAways(t *testing.T) {
	tests := []struct {
		name, answer string
		want         int
	}{
		{"stays", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 1},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 1},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := asked(t, get)
			if err := feed(c, tt.answer, 0); err != nil {
				t.Fatal(err)
			}
			if got := c.GoAways(); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// TestLargeAnswer: the bounds hold for header block and trailers apart, and of an
// error's body no more is kept than is looked at.
func TestLargeAnswer(t *testing.T) {
	c := asked(t, get)
	fields := strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 200)
	body := strings.Repeat("z", 5000)
	answer := "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n" + fields + "\r\n1388\r\n" + body + "\r\n0\r\n" + fields + "\r\n"
	if err := feed(c, answer, 300); err != nil {
		t.Fatal(err)
	}
	if d := one(t, c); d.Received != 5000 || d.Class != exchange.Service5xx {
		t.Errorf("%+v, want an error of 5000 bytes", d)
	}
	if got := len(c.look); got != looked {
		t.Errorf("%d bytes of the body are kept, want %d", got, looked)
	}
}

func TestBackends(t *testing.T) {
	c := New(testConfig())
	for i := range 2 * maxBackends {
		name := fmt.Sprintf("pod-%d", i)
		c.Start(get, 1, nil)
		sent(c, 1<<20)
		if err := feed(c, "HTTP/1.1 200 OK\r\nX-Backend: "+name+"\r\nContent-Length: 0\r\n\r\n", 0); err != nil {
			t.Fatal(err)
		}
		if d := one(t, c); d.Backend != name {
			t.Errorf("backend %q, want %q", d.Backend, name)
		}
	}
	if got := len(c.backends); got > maxBackends {
		t.Errorf("%d names are kept", got)
	}
}

func TestPeerLimit(t *testing.T) {
	c := New(testConfig())
	if _, ok := c.PeerLimit(); ok || !c.Ready() {
		t.Error("the protocol has no limit and no greeting")
	}
	c.Shutdown()
	if len(c.Out()) > 0 {
		t.Errorf("the goodbye is %q", c.Out())
	}
}
