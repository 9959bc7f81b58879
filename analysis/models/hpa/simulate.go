package hpa

import (
	"fmt"
	"math"
	"time"
)

// Replica is what one replica uses and carries.
type Replica struct {
	Cores   func(rps float64) float64 // CPU at a rate, in cores; not falling
	Ceiling float64                   // cores that it can use at most; 0: no bound
	Request float64                   // CPU request, in cores
	SafeRPS float64                   // the rate up to which the objectives hold
	// Hottest is the load of the hottest of so many replicas ÷ their mean, where
	// connections do not move; factor is how many times the connections there are of
	// what there is with nothing lost. Nil, and below 1: as the others.
	Hottest func(replicas int, factor float64) float64
}

// Timing is how long things take. A zero is its default.
type Timing struct {
	Scrape  time.Duration // between two looks of metrics-server at the kubelets, the window of its averages; 15 s
	Sync    time.Duration // between two looks of the autoscaler; 15 s
	StartUp time.Duration // from the decision until a new replica is ready; 60 s
	Traffic time.Duration // from then until it carries its share, rising in a straight line; 15 s
}

// The defaults of Timing. metrics-server's own manifests set 15 s, its flag alone
// 60 s; the sync is the controller manager's. A minute until ready is a pod that
// finds a node with the image on it.
const (
	DefaultScrape  = 15 * time.Second
	DefaultSync    = 15 * time.Second
	DefaultStartUp = 60 * time.Second
	DefaultTraffic = 15 * time.Second
)

