package breaker

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Verdict says how a trial or a judgement came out.
type Verdict string

// The verdicts.
const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	NotMeasurable Verdict = "not-measurable" // and the reason says why
)

// Trial is one thing that is tried.
type Trial struct {
	Name     string // unique in a plan
	Field    string // of the policy
	Side     Side
	Limit    any    // of the field, as in Setting.Value
	Expected string // what the author of the policy means by it, in a sentence
	Parts    []Part // in order; none: Impossible says why
	// Impossible is why the trial cannot be made; empty as a rule.
	Impossible string

	judge func([]Facts) outcome
	still time.Duration // a longer time without a look says that the machine stood still; 0: looks may lie far apart
}

// outcome is what was made of the facts.
type outcome struct {
	verdict  Verdict
	observed string
	reason   string // of what is no pass
}

// Part is what a trial does on one bench.
type Part struct {
	Bench Bench
	Steps []Step
}

// Bench is a lab that shows one mechanism.
type Bench struct {
	Client, Server mesh.Policy
	Endpoints      int
	Gateways       int
	Workers        int      // threads of each proxy
	Direct         bool     // clients speak to the endpoints themselves: no sidecars
	HTTP1          bool     // what is behind the clients' Envoys is spoken to in HTTP/1.1
	Retries        *Retries // of the route; nil: Istio's default
}

// Retries are those of a route.
type Retries struct {
	Attempts uint32 // beside the first one
	On       string // conditions and statuses, as a VirtualService has them
	PerTry   time.Duration
	Timeout  time.Duration // of all attempts together; 0: none
}

// Network is what becomes of connections to an endpoint.
type Network string

// The networks of a fault.
const (
	NetworkFine   Network = ""
	NetworkRefuse Network = "refuse" // connecting is refused
	NetworkIgnore Network = "ignore" // attempts to connect are dropped
)

// Fault is how an endpoint behaves.
type Fault struct {
	Hold    time.Duration // of every answer
	Random  bool          // times lie evenly between half and one and a half of Hold
	Status  int           // 0: 200
	Slots   int           // requests worked on at once; 0: any number
	Network Network
}

// Step is a stretch of a trial. What it changes stays so for the steps after it.
type Step struct {
	Name   string
	Faults []Fault // by endpoint; nil: as they are
	Load   Load    // without a rate, nothing is sent
	// For is how long it takes at most; Until, when not nil, ends it earlier.
	For   time.Duration
	Until func(Point) bool
	// Then are faults that come into force within the step, After from its start.
	Then  []Fault
	After time.Duration
}

// Load is what is sent: arrivals at even distances.
type Load struct {
	Rate        float64  // per second, over all clients
	Poisson     bool     // arrivals at random distances instead
	Curve       []RateAt // a rate that changes, in order from 0 to the end; Rate is then its mean
	Connections int
	Streams     int // on a connection at most
	Timeout     time.Duration
	// Failing asks a running system for what its service answers with an error.
	Failing bool
}

// RateAt is the rate at an instant of a step; between two instants it changes evenly.
type RateAt struct {
	At   time.Duration
	Rate float64 // per second
}

// Point is one look at a bench. What is counted is counted from the start of the
// trial, over all clients.
type Point struct {
	Seconds     float64 `json:"seconds"` // since the start of the trial
	InFlight    float64 `json:"inFlight"`
	Client      float64 `json:"client"` // in flight at the busiest client's Envoy
	Pending     float64 `json:"pending"`
	Connections float64 `json:"connections"`
	Shed        float64 `json:"shed"`    // by limits
	Errors      float64 `json:"errors"`  // answers of 5xx
	Retries     float64 `json:"retries"` // that were sent
	Good        float64 `json:"good"`    // answers of 2xx
	Ejected     float64 `json:"ejected"` // now
	Ejections   float64 `json:"ejections"`
	Overflows   float64 `json:"ejectionsOverflow"` // that maxEjectionPercent did not allow
	// Server is what was in flight at the busiest sidecar, ServerShed what all of
	// them shed.
	Server     float64 `json:"server"`
	ServerShed float64 `json:"serverShed"`
}

// Facts are what was seen of one step.
type Facts struct {
	Step    string
	Start   float64 // seconds since the start of the trial
	Seconds float64 // until the last answer was in

	Sent     int64
	Answered int64
	Good     int64
	Unsent   int64 // arrivals that the generator itself gave up
	TimedOut int64
	Errors   Errors
	Latency  *hdrhistogram.Histogram // of all answers, in nanoseconds; nil: none

	Client map[string]float64 // what counters of the clients' Envoys rose by, all together
	Server map[string]float64 // the same of the sidecars
	Last   map[string]float64 // gauges of the clients' Envoys at the end of the step
	CPU    map[string]float64 // seconds that components used

	Endpoints []Endpoint // what the endpoints saw
	Points    []Point
	Unread    int // looks that failed
}

// Errors counts what went wrong by class of loadgen/exchange.
type Errors map[string]int64

