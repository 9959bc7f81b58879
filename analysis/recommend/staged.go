package recommend

import (
	"fmt"
	"math"
	"strconv"
)

// Staged is a reduction that is too large for one step: what is declared today was
// chosen by somebody, and a measurement of some minutes may have missed why.
type Staged struct {
	Component string   `json:"component,omitempty"` // empty: the connection pool
	Setting   string   `json:"setting"`             // as in YAML, for instance "requests.cpu", "http.http2MaxRequests"
	From      string   `json:"from"`
	Steps     []string `json:"steps"` // one after the other, the last is what is recommended
	Check     string   `json:"check"` // what has to hold after each
}

// largestReduction is the share by which one step reduces at the most.
const largestReduction = 0.30

// stages returns the values from one to the other in steps that reduce by no more
// than largestReduction; nil when one step does.
func stages(from, to float64, rounded func(float64) float64) []float64 {
	if !(from > 0) || !(to > 0) || to >= from*(1-largestReduction)-1e-9 {
		return nil
	}
	var steps []float64
	for v := from; ; {
		next := rounded(v * (1 - largestReduction))
		if next >= v {
			next = rounded(v / 2) // of so few, as 3 replicas, a step cannot be smaller
		}
		if next <= to || next >= v {
			return append(steps, to)
		}
		steps = append(steps, next)
		v = next
	}
}

func staged(component, setting string, from, to float64, rounded func(float64) float64, write func(float64) string, check string) []Staged {
	values := stages(from, to, rounded)
	if values == nil {
		return nil
	}
	s := Staged{Component: component, Setting: setting, From: write(from), Check: check}
	for _, v := range values {
		s.Steps = append(s.Steps, write(v))
	}
	return []Staged{s}
}

func whole(v float64) float64 { return math.Ceil(v - 1e-9) }

func writeWhole(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// What is looked at between two steps.
const (
	checkReplicas = "over a day with its peak the objectives hold, also while a replica is replaced, and CPU stays below the autoscaler's target"
	checkCPU      = "over a day with its peak the objectives hold, and fewer than 5\u00a0% of the quota periods are throttled (container_cpu_cfs_throttled_periods_total)"
	checkMemory   = "over a week the working set stays below 80\u00a0% of the limit, and nothing is killed for memory: it grows slowly"
	checkPool     = "over a day with its peak nothing is shed: %s stays 0, and no request has the response flag UO"
)

// StagesFor returns the reductions against what is declared today that belong in
// steps.
func StagesFor(s Subject, replicas *Replicas, resources *Resources) []Staged {
	var out []Staged
	if replicas != nil {
		out = append(out, staged(s.Name, "replicas", float64(s.Declared.Replicas), float64(replicas.Value), whole, writeWhole, checkReplicas)...)
	}
	if resources == nil {
		return out
	}
	cpu := func(setting string, today float64, text string) {
		out = append(out, staged(s.Name, setting, today, coresOf(text),
			func(v float64) float64 { return math.Ceil(v*100-1e-9) / 100 }, cpuQuantity, checkCPU)...)
	}
	memory := func(setting string, today float64, text string) {
		out = append(out, staged(s.Name, setting, today, bytesOf(text),
			func(v float64) float64 { return memoryMebi(v) * mebi }, memoryText, checkMemory)...)
	}
	cpu("requests.cpu", s.Declared.CPURequest, resources.Requests.CPU)
	cpu("limits.cpu", s.Declared.CPULimit, resources.Limits.CPU)
	memory("requests.memory", s.Declared.MemoryRequest, resources.Requests.Memory)
	memory("limits.memory", s.Declared.MemoryLimit, resources.Limits.Memory)
	return out
}

// PoolStages is StagesFor of the connection pool. today are the numbers of the
// policy that the user declared, by field as in YAML.
func PoolStages(pool *ConnectionPool, today map[string]float64) []Staged {
	if pool == nil {
		return nil
	}
	var out []Staged
	for _, f := range []struct {
		field   string
		value   int
		counter string
	}{
		{"tcp.maxConnections", pool.TCP.MaxConnections, "envoy_cluster_upstream_cx_overflow"},
		{"http.http1MaxPendingRequests", pool.HTTP.HTTP1MaxPendingRequests, "envoy_cluster_upstream_rq_pending_overflow"},
		{"http.http2MaxRequests", pool.HTTP.HTTP2MaxRequests, "envoy_cluster_upstream_rq_active_overflow + envoy_cluster_upstream_rq_pending_overflow"},
		{"http.maxRequestsPerConnection", pool.HTTP.MaxRequestsPerConnection, "envoy_cluster_upstream_rq_pending_overflow"},
		{"http.maxRetries", pool.HTTP.MaxRetries, "envoy_cluster_upstream_rq_retry_overflow"},
	} {
		out = append(out, staged("", f.field, today[f.field], float64(f.value), whole, writeWhole, fmt.Sprintf(checkPool, f.counter))...)
	}
	return out
}

// First returns what to set first of a component's setting, and whether that is
// not yet what is recommended.
func First(all []Staged, component, setting string) (value string, isStaged bool) {
	for _, s := range all {
		if s.Component == component && s.Setting == setting && len(s.Steps) > 1 {
			return s.Steps[0], true
		}
	}
	return "", false
}
