package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/models/proxy"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Forecast is what phases at low load say of the rates above them, by models of
// what happens there and not by drawing a curve on. All rates are arrivals a second
// through the whole chain.
type Forecast struct {
	BelowRps   float64       `json:"belowRps"`   // the highest rate that was looked at
	Phases     int           `json:"phases"`     // that it rests on
	SLOEdgeRps stat.Estimate `json:"sloEdgeRps"` // where the first bound breaks an objective
	Component  string        `json:"component,omitempty"`
	Resource   string        `json:"resource,omitempty"` // as in SLOEdge
	Bounds     []Bound       `json:"bounds"`             // in the order in which they come
}

// Bound is one thing that breaks an objective at some rate.
type Bound struct {
	Component string        `json:"component"`
	Resource  string        `json:"resource"`
	EdgeRps   stat.Estimate `json:"edgeRps"`
	// CPULimitRps is where the CPU reaches its ceiling, and SaturatedRps what is
	// answered at most; absent where CPU is not what bounds.
	CPULimitRps  *stat.Estimate `json:"cpuLimitRps,omitempty"`
	SaturatedRps *stat.Estimate `json:"saturatedRps,omitempty"`
	Reason       string         `json:"reason"`
}

// ForecastShare is the share of an edge up to which phases enter the forecast of a
// sizing: from there on nobody would call the load low.
const ForecastShare = 0.6

// fewRequests is the size of simulations where they are only one part of a result:
// their edge scatters by some 2 %.
const fewRequests = proxy.Requests / 4

// ForecastBelow forecasts from the phases of climbs and sweeps whose rate is at
// most below. Phases that were throttled, or that are no use for a fit, do not
// count. The records are of sizings of the same system; more of them tell more.
func ForecastBelow(below float64, recs ...*record.Record) Forecast {
	if len(recs) == 0 {
		return Forecast{BelowRps: below, SLOEdgeRps: stat.NotEstimable(0, "there is no record"), Bounds: []Bound{}}
	}
	s := forecaster{rec: recs[0], below: below, requests: proxy.Requests}
	for _, rec := range recs {
		conditions := ConditionsOf(rec.Run)
		phases := make([]examined, 0, len(rec.Data))
		for _, data := range rec.Data {
			phases = append(phases, examine(data, conditions))
		}
		s.add(phases)
	}
	return s.forecast()
}

// forecastOf returns the forecast of a sizing from the low part of its own phases;
// nil when there is no edge that would say what is low, or nothing to forecast from.
func forecastOf(rec *record.Record, phases []examined, predicted edgeOf) *Forecast {
	if predicted.End != models.EdgeReached || !predicted.RPS.OK() {
		return nil
	}
	s := forecaster{rec: rec, below: ForecastShare * predicted.RPS.Value, requests: fewRequests}
	s.add(phases)
	f := s.forecast()
	if len(f.Bounds) == 0 {
		return nil
	}
	return &f
}

// MeasuredEdge returns where the search phases of several sizings of the same
// system find the edge, and how their search ended. Nothing else enters, and no phase
// that other programs disturbed.
func MeasuredEdge(recs ...*record.Record) (edge stat.Estimate, end models.EdgeEnd) {
	var search []examined
	var objectives []scenarios.Objective
	seed := uint64(searchSeed)
	for _, rec := range recs {
		conditions := ConditionsOf(rec.Run)
		objectives, seed = conditions.Objectives, seed^rec.Seed
		for _, data := range rec.Data {
			if data.Spec.Kind != scenarios.KindSearch {
				continue
			}
			if p := examine(data, conditions); !disturbed(rec, p) {
				search = append(search, p)
			}
		}
	}
	found := findEdge(search, objectives, seed)
	return found.RPS, found.End
}

func orInf(e stat.Estimate) float64 {
	if !e.OK() {
		return math.Inf(1)
	}
	return e.Value
}

