package analysis

import (
	"math"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// undisturbed makes the machine of a made-up record as idle as its components leave
// it.
func undisturbed(rec *record.Record) *record.Record {
	for i := range rec.Data {
		p := &rec.Data[i]
		samples, used := models.Samples(*p), p.Generator.CPUSeconds/(p.SendEnd-p.Start).Seconds()
		for _, c := range rec.Components {
			cores, _ := samples.Rate(c.Name, record.CPUSeconds)
			used += cores
		}
		for _, s := range p.Samples {
			if s.Component == record.ComponentHost {
				s.Metrics[record.IdleSeconds] = (float64(rec.Host.CPUs) - used - 0.02) * s.At.Seconds()
			}
		}
	}
	return rec
}

// The made-up gateway costs what the published Envoy does, and its latencies under
// the quota are those that were measured on it: the forecast knows neither.
func TestForecastFromLowLoad(t *testing.T) {
	w := newWorld(3)
	rec := undisturbed(w.sizing())
	truth := w.trueEdge(0.05)
	f := ForecastBelow(ForecastShare*truth, rec)
	if f.Component != "gateway" || f.Resource != models.BindsCPUQuota {
		t.Errorf("got %s, %s as what binds, want the gateway's quota", f.Component, f.Resource)
	}
	if e := f.SLOEdgeRps; math.Abs(e.Value/truth-1) > 0.25 || e.Low > truth || e.High < truth {
		t.Errorf("got %.0f/s [%.0f, %.0f], the made-up edge is %.0f/s", e.Value, e.Low, e.High, truth)
	}
	bound := f.Bounds[0]
	if limit, most := bound.CPULimitRps.Value, bound.SaturatedRps.Value; !(limit < f.SLOEdgeRps.Value && f.SLOEdgeRps.Value < most) {
		t.Errorf("got CPU at the quota from %.0f/s, the edge at %.0f/s, saturation at %.0f/s, want them in this order", limit, f.SLOEdgeRps.Value, most)
	}
	for _, p := range rec.Data {
		if p.Spec.Rate.RPS() <= ForecastShare*truth {
			continue
		}
		for _, s := range p.Samples {
			clear(s.Metrics) // what lies above must not matter
		}
	}
	if again := ForecastBelow(ForecastShare*truth, rec); again.SLOEdgeRps.Value != f.SLOEdgeRps.Value {
		t.Errorf("got %.0f/s without the samples above the low load, and %.0f/s with them", again.SLOEdgeRps.Value, f.SLOEdgeRps.Value)
	}
}

func TestForecastOfASmallPool(t *testing.T) {
	w := newWorld(3)
	w.quota, w.floor = 2, 0.02
	rec := undisturbed(w.sizing())
	rec.Lab.Policy = []record.Policy{{Field: "connectionPool.http.http2MaxRequests", Value: "40"}}
	f := ForecastBelow(ForecastShare*w.trueEdge(0.05), rec)
	// Erlang's B: 40 servers refuse 0.1 % of 24.44 erlang (Kleinrock's tables).
	if f.Component != "gateway" || f.Resource != models.BindsPool {
		t.Fatalf("got %s, %s at %.0f/s as what binds, want the gateway's pool", f.Component, f.Resource, f.SLOEdgeRps.Value)
	}
	if offered := offeredRefusing(40, 0.001); math.Abs(offered-24.44) > 0.01 {
		t.Errorf("got %.2f erlang, the tables have 24.44", offered)
	}
	if e := f.SLOEdgeRps; e.Value < 24.44/0.024 || e.Value > 24.44/0.019 {
		t.Errorf("got %.0f/s, want some 24.44 ÷ 21 ms", e.Value)
	}
}

func TestMemoryFillsUp(t *testing.T) {
	points := []memoryPoint{{100, 18e6}, {200, 20e6}, {300, 22e6}}
	peak, ok := fills(points, 30e6)
	if !ok || math.Abs(peak.Value-700) > 1 || peak.Low > 690 || peak.High < 710 {
		t.Errorf("got %v (%v), want 700 in flight with an interval", peak, ok)
	}
	for name, points := range map[string][]memoryPoint{"two points": points[:2], "flat": {{100, 18e6}, {200, 18e6}, {300, 18e6}}} {
		if peak, ok := fills(points, 30e6); ok {
			t.Errorf("%s: got %v", name, peak)
		}
	}
	for _, n := range []float64{1, 30, 600} {
		if got := meanOf(peakOf(n)); math.Abs(got-n) > 1e-6 {
			t.Errorf("the mean of the peak of %v: got %v", n, got)
		}
	}
}

func TestNothingToForecastFrom(t *testing.T) {
	if f := ForecastBelow(1000); f.SLOEdgeRps.OK() {
		t.Errorf("no record: got %v", f.SLOEdgeRps)
	}
	if f := ForecastBelow(10, undisturbed(newWorld(1).sizing())); f.SLOEdgeRps.OK() || len(f.Bounds) > 0 {
		t.Errorf("no phase so low: got %v", f)
	}
}
