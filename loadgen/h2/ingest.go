package h2

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// head is a frame header.
type head struct {
	length int
	kind   http2.FrameType
	flags  http2.Flags
	id     uint32
}

func parseHead(b []byte) head {
	return head{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   http2.FrameType(b[3]),
		flags:  http2.Flags(b[4]),
		id:     binary.BigEndian.Uint32(b[5:]) & maxStreamID,
	}
}

// Ingest takes bytes that came in at an instant; b may be reused when it
// returns. An error is of type *Error and ends the connection; what had ended
// before it is in Done.
func (c *Conn) Ingest(b []byte, now int64) error {
	if c.dead {
		return &Error{Code: http2.ErrCodeNo, Reason: "the connection has ended"}
	}
	c.now = now
	for len(b) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(b))
			c.skip -= n
			if c.skipLook && c.skipSlot >= 0 {
				c.look(c.skipSlot, b[:n])
			}
			b = b[n:]
			if c.skip == 0 {
				c.endData()
			}
			continue
		}
		rest, err := c.frame(b)
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// frame takes one frame, or the part of one that has come, from b and returns
// what is left of b.
func (c *Conn) frame(b []byte) ([]byte, error) {
	if len(c.pend) > 0 || len(b) < frameHeader {
		n := min(max(0, frameHeader-len(c.pend)), len(b))
		c.pend = append(c.pend, b[:n]...)
		b = b[n:]
		if len(c.pend) < frameHeader {
			return b, c.looksForeign(c.pend)
		}
	}
	raw := b
	if len(c.pend) > 0 {
		raw = c.pend
	}
	h := parseHead(raw)
	if len(c.pend) <= frameHeader { // no payload of it was taken yet
		if err := c.checkHead(h, raw); err != nil {
			return b, err
		}
		if h.kind == http2.FrameData && c.streamable(h) {
			if len(c.pend) > 0 {
				c.pend = c.pend[:0]
			} else {
				b = b[frameHeader:]
			}
			return b, c.beginData(h)
		}
	}
	whole := frameHeader + h.length
	if len(c.pend) == 0 && len(b) >= whole {
		return b[whole:], c.handle(h, b[frameHeader:whole])
	}
	n := min(whole-len(c.pend), len(b))
	c.pend = append(c.pend, b[:n]...)
	b = b[n:]
	if len(c.pend) < whole {
		return b, nil
	}
	err := c.handle(h, c.pend[frameHeader:whole])
	c.pend = c.pend[:0]
	return b, err
}

// looksForeign recognises peers that do not speak HTTP/2 by the first bytes
// they send.
func (c *Conn) looksForeign(b []byte) error {
	switch {
	case c.ready || len(b) < 5:
		return nil
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return c.fail(http2.ErrCodeHTTP11Required, "asked for HTTP/2, the server answered in HTTP/1")
	case b[0] == 0x15 && b[1] == 3: // a TLS alert
		return c.fail(http2.ErrCodeProtocol, "asked for cleartext HTTP/2, the server speaks TLS")
	}
	return nil
}

// checkHead checks what can be known from the header of a frame.
func (c *Conn) checkHead(h head, raw []byte) error {
	if !c.ready {
		if err := c.looksForeign(raw[:frameHeader]); err != nil {
			return err
		}
		if h.kind != http2.FrameSettings || h.flags.Has(http2.FlagSettingsAck) {
			return c.fail(http2.ErrCodeProtocol, "the first frame is %s, not SETTINGS", h.kind)
		}
	}
	if h.length > maxFrame {
		return c.fail(http2.ErrCodeFrameSize, "a %s frame of %d bytes, allowed are %d", h.kind, h.length, maxFrame)
	}
	if c.blockID != 0 && (h.kind != http2.FrameContinuation || h.id != c.blockID) {
		return c.fail(http2.ErrCodeProtocol, "a %s frame inside a header block", h.kind)
	}
	return nil
}

// streamable reports whether DATA can be passed over as it comes. What is
// padded, or short enough to be a proxy's error message, is looked at as a whole.
func (c *Conn) streamable(h head) bool {
	if h.flags.Has(http2.FlagDataPadded) {
		return false
	}
	if h.length > wholeBody {
		return true
	}
	slot := c.index.find(h.id)
	return slot < 0 || c.streams[slot].status < 400 || c.streams[slot].bodyLooked
}

