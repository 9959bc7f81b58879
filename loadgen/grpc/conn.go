package grpc

import (
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/h2"
)

// Conn is an HTTP/2 connection whose answers are scored as those of calls: by
// grpc-status, which is in the trailers, or in the header block of an answer
// that has no more than that. What is Answered is
//
//   - of the class of its HTTP status, when that is 400 or above;
//   - GRPCOther, when it has another HTTP status than 200, another content-type
//     than gRPC's, or no grpc-status that is a number of gRPC;
//   - of the class of its grpc-status, or of the proxy that is seen to have made
//     the answer;
//   - GRPCInternal, when it says it is good, but its messages are cut short or
//     there is not one of them, as a unary call needs.
//
// What is reset has the class of its HTTP/2 error code, as for other requests.
type Conn struct {
	*h2.Conn
	requests []exchange.Request
	answers  []answer // by slot
	names    []string // of fields
}

var (
	_ exchange.Conn = (*Conn)(nil)
	_ h2.Reader     = (*reader)(nil)
)

// reader is a Conn as h2 sees it.
type reader Conn

// New returns a connection with its preface in Out. Kinds of request without a
// Call are scored as plain requests. The Reader and Fields of cfg are not used.
func New(cfg *h2.Config) *Conn {
	c := &Conn{requests: cfg.Requests, names: fields()}
	own := *cfg
	own.Reader, own.Fields = (*reader)(c), c.names
	c.Conn = h2.New(&own)
	return c
}

// Start begins a call.
func (c *Conn) Start(kind int, token uint32, v *exchange.Variation) (slot int32) {
	slot = c.Conn.Start(kind, token, v)
	for int(slot) >= len(c.answers) {
		c.answers = append(c.answers, answer{})
	}
	call := c.requests[kind].Call
	c.answers[slot] = answer{is: call != nil, streaming: call != nil && call.ServerStreaming}
	return slot
}

// Update replaces the kinds of request for calls that begin from now on.
func (c *Conn) Update(requests []exchange.Request) {
	c.requests = requests
	c.Conn.Update(requests)
}

// Field takes a field of an answer.
func (r *reader) Field(slot int32, place int, value []byte) {
	r.answers[slot].field(place, r.names[place], value)
}

// Data takes a piece of an answer's body.
func (r *reader) Data(slot int32, piece []byte) {
	if a := &r.answers[slot]; a.is {
		a.data(piece)
	}
}

// End scores an answer.
func (r *reader) End(slot int32, d *exchange.Completion) {
	a := &r.answers[slot]
	if !a.is {
		return
	}
	d.Messages = a.messages.count
	if class := a.class(int(d.Status)); class != exchange.Good {
		d.Class = class
	}
}
