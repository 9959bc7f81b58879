package recommend

import (
	"math"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
)

// What each case asks for, worked out by hand.
func TestReplicasSurvive(t *testing.T) {
	for _, test := range []struct {
		name string
		safe float64
		load Load
		// nothing, a replica, a zone, an update, a cluster; what is decided
		want    [6]int
		boundBy string
	}{
		// 36 261 ÷ 960 = 37.8; 3 × ⌈38 ÷ 2⌉; ⌊37 ÷ 0.75⌋ + 1 = 50.
		{"growth", 960, Load{PlannedRPS: 36261, Zones: 3}, [6]int{38, 39, 57, 50, 0, 57}, ByZoneLoss},
		// 12 in ten zones: 10 × ⌈12 ÷ 9⌉ = 20; ⌊11 ÷ 0.5⌋ + 1 = 23.
		{"half missing in an update", 1000, Load{PlannedRPS: 12000, Zones: 10, MaxUnavailable: "50%"}, [6]int{12, 13, 20, 23, 0, 23}, ByRollingUpdate},
		{"none missing in an update", 1000, Load{PlannedRPS: 12000, Zones: 1, MaxUnavailable: "0", MaxSurge: "1"}, [6]int{12, 13, 0, 12, 0, 13}, ByReplicaLoss},
		{"none missing and none more: Kubernetes takes one", 1000, Load{PlannedRPS: 12000, Zones: 1, MaxUnavailable: "0", MaxSurge: "0"}, [6]int{12, 13, 0, 13, 0, 13}, ByReplicaLoss},
		{"five missing in an update", 1000, Load{PlannedRPS: 12000, Zones: 1, MaxUnavailable: "5"}, [6]int{12, 13, 0, 17, 0, 17}, ByRollingUpdate},
		// The fullest of three zones may have two more than the others: ⌊2 × 2 ÷ 3⌋ = 1 more to lose, 3 × ⌈13 ÷ 2⌉ = 21.
		{"uneven zones", 1000, Load{PlannedRPS: 12000, Zones: 3, ZoneSkew: 2}, [6]int{12, 13, 21, 15, 0, 21}, ByZoneLoss},
		// Each of three carries 8 000; with one lost 12 000: 12 + 1. Zones: 3 × ⌈8 ÷ 2⌉.
		{"three clusters", 1000, Load{PlannedRPS: 24000, Zones: 3, Clusters: 3}, [6]int{8, 9, 12, 10, 13, 13}, ByClusterLoss},
		// The busiest has 60 % = 6 000; when the other goes, all 10 000.
		{"two clusters, one of them busier", 1000, Load{PlannedRPS: 10000, Zones: 1, Clusters: 2, ClusterShare: 0.6}, [6]int{6, 7, 0, 7, 11, 11}, ByClusterLoss},
		// 40 % with 40 % lost: two thirds of 9 000 are 6 000.
		{"three clusters, two of them busier", 1000, Load{PlannedRPS: 9000, Zones: 1, Clusters: 3, ClusterShare: 0.4}, [6]int{4, 5, 0, 5, 7, 7}, ByClusterLoss},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, why := ReplicasFor(carrying(test.safe), test.load)
			if r == nil {
				t.Fatal(why)
			}
			got := [6]int{r.CarriesPlannedRate, r.SurvivesReplicaLoss, r.SurvivesZoneLoss, r.SurvivesRollingUpdate, r.SurvivesClusterLoss, r.Value}
			if got != test.want || r.BoundBy != test.boundBy {
				t.Errorf("replicas %v bound by %s, want %v by %s (%s)", got, r.BoundBy, test.want, test.boundBy, r.Reason)
			}
			known := redo(t, "replicas", r.Basis)
			if known["replicas"] != float64(r.Value) || known["needed"] != float64(r.CarriesPlannedRate) {
				t.Errorf("the arithmetic ends at %v, want %d", known["replicas"], r.Value)
			}
			// What the words promise, tried out as Kubernetes would do it.
			missing := portionOf(test.load.MaxUnavailable, r.Value, false)
			if missing == 0 && portionOf(test.load.MaxSurge, r.Value, true) == 0 {
				missing = 1
			}
			if left := r.Value - missing; float64(left)*test.safe < test.load.here() {
				t.Errorf("during an update %d are left, which carry less than %g", left, test.load.here())
			}
		})
	}
}

