package manifests

import (
	"fmt"
	"math"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/scenarios"
)

// scaledObject is keda.sh/v1alpha1 ScaledObject, as far as it is written here; its
// fields are those of KEDA's CustomResourceDefinition. KEDA's own types come with
// the whole of its operator.
type scaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              scaledObjectSpec `json:"spec"`
}

type scaledObjectSpec struct {
	ScaleTargetRef  autoscalingv2.CrossVersionObjectReference `json:"scaleTargetRef"`
	PollingInterval int32                                     `json:"pollingInterval"` // seconds
	MinReplicaCount int32                                     `json:"minReplicaCount"`
	MaxReplicaCount int32                                     `json:"maxReplicaCount"`
	Triggers        []scaleTrigger                            `json:"triggers"`
}

type scaleTrigger struct {
	Type       string                         `json:"type"`
	MetricType autoscalingv2.MetricTargetType `json:"metricType"`
	Metadata   map[string]string              `json:"metadata"`
}

// signalWindow is what rates of a signal look back over: four scrapes of 15 s, and
// what the simulation of the autoscaler took.
const signalWindow = "1m"

// scaled is KEDA's object for another metric than CPU. It is always an example,
// because nothing says where the user's Prometheus is.
func scaled(c analysis.Component, name string) (object, error) {
	s := c.Signal
	for what, n := range map[string]int{"minReplicas": s.MinReplicas, "maxReplicas": s.MaxReplicas} {
		if n < 1 || n > math.MaxInt32 {
			return object{}, fmt.Errorf("%s is %d, which no ScaledObject can have", what, n)
		}
	}
	if !(s.ThresholdPerReplica > 0) || math.IsInf(s.ThresholdPerReplica, 0) {
		return object{}, fmt.Errorf("a threshold of %v", s.ThresholdPerReplica)
	}
	query, what := signalQuery(c, name)
	spec := scaledObjectSpec{
		ScaleTargetRef:  autoscalingv2.CrossVersionObjectReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: name},
		PollingInterval: 15, MinReplicaCount: int32(s.MinReplicas), MaxReplicaCount: int32(s.MaxReplicas),
		Triggers: []scaleTrigger{{
			Type: "prometheus", MetricType: autoscalingv2.AverageValueMetricType,
			Metadata: map[string]string{
				"serverAddress": "http://prometheus.monitoring:9090", "query": query, "threshold": plain(s.ThresholdPerReplica),
				"ignoreNullValues": "false",
			},
		}},
	}
	comments := []comment{
		{"spec", sentence(s.Reason) + " " + kedaNote(c, name)},
		{"spec/scaleTargetRef", workloadNote},
		{"spec/triggers/0/metadata/ignoreNullValues", "Without an answer of Prometheus nothing is scaled down."},
		{"spec/triggers/0/metadata/query", what},
		{"spec/triggers/0/metadata/serverAddress", "Your Prometheus."},
	}
	if c.HPA != nil && !s.Alone {
		cpu := scaleTrigger{
			Type: string(corev1.ResourceCPU), MetricType: autoscalingv2.UtilizationMetricType,
			Metadata: map[string]string{"value": strconv.Itoa(c.HPA.TargetCPUUtilization)},
		}
		if sharesPod(c) {
			cpu.Metadata["containerName"] = container(c, name)
		}
		spec.Triggers = append(spec.Triggers, cpu)
		comments = append(comments, comment{"spec/triggers/1", "CPU as in the autoscaler that this stands in for."})
	}
	return object{
		name:  name + "-keda",
		usage: "For clusters with KEDA. Apply with: kubectl apply -n NAMESPACE -f FILE",
		value: scaledObject{
			TypeMeta:   metav1.TypeMeta{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject"},
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       spec,
		},
		example:  "The address of your Prometheus is not known here.",
		comments: comments,
	}, nil
}

func kedaNote(c analysis.Component, name string) string {
	if c.HPA != nil {
		return fmt.Sprintf("KEDA makes a HorizontalPodAutoscaler of its own from it, so this stands in the place of %s-hpa: two of them on one Deployment work against each other.", name)
	}
	return "KEDA makes a HorizontalPodAutoscaler of its own from it."
}

// signalQuery returns what a signal asks Prometheus, with the standard metrics of
// Istio, and what it means.
func signalQuery(c analysis.Component, name string) (query, what string) {
	selector := fmt.Sprintf("{reporter=\"destination\",destination_workload=%q}", name)
	where := "at the sidecars of the workload"
	switch scenarios.Role(c.Role) {
	case scenarios.RoleGateway, scenarios.RoleEgress:
		selector = fmt.Sprintf("{reporter=\"source\",source_workload=%q}", name)
		where = "at the gateway"
	case scenarios.RoleSidecar, scenarios.RoleService, scenarios.RoleControlPlane:
	}
	if c.Signal.Metric == recommend.SignalRequests {
		return fmt.Sprintf("sum(rate(istio_requests_total%s[%s]))", selector, signalWindow),
			"Requests a second " + where + ", of all replicas; KEDA divides by their number. The workload has the name of the component here; put yours in."
	}
	return fmt.Sprintf("sum(rate(istio_request_duration_milliseconds_sum%s[%s])) / 1000", selector, signalWindow),
		"Requests in flight " + where + ", of all replicas: the seconds of waiting that each second brings (Little's law). KEDA divides by their number. The workload has the name of the component here; put yours in."
}
