package breaker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/scenarios/audit"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// policy is the effective policy of a traffic policy in YAML, in one line.
func policy(t testing.TB, traffic string) mesh.Policy {
	t.Helper()
	const head = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r, namespace: prod}\nspec:\n  host: reviews\n  trafficPolicy: "
	objects, err := mesh.Parse("dr.yaml", []byte(head+traffic+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := mesh.EffectiveFor(objects, "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func setup(t testing.TB, traffic string, endpoints int) breaker.Setup {
	p := policy(t, traffic)
	return breaker.Setup{Client: p, Server: p, Endpoints: endpoints, Workers: 2, Protocol: breaker.HTTP2, Fast: true}
}

const usual = "{connectionPool: {tcp: {maxConnections: 100, connectTimeout: 5s}, http: {http2MaxRequests: 1000, maxRequestsPerConnection: 100}}, outlierDetection: {consecutive5xxErrors: 5, interval: 30s, baseEjectionTime: 30s%s}}"

func usualRule(more string) string { return strings.Replace(usual, "%s", more, 1) }

func TestPlan(t *testing.T) {
	always := []string{"the whole policy below its limits", "prediction: 1 client, 1 endpoint", "prediction: 1 client, 3 endpoints", "prediction: 2 clients, 1 endpoint",
		"prediction: 2 clients, 3 endpoints", "prediction: 4 clients, 1 endpoint", "prediction: 4 clients, 3 endpoints", "overload pulse"}
	limits := []string{"http2MaxRequests of a client", "http2MaxRequests of a server", "maxConnections", "maxRequestsPerConnection", "connectTimeout"}
	for _, test := range []struct {
		name, traffic string
		endpoints     int
		want          []string
	}{
		{"the usual rule never ejects", usualRule(""), 3, slices.Concat(limits, []string{"one bad endpoint of 3"}, always)},
		{"with 50 it does", usualRule(", maxEjectionPercent: 50"), 3, slices.Concat(limits, []string{"one bad endpoint of 3", "an endpoint that refuses connections", "how long an endpoint is out", "2 bad endpoints of 3"}, always)},
		{"one endpoint", "{outlierDetection: {maxEjectionPercent: 100}}", 1, []string{"the only endpoint bad for a moment", "the whole policy below its limits", "overload pulse"}},
		{"all may be ejected", "{outlierDetection: {maxEjectionPercent: 100, consecutiveGatewayErrors: 3}}", 2,
			[]string{"one bad endpoint of 2", "consecutiveGatewayErrors", "an endpoint that refuses connections", "how long an endpoint is out", "all endpoints bad for a moment", "the whole policy below its limits", "overload pulse"}},
		{"zeros set nothing", "{connectionPool: {tcp: {maxConnections: 0}, http: {http2MaxRequests: 0, maxRetries: 0}}}", 3, []string{"overload pulse"}},
		{"a budget in place of maxRetries", "{connectionPool: {http: {maxRetries: 5, http1MaxPendingRequests: 9, idleTimeout: 30s, maxConcurrentStreams: 10}}, retryBudget: {percent: 10}}", 2,
			[]string{"http1MaxPendingRequests on a warm pool", "http1MaxPendingRequests on a cold pool", "maxConcurrentStreams", "retryBudget", "idleTimeout", "overload pulse"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, trial := range breaker.Plan(setup(t, test.traffic, test.endpoints)) {
				got = append(got, trial.Name)
				if trial.Expected == "" || trial.Field == "" || len(trial.Parts) == 0 {
					t.Errorf("%s says too little: %+v", trial.Name, trial)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// What one machine cannot do is told before it is tried.
func TestImpossible(t *testing.T) {
	for traffic, want := range map[string]string{
		"{connectionPool: {http: {http2MaxRequests: 1000000}}}":                                    "cannot exceed the limit",
		"{outlierDetection: {consecutive5xxErrors: 0}}":                                            "counts no errors",
		"{connectionPool: {http: {idleTimeout: 12h}}}":                                             "--fast shortens it",
		"{outlierDetection: {interval: 1h, baseEjectionTime: 1h, maxEjectionPercent: 50}}":         "--fast shortens it",
		"{connectionPool: {http: {maxRequestsPerConnection: 10000000}}}":                           "connections that end after",
		"{connectionPool: {tcp: {connectTimeout: 1h}}}":                                            "--fast shortens it",
		"{retryBudget: {percent: 100}}":                                                            "any number of retries",
		"{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 100000000}}}": "cannot exceed the limit",
		"{connectionPool: {http: {maxConcurrentStreams: 1000000}}}":                                "cannot exceed the limit",
		"{connectionPool: {tcp: {maxConnections: 50000}}}":                                         "cannot exceed the limit",
		"{connectionPool: {http: {maxRetries: 50000}}}":                                            "cannot exceed the limit",
	} {
		s := setup(t, traffic, 3)
		s.Fast = false
		found := ""
		for _, trial := range breaker.Plan(s) {
			if trial.Impossible == "" {
				continue
			}
			found += trial.Impossible
			if got := trial.Judge(nil, 0); got.Verdict != breaker.NotMeasurable || got.Reason != trial.Impossible {
				t.Errorf("%s: got %s because %q", traffic, got.Verdict, got.Reason)
			}
		}
		if !strings.Contains(found, want) {
			t.Errorf("%s: got %q, want it to contain %q", traffic, found, want)
		}
	}
}

// The rows were seen on Envoy 1.40.
func TestEjectable(t *testing.T) {
	for _, test := range []struct {
		endpoints int
		percent   uint32
		want      int
	}{{2, 49, 0}, {2, 50, 1}, {3, 33, 0}, {3, 34, 1}, {4, 50, 2}, {9, 10, 0}, {10, 10, 1}, {12, 10, 1}, {1, 100, 1}} {
		if got := breaker.Ejectable(test.endpoints, test.percent); got != test.want {
			t.Errorf("%d %% of %d: got %d, want %d", test.percent, test.endpoints, got, test.want)
		}
	}
}

// trial returns the only trial of a plan whose name contains the words.
func trial(t *testing.T, s breaker.Setup, words string) breaker.Trial {
	t.Helper()
	found, err := breaker.Select(breaker.Plan(s), []string{words})
	if err != nil || len(found) != 1 {
		t.Fatalf("got %d trials of %q, %v", len(found), words, err)
	}
	return found[0]
}

// answers are n answers of a length.
type answers struct {
	n    int64
	took time.Duration
}

func latency(all ...answers) *hdrhistogram.Histogram {
	h := hdrhistogram.New(1000, int64(time.Hour), 3)
	for _, a := range all {
		_ = h.RecordValues(int64(a.took), a.n) // within range
	}
	return h
}

func inFlight(n ...float64) []breaker.Point {
	points := make([]breaker.Point, len(n))
	for i := range n {
		points[i] = breaker.Point{Seconds: float64(i), InFlight: n[i]}
	}
	return points
}

func TestJudgeRequests(t *testing.T) {
	trial := trial(t, setup(t, "{connectionPool: {http: {http2MaxRequests: 100}}}", 2), "http2MaxRequests of a client")
	hold := trial.Parts[0].Steps[0].Faults[0].Hold
	under := func() breaker.Facts {
		return breaker.Facts{Sent: 200, Good: 200, Latency: latency(answers{200, hold}), Points: inFlight(70)}
	}
	over := func() breaker.Facts {
		return breaker.Facts{
			Sent: 400, Good: 280, Errors: map[string]int64{"overflow": 120}, Client: map[string]float64{"upstream_rq_active_overflow": 120},
			Latency: latency(answers{120, time.Millisecond}, answers{280, hold + time.Millisecond}), Points: inFlight(50, 100, 101, 99),
		}
	}
	for _, test := range []struct {
		name    string
		change  func(under, over *breaker.Facts)
		verdict breaker.Verdict
		because string
	}{
		{"as it should be", func(_, _ *breaker.Facts) {}, breaker.Pass, ""},
		{"threads let one each through", func(_, o *breaker.Facts) { o.Points = inFlight(103) }, breaker.Pass, ""},
		{"counted as before Envoy 1.38", func(_, o *breaker.Facts) { o.Client = map[string]float64{"upstream_rq_pending_overflow": 120} }, breaker.Pass, ""},
		{"too many let through", func(_, o *breaker.Facts) { o.Points = inFlight(110) }, breaker.Fail, "more were in flight"},
		{"sheds too early", func(_, o *breaker.Facts) { o.Points = inFlight(80) }, breaker.Fail, "fewer than the limit"},
		{"sheds below", func(u, _ *breaker.Facts) { u.Client = map[string]float64{"upstream_rq_active_overflow": 1} }, breaker.Fail, "were shed although"},
		{"never full", func(_, o *breaker.Facts) { o.Client, o.Errors, o.Points = nil, nil, inFlight(60) }, breaker.NotMeasurable, "could not exceed"},
		{"no limit at all", func(_, o *breaker.Facts) { o.Client, o.Errors, o.Points = nil, nil, inFlight(101) }, breaker.Fail, "nothing was shed"},
		{"another class", func(_, o *breaker.Facts) { o.Errors = map[string]int64{"service-5xx": 120} }, breaker.Fail, "callers saw 0"},
		{"some late, a busy machine", func(_, o *breaker.Facts) {
			o.Latency = latency(answers{60, time.Millisecond}, answers{340, hold})
		}, breaker.NotMeasurable, "too busy"},
		{"not at once", func(_, o *breaker.Facts) { o.Latency = latency(answers{400, hold}) }, breaker.Fail, "within half of the time"},
		{"the rest is harmed", func(_, o *breaker.Facts) { o.Latency = latency(answers{120, time.Millisecond}, answers{280, 3 * hold}) }, breaker.Fail, "admitted work was harmed"},
		{"a busy machine", func(u, _ *breaker.Facts) { u.Latency = latency(answers{200, 2 * hold}) }, breaker.NotMeasurable, "too busy"},
		{"counters not readable", func(_, o *breaker.Facts) { o.Unread = 50 }, breaker.NotMeasurable, "could not be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, o := under(), over()
			test.change(&u, &o)
			got := trial.Judge([]breaker.Facts{u, o}, 3)
			if got.Verdict != test.verdict || !strings.Contains(got.Reason, test.because) || (test.because == "") != (got.Reason == "") {
				t.Errorf("got %s because %q, want %s because of %q", got.Verdict, got.Reason, test.verdict, test.because)
			}
		})
	}
	if got := trial.Judge([]breaker.Facts{under()}, 3); got.Verdict != breaker.NotMeasurable {
		t.Errorf("half of a trial: got %s", got.Verdict)
	}
}

func TestJudgeBadEndpoint(t *testing.T) {
	calm := breaker.Facts{Sent: 60, Good: 60}
	errors := func(n int64) breaker.Facts {
		return breaker.Facts{Sent: 60, Good: 60 - n, Errors: map[string]int64{"service-5xx": n}}
	}
	ejecting := func(f breaker.Facts) breaker.Facts {
		f.Client = map[string]float64{"outlier_detection.ejections_enforced_total": 1}
		return f
	}
	for _, test := range []struct {
		name, more string
		facts      []breaker.Facts
		verdict    breaker.Verdict
		because    string
	}{
		{"ejected", ", maxEjectionPercent: 50", []breaker.Facts{calm, ejecting(errors(5)), calm}, breaker.Pass, ""},
		{"a few came meanwhile", ", maxEjectionPercent: 50", []breaker.Facts{calm, ejecting(errors(9)), calm}, breaker.Pass, ""},
		{"too late", ", maxEjectionPercent: 50", []breaker.Facts{calm, ejecting(errors(30)), calm}, breaker.Fail, "more than the 5"},
		{"too early", ", maxEjectionPercent: 50", []breaker.Facts{calm, ejecting(errors(2)), calm}, breaker.Fail, "fewer errors"},
		{"still asked", ", maxEjectionPercent: 50", []breaker.Facts{calm, ejecting(errors(5)), errors(20)}, breaker.Fail, "still got requests"},
		{"not ejected", ", maxEjectionPercent: 50", []breaker.Facts{calm, errors(40), errors(20)}, breaker.Fail, "allows 1 of 3"},
		{"never, by the default", "", []breaker.Facts{calm, errors(40), errors(20)}, breaker.Fail, "maxEjectionPercent 10 (Istio default) allows 0 of 3 endpoints to be ejected; one needs at least 34"},
		{"bad before", ", maxEjectionPercent: 50", []breaker.Facts{errors(1), ejecting(errors(5)), calm}, breaker.NotMeasurable, "before an endpoint was bad"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := trial(t, setup(t, usualRule(test.more), 3), "one bad endpoint").Judge(test.facts, 1)
			if got.Verdict != test.verdict || !strings.Contains(got.Reason, test.because) {
				t.Errorf("got %s because %q, want %s because of %q", got.Verdict, got.Reason, test.verdict, test.because)
			}
		})
	}
}

func TestJudgeEjectionTimes(t *testing.T) {
	trial := trial(t, setup(t, "{outlierDetection: {interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 50}}", 2), "how long")
	for _, test := range []struct {
		name    string
		outs    [2]float64
		blind   [2]float64 // when nothing is seen
		served  int64
		verdict breaker.Verdict
	}{
		{"to the next tick", [2]float64{2.9, 4.6}, [2]float64{}, 40, breaker.Pass},
		{"on the dot", [2]float64{2, 4}, [2]float64{}, 40, breaker.Pass},
		{"too short", [2]float64{1.2, 4.6}, [2]float64{}, 40, breaker.Fail},
		{"does not grow", [2]float64{2.9, 2.9}, [2]float64{}, 40, breaker.Fail},
		{"too long", [2]float64{2.9, 7}, [2]float64{}, 40, breaker.Fail},
		{"not asked again", [2]float64{2.9, 4.6}, [2]float64{}, 0, breaker.Fail},
		// The end of the second one, 8.5, lies in what was not seen.
		{"looked away for a moment", [2]float64{2.9, 4.6}, [2]float64{8, 9}, 40, breaker.Pass},
		{"looked away for long", [2]float64{2.9, 4.6}, [2]float64{6, 10}, 40, breaker.NotMeasurable},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Looks are a twentieth of a second apart, but for those that are left out.
			looks := func(from, to, ejected float64) (points []breaker.Point) {
				for at := from; at < to; at += 0.05 {
					if at < test.blind[0] || at > test.blind[1] {
						points = append(points, breaker.Point{Seconds: at, Ejected: ejected})
					}
				}
				return points
			}
			first, again := test.outs[0], test.outs[0]+1
			facts := make([]breaker.Facts, 5)
			facts[1].Points = slices.Concat(looks(0, first, 1), looks(first, again, 0))
			facts[3].Points = slices.Concat(looks(again, again+test.outs[1], 1), looks(again+test.outs[1], again+test.outs[1]+2, 0))
			facts[4] = breaker.Facts{Sent: 80, Good: 80, Endpoints: []breaker.Endpoint{{Requests: test.served}, {Requests: 80 - test.served}}}
			if got := trial.Judge(facts, 10); got.Verdict != test.verdict {
				t.Errorf("got %s because %q, want %s", got.Verdict, got.Reason, test.verdict)
			}
		})
	}
}

// pulsed are the points of a pulse whose good answers come at such rates.
func pulsed(before, over, after float64, backAfter float64) breaker.Facts {
	f := breaker.Facts{}
	good := 0.0
	const step = 0.1
	for i := range 120 { // 3 s, 3 s, 6 s
		at := float64(i) * step
		rate := before
		switch {
		case at >= 6+backAfter:
			rate = after
		case at >= 3:
			rate = over
		}
		good += rate * step
		f.Points = append(f.Points, breaker.Point{Seconds: at, Good: good, Retries: 2 * good})
	}
	return f
}

func TestJudgeRetryBudget(t *testing.T) {
	trial := trial(t, setup(t, "{retryBudget: {percent: 20, minRetryConcurrency: 3}}", 2), "retryBudget")
	for _, test := range []struct {
		name             string
		inFlight         []float64
		retries, refused float64
		verdict          breaker.Verdict
	}{
		// 100 first attempts, and retries that are a fifth of all: 125.
		{"a fifth of all", []float64{20, 100, 125, 124, 126}, 230, 680, breaker.Pass},
		{"an instant above", []float64{20, 100, 125, 160, 126}, 230, 680, breaker.Pass},
		{"no budget", []float64{20, 100, 250, 300, 300}, 2000, 0, breaker.Fail},
		{"a larger one", []float64{20, 100, 190, 200, 200}, 1000, 100, breaker.Fail},
		{"nothing retried", []float64{20, 100, 100, 100, 100}, 0, 900, breaker.Fail},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := breaker.Facts{Sent: 750, Points: inFlight(test.inFlight...), Client: map[string]float64{"upstream_rq_retry": test.retries, "upstream_rq_retry_overflow": test.refused}}
			if got := trial.Judge([]breaker.Facts{f}, 3); got.Verdict != test.verdict {
				t.Errorf("got %s, %q, because %q, want %s", got.Verdict, got.Observed, got.Reason, test.verdict)
			}
		})
	}
}

func TestJudgePulse(t *testing.T) {
	trial := trial(t, setup(t, "{connectionPool: {http: {maxRetries: 3}}}", 3), "pulse")
	const usual = 84.0 // 70 % of 120/s
	for _, test := range []struct {
		name    string
		facts   breaker.Facts
		verdict breaker.Verdict
		seen    string
	}{
		{"back at once", pulsed(usual, 10, usual, 0), breaker.Pass, "back after 0.0 s"},
		{"back later", pulsed(usual, 10, usual, 2), breaker.Pass, "back after 1.8 s"},
		{"not back", pulsed(usual, 10, 20, 0), breaker.Fail, "not back"},
		{"more came than on average", pulsed(usual, 10, 1.2*usual, 0), breaker.Pass, "100 % at the end"},
		{"half", pulsed(usual, 10, usual/2, 0), breaker.Fail, "50 % at the end"},
		{"bad from the start", pulsed(30, 10, usual, 0), breaker.NotMeasurable, "35 % before"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := trial.Judge([]breaker.Facts{test.facts}, 15)
			if got.Verdict != test.verdict || !strings.Contains(got.Observed, test.seen) {
				t.Errorf("got %s, %q, because %q, want %s with %q", got.Verdict, got.Observed, got.Reason, test.verdict, test.seen)
			}
		})
	}
}

func TestJudgeAgainstPeak(t *testing.T) {
	for _, test := range []struct {
		name, traffic string
		peak          breaker.Peak
		judgement     string
		verdict       breaker.Verdict
		text          string
	}{
		// B(50, n) ≤ 0.001 from n = 71 on, by Erlang's recursion in Python.
		{"a limit above", "{connectionPool: {http: {http2MaxRequests: 71}}}", breaker.Peak{RPS: 500, AnswerSeconds: 0.1, Clients: 1}, "false trips of a client", breaker.Pass, "71 would do"},
		{"a limit below", "{connectionPool: {http: {http2MaxRequests: 70}}}", breaker.Peak{RPS: 500, AnswerSeconds: 0.1, Clients: 1}, "false trips of a client", breaker.Fail, "from 71 on (dr.yaml:6)"},
		{"clients share it", "{connectionPool: {http: {http2MaxRequests: 70}}}", breaker.Peak{RPS: 500, AnswerSeconds: 0.1, Clients: 2}, "false trips of a client", breaker.Pass, "25 in flight"},
		{"never out", usualRule(""), breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1}, "errors until", breaker.Fail, "100 errors a second"},
		{"each client by itself", usualRule(", maxEjectionPercent: 50"), breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 4}, "errors until", breaker.Pass, "20 errors in all"},
		{"the rest carries it", usualRule(", maxEjectionPercent: 50"), breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1, CapacityRPS: 160}, "the rest", breaker.Pass, "150/s instead of 100/s"},
		{"the rest does not", usualRule(", maxEjectionPercent: 50"), breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1, CapacityRPS: 140}, "the rest", breaker.Fail, "one carries 140/s"},
		{"the rest was seen to carry it", usualRule(", maxEjectionPercent: 50"), breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1, SeenRPS: 160}, "the rest", breaker.Pass, "one was seen to carry 160/s"},
		{"the rest was not seen to carry it", usualRule(", maxEjectionPercent: 50"), breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1, SeenRPS: 140}, "the rest", breaker.Pass, "whether it carries more is not known"},
		{"all out", usualRule(", maxEjectionPercent: 100"), breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1}, "the rest", breaker.Fail, "none is left"},
		{"unbounded", "{outlierDetection: {}}", breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1}, "overload that", breaker.Fail, "any number"},
		{"bounded by clients", "{connectionPool: {http: {http2MaxRequests: 100}}}", breaker.Peak{RPS: 100, AnswerSeconds: 0.1, Clients: 2}, "overload that", breaker.Pass, "20 times the 10"},
		{"bounded by endpoints", "{connectionPool: {http: {http2MaxRequests: 100}}}", breaker.Peak{RPS: 100, AnswerSeconds: 0.1, Clients: 9}, "overload that", breaker.Pass, "30 times the 10"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := setup(t, test.traffic, 3)
			s.Peak = &test.peak
			for _, got := range s.Judge() {
				if !strings.HasPrefix(got.Name, test.judgement) {
					continue
				}
				text := strings.ReplaceAll(got.Observed+" "+got.Reason, "\u00a0", " ")
				if got.Verdict != test.verdict || !strings.Contains(text, test.text) {
					t.Errorf("got %s, %q, want %s with %q", got.Verdict, text, test.verdict, test.text)
				}
				return
			}
			t.Errorf("no judgement of %s", test.judgement)
		})
	}
}

