package record

import "errors"

var (
	// ErrExists is returned by Create for a directory that holds files already.
	ErrExists = errors.New("the directory exists and is not empty: name another one, or remove it first")
	// ErrNotRun is returned by Open for what is no run directory.
	ErrNotRun = errors.New("not a run directory")
	// ErrNewer is returned by Open for a run that a newer version wrote.
	ErrNewer = errors.New("written by a newer version of sailplan: use that one to read it")
)
