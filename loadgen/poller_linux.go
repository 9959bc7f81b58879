package loadgen

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for sockets and for a wake-up from other goroutines, with
// nanoseconds of resolution.
type poller struct {
	epoll, wake int
	events      []unix.EpollEvent
	limit       [2]int64 // seconds and nanoseconds of the current wait
	coarse      bool     // the kernel has no epoll_pwait2 (before 5.11)
	keep        bool     // short waits keep the scheduler's processor
	bell        unix.PollFd
}

// keepFor is the longest wait, in nanoseconds, that keeps the processor of Go's
// scheduler instead of giving it back. Giving it back makes the runtime's monitor
// run every 20 µs while we sleep, which costs as much as the load itself at some
// thousand wake-ups a second. Whoever stops the world interrupts the wait by a
// signal, as it would a computation.
const keepFor = int64(10 * time.Millisecond)

// wakeTag marks the event of the wake descriptor.
const wakeTag = -1

// newPoller returns a poller for so many events at once. keep says that the
// scheduler has processors left when this poller keeps one.
func newPoller(events int, keep bool) (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open a poller: %w", os.NewSyscallError("epoll_create1", err))
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("open a poller: %w", os.NewSyscallError("eventfd", err))
	}
	p := &poller{epoll: epoll, wake: wake, events: make([]unix.EpollEvent, events), keep: keep}
	if err := p.control(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN, wakeTag, 0); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// control adds, changes or removes a descriptor. The tag and the generation come
// back in its events.
func (p *poller) control(operation, fd int, events uint32, tag, generation int32) error {
	event := unix.EpollEvent{Events: events, Fd: tag, Pad: generation}
	if err := unix.EpollCtl(p.epoll, operation, fd, &event); err != nil {
		return fmt.Errorf("watch a connection: %w", os.NewSyscallError("epoll_ctl", err))
	}
	return nil
}

// wait waits for events, at most timeout nanoseconds; below 0 means for ever.
// The result is valid until the next call.
func (p *poller) wait(timeout int64) ([]unix.EpollEvent, error) {
	if p.coarse {
		return p.waitCoarse(timeout)
	}
	var limit *[2]int64
	if timeout >= 0 {
		p.limit = [2]int64{timeout / 1e9, timeout % 1e9}
		limit = &p.limit
	}
	var n uintptr
	var errno unix.Errno
	if p.keep && timeout >= 0 && timeout <= keepFor {
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(len(p.events)), uintptr(unsafe.Pointer(limit)), 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(len(p.events)), uintptr(unsafe.Pointer(limit)), 0, 0)
	}
	switch errno {
	case 0:
		return p.events[:n], nil
	case unix.EINTR:
		return nil, nil
	case unix.ENOSYS, unix.EPERM:
		p.coarse = true
		return p.waitCoarse(timeout)
	}
	return nil, fmt.Errorf("wait for connections: %w", os.NewSyscallError("epoll_pwait2", errno))
}

// rest waits for a wake-up from other goroutines alone, at most timeout nanoseconds.
// What comes in meanwhile is for the next wait.
func (p *poller) rest(timeout int64) error {
	p.limit = [2]int64{timeout / 1e9, timeout % 1e9}
	p.bell = unix.PollFd{Fd: int32(p.wake), Events: unix.POLLIN}
	if unsafe.Sizeof(uintptr(0)) < 8 || !p.keep || timeout > keepFor {
		limit := unix.NsecToTimespec(timeout)
		_, err := unix.Ppoll([]unix.PollFd{p.bell}, &limit, nil)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for the next arrival: %w", os.NewSyscallError("ppoll", err))
		}
		return nil
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p.bell)), 1, uintptr(unsafe.Pointer(&p.limit)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("wait for the next arrival: %w", os.NewSyscallError("ppoll", errno))
	}
	return nil
}

// waitCoarse does the same in two calls: ppoll, which has nanoseconds, on the
// epoll descriptor, then what epoll has.
func (p *poller) waitCoarse(timeout int64) ([]unix.EpollEvent, error) {
	var limit *unix.Timespec
	if timeout >= 0 {
		ts := unix.NsecToTimespec(timeout)
		limit = &ts
	}
	if timeout != 0 {
		fds := []unix.PollFd{{Fd: int32(p.epoll), Events: unix.POLLIN}}
		if _, err := unix.Ppoll(fds, limit, nil); err != nil && err != unix.EINTR {
			return nil, fmt.Errorf("wait for connections: %w", os.NewSyscallError("ppoll", err))
		}
	}
	n, err := unix.EpollWait(p.epoll, p.events, 0)
	if err != nil && err != unix.EINTR {
		return nil, fmt.Errorf("wait for connections: %w", os.NewSyscallError("epoll_wait", err))
	}
	return p.events[:max(0, n)], nil
}

// notify makes wait return. It can be called from any goroutine.
func (p *poller) notify() {
	one := [8]byte{1}
	_, _ = unix.Write(p.wake, one[:]) // fails only when it is notified already
}

// acknowledge takes back a notification.
func (p *poller) acknowledge() {
	var count [8]byte
	_, _ = unix.Read(p.wake, count[:])
}

func (p *poller) close() {
	_ = unix.Close(p.epoll)
	_ = unix.Close(p.wake)
}
