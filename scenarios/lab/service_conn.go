package lab

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What the test service grants its peers, and what it bounds.
const (
	maxDataFrame     = 16 << 10 // every peer must accept frames of this size
	streamWindow     = 256 << 10
	connectionWindow = 1 << 20
	maxStreams       = 1 << 16
	maxHeaderBytes   = 64 << 10
	outputTarget     = 256 << 10 // DATA is produced only while less than this waits to be written
	maxOutput        = 4 << 20   // a peer that makes us answer this much without reading is cut off
	handshakeTime    = 10 * time.Second
	writeTime        = 30 * time.Second
)

// serviceConn is one connection. The reader goroutine decodes frames and
// changes the state; the writer goroutine alone writes to the network: it
// releases answers when they are due and gathers all that is ready into one
// write.
type serviceConn struct {
	service *service
	nc      net.Conn
	framer  *http2.Framer // reads from nc: the reader's; writes into out: under mu
	decoder *hpack.Decoder
	random  *rand.Rand

	// Of the reader only: the header block being read.
	method      string
	size        int64 // of the answer's body
	pseudo      int   // pseudo-header fields seen
	malformed   bool  // the request must be refused
	headerBytes int
	blockStream uint32
	blockEnds   bool // the block carries END_STREAM

	wake chan struct{} // size 1: something for the writer to do
	gone chan struct{} // closed when the reader ends

	mu            sync.Mutex // guards what follows
	out           bytes.Buffer
	encoder       *hpack.Encoder
	headerBlock   bytes.Buffer
	streams       map[uint32]*serviceStream
	due           dueHeap
	ready         []*serviceStream // have body bytes and stream window; served in turn
	readyHead     int
	lastStream    uint32
	sendWindow    int64 // of the connection
	initialWindow int64 // of new streams, by the peer's SETTINGS
	recvWindow    int64 // what the peer may still send on the connection
	dirty         bool  // the writer has to look
	closing       bool  // GOAWAY sent; ends when no stream is left
	fatal         bool  // GOAWAY with an error sent; ends now
	requests      int64 // that came in whole; counted where the service takes faults
	working       int   // of its requests that have a slot

	begunMu sync.Mutex // guards begun; taken after mu
	begun   []*serviceStream
}

// serviceStream is one request and its answer.
type serviceStream struct {
	id         uint32
	head       bool  // the answer has no body
	size       int64 // of the answer's body otherwise
	ended      bool  // the request is complete
	answering  bool  // the answer's headers are out
	queued     bool  // in ready
	cancelled  bool
	status     int // of the answer; 0: 200
	hold       time.Duration
	waiter     *waiter // nil: it needs no slot
	remaining  int64   // body bytes to send
	sendWindow int64
	recvWindow int64
}

func (s *service) newConn(nc net.Conn) *serviceConn {
	c := &serviceConn{
		service:       s,
		nc:            nc,
		random:        rand.New(rand.NewPCG(s.config.Seed, uint64(s.config.Replica)<<32|s.counter.Add(1))),
		wake:          make(chan struct{}, 1),
		gone:          make(chan struct{}),
		streams:       make(map[uint32]*serviceStream),
		sendWindow:    65535,
		initialWindow: 65535,
		recvWindow:    connectionWindow,
	}
	c.framer = http2.NewFramer(&c.out, bufio.NewReaderSize(wakingReader{c}, 16<<10))
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(maxDataFrame)
	c.decoder = hpack.NewDecoder(4096, c.field)
	c.decoder.SetMaxStringLength(maxHeaderBytes)
	c.encoder = hpack.NewEncoder(&c.headerBlock)
	return c
}

// serveConn serves one connection until it ends; it closes nc.
func (s *service) serveConn(ctx context.Context, nc net.Conn) {
	c := s.newConn(nc)
	stop := context.AfterFunc(ctx, c.goAway)
	defer stop()
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.read()
	close(c.gone)
	writer.Wait()
	_ = nc.Close()
	if s.control != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		for id := range c.streams {
			c.drop(id)
		}
		s.control.settled()
		c.begin(0)
		for range c.working {
			s.control.leave()
		}
	}
}

// wakingReader wakes the writer just before the reader may block: by then all
// that came in one read has been handled, and goes out in one write.
type wakingReader struct{ c *serviceConn }

func (r wakingReader) Read(p []byte) (int, error) {
	r.c.mu.Lock()
	dirty := r.c.dirty
	r.c.dirty = false
	r.c.mu.Unlock()
	if dirty {
		r.c.signal()
	}
	return r.c.nc.Read(p)
}

func (c *serviceConn) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// goAway tells the peer to open no more streams.
func (c *serviceConn) goAway() {
	c.mu.Lock()
	if !c.closing && !c.fatal {
		c.closing = true
		_ = c.framer.WriteGoAway(c.lastStream, http2.ErrCodeNo, nil) // into memory
	}
	c.mu.Unlock()
	c.signal()
}

// read handles frames until the connection ends.
func (c *serviceConn) read() {
	if err := c.nc.SetReadDeadline(time.Now().Add(handshakeTime)); err != nil {
		return
	}
	preface := make([]byte, len(http2.ClientPreface))
	reader := wakingReader{c}
	if _, err := io.ReadFull(reader, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	c.mu.Lock()
	_ = c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: maxStreams},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaderBytes},
	)
	_ = c.framer.WriteWindowUpdate(0, connectionWindow-65535)
	c.dirty = true
	c.mu.Unlock()
	for first := true; ; first = false {
		frame, err := c.framer.ReadFrame()
		if err == nil && first {
			if _, ok := frame.(*http2.SettingsFrame); !ok {
				err = http2.ConnectionError(http2.ErrCodeProtocol)
			} else if err = c.nc.SetReadDeadline(time.Time{}); err != nil {
				return
			}
		}
		if err == nil {
			err = c.handle(frame)
		}
		if err != nil && !c.survives(err) {
			return
		}
	}
}

