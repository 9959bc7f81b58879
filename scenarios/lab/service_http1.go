package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// peekedConn is a connection of which some bytes were looked at already.
type peekedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (p peekedConn) Read(b []byte) (int, error) { return p.reader.Read(b) }

// serveEither serves a connection of HTTP/2 with prior knowledge, or of HTTP/1.1.
func (s *service) serveEither(ctx context.Context, nc net.Conn) {
	s.control.accepted.Add(1)
	s.control.open.add(1)
	defer s.control.open.add(-1)
	stop := context.AfterFunc(ctx, func() { _ = nc.SetReadDeadline(time.Now()) })
	peeked := peekedConn{nc, bufio.NewReaderSize(nc, 16<<10)}
	// A request of HTTP/1.1 is longer than this too.
	first, err := peeked.reader.Peek(len("PRI"))
	if !stop() || err != nil {
		return
	}
	if strings.HasPrefix(http2.ClientPreface, string(first)) {
		s.serveConn(ctx, peeked)
		return
	}
	s.serveHTTP1(ctx, peeked)
}

// serveHTTP1 serves one connection of HTTP/1.1 until it ends.
func (s *service) serveHTTP1(ctx context.Context, nc peekedConn) {
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	random := rand.New(rand.NewPCG(s.config.Seed, uint64(s.config.Replica)<<32|s.counter.Add(1)))
	var ahead lookahead
	defer ahead.end(nc)
	for requests := int64(1); ; requests++ {
		if err := ahead.wait(); err != nil {
			return
		}
		request, err := http.ReadRequest(nc.reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		s.control.came()
		s.control.carries(1, requests)
		hold, status, refuse, slots := s.control.treat(s.delay.sample(random))
		waiting, gone := ctx, context.CancelFunc(func() {})
		if slots {
			// Who closes the connection has given up.
			waiting, gone = context.WithCancel(ctx)
			ahead.start(nc, gone)
		}
		done := !refuse && s.work(ctx, waiting, hold, slots)
		gone()
		if !done {
			s.control.went(false)
			return
		}
		err = s.answerHTTP1(nc, status, request.Method == http.MethodHead)
		s.control.went(err == nil)
		if err != nil || request.Close {
			return
		}
	}
}

// lookahead waits for the next byte of a connection while a request is worked on.
type lookahead struct{ looked chan error }

// start begins to wait, and calls gone when the connection ends instead.
func (l *lookahead) start(nc peekedConn, gone func()) {
	looked := make(chan error, 1)
	l.looked = looked
	go func() {
		_, err := nc.reader.Peek(1)
		if err != nil {
			gone()
		}
		looked <- err
	}()
}

// wait returns when the next byte is there, or nothing was waited for.
func (l *lookahead) wait() error {
	if l.looked == nil {
		return nil
	}
	err := <-l.looked
	l.looked = nil
	return err
}

// end closes the connection, and with it ends what is waited for.
func (l *lookahead) end(nc peekedConn) {
	_ = nc.Close()
	_ = l.wait()
}

// work takes the time of one request, in a slot where that is asked for; it returns
// false when ctx ends first, or waiting before there was a slot.
func (s *service) work(ctx, waiting context.Context, hold time.Duration, slots bool) bool {
	if slots {
		begun := make(chan struct{})
		w := &waiter{start: func() { close(begun) }}
		s.control.enter(w)
		select {
		case <-begun:
			defer s.control.leave()
		case <-waiting.Done():
			w.abandoned.Store(true)
			s.control.settled()
			select {
			case <-begun: // at the same moment
				s.control.leave()
			default:
			}
			return false
		}
	}
	timer := time.NewTimer(hold)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *service) answerHTTP1(nc net.Conn, status int, head bool) error {
	if status == 0 {
		status = http.StatusOK
	}
	size := int(s.config.ResponseBytes)
	text := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n%s: %d\r\n\r\n",
		status, http.StatusText(status), size, BackendHeader, s.config.Replica)
	for !head && size > 0 {
		n := min(size, len(s.body))
		text = append(text, s.body[:n]...)
		size -= n
	}
	if err := nc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := nc.Write(text)
	return err
}
