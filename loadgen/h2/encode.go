package h2

import (
	"strings"

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
	names   []name // of fields that vary
	varied  []byte // the last block that was varied
}

// block is the encoded header block of one kind of request.
type block struct {
	bytes   []byte
	updates int    // how many of the bytes, in front, change the table's size
	version uint32 // of the table that it was encoded against; 0: never
}

// name is how the name of a field that varies is written.
type name struct {
	text      string
	static    int // index; 0: not in the static table
	place     int // in table; −1: not there
	sensitive bool
}

// The sizes of the table, in bytes.
const (
	tableLimit    = 4096 // how much of the peer's table is used: what peers offer by default
	fieldOverhead = 32   // what RFC 7541 adds to the length of a field in a table
	// nameLimit is how large a field may be that enters the table for its name alone.
	nameLimit = 256
)

// pathIndex is the place of :path in the static table.
const pathIndex = 4

func newEncoder(kinds int) encoder {
	return encoder{limit: tableLimit, version: 1, blocks: make([]block, kinds)}
}

// allow takes over the peer's SETTINGS_HEADER_TABLE_SIZE.
func (e *encoder) allow(size uint32) {
	if limit := min(size, tableLimit); limit != e.limit {
		e.limit = limit
		e.clear()
	}
}

// forget makes all kinds be encoded anew, in a table that holds nothing of what
// they were, such as credentials that nobody sends any more.
func (e *encoder) forget() {
	e.version++
	if len(e.table) > 0 {
		e.clear()
	}
}

// clear empties the table; the next block has to tell the peer.
func (e *encoder) clear() {
	e.resize = true
	e.table, e.size, e.names = e.table[:0], 0, e.names[:0]
	e.version++
}

// block returns the header block of one kind of request, valid until the next call.
func (e *encoder) block(kind int, fields []exchange.Field) []byte {
	return e.encoded(kind, fields).bytes
}

func (e *encoder) encoded(kind int, fields []exchange.Field) *block {
	b := &e.blocks[kind]
	if b.version == e.version && !e.resize {
		return b
	}
	out := b.bytes[:0]
	b.updates = 0
	if e.resize {
		// Down to nothing and up again: this empties the peer's table as well.
		out = appendInt(out, 0x20, 5, 0)
		out = appendInt(out, 0x20, 5, uint64(e.limit))
		b.updates = len(out)
		e.resize = false
	}
	before := e.version
	for _, f := range fields {
		out = e.field(out, f)
	}
	b.bytes, b.version = out, e.version
	if b.updates > 0 || before != e.version {
		// These bytes insert into the table or resize it, so they can be sent
		// only once; the next block of this kind is made of indices.
		b.version = 0
	}
	return b
}

// vary returns the block of a kind of request with what one sending has of its
// own: a path, where the kind has none, and more fields. Values don't enter the
// table, because they don't come again. Valid until the next call.
func (e *encoder) vary(kind int, fields []exchange.Field, v *exchange.Variation) []byte {
	b := e.encoded(kind, fields)
	// Updates of the table's size stay in front, and pseudo-header fields come
	// before all others.
	out := append(e.varied[:0], b.bytes[:b.updates]...)
	if v.Path != "" {
		out = appendPlain(appendInt(out, 0, 4, pathIndex), v.Path)
	}
	out = append(out, b.bytes[b.updates:]...)
	for i := range v.Fields {
		out = e.own(out, &v.Fields[i])
	}
	e.varied = out
	return out
}

// own appends a field of one sending alone. The first of a name enters the table,
// so that later ones can do without the name.
func (e *encoder) own(out []byte, f *exchange.Field) []byte {
	n := e.name(f.Name)
	index, first := n.static, byte(0)
	switch {
	case n.sensitive:
		first = 0x10 // never indexed, by any hop
	case n.place >= 0:
		index = staticLength + len(e.table) - n.place
	case index == 0 && e.room(f, nameLimit):
		// A field that varies may lie in memory that is used again.
		e.insert(exchange.Field{Name: n.text, Value: strings.Clone(f.Value)})
		n.place = len(e.table) - 1
		return appendPlain(appendPlain(append(out, 0x40), f.Name), f.Value)
	}
	out = appendInt(out, first, 4, uint64(index))
	if index == 0 {
		out = appendPlain(out, f.Name)
	}
	return appendPlain(out, f.Value)
}

// name returns how a name is written.
func (e *encoder) name(text string) *name {
	for i := range e.names {
		if e.names[i].text == text {
			return &e.names[i]
		}
	}
	n := name{text: strings.Clone(text), place: -1, sensitive: sensitive(text)}
	for i := staticLength; i > 0; i-- { // to the lowest index
		if known, _ := static(i); known == text {
			n.static = i
		}
	}
	for i := range e.table {
		if e.table[i].Name == text {
			n.place = i
		}
	}
	e.names = append(e.names, n)
	return &e.names[len(e.names)-1]
}

// sensitive reports whether the values of a name should be in nobody's table
// (RFC 7541, section 7.1.3).
func sensitive(name string) bool {
	for _, part := range []string{"auth", "cookie", "token", "secret", "password", "credential", "api-key", "apikey"} {
		if strings.Contains(name, part) && name != ":authority" {
			return true
		}
	}
	return false
}

// room reports whether a field finds room in the table, and is within a limit.
func (e *encoder) room(f *exchange.Field, limit uint32) bool {
	size := sizeOf(f)
	return size <= limit && e.size+size <= e.limit
}

// insert enters a field into the table, which must have room.
func (e *encoder) insert(f exchange.Field) {
	e.table = append(e.table, f)
	e.size += sizeOf(&f)
	e.version++
}

// sizeOf returns the size of a field in a table (RFC 7541, section 4.1).
func sizeOf(f *exchange.Field) uint32 { return uint32(len(f.Name)+len(f.Value)) + fieldOverhead }

// field appends one field and inserts it into the table when there is room.
func (e *encoder) field(out []byte, f exchange.Field) []byte {
	nameIndex := 0
	for i := 1; i <= staticLength; i++ {
		name, value := static(i)
		if name != f.Name {
			continue
		}
		if value == f.Value {
			return appendInt(out, 0x80, 7, uint64(i))
		}
		if nameIndex == 0 {
			nameIndex = i
		}
	}
	for i, d := range e.table {
		if d == f {
			return appendInt(out, 0x80, 7, uint64(staticLength+len(e.table)-i))
		}
	}
	if e.room(&f, tableLimit) {
		e.insert(f)
		out = appendInt(out, 0x40, 6, uint64(nameIndex))
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

// appendPlain appends a string as it is: for what is encoded with each sending,
// the time that Huffman coding takes on both sides is worth more than the bytes.
func appendPlain(out []byte, s string) []byte {
	return append(appendInt(out, 0, 7, uint64(len(s))), s...)
}