// survives answers a protocol error: a stream's with RST_STREAM, the
// connection's with GOAWAY. It reports whether the connection goes on.
func (c *serviceConn) survives(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dirty = true
	switch e := err.(type) { //nolint:errorlint // the framer returns them bare
	case http2.StreamError:
		_ = c.framer.WriteRSTStream(e.StreamID, e.Code)
		c.drop(e.StreamID)
		return true
	case http2.ConnectionError:
		c.fatal = true
		_ = c.framer.WriteGoAway(c.lastStream, http2.ErrCode(e), nil)
	default:
		if err == http2.ErrFrameTooLarge { //nolint:errorlint // as above
			c.fatal = true
			_ = c.framer.WriteGoAway(c.lastStream, http2.ErrCodeFrameSize, nil)
		}
	}
	return false
}

// drop forgets a stream; what is queued for it is skipped.
func (c *serviceConn) drop(id uint32) {
	if s := c.streams[id]; s != nil {
		if c.service.control != nil && s.ended && !s.answering {
			c.service.control.went(false)
		}
		if s.waiter != nil {
			s.waiter.abandoned.Store(true)
		}
		s.cancelled = true
		delete(c.streams, id)
	}
}

// write is the writer goroutine.
func (c *serviceConn) write() {
	defer func() {
		// Ends the reader, should the writer end first.
		_ = c.nc.Close()
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare []byte
	var drainUntil time.Time
	for {
		c.mu.Lock()
		now := time.Since(c.service.start)
		c.release(now)
		c.pump()
		pending := append(spare[:0], c.out.Bytes()...)
		spare = pending
		c.out.Reset()
		next, waiting := c.due.next()
		ends := c.fatal || c.closing && len(c.streams) == 0
		draining := c.closing
		c.mu.Unlock()

		if len(pending) > 0 {
			if err := c.nc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
				return
			}
			if _, err := c.nc.Write(pending); err != nil {
				return
			}
		}
		if ends {
			return
		}
		if len(pending) > 0 {
			continue // time has passed: more may be due
		}
		wait := time.Hour
		if waiting {
			wait = next - now
		}
		if draining {
			if drainUntil.IsZero() {
				drainUntil = time.Now().Add(drainTime)
			}
			left := time.Until(drainUntil)
			if left <= 0 {
				return
			}
			wait = min(wait, left)
		}
		timer.Reset(wait)
		select {
		case <-c.wake:
		case <-timer.C:
		case <-c.gone:
			c.flushLast()
			return
		}
	}
}

// flushLast writes what the reader left behind when it ended: a GOAWAY with
// the reason, if there was one.
func (c *serviceConn) flushLast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fatal && c.out.Len() > 0 {
		_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.nc.Write(c.out.Bytes())
	}
}

// release starts the answers that are due.
func (c *serviceConn) release(now time.Duration) {
	c.begin(now)
	for {
		at, waiting := c.due.next()
		if !waiting || at > now {
			return
		}
		s := c.due.pop()
		if s.waiter != nil {
			c.working--
			c.service.control.leave()
		}
		if !s.cancelled {
			c.answer(s)
		}
	}
}

// answer writes the headers and queues the body.
func (c *serviceConn) answer(s *serviceStream) {
	c.headerBlock.Reset()
	size := strconv.FormatInt(s.size, 10)
	status := "200"
	if s.status != 0 {
		status = strconv.Itoa(s.status)
	}
	if c.service.control != nil {
		c.service.control.went(true)
	}
	for _, field := range [...]hpack.HeaderField{
		{Name: ":status", Value: status},
		{Name: "content-type", Value: "application/octet-stream"},
		{Name: "content-length", Value: size},
		{Name: BackendHeader, Value: strconv.Itoa(c.service.config.Replica)},
	} {
		_ = c.encoder.WriteField(field) // into memory
	}
	s.answering = true
	if !s.head {
		s.remaining = s.size
	}
	_ = c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID:      s.id,
		BlockFragment: c.headerBlock.Bytes(),
		EndHeaders:    true,
		EndStream:     s.remaining == 0,
	})
	if s.remaining == 0 {
		delete(c.streams, s.id)
		return
	}
	c.enqueue(s)
}

// enqueue puts a stream that can send into ready, once.
func (c *serviceConn) enqueue(s *serviceStream) {
	if !s.queued && s.remaining > 0 && s.sendWindow > 0 {
		s.queued = true
		c.ready = append(c.ready, s)
	}
}

// pump turns body bytes into DATA frames, in turn over the streams that have
// some, as far as windows and the output bound permit.
func (c *serviceConn) pump() {
	for c.readyHead < len(c.ready) && c.sendWindow > 0 && c.out.Len() < outputTarget {
		s := c.ready[c.readyHead]
		c.ready[c.readyHead] = nil
		c.readyHead++
		s.queued = false
		if s.cancelled {
			continue
		}
		n := min(s.remaining, s.sendWindow, c.sendWindow, maxDataFrame)
		if n <= 0 {
			continue // SETTINGS shrank its window; WINDOW_UPDATE queues it again
		}
		s.remaining -= n
		s.sendWindow -= n
		c.sendWindow -= n
		_ = c.framer.WriteData(s.id, s.remaining == 0, c.service.body[:n])
		if s.remaining == 0 {
			delete(c.streams, s.id)
			continue
		}
		c.enqueue(s)
	}
	if c.readyHead > 0 && c.readyHead >= len(c.ready)/2 {
		c.ready, c.readyHead = slices.Delete(c.ready, 0, c.readyHead), 0
	}
}
