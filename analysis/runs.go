package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Comparison is what two sets of runs say of each other. It is an API: fields are
// added, not changed or removed.
type Comparison struct {
	FormatVersion int               `json:"formatVersion"`
	Outcome       Outcome           `json:"outcome"`
	OutcomeReason string            `json:"outcomeReason"`
	Scenario      string            `json:"scenario"`
	NewScenario   string            `json:"newScenario,omitempty"` // where the new side's has another name
	Base          []ComparedRun     `json:"base"`
	New           []ComparedRun     `json:"new"`
	Paired        bool              `json:"paired"`
	Canary        string            `json:"canary,omitempty"` // of pairs: what is to be done with the new side
	Findings      []compare.Finding `json:"findings"`
	Differences   []Difference      `json:"differences"` // beside what was measured
	Consistency   []Consistency     `json:"consistency"` // of what is no number
	Warnings      []string          `json:"warnings"`
	// Expected is what was told of the pairs before they were measured: which changes so
	// many of them would show.
	Expected []compare.Expectation `json:"expected,omitempty"`
}

// ComparedRun is one run of a comparison.
type ComparedRun struct {
	Dir       string `json:"dir"`
	StartedAt string `json:"startedAt"`
	Used      bool   `json:"used"`
	WhyNot    string `json:"whyNot,omitempty"`
}

// Difference is something beside the measurements in which the sides differ.
type Difference struct {
	What string `json:"what"`
	Base string `json:"base"`
	New  string `json:"new"`
	// Expected says that it is what one may want to compare, as another version of the
	// proxy is; otherwise it is one more reason why the numbers may differ.
	Expected bool `json:"expected"`
}

// Outcomes of a comparison.
const (
	NothingRegressed Outcome = "nothing-regressed" // every metric is equivalent or better
	Undecided        Outcome = "inconclusive"      // nothing regressed, but not everything is known
	Regression       Outcome = "regressed"
)

// ErrOtherScenario says that runs of different scenarios were to be compared.
var ErrOtherScenario = errors.New("the runs are not of the same scenario")

// Pairing says how runs belong together.
type Pairing struct {
	Paired bool // those of the same index were measured in turns
	Looks  bool // this is one of the looks at which pairs are added or not
	// Restored says that the new side is to be what the base was: routing, statuses and
	// telemetry, too.
	Restored bool
}

// CompareRuns compares two sets of runs of the same scenario. Runs that are not valid
// are left out and named. The margins are those of the new side's last scenario, but
// for those that margins has by a metric's name. It returns
// an error of ErrOtherScenario when what was asked of the system differs, with what
// differs in words.
func CompareRuns(base, after []*record.Record, margins map[string]float64, pairing Pairing) (Comparison, error) {
	paired := pairing.Paired
	c := Comparison{FormatVersion: ResultFormatVersion, Paired: paired, Findings: []compare.Finding{}, Consistency: []Consistency{}, Warnings: []string{}}
	if len(base) == 0 || len(after) == 0 {
		return c, errors.New("comparing runs: a side has none")
	}
	first := base[0]
	nameOf := func(r *record.Record) string { return r.Scenario.Metadata.Name }
	c.Scenario = distinct(base, nameOf)
	if name := distinct(after, nameOf); name != c.Scenario {
		c.NewScenario = cmp.Or(name, "an unnamed scenario")
	}
	if !paired {
		for _, rec := range slices.Concat(base[1:], after) {
			if differs := scenarioDifferences(first.Scenario, rec.Scenario); len(differs) > 0 {
				return c, fmt.Errorf("%s and %s: %w: %s", first.Dir, rec.Dir, ErrOtherScenario, strings.Join(differs, "; "))
			}
		}
	}
	allowed := marginsOf(after[len(after)-1])
	old, left := measuredRuns(base, allowed, paired)
	c.Base = left
	fresh, left := measuredRuns(after, allowed, paired)
	c.New = left
	c.Differences = differencesBetween(base, after)
	if paired {
		c.Differences = append(c.Differences, askedDifferently(first.Scenario, after[0].Scenario)...)
	}
	if pairing.Restored {
		for i := range c.Differences {
			c.Differences[i].Expected = false // all was to be as before
		}
	}
	if none(old) || none(fresh) {
		c.Outcome, c.OutcomeReason = Invalid, "no run of "+sideName(none(old))+" is valid"
		if paired {
			c.Canary = canaryFor(c.Outcome)
		}
		return c, nil
	}
	series := seriesOf(old, fresh, margins)
	switch {
	case pairing.Looks:
		c.Findings = compare.Pairs(series, compare.LookAlpha)
	case paired:
		c.Findings = compare.Pairs(series, compare.Alpha)
	default:
		c.Findings = compare.Runs(series)
		if only(old) && only(fresh) {
			c.fromSeconds(old, fresh)
		}
	}
	c.Consistency = consistencies(counted(base, c.Base), counted(after, c.New), float64(allowed.ErrorRatio))
	if warning := machineSpeed(counted(base, c.Base), counted(after, c.New)); warning != "" && !paired {
		c.Warnings = append(c.Warnings, warning)
	}
	c.settle()
	if pairing.Restored {
		c.settleRestored()
	}
	if paired {
		c.Canary = canaryFor(c.Outcome)
	}
	return c, nil
}

