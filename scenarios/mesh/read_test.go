package mesh_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// TestReadFindsFaults has one object a case; want is "line: path: message or hint"
// of each fault in order, in parts that must be in it.
func TestReadFindsFaults(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"resources of a Sidecar": {
			"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a}\nspec:\n  egress: [{hosts: [./*]}]\n  resources:\n    limits: {cpu: 1}\n",
			[]string{"6: spec.resources: unknown field; "},
		},
		"a good Sidecar": {"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a}\nspec:\n  egress: [{hosts: [./*]}]\n", nil},
		"a pool in the wrong block": {
			"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: b\n  trafficPolicy:\n    connectionPool:\n      http:\n        maxConnections: 1\n",
			[]string{`9: spec.trafficPolicy.connectionPool.http.maxConnections: unknown field; "maxConnections" belongs at spec.trafficPolicy.connectionPool.tcp.maxConnections`},
		},
		"what Istio refuses": {
			"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: b\n  trafficPolicy:\n    outlierDetection:\n      maxEjectionPercent: 101\n",
			[]string{"8: spec.trafficPolicy.outlierDetection.maxEjectionPercent: must be from 0 to 100"},
		},
		"a version that does not exist": {"apiVersion: networking.istio.io/v2\nkind: Gateway\nmetadata: {name: a}\n", []string{`1: apiVersion: "networking.istio.io/v2" is no version of Gateway; write networking.istio.io/v1`}},
		"a field beside spec":           {"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nmtls: {mode: STRICT}\n", []string{"4: mtls: unknown field; fields of PeerAuthentication belong under spec"}},
		"a kind in the plural":          {"apiVersion: networking.istio.io/v1\nkind: DestinationRules\nmetadata: {name: a}\n", []string{`2: kind: networking.istio.io/v1 has no DestinationRules; did you mean "DestinationRule"?`}},
		"a kind of another group":       {"apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n", []string{`2: kind: v1 has no Deployment; write apiVersion: apps/v1`}},
		"a kind that Istio never had":   {"apiVersion: security.istio.io/v1\nkind: Firewall\nmetadata: {name: a}\n", []string{`2: kind: security.istio.io/v1 has no Firewall; known here: AuthorizationPolicy`}},
		"a kind of the gateway API":     {"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: a}\n", nil},
		"a kind that is not read":       {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", nil},
		"an enum":                       {"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec:\n  mtls:\n    mode: STRIKT\n", []string{`6: spec.mtls.mode: "STRIKT" is not a value of this field; did you mean "STRICT"?`}},
		"a Deployment": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replica: 2\n  selector: {}\n  template:\n    spec:\n      containers:\n      - name: a\n        resources: {requests: {cpu: abc}}\n",
			[]string{`5: spec.replica: unknown field; did you mean "replicas"?`, `11: spec.template.spec.containers[0].resources.requests.cpu: expected a quantity, found "abc"`},
		},
		"an autoscaler of each version": {"apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec: {maxReplicas: 2, minReplicas: 1, targetCPUUtilizationPercentage: 80, scaleTargetRef: {kind: Deployment, name: a}}\n", nil},
		"minReplica of an autoscaler":   {"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec:\n  minReplica: 2\n  metrics: []\n", []string{`5: spec.minReplica: unknown field; did you mean "minReplicas"?`}},
		"an IstioOperator": {
			"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  meshConfig:\n    accessLogFil: /dev/stdout\n  components:\n    pilot:\n      replicaCount: 3\n      k8s:\n        hpaSpec: {minReplicas: 2, maxReplicas: 5}\n        overlays: [{kind: x}]\n  values:\n    pilot:\n      autoscaleMinimum: 2\n      autoscaleMax: 5\n    global: {anything: 1}\n",
			[]string{`5: spec.meshConfig.accessLogFil: unknown field; did you mean "accessLogFile"?`, "8: spec.components.pilot.replicaCount: unknown field; \"replicaCount\" belongs at spec.components.pilot.k8s.replicaCount", "14: spec.values.pilot.autoscaleMinimum: unknown field"},
		},
		"values of istiod":                {"pilot:\n  autoscaleMin: 2\nautoscaleMa: 3\n", []string{`3: autoscaleMa: unknown field; did you mean "autoscaleMax"?`}},
		"values of a gateway":             {"labels: {istio: ingress}\nkind: Deployment\nautoscaling:\n  minReplica: 2\n", []string{`4: autoscaling.minReplica: unknown field; did you mean "minReplicas"?`}},
		"two monitors, one good":          {"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\nspec:\n  groups:\n  - name: a\n    rules:\n    - alert: A\n      expr: up == 0\n      for: 5m\n      label: {a: b}\n", []string{`11: spec.groups[0].rules[0].label: unknown field; did you mean "labels"?`}},
		"a Service with a target by name": {"apiVersion: v1\nkind: Service\nmetadata: {name: a, creationTimestamp: null, annotations: {a: b}}\nspec: {ports: [{port: 80, targetPort: http}], selector: {a: b}}\nstatus: {loadBalancer: {}}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := mesh.Read("a.yaml", []byte(test.in))
			if err != nil || len(objects) != 1 {
				t.Fatalf("got %d objects, error %v; want one", len(objects), err)
			}
			faults := objects[0].Faults
			if len(faults) != len(test.want) {
				t.Fatalf("got %d faults %+v, want %d", len(faults), faults, len(test.want))
			}
			for i, fault := range faults {
				place, rest, _ := strings.Cut(test.want[i], ": ")
				if got := strings.Join([]string{fault.Path + ": " + fault.Message, fault.Hint}, "; "); !strings.Contains(got, rest) || strings.TrimSpace(place) != strconv.Itoa(fault.Line) {
					t.Errorf("got %d: %s\nwant %s", fault.Line, got, test.want[i])
				}
				if fault.Unknown != strings.Contains(test.want[i], "unknown field") {
					t.Errorf("%s: unknown is %t", fault.Message, fault.Unknown)
				}
			}
		})
	}
}

func TestReadOtherFiles(t *testing.T) {
	for name, test := range map[string]struct{ in, note, err string }{
		"empty":               {"", "", ""},
		"another kind":        {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n", "not read", ""},
		"values of any chart": {"replicaCount: 1\nimage: {repository: nginx}\nservice: {}\n", "without kind", ""},
		"a template":          {"kind: {{ .Values.kind }}\n", "", "render it first"},
		"text":                {"hello", "", "expected a Kubernetes object"},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := mesh.Read("a.yaml", []byte(test.in))
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got error %v, want %q", err, test.err)
			}
			if got := notes(objects); !strings.Contains(got, test.note) || test.note == "" && got != "" {
				t.Errorf("got note %q, want %q", got, test.note)
			}
		})
	}
}

func notes(objects []mesh.Object) string {
	var all []string
	for _, object := range objects {
		all = append(all, object.Note)
	}
	return strings.Join(all, "; ")
}