// String writes the classes in their order: "3 overflow, 21 timed-out".
func (e Errors) String() string {
	var all []string
	for _, class := range slices.Sorted(maps.Keys(e)) {
		if e[class] > 0 {
			all = append(all, fmt.Sprintf("%d %s", e[class], class))
		}
	}
	if len(all) == 0 {
		return "no errors"
	}
	return strings.Join(all, ", ")
}

// Endpoint is what an endpoint saw of one step.
type Endpoint struct {
	Requests, Abandoned           int64
	PeakInFlight, PeakConnections int64
	PeakStreams, MostRequests     int64 // on one connection
	Accepted                      int64 // connections
}

// Judge says how the trial came out; seconds is how long it took. The facts are
// those of the steps of all parts in their order, fewer when it was cut short.
func (t Trial) Judge(facts []Facts, seconds float64) Result {
	r := Result{Name: t.Name, Field: t.Field, Side: t.Side, Limit: t.Limit, Expected: t.Expected, Seconds: seconds}
	steps := 0
	for _, part := range t.Parts {
		steps += len(part.Steps)
	}
	switch {
	case t.Impossible != "":
		r.Verdict, r.Reason = NotMeasurable, t.Impossible
		return r
	case len(facts) < steps:
		r.Verdict, r.Reason = NotMeasurable, "the trial was cut short"
		return r
	}
	for i := range facts {
		if looks := len(facts[i].Points); facts[i].Unread > looks {
			r.Verdict, r.Reason = NotMeasurable, "the proxies' counters could not be read"
			return r
		}
		r.Timeline = append(r.Timeline, facts[i].Points...)
	}
	o := t.judge(facts)
	if gap := longestGap(facts); o.verdict == Fail && t.still > 0 && gap > t.still {
		o = unmeasured(o.observed, "the proxies were not seen for %s: the machine stood still, or is too busy to tell (%s)", short(gap.Round(100*time.Millisecond)), o.reason)
	}
	r.Verdict, r.Observed, r.Reason = o.verdict, o.observed, o.reason
	return r
}

// longestGap is the longest time between two looks within a step.
func longestGap(facts []Facts) time.Duration {
	longest := 0.0
	for _, f := range facts {
		for i := 1; i < len(f.Points); i++ {
			longest = max(longest, f.Points[i].Seconds-f.Points[i-1].Seconds)
		}
	}
	return seconds(longest)
}

// Result is a trial that was made.
type Result struct {
	Name     string  `json:"name"`
	Field    string  `json:"field"`
	Side     Side    `json:"side"`
	Limit    any     `json:"limit"`
	Expected string  `json:"expected"`
	Observed string  `json:"observed"`
	Verdict  Verdict `json:"verdict"`
	Reason   string  `json:"reason"`
	Seconds  float64 `json:"seconds"`
	// Timeline is what was seen as the trial went.
	Timeline []Point `json:"timeline,omitempty"`
}

// peak returns the largest of what the points of the facts say.
func peak(facts Facts, of func(Point) float64) float64 {
	most := 0.0
	for _, p := range facts.Points {
		most = max(most, of(p))
	}
	return most
}

// middle returns the median of what the points of the second half say, when what is in
// flight has settled: for bounds that hold for the ordinary and not for each instant,
// in which a machine that was held up catches up.
func middle(facts Facts, of func(Point) float64) float64 {
	var all []float64
	for _, p := range facts.Points[len(facts.Points)/2:] {
		all = append(all, of(p))
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// shed returns how many requests the limits of a side shed, by Envoy's counters:
// those of 1.38 and later, and of earlier ones, which counted all as pending.
func (f Facts) shed(side Side) float64 {
	counters := f.Client
	if side == Server {
		counters = f.Server
	}
	return counters["upstream_rq_active_overflow"] + counters["upstream_rq_pending_overflow"]
}

// otherErrors counts what went wrong but for classes.
func (f Facts) otherErrors(but ...string) int64 {
	n := int64(0)
	for class, count := range f.Errors {
		known := false
		for _, c := range but {
			known = known || c == class
		}
		if !known {
			n += count
		}
	}
	return n
}

// within counts the answers that took no longer than d.
func (f Facts) within(d time.Duration) int64 {
	if f.Latency == nil {
		return 0
	}
	n := int64(0)
	for _, bar := range f.Latency.Distribution() {
		if bar.To <= int64(d) {
			n += bar.Count
		}
	}
	return n
}

// meanAbove returns the mean of the answers that took longer than d.
func (f Facts) meanAbove(d time.Duration) time.Duration {
	if f.Latency == nil {
		return 0
	}
	sum, n := 0.0, int64(0)
	for _, bar := range f.Latency.Distribution() {
		if bar.Count > 0 && bar.From > int64(d) {
			sum += float64(bar.From+bar.To) / 2 * float64(bar.Count)
			n += bar.Count
		}
	}
	return time.Duration(sum / math.Max(1, float64(n)))
}

// slowest returns the longest answer.
func (f Facts) slowest() time.Duration {
	if f.Latency == nil {
		return 0
	}
	return time.Duration(f.Latency.Max())
}

// quantile returns the latency below which a share of the answers lies.
func (f Facts) quantile(share float64) time.Duration {
	if f.Latency == nil {
		return 0
	}
	return time.Duration(f.Latency.ValueAtQuantile(100 * share))
}
