package breaker

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Protocol is what the clients' Envoys speak to the endpoints.
type Protocol string

// The protocols. Istio speaks HTTP/1.1 unless the port is named http2 or grpc, or
// h2UpgradePolicy is UPGRADE.
const (
	HTTP1 Protocol = "http1"
	HTTP2 Protocol = "http2"
)

// Setup is what a plan is made for.
type Setup struct {
	Client, Server mesh.Policy
	Endpoints      int // at least 1
	Workers        int // threads of each client's Envoy, at least 1
	Protocol       Protocol
	Retries        *Retries // of the route to the destination; nil: Istio's default
	Peak           *Peak    // that the settings are judged against; nil: not known
	Fast           bool     // times are shortened
}

// Class names of loadgen/exchange that trials look for.
const (
	classOverflow  = "overflow"
	classUnhealthy = "no-healthy-upstream"
	classConnect   = "connect-failure"
	classService   = "service-5xx"
	classReset     = "upstream-reset"
)

// What a lab on one machine can do.
const (
	mostRate     = 1500.0          // requests a second, through one proxy
	chainRate    = 700.0           // and through two, with TLS between them
	longestHold  = 4 * time.Second // of an answer
	shortestHold = 300 * time.Millisecond
	longestTrial = 10 * time.Minute
)

// Plan returns the trials that a policy calls for: one for each limit that is set,
// and for outlier detection those that the number of endpoints allows.
func Plan(s Setup) []Trial {
	s.Endpoints, s.Workers = max(1, s.Endpoints), max(1, s.Workers)
	trials := slices.Concat(s.requests(), s.pending(), s.connections(), s.streams(), s.perConnection(),
		s.retries(), s.connectTimeout(), s.idleTimeout(), s.ejections(), s.asWritten(), s.atPeak(), s.overloadEjects(), s.predictions(), s.pulse())
	for i := range trials {
		trials[i].still = stoodStill
	}
	return trials
}

// stoodStill is a time without a look, of which there are many a second, that nothing but
// a machine that was held up explains.
const stoodStill = 2 * time.Second

// bench is one client in front of the endpoints, with nothing set.
func (s Setup) bench() Bench {
	return Bench{Client: mesh.IstioDefaults(), Server: mesh.IstioDefaults(), Endpoints: s.Endpoints, Gateways: 1, Workers: s.Workers}
}

// direct is a bench without sidecars.
func (s Setup) direct() Bench {
	b := s.bench()
	b.Direct = true
	return b
}

// all gives the same fault to every endpoint of a bench.
func all(b Bench, f Fault) []Fault { return slices.Repeat([]Fault{f}, b.Endpoints) }

// some gives one fault to the first n endpoints and another to the rest.
func some(b Bench, n int, bad, good Fault) []Fault {
	faults := all(b, good)
	for i := range min(n, len(faults)) {
		faults[i] = bad
	}
	return faults
}

// tolerance is by how much what is in flight may lie off a limit: threads check it
// one by one and count afterwards, and a look at the counters sees an instant.
func (s Setup) tolerance(limit float64) float64 {
	return math.Ceil(float64(s.Workers) + 0.02*limit)
}

// holdFor returns how long answers have to be held so that so many are in flight at
// a rate that the lab can send, and that rate.
func (b Bench) holdFor(inFlight float64) (hold time.Duration, rate float64) {
	length := math.Min(math.Max(shortestHold.Seconds(), inFlight/b.mostRate()), longestHold.Seconds())
	return seconds(length), inFlight / length
}

// mostRate is what a bench can be sent without being short of processors, on a
// machine that other programs use too.
func (b Bench) mostRate() float64 {
	if b.Direct {
		return mostRate
	}
	return chainRate
}

// tooMany says why a number in flight is beyond a bench; empty when it is not.
func (b Bench) tooMany(inFlight float64) string {
	if most := math.Floor(b.mostRate() * longestHold.Seconds()); inFlight > most {
		return fmt.Sprintf("the load generator cannot exceed the limit: that takes %.0f requests in flight, and on one machine no more than %.0f are sent", inFlight, most)
	}
	return ""
}

// load sends at a rate with room for so many in flight.
func load(rate, inFlight float64, timeout time.Duration) Load {
	const connections = 8
	return Load{Rate: rate, Connections: connections, Streams: int(math.Ceil(2*inFlight/connections)) + 16, Timeout: timeout}
}

// seconds makes a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func failed(observed, format string, args ...any) outcome {
	return outcome{Fail, observed, fmt.Sprintf(format, args...)}
}

func unmeasured(observed, format string, args ...any) outcome {
	return outcome{NotMeasurable, observed, fmt.Sprintf(format, args...)}
}

func passed(observed string) outcome { return outcome{verdict: Pass, observed: observed} }

// plural writes a number of things.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// contains is strings.Contains without regard to case.
func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
