package models

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// climb plays a climb against a system whose edge is known.
func climb(c Climb, edge float64) (tried []float64, end ClimbEnd) {
	var steps []Step
	for range 100 {
		rps, end := c.Next(steps)
		if end != ClimbGoesOn {
			return tried, end
		}
		tried = append(tried, rps)
		steps = append(steps, Step{RPS: rps, Holds: rps <= edge})
	}
	return tried, "never ended"
}

func TestClimb(t *testing.T) {
	base := Climb{First: 300, Factor: 2, Lowest: 20, Max: 5000}
	for _, test := range []struct {
		name  string
		edge  float64
		tried []float64
		end   ClimbEnd
	}{
		{"upwards to the first miss, which is repeated", 1000, []float64{300, 600, 1200, 1200}, ClimbBracketed},
		{"the highest rate holds", 9000, []float64{300, 600, 1200, 2400, 4800, 5000}, ClimbReachedMax},
		{"the highest rate misses", 4900, []float64{300, 600, 1200, 2400, 4800, 5000, 5000}, ClimbBracketed},
		{"downwards when the first misses", 30, []float64{300, 37.5, 20}, ClimbBracketed},
		{"even the lowest misses", 10, []float64{300, 37.5, 20}, ClimbInfeasible},
	} {
		t.Run(test.name, func(t *testing.T) {
			tried, end := climb(base, test.edge)
			if !slices.Equal(tried, test.tried) || end != test.end {
				t.Errorf("got %v, %q; want %v, %q", tried, end, test.tried, test.end)
			}
		})
	}
}

func TestClimbGoesOnAfterAWrongMiss(t *testing.T) {
	c := Climb{First: 300, Factor: 2, Lowest: 20, Max: 5000}
	steps := []Step{{300, true, 0.5}, {600, false, 2}}
	if rps, end := c.Next(steps); rps != 600 || end != ClimbGoesOn {
		t.Fatalf("after one miss: got %v, %q; want the same rate again", rps, end)
	}
	if rps, end := c.Next(append(steps, Step{600, true, 0.6})); rps != 1200 || end != ClimbGoesOn {
		t.Errorf("after a miss that was not repeated: got %v, %q; want the next rate, 1200", rps, end)
	}
}

func TestBracketTrustsWhatHolds(t *testing.T) {
	held, missed := Bracket([]Step{{100, true, 0}, {200, false, 2}, {300, true, 0}, {400, false, 2}, {350, false, 2}})
	if held != 300 || missed != 350 {
		t.Errorf("got %v, %v; want 300, 350", held, missed)
	}
}

func TestClimbDoesNotRepeatAMissByFar(t *testing.T) {
	c := Climb{First: 300, Factor: 2, Lowest: 20, Max: 5000}
	if rps, end := c.Next([]Step{{300, true, 0.5}, {600, false, 11}}); end != ClimbBracketed {
		t.Errorf("got %v, %q; want the end of the climb", rps, end)
	}
}

func TestSweepRatesLieOnBothSidesOfTheEdge(t *testing.T) {
	// The use grows with the square of the rate, and is 1 at 1 250/s.
	steps := []Step{{500, true, 0.16}, {1000, true, 0.64}, {1600, false, 1.6384}, {1600, false, 1.6}}
	for _, n := range []int{3, 6, 8} {
		rates := SweepRates(steps, 5000, n)
		if len(rates) != n || !slices.IsSorted(rates) {
			t.Errorf("%d rates: got %v, want so many, rising", n, rates)
		}
		if rates[0] > 400 || math.Abs(rates[n-1]-1500) > 1 {
			t.Errorf("%d rates: got %v, want from far below what held to a fifth above the edge", n, rates)
		}
	}
	if got := slices.Max(SweepRates(steps[:2], 5000, 6)); math.Abs(got-1000) > 1 {
		t.Errorf("nothing missed: got a highest rate of %v, want what held", got)
	}
	if got := slices.Max(SweepRates(steps, 1300, 6)); got > 1301 {
		t.Errorf("got a highest rate of %v, want none above the limit of 1300", got)
	}
}

func TestBunchesComeAtTheLowRates(t *testing.T) {
	rates := []float64{150, 290, 570, 870, 1000, 1200}
	if got := BunchedRates(rates, 1000); !slices.Equal(got, []float64{150, 290}) {
		t.Errorf("got %v, want those up to 400/s", got)
	}
	if got := BunchedRates(rates, 100); len(got) > 0 {
		t.Errorf("got %v, want none where every rate is high", got)
	}
}

