package recommend

import (
	"math"
	"regexp"
	"slices"
	"strconv"
)

// Basis is what a recommendation rests on: the constraint that decided, what
// would have decided next, what went in, and the arithmetic.
type Basis struct {
	BoundBy     string       `json:"boundBy"`
	RunnerUp    string       `json:"runnerUp"` // empty: nothing else asked for anything
	Constraints []Constraint `json:"constraints"`
	Inputs      []Value      `json:"inputs"`
	WouldChange []string     `json:"wouldChange"` // what would change it, in words
	Explain     []Step       `json:"explain"`
}

// Constraint is one thing that a recommendation has to satisfy, and the value that
// it alone would have asked for.
type Constraint struct {
	By    string  `json:"by"` // stable, kebab-case
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Why   string  `json:"why"`
}

// Value is a number that goes in.
type Value struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	From  string  `json:"from"` // where it comes from, in words
}

// Step is one step of the arithmetic. Formula names the values that stand in
// Values, each an input or the result of an earlier step, and uses + - * / ^,
// brackets, and the functions
//
//	ceil(x), floor(x), sqrt(x), max(x, …), min(x, …)
//	poisson(p, m)  the least n that a Poisson count of mean m exceeds with probability p at most
//	nice(x)        x rounded up to two digits, 10 at least
type Step struct {
	Step    string             `json:"step"` // what it computes, in words
	Name    string             `json:"name"` // of the result, in later formulas
	Formula string             `json:"formula"`
	Values  map[string]float64 `json:"values"`
	Result  float64            `json:"result"`
	Unit    string             `json:"unit,omitempty"` // of the result
}

var nameInFormula = regexp.MustCompile(`[A-Za-z][A-Za-z0-9]*(\(?)`)

// Numbers returns the formula with its numbers in place of the names: what a
// reader types into a calculator.
func (s Step) Numbers() string {
	return nameInFormula.ReplaceAllStringFunc(s.Formula, func(name string) string {
		v, ok := s.Values[name]
		if !ok {
			return name
		}
		return PlainNumber(v)
	})
}

// PlainNumber writes a number with eight digits, which loses nothing that a
// recommendation depends on, and without an exponent.
func PlainNumber(v float64) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 8, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// sheet collects the arithmetic of one recommendation.
type sheet struct {
	known  map[string]float64
	inputs []Value
	steps  []Step
}

// input notes a number that comes from elsewhere, and returns it.
func (s *sheet) input(name string, value float64, unit, from string) float64 {
	s.inputs = append(s.inputs, Value{Name: name, Value: value, Unit: unit, From: from})
	s.know(name, value)
	return value
}

// step notes a step whose result the caller computed, and returns the result.
func (s *sheet) step(what, name, unit, formula string, result float64) float64 {
	step := Step{Step: what, Name: name, Formula: formula, Result: result, Unit: unit, Values: map[string]float64{}}
	for _, word := range nameInFormula.FindAllString(formula, -1) {
		if v, ok := s.known[word]; ok {
			step.Values[word] = v
		}
	}
	s.steps = append(s.steps, step)
	s.know(name, result)
	return result
}

func (s *sheet) know(name string, v float64) {
	if s.known == nil {
		s.known = map[string]float64{}
	}
	s.known[name] = v
}

// basis closes the arithmetic. The constraint with the largest value decided; of
// equal ones the first.
func (s *sheet) basis(constraints []Constraint, wouldChange ...string) Basis {
	slices.SortStableFunc(constraints, func(a, b Constraint) int {
		switch {
		case a.Value > b.Value:
			return -1
		case a.Value < b.Value:
			return 1
		}
		return 0
	})
	b := Basis{Constraints: constraints, Inputs: s.inputs, Explain: s.steps, WouldChange: []string{}}
	if b.Constraints == nil {
		b.Constraints = []Constraint{}
	}
	if len(constraints) > 0 {
		b.BoundBy = constraints[0].By
	}
	if len(constraints) > 1 {
		b.RunnerUp = constraints[1].By
	}
	for _, words := range wouldChange {
		if words != "" {
			b.WouldChange = append(b.WouldChange, words)
		}
	}
	return b
}

// largest returns the largest value that constraints ask for; 0 without any.
func largest(constraints []Constraint) float64 {
	most := 0.0
	for _, c := range constraints {
		most = math.Max(most, c.Value)
	}
	return most
}
