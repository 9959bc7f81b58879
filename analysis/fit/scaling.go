package fit

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models/scaling"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// fewPoints is below how many points a fit of a curve is taken with a warning.
const fewPoints = 6

func fitScaling(t Table, o Options) (Result, error) {
	kind := kindOf(o.Model)
	if len(t.Rows) < kind.LeastPoints() {
		return Result{}, tooFew(t, fmt.Sprintf("%d; %s has %s and needs at least %d, better %d or more",
			len(t.Rows), o.Model, parameterCount(kind), kind.LeastPoints(), max(fewPoints, kind.LeastPoints())))
	}
	points := make([]scaling.Point, len(t.Rows))
	for i, row := range t.Rows {
		points[i] = scaling.Point{N: row.X, X: row.Y}
	}
	compared, err := scaling.Compare(points, o.Noise)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", t.File, err)
	}
	m, ok := compared.Candidate(kind)
	if !ok {
		return Result{}, fmt.Errorf("%s: %s can't be fitted to these points", t.File, o.Model)
	}
	r := result(t, o.Model, noiseName(o.Noise))
	r.Formula = formulaOf(o.Model)
	r.Parameters = parametersOf(m.Model)
	r.ResidualStandardError, r.LooError = Number(m.ResidualSD), Number(m.LeaveOneOut)
	r.LastOutError, r.LastOut = Number(m.LeaveLastOut), m.Left
	r.Preferred = compared.Chosen.String()
	peak := m.Peak()
	r.Peak = &peak
	predict := func(x float64) stat.Estimate { return compared.Predict(kind, x) }
	for _, x := range o.Predict {
		r.Predictions = append(r.Predictions, Prediction{x, predict(x)})
	}
	for _, y := range o.Inverse {
		inverse := compared.Inverse(kind, y)
		r.Inverse = append(r.Inverse, Inverse{y, inverse.Feasible, inverse.N})
	}
	for _, other := range compared.Candidates {
		if other.Kind != kind {
			r.Alternatives = append(r.Alternatives, Alternative{
				Model: other.Kind.String(), Parameters: parametersOf(other.Model),
				ResidualStandardError: Number(other.ResidualSD), LooError: Number(other.LeaveOneOut), LastOutError: Number(other.LeaveLastOut),
				Rejected: other.Rejected,
			})
		}
	}
	for _, row := range t.Rows {
		r.Points = append(r.Points, FittedPoint{row.Line, row.X, row.Y, Number(m.At(row.X))})
	}
	r.draw(predict)
	r.warnOfScaling(m, compared)
	return r, nil
}

// clearly is how much lower the errors of another model are when one is told of it.
const clearly = 0.9

// warnOfScaling says what one should know of the fit as a whole.
func (r *Result) warnOfScaling(m scaling.Candidate, compared scaling.Comparison) {
	if n := len(r.Points); n < fewPoints {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d points leave %s to tell the noise by: the intervals are wide, and %d points or more would tell the models apart", n, degrees(m.DF), fewPoints))
	}
	r.Warnings = append(r.Warnings, m.Notes...)
	r.Warnings = append(r.Warnings, compared.Notes...)
	d := m.Diagnose()
	r.Warnings = append(r.Warnings, d.Warnings...)
	r.Diagnostics = &Diagnostics{Number(d.DurbinWatson), Number(d.DurbinWatsonP), d.Runs, Number(d.RunsP), Number(d.Correlation)}
	if m.Rejected != "" {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %s; see the models beside it", r.Model, m.Rejected))
	} else if r.Preferred != r.Model {
		best, _ := compared.Candidate(compared.Chosen)
		if best.Score() < clearly*m.Score() {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s predicts better what it was not shown: its error there is %s, that of %s is %s",
				r.Preferred, r.ErrorText(Number(best.Score())), r.Model, r.ErrorText(Number(m.Score()))))
		}
	}
}

// ErrorText writes an error of the fit: in percent with relative noise.
func (r Result) ErrorText(v Number) string {
	if math.IsNaN(float64(v)) {
		return quantity.Absent
	}
	if r.Noise == noiseName(scaling.Relative) {
		return quantity.Percent(float64(v))
	}
	return quantity.Number(float64(v))
}

func degrees(n int) string {
	if n == 1 {
		return "one degree of freedom"
	}
	return fmt.Sprintf("%d degrees of freedom", n)
}

func parameterCount(kind scaling.Kind) string {
	if n := len(kind.Names()); n > 1 {
		return fmt.Sprintf("%d parameters", n)
	}
	return "one parameter"
}

func kindOf(model string) scaling.Kind {
	for _, kind := range scaling.Kinds() {
		if kind.String() == model {
			return kind
		}
	}
	return scaling.USL
}

func noiseName(noise scaling.Noise) string {
	if noise == scaling.Constant {
		return "constant"
	}
	return "relative"
}

func parametersOf(m scaling.Model) Parameters {
	var out Parameters
	for _, p := range m.Parameters {
		out = append(out, Parameter{p.Name, meaningOf(p.Name), p.Estimate})
	}
	return out
}

// formulaOf writes the formula of a model, X for the throughput at concurrency N.
func formulaOf(model string) string {
	switch model {
	case USL:
		return "X = λN ÷ (1 + σ(N−1) + κN(N−1))"
	case Amdahl:
		return "X = λN ÷ (1 + σ(N−1))"
	case Linear:
		return "X = λN"
	case Piecewise:
		return "X = λN up to the kink, λ(kink + slope·(N−kink)) beyond"
	}
	return ""
}

// meaningOf says in words what a parameter is.
func meaningOf(name string) string {
	switch name {
	case "lambda":
		return "λ, throughput of one"
	case "sigma":
		return "σ, contention: the share that waits for its turn"
	case "kappa":
		return "κ, coherency: what each costs each other"
	case "kink":
		return "where the line bends"
	case "slope":
		return "what is left of the slope beyond the kink"
	case "idleCores":
		return "cores without any load"
	case "cpuSecondsPerRequest":
		return "CPU time of a request"
	case "servers":
		return "c, servers that work at once"
	case "serviceSeconds":
		return "1 ÷ μ, time of a request that does not wait"
	case "capacityRps":
		return "cμ, the rate at which the queue has no end"
	}
	return ""
}
