package compare

import "math"

// Metric is something that runs are compared by, as a value a run.
type Metric struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`     // seconds, bytes, rps, ratio, cpuSeconds
	Higher   bool    `json:"higher"`   // higher is better
	Margin   float64 `json:"margin"`   // changes up to it do not matter: a share of the base, or with Absolute in the unit
	Absolute bool    `json:"absolute"` // compared by difference, as a ratio of errors is that may be 0
}

// Series is a metric's values of the runs on both sides; NaN where a run has none.
// Of pairs the values of one index belong together.
type Series struct {
	Metric
	Base, New []float64
}

// scale says how values are made comparable: so that up is worse, and that the
// margin is a distance.
type scale struct {
	metric Metric
	ratios bool // logarithms are compared
}

// limit is the margin on the scale.
func (s scale) limit() float64 {
	if s.ratios {
		return math.Log1p(s.metric.Margin)
	}
	return s.metric.Margin
}

func (s scale) of(v float64) float64 {
	if s.ratios {
		v = math.Log(v)
	}
	if s.metric.Higher {
		return -v
	}
	return v
}

// change turns a distance on the scale into what people read: new ÷ base − 1, or
// new − base; up is up again.
func (s scale) change(distance float64) float64 {
	if s.metric.Higher {
		distance = -distance
	}
	if s.ratios {
		return math.Expm1(distance)
	}
	return distance
}
