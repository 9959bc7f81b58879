package scenarios

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Defaults returns a copy of the scenario in which every key that was left out
// has its default. A zero that the file spells out is kept. The result of
// Defaults is not changed by Defaults.
func Defaults(s Scenario) Scenario {
	s = s.clone()
	d := defaulter{origin: s.origin}
	set(d, "apiVersion", &s.APIVersion, APIVersion)
	set(d, "kind", &s.Kind, Kind)
	set(d, "seed", &s.Seed, 1)
	if s.Target != nil {
		set(d, "target.protocol", &s.Target.Protocol, protocolOf(s.Target.URL))
		for i := range s.Target.Also {
			set(d, fmt.Sprintf("target.also[%d].weight", i), &s.Target.Also[i].Weight, 1)
		}
	}
	if s.Lab != nil {
		d.lab(s.Lab)
	}
	if s.Auth != nil {
		set(d, "auth.header", &s.Auth.Header, "authorization")
		set(d, "auth.scheme", &s.Auth.Scheme, "Bearer")
	}
	if s.Feed != nil {
		set(d, "feed.order", &s.Feed.Order, FeedInTurn)
	}
	set(d, "connections.count", &s.Connections.Count, 8)
	set(d, "connections.streamsPerConnection", &s.Connections.StreamsPerConnection, 100)
	set(d, "connections.connectTimeout", &s.Connections.ConnectTimeout, 5*time.Second)
	d.requests(&s)
	d.load(&s.Load)
	// An empty list is one: `run` holds the load against nothing then.
	if s.Objectives == nil && !d.written("objectives") {
		s.Objectives = []Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}, {ErrorRatio: 0.001}}
	}
	set(d, "guards.maxErrorRatio", &s.Guards.MaxErrorRatio, 0.2)
	d.observe(&s.Observe)
	set(d, "demand.headroom", &s.Demand.Headroom, 0.2)
	set(d, "demand.zones", &s.Demand.Zones, 3)
	set(d, "demand.zoneSkew", &s.Demand.ZoneSkew, 1)
	set(d, "demand.clusters", &s.Demand.Clusters, 1)
	set(d, "demand.rollingUpdate.maxUnavailable", &s.Demand.RollingUpdate.MaxUnavailable, "25%")
	set(d, "demand.rollingUpdate.maxSurge", &s.Demand.RollingUpdate.MaxSurge, "25%")
	set(d, "demand.placement", &s.Demand.Placement, PlacementRandom)
	set(d, "demand.reconnectWithin", &s.Demand.ReconnectWithin, time.Minute)
	set(d, "demand.scaling.startUp", &s.Demand.Scaling.StartUp, time.Minute)
	set(d, "demand.scaling.metricsEvery", &s.Demand.Scaling.MetricsEvery, 15*time.Second)
	set(d, "demand.scaling.syncEvery", &s.Demand.Scaling.SyncEvery, 15*time.Second)
	set(d, "demand.scaling.highestTarget", &s.Demand.Scaling.HighestTarget, 0.75)
	d.margins(&s.Margins)
	if s.Demand.History.Query != "" {
		set(d, "demand.history.last", &s.Demand.History.Last, 12*7*24*time.Hour)
	}
	switch {
	case s.Demand.GrowthPerMonth > 0:
		set(d, "demand.horizonMonths", &s.Demand.HorizonMonths, 12)
	case s.Demand.History.Any():
		set(d, "demand.horizonMonths", &s.Demand.HorizonMonths, 3)
	}
	return s
}

// defaulter knows which zeros were written on purpose.
type defaulter struct{ origin *origin }

// written reports whether the file spells out a zero or empty value at path.
func (d defaulter) written(path string) bool { return d.origin != nil && d.origin.zero[path] }

func set[T comparable](d defaulter, path string, value *T, initial T) {
	var zero T
	if *value == zero && !d.written(path) {
		*value = initial
	}
}

func (d defaulter) lab(lab *Lab) {
	set(d, "lab.proxy", &lab.Proxy, ProxyAuto)
	set(d, "lab.gateway.concurrency", &lab.Gateway.Concurrency, 1)
	set(d, "lab.gateway.replicas", &lab.Gateway.Replicas, 1)
	if lab.Gateway.Replicas > 1 {
		set(d, "lab.gateway.placement", &lab.Gateway.Placement, PlacementRoundRobin)
	}
	set(d, "lab.sidecar.concurrency", &lab.Sidecar.Concurrency, 1)
	set(d, "lab.service.replicas", &lab.Service.Replicas, 2)
	set(d, "lab.service.responseBytes", &lab.Service.ResponseBytes, 1024)
}

