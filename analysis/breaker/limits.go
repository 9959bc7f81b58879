package breaker

import (
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Shares of a limit that its trial asks for.
const (
	underShare = 0.7
	overShare  = 1.5
)

// requests are the trials of http2MaxRequests, which holds for HTTP/1.1 too: at a
// client over all endpoints, and at each endpoint over all clients.
func (s Setup) requests() []Trial {
	var trials []Trial
	if limit := s.Client.ConnectionPool.HTTP.MaxRequests; isSet(limit) {
		b := s.direct()
		b.Client.ConnectionPool.HTTP.MaxRequests = limit
		trials = append(trials, s.requestTrial(Client, limit, b, func(p Point) float64 { return p.InFlight }))
	}
	if limit := s.Server.ConnectionPool.HTTP.MaxRequests; isSet(limit) {
		b := s.bench()
		b.Endpoints = 1
		b.Server.ConnectionPool.HTTP.MaxRequests = limit
		trials = append(trials, s.requestTrial(Server, limit, b, func(p Point) float64 { return p.Server }))
	}
	return trials
}

func (s Setup) requestTrial(side Side, value mesh.Value[uint32], b Bench, inFlight func(Point) float64) Trial {
	n := float64(value.Value)
	over := math.Max(overShare*n, n+5)
	hold, rate := b.holdFor(over)
	whose := "all clients together at one endpoint"
	if side == Client {
		whose = "one client at all endpoints together"
	}
	t := Trial{
		Name: "http2MaxRequests of a " + string(side), Field: fieldRequests, Side: side, Limit: value.Value,
		Expected:   fmt.Sprintf("%s may have %d requests in flight; what comes beyond is shed at once with 503, and the rest is answered as ever", whose, value.Value),
		Impossible: b.tooMany(over),
	}
	t.Parts = []Part{{b, []Step{
		{Name: "under the limit", Faults: all(b, Fault{Hold: hold}), Load: load(rate*underShare*n/over, n, 4*hold), For: 5 * hold / 2},
		{Name: "over the limit", Load: load(rate, over, 4*hold), For: 5 * hold / 2},
	}}}
	t.judge = func(facts []Facts) outcome {
		return s.judgeShed(side, n, hold, facts[0], facts[1], inFlight)
	}
	return t
}

// judgeShed holds two steps against a limit that sheds at once.
func (s Setup) judgeShed(side Side, limit float64, hold time.Duration, under, over Facts, inFlight func(Point) float64) outcome {
	shed, most, tolerance := over.shed(side), peak(over, inFlight), s.tolerance(limit)
	told := over.Errors[classOverflow]
	observed := fmt.Sprintf("under the limit %.0f of %d shed; over it %.0f of %d, with at most %.0f in flight", under.shed(side), under.Sent, shed, over.Sent, most)
	switch {
	case under.shed(side) > 0:
		return failed(observed, "%.0f requests were shed although no more than %.0f were in flight", under.shed(side), peak(under, inFlight))
	case under.otherErrors() > 0:
		return failed(observed, "under the limit %d requests went wrong: %v", under.otherErrors(), under.Errors)
	case under.quantile(0.99) > hold+hold/3+50*time.Millisecond:
		return unmeasured(observed, "answers that take %s took up to %s below the limit already: the machine is too busy to tell more", short(hold), short(under.quantile(0.99).Round(time.Millisecond)))
	case shed == 0 && most < limit-tolerance:
		return unmeasured(observed, "the load generator could not exceed the limit of %.0f", limit)
	case most > limit+tolerance:
		return failed(observed, "more were in flight than the limit and %.0f for the threads allow", tolerance)
	case shed == 0:
		return failed(observed, "nothing was shed at the limit")
	case most < limit-tolerance:
		return failed(observed, "requests were shed although fewer than the limit were in flight")
	case math.Abs(float64(told)-shed) > math.Max(2, 0.02*shed):
		return failed(observed, "callers saw %d answers of an overflowing breaker, and the proxy counted %.0f", told, shed)
	case over.otherErrors(classOverflow) > 0:
		return failed(observed, "over the limit %d requests went wrong in another way: %v", over.otherErrors(classOverflow), over.Errors)
	}
	fast := over.within(hold / 2)
	// A limit that makes requests wait sheds none of them fast; a machine that is held up
	// for a moment makes a batch of them late.
	const nearlyAll, few = 0.95, 0.25
	if float64(fast) < nearlyAll*float64(told) {
		const text = "only %d of %d were shed within half of the time that an answer takes"
		if float64(fast) > few*float64(told) {
			return unmeasured(observed, text+": the machine is too busy to tell", fast, told)
		}
		return failed(observed, text, fast, told)
	}
	if late := over.quantile(0.99); late > hold+hold/2+100*time.Millisecond {
		return failed(observed, "answers that take %s took up to %s: admitted work was harmed", short(hold), short(late.Round(time.Millisecond)))
	}
	return passed(observed)
}

// poolSlack is how many connections there may be whatever the limit: each thread has
// at least one to each endpoint that it uses.
func (s Setup) poolSlack() float64 { return float64(s.Workers * s.Endpoints) }

// pending are the trials of http1MaxPendingRequests: on a warm pool, whose
// connections are all in use, and on a cold one, that has none yet.
func (s Setup) pending() []Trial {
	limit := s.Client.ConnectionPool.HTTP.MaxPendingRequests
	if !isSet(limit) {
		return nil
	}
	return []Trial{s.warmPending(limit), s.coldPending(limit)}
}

func (s Setup) warmPending(value mesh.Value[uint32]) Trial {
	n := float64(value.Value)
	pool := s.Client.ConnectionPool.TCP.MaxConnections
	// A queue that is long against the pool would take minutes to pass.
	if !isSet(pool) || n > 20*float64(pool.Value) || float64(pool.Value) > mostRate {
		pool.Value = uint32(math.Max(s.poolSlack(), math.Ceil(n/5)))
	}
	size := math.Max(float64(pool.Value), s.poolSlack())
	hold := seconds(math.Max(0.2, 3*size/mostRate))
	served := size / hold.Seconds()
	rate := math.Min(mostRate, served+1.5*n)
	fill := seconds(n/(rate-float64(pool.Value)/hold.Seconds())) + hold
	b := s.direct()
	b.HTTP1 = true
	b.Client.ConnectionPool.HTTP.MaxPendingRequests, b.Client.ConnectionPool.TCP.MaxConnections = value, pool
	t := Trial{
		Name: "http1MaxPendingRequests on a warm pool", Field: fieldPending, Side: Client, Limit: value.Value,
		Expected:   fmt.Sprintf("with all of %d connections in use (HTTP/1.1), %d requests wait; what comes beyond is shed at once with 503", pool.Value, value.Value),
		Impossible: b.tooMany(size + 2*n),
	}
	if fill > 20*time.Second {
		t.Impossible = fmt.Sprintf("filling a queue of %d would take %s", value.Value, short(fill.Round(time.Second)))
	}
	wait := fill + 2*hold + time.Second
	t.Parts = []Part{{b, []Step{
		{Name: "under the limit", Faults: all(b, Fault{Hold: hold}), Load: load(underShare*float64(pool.Value)/hold.Seconds(), size, wait), For: 4 * hold},
		{Name: "over the limit", Load: load(rate, size+n, wait), For: wait, Then: all(b, Fault{}), After: wait - hold/2},
	}}}
	waiting := func(p Point) float64 { return p.Pending }
	t.judge = func(facts []Facts) outcome {
		under, over := facts[0], facts[1]
		shed, most, tolerance := over.Client["upstream_rq_pending_overflow"], peak(over, waiting), s.tolerance(n)
		observed := fmt.Sprintf("under the limit %.0f of %d shed; over it %.0f of %d, with at most %.0f waiting", under.shed(Client), under.Sent, shed, over.Sent, most)
		switch {
		case under.shed(Client) > 0:
			return failed(observed, "requests were shed although the pool had free connections")
		case shed == 0 && most < n-tolerance:
			return unmeasured(observed, "the load generator could not fill the queue of %.0f", n)
		case most > n+tolerance:
			return failed(observed, "more waited than the limit and %.0f for the threads allow", tolerance)
		case shed == 0:
			return failed(observed, "nothing was shed at the limit")
		case most < n-tolerance:
			return failed(observed, "requests were shed although fewer than the limit waited")
		case math.Abs(float64(over.Errors[classOverflow])-shed) > math.Max(2, 0.02*shed):
			return failed(observed, "callers saw %d answers of an overflowing breaker, and the proxy counted %.0f", over.Errors[classOverflow], shed)
		case over.otherErrors(classOverflow) > over.TimedOut:
			return failed(observed, "requests went wrong in another way: %v", over.Errors)
		}
		return passed(observed)
	}
	return t
}

// coldPending lets the endpoints accept no connection for a while: a connection
// that is dropped is tried again after one second, and after three.
func (s Setup) coldPending(value mesh.Value[uint32]) Trial {
	n := float64(value.Value)
	window := 850 * time.Millisecond
	if 2*n/window.Seconds() > mostRate {
		window = 2800 * time.Millisecond
	}
	rate := math.Max(2*n/window.Seconds(), 20)
	b := s.direct()
	b.Client.ConnectionPool.HTTP.MaxPendingRequests = value
	b.Client.ConnectionPool.TCP.ConnectTimeout.Value = 10 * time.Second
	t := Trial{
		Name: "http1MaxPendingRequests on a cold pool", Field: fieldPending, Side: Client, Limit: value.Value,
		Expected: fmt.Sprintf("while no connection is ready, %d requests wait for one (HTTP/2 too); what comes beyond is shed at once with 503", value.Value),
	}
	if rate > mostRate {
		t.Impossible = fmt.Sprintf("the load generator cannot exceed the limit: filling a queue of %d takes %.0f requests a second", value.Value, rate)
	}
	t.Parts = []Part{{b, []Step{
		{Name: "no connection", Faults: all(b, Fault{Network: NetworkIgnore}), Load: load(rate, 2*n, 8*time.Second), For: window, Then: all(b, Fault{}), After: window},
		{Name: "connected again", Load: load(math.Max(5, rate/4), n, 8*time.Second), For: time.Second},
	}}}
	waiting := func(p Point) float64 { return p.Pending }
	t.judge = func(facts []Facts) outcome {
		cold, warm := facts[0], facts[1]
		shed, most, tolerance := cold.Client["upstream_rq_pending_overflow"], peak(cold, waiting), s.tolerance(n)
		observed := fmt.Sprintf("without a connection %.0f of %d were shed, with at most %.0f waiting; connected again, %.0f of %d", shed, cold.Sent, most, warm.shed(Client), warm.Sent)
		switch {
		case most > n+tolerance:
			return failed(observed, "more waited than the limit and %.0f for the threads allow", tolerance)
		case shed == 0 && most < n-tolerance:
			return unmeasured(observed, "the load generator could not fill the queue of %.0f", n)
		case shed == 0:
			return failed(observed, "nothing was shed at the limit")
		case most < n-tolerance:
			return failed(observed, "requests were shed although fewer than the limit waited")
		case cold.Good+cold.Errors[classOverflow] < cold.Sent:
			return failed(observed, "of those that waited, some were not answered: %v", cold.Errors)
		case warm.Good < warm.Sent:
			return failed(observed, "with connections, requests went wrong: %v", warm.Errors)
		}
		return passed(observed)
	}
	return t
}

// connections is the trial of maxConnections, which makes requests wait and sheds
// nothing by itself. Each request in flight has a connection in HTTP/1.1 only.
func (s Setup) connections() []Trial {
	limit := s.Client.ConnectionPool.TCP.MaxConnections
	if !isSet(limit) {
		return nil
	}
	n := float64(limit.Value)
	b := s.direct()
	hold, rate := b.holdFor(overShare * n)
	b.HTTP1 = true
	b.Client.ConnectionPool.TCP.MaxConnections = limit
	t := Trial{
		Name: "maxConnections", Field: fieldConnections, Side: Client, Limit: limit.Value,
		Expected:   fmt.Sprintf("a client has %d connections to all endpoints together (HTTP/1.1); a request beyond waits for one, and nothing is shed", limit.Value),
		Impossible: b.tooMany(4 * n),
	}
	if s.Protocol == HTTP2 {
		t.Expected += "; in HTTP/2, which this destination speaks, one connection carries many requests"
	}
	// Each thread keeps at least one connection to each endpoint.
	room := math.Max(n, s.poolSlack())
	rate = math.Max(rate, 1.5*room/hold.Seconds())
	// Connections stay where they were made. A thread that has few to an endpoint lets those
	// that chose it wait long, while others are idle.
	patience := max(10*hold, 30*time.Second)
	t.Parts = []Part{{b, []Step{
		{Name: "under the limit", Faults: all(b, Fault{Hold: hold}), Load: load(underShare*n/hold.Seconds(), n, patience), For: 2 * hold},
		{Name: "over the limit", Load: load(rate, 3*room, patience), For: 3 * hold},
	}}}
	open := func(p Point) float64 { return p.Connections }
	t.judge = func(facts []Facts) outcome {
		under, over := facts[0], facts[1]
		most := peak(over, open)
		observed := fmt.Sprintf("at most %.0f connections; over the limit %d of %d were answered, the slowest after %s where one takes %s", most, over.Good, over.Sent, short(over.slowest().Round(10*time.Millisecond)), short(hold))
		switch {
		case under.otherErrors() > under.TimedOut:
			return failed(observed, "requests went wrong below the limit: %v", under.Errors)
		case over.otherErrors() > over.TimedOut:
			return failed(observed, "requests went wrong, and maxConnections sheds nothing by itself: %v", over.Errors)
		case under.TimedOut+over.TimedOut > 0:
			return unmeasured(observed, "%d requests still waited after %s: whether they would have been answered cannot be told", under.TimedOut+over.TimedOut, short(patience))
		case most > room+s.poolSlack():
			return failed(observed, "that is more than the limit, and %.0f because each thread has one to each endpoint", s.poolSlack())
		case over.Client["upstream_cx_overflow"] == 0 && most < n:
			return unmeasured(observed, "the load generator could not use up %.0f connections", n)
		case over.slowest() < hold+hold/5:
			return failed(observed, "no request waited")
		}
		return passed(observed)
	}
	return []Trial{t}
}

// streams is the trial of maxConcurrentStreams, on one endpoint. On a port that is
// not HTTP/2 Istio drops the setting, and there is nothing to try.
func (s Setup) streams() []Trial {
	limit := s.Client.ConnectionPool.HTTP.MaxConcurrentStreams
	if limit.Value == mesh.UnlimitedStreams || limit.Value == 0 {
		return nil
	}
	n := float64(limit.Value)
	b := s.direct()
	b.Endpoints = 1
	b.Client.ConnectionPool.HTTP.MaxConcurrentStreams = limit
	want := 2.5 * n * float64(s.Workers)
	hold, rate := b.holdFor(want)
	t := Trial{
		Name: "maxConcurrentStreams", Field: fieldStreams, Side: Client, Limit: limit.Value,
		Expected:   fmt.Sprintf("one connection carries %d requests at once; more open a further connection, and nothing is shed", limit.Value),
		Impossible: b.tooMany(want),
	}
	if s.Protocol == HTTP1 {
		t.Impossible = "Istio drops maxConcurrentStreams on a port that does not speak HTTP/2, so there is nothing to try"
	}
	t.Parts = []Part{{b, []Step{{Name: "over the limit", Faults: all(b, Fault{Hold: hold}), Load: load(rate, want, 6*hold), For: 5 * hold / 2}}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[0]
		most, connections := f.Endpoints[0].PeakStreams, peak(f, func(p Point) float64 { return p.Connections })
		observed := fmt.Sprintf("at most %d at once on a connection, %.0f connections, %d of %d answered", most, connections, f.Good, f.Sent)
		switch {
		case float64(most) > n:
			return failed(observed, "a connection carried more than the limit")
		case float64(most) < n && connections <= float64(s.Workers):
			return unmeasured(observed, "the load generator could not exceed %.0f requests on a connection", n)
		case f.Good < f.Sent:
			return failed(observed, "requests went wrong: %v", f.Errors)
		}
		return passed(observed)
	}
	return []Trial{t}
}
