package exchange

import "bytes"

// The codes of gRPC that Envoy gives to answers of its own.
const (
	codeOK                = 0
	codePermissionDenied  = 7
	codeResourceExhausted = 8
	codeUnimplemented     = 12
	codeUnavailable       = 14
)

// MessageEvidence returns what the grpc-message of a status shows. A proxy puts
// there what would be the body of its answer to a plain request.
func MessageEvidence(message []byte) Evidence {
	switch {
	case len(message) == 0:
		return 0
	case bytes.Contains(message, []byte("upstream request timeout")):
		return messageTimeout
	case bytes.Contains(message, []byte("rate_limited")):
		return messageRateLimit
	}
	return BodyEvidence(message)
}

// ClassifyCall returns the class of a complete answer to a call of gRPC, whose
// HTTP status was 200: that of its grpc-status, unless a proxy is seen to have
// made the answer, which is told apart as for other requests.
func ClassifyCall(code uint32, e Evidence) Class {
	class := GRPCClass(code)
	if code != codeOK && e&bodyFault != 0 {
		return FaultInjected
	}
	byProxy := e&FromProxy != 0 && e&UpstreamAnswered == 0
	switch code {
	case codePermissionDenied:
		if e&bodyRBAC != 0 {
			return RBACDenied
		}
	case codeResourceExhausted:
		if e&messageRateLimit != 0 {
			return RateLimited
		}
	case codeUnimplemented:
		if byProxy {
			return NoRoute
		}
	case codeUnavailable:
		switch {
		case e&messageTimeout != 0:
			return Timeout504
		case e&messageRateLimit != 0:
			return RateLimited
		}
		if of := Classify(503, e); of != Service5xx {
			return of
		}
	}
	return class
}
