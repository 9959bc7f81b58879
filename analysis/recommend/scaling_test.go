package recommend

import (
	"testing"

	"github.com/sailplan-io/sailplan/analysis/models"
)

func TestHPAFor(t *testing.T) {
	s := subject()
	c := CapacityOf(s)
	load := Load{PlannedRPS: 30000, PeakRPS: 15000, Zones: 3}
	replicas, _ := ReplicasFor(c, load)
	h, why := HPAFor(s, c, replicas, load)
	if h == nil {
		t.Fatal(why)
	}
	safe := c.Safe()
	resources, _ := ResourcesFor(s, c, replicas, load)
	// 30 000/s over 10 replicas: 0.05 + 100 µs × 3 000 = 0.35 ÷ 0.75 = 467m and the interval.
	if resources.Requests.CPU != "480m" {
		t.Fatalf("request %s, want 480m", resources.Requests.CPU)
	}
	// At the target, a tenth exceeded, a replica stays within its safe rate.
	request := 0.48
	if use := float64(h.TargetCPUUtilization) / 100 * request * 1.1; use > s.Demand.CoresAt(safe).Value*1.03 {
		t.Errorf("target %d %%: up to %.3f cores, where %.3f are safe", h.TargetCPUUtilization, use, s.Demand.CoresAt(safe).Value)
	}
	if h.TargetCPUUtilization < 55 || h.TargetCPUUtilization > 75 {
		t.Errorf("target %d %%, want 55 to 75", h.TargetCPUUtilization)
	}
	atPeak, _ := ReplicasFor(c, Load{PlannedRPS: 15000, Zones: 3})
	if h.MinReplicas != atPeak.Value || h.MinReplicas >= replicas.Value {
		t.Errorf("at least %d, want %d, what today's peak needs, fewer than %d", h.MinReplicas, atPeak.Value, replicas.Value)
	}
	if h.MaxReplicas <= replicas.Value || h.MaxReplicas > 2*replicas.Value {
		t.Errorf("at most %d, want more than the %d planned with, but not twice as many", h.MaxReplicas, replicas.Value)
	}
	if h, why := HPAFor(s, c, nil, load); h != nil || why == "" {
		t.Errorf("without replicas: %+v, %q", h, why)
	}
	s.Demand = models.Demand{}
	if h, why := HPAFor(s, c, replicas, load); h != nil || why == "" {
		t.Errorf("without demand: %+v, %q", h, why)
	}
}
