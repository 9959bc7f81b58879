package dial

import "time"

// Options say where and how to connect.
type Options struct {
	Address  string    // host:port
	TLS      *TLS      // nil: cleartext. Shared by all connections
	Resolver *Resolver // nil: a name is looked up for each connection. Shared by all connections
}

// Times are how long the steps of opening a connection took. Resolve is 0 for
// an address that needed none, Handshake for cleartext. Connect includes the
// addresses that were tried in vain.
type Times struct {
	Resolve, Connect, Handshake time.Duration
}
