package record

import (
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// FormatVersion is the version of the run directory that this code writes.
const FormatVersion = 1

// Evidence says what kind of system the numbers come from.
type Evidence string

// The kinds of evidence.
const (
	EvidenceLab      Evidence = "lab"      // real Envoys on this machine
	EvidenceEmbedded Evidence = "embedded" // the stand-in proxies
	EvidenceTarget   Evidence = "target"   // a system of the user's
	// EvidenceCalibrated is of results only: a lab whose CPU was rescaled by a phase
	// on a system of the user's.
	EvidenceCalibrated Evidence = "lab, calibrated"
	EvidenceObserved   Evidence = "observed" // a system of the user's, under its own users' load, from a Prometheus
)

// Run is what run.json holds: all that is known of a run but for its series.
type Run struct {
	FormatVersion int                `json:"formatVersion"`
	Tool          Tool               `json:"tool"`
	Command       string             `json:"command"` // size or run
	Quick         bool               `json:"quick,omitempty"`
	Evidence      Evidence           `json:"evidence"`
	Scenario      scenarios.Scenario `json:"scenario"` // resolved: defaults filled in
	Seed          uint64             `json:"seed"`
	Host          Host               `json:"host"`
	Lab           *Lab               `json:"lab,omitempty"`
	Components    []Component        `json:"components"`
	StartedAt     time.Time          `json:"startedAt"` // the anchor's wall-clock time
	EndedAt       time.Time          `json:"endedAt,omitzero"`
	Ended         Ending             `json:"ended,omitempty"` // empty: still running, or killed
	EndedWhy      string             `json:"endedWhy,omitempty"`
	Phases        []Phase            `json:"phases"`
	Notes         []string           `json:"notes,omitempty"` // facts a reader must know, in words
}

// Ending is how a run or a phase came to its end.
type Ending string

// The endings.
const (
	EndedDone        Ending = "done"
	EndedInterrupted Ending = "interrupted" // the user, or a signal
	EndedGuard       Ending = "guard"       // a guard stopped the load
	EndedFailed      Ending = "failed"      // something broke; EndedWhy says what
)

// Tool names the program that wrote the run.
type Tool struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Revision  string `json:"revision,omitempty"`
	GoVersion string `json:"goVersion"`
}

// Host is the machine that the generator ran on.
type Host struct {
	OS          string          `json:"os"`
	Arch        string          `json:"arch"`
	Kernel      string          `json:"kernel,omitempty"`
	CPUModel    string          `json:"cpuModel,omitempty"`
	CPUs        int             `json:"cpus"`
	MemoryBytes scenarios.Bytes `json:"memoryBytes,omitempty"`
}

// Lab is what is known of the lab.
type Lab struct {
	Kind           string   `json:"kind"` // envoy or embedded
	EnvoyVersion   string   `json:"envoyVersion,omitempty"`
	LimitsEnforced bool     `json:"limitsEnforced"`
	LimitsWhyNot   string   `json:"limitsWhyNot,omitempty"`
	Policy         []Policy `json:"policy,omitempty"`
}

// Policy is one effective setting of the destination's traffic policy.
type Policy struct {
	Field  string `json:"field"` // for instance connectionPool.http.http2MaxRequests
	Value  string `json:"value"`
	Source string `json:"source"` // file:line, or "Istio default"
}

// Names of components that are not part of the system under test.
const (
	ComponentGenerator = "generator"
	ComponentHost      = "host"
)

// Component is one part of the system under test.
type Component struct {
	Name             string           `json:"name"`
	Role             scenarios.Role   `json:"role"`
	Replicas         int              `json:"replicas"`
	Concurrency      int              `json:"concurrency,omitempty"`      // proxy worker threads; 0: not known
	CPULimitCores    float64          `json:"cpuLimitCores,omitempty"`    // per replica; 0: none
	MemoryLimitBytes scenarios.Bytes  `json:"memoryLimitBytes,omitempty"` // per replica; 0: none
	Requests         scenarios.Limits `json:"requests,omitzero"`          // Kubernetes requests per replica, where known
}

