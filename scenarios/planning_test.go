package scenarios_test

import (
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestPortion(t *testing.T) {
	for _, test := range []struct {
		text    string
		count   int
		share   float64
		isShare bool
	}{
		{"0", 0, 0, false}, {"1", 1, 0, false}, {"17", 17, 0, false},
		{"0%", 0, 0, true}, {"25%", 0, 0.25, true}, {"100%", 0, 1, true},
	} {
		p, err := scenarios.ParsePortion(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if count, share, isShare := p.Parts(); count != test.count || share != test.share || isShare != test.isShare {
			t.Errorf("%s is %d, %g, %v, want %d, %g, %v", test.text, count, share, isShare, test.count, test.share, test.isShare)
		}
	}
	for _, text := range []string{"", "-1", "1.5", "101%", "25 %", "%", "a", "1e3", "123456"} {
		if p, err := scenarios.ParsePortion(text); err == nil {
			t.Errorf("%q is read as %q, want an error", text, p)
		}
	}
	if count, share, isShare := scenarios.Portion("").Parts(); count != 0 || share != 0 || isShare {
		t.Errorf("not set is %d, %g, %v, want nothing", count, share, isShare)
	}
}

func TestPlanningDefaults(t *testing.T) {
	s, err := scenarios.Decode("f.yaml", []byte(minimal+"demand: {rollingUpdate: {maxUnavailable: 0}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := scenarios.Defaults(*s).Demand
	if d.Zones != 3 || d.ZoneSkew != 1 || d.Clusters != 1 || d.RollingUpdate.MaxUnavailable != "0" || d.RollingUpdate.MaxSurge != "25%" || d.Placement != scenarios.PlacementRandom {
		t.Errorf("demand %+v, want the defaults, and maxUnavailable as written", d)
	}
	if a := d.Scaling; a.StartUp != time.Minute || a.MetricsEvery != 15*time.Second || a.SyncEvery != 15*time.Second || a.HighestTarget != 0.75 || a.OverAllowed != 0 {
		t.Errorf("scaling %+v, want the defaults", a)
	}
	for clusters, want := range map[int]float64{0: 1, 1: 1, 4: 0.25} {
		if got := (scenarios.Demand{Clusters: clusters}).LargestShare(); got != want {
			t.Errorf("%d clusters: share %g, want %g", clusters, got, want)
		}
	}
	if got := (scenarios.Demand{Clusters: 2, ClusterShare: 0.7}).LargestShare(); got != 0.7 {
		t.Errorf("share %g, want 0.7", got)
	}
}
