package models

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// What is measured of the memory of connections: so many phases, from none beside those
// of the load up to so many.
const (
	connectionSteps = 7
	connectionMost  = 480
	connectionFew   = 4 // phases that a slope needs
)

// ConnectionSteps returns how many connections to hold open beside those of the load, a
// phase for each.
func ConnectionSteps() []int {
	out := make([]int, connectionSteps)
	for i := range out {
		out[i] = i * connectionMost / (connectionSteps - 1)
	}
	return out
}

// ConnectionShare is the share of a memory limit from which on no more connections are
// opened: a component that is killed tells nothing.
const ConnectionShare = 0.85

// PerConnection fits what a connection takes of the memory of a component, in bytes, from
// phases of the same low rate with more and more connections that do nothing.
//
// What a load has freed before takes the first connections up without any growth. So the
// line is fitted to the last phases, four at the least, and of these the steepest counts:
// an error makes a connection dearer.
func PerConnection(points []MemoryPoint) stat.Estimate {
	points = slices.DeleteFunc(slices.Clone(points), func(p MemoryPoint) bool {
		return !(p.Bytes > 0) || math.IsInf(p.Bytes, 0) || math.IsNaN(p.Connections)
	})
	slices.SortStableFunc(points, func(a, b MemoryPoint) int { return cmp.Compare(a.Connections, b.Connections) })
	n := len(points)
	if n < connectionFew {
		return stat.NotEstimable(n, fmt.Sprintf("%d phases hold connections open and show memory, the cost of one needs %d", n, connectionFew))
	}
	connections := make([]float64, n)
	for i, p := range points {
		connections[i] = p.Connections
	}
	if !varied(connections) {
		return stat.NotEstimable(n, why("connections", connections))
	}
	steepest := stat.Estimate{Confidence: stat.Confidence, N: n, Warnings: []string{
		fmt.Sprintf("%.0f connections more fit in what memory had been freed before", connections[n-1]-connections[0]),
	}}
	for from := range n - connectionFew + 1 {
		var rows [][]float64
		var bytes []float64
		for _, p := range points[from:] {
			rows, bytes = append(rows, []float64{1, p.Connections}), append(bytes, p.Bytes)
		}
		fit, err := stat.LeastSquares(rows, bytes, nil)
		if err != nil {
			continue
		}
		if e := fit.Coefficient(1, stat.Confidence); e.Value > steepest.Value {
			steepest = e
		}
	}
	return notNegative(steepest)
}

// WithConnections returns the memory with what a connection takes, as it was measured by
// itself: the base then holds none.
func (m Memory) WithConnections(per stat.Estimate) Memory {
	if m.PerConnection.OK() || !per.OK() && len(per.Warnings) == 0 {
		return m
	}
	m.PerConnection = per
	if per.OK() && m.Base.OK() {
		held := m.MostConnections
		m.Base.Value = math.Max(0, m.Base.Value-held*per.Value)
		m.Base.Low = math.Max(0, m.Base.Low-held*per.High)
		m.Base.High = math.Max(0, m.Base.High-held*per.Low)
	}
	return m
}
