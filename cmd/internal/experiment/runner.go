package experiment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/credential"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Observer is told how a run goes. Its methods return at once.
type Observer interface {
	Note(message string)
	PhaseStart(index int, spec scenarios.Phase)
	Tick(record.Tick)
	PhaseEnd(analysis.PhaseSummary)
}

// Options are what a run is started with.
type Options struct {
	Scenario scenarios.Scenario // with defaults, valid
	Quick    bool
	Dir      string // the run directory; must not exist, or be empty
	Tool     record.Tool
	Proxy    Proxy // of a lab; ignored for a target
	StateDir string
	CacheDir string
	Self     []string // command line with which this program starts a lab child
	Observer Observer
	Sink     loadgen.Sink // takes the intervals of every phase beside the record; nil: none
	Workers  int          // sending threads; 0 means 1
	// Environment is that of a command that gets the credential, as NAME=value.
	Environment []string
}

// Interrupted is the cause with which a caller cancels the context of a run
// that the user, or a signal, wants to end.
type Interrupted struct{ By string }

func (i Interrupted) Error() string { return "interrupted by " + i.By }

// runner is one run: the system, the recorder, the sampler and the session.
type runner struct {
	options  Options
	plan     scenarios.Plan
	system   *system
	writer   *record.Writer
	session  *loadgen.Session
	base     time.Time
	phases   int          // begun so far
	current  atomic.Int32 // index of the phase going on, −1 outside
	stopped  context.CancelCauseFunc
	sampling sync.WaitGroup
	sampler  *sampler.Sampler
	endSampl context.CancelFunc
	interval time.Duration
	scrapes  time.Duration // between two scrapes of Prometheus; 0: nothing comes from there
	shortest time.Duration // of a phase that counts, so that enough scraped samples lie inside it
}

// start brings up the system, the recorder, the sampler and the session. When it
// fails it leaves nothing running; the caller calls close otherwise.
func start(ctx context.Context, command string, options Options) (_ *runner, _ context.Context, err error) {
	r := &runner{options: options, interval: options.Scenario.Observe.Interval}
	r.current.Store(-1)
	if options.Quick && options.Scenario.Lab != nil {
		r.interval = min(r.interval, 500*time.Millisecond)
	}
	if err := checkDir(options.Dir); err != nil {
		return nil, ctx, err
	}
	plan, err := scenarios.Resolve(options.Scenario)
	if err != nil {
		return nil, ctx, err
	}
	r.plan = plan
	ctx, r.stopped = context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			ending, why := endingOf(ctx, err)
			err = errors.Join(err, r.close(ending, why))
		}
	}()
	if r.system, err = openSystem(ctx, options); err != nil {
		return nil, ctx, err
	}
	if command == "size" && len(r.system.components) == 0 {
		r.system.notes = append(r.system.notes, "no components are observed: the run finds the SLO edge, but no demand and no replicas; name components under observe")
	}
	r.plan.Endpoint = r.system.endpoint
	if !r.plan.Endpoint.OnLoopback() {
		r.plan.RunID = rand.Text()
		r.system.notes = append(r.system.notes, "every request carries the header x-sailplan-run: "+r.plan.RunID)
	}
	if err = r.replay(ctx, command); err != nil {
		return nil, ctx, err
	}
	var past []scenarios.RateSample
	if command == "size" {
		if past, err = pastDemand(ctx, options.Scenario); err != nil {
			return nil, ctx, err
		}
	}
	if err = r.preflight(ctx); err != nil {
		return nil, ctx, err
	}
	r.base = time.Now()
	if r.writer, err = record.Create(options.Dir, r.run(command), r.base); err != nil {
		return nil, ctx, err
	}
	if len(past) > 0 {
		if err = r.writer.Demand(past); err != nil {
			return nil, ctx, err
		}
	}
	r.writer.OnTick(options.Observer.Tick)
	if err = r.startSampler(ctx); err != nil {
		return nil, ctx, err
	}
	if err = r.watch(ctx); err != nil {
		return nil, ctx, err
	}
	if err = r.learnScrapes(ctx); err != nil {
		return nil, ctx, err
	}
	if r.session, err = loadgen.Open(ctx, r.plan, loadgen.Options{Base: r.base, Workers: options.Workers, Credential: r.credential()}); err != nil {
		return nil, ctx, fmt.Errorf("opening connections to %s: %w", r.plan.Endpoint.Address, err)
	}
	return r, ctx, nil
}

