package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// onlyGateway is a sizing of a target of which only the gateway is observed: it
// has CPU to spare while p99 breaks behind it.
func onlyGateway() *record.Record {
	rec := newWorld(3).sizing()
	rec.Lab, rec.Evidence = nil, record.EvidenceTarget
	rec.Scenario.Lab, rec.Scenario.Target = nil, &scenarios.Target{URL: "http://shop.example/"}
	rec.Components = []record.Component{{Name: "gateway", Role: scenarios.RoleGateway, Replicas: 1, Concurrency: 4, CPULimitCores: 4}}
	for i := range rec.Data {
		p := &rec.Data[i]
		p.Samples = slices.DeleteFunc(slices.Clone(p.Samples), func(s record.Sample) bool {
			return s.Component != "gateway" && s.Component != record.ComponentHost
		})
		rps := p.Spec.Rate.RPS()
		for j := range p.Samples {
			if s := p.Samples[j]; s.Component == "gateway" {
				s.Metrics[record.CPUSeconds] = 1 + (0.05+100e-6*rps)*s.At.Seconds()
				s.Metrics[record.ThrottledPeriods] = 0
				delete(s.Metrics, record.VoluntarySwitches)
			}
		}
	}
	return rec
}

// A rate at which the objectives broke is not planned beyond because nobody saw
// what broke them.
func TestUnobservedBottleneck(t *testing.T) {
	r := analyze(t, onlyGateway())
	if r.SLOEdge.End != "reached" || r.SLOEdge.Component != "" {
		t.Fatalf("edge %+v, want one that no component binds", r.SLOEdge)
	}
	c := r.Components[0]
	if c.CapacityPerReplicaRps.BoundBy != recommend.BoundEdge || c.CapacityPerReplicaRps.Safe() != r.SLOEdge.Rps.Low {
		t.Errorf("capacity %.0f/s by %q, want the edge's safe end, %.0f/s", c.CapacityPerReplicaRps.Safe(), c.CapacityPerReplicaRps.BoundBy, r.SLOEdge.Rps.Low)
	}
	if !math.IsInf(c.SLOEdgeRps.High, 1) {
		t.Errorf("the edge of the gateway ends at %.0f/s, want no upper end", c.SLOEdgeRps.High)
	}
	if !slices.ContainsFunc(c.CapacityPerReplicaRps.Warnings, func(w string) bool { return strings.Contains(w, "may not help") }) {
		t.Errorf("warnings %q do not say that more replicas may not help", c.CapacityPerReplicaRps.Warnings)
	}
}

// What is per replica is per replica that was sampled, whatever is declared.
func TestReplicasAreThoseSampled(t *testing.T) {
	w := newWorld(3)
	plain := analyze(t, w.sizing())
	for _, test := range []struct {
		name    string
		change  func(rec *record.Record)
		want    int
		warning string // part of; empty: none
	}{
		{"as declared", func(*record.Record) {}, 2, ""},
		{"more declared", func(rec *record.Record) { rec.Components[1].Replicas = 8 }, 2, "8 replicas are declared, but 2 were sampled"},
		{"none declared", func(rec *record.Record) { rec.Components[1].Replicas = 0 }, 2, ""},
		{"one phase saw fewer", func(rec *record.Record) {
			i := ofKindIndex(rec, scenarios.KindSteady)[0]
			rec.Data[i].Samples = slices.DeleteFunc(slices.Clone(rec.Data[i].Samples), func(s record.Sample) bool { return s.Replica == "sidecar-2" })
		}, 2, "from 1 to 2 replicas"},
		{"never sampled", func(rec *record.Record) {
			rec.Components[1].Replicas = 8
			for i := range rec.Data {
				rec.Data[i].Samples = slices.DeleteFunc(slices.Clone(rec.Data[i].Samples), func(s record.Sample) bool { return s.Component == "sidecar" })
			}
		}, 8, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := newWorld(3).sizing()
			test.change(rec)
			r := analyze(t, rec)
			if got := r.Components[1].ReplicasMeasured; got != test.want {
				t.Errorf("%d replicas measured, want %d", got, test.want)
			}
			warned := slices.IndexFunc(r.Warnings, func(w string) bool { return strings.HasPrefix(w, "sidecar: ") })
			if test.warning == "" && warned >= 0 || test.warning != "" && (warned < 0 || !strings.Contains(r.Warnings[warned], test.warning)) {
				t.Errorf("warnings %q, want … %q …", r.Warnings, test.warning)
			}
			if test.name == "more declared" && r.ConnectionPool.TCP != plain.ConnectionPool.TCP {
				t.Errorf("the pool became %+v from %+v by what is declared", r.ConnectionPool.TCP, plain.ConnectionPool.TCP)
			}
		})
	}
}

