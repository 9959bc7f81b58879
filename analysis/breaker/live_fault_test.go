package breaker

import (
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// ejecting is a policy with outlier detection, of so many endpoints.
func ejecting(endpoints int, percent, errors uint32) Setup {
	p := mesh.IstioDefaults()
	p.OutlierDetection.Enabled.Value = true
	p.OutlierDetection.Consecutive5xxErrors.Value, p.OutlierDetection.MaxEjectionPercent.Value = errors, percent
	p.OutlierDetection.BaseEjectionTime.Value, p.OutlierDetection.Interval.Value = 30*time.Second, 10*time.Second
	return Setup{Client: p, Workers: 1, Endpoints: endpoints}
}

func TestLiveEjectsPlan(t *testing.T) {
	base := liveFacts(100, 100, 10*time.Millisecond, 1, counting(100), nil)
	for _, test := range []struct {
		name    string
		s       Setup
		live    Live
		trials  int
		because string
	}{
		{"the service offers no error", ejecting(4, 50, 5), Live{MaxRate: 100, Seconds: 10}, 0, ""},
		{"it offers one", ejecting(4, 50, 5), Live{MaxRate: 100, Seconds: 10, Failing: true}, 1, ""},
		{"without outlier detection", Setup{Client: mesh.IstioDefaults(), Endpoints: 4}, Live{MaxRate: 100, Seconds: 10, Failing: true}, 0, ""},
		{"all may be ejected", ejecting(4, 100, 5), Live{MaxRate: 100, Seconds: 10, Failing: true}, 1, "an outage of a running system"},
		{"no errors are counted", ejecting(4, 50, 0), Live{MaxRate: 100, Seconds: 10, Failing: true}, 1, "counts no errors"},
		{"it would take long", ejecting(40, 50, 100), Live{MaxRate: 10, Seconds: 10, Failing: true}, 1, "it takes 8000 errors"},
	} {
		t.Run(test.name, func(t *testing.T) {
			trials := test.s.PlanLive(test.live, base)
			if len(trials) != test.trials {
				t.Fatalf("got %d trials, want %d", len(trials), test.trials)
			}
			for _, trial := range trials {
				if (trial.Impossible == "") != (test.because == "") || !strings.Contains(trial.Impossible, test.because) {
					t.Errorf("got %q, want %q", trial.Impossible, test.because)
				}
				// Only the first step asks for errors, and never faster than is allowed.
				for i, step := range trial.Parts[0].Steps {
					if step.Load.Failing != (i == 0) || step.Load.Rate > min(test.live.MaxRate, failingRate) {
						t.Errorf("step %q asks for errors: %t, %g/s", step.Name, step.Load.Failing, step.Load.Rate)
					}
				}
			}
		})
	}
}

func TestLiveEjectsJudge(t *testing.T) {
	base := liveFacts(100, 100, 10*time.Millisecond, 1, counting(100), nil)
	outlier := func(total, ejections, declined float64) map[string]float64 {
		return map[string]float64{"upstream_rq_total": total, "outlier_detection.ejections_enforced_total": ejections, "outlier_detection.ejections_overflow": declined}
	}
	failing := func(errors int64, out float64, client map[string]float64) Facts {
		f := Facts{Sent: 60, Answered: 60, Good: 60 - errors, Errors: Errors{classService: errors}, Client: client}
		f.Points = []Point{{Ejected: 0}, {Ejected: out}}
		return f
	}
	well := Facts{Sent: 20, Good: 20, Seconds: 2}
	back := Facts{Seconds: 31, Last: map[string]float64{"outlier_detection.ejections_active": 0}}
	for _, test := range []struct {
		name    string
		percent uint32
		facts   []Facts
		want    Verdict
		because string
	}{
		{"as it should be", 50, []Facts{failing(60, 2, outlier(60, 2, 9)), well, back}, Pass, ""},
		{"never", 10, []Facts{failing(60, 0, outlier(60, 0, 12)), well, back}, Fail, "allows none of 4 endpoints to be ejected; one needs at least 25"},
		{"none, though allowed", 50, []Facts{failing(60, 0, outlier(60, 0, 0)), well, back}, Fail, "no endpoint was ejected"},
		{"others come between", 50, []Facts{failing(60, 0, outlier(500, 0, 0)), well, back}, NotMeasurable, "other callers sent 440"},
		{"no error", 50, []Facts{failing(0, 0, outlier(60, 0, 0)), well, back}, NotMeasurable, "--fault-url names nothing"},
		{"not counted", 50, []Facts{failing(60, 0, map[string]float64{"upstream_rq_total": 60}), well, back}, NotMeasurable, "proxyStatsMatcher"},
		{"more endpoints than said", 50, []Facts{failing(60, 3, outlier(60, 3, 0)), well, back}, NotMeasurable, "more are out than 2 of 4"},
		{"the others break", 50, []Facts{failing(60, 2, outlier(60, 2, 9)), {Sent: 20, Good: 10, Errors: Errors{classUnhealthy: 10}}, back}, Fail, "10 no-healthy-upstream"},
		{"one stays out", 50, []Facts{failing(60, 2, outlier(60, 2, 9)), well, {Seconds: 72, Last: map[string]float64{"outlier_detection.ejections_active": 1}}}, Fail, "still out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := ejecting(4, test.percent, 5).PlanLive(Live{MaxRate: 100, Seconds: 10, Failing: true}, base)[0]
			got := trial.Judge(test.facts, 40)
			if got.Verdict != test.want || !strings.Contains(got.Reason, test.because) || (test.because == "") != (got.Reason == "") {
				t.Errorf("got %s, observed %q, because %q, want %s because %q", got.Verdict, got.Observed, got.Reason, test.want, test.because)
			}
		})
	}
}
