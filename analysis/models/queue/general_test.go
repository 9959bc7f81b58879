package queue

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestMG1Wait(t *testing.T) {
	for _, test := range []struct {
		name               string
		rate, service, cv2 float64
		want               float64
	}{
		{"M/M/1: ρ ÷ (μ−λ)", 8, 0.1, 1, 0.4},
		{"M/D/1 waits half as long", 8, 0.1, 0, 0.2},
		{"cs² = 4", 8, 0.1, 4, 1},
		{"Erlang-2 service: 3/4 of M/M/1", 8, 0.1, 0.5, 0.3},
		{"no load", 0, 0.1, 4, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := MG1Wait(test.rate, test.service, test.cv2); err != nil || !near(got, test.want, 1e-12) {
				t.Errorf("MG1Wait = %g, %v, want %g", got, err, test.want)
			}
		})
	}
	if got, err := MG1Wait(10, 0.1, 1); !errors.Is(err, ErrInfeasible) || !math.IsNaN(got) {
		t.Errorf("ρ = 1: %g, %v, want ErrInfeasible", got, err)
	}
	for _, bad := range [][3]float64{{-1, 0.1, 1}, {1, 0, 1}, {1, 0.1, -1}, {math.NaN(), 0.1, 1}, {1, 0.1, math.Inf(1)}} {
		if _, err := MG1Wait(bad[0], bad[1], bad[2]); err == nil || errors.Is(err, ErrInfeasible) {
			t.Errorf("MG1Wait(%v): error %v, want one about the value", bad, err)
		}
	}
}

// shapes of arrivals and of service, by the letters of Kendall's notation.
func shape(t *testing.T, name string, mean float64) Times {
	t.Helper()
	var times Times
	var err error
	switch name {
	case "M":
		times, err = Exponential(mean)
	case "D":
		times, err = Constant(mean)
	case "H2(4)":
		times, err = Hyperexponential(mean, 4)
	case "LN(4)":
		times, err = Lognormal(mean, 4)
	case "LN(1/4)":
		times, err = Lognormal(mean, 0.25)
	default:
		t.Fatalf("no shape %q", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return times
}

// simulated is a queue with a mean service time of 1 s and that load of a server.
func simulated(t *testing.T, arrivals, service string, servers int, load float64, requests, replications int) (Simulation, Simulated) {
	t.Helper()
	s := Simulation{
		Arrivals: shape(t, arrivals, 1/(load*float64(servers))), Service: shape(t, service, 1),
		Servers: servers, Requests: requests, Replications: replications, Seed: 11,
	}
	result, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	return s, result
}

// The errors that were measured with another simulator, at a load of 0.8.
func TestAllenCunneenErrors(t *testing.T) {
	for _, test := range []struct {
		arrivals, service string
		servers           int
		want, tolerance   float64 // (approximation − truth) ÷ truth; of the tolerance, the interval of this simulation
		bias              string
	}{
		{"D", "M", 4, 0.37, 0.05, "too high"},
		{"M", "D", 10, -0.07, 0.04, "too low"},
		{"H2(4)", "M", 4, -0.11, 0.06, "too low"},
		{"H2(4)", "LN(4)", 10, -0.09, 0.09, "too low"},
		{"M", "LN(4)", 10, 0.17, 0.09, "too high"},
		{"M", "M", 4, 0, 0.03, ""},
	} {
		t.Run(test.arrivals+"/"+test.service, func(t *testing.T) {
			s, got := simulated(t, test.arrivals, test.service, test.servers, 0.8, 80_000, 10)
			e, err := AllenCunneen(0.8*float64(test.servers), 1, test.servers, s.Arrivals.CV2(), s.Service.CV2())
			if err != nil {
				t.Fatal(err)
			}
			if off := e.Value/got.Wait.Value - 1; !near(off, test.want, test.tolerance) {
				t.Errorf("the approximation is off by %+.1f %%, want %+.0f %%; simulated %+v", 100*off, 100*test.want, got.Wait)
			}
			if got.Wait.Value < e.Low || got.Wait.Value > e.High {
				t.Errorf("simulated %g s outside of [%g, %g]", got.Wait.Value, e.Low, e.High)
			}
			switch {
			case test.bias == "" && len(e.Warnings) != 0:
				t.Errorf("warnings %q", e.Warnings)
			case test.bias != "" && (len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], test.bias)):
				t.Errorf("warnings %q, want one with %q", e.Warnings, test.bias)
			}
		})
	}
}

// The interval holds the simulated waiting time, within what the simulation knows,
// where the approximation is far off: few requests wait, many servers, arrivals
// unlike Poisson's.
func TestAllenCunneenInterval(t *testing.T) {
	for _, arrivals := range []string{"M", "D", "H2(4)", "LN(1/4)"} {
		for _, service := range []string{"M", "D", "H2(4)", "LN(4)", "LN(1/4)"} {
			for _, servers := range []int{1, 4, 20} {
				for _, load := range []float64{0.5, 0.7, 0.9} {
					s, got := simulated(t, arrivals, service, servers, load, 6_000, 5)
					e, err := AllenCunneen(load*float64(servers), 1, servers, s.Arrivals.CV2(), s.Service.CV2())
					if err != nil {
						t.Fatal(err)
					}
					const few = 100 // requests that waited tell little about how long
					if got.Waited.Value*6_000*5 < few {
						continue
					}
					if got.Wait.High < e.Low || got.Wait.Low > e.High {
						t.Errorf("%s/%s/%d at %g: simulated %g [%g, %g], estimated %g [%g, %g]", arrivals, service, servers, load,
							got.Wait.Value, got.Wait.Low, got.Wait.High, e.Value, e.Low, e.High)
					}
				}
			}
		}
	}
}

func TestAllenCunneenRefuses(t *testing.T) {
	if _, err := AllenCunneen(40, 0.1, 4, 1, 1); !errors.Is(err, ErrInfeasible) {
		t.Errorf("ρ = 1: %v, want ErrInfeasible", err)
	}
	for _, cv2 := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := AllenCunneen(1, 0.1, 4, cv2, 1); err == nil {
			t.Errorf("ca² = %g: no error", cv2)
		}
		if _, err := AllenCunneen(1, 0.1, 4, 1, cv2); err == nil {
			t.Errorf("cs² = %g: no error", cv2)
		}
	}
	// Nothing varies: nothing waits.
	e, err := AllenCunneen(30, 0.1, 4, 0, 0)
	if err != nil || !slices.Equal([]float64{e.Value, e.Low, e.High}, []float64{0, 0, 0}) {
		t.Errorf("D/D/4: %+v, %v, want 0", e, err)
	}
}
