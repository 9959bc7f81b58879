package sampler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Target is one replica of a component and where its figures are. Parts that are
// zero are not sampled. With Queries the Target stands for all replicas that
// Prometheus knows, and Replica is not used for them.
type Target struct {
	Component string
	Role      scenarios.Role
	Replica   string
	PID       int    // of this machine; 0: none
	Cgroup    Cgroup // the process's own
	AdminURL  string // base URL of an Envoy admin endpoint
	// StatPrefix and Cluster narrow Envoy's statistics to one HTTP connection
	// manager and one upstream cluster. Empty: all that carry the users' traffic.
	StatPrefix string
	Cluster    string
	Queries    scenarios.PrometheusQueries
}

// name is how events and errors call the target.
func (t Target) name() string {
	if t.Replica == "" {
		return t.Component
	}
	return t.Component + "/" + t.Replica
}

// Cgroup says where a process's accounting is. A path is empty where there is
// none; in version 2 all are the same folder.
type Cgroup struct {
	Version int    // 1 or 2
	CPU     string // folder with cpu.stat
	CPUAcct string // folder with cpuacct.usage, version 1
	Memory  string // folder with memory.usage_in_bytes or memory.current
}

// Options of a Sampler.
type Options struct {
	// Base is the run's anchor, with a monotonic clock reading.
	Base time.Time
	// Interval between samples; 0 means one second.
	Interval time.Duration
	// PrometheusInterval between questions to Prometheus, which scrapes more
	// rarely than processes are read; 0 means Interval, but at least 5 s.
	PrometheusInterval time.Duration
	Prometheus         string // base URL; needed when a target has queries
	// Proxy chooses the proxy for a question to Prometheus; nil: none is used. Envoy
	// admin endpoints are asked without one.
	Proxy   func(*http.Request) (*url.URL, error)
	Targets []Target
	Log     *slog.Logger // nil: nothing is logged
	// Root is where /proc is looked for; empty means "/". A test puts a tree of
	// files here, and then no CPU clock is asked.
	Root string
}

const (
	defaultInterval           = time.Second
	leastPrometheusInterval   = 5 * time.Second
	leastAdminTimeout         = 2 * time.Second
	prometheusTimeout         = 10 * time.Second
	adminConnectionsPerTarget = 1
)

func (o Options) withDefaults() Options {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.PrometheusInterval <= 0 {
		o.PrometheusInterval = max(o.Interval, leastPrometheusInterval)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Sampler samples targets, the generator's own process and the host.
type Sampler struct {
	options    Options
	processes  []*processSource
	host       *hostSource
	admins     []*adminSource
	prometheus *prometheusSource // nil without queries
	client     *http.Client      // of the admin endpoints
	fresh      freshness
}

// New prepares a sampler; nothing is read yet.
func New(options Options) (*Sampler, error) {
	options = options.withDefaults()
	if options.Base.IsZero() {
		return nil, errors.New("sampler: no base instant")
	}
	s := &Sampler{
		options: options,
		host:    &hostSource{files: newFileReader(options.Root)},
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: adminConnectionsPerTarget},
			Timeout:   max(options.Interval, leastAdminTimeout),
		},
	}
	self := Target{Component: record.ComponentGenerator, PID: os.Getpid()}
	for _, target := range append([]Target{self}, options.Targets...) {
		if target.PID > 0 || target.Cgroup != (Cgroup{}) {
			s.processes = append(s.processes, newProcessSource(target, options.Root))
		}
		if target.AdminURL != "" {
			admin, err := newAdminSource(target, s.client)
			if err != nil {
				return nil, fmt.Errorf("sampler: %s: %w", target.name(), err)
			}
			s.admins = append(s.admins, admin)
		}
	}
	prometheus, err := newPrometheusSource(options)
	if err != nil {
		return nil, fmt.Errorf("sampler: %w", err)
	}
	s.prometheus = prometheus
	return s, nil
}

