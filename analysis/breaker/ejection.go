package breaker

import (
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// mergeWindow is how long Envoy gathers changes of health before they reach the
// load balancer, but for the first one: update_merge_window, which Istio leaves at
// its default.
const mergeWindow = time.Second

// Ejectable returns how many of so many endpoints outlier detection may eject at
// once: Envoy ejects one more as long as with it no more than maxEjectionPercent
// of the endpoints are out.
func Ejectable(endpoints int, percent uint32) int { return endpoints * int(percent) / 100 }

// ejections are the trials of outlier detection.
func (s Setup) ejections() []Trial {
	o := s.Client.OutlierDetection
	if !o.Enabled.Value {
		return nil
	}
	allowed := Ejectable(s.Endpoints, o.MaxEjectionPercent.Value)
	if s.Endpoints == 1 {
		return []Trial{s.onlyEndpoint(allowed)}
	}
	trials := []Trial{s.badEndpoint(allowed)}
	if allowed == 0 {
		return trials // whatever else is set, nobody is ejected
	}
	if n := o.ConsecutiveGatewayErrors.Value; n > 0 && (o.Consecutive5xxErrors.Value == 0 || n < o.Consecutive5xxErrors.Value) {
		trials = append(trials, s.gatewayErrors(n))
	}
	if trial, ok := s.localFailures(); ok {
		trials = append(trials, trial)
	}
	trials = append(trials, s.ejectionTimes())
	if allowed < s.Endpoints {
		return append(trials, s.manyBad(allowed))
	}
	return append(trials, s.allBad())
}

// outlierBench has the policy's outlier detection, and nothing else that is set.
// Nothing is retried, so that callers see what endpoints do.
func (s Setup) outlierBench() (b Bench, times mesh.OutlierDetection) {
	b = s.direct()
	b.Client.OutlierDetection = s.Client.OutlierDetection
	o := &b.Client.OutlierDetection
	if longer := max(o.Interval.Value, o.BaseEjectionTime.Value); s.Fast && longer > fastEjection {
		scale := float64(fastEjection) / float64(longer)
		shorten := func(d time.Duration) time.Duration {
			return max(200*time.Millisecond, time.Duration(float64(d)*scale).Round(time.Millisecond))
		}
		o.Interval.Value, o.BaseEjectionTime.Value = shorten(o.Interval.Value), shorten(o.BaseEjectionTime.Value)
	}
	b.Retries = &Retries{}
	return b, *o
}

// perEndpoint is the rate at which an endpoint is asked in trials of outlier
// detection, so that the errors that eject it come within two seconds or so.
func (s Setup) perEndpoint(errors uint32) float64 {
	rate := math.Max(20, float64(errors)/2)
	return math.Min(rate, mostRate/float64(s.Endpoints))
}

func (s Setup) outlierLoad(errors uint32) Load {
	rate := s.perEndpoint(errors) * float64(s.Endpoints)
	return load(rate, rate, 5*time.Second)
}

// within is how long so many errors take at most to come to one endpoint.
func (s Setup) within(errors uint32) time.Duration {
	return seconds(2*float64(errors)/s.perEndpoint(errors)) + 2*time.Second
}

// errorStatus is a status that counts as an error, and errors how many of them
// eject; none do when the policy counts none.
func errorStatus(o mesh.OutlierDetection) (status int, errors uint32) {
	status, errors = 500, o.Consecutive5xxErrors.Value
	if len(o.HTTPErrorCodes.Value) > 0 {
		status = int(o.HTTPErrorCodes.Value[0])
	}
	if gateway := o.ConsecutiveGatewayErrors.Value; errors == 0 && gateway > 0 {
		return 503, gateway
	}
	return status, errors
}

const answerTime = 2 * time.Millisecond // of an endpoint in trials of outlier detection

func ejectedOnce(p Point) bool { return p.Ejections >= 1 }

// badEndpoint is the trial of whether a bad endpoint is ejected at all. Where
// maxEjectionPercent does not allow it, that is what fails.
func (s Setup) badEndpoint(allowed int) Trial {
	b, o := s.outlierBench()
	status, errors := errorStatus(o)
	t := Trial{
		Name: "one bad endpoint of " + fmt.Sprint(s.Endpoints), Field: fieldConsecutive, Side: Client, Limit: errors,
		Expected: fmt.Sprintf("an endpoint that answers %d is ejected after %s in a row, and callers see no more of it", status, plural(int(errors), "error")),
	}
	if allowed == 0 {
		t.Field, t.Limit = fieldPercent, o.MaxEjectionPercent.Value
		t.Expected = fmt.Sprintf("an endpoint that answers %d is ejected, and callers see no more of it", status)
	}
	if errors == 0 {
		t.Impossible = "the policy counts no errors of answers: consecutive5xxErrors is 0, and consecutiveGatewayErrors is not set"
	}
	watch := max(s.within(errors), 4*time.Second)
	t.Parts = []Part{{b, []Step{
		{Name: "all well", Faults: all(b, Fault{Hold: answerTime}), Load: s.outlierLoad(errors), For: time.Second},
		{Name: "one bad", Faults: some(b, 1, Fault{Hold: answerTime, Status: status}, Fault{Hold: answerTime}), Load: s.outlierLoad(errors), For: watch, Until: ejectedOnce},
		{Name: "after", Load: s.outlierLoad(errors), For: min(time.Second, o.BaseEjectionTime.Value/2)},
	}}}
	t.judge = func(facts []Facts) outcome {
		before, bad, after := facts[0], facts[1], facts[2]
		seen, ejections := bad.otherErrors(), bad.Client["outlier_detection.ejections_enforced_total"]
		observed := fmt.Sprintf("ejected after %s in %.1f s; after that %d of %d went wrong", plural(int(seen), "error"), bad.Seconds, after.otherErrors(), after.Sent)
		switch {
		case before.otherErrors() > 0 || before.Client["outlier_detection.ejections_enforced_total"] > 0:
			return unmeasured("", "requests went wrong before an endpoint was bad: %v", before.Errors)
		case ejections == 0:
			observed = fmt.Sprintf("never ejected: %d of %d requests went wrong in %.1f s, and Envoy declined %.0f ejections", seen+after.otherErrors(), bad.Sent+after.Sent, bad.Seconds+after.Seconds, bad.Client["outlier_detection.ejections_overflow"]+after.Client["outlier_detection.ejections_overflow"])
			if allowed == 0 {
				return failed(observed, "maxEjectionPercent %d (%s) allows %d of %d endpoints to be ejected; one needs at least %d",
					o.MaxEjectionPercent.Value, o.MaxEjectionPercent.Source, allowed, s.Endpoints, leastPercent(s.Endpoints))
			}
			return failed(observed, "the policy allows %d of %d endpoints to be ejected, and none was", allowed, s.Endpoints)
		case float64(seen) > float64(errors)+s.tolerance(0)+3:
			return failed(observed, "%d errors are more than the %d that eject", seen, errors)
		case seen < int64(errors):
			return failed(observed, "fewer errors than the %d that should eject did so", errors)
		case after.otherErrors() > 0:
			return failed(observed, "the ejected endpoint still got requests: %v", after.Errors)
		}
		return passed(observed)
	}
	return t
}

// leastPercent is the least maxEjectionPercent that lets one of n be ejected.
func leastPercent(n int) int { return (100 + n - 1) / n }

// gatewayErrors is the trial of consecutiveGatewayErrors, which 502, 503 and 504
// are, and 500 is not.
func (s Setup) gatewayErrors(n uint32) Trial {
	b, o := s.outlierBench()
	all5xx := o.Consecutive5xxErrors.Value
	t := Trial{
		Name: "consecutiveGatewayErrors", Field: fieldGateway, Side: Client, Limit: n,
		Expected: fmt.Sprintf("an endpoint that answers 503 is ejected after %s in a row", plural(int(n), "error")),
	}
	t.Parts = []Part{{b, []Step{
		{Name: "all well", Faults: all(b, Fault{Hold: answerTime}), Load: s.outlierLoad(n), For: 500 * time.Millisecond},
		{Name: "one answers 503", Faults: some(b, 1, Fault{Hold: answerTime, Status: 503}, Fault{Hold: answerTime}), Load: s.outlierLoad(n), For: s.within(n), Until: ejectedOnce},
	}}}
	t.judge = func(facts []Facts) outcome {
		bad := facts[1]
		seen := bad.otherErrors()
		observed := fmt.Sprintf("%s in %.1f s, %.0f ejections for gateway errors", plural(int(seen), "error"), bad.Seconds, bad.Client["outlier_detection.ejections_enforced_consecutive_gateway_failure"])
		switch {
		case bad.Client["outlier_detection.ejections_enforced_total"] == 0:
			return failed(observed, "it was not ejected")
		case bad.Client["outlier_detection.ejections_enforced_consecutive_gateway_failure"] == 0:
			return failed(observed, "it was ejected for another reason: %d errors of 5xx come first", all5xx)
		case float64(seen) > float64(n)+s.tolerance(0)+3 || seen < int64(n):
			return failed(observed, "not the %d that should eject", n)
		}
		return passed(observed)
	}
	return t
}

// localFailures is the trial of an endpoint to which no connection can be made.
// They count with the answers of 5xx unless the policy splits them off.
func (s Setup) localFailures() (Trial, bool) {
	b, o := s.outlierBench()
	field, n := fieldConsecutive, o.Consecutive5xxErrors.Value
	if o.SplitExternalLocalOriginErrors.Value {
		field, n = fieldLocal, o.ConsecutiveLocalOriginFailures.Value
	}
	if n == 0 {
		return Trial{}, false
	}
	t := Trial{
		Name: "an endpoint that refuses connections", Field: field, Side: Client, Limit: n,
		Expected: fmt.Sprintf("an endpoint to which no connection can be made is ejected after %s in a row", plural(int(n), "failure")),
	}
	t.Parts = []Part{{b, []Step{
		{Name: "all well", Faults: all(b, Fault{Hold: answerTime}), Load: s.outlierLoad(n), For: 500 * time.Millisecond},
		{Name: "one refuses", Faults: some(b, 1, Fault{Network: NetworkRefuse}, Fault{Hold: answerTime}), Load: s.outlierLoad(n), For: s.within(n), Until: ejectedOnce},
		{Name: "after", Load: s.outlierLoad(n), For: min(time.Second, o.BaseEjectionTime.Value/2)},
	}}}
	t.judge = func(facts []Facts) outcome {
		bad, after := facts[1], facts[2]
		seen := bad.otherErrors()
		observed := fmt.Sprintf("%s in %.1f s until it was ejected, %d after that", plural(int(seen), "error"), bad.Seconds, after.otherErrors())
		switch {
		case bad.Client["outlier_detection.ejections_enforced_total"] == 0:
			return failed(fmt.Sprintf("%s in %.1f s", plural(int(seen), "error"), bad.Seconds), "it was not ejected")
		case seen < int64(n)-2 || float64(seen) > float64(n)+s.tolerance(0)+5:
			// Requests that wait for the same connection fail together.
			return failed(observed, "not the %d that should eject", n)
		case after.otherErrors() > 0:
			return failed(observed, "the ejected endpoint still got requests: %v", after.Errors)
		}
		return passed(observed)
	}
	return t, true
}

// ejectionTimes is the trial of how long an endpoint is out, the first time and the
// second, and that it comes back.
func (s Setup) ejectionTimes() Trial {
	b, o := s.outlierBench()
	status, errors := errorStatus(o)
	base, tick := o.BaseEjectionTime.Value, o.Interval.Value
	t := Trial{
		Name: "how long an endpoint is out", Field: fieldBase, Side: Client, Limit: short(s.Client.OutlierDetection.BaseEjectionTime.Value),
		Expected: fmt.Sprintf("the first time for %s, the second for %s, each up to the next interval of %s; then it gets requests again", short(base), short(2*base), short(tick)),
	}
	if 3*base+2*tick > longestTrial {
		t.Impossible = fmt.Sprintf("it takes up to %s; --fast shortens it", short(3*base+2*tick))
	}
	if errors == 0 {
		t.Impossible = "the policy counts no errors of answers"
	}
	send := s.outlierLoad(errors)
	back := func(p Point) bool { return p.Ejected == 0 }
	slack := mergeWindow + time.Second
	t.Parts = []Part{{b, []Step{
		{Name: "bad", Faults: some(b, 1, Fault{Hold: answerTime, Status: status}, Fault{Hold: answerTime}), Load: send, For: s.within(errors), Until: ejectedOnce},
		{Name: "out, and still bad", Load: send, For: base + tick + slack, Until: back},
		{Name: "back, and bad", Load: send, For: s.within(errors) + mergeWindow, Until: func(p Point) bool { return p.Ejections >= 2 }},
		{Name: "out again, and good", Faults: all(b, Fault{Hold: answerTime}), Load: send, For: 2*base + tick + slack, Until: back},
		{Name: "back, and good", Load: send, For: mergeWindow + time.Second},
	}}}
	t.judge = func(facts []Facts) outcome {
		var points []Point
		for _, f := range facts {
			points = append(points, f.Points...)
		}
		outs := timesOut(points)
		if len(outs) < 2 {
			return failed(fmt.Sprintf("%d ejections that ended, of the 2 that were awaited", len(outs)), "the endpoint was not ejected, came back and was ejected again in the time that this takes")
		}
		again, last := facts[2].otherErrors(), facts[4]
		served := float64(last.Endpoints[0].Requests) / math.Max(1, float64(last.Sent)) * float64(s.Endpoints)
		observed := fmt.Sprintf("out for %.1f s, then for %.1f s; when it came back and was still bad, %d errors reached callers until it was out again", outs[0].most, outs[1].most, again)
		for i, out := range outs[:2] {
			low, high := (time.Duration(i+1) * base).Seconds(), (time.Duration(i+1)*base + tick).Seconds()
			switch {
			case out.most < low-0.25 || out.least > high+0.5:
				return failed(observed, "ejection %d should last from %.1f s to %.1f s", i+1, low, high)
			case out.most-out.least > math.Max(1, low/2):
				return unmeasured(observed, "the proxy's counters could not be read for %.1f s: the machine is too busy to tell", out.most-out.least)
			}
		}
		if last.otherErrors() > 0 || served < 0.2 {
			return failed(observed, "back in service it got %.0f %% of its share of the requests, and %d went wrong", 100*served, last.otherErrors())
		}
		return passed(observed)
	}
	return t
}

// outage is how long an endpoint was ejected, in seconds: at least from the first to the
// last look that showed it so, and at most from the look before to the one after.
type outage struct{ least, most float64 }

// timesOut returns the outages; one that does not end within the points is left out.
func timesOut(points []Point) []outage {
	var outs []outage
	var before, first, last float64
	out := false
	for _, p := range points {
		switch {
		case p.Ejected > 0 && !out:
			out, first = true, p.Seconds
		case p.Ejected == 0 && out:
			out = false
			outs = append(outs, outage{last - first, p.Seconds - before})
		}
		if last = p.Seconds; p.Ejected == 0 {
			before = p.Seconds
		}
	}
	return outs
}

// manyBad is the trial of maxEjectionPercent itself: with one more bad endpoint than
// it allows to be out, no more than it allows are out.
func (s Setup) manyBad(allowed int) Trial {
	b, o := s.outlierBench()
	status, errors := errorStatus(o)
	// Long enough that none comes back meanwhile.
	o.BaseEjectionTime.Value = max(o.BaseEjectionTime.Value, 30*time.Second)
	b.Client.OutlierDetection = o
	t := Trial{
		Name: fmt.Sprintf("%d bad endpoints of %d", allowed+1, s.Endpoints), Field: fieldPercent, Side: Client, Limit: o.MaxEjectionPercent.Value,
		Expected: fmt.Sprintf("ejection stops at %d of them, so that the others keep their requests", allowed),
	}
	if errors == 0 {
		t.Impossible = "the policy counts no errors of answers"
	}
	t.Parts = []Part{{b, []Step{
		{Name: "many bad", Faults: some(b, allowed+1, Fault{Hold: answerTime, Status: status}, Fault{Hold: answerTime}), Load: s.outlierLoad(errors), For: s.within(errors) + 2*mergeWindow},
		{Name: "after", Load: s.outlierLoad(errors), For: time.Second},
	}}}
	t.judge = func(facts []Facts) outcome {
		most := max(peak(facts[0], func(p Point) float64 { return p.Ejected }), peak(facts[1], func(p Point) float64 { return p.Ejected }))
		after := facts[1]
		observed := fmt.Sprintf("%.0f ejected, %.0f more declined; after that %d of %d requests went wrong", most,
			facts[0].Client["outlier_detection.ejections_overflow"], after.otherErrors(), after.Sent)
		switch {
		case int(most) > allowed:
			return failed(observed, "that is more than %d %% of %d endpoints", o.MaxEjectionPercent.Value, s.Endpoints)
		case int(most) < allowed:
			return failed(observed, "%d may be ejected", allowed)
		}
		return passed(observed)
	}
	return t
}

// panics reports whether traffic goes to ejected endpoints too when so many of all
// are left.
func panics(left, endpoints int, minHealth uint32) bool {
	return float64(left)*100/float64(endpoints) < float64(minHealth)
}

// allBad is the trial of an error that all endpoints have in common, where all may
// be ejected.
func (s Setup) allBad() Trial {
	b, o := s.outlierBench()
	status, errors := errorStatus(o)
	o.BaseEjectionTime.Value = max(o.BaseEjectionTime.Value, 30*time.Second)
	b.Client.OutlierDetection = o
	panicking := panics(0, s.Endpoints, o.MinHealthPercent.Value)
	t := Trial{
		Name: "all endpoints bad for a moment", Field: fieldPercent, Side: Client, Limit: o.MaxEjectionPercent.Value,
		Expected: "endpoints that are good again are asked again, although all were ejected",
	}
	if errors == 0 {
		t.Impossible = "the policy counts no errors of answers"
	}
	send := s.outlierLoad(errors)
	n := float64(s.Endpoints)
	t.Parts = []Part{{b, []Step{
		{Name: "all bad", Faults: all(b, Fault{Hold: answerTime, Status: status}), Load: send, For: s.within(errors) + 2*mergeWindow, Until: func(p Point) bool { return p.Ejected >= n }},
		{Name: "all good", Faults: all(b, Fault{Hold: answerTime}), Load: send, For: 2*mergeWindow + time.Second},
	}}}
	t.judge = func(facts []Facts) outcome {
		return judgeOutage(facts[0], facts[1], panicking, o, s.Client.OutlierDetection)
	}
	return t
}

// judgeOutage holds what callers saw once the endpoints were good again.
func judgeOutage(bad, good Facts, panicking bool, tried, policy mesh.OutlierDetection) outcome {
	most := peak(bad, func(p Point) float64 { return p.Ejected })
	refused := good.Errors[classUnhealthy]
	observed := fmt.Sprintf("%.0f ejected; once all were good again, %d of %d requests got 503 for want of an endpoint", most, refused, good.Sent)
	switch {
	case most == 0:
		return passed("nothing was ejected: " + fmt.Sprintf("%d of %d requests went wrong while the endpoints were bad, %d of %d after that", bad.otherErrors(), bad.Sent, good.otherErrors(), good.Sent))
	case refused > good.Sent/10 && panicking:
		return failed(observed, "minHealthPercent %d should send requests to ejected endpoints", tried.MinHealthPercent.Value)
	case refused > good.Sent/10:
		return failed(observed, "a moment of errors becomes an outage of %s: maxEjectionPercent %d (%s) lets all endpoints be ejected, and minHealthPercent is 0",
			short(policy.BaseEjectionTime.Value), policy.MaxEjectionPercent.Value, policy.MaxEjectionPercent.Source)
	}
	return passed(observed)
}

// onlyEndpoint is the trial of outlier detection before a single endpoint, where
// ejecting it can only do harm.
func (s Setup) onlyEndpoint(allowed int) Trial {
	t := s.allBad()
	t.Name = "the only endpoint bad for a moment"
	t.Expected = "the only endpoint is asked again as soon as it is good again"
	if allowed == 0 {
		t.Expected += "; with one endpoint there is nothing to eject in favour of"
	}
	return t
}
