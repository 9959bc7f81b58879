package breaker

import (
	"fmt"
	"math"
	"time"
)

// capacity is how many requests the whole policy lets be in flight at one client at
// once, before anything waits or is shed; infinite where nothing bounds them.
func (s Setup) capacity() float64 {
	least := math.Inf(1)
	if limit := s.Client.ConnectionPool.HTTP.MaxRequests; isSet(limit) {
		least = float64(limit.Value)
	}
	if limit := s.Server.ConnectionPool.HTTP.MaxRequests; isSet(limit) {
		// Endpoints that are chosen at random are not asked evenly.
		share := float64(limit.Value) * float64(s.Endpoints)
		least = math.Min(least, share-2*math.Sqrt(share)*math.Sqrt(float64(s.Endpoints-1)))
	}
	pool := s.Client.ConnectionPool.TCP.MaxConnections
	if !isSet(pool) {
		return least
	}
	each := 1.0
	if s.Protocol == HTTP2 {
		each = float64(s.Client.ConnectionPool.HTTP.MaxConcurrentStreams.Value)
	}
	return math.Min(least, each*float64(pool.Value))
}

// asWritten is the trial of the whole policy on both sides, below all of its limits.
func (s Setup) asWritten() []Trial {
	bound := s.capacity()
	if math.IsInf(bound, 1) && !s.Client.OutlierDetection.Enabled.Value {
		return nil
	}
	want := math.Max(1, math.Min(underShare*bound, 200))
	b := s.bench()
	b.Client, b.Server = s.Client, s.Server
	b.HTTP1 = s.Protocol == HTTP1
	t := Trial{
		Name: "the whole policy below its limits", Field: "trafficPolicy", Side: Client,
		Expected: fmt.Sprintf("with the whole policy at clients and sidecars, and %.0f requests in flight, all are answered", want),
	}
	hold, rate := b.holdFor(want)
	// A pool that fills slowly is not overrun while it does.
	t.Parts = []Part{{b, []Step{
		{Name: "warm-up", Faults: all(b, Fault{Hold: 20 * time.Millisecond}), Load: load(math.Min(rate, 20), want, 10*time.Second), For: time.Second},
		{Name: "below the limits", Faults: all(b, Fault{Hold: hold}), Load: load(rate, want, 10*time.Second), For: 3*hold + time.Second},
	}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[1]
		observed := fmt.Sprintf("%d of %d answered, %.0f shed by clients and %.0f by sidecars, at most %.0f in flight", f.Good, f.Sent, f.shed(Client), f.shed(Server), peak(f, func(p Point) float64 { return p.InFlight }))
		switch {
		case f.Good == f.Sent:
			return passed(observed)
		case f.Client["upstream_rq_pending_overflow"]+f.Server["upstream_rq_pending_overflow"] > 0:
			return failed(observed, "requests that waited for a connection were shed: http1MaxPendingRequests %v is too small for this policy", s.Client.ConnectionPool.HTTP.MaxPendingRequests.Value)
		}
		return failed(observed, "requests went wrong below the limits: %v", f.Errors)
	}
	return []Trial{t}
}