// countData accounts for a DATA frame in both windows and returns its stream's
// slot, −1 when the stream has ended.
func (c *Conn) countData(h head) (int32, error) {
	if h.id == 0 || h.id%2 == 0 || h.id >= c.nextID {
		return -1, c.fail(http2.ErrCodeProtocol, "DATA on stream %d, which was never opened", h.id)
	}
	n := int64(h.length)
	c.unreturned += n
	if c.unreturned > connWindow {
		return -1, c.fail(http2.ErrCodeFlowControl, "DATA beyond the window of the connection")
	}
	if c.unreturned >= connWindow/2 {
		c.out = appendWindowUpdate(c.out, 0, uint32(c.unreturned))
		c.unreturned = 0
	}
	slot := c.index.find(h.id)
	if slot < 0 {
		return -1, nil
	}
	s := &c.streams[slot]
	s.unreturned += n
	if s.unreturned > streamWindow {
		c.writeReset(s.id, http2.ErrCodeFlowControl)
		c.finish(slot, exchange.Reset, exchange.ProtocolError)
		return -1, nil
	}
	if s.status == 0 {
		c.breach(slot) // a body before the header block
		return -1, nil
	}
	if s.unreturned >= streamWindow/2 && !h.flags.Has(http2.FlagDataEndStream) {
		c.out = appendWindowUpdate(c.out, s.id, uint32(s.unreturned))
		s.unreturned = 0
	}
	return slot, nil
}

func (c *Conn) beginData(h head) error {
	slot, err := c.countData(h)
	if err != nil {
		return err
	}
	if slot >= 0 {
		c.streams[slot].received += int64(h.length)
	}
	c.skip, c.skipSlot, c.skipEnd = h.length, slot, h.flags.Has(http2.FlagDataEndStream)
	c.skipLook = slot >= 0 && (c.cfg.Reader != nil || c.streams[slot].check != nil)
	if c.skip == 0 {
		c.endData()
	}
	return nil
}

// look shows a piece of a stream's body to whom it may concern.
func (c *Conn) look(slot int32, piece []byte) {
	if s := &c.streams[slot]; s.check != nil {
		s.check.Data(&s.progress, piece)
	}
	if c.cfg.Reader != nil {
		c.cfg.Reader.Data(slot, piece)
	}
}

func (c *Conn) endData() {
	if c.skipSlot >= 0 && c.skipEnd {
		c.answer(c.skipSlot)
	}
	c.skipSlot = -1
}

// wholeData handles a DATA frame that has come as a whole.
func (c *Conn) wholeData(h head, payload []byte) error {
	slot, err := c.countData(h)
	if err != nil {
		return err
	}
	if h.flags.Has(http2.FlagDataPadded) {
		if len(payload) == 0 || int(payload[0]) >= len(payload) {
			return c.fail(http2.ErrCodeProtocol, "DATA with more padding than payload")
		}
		payload = payload[1 : len(payload)-int(payload[0])]
	}
	if slot < 0 {
		return nil
	}
	s := &c.streams[slot]
	s.received += int64(len(payload))
	if s.status >= 400 && !s.bodyLooked && len(payload) > 0 {
		s.bodyLooked = true
		s.evidence |= exchange.BodyEvidence(payload)
	}
	c.look(slot, payload)
	if h.flags.Has(http2.FlagDataEndStream) {
		c.answer(slot)
	}
	return nil
}

// handle takes one whole frame.
func (c *Conn) handle(h head, payload []byte) error {
	switch h.kind {
	case http2.FrameData:
		return c.wholeData(h, payload)
	case http2.FrameHeaders:
		return c.headers(h, payload)
	case http2.FrameContinuation:
		if c.blockID == 0 {
			return c.fail(http2.ErrCodeProtocol, "CONTINUATION without a header block")
		}
		return c.piece(h, payload)
	case http2.FrameSettings:
		return c.settings(h, payload)
	case http2.FrameWindowUpdate:
		return c.windowUpdate(h, payload)
	case http2.FramePing:
		return c.ping(h, payload)
	case http2.FrameRSTStream:
		return c.reset(h, payload)
	case http2.FrameGoAway:
		return c.goAway(h, payload)
	case http2.FramePushPromise:
		return c.fail(http2.ErrCodeProtocol, "PUSH_PROMISE, though push is off")
	case http2.FramePriority:
		if h.id == 0 {
			return c.fail(http2.ErrCodeProtocol, "PRIORITY on the connection")
		}
		if len(payload) != 5 {
			return c.fail(http2.ErrCodeFrameSize, "PRIORITY of %d bytes", len(payload))
		}
	}
	return nil // frames of unknown types are passed over
}

