package h2

import (
	"slices"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// stream is one open stream. Slots are reused; a free slot has id 0.
type stream struct {
	id         uint32
	token      uint32
	kind       int32
	next       int32 // free list
	status     int32 // of the final header block; 0: not there yet
	evidence   exchange.Evidence
	bodyLooked bool              // the first bytes of an error's body were looked at
	uploading  bool              // the request's body is not wholly out
	progress   exchange.Progress // of check
	sent       int               // bytes of the body that are out
	sendWindow int64             // what the peer lets us send
	received   int64             // bytes of body
	announced  int64             // bytes of body by content-length, −1: not known
	unreturned int64             // bytes that the peer's window of this stream lacks
	first      int64             // instant of the final header block
	backend    string
	check      *exchange.Check // nil: none
	body       []byte          // of the request
	own        []byte          // holds a body of this stream alone; kept for the next one
}

// index finds the slot of a stream by its identifier: open addressing with
// linear probing. Identifiers rise by two, so without very old streams there
// are no collisions.
type index struct {
	ids   []uint32 // 0: free
	slots []int32
	used  int
}

func (x *index) home(id uint32) int { return int(id>>1) & (len(x.ids) - 1) }

func (x *index) find(id uint32) int32 {
	if len(x.ids) == 0 {
		return -1
	}
	for i := x.home(id); x.ids[i] != 0; i = (i + 1) & (len(x.ids) - 1) {
		if x.ids[i] == id {
			return x.slots[i]
		}
	}
	return -1
}

func (x *index) insert(id uint32, slot int32) {
	if 2*(x.used+1) > len(x.ids) {
		old := *x
		size := max(8, 2*len(old.ids))
		x.ids, x.slots, x.used = make([]uint32, size), make([]int32, size), 0
		for i, known := range old.ids {
			if known != 0 {
				x.insert(known, old.slots[i])
			}
		}
	}
	i := x.home(id)
	for x.ids[i] != 0 {
		i = (i + 1) & (len(x.ids) - 1)
	}
	x.ids[i], x.slots[i] = id, slot
	x.used++
}

// remove deletes an identifier and moves back those that it had displaced.
func (x *index) remove(id uint32) {
	if len(x.ids) == 0 {
		return
	}
	mask := len(x.ids) - 1
	i := x.home(id)
	for x.ids[i] != id {
		if x.ids[i] == 0 {
			return
		}
		i = (i + 1) & mask
	}
	x.used--
	for hole := i; ; {
		i = (i + 1) & mask
		if x.ids[i] == 0 {
			x.ids[hole] = 0
			return
		}
		// An entry may fill the hole unless its home lies after the hole.
		if (i-x.home(x.ids[i]))&mask >= (i-hole)&mask {
			x.ids[hole], x.slots[hole] = x.ids[i], x.slots[i]
			hole = i
		}
	}
}

// open takes a free slot for a new stream.
func (c *Conn) open(id, token uint32, kind int) (int32, *stream) {
	slot := c.free
	if slot < 0 {
		c.streams = append(c.streams, stream{})
		slot = int32(len(c.streams) - 1)
	} else {
		c.free = c.streams[slot].next
	}
	s := &c.streams[slot]
	*s = stream{id: id, token: token, kind: int32(kind), sendWindow: c.peerWindow, own: s.own[:0]}
	c.index.insert(id, slot)
	c.active++
	return slot, s
}

// release gives a slot back.
func (c *Conn) release(slot int32) {
	s := &c.streams[slot]
	if s.uploading {
		c.dropUpload(slot)
	}
	if slot == c.skipSlot {
		c.skipSlot = -1 // the rest of its DATA is passed over
	}
	c.index.remove(s.id)
	*s = stream{next: c.free, own: s.own[:0]}
	c.free = slot
	c.active--
}

// finish ends a stream and reports what became of it.
func (c *Conn) finish(slot int32, outcome exchange.Outcome, class exchange.Class) {
	s := &c.streams[slot]
	c.done = append(c.done, exchange.Completion{
		Token: s.token, Outcome: outcome, Class: class, Status: s.status,
		Received: s.received, First: s.first, Backend: s.backend,
	})
	if outcome == exchange.Answered && c.cfg.Reader != nil {
		c.cfg.Reader.End(slot, &c.done[len(c.done)-1])
	}
	c.release(slot)
}

// answer ends a stream whose answer is complete.
func (c *Conn) answer(slot int32) {
	s := &c.streams[slot]
	if s.status == 0 || s.announced >= 0 && s.announced != s.received && c.hasBody(s) {
		c.breach(slot)
		return
	}
	if s.uploading {
		// An early answer: the rest of the upload is of no use.
		c.writeReset(s.id, http2.ErrCodeCancel)
	}
	class := exchange.Good
	if s.status >= 400 {
		class = exchange.Classify(int(s.status), s.evidence)
	}
	if s.check != nil {
		class = s.check.Class(&s.progress, int(s.status), class)
	}
	c.finish(slot, exchange.Answered, class)
}

// hasBody reports whether an answer has the body that its content-length is that of.
func (c *Conn) hasBody(s *stream) bool {
	head := slices.Contains(c.requests[s.kind].Fields, exchange.Field{Name: ":method", Value: "HEAD"})
	return s.status != 204 && s.status != 304 && !head
}

// breach resets a stream on which the peer broke the protocol.
func (c *Conn) breach(slot int32) {
	c.writeReset(c.streams[slot].id, http2.ErrCodeProtocol)
	c.finish(slot, exchange.Reset, exchange.ProtocolError)
}

// Cancel resets a stream that is no longer waited for. The slot is the one that
// Start returned; the request is not reported in Done.
func (c *Conn) Cancel(slot int32) {
	c.writeReset(c.streams[slot].id, http2.ErrCodeCancel)
	c.release(slot)
}

// Fail ends every open stream, because the connection is lost or broke the
// protocol, and reports them in Done with that class.
func (c *Conn) Fail(class exchange.Class) {
	for slot := range c.streams {
		if c.streams[slot].id != 0 {
			c.finish(int32(slot), exchange.Lost, class)
		}
	}
	c.dead = true
}
