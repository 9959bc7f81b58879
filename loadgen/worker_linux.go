package loadgen

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// worker is one sending thread and all that it owns: nothing here but the inbox
// and progress is touched by another goroutine.
type worker struct {
	id        int
	base      time.Time
	connector *connector
	poll      *poller
	inbox     inbox
	progress  progress
	dialling  sync.WaitGroup  // goroutines that open connections
	ctx       context.Context // of the goroutines that open connections

	links      []*link // by tag; nil: the tag is free
	freeTags   []int32
	generation int32
	places     []place // one for each connection that the plan wants
	open       int
	available  linkQueue // links with a free stream, in turn
	dirty      []*link   // links with something to write
	unread     []*link   // links that may have more to read, of which the poller won't tell again
	spare      []*link   // room for unread

	records  []exchangeRecord
	unused   int32    // free list of records, −1: none
	flights  []flight // records in flight, a list for each distinct timeout
	flightOf []int32  // by kind: in which of them its records are
	inFlight int64
	again    []uint32 // records that wait to be sent again
	maximum  int      // of records

	feed      *feed.Feed           // nil: none
	traces    *traces              // nil: no request carries a traceparent
	kinds     [][]exchange.Request // by endpoint, when they are others than at the start
	maxUses   int                  // requests that a connection carries; 0: any number
	maxAge    int64                // of a connection, in nanoseconds; 0: any
	ageCheck  int64                // when ages are looked at next
	localPort [1 << 16 / 64]uint64 // a bit for each local port that was used

	buffer, sealed []byte // for what comes in, plain and encrypted
	run            *run
	facts          record.Connections // since the last phase ended
	openings       openings           // likewise
	wakeUps        int64

	stamps             dial.Stamps
	stamping           bool  // links use stamps
	rested             bool  // what is read now came in during a rest
	restedAt           int64 // when it began
	awokeAt, awokeWall int64 // when it ended, since the base and by the real-time clock
	restless           int64 // until when there is no rest
	blocked            int   // links that wait for room to write
}

// exchangeRecord is one request that was sent and is not finished.
type exchangeRecord struct {
	intended, sent int64
	link           *link     // nil while it waits to be sent again
	trace          [2]uint64 // identifier of its trace; 0: none
	slot           int32
	kind           int32
	before, after  int32 // in the list of those in flight
	retries        uint8
	refused        bool // once already
}

// flight is the records in flight that share a timeout, in order of sending.
type flight struct {
	timeout        int64 // nanoseconds
	oldest, newest int32 // −1: none
}

// progress is what other goroutines may know at any time.
type progress struct {
	outcomes, errors atomic.Int64 // of the current phase
}

// inbox is what other goroutines have for a worker.
type inbox struct {
	mu     sync.Mutex // guards all fields below
	run    *run
	start  int64
	length int64
	abort  *run // the phase that is to end
	stop   bool
	broken error                // the worker is gone
	kinds  [][]exchange.Request // new ones, by endpoint; nil: as they were
	fresh  []delivery
}

// delivery is a connection that was opened for a place, or the error.
type delivery struct {
	place  int
	opened opened
	err    error
}

// readBuffer is the size of the buffers for what comes in, in bytes.
const readBuffer = 64 << 10

// eventsAtOnce is of how many connections a worker reads before it writes. Of all that
// belongs to so many, here and in the kernel, most is still in the processor's
// caches when they are written.
const eventsAtOnce = 64

