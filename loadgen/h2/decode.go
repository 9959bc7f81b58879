package h2

import "errors"

// decoder reads header blocks (RFC 7541) without allocating: it tells what is
// marked by the name of a field, and leaves everything else where it lies. The
// dynamic table is one run of bytes, to which insertions append; what was
// evicted is cut off when there is no more room.
type decoder struct {
	wanted []wanted                 // names that matter
	marks  [staticLength + 1]uint16 // of the static table
	buf    []byte                   // names and values of entries
	// entries is the dynamic table from the oldest entry on, those before first
	// being evicted.
	entries []entry
	first   int
	size    int    // of the table, by RFC 7541, section 4.1
	limit   int    // that the peer has set for size
	version uint32 // counts changes of the table and of what is wanted

	block   []byte // what is left of it
	begun   bool   // a field of the block was read
	scratch []byte // for what is decoded
	err     error

	// The field that next has read, valid until it is called again.
	mark     uint16
	index    int    // of a static entry that has the name; 0: the name is in name
	name     []byte // of a field with a mark
	value    []byte // of a field with a mark
	fieldLen int    // of name and value, decoded
}

// entry is one field of the dynamic table.
type entry struct {
	at          int32 // in buf: the name, and the value behind it
	name, value uint16
	mark        uint16
}

// The marks of a name. From markWanted on they are places in wanted.
const (
	markNone uint16 = iota
	markPseudo
	markStatus
	markWanted
)

// decoderTable is the largest dynamic table that the peer may use: what the
// protocol begins with, and we announce no other.
const decoderTable = 4096

// What a header block can have that RFC 7541 does not allow.
var (
	errTruncated = errors.New("it ends in the middle of a field")
	errInteger   = errors.New("an integer too large")
	errIndex     = errors.New("an index that is in no table")
	errHuffman   = errors.New("a string that is not Huffman-coded, though it says so")
	errTooLarge  = errors.New("a table larger than allowed")
	errLate      = errors.New("a change of the table's size behind a field")
)

// begin starts a block, whose bytes must not change until it is read.
func (d *decoder) begin(block []byte) {
	d.block, d.begun, d.err = block, false, nil
	if cap(d.scratch) > decoderTable {
		d.scratch = nil // what a huge value has needed
	}
}

// next reads the next field. It returns false at the end of the block, and when
// err is set.
func (d *decoder) next() bool {
	for len(d.block) > 0 {
		switch first := d.block[0]; {
		case first >= 0x80:
			return d.indexed()
		case first >= 0x40:
			return d.literal(6, true)
		case first >= 0x20:
			if !d.resize() {
				return false
			}
		default: // not indexed, or never to be
			return d.literal(4, false)
		}
	}
	return false
}

func (d *decoder) fail(err error) bool {
	d.err = err
	return false
}

// resize reads a change of the table's size.
func (d *decoder) resize() bool {
	if d.begun {
		return d.fail(errLate)
	}
	size, ok := d.int(5)
	if !ok {
		return false
	}
	if size > decoderTable {
		return d.fail(errTooLarge)
	}
	d.limit = int(size)
	d.version++
	d.evict(0)
	return true
}

// indexed reads a field that is an entry of a table.
func (d *decoder) indexed() bool {
	d.begun = true
	index := uint64(d.block[0] & 0x7f)
	if index < 0x7f {
		d.block = d.block[1:]
	} else {
		var ok bool
		if index, ok = d.int(7); !ok {
			return false
		}
	}
	if index <= staticLength {
		if index == 0 {
			return d.fail(errIndex)
		}
		d.index, d.name = int(index), nil
		name, value := static(int(index))
		d.fieldLen = len(name) + len(value)
		if d.mark = d.marks[index]; d.mark != markNone {
			d.scratch = append(d.scratch[:0], value...)
			d.value = d.scratch
		}
		return true
	}
	e := d.entry(index)
	if e == nil {
		return d.fail(errIndex)
	}
	d.index, d.mark, d.fieldLen = 0, e.mark, int(e.name)+int(e.value)
	if e.mark != markNone {
		d.name, d.value = d.nameOf(e), d.valueOf(e)
	}
	return true
}

// entry returns the entry of the dynamic table with an index, nil for none.
func (d *decoder) entry(index uint64) *entry {
	back := index - staticLength // from the newest on
	if back > uint64(len(d.entries)-d.first) {
		return nil
	}
	return &d.entries[len(d.entries)-int(back)]
}

func (d *decoder) nameOf(e *entry) []byte { return d.buf[e.at : int(e.at)+int(e.name)] }

func (d *decoder) valueOf(e *entry) []byte {
	at := int(e.at) + int(e.name)
	return d.buf[at : at+int(e.value)]
}

