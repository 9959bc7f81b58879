package grpc

import (
	"bytes"
	"math"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// answer is what is known of the answer to one call.
type answer struct {
	is        bool // it answers a call; nothing else counts when it does not
	streaming bool // any number of messages may come
	grpc      bool // its content-type says so
	hasStatus bool
	status    uint32
	evidence  exchange.Evidence
	messages  messages
}

// The fields of an answer that matter, by their places in fields.
const (
	fieldContentType = iota
	fieldStatus
	fieldMessage
	fieldEvidence // and all behind it
)

// fields returns the names of the fields that an answer is scored by.
func fields() []string {
	return []string{
		fieldContentType: "content-type", fieldStatus: "grpc-status", fieldMessage: "grpc-message",
		fieldEvidence: "x-envoy-overloaded", "x-envoy-upstream-service-time", "server",
	}
}

// field takes a field of the header block or the trailers.
func (a *answer) field(place int, name string, value []byte) {
	switch place {
	case fieldContentType:
		a.grpc = a.grpc || isGRPC(value)
	case fieldStatus:
		status := parseCode(value)
		if a.hasStatus && a.status != status {
			status = noCode // which of the two?
		}
		a.hasStatus, a.status = true, status
	case fieldMessage:
		a.evidence |= exchange.MessageEvidence(value)
	default:
		a.evidence |= exchange.FieldEvidence([]byte(name), value)
	}
}

// data takes a piece of the body. A status that stands before a body is none:
// only trailers can say how a stream of messages has ended.
func (a *answer) data(piece []byte) {
	a.hasStatus = a.hasStatus && len(piece) == 0
	a.messages.take(piece)
}

// class returns the class of the complete answer, Good when only its HTTP status
// speaks against it.
func (a *answer) class(status int) exchange.Class {
	switch {
	case status >= 400:
		return exchange.Good
	case status != 200, !a.grpc, !a.hasStatus:
		return exchange.GRPCOther
	case a.status != 0:
		return exchange.ClassifyCall(a.status, a.evidence)
	case !a.messages.whole(), !a.streaming && a.messages.count != 1:
		// What clients of gRPC make of an answer that says it is good and can't be.
		return exchange.GRPCInternal
	}
	return exchange.Good
}

// isGRPC reports whether a content-type is application/grpc, alone, with the
// name of a codec, or with parameters.
func isGRPC(contentType []byte) bool {
	const grpc = "application/grpc"
	if len(contentType) < len(grpc) || !bytes.EqualFold(contentType[:len(grpc)], []byte(grpc)) {
		return false
	}
	rest := contentType[len(grpc):]
	return len(rest) == 0 || rest[0] == '+' || rest[0] == ';'
}

// noCode is a grpc-status that is not a number.
const noCode = math.MaxUint32

// parseCode reads a decimal number; noCode when there is none.
func parseCode(s []byte) uint32 {
	if len(s) == 0 || len(s) > 9 {
		return noCode
	}
	code := uint32(0)
	for _, c := range s {
		if c < '0' || c > '9' {
			return noCode
		}
		code = 10*code + uint32(c-'0')
	}
	return code
}
