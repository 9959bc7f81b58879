package exchange

import "bytes"

// Class says what became of one arrival. The zero Class is a good answer.
type Class uint8

// The classes. What an answer shows of its origin decides between those of one
// status; an answer with a status below 400 is always Good.
const (
	Good Class = iota

	// Answers that say that something went wrong.
	Overflow          // 503 with x-envoy-overloaded: a circuit breaker shed it
	NoHealthyUpstream // 503 of a proxy that has no endpoint left
	ConnectFailure    // 503 of a proxy that could not connect
	UpstreamReset     // 502 or 503 of a proxy whose upstream closed or reset
	Timeout504        // 504: a route's timeout, in any hop
	FaultInjected     // aborted by a fault filter, whatever the status
	RateLimited       // 429
	RBACDenied        // 403 of a proxy's access rules
	NoRoute           // 404 of a proxy without a route
	Service4xx        // any other 4xx
	Service5xx        // any other 5xx
	CheckFailed       // a good status, but not what the request's check wants
	Unauthorized      // 401, or 403 that is not a proxy's: the credential is no good (any more)

	// Answers of gRPC, by grpc-status; 0 is Good.
	GRPCCancelled
	GRPCUnknown
	GRPCInvalidArgument
	GRPCDeadlineExceeded
	GRPCNotFound
	GRPCAlreadyExists
	GRPCPermissionDenied
	GRPCResourceExhausted
	GRPCFailedPrecondition
	GRPCAborted
	GRPCOutOfRange
	GRPCUnimplemented
	GRPCInternal
	GRPCUnavailable
	GRPCDataLoss
	GRPCUnauthenticated
	GRPCOther // any other number, or none at all

	// No complete answer.
	ResetNoError // the peer reset the stream, by its error code
	ResetProtocol
	ResetInternal
	ResetFlowControl
	ResetSettingsTimeout
	ResetStreamClosed
	ResetFrameSize
	ResetRefused // also after the retry that a refusal allows
	ResetCancel
	ResetCompression
	ResetConnect
	ResetCalm
	ResetSecurity
	ResetHTTP11
	ResetOther
	GoneAway       // not processed because of a GOAWAY, and not sent again
	ConnectionLost // the connection ended with the request in flight
	ProtocolError  // the peer broke the protocol
	TimedOut       // no answer within the timeout, counted from the intended instant

	// Never sent.
	Shed            // the backlog was full
	ShedWaiting     // waited its whole timeout for a stream
	ShedInterrupted // was waiting when the load was stopped

	numClasses
)

// Classes is the number of classes: an array of that length is indexed by Class.
const Classes = int(numClasses)

// String returns the name that stands in records, "" for an unknown class.
func (c Class) String() string {
	names := [Classes]string{
		Good: "good", Overflow: "overflow", NoHealthyUpstream: "no-healthy-upstream",
		ConnectFailure: "connect-failure", UpstreamReset: "upstream-reset", Timeout504: "timeout-504",
		FaultInjected: "fault-injected", RateLimited: "rate-limited", RBACDenied: "rbac-denied",
		NoRoute: "no-route", Service4xx: "service-4xx", Service5xx: "service-5xx",
		CheckFailed: "check-failed", Unauthorized: "unauthorized",
		GRPCCancelled: "grpc-cancelled", GRPCUnknown: "grpc-unknown", GRPCInvalidArgument: "grpc-invalid-argument",
		GRPCDeadlineExceeded: "grpc-deadline-exceeded", GRPCNotFound: "grpc-not-found",
		GRPCAlreadyExists: "grpc-already-exists", GRPCPermissionDenied: "grpc-permission-denied",
		GRPCResourceExhausted: "grpc-resource-exhausted", GRPCFailedPrecondition: "grpc-failed-precondition",
		GRPCAborted: "grpc-aborted", GRPCOutOfRange: "grpc-out-of-range", GRPCUnimplemented: "grpc-unimplemented",
		GRPCInternal: "grpc-internal", GRPCUnavailable: "grpc-unavailable", GRPCDataLoss: "grpc-data-loss",
		GRPCUnauthenticated: "grpc-unauthenticated", GRPCOther: "grpc-other",
		ResetNoError: "reset-no-error", ResetProtocol: "reset-protocol-error", ResetInternal: "reset-internal-error",
		ResetFlowControl: "reset-flow-control-error", ResetSettingsTimeout: "reset-settings-timeout",
		ResetStreamClosed: "reset-stream-closed", ResetFrameSize: "reset-frame-size-error",
		ResetRefused: "reset-refused-stream", ResetCancel: "reset-cancel",
		ResetCompression: "reset-compression-error", ResetConnect: "reset-connect-error",
		ResetCalm: "reset-enhance-your-calm", ResetSecurity: "reset-inadequate-security",
		ResetHTTP11: "reset-http-1-1-required", ResetOther: "reset-unknown-code",
		GoneAway: "goaway", ConnectionLost: "connection-lost", ProtocolError: "protocol-error",
		TimedOut: "timed-out", Shed: "shed", ShedWaiting: "shed-waiting", ShedInterrupted: "shed-interrupted",
	}
	if int(c) >= Classes {
		return ""
	}
	return names[c]
}

