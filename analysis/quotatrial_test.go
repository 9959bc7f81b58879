package analysis

import (
	"math"
	"slices"
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

func TestQuotaTrial(t *testing.T) {
	rec := &record.Record{Run: record.Run{Lab: &record.Lab{LimitsEnforced: true}, Components: []record.Component{{Name: "gateway", Replicas: 1, CPULimitCores: 0.3}}}}
	rec.Data = []record.PhaseData{
		quotaPhase(t, 0, false, 0.28, 0.9, 40*time.Millisecond), quotaPhase(t, 10*time.Second, true, 0.20, 0, 4*time.Millisecond),
		quotaPhase(t, 20*time.Second, true, 0.22, 0, 5*time.Millisecond), quotaPhase(t, 30*time.Second, false, 0.30, 0.9, 44*time.Millisecond),
	}
	conditions := Conditions{Objectives: []scenarios.Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}}, Components: rec.Components}
	var phases []examined
	for _, data := range rec.Data {
		phases = append(phases, examine(data, conditions))
		if v := phases[len(phases)-1].summary.Verdict; !v.Valid {
			t.Fatalf("the phase is not valid: %v", v.Reasons)
		}
	}
	price := quotaTrial(rec, phases)
	if price == nil {
		t.Fatal("no price")
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 0.002*want) {
			t.Errorf("%s = %g, want %g", what, got, want)
		}
	}
	near("CPU of a request with", price.With[0].CPUSeconds.Value, 290e-6)
	near("CPU of a request without", price.Without[0].CPUSeconds.Value, 210e-6)
	near("the lowest without", price.Without[0].CPUSeconds.Low, 200e-6)
	near("throttled", price.With[0].Throttled, 0.9)
	near("p99 with", price.WithP99.Value, 0.042)
	near("p99 without", price.WithoutP99.High, 0.005)
	if strings.Contains(price.Reason, "overlap") {
		t.Errorf("%q: the sides do not overlap", price.Reason)
	}
	rec.Data[2] = quotaPhase(t, 20*time.Second, true, 0.22, 0, 60*time.Millisecond)
	disturbed := append(slices.Clone(phases[:2]), examine(rec.Data[2], conditions), phases[3])
	if again := quotaTrial(rec, disturbed); again == nil || !strings.Contains(again.Reason, "overlap") {
		t.Errorf("%+v does not say that the sides overlap", again)
	}
	if len(usual(phases)) != 0 {
		t.Error("phases for the price enter the rest of the sizing")
	}
	if one := quotaTrial(rec, phases[1:3]); one != nil {
		t.Errorf("a price of one side: %+v", one)
	}
}
