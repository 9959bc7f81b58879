package scenarios

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Plan is what a load session is told: self-contained, so that a session can be
// repeated from it alone.
type Plan struct {
	Name        string
	Endpoint    Endpoint
	Connections Connections
	Requests    []Request // weights > 0; names unique
	Pacing      Pacing
	Timeout     time.Duration // per request, from the intended instant; > 0
	MaxSlack    time.Duration // by which economical pacing may hold an arrival back for others at high rates; 0: the generator's own
	Guards      Guards
	Auth        *Auth   // file names are absolute; nil: none
	Feed        *Feed   // file name is absolute; nil: none
	TraceShare  float64 // of requests that carry a traceparent
	RunID       string  // sent as x-sailplan-run when the endpoint is not on loopback; empty: no such header
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
	Weight    float64    // against those of Also; 0 means 1
	Also      []Endpoint // that share the connections by their weights; without Also of their own
}

// PhaseKind is what a phase is for. Climb and steady phases enter the fits;
// search and proof phases never do, since they are held against them.
type PhaseKind string

// The kinds of phase.
const (
	KindPreflight PhaseKind = "preflight" // is the target there, is the generator fast enough
	KindWarmUp    PhaseKind = "warm-up"
	KindClimb     PhaseKind = "climb"  // rising rates until the objective breaks
	KindSteady    PhaseKind = "steady" // the sweep that is fitted
	// KindBunched is as steady, but requests come together: for the cost of a wake-up
	// against that of a request, and nothing else.
	KindBunched PhaseKind = "bunched"
	KindMix     PhaseKind = "mix"   // as steady, but of another mix: for the cost of each request, and nothing else
	KindQuota   PhaseKind = "quota" // one rate, with CPU quotas and without: for their price, and nothing else
	// KindConnections is a low rate, with connections beside those of the load that do
	// nothing: for what they take of memory, and nothing else.
	KindConnections PhaseKind = "connections"

	KindSearch PhaseKind = "search" // the blind search for the SLO edge
	KindProof  PhaseKind = "proof"  // just below and just above the measured edge
	KindLoad   PhaseKind = "load"   // of `run`
	// KindObserved is a window of time in which a system carried what its users sent:
	// nothing was sent, and the counts are those of its own metrics.
	KindObserved PhaseKind = "observed"
)

// Aside reports whether phases of the kind answer a question of their own, such as what
// a quota costs, and say nothing of the load or of its objectives.
func (k PhaseKind) Aside() bool {
	return k == KindMix || k == KindQuota || k == KindBunched || k == KindConnections
}

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
	// beyond is shed and counted. 0 means as many as come due within the timeout,
	// at least 1 000 and at most 500 000.
	MaxBacklog int
	// Mix are the weights of this phase in the order of the plan's requests: finite,
	// ≥ 0, one of them above 0. Empty: those of the plan.
	Mix []float64
	// QuotasLifted says that no CPU quota of the lab bound.
	QuotasLifted bool
	// HeldConnections is how many connections were open beside those of the load, and did
	// nothing.
	HeldConnections int
	// Bunch is how many arrivals come at one instant, at the same rate in the mean: the
	// process is that of the bunches. 0 and 1: each comes by itself. Not with a Curve.
	Bunch int
	// Curve is a rate that changes: points in order, the first at 0, the last at
	// Duration. Rate is then its mean. Empty: the rate is Rate throughout.
	Curve []CurvePoint
}

// phaseJSON is a Phase as a record stores it. The seed is text because readers
// that hold numbers as floats would change it.
type phaseJSON struct {
	Name            string    `json:"name"`
	Kind            PhaseKind `json:"kind"`
	Process         Process   `json:"process"`
	Rate            Rate      `json:"rate,omitzero"`
	DurationSeconds float64   `json:"durationSeconds"`
	IntervalSeconds float64   `json:"intervalSeconds,omitempty"`
	Seed            uint64    `json:"seed,string"`
	MaxBacklog      int       `json:"maxBacklog,omitempty"`
	Mix             []float64 `json:"mix,omitempty"`
	QuotasLifted    bool      `json:"quotasLifted,omitempty"`
	HeldConnections int       `json:"heldConnections,omitempty"`
	Bunch           int       `json:"bunch,omitempty"`
	// Curve has a pair of seconds and rate per second for each point.
	Curve [][2]float64 `json:"curve,omitempty"`
}

// MarshalJSON writes durations in seconds and the rate as text ("5000/s").
func (p Phase) MarshalJSON() ([]byte, error) {
	return json.Marshal(phaseJSON{
		Name: p.Name, Kind: p.Kind, Process: p.Process, Rate: p.Rate,
		DurationSeconds: p.Duration.Seconds(), IntervalSeconds: p.Interval.Seconds(),
		Seed: p.Seed, MaxBacklog: p.MaxBacklog, Mix: p.Mix, QuotasLifted: p.QuotasLifted, HeldConnections: p.HeldConnections, Bunch: p.Bunch, Curve: curvePairs(p.Curve),
	})
}

func curvePairs(curve []CurvePoint) [][2]float64 {
	var pairs [][2]float64
	for _, point := range curve {
		pairs = append(pairs, [2]float64{point.At.Seconds(), point.RPS})
	}
	return pairs
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Phase) UnmarshalJSON(data []byte) error {
	var in phaseJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("reading a phase from JSON: %w", err)
	}
	duration, err := fromSeconds(in.DurationSeconds)
	if err != nil {
		return fmt.Errorf("reading phase %q from JSON: durationSeconds: %w", in.Name, err)
	}
	interval, err := fromSeconds(in.IntervalSeconds)
	if err != nil {
		return fmt.Errorf("reading phase %q from JSON: intervalSeconds: %w", in.Name, err)
	}
	var curve []CurvePoint
	for i, pair := range in.Curve {
		at, err := fromSeconds(pair[0])
		if err != nil {
			return fmt.Errorf("reading phase %q from JSON: curve[%d]: %w", in.Name, i, err)
		}
		curve = append(curve, CurvePoint{At: at, RPS: pair[1]})
	}
	if curve != nil {
		if err := CheckCurve(curve, duration); err != nil {
			return fmt.Errorf("reading phase %q from JSON: %w", in.Name, err)
		}
	}
	*p = Phase{
		Name: in.Name, Kind: in.Kind, Process: in.Process, Rate: in.Rate,
		Duration: duration, Interval: interval, Seed: in.Seed, MaxBacklog: in.MaxBacklog,
		Mix: in.Mix, QuotasLifted: in.QuotasLifted, HeldConnections: in.HeldConnections, Bunch: in.Bunch, Curve: curve,
	}
	return nil
}

// fromSeconds returns the duration nearest to a number of seconds.
func fromSeconds(seconds float64) (time.Duration, error) {
	nanos := math.Round(seconds * 1e9)
	if math.IsNaN(nanos) || nanos < 0 || nanos >= math.MaxInt64 {
		return 0, fmt.Errorf("%v seconds are not a duration", seconds)
	}
	return time.Duration(nanos), nil
}