// ResetClass returns the class of a stream that the peer reset with an HTTP/2
// error code (RFC 9113, section 7).
func ResetClass(code uint32) Class {
	const last = uint32(ResetHTTP11 - ResetNoError)
	if code > last {
		return ResetOther
	}
	return ResetNoError + Class(code)
}

// GRPCClass returns the class of an answer by its grpc-status.
func GRPCClass(code uint32) Class {
	switch {
	case code == 0:
		return Good
	case code > uint32(GRPCUnauthenticated-GRPCCancelled)+1:
		return GRPCOther
	}
	return GRPCCancelled + Class(code-1)
}

// IsBad reports whether an answer counts as an error: 5xx or 429, a failed check,
// or a call of gRPC that did not end well, which has a good HTTP status.
func IsBad(status int, class Class) bool {
	return status >= 500 || status == 429 || class == CheckFailed || status < 400 && class != Good
}

// Evidence is what an answer shows of who made it.
type Evidence uint16

// The pieces of evidence.
const (
	SaysOverloaded   Evidence = 1 << iota // x-envoy-overloaded: true
	FromProxy                             // server: envoy or istio-envoy
	UpstreamAnswered                      // x-envoy-upstream-service-time is there
	bodyNoHealthy                         // of the first bytes of the body
	bodyConnect
	bodyReset
	bodyRBAC
	bodyFault
	messageTimeout // of the message of a gRPC status
	messageRateLimit
)

// BodyEvidence returns what the first bytes of an error's body show. The texts
// are those of Envoy's own replies.
func BodyEvidence(body []byte) Evidence {
	if len(body) > bodyLooked {
		body = body[:bodyLooked]
	}
	has := func(text string) bool { return bytes.Contains(body, []byte(text)) }
	switch {
	case has("no healthy upstream"):
		return bodyNoHealthy
	case has("remote connection failure"), has("local connection failure"), has("connection timeout"):
		return bodyConnect
	case has("reset reason: overflow"):
		return SaysOverloaded
	case has("upstream connect error or disconnect/reset before headers"):
		return bodyReset
	case has("RBAC: access denied"):
		return bodyRBAC
	case has("fault filter abort"):
		return bodyFault
	}
	return 0
}

// bodyLooked is how much of a body BodyEvidence looks at, in bytes.
const bodyLooked = 512

// Classify returns the class of a complete answer.
func Classify(status int, e Evidence) Class {
	if status < 400 {
		return Good
	}
	if e&bodyFault != 0 {
		return FaultInjected
	}
	byProxy := e&FromProxy != 0 && e&UpstreamAnswered == 0
	switch {
	case status == 503 && e&SaysOverloaded != 0:
		return Overflow
	case status == 503 && e&bodyNoHealthy != 0:
		return NoHealthyUpstream
	case status == 503 && e&bodyConnect != 0:
		return ConnectFailure
	case (status == 502 || status == 503) && e&bodyReset != 0:
		return UpstreamReset
	case status == 504:
		return Timeout504
	case status == 429:
		return RateLimited
	case status == 403 && e&bodyRBAC != 0:
		return RBACDenied
	case status == 401, status == 403:
		return Unauthorized
	case status == 404 && byProxy:
		return NoRoute
	case status >= 500:
		return Service5xx
	}
	return Service4xx
}
