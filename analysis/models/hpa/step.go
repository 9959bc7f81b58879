package hpa

import (
	"fmt"
	"time"
)

// Controller is how the controller manager was started.
type Controller struct {
	Tolerance               Tolerance
	CPUInitializationPeriod time.Duration // --horizontal-pod-autoscaler-cpu-initialization-period
	InitialReadinessDelay   time.Duration // --horizontal-pod-autoscaler-initial-readiness-delay
	DownscaleStabilization  time.Duration // --horizontal-pod-autoscaler-downscale-stabilization
	// Before133 computes the tolerance as Kubernetes did up to 1.32; see within.
	Before133 bool
}

// Default is what the controller manager does when it is told nothing.
func Default() Controller {
	return Controller{
		Tolerance:               Tolerance{Down: 0.1, Up: 0.1},
		CPUInitializationPeriod: 5 * time.Minute,
		InitialReadinessDelay:   30 * time.Second,
		DownscaleStabilization:  5 * time.Minute,
	}
}

// Tolerance is how far the ratio of a metric to its target may be from 1 before
// anything is done, in each direction. Since Kubernetes 1.33 (KEP-4951; on by
// default since 1.35) an autoscaler can set its own in behavior.scaleUp.tolerance
// and behavior.scaleDown.tolerance.
type Tolerance struct{ Down, Up float64 }

// within reports whether a ratio is so near to 1 that nothing is done:
// 1 − down ≤ ratio ≤ 1 + up. Up to Kubernetes 1.32 it was |1 − ratio| ≤ tolerance,
// which differs where the ratio is just at the end: of a target of 50 %, at 55 %
// the ratio is 1.1, and 1 − 1.1 is in floating point a little more than 0.1 away
// from 0. That acted; since 1.33 it is tolerated.
func (c Controller) within(t Tolerance, ratio float64) bool {
	if c.Before133 {
		distance := 1 - ratio
		if distance < 0 {
			return -distance <= t.Up
		}
		return distance <= t.Down
	}
	return 1-t.Down <= ratio && ratio <= 1+t.Up
}

// Autoscaler is a HorizontalPodAutoscaler and the controller that acts on it.
type Autoscaler struct {
	Controller Controller
	Min, Max   int
	Metrics    []Metric
	Behavior   *Behavior // nil: none was set, and the older rules hold
}

// Observation is what the controller sees when it looks.
type Observation struct {
	Now      time.Duration
	Replicas int // scale.spec.replicas
	Running  int // scale.status.replicas
	Pods     []Pod
	Readings []Reading // in the order of the autoscaler's metrics
}

// Reason is why a decision is what it is, in Kubernetes' words for a condition of
// an autoscaler.
type Reason string

// The reasons.
const (
	DesiredWithinRange  Reason = "DesiredWithinRange"
	TooFewReplicas      Reason = "TooFewReplicas"
	TooManyReplicas     Reason = "TooManyReplicas"
	ScaleUpLimit        Reason = "ScaleUpLimit"
	ScaleDownLimit      Reason = "ScaleDownLimit"
	ReadyForNewScale    Reason = "ReadyForNewScale"
	ScaleUpStabilized   Reason = "ScaleUpStabilized"
	ScaleDownStabilized Reason = "ScaleDownStabilized"
	ValidMetricFound    Reason = "ValidMetricFound"
	NoValidMetric       Reason = "FailedGetMetric" // all fail, or some do and the rest would scale down
	ScalingDisabled     Reason = "ScalingDisabled" // there are no replicas, and there should be some
)

// Decision is what a look comes to.
type Decision struct {
	Replicas    int
	Proposed    int    // by the metric that asks for the most, before limits; 0 when none was asked
	By          int    // index of that metric
	Active      Reason // whether a metric could be used
	Able        Reason // whether the past held it back
	Limited     Reason // whether a limit did
	Proposals   []Proposal
	firstFailed error
}

// Err is why a metric could not be used: nil when all of them could.
func (d Decision) Err() error { return d.firstFailed }

// State is what the controller remembers of an autoscaler. The zero value is that
// of one it has not looked at.
type State struct {
	began           bool
	recommendations []recommendation // rising by their instants
	ups, downs      []change
	proposals       []Proposal
}

type recommendation struct {
	replicas int
	at       time.Duration
}

type change struct {
	replicas int // always above zero
	at       time.Duration
}

