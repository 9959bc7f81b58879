package scenarios_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

type points = []scenarios.CurvePoint

// loadPhase resolves a scenario in a folder with the files of the examples, and
// returns its last phase.
func loadPhase(t *testing.T, load string) scenarios.Phase {
	t.Helper()
	phases := resolveIn(t, in(t, exampleFiles()), minimal+"load: {"+load+"}\n").Phases
	return phases[len(phases)-1]
}

func TestShapes(t *testing.T) {
	const s, m = time.Second, time.Minute
	for _, tt := range []struct {
		name, load string
		want       points
		mean       float64 // by hand
	}{
		{"plain", "rate: 5/s", nil, 5},
		{"ramp", "duration: 10s, shape: {ramp: {from: 5/s, to: 15/s}}", points{{0, 5}, {10 * s, 15}}, 10},
		{"ramp from nothing", "shape: {ramp: {to: 60/m}}", points{{0, 0}, {m, 1}}, 0.5},
		{"steps", "shape: {steps: [{rate: 2/s, for: 1s}, {for: 2s}, {rate: 4/s, for: 1s}]}",
			points{{0, 2}, {s, 2}, {s, 0}, {3 * s, 0}, {3 * s, 4}, {4 * s, 4}}, 1.5},
		{"a step that goes on", "duration: 4s, shape: {steps: [{rate: 2/s, for: 1s}, {rate: 6/s, for: 1s}]}",
			points{{0, 2}, {s, 2}, {s, 6}, {4 * s, 6}}, 5},
		{"spike", "rate: 2/s, duration: 10s, shape: {spike: {rate: 7/s, at: 3s, for: 2s}}",
			points{{0, 2}, {3 * s, 2}, {3 * s, 7}, {5 * s, 7}, {5 * s, 2}, {10 * s, 2}}, 3},
		{"spike at the start", "rate: 2/s, duration: 10s, shape: {spike: {rate: 7/s, for: 2s}}",
			points{{0, 7}, {2 * s, 7}, {2 * s, 2}, {10 * s, 2}}, 3},
		{"spike at the end", "rate: 2/s, duration: 10s, shape: {spike: {rate: 7/s, at: 8s, for: 2s}}",
			points{{0, 2}, {8 * s, 2}, {8 * s, 7}, {10 * s, 7}}, 3},
		{"replay", "shape: {replay: {file: friday.csv, scale: 0.5}}", points{{0, 50}, {time.Hour, 100}}, 75},
		{"replay cut", "duration: 30m, shape: {replay: {file: friday.csv}}", points{{0, 100}, {30 * m, 150}}, 125},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := loadPhase(t, tt.load)
			if !reflect.DeepEqual(got.Curve, tt.want) {
				t.Errorf("\n got %v\nwant %v", got.Curve, tt.want)
			}
			if math.Abs(got.Rate.RPS()-tt.mean) > 1e-9 {
				t.Errorf("mean %v, want %v", got.Rate.RPS(), tt.mean)
			}
			if n := len(tt.want); n > 0 && got.Duration != tt.want[n-1].At {
				t.Errorf("duration %s, want %s", got.Duration, tt.want[n-1].At)
			}
		})
	}
}

// TestSineIsSmooth compares the curve with the sine itself, between its points
// as well.
func TestSineIsSmooth(t *testing.T) {
	phase := loadPhase(t, "rate: 100/s, duration: 25s, shape: {sine: {amplitude: 100/s, period: 10s}}")
	segment := 0
	for at := time.Duration(0); at <= phase.Duration; at += 7 * time.Millisecond {
		for phase.Curve[segment+1].At < at {
			segment++
		}
		a, b := phase.Curve[segment], phase.Curve[segment+1]
		got := a.RPS + (b.RPS-a.RPS)*float64(at-a.At)/float64(b.At-a.At)
		want := 100 + 100*math.Sin(2*math.Pi*at.Seconds()/10)
		if math.Abs(got-want) > 0.1 { // 0.1 % of the mean rate
			t.Fatalf("at %s: rate %v, want %v", at, got, want)
		}
	}
	if got := phase.PeakRPS(); math.Abs(got-200) > 0.001 {
		t.Errorf("peak %v, want 200", got)
	}
	whole := loadPhase(t, "rate: 100/s, duration: 20s, shape: {sine: {amplitude: 100/s, period: 10s}}")
	if mean := scenarios.MeanOf(whole.Curve); math.Abs(mean-100) > 1e-6 {
		t.Errorf("mean %v over whole swings, want 100", mean)
	}
}

