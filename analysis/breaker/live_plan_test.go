package breaker

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// liveFacts are those of a step with the counters of the client's Envoy.
func liveFacts(sent, good int64, latency time.Duration, inFlight float64, client map[string]float64, errors map[string]int64) Facts {
	f := Facts{Sent: sent, Answered: sent, Good: good, Errors: errors, Client: client, Last: map[string]float64{}, Latency: record.NewHistogram(), Points: []Point{{InFlight: inFlight, Client: inFlight}, {InFlight: inFlight, Client: inFlight}}}
	for range good {
		_ = f.Latency.RecordValue(int64(latency))
	}
	for range sent - good {
		_ = f.Latency.RecordValue(int64(time.Millisecond))
	}
	return f
}

// counting are the counters of an Envoy that keeps them.
func counting(n float64) map[string]float64 {
	return map[string]float64{"upstream_rq_total": n, "upstream_rq_active": 0, "upstream_rq_pending_overflow": 0}
}

func liveSetup() Setup {
	p := mesh.IstioDefaults()
	p.ConnectionPool.HTTP.MaxRequests.Value = 20
	p.ConnectionPool.HTTP.MaxRequestsPerConnection.Value = 9
	p.ConnectionPool.HTTP.IdleTimeout.Value = 5 * time.Second
	return Setup{Client: p, Workers: 2, Endpoints: 3}
}

// TestLiveLoadStaysAllowed: whatever is tried, nothing is sent faster than the user
// allowed.
func TestLiveLoadStaysAllowed(t *testing.T) {
	for _, maxRate := range []float64{0.5, 1, 7, 100, 600, 100_000} {
		system := Live{MaxRate: maxRate, Seconds: 10}
		base := liveFacts(100, 100, 100*time.Millisecond, 10, counting(100), nil)
		steps := []Step{system.Base()}
		for _, peak := range []float64{50, 1e6} {
			s := liveSetup()
			s.Peak = &Peak{RPS: peak}
			for _, trial := range s.PlanLive(system, base) {
				for _, part := range trial.Parts {
					steps = append(steps, part.Steps...)
				}
			}
		}
		for _, step := range steps {
			if step.Load.Rate > maxRate || math.IsNaN(step.Load.Rate) || step.For <= 0 || step.Faults != nil || step.Then != nil {
				t.Errorf("at most %g/s: step %q sends %g/s for %s, with faults %v", maxRate, step.Name, step.Load.Rate, step.For, step.Faults)
			}
		}
	}
}

// TestLiveRequestsTrial: 20 in flight of answers that take 100 ms are exceeded by
// half at 300/s, by Little's law.
func TestLiveRequestsTrial(t *testing.T) {
	base := liveFacts(100, 100, 100*time.Millisecond, 3, counting(100), nil)
	shed := func(n float64) map[string]float64 { return map[string]float64{"upstream_rq_active_overflow": n} }
	overflow := func(n int64) map[string]int64 { return map[string]int64{classOverflow: n} }
	for name, test := range map[string]struct {
		maxRate     float64
		under, over Facts
		want        Verdict
		because     string
	}{
		"as it should be":      {600, liveFacts(500, 500, 100*time.Millisecond, 11, nil, nil), liveFacts(1500, 1000, 100*time.Millisecond, 20, shed(500), overflow(500)), Pass, ""},
		"not allowed":          {299, Facts{}, Facts{}, NotMeasurable, "takes 300/s, and --max-rate allows 299/s"},
		"sheds below":          {600, liveFacts(500, 400, 100*time.Millisecond, 9, shed(100), overflow(100)), liveFacts(1500, 1000, 100*time.Millisecond, 20, shed(500), overflow(500)), Fail, "although no more than 9 were in flight"},
		"others fill it":       {600, liveFacts(500, 400, 100*time.Millisecond, 20, shed(100), overflow(100)), liveFacts(1500, 1000, 100*time.Millisecond, 20, shed(500), overflow(500)), NotMeasurable, "other callers"},
		"never sheds":          {600, liveFacts(500, 500, 100*time.Millisecond, 11, nil, nil), liveFacts(1500, 1500, 100*time.Millisecond, 30, nil, nil), Fail, "more were in flight than the limit"},
		"not exceeded":         {600, liveFacts(500, 500, 100*time.Millisecond, 11, nil, nil), liveFacts(1500, 1500, 50*time.Millisecond, 14, nil, nil), NotMeasurable, "not exceeded"},
		"a lower limit":        {600, liveFacts(500, 500, 100*time.Millisecond, 9, nil, nil), liveFacts(1500, 700, 100*time.Millisecond, 12, shed(800), overflow(800)), Fail, "a lower limit is in force"},
		"another Envoy sheds":  {600, liveFacts(500, 500, 100*time.Millisecond, 11, nil, nil), liveFacts(1500, 1000, 100*time.Millisecond, 15, nil, overflow(500)), NotMeasurable, "another replica sheds"},
		"admitted work harmed": {600, liveFacts(500, 500, 100*time.Millisecond, 11, nil, nil), liveFacts(1500, 1000, 900*time.Millisecond, 20, shed(500), overflow(500)), Fail, "admitted work was harmed"},
		"the service breaks":   {600, liveFacts(500, 500, 100*time.Millisecond, 11, nil, nil), liveFacts(1500, 500, 100*time.Millisecond, 20, shed(500), map[string]int64{classOverflow: 500, classService: 500}), NotMeasurable, "in another way"},
	} {
		t.Run(name, func(t *testing.T) {
			trial := liveSetup().PlanLive(Live{MaxRate: test.maxRate, Seconds: 10}, base)[0]
			if trial.Field != fieldRequests {
				t.Fatalf("the first trial is %s", trial.Name)
			}
			got := trial.Judge([]Facts{test.under, test.over}, 10)
			if got.Verdict != test.want || !strings.Contains(got.Reason, test.because) {
				t.Errorf("got %s, observed %q, because %q, want %s because %q", got.Verdict, got.Observed, got.Reason, test.want, test.because)
			}
		})
	}
}

