package h1

import (
	"bytes"
	"math"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// step is what of an answer comes next.
type step uint8

const (
	stepIdle    step = iota // nothing was asked
	stepStatus              // the status line
	stepFields              // a header field, or the end of the header block
	stepBody                // a body of a stated length
	stepRest                // a body that ends with the connection
	stepSize                // the size of a chunk
	stepChunk               // a chunk
	stepBorder              // the end of a chunk's line
	stepTrailer             // a trailer field, or the end
	stepOver                // all that still comes is passed over
)

// answer is what has come of an answer.
type answer struct {
	begun     bool // a byte has come
	status    int32
	old       bool // HTTP/1.0
	stays     bool // connection: keep-alive
	closing   bool // the connection ends with it
	chunked   bool
	hasLength bool
	length    int64 // stated
	digits    int   // that it was stated with
	left      int64 // of the body, or of the chunk
	received  int64
	first     int64
	evidence  exchange.Evidence
	backend   string
	progress  exchange.Progress // of the check
}

// Ingest takes bytes that came in at an instant; b may be reused when it
// returns. An error is of type *Error and ends the connection; what had ended
// before it is in Done.
func (c *Conn) Ingest(b []byte, now int64) error {
	if c.dead {
		return &Error{Reason: "the connection has ended"}
	}
	c.now = now
	for len(b) > 0 {
		switch c.step {
		case stepOver:
			return nil
		case stepBody, stepChunk:
			n := int(min(int64(len(b)), c.answer.left))
			c.data(b[:n])
			b = b[n:]
			if c.answer.left -= int64(n); c.answer.left > 0 {
				continue
			}
			if c.step == stepChunk {
				c.step = stepBorder
			} else {
				c.complete()
			}
		case stepRest:
			c.data(b)
			return nil
		default:
			rest, err := c.nextLine(b)
			if err != nil {
				return err
			}
			b = rest
		}
	}
	return nil
}

// nextLine takes a line, or the part of one that has come, from b, and returns
// what is left of b.
func (c *Conn) nextLine(b []byte) ([]byte, error) {
	if c.step == stepIdle || c.written == 0 {
		return nil, c.unasked(b)
	}
	c.answer.begun = true
	n := bytes.IndexByte(b, '\n') + 1
	whole := n > 0
	if !whole {
		n = len(b)
	}
	line := b[:n]
	if len(c.line) > 0 || !whole {
		c.line = append(c.line, line...)
		line = c.line
	}
	if err := c.checkSize(len(line)); err != nil {
		return nil, err
	}
	if c.step == stepStatus {
		if err := c.checkStart(line, whole); err != nil {
			return nil, err
		}
	}
	if !whole {
		return nil, nil
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return nil, c.fail("a line that ends in LF alone")
	}
	c.block += len(line)
	line = line[:len(line)-2]
	for _, v := range line {
		if v < ' ' && v != '\t' || v == 0x7f {
			return nil, c.fail("a line with a control character in it: %q", v)
		}
	}
	err := c.takeLine(line)
	c.line = c.line[:0]
	return b[n:], err
}

// checkSize bounds what a peer can make us keep.
func (c *Conn) checkSize(line int) error {
	switch c.step {
	case stepSize:
		if line > maxChunkLine {
			return c.fail("the line of a chunk's size has more than %d bytes", maxChunkLine)
		}
	case stepBorder:
		if line > 2 {
			return c.fail("a chunk that is longer than its size")
		}
	default:
		if c.block+line > maxBlock {
			return c.fail("a header block of more than %d bytes", maxBlock)
		}
	}
	return nil
}

func (c *Conn) takeLine(line []byte) error {
	switch c.step {
	case stepStatus:
		return c.statusLine(line)
	case stepFields:
		if len(line) == 0 {
			return c.endOfBlock()
		}
		return c.field(line)
	case stepSize:
		return c.chunkSize(line)
	case stepBorder:
		if len(line) > 0 {
			return c.fail("a chunk that is longer than its size")
		}
		c.step = stepSize
	case stepTrailer:
		if len(line) == 0 {
			c.complete()
			return nil
		}
		_, _, err := c.splitField(line)
		return err
	}
	return nil
}

// unasked handles what comes though nothing was asked, or before the request has
// left. A server that speaks another protocol does so at once.
func (c *Conn) unasked(b []byte) error {
	c.leaving = true
	c.line = append(c.line, b[:min(len(b), settingsHeader)]...)
	switch protocol, open := foreign(c.line); {
	case open:
		return nil
	case protocol != "":
		return c.fail("asked for HTTP/1.1, the server speaks %s", protocol)
	}
	return c.fail("an answer that nobody asked for")
}

// checkStart checks the beginning of an answer, of which line has come so far.
func (c *Conn) checkStart(line []byte, whole bool) error {
	const prefix = "HTTP/1."
	n := min(len(line), len(prefix))
	if string(line[:n]) == prefix[:n] {
		return nil
	}
	switch protocol, open := foreign(line); {
	case open && !whole:
		return nil
	case protocol != "":
		return c.fail("asked for HTTP/1.1, the server speaks %s", protocol)
	}
	return c.fail("an answer that does not begin like HTTP/1.1: %.20q", line)
}

// settingsHeader is the length of a frame's header in HTTP/2.
const settingsHeader = 9

// foreign recognises another protocol by the first bytes of the peer: a SETTINGS
// frame on stream 0, or a TLS alert. As long as open, more bytes may tell.
func foreign(b []byte) (protocol string, open bool) {
	const alert = "\x15\x03"
	if n := min(len(b), len(alert)); string(b[:n]) == alert[:n] {
		if n < len(alert) {
			return "", true
		}
		return "TLS", false
	}
	// Three bytes of length, of which the first is 0, the type, flags, stream 0.
	for i, v := range b[:min(len(b), settingsHeader)] {
		switch {
		case i == 3 && v != 4, i != 1 && i != 2 && i != 3 && v != 0:
			return "", false
		}
	}
	return "HTTP/2", len(b) < settingsHeader
}

// statusLine reads a status line. The reason, and the space before it, may be
// missing.
func (c *Conn) statusLine(line []byte) error {
	const start = len("HTTP/1.x ")
	if len(line) < start+3 || line[start-1] != ' ' || line[start-2] < '0' || line[start-2] > '9' ||
		len(line) > start+3 && line[start+3] != ' ' {
		return c.fail("a status line that can't be read: %.40q", line)
	}
	c.answer.old = line[start-2] == '0'
	if c.answer.status = exchange.ParseStatus(line[start : start+3]); c.answer.status == 0 {
		return c.fail("a status line that can't be read: %.40q", line)
	}
	c.step = stepFields
	return nil
}

// endOfBlock decides what follows a header block (RFC 9112, section 6.3).
func (c *Conn) endOfBlock() error {
	a := &c.answer
	switch {
	case a.status == 101:
		return c.fail("the server switches to another protocol, which it was not asked to")
	case a.status < 200:
		c.answer, c.step = answer{begun: true}, stepStatus // the answer is still to come, and none of this counts
		return nil
	case a.chunked && a.hasLength:
		return c.fail("both a content-length and a transfer-encoding")
	case a.chunked && a.old:
		return c.fail("a transfer-encoding in HTTP/1.0")
	case c.head.tunnel && a.status < 300:
		return c.fail("a tunnel, which is of no use here")
	}
	a.first = c.now
	announced := a.closing || a.old && !a.stays
	if announced {
		c.closings++
	}
	empty := c.head.headless || a.status == 204 || a.status == 304
	a.closing = announced || c.closes || !empty && !a.chunked && !a.hasLength
	if a.closing && a.status >= 400 {
		c.hush() // the server takes no more of the body
	}
	switch {
	case empty || a.hasLength && a.length == 0:
		c.complete()
	case a.chunked:
		c.step = stepSize
	case a.hasLength:
		c.step, a.left = stepBody, a.length
	default:
		c.step = stepRest
	}
	return nil
}

// chunkSize reads the size of a chunk: hexadecimal digits, and extensions that
// mean nothing to us.
func (c *Conn) chunkSize(line []byte) error {
	size, digits := int64(0), 0
	for ; digits < len(line); digits++ {
		d := hexDigit(line[digits])
		if d < 0 {
			break
		}
		if size > (math.MaxInt64-15)/16 {
			return c.fail("a chunk whose size is no number that we can hold")
		}
		size = size<<4 | int64(d)
	}
	// Whitespace before the extensions could hide a size from others; behind the
	// size some servers pad with it.
	rest := line[digits:]
	if digits == 0 || len(rest) > 0 && rest[0] != ';' && len(trim(rest)) > 0 {
		return c.fail("a chunk's size that can't be read: %.20q", line)
	}
	if size == 0 {
		c.step, c.block = stepTrailer, 0
		return nil
	}
	c.step, c.answer.left = stepChunk, size
	return nil
}

func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// data takes a piece of the body.
func (c *Conn) data(b []byte) {
	a := &c.answer
	a.received += int64(len(b))
	if a.status >= 400 && len(c.look) < looked {
		c.look = append(c.look, b[:min(len(b), looked-len(c.look))]...)
	}
	if c.check != nil {
		c.check.Data(&a.progress, b)
	}
}
