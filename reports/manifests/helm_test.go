package manifests_test

import (
	"encoding/json"
	"strings"
	"testing"

	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	istioapi "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/reports/manifests"
	"github.com/sailplan-io/sailplan/scenarios"
)

// gatewayChart has the names of manifests/charts/gateway/values.yaml of Istio, as far
// as they are about size.
type gatewayChart struct {
	ReplicaCount   *int                        `json:"replicaCount"`
	PodAnnotations map[string]string           `json:"podAnnotations"`
	Resources      corev1.ResourceRequirements `json:"resources"`
	Autoscaling    struct {
		Enabled                           *bool `json:"enabled"`
		MinReplicas                       *int  `json:"minReplicas"`
		MaxReplicas                       *int  `json:"maxReplicas"`
		TargetCPUUtilizationPercentage    *int  `json:"targetCPUUtilizationPercentage"`
		TargetMemoryUtilizationPercentage *int  `json:"targetMemoryUtilizationPercentage"`
	} `json:"autoscaling"`
}

// istiodChart has those of manifests/charts/istio-control/istio-discovery/values.yaml.
type istiodChart struct {
	AutoscaleEnabled      *bool                       `json:"autoscaleEnabled"`
	AutoscaleMin          *int                        `json:"autoscaleMin"`
	AutoscaleMax          *int                        `json:"autoscaleMax"`
	ReplicaCount          *int                        `json:"replicaCount"`
	RollingMaxSurge       string                      `json:"rollingMaxSurge"`
	RollingMaxUnavailable string                      `json:"rollingMaxUnavailable"`
	Resources             corev1.ResourceRequirements `json:"resources"`
	Global                struct {
		Proxy struct {
			Resources corev1.ResourceRequirements `json:"resources"`
		} `json:"proxy"`
	} `json:"global"`
}

// chartValues is what a file of values is read into.
func chartValues(f manifests.File) any {
	if strings.Contains(string(f.Content), "istio/gateway") {
		return &gatewayChart{}
	}
	return &istiodChart{}
}

// fileOf returns the file of a result by the begin of its name.
func fileOf(t *testing.T, result analysis.Result, name string) manifests.File {
	t.Helper()
	for _, f := range files(t, result) {
		if strings.HasPrefix(f.Name, name) {
			return f
		}
	}
	t.Fatalf("no file %s in %q", name, names(files(t, result)))
	return manifests.File{}
}

func TestGatewayValues(t *testing.T) {
	values := func(change func(*analysis.Component)) *gatewayChart {
		result := sample(t, "target")
		change(&result.Components[0])
		_, v := strictly(t, fileOf(t, result, "helm/ingress-gateway"))
		return v.(*gatewayChart)
	}
	v := values(func(*analysis.Component) {})
	if !*v.Autoscaling.Enabled || *v.Autoscaling.MinReplicas != 20 || *v.Autoscaling.MaxReplicas != 86 || *v.Autoscaling.TargetCPUUtilizationPercentage != 63 || v.ReplicaCount != nil {
		t.Errorf("with an autoscaler: %+v", v)
	}
	if v.Resources.Limits.Cpu().String() != "300m" || v.Resources.Requests.Memory().String() != "64Mi" || v.PodAnnotations["proxy.istio.io/config"] != "{concurrency: 1}" {
		t.Errorf("resources %+v, annotations %v", v.Resources, v.PodAnnotations)
	}
	// replicaCount holds only while the autoscaler is off.
	v = values(func(c *analysis.Component) { c.HPA, c.Signal = nil, nil })
	if *v.Autoscaling.Enabled || v.Autoscaling.MinReplicas != nil || *v.ReplicaCount != sample(t, "target").Components[0].Replicas.Value {
		t.Errorf("without one: %+v", v)
	}
	v = values(func(c *analysis.Component) {
		c.HPA, c.Signal = nil, &analysis.Signal{Metric: recommend.SignalRequests, ThresholdPerReplica: 500, MinReplicas: 7, MaxReplicas: 9, Alone: true}
	})
	if *v.Autoscaling.Enabled || *v.ReplicaCount != 7 {
		t.Errorf("with KEDA: %+v", v)
	}
}

func TestIstiodValues(t *testing.T) {
	result := sample(t, "target")
	result.Components[1].Name, result.Components[1].Role, result.Components[1].HPA = "istiod", string(scenarios.RoleControlPlane), nil
	result.Components[1].Replicas = &analysis.Replicas{Value: 3, CarriesPlannedRate: 1, SurvivesReplicaLoss: 2, MaxSurge: "100%", MaxUnavailable: "25%"}
	_, value := strictly(t, fileOf(t, result, "helm/istiod-values"))
	v := value.(*istiodChart)
	if !*v.AutoscaleEnabled || *v.AutoscaleMin != 3 || *v.AutoscaleMax != 6 || v.ReplicaCount != nil || v.RollingMaxSurge != "100%" || v.RollingMaxUnavailable != "25%" || v.Resources.Requests.Cpu().String() != "520m" {
		t.Errorf("istiod %+v", v)
	}
}

