package grpc

import (
	"encoding/binary"
	"math"
)

// prefixSize is the length of what stands before each message: a byte that says
// whether it is compressed, and its length in four.
const prefixSize = 5

// messages counts the messages of a body that comes in pieces. It keeps no byte
// of them, so their lengths may be any.
type messages struct {
	count  int32  // that are complete
	left   uint32 // bytes of the message that are still to come, or its length so far
	prefix uint8  // bytes of the prefix that are in
	broken bool   // the body does not consist of messages
}

// take takes the next piece.
func (m *messages) take(b []byte) {
	for len(b) > 0 && !m.broken {
		if m.prefix < prefixSize {
			b = m.head(b)
		}
		if m.prefix < prefixSize || m.broken {
			continue
		}
		n := min(uint64(m.left), uint64(len(b)))
		m.left -= uint32(n)
		b = b[n:]
		if m.left == 0 {
			m.prefix = 0
			if m.count < math.MaxInt32 {
				m.count++
			}
		}
	}
}

// head takes a prefix, or one byte of it when it has not come at once, and
// returns the rest.
func (m *messages) head(b []byte) []byte {
	switch {
	case m.prefix > 0:
		m.left = m.left<<8 | uint32(b[0])
	case b[0] > 1: // neither compressed nor not
		m.broken = true
	case len(b) >= prefixSize:
		m.left, m.prefix = binary.BigEndian.Uint32(b[1:]), prefixSize
		return b[prefixSize:]
	}
	m.prefix++
	return b[1:]
}

// whole reports whether the body may end here, which one that is broken never may.
func (m *messages) whole() bool { return m.prefix == 0 }
