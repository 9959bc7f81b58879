package hpa

import (
	"math"
	"time"
)

// Behavior is spec.behavior with its defaults filled in; see DefaultBehavior.
type Behavior struct{ Up, Down Rules }

// Rules are those of one direction.
type Rules struct {
	Window    time.Duration // stabilizationWindowSeconds
	Select    Select
	Policies  []Policy
	Tolerance *float64 // nil: the controller's
}

// Select is which of several policies counts.
type Select int

// The choices.
const (
	SelectMax Select = iota // the one that allows the largest change
	SelectMin               // the smallest
	Disabled                // none: no change in this direction
)

// Policy bounds the change within a period.
type Policy struct {
	Percent bool // of the replicas at the period's start; else a number of pods
	Value   int
	Period  time.Duration
}

// DefaultBehavior is what Kubernetes fills in where spec.behavior is there and says
// nothing: up by a hundred percent or four pods in 15 s, whichever is more, at
// once; down to what is needed, but not below the highest recommendation of the
// last five minutes.
func DefaultBehavior() Behavior {
	return Behavior{
		Up:   Rules{Policies: []Policy{{Value: 4, Period: 15 * time.Second}, {Percent: true, Value: 100, Period: 15 * time.Second}}},
		Down: Rules{Window: 5 * time.Minute, Policies: []Policy{{Percent: true, Value: 100, Period: 15 * time.Second}}},
	}
}

// longest is the longest period of a policy.
func (r Rules) longest() time.Duration {
	period := time.Duration(0)
	for _, p := range r.Policies {
		period = max(period, p.Period)
	}
	return period
}

// normalize applies the behavior: first the windows, then the policies and ends.
func (b *Behavior) normalize(s *State, a Autoscaler, o Observation, d *Decision) {
	stable := b.stabilize(s, o, d.Proposed)
	if stable != d.Proposed {
		d.Able = ScaleDownStabilized
		if d.Proposed >= o.Replicas {
			d.Able = ScaleUpStabilized
		}
	}
	d.Replicas, d.Limited = b.limit(s, o.Now, o.Replicas, stable, a.Min, a.Max)
}

// stabilize brings the replicas to between the lowest recommendation within the
// window upwards and the highest within the window downwards.
func (b *Behavior) stabilize(s *State, o Observation, proposed int) int {
	up, down := proposed, proposed
	upCutoff, downCutoff := o.Now-b.Up.Window, o.Now-b.Down.Window
	for _, r := range s.recommendations {
		if r.at > upCutoff {
			up = min(up, r.replicas)
		}
		if r.at > downCutoff {
			down = max(down, r.replicas)
		}
	}
	s.recommend(proposed, o.Now, min(upCutoff, downCutoff))
	return min(max(o.Replicas, up), down)
}

// limit holds a change within the policies and the ends.
func (b *Behavior) limit(s *State, now time.Duration, current, desired, fewest, most int) (int, Reason) {
	switch {
	case desired > current:
		allowed, why := most, TooManyReplicas
		// What came within the period may be more than a new policy allows: then
		// nothing is added, but nothing is taken away either.
		if limit := max(b.Up.up(s, now, current), current); most > limit {
			allowed, why = limit, ScaleUpLimit
		}
		if desired > allowed {
			return allowed, why
		}
	case desired < current:
		allowed, why := fewest, TooFewReplicas
		if limit := min(b.Down.down(s, now, current), current); fewest < limit {
			allowed, why = limit, ScaleDownLimit
		}
		if desired < allowed {
			return allowed, why
		}
	}
	return desired, DesiredWithinRange
}

// up returns the most replicas that the policies allow.
func (r Rules) up(s *State, now time.Duration, current int) int {
	if r.Select == Disabled {
		return current
	}
	result, choose := math.MinInt32, larger
	if r.Select == SelectMin {
		result, choose = math.MaxInt32, smaller
	}
	for _, p := range r.Policies {
		start := s.at(now-p.Period, current)
		allowed := start + p.Value
		if p.Percent {
			// Up, so that one replica may become two at any percentage.
			allowed = int(math.Ceil(float64(start) * (1 + float64(p.Value)/100)))
		}
		result = choose(result, allowed)
	}
	return result
}

// down returns the fewest replicas that the policies allow.
func (r Rules) down(s *State, now time.Duration, current int) int {
	if r.Select == Disabled {
		return current
	}
	result, choose := math.MaxInt32, smaller
	if r.Select == SelectMin {
		result, choose = math.MinInt32, larger
	}
	for _, p := range r.Policies {
		start := s.at(now-p.Period, current)
		allowed := start - p.Value
		if p.Percent {
			allowed = int(float64(start) * (1 - float64(p.Value)/100)) // cut off
		}
		result = choose(result, allowed)
	}
	return result
}

func larger(a, b int) int  { return max(a, b) }
func smaller(a, b int) int { return min(a, b) }

// at returns the replicas at an instant, from what changed since.
func (s *State) at(instant time.Duration, current int) int {
	for _, c := range s.ups {
		if c.at > instant {
			current -= c.replicas
		}
	}
	for _, c := range s.downs {
		if c.at > instant {
			current += c.replicas
		}
	}
	return current
}
