package exchange

import (
	"bytes"
	"strings"
	"unsafe"
)

// Progress is how far the check of one answer has come. The zero Progress is
// that of an answer of which nothing has come yet.
type Progress struct {
	matched int32 // of Check.Body: how much of it ends the body so far
	found   bool  // Check.Body was in the body
	header  bool  // Check.Header was there
}

// Field takes the value of a field that is called Header.Name.
func (c *Check) Field(p *Progress, value []byte) {
	// A string of value's bytes for as long as the call takes, so that none is copied.
	p.header = p.header || strings.Contains(unsafe.String(unsafe.SliceData(value), len(value)), c.Header.Value)
}

// Open reports whether the verdict may depend on what of the body is still to
// come, so that Data has to be called.
func (c *Check) Open(p *Progress) bool { return len(c.Body) > 0 && !p.found }

// Data takes the next piece of the body. Nothing of it is kept.
func (c *Check) Data(p *Progress, piece []byte) {
	if !c.Open(p) || len(piece) == 0 {
		return
	}
	if p.found = c.crosses(int(p.matched), piece) || bytes.Contains(piece, c.Body); p.found {
		return
	}
	p.matched = int32(c.overlap(int(p.matched), piece))
}

// crosses reports whether Body lies across the border between what came before,
// which ends with its first matched bytes, and a piece.
func (c *Check) crosses(matched int, piece []byte) bool {
	for before := matched; before > 0; before-- {
		if bytes.HasPrefix(piece, c.Body[before:]) && bytes.HasSuffix(c.Body[:matched], c.Body[:before]) {
			return true
		}
	}
	return false
}

// overlap returns the length of the longest beginning of Body with which all ends
// that has come, a piece behind its first matched bytes.
func (c *Check) overlap(matched int, piece []byte) int {
	if longest := len(c.Body) - 1; len(piece) >= longest {
		matched, piece = 0, piece[len(piece)-longest:]
	}
	for before := matched; before > 0; before-- {
		if before+len(piece) < len(c.Body) && bytes.HasPrefix(c.Body[before:], piece) && bytes.HasSuffix(c.Body[:matched], c.Body[:before]) {
			return before + len(piece)
		}
	}
	for ; len(piece) > 0; piece = piece[1:] {
		if bytes.HasPrefix(c.Body, piece) {
			return len(piece)
		}
	}
	return 0
}

// Class returns the class of a complete answer, which without the check would be
// of the class given. A status that Status lists is good, whatever it is. An
// answer that counts as an error by itself keeps its class, which says more than
// that the check failed.
func (c *Check) Class(p *Progress, status int, class Class) Class {
	listed := false
	for _, r := range c.Status {
		listed = listed || r.From <= status && status <= r.To
	}
	switch {
	case listed:
		class = Good
	case IsBad(status, class):
		return class
	case len(c.Status) > 0, class != Good:
		return CheckFailed
	}
	if c.Header.Name != "" && !p.header || c.Open(p) {
		return CheckFailed
	}
	return class
}
