package dial

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Link is an open connection that never blocks, with or without TLS. All
// methods belong to one goroutine.
type Link struct {
	socket        socket
	tls           *tls.Conn // nil: cleartext
	times         Times
	agreement     Agreement
	local, remote netip.AddrPort
}

// FD returns the descriptor to wait for; it stays the Link's.
func (l *Link) FD() int { return l.socket.fd }

// Times returns how long opening took.
func (l *Link) Times() Times { return l.times }

// Local returns the address and port of this side.
func (l *Link) Local() netip.AddrPort { return l.local }

// Remote returns the address and port of the peer, one of those of the name.
func (l *Link) Remote() netip.AddrPort { return l.remote }

// Agreed returns what TLS agreed on; ok is false in cleartext.
func (l *Link) Agreed() (agreement Agreement, ok bool) { return l.agreement, l.tls != nil }

// State returns all that TLS knows; ok is false in cleartext. It costs some
// allocations, unlike Agreed.
func (l *Link) State() (state tls.ConnectionState, ok bool) {
	if l.tls == nil {
		return tls.ConnectionState{}, false
	}
	return l.tls.ConnectionState(), true
}

// Share gives the link a buffer for what comes in encrypted. It can be shared
// with other links of the same goroutine, as long as each is read until
// ErrWouldBlock before the next one.
func (l *Link) Share(buffer []byte) { l.socket.shared = buffer }

// Arrived tells the link that its descriptor is readable, so that the next Read
// asks the kernel again.
func (l *Link) Arrived() { l.socket.arrived() }

// Full reports whether the kernel filled a buffer since Arrived, and so may have more.
func (l *Link) Full() bool { return l.socket.full }

// Read reads what has come in. It returns ErrWouldBlock when there is nothing,
// and io.EOF when the peer has closed. It has to be called before the first
// wait, because TLS may have taken more than the handshake from the socket.
// After a read that p was too large for, and after a few that filled it, it returns
// ErrWouldBlock without asking until Arrived.
func (l *Link) Read(p []byte) (int, error) {
	if l.tls == nil {
		return l.socket.receive(p)
	}
	return l.tls.Read(p)
}

// Write takes bytes of p and returns how many. In cleartext these are on their
// way to the peer; with TLS all are taken, and what the kernel did not take of
// the records waits until Flush.
func (l *Link) Write(p []byte) (int, error) {
	if l.tls == nil {
		return l.socket.send(p)
	}
	n, err := l.tls.Write(p)
	if err != nil {
		return n, err
	}
	return n, l.Flush()
}

// Flush writes the records that wait. It returns ErrWouldBlock when some are left.
func (l *Link) Flush() error { return l.socket.flush() }

// Pending reports whether records wait to be written.
func (l *Link) Pending() bool { return l.socket.out != nil }

// Close closes the connection, without waiting for anything.
func (l *Link) Close() error {
	if l.tls != nil {
		// One try to say goodbye. The lock that tls.Conn takes is free, and the
		// socket does not block.
		_ = l.tls.CloseWrite()
		_ = l.socket.flush()
	}
	return l.socket.Close()
}

// Wait blocks until the link can be read, written (when write is set), or the
// context ends. It is for the time before a loop takes the link over.
func (l *Link) Wait(ctx context.Context, write bool) error {
	return l.socket.wait(ctx, write)
}

// socket is a non-blocking TCP socket as the net.Conn that crypto/tls wants.
// During the handshake it waits; later it returns ErrWouldBlock and collects
// what is written.
type socket struct {
	fd      int
	drained bool            // the kernel had no more, or has given enough
	filled  int             // reads since arrived
	full    bool            // one of them filled its buffer
	ctx     context.Context // of the handshake, which is over when this is nil
	buffers *sync.Pool      // of *outgoing; of TLS only
	out     *outgoing       // written, but not taken by the kernel; nil: nothing
	shared  []byte          // for what the kernel gives
	in      []byte          // part of shared that was not read yet

	stamps   *Stamps // nil: when something came in is not asked for
	received int64   // when the last that was read came in, real time
}

// outgoing collects the records of one write of the loop's, so that they leave
// in one call. All links of a TLS share those that none of them needs now.
type outgoing struct{ records []byte }

