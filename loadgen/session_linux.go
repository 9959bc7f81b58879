package loadgen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/credential"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
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
	kinds   []exchange.Request

	connector  *connector
	credential *credential.Source // nil: none
	renewals   sync.WaitGroup
	failed     error // a worker is gone: no more phases
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
	options = options.withDefaults(plan)
	source, field, err := openCredential(ctx, plan, options)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Session{plan: plan, base: options.Base, cancel: cancel, credential: source}
	if err := s.open(ctx, life, field, options.Workers); err != nil {
		_ = s.Close()
		return nil, err
	}
	for _, w := range s.workers {
		s.loops.Go(w.loop)
	}
	if source != nil {
		s.renewals.Go(s.renew)
	}
	return s, nil
}

// openCredential gets the credential of a plan; without one the field has no name.
func openCredential(ctx context.Context, plan scenarios.Plan, options Options) (*credential.Source, exchange.Field, error) {
	if plan.Auth == nil {
		return nil, exchange.Field{}, nil
	}
	source, token, err := credential.Open(ctx, *plan.Auth, options.Credential)
	if err != nil {
		return nil, exchange.Field{}, fmt.Errorf("plan %s: auth: %w", plan.Name, err)
	}
	name, value := credential.Field(*plan.Auth, token)
	return source, exchange.Field{Name: name, Value: value}, nil
}

// open opens the connections and hires the workers. life is of what goes on until
// the session is closed.
func (s *Session) open(ctx, life context.Context, field exchange.Field, workers int) error {
	c, err := newConnector(ctx, s.plan, field)
	if err != nil {
		return err
	}
	s.connector, s.kinds = c, c.kinds()
	places := make([]place, 0, s.plan.Connections.Count)
	for _, endpoint := range c.share(s.plan.Connections.Count) {
		places = append(places, place{endpoint: endpoint})
	}
	connections, err := openAll(ctx, c, places)
	if err != nil {
		return err
	}
	return s.hire(life, c, connections, places, workers)
}

// renew gives new credentials to the workers until there are no more.
func (s *Session) renew() {
	for token := range s.credential.Updates() {
		name, value := credential.Field(*s.plan.Auth, token)
		var kinds [][]exchange.Request
		for _, e := range s.connector.endpoints {
			built, err := s.connector.builder.requests(e.at, exchange.Field{Name: name, Value: value})
			if err != nil {
				break // it was possible with the token before, and can only be this one's fault
			}
			kinds = append(kinds, built)
		}
		if len(kinds) < len(s.connector.endpoints) {
			continue
		}
		for _, w := range s.workers {
			w.inbox.mu.Lock()
			w.inbox.kinds = kinds
			w.inbox.mu.Unlock()
			w.poll.notify()
		}
	}
}

// hire makes the workers and shares the connections out among them.
func (s *Session) hire(life context.Context, c *connector, connections []opened, places []place, workers int) error {
	for i := range workers {
		var mine []opened
		var wanted []place
		for at := i; at < len(connections); at += workers {
			mine, wanted = append(mine, connections[at]), append(wanted, places[at])
		}
		w, err := newWorker(i, workers, s.base, c, wanted)
		if err != nil {
			closeAll(connections)
			return err
		}
		w.ctx = life
		s.workers = append(s.workers, w)
		if w.feed, err = c.builder.feed(life, i, workers); err != nil {
			closeAll(connections)
			return err
		}
		w.traces = newTraces(s.plan.TraceShare, s.plan.Seed, i)
		for place, o := range mine {
			if err := w.attach(place, o); err != nil {
				closeAll(connections)
				return err
			}
			// So that not all come to their age at once.
			w.links[place].since -= w.maxAge * int64(place) / int64(len(mine))
		}
		free := make(chan *set, setsPerWorker)
		for range setsPerWorker {
			free <- newSet(s.kinds)
		}
		s.free = append(s.free, free)
	}
	if workers > 1 {
		s.sum = newSet(s.kinds)
	}
	return nil
}

// openAtOnce bounds how many connections are being opened at the same time.
const openAtOnce = 32

// openAll opens connections side by side. On an error it closes those it has.
func openAll(ctx context.Context, c *connector, places []place) ([]opened, error) {
	count := len(places)
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
			o, err := c.open(ctx, places[i].endpoint)
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
	if s.credential != nil {
		_ = s.credential.Close()
	}
	s.renewals.Wait()
	for _, w := range s.workers {
		w.inbox.mu.Lock()
		w.inbox.stop = true
		w.inbox.mu.Unlock()
		w.poll.notify()
	}
	s.loops.Wait()
	for _, w := range s.workers {
		w.dialling.Wait()
		if w.feed != nil {
			w.feed.Close()
		}
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
