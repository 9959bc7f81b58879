package h1

import (
	"bytes"
	"math"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// splitField takes a field line apart. The name comes in lower case and is valid
// until the next call.
func (c *Conn) splitField(line []byte) (name, value []byte, err error) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, c.fail("a folded header field")
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, c.fail("a header field without a name: %.40q", line)
	}
	c.name = append(c.name[:0], line[:colon]...)
	for i, b := range c.name {
		if c.name[i] = tokens[b]; c.name[i] == 0 {
			return nil, nil, c.fail("a header field whose name has %q in it", b)
		}
	}
	return c.name, trim(line[colon+1:]), nil
}

// tokens has for each byte that may be in a name (RFC 9110, section 5.6.2) the
// same in lower case, and 0 for all others.
const tokens = zeros32 +
	"\x00!\x00#$%&'\x00\x00*+\x00-.\x00" + "0123456789\x00\x00\x00\x00\x00\x00" +
	"\x00abcdefghijklmno" + "pqrstuvwxyz\x00\x00\x00^_" +
	"`abcdefghijklmno" + "pqrstuvwxyz\x00|\x00~\x00" +
	zeros32 + zeros32 + zeros32 + zeros32

const zeros32 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// trim takes the whitespace off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// field takes over what a header field says.
func (c *Conn) field(line []byte) error {
	name, value, err := c.splitField(line)
	if err != nil {
		return err
	}
	a := &c.answer
	if c.check != nil && string(name) == c.check.Header.Name {
		c.check.Field(&a.progress, value)
	}
	if c.cfg.BackendHeader != "" && string(name) == c.cfg.BackendHeader {
		a.backend = c.backendName(value)
	}
	switch string(name) {
	case "content-length":
		return c.contentLength(value)
	case "transfer-encoding":
		if a.chunked || !equalFold(value, "chunked") {
			return c.fail("a transfer-encoding other than chunked: %.40q", value)
		}
		a.chunked = true
	case "connection":
		c.connection(value)
	default:
		a.evidence |= exchange.FieldEvidence(name, value)
	}
	return nil
}

// contentLength takes a stated length. The same one may be stated in several
// fields, in the same digits, but not in one: 5 and 05 are where two readers of one
// connection begin to differ.
func (c *Conn) contentLength(value []byte) error {
	length := int64(0)
	for _, b := range value {
		if b < '0' || b > '9' || length > (math.MaxInt64-9)/10 {
			return c.fail("a content-length that is no number: %.40q", value)
		}
		length = length*10 + int64(b-'0')
	}
	a := &c.answer
	switch {
	case len(value) == 0:
		return c.fail("a content-length that is no number: empty")
	case a.hasLength && (a.length != length || a.digits != len(value)):
		return c.fail("two content-lengths, %d and then %.40q", a.length, value)
	}
	a.hasLength, a.length, a.digits = true, length, len(value)
	return nil
}

// connection takes the options of the connection.
func (c *Conn) connection(value []byte) {
	for more := true; more; {
		var option []byte
		option, value, more = bytes.Cut(value, []byte(","))
		switch option = trim(option); {
		case equalFold(option, "close"):
			c.answer.closing = true
		case equalFold(option, "keep-alive"):
			c.answer.stays = true
		}
	}
}

// equalFold compares with a text in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		v := b[i]
		if 'A' <= v && v <= 'Z' {
			v += 'a' - 'A'
		}
		if v != lower[i] {
			return false
		}
	}
	return true
}

// backendName returns a name as text. Those that come again are kept.
func (c *Conn) backendName(value []byte) string {
	if name, ok := c.backends[string(value)]; ok {
		return name
	}
	name := string(value)
	if len(c.backends) < maxBackends {
		if c.backends == nil {
			c.backends = map[string]string{}
		}
		c.backends[name] = name
	}
	return name
}
