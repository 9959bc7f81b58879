package audit

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// settings is one block of a DestinationRule that has a connection pool and an
// outlier detection of its own.
type settings struct {
	rule   mesh.Object
	block  mesh.Field // trafficPolicy, or an item of portLevelSettings
	tcp    mesh.Field // of its connection pool
	http   mesh.Field // likewise
	out    mesh.Field // its outlier detection
	labels mesh.Field // of the subset; missing at the top
	port   string     // of a port-level block
	above  mesh.Field // for a port-level block: the policy that it is in
}

// policies returns the blocks of all DestinationRules.
func (in *inspection) policies() []settings {
	return in.blocks
}

func policiesOf(rules []mesh.Object) []settings {
	var all []settings
	for _, rule := range rules {
		add := func(policy, labels mesh.Field) {
			if !policy.Exists() {
				return
			}
			all = append(all, settingsOf(rule, policy, labels))
			for _, setting := range policy.Get("portLevelSettings").Items() {
				s := settingsOf(rule, setting, labels)
				s.port, s.above = setting.Get("port", "number").Text(), policy
				all = append(all, s)
			}
		}
		add(spec(rule, "trafficPolicy"), mesh.Field{})
		for _, subset := range spec(rule, "subsets").Items() {
			add(subset.Get("trafficPolicy"), subset.Get("labels"))
		}
	}
	return all
}

func settingsOf(rule mesh.Object, block, labels mesh.Field) settings {
	pool := block.Get("connectionPool")
	return settings{rule: rule, block: block, tcp: pool.Get("tcp"), http: pool.Get("http"), out: block.Get("outlierDetection"), labels: labels}
}

func (s settings) host() string { return spec(s.rule, "host").Text() }

// endpoints is how many pods stand behind a host, and how that is known.
type endpoints struct {
	known bool
	count int64
	how   string // "Deployment reviews has replicas: 3 (a.yaml:12)"; empty: the caller said so
}

// source tells in brackets where the number comes from, where a file says it.
func (e endpoints) source() string {
	if e.how == "" {
		return ""
	}
	return " (" + e.how + ")"
}

// endpointsOf counts the pods behind a host, where the files hold the service and
// its workload: the fewest that an autoscaler keeps, or the replicas.
func (in *inspection) endpointsOf(host, namespace string, subset mesh.Field) endpoints {
	key := fmt.Sprint(host, " ", namespace, labelsOf(subset))
	in.counting.Lock()
	defer in.counting.Unlock()
	n, done := in.counted[key]
	if !done {
		n = in.countEndpoints(host, namespace, subset)
		in.counted[key] = n
	}
	return n
}

func (in *inspection) countEndpoints(host, namespace string, subset mesh.Field) endpoints {
	if n := in.measured.Endpoints; n > 0 && (in.measured.Host == "" || sameHost(host, namespace, in.measured.Host, namespace)) {
		return endpoints{known: true, count: n}
	}
	name, within, ok := hostName(host, namespace)
	if !ok {
		return in.listed(host)
	}
	labels := map[string]string{}
	if service, found := in.service(name, within); found {
		labels = labelsOf(spec(service, "selector"))
		if len(labels) == 0 {
			return endpoints{}
		}
	}
	for _, key := range subset.Keys() {
		labels[key] = subset.Get(key).Text()
	}
	var total endpoints
	for _, workload := range in.workloads(labels, name) {
		if !sameNamespace(workload.Namespace, within) {
			continue
		}
		if len(labels) > 0 && !carries(spec(workload, "template", "metadata", "labels"), labels) {
			continue
		}
		n, how := in.replicas(workload)
		total.known = true
		total.count += n
		if total.how != "" {
			total.how += ", "
		}
		total.how += how
	}
	return total
}

// listed counts the endpoints that a ServiceEntry names for the host.
func (in *inspection) listed(host string) endpoints {
	for _, entry := range in.entries[host] {
		if items := spec(entry, "endpoints"); len(items.Items()) > 0 {
			return endpoints{true, int64(len(items.Items())), fmt.Sprintf("%s names them (%s)", nameOf(entry), place(items))}
		}
	}
	return endpoints{}
}

func (in *inspection) service(name, namespace string) (mesh.Object, bool) {
	for _, service := range in.services[name] {
		if sameNamespace(service.Namespace, namespace) {
			return service, true
		}
	}
	return mesh.Object{}, false
}

