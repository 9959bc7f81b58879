package analysis

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// quotaPhase is a phase of two seconds at 1 000/s in which a gateway uses cores, and
// one of a hundred answers takes slow.
func quotaPhase(t *testing.T, at time.Duration, lifted bool, cores, throttled float64, slow time.Duration) record.PhaseData {
	t.Helper()
	const seconds = 4
	p := record.PhaseData{Phase: record.Phase{
		Spec:  scenarios.Phase{Kind: scenarios.KindQuota, Process: scenarios.Constant, Rate: scenarios.PerSecond(1000), Duration: seconds * time.Second, QuotasLifted: lifted},
		Start: at, SendEnd: at + seconds*time.Second, End: at + seconds*time.Second, Ended: record.EndedDone,
		Counts: record.Counts{Intended: 1000 * seconds, Sent: 1000 * seconds, Answered: 1000 * seconds},
	}}
	p.Latency, p.Service, p.SendLag = record.NewHistogram(), record.NewHistogram(), record.NewHistogram()
	for s := range seconds {
		second := record.SecondLatency{Start: at + time.Duration(s)*time.Second, End: at + time.Duration(s+1)*time.Second,
			Values: []int64{int64(time.Millisecond), int64(slow)}, Counts: []int64{970, 30}}
		p.Seconds = append(p.Seconds, second)
		for i, v := range second.Values {
			for _, h := range []interface{ RecordValues(v, n int64) error }{p.Latency, p.Service} {
				if err := h.RecordValues(v, second.Counts[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := p.SendLag.RecordValues(2000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for s := 0; s <= seconds; s++ {
		x := float64(s)
		p.Samples = append(p.Samples, record.Sample{At: at + time.Duration(s)*time.Second, Component: "gateway", Replica: "0", Metrics: map[record.Metric]float64{
			record.CPUSeconds: cores * x, record.Periods: 10 * x, record.ThrottledPeriods: 10 * x * throttled,
		}})
	}
	return p
}

// quotaCase is the phases of a trial: p99 and CPU of each, with the quotas and without.
type quotaCase struct {
	withP99, withoutP99     []time.Duration
	withCores, withoutCores []float64
	throttled               float64
}

func ms(values ...float64) (out []time.Duration) {
	for _, v := range values {
		out = append(out, time.Duration(v*float64(time.Millisecond)))
	}
	return out
}

// trialOf runs a case through the judgement of its phases.
func trialOf(t *testing.T, c quotaCase) (*record.Record, *QuotaTrial) {
	t.Helper()
	rec := &record.Record{Run: record.Run{Lab: &record.Lab{LimitsEnforced: true}, Components: []record.Component{{Name: "gateway", Replicas: 1, CPULimitCores: 0.3}}}}
	at := time.Duration(0)
	add := func(lifted bool, cores, throttled float64, slow time.Duration) {
		rec.Data = append(rec.Data, quotaPhase(t, at, lifted, cores, throttled, slow))
		at += 10 * time.Second
	}
	for i, slow := range c.withP99 {
		add(false, c.withCores[i], c.throttled, slow)
	}
	for i, slow := range c.withoutP99 {
		add(true, c.withoutCores[i], 0, slow)
	}
	conditions := Conditions{Objectives: []scenarios.Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}}, Components: rec.Components}
	var phases []examined
	for _, data := range rec.Data {
		phases = append(phases, examine(data, conditions))
		if v := phases[len(phases)-1].summary.Verdict; !v.Valid {
			t.Fatalf("the phase is not valid: %v", v.Reasons)
		}
	}
	if len(usual(phases)) != 0 {
		t.Error("phases for the price enter the rest of the sizing")
	}
	return rec, quotaTrial(rec, phases)
}

// Of five values a side the rank test at 95 % leaves out the two lowest and the two
// highest of the 25 ratios (Hollander, Wolfe, Chicken, table A.6: P(W ≤ 17) = 0.0159 for
// 5 and 5, P(W ≤ 18) = 0.0278).
func TestQuotaTrial(t *testing.T) {
	five := func(v ...float64) []float64 { return v }
	for _, test := range []struct {
		name      string
		c         quotaCase
		told      bool
		p99       [3]float64 // ratio, low, high; 0: not looked at
		cpu       [3]float64
		says, not string
	}{
		{
			"a price", quotaCase{ms(40, 44, 36, 66, 50), ms(22, 20, 22, 25, 22), five(0.28, 0.28, 0.30, 0.29, 0.29), five(0.20, 0.22, 0.21, 0.21, 0.21), 0.9}, true,
			// The thirteenth, the third and the third from above of the 25 ratios.
			[3]float64{44. / 22, 36. / 22, 66. / 22}, [3]float64{0.29 / 0.21, 0.29 / 0.22, 0.29 / 0.20}, "times", "overlap",
		},
		{
			"one phase that was disturbed", quotaCase{ms(40, 44, 36, 66, 50), ms(22, 20, 60, 25, 22), five(0.28, 0.28, 0.30, 0.29, 0.29), five(0.20, 0.22, 0.21, 0.21, 0.21), 0.9}, false,
			[3]float64{}, [3]float64{}, "overlap", "",
		},
		{
			"no difference", quotaCase{ms(20, 21, 22, 23, 24), ms(20, 21, 22, 23, 24), five(0.2, 0.2, 0.2, 0.2, 0.2), five(0.2, 0.2, 0.2, 0.2, 0.2), 0.3}, false,
			[3]float64{}, [3]float64{1, 1, 1}, "overlap", "",
		},
		{
			"the quota does not bind", quotaCase{ms(20, 21, 22, 23, 24), ms(10, 10, 10, 10, 10), five(0.2, 0.2, 0.2, 0.2, 0.2), five(0.2, 0.2, 0.2, 0.2, 0.2), 0.01}, false,
			[3]float64{}, [3]float64{}, "no quota bound", "a request costs",
		},
		{
			"too few phases", quotaCase{ms(40, 44), ms(4, 5), five(0.28, 0.3), five(0.2, 0.22), 0.9}, false,
			[3]float64{}, [3]float64{}, "too few for an interval", "times",
		},
		{
			"phases of one side", quotaCase{nil, ms(4, 5), nil, five(0.2, 0.22), 0.9}, false,
			[3]float64{}, [3]float64{}, "no phase with the CPU quotas", "times",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec, price := trialOf(t, test.c)
			if price == nil {
				t.Fatal("no trial")
			}
			if price.Told != test.told || !strings.Contains(price.Reason, test.says) || test.not != "" && strings.Contains(price.Reason, test.not) {
				t.Errorf("told %t: %s; want %t, saying %q and not %q", price.Told, price.Reason, test.told, test.says, test.not)
			}
			near := func(what string, got, want float64) {
				t.Helper()
				// A histogram keeps three digits.
				if want > 0 && !(math.Abs(got-want) <= 0.003*want) {
					t.Errorf("%s = %g, want %g", what, got, want)
				}
			}
			near("p99 ratio", price.P99Ratio.Value, test.p99[0])
			near("its lower end", price.P99Ratio.Low, test.p99[1])
			near("its upper end", price.P99Ratio.High, test.p99[2])
			if test.cpu[0] > 0 {
				near("CPU ratio", price.CPURatios[0].Ratio.Value, test.cpu[0])
				near("its lower end", price.CPURatios[0].Ratio.Low, test.cpu[1])
				near("its upper end", price.CPURatios[0].Ratio.High, test.cpu[2])
			}
			if words := price.of("gateway"); (words != "") != test.told || price.of("sidecar") != "" {
				t.Errorf("of the gateway %q, of another component %q", words, price.of("sidecar"))
			}
			if test.name == "a price" {
				near("CPU of a request with", price.With[0].CPUSeconds.Value, 288e-6)
				near("the lowest without", price.Without[0].CPUSeconds.Low, 200e-6)
				near("throttled", price.With[0].Throttled, 0.9)
				near("p99 with, mean", price.WithP99.Value, 0.0472)
			}
			if quotaTrial(rec, nil) != nil {
				t.Error("a trial that was not asked for")
			}
			rec.Scenario.Sizing.QuotaPrice = true
			if asked := quotaTrial(rec, nil); asked == nil || asked.Told || !strings.Contains(asked.Reason, "no price of the quotas was measured") {
				t.Errorf("asked for and not measured: %+v", asked)
			}
		})
	}
}
