package dial

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stamps lets links read together with what they read when the kernel received it.
// The links of one goroutine can share one.
type Stamps struct {
	message unix.Msghdr
	vector  unix.Iovec
	control [8]uint64 // aligned as the kernel wants it
}

// Stamp makes the link learn when the kernel received what it reads, as Received
// tells, from what comes in from now on.
func (l *Link) Stamp(with *Stamps) error {
	if err := unix.SetsockoptInt(l.socket.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	l.socket.stamps = with
	return nil
}

// Received returns when the kernel received the last of the bytes that were read
// last, in nanoseconds of the real-time clock since 1970, 0 when it does not say. With
// TLS these are the bytes of the records, of which some may still be unread.
func (l *Link) Received() int64 { return l.socket.received }

// read is read(2), and returns when the last of the bytes came in.
func (s *Stamps) read(fd int, p []byte) (n int, received int64, errno unix.Errno) {
	s.vector.Base = &p[0]
	s.vector.SetLen(len(p))
	s.message.Iov = &s.vector
	s.message.SetIovlen(1)
	s.message.Control = (*byte)(unsafe.Pointer(&s.control[0]))
	s.message.SetControllen(int(unsafe.Sizeof(s.control)))
	got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.message)), 0)
	if errno != 0 {
		return 0, 0, errno
	}
	const length = unsafe.Sizeof(unix.Timespec{})
	if int(s.message.Controllen) >= unix.CmsgLen(int(length)) {
		header := (*unix.Cmsghdr)(unsafe.Pointer(&s.control[0]))
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SCM_TIMESTAMPNS {
			at := (*unix.Timespec)(unsafe.Add(unsafe.Pointer(&s.control[0]), unix.CmsgLen(0)))
			received = at.Nano()
		}
	}
	return int(got), received, 0
}
