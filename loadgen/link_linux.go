package loadgen

import (
	"cmp"
	"context"
	"io"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// link is one connection of a worker.
type link struct {
	dial       *dial.Link
	conn       exchange.Conn
	tag        int32 // place in worker.links
	generation int32
	place      int   // that it fills; −1 when another one does already
	endpoint   int   // of the connector
	uses       int   // requests that it may still carry
	aged       bool  // it is to go when its successor is there
	retired    bool  // it takes no more requests
	since      int64 // when it was opened
	lastUsed   int64 // when something was sent or came in
	idle       int64 // for how long nothing was in flight before what is now; 0 once something came in
	served     bool  // it has answered a request
	goAways    int   // counted already
	fresh      []uint32
	after      *link // in the queue of available links
	queued     bool
	dirty      bool
	blocked    bool // the kernel takes no more: no new requests until it does
	closed     bool
}

// place is one of the connections that the plan wants.
type place struct {
	endpoint int
	backoff  time.Duration // before the next try
	old      *link         // that makes room for the one that is being opened
}

// Bounds of the wait before a connection is tried again.
const (
	firstBackoff = 10 * time.Millisecond
	lastBackoff  = time.Second
	// steadyAfter is the age in nanoseconds at which a connection that answered
	// nothing counts as a success, so that its successor is opened at once.
	steadyAfter = int64(time.Second)
)

// linkQueue is a queue of links with free streams. Each is in it once at most.
type linkQueue struct{ head, tail *link }

func (q *linkQueue) put(l *link) {
	if l.queued {
		return
	}
	l.queued, l.after = true, nil
	if q.tail != nil {
		q.tail.after = l
	} else {
		q.head = l
	}
	q.tail = l
}

// take returns the next link that can start a stream, nil when there is none.
func (q *linkQueue) take() *link {
	for q.head != nil {
		l := q.head
		q.head = l.after
		if q.head == nil {
			q.tail = nil
		}
		l.queued, l.after = false, nil
		if l.usable() {
			return l
		}
	}
	return nil
}

func (l *link) usable() bool {
	return !l.closed && !l.blocked && !l.retired && l.uses > 0 && l.conn.Free() > 0
}

// leaving reports whether nothing more will be started on the link.
func (l *link) leaving() bool { return l.retired || l.uses <= 0 || l.conn.Leaving() }

// offer puts a link that can start a stream at the end of the queue.
func (w *worker) offer(l *link) {
	if l.usable() {
		w.available.put(l)
	}
}

// touch notes that a link has something to write.
func (w *worker) touch(l *link) {
	if !l.dirty {
		l.dirty = true
		w.dirty = append(w.dirty, l)
	}
}

// readable is what the poller is asked to tell of a link. It tells each thing once, when
// it comes about: telling until it is dealt with makes the kernel look at each socket a
// second time, which of ten thousand is in no cache any more. So a link is read until
// nothing is left, or comes into unread.
const readable = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// attach takes over a connection for a place.
func (w *worker) attach(place int, o opened) error {
	tag := int32(len(w.links))
	if n := len(w.freeTags); n > 0 {
		tag = w.freeTags[n-1]
		w.freeTags = w.freeTags[:n-1]
	} else {
		w.links = append(w.links, nil)
	}
	w.generation++
	p, now := &w.places[place], w.now()
	l := &link{
		dial: o.link, conn: o.conn, tag: tag, generation: w.generation, place: place, endpoint: p.endpoint,
		uses: math.MaxInt, since: now, lastUsed: now,
	}
	if w.maxUses > 0 {
		l.uses = w.maxUses
	}
	if err := w.poll.control(unix.EPOLL_CTL_ADD, o.link.FD(), readable, tag, l.generation); err != nil {
		_ = o.link.Close()
		w.freeTags = append(w.freeTags, tag)
		return err
	}
	w.links[tag] = l
	if w.stamping {
		w.stampLink(l)
	}
	if w.kinds != nil {
		l.conn.Update(w.kinds[l.endpoint])
	}
	port := o.link.Local().Port()
	w.localPort[port/64] |= 1 << (port % 64)
	w.open++
	w.facts.Opened++
	agreed, sealed := o.link.Agreed()
	w.openings.add(o.link.Times(), sealed, &w.facts)
	if sealed {
		o.link.Share(w.sealed)
		w.facts.TLSVersion, w.facts.CipherSuite = agreed.Version, agreed.Suite
		countAgreed(&w.facts, agreed)
	}
	w.settle(l)
	if old := p.old; old != nil {
		p.old = nil
		if old.aged && !old.closed {
			old.retired = true
			w.settle(old)
		}
	}
	return nil
}

// succeed has a successor opened for a link that will soon take no more requests.
func (w *worker) succeed(l *link) {
	if l.place < 0 || l.closed {
		return
	}
	p := &w.places[l.place]
	p.backoff, p.old = 0, l
	w.dial(l.place)
	l.place = -1
}

// ageStep is how often ages are looked at, at most, in nanoseconds.
const ageStep = int64(10 * time.Millisecond)

// retireAged has successors opened for links that have come to their age.
func (w *worker) retireAged(now int64) {
	if w.maxAge <= 0 || now < w.ageCheck {
		return
	}
	next := now + w.maxAge
	for _, l := range w.links {
		if l == nil || l.place < 0 {
			continue
		}
		if due := l.since + w.maxAge; due > now {
			next = min(next, due)
			continue
		}
		l.aged = true
		w.succeed(l)
	}
	w.ageCheck = max(next, now+ageStep)
}

// receive reads what has come in on a link, and returns the time.
func (w *worker) receive(l *link) int64 {
	l.dial.Arrived()
	for {
		n, err := l.dial.Read(w.buffer)
		now := w.now()
		if n > 0 {
			at := w.received(l.dial.Received(), now)
			l.lastUsed, l.idle = now, 0
			if w.run != nil {
				w.run.counts.BytesReceived += int64(n)
			}
			failure := l.conn.Ingest(w.buffer[:n], at)
			w.drain(l, at)
			if failure != nil {
				w.facts.ProtocolError = cmp.Or(w.facts.ProtocolError, failure.Error())
				w.push(l) // the GOAWAY
				w.drop(l, exchange.ProtocolError)
				return now
			}
		}
		switch {
		case err == dial.ErrWouldBlock:
			if l.dial.Full() {
				w.unread = append(w.unread, l)
				if w.rested {
					w.restless = now + awake
				}
			}
			w.settle(l)
			return now
		case err != nil:
			if err == io.EOF {
				l.conn.Ended(now)
				w.drain(l, now)
			}
			w.drop(l, exchange.ConnectionLost)
			return now
		}
	}
}

// drain takes over what has ended on a link.
func (w *worker) drain(l *link, now int64) {
	done := l.conn.Done()
	for i := range done {
		l.served = l.served || done[i].Outcome == exchange.Answered
		if w.run != nil {
			w.complete(&done[i], now)
		}
	}
	l.conn.Forget()
}

// settle follows up on what a peer has sent.
func (w *worker) settle(l *link) {
	if n := l.conn.GoAways(); n > l.goAways {
		w.facts.GoAways += int64(n - l.goAways)
		l.goAways = n
	}
	if limit, ok := l.conn.PeerLimit(); ok && (w.facts.MaxStreams == 0 || int64(limit) < w.facts.MaxStreams) {
		w.facts.MaxStreams = int64(limit)
	}
	if len(l.conn.Out()) > 0 {
		w.touch(l)
	}
	if l.leaving() {
		w.replace(l)
		if l.conn.Active() == 0 {
			if !l.conn.Leaving() { // it is we who go
				l.conn.Shutdown()
				w.push(l)
			}
			w.drop(l, exchange.GoneAway)
		}
		return
	}
	w.offer(l)
}

// flush writes what waits on all links, and stamps what is sent with it.
func (w *worker) flush() {
	for i := 0; i < len(w.dirty); i++ { // a link that is lost may make others dirty
		l := w.dirty[i]
		l.dirty = false
		if l.closed {
			continue
		}
		if len(l.fresh) > 0 {
			w.stamp(l, w.now())
		}
		if !l.blocked {
			w.push(l)
		}
	}
	w.dirty = w.dirty[:0]
}

// push writes a link's frames until nothing is left or the kernel takes no more.
func (w *worker) push(l *link) {
	err := error(nil)
	if l.dial.Pending() {
		err = l.dial.Flush()
	}
	for err == nil && len(l.conn.Out()) > 0 {
		var n int
		n, err = l.dial.Write(l.conn.Out())
		l.conn.Wrote(n)
		if w.run != nil {
			w.run.counts.BytesSent += int64(n)
		}
		l.conn.Pump()
	}
	switch {
	case err == nil:
		w.block(l, false)
	case err == dial.ErrWouldBlock:
		w.block(l, true)
	default:
		w.drop(l, exchange.ConnectionLost)
	}
}

// block changes whether the poller tells when a link can be written again.
func (w *worker) block(l *link, blocked bool) {
	if l.blocked == blocked || l.closed {
		return
	}
	l.blocked = blocked
	events := uint32(readable)
	if blocked {
		events |= unix.EPOLLOUT
		w.blocked++
	} else {
		w.blocked--
	}
	if err := w.poll.control(unix.EPOLL_CTL_MOD, l.dial.FD(), events, l.tag, l.generation); err != nil {
		w.drop(l, exchange.ConnectionLost)
	}
}

// unblock goes on writing.
func (w *worker) unblock(l *link) {
	w.push(l)
	if !l.closed {
		w.settle(l)
	}
}

// drop closes a link; what is in flight on it has failed with a class.
func (w *worker) drop(l *link, class exchange.Class) {
	if l.closed {
		return
	}
	l.closed = true
	if l.blocked {
		w.blocked--
	}
	now := w.now()
	if class == exchange.ConnectionLost && l.conn.GoAways() == 0 {
		w.lostIdle(l, now)
	}
	l.conn.Fail(class)
	w.drain(l, now)
	w.replace(l)
	_ = l.dial.Close() // which takes it out of the poller, too
	w.links[l.tag] = nil
	w.freeTags = append(w.freeTags, l.tag)
	w.open--
	w.facts.Closed++
}

// leastIdle is for how long a connection has been idle, in nanoseconds, when its loss
// together with the next request counts as one for idleness.
const leastIdle = int64(100 * time.Millisecond)

// lostIdle notes for how long a link had been idle that was lost without a word. What
// stands between, as load balancers do, may forget a connection without telling, and
// end it only when the next request comes: that is in flight then, and nothing has
// come in since. A link that was lost amid its work was not idle.
func (w *worker) lostIdle(l *link, now int64) {
	idle := now - l.lastUsed
	if l.conn.Active() > 0 {
		if idle = l.idle; idle < leastIdle {
			return
		}
	}
	if len(w.facts.LostIdleSeconds) < maxConnectTimes {
		w.facts.LostIdleSeconds = append(w.facts.LostIdleSeconds, float64(idle)/1e9)
	}
}

// replace has a successor opened for a link, once.
func (w *worker) replace(l *link) {
	if l.place < 0 {
		return
	}
	p := &w.places[l.place]
	if l.served || w.now()-l.since >= steadyAfter {
		p.backoff = 0
	}
	w.dial(l.place)
	l.place = -1
}

// dial opens a connection for a place in a goroutine of its own.
func (w *worker) dial(at int) {
	if w.ctx.Err() != nil {
		return
	}
	p := &w.places[at]
	wait, to := p.backoff, p.endpoint
	p.backoff = min(max(firstBackoff, 2*p.backoff), lastBackoff)
	w.dialling.Add(1)
	go func() {
		defer w.dialling.Done()
		d := delivery{place: at}
		if d.err = pause(w.ctx, wait); d.err == nil {
			d.opened, d.err = w.connector.open(w.ctx, to)
		}
		w.inbox.mu.Lock()
		w.inbox.fresh = append(w.inbox.fresh, d)
		w.inbox.mu.Unlock()
		w.poll.notify()
	}()
}

// deliver takes a connection that was opened for a place, or tries again.
func (w *worker) deliver(d delivery) {
	err := d.err
	if err == nil {
		err = w.attach(d.place, d.opened)
	}
	if err != nil {
		if w.ctx.Err() == nil {
			w.facts.OpenFailed++
			w.facts.OpenError = cmp.Or(w.facts.OpenError, err.Error())
		}
		w.dial(d.place)
	}
}

// pause waits for a time or the end of ctx.
func pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
