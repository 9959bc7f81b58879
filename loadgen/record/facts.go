package record

import (
	"math"
	"time"
)

// Window returns for how long arrivals were sent.
func (d PhaseData) Window() time.Duration { return d.SendEnd - d.Start }

// Offered returns the intended arrivals per second of the sending window; NaN
// when there was no window.
func (d PhaseData) Offered() float64 { return perSecond(float64(d.Counts.Intended), d.Window()) }

// Achieved returns the answers per second of the sending window, whatever their
// status. Answers that came later are left out: after an overload they would make
// the system look faster than it was. Between two rows of the timeline the
// answers are taken as evenly spread. NaN when there was no window.
func (d PhaseData) Achieved() float64 {
	before := Tick{At: d.Start}
	for _, tick := range d.Timeline {
		if tick.At >= d.SendEnd {
			answered := float64(before.Counts.Answered)
			if length := tick.At - before.At; length > 0 {
				share := float64(d.SendEnd-before.At) / float64(length)
				answered += share * float64(tick.Counts.Answered-before.Counts.Answered)
			}
			return perSecond(answered, d.Window())
		}
		before = tick
	}
	// The timeline ends earlier or is missing: all answers over all the time.
	return perSecond(float64(d.Counts.Answered), d.End-d.Start)
}

// ErrorRatio returns the share of the settled arrivals that went wrong: shed,
// failed, timed out, or answered with a status that counts as an error. NaN when
// nothing is settled.
func (d PhaseData) ErrorRatio() float64 {
	c := d.Counts
	settled := c.Shed + c.Answered + c.Failed + c.TimedOut
	if settled == 0 {
		return math.NaN()
	}
	return float64(c.Errors()) / float64(settled)
}

func perSecond(n float64, over time.Duration) float64 {
	if over <= 0 {
		return math.NaN()
	}
	return n / over.Seconds()
}

// Point is the value of a metric at an instant.
type Point struct {
	At    time.Duration
	Value float64
}

// Series returns one metric of one replica in order of time. The metrics of a
// replica come from several sources, each with instants of its own, so that two
// metrics need not have points at the same instants.
func (d PhaseData) Series(component, replica string, metric Metric) []Point {
	var points []Point
	for _, sample := range d.Samples {
		if sample.Component != component || sample.Replica != replica {
			continue
		}
		if value, has := sample.Metrics[metric]; has {
			points = append(points, Point{sample.At, value})
		}
	}
	return points
}

// Replicas returns the names of a component's replicas, in order of their first
// sample. A component with a single nameless one has the replica "".
func (d PhaseData) Replicas(component string) []string {
	var names []string
	seen := map[string]bool{}
	for _, sample := range d.Samples {
		if sample.Component == component && !seen[sample.Replica] {
			seen[sample.Replica] = true
			names = append(names, sample.Replica)
		}
	}
	return names
}
