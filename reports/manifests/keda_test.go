package manifests_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/reports/manifests"
)

// scaledObject has the fields of KEDA's ScaledObject that are written, by their
// names in KEDA 2.15: apis/keda/v1alpha1/scaledobject_types.go and scaletriggers_types.go.
type scaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ScaleTargetRef struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Name       string `json:"name"`
		} `json:"scaleTargetRef"`
		PollingInterval int32 `json:"pollingInterval"`
		MinReplicaCount int32 `json:"minReplicaCount"`
		MaxReplicaCount int32 `json:"maxReplicaCount"`
		Triggers        []struct {
			Type       string            `json:"type"`
			MetricType string            `json:"metricType"`
			Metadata   map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

func isKEDA(f manifests.File) bool { return strings.HasSuffix(f.Name, "-keda.yaml.example") }

// keda returns the first of KEDA's objects of a result.
func keda(t *testing.T, result analysis.Result) (*scaledObject, manifests.File) {
	t.Helper()
	for _, f := range files(t, result) {
		if isKEDA(f) {
			_, value := strictly(t, f)
			return value.(*scaledObject), f
		}
	}
	t.Fatal("there is none of KEDA's objects")
	return nil, manifests.File{}
}

func TestKEDABesideCPU(t *testing.T) {
	o, f := keda(t, sample(t, "target"))
	spec := o.Spec
	if spec.MinReplicaCount != 20 || spec.MaxReplicaCount != 86 || spec.ScaleTargetRef.Name != "ingress-gateway" || spec.ScaleTargetRef.Kind != "Deployment" || len(spec.Triggers) != 2 {
		t.Fatalf("%+v", spec)
	}
	signal, cpu := spec.Triggers[0], spec.Triggers[1]
	want := `sum(rate(istio_request_duration_milliseconds_sum{reporter="source",source_workload="ingress-gateway"}[1m])) / 1000`
	if signal.Type != "prometheus" || signal.MetricType != "AverageValue" || signal.Metadata["threshold"] != "43" || signal.Metadata["query"] != want || signal.Metadata["ignoreNullValues"] != "false" {
		t.Errorf("%+v, want the query %s", signal, want)
	}
	if cpu.Type != "cpu" || cpu.MetricType != "Utilization" || !reflect.DeepEqual(cpu.Metadata, map[string]string{"value": "63"}) {
		t.Errorf("%+v", cpu)
	}
	if text := strings.ReplaceAll(string(f.Content), "\n# ", " "); !strings.Contains(text, "in the place of ingress-gateway-hpa") {
		t.Errorf("does not say what it stands in for:\n%s", f.Content)
	}
}

func TestKEDAAlone(t *testing.T) {
	result := sample(t, "target")
	c := &result.Components[0]
	c.Role, c.HPA = "service", nil
	c.Signal = &analysis.Signal{Metric: "requests", ThresholdPerReplica: 850, MinReplicas: 3, MaxReplicas: 9, Alone: true, Reason: "CPU says little"}
	o, _ := keda(t, result)
	if len(o.Spec.Triggers) != 1 || o.Spec.MinReplicaCount != 3 || o.Spec.MaxReplicaCount != 9 {
		t.Fatalf("%+v", o.Spec)
	}
	want := `sum(rate(istio_requests_total{reporter="destination",destination_workload="ingress-gateway"}[1m]))`
	if got := o.Spec.Triggers[0].Metadata; got["query"] != want || got["threshold"] != "850" {
		t.Errorf("%v, want the query %s", got, want)
	}
}

// The CPU of a container that shares its pod is named.
func TestKEDAOfAContainer(t *testing.T) {
	result := sample(t, "target")
	result.Components[0].Role = "service"
	o, _ := keda(t, result)
	if got := o.Spec.Triggers[1].Metadata["containerName"]; got != "ingress-gateway" {
		t.Errorf("the CPU of container %q", got)
	}
}

func TestKEDARefuses(t *testing.T) {
	for name, change := range map[string]func(s *analysis.Signal){
		"no replicas":          func(s *analysis.Signal) { s.MinReplicas = 0 },
		"too many":             func(s *analysis.Signal) { s.MaxReplicas = math.MaxInt32 + 1 },
		"no threshold":         func(s *analysis.Signal) { s.ThresholdPerReplica = 0 },
		"an endless threshold": func(s *analysis.Signal) { s.ThresholdPerReplica = math.Inf(1) },
	} {
		result := sample(t, "target")
		change(result.Components[0].Signal)
		if _, err := manifests.Files(result); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
