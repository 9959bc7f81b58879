package breaker

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Live is a running system: nothing is broken there, and no more is sent than is
// allowed.
type Live struct {
	MaxRate float64 // requests a second, at most
	Seconds float64 // that each trial sends
	// Envoys is how many clients' Envoys share what is sent, each with limits of its own;
	// 0: one. All of their counters are read.
	Envoys int
	// Every is how far looks at the counters lie apart; 0: a trial has enough of them.
	Every time.Duration
	// Failing says that there is a request that the service answers with an error.
	Failing bool
}

// envoys is the number of clients' Envoys.
func (l Live) envoys() float64 { return float64(max(1, l.Envoys)) }

// Rates and lengths of what is sent to a running system.
const (
	baseFor     = 4 * time.Second
	baseShare   = 0.1  // of the rate that is allowed
	liveShare   = 0.5  // of a limit that is not to be reached: callers elsewhere need room too
	earlyShare  = 0.1  // of a limit that looks at an instant may miss
	fewShed     = 0.01 // of the requests, by arrivals that came close together
	mostIdle    = 30 * time.Second
	liveTimeout = 15 * time.Second
	looksWanted = 4 // in a step, so that two at least are whole
	leastLooks  = 2
)

// Base is the step by which a running system is met: how long an answer takes at a
// tenth of the rate that is allowed.
func (l Live) Base() Step {
	rate := math.Max(math.Min(l.MaxRate, 2), l.MaxRate*baseShare)
	return Step{Name: "as it is", Load: l.load(rate, rate), For: baseFor}
}

// load has room for so many in flight.
func (l Live) load(rate, inFlight float64) Load {
	return load(math.Min(rate, l.MaxRate), inFlight, liveTimeout)
}

// baseProblem says why nothing can be tried after what the base step showed; empty:
// it can.
func baseProblem(base Facts) string {
	var absent []string
	for _, counter := range []string{"upstream_rq_total", "upstream_rq_active", "upstream_rq_pending_overflow"} {
		if _, kept := base.Client[counter]; !kept {
			absent = append(absent, counter)
		}
	}
	switch {
	case base.Sent == 0:
		return "nothing could be sent"
	case len(absent) > 0:
		return fmt.Sprintf("the Envoy keeps no %s of this destination: Istio drops them unless proxyStatsMatcher includes upstream_rq and upstream_cx (rule SP102 of the audit), and the pod has been started since", strings.Join(absent, ", "))
	case float64(base.Good) < 0.98*float64(base.Sent):
		return fmt.Sprintf("%d of %d requests went wrong at the lowest rate already (%v): a trial would tell nothing of a limit", base.Sent-base.Good, base.Sent, base.Errors)
	case base.Client["upstream_rq_total"] < 0.5*float64(base.Sent):
		return fmt.Sprintf("%d requests were sent, and the Envoy counted %.0f to this destination: the target does not lead through it, or not to this host", base.Sent, base.Client["upstream_rq_total"])
	}
	return ""
}

// PlanLive returns the trials of a running system that need no fault in the service, or
// the one that it offers, after what the base step showed; what the policy sets beside is
// named by Untried.
func (s Setup) PlanLive(l Live, base Facts) []Trial {
	s.Workers = max(1, s.Workers)
	if why := baseProblem(base); why != "" {
		return []Trial{{
			Name: "meeting the target", Field: "connectionPool", Side: Client, Impossible: why,
			Expected: "at a tenth of --max-rate every request is answered, and the Envoy counts it",
		}}
	}
	p := livePlan{Setup: s, Live: l, base: base, latency: max(base.quantile(0.5), time.Millisecond), limit: math.Inf(1)}
	if value := s.Client.ConnectionPool.HTTP.MaxRequests; isSet(value) {
		p.limit = float64(value.Value)
	}
	return slices.Concat(p.atPeak(), p.requests(), p.perConnection(), p.idle(), p.ejects())
}

// livePlan is what trials of a running system are planned from.
type livePlan struct {
	Setup
	Live
	base    Facts
	latency time.Duration // of an answer, at a low rate
	limit   float64       // on requests in flight; +Inf: none
}

// calm is the highest rate that is allowed and stays far below the limit on requests.
func (p livePlan) calm() float64 {
	return math.Min(p.MaxRate, liveShare*p.limit/p.latency.Seconds())
}

// length is how long a step sends: some looks have to lie within it.
func (p livePlan) length() time.Duration {
	return max(seconds(p.Seconds/2), 20*p.latency, looksWanted*p.Every)
}

// Untried are the fields whose trial takes a fault in the service, or its own pods.
func (s Setup) Untried(l Live) []string {
	var fields []string
	pool, o := s.Client.ConnectionPool, s.Client.OutlierDetection
	if isSet(pool.HTTP.MaxPendingRequests) {
		fields = append(fields, fieldPending)
	}
	if isSet(pool.TCP.MaxConnections) {
		fields = append(fields, fieldConnections)
	}
	if o.Enabled.Value && !l.Failing {
		fields = append(fields, "outlierDetection")
	}
	if s.Client.RetryBudget.Enabled.Value {
		fields = append(fields, fieldBudget)
	} else if isSet(pool.HTTP.MaxRetries) {
		fields = append(fields, fieldRetries)
	}
	return append(fields, fieldConnectTimeout)
}

