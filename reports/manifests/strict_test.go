package manifests_test

import (
	"encoding/json"
	"strings"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
	istiov1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	"sigs.k8s.io/yaml"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// asFilter reads the value of a patch as Envoy reads what comes of it: a filter of a
// listener, in which a field that Envoy does not know is an error at any depth.
func asFilter(value []byte) (*hcm.HttpConnectionManager, error) {
	filter, manager := &listener.Filter{}, &hcm.HttpConnectionManager{}
	if err := protojson.Unmarshal(value, filter); err != nil {
		return nil, err
	}
	return manager, filter.GetTypedConfig().UnmarshalTo(manager)
}

func TestPatchIsAFilterOfEnvoy(t *testing.T) {
	result := sample(t, "target")
	result.Components[0].Connections = &analysis.Connections{MaxSeconds: 95, Reason: "because"}
	f := fileOf(t, result, "ingress-gateway-connection-lifetime.yaml")
	var object istiov1alpha3.EnvoyFilter
	if err := yaml.UnmarshalStrict(f.Content, &object); err != nil {
		t.Fatal(err)
	}
	if object.APIVersion != istiov1alpha3.SchemeGroupVersion.String() || object.Kind != "EnvoyFilter" || len(object.Spec.ConfigPatches) != 1 {
		t.Fatalf("%s %s with %d patches", object.APIVersion, object.Kind, len(object.Spec.ConfigPatches))
	}
	value, err := json.Marshal(object.Spec.ConfigPatches[0].Patch.Value.AsMap())
	if err != nil {
		t.Fatal(err)
	}
	manager, err := asFilter(value)
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	if err := manager.GetCommonHttpProtocolOptions().ValidateAll(); err != nil {
		t.Error(err)
	}
	// What is checked with has to refuse what Envoy does not know, at each depth.
	for field, wrong := range map[string]string{"max_connection_duration": "max_connection_durations", "common_http_protocol_options": "common_options", "typed_config": "config"} {
		if _, err := asFilter([]byte(strings.Replace(string(value), `"`+field+`"`, `"`+wrong+`"`, 1))); err == nil {
			t.Errorf("%s in place of %s is not refused", wrong, field)
		}
	}
}

// TestReadAsTheAuditReads holds every file to the strict reader that audits users'
// files: nothing in Istio's and Kubernetes' objects, nor in the values of the charts, that
// these do not know.
func TestReadAsTheAuditReads(t *testing.T) {
	reader := mesh.NewReader()
	seen := map[string]int{}
	for _, name := range []string{"recommended", "target", "embedded", "contradicted", "not-reached", "hostile"} {
		result := sample(t, name)
		if len(result.Components) > 0 {
			result.Components[0].Connections = &analysis.Connections{MaxSeconds: 95, Reason: "because"}
		}
		for _, f := range files(t, result) {
			objects, err := reader.Read(f.Name, f.Content)
			if err != nil {
				t.Errorf("%s: %s: %v", name, f.Name, err)
			}
			for _, object := range objects {
				seen[object.Kind]++
				for _, fault := range object.Faults {
					// A patch is a part of a Deployment, and has no selector or template of its own.
					if !strings.HasPrefix(f.Name, "patches/") || fault.Unknown {
						t.Errorf("%s: %s: %v", name, f.Name, fault.Problem)
					}
				}
			}
		}
	}
	for _, kind := range []string{"EnvoyFilter", "DestinationRule", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment", mesh.KindGatewayValues, mesh.KindIstiodValues} {
		if seen[kind] == 0 {
			t.Errorf("no %s among %v", kind, seen)
		}
	}
}

// TestAnnotationsAreIstios: an annotation that Istio does not know does nothing, without
// a word.
func TestAnnotationsAreIstios(t *testing.T) {
	known := map[string]bool{}
	for _, a := range annotation.AllResourceAnnotations() {
		for _, on := range a.Resources {
			known[a.Name] = known[a.Name] || on == annotation.Pod
		}
	}
	count := 0
	check := func(file string, annotations map[string]string) {
		for name, value := range annotations {
			if count++; !known[name] {
				t.Errorf("%s: %s is no annotation of a pod that Istio knows", file, name)
			}
			if name != annotation.ProxyConfig.Name {
				continue
			}
			text, err := yaml.YAMLToJSON([]byte(value))
			if err != nil {
				t.Fatal(err)
			}
			if err := protojson.Unmarshal(text, &meshconfig.ProxyConfig{}); err != nil {
				t.Errorf("%s: %s: %q is no ProxyConfig: %v", file, name, value, err)
			}
		}
	}
	for _, name := range []string{"recommended", "target", "embedded", "contradicted"} {
		for _, f := range files(t, sample(t, name)) {
			var object struct {
				PodAnnotations map[string]string
				Spec           struct {
					Template struct {
						Metadata struct{ Annotations map[string]string }
					}
				}
			}
			if err := yaml.Unmarshal(f.Content, &object); err != nil {
				t.Fatal(err)
			}
			check(f.Name, object.PodAnnotations)
			check(f.Name, object.Spec.Template.Metadata.Annotations)
		}
	}
	if count < 6 {
		t.Errorf("only %d annotations were looked at", count)
	}
}