func (d defaulter) requests(s *Scenario) {
	if len(s.Requests) == 0 && !d.written("requests") {
		s.Requests = []Request{{Path: "/"}}
	}
	for i := range s.Requests {
		path := fmt.Sprintf("requests[%d].", i)
		set(d, path+"name", &s.Requests[i].Name, fmt.Sprintf("request-%d", i+1))
		set(d, path+"weight", &s.Requests[i].Weight, 1)
		if s.Requests[i].GRPC == nil {
			set(d, path+"method", &s.Requests[i].Method, "GET")
		}
	}
}

func (d defaulter) load(load *Load) {
	switch shape := load.Shape; {
	case shape != nil && len(shape.Steps) > 0:
		set(d, "load.duration", &load.Duration, total(shape.Steps))
	case shape != nil && shape.Replay != nil:
		set(d, "load.shape.replay.scale", &shape.Replay.Scale, 1)
	default:
		set(d, "load.duration", &load.Duration, time.Minute)
	}
	set(d, "load.arrivals", &load.Arrivals, Poisson)
	set(d, "load.pacing", &load.Pacing, Economical)
	set(d, "load.timeout", &load.Timeout, 10*time.Second)
}

func (d defaulter) margins(m *Margins) {
	set(d, "margins.latencyP50", &m.LatencyP50, 0.05)
	set(d, "margins.latencyP90", &m.LatencyP90, 0.05)
	set(d, "margins.latencyP99", &m.LatencyP99, 0.10)
	set(d, "margins.errorRatio", &m.ErrorRatio, 0.001)
	set(d, "margins.highestRate", &m.HighestRate, 0.05)
	set(d, "margins.cpuPerRequest", &m.CPUPerRequest, 0.05)
	set(d, "margins.memory", &m.Memory, 0.10)
	set(d, "margins.handshakes", &m.Handshakes, 0.10)
}

func (d defaulter) observe(o *Observe) {
	set(d, "observe.interval", &o.Interval, time.Second)
	for i := range o.Components {
		path := fmt.Sprintf("observe.components[%d].", i)
		c := &o.Components[i]
		set(d, path+"replicas", &c.Replicas, 1)
		if c.Prometheus != (PrometheusQueries{}) {
			set(d, path+"prometheus.replicaLabel", &c.Prometheus.ReplicaLabel, "pod")
		}
	}
}

// clone copies what a change to the copy could reach.
func (s Scenario) clone() Scenario {
	if s.Target != nil {
		target := *s.Target
		target.Also = slices.Clone(target.Also)
		target.TLS.CipherSuites = slices.Clone(target.TLS.CipherSuites)
		target.TLS.Curves = slices.Clone(target.TLS.Curves)
		s.Target = &target
	}
	if s.Lab != nil {
		lab := *s.Lab
		lab.Policy = slices.Clone(lab.Policy)
		s.Lab = &lab
	}
	s.Requests = slices.Clone(s.Requests)
	for i := range s.Requests {
		r := &s.Requests[i]
		r.Headers = maps.Clone(r.Headers)
		if r.Check != nil {
			check := *r.Check
			check.Header = maps.Clone(check.Header)
			r.Check = &check
		}
		r.GRPC = copied(r.GRPC)
	}
	s.Auth = s.Auth.clone()
	s.Feed = copied(s.Feed)
	if s.Load.Shape != nil {
		shape := *s.Load.Shape
		shape.Ramp, shape.Spike, shape.Sine, shape.Replay = copied(shape.Ramp), copied(shape.Spike), copied(shape.Sine), copied(shape.Replay)
		shape.Steps = slices.Clone(shape.Steps)
		s.Load.Shape = &shape
	}
	s.Objectives = slices.Clone(s.Objectives)
	s.Guards.AbortWhen = slices.Clone(s.Guards.AbortWhen)
	s.Observe.Components = slices.Clone(s.Observe.Components)
	s.Demand.Today = slices.Clone(s.Demand.Today)
	s.Demand.Scaling.Load = slices.Clone(s.Demand.Scaling.Load)
	return s
}

// copied returns a copy of what p points to, nil for nil.
func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

func (a *Auth) clone() *Auth {
	if a = copied(a); a != nil {
		a.Exec = slices.Clone(a.Exec)
		if a.OAuth2 = copied(a.OAuth2); a.OAuth2 != nil {
			a.OAuth2.Scopes = slices.Clone(a.OAuth2.Scopes)
		}
	}
	return a
}

// total is how long steps last together, at most the longest time there is.
func total(steps []StepShape) time.Duration {
	sum := time.Duration(0)
	for _, step := range steps {
		if step.For > math.MaxInt64-sum {
			return math.MaxInt64
		}
		sum += max(0, step.For)
	}
	return sum
}