// The rolling update's number is the least that does, tried out one by one.
func TestUpdatingIsTheLeast(t *testing.T) {
	for _, portion := range []scenarios.Portion{"0%", "1%", "10%", "25%", "33%", "50%", "75%", "90%"} {
		for needed := 1; needed <= 200; needed++ {
			got := updating(&sheet{}, Load{MaxUnavailable: portion, MaxSurge: "1"}, needed)
			want := needed
			for want-portionOf(portion, want, false) < needed {
				want++
			}
			if got != want {
				t.Fatalf("%s missing, %d needed: %d, want %d", portion, needed, got, want)
			}
		}
	}
}

func TestReplicasWithSkew(t *testing.T) {
	load := Load{PlannedRPS: 4000, Zones: 1, Connections: 8}
	even, _ := ReplicasFor(carrying(1000), Load{PlannedRPS: 4000, Zones: 1})
	skewed, why := ReplicasFor(carrying(1500), load)
	if skewed == nil {
		t.Fatal(why)
	}
	// Eight connections of 500/s each: three of them fill a replica. On four replicas
	// more than three meet on one in some 17 % of placements.
	if skewed.CarriesPlannedRate <= 4 || skewed.HottestFactor <= 1.5 {
		t.Errorf("%d replicas, the hottest with %.2f of the mean, want more than the %d of an even spread", skewed.CarriesPlannedRate, skewed.HottestFactor, even.CarriesPlannedRate)
	}
	if per := 4000 * skewed.HottestFactor / float64(skewed.CarriesPlannedRate); per > 1500 {
		t.Errorf("the hottest carries %.0f/s, more than the safe 1 500/s", per)
	}
	redo(t, "replicas", skewed.Basis)
	load.Placement = scenarios.PlacementRoundRobin
	// In turn: three of eight on a replica at most as soon as there are three of them.
	if turn, _ := ReplicasFor(carrying(1500), load); turn.CarriesPlannedRate != 3 {
		t.Errorf("placed in turn: %d replicas, want 3", turn.CarriesPlannedRate)
	}
	if r, why := ReplicasFor(carrying(400), load); r != nil || !strings.Contains(why, "more connections are needed") {
		t.Errorf("connections that are too heavy for a replica: %+v, %q", r, why)
	}
	load.Connections = 100_000_000
	if r, _ := ReplicasFor(carrying(100), load); math.Abs(float64(r.CarriesPlannedRate)-40) > 2 {
		t.Errorf("very many connections: %d replicas, want about the 40 of an even spread", r.CarriesPlannedRate)
	}
}

// A cluster that takes over the load of another takes its connections too, and
// what a replica carries then is what resources and limits are for.
func TestWorstCase(t *testing.T) {
	load := Load{PlannedRPS: 8000, Zones: 1, Clusters: 2, Connections: 40, Placement: scenarios.PlacementRoundRobin}
	r, why := ReplicasFor(carrying(1000), load)
	if r == nil {
		t.Fatal(why)
	}
	// 20 connections of 200/s each: five to a replica, 4 of them. All 40: 8 replicas.
	if r.CarriesPlannedRate != 4 || r.SurvivesClusterLoss != 9 {
		t.Errorf("%d and %d replicas, want 4 and 9", r.CarriesPlannedRate, r.SurvivesClusterLoss)
	}
	if rps, left, hottest := r.Worst(); rps*hottest/float64(left) != 1000 {
		t.Errorf("worst case %g/s over %d with %g, want 1 000/s for the hottest", rps, left, hottest)
	}
	load.Connections, load.ClusterShare = 0, 0.7
	if r, _ = ReplicasFor(carrying(1000), load); r.Value != 9 {
		t.Fatalf("%d replicas, want 8 000 ÷ 1 000 and one", r.Value)
	}
	if rps, left, _ := r.Worst(); rps != 8000 || left != 8 {
		t.Errorf("worst case %g/s over %d, want 8 000 over 8", rps, left)
	}
	if got := operatingRPS(carrying(1000), r, load); got != 1000 {
		t.Errorf("a replica carries %g/s, want 1 000", got)
	}
}

// What would do without the deciding case is said only when that changes something.
func TestWouldChange(t *testing.T) {
	for _, test := range []struct {
		name string
		load Load
		want string
	}{
		{"a zone decides", Load{PlannedRPS: 38000, Zones: 3}, "without zone-loss 50 would do"},
		{"a tie", Load{PlannedRPS: 2000, Zones: 3}, ""},
	} {
		r, _ := ReplicasFor(carrying(1000), test.load)
		words := strings.Join(r.WouldChange, "; ")
		if got := strings.Contains(words, "would do"); got != (test.want != "") || !strings.Contains(words, test.want) {
			t.Errorf("%s: %q, want %q", test.name, words, test.want)
		}
		if !strings.Contains(words, "a tenth less asks for") {
			t.Errorf("%s: %q does not say what another capacity would do", test.name, words)
		}
	}
}
