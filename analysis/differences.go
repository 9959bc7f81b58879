package analysis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// scenarioDifferences names what two scenarios ask differently of a system: not where
// it is, how it is observed or how the run is seeded.
func scenarioDifferences(a, b scenarios.Scenario) []string {
	var out []string
	for _, d := range askedDifferently(a, b) {
		out = append(out, fmt.Sprintf("%s is %s and %s", strings.TrimPrefix(d.What, ofScenario), d.Base, d.New))
	}
	return out
}

// ofScenario is what names of differences between scenarios begin with.
const ofScenario = "scenario "

// askedDifferently lists the same. The lab and the target are what one may want to
// compare; with another load on a side, it is the loads that are compared.
func askedDifferently(a, b scenarios.Scenario) []Difference {
	x, y := asked(a), asked(b)
	var out []Difference
	for _, key := range slices.Sorted(mapsKeys(x, y)) {
		if x[key] != y[key] {
			expected := strings.HasPrefix(key, "lab.") || strings.HasPrefix(key, "target.")
			out = append(out, Difference{What: ofScenario + key, Base: cmp.Or(x[key], "not set"), New: cmp.Or(y[key], "not set"), Expected: expected})
		}
	}
	return out
}

// asked flattens what a scenario asks of a system.
func asked(s scenarios.Scenario) map[string]string {
	var tree any
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &tree)
	}
	out := map[string]string{}
	if err != nil {
		return out // a record's scenario was read from such a text
	}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, value := range node {
				walk(strings.TrimPrefix(path+"."+key, "."), value)
			}
		case []any:
			for i, value := range node {
				walk(fmt.Sprintf("%s[%d]", path, i), value)
			}
		default:
			out[path] = fmt.Sprint(node)
		}
	}
	walk("", tree)
	for key := range out {
		for _, free := range []string{"metadata.", "seed", "observe.", "target.url", "target.connectTo", "target.tls.", "target.service", "lab.policy", "lab.proxy", "auth.", "demand.", "guards.", "margins.", "prices."} {
			if strings.HasPrefix(key, free) {
				delete(out, key)
			}
		}
	}
	return out
}

func mapsKeys(a, b map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for key := range a {
			if !yield(key) {
				return
			}
		}
		for key := range b {
			if _, both := a[key]; !both && !yield(key) {
				return
			}
		}
	}
}

// differencesBetween names in what the environments of the sides differ.
func differencesBetween(base, after []*record.Record) []Difference {
	out := []Difference{}
	look := func(what string, expected bool, of func(*record.Record) string) {
		x, y := distinct(base, of), distinct(after, of)
		if x != y {
			out = append(out, Difference{What: what, Base: x, New: y, Expected: expected})
		}
	}
	look("sailplan", false, func(r *record.Record) string { return strings.TrimSpace(r.Tool.Version + " " + r.Tool.Revision) })
	look("Go of sailplan", false, func(r *record.Record) string { return r.Tool.GoVersion })
	look("kind of evidence", false, func(r *record.Record) string { return string(r.Evidence) })
	look("processors", false, func(r *record.Record) string {
		return strings.TrimSpace(fmt.Sprintf("%d %s", r.Host.CPUs, r.Host.CPUModel))
	})
	look("memory of the machine", false, func(r *record.Record) string { return quantity.Bytes(float64(r.Host.MemoryBytes)) })
	look("kernel", false, func(r *record.Record) string { return r.Host.Kernel })
	look("target", true, func(r *record.Record) string {
		if r.Scenario.Target == nil {
			return ""
		}
		return r.Scenario.Target.URL
	})
	look("proxy of the lab", true, func(r *record.Record) string {
		if r.Lab == nil {
			return ""
		}
		return strings.TrimSpace(r.Lab.Kind + " " + r.Lab.EnvoyVersion)
	})
	look("limits of the lab in force", false, func(r *record.Record) string {
		if r.Lab == nil {
			return ""
		}
		return fmt.Sprint(r.Lab.LimitsEnforced)
	})
	for _, field := range policyFields(base, after) {
		look("policy "+field, true, func(r *record.Record) string { return policyValue(r, field) })
	}
	return out
}

// distinct lists the different values of runs, in the order in which they come.
func distinct(runs []*record.Record, of func(*record.Record) string) string {
	var values []string
	for _, r := range runs {
		if v := of(r); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return strings.Join(values, ", ")
}

func policyFields(sides ...[]*record.Record) []string {
	var fields []string
	for _, side := range sides {
		for _, r := range side {
			if r.Lab == nil {
				continue
			}
			for _, p := range r.Lab.Policy {
				if !slices.Contains(fields, p.Field) {
					fields = append(fields, p.Field)
				}
			}
		}
	}
	return fields
}

func policyValue(r *record.Record, field string) string {
	if r.Lab == nil {
		return ""
	}
	for _, p := range r.Lab.Policy {
		if p.Field == field {
			return p.Value
		}
	}
	return "not set"
}

// What the generator itself costs may differ by this share without a warning.
const speedMargin = 0.05

// machineSpeed warns when a request cost the generator more on one side than on the
// other: the program is the same, so the machine was not. Empty: it was.
func machineSpeed(base, after []*record.Record) string {
	a, b := generatorCosts(base), generatorCosts(after)
	if len(a) == 0 || len(b) == 0 {
		return ""
	}
	shift := stat.Shift(a, b, stat.Confidence)
	by := math.Expm1(shift.Value)
	known := shift.Low > 0 || shift.High < 0 || len(a)+len(b) == 2
	if !known || math.Abs(by) < speedMargin {
		return ""
	}
	return fmt.Sprintf("a request cost the generator itself %s CPU time on the new side, so the machine was not equally fast, and times and CPU may differ by as much without a cause in what is compared", quantity.SignedPercent(by))
}

// generatorCosts are the logarithms of the generator's CPU seconds a request, one a run.
func generatorCosts(runs []*record.Record) []float64 {
	var costs []float64
	for _, rec := range runs {
		cost := math.NaN()
		for _, p := range rec.Data {
			if p.Spec.Kind == scenarios.KindLoad && p.Counts.Sent > 0 {
				cost = p.Generator.CPUSeconds / float64(p.Counts.Sent)
			}
		}
		if cost > 0 {
			costs = append(costs, math.Log(cost))
		}
	}
	return costs
}
