package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// holdPort binds a free port of loopback without listening: connecting to it is
// refused, and no other process gets it. A listener may be bound beside it.
func holdPort() (address string, release func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("hold a port: %w", os.NewSyscallError("socket", err))
	}
	fail := func(call string, err error) (string, func(), error) {
		_ = unix.Close(fd)
		return "", nil, fmt.Errorf("hold a port: %w", os.NewSyscallError(call, err))
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fail("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fail("bind", err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return fail("getsockname", err)
	}
	inet, ok := bound.(*unix.SockaddrInet4)
	if !ok {
		return fail("getsockname", unix.EAFNOSUPPORT)
	}
	return fmt.Sprintf("127.0.0.1:%d", inet.Port), func() { _ = unix.Close(fd) }, nil
}

const (
	// fillTime is how long an attempt to connect to a full backlog is waited for.
	fillTime = 100 * time.Millisecond
	mostFill = 16
)

// fillBacklog makes the backlog of a listener as short as it can be and fills it,
// so that the kernel drops further attempts to connect. The connections that fill
// it are the caller's to close.
func fillBacklog(ctx context.Context, listener net.Listener) (fillers []net.Conn, err error) {
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("fill the backlog of %T", listener)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("fill the backlog: %w", err)
	}
	if controlErr := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }); controlErr != nil || err != nil {
		return nil, fmt.Errorf("shorten the backlog: %w", os.NewSyscallError("listen", err))
	}
	dialer := net.Dialer{Timeout: fillTime}
	for range mostFill {
		nc, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return fillers, nil // it is full
		}
		fillers = append(fillers, nc)
	}
	for _, nc := range fillers {
		_ = nc.Close()
	}
	return nil, fmt.Errorf("fill the backlog: it took %d connections and is not full", mostFill)
}
