package audit

import (
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// scalingRules are about replicas and autoscalers.
func scalingRules() []Rule {
	return []Rule{
		{
			Code: "SP070", Name: "replicas-beside-autoscaler", Severity: Warning, Title: "Replicas that the autoscaler overrules",
			Why:   "The charts render replicaCount only when autoscaling is off, and it is on by default: the number is not in force. In a Deployment with an autoscaler, replicas is in force for a moment at every roll-out, and takes pods away in the middle of the load.",
			check: idleReplicas,
		},
		{
			Code: "SP071", Name: "fewest-above-most", Severity: Error, Title: "An autoscaler whose minimum is above its maximum",
			Why:   "Kubernetes refuses the autoscaler, so there is none. The charts check nothing, and the default maximum is 5.",
			check: crossedBounds,
		},
		{
			Code: "SP072", Name: "autoscaler-without-request", Severity: Error, Title: "An autoscaler of CPU for pods that request none",
			Why:   "Utilization is a share of the request. When a container of the pod requests no CPU, the autoscaler reports FailedGetResourceMetric and never scales. The sidecar counts as a container too.",
			Fix:   "resources:\n  requests:\n    cpu: 500m\n",
			check: missingRequests,
		},
		{
			Code: "SP073", Name: "one-replica", Severity: Warning, Title: "A gateway or control plane of one replica",
			Why:   "One gateway pod is one node away from an outage, and every roll-out and drain is one. Without istiod, running proxies go on, but no new pod gets its configuration or certificate.",
			check: singleReplicas,
		},
		{
			Code: "SP074", Name: "budget-blocks-drains", Severity: Warning, Title: "A disruption budget that allows no disruption",
			Why:   "When no pod may be evicted, a drain of its node waits for ever, and with it upgrades of the cluster; in the end somebody kills the pods by hand, all at once.",
			Fix:   "spec:\n  maxUnavailable: 1\n",
			check: rigidBudgets,
		},
		{
			Code: "SP076", Name: "scales-too-late", Severity: Warning, Title: "An autoscaler that waits until pods are full",
			Why:   "New pods take tens of seconds to come, and until then the old ones carry what is more. Above 80 % of the requested CPU there is no room for that, and a proxy's latency grows long before its CPU is used up.",
			Fix:   "averageUtilization: 70\n",
			check: lateScalers,
		},
		{
			Code: "SP077", Name: "scales-nowhere", Severity: Warning, Title: "An autoscaler without a choice",
			Why:   "When the minimum is the maximum, the number of pods is fixed: neither a peak nor growth finds more, though the files look as if they did.",
			check: fixedScalers,
		},
		{
			Code: "SP075", Name: "request-below-use", Severity: Warning, Title: "A request below what was measured",
			Why:   "The scheduler packs nodes by requests. A pod that uses more than it requests is the first to be slowed down on a full node, and its autoscaler, which counts in percent of the request, is always above its target. Needs a run directory.",
			check: requestsBelowUse,
		},
	}
}

// component is a part of Istio that is installed with a number of replicas.
type component struct {
	object    mesh.Object
	name      string // "istiod", "gateway istio-ingressgateway"
	at        mesh.Field
	on        bool // whether it is scaled automatically
	least     mesh.Field
	most      mesh.Field
	replicas  []mesh.Field // where a number of replicas is set
	resources mesh.Field
	spread    bool // whether its pods are kept apart
	budget    mesh.Field
}

// first returns the first of the fields that has a value, or the last.
func first(fields ...mesh.Field) mesh.Field {
	for _, f := range fields {
		if f.Exists() {
			return f
		}
	}
	return fields[len(fields)-1]
}

// installed returns the parts of Istio that the files install.
func (in *inspection) installed() []component {
	all := []component{}
	for _, o := range in.of("IstioOperator") {
		parts := spec(o, "components")
		pilot := spec(o, "values", "pilot")
		if k8s := parts.Get("pilot", "k8s"); k8s.Exists() || pilot.Exists() {
			all = append(all, ofChart(o, "istiod", first(parts.Get("pilot"), pilot), k8s, pilot))
		}
		for _, side := range []string{"ingress", "egress"} {
			values := spec(o, "values", "gateways", "istio-"+side+"gateway")
			for _, item := range parts.Get(side + "Gateways").Items() {
				if !item.Get("enabled").IsFalse() {
					all = append(all, ofChart(o, "gateway "+item.Get("name").Text(), item, item.Get("k8s"), values))
				}
			}
			if values.Exists() && len(parts.Get(side+"Gateways").Items()) == 0 {
				all = append(all, ofChart(o, "gateway istio-"+side+"gateway", values, mesh.Field{}, values))
			}
		}
	}
	for _, o := range in.of(mesh.KindIstiodValues) {
		values := o.Root()
		if values.Get("pilot").Exists() {
			values = values.Get("pilot")
		}
		all = append(all, ofChart(o, "istiod", values, mesh.Field{}, values))
	}
	for _, o := range in.of(mesh.KindGatewayValues) {
		values := o.Root()
		scaling := values.Get("autoscaling")
		all = append(all, component{
			object: o, name: "gateway", at: values, on: !scaling.Get("enabled").IsFalse(), least: scaling.Get("minReplicas"), most: scaling.Get("maxReplicas"),
			replicas: []mesh.Field{values.Get("replicaCount")}, resources: values.Get("resources"), budget: values.Get("podDisruptionBudget"),
			spread: keptApart(values),
		})
	}
	return append(all, in.deployedComponents()...)
}

func keptApart(f mesh.Field) bool {
	return len(f.Get("topologySpreadConstraints").Items()) > 0 || f.Get("affinity", "podAntiAffinity").Exists()
}

// ofChart is a component by its block k8s of an IstioOperator, and its values.
func ofChart(o mesh.Object, name string, at, k8s, values mesh.Field) component {
	hpa := k8s.Get("hpaSpec")
	return component{
		object: o, name: strings.TrimSpace(name), at: at, on: !values.Get("autoscaleEnabled").IsFalse(),
		least: first(hpa.Get("minReplicas"), values.Get("autoscaleMin")), most: first(hpa.Get("maxReplicas"), values.Get("autoscaleMax")),
		replicas:  []mesh.Field{k8s.Get("replicaCount"), values.Get("replicaCount")},
		resources: first(k8s.Get("resources"), values.Get("resources")),
		budget:    k8s.Get("podDisruptionBudget"),
		spread:    keptApart(k8s) || keptApart(values),
	}
}

// deployedComponents are gateways and istiod as Deployments in the files.
func (in *inspection) deployedComponents() []component {
	var all []component
	for _, pod := range in.pods {
		o := pod.object
		name := "gateway " + o.Name
		if isIstiod(o) {
			name = "istiod"
		} else if !pod.isGateway() {
			continue
		}
		if o.Kind != "Deployment" {
			continue
		}
		c := component{object: o, name: name, at: spec(o), replicas: []mesh.Field{spec(o, "replicas")}, spread: keptApart(pod.field.Get("spec"))}
		if scaler, found := in.scalerOf(o); found {
			c.on, c.least, c.most = true, spec(scaler, "minReplicas"), spec(scaler, "maxReplicas")
		}
		if containers := pod.field.Get("spec", "containers").Items(); len(containers) > 0 {
			c.resources = containers[0].Get("resources")
		}
		if budget, found := in.budgetOf(pod); found {
			c.budget = spec(budget)
		}
		all = append(all, c)
	}
	return all
}

func (in *inspection) budgetOf(pod podTemplate) (mesh.Object, bool) {
	for _, budget := range in.of("PodDisruptionBudget") {
		labels := labelsOf(spec(budget, "selector", "matchLabels"))
		if len(labels) > 0 && sameNamespace(budget.Namespace, pod.object.Namespace) && carries(pod.labels, labels) {
			return budget, true
		}
	}
	return mesh.Object{}, false
}

func idleReplicas(in *inspection) []hit {
	var hits []hit
	for _, c := range in.parts {
		if !c.on || c.object.Kind == "Deployment" {
			continue
		}
		for _, f := range c.replicas {
			if !f.Exists() {
				continue
			}
			off, key := "autoscaleEnabled: false", "autoscaleMin"
			if c.object.Kind == mesh.KindGatewayValues {
				off, key = "autoscaling.enabled: false", "autoscaling.minReplicas"
			}
			least := "the autoscaler's minimum is 1 unless set"
			fix := fmt.Sprintf("%s: %s # in place of replicaCount; it is the fewest\n", key, f.Text())
			if c.least.Exists() {
				least = fmt.Sprintf("the autoscaler keeps at least %s (%s)", c.least.Text(), place(c.least))
				fix = fmt.Sprintf("%s: %s # and without replicaCount\n", key, c.least.Text())
			}
			hits = append(hits, hit{object: c.object, at: f, fix: fix, message: fmt.Sprintf("replicaCount of %s is not in force, since autoscaling is on unless %s; %s", c.name, off, least)})
		}
	}
	for _, o := range in.of("Deployment", "StatefulSet") {
		if scaler, found := in.scalerOf(o); found && spec(o, "replicas").Exists() {
			hits = append(hits, hit{object: o, at: spec(o, "replicas"), fix: "spec: {} # without replicas: the autoscaler keeps its number over roll-outs\n", message: fmt.Sprintf("each roll-out sets %s replicas, whatever %s has scaled to (%s:%d)", spec(o, "replicas").Text(), nameOf(scaler), scaler.File, scaler.Line)})
		}
	}
	return hits
}

func crossedBounds(in *inspection) []hit {
	var hits []hit
	add := func(o mesh.Object, least, most mesh.Field, byDefault int64) {
		n, ok := least.Number()
		limit, isSet := most.Number()
		said := fmt.Sprintf("the maximum is %d (%s)", limit, place(most))
		if !isSet {
			limit, said = byDefault, fmt.Sprintf("the maximum is not set, which means %d", byDefault)
		}
		if ok && limit > 0 && n > limit {
			hits = append(hits, hit{object: o, at: least, message: fmt.Sprintf("the minimum is %d, and %s", n, said), fix: fmt.Sprintf("%s: %d\n%s: %d\n", least.Key(), n, most.Key(), 2*n)})
		}
	}
	for _, c := range in.parts {
		if c.object.Kind != "Deployment" {
			add(c.object, c.least, c.most, 5)
		}
	}
	for _, o := range in.of("HorizontalPodAutoscaler") {
		add(o, spec(o, "minReplicas"), spec(o, "maxReplicas"), 0)
	}
	return hits
}

func lateScalers(in *inspection) []hit {
	const most = 80 // which is the charts' default
	var hits []hit
	add := func(o mesh.Object, target mesh.Field) {
		if n, ok := target.Number(); ok && n > most {
			hits = append(hits, hit{object: o, at: target, fix: target.Key() + ": 70\n", message: fmt.Sprintf("pods are added when those there use more than %d %% of what they request", n)})
		}
	}
	for _, o := range in.of("HorizontalPodAutoscaler") {
		add(o, spec(o, "targetCPUUtilizationPercentage"))
		for _, metric := range spec(o, "metrics").Items() {
			for _, kind := range []string{"resource", "containerResource"} {
				add(o, metric.Get(kind, "target", "averageUtilization"))
			}
		}
	}
	for _, o := range in.of(mesh.KindGatewayValues) {
		add(o, o.Root().Get("autoscaling", "targetCPUUtilizationPercentage"))
		add(o, o.Root().Get("autoscaling", "targetMemoryUtilizationPercentage"))
	}
	for _, o := range in.of(mesh.KindIstiodValues, "IstioOperator") {
		values := o.Root()
		if o.Kind == "IstioOperator" {
			values = spec(o, "values")
		}
		for _, part := range []mesh.Field{values, values.Get("pilot"), values.Get("gateways", "istio-ingressgateway"), values.Get("gateways", "istio-egressgateway")} {
			add(o, part.Get("cpu", "targetAverageUtilization"))
			add(o, part.Get("memory", "targetAverageUtilization"))
		}
	}
	return hits
}

func fixedScalers(in *inspection) []hit {
	var hits []hit
	add := func(o mesh.Object, least, most mesh.Field) {
		n, ok := least.Number()
		limit, isSet := most.Number()
		if ok && isSet && n == limit && n > 0 {
			hits = append(hits, hit{object: o, at: most, fix: fmt.Sprintf("%s: %d\n", most.Key(), 2*n), message: fmt.Sprintf("minimum and maximum are both %d (%s)", n, place(least))})
		}
	}
	for _, c := range in.parts {
		if c.object.Kind != "Deployment" && c.on {
			add(c.object, c.least, c.most)
		}
	}
	for _, o := range in.of("HorizontalPodAutoscaler") {
		add(o, spec(o, "minReplicas"), spec(o, "maxReplicas"))
	}
	return hits
}

// byUtilization returns the metric of an autoscaler that is a share of a CPU request.
func byUtilization(scaler mesh.Field) mesh.Field {
	if f := scaler.Get("targetCPUUtilizationPercentage"); f.Exists() {
		return f
	}
	for _, metric := range scaler.Get("metrics").Items() {
		resource := metric.Get("resource")
		if resource.Get("name").Text() == "cpu" && resource.Get("target", "averageUtilization").Exists() {
			return resource
		}
	}
	return mesh.Field{}
}

func missingRequests(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("Deployment", "StatefulSet") {
		scaler, found := in.scalerOf(o)
		if !found || !byUtilization(spec(scaler)).Exists() {
			continue
		}
		for _, container := range spec(o, "template", "spec", "containers").Items() {
			resources := container.Get("resources")
			if container.Get("image").Text() == "auto" || resources.Get("requests", "cpu").Exists() || resources.Get("limits", "cpu").Exists() {
				continue // a limit without a request is the request, and a gateway's comes with injection
			}
			hits = append(hits, hit{object: o, at: first(resources.Get("requests"), resources, container), message: fmt.Sprintf("container %s requests no CPU, and %s scales by it (%s)", container.Get("name").Text(), nameOf(scaler), place(byUtilization(spec(scaler))))})
		}
	}
	for _, c := range in.parts {
		// The charts' default resources go as soon as others are set.
		if c.on && c.object.Kind != "Deployment" && c.resources.Exists() && !c.resources.Get("requests", "cpu").Exists() && !c.resources.Get("limits", "cpu").Exists() && c.object.Kind == "IstioOperator" {
			hits = append(hits, hit{object: c.object, at: c.resources, message: fmt.Sprintf("%s requests no CPU, and its autoscaler scales by it", c.name)})
		}
	}
	return hits
}

// fewest returns the smallest number of replicas of a component, and where it is
// said; it is not known when nothing says it.
func (c component) fewest() (n int64, at mesh.Field, known bool) {
	if c.on {
		n, known = c.least.Number()
		return n, c.least, known
	}
	f := first(c.replicas...)
	n, known = f.Number()
	return n, f, known
}

func singleReplicas(in *inspection) []hit {
	var hits []hit
	for _, c := range in.parts {
		n, at, known := c.fewest()
		if !known || n != 1 {
			continue
		}
		hits = append(hits, hit{object: c.object, at: at, message: fmt.Sprintf("%s may have a single pod", c.name), fix: fmt.Sprintf("%s: 2\n", at.Key())})
	}
	return hits
}

func rigidBudgets(in *inspection) []hit {
	var hits []hit
	add := func(o mesh.Object, budget mesh.Field, replicas endpoints) {
		least, most := budget.Get("minAvailable"), budget.Get("maxUnavailable")
		n, isNumber := least.Number()
		switch {
		case most.Text() == "0" || most.Text() == "0%":
			hits = append(hits, hit{object: o, at: most, message: "no pod may ever be evicted"})
		case least.Text() == "100%":
			hits = append(hits, hit{object: o, at: least, message: "all pods have to be there, so none may be evicted"})
		case isNumber && replicas.known && n >= replicas.count:
			hits = append(hits, hit{object: o, at: least, message: fmt.Sprintf("%d pods have to be there, and there may be no more than %d (%s)", n, replicas.count, replicas.how)})
		}
	}
	for _, o := range in.of("PodDisruptionBudget") {
		var behind endpoints
		labels := labelsOf(spec(o, "selector", "matchLabels"))
		for _, workload := range in.workloads(labels, "") {
			if len(labels) == 0 || !sameNamespace(o.Namespace, workload.Namespace) || !carries(spec(workload, "template", "metadata", "labels"), labels) {
				continue
			}
			n, how := in.replicas(workload)
			behind = endpoints{true, behind.count + n, how}
		}
		add(o, spec(o), behind)
	}
	for _, c := range in.parts {
		if c.object.Kind != "Deployment" && c.budget.Exists() {
			n, at, known := c.fewest()
			add(c.object, c.budget, endpoints{known, n, place(at)})
		}
	}
	return hits
}