// TestSearchFindsTheEdge plays the search against noisy systems: a probe at a
// rate r holds with probability 1/(1+exp(ln(r/edge)/spread)). The bounds are
// for the noise given, with room; they fail when the search stops adapting.
func TestSearchFindsTheEdge(t *testing.T) {
	for _, test := range []struct {
		name          string
		low, high     float64 // the starting bracket as shares of the edge
		spread        float64 // of the logistic in ln(rate)
		probes        int
		median, worst float64 // |relative error| over 500 systems
	}{
		{"no noise", 0.6, 1.6, 1e-6, 8, 0.03, 0.05},
		{"little noise", 0.6, 1.6, 0.02, 8, 0.04, 0.16},
		{"much noise", 0.6, 1.6, 0.05, 10, 0.06, 0.30},
		{"bracket too low", 0.3, 0.5, 0.01, 12, 0.04, 0.12},
		{"bracket too high", 2, 3, 0.01, 12, 0.05, 0.15},
	} {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, 11))
			var errors []float64
			for range 500 {
				edge := 100 * math.Exp(4*random.Float64())
				search := Search{Low: edge * test.low, High: edge * test.high, Max: 1e6, Probes: test.probes, Resolution: 1.06}
				var steps []Step
				for {
					rps, more := search.Next(steps)
					if !more {
						break
					}
					holds := random.Float64() < 1/(1+math.Exp(math.Log(rps/edge)/test.spread))
					steps = append(steps, Step{RPS: rps, Holds: holds})
				}
				if len(steps) > test.probes+extraProbes {
					t.Fatalf("got %d probes, want at most %d", len(steps), test.probes+extraProbes)
				}
				errors = append(errors, math.Abs(EdgeOf(steps)/edge-1))
			}
			slices.Sort(errors)
			if got := errors[len(errors)/2]; got > test.median {
				t.Errorf("median error: got %.3f, want at most %.3f", got, test.median)
			}
			if got := errors[len(errors)-1]; got > test.worst {
				t.Errorf("worst error: got %.3f, want at most %.3f", got, test.worst)
			}
		})
	}
}

// TestSearchRecoversFromAWrongMiss plays a search whose second probe misses far
// below the edge, as it does when something else uses the machine.
func TestSearchRecoversFromAWrongMiss(t *testing.T) {
	search := Search{Low: 500, High: 2000, Max: 1e5, Probes: 7, Resolution: 1.06}
	var steps []Step
	for {
		rps, more := search.Next(steps)
		if !more {
			break
		}
		steps = append(steps, Step{RPS: rps, Holds: rps <= 1500 && len(steps) != 0})
	}
	if got := EdgeOf(steps); math.Abs(got/1500-1) > 0.1 {
		t.Errorf("got an edge of %.0f from %v, want 1500 within a tenth", got, steps)
	}
}

func TestSearchNeverExceedsMax(t *testing.T) {
	search := Search{Low: 900, High: 1000, Max: 1000, Probes: 10, Resolution: 1.06}
	var steps []Step
	for {
		rps, more := search.Next(steps)
		if !more {
			break
		}
		if rps > 1000 {
			t.Fatalf("got a probe at %v, want at most 1000", rps)
		}
		steps = append(steps, Step{RPS: rps, Holds: true})
	}
	if got := EdgeOf(steps); math.Abs(got-1000) > 1 {
		t.Errorf("everything holds: got edge %v, want the highest allowed rate, 1000", got)
	}
}

func TestEdgeOf(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps []Step
		want  float64
	}{
		{"nothing measured", nil, 0},
		{"nothing held", []Step{{RPS: 100, Holds: false}, {RPS: 50, Holds: false}}, 0},
		{"nothing missed", []Step{{RPS: 100, Holds: true}, {RPS: 50, Holds: true}}, 100},
		{"between the last that held and the first that missed", []Step{{RPS: 100, Holds: true}, {RPS: 400, Holds: false}}, 200},
		{"one lucky probe far above does not move it", []Step{{RPS: 100, Holds: true}, {RPS: 110, Holds: true}, {RPS: 121, Holds: false}, {RPS: 130, Holds: false}, {RPS: 140, Holds: false}, {RPS: 150, Holds: true}}, math.Sqrt(110 * 121)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := EdgeOf(test.steps); math.Abs(got-test.want) > 1e-9 {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestPhaseDuration(t *testing.T) {
	const second = 1e9
	for _, test := range []struct {
		name                       string
		base, longest, rps, wanted float64
	}{
		{"enough samples in the base", 3 * second, 12 * second, 1000, 3 * second},
		{"longer for a low rate", 3 * second, 12 * second, 110, 7.26 * second},
		{"bounded", 3 * second, 12 * second, 10, 12 * second},
	} {
		got := PhaseDuration(time.Duration(test.base), time.Duration(test.longest), test.rps, 726)
		if math.Abs(float64(got)-test.wanted) > 1e6 {
			t.Errorf("%s: got %v, want %v ns", test.name, got, test.wanted)
		}
	}
}
