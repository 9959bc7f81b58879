package analysis

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Calibration says how the CPU demand of a lab was rescaled by a phase on a target.
type Calibration struct {
	Scenario   string                `json:"scenario"` // of the run on the target
	StartedAt  string                `json:"startedAt"`
	Phase      string                `json:"phase"`
	Components []CalibratedComponent `json:"components"`
	Applied    bool                  `json:"applied"`
	Reason     string                `json:"reason"` // why it was refused, or what it is worth
	phase      examined              // of the target
	target     *record.Record
}

// CalibratedComponent is the factor of one component.
type CalibratedComponent struct {
	Name          string        `json:"name"`
	Factor        stat.Estimate `json:"factor"` // target ÷ lab, at the same rate
	RpsPerReplica float64       `json:"rpsPerReplica"`
	TargetCores   float64       `json:"targetCores"` // of a replica
	LabCores      float64       `json:"labCores"`    // predicted at that rate
	Reason        string        `json:"reason"`
	refused       bool
}

// calibrateBy prepares the calibration: it chooses the phase of the target, the valid
// one with the most answers of those whose load was steady.
func (r *Result) calibrateBy(rec, target *record.Record) {
	if target == nil {
		return
	}
	c := &Calibration{Scenario: target.Scenario.Metadata.Name, Components: []CalibratedComponent{}, target: target}
	c.StartedAt = header(target).StartedAt
	r.Calibration, r.Evidence = c, record.EvidenceCalibrated
	conditions := ConditionsOf(target.Run)
	var phases []examined
	for _, data := range target.Data {
		phases = append(phases, examine(data, conditions))
	}
	loads := ofKind(phases, scenarios.KindLoad, scenarios.KindSteady)
	good := valid(loads)
	switch {
	case len(loads) == 0:
		c.Reason = "the run on the target has no phase of load"
		return
	case len(good) == 0:
		c.Reason = "no phase of load on the target is a valid measurement: " + loads[0].summary.Verdict.Reasons[0].Message
		return
	}
	// A load that a quota held back tells no demand; where there is another, it counts.
	if free := slices.DeleteFunc(slices.Clone(good), heldBack); len(free) > 0 {
		good = free
	}
	c.phase = slices.MaxFunc(good, func(a, b examined) int { return cmp.Compare(a.Counts.Answered, b.Counts.Answered) })
	c.Phase = c.phase.summary.Name
	if different := differentRequests(rec.Scenario, target.Scenario); different != "" {
		r.Warnings = append(r.Warnings, "calibration: "+different)
	}
}

// heldBack reports whether a quota held a component back in a phase.
func heldBack(p examined) bool {
	for _, throttled := range p.summary.Throttled {
		if throttled > maxThrottledForFit {
			return true
		}
	}
	return false
}

// differentRequests says how the requests of two scenarios differ; empty: not.
func differentRequests(lab, target scenarios.Scenario) string {
	shape := func(s scenarios.Scenario) string {
		var parts []string
		for _, q := range s.Requests {
			parts = append(parts, fmt.Sprintf("%s with %d bytes at %g", q.Method, len(q.Body), q.Weight))
		}
		return strings.Join(parts, ", ")
	}
	if a, b := shape(lab), shape(target); a != b {
		return fmt.Sprintf("the lab was sent %s, the target %s: a factor between them holds the difference too", a, b)
	}
	return ""
}

// calibrate rescales the demand of a component, and the SLO edge where CPU binds it.
func (r *Result) calibrate(s *recommend.Subject, c record.Component) {
	if r.Calibration == nil || r.Calibration.target == nil || r.Calibration.Phase == "" {
		return
	}
	found := r.Calibration.factor(s.Demand, c)
	r.Calibration.Components = append(r.Calibration.Components, found)
	if found.refused || !found.Factor.OK() {
		return
	}
	lab := s.Demand
	s.Demand = lab.Calibrated(found.Factor)
	binds := r.SLOEdge.Component == s.Name && (r.SLOEdge.Resource == models.BindsCPUQuota || r.SLOEdge.Resource == models.BindsCPUConcurrency)
	if !s.Edge.OK() || !binds {
		return
	}
	// The edge lies where as much CPU is wanted as at the lab's.
	at := func(rps float64) stat.Estimate { return s.Demand.RateAt(lab.CoresAt(rps).Value) }
	value, low := at(s.Edge.Value), at(s.Edge.Low)
	if !value.OK() || !low.OK() {
		return
	}
	high := math.Inf(1)
	if e := at(s.Edge.High); !math.IsInf(s.Edge.High, 1) && e.OK() {
		high = e.High
	}
	s.Edge = stat.Estimate{
		Value: value.Value, Low: low.Low, High: high, Confidence: s.Edge.Confidence, N: s.Edge.N,
		Warnings: append(slices.Clone(s.Edge.Warnings), "the lab's, moved to where the calibrated demand wants as much CPU"),
	}
}

