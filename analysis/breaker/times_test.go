package breaker_test

import (
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/breaker"
)

// Trials take the times of the policy, and shorter ones with Fast alone.
func TestTimesOfTrials(t *testing.T) {
	const rule = "{connectionPool: {tcp: {connectTimeout: 3s}, http: {idleTimeout: 10s, maxRetries: 5}}, outlierDetection: {consecutive5xxErrors: 5, interval: 5s, baseEjectionTime: 10s, maxEjectionPercent: 50}}"
	for _, test := range []struct {
		name                          string
		fast                          bool
		connect, idle, interval, base time.Duration
		silent, firstOut, secondOut   time.Duration // at least that a trial waits
		pulse                         time.Duration
	}{
		{"as they are", false, 3 * time.Second, 10 * time.Second, 5 * time.Second, 10 * time.Second, 10 * time.Second, 15 * time.Second, 25 * time.Second, 10 * time.Second},
		{"shortened", true, 500 * time.Millisecond, time.Second, time.Second, 2 * time.Second, time.Second, 3 * time.Second, 5 * time.Second, 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := setup(t, rule, 3)
			s.Fast = test.fast
			connect, idle, out := trial(t, s, "connectTimeout"), trial(t, s, "idleTimeout"), trial(t, s, "how long")
			if got := connect.Parts[0].Bench.Client.ConnectionPool.TCP.ConnectTimeout.Value; got != test.connect {
				t.Errorf("connectTimeout: got %s, want %s", got, test.connect)
			}
			if got := idle.Parts[0].Bench.Client.ConnectionPool.HTTP.IdleTimeout.Value; got != test.idle {
				t.Errorf("idleTimeout: got %s, want %s", got, test.idle)
			}
			if steps := idle.Parts[0].Steps; steps[1].For+steps[2].For < test.silent || steps[1].For >= test.silent {
				t.Errorf("idleTimeout: looked at after %s and %s", steps[1].For, steps[1].For+steps[2].For)
			}
			o := out.Parts[0].Bench.Client.OutlierDetection
			if o.Interval.Value != test.interval || o.BaseEjectionTime.Value != test.base {
				t.Errorf("ejections: got %s and %s, want %s and %s", o.Interval.Value, o.BaseEjectionTime.Value, test.interval, test.base)
			}
			if steps := out.Parts[0].Steps; steps[1].For < test.firstOut || steps[3].For < test.secondOut {
				t.Errorf("ejections are waited for %s and %s, want at least %s and %s", steps[1].For, steps[3].For, test.firstOut, test.secondOut)
			}
			if got := overloaded(trial(t, s, "overload pulse")); got != test.pulse {
				t.Errorf("the pulse: got %s, want %s", got, test.pulse)
			}
		})
	}
}

// overloaded is how long the highest rate of a trial is sent.
func overloaded(trial breaker.Trial) (length time.Duration) {
	for _, step := range trial.Parts[0].Steps {
		most := 0.0
		for _, at := range step.Load.Curve {
			most = max(most, at.Rate)
		}
		for i, at := range step.Load.Curve {
			if i > 0 && at.Rate == most && step.Load.Curve[i-1].Rate == most {
				length += at.At - step.Load.Curve[i-1].At
			}
		}
	}
	return length
}
