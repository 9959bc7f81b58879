package models

import (
	"math"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// heap is a program that keeps what a load has freed, and takes connections from there
// first: bytes = the larger of what it once had, and base + each · connections.
func heap(kept, base, each float64, connections []int) (points []MemoryPoint) {
	for i, n := range connections {
		ripple := 20e3 * float64(i%2) // of its allocator
		points = append(points, MemoryPoint{Bytes: math.Max(kept, base+each*float64(8+n)) + ripple, InFlight: 3, Connections: float64(8 + n)})
	}
	return points
}

func TestPerConnection(t *testing.T) {
	steps := ConnectionSteps()
	if len(steps) != 7 || steps[0] != 0 || steps[1] != 80 || steps[6] != 480 {
		t.Fatalf("steps %v, want seven from 0 to 480", steps)
	}
	for _, test := range []struct {
		name   string
		points []MemoryPoint
		want   float64 // bytes; 0: it does not grow; −1: not estimable
	}{
		{"grows throughout", heap(0, 45e6, 60e3, steps), 60e3},
		// 45 MB + 60 KB × 88 = 50.3 MB: the first two fit in what a load has left.
		{"the first fit in what was freed", heap(50.3e6, 45e6, 60e3, steps), 60e3},
		{"all fit in what was freed", heap(90e6, 45e6, 60e3, steps), 0},
		{"only three phases", heap(0, 45e6, 60e3, steps[:3]), -1},
		{"no more connections", heap(0, 45e6, 60e3, make([]int, 7)), -1},
		{"connections are not known", func() []MemoryPoint {
			points := heap(0, 45e6, 60e3, steps)
			for i := range points {
				points[i].Connections = math.NaN()
			}
			return points
		}(), -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := PerConnection(test.points)
			switch {
			case test.want < 0:
				if got.OK() || len(got.Warnings) == 0 {
					t.Errorf("got %+v, want a reason why it is not estimable", got)
				}
			case !got.OK() || math.Abs(got.Value-test.want) > 0.01*60e3 || got.Low > test.want || got.High < test.want:
				t.Errorf("got %+v, want %.0f in its interval", got, test.want)
			}
		})
	}
}

func TestMemoryWithConnections(t *testing.T) {
	per := stat.Estimate{Value: 60e3, Low: 50e3, High: 70e3, N: 7}
	m := Memory{Base: stat.Estimate{Value: 50e6, Low: 49e6, High: 51e6, N: 9}, PerConnection: stat.NotEstimable(9, "connections were 8 throughout"), MostConnections: 8, Largest: 51e6}
	got := m.WithConnections(per)
	// 50 MB − 8 × 60 KB, and the ends as far apart as they may be.
	if got.Base.Value != 49.52e6 || got.Base.Low != 48.44e6 || got.Base.High != 50.6e6 || got.PerConnection.Value != 60e3 {
		t.Errorf("got %+v", got)
	}
	// With the connections of the load it is what it was.
	if idle := got.Idle(); math.Abs(idle.Value-50e6) > 1 || idle.High < 51e6 {
		t.Errorf("with 8 connections: %+v, want 50 MB, at most 51 MB or more", idle)
	}
	m.PerConnection = stat.Estimate{Value: 1, Low: 1, High: 1, N: 3}
	if got := m.WithConnections(per); got.PerConnection.Value != 1 || got.Base.Value != 50e6 {
		t.Errorf("what the load itself showed was replaced: %+v", got)
	}
}