// TestLiveOfSeveralEnvoys: each has limits of its own, and all are exceeded by their
// number times what exceeds one. Where looks are a quarter of a minute apart, as scrapes
// often are, steps last long enough for some of them.
func TestLiveOfSeveralEnvoys(t *testing.T) {
	base := liveFacts(100, 100, 100*time.Millisecond, 3, counting(100), nil)
	l := Live{MaxRate: 900, Seconds: 10, Envoys: 3, Every: 15 * time.Second}
	trial := liveSetup().PlanLive(l, base)[0]
	under, over := trial.Parts[0].Steps[0], trial.Parts[0].Steps[1]
	if math.Abs(under.Load.Rate-300) > 3 || math.Abs(over.Load.Rate-900) > 9 || under.For < time.Minute || over.For < time.Minute {
		t.Errorf("got %.0f/s for %s and %.0f/s for %s, want 300/s and 900/s for a minute", under.Load.Rate, under.For, over.Load.Rate, over.For)
	}
	l.MaxRate = 800
	if why := liveSetup().PlanLive(l, base)[0].Impossible; !strings.Contains(why, "20 in flight at each of 3 Envoys takes 900/s") {
		t.Errorf("at most 800/s: got %q", why)
	}
	calm, shed := liveFacts(500, 500, 100*time.Millisecond, 11, nil, nil), map[string]float64{"upstream_rq_active_overflow": 500}
	over3 := liveFacts(1500, 1000, 100*time.Millisecond, 60, shed, map[string]int64{classOverflow: 500})
	for i := range over3.Points {
		over3.Points[i].Client = 20 // 60 at all of them together
	}
	if got := trial.Judge([]Facts{calm, over3}, 10); got.Verdict != Pass {
		t.Errorf("20 at each of three: got %s, %s", got.Verdict, got.Reason)
	}
	over3.Points = over3.Points[:1]
	if got := trial.Judge([]Facts{calm, over3}, 10); got.Verdict != NotMeasurable || !strings.Contains(got.Reason, "2 and 1 times only") {
		t.Errorf("seen once: got %s, %s", got.Verdict, got.Reason)
	}
}

func TestBaseProblem(t *testing.T) {
	counted := counting(100)
	for name, test := range map[string]struct {
		base Facts
		want string
	}{
		"well":                 {liveFacts(100, 100, time.Millisecond, 1, counted, nil), ""},
		"nothing sent":         {Facts{}, "nothing could be sent"},
		"errors":               {liveFacts(100, 90, time.Millisecond, 1, counted, map[string]int64{classService: 10}), "went wrong at the lowest rate"},
		"past the Envoy":       {liveFacts(100, 100, time.Millisecond, 1, counting(3), nil), "does not lead through it"},
		"no statistics":        {liveFacts(100, 100, time.Millisecond, 1, map[string]float64{}, nil), "proxyStatsMatcher"},
		"beside other callers": {liveFacts(100, 100, time.Millisecond, 1, counting(900), nil), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := baseProblem(test.base); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
