package models

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// MemoryPoint is one phase as the memory of a component sees it, all per replica.
type MemoryPoint struct {
	Bytes       float64 // the larger of working set and resident set, as far as known; the largest in the phase
	InFlight    float64 // requests, mean; NaN: not known
	Connections float64 // downstream, mean; NaN: not known
	At          float64 // seconds since some instant; all 0 when not known
}

// Memory is what a replica of a component holds:
//
//	bytes = Base + PerInFlight·inFlight + PerConnection·connections
//
// Where in-flight or connections did not vary enough they are not estimable, and
// Base is the largest value seen, which holds what there was of them.
type Memory struct {
	Base, PerInFlight, PerConnection stat.Estimate // bytes
	Largest                          float64       // bytes, seen in any phase; 0: none seen
	MostInFlight                     float64       // measured; 0 when not known
	MostConnections                  float64       // likewise
	// Drift is the growth in bytes a second at constant load, in the second half of
	// the phases, and Leak says that it is one: then no fixed size lasts.
	Drift stat.Estimate
	Leak  bool
	// Hysteresis is the share of what it grew by under load that it kept when the
	// load had come down again, 0 to 1. Where that is much, memory says nothing of the
	// load of the moment, and no autoscaler should follow it.
	Hysteresis stat.Estimate
}

// FitMemory fits the memory of a component. The points come in order of time.
func FitMemory(points []MemoryPoint) Memory {
	points = slices.DeleteFunc(slices.Clone(points), func(p MemoryPoint) bool { return !(p.Bytes > 0) || math.IsInf(p.Bytes, 0) })
	n := len(points)
	if n == 0 {
		none := stat.NotEstimable(0, "memory was not sampled")
		return Memory{Base: none, PerInFlight: none, PerConnection: none, Drift: none, Hysteresis: none}
	}
	column := func(of func(MemoryPoint) float64) []float64 {
		out := make([]float64, n)
		for i, p := range points {
			out[i] = of(p)
		}
		return out
	}
	bytes := column(func(p MemoryPoint) float64 { return p.Bytes })
	inFlight := column(func(p MemoryPoint) float64 { return p.InFlight })
	connections := column(func(p MemoryPoint) float64 { return p.Connections })
	m := Memory{
		Base:          stat.Estimate{Value: slices.Max(bytes), Low: slices.Min(bytes), High: slices.Max(bytes), N: n, Warnings: []string{"the largest value seen: it holds the requests and connections of the measurement"}},
		PerInFlight:   stat.NotEstimable(n, why("requests in flight", inFlight)),
		PerConnection: stat.NotEstimable(n, why("connections", connections)),
		Largest:       slices.Max(bytes),
	}
	m.Drift, m.Leak = drift(points)
	m.Hysteresis = hysteresis(points)
	if known(inFlight) {
		m.MostInFlight = slices.Max(inFlight)
	}
	if known(connections) {
		m.MostConnections = slices.Max(connections)
	}
	var names []*stat.Estimate
	var columns [][]float64
	if varied(inFlight) {
		names, columns = append(names, &m.PerInFlight), append(columns, inFlight)
	}
	if varied(connections) {
		names, columns = append(names, &m.PerConnection), append(columns, connections)
	}
	if len(columns) == 0 || n < len(columns)+3 {
		return m
	}
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = []float64{1}
		for _, c := range columns {
			rows[i] = append(rows[i], c[i])
		}
	}
	fit, dropped, err := stat.NonNegative(rows, bytes, nil, map[int]bool{0: true})
	if err != nil {
		return m
	}
	m.Base = notNegative(fit.Coefficient(0, stat.Confidence))
	for i, e := range names {
		if slices.Contains(dropped, i+1) {
			*e = stat.Estimate{Value: 0, Low: 0, High: 0, Confidence: stat.Confidence, N: n, Warnings: []string{"memory did not grow with it"}}
			continue
		}
		*e = notNegative(fit.Coefficient(i+1, stat.Confidence))
	}
	return m
}

func known(values []float64) bool { return !slices.ContainsFunc(values, math.IsNaN) }

// varied reports whether a quantity varied enough for a slope: by a factor of
// two, and by twenty.
func varied(values []float64) bool {
	if !known(values) {
		return false
	}
	low, high := slices.Min(values), slices.Max(values)
	return high >= 2*low && high-low >= 20
}

func why(what string, values []float64) string {
	if !known(values) {
		return what + " are not known"
	}
	if low := slices.Min(values); low == slices.Max(values) {
		return fmt.Sprintf("%s were %.4g throughout", what, low)
	}
	return fmt.Sprintf("%s varied only from %.4g to %.4g", what, slices.Min(values), slices.Max(values))
}

// Idle returns the memory of a replica without requests, in bytes: the base, and
// the most connections that were measured, where the base does not hold them.
func (m Memory) Idle() stat.Estimate { return plus(m.Base, m.PerConnection, m.MostConnections) }

// At returns the memory of a replica with so many requests in flight and the most
// connections that were measured, in bytes: never less than what was seen.
func (m Memory) At(inFlight float64) stat.Estimate {
	e := plus(m.Idle(), m.PerInFlight, inFlight)
	if e.OK() && e.High < m.Largest {
		e.High = m.Largest
	}
	return e
}

// plus adds n times what each takes, as far as that is known.
func plus(e, each stat.Estimate, n float64) stat.Estimate {
	if e.OK() && each.OK() && n > 0 {
		e.Value += each.Value * n
		e.Low += math.Max(0, each.Low) * n
		e.High += each.High * n
	}
	return e
}
