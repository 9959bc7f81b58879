package breaker

import (
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// The overload pulse: so much of what the endpoints can work on.
const (
	pulseUsual    = 0.7
	pulseOverload = 2.0
	// pulseCapacity is what all endpoints together work on, in requests a second: enough
	// to count, and little enough for any machine.
	pulseCapacity = 120.0
	// pulseSlots is how many requests an endpoint works on at once.
	pulseSlots = 2
	// pulseDeadline is when a caller gives up, and pulsePerTry an attempt where a route
	// with retries does not say it.
	pulseDeadline = time.Second
	pulsePerTry   = 250 * time.Millisecond
	// pulseBack is the share of the load that has to be answered in time again.
	pulseBack = 0.9
)

// pulse is the trial of whether a destination comes back from an overload: endpoints
// that work on a few requests at once, to their end, get twice of that for ten seconds
// and then 70 %. What is retried then may keep them too busy to recover. Where that is
// so and nothing bounds retries, the same is tried with a retry budget.
func (s Setup) pulse() []Trial {
	b := s.bench()
	b.Client, b.Server, b.HTTP1 = s.Client, s.Server, s.Protocol == HTTP1
	if o, times := s.outlierBench(); o.Client.OutlierDetection.Enabled.Value {
		b.Client.OutlierDetection = times
	}
	b.Retries = s.Retries
	if r := s.Retries; r != nil && r.Attempts > 0 && r.PerTry == 0 && r.Timeout == 0 {
		own := *r
		own.PerTry = pulsePerTry
		b.Retries = &own
	}
	over, after := 10*time.Second, 20*time.Second
	if s.Fast {
		over, after = 3*time.Second, 6*time.Second
	}
	hold := seconds(pulseSlots * float64(s.Endpoints) / pulseCapacity)
	shape := pulseShape(over, after)
	steps := []Step{{Name: "pulse", Faults: all(b, Fault{Hold: hold, Slots: pulseSlots}), Load: shape, For: pulseBefore + over + after}}
	t := Trial{
		Name: "overload pulse", Field: "trafficPolicy", Side: Client,
		Expected: fmt.Sprintf("after %s at twice what the endpoints can work on, and then %.0f %% of it, callers get answers within %s again", short(over), 100*pulseUsual, short(pulseDeadline)),
		Parts:    []Part{{b, steps}},
	}
	unbounded := !s.Client.RetryBudget.Enabled.Value && !isSet(s.Client.ConnectionPool.HTTP.MaxRetries)
	if unbounded && s.attempted() {
		with := b
		with.Client.RetryBudget = usualBudget()
		t.Parts = append(t.Parts, Part{with, steps})
	}
	t.judge = func(facts []Facts) outcome { return judgePulse(facts, over) }
	return []Trial{t}
}

// pulseBefore is how long the usual load lasts before the overload.
const pulseBefore = 3 * time.Second

// pulseShape is one load without a gap: what waits when the overload ends is part of
// what has to be recovered from.
func pulseShape(over, after time.Duration) Load {
	const usual, overload = pulseUsual * pulseCapacity, pulseOverload * pulseCapacity
	end := pulseBefore + over + after
	mean := (usual*(pulseBefore+after).Seconds() + overload*over.Seconds()) / end.Seconds()
	l := load(mean, overload*pulseDeadline.Seconds()*2, pulseDeadline)
	l.Curve = []RateAt{
		{0, usual}, {pulseBefore, usual}, {pulseBefore, overload}, {pulseBefore + over, overload}, {pulseBefore + over, usual}, {end, usual},
	}
	return l
}

// attempted reports whether the route retries what is slow or fails.
func (s Setup) attempted() bool { return s.Retries != nil && s.Retries.Attempts > 0 }

// usualBudget is the retry budget with Istio's defaults.
func usualBudget() mesh.RetryBudget {
	budget := mesh.IstioDefaults().RetryBudget
	budget.Enabled.Value = true
	return budget
}

// recovery is what became of a destination after an overload.
type recovery struct {
	before, during, after float64 // share of the requests that were answered in time: before, of the overload, at the end
	back                  float64 // seconds until they were again; NaN: they were not
	amplification         float64 // attempts for each request at the end
}

// recoveryOf reads the recovery from what was seen each moment of a pulse.
func recoveryOf(f Facts, over time.Duration) recovery {
	const usual, overload = pulseUsual * pulseCapacity, pulseOverload * pulseCapacity
	start, calm := f.Start+pulseBefore.Seconds(), f.Start+pulseBefore.Seconds()+over.Seconds()
	// The last second is left out: there callers end.
	end := f.Start
	if n := len(f.Points); n > 0 {
		end = f.Points[n-1].Seconds - pulseDeadline.Seconds()
	}
	r := recovery{
		before: share(rising(f.Points, f.Start+1, start, good), usual),
		during: share(rising(f.Points, start+pulseDeadline.Seconds(), calm, good), overload),
		back:   math.NaN(),
	}
	const window = 1.0 // seconds
	for at := calm; at+window <= end; at += window / 4 {
		switch enough := rising(f.Points, at, at+window, good) >= pulseBack*usual; {
		case !enough:
			r.back = math.NaN() // it has to stay so
		case math.IsNaN(r.back):
			r.back = at - calm
		}
	}
	last := math.Max(calm, end-3)
	r.after = share(rising(f.Points, last, end, good), usual)
	r.amplification = 1 + rising(f.Points, last, end, func(p Point) float64 { return p.Retries })/usual
	return r
}

func good(p Point) float64 { return p.Good }

// share is a rate against the one that was offered, which is a mean: for a few seconds
// more may have come, and been answered.
func share(rate, offered float64) float64 { return min(1, rate/offered) }

// rising returns by how much a counter rises a second between two instants; 0 where
// there are no points.
func rising(points []Point, from, to float64, of func(Point) float64) float64 {
	first, last := -1, -1
	for i, p := range points {
		if p.Seconds >= from && p.Seconds <= to {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 || points[last].Seconds == points[first].Seconds {
		return 0
	}
	return (of(points[last]) - of(points[first])) / (points[last].Seconds - points[first].Seconds)
}

func (r recovery) String() string {
	text := fmt.Sprintf("answered in time: %.0f %% before, %.0f %% of the overload, %.0f %% at the end", 100*r.before, 100*r.during, 100*r.after)
	if math.IsNaN(r.back) {
		text += "; not back"
	} else {
		text += fmt.Sprintf("; back after %.1f s", r.back)
	}
	return text + fmt.Sprintf("; %.1f attempts for each request at the end", r.amplification)
}

func judgePulse(facts []Facts, over time.Duration) outcome {
	r := recoveryOf(facts[0], over)
	observed := r.String()
	better := ""
	if len(facts) > 1 {
		with := recoveryOf(facts[1], over)
		observed += ". With a retry budget of 20 %: " + with.String()
		if !math.IsNaN(with.back) {
			better = fmt.Sprintf("; with retryBudget {percent: 20, minRetryConcurrency: 3} it is back after %.1f s", with.back)
		}
	}
	switch {
	case r.before < 0.95:
		return unmeasured(observed, "before the overload not all requests were answered in time: the machine is too busy to tell")
	case math.IsNaN(r.back):
		return failed(observed, "it does not come back: what is retried and what callers gave up keep the endpoints busy%s", better)
	}
	return passed(observed)
}