func TestWarmUpOfAShape(t *testing.T) {
	for load, want := range map[string]float64{
		"warmUp: 5s, shape: {ramp: {from: 5/s, to: 15/s}}":                         5,
		"warmUp: 5s, shape: {ramp: {to: 15/s}}":                                    7.5,
		"warmUp: 5s, rate: 3/s, shape: {sine: {amplitude: 2/s, period: 1m}}":       3,
		"warmUp: 5s, rate: 3/s, shape: {spike: {rate: 9/s, at: 10s, for: 10s}}":    3,
		"warmUp: 5s, shape: {steps: [{for: 5s}, {rate: 4/s, for: 5s}]}":            2,
		"warmUp: 5s, shape: {replay: {file: friday.csv, scale: 0.01}}":             1,
		"warmUp: 5s, shape: {steps: [{rate: 1/s, for: 5s}, {rate: 4/s, for: 5s}]}": 1,
	} {
		phases := resolveIn(t, in(t, exampleFiles()), minimal+"load: {"+load+"}\n").Phases
		if len(phases) != 2 || phases[0].Kind != scenarios.KindWarmUp || phases[0].Curve != nil || math.Abs(phases[0].Rate.RPS()-want) > 1e-9 {
			t.Errorf("%s: got phases %+v, want a warm-up at %v/s", load, phases, want)
		}
	}
}

func TestCurveFromSamples(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds int, rps float64) scenarios.RateSample {
		return scenarios.RateSample{At: start.Add(time.Duration(seconds) * time.Second), RPS: rps}
	}
	const s = time.Second
	for _, tt := range []struct {
		name     string
		samples  []scenarios.RateSample
		scale    float64
		duration time.Duration
		want     points
		err      string
	}{
		{"as it is", []scenarios.RateSample{at(0, 1), at(10, 3)}, 1, 0, points{{0, 1}, {10 * s, 3}}, ""},
		{"out of order, scaled", []scenarios.RateSample{at(10, 3), at(0, 1)}, 2, 0, points{{0, 2}, {10 * s, 6}}, ""},
		{"a jump", []scenarios.RateSample{at(0, 1), at(5, 1), at(5, 9), at(5, 3), at(10, 3)}, 1, 0, points{{0, 1}, {5 * s, 1}, {5 * s, 3}, {10 * s, 3}}, ""},
		{"cut between", []scenarios.RateSample{at(0, 1), at(10, 3), at(20, 0)}, 1, 5 * s, points{{0, 1}, {5 * s, 2}}, ""},
		{"cut at a sample", []scenarios.RateSample{at(0, 1), at(10, 3), at(20, 0)}, 1, 10 * s, points{{0, 1}, {10 * s, 3}}, ""},
		{"cut at a jump", []scenarios.RateSample{at(0, 1), at(10, 3), at(10, 7), at(20, 0)}, 1, 10 * s, points{{0, 1}, {10 * s, 3}}, ""},
		{"too short", []scenarios.RateSample{at(0, 1), at(10, 3)}, 1, 11 * s, nil, "shorter than the load"},
		{"one", []scenarios.RateSample{at(0, 1)}, 1, 0, nil, "at least two"},
		{"one instant", []scenarios.RateSample{at(0, 1), at(0, 2)}, 1, 0, nil, "at least two"},
		{"below zero", []scenarios.RateSample{at(0, 1), at(1, -2)}, 1, 0, nil, "-2/s"},
		{"not a number", []scenarios.RateSample{at(0, math.NaN()), at(1, 2)}, 1, 0, nil, "NaN/s"},
		{"never above zero", []scenarios.RateSample{at(0, 0), at(1, 0)}, 1, 0, nil, "never rises"},
		{"no scale", []scenarios.RateSample{at(0, 1), at(1, 1)}, 0, 0, nil, "scale"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scenarios.CurveFromSamples(tt.samples, tt.scale, tt.duration)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, error %v, want %q in it", got, err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, error %v, want %v", got, err, tt.want)
			}
		})
	}
}

