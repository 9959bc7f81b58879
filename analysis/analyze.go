package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Analyze computes everything that a record says: judges its phases, fits the
// models, recommends, and holds the prediction against the proof. It works on
// the record of any run, also of one that was killed; what is then not known is
// not estimable, and the outcome says so. It returns an error only for a nil
// record.
func Analyze(rec *record.Record) (Result, error) { return AnalyzeCalibrated(rec, nil) }

// AnalyzeCalibrated is Analyze of a lab's record whose CPU demand is rescaled by
// what one phase on the user's own target shows; a nil target is none.
func AnalyzeCalibrated(rec, target *record.Record) (Result, error) {
	if rec == nil {
		return Result{}, errors.New("analysing a record: there is none")
	}
	conditions := ConditionsOf(rec.Run)
	phases := make([]examined, 0, len(rec.Data))
	for _, data := range rec.Data {
		phases = append(phases, examine(data, conditions))
	}
	r := header(rec)
	for _, p := range phases {
		r.Phases = append(r.Phases, p.summary)
	}
	r.InvalidReasons = invalidReasons(phases)
	if found := ofKind(phases, scenarios.KindClimb, scenarios.KindSearch); rec.Command == "run" && len(found) > 0 {
		r.judgeHighest(rec, phases, found)
		return r, nil
	}
	if rec.Command == "run" || len(ofKind(phases, scenarios.KindLoad)) > 0 {
		r.SLOEdge = SLOEdge{Rps: notSized(), End: "unknown"}
		r.judgeLoad(rec, phases)
		r.judgeObjectives(rec.Scenario.Objectives, phases)
		return r, nil
	}
	if rec.Evidence == record.EvidenceObserved {
		r.fromHistory(rec, phases)
		return r, nil
	}
	every := phases
	phases = usual(phases)
	predicted := findEdge(ofKind(phases, scenarios.KindClimb, scenarios.KindSteady), conditions.Objectives, rec.Seed)
	r.SLOEdge = SLOEdge{Rps: predicted.RPS, End: string(predicted.End), Objective: predicted.text()}
	r.Knee = kneeOf(rec, phases)
	r.bind(rec, phases, predicted)
	r.calibrateBy(rec, target)
	r.QuotaTrial = quotaTrial(rec, ofKind(every, scenarios.KindQuota))
	// They are of the usual mix at a low rate, and tell memory what connections take.
	r.size(rec, slices.Concat(phases, ofKind(every, scenarios.KindConnections)), predicted)
	r.requestCosts(rec, every)
	r.Verification = verify(phases, predicted, conditions.Objectives, rec.Seed)
	r.Forecast = forecastOf(rec, every, predicted)
	r.Rates = r.sideBySide(phases)
	r.conclude(rec, phases, predicted)
	r.concludeCalibration()
	r.judgeObjectives(rec.Scenario.Objectives, phases)
	return r, nil
}

// header fills in what the record says of itself.
func header(rec *record.Record) Result {
	r := Result{
		FormatVersion: ResultFormatVersion,
		Tool:          rec.Tool,
		Command:       rec.Command,
		Quick:         rec.Quick,
		Scenario:      rec.Scenario.Metadata.Name,
		Seed:          rec.Seed,
		Evidence:      rec.Evidence,
		Host:          rec.Host,
		Ended:         rec.Ended,
		EndedWhy:      rec.EndedWhy,
		Objectives:    []Objective{},
		Components:    []Component{},
		Phases:        []PhaseSummary{},
		Warnings:      append(slices.Clone(rec.Notes), rec.Warnings...),
		Demand:        demandOf(rec.Scenario.Demand),
	}
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	if !rec.StartedAt.IsZero() {
		r.StartedAt = rec.StartedAt.UTC().Format(time.RFC3339)
	}
	if rec.Lab != nil {
		r.Lab = &Lab{
			Kind: rec.Lab.Kind, EnvoyVersion: rec.Lab.EnvoyVersion, Policy: rec.Lab.Policy,
			LimitsEnforced: rec.Lab.LimitsEnforced, LimitsWhyNot: rec.Lab.LimitsWhyNot,
		}
		if !rec.Lab.LimitsEnforced && rec.Lab.LimitsWhyNot != "" {
			r.Warnings = append(r.Warnings, "no CPU or memory limit was enforced: "+rec.Lab.LimitsWhyNot)
		}
	}
	for _, o := range rec.Scenario.Objectives {
		r.Objectives = append(r.Objectives, Objective{
			Text: objectiveText(o), Quantile: o.Quantile, LatencySeconds: o.Latency.Seconds(), ErrorRatio: float64(o.ErrorRatio),
		})
	}
	return r
}

// demandOf computes the planned rate: peak × (1 + headroom) × (1 + growth)^months.
func demandOf(d scenarios.Demand) Demand {
	out := Demand{
		PeakRps: d.PeakRate.RPS(), Headroom: float64(d.Headroom), GrowthPerMonth: float64(d.GrowthPerMonth),
		HorizonMonths: d.HorizonMonths, Zones: max(d.Zones, 1),
	}
	if out.PeakRps <= 0 {
		out.Reason = "the scenario names no peak rate (demand.peakRate), so there is nothing to plan for"
		return out
	}
	growth := math.Pow(1+out.GrowthPerMonth, float64(max(d.HorizonMonths, 0)))
	out.PlannedRps = finite(out.PeakRps * (1 + out.Headroom) * growth)
	words := []string{perSecond(out.PeakRps) + " at the peak"}
	if out.Headroom > 0 {
		words = append(words, fmt.Sprintf("%.4g headroom", 1+out.Headroom))
	}
	if out.GrowthPerMonth > 0 && d.HorizonMonths > 0 {
		words = append(words, fmt.Sprintf("%.4g^%d growth over %d months", 1+out.GrowthPerMonth, d.HorizonMonths, d.HorizonMonths))
	}
	out.Reason = strings.Join(words, " × ")
	if len(words) > 1 {
		out.Reason += " = " + perSecond(out.PlannedRps)
	}
	return out
}

// finite returns v, or 0 when it is not a number that JSON can hold.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// invalidReasons collects why phases that were meant as evidence are not valid:
// one reason a code, with how many phases it spoiled.
func invalidReasons(phases []examined) []Reason {
	evidence := ofKind(phases, scenarios.KindClimb, scenarios.KindSteady, scenarios.KindSearch, scenarios.KindProof, scenarios.KindLoad, scenarios.KindObserved)
	out, count := []Reason{}, map[string]int{}
	for _, p := range evidence {
		for _, reason := range p.summary.Verdict.Reasons {
			if count[reason.Code]++; count[reason.Code] == 1 {
				out = append(out, reason)
			}
		}
	}
	for i, reason := range out {
		out[i].Message = fmt.Sprintf("%d of %d phases; first: %s", count[reason.Code], len(evidence), reason.Message)
	}
	return out
}