// requests is the trial of http2MaxRequests: what is in flight is the rate times how
// long an answer takes, so it needs a rate that goes with the limit.
func (p livePlan) requests() []Trial {
	value, limit := p.Client.ConnectionPool.HTTP.MaxRequests, p.limit
	if !isSet(value) {
		return nil
	}
	over := math.Max(overShare*limit, limit+5) * p.envoys()
	needed := over / p.latency.Seconds()
	under := liveShare * limit * p.envoys() / p.latency.Seconds()
	t := Trial{
		Name: "http2MaxRequests of a client", Field: fieldRequests, Side: Client, Limit: value.Value,
		Expected: fmt.Sprintf("one client may have %d requests in flight; what comes beyond is shed at once with 503, and the rest is answered as ever", value.Value),
	}
	if needed > p.MaxRate {
		t.Impossible = fmt.Sprintf("an answer takes %s, so exceeding %.0f in flight%s takes %.0f/s, and --max-rate allows %.0f/s; a request that the service answers more slowly needs less", short(p.latency.Round(time.Millisecond)), limit, p.ofEach(), math.Ceil(needed), p.MaxRate)
	}
	t.Parts = []Part{{Steps: []Step{
		{Name: "under the limit", Load: p.load(under, limit*p.envoys()), For: p.length()},
		{Name: "over the limit", Load: p.load(needed, 2*over), For: p.length()},
	}}}
	t.judge = func(facts []Facts) outcome { return p.judgeRequests(facts[0], facts[1]) }
	return []Trial{t}
}

// ofEach says that a number is of each of several Envoys.
func (p livePlan) ofEach() string {
	if p.Envoys < 2 {
		return ""
	}
	return fmt.Sprintf(" at each of %d Envoys", p.Envoys)
}

func (p livePlan) judgeRequests(under, over Facts) outcome {
	limit, base := p.limit, p.base
	inFlight := func(at Point) float64 { return at.Client }
	tolerance := p.tolerance(limit)
	shed, most, told := over.shed(Client), peak(over, inFlight), over.Errors[classOverflow]
	observed := fmt.Sprintf("under the limit %.0f of %d shed, with at most %.0f in flight%s; over it %.0f of %d, with at most %.0f", under.shed(Client), under.Sent, peak(under, inFlight), p.ofEach(), shed, over.Sent, most)
	slow := max(2*base.quantile(0.99), base.quantile(0.99)+100*time.Millisecond)
	switch {
	case len(under.Points) < leastLooks || len(over.Points) < leastLooks:
		return unmeasured(observed, "the counters were seen %d and %d times only", len(under.Points), len(over.Points))
	case under.shed(Client) > 0 && (peak(under, inFlight) >= limit-tolerance || under.shed(Client) <= fewShed*float64(under.Sent)):
		return unmeasured(observed, "at half of the limit it was reached already: by slower answers, by requests that came close together, or by other callers")
	case under.shed(Client) > 0:
		return failed(observed, "%.0f requests were shed although no more than %.0f were in flight at any look", under.shed(Client), peak(under, inFlight))
	case under.otherErrors() > 0:
		return unmeasured(observed, "under the limit %d requests went wrong in another way: %v", under.otherErrors(), under.Errors)
	case most > limit+tolerance:
		return failed(observed, "more were in flight than the limit and %.0f for the threads allow", tolerance)
	case float64(told) > shed+math.Max(2, 0.02*shed):
		return unmeasured(observed, "callers saw %d answers of an overflowing breaker, of which %.0f were counted: another replica sheds, whose counters are not read, or the service's own sidecar, at which the pool holds too", told, shed)
	case shed == 0 && most <= limit:
		return unmeasured(observed, "the limit was not exceeded: answers came sooner than when they were measured")
	case shed == 0:
		return failed(observed, "nothing was shed at the limit")
	case most < limit-tolerance-earlyShare*limit:
		return failed(observed, "requests were shed although fewer than the limit were in flight at any look: a lower limit is in force, or another one sheds")
	case over.otherErrors(classOverflow) > over.Sent/100:
		return unmeasured(observed, "over the limit %d requests went wrong in another way: %v", over.otherErrors(classOverflow), over.Errors)
	}
	if fast := over.within(max(base.quantile(0.5)/2, 10*time.Millisecond)); float64(fast) < 0.9*float64(told) {
		return failed(observed, "only %d of %d were shed within half of the time that an answer takes", fast, told)
	}
	if late := over.quantile(0.99); late > slow {
		return failed(observed, "admitted answers took up to %s, and %s before: admitted work was harmed, so the limit is above what the service carries", short(late.Round(time.Millisecond)), short(base.quantile(0.99).Round(time.Millisecond)))
	}
	return passed(observed)
}