// TestQueryIsLeftToTheCaller resolves a replay that only a network can answer.
func TestQueryIsLeftToTheCaller(t *testing.T) {
	s, err := scenarios.Decode("f.yaml", []byte(minimal+"guards: {maxRate: 20/s}\nload: {warmUp: 1s, shape: {replay: {query: x, last: 1h}}}\nobserve: {prometheus: http://127.0.0.1:9090}\n"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := scenarios.Resolve(*s)
	if err != nil || plan.Phases != nil || !s.NeedsQuery() || !s.HasLoad() {
		t.Fatalf("got phases %+v, error %v, want none yet", plan.Phases, err)
	}
	full := scenarios.Defaults(*s)
	phases, err := scenarios.RunPhases(full, points{{0, 10}, {time.Hour, 20}})
	if err != nil || len(phases) != 2 || phases[1].Duration != time.Hour || phases[1].Rate != scenarios.PerSecond(15) || phases[0].Rate != scenarios.PerSecond(10) {
		t.Errorf("got %+v, error %v", phases, err)
	}
	if _, err := scenarios.RunPhases(full, points{{0, 10}, {time.Hour, 21}}); err == nil || !strings.Contains(err.Error(), "the peak of 21/s is above guards.maxRate, 20/s") {
		t.Errorf("got error %v, want one about the guard", err)
	}
	if _, err := scenarios.RunPhases(full, nil); err == nil {
		t.Error("no error without a curve")
	}
}

func TestPhaseJSONCurve(t *testing.T) {
	phase := scenarios.Phase{
		Name: "load", Kind: scenarios.KindLoad, Process: scenarios.Poisson, Rate: scenarios.PerSecond(5),
		Duration: 720*time.Hour + 1, Curve: points{{0, 0}, {1, 0.1}, {720 * time.Hour, 10}, {720*time.Hour + 1, 1.0 / 3}},
	}
	text, err := json.Marshal(phase)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"curve":[[0,0],[1e-9,0.1],[2592000,10],[2592000.000000001,0.3333333333333333]]`; !strings.Contains(string(text), want) {
		t.Errorf("got %s, want %s in it", text, want)
	}
	var back scenarios.Phase
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, phase) {
		t.Errorf("got %+v, want %+v", back, phase)
	}
	for _, bad := range []string{`[[0,1]]`, `[[0,1],[3,1]]`, `[[0,1],[2,-1]]`, `[[0,1],[-2,1]]`, `[[0,1],["2",1]]`} {
		if err := json.Unmarshal([]byte(`{"durationSeconds": 2, "seed": "1", "curve": `+bad+`}`), &back); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
	if peak := phase.PeakRPS(); peak != 10 {
		t.Errorf("peak %v, want 10", peak)
	}
}

// TestRPSAt: straight lines between points, at a jump the rate that follows.
func TestRPSAt(t *testing.T) {
	const s = time.Second
	curve := []scenarios.CurvePoint{{0, 10}, {10 * s, 30}, {10 * s, 100}, {20 * s, 100}}
	shaped := scenarios.Phase{Process: scenarios.Poisson, Rate: scenarios.PerSecond(60), Duration: 20 * s, Curve: curve}
	for at, want := range map[time.Duration]float64{0: 10, 5 * s: 20, 10*s - 1: 30, 10 * s: 100, 15 * s: 100, 20 * s: 100, 99 * s: 100} {
		if got := shaped.RPSAt(at); math.Abs(got-want) > 1e-6 {
			t.Errorf("at %s: got %v, want %v", at, got, want)
		}
	}
	shaped.Curve = nil
	if got := shaped.RPSAt(5 * s); got != 60 {
		t.Errorf("without a curve: got %v, want 60", got)
	}
	shaped.Process = scenarios.Closed
	if got := shaped.RPSAt(5 * s); got != 0 {
		t.Errorf("in a closed loop: got %v, want 0", got)
	}
}