// newWorker returns one of several workers.
func newWorker(id, workers int, base time.Time, c *connector, places []place) (*worker, error) {
	poll, err := newPoller(min(eventsAtOnce, len(places)+8), workers < runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	plan := c.builder.plan
	w := &worker{
		id: id, base: base, connector: c, poll: poll, places: places,
		unused: -1, maximum: 2*len(places)*plan.Connections.StreamsPerConnection + 64,
		maxUses: plan.Connections.MaxRequests, maxAge: int64(plan.Connections.MaxAge),
		openings: newOpenings(), buffer: make([]byte, readBuffer), sealed: make([]byte, readBuffer),
	}
	w.flights, w.flightOf = flights(plan)
	return w, nil
}

// flights returns a list for each distinct timeout of a plan's requests, and which
// of them each kind of request belongs to.
func flights(plan scenarios.Plan) (lists []flight, of []int32) {
	for _, r := range plan.Requests {
		timeout := int64(cmp.Or(r.Timeout, plan.Timeout))
		at := slices.IndexFunc(lists, func(f flight) bool { return f.timeout == timeout })
		if at < 0 {
			at = len(lists)
			lists = append(lists, flight{timeout: timeout, oldest: -1, newest: -1})
		}
		of = append(of, int32(at))
	}
	return lists, of
}

// now returns the nanoseconds since the base, by the monotonic clock.
func (w *worker) now() int64 { return int64(time.Since(w.base)) }

// loop runs until it is told to stop.
func (w *worker) loop() {
	// Never unlocked: the thread has a timer slack of its own and ends here.
	runtime.LockOSThread()
	// 1 ns instead of 50 µs; without permission wake-ups are coarser, which the
	// send lag shows.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for {
		events, err := w.sleep()
		if err != nil {
			w.broken(err)
			return
		}
		now := w.now()
		if w.run != nil {
			w.roll(now)
			w.send(now)
		}
		w.hearOut()
		if stop := w.serve(events); stop {
			w.shutDown()
			return
		}
		if w.run != nil {
			now = w.now()
			w.expire(now)
			w.retireAged(now)
			w.send(now)
		}
		w.flush()
		if w.run != nil {
			w.publish()
			w.finish(w.now())
		}
	}
}

// sleep waits until there is something to do, and returns what has happened.
func (w *worker) sleep() ([]unix.EpollEvent, error) {
	now := w.now()
	patience := w.patience(now)
	if patience != 0 {
		w.wakeUps++ // not each turn of a spin
	}
	if w.rested = false; !w.rests(now, patience) {
		return w.poll.wait(patience)
	}
	if err := w.poll.rest(patience); err != nil {
		return nil, err
	}
	w.restedAt = now
	w.awoke()
	return w.poll.wait(0)
}

// spinStretch is for how long before an arrival precise pacing does not sleep, in
// nanoseconds: longer than a sleeping thread takes to wake up.
const spinStretch = int64(200 * time.Microsecond)

// patience returns how long the loop may sleep, in nanoseconds; −1: until
// something happens.
func (w *worker) patience(now int64) int64 {
	r := w.run
	if len(w.unread) > 0 {
		return 0
	}
	if r == nil {
		return -1
	}
	until := r.boundary
	if now < r.sendEnd {
		until = min(until, r.sendEnd)
	}
	if r.hasNext {
		at := r.nextAt + r.slack()
		if r.precise {
			at -= spinStretch
		}
		until = min(until, at)
	}
	if now < r.start {
		until = min(until, r.start)
	}
	for i := range w.flights {
		if f := &w.flights[i]; f.oldest >= 0 {
			until = min(until, w.records[f.oldest].intended+f.timeout)
		}
	}
	if w.maxAge > 0 {
		until = min(until, w.ageCheck)
	}
	if r.starved {
		until = min(until, now+starvedPause)
	}
	if len(w.again) > 0 && !r.limit.allows(now) {
		until = min(until, r.limit.at())
	}
	until = min(until, r.backlog.expiry())
	if r.aborted {
		until = min(until, r.drainBy)
	}
	return max(0, until-now)
}

// serve handles what the poller returned.
func (w *worker) serve(events []unix.EpollEvent) (stop bool) {
	for i := range events {
		e := &events[i]
		if e.Fd == wakeTag {
			w.poll.acknowledge()
			if w.collect() {
				return true
			}
			continue
		}
		l := w.links[e.Fd]
		if l == nil || l.generation != e.Pad {
			continue // closed while this batch was handled
		}
		if e.Events&unix.EPOLLOUT != 0 {
			w.unblock(l)
		}
		if e.Events&^unix.EPOLLOUT != 0 && !l.closed {
			w.hear(l)
			if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && !l.closed {
				w.unread = append(w.unread, l) // the end lies behind what was read
			}
		}
	}
	return false
}

// hear reads from a link. A long batch of answers does not hold up arrivals for long.
func (w *worker) hear(l *link) {
	now := w.receive(l)
	if r := w.run; r != nil && r.hasNext && now-r.nextAt-r.slack() > maxHold {
		w.send(now)
	}
}

// hearOut reads from the links that had more to read than was taken at once.
func (w *worker) hearOut() {
	links := w.unread
	w.unread, w.spare = w.spare[:0], links
	for _, l := range links {
		if !l.closed {
			w.hear(l)
		}
	}
}

// maxHold is for how long reading answers may hold up an arrival, in nanoseconds.
const maxHold = int64(100 * time.Microsecond)

