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
}
