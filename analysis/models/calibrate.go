package models

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// The factors that a demand is calibrated with: beyond them something else runs
// there, or under other conditions, and no factor makes one out of the other.
const (
	LeastFactor = 0.5
	MostFactor  = 2.0
)

// Calibration returns what a system's CPU is as a multiple of what a demand that was
// measured elsewhere predicts at the same rate: the mean of the cores that a replica
// was seen to use, over the prediction. Its interval holds the scatter of the
// observations (Student's t) and the interval of the prediction, whose relative
// half-widths add as squares. Not estimable with fewer than three observations.
func Calibration(d Demand, rps float64, cores []float64) stat.Estimate {
	n := len(cores)
	predicted := d.CoresAt(rps)
	switch {
	case !predicted.OK():
		return stat.NotEstimable(n, predicted.Warnings[0])
	case !(predicted.Value > 0) || !(rps > 0):
		return stat.NotEstimable(n, "the demand predicts no CPU at that rate")
	case n < 3:
		return stat.NotEstimable(n, fmt.Sprintf("%d observations of the CPU, three are needed", n))
	}
	mean, squares := 0.0, 0.0
	for _, v := range cores {
		mean += v / float64(n)
	}
	for _, v := range cores {
		squares += (v - mean) * (v - mean)
	}
	if !(mean > 0) {
		return stat.NotEstimable(n, "no CPU was used")
	}
	t := distuv.StudentsT{Nu: float64(n - 1), Sigma: 1}.Quantile(0.5 + stat.Confidence/2)
	seen := t * math.Sqrt(squares/float64(n-1)/float64(n)) / mean
	fitted := (predicted.High - predicted.Low) / 2 / predicted.Value
	half := math.Hypot(seen, fitted)
	factor := mean / predicted.Value
	return stat.Estimate{
		Value: factor, Low: factor * math.Max(0, 1-half), High: factor * (1 + half), Confidence: stat.Confidence, N: n, Warnings: predicted.Warnings,
	}
}

// Calibrated returns the demand times a factor, which widens its intervals: the ends
// of both are multiplied.
func (d Demand) Calibrated(factor stat.Estimate) Demand {
	if !d.OK() || !factor.OK() {
		return d
	}
	d.factor = &factor
	d.Idle, d.PerRequest, d.PerWakeUp = times(d.Idle, factor), times(d.PerRequest, factor), times(d.PerWakeUp, factor)
	d.ResidualCores *= factor.Value
	d.Words = fmt.Sprintf("%.3g (%.3g – %.3g) × (%s)", factor.Value, factor.Low, factor.High, d.Words)
	return d
}

// times multiplies estimates of what is not negative.
func times(e, factor stat.Estimate) stat.Estimate {
	if !e.OK() {
		return e
	}
	e.Value *= factor.Value
	e.Low = math.Max(0, e.Low) * factor.Low
	e.High *= factor.High
	return e
}
