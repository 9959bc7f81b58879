package analysis

import (
	"cmp"
	"errors"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// MetricPast is a metric over many runs, and what changed in it.
type MetricPast struct {
	Metric compare.Metric `json:"metric"`
	Runs   []string       `json:"runs"`   // when each was started, and where it is
	Values []float64      `json:"values"` // of those that have one
	Past   compare.Past   `json:"past"`
}

// HistoryOf looks for changes in the metrics of runs of one scenario, in the order in
// which they were started. Runs that are not valid or of another scenario are left out,
// and named in skipped.
func HistoryOf(records []*record.Record, seed uint64) (all []MetricPast, skipped []ComparedRun, err error) {
	if len(records) == 0 {
		return nil, nil, errors.New("looking at the history of runs: there is none")
	}
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b *record.Record) int { return a.StartedAt.Compare(b.StartedAt) })
	last := records[len(records)-1].Scenario
	margins := marginsOf(records[len(records)-1])
	var runs []measuredRun
	var names []string
	for _, rec := range records {
		if differs := scenarioDifferences(last, rec.Scenario); len(differs) > 0 {
			skipped = append(skipped, ComparedRun{Dir: rec.Dir, WhyNot: "of another scenario than the last run: " + differs[0]})
			continue
		}
		m, why := measure(rec, margins)
		if why != "" {
			skipped = append(skipped, ComparedRun{Dir: rec.Dir, WhyNot: why})
			continue
		}
		runs = append(runs, m)
		names = append(names, cmp.Or(rec.StartedAt.UTC().Format("2006-01-02T15:04:05Z"), "?")+" "+rec.Dir)
	}
	for _, s := range seriesOf(nil, runs, nil) {
		m := MetricPast{Metric: s.Metric}
		for i, v := range s.New {
			if v == v { // a number
				m.Runs, m.Values = append(m.Runs, names[i]), append(m.Values, v)
			}
		}
		m.Past = compare.History(m.Values, seed)
		all = append(all, m)
	}
	return all, skipped, nil
}
