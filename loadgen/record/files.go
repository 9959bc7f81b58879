package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// file is what the writer needs of an open file; tests put a full disk here.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// openFunc creates a file that does not exist yet, for appending.
type openFunc func(path string) (file, error)

func openFile(path string) (file, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
}

// prepare makes the directory, which must be empty if it exists.
func prepare(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("run directory: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("run directory %s: %w", dir, ErrExists)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	return nil
}

// replace writes a file as a whole: a reader, and a machine that loses power,
// sees either the old content or the new one.
func replace(open openFunc, path string, content []byte) error {
	temporary := path + ".new"
	// What a failed attempt left behind is in the way of the next one.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := open(temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary) // the first error is the one to tell
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last. Some file systems refuse to sync a directory;
// what is lost then is only the guarantee against a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

// series is one file that grows. Lines gather in memory until the writer's
// goroutine takes them to the disk, so that no caller waits for it.
type series struct {
	name    string
	file    file
	pending []byte // guarded by Writer.mu
	taken   int64  // bytes of all lines so far, written or pending; likewise
	writing []byte // of the writer's goroutine
}

// maxPending is how many bytes may wait for a disk that does not take them.
const maxPending = 64 << 20

var errSlowDisk = errors.New("the disk does not take the data fast enough")
