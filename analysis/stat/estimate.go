package stat

import (
	"encoding/json"
	"math"
)

// Estimate is a number that was measured or predicted. A number that cannot be
// estimated has Value NaN and a warning that says why; a bound that is not known
// is infinite. In JSON both are null.
type Estimate struct {
	Value      float64
	Low, High  float64 // the interval at Confidence
	Confidence float64 // in (0, 1); 0 when there is no interval
	N          int     // how many independent observations it rests on
	Warnings   []string
}

// NotEstimable is the estimate of something that n observations cannot tell.
func NotEstimable(n int, why string) Estimate {
	return Estimate{Value: math.NaN(), Low: math.Inf(-1), High: math.Inf(1), N: n, Warnings: []string{why}}
}

// OK reports whether there is a value.
func (e Estimate) OK() bool { return !math.IsNaN(e.Value) }

// Scale returns the estimate of factor × the quantity; factor > 0.
func (e Estimate) Scale(factor float64) Estimate {
	e.Value, e.Low, e.High = e.Value*factor, e.Low*factor, e.High*factor
	return e
}

type estimateJSON struct {
	Value      *float64 `json:"value"`
	Low        *float64 `json:"low"`
	High       *float64 `json:"high"`
	Confidence float64  `json:"confidence"`
	N          int      `json:"n"`
	Warnings   []string `json:"warnings"`
}

// MarshalJSON writes what is not a finite number as null.
func (e Estimate) MarshalJSON() ([]byte, error) {
	warnings := e.Warnings
	if warnings == nil {
		warnings = []string{}
	}
	return json.Marshal(estimateJSON{finite(e.Value), finite(e.Low), finite(e.High), e.Confidence, e.N, warnings})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (e *Estimate) UnmarshalJSON(data []byte) error {
	var j estimateJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*e = Estimate{orElse(j.Value, math.NaN()), orElse(j.Low, math.Inf(-1)), orElse(j.High, math.Inf(1)), j.Confidence, j.N, j.Warnings}
	return nil
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func orElse(v *float64, otherwise float64) float64 {
	if v == nil {
		return otherwise
	}
	return *v
}
