package analysis

import (
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// RequestCosts is what each request of a mix costs a replica of a component, and
// what a byte does, as far as the phases tell them apart.
type RequestCosts struct {
	ByRequest  []RequestCost `json:"byRequest"`            // in the order of the scenario; of what was observed the most frequent first
	ClassLabel string        `json:"classLabel,omitempty"` // of what was observed: the label that tells the requests apart
	// The same cost in another form: a request without bytes, and each byte on the
	// wire between the load generator and the first gateway, or as what was observed
	// counts them.
	CPUSecondsPerRequestWithoutBytes stat.Estimate `json:"cpuSecondsPerRequestWithoutBytes"`
	CPUSecondsPerRequestByte         stat.Estimate `json:"cpuSecondsPerRequestByte"`
	CPUSecondsPerAnswerByte          stat.Estimate `json:"cpuSecondsPerAnswerByte"`
	CPUIdleCores                     stat.Estimate `json:"cpuIdleCores"`
	AtRps                            float64       `json:"atRps"` // per replica: a request's share of the wake-ups is that at this rate
	Reason                           string        `json:"reason"`
}

// RequestCost is what one request of the mix costs.
type RequestCost struct {
	Name       string        `json:"name"`
	Share      float64       `json:"share"` // of the mix, by its weight; of what was observed by count
	CPUSeconds stat.Estimate `json:"cpuSeconds"`
	// AboveMeanCPUSeconds is what it costs more than the mean request of the mix, which
	// is better known: the share of the wake-ups is the same in both.
	AboveMeanCPUSeconds stat.Estimate `json:"aboveMeanCpuSeconds"`
}

// usual leaves out the phases that were measured for one question only: what each
// request costs, or a wake-up, or a quota.
func usual(phases []examined) []examined {
	return slices.DeleteFunc(slices.Clone(phases), func(p examined) bool {
		return p.Spec.Kind.Aside()
	})
}

// requestCosts fits what each request of a mix costs, of every component.
func (r *Result) requestCosts(rec *record.Record, phases []examined) {
	requests := rec.Scenario.Requests
	if len(requests) < 2 {
		return
	}
	names, total := make([]string, len(requests)), 0.0
	for i, request := range requests {
		names[i] = request.Name
		total += request.Weight
	}
	shares := make([]float64, len(requests))
	for i, request := range requests {
		shares[i] = finite(request.Weight / total)
	}
	for i := range r.Components {
		c := &r.Components[i]
		costs := models.FitClasses(classPoints(rec, phases, rec.Components[i], names), names, shares)
		out := &RequestCosts{
			CPUSecondsPerRequestWithoutBytes: costs.PerRequest, CPUSecondsPerRequestByte: costs.PerRequestByte, CPUSecondsPerAnswerByte: costs.PerAnswerByte,
			CPUIdleCores: costs.Idle, AtRps: finite(costs.At), Reason: costs.Words,
		}
		if costs.Told == 0 && !rec.Scenario.Sizing.PerClass {
			out.Reason += ": sizing.perClass measures them apart"
		}
		if r.Calibration != nil {
			out.Reason += "; as the lab measured it, not calibrated"
		}
		for k, request := range requests {
			out.ByRequest = append(out.ByRequest, RequestCost{Name: request.Name, Share: shares[k], CPUSeconds: costs.PerClass[k], AboveMeanCPUSeconds: costs.AboveMean[k]})
		}
		c.RequestCosts = out
	}
}

// ceilingOf is what the CPU of a replica can reach; 0: not known.
func ceilingOf(rec *record.Record, c record.Component) float64 {
	limit, _ := limitsOf(rec, c)
	cores, _ := recommend.Subject{Concurrency: max(c.Concurrency, 0), CPULimit: limit}.Ceiling()
	return cores
}

// classPoints are the phases of any mix that show the demand of a component.
func classPoints(rec *record.Record, phases []examined, c record.Component, names []string) (points []models.ClassPoint) {
	for _, p := range phases {
		switch kind := p.Spec.Kind; {
		case kind != scenarios.KindClimb && kind != scenarios.KindSteady && kind != scenarios.KindMix && !idle(p), !showsDemand(p):
			continue
		}
		r := perReplicaOf(p, c)
		seconds := (p.SendEnd - p.Start).Seconds()
		if clipped(r, ceilingOf(rec, c)) || math.IsNaN(r.cores) || !(seconds > 0) {
			continue
		}
		answered := make([]float64, len(names))
		all := 0.0
		for _, request := range p.ByRequest {
			if i := slices.Index(names, request.Request); i >= 0 {
				answered[i] = float64(request.Service.TotalCount())
				all += answered[i]
			}
		}
		for i := range answered {
			answered[i] *= r.rps / math.Max(all, 1)
		}
		each := seconds * float64(r.replicas)
		points = append(points, models.ClassPoint{
			Rates: answered, RequestBytes: float64(p.Counts.BytesSent) / each, AnswerBytes: float64(p.Counts.BytesReceived) / each,
			Cores: r.cores, WakeUps: r.wakeUps,
		})
	}
	return points
}