// perConnection is the trial of maxRequestsPerConnection, which only counts.
func (p livePlan) perConnection() []Trial {
	value := p.Client.ConnectionPool.HTTP.MaxRequestsPerConnection
	if !isSet(value) {
		return nil
	}
	n := float64(value.Value)
	// Each thread has connections of its own.
	wanted := 4 * n * float64(p.Workers)
	t := Trial{
		Name: "maxRequestsPerConnection", Field: fieldPerConnection, Side: Client, Limit: value.Value,
		Expected: fmt.Sprintf("a connection is closed in good order after %d requests, and none of them goes wrong", value.Value),
	}
	rate := p.calm()
	length := seconds(math.Max(2, wanted/rate))
	if length > 2*time.Minute {
		t.Impossible = fmt.Sprintf("it takes %.0f requests, and at %.0f/s, which --max-rate and the limit on requests allow, that is %s", wanted, rate, short(length.Round(time.Second)))
	}
	t.Parts = []Part{{Steps: []Step{{Name: "many requests", Load: p.load(rate, rate), For: length}}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[0]
		used, made := f.Client["upstream_cx_max_requests"], f.Client["upstream_cx_total"]
		observed := fmt.Sprintf("%.0f connections were opened and %.0f closed after their last request, for %.0f requests; %d of %d answered", made, used, f.Client["upstream_rq_total"], f.Good, f.Sent)
		switch {
		case f.shed(Client) > 0:
			return unmeasured(observed, "%.0f requests were shed by another limit", f.shed(Client))
		case f.otherErrors() > 0:
			return failed(observed, "requests went wrong: %v", f.Errors)
		case used == 0:
			return failed(observed, "no connection was closed by the limit")
		}
		return passed(observed)
	}
	return []Trial{t}
}

// idle is the trial of an idle timeout that is short enough to wait for.
func (p livePlan) idle() []Trial {
	value := p.Client.ConnectionPool.HTTP.IdleTimeout
	if value.Value <= 0 || value.Value > mostIdle {
		return nil
	}
	t := Trial{
		Name: "idleTimeout", Field: fieldIdle, Side: Client, Limit: short(value.Value),
		Expected: fmt.Sprintf("a connection without a request for %s is closed, and the next request opens another and is answered", short(value.Value)),
	}
	rate := math.Min(p.calm(), 20)
	t.Parts = []Part{{Steps: []Step{
		{Name: "in use", Load: p.load(rate, rate), For: time.Second},
		{Name: "idle", For: value.Value + 2*time.Second},
		{Name: "in use again", Load: p.load(rate, rate), For: time.Second},
	}}}
	t.judge = func(facts []Facts) outcome {
		idle, again := facts[1], facts[2]
		// Where looks lie far apart, connections end before the last one of the first step.
		closed := facts[0].Client["upstream_cx_idle_timeout"] + idle.Client["upstream_cx_idle_timeout"]
		observed := fmt.Sprintf("%.0f connections were closed as idle, %.0f stayed; then %d of %d answered", closed, idle.Last["upstream_cx_active"], again.Good, again.Sent)
		switch {
		case idle.Client["upstream_rq_total"] > 0:
			return unmeasured(observed, "others sent %.0f requests meanwhile, so no connection was idle", idle.Client["upstream_rq_total"])
		case again.Good < again.Sent:
			return failed(observed, "after the pause requests went wrong: %v", again.Errors)
		case closed == 0:
			return failed(observed, "no connection was closed")
		}
		return passed(observed)
	}
	return []Trial{t}
}

// atPeak says whether a load that is normal sheds nothing.
func (p livePlan) atPeak() []Trial {
	if p.Peak == nil {
		return nil
	}
	rate := p.Peak.RPS
	t := Trial{
		Name: fmt.Sprintf("nothing is shed at %.4g/s", rate), Field: "connectionPool", Side: Client,
		Expected: "in normal operation no limit is reached",
	}
	if rate > p.MaxRate {
		t.Impossible = fmt.Sprintf("--max-rate allows no more than %.0f/s", p.MaxRate)
	}
	peakLoad := p.load(rate, rate)
	peakLoad.Poisson = true
	t.Parts = []Part{{Steps: []Step{{Name: "at the peak", Load: peakLoad, For: p.length()}}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[0]
		observed := fmt.Sprintf("%.0f of %d shed, with at most %.0f in flight; %d answered", f.shed(Client), f.Sent, peak(f, func(at Point) float64 { return at.InFlight }), f.Good)
		switch told := f.Errors[classOverflow]; {
		case f.shed(Client) > 0:
			return failed(observed, "the breaker trips at a load that is normal")
		case told > 0:
			return failed(observed, "callers saw %d answers of an overflowing breaker that were not counted: another replica sheds, whose counters are not read, or the service's own sidecar", told)
		case f.otherErrors() > 0:
			return failed(observed, "requests went wrong: %v", f.Errors)
		}
		return passed(observed)
	}
	return []Trial{t}
}

// UntriedNote says what was left out, and where it can be tried.
func UntriedNote(fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	return "not tried on a running system, because it takes a fault in the service or an empty pool: " + strings.Join(fields, ", ") + "; without --target each is tried on Envoys of this machine"
}
