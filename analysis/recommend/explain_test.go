package recommend

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// calculator reads printed arithmetic and works it out, as a reader with a pocket
// calculator would. It knows nothing of how the numbers came about.
type calculator struct {
	text string
	err  error
}

func calculate(text string) (float64, error) {
	c := &calculator{text: strings.ReplaceAll(text, " ", "")}
	v := c.sum()
	if c.err == nil && c.text != "" {
		c.fail("left over")
	}
	return v, c.err
}

func (c *calculator) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%s at %q", what, c.text)
	}
}

func (c *calculator) takes(sign string) bool {
	rest, found := strings.CutPrefix(c.text, sign)
	if found {
		c.text = rest
	}
	return found
}

func (c *calculator) sum() float64 {
	v := c.product()
	for c.err == nil {
		switch {
		case c.takes("+"):
			v += c.product()
		case c.takes("-"):
			v -= c.product()
		default:
			return v
		}
	}
	return v
}

func (c *calculator) product() float64 {
	v := c.power()
	for c.err == nil {
		switch {
		case c.takes("*"):
			v *= c.power()
		case c.takes("/"):
			v /= c.power()
		default:
			return v
		}
	}
	return v
}

func (c *calculator) power() float64 {
	v := c.atom()
	if c.takes("^") {
		v = math.Pow(v, c.power())
	}
	return v
}

func (c *calculator) atom() float64 {
	if c.takes("(") {
		v := c.sum()
		if !c.takes(")") {
			c.fail("no closing bracket")
		}
		return v
	}
	n := strings.IndexFunc(c.text, func(r rune) bool { return !strings.ContainsRune("0123456789.", r) })
	if n < 0 {
		n = len(c.text)
	}
	if n > 0 {
		v, err := strconv.ParseFloat(c.text[:n], 64)
		if err != nil {
			c.fail(err.Error())
		}
		c.text = c.text[n:]
		return v
	}
	name, rest, found := strings.Cut(c.text, "(")
	if !found {
		c.fail("a name without a value")
		return 0
	}
	c.text = rest
	args := []float64{c.sum()}
	for c.takes(",") {
		args = append(args, c.sum())
	}
	if !c.takes(")") {
		c.fail("no closing bracket")
	}
	return c.call(name, args)
}

func (c *calculator) call(name string, args []float64) float64 {
	// Printed numbers have eight digits: a whole number is meant where one is that near.
	near := func(v float64) float64 {
		if whole := math.Round(v); math.Abs(v-whole) < 1e-7*math.Max(1, math.Abs(v)) {
			return whole
		}
		return v
	}
	switch name {
	case "ceil":
		return math.Ceil(near(args[0]))
	case "floor":
		return math.Floor(near(args[0]))
	case "sqrt":
		return math.Sqrt(args[0])
	case "max", "min":
		v := args[0]
		for _, other := range args[1:] {
			if name == "max" && other > v || name == "min" && other < v {
				v = other
			}
		}
		return v
	case "poisson":
		return poissonByHand(args[0], args[1])
	case "nice":
		// Two digits: 1 234 → 13, 00.
		if args[0] <= 10 {
			return 10
		}
		digits := strconv.FormatFloat(math.Floor(args[0]), 'f', 0, 64)
		unit := math.Pow(10, float64(len(digits)-2))
		return math.Ceil(near(args[0]/unit)) * unit
	}
	c.fail("no function " + name)
	return 0
}

// poissonByHand adds up the terms of the Poisson distribution.
func poissonByHand(p, mean float64) float64 {
	sum, n := 0.0, 0.0
	for ; ; n++ {
		logarithm, _ := math.Lgamma(n + 1)
		sum += math.Exp(n*math.Log(mean) - mean - logarithm)
		if 1-sum <= p || n > mean+100*math.Sqrt(mean+1)+100 {
			return n
		}
	}
}

// redo works the printed arithmetic out again, and wants each value of a step to
// be an input or the result of an earlier step.
func redo(t *testing.T, what string, b Basis) map[string]float64 {
	t.Helper()
	known := map[string]float64{}
	for _, v := range b.Inputs {
		if v.From == "" {
			t.Errorf("%s: input %s does not say where it comes from", what, v.Name)
		}
		known[v.Name] = v.Value
	}
	if len(b.Explain) == 0 {
		t.Errorf("%s: no arithmetic", what)
	}
	for _, step := range b.Explain {
		for name, v := range step.Values {
			if got, ok := known[name]; !ok || got != v {
				t.Errorf("%s, %s: %s is %v, neither an input nor an earlier result (%v)", what, step.Name, name, v, got)
			}
		}
		got, err := calculate(step.Numbers())
		if err != nil {
			t.Errorf("%s, %s: %s, as %s: %v", what, step.Name, step.Formula, step.Numbers(), err)
		}
		if math.Abs(got-step.Result) > 1e-6*math.Abs(step.Result)+1e-9 {
			t.Errorf("%s, %s: %s = %s is %v, printed %v", what, step.Name, step.Formula, step.Numbers(), got, step.Result)
		}
		if step.Step == "" || step.Name == "" {
			t.Errorf("%s: a step without a name: %+v", what, step)
		}
		known[step.Name] = step.Result
	}
	if b.BoundBy == "" || len(b.WouldChange) == 0 || len(b.Inputs) == 0 {
		t.Errorf("%s: bound by %q, inputs %v, would change %q: none may be empty", what, b.BoundBy, b.Inputs, b.WouldChange)
	}
	if len(b.Constraints) > 1 && b.RunnerUp == "" {
		t.Errorf("%s: %d constraints and no runner-up", what, len(b.Constraints))
	}
	return known
}

func TestCalculator(t *testing.T) {
	for text, want := range map[string]float64{
		"1 + 2 * 3": 7, "(1 + 2) * 3": 9, "2 ^ 3 ^ 2": 512, "10 / 4 - 1": 1.5, "ceil(7 / 2)": 4, "floor(2.999)": 2,
		"max(1, 5, 3)": 5, "min(4, 2)": 2, "sqrt(16)": 4, "nice(1234)": 1300, "nice(3)": 10, "nice(99.2)": 100, "nice(140)": 140,
		// Tables of the Poisson distribution: P(N ≤ 21 | 10) = 0.9993, P(N ≤ 20 | 10) = 0.9984.
		"poisson(0.001, 10)": 21, "poisson(0.01, 10)": 18,
	} {
		if got, err := calculate(text); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1 +", "needed + 1", "wurzel(2)", "(1", "1)"} {
		if got, err := calculate(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}
