package h2

import (
	"bytes"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// meta is what a header block says that matters to us.
type meta struct {
	status    int32 // 0: none
	malformed bool
	regular   bool // a field that is no pseudo-header field was seen
	evidence  exchange.Evidence
	backend   string
	length    int64 // of the body by content-length, −1: not known
	size      int   // of the decoded list, by RFC 9113 section 10.5.1
}

// decode reads a whole header block of an open stream, or of one that has ended
// (−1): the decoder's table is that of the connection.
func (c *Conn) decode(slot int32, block []byte) error {
	m, d := &c.meta, &c.decoder
	plain := slot >= 0 && c.streams[slot].check == nil && c.cfg.Reader == nil
	if plain && c.latest.version == d.version && bytes.Equal(c.latest.block, block) {
		*m = c.latest.meta
		return nil
	}
	*m = meta{length: -1}
	version := d.version
	for d.begin(block); d.next(); {
		m.size += d.fieldLen + fieldOverhead
		switch d.mark {
		case markNone:
			m.regular = true
		case markStatus:
			if m.regular || m.status != 0 {
				m.malformed = true
			} else if m.status = parseStatus(d.value); m.status == 0 {
				m.malformed = true
			}
		case markPseudo:
			m.malformed = true
		default:
			m.regular = true
			if slot >= 0 {
				c.field(slot, &d.wanted[d.mark-markWanted], d.value)
			}
		}
	}
	if d.err != nil {
		return c.fail(http2.ErrCodeCompression, "a header block that can't be decoded: %v", d.err)
	}
	if m.size > maxBlock {
		return c.fail(http2.ErrCodeEnhanceYourCalm, "a header list of %d bytes", m.size)
	}
	if plain && version == d.version && len(block) <= latestLength {
		c.latest.block = append(c.latest.block[:0], block...)
		c.latest.meta, c.latest.version = *m, version
	}
	return nil
}

// latest is the last header block that was read without changing the decoder's
// table, and what it says: while the table stays, the same bytes say it again,
// and servers send the same bytes again and again.
type latest struct {
	block   []byte
	meta    meta
	version uint32 // of the table
}

// latestLength is how long a block may be, in bytes, that is remembered.
const latestLength = 128

// field takes a field that matters, of an open stream's block.
func (c *Conn) field(slot int32, w *wanted, value []byte) {
	s, m := &c.streams[slot], &c.meta
	if m.malformed || m.status != 0 && m.status < 200 {
		return // of a block that is not the answer's
	}
	if w.length {
		n := parseLength(value)
		m.malformed = n < 0 || m.length >= 0 && n != m.length
		m.length = n
	}
	m.evidence |= w.shows(value)
	if w.backend {
		m.backend = c.backends.name(value)
	}
	if w.checked && s.check != nil && s.check.Header.Name == w.name {
		s.check.Field(&s.progress, value)
	}
	if w.place >= 0 {
		c.cfg.Reader.Field(slot, w.place, value)
	}
}

// parseStatus reads three digits from 100 to 999; 0 otherwise.
func parseStatus(s []byte) int32 {
	if len(s) != 3 || s[0] < '1' {
		return 0
	}
	status := int32(0)
	for _, b := range s {
		if b < '0' || b > '9' {
			return 0
		}
		status = 10*status + int32(b-'0')
	}
	return status
}

// parseLength reads a number of bytes; −1 for what is none.
func parseLength(s []byte) int64 {
	if len(s) == 0 || len(s) > 18 {
		return -1
	}
	n := int64(0)
	for _, b := range s {
		if b < '0' || b > '9' {
			return -1
		}
		n = 10*n + int64(b-'0')
	}
	return n
}

// headers handles a HEADERS frame.
func (c *Conn) headers(h head, payload []byte) error {
	if h.id%2 == 0 || h.id >= c.nextID {
		return c.fail(http2.ErrCodeProtocol, "HEADERS on stream %d, which was never opened", h.id)
	}
	padding := 0
	if h.flags.Has(http2.FlagHeadersPadded) {
		if len(payload) == 0 {
			return c.fail(http2.ErrCodeFrameSize, "padded HEADERS without payload")
		}
		padding = int(payload[0])
		payload = payload[1:]
	}
	if h.flags.Has(http2.FlagHeadersPriority) {
		if len(payload) < 5 {
			return c.fail(http2.ErrCodeFrameSize, "HEADERS without the priority they announce")
		}
		payload = payload[5:]
	}
	if padding > len(payload) {
		return c.fail(http2.ErrCodeProtocol, "HEADERS with more padding than payload")
	}
	payload = payload[:len(payload)-padding]
	c.blockEnd = h.flags.Has(http2.FlagHeadersEndStream)
	if h.flags.Has(http2.FlagHeadersEndHeaders) {
		return c.block(h.id, payload)
	}
	c.blockID, c.pieces, c.fragment = h.id, 0, append(c.fragment[:0], payload...)
	return nil
}

// piece handles a CONTINUATION frame.
func (c *Conn) piece(h head, payload []byte) error {
	c.pieces++
	if len(c.fragment)+len(payload) > maxBlock || c.pieces > maxPieces {
		return c.fail(http2.ErrCodeEnhanceYourCalm, "a header block of more than %d bytes or %d pieces", maxBlock, maxPieces)
	}
	c.fragment = append(c.fragment, payload...)
	if !h.flags.Has(http2.FlagContinuationEndHeaders) {
		return nil
	}
	c.blockID = 0
	err := c.block(h.id, c.fragment)
	c.fragment = c.fragment[:0]
	return err
}

// block handles a whole header block.
func (c *Conn) block(id uint32, fragment []byte) error {
	slot := c.index.find(id)
	if err := c.decode(slot, fragment); err != nil || slot < 0 {
		return err
	}
	s := &c.streams[slot]
	m := &c.meta
	switch {
	case m.malformed:
		c.breach(slot)
		return nil
	case s.status != 0: // trailers
		if m.status != 0 || !c.blockEnd {
			c.breach(slot)
			return nil
		}
	case m.status == 0, m.status < 200 && c.blockEnd, m.status == 101:
		c.breach(slot)
		return nil
	case m.status < 200: // informational: the answer is still to come
		return nil
	default:
		s.status = m.status
		s.evidence = m.evidence
		s.backend = m.backend
		s.announced = m.length
		s.first = c.now
	}
	if c.blockEnd {
		c.answer(slot)
	}
	return nil
}