// factor compares a component of the lab with the one of that name in the target, or
// else with the only one of its role.
func (c *Calibration) factor(lab models.Demand, of record.Component) CalibratedComponent {
	out := CalibratedComponent{Name: of.Name, Factor: stat.NotEstimable(0, "not compared")}
	counterpart, ok := c.counterpart(of)
	if !ok {
		out.Reason = "not calibrated: the run on the target observed no " + string(of.Role)
		return out
	}
	r := perReplicaOf(c.phase, counterpart)
	out.RpsPerReplica, out.TargetCores = finite(r.rps), finite(r.cores)
	if r.throttled > maxThrottledForFit {
		out.refused = true
		out.Reason = fmt.Sprintf("refused: it was throttled in %s of the periods on the target, so its CPU is its quota's, not what requests cost", percent(r.throttled))
		return out
	}
	if predicted := lab.CoresAt(r.rps); predicted.OK() {
		out.LabCores = predicted.Value
	}
	out.Factor = models.Calibration(lab, r.rps, coresSeen(c.phase, counterpart.Name))
	words := fmt.Sprintf("%.3g cores a replica at %s on the target, %.3g predicted by the lab", out.TargetCores, perSecond(r.rps), out.LabCores)
	switch f := out.Factor; {
	case !f.OK():
		out.Reason = "not calibrated: " + firstWarning(f)
	case f.Value < models.LeastFactor || f.Value > models.MostFactor:
		out.refused = true
		out.Reason = fmt.Sprintf("refused: %s is a factor of %s, outside of %g to %g: what runs there, or what it is sent, is not what the lab had; size the target itself",
			words, quantity.Number(f.Value), models.LeastFactor, models.MostFactor)
	default:
		out.Reason = fmt.Sprintf("%s: a factor of %.3g (%.3g – %.3g)", words, f.Value, f.Low, f.High)
	}
	return out
}

func (c *Calibration) counterpart(of record.Component) (record.Component, bool) {
	components := c.target.Components
	if i := slices.IndexFunc(components, func(t record.Component) bool { return t.Name == of.Name }); i >= 0 {
		return components[i], true
	}
	var same []record.Component
	for _, t := range components {
		if t.Role == of.Role {
			same = append(same, t)
		}
	}
	if len(same) != 1 {
		return record.Component{}, false
	}
	return same[0], true
}

// coresSeen returns the CPU that replicas used between one sample and the next, as
// cores: as many observations of what a replica uses.
func coresSeen(p examined, component string) (cores []float64) {
	for _, replica := range slices.Sorted(maps.Keys(p.samples[component])) {
		var last record.Point
		for i, point := range p.Series(component, replica, record.CPUSeconds) {
			if point.At < p.Start || point.At > p.SendEnd {
				continue
			}
			if seconds := (point.At - last.At).Seconds(); i > 0 && last.At >= p.Start && seconds > 0 && point.Value >= last.Value {
				cores = append(cores, (point.Value-last.Value)/seconds)
			}
			last = point
		}
	}
	return cores
}

// concludeCalibration says what became of the calibration. Without one there is no
// answer: the lab's own would be taken for the target's.
func (r *Result) concludeCalibration() {
	c := r.Calibration
	if c == nil || r.Outcome != Recommended && r.Outcome != Contradicted {
		return
	}
	var refused, applied, left []string
	for _, component := range c.Components {
		switch {
		case component.refused:
			refused = append(refused, component.Name+": "+component.Reason)
		case component.Factor.OK():
			applied = append(applied, component.Name)
			r.Warnings = append(r.Warnings, "calibrated "+component.Name+": "+component.Reason)
		default:
			left = append(left, component.Name+" "+component.Reason)
		}
	}
	switch {
	case c.Reason != "":
	case len(refused) > 0:
		c.Reason = strings.Join(refused, "; ")
	case len(applied) == 0:
		c.Reason = "no component could be compared: " + strings.Join(left, "; ")
	default:
		c.Applied = true
		c.Reason = "CPU of " + strings.Join(applied, ", ") + " is the lab's times a factor that one phase on the target showed; latency, memory and pools are the lab's, and the proof is of the lab"
		r.Warnings = append(r.Warnings, c.Reason)
		r.Warnings = append(r.Warnings, left...)
		return
	}
	r.Valid, r.Evidence = false, record.EvidenceLab
	r.settle(Invalid, "the calibration is refused: "+c.Reason)
}
