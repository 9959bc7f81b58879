//go:build linux

package loadgen_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

const (
	plainAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	lastAnswer  = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
)

// serveHTTP1 runs a server that writes greeting on each connection and then calls
// answer for the nth request of a connection, from 0, until that returns false.
func serveHTTP1(t *testing.T, greeting string, answer func(conn net.Conn, n int) bool) scenarios.Plan {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, greeting)
				reader := bufio.NewReader(conn)
				for n := 0; ; n++ {
					request, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, request.Body); err != nil || !answer(conn, n) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait() // sessions have closed their connections
	})
	plan := planFor(listener.Addr().String())
	plan.Endpoint.Protocol = scenarios.ProtocolHTTP1
	plan.Timeout = 2 * time.Second
	return plan
}

// TestHTTP1 are servers that end connections in their own ways. Each of four
// connections has one request in flight.
func TestHTTP1(t *testing.T) {
	say := func(text string, goOn bool) func(net.Conn, int) bool {
		return func(conn net.Conn, _ int) bool {
			_, err := io.WriteString(conn, text)
			return goOn && err == nil
		}
	}
	wordless := func(conn net.Conn, n int) bool { return n < 10 && say(plainAnswer, true)(conn, n) }
	tests := []struct {
		name   string
		method string
		answer func(net.Conn, int) bool
		want   func(record.Phase) bool
	}{
		{"keep-alive", "GET", say(plainAnswer, true), func(p record.Phase) bool {
			return p.Counts.Answered == p.Counts.Intended && p.Connection.Opened == 4
		}},
		{"each answer says that it is the last", "GET", say(lastAnswer, false), func(p record.Phase) bool {
			return p.Counts.Answered == p.Counts.Intended && p.Connection.Opened >= p.Counts.Answered && p.Connection.GoAways == p.Counts.Answered
		}},
		{"the end is the end of the answer", "GET", say("HTTP/1.1 200 OK\r\n\r\nok", false), func(p record.Phase) bool {
			return p.Counts.Answered == p.Counts.Intended && p.Connection.Opened >= p.Counts.Answered
		}},
		{"closed without a word, GET", "GET", wordless, func(p record.Phase) bool {
			return p.Counts.Answered == p.Counts.Intended && p.Connection.Retried > p.Counts.Answered/20
		}},
		{"closed without a word, POST", "POST", wordless, func(p record.Phase) bool {
			return p.Counts.Failed > p.Counts.Answered/20 && p.Connection.Retried == 0 && p.Errors["connection-lost"] == p.Counts.Failed
		}},
		{"closed amid the answer", "GET", say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", false), func(p record.Phase) bool {
			return p.Counts.Answered == 0 && p.Counts.Failed > 0 && p.Errors["connection-lost"] == p.Counts.Failed
		}},
		{"no answer", "GET", func(net.Conn, int) bool { return true }, func(p record.Phase) bool {
			return p.Counts.Answered == 0 && p.Counts.TimedOut > 4 && p.Connection.Opened > 4
		}},
		{"breach", "GET", say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", true), func(p record.Phase) bool {
			return p.Counts.Answered == 0 && p.Counts.Failed > 0 && p.Errors["protocol-error"] == p.Counts.Failed &&
				strings.Contains(strings.ToLower(p.Connection.ProtocolError), "content-length")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := serveHTTP1(t, "", tt.answer)
			plan.Requests[0].Method = tt.method
			if tt.name == "no answer" {
				plan.Timeout = 100 * time.Millisecond
			}
			sink := &collect{}
			facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
				Process: scenarios.Constant, Rate: scenarios.PerSecond(300), Duration: 500 * time.Millisecond, Interval: 100 * time.Millisecond,
			}, sink, loadgen.Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkAccounts(t, facts, sink)
			if !tt.want(facts) {
				t.Errorf("counts %+v, errors %v, connections %+v", facts.Counts, facts.Errors, facts.Connection)
			}
		})
	}
}

// TestHTTP1Elsewhere: a server that speaks something else is told by its first bytes.
func TestHTTP1Elsewhere(t *testing.T) {
	for _, tt := range []struct{ name, greeting, want string }{
		{"HTTP/2", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "the server speaks HTTP/2"},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS"},
		{"SSH", "SSH-2.0-server\r\n", "http/1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := serveHTTP1(t, tt.greeting, func(net.Conn, int) bool { return true })
			_, err := loadgen.Check(context.Background(), plan, loadgen.Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
