package loadgen

import "time"

// Reachable is what Check found out about a target.
type Reachable struct {
	Protocol    string        // h2, h2c, http/1.1 or grpc
	TLSVersion  string        // empty in cleartext
	CipherSuite string        // likewise
	Connect     time.Duration // TCP
	Handshake   time.Duration // TLS; 0 in cleartext
	MaxStreams  int64         // concurrent streams that the peer allows; 0: it sets no limit
	Answers     []Answer      // one for each kind of request, in the order of the mix
}

// Answer is what came back for one kind of request.
type Answer struct {
	Request string // its name
	Status  int    // 0: no answer
	Class   string // of package exchange
	Backend string // that named itself
	Bytes   int64  // of body
	Time    time.Duration
}
