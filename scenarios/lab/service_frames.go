package lab

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// handle changes the connection's state by one frame.
func (c *serviceConn) handle(frame http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.Len() > maxOutput {
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		return c.headers(f)
	case *http2.ContinuationFrame:
		return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.DataFrame:
		return c.data(f)
	case *http2.WindowUpdateFrame:
		return c.windowUpdate(f)
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.dirty = true
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.RSTStreamFrame:
		if f.StreamID > c.lastStream {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		c.drop(f.StreamID)
		c.dirty = true // the last stream of a closing connection may be gone
	case *http2.PushPromiseFrame:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return nil // PRIORITY, GOAWAY and unknown frames change nothing here
}

// headers begins a header block.
func (c *serviceConn) headers(f *http2.HeadersFrame) error {
	if f.StreamID%2 == 0 {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	c.blockStream, c.blockEnds = f.StreamID, f.StreamEnded()
	c.method, c.pseudo, c.malformed, c.headerBytes = "", 0, false, 0
	c.size = int64(c.service.config.ResponseBytes)
	c.decoder.SetEmitEnabled(true)
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// sizeParameter is the query of a path that asks for an answer of another size.
const sizeParameter = "?bytes="

// mostAsked is the largest size that a path can ask for, that of
// lab.service.responseBytes.
const mostAsked = 64 << 20

// sizeAsked returns the size of the answer that a path asks for, usual when it
// asks for none that can be had.
func sizeAsked(path string, usual int64) int64 {
	_, asked, found := strings.Cut(path, sizeParameter)
	if !found {
		return usual
	}
	size, err := strconv.ParseInt(asked, 10, 64)
	if err != nil || size < 0 || size > mostAsked {
		return usual
	}
	return size
}

// field receives a decoded header field. Only method and path matter, so decoding
// stops building strings at the first field that is no pseudo-header.
func (c *serviceConn) field(f hpack.HeaderField) {
	if len(f.Name) == 0 || f.Name[0] != ':' {
		c.decoder.SetEmitEnabled(false)
		return
	}
	c.pseudo++
	switch f.Name {
	case ":method":
		c.method = f.Value
	case ":path":
		c.size = sizeAsked(f.Value, c.size)
	case ":scheme", ":authority", ":protocol":
	default:
		c.malformed = true
	}
}

// fragment continues a header block and, at its end, acts on it.
func (c *serviceConn) fragment(block []byte, ended bool) error {
	c.headerBytes += len(block)
	if c.headerBytes > maxHeaderBytes {
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if _, err := c.decoder.Write(block); err != nil {
		return http2.ConnectionError(http2.ErrCodeCompression)
	}
	if !ended {
		return nil
	}
	if err := c.decoder.Close(); err != nil {
		return http2.ConnectionError(http2.ErrCodeCompression)
	}
	if s := c.streams[c.blockStream]; s != nil {
		// Trailers: they end the request, or they are wrong.
		if !c.blockEnds || s.ended || c.pseudo > 0 {
			return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
		}
		return c.complete(s)
	}
	if c.blockStream <= c.lastStream {
		return nil // of a stream that was reset a moment ago
	}
	if c.closing {
		return nil // beyond what GOAWAY promised
	}
	c.lastStream = c.blockStream
	if c.malformed || c.method == "" || c.pseudo < 3 && c.method != "CONNECT" {
		return http2.StreamError{StreamID: c.blockStream, Code: http2.ErrCodeProtocol}
	}
	if len(c.streams) >= maxStreams {
		return http2.StreamError{StreamID: c.blockStream, Code: http2.ErrCodeRefusedStream}
	}
	s := &serviceStream{
		id:         c.blockStream,
		head:       c.method == "HEAD",
		size:       c.size,
		sendWindow: c.initialWindow,
		recvWindow: streamWindow,
	}
	c.streams[s.id] = s
	if c.blockEnds {
		return c.complete(s)
	}
	return nil
}

// complete schedules the answer to a request that has arrived whole.
func (c *serviceConn) complete(s *serviceStream) error {
	s.ended = true
	c.dirty = true
	delay := c.service.delay.sample(c.random)
	if control := c.service.control; control != nil {
		c.requests++
		control.came()
		control.carries(int64(len(c.streams)), c.requests)
		hold, status, refuse, slots := control.treat(delay)
		switch {
		case refuse:
			return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeRefusedStream}
		case slots:
			s.status = status
			c.await(s, hold)
			return nil
		}
		s.status, delay = status, hold
	}
	if delay <= 0 {
		c.answer(s)
		return nil
	}
	c.due.push(time.Since(c.service.start)+delay, s)
	return nil
}

// await lets a request wait for a slot. Once it has one the writer takes it over.
func (c *serviceConn) await(s *serviceStream, hold time.Duration) {
	s.hold = hold
	s.waiter = &waiter{start: func() {
		c.begunMu.Lock()
		c.begun = append(c.begun, s)
		c.begunMu.Unlock()
		c.signal()
	}}
	c.service.control.enter(s.waiter)
}

// begin takes over the requests that have got a slot.
func (c *serviceConn) begin(now time.Duration) {
	c.begunMu.Lock()
	begun := c.begun
	c.begun = nil
	c.begunMu.Unlock()
	for _, s := range begun {
		c.working++
		c.due.push(now+s.hold, s)
	}
}

// data discards a part of a request body and hands the window back.
func (c *serviceConn) data(f *http2.DataFrame) error {
	size := int64(f.Length) // padding counts
	if f.StreamID > c.lastStream && !c.closing {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if c.recvWindow -= size; c.recvWindow < 0 {
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	if c.recvWindow < connectionWindow/2 {
		_ = c.framer.WriteWindowUpdate(0, uint32(connectionWindow-c.recvWindow))
		c.recvWindow = connectionWindow
		c.dirty = true
	}
	s := c.streams[f.StreamID]
	if s == nil {
		return nil // of a stream that was reset a moment ago
	}
	if s.ended {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeStreamClosed}
	}
	if s.recvWindow -= size; s.recvWindow < 0 {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeFlowControl}
	}
	if f.StreamEnded() {
		return c.complete(s)
	}
	if s.recvWindow < streamWindow/2 {
		_ = c.framer.WriteWindowUpdate(s.id, uint32(streamWindow-s.recvWindow))
		s.recvWindow = streamWindow
		c.dirty = true
	}
	return nil
}

const maxWindow = 1<<31 - 1

func (c *serviceConn) windowUpdate(f *http2.WindowUpdateFrame) error {
	c.dirty = true
	if f.StreamID == 0 {
		if c.sendWindow += int64(f.Increment); c.sendWindow > maxWindow {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		return nil
	}
	if f.StreamID > c.lastStream && !c.closing {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	s := c.streams[f.StreamID]
	if s == nil {
		return nil
	}
	if s.sendWindow += int64(f.Increment); s.sendWindow > maxWindow {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeFlowControl}
	}
	if s.answering {
		c.enqueue(s)
	}
	return nil
}

func (c *serviceConn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	err := f.ForeachSetting(func(setting http2.Setting) error {
		if err := setting.Valid(); err != nil {
			return err
		}
		switch setting.ID {
		case http2.SettingHeaderTableSize:
			c.encoder.SetMaxDynamicTableSize(min(setting.Val, 4096))
		case http2.SettingInitialWindowSize:
			return c.resizeWindows(int64(setting.Val))
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.dirty = true
	return c.framer.WriteSettingsAck()
}

// resizeWindows moves every stream's window by the change of the initial one,
// possibly below zero (RFC 9113, 6.9.2).
func (c *serviceConn) resizeWindows(initial int64) error {
	change := initial - c.initialWindow
	c.initialWindow = initial
	for _, s := range c.streams {
		if s.sendWindow += change; s.sendWindow > maxWindow {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		if s.answering {
			c.enqueue(s)
		}
	}
	return nil
}

// dueHeap orders answers by the instant they are due (a binary heap).
type dueHeap struct {
	items []dueItem
}

type dueItem struct {
	at     time.Duration // since the service started
	stream *serviceStream
}

// next returns the earliest instant; ok is false when nothing waits.
func (h *dueHeap) next() (at time.Duration, ok bool) {
	if len(h.items) == 0 {
		return 0, false
	}
	return h.items[0].at, true
}

func (h *dueHeap) push(at time.Duration, s *serviceStream) {
	h.items = append(h.items, dueItem{at, s})
	for i := len(h.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if h.items[parent].at <= h.items[i].at {
			return
		}
		h.items[parent], h.items[i] = h.items[i], h.items[parent]
		i = parent
	}
}

// pop removes and returns the earliest; the heap must not be empty.
func (h *dueHeap) pop() *serviceStream {
	first := h.items[0].stream
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items[last] = dueItem{}
	h.items = h.items[:last]
	for i := 0; ; {
		smallest := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h.items[child].at < h.items[smallest].at {
				smallest = child
			}
		}
		if smallest == i {
			return first
		}
		h.items[i], h.items[smallest] = h.items[smallest], h.items[i]
		i = smallest
	}
}
