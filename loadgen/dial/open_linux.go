package dial

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Open opens a connection until ctx ends. Its error is an *Error. With TLS, a
// server that negotiates another protocol than the one asked for is an error as
// well.
func Open(ctx context.Context, o Options) (*Link, error) {
	resolver := o.Resolver
	if resolver == nil {
		resolver = new(Resolver)
	}
	addresses, resolving, err := resolver.resolve(ctx, o.Address)
	if err != nil {
		return nil, wrap(stepResolve, o.Address, err)
	}
	begin := time.Now()
	fd, remote, err := connect(ctx, addresses)
	if err != nil {
		return nil, wrap(stepConnect, o.Address, err)
	}
	link := &Link{remote: remote, times: Times{Resolve: resolving, Connect: time.Since(begin)}}
	link.socket.fd = fd
	if err := link.prepare(ctx, o); err != nil {
		_ = link.socket.Close()
		return nil, err
	}
	return link, nil
}

// prepare sets up a link that is connected.
func (l *Link) prepare(ctx context.Context, o Options) error {
	// Batching is the loop's business, not the kernel's.
	if err := unix.SetsockoptInt(l.socket.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return wrap(stepConnect, o.Address, fmt.Errorf("set TCP_NODELAY: %w", os.NewSyscallError("setsockopt", err)))
	}
	var err error
	if l.local, err = localAddress(l.socket.fd); err != nil {
		return wrap(stepConnect, o.Address, err)
	}
	if o.TLS == nil {
		return nil
	}
	return l.handshake(ctx, o)
}

func (l *Link) handshake(ctx context.Context, o Options) error {
	begin := time.Now()
	l.socket.ctx, l.socket.buffers = ctx, &o.TLS.buffers
	client := tls.Client(&l.socket, o.TLS.current())
	// The socket itself watches ctx: HandshakeContext would start a goroutine
	// that closes the socket behind the loop's back.
	if err := client.Handshake(); err != nil {
		return refused(o.Address, o.TLS.protocol, err)
	}
	l.socket.ctx = nil
	l.tls = client
	l.agreement = agreement(client.ConnectionState())
	l.times.Handshake = time.Since(begin)
	return negotiated(o.Address, o.TLS.protocol, l.agreement.Protocol)
}

func localAddress(fd int) (netip.AddrPort, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("a local address of the unexpected kind %T", name)
}
