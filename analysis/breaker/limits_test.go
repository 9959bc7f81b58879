package breaker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/breaker"
)

// A limit on connections makes requests wait; how long is no matter of the verdict, as
// long as they are answered.
func TestJudgeConnections(t *testing.T) {
	trial := trial(t, setup(t, "{connectionPool: {tcp: {maxConnections: 100}}}", 3), "maxConnections")
	hold := trial.Parts[0].Steps[0].Faults[0].Hold
	if patience := trial.Parts[0].Steps[1].Load.Timeout; patience < 30*time.Second {
		t.Errorf("callers give up after %s: a pool with one connection works off 100 requests in 30 s", patience)
	}
	looks := func(connections float64) []breaker.Point { return []breaker.Point{{Connections: connections}} }
	over := func(slowest time.Duration, connections float64, errors map[string]int64) breaker.Facts {
		f := breaker.Facts{Sent: 450, Good: 450, Errors: errors, Points: looks(connections), Client: map[string]float64{"upstream_cx_overflow": 9}}
		for class, n := range errors {
			f.Good -= n
			if class == "timed-out" {
				f.TimedOut = n
			}
		}
		f.Latency = latency(answers{400, hold}, answers{50, slowest})
		return f
	}
	for _, test := range []struct {
		name    string
		under   map[string]int64
		over    breaker.Facts
		verdict breaker.Verdict
		because string
	}{
		{"they wait", nil, over(2*hold, 100, nil), breaker.Pass, ""},
		{"a few wait very long", nil, over(20*hold, 103, nil), breaker.Pass, ""},
		{"some are not answered in time", nil, over(20*hold, 100, map[string]int64{"timed-out": 21}), breaker.NotMeasurable, "21 requests still waited after 30s"},
		{"some are shed", nil, over(2*hold, 100, map[string]int64{"overflow": 3, "timed-out": 21}), breaker.Fail, "sheds nothing by itself: 3 overflow, 21 timed-out"},
		{"errors below it", map[string]int64{"overflow": 1}, over(2*hold, 100, nil), breaker.Fail, "below the limit: 1 overflow"},
		{"more connections", nil, over(2*hold, 110, nil), breaker.Fail, "more than the limit, and 6"},
		{"nobody waits", nil, over(hold, 100, nil), breaker.Fail, "no request waited"},
	} {
		t.Run(test.name, func(t *testing.T) {
			under := breaker.Facts{Sent: 200, Good: 200, Errors: test.under, Points: looks(70)}
			got := trial.Judge([]breaker.Facts{under, test.over}, 3)
			if got.Verdict != test.verdict || !strings.Contains(got.Reason, test.because) || (test.because == "") != (got.Reason == "") {
				t.Errorf("got %s because %q, want %s because of %q", got.Verdict, got.Reason, test.verdict, test.because)
			}
		})
	}
}

// What a machine did that stood still says nothing of the policy, unless it was as it
// should be all the same.
func TestJudgeAfterAStandstill(t *testing.T) {
	trial := trial(t, setup(t, "{connectionPool: {http: {maxRetries: 3}}}", 3), "pulse")
	for _, test := range []struct {
		name  string
		after float64 // of the rate before
		still float64 // seconds
		want  breaker.Verdict
	}{
		{"not back", 0.2, 0, breaker.Fail},
		{"not back, after a short one", 0.2, 1.5, breaker.Fail},
		{"not back, after a long one", 0.2, 1800, breaker.NotMeasurable},
	} {
		f := pulsed(84, 10, 84*test.after, 0)
		for i := range f.Points {
			if f.Points[i].Seconds > 11 {
				f.Points[i].Seconds += test.still
			}
		}
		if got := trial.Judge([]breaker.Facts{f}, 15); got.Verdict != test.want {
			t.Errorf("%s: got %s, %q, because %q, want %s", test.name, got.Verdict, got.Observed, got.Reason, test.want)
		}
	}
	bad := setup(t, "{outlierDetection: {consecutive5xxErrors: 5, maxEjectionPercent: 50}}", 3)
	slept := []breaker.Point{{Seconds: 1}, {Seconds: 1801}}
	calm := breaker.Facts{Sent: 60, Good: 60, Points: slept}
	out := breaker.Facts{Sent: 60, Good: 55, Errors: breaker.Errors{"service-5xx": 5}, Client: map[string]float64{"outlier_detection.ejections_enforced_total": 1}, Points: slept}
	found, err := breaker.Select(breaker.Plan(bad), []string{"one bad endpoint"})
	if err != nil {
		t.Fatal(err)
	}
	if got := found[0].Judge([]breaker.Facts{calm, out, calm}, 9); got.Verdict != breaker.Pass {
		t.Errorf("ejected all the same: got %s because %q", got.Verdict, got.Reason)
	}
}