// Whether an overload that sidecars shed can come about depends on what clients let
// through: the trial is made only then.
func TestOverloadOfTheEndpoints(t *testing.T) {
	for _, test := range []struct {
		clients int
		load    bool
	}{{3, false}, {4, true}} {
		s := setup(t, "{connectionPool: {http: {http2MaxRequests: 20}}, outlierDetection: {maxEjectionPercent: 50}}", 3)
		s.Peak = &breaker.Peak{RPS: 100, AnswerSeconds: 0.1, Clients: test.clients}
		trial := trial(t, s, "overload of the endpoints")
		if sends := trial.Parts[0].Steps[0].Load.Rate > 0; sends != test.load {
			t.Errorf("%d clients with 20 each before 3 endpoints with 20 each: sends %t, want %t", test.clients, sends, test.load)
		}
		if !test.load {
			if got := trial.Judge(make([]breaker.Facts, 1), 0); got.Verdict != breaker.Pass {
				t.Errorf("got %s, want a pass", got.Verdict)
			}
			continue
		}
		f := breaker.Facts{Sent: 100, Server: map[string]float64{"upstream_rq_active_overflow": 40}}
		if got := trial.Judge([]breaker.Facts{f}, 1); got.Verdict != breaker.Pass {
			t.Errorf("nobody is ejected: got %s, %s", got.Verdict, got.Reason)
		}
		f.Client = map[string]float64{"outlier_detection.ejections_enforced_total": 2}
		if got := trial.Judge([]breaker.Facts{f}, 1); got.Verdict != breaker.Fail {
			t.Errorf("endpoints are ejected: got %s", got.Verdict)
		}
	}
}

