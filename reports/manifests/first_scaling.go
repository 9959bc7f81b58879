package manifests

import (
	"fmt"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/recommend"
)

// firstScaling returns the component with the autoscaler that goes with the first
// step of what is reduced in steps. Its target is a percentage of the CPU request:
// as long as that is larger than recommended, the percentage is smaller, so that the
// same CPU is meant. It runs no fewer replicas than the step says.
func firstScaling(c analysis.Component, staged []analysis.Staged) (analysis.Component, error) {
	if c.HPA == nil && c.Signal == nil {
		return c, nil
	}
	words, least := "", 0
	if value, isStaged := recommend.First(staged, c.Name, "replicas"); isStaged {
		n, err := strconv.Atoi(value)
		if err != nil {
			return c, fmt.Errorf("first step of the replicas: %w", err)
		}
		least = n
		words = fmt.Sprintf("; no fewer than %d replicas as long as they are reduced in steps", n)
	}
	if c.Signal != nil && least > c.Signal.MinReplicas {
		s := *c.Signal
		s.MinReplicas, s.MaxReplicas = least, max(least, s.MaxReplicas)
		s.Reason += words
		c.Signal = &s
	}
	if c.HPA == nil {
		return c, nil
	}
	h := *c.HPA
	if least > h.MinReplicas {
		h.MinReplicas, h.MaxReplicas = least, max(least, h.MaxReplicas)
		h.Reason += words
	}
	if value, isStaged := recommend.First(staged, c.Name, "requests.cpu"); isStaged && c.Resources != nil {
		first, err := resource.ParseQuantity(value)
		if err != nil {
			return c, fmt.Errorf("first step of the CPU request, %q: %w", value, err)
		}
		last, err := resource.ParseQuantity(c.Resources.Requests.CPU)
		if err != nil {
			return c, fmt.Errorf("recommended CPU request, %q: %w", c.Resources.Requests.CPU, err)
		}
		target := float64(h.TargetCPUUtilization) * last.AsApproximateFloat64() / first.AsApproximateFloat64()
		h.Reason += fmt.Sprintf("; of the first step's request of %s that is %.3g %%, and with each step it changes: %d %% are of the last, %s",
			value, target, h.TargetCPUUtilization, c.Resources.Requests.CPU)
		h.TargetCPUUtilization = max(1, int(math.Floor(target+1e-9)))
	}
	c.HPA = &h
	return c, nil
}
