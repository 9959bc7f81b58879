package dial

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Open opens a connection until ctx ends. Its error is an *Error. With TLS, a
// server that negotiates another protocol than the first one offered is an
// error as well.
func Open(ctx context.Context, o Options) (*Link, error) {
	addresses, resolving, err := resolve(ctx, o.Address)
	if err != nil {
		return nil, wrap(stepResolve, o.Address, err)
	}
	link := &Link{times: Times{Resolve: resolving}}
	begin := time.Now()
	for _, address := range addresses {
		if link.socket, err = connect(ctx, address); err == nil {
			break
		}
	}
	if err != nil {
		return nil, wrap(stepConnect, o.Address, err)
	}
	link.times.Connect = time.Since(begin)
	if o.TLS == nil {
		return link, nil
	}
	if err := link.handshake(ctx, o); err != nil {
		_ = link.socket.Close()
		return nil, err
	}
	return link, nil
}

func (l *Link) handshake(ctx context.Context, o Options) error {
	begin := time.Now()
	l.socket.ctx = ctx
	client := tls.Client(l.socket, o.TLS)
	// The socket itself watches ctx: HandshakeContext would start a goroutine
	// that closes the socket behind the loop's back.
	if err := client.Handshake(); err != nil {
		return wrap(stepHandshake, o.Address, err)
	}
	l.socket.ctx = nil
	l.tls = client
	l.state = client.ConnectionState()
	l.times.Handshake = time.Since(begin)
	return negotiated(o.Address, o.TLS.NextProtos[0], l.state.NegotiatedProtocol)
}

// resolve returns the addresses of host:port in the resolver's order.
func resolve(ctx context.Context, address string) ([]netip.AddrPort, time.Duration, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, 0, &net.AddrError{Err: "port " + strconv.Quote(service), Addr: address}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(port))}, 0, nil
	}
	begin := time.Now()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, 0, err
	}
	found := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		found = append(found, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	if len(found) == 0 {
		return nil, 0, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	return found, time.Since(begin), nil
}

// connect opens a non-blocking socket and waits until it is connected.
func connect(ctx context.Context, to netip.AddrPort) (*socket, error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd}
	if err := s.connect(ctx, address); err != nil {
		_ = s.Close()
		return nil, err
	}
	// Batching is the loop's business, not the kernel's.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("set TCP_NODELAY: %w", os.NewSyscallError("setsockopt", err))
	}
	return s, nil
}

func (s *socket) connect(ctx context.Context, address unix.Sockaddr) error {
	err := unix.Connect(s.fd, address)
	switch err {
	case nil:
		return nil
	case unix.EINPROGRESS, unix.EINTR:
	default:
		return os.NewSyscallError("connect", err)
	}
	if err := s.waitConnected(ctx); err != nil {
		return err
	}
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if code != 0 {
		return os.NewSyscallError("connect", unix.Errno(code))
	}
	return nil
}

// waitConnected waits for writability alone: that is how a connection reports
// that it is made, or has failed.
func (s *socket) waitConnected(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, 20)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
		if n > 0 {
			return nil
		}
	}
}
