package experiment

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios"
)

// mostClasses is how many kinds of requests are kept apart; the rarest beyond are taken
// together.
const (
	mostClasses  = 12
	otherClasses = "others"
)

// observedTraffic adds to the phases, which are observed windows, what the queries of
// the scenario's components tell of their requests, and returns notes on it.
func observedTraffic(ctx context.Context, history *sampler.History, scenario scenarios.Scenario, phases []record.Phase, anchor time.Time) (notes []string, err error) {
	for _, c := range scenario.Observe.Components {
		q := c.Prometheus
		if q.Classes == "" && q.RequestBytes == "" && q.AnswerBytes == "" {
			continue
		}
		label := ""
		if q.Classes != "" {
			if label, err = history.ClassLabel(ctx, q.Classes, q.ClassLabel); err != nil {
				return nil, fmt.Errorf("component %s: %w", c.Name, err)
			}
		}
		var byClass []map[string]float64
		for i, phase := range phases {
			told := record.Traffic{Component: c.Name, ClassLabel: label}
			grown := func(selector, label string) (by map[string]float64) {
				if selector != "" && err == nil {
					by, err = history.Growth(ctx, selector, label, anchor.Add(phase.Start), anchor.Add(phase.End))
				}
				return by
			}
			byClass = append(byClass, grown(q.Classes, label))
			told.RequestBytes, told.AnswerBytes = sumOf(grown(q.RequestBytes, "")), sumOf(grown(q.AnswerBytes, ""))
			if err != nil {
				return nil, err
			}
			phases[i].Traffic = append(phases[i].Traffic, told)
		}
		if q.Classes == "" {
			continue
		}
		n := 0
		for i, classes := range rankedClasses(byClass) {
			phases[i].Traffic[len(phases[i].Traffic)-1].Classes, n = classes, len(classes)
		}
		notes = append(notes, fmt.Sprintf("%s: the label %s tells %d kinds of requests apart", c.Name, label, n))
	}
	return notes, nil
}

// sumOf returns what is under "", or nil where nothing is.
func sumOf(grown map[string]float64) *float64 {
	if v, has := grown[""]; has {
		return &v
	}
	return nil
}

// rankedClasses lists the classes of each window in the same order, the most frequent of
// all windows first.
func rankedClasses(windows []map[string]float64) [][]record.Class {
	total := map[string]float64{}
	for _, window := range windows {
		for name, n := range window {
			total[name] += n
		}
	}
	names := slices.SortedFunc(maps.Keys(total), func(a, b string) int {
		return cmp.Or(cmp.Compare(total[b], total[a]), cmp.Compare(a, b))
	})
	names = slices.DeleteFunc(names, func(name string) bool { return !(total[name] > 0) })
	kept := len(names)
	if kept > mostClasses {
		kept = mostClasses - 1
	}
	out := make([][]record.Class, len(windows))
	for i, window := range windows {
		for _, name := range names[:kept] {
			out[i] = append(out[i], record.Class{Name: cmp.Or(name, "without it"), Requests: window[name]})
		}
		if kept < len(names) {
			rest := record.Class{Name: otherClasses}
			for _, name := range names[kept:] {
				rest.Requests += window[name]
			}
			out[i] = append(out[i], rest)
		}
	}
	return out
}
