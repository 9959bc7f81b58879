package loadgen

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
	"unsafe"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// starvedPause is how long the loop waits, in nanoseconds, for a row of the feed
// that has not been read yet.
const starvedPause = int64(time.Millisecond)

// variation returns what the next request of a kind has of its own, nil when it
// has nothing. ok is false when it cannot be sent now: the feed's next row is not
// there yet, or there are no more, which ends the load.
func (w *worker) variation(kind int32) (v *exchange.Variation, ok bool) {
	if w.feed == nil {
		return nil, true
	}
	v, err := w.feed.Next(int(kind))
	if err == nil {
		w.run.starved = false
		return v, true
	}
	if errors.Is(err, feed.ErrNotReady) {
		w.run.starved = true
		return nil, false
	}
	w.run.starved = false
	w.exhaust(err)
	return nil, false
}

// exhaust ends the sending because there are no more rows. What is in flight is
// waited for as at the end of any load.
func (w *worker) exhaust(why error) {
	r := w.run
	if r.ended == nil {
		r.ended = why
	}
	r.hasNext = false
	r.sendEnd = min(r.sendEnd, max(w.now(), r.start))
	for ; r.backlog.size > 0; r.backlog.pop() {
		r.shed(exchange.ShedInterrupted)
	}
	for _, token := range w.again {
		w.failed(token, w.refusal(token))
	}
	w.again = w.again[:0]
}

// traces gives a share of the requests an identifier of W3C Trace Context, which
// asks the mesh to sample them. It belongs to one worker.
type traces struct {
	share  float64
	source *rand.Rand
	own    exchange.Variation // of requests that have nothing else of their own
	field  [1]exchange.Field
	text   [55]byte // 00-<32 digits>-<16 digits>-01
}

func newTraces(share float64, seed uint64, worker int) *traces {
	if share <= 0 {
		return nil
	}
	t := &traces{share: share, source: rand.New(rand.NewPCG(seed, streamTraces+uint64(worker)))}
	copy(t.text[:], "00-")
	t.text[35], t.text[52] = '-', '-'
	copy(t.text[53:], "01")
	t.own.Fields = t.field[:]
	return t
}

// streamTraces is that of the random numbers, apart from those of arrivals.
const streamTraces = 0xa0761d6478bd642f

// mark draws whether a request is traced and adds the field. A request that is
// sent again keeps its trace.
func (t *traces) mark(rec *exchangeRecord, v *exchange.Variation) *exchange.Variation {
	if rec.trace == [2]uint64{} {
		if rec.retries > 0 || t.source.Float64() >= t.share {
			return v
		}
		rec.trace = [2]uint64{t.source.Uint64(), t.source.Uint64() | 1} // not all zero
	}
	var id [24]byte
	binary.BigEndian.PutUint64(id[:], rec.trace[0])
	binary.BigEndian.PutUint64(id[8:], rec.trace[1])
	binary.BigEndian.PutUint64(id[16:], t.source.Uint64()|1)
	hex.Encode(t.text[3:35], id[:16])
	hex.Encode(t.text[36:52], id[16:])
	// The connection copies it before the next call.
	field := exchange.Field{Name: "traceparent", Value: unsafe.String(&t.text[0], len(t.text))}
	if v == nil {
		t.field[0] = field
		return &t.own
	}
	v.Fields = append(v.Fields, field)
	return v
}

// maxSlowest is how many of the slowest traces of a phase are kept.
const maxSlowest = 20

// slowest keeps the slowest requests that carried a trace.
type slowest struct {
	all   []trace // the slowest first, once there are maxSlowest
	least int64   // latency that it takes to be kept
}

type trace struct {
	id       [2]uint64
	kind     int32
	intended int64
	latency  int64
}

func (s *slowest) add(rec *exchangeRecord, latency int64) {
	if latency < s.least {
		return
	}
	s.all = append(s.all, trace{rec.trace, rec.kind, rec.intended, latency})
	if len(s.all) >= 2*maxSlowest {
		s.cut()
	}
}

// cut keeps as many as wanted.
func (s *slowest) cut() {
	slices.SortFunc(s.all, func(a, b trace) int { return int(b.latency - a.latency) })
	if len(s.all) >= maxSlowest {
		s.all = s.all[:maxSlowest]
		s.least = s.all[maxSlowest-1].latency
	}
}

// facts returns the traces with the names of their requests.
func (s *slowest) facts(kinds []exchange.Request) []record.Trace {
	s.cut()
	var out []record.Trace
	for _, t := range s.all {
		var id [16]byte
		binary.BigEndian.PutUint64(id[:], t.id[0])
		binary.BigEndian.PutUint64(id[8:], t.id[1])
		out = append(out, record.Trace{
			ID: hex.EncodeToString(id[:]), Request: kinds[t.kind].Name,
			At: time.Duration(t.intended), LatencySeconds: float64(t.latency) / 1e9,
		})
	}
	return out
}