// credential says how the plan's credential is got. What happens to it later is
// recorded, and what the user may have to do something about is told.
func (r *runner) credential() credential.Options {
	return credential.Options{
		Environment: r.options.Environment,
		Seed:        r.plan.Seed,
		Transport:   &http.Transport{Proxy: http.ProxyFromEnvironment},
		Event: func(e credential.Event) {
			if r.writer == nil {
				return // of the preflight, whose credential is gone
			}
			r.writer.Event(record.Event{At: time.Since(r.base), Kind: record.EventCredentials, Phase: int(r.current.Load()), Message: e.String()})
			if e.Kind != credential.Renewed {
				r.options.Observer.Note(e.String())
			}
		},
	}
}

// preflight finds out, before anything is recorded, whether a run can succeed.
func (r *runner) preflight(ctx context.Context) error {
	found, err := loadgen.Check(ctx, r.plan, loadgen.Options{Credential: r.credential()})
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	for _, answer := range found.Answers {
		if answer.Status >= 400 {
			r.system.notes = append(r.system.notes, fmt.Sprintf(
				"before the load, request %q was answered with status %d", answer.Request, answer.Status))
		}
	}
	for _, note := range r.system.notes {
		r.options.Observer.Note(note)
	}
	return nil
}

func (r *runner) run(command string) record.Run {
	o := r.options
	return record.Run{
		FormatVersion: record.FormatVersion,
		Tool:          o.Tool,
		Command:       command,
		Quick:         o.Quick,
		Evidence:      r.system.evidence,
		Scenario:      o.Scenario,
		Seed:          o.Scenario.Seed,
		Host:          describeHost(),
		Lab:           r.system.lab,
		Components:    r.system.components,
		StartedAt:     r.base,
		Notes:         r.system.notes,
	}
}

// quickQuestions is how often Prometheus is asked in a quick run.
const quickQuestions = 2 * time.Second

func (r *runner) startSampler(ctx context.Context) error {
	options := sampler.Options{
		Base:       r.base,
		Interval:   r.interval,
		Prometheus: r.options.Scenario.Observe.Prometheus,
		Proxy:      http.ProxyFromEnvironment,
		Targets:    r.system.targets,
	}
	if r.options.Quick {
		options.PrometheusInterval = quickQuestions // each phase waits for an answer
	}
	s, err := sampler.New(options)
	if err != nil {
		return fmt.Errorf("sampler: %w", err)
	}
	if err := s.Check(ctx); err != nil {
		return fmt.Errorf("sampler: %w", err)
	}
	r.sampler = s
	sampling, end := context.WithCancel(context.WithoutCancel(ctx))
	r.endSampl = end
	r.sampling.Go(func() { s.Run(sampling, r.writer.Sample, r.writer.Event) })
	return nil
}

// watch ends the run when the recorder can't write, a component dies or a
// PromQL guard is breached.
func (r *runner) watch(ctx context.Context) error {
	if rules := r.plan.Guards.AbortWhen; len(rules) > 0 {
		guards, err := newConditions(r.options.Scenario.Observe.Prometheus, rules)
		if err != nil {
			return err
		}
		if why, err := guards.breached(ctx); err != nil || why != "" {
			if why != "" {
				r.writer.Event(record.Event{At: time.Since(r.base), Kind: record.EventGuard, Phase: -1, Message: why})
			}
			return errors.Join(err, guardStop(why))
		}
		r.sampling.Go(func() { guards.watch(ctx, r.breach) })
	}
	r.sampling.Go(func() {
		select {
		case <-ctx.Done():
		case <-r.writer.Failed():
			r.stopped(fmt.Errorf("recording the run: %w", r.writer.Err()))
		case err := <-r.system.failed:
			r.writer.Event(record.Event{At: time.Since(r.base), Kind: record.EventComponent, Phase: -1, Message: err.Error()})
			r.stopped(err)
		}
	})
	return nil
}

