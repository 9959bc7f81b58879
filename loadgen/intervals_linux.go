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
	requests   []record.RequestHistograms
}

func newSet(kinds []exchange.Request) *set {
	s := &set{}
	for _, k := range kinds {
		s.requests = append(s.requests, record.RequestHistograms{
			Request: k.Name,
			Latency: record.NewHistogram(), Service: record.NewHistogram(), SendLag: record.NewHistogram(),
		})
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
	for i, r := range other.requests {
		s.requests[i].Latency.Merge(r.Latency)
		s.requests[i].Service.Merge(r.Service)
		s.requests[i].SendLag.Merge(r.SendLag)
	}
}

func (s *set) interval() record.Interval {
	return record.Interval{Start: s.start, End: s.end, Counts: s.counts, ByRequest: s.requests}
}

// highest is the largest value that a histogram takes, in nanoseconds.
const highest = int64(time.Hour)

// observe records nanoseconds, clamped to the histogram's range.
func observe(h *hdrhistogram.Histogram, nanos int64) {
	_ = h.RecordValue(min(max(nanos, 0), highest)) // can't fail inside the range
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
	to.BytesSent += c.BytesSent
	to.BytesReceived += c.BytesReceived
}

// merger puts the sets of several workers together, interval by interval. A
// worker whose interval became longer makes the merged one longer.
type merger struct {
	queues   [][]*set // not merged yet, by worker
	finished []bool   // the worker's last set is in its queue, or was merged
	latest   []record.Counts
	sum      *set
	at       time.Duration // end of the last merged interval
}

// end returns the end of the next interval for which all workers have sets. ok
// is false when there is none yet.
func (m *merger) end() (end time.Duration, ok bool) {
	for stable := false; !stable; {
		stable = true
		for i, q := range m.queues {
			reached := time.Duration(-1)
			for _, s := range q {
				if reached = s.end; reached >= end {
					break
				}
			}
			if !m.finished[i] && (reached < 0 || reached < end) {
				return 0, false
			}
			if reached > end {
				end, stable = reached, false
			}
		}
	}
	return end, end > 0
}

// next merges the next interval that all workers have finished. used takes the
// sets that went into it, by worker.
func (m *merger) next(used [][]*set) (interval record.Interval, ok bool) {
	end, ok := m.end()
	if !ok {
		return record.Interval{}, false
	}
	m.sum.reset()
	m.sum.start, m.sum.end, m.sum.counts = m.at, end, record.Counts{}
	for i := range m.queues {
		for len(m.queues[i]) > 0 && m.queues[i][0].end <= end {
			s := m.queues[i][0]
			m.queues[i] = m.queues[i][1:]
			m.sum.add(s)
			m.latest[i] = s.counts
			used[i] = append(used[i], s)
		}
		addCounts(&m.sum.counts, m.latest[i])
	}
	m.at = end
	return m.sum.interval(), true
}
