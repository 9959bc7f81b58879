package h2

import "encoding/binary"

// huffmanSymbols are the octets of the Huffman code of RFC 7541, appendix B, in
// the order of their codes. The code is canonical: with the first code of each
// length, the order is all that decoding needs.
const huffmanSymbols = "012aceiost %-./3456789=A" +
	"_bdfghlmnpru:BCDEFGHIJKL" +
	"MNOPQRSTUVWYjkqvwxyz&*,;" +
	"XZ!\"()?'+|#>\x00$@[]~^}<`{\\" +
	"\xc3\xd0\x80\x82\x83\xa2\xb8\xc2\xe0\xe2\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6\x81" +
	"\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8" +
	"\xe9\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6" +
	"\xb7\xbc\xbf\xc5\xe7\xef\x09\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed\xc7\xcf\xea\xeb\xc0\xc1" +
	"\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5" +
	"\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14" +
	"\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9\x0a\x0d\x16"

// By the next eight bits: the symbol that they begin with, and how many of them
// are its code; 0: more than eight.
const (
	huffmanShort = "000000001111111122222222aaaaaaaacccccccceeeeeeeeiiiiiiiioooooooo" +
		"sssssssstttttttt    %%%%----....////3333444455556666777788889999" +
		"====AAAA____bbbbddddffffgggghhhhllllmmmmnnnnpppprrrruuuu::BBCCDD" +
		"EEFFGGHHIIJJKKLLMMNNOOPPQQRRSSTTUUVVWWYYjjkkqqvvwwxxyyzz&*,;XZ\x00\x00"
	huffmanBits = "5555555555555555555555555555555555555555555555555555555555555555" +
		"5555555555555555666666666666666666666666666666666666666666666666" +
		"6666666666666666666666666666666666666666666666666666666677777777" +
		"7777777777777777777777777777777777777777777777777777777788888800"
)

// endOfString is the code of EOS, which must not appear, at the left of 32 bits.
const endOfString = 0xfffffffc

// appendHuffman appends the octets that a Huffman-coded string stands for; ok is
// false for one that is no such string (RFC 7541, section 5.2).
func appendHuffman(dst, src []byte) (decoded []byte, ok bool) {
	bits, have := uint64(0), uint(0) // the bits to decode, at the left
	for {
		if len(src) >= 4 && have <= 32 {
			bits |= uint64(binary.BigEndian.Uint32(src)) << (32 - have)
			have += 32
			src = src[4:]
		}
		for have <= 56 && len(src) > 0 && len(src) < 4 {
			bits |= uint64(src[0]) << (56 - have)
			have += 8
			src = src[1:]
		}
		for have >= 8 && bits < 0xfe<<56 {
			length := uint(huffmanBits[bits>>56] - '0')
			dst = append(dst, huffmanShort[bits>>56])
			bits <<= length
			have -= length
		}
		if len(src) > 0 && have < 32 {
			continue
		}
		if have == 0 {
			return dst, true
		}
		window := uint32(bits >> 32)
		if have < 32 {
			window |= 1<<(32-have) - 1 // as if it were padded without end
		}
		symbol, length := anySymbol(window)
		if length > have {
			// What is left is padding: the beginning of EOS, less than an octet.
			return dst, have < 8 && window == 1<<32-1
		}
		if window >= endOfString {
			return dst, false
		}
		dst = append(dst, symbol)
		bits <<= length
		have -= length
	}
}

// anySymbol decodes one symbol of any length.
func anySymbol(window uint32) (symbol byte, length uint) {
	codes := [...]struct {
		first uint32 // code of this length, at the left of 32 bits
		at    uint32 // its place in huffmanSymbols
		bits  uint
	}{
		{0, 0, 5}, {0x50000000, 10, 6}, {0xb8000000, 36, 7}, {0xf8000000, 68, 8},
		{0xfe000000, 74, 10}, {0xff400000, 79, 11}, {0xffa00000, 82, 12}, {0xffc00000, 84, 13},
		{0xfff00000, 90, 14}, {0xfff80000, 92, 15}, {0xfffe0000, 95, 19}, {0xfffe6000, 98, 20},
		{0xfffee000, 106, 21}, {0xffff4800, 119, 22}, {0xffffb000, 145, 23}, {0xffffea00, 174, 24},
		{0xfffff600, 186, 25}, {0xfffff800, 190, 26}, {0xfffffbc0, 205, 27}, {0xfffffe20, 224, 28},
		{0xfffffff0, 253, 30},
	}
	i := len(codes) - 1
	for window < codes[i].first {
		i--
	}
	c := &codes[i]
	at := c.at + (window-c.first)>>(32-c.bits)
	if at == uint32(len(huffmanSymbols)) {
		return 0, c.bits // the end of string
	}
	return huffmanSymbols[at], c.bits
}