// replicas returns the fewest pods of a workload.
func (in *inspection) replicas(workload mesh.Object) (n int64, how string) {
	if scaler, found := in.scalerOf(workload); found {
		least := spec(scaler, "minReplicas")
		if n, ok := least.Number(); ok {
			return n, fmt.Sprintf("%s keeps at least %d (%s)", nameOf(scaler), n, place(least))
		}
		return 1, fmt.Sprintf("%s has no minReplicas, which means 1 (%s)", nameOf(scaler), place(spec(scaler)))
	}
	field := spec(workload, "replicas")
	if n, ok := field.Number(); ok {
		return n, fmt.Sprintf("%s has replicas: %d (%s)", nameOf(workload), n, place(field))
	}
	return 1, fmt.Sprintf("%s has no replicas, which means 1 (%s)", nameOf(workload), place(spec(workload)))
}

// scalerOf returns the autoscaler of a workload.
func (in *inspection) scalerOf(workload mesh.Object) (mesh.Object, bool) {
	for _, scaler := range in.scalers[workload.Name] {
		target := spec(scaler, "scaleTargetRef")
		if target.Get("kind").Text() == workload.Kind && sameNamespace(scaler.Namespace, workload.Namespace) {
			return scaler, true
		}
	}
	return mesh.Object{}, false
}

// place is a field's file and line.
func place(f mesh.Field) string { return fmt.Sprintf("%s:%d", f.File(), f.Line()) }

func labelsOf(f mesh.Field) map[string]string {
	labels := map[string]string{}
	for _, key := range f.Keys() {
		labels[key] = f.Get(key).Text()
	}
	return labels
}

// carries reports whether a mapping has all of the labels.
func carries(f mesh.Field, labels map[string]string) bool {
	for key, value := range labels {
		if f.Get(key).Text() != value {
			return false
		}
	}
	return true
}

// rulesFor returns the DestinationRules that are about the host of another object.
func (in *inspection) rulesFor(host, namespace string) []mesh.Object {
	var found []mesh.Object
	for _, rule := range in.rules[hostKey(host)] {
		if sameHost(spec(rule, "host").Text(), rule.Namespace, host, namespace) {
			found = append(found, rule)
		}
	}
	return found
}

// sameHost reports whether two hosts, each as seen from its namespace, are one.
func sameHost(a, aNamespace, b, bNamespace string) bool {
	if a == b && strings.Contains(a, ".") {
		return true
	}
	aName, aIn, aOK := hostName(a, aNamespace)
	bName, bIn, bOK := hostName(b, bNamespace)
	return aOK && bOK && aName == bName && sameNamespace(aIn, bIn)
}

// cores reads a quantity of CPU.
func cores(f mesh.Field) (float64, bool) {
	q, err := resource.ParseQuantity(f.Text())
	if !f.Exists() || err != nil {
		return 0, false
	}
	return q.AsApproximateFloat64(), true
}

// rootNamespace is where Istio looks for what holds for the whole mesh, unless
// the mesh's configuration names another.
func (in *inspection) rootNamespace() string {
	for _, config := range in.meshConfigs() {
		if name := config.field.Get("rootNamespace").Text(); name != "" {
			return name
		}
	}
	return "istio-system"
}

// meshConfig is a place in the files that configures the mesh.
type meshConfig struct {
	object mesh.Object
	field  mesh.Field
}

func (in *inspection) meshConfigs() []meshConfig {
	var all []meshConfig
	for _, o := range in.of("IstioOperator", mesh.KindIstiodValues, "ConfigMap") {
		for _, field := range o.MeshConfigs() {
			all = append(all, meshConfig{o, field})
		}
	}
	return all
}

// templatesOf returns the pods that workloads make, with their metadata.
func (in *inspection) templatesOf() []podTemplate {
	var all []podTemplate
	for _, o := range in.of("Deployment", "StatefulSet", "DaemonSet") {
		all = append(all, templateOf(o, spec(o, "template")))
	}
	for _, o := range in.of("Pod") {
		all = append(all, templateOf(o, o.Root()))
	}
	return all
}

// podTemplate is what a pod is made from.
type podTemplate struct {
	object      mesh.Object
	field       mesh.Field
	annotations mesh.Field
	labels      mesh.Field
	config      mesh.Field // of the pod's proxy; missing where it has none of its own
}

func templateOf(o mesh.Object, template mesh.Field) podTemplate {
	p := podTemplate{object: o, field: template, annotations: template.Get("metadata", "annotations"), labels: template.Get("metadata", "labels")}
	if config := p.annotation("proxy.istio.io/config"); config.Exists() {
		if own, err := config.Embedded(); err == nil {
			p.config = own
		}
	}
	return p
}

func (p podTemplate) annotation(name string) mesh.Field { return p.annotations.Get(name) }

// isGateway reports whether a pod is one of Istio's gateways.
func (p podTemplate) isGateway() bool {
	templates := p.annotation("inject.istio.io/templates").Text()
	label := p.labels.Get("istio").Text()
	return templates == "gateway" || strings.Contains(label, "gateway") || label == "ingress" || label == "egress"
}
