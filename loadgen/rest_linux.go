package loadgen

import (
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// Between two batches of economical pacing a worker rests: it leaves in the kernel
// what comes in and reads it when the next batch has left, so that a batch costs
// one wake-up from idle and not two or more. An answer's end is then the instant
// at which the kernel received it. The kernel tells one instant for all that a read
// takes, which is that of the last segment: an end is late by the time over which the
// answers to one connection are spread between two batches, and never early.
//
// A worker rests only while nothing waits for what might come in: no arrival for a
// free stream, no connection for room to write, no body for a window.
const (
	// leastRest is the shortest slack at which a worker rests, and mostRest the
	// longest sleep, in nanoseconds.
	leastRest = int64(200 * time.Microsecond)
	mostRest  = int64(1200 * time.Microsecond)
	// awake is for how long a worker goes without rest, in nanoseconds, after a rest in
	// which as much came in on one connection as fills the buffer for it: lest a server
	// wait for room to send.
	awake = int64(100 * time.Millisecond)
	// restBody is the longest request body in bytes with which a worker rests:
	// those of some twenty requests fit into the smallest usual window.
	restBody = 2048
)

// mayRest reports whether no request of a plan can depend on what comes in before
// its answer.
func mayRest(plan scenarios.Plan) bool {
	for i := range plan.Requests {
		r := &plan.Requests[i]
		if len(r.Body) > restBody || r.BodyFile != "" || plan.Feed != nil && r.Body != "" {
			return false
		}
		if call := r.GRPC; call != nil && (len(call.Message) > restBody || plan.Feed != nil) {
			return false
		}
	}
	return true
}

// rests reports whether the worker rests for so long from now on.
func (w *worker) rests(now, patience int64) bool {
	r := w.run
	return r != nil && r.rests && patience > 0 && patience <= mostRest && r.hasNext && r.slack() >= leastRest &&
		r.backlog.size == 0 && len(w.again) == 0 && w.blocked == 0 && now >= w.restless
}

// stampAll makes all links learn when what they read came in.
func (w *worker) stampAll() {
	if w.stamping {
		return
	}
	w.stamping = true
	for _, l := range w.links {
		if l != nil && !l.closed {
			w.stampLink(l)
		}
	}
}

// stampLink does so with one. Where the kernel can't, ends count when they are read.
func (w *worker) stampLink(l *link) { _ = l.dial.Stamp(&w.stamps) }

// awoke notes when a rest ended, on both clocks.
func (w *worker) awoke() {
	at := time.Now()
	w.rested = true
	w.awokeAt, w.awokeWall = int64(at.Sub(w.base)), at.UnixNano()
}

// received returns when what was just read from a link came in, as the kernel says by
// the real-time clock: not before the rest began, since all was read by then, and not
// after now. So a step of that clock is wrong by no more than one rest.
func (w *worker) received(wall, now int64) int64 {
	if !w.rested || wall == 0 {
		return now
	}
	return min(max(w.awokeAt-(w.awokeWall-wall), w.restedAt), now)
}
