package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Phase sends one phase's arrivals and returns its facts when the answers are
// in, which is at most the plan's timeout after the end of sending. Of
// record.Phase it fills everything but Index. sink may be nil.
//
// A phase that was ended early by ctx or by guards.maxErrorRatio is no error:
// its facts say so (Ended, EndedWhy). An error means that the phase can't be
// sent, or may not be.
func (s *Session) Phase(ctx context.Context, phase scenarios.Phase, sink Sink) (record.Phase, error) {
	if s.closed {
		return record.Phase{}, errors.New("the session is closed")
	}
	if s.failed != nil {
		return record.Phase{}, s.failed
	}
	if err := checkPhase(s.plan, phase); err != nil {
		return record.Phase{}, err
	}
	director := &director{session: s, sink: sink, reports: make(chan report, len(s.workers)*(setsPerWorker+1))}
	for i := range s.workers {
		r, err := newRun(s.plan, phase, i, len(s.workers))
		if err != nil {
			return record.Phase{}, err
		}
		r.free, r.reports = s.free[i], director.reports
		director.runs = append(director.runs, r)
	}
	before := readUsage()
	facts := record.Phase{Spec: phase, Start: time.Since(s.base) + leadTime}
	director.start(facts.Start, phase.Duration)
	if err := director.follow(ctx); err != nil {
		s.failed = err // the intervals' histograms of this phase are lost
		return record.Phase{}, err
	}
	director.conclude(&facts, before)
	return facts, nil
}

// director follows one phase from the goroutine that called Phase.
type director struct {
	session *Session
	sink    Sink
	runs    []*run
	reports chan report
	merger  *merger // nil with one worker
	done    []*workerFacts
	ended   record.Ending
	why     string
}

// start tells the workers.
func (d *director) start(start, duration time.Duration) {
	if n := len(d.runs); n > 1 {
		d.merger = newMerger(n, d.session.sum, start)
	}
	for i, w := range d.session.workers {
		w.inbox.mu.Lock()
		broken := w.inbox.broken
		if broken == nil {
			w.inbox.run, w.inbox.start, w.inbox.length = d.runs[i], int64(start), int64(duration)
		}
		w.inbox.mu.Unlock()
		if broken != nil {
			d.reports <- report{worker: i, last: true, err: broken} // there is room
			continue
		}
		w.poll.notify()
	}
}

// guardEvery is how often the ratio of errors is looked at.
const guardEvery = 100 * time.Millisecond

// follow hands intervals to the sink until all workers are done.
func (d *director) follow(ctx context.Context) error {
	d.ended = record.EndedDone
	guard := newErrorGuard(float64(d.session.plan.Guards.MaxErrorRatio))
	var ticks <-chan time.Time
	if guard != nil {
		ticker := time.NewTicker(guardEvery)
		defer ticker.Stop()
		ticks = ticker.C
	}
	stopped := ctx.Done()
	var failure error
	for left := len(d.runs); left > 0; {
		select {
		case rep := <-d.reports:
			if rep.last {
				left--
			}
			if rep.err != nil {
				failure = rep.err
				d.abort()
				continue
			}
			d.take(rep)
		case <-stopped:
			stopped = nil
			d.endEarly(context.Cause(ctx))
		case <-ticks:
			if reason := guard.look(time.Since(d.session.base), d.progress()); reason != "" {
				ticks = nil
				d.endEarly(&GuardError{Reason: reason})
			}
		}
	}
	if failure != nil {
		return fmt.Errorf("the sending loop broke: %w", failure)
	}
	return nil
}

// endEarly stops the load because of a cause; the first one counts.
func (d *director) endEarly(cause error) {
	if d.ended != record.EndedDone {
		return
	}
	d.ended, d.why = record.EndedInterrupted, cause.Error()
	if guard := (*GuardError)(nil); errors.As(cause, &guard) {
		d.ended = record.EndedGuard
	}
	d.abort()
}

func (d *director) abort() {
	for i, w := range d.session.workers {
		w.inbox.mu.Lock()
		w.inbox.abort = d.runs[i]
		w.inbox.mu.Unlock()
		w.poll.notify()
	}
}

// progress sums up over the workers.
func (d *director) progress() (p outcomes) {
	for _, w := range d.session.workers {
		p.all += w.progress.outcomes.Load()
		p.bad += w.progress.errors.Load()
	}
	return p
}

// take hands a worker's interval on, and the set back.
func (d *director) take(rep report) {
	if rep.last {
		d.done = append(d.done, rep.facts)
	}
	if d.merger == nil {
		d.tell(rep.set.interval())
		d.giveBack(rep.worker, rep.set)
		return
	}
	interval, complete := d.merger.add(rep.worker, rep.set, rep.last)
	d.giveBack(rep.worker, rep.set)
	if complete {
		d.tell(interval)
	}
}

