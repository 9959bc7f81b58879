package h2

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// Config is what all connections of a session share.
type Config struct {
	Requests   []exchange.Request // the kinds that Start may be asked for
	MaxStreams int                // open at once, ≥ 1, however many the peer allows
	// BackendHeader is the field, in lower case, whose value names the backend
	// that answered; empty: none.
	BackendHeader string
	// Reader sees what answers bring, and of their fields those that Fields names,
	// in lower case; nil: nobody does. It belongs to one connection.
	Reader Reader
	Fields []string
}

// The limits of a connection, in bytes where nothing else is said.
const (
	frameHeader   = 9
	maxFrame      = 16 << 10 // the largest frame payload we accept: the protocol's default
	streamWindow  = 4 << 20  // bodies are discarded, so windows cost no memory
	connWindow    = 1 << 30
	initialWindow = 65535 // of the protocol
	maxWindow     = math.MaxInt32
	maxBlock      = 256 << 10 // one header block with its continuations
	maxPieces     = 64        // continuations of one header block
	maxOut        = 1 << 20   // unsent bytes that a peer may cause by what it sends
	uploadBuffer  = 128 << 10 // of bodies, in Out at once
	keptOut       = 512 << 10 // that an empty Out keeps
	wholeBody     = 1 << 10   // DATA of errors up to this size is looked at as a whole
	maxStreamID   = 1<<31 - 1
)

// Conn is one connection. All methods belong to one goroutine.
type Conn struct {
	cfg      *Config
	requests []exchange.Request
	encoder  encoder
	decoder  decoder
	meta     meta
	latest   latest
	backends backends

	streams   []stream
	free      int32 // first free slot, −1: none
	index     index
	active    int
	nextID    uint32
	uploads   []int32 // slots with a body that is not wholly out
	peerMax   uint32  // concurrent streams
	limited   bool    // the peer has set peerMax
	peerFrame int
	// peerWindow is what a new stream may send; sendWindow what the connection may.
	peerWindow, sendWindow int64
	unreturned             int64 // bytes that the peer's window of the connection lacks

	out  []byte
	took int // bytes of out that were written
	done []exchange.Completion

	pend     []byte // a frame that has come in part
	skip     int    // bytes of DATA still to come
	skipSlot int32  // its stream, −1: closed already
	skipEnd  bool   // it ends the stream
	skipLook bool   // somebody looks at it
	fragment []byte // a header block that has come in part
	pieces   int
	blockID  uint32 // its stream; 0: no header block is open
	blockEnd bool   // it ends the stream
	now      int64

	ready    bool // the peer's settings are in
	goneAway bool // the peer wants no new streams
	goAways  int
	dead     bool
}

var _ exchange.Conn = (*Conn)(nil)

// Error is a connection error: the peer has been sent a GOAWAY with Code (in
// Out), and the connection is of no more use.
type Error struct {
	Code   http2.ErrCode
	Reason string
}

// Error says what the peer did.
func (e *Error) Error() string { return fmt.Sprintf("http/2 %s: %s", e.Code, e.Reason) }

// New returns a connection with its preface in Out.
func New(cfg *Config) *Conn {
	c := &Conn{
		cfg: cfg, requests: cfg.Requests, encoder: newEncoder(len(cfg.Requests)), free: -1, nextID: 1, skipSlot: -1,
		peerMax: math.MaxUint32, peerFrame: maxFrame, peerWindow: initialWindow, sendWindow: initialWindow,
	}
	c.decoder.limit = decoderTable
	c.decoder.want(wantedNames(cfg, cfg.Requests))
	c.out = append(c.out, http2.ClientPreface...)
	c.out = appendHeader(c.out, 12, http2.FrameSettings, 0, 0)
	c.out = appendSetting(c.out, http2.SettingEnablePush, 0)
	c.out = appendSetting(c.out, http2.SettingInitialWindowSize, streamWindow)
	c.out = appendWindowUpdate(c.out, 0, connWindow-initialWindow)
	return c
}

// Ready reports whether the peer's settings are in, so that streams may be opened.
func (c *Conn) Ready() bool { return c.ready }

// Free returns how many streams can be opened now.
func (c *Conn) Free() int {
	if !c.ready || c.goneAway || c.dead {
		return 0
	}
	return max(0, int(min(uint64(c.cfg.MaxStreams), uint64(c.peerMax)))-c.active)
}

// Active returns how many streams are open.
func (c *Conn) Active() int { return c.active }

// Leaving reports whether no stream can be opened any more, though those that
// are open may still be answered.
func (c *Conn) Leaving() bool { return c.goneAway }

// GoAways returns how many GOAWAY frames have come in.
func (c *Conn) GoAways() int { return c.goAways }

// PeerLimit returns how many concurrent streams the peer allows; ok is false
// when it has set no limit.
func (c *Conn) PeerLimit() (streams uint32, ok bool) { return c.peerMax, c.limited }

// Out returns the bytes that wait to be written, valid until the next call of
// another method.
func (c *Conn) Out() []byte { return c.out[c.took:] }

