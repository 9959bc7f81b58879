package breaker

import (
	"fmt"
	"math"
	"time"
)

// longestOut is how long an ejection of a running system's endpoint may last for its end
// to be waited for.
const longestOut = 5 * time.Minute

// failingRate is the most errors a second that a running system is asked for.
const failingRate = 50

// ejects is the trial of outlier detection on a running system whose service offers an
// error: a request that it answers with 5xx. All endpoints answer so, and as many of them
// have to be ejected as the policy allows, which is never all of them.
func (p livePlan) ejects() []Trial {
	o := p.Client.OutlierDetection
	if !p.Failing || !o.Enabled.Value {
		return nil
	}
	_, errors := errorStatus(o)
	endpoints := max(1, p.Endpoints)
	allowed := Ejectable(endpoints, o.MaxEjectionPercent.Value)
	t := Trial{
		Name: "errors that the service offers", Field: fieldConsecutive, Side: Client, Limit: errors,
		Expected: fmt.Sprintf("of %s, of which each answers with errors, no more than %d are ejected after %s in a row; the others go on, and those come back", plural(endpoints, "endpoint"), allowed, plural(int(errors), "error")),
	}
	switch {
	case errors == 0:
		t.Impossible = "the policy counts no errors of answers: consecutive5xxErrors is 0, and consecutiveGatewayErrors is not set"
	case o.MaxEjectionPercent.Value >= 100:
		t.Impossible = "all endpoints may be ejected, which would be an outage of a running system: without --target it is tried on Envoys of this machine"
	}
	// Twice as many errors as eject at every endpoint and Envoy, and time for some looks.
	rate := math.Min(p.calm(), failingRate)
	needed := 2 * float64(errors) * float64(endpoints) * p.envoys()
	length := max(seconds(needed/rate)+time.Second, looksWanted*p.Every, 2*time.Second)
	if length > 2*time.Minute {
		t.Impossible = fmt.Sprintf("it takes %.0f errors, and at %.0f/s, which --max-rate and the limit on requests allow, that is %s", needed, rate, short(length.Round(time.Second)))
	}
	failing := Step{Name: "errors", Load: p.load(rate, rate), For: length}
	failing.Load.Failing = true
	steps := []Step{failing, {Name: "after", Load: p.load(rate, rate), For: max(2*time.Second, looksWanted*p.Every)}}
	// It comes back at the end of an interval, and what was ejected before stays out longer.
	out := 2*o.BaseEjectionTime.Value + o.Interval.Value + mergeWindow + time.Second + 2*p.Every
	waits := out <= longestOut
	if waits {
		steps = append(steps, Step{Name: "until they are back", For: out, Until: func(at Point) bool { return at.Ejected == 0 }})
	}
	t.Parts = []Part{{Steps: steps}}
	t.judge = func(facts []Facts) outcome { return p.judgeEjects(facts, errors, allowed, waits) }
	return []Trial{t}
}

func (p livePlan) judgeEjects(facts []Facts, errors uint32, allowed int, waits bool) outcome {
	o := p.Client.OutlierDetection
	failing, after := facts[0], facts[1]
	seen := failing.otherErrors(classOverflow, classUnhealthy)
	ejections, declined := failing.Client["outlier_detection.ejections_enforced_total"], failing.Client["outlier_detection.ejections_overflow"]
	most := peak(failing, func(at Point) float64 { return at.Ejected })
	observed := fmt.Sprintf("%d errors, %.0f ejections, %.0f more declined, at most %.0f out at once; after that %d of %d went wrong", seen, ejections, declined, most, after.otherErrors(), after.Sent)
	others := failing.Client["upstream_rq_total"] - failing.Client["upstream_rq_retry"] - float64(failing.Sent)
	_, counted := failing.Client["outlier_detection.ejections_enforced_total"]
	switch {
	case !counted:
		return unmeasured(observed, "the Envoy keeps no outlier_detection of this destination: proxyStatsMatcher has to include it")
	case seen < int64(errors):
		return unmeasured(observed, "%d of %d requests were answered without an error: --fault-url names nothing that the service answers with 5xx", failing.Good, failing.Sent)
	case ejections == 0 && declined > 0 && allowed == 0:
		return failed(observed, "maxEjectionPercent %d (%s) allows none of %d endpoints to be ejected; one needs at least %d", o.MaxEjectionPercent.Value, o.MaxEjectionPercent.Source, max(1, p.Endpoints), leastPercent(max(1, p.Endpoints)))
	case ejections == 0 && others > 0.1*float64(failing.Sent):
		return unmeasured(observed, "other callers sent %.0f requests meanwhile, whose answers come between the errors", others)
	case ejections == 0:
		return failed(observed, "no endpoint was ejected")
	case most > float64(allowed)*p.envoys():
		return unmeasured(observed, "more are out than %d of %d endpoints: there are more of them than the files or --endpoints say", allowed, max(1, p.Endpoints))
	case after.otherErrors() > 0:
		return failed(observed, "with the ejected endpoints out, requests went wrong: %v", after.Errors)
	case !waits:
		observed += "; their return was not waited for"
	case facts[2].Last["outlier_detection.ejections_active"] > 0:
		return failed(observed, "after %s an endpoint was still out", short(seconds(facts[2].Seconds).Round(time.Second)))
	default:
		observed += fmt.Sprintf("; all were back after %.1f s", after.Seconds+facts[2].Seconds)
	}
	return passed(observed)
}
