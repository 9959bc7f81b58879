package manifests

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"istio.io/api/annotation"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/scenarios"
)

// helmFolder has values for charts; they are no objects, so applying the folder of
// manifests must not take them for some.
const helmFolder = "helm/"

// gatewayValues are values of Istio's chart gateway, as far as they are written here.
// Charts have no Go types: the names are those of the chart's values.yaml.
type gatewayValues struct {
	ReplicaCount   int                         `json:"replicaCount,omitempty"`
	PodAnnotations map[string]string           `json:"podAnnotations,omitempty"`
	Resources      corev1.ResourceRequirements `json:"resources,omitzero"`
	Autoscaling    gatewayAutoscaling          `json:"autoscaling"`
}

type gatewayAutoscaling struct {
	Enabled     bool `json:"enabled"`
	MinReplicas int  `json:"minReplicas,omitempty"`
	MaxReplicas int  `json:"maxReplicas,omitempty"`
	TargetCPU   int  `json:"targetCPUUtilizationPercentage,omitempty"`
}

// istiodValues are values of Istio's chart istiod, likewise.
type istiodValues struct {
	AutoscaleEnabled      *bool                       `json:"autoscaleEnabled,omitempty"`
	AutoscaleMin          int                         `json:"autoscaleMin,omitempty"`
	AutoscaleMax          int                         `json:"autoscaleMax,omitempty"`
	RollingMaxSurge       string                      `json:"rollingMaxSurge,omitempty"`
	RollingMaxUnavailable string                      `json:"rollingMaxUnavailable,omitempty"`
	Resources             corev1.ResourceRequirements `json:"resources,omitzero"`
	Global                *istiodGlobal               `json:"global,omitempty"`
}

type istiodGlobal struct {
	Proxy istiodProxy `json:"proxy"`
}

type istiodProxy struct {
	Resources corev1.ResourceRequirements `json:"resources"`
}

// helmValues are the values of the chart that a component is installed by; ok is false
// for what no chart of Istio's installs, or for which nothing is recommended.
func helmValues(c analysis.Component, name string, staged []analysis.Staged) (o object, ok bool, err error) {
	var requirements corev1.ResourceRequirements
	words := ""
	if c.Resources != nil {
		first, then := firstResources(c, staged)
		words = strings.TrimSpace(then + " " + sentence(c.Resources.Reason))
		if requirements.Requests, err = resourceList(first.Requests); err != nil {
			return object{}, false, fmt.Errorf("requests: %w", err)
		}
		if requirements.Limits, err = resourceList(first.Limits); err != nil {
			return object{}, false, fmt.Errorf("limits: %w", err)
		}
	}
	switch scenarios.Role(c.Role) {
	case scenarios.RoleGateway, scenarios.RoleEgress:
		if c.Replicas == nil {
			return object{}, false, nil
		}
		return gatewayChart(c, name, requirements, words), true, nil
	case scenarios.RoleControlPlane:
		if c.Replicas == nil {
			return object{}, false, nil
		}
		return istiodChart(c, name, requirements, words), true, nil
	case scenarios.RoleSidecar:
		if c.Resources == nil {
			return object{}, false, nil
		}
		return proxyValues(name, requirements, words), true, nil
	case scenarios.RoleService:
	}
	return object{}, false, nil
}

func gatewayChart(c analysis.Component, name string, requirements corev1.ResourceRequirements, words string) object {
	v := gatewayValues{Resources: requirements}
	o := object{
		name:  helmFolder + name + "-values",
		usage: "Values for Istio's chart gateway, in place of the objects and patches for " + name + ". Apply with: helm upgrade RELEASE istio/gateway -n NAMESPACE --reuse-values -f FILE",
	}
	say := func(path, text string) { o.comments = append(o.comments, comment{path, text}) }
	switch {
	case c.HPA != nil:
		v.Autoscaling = gatewayAutoscaling{Enabled: true, MinReplicas: c.HPA.MinReplicas, MaxReplicas: c.HPA.MaxReplicas, TargetCPU: c.HPA.TargetCPUUtilization}
		say("autoscaling", "The target is percent of the CPU request. "+sentence(c.HPA.Reason))
	case c.Signal != nil:
		v.ReplicaCount = c.Signal.MinReplicas
		say("autoscaling", "Off, because CPU is no signal to scale by here: KEDA scales, by the object "+name+"-keda.")
	default:
		v.ReplicaCount = c.Replicas.Value
		say("autoscaling", "Off, because no setting is recommended; replicaCount holds only without it.")
	}
	if v.ReplicaCount > 0 {
		say("replicaCount", sentence(c.Replicas.Reason))
	}
	if r := c.Resources; r != nil {
		say("resources", words)
		if r.Concurrency > 0 {
			v.PodAnnotations = map[string]string{annotation.ProxyConfig.Name: fmt.Sprintf("{concurrency: %d}", r.Concurrency)}
			say("podAnnotations", "The worker threads: "+sentence(r.ConcurrencyReason))
		}
	}
	o.value = v
	return o
}

// istiodMost is autoscaleMax of the chart, when nothing is set.
const istiodMost = 5

func istiodChart(c analysis.Component, name string, requirements corev1.ResourceRequirements, words string) object {
	on, r := true, c.Replicas
	o := object{
		name:  helmFolder + name + "-values",
		usage: "Values for Istio's chart istiod. Apply with: helm upgrade istiod istio/istiod -n istio-system --reuse-values -f FILE",
		comments: []comment{
			{"autoscaleMin", sentence(r.Reason)},
			{"autoscaleMax", "Not measured: the chart's own, or twice the least. replicaCount is not set, because it is ignored while the autoscaler is on."},
		},
		value: istiodValues{
			AutoscaleEnabled: &on, AutoscaleMin: r.Value, AutoscaleMax: max(istiodMost, 2*r.Value),
			RollingMaxSurge: r.MaxSurge, RollingMaxUnavailable: r.MaxUnavailable, Resources: requirements,
		},
	}
	if words != "" {
		o.comments = append(o.comments, comment{"resources", words})
	}
	return o
}

// proxyValues are the requests and limits of all sidecars of the mesh.
func proxyValues(name string, requirements corev1.ResourceRequirements, words string) object {
	return object{
		name: helmFolder + name + "-proxy-values",
		usage: "Values for Istio's chart istiod that hold for EVERY sidecar of the mesh without annotations of its own: for one service use the annotations below patches/. " +
			"Apply with: helm upgrade istiod istio/istiod -n istio-system --reuse-values -f FILE, and start the pods anew",
		comments: []comment{{"global/proxy/resources", words + " What is not here keeps its value."}},
		value:    istiodValues{Global: &istiodGlobal{Proxy: istiodProxy{Resources: requirements}}},
	}
}

// usual are the requests and limits of a sidecar where nothing is set: global.proxy in
// the values of Istio's chart istiod.
func usual() (requests, limits corev1.ResourceList) {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
		corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}
}
