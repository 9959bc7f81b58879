package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// ErrPlatform is returned where there are no sockets that the load generator
// can use.
var ErrPlatform = errors.New("the load generator needs Linux")

// ErrWouldBlock is returned by a Link that has nothing to read now, or no room
// to write.
var ErrWouldBlock error = wouldBlock{}

// wouldBlock is a temporary net.Error: crypto/tls goes on after those.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "the operation would block" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

var _ net.Error = wouldBlock{}

// Cause says why a connection could not be opened.
type Cause string

// The causes.
const (
	CauseAddress     Cause = "bad address"
	CauseResolve     Cause = "name does not resolve"
	CauseRefused     Cause = "connection refused"
	CauseUnreachable Cause = "unreachable"
	CauseTimeout     Cause = "timeout"
	CauseInterrupted Cause = "interrupted"
	CauseDescriptors Cause = "out of file descriptors"
	CausePorts       Cause = "out of local ports"
	CauseAuthority   Cause = "certificate of an unknown authority"
	CauseName        Cause = "certificate for another name"
	CauseExpired     Cause = "certificate expired or not yet valid"
	CauseCertificate Cause = "certificate not acceptable"
	CauseAlert       Cause = "handshake refused by the server"
	CauseVersion     Cause = "no TLS version in common"
	CauseNotTLS      Cause = "server does not speak TLS"
	CauseClosed      Cause = "closed by the server"
	CauseNoProtocol  Cause = "server negotiated no protocol"
	CauseProtocol    Cause = "server negotiated another protocol"
	CauseOther       Cause = "error"
	stepResolve            = "resolve"
	stepConnect            = "connect to"
	stepHandshake          = "TLS handshake with"
)

// errNoRoute says that no address of this machine can reach one of another, for
// example because it has none of IPv6.
var errNoRoute = errors.New("this machine has no address that could reach it")

// Error says why and at which step a connection could not be opened.
type Error struct {
	Step    string // resolve, connect to, TLS handshake with
	Address string // host:port
	Cause   Cause
	Err     error // may be nil
}

// Error says it in one line.
func (e *Error) Error() string {
	message := fmt.Sprintf("%s %s: %s", e.Step, e.Address, e.Cause)
	if e.Err != nil {
		message += ": " + e.Err.Error()
	}
	if e.Cause == CauseAlert && e.Err != nil {
		message += advice(e.Err.Error())
	}
	return message
}

// advice says what an alert of the server's asks for. The type of alerts is not
// exported, only their words.
func advice(alert string) string {
	for _, a := range []struct{ words, advice string }{
		{"certificate required", "; if it wants a client certificate, set tls.certFile and tls.keyFile"},
		{"handshake failure", "; if it wants a client certificate, set tls.certFile and tls.keyFile; otherwise there may be no cipher suite or curve in common"},
		{"unknown certificate authority", "; the server does not trust the authority of tls.certFile"},
		{"expired certificate", "; the certificate in tls.certFile has expired"},
		{"revoked certificate", "; the server does not accept tls.certFile"},
		{"bad certificate", "; the server does not accept tls.certFile, or wants one"},
		{"access denied", "; the server does not accept tls.certFile, or wants one"},
		{"unrecognized name", "; the server does not know the name, see tls.serverName"},
	} {
		if strings.Contains(alert, a.words) {
			return a.advice
		}
	}
	return ""
}

// Unwrap returns what was behind it.
func (e *Error) Unwrap() error { return e.Err }

// Late explains an error of the first bytes after a handshake. With TLS 1.3 a
// server that refuses the client does so only then; that is an *Error as if it
// had come in the handshake. Other errors are returned as they are.
func Late(address string, err error) error {
	if cause(err) == CauseAlert {
		return wrap(stepHandshake, address, err)
	}
	return err
}

// negotiated checks the outcome of ALPN against what was asked for. A server
// without ALPN speaks HTTP/1.1.
func negotiated(address, asked, got string) error {
	switch {
	case got == asked, got == "" && asked == ProtocolHTTP1:
		return nil
	case got == "":
		return &Error{Step: stepHandshake, Address: address, Cause: CauseNoProtocol,
			Err: fmt.Errorf("asked for %s by ALPN, the server chose none, so it would take HTTP/1.1", asked)}
	}
	return &Error{Step: stepHandshake, Address: address, Cause: CauseProtocol,
		Err: fmt.Errorf("asked for %s, server negotiated %s", asked, got)}
}

// refused turns an error of a handshake into an Error with its cause.
func refused(address, asked string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "no application protocol"): // alert 120, whose type is not exported
		return &Error{Step: stepHandshake, Address: address, Cause: CauseNoProtocol,
			Err: fmt.Errorf("asked for %s by ALPN, which the server does not speak: %w", asked, err)}
	case strings.Contains(text, "protocol version not supported"), // alert 70
		strings.Contains(text, "unsupported protocol version"): // what crypto/tls says of the server's choice
		return &Error{Step: stepHandshake, Address: address, Cause: CauseVersion,
			Err: fmt.Errorf("%w; see tls.minVersion and tls.maxVersion", err)}
	}
	return wrap(stepHandshake, address, err)
}

// wrap turns an error of a step into an Error with its cause.
func wrap(step, address string, err error) error {
	return &Error{Step: step, Address: address, Cause: cause(err), Err: err}
}

// cause finds out what is behind an error.
func cause(err error) Cause {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		resolve   *net.DNSError
		op        *net.OpError
		addr      *net.AddrError
		identity  *identityError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return CauseTimeout
	case errors.Is(err, context.Canceled):
		return CauseInterrupted
	case errors.As(err, &resolve):
		return CauseResolve
	case errors.As(err, &addr):
		return CauseAddress
	case errors.Is(err, syscall.ECONNREFUSED):
		return CauseRefused
	case errors.Is(err, syscall.ETIMEDOUT):
		return CauseTimeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, errNoRoute):
		return CauseUnreachable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return CauseDescriptors
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return CausePorts
	case errors.As(err, &authority):
		return CauseAuthority
	case errors.As(err, &name), errors.As(err, &identity):
		return CauseName
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return CauseExpired
		}
		return CauseCertificate
	case errors.As(err, &verify):
		return CauseCertificate
	case errors.As(err, &record):
		return CauseNotTLS
	case errors.As(err, &alert):
		return CauseAlert
	case errors.As(err, &op) && op.Op == "remote error":
		return CauseAlert
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return CauseClosed
	}
	return CauseOther
}
