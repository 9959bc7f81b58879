package record

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/scenarios"
)

// Interval is what the generator hands over once an interval, one second as a
// rule. The histograms belong to the generator again when the call returns.
type Interval struct {
	Start, End time.Duration // since the run's anchor
	Counts     Counts        // since the start of the phase
	// Errors are what went wrong since the start of the phase, by class; a map of
	// this interval alone.
	Errors map[string]int64
	// Histograms of this interval alone; an answer is counted in the interval
	// in which it ended.
	ByRequest []RequestHistograms
}

// RequestHistograms are one request kind's times in nanoseconds. Answers of
// every status are in them; requests that were shed, failed or timed out are not
// in Service; a timed-out request enters Latency with the timeout as its value,
// so that a system that stops answering does not look fast.
type RequestHistograms struct {
	Request string                  // Request.Name
	Latency *hdrhistogram.Histogram // end − intended
	Service *hdrhistogram.Histogram // end − sent
	SendLag *hdrhistogram.Histogram // sent − intended
}

// NewHistogram returns a histogram in the shape that every histogram of a run
// has: nanoseconds from 1 µs to one hour at three significant digits.
func NewHistogram() *hdrhistogram.Histogram {
	return NewHistogramUpTo(time.Hour)
}

// NewHistogramUpTo returns one with the same buckets that ends earlier, and takes
// less memory. It can stand wherever the other can.
func NewHistogramUpTo(highest time.Duration) *hdrhistogram.Histogram {
	return hdrhistogram.New(1_000, int64(highest), 3)
}

// shortest is up to where the histograms of NewGrowing go at first, and growth how
// much further the next one goes when a value does not fit.
const (
	shortest = time.Millisecond
	growth   = 16
)

// NewGrowing returns a histogram that takes 16 KiB, and 8 KiB more for each doubling of
// the highest value, where one of NewHistogram takes 192 KiB. Before it takes longer
// values than a millisecond it has to Grow.
func NewGrowing() *hdrhistogram.Histogram { return NewHistogramUpTo(shortest) }

// Grow puts a longer histogram with the same values in the place of one that is too
// short for so many nanoseconds, which are an hour at most.
func Grow(h **hdrhistogram.Histogram, nanos int64) {
	reach := (*h).HighestTrackableValue()
	if reach >= nanos || reach >= highestValue {
		return
	}
	for reach < nanos {
		reach *= growth
	}
	longer := NewHistogramUpTo(min(time.Duration(reach), highestValue))
	longer.Merge(*h)
	*h = longer
}

// Tick is one row of timeline.jsonl and one update of the live view: the
// counters since the start of the phase, and this interval's latencies.
type Tick struct {
	Phase    int           `json:"phase"`
	Start    time.Duration `json:"startNanos"` // start of the interval
	At       time.Duration `json:"atNanos"`    // end of the interval
	Counts   Counts        `json:"counts"`
	Mean     time.Duration `json:"meanNanos"` // of latency in this interval; the quantiles likewise
	P50      time.Duration `json:"p50Nanos"`
	P99      time.Duration `json:"p99Nanos"`
	P999     time.Duration `json:"p999Nanos,omitempty"`
	Max      time.Duration `json:"maxNanos"`
	LagP99   time.Duration `json:"lagP99Nanos"` // send lag
	Answered int64         `json:"answeredInInterval"`
	// Errors are those of the phase so far by class, as far as there are any.
	Errors map[string]int64 `json:"errors,omitempty"`
}

// Metric names a column of a sample. Counters only ever grow within one life of
// a process; gauges are values of the instant.
type Metric string

