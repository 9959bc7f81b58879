package breaker

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models/queue"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/scenarios/audit"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// SafeFindings leaves out of findings the fixes that could hurt: a higher
// maxEjectionPercent where the endpoints that would stay do not carry the peak.
func (s Setup) SafeFindings(findings []audit.Finding) []audit.Finding {
	if s.Peak == nil || s.Peak.carries() <= 0 {
		return findings
	}
	most := s.mostPercent()
	safe := slices.Clone(findings)
	for i, f := range safe {
		if f.Code != neverEjects && f.Code != mayEjectAll {
			continue
		}
		least := leastPercent(s.Endpoints)
		if most >= least {
			safe[i].Fix = fmt.Sprintf("outlierDetection:\n  maxEjectionPercent: %d # at most %d: the endpoints that stay then carry the peak\n", least, most)
			continue
		}
		if s.Peak.CapacityRPS <= 0 {
			continue // more than what was seen may do, so nothing is known
		}
		safe[i].Fix = ""
		safe[i].Caution = append([]string{fmt.Sprintf("No endpoint can be spared: %d carry %s each, and the peak is %s. Add endpoints first.",
			s.Endpoints, quantity.Rate(s.Peak.CapacityRPS), quantity.Rate(s.Peak.RPS))}, f.Caution...)
	}
	return safe
}

// tripShare is the share of requests that a limit may refuse at the peak, when they
// arrive at random, before it counts as one that trips in normal operation.
const tripShare = 0.001

// Judge judges the settings of a policy against the peak: not whether a limit works,
// which trials show, but whether it is the right one.
func (s Setup) Judge() []Result {
	if s.Peak == nil {
		return nil
	}
	var results []Result
	results = append(results, s.falseTrips()...)
	results = append(results, s.untilOut()...)
	results = append(results, s.restAfterEjection()...)
	return append(results, s.overloadReaching())
}

// at returns what is in flight of a share of the peak, by Little's law.
func (p Peak) at(share float64) float64 { return p.RPS * share * p.AnswerSeconds }

func judgement(name, field string, side Side, limit any, expected string, o outcome) Result {
	return Result{Name: name, Field: field, Side: side, Limit: limit, Expected: expected, Observed: o.observed, Verdict: o.verdict, Reason: o.reason}
}

// falseTrips judges whether limits refuse requests at the normal peak.
func (s Setup) falseTrips() []Result {
	p := *s.Peak
	one := 1 / float64(max(1, p.Clients))
	var results []Result
	look := func(name, field string, side Side, limit mesh.Value[uint32], share float64, whose string) {
		if !isSet(limit) {
			return
		}
		inFlight := p.at(share)
		needed, err := queue.PoolSizeRefusing(inFlight, tripShare)
		observed := fmt.Sprintf("at %s %s has %s in flight on average", quantity.Rate(p.RPS), whose, quantity.Number(inFlight))
		o := passed(observed)
		switch {
		case err != nil:
			o = unmeasured(observed, "%v", err)
		case int(limit.Value) < needed:
			o = failed(observed, "%d trips at the normal peak: requests come at random, and fewer than one in a thousand is refused from %d on (%s)", limit.Value, needed, limit.Source)
		default:
			o.observed += fmt.Sprintf("; %d would do", needed)
		}
		results = append(results, judgement(name, field, side, limit.Value, "at the normal peak it does not trip", o))
	}
	look("false trips of a client", fieldRequests, Client, s.Client.ConnectionPool.HTTP.MaxRequests, one, "a client")
	look("false trips of an endpoint", fieldRequests, Server, s.Server.ConnectionPool.HTTP.MaxRequests, 1/float64(s.Endpoints), "an endpoint")
	if s.Protocol == HTTP1 {
		look("waiting at the peak", fieldConnections, Client, s.Client.ConnectionPool.TCP.MaxConnections, one, "a client")
	}
	return results
}

// untilOut judges how long a bad endpoint gets requests, and what that costs: errors
// in a row for the client that ejects first, and one more second's worth for each
// change of health that follows within update_merge_window.
func (s Setup) untilOut() []Result {
	o := s.Client.OutlierDetection
	if !o.Enabled.Value || s.Endpoints < 2 {
		return nil
	}
	p := *s.Peak
	_, errors := errorStatus(o)
	perClient := p.RPS / float64(max(1, p.Clients)) / float64(s.Endpoints)
	const name, expected = "errors until a bad endpoint is out", "a bad endpoint is out within seconds"
	allowed := Ejectable(s.Endpoints, o.MaxEjectionPercent.Value)
	if allowed == 0 || errors == 0 {
		observed := fmt.Sprintf("an endpoint that fails keeps %s of all requests: %s errors a second, for as long as it fails", quantity.Percent(1/float64(s.Endpoints)), quantity.Number(p.RPS/float64(s.Endpoints)))
		return []Result{judgement(name, fieldPercent, Client, o.MaxEjectionPercent.Value, expected, failed(observed, "outlier detection ejects none of %d endpoints", s.Endpoints))}
	}
	first := float64(errors) / perClient
	all := errors * uint32(max(1, p.Clients))
	again := float64(errors) + perClient*mergeWindow.Seconds()
	base, tick := o.BaseEjectionTime.Value, o.Interval.Value
	observed := fmt.Sprintf("each of %s ejects by itself after %d errors, %s at %s to an endpoint: %d errors in all. It comes back after %s to %s, and while it is still bad costs each client up to %s errors more",
		plural(max(1, p.Clients), "client"), errors, quantity.Duration(first), quantity.Rate(perClient), all, short(base), short(base+tick), quantity.Number(again))
	result := passed(observed)
	const patience = 60 // seconds
	if first > patience {
		result = failed(observed, "that is more than a minute: fewer errors in a row would do at this rate")
	}
	return []Result{judgement(name, fieldConsecutive, Client, errors, expected, result)}
}

