package loadgen

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/scenarios"
)

// paced returns a phase of 20 000/s that begins at 0, on its only worker.
func paced(t *testing.T, plan scenarios.Plan, process scenarios.Process) *run {
	t.Helper()
	plan.Timeout, plan.Connections.StreamsPerConnection = time.Second, 1
	if len(plan.Requests) == 0 {
		plan.Requests = []scenarios.Request{{Weight: 1}}
	}
	r, err := newRun(plan, scenarios.Phase{Process: process, Rate: scenarios.PerSecond(20_000), Duration: time.Second}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.free = make(chan *set, 1)
	r.free <- newSet([]exchange.Request{{}})
	r.begin(0, int64(time.Second))
	return r
}

// Which phases rest.
func TestPhasesThatRest(t *testing.T) {
	long := []scenarios.Request{{Weight: 1, Body: strings.Repeat("a", restBody+1)}}
	for _, tt := range []struct {
		name    string
		plan    scenarios.Plan
		process scenarios.Process
		want    bool
	}{
		{"economical", scenarios.Plan{}, scenarios.Constant, true},
		{"precise", scenarios.Plan{Pacing: scenarios.Precise}, scenarios.Constant, false},
		{"a slack of 199 µs", scenarios.Plan{MaxSlack: 199 * time.Microsecond}, scenarios.Constant, false},
		{"a long body", scenarios.Plan{Requests: long}, scenarios.Constant, false},
		{"a closed loop", scenarios.Plan{}, scenarios.Closed, false},
	} {
		if got := paced(t, tt.plan, tt.process).rests; got != tt.want {
			t.Errorf("%s: rests: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// A batch leaves when the slack of its first arrival is over, with all that is due then;
// with precise pacing each arrival leaves by itself, and the thread wakes up before.
func TestBatches(t *testing.T) {
	us := int64(time.Microsecond)
	for _, tt := range []struct {
		pacing      scenarios.Pacing
		wakes, goes int64 // microseconds after the first arrival of the batch
		want        int64 // arrivals that go together
	}{
		{scenarios.Economical, 880, 880, 18}, // at 0, 50 … 850 µs
		{scenarios.Precise, -200, 0, 1},
	} {
		r := paced(t, scenarios.Plan{Pacing: tt.pacing}, scenarios.Constant)
		w := &worker{base: time.Now(), unused: -1, run: r}
		w.flights, w.flightOf = flights(scenarios.Plan{Timeout: time.Second, Requests: []scenarios.Request{{}}})
		for range 20 { // when the phase has begun
			r.advance()
		}
		first := r.nextAt
		if got := w.patience(first - 300*us); got != (300+tt.wakes)*us {
			t.Errorf("%s: the worker sleeps for %d ns, want %d µs", tt.pacing, got, 300+tt.wakes)
		}
		if w.send(first + tt.goes*us - 1); r.counts.Intended != 0 {
			t.Errorf("%s: %d go before their time", tt.pacing, r.counts.Intended)
		}
		if w.send(first + tt.goes*us); r.counts.Intended != tt.want {
			t.Errorf("%s: %d go together, want %d", tt.pacing, r.counts.Intended, tt.want)
		}
	}
}

// The gap that the slack follows is a mean over some 64 arrivals.
func TestMeanGap(t *testing.T) {
	r := paced(t, scenarios.Plan{}, scenarios.Constant)
	r.meanGap = int64(200 * time.Microsecond)
	for range 64 {
		r.advance()
	}
	// 50 µs + 150 µs · (63/64)⁶⁴ = 104.8 µs
	if got := time.Duration(r.meanGap); got < 104*time.Microsecond || got > 106*time.Microsecond {
		t.Errorf("%s after 64 arrivals, want 104.8 µs", got)
	}
}

// A worker that rests is not woken up by what comes in, and has it afterwards; one
// that does not rest is.
func TestSleepRests(t *testing.T) {
	send := make(chan int, 1)
	defer close(send)
	w, l, _ := attached(t, false, nil, send)
	r := paced(t, scenarios.Plan{}, scenarios.Constant)
	w.run = r
	send <- 1
	if err := l.dial.Wait(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	begin := w.now()
	r.nextAt, r.boundary, r.sendEnd = begin, begin+int64(time.Hour), begin+int64(time.Hour)
	events, err := w.sleep()
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events after a rest, %v; want one", len(events), err)
	}
	if !w.rested || w.restedAt < begin || w.awokeAt-begin < r.slack() || w.awokeAt > w.now() {
		t.Errorf("rested: %t, from %d to %d ns; want some %d ns from %d on", w.rested, w.restedAt, w.awokeAt, r.slack(), begin)
	}
	w.receive(l)
	send <- 1
	if err := l.dial.Wait(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r.nextAt = w.now()
	w.restless = r.nextAt + int64(time.Hour)
	if events, err = w.sleep(); err != nil || len(events) != 1 || w.rested {
		t.Errorf("%d events, %v, rested: %t; want one without a rest", len(events), err, w.rested)
	}
}

// A phase that rests makes all links learn when something came in, and those that come
// later, too.
func TestStampAll(t *testing.T) {
	send := make(chan int)
	defer close(send)
	w, l, _ := attached(t, false, nil, send)
	w.stamping = false
	if err := unix.SetsockoptInt(l.dial.FD(), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 0); err != nil {
		t.Fatal(err)
	}
	for _, rests := range []bool{false, true} {
		r := paced(t, scenarios.Plan{}, scenarios.Constant)
		r.rests = rests
		r.free <- newSet(nil)
		w.inbox.run, w.inbox.length = r, int64(time.Second)
		w.collect()
		stamps, err := unix.GetsockoptInt(l.dial.FD(), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS)
		if err != nil || stamps != 0 != rests || w.stamping != rests {
			t.Errorf("stamps: %d, %v, for links to come: %t; want %t", stamps, err, w.stamping, rests)
		}
	}
}
