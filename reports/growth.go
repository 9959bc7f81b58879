package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/models/growth"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/recommend"
)

// growthSection says when demand reaches the limits, and what to have ready until
// then.
func growthSection(result analysis.Result) Section {
	g := result.Growth
	if g == nil {
		return Section{}
	}
	s := Section{Title: "Growth"}
	if g.Why != "" {
		s.Blocks = append(s.Blocks, Note{Warning, "Nothing is known of growth: " + g.Why + "."})
		return s
	}
	s.Blocks = append(s.Blocks, KeyValues{[]KeyValue{{"Demand grows", growthText(g)}}})
	if t := limitsTable(g); len(t.Rows) > 0 {
		s.Blocks = append(s.Blocks, t)
	}
	if text := farLimits(g); text != "" {
		s.Blocks = append(s.Blocks, Note{Info, text})
	}
	if t := reserveTable(g); len(t.Rows) > 0 {
		s.Blocks = append(s.Blocks, t)
	}
	for _, warning := range g.Warnings {
		s.Blocks = append(s.Blocks, Note{Warning, "Growth: " + warning})
	}
	return s
}

func growthText(g *analysis.Growth) string {
	text := fmt.Sprintf("by %s a month from %s on %s, as the scenario states", quantity.Percent(g.PerMonth.Value), quantity.Rate(g.PeakRps), g.Start)
	if g.From == "history" {
		text = fmt.Sprintf("by %s a month from a weekly peak of %s up to %s, %s, as %d days of history show",
			percentRange(g.PerMonth.Value, g.PerMonth.Low, g.PerMonth.High), quantity.Rate(g.PeakRps), g.Start, g.Shape, g.DaysOfHistory)
	}
	if busiest, factor := busiestDay(g.Weekdays); busiest != "" {
		text += fmt.Sprintf("; %s is the busiest day, %s of the mean", busiest, quantity.Percent(factor))
	}
	return text
}

// percentRange writes a share with its interval, where there is one.
func percentRange(value, low, high float64) string {
	if math.IsInf(low, 0) || math.IsInf(high, 0) {
		return quantity.Percent(value)
	}
	return fmt.Sprintf("%s (%s – %s)", quantity.Percent(value), quantity.Percent(low), quantity.Percent(high))
}

func busiestDay(weekdays []float64) (name string, factor float64) {
	names := []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	for i, v := range weekdays {
		if i < len(names) && v > factor {
			name, factor = names[i], v
		}
	}
	return name, factor
}

// limitsTable has a row for each limit, the soonest first.
func limitsTable(g *analysis.Growth) Table {
	t := Table{
		Caption: "When the peak reaches each limit, the soonest first: the interval is from the lower end of the limit with the fastest growth to its upper end with the slowest",
		Columns: []Column{{Title: "Component"}, {Title: "Limit"}, {Title: "At a peak of", Right: true}, {Title: "Reached on", Strong: true}, {Title: "Interval"}, {Title: "What it means", Prose: true}},
	}
	for _, l := range g.Limits {
		if isFar(l) {
			continue
		}
		row := Row{Cells: []string{l.Component, l.By, limitRate(l), limitDate(g, l), limitInterval(g, l), l.Why}}
		if l.Outcome == string(growth.Already) {
			row.Level = Bad
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// isFar reports whether a limit is reached within the horizon in no case that counts.
func isFar(l recommend.Limit) bool {
	return l.Outcome != string(growth.Already) && l.Date == "" && l.Earliest == ""
}

// mostFar is how many limits beyond the horizon are named: the nearest, by their rate.
const mostFar = 3

// farLimits names the limits that are not reached within the horizon.
func farLimits(g *analysis.Growth) string {
	var far []string
	for _, l := range g.Limits {
		if isFar(l) {
			far = append(far, fmt.Sprintf("%s %s (%s)", l.Component, l.By, quantity.Rate(l.Rps.Value)))
		}
	}
	if len(far) == 0 {
		return ""
	}
	more := ""
	if n := len(far) - mostFar; n > 0 {
		far, more = far[:mostFar], fmt.Sprintf(", and %d more at higher rates", n)
	}
	return fmt.Sprintf("Not within %d days: %s%s.", g.HorizonDays, strings.Join(far, ", "), more)
}

func limitRate(l recommend.Limit) string {
	if !l.Rps.OK() {
		return "any rate"
	}
	return quantity.Rate(l.Rps.Value)
}

func limitDate(g *analysis.Growth, l recommend.Limit) string {
	switch l.Outcome {
	case string(growth.Already):
		return "reached already"
	case string(growth.Reached):
		return l.Date
	}
	return fmt.Sprintf("not within %d days", g.HorizonDays)
}

// limitInterval writes the ends that there are; those beyond the horizon are later.
func limitInterval(g *analysis.Growth, l recommend.Limit) string {
	last := "later than " + strconv.Itoa(g.HorizonDays) + " days"
	switch {
	case l.Earliest == "" && l.Latest == "":
		return quantity.Absent
	case l.Latest == "":
		return l.Earliest + " – " + last
	}
	return l.Earliest + " – " + l.Latest
}

// reserveTable has a row for each time ahead.
func reserveTable(g *analysis.Growth) Table {
	t := Table{
		Caption: "What to reserve until then, losses included: for the upper end of the peak with headroom",
		Columns: []Column{{Title: "Until"}, {Title: "Peak", Right: true}, {Title: "Plan for", Right: true, Strong: true}, {Title: "Replicas, and what they request", Prose: true}},
	}
	for _, r := range g.Reserve {
		var parts []string
		for _, c := range r.Components {
			text := fmt.Sprintf("%s %d", c.Component, c.Replicas)
			var requests []string
			if c.CPUCores > 0 {
				requests = append(requests, quantity.Cores(c.CPUCores))
			}
			if c.Memory > 0 {
				requests = append(requests, quantity.Bytes(c.Memory))
			}
			if len(requests) > 0 {
				text += " (" + strings.Join(requests, ", ") + ")"
			}
			parts = append(parts, text)
		}
		t.Rows = append(t.Rows, Row{Cells: []string{
			fmt.Sprintf("%s (%d mo.)", r.Date, r.Months), quantity.ShortEstimate(r.PeakRps, quantity.PerSecond), quantity.Rate(r.PlannedRps), strings.Join(parts, "; "),
		}})
	}
	return t
}
