package cli

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Names that the runs of an earlier ab end with.
const (
	baseSuffix = "-base"
	newSuffix  = "-new"
)

// foreseeBy tells by earlier runs, before the first pair, what pairs will show: by the
// pairs of an earlier ab where there are enough, else by all runs as runs of the base.
func (j *pairJudge) foreseeBy(path string, scenario scenarios.Scenario) error {
	earlier, err := openRuns([]string{path})
	if err != nil {
		return err
	}
	base, after := earlierPairs(earlier)
	pairs, alpha := j.ahead(0)
	if len(base) >= compare.LeastToForesee {
		if _, err = analysis.ForeseeByRuns(base, scenario, j.margins, pairs, alpha); err == nil {
			j.expected, err = analysis.ForeseePairs(base, after, j.margins, pairs, alpha)
		}
	} else {
		j.expected, err = analysis.ForeseeByRuns(earlier, scenario, j.margins, pairs, alpha)
	}
	if err != nil {
		return usage(fmt.Errorf("--foresee-by: %w", err))
	}
	if len(j.expected) == 0 {
		return usage(fmt.Errorf("--foresee-by %s: %d valid runs of the base, or as many pairs, are the fewest that tell a scatter", path, compare.LeastToForesee))
	}
	j.untilLooks()
	j.foretold = "by the scatter of earlier runs"
	j.tellExpected()
	return nil
}

// earlierPairs returns the runs that an ab left side by side.
func earlierPairs(runs []*record.Record) (base, after []*record.Record) {
	byDir := map[string]*record.Record{}
	for _, rec := range runs {
		byDir[filepath.Clean(rec.Dir)] = rec
	}
	for _, rec := range runs {
		pair, isBase := strings.CutSuffix(filepath.Clean(rec.Dir), baseSuffix)
		if other := byDir[pair+newSuffix]; isBase && other != nil {
			base, after = append(base, rec), append(after, other)
		}
	}
	return base, after
}

// foresee tells the same as soon as the first pairs tell the scatter.
func (j *pairJudge) foresee(tried int, now time.Time) error {
	if len(j.expected) > 0 || j.good < compare.LeastToForesee || (j.planned > 0 && j.good >= j.planned) {
		return nil
	}
	fit := math.MaxInt
	if j.longest > 0 {
		fit = tried + int((j.most-now.Sub(j.began))/j.longest)
	}
	pairs, alpha := j.ahead(fit)
	n := min(len(j.base), len(j.after))
	expected, err := analysis.ForeseePairs(j.base[:n], j.after[:n], j.margins, pairs, alpha)
	if err != nil {
		return err
	}
	j.expected, j.foretold = expected, "by the scatter of the first pairs"
	j.untilLooks()
	j.tellExpected()
	return nil
}

// ahead returns how many pairs there will be at most when so many fit into the time, 0
// meaning any number, and the level at which they are judged.
func (j *pairJudge) ahead(fit int) (pairs int, alpha float64) {
	if fit <= 0 {
		fit = math.MaxInt
	}
	if j.planned > 0 {
		return min(j.planned, fit), compare.Alpha
	}
	pairs = compare.FirstLook()
	for next, ok := compare.NextLook(pairs); ok && next <= fit; next, ok = compare.NextLook(pairs) {
		pairs = next
	}
	return pairs, compare.LookAlpha
}

// untilLooks counts in looks how many pairs it takes: between them nothing is decided.
func (j *pairJudge) untilLooks() {
	if j.planned > 0 {
		return
	}
	for i := range j.expected {
		if e := &j.expected[i]; e.Needs > 0 {
			if at, ok := compare.NextLook(e.Needs - 1); ok {
				e.Needs = at
			}
		}
	}
}

// firstLookWords say what the first look can show, and what it cannot.
func firstLookWords() string {
	first := compare.FirstLook()
	next, _ := compare.NextLook(first)
	return fmt.Sprintf("looking at %d pairs first: they can show that metrics are equivalent, but where there are more than %d, of none that it is worse or better, which takes the next look, after %d",
		first, compare.Shows(first, compare.LookAlpha), next)
}

// looksWords is the paragraph of the help about it.
func looksWords() string {
	first := compare.FirstLook()
	next, _ := compare.NextLook(first)
	var others []string
	for at, ok := first, true; ok; at, ok = compare.NextLook(at) {
		others = append(others, strconv.Itoa(at))
	}
	last := len(others) - 1
	return fmt.Sprintf(`Without a number of pairs the findings are looked at after %s and %s. The
first look can show that metrics are equivalent; where there are more than %d, it cannot
yet show of any that it is worse or better, however clear that is: that takes %d pairs,
since each look has its part of the false alarms.`, strings.Join(others[:last], ", "), others[last], compare.Shows(first, compare.LookAlpha), next)
}

// tellExpected writes a line for each of the main metrics; ab.json has all.
func (j *pairJudge) tellExpected() {
	if len(j.expected) == 0 {
		return
	}
	first := j.expected[0]
	if first.Needs > 0 { // the same for all: it comes from how many there are
		j.note(fmt.Sprintf("%d pairs show of no metric that it is worse: among so many that takes %d pairs", first.Pairs, first.Needs))
		return
	}
	j.note(fmt.Sprintf("what %d pairs will show four times in five, %s:", first.Pairs, j.foretold))
	for _, e := range j.expected {
		if e.Detectable > 0 && e.Unit != "bytes" && e.Name != "latency p99 ÷ p50" {
			j.note("  " + expectationWords(e))
		}
	}
}

// expectationWords is "latency p50: worse by 5.7 % or more (4.1 % to 9 %, …)".
func expectationWords(e compare.Expectation) string {
	write := quantity.Percent
	if e.Absolute && e.Unit != "ratio" {
		write = quantity.Number
	}
	return fmt.Sprintf("%s: worse by %s or more (%s to %s, since %d tell no more of the scatter)",
		e.Name, write(e.Detectable), write(e.Low), write(e.High), e.From)
}
