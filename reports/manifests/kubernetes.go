package manifests

import (
	"fmt"
	"math"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"istio.io/api/annotation"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/scenarios"
)

// proxyContainer is the container of Envoy in gateways and beside services.
const proxyContainer = "istio-proxy"

const workloadNote = "The Deployment has the name of the component here; put yours in."

// container returns the name of the container that a component's numbers are of.
func container(c analysis.Component, name string) string {
	switch scenarios.Role(c.Role) {
	case scenarios.RoleGateway, scenarios.RoleEgress, scenarios.RoleSidecar:
		return proxyContainer
	case scenarios.RoleControlPlane:
		return "discovery"
	case scenarios.RoleService:
	}
	return name
}

// sharesPod reports whether other containers run in the component's pods.
func sharesPod(c analysis.Component) bool {
	switch scenarios.Role(c.Role) {
	case scenarios.RoleSidecar, scenarios.RoleService:
		return true
	}
	return false
}

func autoscaler(c analysis.Component, name string) (object, error) {
	for what, n := range map[string]int{"minReplicas": c.HPA.MinReplicas, "maxReplicas": c.HPA.MaxReplicas, "targetCPUUtilization": c.HPA.TargetCPUUtilization} {
		if n < 1 || n > math.MaxInt32 {
			return object{}, fmt.Errorf("%s is %d, which no HorizontalPodAutoscaler can have", what, n)
		}
	}
	minimum, target := int32(c.HPA.MinReplicas), int32(c.HPA.TargetCPUUtilization)
	utilization := autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &target}
	metric := autoscalingv2.MetricSpec{
		Type:     autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: utilization},
	}
	why := "Percent of the CPU request, not of the limit: it goes with the request below patches/."
	if sharesPod(c) {
		metric = autoscalingv2.MetricSpec{
			Type: autoscalingv2.ContainerResourceMetricSourceType,
			ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
				Name: corev1.ResourceCPU, Container: container(c, name), Target: utilization,
			},
		}
		why += " Of this container alone, because others share the pod (Kubernetes 1.30 or later)." +
			" If the pods have an autoscaler already, add this metric to it: two of them on one Deployment work against each other."
	}
	replicas := ""
	if c.Replicas != nil {
		replicas = fmt.Sprintf(" %d replicas are recommended: %s", c.Replicas.Value, sentence(c.Replicas.Reason))
	}
	return object{
		name:  name + "-hpa",
		usage: "Apply with: kubectl apply -n NAMESPACE -f FILE",
		value: autoscalingv2.HorizontalPodAutoscaler{
			TypeMeta:   metav1.TypeMeta{APIVersion: autoscalingv2.SchemeGroupVersion.String(), Kind: "HorizontalPodAutoscaler"},
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: name},
				MinReplicas:    &minimum,
				MaxReplicas:    int32(c.HPA.MaxReplicas),
				Metrics:        []autoscalingv2.MetricSpec{metric},
			},
		},
		comments: []comment{
			{"spec", sentence(c.HPA.Reason) + replicas},
			{"spec/metrics", why},
			{"spec/scaleTargetRef", workloadNote},
		},
	}, nil
}

func disruptionBudget(c analysis.Component, name string) object {
	one := intstr.FromInt32(1)
	return object{
		name:  name + "-pdb",
		usage: "Apply with: kubectl apply -n NAMESPACE -f FILE",
		value: policyv1.PodDisruptionBudget{
			TypeMeta:   metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "PodDisruptionBudget"},
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: policyv1.PodDisruptionBudgetSpec{
				MaxUnavailable: &one,
				Selector:       &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			},
		},
		comments: []comment{
			{"spec/maxUnavailable", fmt.Sprintf("%d replicas carry the planned rate and %d survive the loss of one, so nodes are drained one replica at a time.",
				c.Replicas.CarriesPlannedRate, c.Replicas.SurvivesReplicaLoss)},
			{"spec/selector", "The label of the component's pods; put yours in."},
		},
	}
}

// resources is a patch of the Deployment: of its container, or for a sidecar,
// which is injected, of the annotations that its resources come from.
func resources(c analysis.Component, name string) (object, error) {
	requests, err := resourceList(c.Resources.Requests)
	if err != nil {
		return object{}, fmt.Errorf("requests: %w", err)
	}
	limits, err := resourceList(c.Resources.Limits)
	if err != nil {
		return object{}, fmt.Errorf("limits: %w", err)
	}
	o := object{
		name:  patchFolder + name + "-resources",
		usage: fmt.Sprintf("A strategic merge patch, not a whole object. Apply with: kubectl patch deployment %s -n NAMESPACE --patch-file FILE", name),
	}
	patch := appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	reason := sentence(c.Resources.Reason)
	if c.Concurrency > 0 {
		reason += fmt.Sprintf(" Measured at concurrency %d, the number of worker threads; at another a replica carries another rate.", c.Concurrency)
	}
	if scenarios.Role(c.Role) == scenarios.RoleSidecar {
		patch.Spec.Template.Annotations = sidecarAnnotations(requests, limits)
		o.comments = append(o.comments, comment{
			"spec/template/metadata/annotations",
			reason + " All of them together: as soon as one is set, the mesh-wide requests and limits no longer hold for this pod, so what is not here is not limited.",
		})
	} else {
		patch.Spec.Template.Spec.Containers = []corev1.Container{{
			Name:      container(c, name),
			Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits},
		}}
		o.comments = append(o.comments, comment{"spec/template/spec/containers/0/resources", reason})
	}
	o.value = patch
	return o, nil
}

func sidecarAnnotations(requests, limits corev1.ResourceList) map[string]string {
	annotations := map[string]string{}
	for _, of := range []struct {
		name string
		list corev1.ResourceList
		what corev1.ResourceName
	}{
		{annotation.SidecarProxyCPU.Name, requests, corev1.ResourceCPU},
		{annotation.SidecarProxyMemory.Name, requests, corev1.ResourceMemory},
		{annotation.SidecarProxyCPULimit.Name, limits, corev1.ResourceCPU},
		{annotation.SidecarProxyMemoryLimit.Name, limits, corev1.ResourceMemory},
	} {
		if quantity, ok := of.list[of.what]; ok {
			annotations[of.name] = quantity.String()
		}
	}
	return annotations
}

// resourceList reads quantities; what is empty is left out.
func resourceList(q analysis.Quantities) (corev1.ResourceList, error) {
	list := corev1.ResourceList{}
	for _, of := range []struct {
		name corev1.ResourceName
		text string
	}{{corev1.ResourceCPU, q.CPU}, {corev1.ResourceMemory, q.Memory}} {
		if of.text == "" {
			continue
		}
		quantity, err := resource.ParseQuantity(of.text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", of.name, of.text, err)
		}
		if quantity.Sign() <= 0 {
			return nil, fmt.Errorf("%s %q is not above zero", of.name, of.text)
		}
		list[of.name] = quantity
	}
	return list, nil
}