// collect empties the inbox.
func (w *worker) collect() (stop bool) {
	w.inbox.mu.Lock()
	r, start, length := w.inbox.run, w.inbox.start, w.inbox.length
	abort, fresh := w.inbox.abort, w.inbox.fresh
	stop = w.inbox.stop
	kinds := w.inbox.kinds
	w.inbox.run, w.inbox.abort, w.inbox.fresh, w.inbox.kinds = nil, nil, nil, nil
	w.inbox.mu.Unlock()
	if kinds != nil {
		w.kinds = kinds
		for _, l := range w.links {
			if l != nil {
				l.conn.Update(kinds[l.endpoint])
			}
		}
	}
	for _, d := range fresh {
		w.deliver(d)
	}
	if r != nil {
		r.begin(start, length)
		r.runDelay = runDelay()
		r.wakeUps = w.wakeUps
		if r.rests {
			w.stampAll()
		}
		w.run = r
		w.progress.outcomes.Store(0)
		w.progress.errors.Store(0)
	}
	if abort != nil && abort == w.run {
		w.abort(w.now())
	}
	return stop
}

// abort ends sending: what waits is shed, and answers are awaited for a while.
func (w *worker) abort(now int64) {
	r := w.run
	if r.aborted {
		return
	}
	r.aborted = true
	r.hasNext = false
	r.drainBy = now + int64(drainTime)
	r.sendEnd = min(r.sendEnd, max(now, r.start))
	for ; r.backlog.size > 0; r.backlog.pop() {
		r.shed(exchange.ShedInterrupted)
	}
	for _, token := range w.again {
		w.failed(token, w.refusal(token))
	}
	w.again = w.again[:0]
}

// publish lets others see how the phase goes. What was shed never reached the
// target, and so is no error that a guard protects it from.
func (w *worker) publish() {
	c := &w.run.counts
	w.progress.outcomes.Store(c.Answered + c.Failed + c.TimedOut)
	w.progress.errors.Store(c.Failed + c.TimedOut + c.Bad)
}

// roll ends an interval in time. Arrivals that were due in it are counted in it.
func (w *worker) roll(now int64) {
	r := w.run
	if now < r.boundary {
		return
	}
	w.release(r.boundary + (now-r.boundary)/r.interval*r.interval - 1)
	r.roll(now, int64(r.backlog.size), w.inFlight)
}

// finish ends the phase when nothing is left to do in it.
func (w *worker) finish(now int64) {
	r := w.run
	done := now >= r.sendEnd && !r.hasNext && r.backlog.size == 0 && w.inFlight == 0
	if !done && !(r.aborted && now >= r.drainBy) {
		return
	}
	left := w.inFlight
	for i := range w.flights {
		for w.flights[i].oldest >= 0 {
			// Unanswered when the load was stopped: they stay in flight in the counts.
			token := w.flights[i].oldest
			if rec := &w.records[token]; rec.link != nil {
				w.withdraw(rec.link, rec.slot)
			}
			w.retire(uint32(token))
		}
	}
	w.flush()
	w.run = nil
	facts := &workerFacts{sendEnd: r.sendEnd, end: now, run: r, connections: w.takeFacts(), runDelay: runDelay() - r.runDelay}
	r.wakeUps = w.wakeUps - r.wakeUps
	r.handOver(now, 0, left, report{last: true, facts: facts})
}

// takeFacts returns what happened to connections since it was last called.
func (w *worker) takeFacts() record.Connections {
	facts := w.facts
	facts.Open = w.open
	for _, ports := range w.localPort {
		facts.LocalPorts += bits.OnesCount64(ports)
	}
	w.openings.take(&facts)
	w.facts = record.Connections{TLSVersion: facts.TLSVersion, CipherSuite: facts.CipherSuite, MaxStreams: facts.MaxStreams}
	return facts
}

// broken ends the worker after an error of the poller, which can't happen as
// long as the descriptors are ours.
func (w *worker) broken(err error) {
	w.inbox.mu.Lock()
	w.inbox.broken = err // phases to come get this
	r := w.run
	if r == nil {
		r, w.inbox.run = w.inbox.run, nil
	}
	w.inbox.mu.Unlock()
	w.run = nil
	w.shutDown()
	if r != nil {
		r.reports <- report{worker: w.id, last: true, err: err}
	}
}

// shutDown says goodbye on all connections.
func (w *worker) shutDown() {
	for _, l := range w.links {
		if l == nil || l.closed {
			continue
		}
		l.conn.Shutdown()
		w.push(l)
		w.drop(l, exchange.ConnectionLost)
	}
}

// maxRecords bounds a list index.
const maxRecords = math.MaxInt32
