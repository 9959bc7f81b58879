package fit

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/sailplan-io/sailplan/analysis/models/scaling"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// The models that can be asked for.
const (
	USL       = "usl"
	Amdahl    = "amdahl"
	Linear    = "linear"
	Piecewise = "piecewise"
	Demand    = "demand"
	MMC       = "mmc"
)

// Models are their names.
func Models() []string { return []string{USL, Amdahl, Linear, Piecewise, Demand, MMC} }

// Options say what to fit and what to say of it.
type Options struct {
	Model string
	// Noise is that of the scalability models; the others have their own.
	Noise scaling.Noise
	// Servers of MMC; 0 chooses the number.
	Servers int
	Predict []float64 // at which X; above 0, or 0 with Demand and MMC
	Inverse []float64 // for which Y; above 0
}

// ResultFormatVersion is the version of the JSON of a Result.
const ResultFormatVersion = 1

// Result is what a model says of a table.
type Result struct {
	FormatVersion int    `json:"formatVersion"`
	Model         string `json:"model"`
	Formula       string `json:"formula"`
	File          string `json:"file"`
	X             string `json:"x"` // the names of the columns
	Y             string `json:"y"`
	// Noise says in what ResidualStandardError and the errors of left-out points
	// are: "relative" (0.03 is 3 %) or "constant" (in units of Y).
	Noise                 string        `json:"noise"`
	Parameters            Parameters    `json:"parameters"` // in the order of the formula
	ResidualStandardError Number        `json:"residualStandardError"`
	LooError              Number        `json:"looError"`
	LastOutError          Number        `json:"lastOutError"`
	LastOut               int           `json:"lastOut"` // how many of the last points were left out
	Peak                  *scaling.Peak `json:"peak,omitempty"`
	Predictions           []Prediction  `json:"predictions"`
	Inverse               []Inverse     `json:"inverse"`
	Alternatives          []Alternative `json:"alternatives"`
	Preferred             string        `json:"preferred,omitempty"`
	Diagnostics           *Diagnostics  `json:"diagnostics,omitempty"`
	Points                []FittedPoint `json:"points"`
	Curve                 []Prediction  `json:"curve"`
	Warnings              []string      `json:"warnings"`
}

// Parameter is a parameter of a model and what it means.
type Parameter struct {
	Name    string
	Meaning string
	stat.Estimate
}

// Number is one that may be missing: NaN, null in JSON.
type Number float64

// MarshalJSON writes what is not finite as null.
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (n *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(data, (*float64)(n))
}

// Prediction is Y at an X.
type Prediction struct {
	X float64
	stat.Estimate
}

// Inverse is the X at which the model gives Y.
type Inverse struct {
	Y        float64
	Feasible bool
	stat.Estimate
}

// Alternative is another model of the same points.
type Alternative struct {
	Model                 string
	Parameters            Parameters
	ResidualStandardError Number
	LooError              Number
	LastOutError          Number
	Rejected              string // why the points reject it; empty: they don't
}

// Diagnostics of the residuals in order of X, see scaling.Diagnostics.
type Diagnostics struct {
	DurbinWatson            Number `json:"durbinWatson"`
	DurbinWatsonProbability Number `json:"durbinWatsonProbability"`
	Runs                    int    `json:"runs"`
	RunsProbability         Number `json:"runsProbability"`
	SigmaKappaCorrelation   Number `json:"sigmaKappaCorrelation"`
}

// FittedPoint is a point of the table beside the model.
type FittedPoint struct {
	Line   int     `json:"line"`
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Fitted Number  `json:"fitted"`
}

// Fit fits the model to the table. Its errors are about the points or the options,
// and name the file.
func Fit(t Table, o Options) (Result, error) {
	for _, v := range o.Predict {
		if err := within("--predict", v, o.zeroX()); err != nil {
			return Result{}, err
		}
	}
	for _, v := range o.Inverse {
		if err := within("--inverse", v, false); err != nil {
			return Result{}, err
		}
	}
	t.Rows = slices.Clone(t.Rows)
	slices.SortFunc(t.Rows, func(a, b Row) int {
		if a.X < b.X {
			return -1
		}
		return 1
	})
	switch o.Model {
	case USL, Amdahl, Linear, Piecewise:
		return fitScaling(t, o)
	case Demand:
		return fitDemand(t, o)
	case MMC:
		return fitMMC(t, o)
	}
	return Result{}, fmt.Errorf("no model %q: there are %q", o.Model, Models())
}

// ZeroX reports whether X may be 0 for the model: a rate can, a concurrency can't.
func ZeroX(model string) bool { return model == Demand }

func (o Options) zeroX() bool { return o.Model == Demand || o.Model == MMC }

func within(flag string, v float64, zero bool) error {
	if zero && v == 0 {
		return nil
	}
	if !(v >= least) || v > most {
		return fmt.Errorf("%s %s: has to be a number from %g to %g", flag, strconv.FormatFloat(v, 'g', -1, 64), float64(least), float64(most))
	}
	return nil
}

// result begins a result of a table.
func result(t Table, model, noise string) Result {
	return Result{
		FormatVersion: ResultFormatVersion, Model: model, File: t.File, X: t.X, Y: t.Y, Noise: noise,
		LastOutError: Number(math.NaN()),
		Predictions:  []Prediction{}, Inverse: []Inverse{}, Alternatives: []Alternative{}, Warnings: []string{},
	}
}

// tooFew says it with the last line of the file that counts.
func tooFew(t Table, why string) error {
	last := 1
	for _, row := range t.Rows {
		last = max(last, row.Line)
	}
	return fmt.Errorf("%s:%d: too few points: %s", t.File, last, why)
}

// curvePoints is how many points the curve of a chart has.
const curvePoints = 33

// draw predicts over the range of the points and of what was asked for, evenly.
func (r *Result) draw(predict func(x float64) stat.Estimate) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range r.Points {
		low, high = math.Min(low, p.X), math.Max(high, p.X)
	}
	// What lies far off would leave no room for the points.
	const furthest = 4
	top := high
	for _, p := range r.Predictions {
		if p.X <= furthest*high {
			top = math.Max(top, p.X)
		}
	}
	for i := range curvePoints {
		x := low + (top-low)*float64(i)/(curvePoints-1)
		r.Curve = append(r.Curve, Prediction{x, predict(x)})
	}
}

// Off is by how much the fitted Y differs from the measured one, as a share.
func (p FittedPoint) Off() float64 { return float64(p.Fitted)/p.Y - 1 }
