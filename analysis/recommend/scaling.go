package recommend

import (
	"fmt"
	"math"
)

// The HPA changes nothing while the use is within this share of the target
// (Kubernetes, horizontal-pod-autoscaler-tolerance).
const hpaTolerance = 0.10

// surge is how far above the planned rate the HPA may still follow.
const surge = 1.5

// HPAFor returns the autoscaler's setting: a target so low that a replica stays
// within its safe rate though the autoscaler tolerates a tenth more; at the least
// what carries today's peak with a replica or a zone lost, because a zone goes in
// a second and an autoscaler answers in minutes; room above the plan at the most.
// Nil, with the reason, when it cannot be said.
func HPAFor(s Subject, capacity Capacity, replicas *Replicas, load Load) (hpa *HPA, why string) {
	safe := capacity.Safe()
	request, ok := requestCores(s, operatingRPS(capacity, replicas, load))
	switch {
	case replicas == nil:
		return nil, "no autoscaler is recommended: the replicas are not known"
	case !ok:
		return nil, "no autoscaler is recommended: the CPU demand is not known, and so no target"
	}
	use := safeCores(s, safe)
	low := math.Max(use.Low, use.Value/2)
	target := int(math.Floor(100 * low / request / (1 + hpaTolerance)))
	if target < 1 {
		return nil, "no autoscaler is recommended: CPU at the safe rate is too small to steer by"
	}
	h := &HPA{TargetCPUUtilization: min(target, 75)}
	h.MinReplicas, h.MaxReplicas = hpaBounds(capacity, replicas, load)
	h.Reason = fmt.Sprintf("at its safe rate of %s a replica uses at least %s, %.0f\u00a0%% of the request; a tenth below that, because the autoscaler tolerates as much",
		rate(safe), cpuWords(low), math.Floor(100*low/request))
	if target > 75 {
		h.Reason += "; no more than 75 %, to leave time for new replicas"
	}
	h.Reason += fmt.Sprintf("; at least %d, what carries today's peak of %s with a replica%s lost, because that happens faster than an autoscaler answers; at most %d, what %.3g times the planned rate needs likewise",
		h.MinReplicas, rate(load.peak()), orZone(load), h.MaxReplicas, surge)
	return h, ""
}

// hpaBounds returns the fewest replicas, what today's peak needs with a replica or
// a zone lost, and the most, what surge times the planned rate needs likewise.
func hpaBounds(capacity Capacity, replicas *Replicas, load Load) (fewest, most int) {
	fewest, most = replicas.Value, replicas.Value
	peak, above := load, load
	peak.PlannedRPS = load.peak()
	above.PlannedRPS *= surge
	if atPeak, _ := ReplicasFor(capacity, peak); atPeak != nil {
		fewest = min(atPeak.Value, replicas.Value)
	}
	if atSurge, _ := ReplicasFor(capacity, above); atSurge != nil {
		most = max(most, atSurge.Value)
	}
	return fewest, most
}

// WithSidecar raises the ends of the autoscaler of a service to what the sidecar
// in its pods needs: the autoscaler's metric is the service's own and does not
// see the sidecar's load.
func (h *HPA) WithSidecar(name string, capacity Capacity, replicas *Replicas, load Load) {
	fewest, most := hpaBounds(capacity, replicas, load)
	if fewest <= h.MinReplicas && most <= h.MaxReplicas {
		return
	}
	h.MinReplicas, h.MaxReplicas = max(h.MinReplicas, fewest), max(h.MaxReplicas, most)
	h.Reason += fmt.Sprintf("; raised to %d at least and %d at most, because %s shares the pods and needs %d at today's peak and %d at %.3g times the planned rate, and the autoscaler does not see its load",
		h.MinReplicas, h.MaxReplicas, name, fewest, most, surge)
}

func orZone(load Load) string {
	if load.Zones > 1 {
		return " or a zone"
	}
	return ""
}