// forecaster collects bounds.
type forecaster struct {
	rec      *record.Record
	below    float64      // the highest rate that it looks at
	requests int          // of a simulation
	phases   []examined   // that show demand
	bunched  []examined   // likewise, of requests that came together
	rising   [][]examined // of each sizing, those of any kind before any higher rate
	upstream []float64
	bounds   []Bound
	costs    []componentCost // of those that could be calibrated
}

// add takes the phases of one sizing: its climb, its sweep, and the last of its
// warm-up, which is warm.
func (s *forecaster) add(phases []examined) {
	var rising []examined
	highest, warm := 0.0, -1
	for i, p := range phases {
		if p.Spec.Kind == scenarios.KindWarmUp {
			warm = i
		}
	}
	for i, p := range phases {
		if p.offered > 0 && p.offered <= s.below && !disturbed(s.rec, p) {
			if p.offered >= 0.9*highest && !cutShort(p) && p.Spec.Bunch <= 1 {
				rising = append(rising, p)
			}
			fits := p.Spec.Kind == scenarios.KindClimb || p.Spec.Kind == scenarios.KindSteady || i == warm
			switch {
			case !showsDemand(p):
			case fits:
				s.phases = append(s.phases, p)
			case p.Spec.Kind == scenarios.KindBunched:
				s.bunched = append(s.bunched, p)
			}
		}
		highest = math.Max(highest, p.offered)
	}
	s.rising = append(s.rising, rising)
}

// strangers is the share of a lab's machine that programs which are not sampled may
// use in a phase that counts: those of somebody else, a balancer, the kernel.
const strangers = 0.25

// disturbed reports whether other programs used so much of a lab's machine that a
// phase says something of them too.
func disturbed(rec *record.Record, p examined) bool {
	cpus := float64(rec.Host.CPUs)
	idle, ok := p.samples.Rate(record.ComponentHost, record.IdleSeconds)
	seconds := (p.SendEnd - p.Start).Seconds()
	if rec.Lab == nil || !ok || seconds <= 0 || cpus <= 0 {
		return false
	}
	others := cpus - idle - p.Generator.CPUSeconds/seconds
	for _, c := range rec.Components {
		used, _ := p.samples.Rate(c.Name, record.CPUSeconds)
		others -= used
	}
	return others > strangers*cpus
}

// forecast computes the bounds, in the order in which they come.
func (s *forecaster) forecast() Forecast {
	slices.SortStableFunc(s.phases, func(a, b examined) int { return cmp.Compare(a.offered, b.offered) })
	s.upstream = upstreamTimes(s.phases)
	for _, c := range s.rec.Components {
		s.calibrate(c)
	}
	s.cpu()
	s.host()
	s.pool()
	s.memory()
	slices.SortStableFunc(s.bounds, func(a, b Bound) int { return cmp.Compare(orInf(a.EdgeRps), orInf(b.EdgeRps)) })
	f := Forecast{BelowRps: s.below, Phases: len(s.phases) + len(s.bunched), Bounds: s.bounds}
	if len(f.Bounds) == 0 || !f.Bounds[0].EdgeRps.OK() {
		f.Bounds = []Bound{}
		f.SLOEdgeRps = stat.NotEstimable(f.Phases, fmt.Sprintf("%d phases at or below %s do not say where it ends", f.Phases, perSecond(s.below)))
		return f
	}
	f.SLOEdgeRps, f.Component, f.Resource = f.Bounds[0].EdgeRps, f.Bounds[0].Component, f.Bounds[0].Resource
	return f
}

type componentCost struct {
	record.Component
	replicas    float64
	calibration proxy.Calibration
	limit       stat.Estimate // arrivals a second at which its CPU reaches the ceiling
}

// upstreamQuantiles is how finely the latency at low load is handed on.
const upstreamQuantiles = 400

// upstreamTimes returns how long answers take at low load, as equally likely
// values: what the chain and the service need when nothing waits.
func upstreamTimes(phases []examined) []float64 {
	var parts []stat.Distribution
	for _, p := range phases {
		parts = append(parts, p.latency)
	}
	all := stat.Merge(parts...)
	if all.N() == 0 {
		return nil
	}
	out := make([]float64, upstreamQuantiles)
	for i := range out {
		out[i] = all.Quantile((float64(i) + 0.5) / upstreamQuantiles)
	}
	return out
}

