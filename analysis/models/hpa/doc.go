// Package hpa owns the loop of the HorizontalPodAutoscaler: what Kubernetes decides
// at each look (Step), what follows from it over a day of load (Simulate), and
// which target and fewest replicas are the cheapest that keep the objective (Choose).
//
// Step follows Kubernetes' pkg/controller/podautoscaler (replica_calculator.go,
// horizontal.go and metrics/utilization.go), and its tests are the cases of
// Kubernetes' own. Nothing here looks at a clock: time is a duration since an
// origin of the caller's choice.
package hpa
