//go:build !linux

package dial

import (
	"context"
	"crypto/tls"
	"net/netip"
)

// outgoing is for TLS, which there is none of on this platform.
type outgoing struct{}

// Link is an open connection; there is none on this platform.
type Link struct{}

// Open returns ErrPlatform.
func Open(context.Context, Options) (*Link, error) { return nil, ErrPlatform }

// Times returns nothing.
func (*Link) Times() Times { return Times{} }

// Local returns nothing.
func (*Link) Local() netip.AddrPort { return netip.AddrPort{} }

// Remote returns nothing.
func (*Link) Remote() netip.AddrPort { return netip.AddrPort{} }

// Agreed returns nothing.
func (*Link) Agreed() (Agreement, bool) { return Agreement{}, false }

// State returns nothing.
func (*Link) State() (tls.ConnectionState, bool) { return tls.ConnectionState{}, false }

// Close does nothing.
func (*Link) Close() error { return nil }
