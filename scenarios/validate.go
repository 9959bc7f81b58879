package scenarios

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Validate reports everything that is wrong with a scenario as Errors: single
// values out of their bounds, and values that contradict each other. It expects
// a scenario that went through Defaults, and never changes it. Problems carry
// file, line and column when the scenario was decoded from a file.
//
// What counts as loopback is told by IsLoopback from the address that is dialled,
// so the rules for other targets (guards.maxRate, no mutations) hold for every
// DNS name but localhost.
func Validate(s Scenario) error {
	v := &validator{s: s, fields: fields()}
	v.values("", reflect.ValueOf(s))
	v.system()
	v.requests()
	v.auth()
	v.load()
	v.objectives()
	v.guards()
	v.observe()
	v.sizing()
	v.demand()
	return v.problems.orNil()
}

// validator collects the problems of one scenario.
type validator struct {
	s        Scenario
	fields   map[string]field
	problems Errors
}

// fail notes a problem at the key with the path, or where the nearest key around
// it stands.
func (v *validator) fail(path, hint, format string, args ...any) {
	v.failNear(path, path, hint, format, args...)
}

// failNear notes a problem with the key at path, but shows where the value at
// near stands, which is the reason for it.
func (v *validator) failNear(near, path, hint, format string, args ...any) {
	p := Problem{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if o := v.s.origin; o != nil {
		line, column := o.find(near)
		p = o.document.ProblemAt(line, column, path, p.Message)
		p.Hint = hint
	}
	v.problems = append(v.problems, p)
}

// find returns the place of the value at path, or of the key around it that was
// written; the first line when there is none.
func (o *origin) find(path string) (line, column int) {
	if at, ok := o.at[path]; ok {
		return at.valueLine, at.valueColumn
	}
	for path != "" {
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
		if at, ok := o.at[path]; ok {
			return at.keyLine, at.keyColumn
		}
	}
	return 1, 1
}

// keyLine returns the line of the key at path; 0 when it was not written.
func (v *validator) keyLine(path string) int {
	if v.s.origin == nil {
		return 0
	}
	return v.s.origin.at[path].keyLine
}

// values checks each value by what the field table says about its key. The
// decoder did so already; this finds what was set in code, and what is missing.
func (v *validator) values(path string, value reflect.Value) {
	t := value.Type()
	for key, index := range sortedKeys(t) {
		f, child, childPath := v.fields[t.Name()+"."+key], value.Field(index), join(path, key)
		if f.required && child.IsZero() && (child.Kind() != reflect.Struct || isScalarType(child.Type())) {
			v.fail(childPath, f.text, "is missing")
			continue
		}
		v.value(childPath, child, f)
	}
}

func (v *validator) value(path string, value reflect.Value, f field) {
	switch {
	case value.Kind() == reflect.Pointer:
		if !value.IsNil() {
			v.value(path, value.Elem(), f)
		}
	case isScalarType(value.Type()):
		if value.IsZero() && !v.written(path) {
			return
		}
		if message, hint := f.check(value); message != "" {
			v.fail(path, hint, "%s", message)
		} else if _, err := scalarText(value); err != nil {
			v.fail(path, "", "%s", err.Error())
		}
	case value.Kind() == reflect.Struct:
		v.values(path, value)
	case value.Kind() == reflect.Slice:
		for i := range value.Len() {
			v.value(fmt.Sprintf("%s[%d]", path, i), value.Index(i), f)
		}
	}
}

func (v *validator) written(path string) bool {
	return v.s.origin != nil && v.s.origin.zero[path]
}

// sortedKeys yields the keys of a struct type with their field's index.
func sortedKeys(t reflect.Type) func(yield func(string, int) bool) {
	keys := structKeys(t)
	return func(yield func(string, int) bool) {
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if !yield(key, keys[key]) {
				return
			}
		}
	}
}

func (v *validator) system() {
	switch s := v.s; {
	case s.Target == nil && s.Lab == nil:
		v.fail("", "target is a system that runs already; lab: {} starts one here", "neither target nor lab is given: exactly one is needed")
	case s.Target != nil && s.Lab != nil:
		where := ""
		if target, lab := v.keyLine("target"), v.keyLine("lab"); target > 0 && lab > 0 {
			where = fmt.Sprintf(" (target on line %d, lab on line %d)", target, lab)
		}
		v.both("target", "lab", "both target and lab are given%s: exactly one is needed", where)
	case s.Target != nil:
		v.target(*s.Target)
	default:
		v.lab(*s.Lab)
	}
}

// both notes one problem at the keys of two paths.
func (v *validator) both(first, second, format string, args ...any) {
	for _, path := range []string{first, second} {
		p := Problem{Path: path, Message: fmt.Sprintf(format, args...)}
		if o := v.s.origin; o != nil {
			if at, ok := o.at[path]; ok {
				p = o.document.ProblemAt(at.keyLine, at.keyColumn, path, p.Message)
			}
		}
		v.problems = append(v.problems, p)
	}
}

