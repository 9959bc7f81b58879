package experiment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// bench is a lab for trials, and what reads its proxies.
type bench struct {
	lab     *lab.Lab            // nil: a running system, which has no faults
	plan    scenarios.Plan      // of what is sent, but for the load
	failing []scenarios.Request // in its place, where errors are asked for
	spec    breaker.Bench
	seed    uint64
	readers readers
	last    readout // at the end of the step before, of a running system
}

// openBench starts the lab that a bench describes.
func openBench(ctx context.Context, o BreakerOptions, spec breaker.Bench) (_ *bench, err error) {
	config := lab.Config{
		Lab: scenarios.Lab{
			Proxy:   scenarios.ProxyEnvoy,
			Gateway: scenarios.LabProxy{Concurrency: spec.Workers, Replicas: spec.Gateways, Placement: scenarios.PlacementRoundRobin},
			Sidecar: scenarios.LabProxy{Concurrency: spec.Workers},
			Service: scenarios.LabService{Replicas: spec.Endpoints, ResponseBytes: 64},
		},
		Policy:    spec.Client,
		EnvoyPath: o.EnvoyPath,
		StateDir:  o.StateDir,
		Self:      o.Self,
		Seed:      o.Seed,
		Bench:     lab.Bench{Faults: true, Direct: spec.Direct, HTTP1: spec.HTTP1, Inbound: &spec.Server},
	}
	if r := spec.Retries; r != nil {
		config.Bench.Retries = &lab.Retries{Attempts: r.Attempts, On: r.On, PerTry: r.PerTry, Timeout: r.Timeout}
	}
	l, err := lab.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	b := &bench{lab: l, spec: spec, seed: o.Seed, plan: scenarios.Plan{
		Name: "breaker", Endpoint: l.Endpoint(), Pacing: scenarios.Economical, Seed: o.Seed,
		Requests: []scenarios.Request{{Name: "trial", Path: "/", Weight: 1}},
	}}
	if b.readers, err = newReaders(l.Members()); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// openTarget makes a bench of a running system.
func openTarget(o BreakerOptions) (*bench, error) {
	b := &bench{plan: o.Target.Plan, failing: o.Target.Failing, seed: o.Seed}
	if o.Target.Series != nil {
		b.readers = readers{series: o.Target.Series}
		return b, nil
	}
	var err error
	b.readers, err = newReaders([]lab.Member{{Component: lab.ComponentGateway, AdminURL: o.Target.AdminURL, Cluster: o.Target.Cluster}})
	b.readers.every = lookAtTarget
	return b, err
}

// lookAtTarget is how often the counters of a running Envoy are read, which costs it
// more the more clusters it has.
const lookAtTarget = 250 * time.Millisecond

// close stops the lab also when the context of the trials has ended.
func (b *bench) close() error {
	b.readers.close()
	if b.lab == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return b.lab.Stop(ctx)
}

// mend ends all faults.
func (b *bench) mend(ctx context.Context) error {
	return b.set(ctx, make([]breaker.Fault, b.spec.Endpoints))
}

// set puts faults in force, by endpoint.
func (b *bench) set(ctx context.Context, faults []breaker.Fault) error {
	var errs []error
	for i, f := range faults {
		errs = append(errs, b.lab.SetFault(ctx, i, lab.Fault{Hold: f.Hold, Random: f.Random, Status: f.Status, Slots: f.Slots, Network: lab.Network(f.Network)}))
	}
	return errors.Join(errs...)
}

// run takes the steps one after the other.
func (b *bench) run(ctx context.Context, steps []breaker.Step) ([]breaker.Facts, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	var died <-chan error
	if b.lab != nil {
		died = b.lab.Failed()
	}
	watching.Go(func() {
		select {
		case <-ctx.Done():
		case err := <-died:
			cancel(err)
		}
	})
	begin := time.Now()
	first, err := b.readers.read(ctx)
	if err != nil {
		return nil, err
	}
	b.last = first
	var all []breaker.Facts
	for _, step := range steps {
		facts, err := b.step(ctx, step, first, begin)
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return nil, err
		}
		all = append(all, facts)
	}
	return all, nil
}

// errReached is the cause of a step's end when what it waited for is there.
var errReached = errors.New("what the step waits for is there")

