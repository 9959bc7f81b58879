package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/recommend"
)

// Titles of sections that one may want unfolded: the arithmetic of the
// recommendations, and what decided on each.
const (
	ArithmeticTitle = "The arithmetic, step by step"
	DecidedTitle    = "What decided"
	ScalingTitle    = "Autoscaling"
)

// Unfold makes the section of a title one that every form shows.
func (d *Document) Unfold(title string) {
	for i := range d.Sections {
		if d.Sections[i].Title == title {
			d.Sections[i].Detail = false
		}
	}
}

// reckoned is a recommendation with what it rests on.
type reckoned struct {
	of    string
	basis analysis.Basis
}

// reckoning returns every recommendation that has arithmetic, in the order of the
// first screen.
func reckoning(result analysis.Result) []reckoned {
	var all []reckoned
	add := func(of string, b *analysis.Basis) {
		if b != nil && len(b.Explain) > 0 {
			all = append(all, reckoned{of, *b})
		}
	}
	for _, c := range result.Components {
		if c.Replicas != nil {
			add(c.Name+": replicas", &c.Replicas.Basis)
		}
		if c.Connections != nil {
			add(c.Name+": lifetime of connections", &c.Connections.Basis)
		}
		if c.HPA != nil {
			add(c.Name+": autoscaler", &c.HPA.Basis)
		}
		if c.Signal != nil {
			add(c.Name+": KEDA", c.Signal.Basis)
		}
		if c.Resources != nil {
			add(c.Name+": CPU", c.Resources.CPU)
			add(c.Name+": memory", c.Resources.Memory)
		}
	}
	if pool := result.ConnectionPool; pool != nil {
		for _, field := range poolRows(*pool) {
			if b, ok := pool.Details[field.name]; ok {
				add(field.name, &b)
			}
		}
	}
	if result.Growth != nil {
		add("growth", &result.Growth.Basis)
	}
	if result.Costs != nil {
		add("costs", &result.Costs.Basis)
	}
	return all
}

// whySection says of each recommendation what decided, what comes next, and what
// would change it.
func whySection(result analysis.Result) Section {
	t := Table{
		Caption: "What decided, with the value that it asks for; what would decide next; and what would change the recommendation",
		Columns: []Column{{Title: "Recommendation"}, {Title: "Bound by"}, {Title: "Runner-up"}, {Title: "What would change it", Prose: true}},
	}
	for _, r := range reckoning(result) {
		t.Rows = append(t.Rows, Row{Cells: []string{
			r.of, constraintText(r.basis, r.basis.BoundBy), constraintText(r.basis, r.basis.RunnerUp), strings.Join(r.basis.WouldChange, "; "),
		}})
	}
	if len(t.Rows) == 0 {
		return Section{}
	}
	return Section{Title: DecidedTitle, Detail: true, Blocks: []Block{t}}
}

func constraintText(b analysis.Basis, by string) string {
	if by == "" {
		return quantity.Absent
	}
	i := slices.IndexFunc(b.Constraints, func(c recommend.Constraint) bool { return c.By == by })
	if i < 0 {
		return by
	}
	return by + ": " + unitText(b.Constraints[i].Value, b.Constraints[i].Unit)
}

// unitText writes a value of the arithmetic in the unit that it says.
func unitText(v float64, unit string) string {
	switch unit {
	case "/s":
		return quantity.Rate(v)
	case "s":
		return quantity.Duration(v)
	case "B":
		return quantity.Bytes(v)
	case "cores":
		return quantity.Cores(v)
	case "":
		return quantity.Number(v)
	}
	return quantity.Number(v) + quantity.NoBreak + unit
}

// arithmeticSection prints the arithmetic so that it can be redone with a pocket
// calculator.
func arithmeticSection(result analysis.Result) Section {
	all := reckoning(result)
	if len(all) == 0 {
		return Section{}
	}
	s := Section{Title: ArithmeticTitle, Detail: true}
	s.Blocks = append(s.Blocks, Note{Info, "Each step has its formula, the numbers in it, and the result; inputs say where they come from. " +
		"poisson(p, m) is the least n that a Poisson count of mean m exceeds with probability p at most, and nice(x) is x rounded up to two digits, 10 at the least."})
	for _, r := range all {
		s.Blocks = append(s.Blocks, KeyValues{[]KeyValue{{r.of, "bound by " + r.basis.BoundBy}}}, Code{arithmetic(r.basis)})
	}
	return s
}

func arithmetic(b analysis.Basis) string {
	var lines []string
	for _, v := range b.Inputs {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s = %s %s", v.Name, recommend.PlainNumber(v.Value), v.Unit))+"  # "+v.From)
	}
	for _, step := range b.Explain {
		indent := strings.Repeat(" ", len(step.Name))
		lines = append(lines, "# "+step.Step, step.Name+" = "+step.Formula)
		if numbers := step.Numbers(); numbers != step.Formula && numbers != recommend.PlainNumber(step.Result) {
			lines = append(lines, indent+" = "+numbers)
		}
		lines = append(lines, strings.TrimRight(indent+" = "+recommend.PlainNumber(step.Result)+" "+step.Unit, " "))
	}
	return strings.Join(lines, "\n")
}

// costsSection says what it costs, now and as recommended.
func costsSection(result analysis.Result) Section {
	c := result.Costs
	if c == nil {
		return Section{}
	}
	title := "Per million requests"
	if c.Currency != "" {
		title += ", " + c.Currency
	}
	t := Table{
		Caption: fmt.Sprintf("What is requested of the nodes costs, of %s, at %s (%s)", strings.Join(c.Components, ", "), quantity.Rate(c.RateRps), c.RateFrom),
		Columns: []Column{{Title: ""}, {Title: title, Right: true, Strong: true}, {Title: "Per hour", Right: true}},
	}
	for _, of := range []struct {
		name string
		cost *recommend.Cost
	}{{"as declared today", c.Now}, {"as recommended, for today's peak", c.Recommended}, {"as recommended, at the end of the horizon", c.AtHorizon}} {
		cells := []string{of.name, quantity.Absent, quantity.Absent}
		if of.cost != nil {
			cells = []string{of.name, quantity.Number(of.cost.PerMillionRequests), quantity.Number(of.cost.PerHour)}
		}
		t.Rows = append(t.Rows, Row{Cells: cells})
	}
	s := Section{Title: "Costs", Blocks: []Block{t}}
	for _, note := range c.Notes {
		s.Blocks = append(s.Blocks, Note{Info, note})
	}
	return s
}

// stagedSection lists the reductions that belong in steps.
func stagedSection(result analysis.Result) Section {
	if len(result.Staged) == 0 {
		return Section{}
	}
	t := Table{
		Caption: "Reductions of more than 30" + quantity.NoBreak + "% against what is declared today, one step after the other: go on when the check holds, and back when not",
		Columns: []Column{{Title: "Setting"}, {Title: "Today", Right: true}, {Title: "Steps", Strong: true}, {Title: "Between two steps", Prose: true}},
	}
	for _, staged := range result.Staged {
		setting := staged.Setting
		if staged.Component != "" {
			setting = staged.Component + " " + setting
		}
		t.Rows = append(t.Rows, Row{Cells: []string{setting, staged.From, strings.Join(staged.Steps, " → "), staged.Check}})
	}
	return Section{Title: "In steps", Blocks: []Block{t}}
}