func TestJudgePrediction(t *testing.T) {
	trial := trial(t, setup(t, "{connectionPool: {http: {http2MaxRequests: 100}}}", 3), "prediction: 1 client, 1 endpoint")
	hold := trial.Parts[0].Steps[0].Faults[0].Hold
	// 1 500 arrive at 450/s: about 1 001 are answered and 499 shed.
	for _, test := range []struct {
		name     string
		answered int64
		took     time.Duration
		verdict  breaker.Verdict
	}{
		{"as foretold", 1001, hold, breaker.Pass},
		{"a little off", 1030, hold, breaker.Pass},
		{"too many", 1060, hold, breaker.Fail},
		{"too few", 900, hold, breaker.Fail},
		{"too few, on a busy machine", 900, hold * 5 / 4, breaker.NotMeasurable},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := breaker.Facts{Sent: 1500, Good: test.answered, Errors: map[string]int64{"overflow": 1500 - test.answered}, Latency: latency(answers{test.answered, test.took}, answers{1500 - test.answered, time.Millisecond})}
			if got := trial.Judge([]breaker.Facts{f}, 5); got.Verdict != test.verdict {
				t.Errorf("got %s, %q, %q, want %s", got.Verdict, got.Observed, got.Reason, test.verdict)
			}
		})
	}
}

