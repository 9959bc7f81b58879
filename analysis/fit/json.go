package fit

import (
	"bytes"
	"encoding/json"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Estimates stand beside other fields in one object, {x, value, low, …}, and
// parameters are an object by their names in the order of the formula. Both need
// a hand, since an estimate has a JSON form of its own.

// MarshalJSON writes {x, value, low, …}.
func (p Prediction) MarshalJSON() ([]byte, error) {
	return beside(struct {
		X float64 `json:"x"`
	}{p.X}, p.Estimate)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (p *Prediction) UnmarshalJSON(data []byte) error {
	own := struct {
		X *float64 `json:"x"`
	}{&p.X}
	return apart(data, &own, &p.Estimate)
}

// MarshalJSON writes {y, feasible, value, low, …}.
func (i Inverse) MarshalJSON() ([]byte, error) {
	return beside(struct {
		Y        float64 `json:"y"`
		Feasible bool    `json:"feasible"`
	}{i.Y, i.Feasible}, i.Estimate)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (i *Inverse) UnmarshalJSON(data []byte) error {
	own := struct {
		Y        *float64 `json:"y"`
		Feasible *bool    `json:"feasible"`
	}{&i.Y, &i.Feasible}
	return apart(data, &own, &i.Estimate)
}

// alternativeJSON is the form of an Alternative.
type alternativeJSON struct {
	Model                 string     `json:"model"`
	Parameters            Parameters `json:"parameters"`
	ResidualStandardError Number     `json:"residualStandardError"`
	LooError              Number     `json:"looError"`
	LastOutError          Number     `json:"lastOutError"`
	Rejected              bool       `json:"rejected"`
	Reason                string     `json:"reason,omitempty"`
}

// MarshalJSON writes the parameters by their names, and rejected as yes or no
// with its reason.
func (a Alternative) MarshalJSON() ([]byte, error) {
	return json.Marshal(alternativeJSON{
		a.Model, a.Parameters, a.ResidualStandardError, a.LooError, a.LastOutError, a.Rejected != "", a.Rejected,
	})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (a *Alternative) UnmarshalJSON(data []byte) error {
	var j alternativeJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*a = Alternative{j.Model, j.Parameters, j.ResidualStandardError, j.LooError, j.LastOutError, j.Reason}
	return nil
}

// Parameters are an object by their names in JSON, in their order.
type Parameters []Parameter

// MarshalJSON keeps the order.
func (p Parameters) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, parameter := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(parameter.Name)
		if err != nil {
			return nil, err
		}
		estimate, err := json.Marshal(parameter.Estimate)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(estimate)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON keeps the order.
func (p *Parameters) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	*p = nil
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		var e stat.Estimate
		if err := decoder.Decode(&e); err != nil {
			return err
		}
		*p = append(*p, Parameter{Name: name, Meaning: meaningOf(name), Estimate: e})
	}
	return nil
}

// beside writes the fields of an estimate after those of own.
func beside(own any, e stat.Estimate) ([]byte, error) {
	first, err := json.Marshal(own)
	if err != nil {
		return nil, err
	}
	second, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return append(append(first[:len(first)-1], ','), second[1:]...), nil
}

func apart(data []byte, own any, e *stat.Estimate) error {
	if err := json.Unmarshal(data, own); err != nil {
		return err
	}
	return json.Unmarshal(data, e)
}