// restAfterEjection judges what the endpoints that stay get when as many are out as
// may be.
func (s Setup) restAfterEjection() []Result {
	o := s.Client.OutlierDetection
	allowed := Ejectable(s.Endpoints, o.MaxEjectionPercent.Value)
	if !o.Enabled.Value || allowed == 0 || s.Endpoints < 2 {
		return nil
	}
	p := *s.Peak
	const name, expected = "the rest after an ejection", "the endpoints that stay carry the peak"
	left := s.Endpoints - allowed
	if left == 0 {
		return []Result{judgement(name, fieldPercent, Client, o.MaxEjectionPercent.Value, expected, failed("all endpoints may be ejected", "none is left to carry anything"))}
	}
	each := p.RPS / float64(left)
	observed := fmt.Sprintf("with %d of %d out, each of the other %d gets %s instead of %s", allowed, s.Endpoints, left, quantity.Rate(each), quantity.Rate(p.RPS/float64(s.Endpoints)))
	result := passed(observed)
	limit := s.Server.ConnectionPool.HTTP.MaxRequests
	needed, err := queue.PoolSizeRefusing(p.at(1/float64(left)), tripShare)
	switch {
	case p.CapacityRPS > 0 && each > p.CapacityRPS:
		result = failed(observed, "one carries %s: with so many out the rest fails too; maxEjectionPercent up to %d keeps enough of them", quantity.Rate(p.CapacityRPS), s.mostPercent())
	case isSet(limit) && err == nil && int(limit.Value) < needed:
		result = failed(observed, "their sidecars then shed: http2MaxRequests %d, and %d would do", limit.Value, needed)
	case p.CapacityRPS > 0:
	case p.SeenRPS >= each:
		result.observed += "; one was seen to carry " + quantity.Rate(p.SeenRPS)
	case p.SeenRPS > 0:
		result.observed += fmt.Sprintf("; one was seen to carry %s, and whether it carries more is not known (--endpoint-capacity)", quantity.Rate(p.SeenRPS))
	default:
		result.observed += "; whether one carries that is not known (--endpoint-capacity)"
	}
	return []Result{judgement(name, fieldPercent, Client, o.MaxEjectionPercent.Value, expected, result)}
}

// mostPercent is the largest maxEjectionPercent with which the endpoints that stay
// carry the peak; 0 when not one can be spared.
func (s Setup) mostPercent() int {
	needed := int(math.Ceil(s.Peak.RPS / s.Peak.carries()))
	spare := s.Endpoints - needed
	if spare <= 0 {
		return 0
	}
	return min(100, (100*(spare+1)-1)/s.Endpoints)
}

// overloadReaching judges how much of an overload the limits let through to the
// endpoints.
func (s Setup) overloadReaching() Result {
	p := *s.Peak
	client, server := s.Client.ConnectionPool.HTTP.MaxRequests, s.Server.ConnectionPool.HTTP.MaxRequests
	const name, expected = "overload that reaches the endpoints", "the limits bound what is in flight at the endpoints"
	most, why := math.Inf(1), ""
	if isSet(client) {
		most, why = float64(client.Value)*float64(max(1, p.Clients)), fmt.Sprintf("%s with %d each", plural(max(1, p.Clients), "client"), client.Value)
	}
	if isSet(server) && float64(server.Value)*float64(s.Endpoints) < most {
		most, why = float64(server.Value)*float64(s.Endpoints), fmt.Sprintf("%s with %d each", plural(s.Endpoints, "endpoint"), server.Value)
	}
	usual := p.at(1)
	if math.IsInf(most, 1) {
		return judgement(name, fieldRequests, Client, unlimited, expected,
			failed("any number of requests may be in flight; at the peak there are "+quantity.Number(usual), "http2MaxRequests is not set"))
	}
	times := most / math.Max(usual, 1e-9)
	observed := fmt.Sprintf("up to %s are in flight (%s), %s times the %s of the peak", quantity.Number(most), why, quantity.Number(times), quantity.Number(usual))
	if times > 1 {
		observed += fmt.Sprintf("; when endpoints are slow, answers take %s before anything is shed, where they take %s at the peak", quantity.Duration(times*p.AnswerSeconds), quantity.Duration(p.AnswerSeconds))
	}
	return judgement(name, fieldRequests, Client, client.Value, expected, passed(observed))
}