func TestSafeFindings(t *testing.T) {
	findings := []audit.Finding{{Code: "SP011", Fix: "outlierDetection:\n  maxEjectionPercent: 34\n"}, {Code: "SP016", Fix: "keep"}}
	for _, test := range []struct {
		name     string
		capacity float64
		seen     float64
		fix      string
		caution  string
	}{
		{"nothing known", 0, 0, "maxEjectionPercent: 34", ""},
		{"one can be spared", 160, 0, "maxEjectionPercent: 34 # at most 66", ""},
		{"none can be spared", 120, 0, "", "Add endpoints first"},
		{"one can be spared by what was seen", 0, 160, "maxEjectionPercent: 34 # at most 66", ""},
		{"too little was seen to tell", 0, 120, "maxEjectionPercent: 34\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := setup(t, usualRule(""), 3)
			s.Peak = &breaker.Peak{RPS: 300, AnswerSeconds: 0.1, Clients: 1, CapacityRPS: test.capacity, SeenRPS: test.seen}
			got := s.SafeFindings(findings)
			if !strings.Contains(got[0].Fix, test.fix) || test.fix == "" && got[0].Fix != "" || !strings.Contains(strings.Join(got[0].Caution, " "), test.caution) || got[1].Fix != "keep" {
				t.Errorf("got %+v", got)
			}
		})
	}
	if findings[0].Fix == "" {
		t.Error("the caller's findings were changed")
	}
}

