package process

import (
	"bytes"
	"strings"
	"sync"
)

// maxLineBytes bounds a kept line; what is longer is cut.
const maxLineBytes = 1024

// tail keeps the last lines written to it.
type tail struct {
	mu      sync.Mutex // guards all below
	lines   []string   // ring
	next    int
	full    bool
	partial []byte // the line that has not ended yet
}

func newTail(lines int) *tail { return &tail{lines: make([]string, lines)} }

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := p
	for {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		if room := maxLineBytes - len(t.partial); room > 0 {
			t.partial = append(t.partial, line[:min(room, len(line))]...)
		}
		if !found {
			return len(p), nil
		}
		t.add(string(t.partial))
		t.partial = t.partial[:0]
		rest = after
	}
}

func (t *tail) add(line string) {
	t.lines[t.next] = strings.TrimRight(line, "\r")
	t.next++
	if t.next == len(t.lines) {
		t.next, t.full = 0, true
	}
}

// snapshot returns the kept lines, oldest first.
func (t *tail) snapshot() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var kept []string
	if t.full {
		kept = append(kept, t.lines[t.next:]...)
	}
	kept = append(kept, t.lines[:t.next]...)
	if len(t.partial) > 0 {
		kept = append(kept, string(t.partial))
	}
	return kept
}
