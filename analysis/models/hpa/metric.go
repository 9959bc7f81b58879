package hpa

import (
	"fmt"
	"math"
	"time"
)

// Phase is how far the life of a pod has come.
type Phase int

// The phases that the autoscaler tells apart.
const (
	Running Phase = iota // or ended well
	Pending
	Failed
)

// Readiness is the pod's condition Ready.
type Readiness int

// The states of the condition; Unknown is that of a pod that has none.
const (
	Unknown Readiness = iota
	Ready
	NotReady
)

// Pod is a pod as the autoscaler sees it, or several that are alike.
type Pod struct {
	Count      int // how many are like this; 0 counts as one
	Phase      Phase
	Deleting   bool
	Readiness  Readiness
	ReadySince time.Duration // when the condition last changed
	Started    time.Duration
	NotStarted bool // no node has taken it up
	Containers []Container
}

// Container is what one container of a pod asks for.
type Container struct {
	Name    string
	Request int64 // thousandths of the metric's unit: millicores; 0: none, and then there is no utilisation
}

func (p Pod) count() int { return max(p.Count, 1) }

// request returns what the named container, or with no name all of them, ask for.
func (p Pod) request(container string) (int64, error) {
	total, found := int64(0), false
	for _, c := range p.Containers {
		if container != "" && c.Name != container {
			continue
		}
		if c.Request <= 0 {
			return 0, fmt.Errorf("missing request in container %q", c.Name)
		}
		total, found = total+c.Request, true
	}
	if container != "" && !found {
		return 0, fmt.Errorf("container %q is not in every pod", container)
	}
	return total, nil
}

// Source is where a metric comes from and what its target means.
type Source int

// The sources. Of an Object metric, Value and AverageValue are computed like those
// of an External one, and so they are the same here.
const (
	Utilization     Source = iota // Resource or ContainerResource, averageUtilization: percent of the requests
	ResourceAverage               // Resource or ContainerResource, averageValue
	PodsAverage                   // Pods, averageValue
	Value                         // External or Object, value: of them all together
	AverageValue                  // External or Object, averageValue: per replica; what KEDA uses
)

// Metric is one entry of spec.metrics.
type Metric struct {
	Source    Source
	CPU       bool   // of a resource: it is cpu, and so pods that have just started do not count
	Container string // of ContainerResource; empty: Resource, all containers of the pod together
	Target    int64  // percent with Utilization, else thousandths of the unit
}

// Sample is the metric of one pod.
type Sample struct {
	Value  int64 // thousandths of the unit
	At     time.Duration
	Window time.Duration // over which it was averaged, before At
	OK     bool          // the API gave one for the pod
}

// Reading is what the metrics API answered for one metric.
type Reading struct {
	Err     error    // it answered nothing that can be used
	Samples []Sample // of a metric per pod, in the order of the pods; more than there are pods: of pods that are gone
	Total   int64    // of Value and AverageValue, thousandths of the unit
}

// Proposal is what one metric asks for.
type Proposal struct {
	Replicas int
	Usage    int64   // percent with Utilization, else thousandths: per pod, or with Value in total
	Ratio    float64 // of the usage to the target, before missing and unready pods were made up for
	Err      error
}

// propose returns the replicas that a metric asks for.
func (c Controller) propose(m Metric, tolerance Tolerance, o Observation, r Reading) Proposal {
	switch {
	case r.Err != nil:
		return Proposal{Err: r.Err}
	case m.Target <= 0:
		return Proposal{Err: fmt.Errorf("a target of %d", m.Target)}
	case m.Source == Value:
		return c.ofTotal(m, tolerance, o, r.Total)
	case m.Source == AverageValue:
		return c.perReplica(m, tolerance, o, r.Total)
	}
	return c.perPod(m, tolerance, o, r.Samples)
}

// ofTotal is GetExternalMetricReplicas and GetObjectMetricReplicas.
func (c Controller) ofTotal(m Metric, tolerance Tolerance, o Observation, total int64) Proposal {
	p := Proposal{Usage: total, Ratio: float64(total) / float64(m.Target)}
	switch {
	case o.Replicas == 0:
		p.Replicas = ceil(p.Ratio)
	case c.within(tolerance, p.Ratio):
		p.Replicas = o.Replicas
	case len(o.Pods) == 0:
		p.Err = fmt.Errorf("no pods")
	default:
		ready := 0
		for _, pod := range o.Pods {
			if pod.Phase == Running && pod.Readiness == Ready {
				ready += pod.count()
			}
		}
		p.Replicas = ceil(p.Ratio * float64(ready))
	}
	return p
}

// perReplica is GetExternalPerPodMetricReplicas and GetObjectPerPodMetricReplicas.
func (c Controller) perReplica(m Metric, tolerance Tolerance, o Observation, total int64) Proposal {
	p := Proposal{
		Replicas: o.Running,
		Usage:    math.MaxInt64,
		Ratio:    float64(total) / (float64(m.Target) * float64(o.Running)),
	}
	if usage := math.Ceil(float64(total) / float64(o.Running)); usage < math.MaxInt64 {
		p.Usage = int64(usage)
	}
	if !c.within(tolerance, p.Ratio) {
		p.Replicas = ceil(float64(total) / float64(m.Target))
	}
	return p
}

