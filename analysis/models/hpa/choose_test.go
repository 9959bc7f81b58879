package hpa

import (
	"math"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	minute := time.Minute
	for _, test := range []struct {
		name   string
		load   []Point
		within time.Duration
		want   float64
	}{
		// From 1 000/s to 4 000/s in 15 min is 200/s a minute; a minute at its
		// begin multiplies by 1.2.
		{"a ramp", Ramp(1000, 4000), minute, 0.2 / 60},
		{"a ramp and a long time", Ramp(1000, 4000), 15 * minute, 3.0 / 900},
		{"a jump", []Point{{0, 100}, {minute, 100}, {minute, 300}, {5 * minute, 300}}, minute, 2.0 / 60},
		{"falling", []Point{{0, 300}, {minute, 100}}, 10 * time.Second, 0},
		{"from nothing", []Point{{0, 0}, {minute, 100}}, 10 * time.Second, math.Inf(1)},
		{"a bend before the window's end", []Point{{0, 100}, {minute, 100}, {2 * minute, 200}}, minute, 1.0 / 60},
		{"no load", nil, minute, 0},
	} {
		if got := Growth(test.load, test.within); math.Abs(got-test.want) > 1e-12 && got != test.want {
			t.Errorf("%s: %g per second, want %g", test.name, got, test.want)
		}
	}
}

func TestDisturb(t *testing.T) {
	load := Ramp(1000, 4000)
	got := Disturb(load, Losses{Zones: 3})
	// The trough comes first at 0; the top lasts from 75 min to 195 min.
	want := []Disturbance{{At: 0, Lost: 1}, {At: 75 * time.Minute, Zones: 3}, {At: 105 * time.Minute, Update: true}}
	if len(got) != len(want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	if got := Disturb(load, Losses{Zones: 1})[1]; got != (Disturbance{At: 75 * time.Minute, Lost: 1}) {
		t.Errorf("with one zone %+v, want a replica lost", got)
	}
	if got := Disturb(load, Losses{Zones: 3, ZoneSkew: 2, Failover: 2}); len(got) != 4 || got[1].Skew != 2 || got[2] != (Disturbance{At: 105 * time.Minute, Factor: 2}) || !got[3].Update {
		t.Errorf("with a cluster that may be lost %+v", got)
	}
	// In twenty minutes there is room for one, and none after the end.
	if got := Disturb(flat(5, 20*time.Minute), Losses{}); len(got) != 1 || got[0].At != 0 {
		t.Errorf("in twenty minutes %+v, want one", got)
	}
	if got := Disturb(nil, Losses{Zones: 1}); got != nil {
		t.Errorf("without a load %+v", got)
	}
}

func TestChoose(t *testing.T) {
	w := world(Ramp(6000, 30000))
	w.Disturbances = Disturb(w.Load, Losses{Zones: 3})
	search := Search{Targets: []int{70, 20, 30, 40, 50, 60}, Fewest: 1, Most: 20, Max: 40, SeriesSize: 60}
	got, err := w.Choose(search)
	if err != nil {
		t.Fatal(err)
	}
	if got.Best < 0 {
		t.Fatalf("none holds: %+v", got.Candidates)
	}
	best := got.Candidates[got.Best]
	for i, c := range got.Candidates {
		if c.Target != 20+10*i {
			t.Fatalf("candidate %d has a target of %d %%", i, c.Target)
		}
		if !c.Holds {
			if c.Min != search.Most || c.Outcome.OverSeconds == 0 || c.Outcome.Seconds != w.Load[5].At.Seconds() {
				t.Errorf("%d %% does not hold, but %+v", c.Target, c)
			}
			continue
		}
		// What a candidate says can be seen again, and one replica fewer does not do.
		if again := w.Simulate(c.Setting, 0); again.OverSeconds != 0 || again.PodHours != c.Outcome.PodHours {
			t.Errorf("%d %% again: %+v, want %+v", c.Target, again, c.Outcome)
		}
		fewer := c.Setting
		fewer.Min--
		if fewer.Min >= search.Fewest && w.Simulate(fewer, 0).OverSeconds == 0 {
			t.Errorf("%d %% holds with %d at least, not only with %d", c.Target, fewer.Min, c.Min)
		}
		if c.Outcome.PodHours < best.Outcome.PodHours {
			t.Errorf("%d %% takes %g pod-hours, the chosen %d %% %g", c.Target, c.Outcome.PodHours, best.Target, best.Outcome.PodHours)
		}
	}
	// Two thirds of the replicas have to carry 30 000/s at 4 000/s each: twelve. So many
	// are there at 20 000/s each safely, 0.3 cores of 0.5: above 60 % is too few.
	if best.Target > 60 || best.Outcome.MaxPods < 12 || len(best.Outcome.Series) < 50 {
		t.Errorf("chosen %+v with %d moments", best.Setting, len(best.Outcome.Series))
	}
	if last := got.Candidates[5]; last.Holds && last.Min < 12 {
		t.Errorf("70 %% holds with %d at least", last.Min)
	}
}

// What halving finds is what trying one after the other finds.
func TestChooseFindsTheFewest(t *testing.T) {
	w := world(Ramp(6000, 30000))
	w.Disturbances = Disturb(w.Load, Losses{Zones: 1})
	for _, most := range []int{9, 12, 13, 16} {
		for _, fewest := range []int{1, 2, 3} {
			got, err := w.Choose(Search{Targets: []int{50, 60, 70}, Fewest: fewest, Most: most, Max: 40})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range got.Candidates {
				want := fewest
				for want < most && w.Simulate(Setting{Target: c.Target, Min: want, Max: 40}, 0).OverSeconds > 0 {
					want++
				}
				if c.Min != want {
					t.Errorf("%d %% of %d to %d: %d at least, want %d", c.Target, fewest, most, c.Min, want)
				}
			}
		}
	}
}

func TestChooseBears(t *testing.T) {
	w := world([]Point{{0, 4000}, {time.Hour, 4000}, {time.Hour, 16000}, {3 * time.Hour, 16000}, {10 * time.Hour, 16000}})
	search := Search{Targets: []int{50}, Fewest: 1, Most: 3, Max: 20}
	if got, err := w.Choose(search); err != nil || got.Best != -1 || got.Candidates[0].Holds {
		t.Errorf("three cannot bear a jump to what four carry: %+v, %v", got, err)
	}
	search.ShareOver = 0.01 // six minutes
	got, err := w.Choose(search)
	if err != nil || got.Best != 0 || got.Candidates[0].Outcome.OverSeconds == 0 {
		t.Errorf("with six minutes: %+v, %v, want it to hold, but not always", got, err)
	}
	for _, bad := range []Search{{Fewest: 0, Most: 2, Max: 2}, {Fewest: 3, Most: 2, Max: 2}, {Fewest: 1, Most: 5, Max: 4}} {
		if _, err := w.Choose(bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestChooseRates(t *testing.T) {
	w := world(Ramp(6000, 30000))
	w.Disturbances = Disturb(w.Load, Losses{Zones: 1})
	got, err := w.Choose(Search{RPS: []float64{1000, 2000, 3000, 4000}, Fewest: 1, Most: 20, Max: 40})
	if err != nil || got.Best < 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	// 4 000/s a replica is what is safe, and the tolerance is beyond it: that needs
	// as many at least as the top does.
	for _, c := range got.Candidates {
		if c.RPS == 4000 && c.Holds && c.Min < 8 {
			t.Errorf("%+v", c)
		}
	}
	if best := got.Candidates[got.Best]; best.RPS >= 4000 {
		t.Errorf("chosen %+v", best.Setting)
	}
}