// WithDefaults returns the timing with nothing left at zero.
func (t Timing) WithDefaults() Timing {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{{&t.Scrape, DefaultScrape}, {&t.Sync, DefaultSync}, {&t.StartUp, DefaultStartUp}, {&t.Traffic, DefaultTraffic}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return t
}

// Lag is the longest time from a change of the load until a replica that answers it
// carries its share: a scrape, a window, a sync, the start and the traffic.
func (t Timing) Lag() time.Duration {
	t = t.WithDefaults()
	return 2*t.Scrape + t.Sync + t.StartUp + t.Traffic
}

// World is what an autoscaler is tried in.
type World struct {
	Controller   Controller
	Load         []Point
	Replica      Replica
	Timing       Timing
	Disturbances []Disturbance // rising by their instants
	// Surge and Unavailable are how many of so many replicas a rolling update adds,
	// and takes away, at once; nil: a quarter, rounded up, and down.
	Surge, Unavailable func(replicas int) int
}

// Setting is an autoscaler to try.
type Setting struct {
	Target   int     // percent of the CPU request; 0: CPU is no metric
	RPS      float64 // requests a second per replica, an external metric with averageValue; 0: none
	Min, Max int
	Behavior *Behavior
}

// Outcome is what came of a setting.
type Outcome struct {
	Seconds      float64 // simulated
	OverSeconds  float64 // of them the hottest replica was above the safe rate
	OverRequests float64 // share of the requests that came then
	WorstLoad    float64 // highest load of the hottest replica ÷ the safe rate
	PodHours     float64
	MinPods      int
	MaxPods      int
	Ups, Downs   int // changes of the replicas
	Turns        int // changes of their direction
	Series       []Moment
}

// Moment is a stretch of the simulation: what was highest in it.
type Moment struct {
	At   time.Duration // its begin
	RPS  float64
	Pods int
	Load float64 // of the hottest replica ÷ the safe rate
}

// Check tells what is wrong with a world.
func (w World) Check() error {
	if err := CheckLoad(w.Load); err != nil {
		return err
	}
	r, t := w.Replica, w.Timing.WithDefaults()
	switch {
	case r.Cores == nil || !(r.Request > 0) || math.IsInf(r.Request, 0):
		return fmt.Errorf("a replica needs a CPU demand and a CPU request above 0")
	case !(r.SafeRPS > 0) || math.IsInf(r.SafeRPS, 0):
		return fmt.Errorf("a safe rate of %v", r.SafeRPS)
	case t.Scrape < time.Second || t.Sync < time.Second || t.StartUp < 0 || t.Traffic < 0:
		return fmt.Errorf("a scrape every %s, a look every %s, %s until ready, %s until traffic: at least a second, nothing below 0", t.Scrape, t.Sync, t.StartUp, t.Traffic)
	case w.Load[len(w.Load)-1].At/t.Sync > 1_000_000:
		return fmt.Errorf("a look every %s for %s are too many", t.Sync, w.Load[len(w.Load)-1].At)
	}
	return nil
}

// Simulate replays the load against an autoscaler and returns what came of it, with
// about so many moments of a series; 0: none. The world has to pass Check.
//
// What is not known is taken as late as it can be: the autoscaler looks just before
// a scrape, within a step the highest rate counts, and it begins with the fewest
// replicas that the autoscaler would leave alone at the first rate.
func (w World) Simulate(s Setting, moments int) Outcome {
	return w.simulate(s, moments, math.Inf(1))
}

// simulate stops when more seconds than bearable are over the objective.
func (w World) simulate(s Setting, moments int, bearable float64) Outcome {
	sim := w.begin(s)
	end := w.Load[len(w.Load)-1].At
	bucket := time.Duration(math.MaxInt64)
	if moments > 0 {
		bucket = max(sim.step, (end/time.Duration(moments)+sim.step-1)/sim.step*sim.step)
	}
	for sim.now < end && sim.out.OverSeconds <= bearable {
		sim.disturb()
		if sim.now >= sim.nextSync {
			sim.look()
			sim.nextSync += sim.timing.Sync
		}
		sim.reconcile()
		if sim.now >= sim.nextScrape {
			sim.scrape()
			sim.nextScrape += sim.timing.Scrape
		}
		if moments > 0 && sim.now%bucket == 0 {
			sim.out.Series = append(sim.out.Series, Moment{At: sim.now})
		}
		sim.serve(min(sim.step, end-sim.now))
	}
	if sim.requests > 0 {
		sim.out.OverRequests /= sim.requests
	}
	return sim.out
}

// simulation is a run of simulate.
type simulation struct {
	World
	timing     Timing // with its defaults
	scaler     Autoscaler
	state      State
	step       time.Duration
	now        time.Duration
	nextSync   time.Duration
	nextScrape time.Duration
	read       cursor
	rate       float64 // now
	pods       []cohort
	replicas   int // as the autoscaler wants them
	direction  int // of its last change
	happened   int // disturbances
	updating   bool
	factor     float64       // of the load, as long as another cluster is lost
	factorEnds time.Duration // when it is there again
	requests   float64
	arrived    []float64 // requests until each of the last scrapes
	observed   Observation
	containers []Container
	out        Outcome
}

// cohort are pods that are alike.
type cohort struct {
	count   int
	started time.Duration
	ready   time.Duration // the instant from which on
	old     bool          // of before the update that goes on
	cpu     float64       // core-seconds of each since the last scrape
	seen    time.Duration // that scrape, or the start
	scraped bool
	sample  Sample
}

// rateWindow is how far back the external metric's rate looks, as rate(…[1m]) does.
const rateWindow = time.Minute

func (w World) begin(s Setting) *simulation {
	sim := &simulation{
		World: w, timing: w.Timing.WithDefaults(), read: cursor{load: w.Load},
		scaler:     Autoscaler{Controller: w.Controller, Min: s.Min, Max: s.Max, Behavior: s.Behavior},
		containers: []Container{{Request: int64(math.Round(w.Replica.Request * 1000))}},
	}
	sim.factor = 1
	sim.step = gcd(sim.timing.Scrape, sim.timing.Sync)
	if sim.step < time.Second {
		sim.step = time.Second
	}
	sim.step = min(sim.step, 15*time.Second)
	if s.Target > 0 {
		sim.scaler.Metrics = append(sim.scaler.Metrics, Metric{Source: Utilization, CPU: true, Target: int64(s.Target)})
	}
	if s.RPS > 0 {
		sim.scaler.Metrics = append(sim.scaler.Metrics, Metric{Source: AverageValue, Target: int64(math.Round(s.RPS * 1000))})
	}
	sim.observed.Readings = make([]Reading, len(sim.scaler.Metrics))
	_, sim.rate = sim.read.at(0)
	sim.replicas = sim.fewest()
	long := -24 * time.Hour
	use := sim.cores(sim.rate / float64(sim.replicas))
	sim.pods = []cohort{{
		count: sim.replicas, started: long, ready: long, scraped: true,
		sample: Sample{Value: milli(use), Window: sim.timing.Scrape, OK: true},
	}}
	// As if that rate had come for ever.
	for i := -max(1, int(rateWindow/sim.timing.Scrape)); i <= 0; i++ {
		sim.arrived = append(sim.arrived, sim.rate*float64(i)*sim.timing.Scrape.Seconds())
	}
	sim.nextScrape = sim.timing.Scrape
	sim.out.MinPods, sim.out.MaxPods = sim.replicas, sim.replicas
	return sim
}

func gcd(a, b time.Duration) time.Duration {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

func (s *simulation) cores(rps float64) float64 {
	use := s.Replica.Cores(rps)
	if s.Replica.Ceiling > 0 {
		use = math.Min(use, s.Replica.Ceiling)
	}
	return use
}

// milli rounds up to thousandths, as Kubernetes does with a quantity.
func milli(v float64) int64 { return int64(math.Ceil(v*1000 - 1e-9)) }

// fewest returns the fewest replicas that the autoscaler would not add to at the
// first rate.
func (s *simulation) fewest() int {
	tolerance := s.scaler.tolerance()
	enough := func(n int) bool {
		for _, m := range s.scaler.Metrics {
			each := s.rate / float64(n)
			usage := milli(each)
			if m.Source == Utilization {
				usage = milli(s.cores(each)) * 100 / s.containers[0].Request
			}
			if float64(usage)/float64(m.Target) > 1+tolerance.Up {
				return false
			}
		}
		return true
	}
	low, high := s.scaler.Min, s.scaler.Max // more are enough when fewer are
	for low < high {
		middle := (low + high) / 2
		if enough(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return max(low, 1)
}

// look is one sync of the autoscaler.
func (s *simulation) look() {
	o := &s.observed
	o.Now, o.Replicas, o.Running, o.Pods = s.now, s.replicas, 0, o.Pods[:0]
	var samples []Sample
	for i := range s.scaler.Metrics {
		if s.scaler.Metrics[i].Source == Utilization {
			samples = o.Readings[i].Samples[:0]
		}
	}
	for i := range s.pods {
		c := &s.pods[i]
		o.Running += c.count
		p := Pod{Count: c.count, Readiness: Ready, ReadySince: c.ready, Started: c.started, Containers: s.containers}
		if c.ready > s.now {
			p.Readiness, p.ReadySince = NotReady, c.started
		}
		o.Pods, samples = append(o.Pods, p), append(samples, c.sample)
	}
	for i, m := range s.scaler.Metrics {
		if m.Source == Utilization {
			o.Readings[i].Samples = samples
			continue
		}
		last := len(s.arrived) - 1
		o.Readings[i].Total = milli((s.arrived[last] - s.arrived[0]) / (float64(last) * s.timing.Scrape.Seconds()))
	}
	d := s.scaler.Step(&s.state, *o)
	if d.Replicas == s.replicas {
		return
	}
	direction := 1
	s.out.Ups++
	if d.Replicas < s.replicas {
		direction = -1
		s.out.Ups--
		s.out.Downs++
	}
	if s.direction == -direction {
		s.out.Turns++
	}
	s.replicas, s.direction = d.Replicas, direction
}

// scrape is one of metrics-server: what each pod used since the one before. A pod
// that has just started is averaged since its start when that is at least 10 s ago.
func (s *simulation) scrape() {
	for i := range s.pods {
		c := &s.pods[i]
		window := s.now - c.seen
		c.sample = Sample{}
		if c.scraped || window >= 10*time.Second && window < s.timing.Scrape {
			c.sample = Sample{Value: milli(c.cpu / window.Seconds()), At: s.now, Window: window, OK: true}
		}
		c.cpu, c.seen, c.scraped = 0, s.now, true
	}
	s.arrived = append(s.arrived[:copy(s.arrived, s.arrived[1:])], s.requests)
	s.merge()
}

// merge puts pods together that nothing tells apart any more.
func (s *simulation) merge() {
	if len(s.pods) < 2 {
		return
	}
	settled := func(c cohort) bool {
		return s.now-c.started > s.Controller.CPUInitializationPeriod+s.timing.Scrape &&
			s.now-c.ready > s.timing.Traffic+2*s.timing.Scrape
	}
	kept := s.pods[:1]
	for _, c := range s.pods[1:] {
		last := &kept[len(kept)-1]
		if c.old == last.old && settled(c) && settled(*last) {
			last.count += c.count
			continue
		}
		kept = append(kept, c)
	}
	s.pods = kept
}

// serve lets the replicas carry the load for a time.
func (s *simulation) serve(d time.Duration) {
	until, highest := s.read.until(s.now + d)
	highest = max(highest, s.rate) * s.factor
	mean, seconds := (s.rate+until)/2*s.factor, d.Seconds()
	total, weights, most := 0, 0.0, 0.0
	for i := range s.pods {
		c := &s.pods[i]
		weight := s.weight(c)
		total, weights, most = total+c.count, weights+float64(c.count)*weight, max(most, weight)
	}
	hottest := highest / s.Replica.SafeRPS // as if one got it all
	if weights > 0 {
		hottest *= most / weights
	}
	// Connections spread over what serves, and not over what is still starting.
	if serving := int(math.Round(weights)); s.Replica.Hottest != nil && serving > 1 {
		hottest *= max(1, s.Replica.Hottest(serving, s.factor))
	}
	for i := range s.pods {
		c := &s.pods[i]
		each := 0.0
		if weights > 0 {
			each = mean * s.weight(c) / weights
		}
		c.cpu += seconds * s.cores(each)
	}
	s.requests += mean * seconds
	s.out.Seconds += seconds
	s.out.PodHours += float64(total) * seconds / 3600
	s.out.MinPods, s.out.MaxPods = min(s.out.MinPods, total), max(s.out.MaxPods, total)
	s.out.WorstLoad = max(s.out.WorstLoad, hottest)
	if hottest > 1+1e-9 || weights == 0 && highest > 0 {
		s.out.OverSeconds += seconds
		s.out.OverRequests += mean * seconds
	}
	if n := len(s.out.Series); n > 0 {
		m := &s.out.Series[n-1]
		m.RPS, m.Pods, m.Load = max(m.RPS, highest), max(m.Pods, total), max(m.Load, hottest)
	}
	s.now += d
	_, s.rate = s.read.at(s.now)
}

// weight is the share of a whole replica's load that a pod gets now.
func (s *simulation) weight(c *cohort) float64 {
	age := s.now - c.ready
	switch {
	case age < 0:
		return 0
	case age >= s.timing.Traffic:
		return 1
	}
	return float64(age) / float64(s.timing.Traffic)
}