func TestSelect(t *testing.T) {
	plan := breaker.Plan(setup(t, usualRule(", maxEjectionPercent: 50"), 3))
	if got, err := breaker.Select(plan, []string{"OUTLIER"}); err != nil || len(got) != 4 {
		t.Errorf("by field: got %d, %v, want the 4 of outlier detection", len(got), err)
	}
	if got, err := breaker.Select(plan, nil); err != nil || len(got) != len(plan) {
		t.Errorf("without words: got %d of %d, %v", len(got), len(plan), err)
	}
	if _, err := breaker.Select(plan, []string{"maxConnections", "nonsense"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a word that fits nothing: %v", err)
	}
}

func TestSettings(t *testing.T) {
	p := policy(t, "{connectionPool: {tcp: {connectTimeout: 90s}, http: {http2MaxRequests: 11, maxRetries: 0}}}")
	effective := breaker.EffectiveOf(breaker.Settings(p, mesh.InboundFor(nil, p)))
	for field, want := range map[string]breaker.Effective{
		"connectionPool.http.http2MaxRequests":        {uint32(11), "dr.yaml:6"},
		"server.connectionPool.http.http2MaxRequests": {uint32(11), "dr.yaml:6"},
		"connectionPool.tcp.connectTimeout":           {"1m30s", "dr.yaml:6"},
		"connectionPool.http.maxRetries":              {"unlimited", "dr.yaml:6 (0 means not set: Istio default)"},
		"connectionPool.http.idleTimeout":             {"1h", "Istio default"},
		"outlierDetection":                            {false, "Istio default"},
	} {
		if got := effective[field]; got != want {
			t.Errorf("%s: got %v, want %v", field, got, want)
		}
	}
	if _, has := effective["server.outlierDetection"]; has {
		t.Error("outlier detection is said to hold inbound")
	}
}

func TestOutcome(t *testing.T) {
	result := func(v breaker.Verdict) breaker.Result { return breaker.Result{Verdict: v} }
	for _, test := range []struct {
		trials, judgements []breaker.Result
		want               breaker.Verdict
	}{
		{nil, nil, breaker.Pass},
		{[]breaker.Result{result(breaker.Pass)}, nil, breaker.Pass},
		{[]breaker.Result{result(breaker.Pass), result(breaker.NotMeasurable)}, nil, breaker.NotMeasurable},
		{[]breaker.Result{result(breaker.NotMeasurable)}, []breaker.Result{result(breaker.Fail)}, breaker.Fail},
	} {
		if got := (breaker.Report{Trials: test.trials, Judgements: test.judgements}).Outcome(); got != test.want {
			t.Errorf("%v %v: got %s, want %s", test.trials, test.judgements, got, test.want)
		}
	}
	if got := (breaker.Report{Trials: []breaker.Result{result(breaker.Pass)}, Incomplete: "interrupted"}).Outcome(); got != breaker.NotMeasurable {
		t.Errorf("cut short: got %s", got)
	}
}

// The finding that nobody is ever ejected names the trial that shows it, and no finding
// is changed by a trial that passed or is about something else.
func TestDemonstrate(t *testing.T) {
	r := breaker.Report{
		Trials: []breaker.Result{
			{Name: "a", Field: "connectionPool.tcp.maxConnections", Verdict: breaker.Fail, Observed: "of connections"},
			{Name: "one bad endpoint of 3", Field: "outlierDetection.maxEjectionPercent", Verdict: breaker.Fail, Observed: "never ejected"},
		},
		Findings: []audit.Finding{{Code: "SP011", Message: "none"}, {Code: "SP016", Message: "waits"}},
	}
	r.Demonstrate()
	if got := r.Findings[0].Message; got != "none; trial 2 shows it: never ejected" {
		t.Errorf("got %q", got)
	}
	if got := r.Findings[1].Message; got != "waits" {
		t.Errorf("got %q", got)
	}
	r.Trials[1].Verdict, r.Findings[0].Message = breaker.Pass, "none"
	if r.Demonstrate(); r.Findings[0].Message != "none" {
		t.Errorf("a trial that passed shows %q", r.Findings[0].Message)
	}
}