// mostThreads is more than any proxy has: a record can say anything, and each thread
// that it names is simulated.
const mostThreads = 1024

// calibrate finds out what a component costs.
func (s *forecaster) calibrate(c record.Component) {
	cpuLimit, _ := limitsOf(s.rec, c)
	server := proxy.Server{Threads: c.Concurrency, Quota: cpuLimit}
	if server.Threads <= 0 {
		server.Threads = max(s.rec.Host.CPUs, 1)
	}
	server.Threads = min(server.Threads, mostThreads)
	prior := proxy.EnvoyPrior()
	if c.Role == scenarios.RoleService {
		prior = proxy.TestServicePrior()
		// A Go program keeps one thread looking for work, and what comes meanwhile
		// wakes no other.
		server.Threads = 1
	}
	var points []proxy.Point
	replicas := 1.0
	for _, p := range slices.Concat(s.phases, s.bunched) {
		r := perReplicaOf(p, c)
		replicas = float64(r.replicas)
		delay, ok := p.samples.Rate(c.Name, record.RunDelaySeconds)
		if !ok {
			delay = 0
		}
		if r.throttled > maxThrottledForFit {
			continue
		}
		points = append(points, proxy.Point{RPS: p.offered / replicas, Cores: r.cores, WakeUps: r.wakeUps, RunDelay: delay / replicas, Bunch: p.Spec.Bunch})
	}
	calibration, err := proxy.Calibrate(points, server, prior)
	if err != nil {
		return
	}
	calibration.Searches = len(s.rising)
	limit := calibration.Predict(func(server proxy.Server, _ float64) float64 { return server.RateAt(server.Ceiling()) })
	s.costs = append(s.costs, componentCost{c, replicas, calibration, limit.Scale(replicas)})
}

// farBehind is how many times the rate at which the first component reaches its
// ceiling another one must reach its own not to be simulated: an edge lies within a
// factor of two or so of where CPU reaches the ceiling.
const farBehind = 3

// cpu adds the bounds that the CPU of components sets.
func (s *forecaster) cpu() {
	o, ok := strictestLatency(s.rec.Scenario.Objectives)
	if !ok || len(s.upstream) == 0 {
		return
	}
	first := math.Inf(1)
	for _, c := range s.costs {
		first = math.Min(first, orInf(c.limit))
	}
	for _, c := range s.costs {
		if !(orInf(c.limit) < farBehind*first) {
			continue
		}
		saturated := c.calibration.Predict(func(server proxy.Server, _ float64) float64 { return server.Saturation() }).Scale(c.replicas)
		edge := c.calibration.Predict(func(server proxy.Server, near float64) float64 {
			return proxy.Edge(server, s.upstream, o.Quantile, o.Latency.Seconds(), near, s.requests, s.rec.Seed)
		}).Scale(c.replicas)
		resource := models.BindsCPUConcurrency
		if server := c.calibration.Candidates[0]; server.Quota > 0 && server.Quota <= float64(server.Threads) {
			resource = models.BindsCPUQuota
		}
		s.bounds = append(s.bounds, Bound{
			Component: c.Name, Resource: resource, EdgeRps: edge, CPULimitRps: &c.limit, SaturatedRps: &saturated,
			Reason: fmt.Sprintf("simulated with its cost at low load: %s breaks at %s; CPU reaches its ceiling at %s", objectiveText(o), perSecond(edge.Value), perSecond(c.limit.Value)),
		})
	}
}

// strictestLatency returns the objective with the smallest latency.
func strictestLatency(objectives []scenarios.Objective) (strictest scenarios.Objective, ok bool) {
	for _, o := range objectives {
		if o.IsLatency() && (!ok || o.Latency < strictest.Latency) {
			strictest, ok = o, true
		}
	}
	return strictest, ok
}
