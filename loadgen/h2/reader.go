package h2

import "github.com/sailplan-io/sailplan/loadgen/exchange"

// Reader is a protocol whose calls are streams of HTTP/2, such as gRPC. It sees
// what answers bring beyond what a Conn looks at itself. Its methods are called
// from within Ingest, only for streams that are open, and only for the final
// header block and what comes after it. A slot belongs to one stream from Start
// until the stream ends or is cancelled; what a Reader keeps by slot it has to
// reset when it starts the next one.
type Reader interface {
	// Field takes a field that Config.Fields asks for, by its place there. The
	// value is valid until Field returns. A block that breaks the protocol ends
	// the stream without End.
	Field(slot int32, place int, value []byte)
	// Data takes the next piece of a stream's body, valid until Data returns.
	Data(slot int32, piece []byte)
	// End may change what is reported of a complete answer, whose Outcome is
	// Answered: its class, its messages.
	End(slot int32, d *exchange.Completion)
}
