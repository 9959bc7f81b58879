package reports

import (
	"math"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// whyNot is a note with the reason why something could not be estimated.
func whyNot(component, what string, e stat.Estimate) []Block {
	if e.OK() || len(e.Warnings) == 0 {
		return nil
	}
	return []Block{Note{Info, component + ": " + what + " not estimable: " + strings.Join(e.Warnings, "; ")}}
}

// proofSection holds the prediction against the blind search.
func proofSection(result analysis.Result) Section {
	s := Section{Title: "Proof"}
	v := result.Verification
	if v == nil {
		s.Blocks = append(s.Blocks, Note{Warning, "There was no proof: the prediction was not held against a measurement."})
	} else {
		s.Blocks = append(s.Blocks, KeyValues{[]KeyValue{
			{"SLO edge predicted by the sweep's fit", quantity.Estimate(v.PredictedRps, quantity.PerSecond)},
			{"SLO edge measured by a blind search", quantity.Estimate(v.MeasuredRps, quantity.PerSecond)},
			{"Predicted against measured", apart(v)},
		}})
	}
	if checks := sizingObjectives(result); len(checks) > 0 {
		s.Blocks = append(s.Blocks, Checks{"objectives", checks})
	}
	s.Blocks = append(s.Blocks, Checks{"verification", verificationChecks(v)})
	return s
}

func apart(v *analysis.Verification) string {
	if math.IsNaN(v.RelativeError) {
		return "there are not both"
	}
	return quantity.SignedPercent(v.RelativeError) + " (agreement is up to ±" + quantity.Percent(v.Tolerance) + ")"
}

// warningsOf are notes with what to keep in mind about an estimate that there is.
func warningsOf(what string, e stat.Estimate) []Block {
	if !e.OK() {
		return nil
	}
	var notes []Block
	for _, warning := range e.Warnings {
		notes = append(notes, Note{Warning, what + ": " + warning})
	}
	return notes
}

// sizingObjectives says of each objective whether the recommendation holds it.
func sizingObjectives(result analysis.Result) []Check {
	var checks []Check
	for _, o := range result.Objectives {
		c := Check{Name: o.Text, Status: statusOf(o), Text: o.Reason}
		if c.Text == "" {
			c.Text = "no valid answer"
		}
		checks = append(checks, c)
	}
	return checks
}

func verificationChecks(v *analysis.Verification) []Check {
	if v == nil {
		return []Check{{"prediction agrees with measurement", Skipped, "there was no proof"}}
	}
	agrees := Check{"prediction agrees with measurement", Failed, v.Reason}
	if v.Agrees {
		agrees.Status = Passed
	}
	return []Check{
		agrees,
		pointCheck("objective held just below the measured edge", v.ObjectiveHeldBelow),
		pointCheck("objective missed just above the measured edge", v.ObjectiveMissedAbove),
	}
}

func pointCheck(name string, p *analysis.ProofPoint) Check {
	if p == nil {
		return Check{name, Skipped, "not measured"}
	}
	c := Check{name, Failed, "at " + quantity.Rate(p.Rps)}
	if p.Reason != "" {
		c.Text += ": " + p.Reason
	}
	switch {
	case !p.Valid:
		c.Status = Unknown
		c.Text += ", not a valid measurement"
	case p.Expected:
		c.Status = Passed
	}
	return c
}
