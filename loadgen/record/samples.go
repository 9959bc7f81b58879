package record

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// seriesKey names one column of one replica.
type seriesKey struct {
	component, replica string
	metric             Metric
}

const (
	// maxGaps is how many gaps between samples are looked at to tell the usual one.
	maxGaps = 31
	// defaultReach applies to a series with less than two samples.
	defaultReach = 1500 * time.Millisecond
)

// spacing learns how far apart the samples of each series usually are.
type spacing struct {
	seen map[seriesKey]*gaps
}

type gaps struct {
	last  time.Duration
	known []time.Duration
}

func newSpacing() *spacing { return &spacing{seen: map[seriesKey]*gaps{}} }

// note takes a sample into account. Those of a series come in order of time.
func (s *spacing) note(sample Sample) {
	for metric := range sample.Metrics {
		key := seriesKey{sample.Component, sample.Replica, metric}
		g := s.seen[key]
		if g == nil {
			s.seen[key] = &gaps{last: sample.At}
			continue
		}
		if gap := sample.At - g.last; gap > 0 && len(g.known) < maxGaps {
			g.known = append(g.known, gap)
		}
		g.last = sample.At
	}
}

// reach returns how far outside a phase a sample of the series may lie and still
// belong to it: one and a half times the median gap.
func (s *spacing) reach(key seriesKey) time.Duration {
	g := s.seen[key]
	if g == nil || len(g.known) == 0 {
		return defaultReach
	}
	sorted := slices.Sorted(slices.Values(g.known))
	return sorted[len(sorted)/2] * 3 / 2
}

func sortSamples(samples []Sample) {
	slices.SortStableFunc(samples, func(a, b Sample) int { return cmp.Compare(a.At, b.At) })
}

// within returns the samples of a phase from all samples in order of time: those
// from start to end, and for each series the nearest one outside on either side
// that is within reach.
func (s *spacing) within(samples []Sample, start, end time.Duration) []Sample {
	first := sort.Search(len(samples), func(i int) bool { return samples[i].At >= start })
	after := max(first, sort.Search(len(samples), func(i int) bool { return samples[i].At > end }))

	var chosen []Sample
	covered := map[seriesKey]bool{}
	farthest := s.farthest()
	for i := first - 1; i >= 0 && start-samples[i].At <= farthest; i-- {
		if s.covers(samples[i], start-samples[i].At, covered) {
			chosen = append(chosen, samples[i])
		}
	}
	slices.Reverse(chosen)
	chosen = append(slices.Grow(chosen, after-first), samples[first:after]...)
	clear(covered)
	for i := after; i < len(samples) && samples[i].At-end <= farthest; i++ {
		if s.covers(samples[i], samples[i].At-end, covered) {
			chosen = append(chosen, samples[i])
		}
	}
	return chosen
}

// covers reports whether a sample at this distance from a phase holds a metric
// that no nearer one held.
func (s *spacing) covers(sample Sample, distance time.Duration, covered map[seriesKey]bool) bool {
	adds := false
	for metric := range sample.Metrics {
		key := seriesKey{sample.Component, sample.Replica, metric}
		if !covered[key] && distance <= s.reach(key) {
			covered[key] = true
			adds = true
		}
	}
	return adds
}

// farthest bounds how far outside a phase one has to look.
func (s *spacing) farthest() time.Duration {
	farthest := defaultReach
	for key := range s.seen {
		farthest = max(farthest, s.reach(key))
	}
	return farthest
}
