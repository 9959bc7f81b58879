package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"

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