// Check asks every source once and returns what is wrong with any of them: a
// process that does not exist, an endpoint that does not answer, a query that
// returns nothing or more than one series for a replica.
func (s *Sampler) Check(ctx context.Context) error {
	var errs []error
	for _, source := range s.processes {
		if _, err := source.read(); err != nil {
			errs = append(errs, fmt.Errorf("sampling %s: %w", source.target.name(), err))
		}
	}
	for _, source := range s.admins {
		if _, err := source.read(ctx); err != nil {
			errs = append(errs, fmt.Errorf("sampling %s: %w", source.target.name(), err))
		}
	}
	if s.prometheus != nil {
		errs = append(errs, s.prometheus.check(ctx))
	}
	return errors.Join(errs...)
}

// Fresh returns how many samples of a component at or after an instant have
// arrived, of the replica and metric that has the fewest of them. Replicas that
// ceased to be sampled do not count.
func (s *Sampler) Fresh(component string, since time.Duration) int {
	return s.fresh.count(component, since)
}

// Run samples until ctx is done, and returns when its goroutines have. They call
// emit and event at the same time, which must neither block nor change a sample's
// map. An event's Phase is −1.
func (s *Sampler) Run(ctx context.Context, emit func(record.Sample), event func(record.Event)) {
	out := output{
		emit:  func(sample record.Sample) { s.fresh.note(sample); emit(sample) },
		event: func(e record.Event) { e.At, e.Phase = s.now(), -1; event(e) },
		log:   s.options.Log,
	}
	defer s.client.CloseIdleConnections()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		s.every(ctx, s.options.Interval, func() { s.local(out) })
	})
	for _, admin := range s.admins {
		running.Go(func() {
			s.every(ctx, s.options.Interval, func() { s.admin(ctx, admin, out) })
		})
	}
	if s.prometheus != nil {
		running.Go(func() {
			defer s.prometheus.close()
			s.every(ctx, s.options.PrometheusInterval, func() { s.prometheus.poll(ctx, out) })
		})
	}
}

// output is where a source's rows and events go.
type output struct {
	emit  func(record.Sample)
	event func(record.Event)
	log   *slog.Logger
}

// now is the time since the base.
func (s *Sampler) now() time.Duration { return time.Since(s.options.Base) }

// every calls f at once, and then at every whole interval since the base until
// ctx is done. Instants that pass while f is busy are left out.
func (s *Sampler) every(ctx context.Context, interval time.Duration, f func()) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		f()
		now := s.now()
		timer.Reset(now.Truncate(interval) + interval - now)
	}
}

// local reads what this machine's kernel knows.
func (s *Sampler) local(out output) {
	for _, source := range s.processes {
		if source.gone {
			continue
		}
		reading, err := source.read()
		if err != nil {
			// A process does not come back under its number.
			source.gone = true
			out.event(record.Event{Kind: record.EventComponent, Subject: source.target.name(), Message: err.Error()})
			continue
		}
		s.emit(out, source.target, reading)
	}
	s.emit(out, Target{Component: record.ComponentHost}, s.host.read())
}

func (s *Sampler) emit(out output, target Target, r reading) {
	if len(r.metrics) == 0 {
		return
	}
	out.emit(record.Sample{
		At: r.at.Sub(s.options.Base), Component: target.Component, Replica: target.Replica, Metrics: r.metrics,
	})
}

// reading is one row before it is placed on the run's time line.
type reading struct {
	at      time.Time
	metrics map[record.Metric]float64
}

func (s *Sampler) admin(ctx context.Context, source *adminSource, out output) {
	r, err := source.read(ctx)
	if ctx.Err() != nil {
		return
	}
	source.outage.report(out, source.target.name(), s.now(), err)
	if err == nil {
		s.emit(out, source.target, r)
	}
}

// outage turns a source's errors into one event when they begin and one when
// they end.
type outage struct {
	failing bool
	since   time.Duration
}

func (o *outage) report(out output, subject string, now time.Duration, err error) {
	switch {
	case err != nil && !o.failing:
		o.failing, o.since = true, now
		out.event(record.Event{Kind: record.EventSampleGap, Subject: subject, Message: err.Error()})
	case err != nil:
		out.log.Debug("sampling goes on failing", "subject", subject, "error", err)
	case o.failing:
		o.failing = false
		out.event(record.Event{
			Kind: record.EventNote, Subject: subject,
			Message: fmt.Sprintf("answers again after %s", (now - o.since).Round(time.Millisecond)),
		})
	}
}
