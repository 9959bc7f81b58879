package analysis

import (
	"math"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// withTraffic gives the windows of production two kinds of requests, the share of the
// second of which is share of the index of the window, and CPU that pays 100 µs for the
// one and 250 µs for the other, 1 ns for a byte of whose 150 000.
func withTraffic(share func(i int) float64, change func(*record.Traffic)) func(*record.Record) {
	return func(rec *record.Record) {
		for i := range rec.Data {
			d := &rec.Data[i]
			n, large := float64(d.Counts.Answered), share(i)
			bytes := n * large * 150_000
			t := record.Traffic{Component: "gateway", ClassLabel: "path", AnswerBytes: &bytes,
				Classes: []record.Class{{Name: "small", Requests: n * (1 - large)}, {Name: "large", Requests: n * large}}}
			if change != nil {
				change(&t)
			}
			d.Traffic = []record.Traffic{t}
			// The samples of production pay 100 µs for each request: what a large one costs
			// more grows from the start of the window.
			more := 150e-6 * large * n / (d.SendEnd - d.Start).Seconds() / 2
			for k, s := range d.Samples {
				metrics := map[record.Metric]float64{record.DownRequests: s.Metrics[record.DownRequests]}
				metrics[record.CPUSeconds] = s.Metrics[record.CPUSeconds] + more*(s.At-d.Start).Seconds()
				d.Samples[k].Metrics = metrics
			}
		}
	}
}

func TestObservedCosts(t *testing.T) {
	wave := func(share float64) float64 { return 300 - 200*math.Cos(2*math.Pi*share) }
	samples := production(wave, nil)
	changing := func(i int) float64 { return 0.2 + 0.05*float64(i%7) }
	for _, test := range []struct {
		name   string
		share  func(int) float64
		change func(*record.Traffic)
		want   map[string]float64 // µs of CPU, by name; the others are not told
		nsByte float64            // 0: not told
		says   string
	}{
		{"told apart", changing, nil, map[string]float64{"small": 100, "large": 250}, 1, "told apart over"},
		{"a mix that stays", func(int) float64 { return 0.3 }, nil, nil, 0, "changed too little to tell them apart"},
		{"counted twice", changing, func(c *record.Traffic) {
			for i := range c.Classes {
				c.Classes[i].Requests *= 2
			}
		}, nil, 0, "count 2 times the requests that came in"},
		{"one is not counted", changing, func(c *record.Traffic) { c.Classes = c.Classes[:1] }, map[string]float64{"small": 100, notCounted: 250}, 1, `the rest is "not in classes"`},
		{"no bytes", changing, func(c *record.Traffic) { c.AnswerBytes = nil }, map[string]float64{"small": 100, "large": 250}, 0, "told apart over"},
		{"bytes alone", changing, func(c *record.Traffic) { c.Classes, c.ClassLabel = nil, "" }, nil, 1, "did not rise together"},
		{"bytes that rise with the requests", func(int) float64 { return 0.3 }, func(c *record.Traffic) { c.Classes, c.ClassLabel = nil, "" }, nil, 0, "does not tell the cost of a byte"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Analyze(observedRecord(samples, withTraffic(test.share, test.change)))
			if err != nil {
				t.Fatal(err)
			}
			costs := r.Components[1].RequestCosts
			if costs == nil || !strings.Contains(costs.Reason, test.says) {
				t.Fatalf("costs %+v, want them to say %q", costs, test.says)
			}
			sum := 0.0
			for _, request := range costs.ByRequest {
				want, told := test.want[request.Name]
				if e := request.CPUSeconds; e.OK() != told || told && math.Abs(e.Value-want*1e-6) > 0.01*want*1e-6 {
					t.Errorf("%s costs %g s, told %t; want %g µs, %t", request.Name, e.Value, e.OK(), want, told)
				}
				sum += request.Share
			}
			if len(costs.ByRequest) > 0 && math.Abs(sum-1) > 1e-9 {
				t.Errorf("the shares come to %g", sum)
			}
			if e := costs.CPUSecondsPerAnswerByte; e.OK() != (test.nsByte > 0) || e.OK() && math.Abs(e.Value-1e-9*test.nsByte) > 0.01e-9 {
				t.Errorf("a byte costs %+v, want %g ns", e, test.nsByte)
			}
			if e := costs.CPUSecondsPerRequestByte; e.OK() || test.says != "count 2 times the requests that came in" && !strings.Contains(firstWarning(e), "no series counts them") {
				t.Errorf("a byte of a request costs %+v, and none was counted", e)
			}
			if r.Components[0].RequestCosts != nil {
				t.Errorf("the service, of which nothing is told: %+v", r.Components[0].RequestCosts)
			}
		})
	}
}
