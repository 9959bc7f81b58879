package models

// Resources that can bind at an edge.
const (
	BindsCPUQuota       = "cpu-quota"
	BindsCPUConcurrency = "cpu-concurrency"
	BindsHostCPU        = "host-cpu" // the machine, not the system: its processors were all in use
	BindsMemory         = "memory"
	BindsPool           = "pool"
	BindsLatency        = "latency" // none of the others
)

// Pressure is how hard a component was pressed in phases around the edge, the
// mean over them and per replica. What is not known is negative.
type Pressure struct {
	Component   string
	Throttled   float64 // share of quota periods
	Quota       float64 // cores used ÷ limit
	Concurrency float64 // cores used ÷ worker threads
	Memory      float64 // used ÷ limit
	Overflow    float64 // requests a second that a circuit breaker shed
}

// Binding names the component and the resource that bind, from the pressures
// around an edge. errors says that the objective that broke is about errors;
// hostIdle is the idle share of the machine that everything ran on, negative when
// not known.
func Binding(pressures []Pressure, errors bool, hostIdle float64) (component, resource string, by Pressure) {
	best := 0.0
	consider := func(p Pressure, name string, score float64) {
		if score > best {
			best, component, resource, by = score, p.Component, name, p
		}
	}
	for _, p := range pressures {
		if errors && p.Overflow > 0 {
			consider(p, BindsPool, 10+p.Overflow)
		}
		// Scores within a resource are shares; the resources follow in the order in
		// which they explain a latency.
		if p.Throttled > 0.2 || p.Throttled >= 0 && p.Quota > 0.95 {
			consider(p, BindsCPUQuota, 4+p.Throttled)
		} else if p.Throttled < 0 && p.Quota > 0.9 {
			consider(p, BindsCPUQuota, 3+p.Quota)
		}
		if p.Concurrency > 0.85 {
			consider(p, BindsCPUConcurrency, 2+min(p.Concurrency, 1.5)/2)
		}
		if p.Memory > 0.95 {
			consider(p, BindsMemory, 1.5)
		}
		if p.Overflow > 0 {
			consider(p, BindsPool, 1.2)
		}
	}
	if best == 0 && hostIdle >= 0 && hostIdle < 0.1 {
		return "", BindsHostCPU, Pressure{}
	}
	if best == 0 {
		return "", BindsLatency, Pressure{}
	}
	return component, resource, by
}
