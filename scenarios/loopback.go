package scenarios

import (
	"net"
	"net/netip"
	"strings"
)

// IsLoopback reports whether a host certainly is this machine's loopback: the
// name localhost, an address in 127.0.0.0/8, or ::1 (also as an IPv4 address
// mapped to IPv6). Every other name counts as not on loopback, whatever it
// resolves to today: the rule must not depend on a name server.
func IsLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// OnLoopback reports whether the address that is dialled is on loopback; false
// when there is none yet.
func (e Endpoint) OnLoopback() bool {
	host, _, err := net.SplitHostPort(e.Address)
	return err == nil && IsLoopback(host)
}
