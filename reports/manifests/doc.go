// Package manifests turns a recommendation into Kubernetes, Istio and Prometheus
// objects, built from their own API types and marshalled from them.
//
// Each object carries the reasons of the recommendation as comments. What was
// measured in a lab, or contradicted by its proof, is written as an example: its
// name ends so that no tool applies it by accident, and its first lines say why.
package manifests
