package compare

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Verdict is what is known of a metric.
type Verdict string

// The verdicts.
const (
	Regressed    Verdict = "regressed"    // worse by more than the margin
	Improved     Verdict = "improved"     // better by more than the margin
	Equivalent   Verdict = "equivalent"   // the change lies within the margin
	Inconclusive Verdict = "inconclusive" // not known
)

// Alpha is the chance that anything is called regressed, or anything improved, when
// nothing changed by more than its margin. An end of an interval lies wrong with it.
const Alpha = 0.05

// power is the chance with which the smallest detectable change would be seen.
const power = 0.8

// Finding is what is known of one metric.
type Finding struct {
	Metric
	BaseMedian stat.Estimate `json:"base"` // of the runs, with the interval of the median
	NewMedian  stat.Estimate `json:"new"`
	// Change is new ÷ base − 1, or of an absolute metric new − base.
	Change  stat.Estimate `json:"change"`
	Verdict Verdict       `json:"verdict"`
	Reason  string        `json:"reason"`
	// Detectable is the smallest change for the worse that these runs would have
	// shown four times in five, as the only one among the metrics; 0: not known.
	Detectable float64 `json:"detectable"`
	// MoreRuns is how many more runs a side a verdict probably takes, where there is
	// none; 0: not known.
	MoreRuns int `json:"moreRuns,omitempty"`
	// Effective is how many independent seconds the single run of each side is worth, base
	// first, where one run a side is all there is; zeros: there are more, or not known.
	Effective [2]float64 `json:"effectiveSeconds,omitzero"`
	// Scatter is how much more the new runs differ from each other than those of the
	// base, as a factor; 0: not known.
	Scatter float64 `json:"scatter,omitempty"`

	scale            scale
	alpha            float64
	part             float64 // of alpha that this metric has where it is the first to be decided
	worse, better    float64 // p-values
	scattered        float64 // p-value of a larger scatter of the new runs
	paired           bool
	low, high, sd, n float64 // the interval on the scale; scatter and runs a side
}

// Runs compares the values of runs that were made independently of each other.
func Runs(all []Series) []Finding { return decide(all, false, Alpha) }

// Pairs compares the values of runs that were made side by side. Who looks more than
// once, as pairs are added, gives each look its part of Alpha.
func Pairs(all []Series, alpha float64) []Finding { return decide(all, true, alpha) }

func decide(all []Series, paired bool, alpha float64) []Finding {
	findings := make([]Finding, len(all))
	worse, better, scattered := make([]float64, len(all)), make([]float64, len(all)), make([]float64, len(all))
	for i, s := range all {
		findings[i] = look(s, paired, alpha, len(all))
		worse[i], better[i], scattered[i] = findings[i].worse, findings[i].better, findings[i].scattered
	}
	isWorse, isBetter, differMore := stat.Holm(worse, alpha), stat.Holm(better, alpha), stat.Holm(scattered, alpha)
	for i := range findings {
		f := &findings[i]
		if f.Verdict == "" {
			f.settle(isWorse[i], isBetter[i], differMore[i], len(all))
		}
	}
	return findings
}

// look estimates the change of one of so many metrics; only what needs no other metric
// is decided.
func look(s Series, paired bool, alpha float64, metrics int) Finding {
	base, after := s.Base, s.New
	if paired {
		base, after = completePairs(base, after)
	} else {
		base, after = finite(base), finite(after)
	}
	f := Finding{
		Metric: s.Metric, BaseMedian: medianOf(base), NewMedian: medianOf(after), worse: 1, better: 1, scattered: 1,
		scale: scale{s.Metric, !s.Absolute}, alpha: alpha, part: alpha / float64(metrics),
	}
	f.Change = stat.NotEstimable(len(base)+len(after), "a side has no value")
	if len(base) == 0 || len(after) == 0 {
		f.Verdict, f.Reason = Inconclusive, "no run of "+sideWithout(base)+" has a value"
		return f
	}
	if f.nothing(base, after) {
		return f
	}
	a, b := f.onScale(base), f.onScale(after)
	var shift stat.Estimate
	if paired {
		differences := make([]float64, len(a))
		for i := range a {
			differences[i] = b[i] - a[i]
		}
		shift = stat.PairedShift(differences, f.confidence())
		f.worse, f.better = stat.PairedAbove(differences, f.scale.limit()), stat.PairedAbove(negative(differences), f.scale.limit())
		f.sd, f.n = deviation(differences), float64(len(differences))
		f.pairedScatter(a, b)
	} else {
		shift = stat.Shift(a, b, f.confidence())
		f.worse, f.better = stat.Above(a, b, f.scale.limit()), stat.Above(negative(a), negative(b), f.scale.limit())
		f.sd = math.Sqrt((square(deviation(a)) + square(deviation(b))))
		f.n = 2 / (1/float64(len(a)) + 1/float64(len(b)))
		f.scatter(a, b)
	}
	f.paired, f.low, f.high = paired, shift.Low, shift.High
	f.Change = f.changeOf(shift)
	beyond := (z(1-f.part) + z(power)) * f.sd / math.Sqrt(f.n)
	if paired {
		beyond = f.sd * reach(len(base), f.part)
	}
	f.Detectable = math.Abs(f.scale.change(f.scale.limit() + beyond))
	return f
}

