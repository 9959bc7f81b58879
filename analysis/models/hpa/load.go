package hpa

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Point is the rate of a load at an instant. Between two points the rate goes in a
// straight line; two points of one instant are a jump.
type Point struct {
	At  time.Duration
	RPS float64 // of all replicas together
}

// The ramp that stands for a load nobody described: an hour at the trough, up
// within a quarter of an hour, two hours at the top, as fast down again.
const (
	RampTrough = time.Hour
	RampRise   = 15 * time.Minute
	RampTop    = 2 * time.Hour
)

// Ramp is the load from a trough to a top and back.
func Ramp(trough, top float64) []Point {
	up := RampTrough + RampRise
	down := up + RampTop + RampRise
	return []Point{{0, trough}, {RampTrough, trough}, {up, top}, {up + RampTop, top}, {down, trough}, {down + RampTrough, trough}}
}

// longestLoad bounds a load: a month at a look every 15 s is some hundred
// thousand looks.
const longestLoad = 31 * 24 * time.Hour

// CheckLoad tells what is wrong with a load: it needs two points or more, the first
// at 0, in order, with finite rates of which one is above zero, over a month at the
// most.
func CheckLoad(load []Point) error {
	if len(load) < 2 || load[0].At != 0 {
		return fmt.Errorf("a load of %d points that does not begin at 0: at least two are needed", len(load))
	}
	end := load[len(load)-1].At
	if end <= 0 || end > longestLoad {
		return fmt.Errorf("a load that lasts %s: it has to be above 0 and no more than %s", end, longestLoad)
	}
	highest := 0.0
	for i, p := range load {
		if !(p.RPS >= 0) || math.IsInf(p.RPS, 0) {
			return fmt.Errorf("a rate of %v at %s", p.RPS, p.At)
		}
		if i > 0 && p.At < load[i-1].At {
			return fmt.Errorf("a point at %s after one at %s", p.At, load[i-1].At)
		}
		highest = max(highest, p.RPS)
	}
	if highest == 0 {
		return fmt.Errorf("the rate is 0 throughout")
	}
	return nil
}

// Growth returns the fastest relative growth of a load within a time, per second:
// the largest (λ(t+within) − λ(t)) ÷ (λ(t)·within). Infinite when it grows from
// nothing, 0 when it never grows.
func Growth(load []Point, within time.Duration) float64 {
	if within <= 0 || CheckLoad(load) != nil {
		return 0
	}
	// Both ends of the window are on straight lines, so the ratio is largest where
	// one of them is at a point.
	most := 0.0
	consider := func(from, to float64) {
		switch {
		case to <= from:
		case from <= 0:
			most = math.Inf(1)
		default:
			most = max(most, (to-from)/from/within.Seconds())
		}
	}
	end := load[len(load)-1].At
	low, high := cursor{load: load}, cursor{load: load}
	for _, p := range load {
		if to := p.At + within; to <= end {
			before, _ := low.at(p.At)
			_, after := high.at(to)
			consider(before, after)
		}
	}
	low, high = cursor{load: load}, cursor{load: load}
	for _, p := range load {
		if from := p.At - within; from >= 0 {
			before, _ := low.at(from)
			_, after := high.at(p.At)
			consider(before, after)
		}
	}
	return most
}

// cursor reads a load at instants that do not fall.
type cursor struct {
	load []Point
	next int // the first point after the last instant
}

// at returns the rate before and after an instant; they differ at a jump.
func (c *cursor) at(t time.Duration) (before, after float64) {
	first := c.next
	for c.next < len(c.load) && c.load[c.next].At <= t {
		c.next++
	}
	after = c.between(c.next, t)
	before = after
	// Points of this very instant that were passed just now: what led to the first.
	for i := c.next - 1; i >= first && c.load[i].At == t; i-- {
		before = c.load[i].RPS
	}
	return before, after
}

// between interpolates before point i.
func (c *cursor) between(i int, t time.Duration) float64 {
	switch {
	case i == 0:
		return c.load[0].RPS
	case i == len(c.load):
		return c.load[i-1].RPS
	}
	a, b := c.load[i-1], c.load[i]
	return a.RPS + (b.RPS-a.RPS)*float64(t-a.At)/float64(b.At-a.At)
}

// until moves to an instant and returns the rate just before it, and the highest
// since the instant that the cursor was at.
func (c *cursor) until(t time.Duration) (before, highest float64) {
	for i := c.next; i < len(c.load) && c.load[i].At < t; i++ {
		highest = max(highest, c.load[i].RPS)
	}
	before, _ = c.at(t)
	return before, max(highest, before)
}

// Disturbance is what happens to the replicas apart from the load.
type Disturbance struct {
	At     time.Duration
	Lost   int     // so many replicas fail
	Zones  int     // the fullest of so many zones is lost; 0: none is
	Skew   int     // by how many replicas these zones may differ; 0: by one
	Update bool    // a rolling update begins
	Factor float64 // another cluster is lost, and the load is this many times what it was; 0: none is
}

// clusterGone is how long another cluster is lost: longer than it takes to scale up.
const clusterGone = 15 * time.Minute

// apart is the least time between two disturbances, so that one is over before the
// next begins.
const apart = 30 * time.Minute

// fullest is the number of replicas in the fullest of the zones, of so many in all.
func (d Disturbance) fullest(replicas int) int {
	return (replicas + (d.Zones-1)*max(d.Skew, 1)) / d.Zones
}

// Losses are what may be lost.
type Losses struct {
	Zones    int     // one of so many; below 2: none
	ZoneSkew int     // by how many replicas they may differ; 0: by one
	Failover float64 // the load is so many times what it was when another cluster is lost; up to 1: there is none
}

// Disturb returns the disturbances that a load has to stand: with two zones or more
// one of them lost at the highest rate, else a replica; another cluster lost; a
// replica lost at the lowest rate; and a rolling update. Each is half an hour from
// the others, at the best rate that is left; what does not fit into a short load is
// left out, the last first.
func Disturb(load []Point, losses Losses) []Disturbance {
	if CheckLoad(load) != nil {
		return nil
	}
	lost := Disturbance{Lost: 1}
	if losses.Zones > 1 {
		lost = Disturbance{Zones: losses.Zones, Skew: losses.ZoneSkew}
	}
	var out []Disturbance
	place := func(d Disturbance, better func(a, b float64) int) {
		if at, ok := instant(load, out, better); ok {
			d.At = at
			out = append(out, d)
		}
	}
	highest := func(a, b float64) int { return cmp.Compare(b, a) }
	place(lost, highest)
	if losses.Failover > 1 {
		place(Disturbance{Factor: losses.Failover}, highest)
	}
	place(Disturbance{Lost: 1}, cmp.Compare[float64])
	place(Disturbance{Update: true}, highest)
	slices.SortFunc(out, func(a, b Disturbance) int { return cmp.Compare(a.At, b.At) })
	return out
}

// instant returns the whole minute at which the rate is best and that is apart
// from what is there already; the last quarter of an hour is left for what follows.
func instant(load []Point, taken []Disturbance, better func(a, b float64) int) (at time.Duration, ok bool) {
	read := cursor{load: load}
	best := 0.0
	for t := time.Duration(0); t+apart/2 <= load[len(load)-1].At; t += time.Minute {
		_, rate := read.at(t)
		near := slices.ContainsFunc(taken, func(d Disturbance) bool { return (d.At - t).Abs() < apart })
		if !near && (!ok || better(rate, best) < 0) {
			at, best, ok = t, rate, true
		}
	}
	return at, ok
}
