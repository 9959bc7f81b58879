package h1

import (
	"fmt"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// Config is what all connections of a session share.
type Config struct {
	Requests []exchange.Request // the kinds that Start may be asked for
	// BackendHeader is the field, in lower case, whose value names the backend
	// that answered; empty: none.
	BackendHeader string
}

// The limits of a connection, in bytes where nothing else is said.
const (
	maxBlock     = 256 << 10 // the header blocks of one answer; its trailers
	maxChunkLine = 4 << 10   // the size of a chunk with its extensions
	copied       = 16 << 10  // of a body, which leaves together with the head
	piece        = 64 << 10  // of a body that is lent out
	looked       = 512       // of an error's body
	maxBackends  = 64        // names that are kept
)

// Conn is one connection. All methods belong to one goroutine.
type Conn struct {
	cfg      *Config
	requests []exchange.Request
	heads    []head // by kind, encoded when first used

	active  bool // a request is in flight
	token   uint32
	head    *head           // of that request
	check   *exchange.Check // of its answer, nil: none
	written int64           // bytes of it
	closes  bool            // it announces that it is the last one

	out  []byte // head, and beginning of the body
	took int    // bytes of out that were written
	body []byte // of the request, what is neither in out nor written
	own  []byte // holds a body of this sending alone; kept for the next one

	step   step
	line   []byte // a line that has come in part
	block  int    // bytes of the header blocks so far, or of the trailers
	answer answer
	look   []byte // the first bytes of an error's body

	done     []exchange.Completion
	backends map[string]string // names that were seen
	name     []byte            // of a field, in lower case
	now      int64
	served   int // answers on this connection
	closings int // announcements that the peer closes
	leaving  bool
	dead     bool
}

var _ exchange.Conn = (*Conn)(nil)

// Error is a breach of the protocol that ends the connection.
type Error struct{ Reason string }

// Error says what the peer did.
func (e *Error) Error() string { return "http/1.1: " + e.Reason }

// New returns a connection that is ready for its first request.
func New(cfg *Config) *Conn {
	return &Conn{cfg: cfg, requests: cfg.Requests}
}

// Ready is always true: nothing has to be agreed on first.
func (c *Conn) Ready() bool { return true }

// Free returns 1 when a request can be started.
func (c *Conn) Free() int {
	if c.active || c.leaving || c.dead {
		return 0
	}
	return 1
}

// Active returns 1 while a request is in flight.
func (c *Conn) Active() int {
	if c.active {
		return 1
	}
	return 0
}

// Leaving reports whether nothing can be started any more. While an answer is
// coming it does not say so yet, even when the answer is the last one: what comes
// after this connection takes its place, not one beside it.
func (c *Conn) Leaving() bool { return c.leaving }

// GoAways returns how often an answer has announced that the connection closes.
func (c *Conn) GoAways() int { return c.closings }

// PeerLimit returns false: the protocol has no such limit.
func (c *Conn) PeerLimit() (requests uint32, ok bool) { return 0, false }

// Start begins a request of a kind. The token comes back in Done; the slot, for
// Cancel, is always 0. It must not be called when Free is 0. Bytes in v that
// would end a line are replaced, so that no value can pass for another request.
func (c *Conn) Start(kind int, token uint32, v *exchange.Variation) (slot int32) {
	request := &c.requests[kind]
	c.head = c.headOf(kind)
	c.active, c.token, c.check, c.written = true, token, request.Check, 0
	c.closes = c.head.closes
	c.step, c.answer, c.block, c.line, c.look = stepStatus, answer{}, 0, c.line[:0], c.look[:0]
	c.out, c.took = c.out[:0], 0
	c.body = request.Body
	if v == nil {
		c.out = append(append(c.out, c.head.bytes...), "\r\n"...)
	} else {
		if v.HasBody {
			c.own = append(c.own[:0], v.Body...)
			c.body = c.own
		}
		c.vary(v)
	}
	if n := min(copied, len(c.body)); n > 0 {
		c.out = append(c.out, c.body[:n]...)
		c.body = c.body[n:]
	}
	return 0
}

// Update replaces the kinds of request for those that are started from now on.
func (c *Conn) Update(requests []exchange.Request) {
	c.requests = requests
	c.heads = nil // the request in flight keeps its own
}

// Out returns the bytes that wait to be written, valid until the next call of
// another method.
func (c *Conn) Out() []byte {
	if c.took < len(c.out) {
		return c.out[c.took:]
	}
	return c.body[:min(piece, len(c.body))]
}

// Wrote takes note that the first n bytes of Out were written.
func (c *Conn) Wrote(n int) {
	c.written += int64(n)
	if c.took == len(c.out) {
		c.body = c.body[n:]
		return
	}
	c.took += n
	if c.took == len(c.out) {
		c.out, c.took = c.out[:0], 0
	}
}

// Pump does nothing: Out lends bodies out as they are written.
func (c *Conn) Pump() {}

// unsent reports whether some of the request was not written.
func (c *Conn) unsent() bool { return c.took < len(c.out) || len(c.body) > 0 }

// hush gives up what was not written.
func (c *Conn) hush() { c.out, c.took, c.body = c.out[:0], 0, nil }

// Done returns what ended since the last Forget, valid until then.
func (c *Conn) Done() []exchange.Completion { return c.done }

// Forget empties Done.
func (c *Conn) Forget() { c.done = c.done[:0] }

// Cancel gives up the request in flight, which is not reported in Done. When
// some of it was written the connection is of no more use, because the protocol
// has no other way to stop an answer.
func (c *Conn) Cancel(int32) {
	c.hush()
	c.active, c.step = false, stepIdle
	if c.written > 0 {
		c.leave()
	}
}

// leave makes the connection pass over all that still comes.
func (c *Conn) leave() { c.leaving, c.step = true, stepOver }

// Ended takes note that the peer has closed, which completes an answer that
// states no length.
func (c *Conn) Ended(now int64) {
	c.now = now
	if c.active && c.step == stepRest {
		c.complete()
	}
	c.leaving = true
}

// Fail ends the request in flight. It may be sent again when the peer can't have
// taken it: nothing of it was written; or the connection, which had served
// before, was lost without a byte of answer, and its method is one that may be
// repeated. In this last case the peer closed an idle connection just before the
// request reached it.
func (c *Conn) Fail(class exchange.Class) {
	if c.active {
		outcome := exchange.Lost
		unheard := class == exchange.ConnectionLost && c.served > 0 && c.head.repeatable && !c.answer.begun
		if c.written == 0 || unheard {
			outcome = exchange.Unprocessed
		}
		c.finish(outcome, class)
	}
	c.hush()
	c.leave()
	c.dead = true
}

// Shutdown does nothing: HTTP/1.1 says goodbye by closing.
func (c *Conn) Shutdown() {}

// complete ends the request whose answer is there.
func (c *Conn) complete() {
	a := &c.answer
	if len(c.look) > 0 {
		a.evidence |= exchange.BodyEvidence(c.look)
	}
	class := exchange.Classify(int(a.status), a.evidence)
	if c.check != nil {
		class = c.check.Class(&a.progress, int(a.status), class)
	}
	early := c.unsent()
	c.finish(exchange.Answered, class)
	c.hush()
	c.served++
	c.step = stepIdle
	// The peer still waits for the rest of a body that is of no use any more.
	if early || a.closing {
		c.leave()
	}
}

// finish reports what became of the request in flight.
func (c *Conn) finish(outcome exchange.Outcome, class exchange.Class) {
	a := &c.answer
	c.done = append(c.done, exchange.Completion{
		Token: c.token, Outcome: outcome, Class: class, Status: a.status,
		Received: a.received, First: a.first, Backend: a.backend,
	})
	c.active = false
}

// fail is a breach of the protocol.
func (c *Conn) fail(format string, args ...any) error {
	c.dead, c.leaving = true, true
	c.hush()
	return &Error{Reason: fmt.Sprintf(format, args...)}
}
