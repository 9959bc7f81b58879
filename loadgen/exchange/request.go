package exchange

// Field is one header field, its name in lower case.
type Field struct {
	Name  string
	Value string
}

// Request is one kind of request of the mix, complete but for its encoding. It
// is never written to after a connection has been given it, so all connections
// share it.
type Request struct {
	Name   string  // of the mix, for the results
	Fields []Field // pseudo-header fields first
	Body   []byte  // empty: none
	Check  *Check  // nil: none
	// Call makes it a call of gRPC, whose one message is Body; nil otherwise.
	Call *Call
}

// Check is what an answer has to show to be good. Empty parts are not looked at.
type Check struct {
	// Status holds the statuses that are good, each as a range, both ends included.
	Status []StatusRange
	// Header has to be there, and to contain the value (any, when that is empty).
	Header Field
	// Body has to appear in the body.
	Body []byte
}

// StatusRange is a range of statuses, both ends included.
type StatusRange struct{ From, To int }

// Call is what a gRPC call needs besides its header and its message.
type Call struct {
	ServerStreaming bool // any number of messages come back
}
