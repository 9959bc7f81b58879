package loadgen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Session holds the connections to a target, so that successive phases meet a
// warm system. Its methods belong to one goroutine at a time.
type Session struct {
	plan    scenarios.Plan
	base    time.Time
	workers []*worker
	free    []chan *set // by worker: sets that can be recorded into
	sum     *set        // of several workers
	loops   sync.WaitGroup
	cancel  context.CancelFunc // ends the opening of connections
	closed  bool
	failed  error // a worker is gone: no more phases
}

// setsPerWorker is two: one is recorded into while the other is with the sink.
const setsPerWorker = 2

// Open opens all of the plan's connections. It fails when one of them can't be
// opened within the plan's connect timeout; the error says why.
func Open(ctx context.Context, plan scenarios.Plan, options Options) (*Session, error) {
	if err := checkPlan(plan); err != nil {
		return nil, err
	}
	if err := checkDescriptors(plan.Connections.Count); err != nil {
		return nil, err
	}
	connector, err := newConnector(ctx, plan)
	if err != nil {
		return nil, err
	}
	options = options.withDefaults(plan)
	connections, err := openAll(ctx, connector, plan.Connections.Count)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Session{plan: plan, base: options.Base, cancel: cancel}
	if err := s.hire(life, connector, connections, options.Workers); err != nil {
		_ = s.Close()
		return nil, err
	}
	for _, w := range s.workers {
		s.loops.Go(w.loop)
	}
	return s, nil
}

// hire makes the workers and shares the connections out among them.
func (s *Session) hire(life context.Context, c *connector, connections []opened, workers int) error {
	for i := range workers {
		var mine []opened
		for at := i; at < len(connections); at += workers {
			mine = append(mine, connections[at])
		}
		w, err := newWorker(i, workers, s.base, c, len(mine))
		if err != nil {
			closeAll(connections)
			return err
		}
		w.ctx = life
		s.workers = append(s.workers, w)
		for place, o := range mine {
			if err := w.attach(place, o); err != nil {
				closeAll(connections)
				return err
			}
		}
		free := make(chan *set, setsPerWorker)
		for range setsPerWorker {
			free <- newSet(c.config.Requests)
		}
		s.free = append(s.free, free)
	}
	if workers > 1 {
		s.sum = newSet(c.config.Requests)
	}
	return nil
}

// openAtOnce bounds how many connections are being opened at the same time.
const openAtOnce = 32

// openAll opens connections side by side. On an error it closes those it has.
func openAll(ctx context.Context, c *connector, count int) ([]opened, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	connections := make([]opened, count)
	var group sync.WaitGroup
	tickets := make(chan struct{}, openAtOnce) // one for each that is being opened
	for i := range connections {
		tickets <- struct{}{}
		if ctx.Err() != nil {
			<-tickets
			break
		}
		group.Go(func() {
			defer func() { <-tickets }()
			o, err := c.open(ctx)
			if err != nil {
				cancel(fmt.Errorf("connection %d of %d: %w", i+1, count, err)) // the first one counts
				return
			}
			connections[i] = o
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		closeAll(connections)
		return nil, err
	}
	return connections, nil
}

func closeAll(connections []opened) {
	for _, o := range connections {
		if o.link != nil {
			_ = o.link.Close()
		}
	}
}

// Close closes all connections and waits for every goroutine. A second call does
// nothing.
func (s *Session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.cancel()
	for _, w := range s.workers {
		w.inbox.mu.Lock()
		w.inbox.stop = true
		w.inbox.mu.Unlock()
		w.poll.notify()
	}
	s.loops.Wait()
	for _, w := range s.workers {
		w.dialling.Wait()
		for _, d := range w.inbox.fresh {
			if d.err == nil {
				_ = d.opened.link.Close()
			}
		}
		w.poll.close()
	}
	return nil
}

// Run opens a session for one phase: Open, Phase, Close.
func Run(ctx context.Context, plan scenarios.Plan, phase scenarios.Phase, sink Sink, options Options) (record.Phase, error) {
	s, err := Open(ctx, plan, options)
	if err != nil {
		return record.Phase{}, err
	}
	facts, err := s.Phase(ctx, phase, sink)
	if closing := s.Close(); err == nil {
		err = closing
	}
	return facts, err
}
