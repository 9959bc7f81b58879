package dial

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// attemptDelay is how long an address has before the next one is tried beside
	// it: the value that RFC 8305, section 5, recommends.
	attemptDelay = 250 * time.Millisecond
	// pollSlice is how often a wait looks whether its context has ended, because
	// poll knows no context.
	pollSlice = 20 * time.Millisecond
)

// attempt is one address that is being connected to.
type attempt struct {
	fd int
	to netip.AddrPort
}

// attempts are those of one connection.
type attempts struct {
	running []attempt
	polled  []unix.PollFd
	errs    failures
}

// connect connects to the first address that answers, and returns the descriptor
// of a non-blocking socket. Each address but the first is tried as soon as the
// one before it has failed, or has not answered for a while; those that went
// before may still win.
func connect(ctx context.Context, addresses []netip.AddrPort) (fd int, to netip.AddrPort, err error) {
	a := attempts{}
	defer a.close()
	delay := attemptDelay
	if deadline, ok := ctx.Deadline(); ok { // the last address gets its share of the time, too
		delay = min(delay, time.Until(deadline)/time.Duration(len(addresses)+1))
	}
	var due time.Time // of the next address; zero: at once
	for {
		if err := ctx.Err(); err != nil {
			return 0, to, a.failed(err)
		}
		if len(addresses) > 0 && (len(a.running) == 0 || due.IsZero() || !time.Now().Before(due)) {
			to, addresses = addresses[0], addresses[1:]
			a.start(to)
			due = time.Now().Add(delay)
			continue
		}
		if len(a.running) == 0 {
			return 0, to, a.failed(nil)
		}
		slice := pollSlice
		if len(addresses) > 0 {
			slice = min(slice, time.Until(due))
		}
		won, failed, err := a.poll(slice)
		if err != nil {
			return 0, to, a.failed(err)
		}
		if won != nil {
			return won.fd, won.to, nil
		}
		if failed {
			due = time.Time{}
		}
	}
}

// start begins to connect to an address.
func (a *attempts) start(to netip.AddrPort) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		a.errs = append(a.errs, failure{to, os.NewSyscallError("socket", err)})
		return
	}
	switch err := unix.Connect(fd, address); err {
	case nil, unix.EINPROGRESS, unix.EINTR: // a poll finds out
		a.running = append(a.running, attempt{fd, to})
	default:
		_ = unix.Close(fd)
		a.errs = append(a.errs, failure{to, explain(err, family, address)})
	}
}

// poll waits until a connection is made, or one has failed.
func (a *attempts) poll(slice time.Duration) (won *attempt, failed bool, err error) {
	a.polled = a.polled[:0]
	for _, r := range a.running {
		// Writability alone: that is how a connection reports that it is made, or
		// has failed.
		a.polled = append(a.polled, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLOUT})
	}
	n, err := unix.Poll(a.polled, max(1, int(slice.Milliseconds())))
	if err == unix.EINTR || n == 0 {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, os.NewSyscallError("poll", err)
	}
	still := a.running[:0]
	for i, r := range a.running {
		if a.polled[i].Revents == 0 || won != nil {
			still = append(still, r)
			continue
		}
		code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			err = os.NewSyscallError("getsockopt", err)
		case code != 0:
			err = os.NewSyscallError("connect", unix.Errno(code))
		default:
			won = &r
			continue
		}
		_ = unix.Close(r.fd)
		a.errs, failed = append(a.errs, failure{r.to, err}), true
	}
	a.running = still
	return won, failed, nil
}

// close gives up those that are still running.
func (a *attempts) close() {
	for _, r := range a.running {
		_ = unix.Close(r.fd)
	}
}

// failed returns the error of all that was tried; those that are still running
// have failed with err.
func (a *attempts) failed(err error) error {
	for _, r := range a.running {
		a.errs = append(a.errs, failure{r.to, err})
	}
	if len(a.errs) == 1 {
		return a.errs[0].err
	}
	if len(a.errs) == 0 {
		return err
	}
	return a.errs
}

// explain says more about an error of connect than its number does. Without a
// free port and without an address of the family, the kernel gives the same
// number; a datagram socket, which has ports of its own, tells them apart.
func explain(err error, family int, address unix.Sockaddr) error {
	failed := os.NewSyscallError("connect", err)
	if err != unix.EADDRNOTAVAIL {
		return failed
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return failed
	}
	defer unix.Close(fd)
	if unix.Connect(fd, address) == unix.EADDRNOTAVAIL { // which sends nothing
		return errNoRoute
	}
	text, err := os.ReadFile(portRangeFile)
	if err != nil {
		text = nil
	}
	return fmt.Errorf("%s: %w", portAdvice(string(text)), failed)
}

// failure is what happened to one address.
type failure struct {
	to  netip.AddrPort
	err error
}

// failures are those of all addresses of a name.
type failures []failure

func (f failures) Error() string {
	var b strings.Builder
	for i, one := range f {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == namesShown {
			fmt.Fprintf(&b, "and %d more", len(f)-i)
			break
		}
		text := one.err.Error()
		if errors.Is(one.err, context.DeadlineExceeded) || errors.Is(one.err, context.Canceled) {
			text = "no answer: " + text
		}
		fmt.Fprintf(&b, "%s: %s", one.to, text)
	}
	return b.String()
}

// Unwrap returns them all.
func (f failures) Unwrap() []error {
	errs := make([]error, len(f))
	for i, one := range f {
		errs[i] = one.err
	}
	return errs
}