// The metrics. What a source does not have is absent from a sample, never 0.
const (
	CPUSeconds         Metric = "cpuSeconds"               // counter
	RSSBytes           Metric = "rssBytes"                 // gauge
	WorkingSetBytes    Metric = "workingSetBytes"          // gauge: cgroup usage − inactive file; as Kubernetes counts memory
	Threads            Metric = "threads"                  // gauge
	VoluntarySwitches  Metric = "voluntarySwitches"        // counter over all threads: wake-ups
	RunDelaySeconds    Metric = "runDelaySeconds"          // counter over all threads: runnable, but waiting for a processor
	Periods            Metric = "periods"                  // counter: CFS quota periods
	ThrottledPeriods   Metric = "throttledPeriods"         // counter
	ThrottledSeconds   Metric = "throttledSeconds"         // counter
	DownConnections    Metric = "downstreamConnections"    // gauge
	DownInFlight       Metric = "downstreamInFlight"       // gauge: requests
	DownRequests       Metric = "downstreamRequests"       // counter
	UpConnections      Metric = "upstreamConnections"      // gauge
	UpConnectionsMade  Metric = "upstreamConnectionsMade"  // counter
	UpInFlight         Metric = "upstreamInFlight"         // gauge
	UpRequests         Metric = "upstreamRequests"         // counter
	UpPending          Metric = "upstreamPending"          // gauge: requests waiting for a connection
	UpOverflow         Metric = "upstreamOverflow"         // counter: shed by a circuit breaker, pending and active together
	UpRetries          Metric = "upstreamRetries"          // counter
	UpConnectMillisP99 Metric = "upstreamConnectMillisP99" // gauge: of Envoy's connect-time histogram
	Ejected            Metric = "ejectedEndpoints"         // gauge
	// Of component "host".
	StealSeconds    Metric = "stealSeconds"         // counter, all processors together
	IdleSeconds     Metric = "idleSeconds"          // counter, all processors together
	CPUPressure     Metric = "cpuPressureSeconds"   // counter: some task waited (PSI)
	AvailableMemory Metric = "availableMemoryBytes" // gauge
)

// Sample is one row of samples.jsonl: all metrics of one replica at one instant.
type Sample struct {
	At        time.Duration      `json:"atNanos"` // for a scraped source: the scrape's instant
	Component string             `json:"component"`
	Replica   string             `json:"replica,omitempty"`
	Metrics   map[Metric]float64 `json:"metrics"`
}

// EventKind names what happened.
type EventKind string

// The kinds of event.
const (
	EventPhaseStart  EventKind = "phase-start"
	EventPhaseEnd    EventKind = "phase-end"
	EventGuard       EventKind = "guard"
	EventSampleGap   EventKind = "sample-gap" // a source did not answer
	EventReplicas    EventKind = "replicas"   // the number of replicas of a component changed
	EventComponent   EventKind = "component"  // a component died or restarted
	EventCredentials EventKind = "credentials"
	EventNote        EventKind = "note"
)

// Event is one row of events.jsonl.
type Event struct {
	At      time.Duration    `json:"atNanos"`
	Kind    EventKind        `json:"kind"`
	Phase   int              `json:"phase"` // −1 outside phases
	Subject string           `json:"subject,omitempty"`
	Message string           `json:"message"`
	Spec    *scenarios.Phase `json:"spec,omitempty"` // of phase-start, so that a killed run's last phase is known
}

// Record is a run directory read back.
type Record struct {
	Run
	Dir      string
	Data     []PhaseData // one per phase, the unfinished last one of a killed run included
	Events   []Event
	Warnings []string // what could not be read, in words
	// Demand is what demand was before the run, in order of time; nil where the
	// scenario names no history of it.
	Demand []scenarios.RateSample
}

// PhaseData is all there is about one phase.
type PhaseData struct {
	Phase
	Unfinished bool   // the run ended before the phase's facts were written; Counts come from the timeline
	Timeline   []Tick // in order of time
	// Merged over the phase, all requests together, and by request name.
	Latency, Service, SendLag *hdrhistogram.Histogram
	ByRequest                 []RequestHistograms
	Seconds                   []SecondLatency // latency of each interval of the timeline, for resampling
	// Samples were taken from Start to End, in order of time; for each metric of
	// each replica the nearest one before Start and the nearest one after End are
	// there too, if not further away than one and a half times the usual distance
	// of that metric's samples: a counter is differenced with their help.
	Samples []Sample
	// Warnings say in words what the files lack of this phase.
	Warnings []string
}

// SecondLatency is one interval's latency histogram, sparse.
type SecondLatency struct {
	Start, End time.Duration
	// Values are nanoseconds, rising: the highest value of each bucket, which is
	// what ValueAtQuantile of the merged histograms answers as well. In a phase of
	// more than an hour buckets are put together, up to 1.6 % of the value wide.
	Values []int64
	Counts []int64
}