func (c *Conn) settings(h head, payload []byte) error {
	if h.id != 0 {
		return c.fail(http2.ErrCodeProtocol, "SETTINGS on stream %d", h.id)
	}
	if h.flags.Has(http2.FlagSettingsAck) {
		if len(payload) != 0 {
			return c.fail(http2.ErrCodeFrameSize, "SETTINGS acknowledged with %d bytes", len(payload))
		}
		return nil
	}
	if len(payload)%6 != 0 {
		return c.fail(http2.ErrCodeFrameSize, "SETTINGS of %d bytes", len(payload))
	}
	for ; len(payload) > 0; payload = payload[6:] {
		id, value := http2.SettingID(binary.BigEndian.Uint16(payload)), binary.BigEndian.Uint32(payload[2:])
		if err := c.setting(id, value); err != nil {
			return err
		}
	}
	c.ready = true
	c.out = appendHeader(c.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
	c.Pump()
	return c.checkOut()
}

func (c *Conn) setting(id http2.SettingID, value uint32) error {
	switch id {
	case http2.SettingHeaderTableSize:
		c.encoder.allow(value)
	case http2.SettingMaxConcurrentStreams:
		c.peerMax, c.limited = value, true
	case http2.SettingInitialWindowSize:
		if value > maxWindow {
			return c.fail(http2.ErrCodeFlowControl, "an initial window of %d", value)
		}
		delta := int64(value) - c.peerWindow
		c.peerWindow = int64(value)
		for i := range c.streams {
			s := &c.streams[i]
			if s.id == 0 {
				continue
			}
			if s.sendWindow += delta; s.sendWindow > maxWindow {
				return c.fail(http2.ErrCodeFlowControl, "an initial window that overflows stream %d", s.id)
			}
		}
	case http2.SettingMaxFrameSize:
		if value < maxFrame || value > 1<<24-1 {
			return c.fail(http2.ErrCodeProtocol, "a largest frame of %d", value)
		}
		c.peerFrame = int(value)
	case http2.SettingEnablePush:
		if value != 0 {
			return c.fail(http2.ErrCodeProtocol, "a server that enables push")
		}
	}
	return nil
}

// checkOut ends a connection whose peer makes us answer faster than it reads.
func (c *Conn) checkOut() error {
	if len(c.out)-c.took > maxOut {
		return c.fail(http2.ErrCodeEnhanceYourCalm, "control frames faster than their answers are read")
	}
	return nil
}

func (c *Conn) ping(h head, payload []byte) error {
	if h.id != 0 {
		return c.fail(http2.ErrCodeProtocol, "PING on stream %d", h.id)
	}
	if len(payload) != 8 {
		return c.fail(http2.ErrCodeFrameSize, "PING of %d bytes", len(payload))
	}
	if h.flags.Has(http2.FlagPingAck) {
		return nil
	}
	c.out = appendHeader(c.out, 8, http2.FramePing, http2.FlagPingAck, 0)
	c.out = append(c.out, payload...)
	return c.checkOut()
}

func (c *Conn) windowUpdate(h head, payload []byte) error {
	if len(payload) != 4 {
		return c.fail(http2.ErrCodeFrameSize, "WINDOW_UPDATE of %d bytes", len(payload))
	}
	increment := int64(binary.BigEndian.Uint32(payload) & maxWindow)
	if h.id == 0 {
		if increment == 0 {
			return c.fail(http2.ErrCodeProtocol, "WINDOW_UPDATE by nothing")
		}
		if c.sendWindow += increment; c.sendWindow > maxWindow {
			return c.fail(http2.ErrCodeFlowControl, "a window of the connection above 2^31-1")
		}
		c.Pump()
		return nil
	}
	slot := c.index.find(h.id)
	if slot < 0 {
		return c.checkClosed(h)
	}
	s := &c.streams[slot]
	if increment == 0 {
		c.breach(slot)
		return nil
	}
	if s.sendWindow += increment; s.sendWindow > maxWindow {
		c.writeReset(s.id, http2.ErrCodeFlowControl)
		c.finish(slot, exchange.Reset, exchange.ProtocolError)
		return nil
	}
	if s.uploading {
		c.Pump()
	}
	return nil
}

// checkClosed tells frames on a stream that has ended, which may cross our
// reset on the way, from frames on one that was never opened.
func (c *Conn) checkClosed(h head) error {
	if h.id%2 == 0 || h.id >= c.nextID {
		return c.fail(http2.ErrCodeProtocol, "%s on stream %d, which was never opened", h.kind, h.id)
	}
	return nil
}

func (c *Conn) reset(h head, payload []byte) error {
	if len(payload) != 4 {
		return c.fail(http2.ErrCodeFrameSize, "RST_STREAM of %d bytes", len(payload))
	}
	slot := c.index.find(h.id)
	if slot < 0 {
		return c.checkClosed(h)
	}
	code := http2.ErrCode(binary.BigEndian.Uint32(payload))
	if code == http2.ErrCodeRefusedStream {
		c.finish(slot, exchange.Refused, exchange.ResetRefused)
		return nil
	}
	c.finish(slot, exchange.Reset, exchange.ResetClass(uint32(code)))
	return nil
}

func (c *Conn) goAway(h head, payload []byte) error {
	if h.id != 0 {
		return c.fail(http2.ErrCodeProtocol, "GOAWAY on stream %d", h.id)
	}
	if len(payload) < 8 {
		return c.fail(http2.ErrCodeFrameSize, "GOAWAY of %d bytes", len(payload))
	}
	last := binary.BigEndian.Uint32(payload) & maxStreamID
	c.goneAway = true
	c.goAways++
	for slot := range c.streams {
		if id := c.streams[slot].id; id > last {
			c.finish(int32(slot), exchange.Unprocessed, exchange.GoneAway)
		}
	}
	return nil
}