// Phase is one phase with its facts.
type Phase struct {
	Index      int              `json:"index"`
	Spec       scenarios.Phase  `json:"spec"` // what was asked for
	Start      time.Duration    `json:"startNanos"`
	SendEnd    time.Duration    `json:"sendEndNanos"` // no arrival was intended at or after this instant
	End        time.Duration    `json:"endNanos"`     // the last answer was in, or given up
	Ended      Ending           `json:"ended,omitempty"`
	EndedWhy   string           `json:"endedWhy,omitempty"`
	Counts     Counts           `json:"counts"`
	Statuses   map[int]int64    `json:"statuses"`           // answers by HTTP status
	Errors     map[string]int64 `json:"errors,omitempty"`   // by error class of package exchange
	Backends   map[string]int64 `json:"backends,omitempty"` // answers by the backend that named itself
	Generator  Generator        `json:"generator"`
	Connection Connections      `json:"connections"`
	// Traffic is what a Prometheus told of the requests of an observed window.
	Traffic []Traffic `json:"traffic,omitempty"`
	// Slowest are the slowest requests that carried a traceparent, at most twenty.
	Slowest []Trace `json:"slowest,omitempty"`
	// Recorded is filled in by the Writer; a reader checks the series against it.
	Recorded Recorded `json:"recorded"`
}

// Traffic is what came to a component in an observed window, all replicas together, as
// far as its queries tell.
type Traffic struct {
	Component    string   `json:"component"`
	ClassLabel   string   `json:"classLabel,omitempty"`   // that tells the classes apart
	Classes      []Class  `json:"classes,omitempty"`      // in the same order in every window
	RequestBytes *float64 `json:"requestBytes,omitempty"` // nil: not asked for
	AnswerBytes  *float64 `json:"answerBytes,omitempty"`
}

// Class is one kind of request.
type Class struct {
	Name     string  `json:"name"` // the value of the label
	Requests float64 `json:"requests"`
}

// Trace is a request that carried a traceparent.
type Trace struct {
	ID             string        `json:"traceId"` // 32 hexadecimal digits, as Jaeger and Zipkin know it
	Request        string        `json:"request"`
	At             time.Duration `json:"atNanos"` // intended instant
	LatencySeconds float64       `json:"latencySeconds"`
}

// Recorded is how much of a phase went into the series.
type Recorded struct {
	Intervals int64 `json:"intervals"` // rows of the timeline
	// Values in the histograms, all requests together.
	Latency int64 `json:"latency"`
	Service int64 `json:"service"`
	SendLag int64 `json:"sendLag"`
	// OutOfRange counts values that no histogram could hold: negative ones, and
	// ones beyond its highest value.
	OutOfRange int64 `json:"outOfRange,omitempty"`
}

// Counts accounts for every arrival: at any instant
// Intended = Sent + Shed + Waiting and Sent = Answered + Failed + TimedOut + InFlight.
// Answered includes answers of every status.
type Counts struct {
	Intended int64 `json:"intended"`
	Sent     int64 `json:"sent"`
	Shed     int64 `json:"shed"`     // beyond the backlog's bound, or still waiting when sending ended
	Waiting  int64 `json:"waiting"`  // due, but no stream free
	Answered int64 `json:"answered"` // a complete answer of any status
	Failed   int64 `json:"failed"`   // reset, connection lost, protocol error
	TimedOut int64 `json:"timedOut"`
	InFlight int64 `json:"inFlight"`
	// Bad is how many of Answered count as errors: status 5xx or 429.
	Bad int64 `json:"bad"`
	// Denied is how many of Answered were refused for want of a credential or a
	// permission: 401, 403, and what gRPC has for them.
	Denied        int64 `json:"denied,omitempty"`
	Messages      int64 `json:"messages,omitempty"` // of gRPC, in Answered
	BytesSent     int64 `json:"bytesSent"`          // on the wire, above TLS
	BytesReceived int64 `json:"bytesReceived"`      // on the wire, above TLS
}

// Errors returns how many arrivals went wrong: shed, failed, timed out, or answered badly.
func (c Counts) Errors() int64 { return c.Shed + c.Failed + c.TimedOut + c.Bad }

// Generator is what the load cost the generator, and what may have disturbed it.
type Generator struct {
	CPUSeconds       float64       `json:"cpuSeconds"` // of the whole process, user and system
	PeakMemoryBytes  int64         `json:"peakMemoryBytes"`
	GCPauseMax       time.Duration `json:"gcPauseMaxNanos"`
	SchedLatencyP99  time.Duration `json:"schedLatencyP99Nanos"` // of goroutines, by runtime/metrics
	RunDelaySeconds  float64       `json:"runDelaySeconds"`      // the sending threads waited for a processor this long
	ThrottledPeriods int64         `json:"throttledPeriods"`     // of the generator's own cgroup
	WakeUps          int64         `json:"wakeUps"`              // times the sending loops woke up
	Threads          int           `json:"threads,omitempty"`    // that send; 0: not known, which was 1
	// Batches is how often the loop had something to send, Writes how many system
	// calls that took: sent ÷ Batches left at once, sent ÷ Writes in one write.
	Batches int64 `json:"batches,omitempty"`
	Writes  int64 `json:"writes,omitempty"`
	// SlackSeconds is for how long the first arrival of a batch was held back for
	// others, in the mean: economical pacing at high rates. 0: each left by itself.
	SlackSeconds float64 `json:"slackSeconds,omitempty"`
	// ArrivalGaps describes the intended process as it was really sent.
	ArrivalGaps GapFacts `json:"arrivalGaps"`
}

