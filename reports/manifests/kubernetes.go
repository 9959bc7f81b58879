package manifests

import (
	"fmt"
	"math"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

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
