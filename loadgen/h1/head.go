package h1

import (
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// head is the encoded head of one kind of request, but for the empty line at its
// end.
type head struct {
	bytes      []byte
	path, host span
	fixed      int  // where the content-length field begins, which a body of its own replaces
	wantsBody  bool // the method is one that always states a length
	headless   bool // HEAD: the answer has no body
	tunnel     bool // CONNECT
	repeatable bool // the method may be repeated without harm
	closes     bool // it says that the connection closes
}

// span is a place in a head.
type span struct{ from, to int }

// headOf returns the head of a kind.
func (c *Conn) headOf(kind int) *head {
	if c.heads == nil {
		c.heads = make([]head, len(c.requests))
	}
	h := &c.heads[kind]
	if h.bytes == nil {
		*h = encode(&c.requests[kind])
	}
	return h
}

// encode writes a head. A host among the fields stands for the authority. The
// length of the body is stated by its own length, whatever the fields say.
func encode(r *exchange.Request) head {
	method, authority, path := "GET", "", ""
	for _, f := range r.Fields {
		switch f.Name {
		case ":method":
			method = f.Value
		case ":authority", "host":
			authority = f.Value
		case ":path":
			path = f.Value
		}
	}
	h := head{
		headless: method == "HEAD", tunnel: method == "CONNECT",
		wantsBody:  method == "POST" || method == "PUT" || method == "PATCH",
		repeatable: method == "GET" || method == "HEAD" || method == "OPTIONS",
	}
	if path == "" {
		path = "/"
	}
	out := append(append([]byte(nil), method...), ' ')
	h.path.from = len(out)
	out = appendPath(out, path)
	h.path.to = len(out)
	out = append(out, " HTTP/1.1\r\nhost: "...)
	h.host.from = len(out)
	out = appendValue(out, authority)
	h.host.to = len(out)
	out = append(out, "\r\n"...)
	for _, f := range r.Fields {
		if own(f.Name) {
			continue
		}
		out = appendField(out, f)
		h.closes = h.closes || closes(f)
	}
	h.fixed = len(out)
	h.bytes = h.appendLength(out, len(r.Body))
	return h
}

// own reports whether a field is the encoder's own business.
func own(name string) bool {
	switch name {
	case "host", "content-length", "transfer-encoding":
		return true
	}
	return strings.HasPrefix(name, ":")
}

// closes reports whether a field says that the connection closes.
func closes(f exchange.Field) bool {
	return f.Name == "connection" && strings.EqualFold(strings.TrimSpace(f.Value), "close")
}

// vary writes the head with what one sending has of its own.
func (c *Conn) vary(v *exchange.Variation) {
	h := c.head
	out := append(c.out, h.bytes[:h.path.from]...)
	if v.Path != "" {
		out = appendPath(out, v.Path)
	} else {
		out = append(out, h.bytes[h.path.from:h.path.to]...)
	}
	out = append(out, h.bytes[h.path.to:h.host.from]...)
	host, hasHost := "", false
	for i := range v.Fields {
		if name := v.Fields[i].Name; name == "host" || name == ":authority" {
			host, hasHost = v.Fields[i].Value, true
		}
	}
	if hasHost {
		out = appendValue(out, host)
	} else {
		out = append(out, h.bytes[h.host.from:h.host.to]...)
	}
	out = append(out, h.bytes[h.host.to:h.fixed]...)
	for i := range v.Fields {
		if f := &v.Fields[i]; !own(f.Name) {
			out = appendField(out, *f)
			c.closes = c.closes || closes(*f)
		}
	}
	if v.HasBody {
		out = h.appendLength(out, len(c.body))
	} else {
		out = append(out, h.bytes[h.fixed:]...)
	}
	c.out = append(out, "\r\n"...)
}

// appendLength states the length of a body (RFC 9110, section 8.6).
func (h *head) appendLength(out []byte, length int) []byte {
	if length == 0 && !h.wantsBody {
		return out
	}
	out = append(out, "content-length: "...)
	out = strconv.AppendInt(out, int64(length), 10)
	return append(out, "\r\n"...)
}

func appendField(out []byte, f exchange.Field) []byte {
	out = append(append(out, f.Name...), ": "...)
	return append(appendValue(out, f.Value), "\r\n"...)
}

// appendValue writes a value; what would end its line becomes a space.
func appendValue(out []byte, value string) []byte {
	from := len(out)
	out = append(out, value...)
	if strings.ContainsAny(value, "\r\n\x00") {
		for i, b := range out[from:] {
			if b == '\r' || b == '\n' || b == 0 {
				out[from+i] = ' '
			}
		}
	}
	return out
}

// appendPath writes a path; what would end it is percent-encoded.
func appendPath(out []byte, path string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(path) {
		if b := path[i]; b <= ' ' || b == 0x7f {
			out = append(out, '%', digits[b>>4], digits[b&15])
		} else {
			out = append(out, b)
		}
	}
	return out
}