// The autoscaler of a service sees the service alone, so its ends hold what the
// sidecar in the same pods needs.
func TestPairPodsRaisesTheAutoscaler(t *testing.T) {
	rec := newWorld(3).sizing()
	rec.Lab, rec.Evidence = nil, record.EvidenceTarget
	rec.Scenario.Lab, rec.Scenario.Target = nil, &scenarios.Target{URL: "http://shop.example/"}
	rec.Scenario.Demand = scenarios.Demand{PeakRate: scenarios.PerSecond(20000), Headroom: 0.2, Zones: 3}
	// A replica of the sidecar costs 0.02 + 120 µs a request, so that 75 % of 0.3 cores
	// are 1 708/s; one of the service 0.01 + 40 µs, of its four threads 74 750/s.
	rec.Components[1].CPULimitCores, rec.Components[2].Concurrency = 0.3, 4
	r := analyze(t, rec)
	sidecar, service := r.Components[1], r.Components[2]
	if service.HPA == nil || sidecar.Replicas == nil {
		t.Fatalf("service %+v, sidecar %+v", service, sidecar)
	}
	load := recommend.Load{PlannedRPS: 20000 * 1.2 * 1.5, Zones: 3}
	atSurge, _ := recommend.ReplicasFor(sidecar.CapacityPerReplicaRps, load)
	if h := service.HPA; h.MaxReplicas != atSurge.Value || !strings.Contains(h.Reason, "sidecar shares the pods") {
		t.Errorf("autoscaler up to %d, want %d because of the sidecar: %s", h.MaxReplicas, atSurge.Value, h.Reason)
	}
	// What the service asks for is what it uses at the rate of the pods that it shares,
	// at most 1 708/s: (0.01 + 40 µs × 1 708/s) ÷ 0.75 = 104m, and not the four cores
	// that its own capacity would come with. With that its CPU follows the load.
	request, err := scenarios.ParseCPU(service.Resources.Requests.CPU)
	if err != nil || request > scenarios.CPU(130) {
		t.Errorf("the service requests %s (%v), want no more than 130m", service.Resources.Requests.CPU, err)
	}
	if service.Replicas.Value != sidecar.Replicas.Value || service.Replicas.Value <= service.HPA.MinReplicas {
		t.Errorf("%d pods of the service, %d of the sidecar, want as many and more than %d", service.Replicas.Value, sidecar.Replicas.Value, service.HPA.MinReplicas)
	}
}

// Answers are counted to the end of sending, not to the tick after it.
func TestAchievedEndsWithSending(t *testing.T) {
	w := newWorld(3)
	p := w.phase("steady", scenarios.KindSteady, 1000, 4*time.Second)
	p.SendEnd -= 500 * time.Millisecond
	p.Timeline[3].Counts.Answered = p.Timeline[2].Counts.Answered + 1000
	// By hand: 3 000 in three seconds, and half of the last 1 000 in half a second.
	if got := Summarize(p, Conditions{}).AchievedRps; math.Abs(got-1000) > 0.5 {
		t.Errorf("achieved %.1f/s, want 1000/s", got)
	}
	if got := Summarize(record.PhaseData{}, Conditions{}).AchievedRps; got != 0 {
		t.Errorf("achieved %g/s in no time, want 0", got)
	}
}

// TestDestination: the service that a scenario names comes before the URL's host.
func TestDestination(t *testing.T) {
	for _, test := range []struct {
		name   string
		target *scenarios.Target
		want   string
	}{
		{"service", &scenarios.Target{URL: "https://shop.example.com", Service: "shop.checkout.svc.cluster.local"}, "shop.checkout.svc.cluster.local"},
		{"URL alone", &scenarios.Target{URL: "https://shop.example.com:8443/x"}, "shop.example.com"},
		{"lab", nil, "service.lab.svc.cluster.local"},
	} {
		rec := &record.Record{Run: record.Run{Scenario: scenarios.Scenario{Target: test.target}}}
		if got := destination(rec); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
