package exchange

// Conn is one client connection of a protocol, without its socket: bytes that
// came in go to Ingest, bytes that have to go out are taken from Out. All methods
// belong to one goroutine; none of them blocks, locks or reads a clock.
type Conn interface {
	// Ready reports whether requests may be started (settings are in).
	Ready() bool
	// Free returns how many requests can be started now.
	Free() int
	// Active returns how many requests are in flight.
	Active() int
	// Leaving reports whether nothing can be started any more, though what is in
	// flight may still be answered.
	Leaving() bool
	// GoAways returns how often the peer has announced that it leaves.
	GoAways() int
	// PeerLimit returns how many requests the peer allows at once; ok is false
	// when it has set no limit.
	PeerLimit() (requests uint32, ok bool)

	// Start begins a request of a kind, which Free must allow. The token comes
	// back in Done; the slot is for Cancel. v is what this sending has of its
	// own, nil as a rule; it may be reused when Start returns.
	Start(kind int, token uint32, v *Variation) (slot int32)
	// Cancel gives up a request, which is not reported in Done.
	Cancel(slot int32)
	// Update replaces the kinds, for requests that are started from now on, for
	// example when a credential was renewed. Their number stays the same.
	Update(requests []Request)

	// Ingest takes bytes that came in at an instant, in nanoseconds; b may be
	// reused when it returns. An error ends the connection; what had ended before
	// it is in Done.
	Ingest(b []byte, now int64) error
	// Ended takes note that the peer has closed its side, which may be how an
	// answer ends.
	Ended(now int64)
	// Out returns the bytes that wait to be written, valid until the next call.
	Out() []byte
	// Wrote takes note that the first n bytes of Out were written.
	Wrote(n int)
	// Pump moves request bodies into Out; it has to be called when Out was written.
	Pump()

	// Done returns what ended since the last Forget, valid until then.
	Done() []Completion
	// Forget empties Done.
	Forget()
	// Fail ends everything in flight with a class, and reports it in Done.
	Fail(class Class)
	// Shutdown writes the goodbye of the protocol, if it has one.
	Shutdown()
}

// Variation is what one sending of a request has of its own.
type Variation struct {
	Path    string  // instead of the request's; empty: as it is
	Fields  []Field // behind the request's own
	Body    []byte  // instead of the request's, with HasBody
	HasBody bool
}

// Outcome says how a request ended.
type Outcome uint8

// The outcomes.
const (
	Answered    Outcome = iota // a complete answer of any status
	Reset                      // the peer reset the request, or answered against the protocol
	Refused                    // not processed, says the peer; may be sent again
	Unprocessed                // not processed, because the peer leaves; may be sent again
	Lost                       // the connection ended first
)

// Completion is one request that ended.
type Completion struct {
	Token    uint32
	Outcome  Outcome
	Class    Class
	Status   int32  // of an answer
	Messages int32  // of a streaming answer
	Received int64  // bytes of body
	First    int64  // instant of the final header block, as given to Ingest; 0: none
	Backend  string // that named itself in the answer
}