// literal reads a field that is spelled out, its index having a prefix of n bits.
func (d *decoder) literal(n uint, insert bool) bool {
	d.begun = true
	d.scratch = d.scratch[:0]
	index, ok := d.int(n)
	if !ok {
		return false
	}
	nameLen := 0
	switch {
	case index == 0:
		if d.name, ok = d.text(); !ok {
			return false
		}
		d.index, d.mark, nameLen = 0, d.markOf(d.name), len(d.name)
	case index <= staticLength:
		name, _ := static(int(index))
		d.index, d.name, d.mark, nameLen = int(index), nil, d.marks[index], len(name)
	default:
		e := d.entry(index)
		if e == nil {
			return d.fail(errIndex)
		}
		d.index, d.mark, nameLen = 0, e.mark, int(e.name)
		if d.name = d.nameOf(e); insert {
			// The insertion may move or evict the entry.
			d.scratch = append(d.scratch, d.name...)
			d.name = d.scratch
		}
	}
	if d.value, ok = d.text(); !ok {
		return false
	}
	d.fieldLen = nameLen + len(d.value)
	if insert {
		d.insert(nameLen)
	}
	return true
}

// int reads an integer with an n-bit prefix (RFC 7541, section 5.1).
func (d *decoder) int(n uint) (value uint64, ok bool) {
	if len(d.block) == 0 {
		return 0, d.fail(errTruncated)
	}
	mask := uint64(1)<<n - 1
	value = uint64(d.block[0]) & mask
	d.block = d.block[1:]
	if value < mask {
		return value, true
	}
	for shift := uint(0); shift < 63; shift += 7 {
		if len(d.block) == 0 {
			return 0, d.fail(errTruncated)
		}
		b := d.block[0]
		d.block = d.block[1:]
		value += uint64(b&0x7f) << shift
		if b < 0x80 {
			return value, true
		}
	}
	return 0, d.fail(errInteger)
}

// text reads a string. It lies in the block, or at the end of scratch.
func (d *decoder) text() (text []byte, ok bool) {
	if len(d.block) == 0 {
		return nil, d.fail(errTruncated)
	}
	coded := d.block[0] >= 0x80
	length, ok := d.int(7)
	if !ok {
		return nil, false
	}
	if length > uint64(len(d.block)) {
		return nil, d.fail(errTruncated)
	}
	text, d.block = d.block[:length], d.block[length:]
	if !coded {
		return text, true
	}
	from := len(d.scratch)
	if d.scratch, ok = appendHuffman(d.scratch, text); !ok {
		return nil, d.fail(errHuffman)
	}
	return d.scratch[from:], true
}

// evict drops the oldest entries until one of a size finds room.
func (d *decoder) evict(size int) {
	for d.size+size > d.limit && d.first < len(d.entries) {
		e := &d.entries[d.first]
		d.size -= int(e.name) + int(e.value) + fieldOverhead
		d.first++
	}
	if d.first == len(d.entries) {
		d.entries, d.first, d.buf = d.entries[:0], 0, d.buf[:0]
	}
}

// insert enters the field that was read into the table; one that is larger than
// the table empties it.
func (d *decoder) insert(nameLen int) {
	size := d.fieldLen + fieldOverhead
	d.version++
	d.evict(size)
	if size > d.limit {
		return
	}
	d.reserve(d.fieldLen)
	at := len(d.buf)
	if d.index > 0 {
		name, _ := static(d.index)
		d.buf = append(d.buf, name...)
	} else {
		d.buf = append(d.buf, d.name...)
	}
	d.buf = append(d.buf, d.value...)
	d.entries = append(d.entries, entry{at: int32(at), name: uint16(nameLen), value: uint16(len(d.value)), mark: d.mark})
	d.size += size
}

// reserve makes room for one more entry with n bytes of name and value, by
// cutting off what was evicted or by growing.
func (d *decoder) reserve(n int) {
	if len(d.entries) == cap(d.entries) && 2*d.first >= len(d.entries) {
		d.entries = d.entries[:copy(d.entries, d.entries[d.first:])]
		d.first = 0
	}
	if len(d.buf)+n <= cap(d.buf) {
		return
	}
	start := len(d.buf)
	if d.first < len(d.entries) {
		start = int(d.entries[d.first].at)
	}
	live := d.buf[start:]
	to := d.buf[:0]
	if 2*(len(live)+n) > cap(d.buf) {
		to = make([]byte, 0, max(256, 2*(len(live)+n)))
	}
	d.buf = append(to, live...)
	for i := d.first; i < len(d.entries); i++ {
		d.entries[i].at -= int32(start)
	}
}
