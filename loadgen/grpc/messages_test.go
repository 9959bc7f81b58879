package grpc

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

// framed returns a message of a length with its prefix.
func framed(flag byte, length int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(length)), make([]byte, length)...)
}

func TestMessages(t *testing.T) {
	tests := []struct {
		name  string
		body  []byte
		count int32
		whole bool
	}{
		{"nothing", nil, 0, true},
		{"an empty message", framed(0, 0), 1, true},
		{"three empty ones", bytes.Repeat(framed(0, 0), 3), 3, true},
		{"one", framed(0, 70_000), 1, true},
		{"one that is compressed", framed(1, 7), 1, true},
		{"of all lengths", slicesOf(0, 1, 4, 5, 6, 255, 256, 65_536), 8, true},
		{"part of a prefix", framed(0, 0)[:4], 0, false},
		{"a prefix alone", framed(0, 9)[:5], 0, false},
		{"without its last byte", slicesOf(3, 9)[:21], 1, false},
		{"the longest there is", append([]byte{0, 0xff, 0xff, 0xff, 0xff}, 1, 2, 3), 0, false},
		{"another flag", []byte{2, 0, 0, 0, 0}, 0, false},
		{"text behind a message", append(framed(0, 1), "error"...), 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.body)+1; size += 1 + size/8 {
				if got := inPieces(tt.body, size); got.count != tt.count || got.whole() != tt.whole {
					t.Fatalf("in pieces of %d: %d messages, whole %t; want %d, %t", size, got.count, got.whole(), tt.count, tt.whole)
				}
			}
		})
	}
}

func TestMessagesDoNotOverflow(t *testing.T) {
	m := messages{count: math.MaxInt32 - 1}
	m.take(bytes.Repeat(framed(0, 0), 3))
	if m.count != math.MaxInt32 {
		t.Errorf("%d messages, want %d", m.count, math.MaxInt32)
	}
}

func slicesOf(lengths ...int) []byte {
	var body []byte
	for _, length := range lengths {
		body = append(body, framed(0, length)...)
	}
	return body
}

func inPieces(body []byte, size int) messages {
	var m messages
	for len(body) > 0 {
		n := min(size, len(body))
		m.take(body[:n])
		body = body[n:]
	}
	return m
}

// counted counts the messages of a body that is there as a whole, the simple way.
func counted(body []byte) (count int32, whole bool) {
	for len(body) > 0 {
		if body[0] > 1 || len(body) < 5 {
			return count, false
		}
		length := uint64(binary.BigEndian.Uint32(body[1:5]))
		if uint64(len(body)-5) < length {
			return count, false
		}
		body = body[5+length:]
		count++
	}
	return count, true
}

// FuzzMessages: however a body is cut, the messages are those of the whole.
func FuzzMessages(f *testing.F) {
	f.Add(slicesOf(0, 1, 4, 5, 6), []byte{1, 2, 3})
	f.Add(framed(1, 300), []byte{5})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 1}, []byte{3})
	f.Add([]byte("error"), []byte{1})
	f.Fuzz(func(t *testing.T, body, cuts []byte) {
		wantCount, wantWhole := counted(body)
		var m messages
		for i, rest := 0, body; len(rest) > 0; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])+1)
			}
			m.take(rest[:n])
			rest = rest[n:]
		}
		if m.count != wantCount || m.whole() != wantWhole {
			t.Errorf("cut by %v: %d messages, whole %t; want %d, %t", cuts, m.count, m.whole(), wantCount, wantWhole)
		}
	})
}