// What is to be done with a canary.
const (
	Promote    = "promote"
	RollBack   = "roll back"
	NotDecided = "not decided"
)

// canaryFor is what an outcome means for an upgrade under way.
func canaryFor(o Outcome) string {
	switch o {
	case Regression, NotRestored:
		return RollBack
	case NothingRegressed:
		return Promote
	}
	return NotDecided
}

// counted returns the runs that count.
func counted(runs []*record.Record, refs []ComparedRun) []*record.Record {
	var out []*record.Record
	for i, ref := range refs {
		if ref.Used {
			out = append(out, runs[i])
		}
	}
	return out
}

func sideName(isBase bool) string {
	if isBase {
		return "the base"
	}
	return "the new side"
}

// settle sums the findings up.
func (c *Comparison) settle() {
	names := map[compare.Verdict][]string{}
	for _, f := range c.Findings {
		names[f.Verdict] = append(names[f.Verdict], f.Name)
	}
	list := func(v compare.Verdict) string { return strings.Join(names[v], "; ") } // names have commas
	switch {
	case len(c.Findings) == 0:
		c.Outcome, c.OutcomeReason = Invalid, "the runs have no metric in common"
	case len(names[compare.Regressed]) > 0:
		c.Outcome, c.OutcomeReason = Regression, "worse: "+list(compare.Regressed)
	case len(names[compare.Inconclusive]) > 0:
		c.Outcome, c.OutcomeReason = Undecided, "nothing is known to be worse, and not yet known is: "+list(compare.Inconclusive)
	default:
		c.Outcome, c.OutcomeReason = NothingRegressed, fmt.Sprintf("none of %d metrics is worse by more than its margin", len(c.Findings))
	}
	if better := list(compare.Improved); better != "" {
		c.OutcomeReason += " – better: " + better
	}
}

// measuredRun is what a run is compared by; nil values: the run does not count.
type measuredRun struct {
	values  map[string]float64
	metrics []compare.Metric
	seconds compare.Seconds
}

func none(runs []measuredRun) bool {
	return !slices.ContainsFunc(runs, func(m measuredRun) bool { return m.values != nil })
}

// only reports whether one run alone counts.
func only(runs []measuredRun) bool {
	n := 0
	for _, m := range runs {
		if m.values != nil {
			n++
		}
	}
	return n == 1
}

// measuredRuns reads what runs are compared by. Of pairs the places of runs that do
// not count are kept.
func measuredRuns(all []*record.Record, margins scenarios.Margins, keepPlaces bool) (runs []measuredRun, refs []ComparedRun) {
	for _, rec := range all {
		m, why := measure(rec, margins)
		ref := ComparedRun{Dir: rec.Dir, Used: why == "", WhyNot: why}
		if !rec.StartedAt.IsZero() {
			ref.StartedAt = rec.StartedAt.UTC().Format("2006-01-02T15:04:05Z")
		}
		refs = append(refs, ref)
		if why == "" || keepPlaces {
			runs = append(runs, m)
		}
	}
	return runs, refs
}

// WhyNotCompared says why a run does not count in a comparison; empty: it does.
func WhyNotCompared(rec *record.Record) string {
	_, why := measure(rec, marginsOf(rec))
	return why
}

// marginsOf returns the margins of a record's scenario; a record from before there were
// any has the defaults.
func marginsOf(rec *record.Record) scenarios.Margins {
	return scenarios.Defaults(rec.Scenario).Margins
}

// measure reads one run; why says why it does not count.
func measure(rec *record.Record, margins scenarios.Margins) (m measuredRun, why string) {
	result, err := Analyze(rec)
	if err != nil {
		return m, err.Error()
	}
	if result.Outcome == Invalid || result.Outcome == Incomplete {
		return m, result.OutcomeReason
	}
	m.values = map[string]float64{}
	conditions := ConditionsOf(rec.Run)
	var loads []examined
	for _, data := range rec.Data {
		if data.Spec.Kind == scenarios.KindLoad {
			loads = append(loads, examine(data, conditions))
		}
	}
	if result.SLOEdge.Rps.OK() {
		rate := result.SLOEdge.Rps.Value
		if v := result.Verification; v != nil && v.MeasuredRps.OK() {
			rate = v.MeasuredRps.Value
		}
		m.add(compare.Metric{Name: "highest rate that holds", Unit: "rps", Higher: true, Margin: float64(margins.HighestRate)}, rate)
	}
	if len(loads) > 0 {
		m.ofLoad(loads[len(loads)-1], rec.Components, margins)
	}
	if len(m.metrics) == 0 {
		return measuredRun{}, "it has no load and no highest rate"
	}
	return m, ""
}

