package h2

import (
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// meta is what a header block says that matters to us, collected by emit.
type meta struct {
	status    int32 // 0: none
	malformed bool
	regular   bool // a field that is no pseudo-header field was seen
	evidence  exchange.Evidence
	backend   string
	size      int // of the decoded list, by RFC 9113 section 10.5.1
}

// emit is called by the decoder for each field of a block.
func (c *Conn) emit(f hpack.HeaderField) {
	m := &c.meta
	m.size += len(f.Name) + len(f.Value) + fieldOverhead
	if len(f.Name) > 0 && f.Name[0] == ':' {
		if f.Name != ":status" || m.regular || m.status != 0 {
			m.malformed = true
			return
		}
		m.status = parseStatus(f.Value)
		if m.status == 0 {
			m.malformed = true
		}
		return
	}
	m.regular = true
	switch f.Name {
	case "x-envoy-overloaded":
		if f.Value == "true" {
			m.evidence |= exchange.SaysOverloaded
		}
	case "x-envoy-upstream-service-time":
		m.evidence |= exchange.UpstreamAnswered
	case "server":
		if f.Value == "envoy" || f.Value == "istio-envoy" {
			m.evidence |= exchange.FromProxy
		}
	case c.cfg.BackendHeader:
		m.backend = f.Value
	}
}

// parseStatus reads three digits from 100 to 999; 0 otherwise.
func parseStatus(s string) int32 {
	if len(s) != 3 || s[0] < '1' {
		return 0
	}
	status := int32(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		status = 10*status + int32(s[i]-'0')
	}
	return status
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

// block handles a whole header block. It is decoded also when its stream has
// ended, because the decoder's table is that of the connection.
func (c *Conn) block(id uint32, fragment []byte) error {
	c.meta = meta{}
	if _, err := c.decoder.Write(fragment); err != nil {
		return c.fail(http2.ErrCodeCompression, "a header block that can't be decoded: %v", err)
	}
	if err := c.decoder.Close(); err != nil {
		return c.fail(http2.ErrCodeCompression, "a header block that ends early: %v", err)
	}
	if c.meta.size > maxBlock {
		return c.fail(http2.ErrCodeEnhanceYourCalm, "a header list of %d bytes", c.meta.size)
	}
	slot := c.index.find(id)
	if slot < 0 {
		return nil
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
		s.first = c.now
	}
	if c.blockEnd {
		c.answer(slot)
	}
	return nil
}
