package reports_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/reports/terminal"
	"github.com/sailplan-io/sailplan/scenarios/audit"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

func breakerReport() breaker.Report {
	p := mesh.IstioDefaults()
	return breaker.Report{
		Host: "reviews.prod.svc.cluster.local", Subset: "v2", Port: 80, Endpoints: 3, Workers: 2, Protocol: breaker.HTTP2, Fast: true, Envoy: "1.40.0",
		Notes:    []string{"3 endpoints are assumed"},
		Settings: breaker.Settings(p, p),
		Trials: []breaker.Result{
			{Name: "maxConnections", Field: "connectionPool.tcp.maxConnections", Limit: 100, Expected: "requests wait", Observed: "they do", Verdict: breaker.Pass, Seconds: 3,
				Timeline: []breaker.Point{{Seconds: 1, InFlight: 5}, {Seconds: 2, InFlight: 100, Shed: 4}, {Seconds: 3, InFlight: 90, Shed: 9}}},
			{Name: "one bad endpoint of 3", Field: "outlierDetection.maxEjectionPercent", Limit: 10, Expected: "it is ejected", Observed: "it is not", Verdict: breaker.Fail, Reason: "none of 3 may be", Seconds: 5,
				Timeline: []breaker.Point{{Seconds: 4, Errors: 1}, {Seconds: 5, Errors: 30}}},
			{Name: "idleTimeout", Expected: "it closes", Verdict: breaker.NotMeasurable, Reason: "it takes 12h"},
		},
		Judgements: []breaker.Result{{Name: "false trips of a client", Expected: "none", Observed: "25 in flight", Verdict: breaker.Pass}},
		Peak:       []breaker.Given{{Name: "rate", What: "rate of all clients together", Value: 500, Unit: "1/s", Source: "--peak"}},
		PeakRun:    "runs/a",
		Findings:   []audit.Finding{{Code: "SP011", Severity: audit.Error, Message: "nobody is ejected", File: "dr.yaml", Line: 9, Fix: "maxEjectionPercent: 34\n", Caution: []string{"only where the rest carries it"}}},
	}
}

func TestBreakerDocument(t *testing.T) {
	document := reports.Breaker(breakerReport())
	checks, series := 0, []string{}
	for _, s := range document.Sections {
		for _, b := range s.Blocks {
			switch b := b.(type) {
			case reports.Checks:
				checks += len(b.Items)
			case reports.Series:
				series = append(series, b.Title)
				if len(b.Markers) != 2 {
					t.Errorf("%s: got %d markers, want one for each trial that was looked at", b.Title, len(b.Markers))
				}
			}
		}
	}
	if checks != 4 {
		t.Errorf("got %d checks, want one for each trial and judgement", checks)
	}
	if len(series) != 3 {
		t.Errorf("got the charts %q, want what was in flight, shed and ejected", series)
	}
	var text bytes.Buffer
	if err := terminal.Write(&text, document, terminal.Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 of 3 trials and 1 judgement failed", "one bad endpoint of 3: none of 3 may be", "--fast", "dr.yaml:9", "maxEjectionPercent: 34",
		"only where the rest carries it", "1. maxConnections (100)", "2. one bad endpoint of 3  ", "by the run in runs/a", "rate of all clients together", "because: it takes 12h", "subset v2, port 80",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, text.String())
		}
	}
}

func TestBreakerVerdicts(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*breaker.Report)
		status reports.Status
		says   string
	}{
		{"failed", func(*breaker.Report) {}, reports.Failed, "1 of"},
		{"not measurable", func(r *breaker.Report) { r.Trials = r.Trials[2:] }, reports.Unknown, "could not be measured"},
		{"passed", func(r *breaker.Report) { r.Trials = r.Trials[:1] }, reports.Passed, "does what it says"},
		{"nothing to try", func(r *breaker.Report) { r.Trials, r.Judgements = nil, nil }, reports.Skipped, "nothing to try"},
		{"cut short", func(r *breaker.Report) { r.Trials, r.Incomplete = r.Trials[:1], "interrupted" }, reports.Unknown, "Not all trials were made"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := breakerReport()
			test.change(&r)
			v, ok := reports.Breaker(r).Sections[0].Blocks[0].(reports.Verdict)
			if !ok || v.Status != test.status || !strings.Contains(v.Text, test.says) {
				t.Errorf("got %+v, want %s that says %q", v, test.status, test.says)
			}
		})
	}
}

// An endpoint that is back for a moment is drawn, however many points there are.
func TestBreakerDrawsEjections(t *testing.T) {
	r := breakerReport()
	var points []breaker.Point
	for i := range 1003 {
		p := breaker.Point{Seconds: float64(i), Ejected: 1}
		if i == 501 {
			p.Ejected = 0
		}
		points = append(points, p)
	}
	r.Trials = []breaker.Result{{Name: "long", Verdict: breaker.Pass, Timeline: points}}
	for _, s := range reports.Breaker(r).Sections {
		for _, b := range s.Blocks {
			if series, ok := b.(reports.Series); ok && series.Title == "Ejected endpoints" {
				drawn := series.Lines[0].Points
				if len(drawn) > 300 || !slices.ContainsFunc(drawn, func(p reports.Point) bool { return p.X == 501 && p.Y == 0 }) {
					t.Errorf("got %d points, and not the moment at 501", len(drawn))
				}
				return
			}
		}
	}
	t.Error("ejections are not drawn")
}