// ofLoad adds what a load phase shows.
func (m *measuredRun) ofLoad(load examined, components []record.Component, margins scenarios.Margins) {
	quantile := func(q float64) float64 {
		e := stat.Quantile(load.settled, q, stat.Confidence)
		return e.Value
	}
	middle, tail := quantile(0.5), quantile(0.99)
	m.add(compare.Metric{Name: latencyP50, Unit: "seconds", Margin: float64(margins.LatencyP50)}, middle)
	m.add(compare.Metric{Name: latencyP90, Unit: "seconds", Margin: float64(margins.LatencyP90)}, quantile(0.9))
	m.add(compare.Metric{Name: latencyP99, Unit: "seconds", Margin: float64(margins.LatencyP99)}, tail)
	m.add(compare.Metric{Name: "latency p99 ÷ p50", Unit: "", Margin: float64(margins.LatencyP99)}, tail/middle)
	m.add(compare.Metric{Name: "error ratio", Unit: "ratio", Margin: float64(margins.ErrorRatio), Absolute: true}, ErrorRatio(load.Counts))
	for _, c := range components {
		if cores, ok := load.samples.Rate(c.Name, record.CPUSeconds); ok && load.summary.AchievedRps > 0 {
			m.add(compare.Metric{Name: "CPU per request, " + c.Name, Unit: "seconds", Margin: float64(margins.CPUPerRequest)}, cores/load.summary.AchievedRps)
		}
		memory := perReplicaOf(load, c).bytes
		if !math.IsNaN(memory) {
			m.add(compare.Metric{Name: "memory, " + c.Name, Unit: "bytes", Margin: float64(margins.Memory)}, memory)
		}
	}
	if load.Connection.TLSVersion != "" {
		m.add(compare.Metric{Name: "handshakes", Unit: "count", Margin: float64(margins.Handshakes)}, float64(load.Connection.Opened))
	}
	for _, second := range load.intervals {
		m.seconds = append(m.seconds, second.latency)
	}
}

// Names of the metrics that one run a side can tell, too.
const (
	latencyP50 = "latency p50"
	latencyP90 = "latency p90"
	latencyP99 = "latency p99"
)

func (m *measuredRun) add(metric compare.Metric, value float64) {
	m.metrics = append(m.metrics, metric)
	m.values[metric.Name] = value
}

// seriesOf brings the values of the runs together by metric.
func seriesOf(base, after []measuredRun, margins map[string]float64) []compare.Series {
	var all []compare.Series
	known := map[string]bool{}
	for _, run := range slices.Concat(base, after) {
		for _, metric := range run.metrics {
			if known[metric.Name] {
				continue
			}
			known[metric.Name] = true
			if margin, ok := margins[metric.Name]; ok {
				metric.Margin = margin
			}
			s := compare.Series{Metric: metric, Base: valuesOf(base, metric.Name), New: valuesOf(after, metric.Name)}
			if slices.ContainsFunc(slices.Concat(s.Base, s.New), func(v float64) bool { return !math.IsNaN(v) }) {
				all = append(all, s)
			}
		}
	}
	return all
}

func valuesOf(runs []measuredRun, name string) []float64 {
	out := make([]float64, len(runs))
	for i, run := range runs {
		out[i] = math.NaN()
		if v, ok := run.values[name]; ok {
			out[i] = v
		}
	}
	return out
}

// fromSeconds replaces what one run a side can't tell by its value alone.
func (c *Comparison) fromSeconds(base, after []measuredRun) {
	quantiles := map[string]float64{latencyP50: 0.5, latencyP90: 0.9, latencyP99: 0.99}
	pick := func(runs []measuredRun) compare.Seconds {
		at := slices.IndexFunc(runs, func(m measuredRun) bool { return m.values != nil })
		return runs[at].seconds
	}
	for i, f := range c.Findings {
		if q, ok := quantiles[f.Name]; ok {
			c.Findings[i] = compare.Single(f.Metric, pick(base), pick(after), q, compare.Alpha/float64(len(quantiles)), 1)
		}
	}
	c.Warnings = append(c.Warnings, "there is one run a side: what runs differ by is assumed, not measured; four runs a side or more are worth it")
}
