package models

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// Series is what one metric of one replica did during a phase.
type Series struct {
	First, Last     float64
	FirstAt, LastAt time.Duration
	Mean, Max       float64
	N               int
	Fell            bool          // a later value was below an earlier one: a counter that did so was reset
	LongestGap      time.Duration // between successive samples
}

// Rate returns the growth per second between the first and the last sample; ok
// is false with fewer than two samples, or when a value fell.
func (s Series) Rate() (perSecond float64, ok bool) {
	if s.N < 2 || s.LastAt <= s.FirstAt || s.Fell {
		return 0, false
	}
	return (s.Last - s.First) / (s.LastAt - s.FirstAt).Seconds(), true
}

func (s Series) add(at time.Duration, v float64) Series {
	if s.N == 0 {
		return Series{First: v, Last: v, FirstAt: at, LastAt: at, Mean: v, Max: v, N: 1}
	}
	s.N++
	s.Fell = s.Fell || v < s.Last
	s.LongestGap = max(s.LongestGap, at-s.LastAt)
	s.Last, s.LastAt = v, at
	s.Mean += (v - s.Mean) / float64(s.N)
	s.Max = math.Max(s.Max, v)
	return s
}

// Replica is one replica of a component during a phase.
type Replica map[record.Metric]Series

// Sampled is what the samples of a phase say, by component and replica. Only
// samples taken while requests were being sent are in it: what happens while the
// last answers are awaited belongs to another rate.
type Sampled map[string]map[string]Replica

// Samples reads the samples of a phase.
func Samples(phase record.PhaseData) Sampled {
	out := Sampled{}
	end := phase.SendEnd
	if end <= phase.Start {
		end = phase.End
	}
	for _, sample := range phase.Samples {
		if sample.At < phase.Start || (end > phase.Start && sample.At > end) {
			continue
		}
		replicas := out[sample.Component]
		if replicas == nil {
			replicas = map[string]Replica{}
			out[sample.Component] = replicas
		}
		replica := replicas[sample.Replica]
		if replica == nil {
			replica = Replica{}
			replicas[sample.Replica] = replica
		}
		for metric, v := range sample.Metrics {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				replica[metric] = replica[metric].add(sample.At, v)
			}
		}
	}
	return out
}

// replicas returns the replicas of a component in the order of their names, so
// that sums come out the same each time.
func (s Sampled) replicas(component string) []Replica {
	byName := s[component]
	out := make([]Replica, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// Rate returns the growth per second of a counter, summed over the replicas of a
// component; ok is false when any replica cannot tell.
func (s Sampled) Rate(component string, metric record.Metric) (perSecond float64, ok bool) {
	for _, replica := range s.replicas(component) {
		rate, known := replica[metric].Rate()
		if !known {
			return 0, false
		}
		perSecond += rate
	}
	return perSecond, len(s[component]) > 0
}

// Growth returns by how much a counter grew, summed over the replicas that know it.
func (s Sampled) Growth(component string, metric record.Metric) (growth float64, ok bool) {
	for _, replica := range s.replicas(component) {
		if series := replica[metric]; series.N >= 2 && !series.Fell {
			growth, ok = growth+series.Last-series.First, true
		}
	}
	return growth, ok
}

// Mean returns the mean of a gauge over time, averaged over the replicas.
func (s Sampled) Mean(component string, metric record.Metric) (mean float64, ok bool) {
	n := 0.0
	for _, replica := range s.replicas(component) {
		if series := replica[metric]; series.N > 0 {
			mean, n = mean+series.Mean, n+1
		}
	}
	return mean / math.Max(n, 1), n > 0
}

// Max returns the largest value of a gauge on any replica.
func (s Sampled) Max(component string, metric record.Metric) (largest float64, ok bool) {
	largest = math.Inf(-1)
	for _, replica := range s.replicas(component) {
		if series := replica[metric]; series.N > 0 {
			largest, ok = math.Max(largest, series.Max), true
		}
	}
	return largest, ok
}

// Throttled returns the share of quota periods in which a component was
// throttled, over all replicas; ok is false when it is not known or no period
// passed.
func (s Sampled) Throttled(component string) (ratio float64, ok bool) {
	periods, known := s.Growth(component, record.Periods)
	throttled, alsoKnown := s.Growth(component, record.ThrottledPeriods)
	if !known || !alsoKnown || periods <= 0 {
		return 0, false
	}
	return math.Min(1, math.Max(0, throttled/periods)), true
}

// OfferedRPS returns how many arrivals a second really came due in a phase: what
// was asked for, as the draw of a random process realised it. 0 when nothing is
// known.
func OfferedRPS(phase record.PhaseData) float64 {
	seconds := (phase.SendEnd - phase.Start).Seconds()
	if seconds <= 0 || phase.Counts.Intended <= 0 {
		return phase.Spec.Rate.RPS()
	}
	return float64(phase.Counts.Intended) / seconds
}
