package models

import (
	"math"
	"math/rand/v2"
	"testing"
)

// holding makes the phases of a program by what it holds at each instant: a sweep
// up to 400 in flight and down again, over and over, thirty seconds a phase.
func holding(of func(seconds, inFlight, most float64) float64) []MemoryPoint {
	random := rand.New(rand.NewPCG(1, 2))
	var out []MemoryPoint
	most := 0.0
	for i, inFlight := range []float64{10, 60, 150, 400, 20, 200, 100, 390, 30, 250, 70, 380, 15, 140, 360, 40} {
		most = math.Max(most, inFlight)
		at := 30 * float64(i)
		out = append(out, MemoryPoint{Bytes: of(at, inFlight, most) + 1e5*random.NormFloat64(), InFlight: inFlight, Connections: 8, At: at})
	}
	return out
}

func TestMemoryTellsLeaksFromWhatIsKeptAndFromWarmingUp(t *testing.T) {
	const base, each = 40e6, 20e3
	for _, c := range []struct {
		name      string
		of        func(seconds, inFlight, most float64) float64
		leak      bool
		low, high float64 // of the hysteresis
		perSecond float64 // of the drift; 0: near none
	}{
		{"gives all back", func(_, now, _ float64) float64 { return base + each*now }, false, 0, 0.2, 0},
		{"keeps all", func(_, _, most float64) float64 { return base + each*most }, false, 0.9, 1, 0},
		{"leaks", func(t, _, most float64) float64 { return base + each*most + 20e3*t }, true, 0.9, 1, 20e3},
		{"warms up", func(t, _, most float64) float64 { return base + each*most + 8e6*(1-math.Exp(-t/40)) }, false, 0.5, 1, 0},
	} {
		m := FitMemory(holding(c.of))
		if m.Leak != c.leak {
			t.Errorf("%s: got leak %v with a drift of %.0f [%.0f, %.0f] bytes a second, want %v", c.name, m.Leak, m.Drift.Value, m.Drift.Low, m.Drift.High, c.leak)
		}
		if h := m.Hysteresis; !h.OK() || h.Value < c.low || h.Value > c.high {
			t.Errorf("%s: got a hysteresis of %v, want %v to %v", c.name, h.Value, c.low, c.high)
		}
		if math.Abs(m.Drift.Value-c.perSecond) > 2e3 {
			t.Errorf("%s: got a drift of %.0f bytes a second, want some %.0f", c.name, m.Drift.Value, c.perSecond)
		}
	}
}

func TestShortRunsTellNoLeak(t *testing.T) {
	points := holding(func(t, _, _ float64) float64 { return 40e6 + 20e3*t })
	for i := range points {
		points[i].At /= 10
	}
	if m := FitMemory(points); m.Leak || m.Drift.OK() {
		t.Errorf("half a minute: got leak %v, drift %v; want neither", m.Leak, m.Drift.Value)
	}
	if m := FitMemory(points[:3]); m.Leak || m.Drift.OK() || m.Hysteresis.OK() {
		t.Errorf("three phases up: got leak %v, drift %v, hysteresis %v; want none", m.Leak, m.Drift.Value, m.Hysteresis.Value)
	}
}
