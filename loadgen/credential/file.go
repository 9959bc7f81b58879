package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// file is a token in a file, which somebody else renews.
type file struct {
	name string
	read os.FileInfo // as it was when it was last read; nil: it was not there
}

var _ origin = (*file)(nil)

func (f *file) fetch(context.Context) (Token, error) {
	// Before reading: what changes while it is read is noticed next time.
	f.read, _ = os.Stat(f.name)
	if f.read != nil && !f.read.Mode().IsRegular() {
		return Token{}, fmt.Errorf("tokenFile %s is not a regular file", f.name)
	}
	text, err := f.text()
	if err != nil {
		return Token{}, fmt.Errorf("tokenFile: %w", err)
	}
	token, err := newToken(text, time.Time{})
	if err != nil {
		return Token{}, fmt.Errorf("tokenFile %s: %w", f.name, err)
	}
	return token, nil
}

// text returns what is in the file, or more than any token has.
func (f *file) text() (text string, err error) {
	opened, err := os.Open(f.name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	all, err := io.ReadAll(io.LimitReader(opened, 2*longestToken))
	return string(all), err
}

// changed compares with what is there now. Kubernetes replaces a token by
// pointing a link elsewhere, so it is about what the name leads to.
func (f *file) changed() (changed, watched bool) {
	now, err := os.Stat(f.name)
	if err != nil || f.read == nil {
		return (err == nil) != (f.read != nil), true
	}
	return !os.SameFile(now, f.read) || now.Size() != f.read.Size() || !now.ModTime().Equal(f.read.ModTime()), true
}
