package recommend

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Load is what the recommendation is for.
type Load struct {
	PlannedRPS float64 // through the whole chain
	PeakRPS    float64 // today's, without headroom and growth; 0: not known, then the planned rate stands for it
	Zones      int     // failure zones; 1: none can be lost
}

// peak is today's peak, or the planned rate where that is not known.
func (l Load) peak() float64 {
	if l.PeakRPS > 0 {
		return l.PeakRPS
	}
	return l.PlannedRPS
}

// mostReplicas bounds a recommendation: beyond it the question was wrong.
const mostReplicas = 10000

// ReplicasFor returns how many replicas carry the planned rate, also with one
// replica or one zone lost. Nil, with the reason, when that cannot be said.
//
//	R = ceil(planned ÷ capacity); one replica lost: R + 1;
//	one of Z zones lost: Z × ceil(R ÷ (Z − 1))
func ReplicasFor(capacity Capacity, load Load) (replicas *Replicas, why string) {
	safe := capacity.Safe()
	switch {
	case !(load.PlannedRPS > 0):
		return nil, "no replicas are recommended: the scenario names no rate to plan for"
	case safe == 0:
		return nil, fmt.Sprintf("no replicas are recommended: one carries nothing safely by %s: %s", capacity.BoundBy, firstOf(capacity.Warnings, "the reason is not known"))
	case !(safe > 0):
		return nil, "no replicas are recommended: the capacity of one is not known"
	case load.PlannedRPS/safe > mostReplicas:
		return nil, fmt.Sprintf("no replicas are recommended: at %s each, %s would take more than %d", rate(safe), rate(load.PlannedRPS), mostReplicas)
	}
	n := max(int(math.Ceil(load.PlannedRPS/safe-1e-9)), 1)
	r := &Replicas{CarriesPlannedRate: n, SurvivesReplicaLoss: n + 1, Value: n + 1}
	r.Reason = fmt.Sprintf("%s ÷ %s per replica (%s) needs %d; %d so that one may be lost", rate(load.PlannedRPS), rate(safe), capacity.BoundBy, n, n+1)
	if load.Zones < 2 {
		r.Reason += "; in a single zone, the loss of a zone cannot be survived"
		return r, ""
	}
	perZone := (n + load.Zones - 2) / (load.Zones - 1)
	r.SurvivesZoneLoss = load.Zones * perZone
	r.Value = max(r.Value, r.SurvivesZoneLoss)
	r.Reason += fmt.Sprintf("; %d in each of %d zones = %d so that a zone may be lost", perZone, load.Zones, r.SurvivesZoneLoss)
	return r, ""
}

// operatingRPS is the rate that a replica carries when all that may be lost is
// lost: no more than its safe rate.
func operatingRPS(capacity Capacity, replicas *Replicas, load Load) float64 {
	safe := capacity.Safe()
	if replicas == nil || replicas.CarriesPlannedRate < 1 {
		return safe
	}
	return math.Min(safe, load.PlannedRPS/float64(replicas.CarriesPlannedRate))
}

// ResourcesFor returns requests and limits of a replica at the rate it carries
// when replicas are lost. Nil, with the reason, when neither CPU nor memory can be told.
func ResourcesFor(s Subject, capacity Capacity, replicas *Replicas, load Load) (resources *Resources, why string) {
	rps := operatingRPS(capacity, replicas, load)
	var r Resources
	if cores, ok := requestCores(s, rps); ok {
		ceiling, _ := s.Ceiling()
		r.Requests.CPU = cpuQuantity(cores)
		r.Reason = fmt.Sprintf("at %s a replica uses up to %s of CPU, 75\u00a0%% of the request", rate(rps), cpuWords(safeCores(s, rps).High))
		if ceiling > 0 {
			r.Limits.CPU = cpuQuantity(ceiling)
		}
		switch {
		case s.CPULimit > 0:
			r.Reason += fmt.Sprintf("; the limit is the one it was measured with, %s, and the capacity holds for that only", cpuWords(s.CPULimit))
		case ceiling > 0:
			r.Reason += fmt.Sprintf("; it was measured without a CPU limit; with %s it cannot use more than %s", threads(s.Concurrency), cpuWords(ceiling))
		default:
			r.Reason += "; measured without a CPU limit, so none is set"
		}
	}
	if s.Memory.Largest > 0 {
		inFlight := 0.0
		if rps > 0 && s.Tolerated > 0 {
			inFlight = rps * s.Tolerated
		}
		need := s.Memory.At(inFlight).High
		if !(need > 0) || math.IsInf(need, 0) {
			need = 1.25 * s.Memory.Largest
		}
		r.Requests.Memory, r.Limits.Memory = memoryQuantity(need), memoryQuantity(need/memoryShare)
		if r.Reason != "" {
			r.Reason += "; "
		}
		r.Reason += fmt.Sprintf("memory needs up to %s%s, 80\u00a0%% of the limit (largest seen: %s)", bytesWords(need), withInFlight(inFlight), bytesWords(s.Memory.Largest))
	}
	if r.Reason == "" {
		return nil, "no resources are recommended: neither its CPU demand nor its memory is known"
	}
	return &r, ""
}

func safeCores(s Subject, rps float64) stat.Estimate { return s.Demand.CoresAt(rps) }

// requestCores is the CPU request at which the highest expected use is 75 %, no
// more than the component can use at all.
func requestCores(s Subject, rps float64) (cores float64, ok bool) {
	if !(rps > 0) || !s.Demand.OK() {
		return 0, false
	}
	high := safeCores(s, rps).High
	if !(high > 0) || math.IsInf(high, 0) {
		return 0, false
	}
	cores = high / cpuShare
	if ceiling, _ := s.Ceiling(); ceiling > 0 {
		cores = math.Min(cores, ceiling)
	}
	return math.Ceil(cores*100-1e-9) / 100, true
}
