package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
)

// The metrics by which the worse gateways have to be found.
const (
	gatewayCPU    = "CPU per request, gateway"
	medianLatency = "latency p50"
)

// The goals that the page is held against.
const (
	mostAlarms = 1
	mostOpen   = 4
	leastFound = 0.9
)

const regressionsIntro = `# What regressions are found

Written by ` + "`make evidence-regressions`" + ` from the lines of
` + "`cmd/evidence/results/regressions.jsonl`" + `, one a comparison. Each comparison is one

` + "```" + `
taskset --cpu-list 1 sailplan ab --together --pairs %s --base regressions.yaml --new regressions.yaml
` + "```" + `

of ` + "`cmd/evidence/regressions.yaml`" + `: two labs with real Envoys at the same time, 450 requests
a second each for 4 s, a new lab for each run, everything on one processor; with %s pairs
for the dearer gateway, whose 5 %% lie close to the margin. The machine
is a virtual one, and its processors are not equally fast: in trials of 4 to 14 pairs
before these comparisons, what a request cost the same Envoy differed within a pair with a
standard deviation of 6 to 17 %% when its runs were made in turns, and of 2 %% when they
were made at the same time on one processor.

The margins of the scenario are 2.5 %% for CPU per request, since a change of 5 %% is to
be found; 25 %% for p99, of which a run has 18 answers beyond; and the usual ones for
the rest. All metrics of a comparison count: an alarm is one by any of them.

The dearer gateway has a filter that sets headers and takes them off again, the slower
one the fault filter with a delay, before all other filters. How much that costs is no
number put in: it is the change in the tables, and the median over all of them is in the
summary.

%s
`