// sums are the metrics that count, and what else is of the pods.
type sums struct {
	ready, unready, missing                      int
	metrics                                      int // that count
	usage                                        int64
	requests, requestsUnready, requestsOfMissing int64
	fallback                                     int64 // what missing pods count for when it goes down
}

// group sorts the pods as groupPods does and adds up what counts.
func (c Controller) group(m Metric, o Observation, samples []Sample) (sums, error) {
	var s sums
	var badRequest error
	for i, pod := range o.Pods {
		n := pod.count()
		request := int64(0)
		if m.Source == Utilization {
			var err error
			if request, err = pod.request(m.Container); err != nil && badRequest == nil {
				badRequest = err
			}
		}
		switch {
		case pod.Deleting || pod.Phase == Failed:
		case pod.Phase == Pending:
			s.unready += n
			s.requestsUnready += int64(n) * request
		case i >= len(samples) || !samples[i].OK:
			s.missing += n
			s.requestsOfMissing += int64(n) * request
			s.fallback += int64(n) * (request * max(100, m.Target) / 100)
		case m.CPU && c.unready(pod, samples[i], o.Now):
			s.unready += n
			s.requestsUnready += int64(n) * request
		default:
			s.ready, s.metrics = s.ready+n, s.metrics+n
			s.usage += int64(n) * samples[i].Value
			s.requests += int64(n) * request
		}
	}
	for i := len(o.Pods); i < len(samples); i++ {
		// A metric of a pod that is gone is one of them, but has no request to be a share of.
		s.metrics++
		if m.Source != Utilization {
			s.usage += samples[i].Value
		}
	}
	if s.metrics == 0 {
		return s, fmt.Errorf("no metrics of pods that are ready")
	}
	return s, badRequest
}

// unready reports whether the CPU of a pod does not count: within the
// initialisation period while it is not ready, or until a whole window lies after
// it became so; later only when it has never been ready.
func (c Controller) unready(pod Pod, s Sample, now time.Duration) bool {
	if pod.Readiness == Unknown || pod.NotStarted {
		return true
	}
	if pod.Started+c.CPUInitializationPeriod > now {
		return pod.Readiness == NotReady || s.At < pod.ReadySince+s.Window
	}
	return pod.Readiness == NotReady && pod.Started+c.InitialReadinessDelay > pod.ReadySince
}

// perPod is GetResourceReplicas, GetRawResourceReplicas and GetMetricReplicas.
func (c Controller) perPod(m Metric, tolerance Tolerance, o Observation, samples []Sample) Proposal {
	if len(o.Pods) == 0 {
		return Proposal{Err: fmt.Errorf("no pods")}
	}
	s, err := c.group(m, o, samples)
	if err != nil {
		return Proposal{Err: err}
	}
	usage, ratio, err := s.ratio(m)
	if err != nil {
		return Proposal{Err: err}
	}
	p := Proposal{Replicas: o.Replicas, Usage: usage, Ratio: ratio}
	upWithUnready := s.unready > 0 && ratio > 1
	if !upWithUnready && s.missing == 0 {
		if !c.within(tolerance, ratio) {
			p.Replicas = ceil(ratio * float64(s.ready))
		}
		return p
	}
	// Whatever is not known is taken so that it makes the change smaller: going
	// down, missing pods use all of their request; going up, they and those that
	// are not ready use nothing.
	if s.missing > 0 && ratio != 1 {
		s.metrics += s.missing
		s.requests += s.requestsOfMissing
		switch {
		case ratio > 1:
		case m.Source == Utilization:
			s.usage += s.fallback
		default:
			s.usage += int64(s.missing) * m.Target
		}
	}
	if upWithUnready {
		s.metrics += s.unready
		s.requests += s.requestsUnready
	}
	_, corrected, err := s.ratio(m)
	if err != nil {
		return Proposal{Err: err}
	}
	if c.within(tolerance, corrected) || ratio < 1 && corrected > 1 || ratio > 1 && corrected < 1 {
		return p
	}
	replicas := ceil(corrected * float64(s.metrics))
	if corrected < 1 && replicas > o.Replicas || corrected > 1 && replicas < o.Replicas {
		return p
	}
	p.Replicas = replicas
	return p
}

// ratio returns the usage and its ratio to the target. A utilisation is a whole
// number of percent, cut off: 70.9 % is 70 %.
func (s sums) ratio(m Metric) (usage int64, ratio float64, err error) {
	if m.Source != Utilization {
		usage = s.usage / int64(s.metrics)
		return usage, float64(usage) / float64(m.Target), nil
	}
	if s.requests == 0 {
		return 0, 0, fmt.Errorf("no metrics of pods that are there")
	}
	usage = s.usage * 100 / s.requests
	return usage, float64(usage) / float64(m.Target), nil
}

// ceil rounds up, within 32 bits as Kubernetes' counts are.
func ceil(v float64) int {
	return int(math.Ceil(math.Min(math.Max(v, 0), math.MaxInt32)))
}