// TestSidecarHasAllFour: one annotation alone takes the mesh-wide requests and limits
// away, so what is not recommended is written as Istio has it.
func TestSidecarHasAllFour(t *testing.T) {
	for _, c := range []struct {
		name             string
		requests, limits analysis.Quantities
		want             [4]string // CPU, memory, CPU limit, memory limit
		usual            string
	}{
		{"all of them", analysis.Quantities{CPU: "520m", Memory: "64Mi"}, analysis.Quantities{CPU: "1", Memory: "128Mi"}, [4]string{"520m", "64Mi", "1", "128Mi"}, ""},
		{"no CPU limit", analysis.Quantities{CPU: "520m", Memory: "64Mi"}, analysis.Quantities{Memory: "128Mi"}, [4]string{"520m", "64Mi", "2", "128Mi"}, "proxyCPULimit: that is Istio's own value"},
		{"memory alone", analysis.Quantities{Memory: "2Gi"}, analysis.Quantities{}, [4]string{"100m", "2Gi", "2", "2Gi"}, "proxyCPU, proxyCPULimit, proxyMemoryLimit: that"},
		{"a limit below the usual request", analysis.Quantities{}, analysis.Quantities{CPU: "50m", Memory: "64Mi"}, [4]string{"50m", "64Mi", "50m", "64Mi"}, "proxyCPU, proxyMemory: that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := sample(t, "target")
			result.Components[1].Resources = &analysis.Resources{Requests: c.requests, Limits: c.limits, Reason: "because"}
			f := fileOf(t, result, "patches/sidecar-resources")
			var patch struct {
				Spec struct {
					Template struct {
						Metadata struct{ Annotations map[string]string }
					}
				}
			}
			if err := yaml.Unmarshal(f.Content, &patch); err != nil {
				t.Fatal(err)
			}
			got := patch.Spec.Template.Metadata.Annotations
			for i, name := range []string{"proxyCPU", "proxyMemory", "proxyCPULimit", "proxyMemoryLimit"} {
				if got["sidecar.istio.io/"+name] != c.want[i] {
					t.Errorf("%s is %q, want %q", name, got["sidecar.istio.io/"+name], c.want[i])
				}
			}
			if said := strings.Contains(unwrapped(f), "Istio's own value"); said != (c.usual != "") || !strings.Contains(unwrapped(f), c.usual) {
				t.Errorf("%s does not say %q", unwrapped(f), c.usual)
			}
		})
	}
}

// TestConnectionLifetime reads the EnvoyFilter as istiod and Envoy would: nothing that
// their types do not know.
func TestConnectionLifetime(t *testing.T) {
	result := sample(t, "target")
	for _, f := range files(t, result) {
		if strings.Contains(f.Name, "connection-lifetime") {
			t.Errorf("%s, though no lifetime is recommended", f.Name)
		}
	}
	result.Components[0].Connections = &analysis.Connections{MaxSeconds: 94.6, Reason: "240 connections that live 95 s"}
	f := fileOf(t, result, "ingress-gateway-connection-lifetime.yaml")
	_, value := strictly(t, f)
	filter := value.(*istioapi.EnvoyFilter)
	if len(filter.ConfigPatches) != 1 || filter.WorkloadSelector.Labels["app"] != "ingress-gateway" {
		t.Fatalf("filter %v", filter)
	}
	p := filter.ConfigPatches[0]
	if p.ApplyTo != istioapi.EnvoyFilter_NETWORK_FILTER || p.Match.Context != istioapi.EnvoyFilter_GATEWAY || p.Patch.Operation != istioapi.EnvoyFilter_Patch_MERGE ||
		p.Match.GetListener().FilterChain.Filter.Name != "envoy.filters.network.http_connection_manager" {
		t.Errorf("patch %v", p)
	}
	text, err := json.Marshal(p.Patch.Value.AsMap()["typed_config"])
	if err != nil {
		t.Fatal(err)
	}
	var typed anypb.Any
	if err := protojson.Unmarshal(text, &typed); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var manager hcm.HttpConnectionManager
	if err := typed.UnmarshalTo(&manager); err != nil {
		t.Fatal(err)
	}
	if got := manager.CommonHttpProtocolOptions.MaxConnectionDuration.AsDuration().Seconds(); got != 95 {
		t.Errorf("connections live %v s, want 95", got)
	}
	result.Outcome = analysis.Contradicted
	if f := fileOf(t, result, "ingress-gateway-connection-lifetime"); !strings.HasSuffix(f.Name, ".example") {
		t.Errorf("%s is contradicted, and no example", f.Name)
	}
	result.Components[0].Connections.MaxSeconds = 1e12
	if _, err := manifests.Files(result); err == nil {
		t.Error("connections that live for ever make a file")
	}
}
