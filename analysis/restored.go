package analysis

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Consistency is something beside the metrics that is as it was before, or is not.
type Consistency struct {
	What       string `json:"what"` // routing, statuses or telemetry
	Base       string `json:"base"`
	New        string `json:"new"`
	Consistent bool   `json:"consistent"`
	Reason     string `json:"reason"`
}

// NotRestored is the outcome of a comparison with the time before, when it is not all as
// it was.
const NotRestored Outcome = "not-restored"

// backendMargin is by how much the share of a backend may differ, of all answers.
const backendMargin = 0.05

// consistencies compare who answered, with which statuses, and what was told of the
// components. errorMargin is by how much the share of a status may differ.
func consistencies(base, after []*record.Record, errorMargin float64) []Consistency {
	old, fresh := traceOf(base), traceOf(after)
	if len(old.statuses) == 0 && len(fresh.statuses) == 0 {
		return []Consistency{} // no loads, as of sizings
	}
	return []Consistency{routing(old, fresh), statuses(old, fresh, errorMargin), telemetry(old, fresh)}
}

// trace is what load phases leave beside numbers, over all runs of a side.
type trace struct {
	backends map[string]int64
	statuses map[string]int64
	metrics  map[string]bool // component and metric
}

func traceOf(runs []*record.Record) trace {
	t := trace{map[string]int64{}, map[string]int64{}, map[string]bool{}}
	for _, rec := range runs {
		phases := slices.DeleteFunc(slices.Clone(rec.Data), func(p record.PhaseData) bool { return p.Spec.Kind != scenarios.KindLoad })
		if len(phases) == 0 {
			continue
		}
		last := phases[len(phases)-1]
		for backend, n := range last.Backends {
			t.backends[backend] += n
		}
		for status, n := range last.Statuses {
			t.statuses[strconv.Itoa(status)] += n
		}
		if n := last.Counts.Failed + last.Counts.TimedOut; n > 0 {
			t.statuses["no answer"] += n
		}
		for _, sample := range last.Samples {
			for metric := range sample.Metrics {
				if sample.Component != record.ComponentGenerator {
					t.metrics[sample.Component+" "+string(metric)] = true
				}
			}
		}
	}
	return t
}

func sum(counts map[string]int64) float64 {
	all := int64(0)
	for _, n := range counts {
		all += n
	}
	return float64(all)
}

// shares writes counts as shares of all, by name.
func shares(counts map[string]int64) string {
	all := sum(counts)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, name+": "+quantity.Percent(float64(counts[name])/all))
	}
	if len(parts) == 0 {
		return "none told"
	}
	return strings.Join(parts, ", ")
}

// chance is by how much the share p of n and of m answers may differ by chance.
func chance(p, n, m float64) float64 {
	return stat.Z(0.99) * math.Sqrt(p*(1-p)*(1/n+1/m))
}

// routing compares the shares of the backends. Where their names are others, as those of
// new pods are, the largest share is held against the largest, and so on.
func routing(old, fresh trace) Consistency {
	c := Consistency{What: "routing", Base: shares(old.backends), New: shares(fresh.backends)}
	before, now := sum(old.backends), sum(fresh.backends)
	switch {
	case before == 0 && now == 0:
		c.Consistent, c.Reason = true, "no answer named its backend"
		return c
	case before == 0 || now == 0:
		c.Reason = "the backends are told on one side only"
		return c
	case len(old.backends) != len(fresh.backends):
		c.Reason = fmt.Sprintf("%d backends answered, and now it is %d", len(old.backends), len(fresh.backends))
		return c
	}
	a, b := slices.Sorted(maps.Keys(old.backends)), slices.Sorted(maps.Keys(fresh.backends))
	how := "every backend has its share"
	if !slices.Equal(a, b) {
		a, b, how = inOrder(old.backends), inOrder(fresh.backends), "the backends have other names, and the same shares"
	}
	for i := range a {
		p, q := float64(old.backends[a[i]])/before, float64(fresh.backends[b[i]])/now
		if math.Abs(p-q) > backendMargin+chance((p+q)/2, before, now) {
			c.Reason = fmt.Sprintf("%s had %s of the answers, and %s has %s", a[i], quantity.Percent(p), b[i], quantity.Percent(q))
			return c
		}
	}
	c.Consistent, c.Reason = true, fmt.Sprintf("%s, within %s of all answers", how, quantity.Percent(backendMargin))
	return c
}

// inOrder returns names by falling count.
func inOrder(counts map[string]int64) []string {
	names := slices.Sorted(maps.Keys(counts))
	slices.SortStableFunc(names, func(a, b string) int { return int(counts[b] - counts[a]) })
	return names
}

func statuses(old, fresh trace, margin float64) Consistency {
	c := Consistency{What: "statuses", Base: shares(old.statuses), New: shares(fresh.statuses), Consistent: true, Reason: "the statuses are those from before, within " + quantity.Percent(margin) + " of all requests"}
	before, now := math.Max(sum(old.statuses), 1), math.Max(sum(fresh.statuses), 1)
	names := maps.Clone(old.statuses)
	maps.Copy(names, fresh.statuses)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p, q := float64(old.statuses[name])/before, float64(fresh.statuses[name])/now
		if math.Abs(p-q) > margin+chance((p+q)/2, before, now) {
			c.Consistent, c.Reason = false, fmt.Sprintf("%s came to %s of the requests, and now to %s", name, quantity.Percent(p), quantity.Percent(q))
			return c
		}
	}
	return c
}

// telemetry compares which metrics components have: what is told no more can't be
// watched either.
func telemetry(old, fresh trace) Consistency {
	count := func(t trace) string { return fmt.Sprintf("%d metrics", len(t.metrics)) }
	c := Consistency{What: "telemetry", Base: count(old), New: count(fresh)}
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(old.metrics)) {
		if !fresh.metrics[name] {
			gone = append(gone, name)
		}
	}
	switch {
	case len(gone) > 0:
		c.Reason = "told no more: " + strings.Join(gone, ", ")
	case len(old.metrics) == 0:
		c.Consistent, c.Reason = true, "no component was observed"
	default:
		c.Consistent, c.Reason = true, "every component has the metrics from before"
	}
	return c
}

// settleRestored makes an outcome of what has to be as it was before.
func (c *Comparison) settleRestored() {
	if c.Outcome == Invalid {
		return
	}
	var off []string
	for _, each := range c.Consistency {
		if !each.Consistent {
			off = append(off, each.What+": "+each.Reason)
		}
	}
	if len(off) == 0 {
		return
	}
	if c.Outcome == Regression {
		off = append(off, c.OutcomeReason)
	}
	c.Outcome, c.OutcomeReason = NotRestored, strings.Join(off, "; ")
}