// atPeak is the trial of the whole policy under the peak, where the lab can send it.
func (s Setup) atPeak() []Trial {
	if s.Peak == nil {
		return nil
	}
	p := *s.Peak
	b := s.bench()
	b.Client, b.Server, b.HTTP1 = s.Client, s.Server, s.Protocol == HTTP1
	t := Trial{
		Name: "the whole policy at the peak", Field: "trafficPolicy", Side: Client,
		Expected: fmt.Sprintf("a client that gets its share of the peak, %s at random with answers of %s, sees no error", quantity.Rate(p.RPS/float64(max(1, p.Clients))), quantity.Duration(p.AnswerSeconds)),
	}
	rate, hold := p.RPS/float64(max(1, p.Clients)), seconds(p.AnswerSeconds)
	if rate > b.mostRate() {
		t.Impossible = fmt.Sprintf("the lab sends no more than %s through two proxies on one machine", quantity.Rate(b.mostRate()))
	}
	send := load(rate, rate*p.AnswerSeconds+10, 10*hold+5*time.Second)
	send.Poisson = true
	t.Parts = []Part{{b, []Step{{Name: "peak", Faults: all(b, Fault{Hold: hold, Random: true}), Load: send, For: 4*hold + 4*time.Second}}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[0]
		observed := fmt.Sprintf("%d of %d answered, %.0f shed by the client and %.0f by sidecars, at most %.0f in flight", f.Good, f.Sent, f.shed(Client), f.shed(Server), peak(f, func(p Point) float64 { return p.InFlight }))
		switch {
		case f.meanAbove(hold/3) > hold+hold/4+20*time.Millisecond:
			return unmeasured(observed, "answers that take %s took %s: the machine is too busy to tell", short(hold), short(f.meanAbove(hold/3).Round(time.Millisecond)))
		case f.Good < f.Sent:
			return failed(observed, "the policy trips at the normal peak: %v", f.Errors)
		}
		return passed(observed)
	}
	return []Trial{t}
}

// overloadEjects is the trial of whether an overload of the endpoints, which their
// sidecars shed, has them ejected: a sidecar's 503 is an error of the endpoint to its
// clients, and each ejection leaves more to the others. A client that sheds first, by a
// limit of its own, prevents it.
func (s Setup) overloadEjects() []Trial {
	o := s.Client.OutlierDetection
	limit := s.Server.ConnectionPool.HTTP.MaxRequests
	allowed := Ejectable(s.Endpoints, o.MaxEjectionPercent.Value)
	if s.Peak == nil || !o.Enabled.Value || !isSet(limit) || s.Endpoints < 2 || allowed == 0 {
		return nil
	}
	clients := s.Client.ConnectionPool.HTTP.MaxRequests
	all503 := float64(limit.Value) * float64(s.Endpoints)
	b, _ := s.outlierBench()
	b.Direct = false
	const most = 20 // of the limit, since the lab has to exceed all of them together
	n := math.Min(float64(limit.Value), most)
	b.Server.ConnectionPool.HTTP.MaxRequests = limit
	b.Server.ConnectionPool.HTTP.MaxRequests.Value = uint32(n)
	t := Trial{
		Name: "an overload of the endpoints", Field: fieldRequests, Side: Server, Limit: limit.Value,
		Expected: fmt.Sprintf("endpoints whose sidecars shed what is too much (at %.0f in flight here) stay in service", n),
	}
	if isSet(clients) && float64(clients.Value)*float64(max(1, s.Peak.Clients)) <= all503 {
		t.Expected += "; " + plural(max(1, s.Peak.Clients), "client") + " with their own limit cannot bring that about"
		t.Parts = []Part{{b, []Step{{Name: "nothing", For: time.Millisecond}}}}
		t.judge = func([]Facts) outcome {
			return passed(fmt.Sprintf("all clients together let %.0f requests through, and the endpoints take %.0f", float64(clients.Value)*float64(max(1, s.Peak.Clients)), all503))
		}
		return []Trial{t}
	}
	over := 2 * n * float64(s.Endpoints)
	hold, rate := b.holdFor(over)
	t.Impossible = b.tooMany(over)
	t.Parts = []Part{{b, []Step{{Name: "overload", Faults: all(b, Fault{Hold: hold}), Load: load(rate, over, 10*time.Second), For: 4*hold + 2*time.Second}}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[0]
		ejections := f.Client["outlier_detection.ejections_enforced_total"]
		observed := fmt.Sprintf("%.0f of %d shed by sidecars, %.0f ejections, at most %.0f endpoints out at once", f.shed(Server), f.Sent, ejections, peak(f, func(p Point) float64 { return p.Ejected }))
		switch {
		case f.shed(Server) == 0:
			return unmeasured(observed, "the load generator could not exceed the limits of the endpoints")
		case ejections > 0:
			return failed(observed, "what a sidecar sheds counts as errors of its endpoint: an overload ejects endpoints, and the others get their load. A limit at each client, http2MaxRequests of no more than %.0f for all clients together, sheds it before", all503)
		}
		return passed(observed)
	}
	return []Trial{t}
}