// step takes one step; first is what the proxies had counted at begin.
func (b *bench) step(ctx context.Context, step breaker.Step, first readout, begin time.Time) (breaker.Facts, error) {
	facts := breaker.Facts{Step: step.Name, Start: time.Since(begin).Seconds()}
	if step.Faults != nil {
		if err := b.set(ctx, step.Faults); err != nil {
			return facts, err
		}
	}
	for i := range b.spec.Endpoints {
		if _, err := b.lab.ServiceState(ctx, i, true); err != nil {
			return facts, err
		}
	}
	states, err := b.states(ctx)
	if err != nil {
		return facts, err
	}
	before := b.last
	if b.lab != nil { // whose faults have just changed
		if before, err = b.readers.read(ctx); err != nil {
			return facts, err
		}
	}
	stepping, end := context.WithCancelCause(ctx)
	defer end(nil)
	looking, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	var beside sync.WaitGroup
	beside.Go(func() {
		facts.Points, facts.Unread = b.readers.watch(looking, first, begin, func(p breaker.Point) {
			if step.Until != nil && step.Until(p) {
				end(errReached)
			}
		})
	})
	var changed error
	beside.Go(func() { changed = b.later(stepping, ctx, step) })
	err = b.send(stepping, step, &facts)
	// What was to come within the step comes before it is over, also when it was cut short.
	if step.Then == nil || err != nil {
		end(nil)
	}
	stopLooking()
	beside.Wait()
	if err = errors.Join(err, changed); err != nil {
		return facts, err
	}
	facts.Seconds = time.Since(begin).Seconds() - facts.Start
	return facts, b.conclude(ctx, &facts, before, states)
}

// later puts the faults that come within a step in force when it is time. It uses
// ctx for it, since stepping may have ended by then.
func (b *bench) later(stepping, ctx context.Context, step breaker.Step) error {
	if step.Then == nil {
		return nil
	}
	timer := time.NewTimer(step.After)
	defer timer.Stop()
	select {
	case <-stepping.Done():
		return nil
	case <-timer.C:
		return b.set(ctx, step.Then)
	}
}

// send sends the load of a step, or waits as long as it takes.
func (b *bench) send(ctx context.Context, step breaker.Step, facts *breaker.Facts) error {
	if step.Load.Rate <= 0 {
		timer := time.NewTimer(step.For)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		return nil
	}
	phase := scenarios.Phase{
		Name: step.Name, Kind: scenarios.KindLoad, Process: scenarios.Constant, Rate: scenarios.PerSecond(step.Load.Rate),
		Duration: step.For, Interval: 100 * time.Millisecond, Seed: b.seed,
	}
	if step.Load.Poisson {
		phase.Process = scenarios.Poisson
	}
	for _, at := range step.Load.Curve {
		phase.Curve = append(phase.Curve, scenarios.CurvePoint{At: at.At, RPS: at.Rate})
	}
	plan := b.plan
	if step.Load.Failing {
		plan.Requests, plan.Guards.MaxErrorRatio = b.failing, 0 // all of them are to go wrong
	}
	plan.Timeout = step.Load.Timeout
	plan.Connections = scenarios.Connections{Count: step.Load.Connections, StreamsPerConnection: step.Load.Streams, ConnectTimeout: 5 * time.Second}
	gathered := &latencies{}
	sent, err := loadgen.Run(ctx, plan, phase, gathered, loadgen.Options{})
	if errors.Is(context.Cause(ctx), errReached) && err != nil {
		return nil // it was there before anything was sent
	}
	if err != nil {
		return fmt.Errorf("sending the load: %w", err)
	}
	facts.Latency = gathered.all
	c := sent.Counts
	facts.Sent, facts.Answered, facts.Unsent, facts.TimedOut, facts.Errors = c.Sent, c.Answered, c.Shed, c.TimedOut, sent.Errors
	for status, n := range sent.Statuses {
		if status < 400 {
			facts.Good += n
		}
	}
	// What the generator gave up without sending is nobody's error but its own.
	for _, class := range []string{"shed", "shed-waiting", "shed-interrupted"} {
		delete(facts.Errors, class)
	}
	return nil
}

// conclude fills in what rose during a step.
func (b *bench) conclude(ctx context.Context, facts *breaker.Facts, before readout, states []lab.ServiceState) error {
	after, err := b.readers.read(ctx)
	if err != nil {
		return err
	}
	facts.Client, facts.Server, facts.CPU = after.clients.since(before.clients), after.servers.since(before.servers), after.cpu.since(before.cpu)
	facts.Last, b.last = after.clients, after
	now, err := b.states(ctx)
	if err != nil {
		return err
	}
	for i, s := range now {
		facts.Endpoints = append(facts.Endpoints, breaker.Endpoint{
			Requests: s.Requests - states[i].Requests, Abandoned: s.Abandoned - states[i].Abandoned, Accepted: s.Accepted - states[i].Accepted,
			PeakInFlight: s.PeakInFlight, PeakConnections: s.PeakConnections, PeakStreams: s.PeakStreams, MostRequests: s.MostRequests,
		})
	}
	return nil
}

func (b *bench) states(ctx context.Context) ([]lab.ServiceState, error) {
	states := make([]lab.ServiceState, b.spec.Endpoints)
	for i := range states {
		var err error
		if states[i], err = b.lab.ServiceState(ctx, i, false); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// latencies is a sink that keeps the times of all answers.
type latencies struct{ all *histogram }

// Interval takes one interval.
func (l *latencies) Interval(interval record.Interval) {
	for _, request := range interval.ByRequest {
		if request.Latency == nil || request.Latency.TotalCount() == 0 {
			continue
		}
		if l.all == nil {
			l.all = record.NewHistogram()
		}
		l.all.Merge(request.Latency)
	}
}