// GapFacts are moments of the gaps between successive sends.
type GapFacts struct {
	N           int64   `json:"n"`
	MeanSeconds float64 `json:"meanSeconds"`
	CV          float64 `json:"cv"` // standard deviation ÷ mean: 1 for Poisson arrivals
}

// Connections is what happened to connections during a phase.
type Connections struct {
	Open             int       `json:"open"` // at the end of the phase
	Opened           int64     `json:"opened"`
	Closed           int64     `json:"closed"` // by either side, for whatever reason
	GoAways          int64     `json:"goAways"`
	Retried          int64     `json:"retried"`              // requests sent again because a GOAWAY or REFUSED_STREAM said they were not processed
	MaxStreams       int64     `json:"maxStreams,omitempty"` // the smallest limit a peer set; absent: none seen
	TLSVersion       string    `json:"tlsVersion,omitempty"`
	CipherSuite      string    `json:"cipherSuite,omitempty"`
	ConnectSeconds   []float64 `json:"connectSeconds,omitempty"`   // TCP, one value per connection opened, the first 1 000
	HandshakeSeconds []float64 `json:"handshakeSeconds,omitempty"` // TLS, likewise
	// ConnectTimes and HandshakeTimes are of all connections that were opened; nil:
	// none was, or the record is older than the fields.
	ConnectTimes   *Times `json:"connectTimes,omitempty"`
	HandshakeTimes *Times `json:"handshakeTimes,omitempty"`
	MaxInFlight    int64  `json:"maxInFlight"` // over all connections together
	// LostIdleSeconds is for how long connections had been idle when the peer, or
	// something between, ended them without a word: the first 1 000.
	LostIdleSeconds []float64 `json:"lostIdleSeconds,omitempty"`
	LocalPorts      int       `json:"localPorts,omitempty"` // distinct ones that were used since the session began
	// OpenFailed is how often a connection could not be opened again, OpenError why
	// the first time.
	OpenFailed int64  `json:"openFailed,omitempty"`
	OpenError  string `json:"openError,omitempty"`
	// ResumedHandshakes is how many of the TLS handshakes resumed a session, and
	// KeyExchanges how many agreed on each group, by the names that tls.curves has.
	ResumedHandshakes int64            `json:"resumedHandshakes,omitempty"`
	KeyExchanges      map[string]int64 `json:"keyExchanges,omitempty"`
	// ProtocolError is why a connection was given up that broke the protocol, the
	// first time.
	ProtocolError string `json:"protocolError,omitempty"`
}

// Times is a distribution of durations with two significant digits: Counts[i] of
// them lay at most so far below Seconds[i] that they are the same to that digit.
type Times struct {
	Seconds []float64 `json:"seconds"` // rising
	Counts  []int64   `json:"counts"`
}

// N returns how many durations there are.
func (t *Times) N() (n int64) {
	if t == nil {
		return 0
	}
	for _, count := range t.Counts {
		n += count
	}
	return n
}

// Merge returns the durations of both, either of which may be nil. The values of
// both have to come from the same buckets.
func (t *Times) Merge(other *Times) *Times {
	if t == nil {
		return other
	}
	if other == nil {
		return t
	}
	sum := &Times{}
	for i, k := 0, 0; i < len(t.Seconds) || k < len(other.Seconds); {
		switch {
		case k == len(other.Seconds) || i < len(t.Seconds) && t.Seconds[i] < other.Seconds[k]:
			sum.Seconds, sum.Counts = append(sum.Seconds, t.Seconds[i]), append(sum.Counts, t.Counts[i])
			i++
		case i == len(t.Seconds) || other.Seconds[k] < t.Seconds[i]:
			sum.Seconds, sum.Counts = append(sum.Seconds, other.Seconds[k]), append(sum.Counts, other.Counts[k])
			k++
		default:
			sum.Seconds, sum.Counts = append(sum.Seconds, t.Seconds[i]), append(sum.Counts, t.Counts[i]+other.Counts[k])
			i++
			k++
		}
	}
	return sum
}
