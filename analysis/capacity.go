package analysis

import (
	"bytes"
	"encoding/json"
)

// capacityRest is what a Capacity has beyond its estimate.
type capacityRest struct {
	BoundBy    string      `json:"boundBy"`
	Candidates []Candidate `json:"candidates"`
}

// MarshalJSON writes the fields of the estimate and those of Capacity in one
// object. Without it the method of the embedded estimate would be promoted, and
// leave the others out.
func (c Capacity) MarshalJSON() ([]byte, error) {
	estimate, err := json.Marshal(c.Estimate)
	if err != nil {
		return nil, err
	}
	if c.Candidates == nil {
		c.Candidates = []Candidate{}
	}
	rest, err := json.Marshal(capacityRest{c.BoundBy, c.Candidates})
	if err != nil {
		return nil, err
	}
	return append(append(bytes.TrimSuffix(estimate, []byte("}")), ','), rest[1:]...), nil
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *Capacity) UnmarshalJSON(data []byte) error {
	var rest capacityRest
	if err := json.Unmarshal(data, &rest); err != nil {
		return err
	}
	if err := json.Unmarshal(data, &c.Estimate); err != nil {
		return err
	}
	c.BoundBy, c.Candidates = rest.BoundBy, rest.Candidates
	return nil
}