// nothing looks at metrics that are 0 in some run, so that there is no ratio. Where
// all are 0 that settles it; else only a direction can be told, from the ranks.
func (f *Finding) nothing(base, after []float64) bool {
	if f.Absolute || !slices.ContainsFunc(append(slices.Clone(base), after...), func(v float64) bool { return v <= 0 }) {
		return false
	}
	none := func(v float64) bool { return v != 0 }
	if !slices.ContainsFunc(base, none) && !slices.ContainsFunc(after, none) {
		f.Verdict, f.Reason = Equivalent, "it is 0 in every run of both sides"
		f.Change = stat.Estimate{Confidence: f.confidence(), N: len(base) + len(after)}
		return true
	}
	f.Change = stat.NotEstimable(len(base)+len(after), "there is no ratio to 0")
	sign := 1.0
	if f.Higher {
		sign = -1
	}
	a, b := scaled(base, sign), scaled(after, sign)
	f.worse, f.better = stat.Above(a, b, 0), stat.Above(b, a, 0)
	f.low, f.high = math.Inf(-1), math.Inf(1)
	return true
}

func (f *Finding) onScale(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = f.scale.of(v)
	}
	return out
}

// changeOf puts an estimate on the scale into what people read.
func (f *Finding) changeOf(e stat.Estimate) stat.Estimate {
	e.Value = f.scale.change(e.Value)
	e.Low, e.High = f.scale.change(e.Low), f.scale.change(e.High)
	if e.Low > e.High {
		e.Low, e.High = e.High, e.Low
	}
	return e
}

// settle gives the verdict, once it is known what of the metric stands after all
// metrics were looked at.
func (f *Finding) settle(worse, better, scattered bool, metrics int) {
	limit := f.scale.limit()
	switch {
	case worse:
		f.Verdict, f.Reason = Regressed, f.words("worse")
	case better:
		f.Verdict, f.Reason = Improved, f.words("better")
	case f.Change.OK() && f.low >= -limit && f.high <= limit && scattered:
		f.Verdict = Inconclusive
		f.Reason = fmt.Sprintf("the middle did not change by more than %s, but the new runs differ from each other %s times as much as those of the base", f.marginWords(), quantity.Number(f.Scatter))
	case f.Change.OK() && f.low >= -limit && f.high <= limit:
		f.Verdict, f.Reason = Equivalent, fmt.Sprintf("the change lies within %s", f.marginWords())
	default:
		f.Verdict = Inconclusive
		f.Reason = f.whyNot(metrics)
		f.MoreRuns = f.more(limit)
		if f.MoreRuns == 0 && f.sd > 0 && !math.IsInf(f.low, 0) {
			f.Reason += fmt.Sprintf("; if the change is what it seems, it takes more than %s more to tell", quantity.Count(mostRuns))
		}
	}
}

func (f *Finding) words(how string) string {
	if !f.Change.OK() {
		return how + " in direction; " + f.Change.Warnings[0]
	}
	return fmt.Sprintf("%s by more than %s", how, f.marginWords())
}

func (f *Finding) marginWords() string { return f.inUnit(f.Margin) }

// inUnit writes a change as people read it; a difference of ratios is in per cent, too.
func (f *Finding) inUnit(change float64) string {
	if f.Absolute && f.Unit != "ratio" {
		return quantity.Number(change)
	}
	return quantity.Percent(change)
}

func (f *Finding) whyNot(metrics int) string {
	limit := f.scale.limit()
	switch {
	case !f.Change.OK():
		return f.Change.Warnings[0] + ", and the runs do not tell more and less apart"
	case math.IsInf(f.low, 0):
		return f.Change.Warnings[0]
	case f.low > limit || f.high < -limit:
		return fmt.Sprintf("the change lies beyond %s by itself, but among %d metrics one does so by chance", f.marginWords(), metrics)
	}
	return fmt.Sprintf("the change may lie within %s or beyond it; at least %s would have been seen", f.marginWords(), f.detectableWords())
}

func (f *Finding) detectableWords() string { return f.inUnit(f.Detectable) }

// mostRuns is beyond how many more runs none are promised.
const mostRuns = 1000

// more returns how many more runs a side it takes until the interval lies on one side
// of the margin, if the change is what it seems to be.
func (f *Finding) more(limit float64) int {
	if !f.Change.OK() || f.n == 0 {
		return 0
	}
	middle := math.Abs(f.centre())
	distance := math.Abs(middle - limit)
	least := f.needs(f.alpha) // for an interval, which has to lie within the margin
	if middle > limit {
		least = f.needs(f.part) // to stand out among the other metrics
	}
	if !(distance > 0) || !(f.sd > 0) {
		if few := least - int(f.n); few > 0 {
			return few
		}
		return 0
	}
	need := math.Ceil(square((z(1-f.part) + z(power)) * f.sd / distance))
	need = math.Max(need, float64(least))
	if need-f.n > mostRuns {
		return 0
	}
	return max(1, int(math.Ceil(need-f.n)))
}

// centre is the change on the scale.
func (f *Finding) centre() float64 {
	v := f.Change.Value
	if f.scale.ratios {
		v = math.Log1p(v)
	}
	return v
}

// confidence is that of the interval.
func (f *Finding) confidence() float64 { return 1 - 2*f.alpha }

// needs returns how many runs a side or pairs it takes to tell anything at a level.
func (f *Finding) needs(alpha float64) int {
	if f.paired {
		return stat.PairedShiftNeeds(1 - 2*alpha)
	}
	return stat.ShiftNeeds(1 - 2*alpha)
}
