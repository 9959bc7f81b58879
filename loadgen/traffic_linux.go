package loadgen

import (
	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// maxRetries is how often a request that was not processed because of a GOAWAY is
// sent again. Its timeout ends it earlier as a rule.
const maxRetries = 100

// send lets everything go that is due and finds a stream.
func (w *worker) send(now int64) {
	r := w.run
	if now < r.start {
		return
	}
	before := r.counts.Sent
	if r.arrivals == nil {
		w.resend(now)
		w.fill(now)
	} else {
		if r.hasNext && now >= r.nextAt+r.slack() {
			w.release(now)
		}
		w.dispatch(now)
	}
	if r.counts.Sent > before {
		r.batches++
	}
	w.flush()
}

// release moves arrivals that are due at an instant into the backlog. Where that
// is full it makes room by sending, and sheds what finds no stream.
func (w *worker) release(at int64) {
	r := w.run
	slack := float64(r.slack())
	for r.hasNext && r.nextAt <= at {
		r.counts.Intended++
		r.slackSum += slack
		if r.backlog.full() {
			w.dispatch(at)
			w.flush()
		}
		if r.backlog.full() {
			r.shed(exchange.Shed)
		} else {
			r.backlog.push(waiting{intended: r.nextAt, kind: r.nextKind})
		}
		r.advance()
	}
}

// dispatch starts what waits, as far as its timeout is not over and there are
// streams. Where arrivals leave in batches, one connection takes as much of a batch
// as it can, so that one write carries it, and the next batch begins with the next
// connection; otherwise the connections take turns.
func (w *worker) dispatch(now int64) {
	w.giveUp(now)
	w.resend(now)
	r := w.run
	packed := r.slack() > 0
	var l *link
	for r.backlog.size > 0 {
		if l == nil {
			if l = w.available.take(); l == nil {
				return
			}
		}
		due := r.backlog.front()
		if !w.mayTake() { // before a row of the feed is used
			break
		}
		v, ok := w.variation(due.kind)
		if !ok {
			break
		}
		token := w.take(due.kind)
		r.backlog.pop()
		w.records[token].intended = due.intended
		r.counts.Sent++
		w.start(l, token, v)
		if !packed || !l.usable() {
			w.offer(l)
			l = nil
		}
	}
	if l != nil {
		w.offer(l)
	}
}

// resend starts what was not processed, as far as there are streams and
// guards.maxRate allows.
func (w *worker) resend(now int64) {
	for len(w.again) > 0 && w.run.limit.allows(now) {
		l := w.available.take()
		if l == nil {
			return
		}
		token := w.again[0]
		v, ok := w.variation(w.records[token].kind)
		if !ok {
			w.offer(l)
			return
		}
		w.again = w.again[:copy(w.again, w.again[1:])]
		w.run.limit.sent(now)
		w.start(l, token, v)
		w.offer(l)
	}
}

// fill keeps every stream busy, in a closed loop.
func (w *worker) fill(now int64) {
	r := w.run
	if r.aborted || now >= r.sendEnd {
		return
	}
	for {
		l := w.available.take()
		if l == nil {
			return
		}
		for l.usable() {
			if !r.drawn { // a kind that waits for a row of the feed stays the next
				r.nextKind, r.drawn = r.mix.Next(), true
			}
			if !w.mayTake() { // before a row of the feed is used
				w.offer(l)
				return
			}
			v, ok := w.variation(r.nextKind)
			if !ok {
				w.offer(l)
				return
			}
			token := w.take(r.nextKind)
			r.drawn = false
			w.records[token].intended = now
			r.counts.Intended++
			r.counts.Sent++
			w.start(l, token, v)
		}
	}
}

// start sends a record's request on a link that has a free stream.
func (w *worker) start(l *link, token uint32, v *exchange.Variation) {
	rec := &w.records[token]
	rec.link = l
	if w.traces != nil {
		v = w.traces.mark(rec, v)
	}
	rec.slot = l.conn.Start(int(rec.kind), token, v)
	if w.maxUses > 0 {
		if l.uses--; l.uses <= w.maxUses/10 {
			w.succeed(l)
		}
	}
	if rec.retries == 0 {
		l.fresh = append(l.fresh, token)
	}
	w.touch(l)
}

// stamp notes that the requests that a link is about to write are sent now. In a
// closed loop there is no other intention than to send.
func (w *worker) stamp(l *link, now int64) {
	r := w.run
	r.writes++
	if l.conn.Active() <= len(l.fresh) { // nothing else was in flight
		l.idle = now - l.lastUsed
	}
	l.lastUsed = now
	for _, token := range l.fresh {
		rec := &w.records[token]
		rec.sent = now
		if r.arrivals == nil {
			rec.intended = now
		}
		observe(&r.set.requests[rec.kind].SendLag, now-rec.intended)
		r.limit.sent(now)
		r.gaps.sent(now)
	}
	l.fresh = l.fresh[:0]
}

// mayTake reports whether there is room for a record.
func (w *worker) mayTake() bool {
	return w.unused >= 0 || len(w.records) < min(w.maximum, maxRecords)
}

// take returns an unused record, entered as the newest in flight. mayTake has to
// allow it.
func (w *worker) take(kind int32) (token uint32) {
	i := w.unused
	if i >= 0 {
		w.unused = w.records[i].after
	} else {
		w.records = append(w.records, exchangeRecord{})
		i = int32(len(w.records) - 1)
	}
	f := &w.flights[w.flightOf[kind]]
	w.records[i] = exchangeRecord{kind: kind, before: f.newest, after: -1}
	if f.newest >= 0 {
		w.records[f.newest].after = i
	} else {
		f.oldest = i
	}
	f.newest = i
	w.inFlight++
	w.run.peak = max(w.run.peak, w.inFlight)
	return uint32(i)
}

// retire takes a record out of those in flight.
func (w *worker) retire(token uint32) {
	rec := &w.records[token]
	f := &w.flights[w.flightOf[rec.kind]]
	if rec.before >= 0 {
		w.records[rec.before].after = rec.after
	} else {
		f.oldest = rec.after
	}
	if rec.after >= 0 {
		w.records[rec.after].before = rec.before
	} else {
		f.newest = rec.before
	}
	*rec = exchangeRecord{after: w.unused}
	w.unused = int32(token)
	w.inFlight--
}

// complete takes over what a connection reports as ended.
func (w *worker) complete(d *exchange.Completion, now int64) {
	r := w.run
	rec := &w.records[d.Token]
	rec.link = nil
	switch d.Outcome {
	case exchange.Answered:
		hists := &r.set.requests[rec.kind]
		observe(&hists.Latency, now-rec.intended)
		observe(&hists.Service, now-rec.sent)
		if rec.trace != [2]uint64{} {
			r.slowest.add(rec, now-rec.intended)
		}
		r.answered(d.Status, d.Class, d.Backend)
		r.counts.Messages += int64(d.Messages)
		w.retire(d.Token)
		return
	case exchange.Refused:
		if !rec.refused {
			rec.refused = true
			w.retry(d.Token, d.Class)
			return
		}
	case exchange.Unprocessed:
		w.retry(d.Token, d.Class)
		return
	}
	w.failed(d.Token, d.Class)
}

// retry sends a request again that was not processed.
func (w *worker) retry(token uint32, class exchange.Class) {
	rec := &w.records[token]
	if rec.retries >= maxRetries || w.run.aborted {
		w.failed(token, class)
		return
	}
	rec.retries++
	w.facts.Retried++
	w.again = append(w.again, token)
}

// refusal returns why a record waits to be sent again.
func (w *worker) refusal(token uint32) exchange.Class {
	if w.records[token].refused {
		return exchange.ResetRefused
	}
	return exchange.GoneAway
}

// failed counts a request that will get no answer.
func (w *worker) failed(token uint32, class exchange.Class) {
	w.run.counts.Failed++
	w.run.classes[class]++
	w.retire(token)
}

// expire gives up what has waited for its timeout, sent or not.
func (w *worker) expire(now int64) {
	for i := range w.flights {
		w.expireOf(i, now)
	}
	w.giveUp(now)
}

func (w *worker) expireOf(list int, now int64) {
	r, timeout := w.run, w.flights[list].timeout
	for w.flights[list].oldest >= 0 {
		token := w.flights[list].oldest
		rec := &w.records[token]
		if rec.intended+timeout > now {
			return
		}
		if rec.link != nil {
			w.withdraw(rec.link, rec.slot)
		} else {
			w.forget(uint32(token))
		}
		observe(&r.set.requests[rec.kind].Latency, timeout)
		if rec.trace != [2]uint64{} {
			r.slowest.add(rec, timeout)
		}
		r.counts.TimedOut++
		r.classes[exchange.TimedOut]++
		w.retire(uint32(token))
	}
}

// withdraw takes back a request that is in flight, and lets its stream be used again: a
// peer may have nothing to say to the reset.
func (w *worker) withdraw(l *link, slot int32) {
	l.conn.Cancel(slot)
	w.touch(l)
	w.offer(l)
	if l.leaving() && l.conn.Active() == 0 {
		w.push(l)   // the reset
		w.settle(l) // closes it: nothing else would
	}
}

// giveUp sheds what has waited for a stream until its timeout.
func (w *worker) giveUp(now int64) {
	for w.run.backlog.expire(now) {
		w.run.shed(exchange.ShedWaiting)
	}
}

// forget takes a record out of those that wait to be sent again.
func (w *worker) forget(token uint32) {
	for i, t := range w.again {
		if t == token {
			w.again = append(w.again[:i], w.again[i+1:]...)
			return
		}
	}
}
