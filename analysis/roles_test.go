package analysis

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// TestEveryRoleIsSized: gateway, egress gateway and control plane get replicas for each
// thing that may be lost; few connections of clients matter to the gateway alone.
func TestEveryRoleIsSized(t *testing.T) {
	result := sizedWith(t, func(rec *record.Record) {
		rec.Components[1].Role, rec.Components[2].Role = scenarios.RoleEgress, scenarios.RoleControlPlane
		d := &rec.Scenario.Demand
		d.PeakRate = scenarios.PerSecond(30000)
		d.Connections, d.Clusters, d.ClusterShare, d.Proxies = 400, 3, 0.4, 4000
	})
	gateway, egress, plane := result.Components[0], result.Components[1], result.Components[2]
	for _, c := range []Component{gateway, egress} {
		r := c.Replicas
		if r == nil {
			t.Fatalf("%s is not sized: %q", c.Name, c.Notes)
		}
		if r.SurvivesReplicaLoss <= r.CarriesPlannedRate || r.SurvivesZoneLoss == 0 || r.SurvivesRollingUpdate == 0 || r.SurvivesClusterLoss == 0 || r.MostDuringUpdate <= r.Value {
			t.Errorf("%s: %+v, want a number for each loss", c.Name, r)
		}
		if r.Value < max(r.SurvivesReplicaLoss, r.SurvivesZoneLoss, r.SurvivesRollingUpdate, r.SurvivesClusterLoss) {
			t.Errorf("%s: %d replicas are fewer than a loss asks for: %+v", c.Name, r.Value, r)
		}
		if c.HPA != nil && c.HPA.TargetCPUUtilization > 75 {
			t.Errorf("%s: a target of %d %%, though nobody allowed more than 75", c.Name, c.HPA.TargetCPUUtilization)
		}
	}
	if gateway.Replicas.HottestFactor <= 1 || egress.Replicas.HottestFactor > 1 {
		t.Errorf("hottest ÷ mean: gateway %g, egress gateway %g; only the first has connections of clients", gateway.Replicas.HottestFactor, egress.Replicas.HottestFactor)
	}
	if r := plane.Replicas; r == nil || r.SurvivesReplicaLoss < 2 || r.SurvivesZoneLoss == 0 || plane.HPA != nil {
		t.Errorf("control plane %+v", plane.Replicas)
	}
}
