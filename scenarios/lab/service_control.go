package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// control is the part of a test service that takes faults and counts. Without it
// a service does neither, so that a sizing does not pay for it.
type control struct {
	start time.Time

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	fault  Fault
	busy   int // slots
	queue  []*waiter

	requests, answered, abandoned atomic.Int64
	accepted, mostRequests        atomic.Int64
	inFlight, open, streams       gauge
}

// gauge is a number with its peak.
type gauge struct{ now, peak atomic.Int64 }

func (g *gauge) add(n int64) { raise(&g.peak, g.now.Add(n)) }

// forget lets the peak begin anew at what there is now.
func (g *gauge) forget() { g.peak.Store(g.now.Load()) }

// raise makes a maximum at least n.
func raise(to *atomic.Int64, n int64) {
	for {
		old := to.Load()
		if n <= old || to.CompareAndSwap(old, n) {
			return
		}
	}
}

func newControl(start time.Time, config ServiceConfig) *control {
	return &control{start: start, random: rand.New(rand.NewPCG(config.Seed, ^uint64(config.Replica)))}
}

// waiter is a request that needs a slot.
type waiter struct {
	start     func() // called once, when the slot is there; must not block
	abandoned atomic.Bool
}

// treat returns how long a request that came in is to be worked on, and with what
// status it ends; ordinary is the time without a fault. slots says that it has to
// enter before it is worked on, and leave after.
func (c *control) treat(ordinary time.Duration) (hold time.Duration, status int, refuse, slots bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hold = c.fault.Hold
	switch {
	case hold == 0:
		hold = ordinary
	case c.fault.Random:
		hold = time.Duration((0.5 + c.random.Float64()) * float64(hold))
	}
	return hold, c.fault.Status, c.fault.Refuse, c.fault.Slots > 0
}

// enter gives a request the slot that is free, or lets it wait in the queue.
func (c *control) enter(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, w)
	c.next()
}

// leave gives a slot back. Work that has begun is done to its end also when its caller
// has given up; what still waits and was given up is left out.
func (c *control) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
	c.next()
}

// settled returns when nothing that was given up before the call can begin any more.
func (c *control) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
}

// next lets those that wait begin, as far as there are slots. The caller holds mu.
func (c *control) next() {
	for len(c.queue) > 0 && (c.fault.Slots == 0 || c.busy < c.fault.Slots) {
		w := c.queue[0]
		c.queue[0], c.queue = nil, c.queue[1:]
		if !w.abandoned.Load() {
			c.busy++
			w.start()
		}
	}
}

// set puts a fault in force, except for its network.
func (c *control) set(fault Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
	c.next()
}

func (c *control) came() {
	c.requests.Add(1)
	c.inFlight.add(1)
}

// went takes note that a request that came has been answered, or given up.
func (c *control) went(answered bool) {
	c.inFlight.add(-1)
	if answered {
		c.answered.Add(1)
	} else {
		c.abandoned.Add(1)
	}
}

// carries takes note of how many streams a connection has, and of how many it has
// had over its life.
func (c *control) carries(streams, requests int64) {
	raise(&c.streams.peak, streams)
	raise(&c.mostRequests, requests)
}

func (c *control) state(forget bool) ServiceState {
	s := ServiceState{
		Requests: c.requests.Load(), Answered: c.answered.Load(), Abandoned: c.abandoned.Load(),
		InFlight: c.inFlight.now.Load(), Accepted: c.accepted.Load(), Connections: c.open.now.Load(),
		PeakInFlight: c.inFlight.peak.Load(), PeakConnections: c.open.peak.Load(),
		PeakStreams: c.streams.peak.Load(), MostRequests: c.mostRequests.Load(),
	}
	if forget {
		c.inFlight.forget()
		c.open.forget()
		c.streams.peak.Store(0)
		c.mostRequests.Store(0)
	}
	return s
}

// maxFaultBytes bounds the text of a fault.
const maxFaultBytes = 1 << 16

// maxSlots bounds how many requests a fault may let be worked on at once.
const maxSlots = 1 << 12

// controlled serves on a gate and takes faults on an address of its own, which it
// writes to a file, until ctx ends.
func controlled(ctx context.Context, s *service, config ServiceConfig) error {
	gate, err := openGate(ctx, func(ctx context.Context, nc net.Conn) { s.serveEither(ctx, nc) })
	if err != nil {
		return fmt.Errorf("test service: %w", err)
	}
	defer gate.close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("test service: %w", err)
	}
	server := &http.Server{Handler: faultHandler(s.control, gate), ReadHeaderTimeout: handshakeTime}
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { _ = server.Serve(listener) }) // until it is closed
	defer server.Close()
	if err := writeAddress(config.ControlFile, listener.Addr().String()); err != nil {
		return err
	}
	if err := writeAddress(config.AddressFile, gate.address); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func faultHandler(c *control, gate *gate) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(w).Encode(c.state(r.FormValue("forget") == "true"))
	})
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		var fault Fault
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFaultBytes)).Decode(&fault); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := checkFault(fault); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.set(fault)
		if err := gate.set(fault.Network, fault.Drop); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

func checkFault(f Fault) error {
	switch {
	case f.Hold < 0 || f.Hold > maxDelay:
		return fmt.Errorf("hold of %s", f.Hold)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d", f.Status)
	case f.Slots < 0 || f.Slots > maxSlots:
		return fmt.Errorf("%d slots", f.Slots)
	}
	switch f.Network {
	case NetworkFine, NetworkRefuse, NetworkIgnore, NetworkSilent, NetworkClose, NetworkReset:
		return nil
	}
	return errors.New("unknown network " + string(f.Network))
}
