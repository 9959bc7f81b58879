package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// seeds gives a fuzz target the answers of the tables.
func seeds(f *testing.F) {
	for _, tt := range exchanges() {
		f.Add([]byte(tt.answer), uint8(tt.kind), uint8(3))
	}
	f.Add([]byte("\x00\x00\x12\x04\x00\x00\x00\x00\x00"), uint8(get), uint8(1))
	f.Add([]byte("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"), uint8(get), uint8(1))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), uint8(get), uint8(1))
}

// FuzzIngest feeds what a peer might send, in two ways of cutting it. Nothing may
// panic, the request ends exactly once, both ways agree, and what is kept stays
// bounded.
func FuzzIngest(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, kind, cut uint8) {
		whole := fuzzed(t, b, int(kind)%8, len(b)+1)
		pieces := fuzzed(t, b, int(kind)%8, int(cut)+1)
		if whole != pieces {
			t.Errorf("at once: %+v; in pieces of %d: %+v", whole, int(cut)+1, pieces)
		}
	})
}

// fuzzResult is what must not depend on how bytes are cut.
type fuzzResult struct {
	failed, leaving bool
	done            exchange.Completion
}

func fuzzed(t *testing.T, b []byte, kind, size int) (r fuzzResult) {
	t.Helper()
	c := asked(t, kind)
	longest := len(b)
	for len(b) > 0 {
		n := min(size, len(b))
		err := c.Ingest(bytes.Clone(b[:n]), 1)
		b = b[n:]
		if err != nil {
			r.failed = true
			break
		}
	}
	r.leaving = c.Leaving()
	if got := cap(c.line) + cap(c.look) + cap(c.name); got > 4*(maxBlock+longest) {
		t.Fatalf("%d bytes are kept", got)
	}
	c.Ended(2)
	c.Fail(exchange.ConnectionLost)
	r.done = one(t, c)
	if c.Active() != 0 || c.Free() != 0 || len(c.Out()) > 0 {
		t.Fatal("the connection goes on after its end")
	}
	return r
}

// theirs reads an answer with net/http, as a stream that ends behind it.
func theirs(method string, b []byte) (status int, length int64, leaves bool, err error) {
	reader := bufio.NewReader(bytes.NewReader(b))
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return 0, 0, false, err
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			return 0, 0, false, errors.New("switched")
		}
		n, err := io.Copy(io.Discard, response.Body)
		if err != nil {
			return 0, 0, false, err
		}
		if response.StatusCode >= 200 {
			return response.StatusCode, n, response.Close, nil
		}
	}
}

// FuzzAgainstNetHTTP: an answer that both we and net/http take is the same one to
// both, and what we take, net/http takes as well.
func FuzzAgainstNetHTTP(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, kind, cut uint8) {
		compare(t, b, int(kind)%int(checked))
	})
}

func compare(t *testing.T, b []byte, kind int) {
	t.Helper()
	method := []string{get: "GET", post: "POST", headOnly: "HEAD"}[kind]
	c := asked(t, kind)
	_ = c.Ingest(b, 1)
	c.Ended(2)
	done := c.Done()
	if len(done) == 0 {
		return
	}
	status, length, leaves, err := theirs(method, b)
	if err != nil {
		t.Fatalf("we take %q as %+v, net/http says: %v", b, done[0], err)
	}
	if int(done[0].Status) != status || done[0].Received != length {
		t.Errorf("%q is %d with %d bytes to us, %d with %d to net/http", b, done[0].Status, done[0].Received, status, length)
	}
	if leaves && !c.answer.closing {
		t.Errorf("%q ends the connection for net/http, not for us", b)
	}
}

// TestAgainstNetHTTP holds the tables against net/http.
func TestAgainstNetHTTP(t *testing.T) {
	for _, tt := range exchanges() {
		if tt.kind < checked {
			t.Run(tt.name, func(t *testing.T) { compare(t, []byte(tt.answer), tt.kind) })
		}
	}
}