// Step returns what the controller decides at one look, and remembers it in the
// state. Nothing else goes in, and nothing else comes out. The decision's
// proposals are valid until the next step with this state.
func (a Autoscaler) Step(s *State, o Observation) Decision {
	if !s.began {
		s.began = true
		s.recommendations = append(s.recommendations, recommendation{o.Replicas, o.Now})
	}
	d := Decision{Replicas: o.Replicas, Active: ValidMetricFound, Able: ReadyForNewScale, Limited: DesiredWithinRange}
	switch {
	case o.Replicas == 0 && a.Min != 0:
		d.Active = ScalingDisabled
		return d
	case o.Replicas > a.Max:
		d.Replicas, d.Limited = a.Max, TooManyReplicas
	case o.Replicas < a.Min:
		d.Replicas, d.Limited = a.Min, TooFewReplicas
	default:
		a.ask(s, o, &d)
		if d.Active != ValidMetricFound {
			return d
		}
		if a.Behavior == nil {
			a.normalize(s, o, &d)
		} else {
			a.Behavior.normalize(s, a, o, &d)
		}
	}
	if a.Behavior != nil && d.Replicas != o.Replicas {
		s.remember(o.Now, d.Replicas-o.Replicas, a.Behavior)
	}
	return d
}

// ask collects what the metrics ask for: the most counts. When one cannot be used,
// the others may still scale up, but not down.
func (a Autoscaler) ask(s *State, o Observation, d *Decision) {
	s.proposals = s.proposals[:0]
	failed := 0
	for i, m := range a.Metrics {
		var p Proposal
		if i < len(o.Readings) {
			p = a.Controller.propose(m, a.tolerance(), o, o.Readings[i])
		} else {
			p.Err = fmt.Errorf("metric %d was not read", i)
		}
		s.proposals = append(s.proposals, p)
		switch {
		case p.Err != nil:
			failed++
			if d.firstFailed == nil {
				d.firstFailed = p.Err
			}
		case d.Proposed == 0 || p.Replicas > d.Proposed:
			d.Proposed, d.By = p.Replicas, i
		}
	}
	d.Proposals = s.proposals
	if failed >= len(a.Metrics) || failed > 0 && d.Proposed < o.Replicas {
		d.Active = NoValidMetric
	}
}

// tolerance is the autoscaler's own where it has one, else the controller's.
func (a Autoscaler) tolerance() Tolerance {
	t := a.Controller.Tolerance
	if a.Behavior != nil && a.Behavior.Up.Tolerance != nil {
		t.Up = *a.Behavior.Up.Tolerance
	}
	if a.Behavior != nil && a.Behavior.Down.Tolerance != nil {
		t.Down = *a.Behavior.Down.Tolerance
	}
	return t
}

// normalize applies the rules of an autoscaler without a behavior: the highest
// recommendation of the last minutes, no more than twice the replicas or four,
// and the ends.
func (a Autoscaler) normalize(s *State, o Observation, d *Decision) {
	stable := d.Proposed
	cutoff := o.Now - a.Controller.DownscaleStabilization
	for _, r := range s.recommendations {
		if r.at >= cutoff {
			stable = max(stable, r.replicas)
		}
	}
	s.recommend(d.Proposed, o.Now, cutoff)
	if stable != d.Proposed {
		d.Able = ScaleDownStabilized
	}
	d.Replicas, d.Limited = withinRules(o.Replicas, stable, a.Min, a.Max)
}

// The most that an autoscaler without a behavior goes up at once: twice what there
// is, or four where that is more.
const (
	upFactor  = 2
	upMinimum = 4
)

func withinRules(current, desired, fewest, most int) (int, Reason) {
	allowed, why := most, TooManyReplicas
	if limit := max(upFactor*current, upMinimum); most > limit {
		allowed, why = limit, ScaleUpLimit
	}
	switch {
	case desired < fewest:
		return fewest, TooFewReplicas
	case desired > allowed:
		return allowed, why
	}
	return desired, DesiredWithinRange
}

// recommend keeps a recommendation and forgets, in place, those from before the cutoff.
func (s *State) recommend(replicas int, now, cutoff time.Duration) {
	first := 0
	for first < len(s.recommendations) && s.recommendations[first].at < cutoff {
		first++
	}
	if first > 0 {
		s.recommendations = s.recommendations[:copy(s.recommendations, s.recommendations[first:])]
	}
	s.recommendations = append(s.recommendations, recommendation{replicas, now})
}

// remember keeps a change. As in Kubernetes it takes the place of the last one that
// is older than the periods of its own direction, though the policies of the other
// may look further back.
func (s *State) remember(now time.Duration, by int, b *Behavior) {
	if by > 0 {
		s.ups = store(s.ups, change{by, now}, now-b.Up.longest())
	} else {
		s.downs = store(s.downs, change{-by, now}, now-b.Down.longest())
	}
}

func store(changes []change, c change, cutoff time.Duration) []change {
	old := -1
	for i := range changes {
		if changes[i].at < cutoff {
			old = i
		}
	}
	if old < 0 {
		return append(changes, c)
	}
	changes[old] = c
	return changes
}