func (v *validator) lab(lab Lab) {
	if lab.Sidecar.TLS {
		v.fail("lab.sidecar.tls", "gateway.tls is TLS between the load and the gateway", "sidecars always speak mutual TLS to the gateway: this key is for the gateway only")
	}
	if lab.Sidecar.Replicas != 0 {
		v.fail("lab.sidecar.replicas", "service.replicas says how many there are of both", "each replica of the service has one sidecar: this key is for the gateway only")
	}
	if lab.Sidecar.Placement != "" {
		v.fail("lab.sidecar.placement", "remove the key", "the gateway balances requests over the sidecars: this key is for the gateway only")
	}
	if lab.Gateway.Placement != "" && lab.Gateway.Replicas <= 1 {
		v.fail("lab.gateway.placement", "gateway.replicas says how many gateways there are", "there is one gateway, which gets all connections")
	}
	latency := lab.Service.Latency
	switch {
	case latency.P99 > 0 && latency.Median == 0:
		v.fail("lab.service.latency.median", "", "is missing: p99 needs a median")
	case latency.Median > 0 && latency.P99 == 0:
		v.fail("lab.service.latency.p99", "write the same value as for the median for a constant time", "is missing: median needs a p99")
	case latency.P99 < latency.Median:
		v.fail("lab.service.latency.p99", "", "%s is below the median of %s", latency.P99, latency.Median)
	}
	v.enforceable("lab.gateway.limits", lab.Gateway.Limits)
	v.enforceable("lab.sidecar.limits", lab.Sidecar.Limits)
	v.enforceable("lab.service.limits", lab.Service.Limits)
	for i, file := range lab.Policy {
		if strings.TrimSpace(file) == "" {
			v.fail(fmt.Sprintf("lab.policy[%d]", i), "", "is empty: the name of a file is needed")
		}
	}
	if len(v.s.Observe.Components) > 0 {
		v.fail("observe.components", "remove the key", "the lab observes its own components; these are for a target")
	}
}

// The smallest limits that a component of the lab can start under. The kernel
// takes no quota below 1 ms of each period of 100 ms; less memory than a page
// table needs is a forgotten unit.
const (
	minCPU    CPU   = 10
	minMemory Bytes = 1 << 20
)

func (v *validator) enforceable(path string, limits Limits) {
	if limits.CPU > 0 && limits.CPU < minCPU {
		v.fail(path+".cpu", "", "%s is below the smallest quota that can be set, %s", limits.CPU, minCPU)
	}
	v.memory(path, limits)
}

func (v *validator) memory(path string, limits Limits) {
	if limits.Memory > 0 && limits.Memory < minMemory {
		v.fail(path+".memory", fmt.Sprintf("did you mean %dMi?", int64(limits.Memory)), "%d bytes are too little to run in", int64(limits.Memory))
	}
}

func (v *validator) objectives() {
	objectives := v.s.Objectives
	quantiles, errorRatios := make(map[float64]int), 0
	for i, o := range objectives {
		path := fmt.Sprintf("objectives[%d]", i)
		hasRatio := o.ErrorRatio > 0 || v.written(path+".errorRatio")
		switch {
		case hasRatio && (o.Latency > 0 || o.Quantile > 0):
			v.fail(path, "write two items: one with quantile and latency, one with errorRatio", "an objective is either about latency or about errors")
			continue
		case o.Latency > 0 && o.Quantile == 0:
			v.fail(path, "0.99 for instance", "quantile is missing")
		case o.Quantile > 0 && o.Latency == 0:
			v.fail(path, "50ms for instance", "latency is missing")
		case !o.IsLatency() && !hasRatio && v.s.origin != nil && v.s.origin.zero[path]:
			v.fail(path, "", "is empty: quantile and latency, or errorRatio, are needed")
			continue
		}
		if !o.IsLatency() {
			errorRatios++
		} else if first, seen := quantiles[o.Quantile]; seen {
			v.fail(path+".quantile", "", "the same quantile as in objectives[%d]", first)
		} else {
			quantiles[o.Quantile] = i
		}
		if errorRatios > 1 {
			v.fail(path, "", "a second errorRatio: one is enough")
		}
	}
}

func (v *validator) guards() {
	names := make(map[string]int)
	for i, c := range v.s.Guards.AbortWhen {
		path := fmt.Sprintf("guards.abortWhen[%d]", i)
		if first, seen := names[c.Name]; seen && c.Name != "" {
			v.fail(path+".name", "", "the same name as guards.abortWhen[%d]", first)
		}
		names[c.Name] = i
	}
	if len(v.s.Guards.AbortWhen) > 0 && v.s.Observe.Prometheus == "" {
		v.fail("guards.abortWhen", "set observe.prometheus", "conditions need a Prometheus to ask")
	}
}

func (v *validator) observe() {
	names := make(map[string]int)
	for i, c := range v.s.Observe.Components {
		path := fmt.Sprintf("observe.components[%d]", i)
		if first, seen := names[c.Name]; seen && c.Name != "" {
			v.fail(path+".name", "", "the same name as observe.components[%d]", first)
		}
		names[c.Name] = i
		hasQueries := c.Prometheus.Any()
		switch {
		case hasQueries && v.s.Observe.Prometheus == "":
			v.fail(path+".prometheus", "set observe.prometheus", "queries need a Prometheus to ask")
		case !hasQueries && c.PID == 0 && c.Admin == "":
			v.fail(path, "give prometheus queries, or pid or admin for a component on this machine", "no source of metrics")
		case hasQueries && (c.PID > 0 || c.Admin != ""):
			v.fail(path, "give either prometheus queries, or pid and admin", "two sources would count its replicas twice")
		case c.Admin != "" && c.Replicas > 1:
			v.fail(path+".replicas", "write one component for each process", "an admin endpoint is one replica, not %d", c.Replicas)
		case c.PID > 0 && c.Replicas > 1:
			v.fail(path+".replicas", "write one component for each process", "a pid is one replica, not %d", c.Replicas)
		}
		v.memory(path+".limits", c.Limits)
		v.memory(path+".requests", c.Requests)
	}
}

// Any reports whether any series is selected.
func (q PrometheusQueries) Any() bool {
	q.ReplicaLabel, q.ClassLabel = "", ""
	return q != PrometheusQueries{}
}
