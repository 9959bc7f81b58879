package proxy

import (
	"math"
	"math/rand/v2"
	"slices"
)

// The CFS bandwidth controller of Linux: how long a period of a quota lasts, in
// what pieces a processor takes from it, and how much of a piece it keeps when it
// goes idle, in seconds. Source: kernel/sched/fair.c (default_cfs_period,
// sysctl_sched_cfs_bandwidth_slice, min_cfs_rq_runtime).
const (
	Period    = 0.1
	slice     = 0.005
	keptOfOne = 0.001
)

// Load is what comes to the proxy.
type Load struct {
	RPS float64 // Poisson arrivals a second
	// Upstream is how long an answer takes once the proxy has passed its request
	// on, in seconds: equally likely values, for instance quantiles. Empty: it is
	// there at once.
	Upstream []float64
}

// Outcome is what a simulation saw.
type Outcome struct {
	Latency   []float64 // seconds, rising; of every request but those of the start
	Cores     float64
	WakeUps   float64 // a second
	Throttled float64 // share of the quota's periods
}

// Quantile returns a quantile of the latency; NaN without any.
func (o Outcome) Quantile(q float64) float64 {
	if len(o.Latency) == 0 {
		return math.NaN()
	}
	return o.Latency[min(len(o.Latency)-1, int(math.Ceil(q*float64(len(o.Latency))))-1)]
}

// Simulate runs requests through the proxy. The same seed gives the same arrivals,
// stretched in time, at every rate, so that outcomes are comparable. The first
// tenth of the requests only fills the system.
func Simulate(s Server, l Load, requests int, seed uint64) Outcome {
	sim := simulation{
		server: s, load: l, perItem: s.Request(l.RPS) / 2, fold: math.Max(1, s.Events/2),
		random:  rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)),
		threads: make([]thread, max(s.Threads, 1)),
		arrived: make([]float64, requests), latency: make([]float64, 0, requests),
		first: requests / 10,
	}
	sim.refill()
	sim.events.push(event{at: sim.random.ExpFloat64() / l.RPS, kind: arrival})
	for len(sim.events) > 0 {
		e := sim.events.pop()
		for s.Quota > 0 && e.at >= sim.next {
			sim.next += Period
			sim.refill()
		}
		sim.handle(e)
	}
	return sim.outcome()
}

type kind uint8

const (
	arrival kind = iota // of the next request
	answer              // of a request
	run                 // a thread goes on
)

type event struct {
	at      float64
	kind    kind
	request int
	thread  int
}

// events is a binary heap by time. container/heap would box every event, and there
// are millions of them.
type events []event

func before(a, b event) bool {
	// What becomes readable at the instant at which a thread would go to sleep
	// keeps it awake.
	return a.at < b.at || a.at == b.at && a.kind < b.kind
}

func (e *events) push(v event) {
	h := append(*e, v)
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !before(h[i], h[parent]) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
	*e = h
}

func (e *events) pop() event {
	h := *e
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && before(h[child+1], h[child]) {
			child++
		}
		if !before(h[child], h[i]) {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*e = h
	return first
}

// item is something readable: a request, or the answer of one.
type item struct {
	request int
	answer  bool
}

// thread is an event loop.
type thread struct {
	ready   []item
	awake   bool    // or about to be
	woken   bool    // the cost of the wake-up has still to be paid
	runtime float64 // seconds of quota that it holds
}

type simulation struct {
	server    Server
	load      Load
	perItem   float64
	fold      float64 // wake-ups at a time, of a program that has more than two a request
	random    *rand.Rand
	events    events
	threads   []thread
	arrived   []float64
	started   int
	first     int
	latency   []float64
	now       float64
	pool      float64 // of the quota, seconds left in this period
	next      float64 // end of this period
	periods   int
	throttled int  // periods
	stalled   bool // in this period
	used      float64
	wakeUps   int
}

// refill begins a period. What idling needs comes off first.
func (s *simulation) refill() {
	if s.next == 0 {
		s.next = Period
	}
	s.pool = math.Max(0, s.server.Quota-s.server.Idle) * Period
	s.periods++
	s.stalled = false
}

func (s *simulation) handle(e event) {
	s.now = e.at
	switch e.kind {
	case arrival:
		i := s.started
		s.started++
		s.arrived[i] = e.at
		if s.started < len(s.arrived) {
			s.events.push(event{at: e.at + s.random.ExpFloat64()/s.load.RPS, kind: arrival})
		}
		s.readable(e.at, s.random.IntN(len(s.threads)), item{request: i})
	case answer:
		s.readable(e.at, e.thread, item{request: e.request, answer: true})
	case run:
		s.run(e.at, e.thread)
	}
}

// readable hands something to a thread, and wakes it when it sleeps.
func (s *simulation) readable(at float64, number int, what item) {
	t := &s.threads[number]
	t.ready = append(t.ready, what)
	if t.awake {
		return
	}
	t.awake = true
	if s.server.Events < 2 && s.random.Float64() > s.server.Events/2 {
		s.events.push(event{at: at, kind: run, thread: number}) // it was awake for something close by
		return
	}
	t.woken = true
	s.wakeUps++
	s.events.push(event{at: at + s.fold*s.server.WakeDelay, kind: run, thread: number})
}

// run lets a thread do one piece of work: pay for its wake-up, handle one item, or
// go to sleep when there is none.
func (s *simulation) run(at float64, number int) {
	t := &s.threads[number]
	if !t.woken && len(t.ready) == 0 {
		t.awake = false
		if t.runtime > keptOfOne { // the rest goes back for others
			s.pool += t.runtime - keptOfOne
			t.runtime = keptOfOne
		}
		return
	}
	if s.server.Quota > 0 && t.runtime <= 0 {
		take := math.Min(slice-t.runtime, s.pool)
		s.pool -= take
		t.runtime += take
		if t.runtime <= 0 {
			if !s.stalled {
				s.stalled = true
				s.throttled++
			}
			s.events.push(event{at: s.next, kind: run, thread: number})
			return
		}
	}
	cost := s.perItem
	if t.woken {
		cost = s.fold * s.server.PerWakeUp
	}
	done := at + cost
	s.used += cost
	t.runtime -= cost
	s.events.push(event{at: done, kind: run, thread: number})
	if t.woken {
		t.woken = false
		return
	}
	what := t.ready[0]
	t.ready = t.ready[1:]
	if what.answer {
		if what.request >= s.first {
			s.latency = append(s.latency, done-s.arrived[what.request])
		}
		return
	}
	s.events.push(event{at: done + s.upstream(), kind: answer, request: what.request, thread: number})
}

// upstream draws how long an answer takes.
func (s *simulation) upstream() float64 {
	if len(s.load.Upstream) == 0 {
		return 0
	}
	return s.load.Upstream[s.random.IntN(len(s.load.Upstream))]
}

func (s *simulation) outcome() Outcome {
	slices.Sort(s.latency)
	o := Outcome{Latency: s.latency}
	if s.now > 0 {
		o.Cores, o.WakeUps = s.server.Idle+s.used/s.now, s.fold*float64(s.wakeUps)/s.now
	}
	if s.server.Quota > 0 {
		o.Throttled = float64(s.throttled) / float64(s.periods)
	}
	return o
}
