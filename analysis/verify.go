package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Tolerance is how far the predicted edge may lie from the measured one, as a
// share of the latter, and still be called agreement.
const Tolerance = 0.20

// searchSeed keeps the resamples of the search apart from those of the sweep.
const searchSeed = 0xb11d

// MarshalJSON writes a relative error that does not exist as null.
func (v Verification) MarshalJSON() ([]byte, error) {
	type plain Verification
	out := struct {
		plain
		RelativeError *float64 `json:"relativeError"`
	}{plain: plain(v)}
	if !math.IsNaN(v.RelativeError) && !math.IsInf(v.RelativeError, 0) {
		out.RelativeError = &v.RelativeError
	}
	return json.Marshal(out)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (v *Verification) UnmarshalJSON(data []byte) error {
	type plain Verification
	in := struct {
		*plain
		RelativeError *float64 `json:"relativeError"`
	}{plain: (*plain)(v)}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	v.RelativeError = math.NaN()
	if in.RelativeError != nil {
		v.RelativeError = *in.RelativeError
	}
	return nil
}

// verify holds the predicted edge against the one that the search phases alone
// show, and looks at the proof's phases on both sides of it. Nil when there was
// neither a search nor a proof.
func verify(phases []examined, predicted edgeOf, objectives []scenarios.Objective, seed uint64) *Verification {
	search := ofKind(phases, scenarios.KindSearch)
	measured := findEdge(search, objectives, seed^searchSeed)
	v := &Verification{
		PredictedRps:         predicted.RPS,
		MeasuredRps:          measured.RPS,
		MeasuredEnd:          string(measured.End),
		RelativeError:        math.NaN(),
		Tolerance:            Tolerance,
		ObjectiveHeldBelow:   proofPoint(phases, objectives, "below", true),
		ObjectiveMissedAbove: proofPoint(phases, objectives, "above", false),
	}
	if len(search) == 0 && v.ObjectiveHeldBelow == nil && v.ObjectiveMissedAbove == nil {
		return nil
	}
	v.Agrees, v.Reason = v.compare(predicted, measured)
	if !v.Agrees {
		return v
	}
	for _, point := range []*ProofPoint{v.ObjectiveHeldBelow, v.ObjectiveMissedAbove} {
		if point != nil && point.Valid && !point.Expected {
			v.Agrees = false
			v.Reason += fmt.Sprintf("; but at %s, where the measured edge says otherwise, %s", perSecond(point.Rps), point.Reason)
		}
	}
	return v
}

// compare says whether the edges agree, and sets the relative error.
func (v *Verification) compare(predicted, measured edgeOf) (bool, string) {
	switch {
	case !predicted.RPS.OK():
		return false, "there is no prediction: " + firstWarning(predicted.RPS)
	case !measured.RPS.OK():
		return false, "the search found no edge: " + firstWarning(measured.RPS)
	case predicted.End == models.EdgeNotReached && measured.End == models.EdgeNotReached:
		return true, fmt.Sprintf("both the sweep and the search hold the objectives up to the highest rates they tried, %s and %s",
			perSecond(predicted.RPS.Value), perSecond(measured.RPS.Value))
	}
	v.RelativeError = (predicted.RPS.Value - measured.RPS.Value) / measured.RPS.Value
	bounds := ""
	if predicted.End == models.EdgeNotReached {
		if v.RelativeError < 0 {
			// The sweep promised at least so much, and there was more.
			return true, fmt.Sprintf("the sweep held up to its highest rate, %s; the search found the edge at %s", perSecond(predicted.RPS.Value), perSecond(measured.RPS.Value))
		}
		bounds = " at least"
	}
	found := "found"
	if measured.End == models.EdgeNotReached {
		found = "still held at its highest rate,"
	}
	words := fmt.Sprintf("predicted%s %s, the search %s %s: %+.1f\u00a0%%", bounds, perSecond(predicted.RPS.Value), found, perSecond(measured.RPS.Value), v.RelativeError*100)
	if math.Abs(v.RelativeError) <= Tolerance {
		return true, words + fmt.Sprintf(", within ±%.0f\u00a0%%", Tolerance*100)
	}
	return false, words + fmt.Sprintf(", more than ±%.0f\u00a0%%", Tolerance*100)
}

// undecided reports whether a phase lies so close to a limit that the interval of
// its quantile holds it: then it does not say on which side it is.
func undecided(p examined, objectives []scenarios.Objective) bool {
	for _, o := range objectives {
		if !o.IsLatency() {
			continue
		}
		e := p.quantile(o.Quantile)
		if limit := o.Latency.Seconds(); e.OK() && e.Low <= limit && limit <= e.High {
			return true
		}
	}
	return false
}

// proofPoint returns the last valid proof phase whose name contains side, or the
// last one when none is valid; nil when there is none. It says what an earlier
// valid one had found otherwise.
func proofPoint(phases []examined, objectives []scenarios.Objective, side string, shouldHold bool) *ProofPoint {
	var point *ProofPoint
	for _, p := range ofKind(phases, scenarios.KindProof) {
		s := p.summary
		if !strings.Contains(s.Name, side) || (point != nil && point.Valid && !s.Verdict.Valid) {
			continue
		}
		earlier := point
		point = &ProofPoint{
			Rps: s.OfferedRps, Holds: s.Holds, Expected: s.Holds == shouldHold,
			Valid: s.Verdict.Valid, Reason: s.HoldsReason, Phase: s.Index,
		}
		if !point.Expected && undecided(p, objectives) {
			point.Expected = true
			point.Reason += "; so close to the limit that the measurement cannot tell"
		}
		if !s.Verdict.Valid {
			point.Reason += "; not a valid measurement: " + s.Verdict.Reasons[0].Message
		}
		if earlier != nil && earlier.Valid && earlier.Holds != point.Holds {
			point.Reason += "; at the first try: " + earlier.Reason
		}
	}
	return point
}

// ProofRates returns where the proof of a search belongs, in arrivals a second:
// just below and just above the edge that the search phases show. What noise
// leaves open between two ways to read the same phases, the crossing of their
// latencies and the division into those that held and those that missed, lies
// between the rates. Both are 0 when the phases show no edge. Above is meaningless
// when reached is false: the highest rate held.
func ProofRates(search []record.PhaseData, conditions Conditions, seed uint64) (below, above float64, reached bool) {
	var phases []examined
	var steps []models.Step
	for _, data := range search {
		p := examine(data, conditions)
		phases = append(phases, p)
		if p.summary.Verdict.Valid {
			steps = append(steps, models.Step{RPS: p.offered, Holds: p.summary.Holds})
		}
	}
	edge := findEdge(phases, conditions.Objectives, seed^searchSeed)
	low, high := edge.RPS.Value, edge.RPS.Value
	divided := models.EdgeOf(steps)
	switch {
	case !edge.RPS.OK() && divided <= 0:
		return 0, 0, false
	case !edge.RPS.OK():
		low, high = divided, divided
	case divided > 0:
		low, high = math.Min(low, divided), math.Max(high, divided)
	}
	return low * models.ProofBelow, high * models.ProofAbove, edge.End != models.EdgeNotReached
}