// expectation says what the comparisons of Envoy with itself lead one to expect of the
// others.
func expectation(done []verdict) string {
	var cpu, latency []float64
	for _, v := range done {
		if v.Kind != same {
			continue
		}
		for name, to := range map[string]*[]float64{gatewayCPU: &cpu, medianLatency: &latency} {
			if d := v.of(name).Detectable; d > 0 {
				*to = append(*to, d)
			}
		}
	}
	if len(cpu) == 0 || len(latency) == 0 {
		return "nothing is known yet of what can be found"
	}
	return fmt.Sprintf("by %d comparisons of Envoy with itself, %s pairs show a change from %.1f %% on in CPU per request of the gateway, and from %.1f %% on in p50, four times in five",
		len(cpu), pairsEach, 100*middle(cpu), 100*middle(latency))
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// regressionsPage is docs/regressions.md.
func regressionsPage(all []verdict) []byte {
	var w bytes.Buffer
	by := map[string][]verdict{}
	for _, v := range all {
		by[v.Kind] = append(by[v.Kind], v)
	}
	machines := machinesOf(all)
	fmt.Fprintf(&w, regressionsIntro, pairsEach, pairsCost, machinesWords(machines))
	writeSummary(&w, by)
	for _, part := range []struct{ kind, title, text string }{
		{same, "Envoy with itself", "Nothing differs. The columns of changes have the interval at 90 %."},
		{dearer, "A gateway whose requests cost more CPU", "Found is a comparison that says so of the gateway's CPU per request. " + madeBy(by[dearer])},
		{slower, "A slower gateway", "Found is a comparison that says so of p50 or p90. " + madeBy(by[slower])},
		{canary, "Another version of Envoy, as a canary", "The base is the older version, and the answer is that of a canary."},
	} {
		if len(by[part.kind]) == 0 {
			continue
		}
		fmt.Fprintf(&w, "\n## %s\n\n%s\n\n| # | machine | seconds | pairs | CPU per request, gateway | p50 | verdict |\n|---|---|---|---|---|---|---|\n", part.title, part.text)
		for _, v := range by[part.kind] {
			fmt.Fprintf(&w, "| %d | %s | %.0f | %d | %s | %s | %s |\n", v.Number, letter(slices.Index(machines, v.Machine)), v.Seconds, v.Pairs, v.of(gatewayCPU).words(), v.of(medianLatency).words(), v.words())
		}
	}
	return w.Bytes()
}

// machinesOf lists the machines that comparisons were made on, the first one's first.
func machinesOf(all []verdict) []string {
	var machines []string
	for _, v := range all {
		if !slices.Contains(machines, v.Machine) {
			machines = append(machines, v.Machine)
		}
	}
	return machines
}

func letter(i int) string { return string(rune('A' + i)) }

// machinesWords names the machines. Both sides of a comparison are always on one.
func machinesWords(machines []string) string {
	var words []string
	for i, m := range machines {
		words = append(words, letter(i)+" is "+m)
	}
	switch len(words) {
	case 0:
		return "Machine: none yet."
	case 1:
		return "Machine " + words[0] + "."
	}
	return "The comparisons were made on several machines, both sides of each on one: " + strings.Join(words, "; ") + "."
}

// madeBy says what made the gateways worse.
func madeBy(all []verdict) string {
	var ways []string
	for _, v := range all {
		if !slices.Contains(ways, v.How) {
			ways = append(ways, v.How)
		}
	}
	return "What was done to it: " + strings.Join(ways, ", then ") + "."
}

func (m metricVerdict) words() string {
	if !m.Change.OK() {
		return "–"
	}
	return fmt.Sprintf("%+.1f %% (%+.1f … %+.1f)", 100*m.Change.Value, 100*m.Change.Low, 100*m.Change.High)
}

// words says what a comparison came to.
func (v verdict) words() string {
	text := string(v.Outcome)
	if !v.current() {
		text += ", with " + v.How + ", and not counted"
	}
	if v.Kind == canary {
		text = v.Envoys + ": " + map[analysis.Outcome]string{analysis.Regression: "roll back", analysis.NothingRegressed: "promote"}[v.Outcome]
		if v.Outcome == analysis.Undecided || v.Outcome == analysis.Invalid {
			text = v.Envoys + ": not decided"
		}
	}
	named := map[compare.Verdict][]string{}
	for _, m := range v.Metrics {
		named[m.Verdict] = append(named[m.Verdict], m.Name)
	}
	for _, kind := range []compare.Verdict{compare.Regressed, compare.Inconclusive, compare.Improved} {
		if names := named[kind]; len(names) > 0 {
			text += "; " + string(kind) + ": " + strings.Join(names, ", ")
		}
	}
	return text
}

// found reports whether a comparison of a worse gateway says so, in time.
func (v verdict) found() bool {
	if v.Seconds > mostTime.Seconds() {
		return false
	}
	is := func(name string) bool { return v.of(name).Verdict == compare.Regressed }
	if v.Kind == dearer {
		return is(gatewayCPU)
	}
	return is(medianLatency) || is("latency p90")
}

func writeSummary(w *bytes.Buffer, by map[string][]verdict) {
	word := func(met bool, made, planned int) string {
		switch {
		case made < planned:
			return fmt.Sprintf("%d of %d made", made, planned)
		case met:
			return "met"
		}
		return "**missed**"
	}
	alarms, open := 0, 0
	for _, v := range by[same] {
		switch v.Outcome {
		case analysis.Regression:
			alarms++
		case analysis.NothingRegressed:
		default:
			open++
		}
	}
	n := len(by[same])
	fmt.Fprint(w, "\n| | | goal | |\n|---|---|---|---|\n")
	fmt.Fprintf(w, "| Envoy with itself: alarms | %d of %d | at most %d of %d | %s |\n", alarms, n, mostAlarms, sameCount, word(alarms <= mostAlarms, n, sameCount))
	fmt.Fprintf(w, "| Envoy with itself: left open | %d of %d | at most %d of %d | %s |\n", open, n, mostOpen, sameCount, word(open <= mostOpen, n, sameCount))
	for _, part := range []struct{ kind, metric, words string }{
		{dearer, gatewayCPU, "dearer gateway found within ten minutes"},
		{slower, medianLatency, "slower gateway found within ten minutes"},
	} {
		found, made := 0, slices.DeleteFunc(slices.Clone(by[part.kind]), func(v verdict) bool { return !v.current() })
		var changes []float64
		for _, v := range made {
			if v.found() {
				found++
			}
			if c := v.of(part.metric).Change; c.OK() {
				changes = append(changes, c.Value)
			}
		}
		by := "–"
		if len(changes) > 0 {
			by = fmt.Sprintf("%.1f %%", 100*middle(changes))
		}
		fmt.Fprintf(w, "| %s; it is worse by %s | %d of %d | 9 of %d | %s |\n", part.words, by, found, len(made), worseCount,
			word(float64(found) >= leastFound*worseCount, len(made), worseCount))
	}
	if n > 0 {
		fmt.Fprintf(w, "\nWhat could be expected: %s. The first %d of those comparisons were made before any other.\n", expectation(by[same]), firstSame)
	}
}