// Wrote takes note that the first n bytes of Out were written.
func (c *Conn) Wrote(n int) {
	c.took += n
	switch {
	case c.took < len(c.out) && c.took < uploadBuffer:
		return
	case c.took == len(c.out) && cap(c.out) > keptOut:
		c.out = nil // what a burst has needed
	default: // nothing is left, or what is written is worth its room
		c.out = c.out[:copy(c.out, c.out[c.took:])]
	}
	c.took = 0
}

// Done returns what ended since the last Forget, valid until then.
func (c *Conn) Done() []exchange.Completion { return c.done }

// Forget empties Done.
func (c *Conn) Forget() { c.done = c.done[:0] }

// Start opens a stream for a kind of request. The token comes back in Done. The
// slot is for Cancel. It must not be called when Free is 0.
func (c *Conn) Start(kind int, token uint32, v *exchange.Variation) (slot int32) {
	request := &c.requests[kind]
	id := c.nextID
	c.nextID += 2
	if c.nextID > maxStreamID-2 {
		c.goneAway = true // identifiers are used up
	}
	slot, s := c.open(id, token, kind)
	s.check = request.Check
	s.body = request.Body
	var block []byte
	if v == nil {
		block = c.encoder.block(kind, request.Fields)
	} else {
		block = c.encoder.vary(kind, request.Fields, v)
		if v.HasBody {
			s.own = append(s.own[:0], v.Body...)
			s.body = s.own
		}
	}
	c.writeBlock(id, block, len(s.body) == 0)
	if len(s.body) > 0 {
		s.uploading = true
		c.uploads = append(c.uploads, slot)
		c.Pump()
	}
	return slot
}

// Update replaces the kinds of request for streams that are opened from now on.
func (c *Conn) Update(requests []exchange.Request) {
	c.requests = requests
	c.encoder.forget()
	c.decoder.want(wantedNames(c.cfg, requests))
}

// Ended does nothing: the end of a connection ends no answer of HTTP/2.
func (c *Conn) Ended(int64) {}

// writeBlock writes a header block, in pieces when the peer's frames are too
// small for it.
func (c *Conn) writeBlock(id uint32, fragment []byte, end bool) {
	flags := http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	kind := http2.FrameHeaders
	for {
		n := min(len(fragment), c.peerFrame)
		if n == len(fragment) {
			flags |= http2.FlagHeadersEndHeaders
		}
		c.out = appendHeader(c.out, n, kind, flags, id)
		c.out = append(c.out, fragment[:n]...)
		fragment = fragment[n:]
		if flags.Has(http2.FlagHeadersEndHeaders) {
			return
		}
		kind, flags = http2.FrameContinuation, 0
	}
}

// Pump moves request bodies into Out as far as the windows go and Out is not
// too full. It is called by Start, and has to be called when Out was written.
func (c *Conn) Pump() {
	for i := 0; i < len(c.uploads); {
		slot := c.uploads[i]
		s := &c.streams[slot]
		body := s.body
		for s.sent < len(body) && len(c.out)-c.took < uploadBuffer {
			n := int(min(int64(len(body)-s.sent), s.sendWindow, c.sendWindow, int64(c.peerFrame)))
			if n <= 0 {
				break
			}
			flags := http2.Flags(0)
			if s.sent+n == len(body) {
				flags = http2.FlagDataEndStream
			}
			c.out = appendHeader(c.out, n, http2.FrameData, flags, s.id)
			c.out = append(c.out, body[s.sent:s.sent+n]...)
			s.sent += n
			s.sendWindow -= int64(n)
			c.sendWindow -= int64(n)
		}
		if s.sent == len(body) {
			s.uploading = false
			c.uploads = append(c.uploads[:i], c.uploads[i+1:]...)
			continue
		}
		if c.sendWindow <= 0 || len(c.out)-c.took >= uploadBuffer {
			return
		}
		i++
	}
}

// dropUpload forgets a body that is not wholly out.
func (c *Conn) dropUpload(slot int32) {
	for i, s := range c.uploads {
		if s == slot {
			c.uploads = append(c.uploads[:i], c.uploads[i+1:]...)
			return
		}
	}
}

func (c *Conn) writeReset(id uint32, code http2.ErrCode) {
	c.out = appendHeader(c.out, 4, http2.FrameRSTStream, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

// Shutdown writes a GOAWAY without error, before a connection is closed.
func (c *Conn) Shutdown() { c.writeGoAway(http2.ErrCodeNo) }

func (c *Conn) writeGoAway(code http2.ErrCode) {
	c.out = appendHeader(c.out, 8, http2.FrameGoAway, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, 0) // the peer opens no streams
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

// fail is a connection error.
func (c *Conn) fail(code http2.ErrCode, format string, args ...any) error {
	c.writeGoAway(code)
	c.dead = true
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}

func appendHeader(out []byte, length int, kind http2.FrameType, flags http2.Flags, id uint32) []byte {
	return append(out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func appendSetting(out []byte, id http2.SettingID, value uint32) []byte {
	out = binary.BigEndian.AppendUint16(out, uint16(id))
	return binary.BigEndian.AppendUint32(out, value)
}

func appendWindowUpdate(out []byte, id, increment uint32) []byte {
	out = appendHeader(out, 4, http2.FrameWindowUpdate, 0, id)
	return binary.BigEndian.AppendUint32(out, increment)
}
