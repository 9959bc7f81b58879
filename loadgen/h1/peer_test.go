package h1

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// The kinds of request in the tests.
const (
	get = iota
	post
	headOnly
	checked
	put // a body that does not fit beside its head
	options
	closing
	connect
)

func fields(method string, more ...string) []exchange.Field {
	f := []exchange.Field{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "shop.test"}, {Name: ":path", Value: "/a?b=c"},
	}
	for i := 0; i < len(more); i += 2 {
		f = append(f, exchange.Field{Name: more[i], Value: more[i+1]})
	}
	return f
}

func testConfig() *Config {
	return &Config{
		BackendHeader: "x-backend",
		Requests: []exchange.Request{
			get:      {Name: "get", Fields: fields("GET", "accept", "*/*")},
			post:     {Name: "post", Fields: fields("POST", "content-length", "999"), Body: []byte("hello")},
			headOnly: {Name: "head", Fields: fields("HEAD")},
			checked:  {Name: "checked", Fields: fields("GET"), Check: &exchange.Check{Header: exchange.Field{Name: "x-version", Value: "v2"}, Body: []byte("needle")}},
			put:      {Name: "put", Fields: fields("PUT"), Body: bytes.Repeat([]byte("0123456789"), 20_000)},
			options:  {Name: "options", Fields: fields("OPTIONS")},
			closing:  {Name: "closing", Fields: fields("GET", "connection", "Close")},
			connect:  {Name: "connect", Fields: fields("CONNECT")},
		},
	}
}

// sent takes all that waits to be written, at most n bytes at a time.
func sent(c *Conn, n int) string {
	var text strings.Builder
	for len(c.Out()) > 0 {
		b := c.Out()[:min(n, len(c.Out()))]
		text.Write(b)
		c.Wrote(len(b))
		c.Pump()
	}
	return text.String()
}

// asked returns a connection with a request of a kind in flight, all of it written.
func asked(tb testing.TB, kind int) *Conn {
	tb.Helper()
	c := New(testConfig())
	c.Start(kind, 77, nil)
	sent(c, 1<<20)
	return c
}

// served makes a connection one that has answered before.
func served(tb testing.TB, c *Conn) *Conn {
	tb.Helper()
	c.Start(get, 1, nil)
	sent(c, 1<<20)
	if err := c.Ingest([]byte("HTTP/1.1 204 No Content\r\n\r\n"), 1); err != nil {
		tb.Fatal(err)
	}
	if len(c.Done()) != 1 || c.Free() != 1 {
		tb.Fatalf("done %+v, %d free", c.Done(), c.Free())
	}
	c.Forget()
	return c
}

// feed gives a connection bytes in pieces; 0 is all at once.
func feed(c *Conn, b string, size int) error {
	if size == 0 {
		size = len(b)
	}
	for len(b) > 0 {
		n := min(size, len(b))
		if err := c.Ingest([]byte(b[:n]), 1); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// one returns the only request that ended.
func one(tb testing.TB, c *Conn) exchange.Completion {
	tb.Helper()
	done := c.Done()
	if len(done) != 1 {
		tb.Fatalf("%d requests ended, want 1", len(done))
	}
	d := done[0]
	c.Forget()
	return d
}
