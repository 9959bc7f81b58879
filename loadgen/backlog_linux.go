package loadgen

import "math"

// waiting is an arrival that is due.
type waiting struct {
	intended int64
	kind     int32
}

// backlog is a bounded store of arrivals that are due. They leave in order of their
// intended instants, or when their timeouts are over, whichever is first: so there is a
// queue for each distinct timeout, since in one queue for all an arrival would stay
// behind those with more patience.
type backlog struct {
	queues  []queue
	queueOf []int32 // by kind
	size    int     // of all queues together
	bound   int
}

// queue is the arrivals that share a timeout, in order.
type queue struct {
	timeout    int64     // nanoseconds
	ring       []waiting // grows up to the bound
	head, size int
}

// newBacklog returns one for kinds of requests that belong to lists of a timeout each.
func newBacklog(bound int, lists []flight, of []int32) backlog {
	b := backlog{queues: make([]queue, len(lists)), queueOf: of, bound: bound}
	for i := range b.queues {
		b.queues[i] = queue{timeout: lists[i].timeout, ring: make([]waiting, min(bound, 64))}
	}
	return b
}

func (b *backlog) full() bool { return b.size >= b.bound }

// push adds an arrival. full has to say that there is room, and it must not be
// intended before those that were added earlier.
func (b *backlog) push(w waiting) {
	b.queues[b.queueOf[w.kind]].push(w, b.bound)
	b.size++
}

// first returns the queue whose front is intended first. There has to be one that is
// not empty.
func (b *backlog) first() *queue {
	var first *queue
	for i := range b.queues {
		if q := &b.queues[i]; q.size > 0 && (first == nil || q.front().intended < first.front().intended) {
			first = q
		}
	}
	return first
}

// front returns the arrival that is intended first of all.
func (b *backlog) front() waiting { return b.first().front() }

// pop takes that arrival out.
func (b *backlog) pop() {
	b.first().pop()
	b.size--
}

// expire takes out an arrival whose timeout is over, and reports whether there was one.
func (b *backlog) expire(now int64) bool {
	for i := range b.queues {
		if q := &b.queues[i]; q.size > 0 && q.expiry() <= now {
			q.pop()
			b.size--
			return true
		}
	}
	return false
}

// expiry returns when the next timeout is over: never, when nothing waits.
func (b *backlog) expiry() int64 {
	at := int64(math.MaxInt64)
	for i := range b.queues {
		if q := &b.queues[i]; q.size > 0 {
			at = min(at, q.expiry())
		}
	}
	return at
}

func (q *queue) push(w waiting, bound int) {
	if q.size == len(q.ring) {
		ring := make([]waiting, min(bound, 2*len(q.ring)))
		for i := range q.size {
			ring[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = ring, 0
	}
	i := q.head + q.size
	if i >= len(q.ring) {
		i -= len(q.ring)
	}
	q.ring[i] = w
	q.size++
}

func (q *queue) front() waiting { return q.ring[q.head] }

// expiry returns when the timeout of the front is over. It is the first of the queue's.
func (q *queue) expiry() int64 { return q.front().intended + q.timeout }

func (q *queue) pop() {
	q.head++
	if q.head == len(q.ring) {
		q.head = 0
	}
	q.size--
}