var _ net.Conn = (*socket)(nil)

// maxFilled is for how many full buffers the kernel is asked for each Arrived, so that
// a peer that sends without end doesn't keep the loop from the others.
const maxFilled = 4

// arrived makes the kernel be asked again.
func (s *socket) arrived() { s.drained, s.filled, s.full = false, 0, false }

// receive reads from the kernel.
func (s *socket) receive(p []byte) (int, error) {
	if s.drained {
		return 0, ErrWouldBlock
	}
	for {
		n, err := s.take(p)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			s.drained = true
			return 0, ErrWouldBlock
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		}
		s.filled++
		s.full = s.full || n == len(p)
		s.drained = n < len(p) || s.filled >= maxFilled
		return n, nil
	}
}

// take is read(2). Here and in give Go's scheduler is not told of the call, which never
// blocks; telling it costs more than it gains, and when its monitor looks just then
// it takes the processor away for nothing.
func (s *socket) take(p []byte) (int, error) {
	if s.stamps == nil || len(p) == 0 {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
	n, received, errno := s.stamps.read(s.fd, p)
	if errno != 0 {
		return 0, errno
	}
	s.received = received
	return n, nil
}

// give is write(2).
func (s *socket) give(p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// send gives bytes to the kernel.
func (s *socket) send(p []byte) (int, error) {
	for {
		n, err := s.give(p) // the runtime turns SIGPIPE into EPIPE
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, ErrWouldBlock
		case err != nil:
			return 0, os.NewSyscallError("write", err)
		}
		return n, nil
	}
}

func (s *socket) flush() error {
	if s.out == nil {
		return nil
	}
	for len(s.out.records) > 0 {
		n, err := s.send(s.out.records)
		if err != nil {
			return err
		}
		s.out.records = s.out.records[:copy(s.out.records, s.out.records[n:])]
	}
	s.buffers.Put(s.out)
	s.out = nil
	return nil
}

// Read is called by crypto/tls.
func (s *socket) Read(p []byte) (int, error) {
	for {
		if len(s.in) > 0 {
			n := copy(p, s.in)
			s.in = s.in[n:]
			return n, nil
		}
		target := s.shared
		if s.ctx != nil || len(target) == 0 {
			target = p
		}
		n, err := s.receive(target)
		if err == ErrWouldBlock && s.ctx != nil {
			if err := s.wait(s.ctx, false); err != nil {
				return 0, err
			}
			s.arrived()
			continue
		}
		if err != nil {
			return 0, err
		}
		if &target[0] == &p[0] {
			return n, nil
		}
		// With TLS it is one, which takes as long to decrypt.
		s.in, s.drained = target[:n], true
	}
}

// Write is called by crypto/tls.
func (s *socket) Write(p []byte) (int, error) {
	if s.out == nil {
		s.out = s.buffers.Get().(*outgoing)
	}
	s.out.records = append(s.out.records, p...)
	if s.ctx == nil {
		return len(p), nil
	}
	for {
		err := s.flush()
		if err == nil {
			return len(p), nil
		}
		if err != ErrWouldBlock {
			return 0, err
		}
		if err := s.wait(s.ctx, true); err != nil {
			return 0, err
		}
	}
}

// wait blocks until the socket is readable, or writable, or ctx ends.
func (s *socket) wait(ctx context.Context, write bool) error {
	events := int16(unix.POLLIN)
	if write {
		events |= unix.POLLOUT
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		// In slices, because poll knows no context.
		slice := 20 * time.Millisecond
		if deadline, ok := ctx.Deadline(); ok {
			slice = max(time.Millisecond, min(slice, time.Until(deadline)))
		}
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: events}}
		n, err := unix.Poll(fds, int(slice.Milliseconds()))
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
		if n > 0 {
			s.arrived()
			return nil
		}
	}
}

// Close closes the descriptor once.
func (s *socket) Close() error {
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return os.NewSyscallError("close", err)
}

// LocalAddr and RemoteAddr are not asked for by crypto/tls.
func (s *socket) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (s *socket) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// Deadlines are those of the context that Open was given.
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }
