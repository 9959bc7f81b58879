package breaker

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// LiveValue is a setting of a running Envoy.
type LiveValue struct {
	Text  string // a number, true or false, or a duration such as "30s"
	Given bool   // false: Envoy's default
}

// CompareLive holds the settings of a running client's Envoy against the policy that
// the files come to, field by field. Settings that it says nothing of are left out.
func CompareLive(policy mesh.Policy, live map[string]LiveValue) []Result {
	var results []Result
	for _, s := range Settings(policy, policy) {
		running, known := live[s.Field]
		if s.Side != Client || !known {
			continue
		}
		where := "in the running configuration"
		if !running.Given {
			where = "Envoy's default, since the running configuration does not say it"
		}
		o := passed(fmt.Sprintf("%s (%s)", liveText(s, running.Text), where))
		if !sameSetting(s, running.Text) {
			o = failed(o.observed, "the files come to %s (%s): what runs is not what they say, or another object decides", s.Text(), s.Source)
		}
		results = append(results, judgement("live "+s.Field, s.Field, Client, s.Value, "what runs is what the files come to: "+s.Text(), o))
	}
	return results
}

// sameSetting compares a value of the policy with a text of Envoy's.
func sameSetting(s Setting, running string) bool { return liveText(s, running) == s.Text() }

// liveText writes a text of Envoy's as the policy writes the same value.
func liveText(s Setting, running string) string {
	if n, err := strconv.ParseUint(running, 10, 32); err == nil {
		endless := uint64(mesh.Unlimited)
		if s.Field == fieldPerConnection {
			endless = 0
		}
		if n == endless {
			return unlimited
		}
		return strconv.FormatUint(n, 10)
	}
	if d, err := time.ParseDuration(running); err == nil {
		if d == 0 {
			return none
		}
		return short(d)
	}
	return running
}

// Live is a running system that may be sent so much and no more.
type Live struct {
	MaxRate float64
	Seconds float64
}

// PlanLive returns the trials that a running system allows without a fault: at most the
// rate that is allowed is sent, to see whether anything is shed below the limits, and
// what the limits do if that reaches them.
func (s Setup) PlanLive(l Live) []Trial {
	http := s.Client.ConnectionPool.HTTP
	half := seconds(l.Seconds / 2)
	send := func(rate float64) Load { return load(rate, math.Max(100, rate), 10*time.Second) }
	steps := []Step{
		{Name: "half of the rate", Load: send(l.MaxRate / 2), For: half},
		{Name: "the whole rate", Load: send(l.MaxRate), For: half},
	}
	var trials []Trial
	if limit := http.MaxRequests; isSet(limit) {
		t := Trial{
			Name: "http2MaxRequests of the running client", Field: fieldRequests, Side: Client, Limit: limit.Value, Parts: []Part{{Steps: steps}},
			Expected: fmt.Sprintf("up to %.0f/s, requests are shed only when %d are in flight", l.MaxRate, limit.Value),
		}
		t.judge = func(facts []Facts) outcome { return s.judgeLive(float64(limit.Value), facts) }
		trials = append(trials, t)
	}
	if limit := http.MaxRequestsPerConnection; isSet(limit) {
		t := Trial{
			Name: "maxRequestsPerConnection of the running client", Field: fieldPerConnection, Side: Client, Limit: limit.Value, Parts: []Part{{Steps: steps}},
			Expected: fmt.Sprintf("connections end after %s, without an error", plural(int(limit.Value), "request")),
		}
		t.judge = func(facts []Facts) outcome {
			f := facts[1]
			ended := facts[0].Client["upstream_cx_max_requests"] + f.Client["upstream_cx_max_requests"]
			observed := fmt.Sprintf("%.0f connections ended at the limit, %d of %d answered well", ended, f.Good, f.Sent)
			switch {
			case f.Errors[classReset] > 0:
				return failed(observed, "%d requests were reset", f.Errors[classReset])
			case ended == 0:
				return unmeasured(observed, "within %.0f/s no connection came to its end", l.MaxRate)
			}
			return passed(observed)
		}
		trials = append(trials, t)
	}
	return trials
}

func (s Setup) judgeLive(limit float64, facts []Facts) outcome {
	shed, most := facts[0].shed(Client)+facts[1].shed(Client), 0.0
	for _, f := range facts {
		most = math.Max(most, peak(f, func(p Point) float64 { return p.InFlight }))
	}
	observed := fmt.Sprintf("%.0f of %d shed by the client, at most %.0f in flight; callers saw %v", shed, facts[0].Sent+facts[1].Sent, most, facts[1].Errors)
	_, known := facts[1].Client["upstream_rq_active"]
	switch {
	case !known:
		return unmeasured(observed, "the running Envoy does not show upstream_rq_active: in Istio, proxyStatsMatcher has to include it")
	case most > limit+s.tolerance(limit):
		return failed(observed, "more were in flight than the limit")
	case shed > 0 && most < limit/2:
		return failed(observed, "requests were shed although no more than half of the limit were in flight")
	case shed == 0 && most < limit-s.tolerance(limit):
		return unmeasured(observed, "within the rate that is allowed no more than %.0f of %.0f were in flight", most, limit)
	}
	return passed(observed)
}
