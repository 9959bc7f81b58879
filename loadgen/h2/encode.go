package h2

import (
	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// encoder writes header blocks (RFC 7541). It never evicts: a field enters the
// peer's table while there is room and is sent as a literal otherwise, so that
// blocks become constant as soon as each kind of request was sent once.
type encoder struct {
	table   []exchange.Field // in order of insertion
	size    uint32           // of the table, by RFC 7541 section 4.1
	limit   uint32           // min(what the peer allows, tableLimit)
	resize  bool             // the next block has to announce the limit
	version uint32           // counts changes of the table
	blocks  []block
	varied  []byte // the last block that was varied
}

// block is the encoded header block of one kind of request.
type block struct {
	bytes   []byte
	version uint32 // of the table that it was encoded against; 0: never
}

// tableLimit is how much of the peer's table is used, in bytes: what peers
// offer by default.
const tableLimit = 4096

// pathIndex is the place of :path in the static table.
const pathIndex = 4

// fieldOverhead is what RFC 7541 adds to the length of a field in a table.
const fieldOverhead = 32

func newEncoder(kinds int) encoder {
	return encoder{limit: tableLimit, version: 1, blocks: make([]block, kinds)}
}

// allow takes over the peer's SETTINGS_HEADER_TABLE_SIZE.
func (e *encoder) allow(size uint32) {
	limit := min(size, tableLimit)
	if limit == e.limit {
		return
	}
	e.limit = limit
	e.resize = true
	e.table, e.size = e.table[:0], 0
	e.version++
}

// block returns the header block of one kind of request, valid until the next call.
func (e *encoder) block(kind int, fields []exchange.Field) []byte {
	b := &e.blocks[kind]
	if b.version == e.version && !e.resize {
		return b.bytes
	}
	out := b.bytes[:0]
	resized := e.resize
	if resized {
		// Down to nothing and up again: this empties the peer's table as well.
		out = appendInt(out, 0x20, 5, 0)
		out = appendInt(out, 0x20, 5, uint64(e.limit))
		e.resize = false
	}
	before := e.version
	for _, f := range fields {
		out = e.field(out, f)
	}
	b.bytes, b.version = out, e.version
	if resized || before != e.version {
		// These bytes insert into the table or resize it, so they can be sent
		// only once; the next block of this kind is made of indices.
		b.version = 0
	}
	return out
}

// vary returns a block with what one sending has of its own: another path, and
// more fields. They don't enter the table, because they don't come again. Valid
// until the next call.
func (e *encoder) vary(block []byte, v *exchange.Variation) []byte {
	// The pseudo-header fields come first, so the path goes before all others;
	// the request has none then.
	out := e.varied[:0]
	if v.Path != "" {
		out = appendString(appendInt(out, 0, 4, pathIndex), v.Path)
	}
	out = append(out, block...)
	for _, f := range v.Fields {
		out = appendString(append(out, 0), f.Name)
		out = appendString(out, f.Value)
	}
	e.varied = out
	return out
}

// forget makes the blocks of all kinds be encoded anew.
func (e *encoder) forget() { e.version++ }

// field appends one field and inserts it into the table when there is room.
func (e *encoder) field(out []byte, f exchange.Field) []byte {
	nameIndex := 0
	for i, s := range staticTable() {
		if s.Name != f.Name {
			continue
		}
		if s.Value == f.Value {
			return appendInt(out, 0x80, 7, uint64(i+1))
		}
		if nameIndex == 0 {
			nameIndex = i + 1
		}
	}
	for i, d := range e.table {
		if d == f {
			return appendInt(out, 0x80, 7, uint64(staticLength+len(e.table)-i))
		}
	}
	size := uint32(len(f.Name)+len(f.Value)) + fieldOverhead
	if e.size+size <= e.limit {
		out = appendInt(out, 0x40, 6, uint64(nameIndex))
		e.table = append(e.table, f)
		e.size += size
		e.version++
	} else {
		out = appendInt(out, 0, 4, uint64(nameIndex))
	}
	if nameIndex == 0 {
		out = appendString(out, f.Name)
	}
	return appendString(out, f.Value)
}

// appendInt appends an integer with an n-bit prefix (RFC 7541 section 5.1);
// first holds the bits before the prefix.
func appendInt(out []byte, first byte, n uint, value uint64) []byte {
	prefix := uint64(1)<<n - 1
	if value < prefix {
		return append(out, first|byte(value))
	}
	out = append(out, first|byte(prefix))
	for value -= prefix; value >= 0x80; value >>= 7 {
		out = append(out, byte(value)|0x80)
	}
	return append(out, byte(value))
}

// appendString appends a string, Huffman-coded where that is shorter.
func appendString(out []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		return hpack.AppendHuffmanString(appendInt(out, 0x80, 7, n), s)
	}
	return append(appendInt(out, 0, 7, uint64(len(s))), s...)
}

// staticLength is the number of entries of the static table.
const staticLength = 61

// staticTable returns the static table of RFC 7541, appendix A, as far as
// requests use it with a value or a name; the place is the index minus one.
func staticTable() [staticLength]exchange.Field {
	return [staticLength]exchange.Field{
		{Name: ":authority"},
		{Name: ":method", Value: "GET"},
		{Name: ":method", Value: "POST"},
		{Name: ":path", Value: "/"},
		{Name: ":path", Value: "/index.html"},
		{Name: ":scheme", Value: "http"},
		{Name: ":scheme", Value: "https"},
		{Name: ":status", Value: "200"},
		{Name: ":status", Value: "204"},
		{Name: ":status", Value: "206"},
		{Name: ":status", Value: "304"},
		{Name: ":status", Value: "400"},
		{Name: ":status", Value: "404"},
		{Name: ":status", Value: "500"},
		{Name: "accept-charset"},
		{Name: "accept-encoding", Value: "gzip, deflate"},
		{Name: "accept-language"},
		{Name: "accept-ranges"},
		{Name: "accept"},
		{Name: "access-control-allow-origin"},
		{Name: "age"},
		{Name: "allow"},
		{Name: "authorization"},
		{Name: "cache-control"},
		{Name: "content-disposition"},
		{Name: "content-encoding"},
		{Name: "content-language"},
		{Name: "content-length"},
		{Name: "content-location"},
		{Name: "content-range"},
		{Name: "content-type"},
		{Name: "cookie"},
		{Name: "date"},
		{Name: "etag"},
		{Name: "expect"},
		{Name: "expires"},
		{Name: "from"},
		{Name: "host"},
		{Name: "if-match"},
		{Name: "if-modified-since"},
		{Name: "if-none-match"},
		{Name: "if-range"},
		{Name: "if-unmodified-since"},
		{Name: "last-modified"},
		{Name: "link"},
		{Name: "location"},
		{Name: "max-forwards"},
		{Name: "proxy-authenticate"},
		{Name: "proxy-authorization"},
		{Name: "range"},
		{Name: "referer"},
		{Name: "refresh"},
		{Name: "retry-after"},
		{Name: "server"},
		{Name: "set-cookie"},
		{Name: "strict-transport-security"},
		{Name: "transfer-encoding"},
		{Name: "user-agent"},
		{Name: "vary"},
		{Name: "via"},
		{Name: "www-authenticate"},
	}
}