func (d *director) tell(interval record.Interval) {
	if d.sink != nil {
		d.sink.Interval(interval)
	}
}

func (d *director) giveBack(worker int, s *set) {
	s.reset()
	d.session.free[worker] <- s
}

// conclude sums the workers' facts up.
func (d *director) conclude(facts *record.Phase, before usage) {
	facts.Ended, facts.EndedWhy = d.ended, d.why
	facts.Statuses = map[int]int64{}
	var all classes
	facts.Backends = map[string]int64{}
	var sum gaps
	slack := 0.0
	var slow slowest
	for _, f := range d.done {
		facts.SendEnd = max(facts.SendEnd, time.Duration(f.sendEnd))
		facts.End = max(facts.End, time.Duration(f.end))
		addCounts(&facts.Counts, f.run.counts)
		for status, n := range f.run.statuses {
			if n > 0 {
				facts.Statuses[status] += n
			}
		}
		all.add(&f.run.classes)
		slow.all = append(slow.all, f.run.slowest.all...)
		if why := f.run.ended; why != nil && facts.Ended == record.EndedDone {
			facts.EndedWhy = why.Error()
			if !errors.Is(why, feed.ErrEnd) {
				facts.Ended = record.EndedFailed
			}
		}
		for backend, n := range f.run.backends {
			facts.Backends[backend] += n
		}
		facts.Generator.RunDelaySeconds += f.runDelay
		facts.Generator.WakeUps += f.run.wakeUps
		facts.Generator.Batches += f.run.batches
		facts.Generator.Writes += f.run.writes
		slack += f.run.slackSum
		facts.Connection.MaxInFlight += f.run.peak
		addConnections(&facts.Connection, f.connections)
		sum.n += f.run.gaps.n
		sum.sum += f.run.gaps.sum
		sum.squares += f.run.gaps.squares
	}
	facts.Errors = all.errors()
	facts.Slowest = slow.facts(d.session.kinds)
	facts.Generator.Threads = len(d.done)
	facts.Generator.ArrivalGaps = sum.facts(len(d.done))
	if facts.Counts.Intended > 0 {
		facts.Generator.SlackSeconds = slack / 1e9 / float64(facts.Counts.Intended)
	}
	before.complete(&facts.Generator)
}

// facts returns the moments. The gaps of several workers are those of each by
// itself, so that their mean is that many times as long as that of all together.
func (g gaps) facts(workers int) record.GapFacts {
	if g.n == 0 || g.sum == 0 {
		return record.GapFacts{N: g.n}
	}
	mean := g.sum / float64(g.n)
	variance := max(0, g.squares/float64(g.n)-mean*mean)
	return record.GapFacts{N: g.n, MeanSeconds: mean / float64(workers), CV: math.Sqrt(variance) / mean}
}

func addConnections(to *record.Connections, c record.Connections) {
	to.Open += c.Open
	to.Opened += c.Opened
	to.Closed += c.Closed
	to.GoAways += c.GoAways
	to.Retried += c.Retried
	to.OpenFailed += c.OpenFailed
	to.OpenError = cmp.Or(to.OpenError, c.OpenError)
	to.ProtocolError = cmp.Or(to.ProtocolError, c.ProtocolError)
	to.ResumedHandshakes += c.ResumedHandshakes
	for group, n := range c.KeyExchanges {
		if to.KeyExchanges == nil {
			to.KeyExchanges = map[string]int64{}
		}
		to.KeyExchanges[group] += n
	}
	to.LocalPorts += c.LocalPorts
	to.LostIdleSeconds = appendUpTo(to.LostIdleSeconds, c.LostIdleSeconds, maxConnectTimes)
	if c.MaxStreams > 0 && (to.MaxStreams == 0 || c.MaxStreams < to.MaxStreams) {
		to.MaxStreams = c.MaxStreams
	}
	if c.TLSVersion != "" {
		to.TLSVersion, to.CipherSuite = c.TLSVersion, c.CipherSuite
	}
	to.ConnectTimes = to.ConnectTimes.Merge(c.ConnectTimes)
	to.HandshakeTimes = to.HandshakeTimes.Merge(c.HandshakeTimes)
	to.ConnectSeconds = appendUpTo(to.ConnectSeconds, c.ConnectSeconds, maxConnectTimes)
	to.HandshakeSeconds = appendUpTo(to.HandshakeSeconds, c.HandshakeSeconds, maxConnectTimes)
}

func appendUpTo(to, more []float64, limit int) []float64 {
	return append(to, more[:min(len(more), max(0, limit-len(to)))]...)
}
