package feed

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

const hexDigits = "0123456789ABCDEF"

// appendForm appends a value in a form.
func appendForm(out []byte, value []byte, f form) ([]byte, error) {
	switch f {
	case pathForm:
		return appendPath(out, value), nil
	case headerForm:
		for _, c := range value {
			if c < ' ' && c != '\t' || c == 0x7f {
				return out, errors.New("a line break or another control character, which no header may have")
			}
		}
	case quotedForm:
		return appendQuoted(out, value), nil
	case valueForm:
		if !json.Valid(value) {
			return out, errors.New("not a JSON value, which it has to be outside of quotes")
		}
	}
	return append(out, value...), nil
}

// appendPath percent-encodes all but the unreserved characters of RFC 3986,
// section 2.3.
func appendPath(out, value []byte) []byte {
	for _, c := range value {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			out = append(out, c)
		default:
			out = append(out, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return out
}

// appendQuoted escapes a value for the inside of a JSON string (RFC 8259, section
// 7). What is not UTF-8 becomes the replacement character.
func appendQuoted(out, value []byte) []byte {
	for len(value) > 0 {
		c := value[0]
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			out = append(out, c)
		default:
			r, n := utf8.DecodeRune(value)
			out = utf8.AppendRune(out, r)
			value = value[n:]
			continue
		}
		value = value[1:]
	}
	return out
}