// breach ends the load because a guard says so, or cannot be asked any more.
func (r *runner) breach(reason string, err error) {
	if err != nil {
		r.stopped(err)
		return
	}
	r.writer.Event(record.Event{At: time.Since(r.base), Kind: record.EventGuard, Phase: int(r.current.Load()), Message: reason})
	r.stopped(&loadgen.GuardError{Reason: reason})
}

// phase runs one phase and returns what was measured. Its error is a reason to
// end the run; a phase that was cut short by one is recorded all the same.
func (r *runner) phase(ctx context.Context, spec scenarios.Phase) (analysis.PhaseSummary, record.PhaseData, error) {
	if err := context.Cause(ctx); err != nil {
		return analysis.PhaseSummary{}, record.PhaseData{}, err
	}
	spec.Seed = scenarios.PhaseSeed(r.plan.Seed, r.phases)
	if counts(spec.Kind) && len(spec.Curve) == 0 { // a curve says how long it lasts
		spec.Duration = max(spec.Duration, r.shortest)
	}
	if spec.Interval == 0 {
		spec.Interval = time.Second
	}
	r.options.Observer.PhaseStart(r.phases, spec)
	w, err := r.writer.BeginPhase(spec)
	if err != nil {
		return analysis.PhaseSummary{}, record.PhaseData{}, err
	}
	r.current.Store(int32(r.phases))
	facts, loadErr := r.session.Phase(ctx, spec, r.sink(w))
	r.current.Store(-1)
	facts.Index = r.phases
	if loadErr == nil && facts.Ended == record.EndedDone {
		r.awaitScrapes(ctx, facts.SendEnd)
	}
	r.phases++
	data, err := w.End(facts)
	if facts.Ended == record.EndedGuard {
		loadErr = guardStop(facts.EndedWhy)
	}
	if err = errors.Join(loadErr, err, context.Cause(ctx)); err != nil {
		return analysis.PhaseSummary{}, data, err
	}
	if facts.EndedWhy != "" {
		r.options.Observer.Note(spec.Name + " ended: " + facts.EndedWhy)
	}
	summary := analysis.Summarize(data, analysis.ConditionsOf(r.writer.Run()))
	r.options.Observer.PhaseEnd(summary)
	if why := r.sparse(data); why != "" && counts(spec.Kind) {
		// Scrapes were late or left out; a longer phase has more of them.
		r.shortest = min(r.shortest+r.shortest/2, scrapePatience)
		r.options.Observer.Note(why)
	}
	return summary, data, nil
}

// sink hands intervals to the record, and to whoever else wants them.
func (r *runner) sink(w *record.PhaseWriter) loadgen.Sink {
	if r.options.Sink == nil {
		return w
	}
	return both{w, r.options.Sink}
}

// both are two sinks, of which the second must be done with an interval when it returns.
type both struct{ first, second loadgen.Sink }

func (b both) Interval(interval record.Interval) {
	b.second.Interval(interval)
	b.first.Interval(interval)
}

// settle lets queues drain and quotas recover between phases.
func (r *runner) settle(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// close takes everything down in the order in which it depends on each other.
// It can be called at any stage of start.
func (r *runner) close(ending record.Ending, why string) error {
	var errs []error
	if r.session != nil {
		errs = append(errs, r.session.Close())
	}
	if r.stopped != nil {
		r.stopped(nil)
	}
	if r.endSampl != nil {
		r.endSampl()
	}
	r.sampling.Wait()
	if r.writer != nil {
		errs = append(errs, r.writer.Close(ending, why))
	}
	if r.system != nil {
		errs = append(errs, r.system.stop())
	}
	return errors.Join(errs...)
}

// guardStop is the error of a run that a guard ended; nil for no reason.
func guardStop(reason string) error {
	if reason == "" {
		return nil
	}
	return &loadgen.GuardError{Reason: reason}
}

// endingOf tells how a run ended from the error that ended it, nil for none.
func endingOf(ctx context.Context, err error) (record.Ending, string) {
	var interrupted Interrupted
	var guard *loadgen.GuardError
	switch {
	case err == nil:
		return record.EndedDone, ""
	case errors.As(err, &guard):
		return record.EndedGuard, guard.Reason
	case errors.As(err, &interrupted), errors.As(context.Cause(ctx), &interrupted):
		return record.EndedInterrupted, interrupted.Error()
	}
	return record.EndedFailed, err.Error()
}
