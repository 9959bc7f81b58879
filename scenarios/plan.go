package scenarios

import "time"

// Plan is what a load session is told: self-contained, so that a session can be
// repeated from it alone.
type Plan struct {
	Name        string
	Endpoint    Endpoint
	Connections Connections
	Requests    []Request // weights > 0; names unique
	Pacing      Pacing
	Timeout     time.Duration // per request, from the intended instant; > 0
	Guards      Guards
	RunID       string // sent as x-sailplan-run when the endpoint is not on loopback; empty: no such header
	Seed        uint64
	Phases      []Phase // for `run`; `size` chooses its phases as it goes
}

// Endpoint is where a session connects to and how.
type Endpoint struct {
	Scheme    string // http or https
	Authority string // the :authority header
	Path      string // prefix of every request path, without a trailing slash
	Address   string // host:port that is dialled
	Protocol  Protocol
	TLS       TLS
}

// PhaseKind is what a phase is for. Only steady phases enter a fit of demand.
type PhaseKind string

// The kinds of phase.
const (
	KindPreflight PhaseKind = "preflight" // is the target there, is the generator fast enough
	KindWarmUp    PhaseKind = "warm-up"
	KindClimb     PhaseKind = "climb"  // rising rates until the objective breaks
	KindSteady    PhaseKind = "steady" // the sweep that is fitted
	KindSearch    PhaseKind = "search" // the blind search for the SLO edge
	KindProof     PhaseKind = "proof"  // just below and just above the measured edge
	KindLoad      PhaseKind = "load"   // of `run`
)

// Phase is one stretch of load.
type Phase struct {
	Name     string
	Kind     PhaseKind
	Process  Process
	Rate     Rate          // offered, over all connections together; unused when Process is Closed
	Duration time.Duration // of sending; answers are awaited for the plan's timeout beyond it
	Interval time.Duration // of the timeline and of the histogram log; 0 means 1 s
	Seed     uint64        // of this phase's arrivals and choices
	// MaxBacklog is how many due arrivals may wait for a stream; what comes
	// beyond is shed and counted. 0 means one second's worth, at least 1 000.
	MaxBacklog int
}
