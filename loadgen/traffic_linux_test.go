package loadgen

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/loadgen/schedule"
	"github.com/sailplan-io/sailplan/scenarios"
)

// openConn starts whatever it is told to.
type openConn struct {
	exchange.Conn // nothing else is asked of it
	kinds         []int
	tokens        []uint32
	paths         []string
}

func (c *openConn) Free() int { return 100 }

func (c *openConn) Start(kind int, token uint32, v *exchange.Variation) int32 {
	c.kinds, c.tokens = append(c.kinds, kind), append(c.tokens, token)
	if v != nil {
		c.paths = append(c.paths, strings.Clone(v.Path)) // it is reused
	}
	return int32(token)
}

// newTraffic returns a worker in the middle of a phase, with one connection.
func newTraffic(t *testing.T, plan scenarios.Plan, records int) (*worker, *openConn) {
	t.Helper()
	mix, err := schedule.NewMix(weights(plan, scenarios.Phase{}), 1)
	if err != nil {
		t.Fatal(err)
	}
	conn := &openConn{}
	l := &link{conn: conn, uses: 1000}
	w := &worker{
		base: time.Now(), unused: -1, maximum: records,
		run: &run{mix: mix, precise: true, sendEnd: int64(time.Hour), boundary: int64(time.Hour)},
	}
	w.flights, w.flightOf = flights(plan)
	w.run.backlog = newBacklog(8, w.flights, w.flightOf)
	w.offer(l)
	return w, conn
}

// What waited too long behind something more patient is shed, and not sent.
func TestDispatchExpires(t *testing.T) {
	w, conn := newTraffic(t, scenarios.Plan{Timeout: time.Second, Requests: []scenarios.Request{
		{Name: "patient", Weight: 1}, {Name: "hasty", Weight: 1, Timeout: 100 * time.Millisecond},
	}}, 8)
	now := int64(500 * time.Millisecond)
	for _, due := range []waiting{
		{intended: 0, kind: 0}, {intended: 0, kind: 1}, {intended: now - int64(100*time.Millisecond), kind: 1},
		{intended: now - int64(99*time.Millisecond), kind: 1}, {intended: now, kind: 0},
	} {
		w.run.backlog.push(due)
	}
	w.dispatch(now)
	if want := []int{0, 1, 0}; !slices.Equal(conn.kinds, want) {
		t.Errorf("sent kinds %v, want %v", conn.kinds, want)
	}
	if c, shed := w.run.counts, w.run.classes[exchange.ShedWaiting]; c.Sent != 3 || c.Shed != 2 || shed != 2 || w.run.backlog.size != 0 {
		t.Errorf("sent %d, shed %d, %d of them after waiting, %d wait; want 3, 2, 2, 0", c.Sent, c.Shed, shed, w.run.backlog.size)
	}
}

// What is hasty is shed when its own timeout is over, whatever waits before it, and the
// worker wakes up for that.
func TestTimeoutsOfWaiting(t *testing.T) {
	const ms = int64(time.Millisecond)
	w, conn := newTraffic(t, scenarios.Plan{Timeout: time.Second, Requests: []scenarios.Request{
		{Name: "patient", Weight: 1}, {Name: "hasty", Weight: 1, Timeout: 100 * time.Millisecond},
		{Name: "between", Weight: 1, Timeout: 400 * time.Millisecond},
	}}, 0)
	for i, kind := range []int32{0, 2, 1, 0, 1} { // intended at 0, 10, 20, 30 and 40 ms
		w.run.backlog.push(waiting{intended: int64(i) * 10 * ms, kind: kind})
	}
	shed := int64(0)
	for _, at := range []int64{120, 140, 410, 1000, 1030} {
		if got := w.patience(0); got != at*ms {
			t.Errorf("after %d were shed the worker sleeps until %s, want %d ms", shed, time.Duration(got), at)
		}
		w.dispatch(at*ms - 1)
		if w.run.counts.Shed != shed {
			t.Errorf("just before %d ms %d are shed, want %d", at, w.run.counts.Shed, shed)
		}
		shed++
		if w.dispatch(at * ms); w.run.counts.Shed != shed || w.run.classes[exchange.ShedWaiting] != shed {
			t.Errorf("at %d ms %d are shed, want %d", at, w.run.counts.Shed, shed)
		}
	}
	if w.run.backlog.size != 0 || len(conn.kinds) != 0 {
		t.Errorf("%d wait and %d were sent, want none", w.run.backlog.size, len(conn.kinds))
	}
}

// The bound is one for all timeouts together, and the order is that of the intended
// instants, however the queues grow and turn.
func TestBacklog(t *testing.T) {
	lists := []flight{{timeout: 1 << 40}, {timeout: 1 << 41}}
	b := newBacklog(300, lists, []int32{0, 1, 0})
	next, last := int64(0), int64(-1)
	for round := range 50 {
		for !b.full() {
			b.push(waiting{intended: next, kind: int32(next*7%10) % 3})
			next++
		}
		if b.size != 300 {
			t.Fatalf("%d wait when it is full, want 300", b.size)
		}
		for range 50 + 5*round {
			got := b.front()
			if b.pop(); got.intended != last+1 || got.kind != int32(got.intended*7%10)%3 {
				t.Fatalf("%+v follows %d", got, last)
			}
			last = got.intended
		}
	}
}

// A request that finds no room uses no row of the feed: the rows are sent in order,
// each once.
func TestRowsAreNotLost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(file, []byte("id\na\nb\nc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := scenarios.Plan{
		Timeout:  time.Second,
		Requests: []scenarios.Request{{Name: "get", Weight: 1, Path: "/${id}"}},
		Feed:     &scenarios.Feed{File: file, Order: scenarios.FeedOnce},
	}
	for name, send := range map[string]func(*worker){
		"an open loop":  func(w *worker) { w.dispatch(1) },
		"a closed loop": func(w *worker) { w.fill(1) },
	} {
		t.Run(name, func(t *testing.T) {
			w, conn := newTraffic(t, plan, 1)
			var err error
			if w.feed, err = feed.Open(t.Context(), feed.Options{Feed: *plan.Feed, Requests: plan.Requests}); err != nil {
				t.Fatal(err)
			}
			defer w.feed.Close()
			for range 3 {
				w.run.backlog.push(waiting{intended: 1})
			}
			for range 3 {
				send(w) // one, and then there is no room
				w.retire(conn.tokens[len(conn.tokens)-1])
			}
			if want := []string{"/a", "/b", "/c"}; !slices.Equal(conn.paths, want) {
				t.Errorf("sent %q, want %q", conn.paths, want)
			}
		})
	}
}
