package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// set is what one worker recorded in one interval. Two of them go round between
// a worker and the goroutine that runs Phase.
type set struct {
	start, end time.Duration
	counts     record.Counts // since the start of the phase
	classes    classes       // likewise
	requests   []record.RequestHistograms
}

// newSet returns a set for kinds of requests. What a histogram takes is resident as a
// whole, since it is cleared after each interval, and there are six of them for each
// kind of request: they grow as observe and merge need it.
func newSet(kinds []exchange.Request) *set {
	s := &set{}
	for _, k := range kinds {
		s.requests = append(s.requests, record.RequestHistograms{Request: k.Name, Latency: record.NewGrowing(), Service: record.NewGrowing(), SendLag: record.NewGrowing()})
	}
	return s
}

func (s *set) reset() {
	for _, r := range s.requests {
		r.Latency.Reset()
		r.Service.Reset()
		r.SendLag.Reset()
	}
}

// add merges another worker's histograms of the same interval.
func (s *set) add(other *set) {
	for i := range other.requests {
		to, from := &s.requests[i], &other.requests[i]
		merge(&to.Latency, from.Latency)
		merge(&to.Service, from.Service)
		merge(&to.SendLag, from.SendLag)
	}
}

// merge adds the values of one histogram to another.
func merge(to **hdrhistogram.Histogram, from *hdrhistogram.Histogram) {
	record.Grow(to, from.HighestTrackableValue())
	(*to).Merge(from)
}

func (s *set) interval() record.Interval {
	return record.Interval{Start: s.start, End: s.end, Counts: s.counts, Errors: s.classes.errors(), ByRequest: s.requests}
}

// classes counts what became of arrivals, by their class.
type classes [exchange.Classes]int64

func (c *classes) add(other *classes) {
	for class, n := range other {
		c[class] += n
	}
}

// errors returns those that went wrong, by name; nil when none did.
func (c *classes) errors() map[string]int64 {
	var out map[string]int64
	for class, n := range c {
		if n == 0 || exchange.Class(class) == exchange.Good {
			continue
		}
		if out == nil {
			out = map[string]int64{}
		}
		out[exchange.Class(class).String()] = n
	}
	return out
}

// highest is the largest value that a histogram takes, in nanoseconds.
const highest = int64(time.Hour)

// observe records nanoseconds, at most the highest value.
func observe(h **hdrhistogram.Histogram, nanos int64) {
	nanos = min(max(nanos, 0), highest)
	if (*h).RecordValue(nanos) == nil {
		return
	}
	record.Grow(h, nanos)
	_ = (*h).RecordValue(nanos) // can't fail inside the range
}

func addCounts(to *record.Counts, c record.Counts) {
	to.Intended += c.Intended
	to.Sent += c.Sent
	to.Shed += c.Shed
	to.Waiting += c.Waiting
	to.Answered += c.Answered
	to.Failed += c.Failed
	to.TimedOut += c.TimedOut
	to.InFlight += c.InFlight
	to.Bad += c.Bad
	to.Denied += c.Denied
	to.Messages += c.Messages
	to.BytesSent += c.BytesSent
	to.BytesReceived += c.BytesReceived
}

// merger puts the sets of several workers together, interval by interval. A
// worker whose interval became longer makes the merged one longer.
type merger struct {
	sum      *set
	at       time.Duration   // end of the last merged interval
	reached  []time.Duration // up to where a worker is in sum
	latest   []record.Counts // that a worker has reported
	classes  []classes       // likewise
	finished []bool          // a worker has reported its last set
}

// newMerger returns a merger of several workers' sets from an instant on.
func newMerger(workers int, sum *set, start time.Duration) *merger {
	sum.reset()
	return &merger{
		sum: sum, at: start, reached: make([]time.Duration, workers),
		latest: make([]record.Counts, workers), classes: make([]classes, workers), finished: make([]bool, workers),
	}
}

// add takes a worker's set, which can be reused at once. When all workers have
// come to the same end it returns their interval, valid until the next call.
func (m *merger) add(worker int, s *set, last bool) (interval record.Interval, complete bool) {
	if m.sum.end == m.at {
		m.sum.reset() // it was told
	}
	m.sum.add(s)
	m.reached[worker], m.latest[worker], m.classes[worker], m.finished[worker] = s.end, s.counts, s.classes, last
	m.sum.start, m.sum.end, m.sum.counts, m.sum.classes = m.at, 0, record.Counts{}, classes{}
	for i, end := range m.reached {
		m.sum.end = max(m.sum.end, end)
		addCounts(&m.sum.counts, m.latest[i])
		m.sum.classes.add(&m.classes[i])
	}
	for i, end := range m.reached {
		if end < m.sum.end && !m.finished[i] {
			return record.Interval{}, false
		}
	}
	m.at = m.sum.end
	return m.sum.interval(), true
}
