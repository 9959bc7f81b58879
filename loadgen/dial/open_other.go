//go:build !linux

package dial

import (
	"context"
	"crypto/tls"
)

// Link is an open connection; there is none on this platform.
type Link struct{}

// Open returns ErrPlatform.
func Open(context.Context, Options) (*Link, error) { return nil, ErrPlatform }

// Times returns nothing.
func (*Link) Times() Times { return Times{} }

// State returns nothing.
func (*Link) State() (tls.ConnectionState, bool) { return tls.ConnectionState{}, false }

// Close does nothing.
func (*Link) Close() error { return nil }
