package manifests_test

import (
	"encoding/json"
	"flag"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"google.golang.org/protobuf/encoding/protojson"
	istioapi "istio.io/api/networking/v1alpha3"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports/manifests"
	"github.com/sailplan-io/sailplan/scenarios"
)

var update = flag.Bool("update", false, "write testdata anew")

// sample reads a sample result of package reports.
func sample(t *testing.T, name string) analysis.Result {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "results", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var result analysis.Result
	if err := json.Unmarshal(data, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func files(t *testing.T, result analysis.Result) []manifests.File {
	t.Helper()
	out, err := manifests.Files(result)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func names(files []manifests.File) []string {
	var list []string
	for _, f := range files {
		list = append(list, f.Name)
	}
	return list
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"recommended", "target", "embedded", "contradicted"} {
		dir := filepath.Join("testdata", name)
		got := files(t, sample(t, name))
		if *update {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range got {
			golden := filepath.Join(dir, filepath.FromSlash(f.Name))
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, f.Content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(f.Content) != string(want) {
				t.Errorf("%s differs from what is written now (go test ./reports/manifests -update):\n%s", golden, f.Content)
			}
		}
		stored := 0
		err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
			if err == nil && !info.IsDir() {
				stored++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if stored != len(got) {
			t.Errorf("%s has %d files, want %d", dir, stored, len(got))
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string][]string{
		"target": {
			"ingress-gateway-hpa.yaml", "ingress-gateway-keda.yaml.example", "ingress-gateway-pdb.yaml", "patches/ingress-gateway-rollout.yaml", "patches/ingress-gateway-resources.yaml",
			"helm/ingress-gateway-values.yaml",
			"sidecar-hpa.yaml", "sidecar-pdb.yaml", "patches/sidecar-resources.yaml", "helm/sidecar-proxy-values.yaml",
			"destination-rule.yaml", "prometheus-rule.yaml",
		},
		// One replica: no disruption budget, which would keep its node from being drained.
		"embedded":   {"gateway-hpa.yaml.example", "gateway-keda.yaml.example", "patches/gateway-resources.yaml.example", "helm/gateway-values.yaml.example", "prometheus-rule.yaml.example"},
		"infeasible": nil,
		"invalid":    nil,
		"incomplete": nil,
		"empty":      nil,
		"load-held":  nil,
	} {
		if got := names(files(t, sample(t, name))); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: files %q, want %q", name, got, want)
		}
	}
}

// TestExamplesSayWhy checks that what is not from the user's own system, or is
// contradicted, can't be taken for something to apply.
func TestExamplesSayWhy(t *testing.T) {
	contradictedTarget := sample(t, "contradicted")
	contradictedTarget.Evidence, contradictedTarget.Lab = "target", nil
	unknown := sample(t, "target")
	unknown.Evidence = ""
	for _, c := range []struct {
		name    string
		result  analysis.Result
		example bool
		says    string
	}{
		{"lab", sample(t, "recommended"), true, "measured in a lab with Envoy 1.40.0"},
		{"embedded", sample(t, "embedded"), true, "not Envoy at all. No CPU or memory limit was enforced."},
		{"contradicted in the lab", sample(t, "contradicted"), true, "contradicts the prediction"},
		{"contradicted on the target", contradictedTarget, true, "contradicts the prediction"},
		{"unknown evidence", unknown, true, "not measured on a system of yours"},
		{"target", sample(t, "target"), false, ""},
	} {
		for _, f := range files(t, c.result) {
			unwrapped := strings.ReplaceAll(string(f.Content), "\n# ", " ")
			example := c.example || isKEDA(f) // which does not know the user's Prometheus
			if got := strings.HasSuffix(f.Name, ".yaml.example"); got != example {
				t.Errorf("%s: file %s, want an example: %v", c.name, f.Name, example)
			}
			if got := strings.Contains(unwrapped, "EXAMPLE, not to be applied as it is."); got != example {
				t.Errorf("%s: %s says that it is an example: %v, want %v", c.name, f.Name, got, example)
			}
			if !strings.Contains(unwrapped, c.says) {
				t.Errorf("%s: %s does not say %q:\n%s", c.name, f.Name, c.says, f.Content)
			}
		}
	}
}

// destinationRule reads what Istio's own type takes without a word about unknown
// fields.
type destinationRule struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Spec            json.RawMessage   `json:"spec"`
}

// strictly decodes a manifest into its API type; unknown and repeated fields are
// errors.
func strictly(t *testing.T, f manifests.File) (kind string, value any) {
	t.Helper()
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(f.Content, &meta); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	var into any
	if strings.HasPrefix(f.Name, "helm/") {
		into = chartValues(f)
		if err := yaml.UnmarshalStrict(f.Content, into); err != nil {
			t.Fatalf("%s: %v\n%s", f.Name, err, f.Content)
		}
		return "values", into
	}
	switch meta.APIVersion + " " + meta.Kind {
	case "autoscaling/v2 HorizontalPodAutoscaler":
		into = &autoscalingv2.HorizontalPodAutoscaler{}
	case "policy/v1 PodDisruptionBudget":
		into = &policyv1.PodDisruptionBudget{}
	case "apps/v1 Deployment":
		into = &appsv1.Deployment{}
	case "monitoring.coreos.com/v1 PrometheusRule":
		into = &monitoringv1.PrometheusRule{}
	case "keda.sh/v1alpha1 ScaledObject":
		into = &scaledObject{}
	case "networking.istio.io/v1alpha3 EnvoyFilter":
		var outer destinationRule
		if err := yaml.UnmarshalStrict(f.Content, &outer); err != nil {
			t.Fatalf("%s: %v\n%s", f.Name, err, f.Content)
		}
		spec := &istioapi.EnvoyFilter{}
		if err := protojson.Unmarshal(outer.Spec, spec); err != nil {
			t.Fatalf("%s: %v\n%s", f.Name, err, f.Content)
		}
		return meta.Kind, spec
	case "networking.istio.io/v1 DestinationRule":
		var outer destinationRule
		if err := yaml.UnmarshalStrict(f.Content, &outer); err != nil {
			t.Fatalf("%s: %v\n%s", f.Name, err, f.Content)
		}
		spec := &istioapi.DestinationRule{}
		if err := protojson.Unmarshal(outer.Spec, spec); err != nil {
			t.Fatalf("%s: %v\n%s", f.Name, err, f.Content)
		}
		return meta.Kind, spec
	default:
		t.Fatalf("%s: %s %s", f.Name, meta.APIVersion, meta.Kind)
	}
	if err := yaml.UnmarshalStrict(f.Content, into); err != nil {
		t.Fatalf("%s: %v\n%s", f.Name, err, f.Content)
	}
	return meta.Kind, into
}

func TestStrictRoundTrip(t *testing.T) {
	junk := regexp.MustCompile(`(?m)^\s*(status|creationTimestamp|strategy: \{\}|selector: null)\b.*|: (null|~|\{\}|\[\])$`)
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	for _, name := range []string{"recommended", "target", "embedded", "contradicted", "not-reached", "hostile"} {
		for _, f := range files(t, sample(t, name)) {
			strictly(t, f)
			var uncommented []string
			for _, line := range strings.Split(string(f.Content), "\n") {
				if !strings.HasPrefix(strings.TrimSpace(line), "#") {
					uncommented = append(uncommented, line)
				}
			}
			if found := junk.FindString(strings.Join(uncommented, "\n")); found != "" {
				t.Errorf("%s: %s has %q", name, f.Name, found)
			}
			var object struct{ Metadata metav1.ObjectMeta }
			if err := yaml.Unmarshal(f.Content, &object); err != nil {
				t.Fatal(err)
			}
			if n := object.Metadata.Name; !strings.HasPrefix(f.Name, "helm/") && !label.MatchString(n) || len(n) > 63 {
				t.Errorf("%s: %s names its object %q", name, f.Name, n)
			}
			base := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.Name), ".example"), ".yaml")
			if !label.MatchString(base) || path.Clean(f.Name) != f.Name || strings.HasPrefix(f.Name, "..") {
				t.Errorf("%s: a file is called %q", name, f.Name)
			}
		}
	}
}

// unwrapped is the text of a file with its comments in one line each.
func unwrapped(f manifests.File) string {
	return regexp.MustCompile(`\n\s*# `).ReplaceAllString(string(f.Content), " ")
}

// TestContent checks what the objects say, read back through their types.
func TestContent(t *testing.T) {
	byName := map[string]manifests.File{}
	for _, f := range files(t, sample(t, "target")) {
		byName[f.Name] = f
	}
	read := func(name string) any {
		_, value := strictly(t, byName[name])
		return value
	}

	hpa := read("ingress-gateway-hpa.yaml").(*autoscalingv2.HorizontalPodAutoscaler).Spec
	if *hpa.MinReplicas != 20 || hpa.MaxReplicas != 86 || *hpa.Metrics[0].Resource.Target.AverageUtilization != 63 {
		t.Errorf("autoscaler of the gateway: %+v", hpa)
	}
	beside := read("sidecar-hpa.yaml").(*autoscalingv2.HorizontalPodAutoscaler).Spec.Metrics[0]
	if beside.ContainerResource == nil || beside.ContainerResource.Container != "istio-proxy" || *beside.ContainerResource.Target.AverageUtilization != 60 {
		t.Errorf("autoscaler of the sidecar: %+v", beside)
	}

	budget := read("ingress-gateway-pdb.yaml").(*policyv1.PodDisruptionBudget).Spec
	if budget.MaxUnavailable.IntValue() != 1 || budget.Selector.MatchLabels["app"] != "ingress-gateway" {
		t.Errorf("disruption budget: %+v", budget)
	}

	proxy := read("patches/ingress-gateway-resources.yaml").(*appsv1.Deployment).Spec.Template.Spec.Containers[0]
	if proxy.Name != "istio-proxy" || proxy.Resources.Requests.Cpu().String() != "240m" || proxy.Resources.Limits.Memory().String() != "128Mi" {
		t.Errorf("resources of the gateway: %+v", proxy)
	}
	annotations := read("patches/sidecar-resources.yaml").(*appsv1.Deployment).Spec.Template.Annotations
	want := map[string]string{
		"sidecar.istio.io/proxyCPU": "520m", "sidecar.istio.io/proxyMemory": "64Mi", "sidecar.istio.io/proxyCPULimit": "1", "sidecar.istio.io/proxyMemoryLimit": "128Mi",
		"proxy.istio.io/config": "{concurrency: 1}",
	}
	if !reflect.DeepEqual(annotations, want) {
		t.Errorf("annotations of the sidecar: %v, want %v", annotations, want)
	}

	rollout := read("patches/ingress-gateway-rollout.yaml").(*appsv1.Deployment).Spec
	spread := rollout.Template.Spec.TopologySpreadConstraints
	if rollout.Strategy.RollingUpdate.MaxUnavailable.String() != "25%" || rollout.Strategy.RollingUpdate.MaxSurge.String() != "25%" ||
		len(spread) != 1 || spread[0].MaxSkew != 1 || spread[0].TopologyKey != "topology.kubernetes.io/zone" || spread[0].WhenUnsatisfiable != "DoNotSchedule" {
		t.Errorf("rollout of the gateway: %+v", rollout)
	}

	rule := read("destination-rule.yaml").(*istioapi.DestinationRule)
	pool := rule.TrafficPolicy.ConnectionPool
	if rule.Host != "checkout.default.svc.cluster.local" || pool.Tcp.MaxConnections != 100 || pool.Tcp.ConnectTimeout.AsDuration().String() != "1s" ||
		pool.Http.Http2MaxRequests != 700 || pool.Http.Http1MaxPendingRequests != 128 || pool.Http.MaxRequestsPerConnection != 0 ||
		pool.Http.MaxRetries != 12 || pool.Http.IdleTimeout.AsDuration() != time.Minute {
		t.Errorf("destination rule: %v", rule)
	}
	// 1 000 down to 256 is too much at once: the file has the first step, and says which follow.
	if text := unwrapped(byName["destination-rule.yaml"]); !strings.Contains(text, "Step 1 of 4 down from 1000; then 490, 343, 256. Go on when") {
		t.Errorf("the destination rule does not say that it has the first of several steps:\n%s", text)
	}
	if strings.Contains(string(byName["destination-rule.yaml"].Content), "maxRequestsPerConnection:") {
		t.Error("a limit of 0 is written, which reads as if nothing were allowed")
	}
}

func TestAllFourAnnotations(t *testing.T) {
	result := sample(t, "target")
	result.Components[1].Resources.Limits.CPU = "1"
	for _, f := range files(t, result) {
		if f.Name != "patches/sidecar-resources.yaml" {
			continue
		}
		_, value := strictly(t, f)
		want := map[string]string{
			"sidecar.istio.io/proxyCPU": "520m", "sidecar.istio.io/proxyMemory": "64Mi",
			"sidecar.istio.io/proxyCPULimit": "1", "sidecar.istio.io/proxyMemoryLimit": "128Mi", "proxy.istio.io/config": "{concurrency: 1}",
		}
		if got := value.(*appsv1.Deployment).Spec.Template.Annotations; !reflect.DeepEqual(got, want) {
			t.Errorf("annotations %v, want %v", got, want)
		}
	}
}

func TestPrometheusRule(t *testing.T) {
	expressions := func(result analysis.Result) map[string]string {
		found := map[string]string{}
		for _, f := range files(t, result) {
			if kind, value := strictly(t, f); kind == "PrometheusRule" {
				for _, r := range value.(*monitoringv1.PrometheusRule).Spec.Groups[0].Rules {
					found[r.Record+r.Alert] = r.Expr.String()
				}
			}
		}
		return found
	}
	const edge = `{reporter="source",source_workload="ingress-gateway",destination_service="checkout.default.svc.cluster.local"`
	want := map[string]string{
		"sailplan:istio_request_duration_milliseconds:p99_rate5m": `histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket` + edge + `}[5m])))`,
		"SailplanLatencyObjectiveMissed":                          `sailplan:istio_request_duration_milliseconds:p99_rate5m{sailplan_scenario="checkout"} > 50`,
		"sailplan:istio_requests:error_ratio_rate5m": `sum(rate(istio_requests_total` + edge + `,response_code=~"5..|429"}[5m])) / ` +
			`sum(rate(istio_requests_total` + edge + `}[5m]))`,
		"SailplanErrorObjectiveMissed":   `sailplan:istio_requests:error_ratio_rate5m{sailplan_scenario="checkout"} > 0.001`,
		"sailplan:istio_requests:rate5m": `sum(rate(istio_requests_total` + edge + `}[5m]))`,
		"SailplanRateAbovePlan":          `sailplan:istio_requests:rate5m{sailplan_scenario="checkout"} > 36261.25`,
	}
	if got := expressions(sample(t, "target")); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}

	// An objective without any error is watched, too: at once, and with its reason.
	none := sample(t, "target")
	none.Objectives[1] = analysis.Objective{Text: "errors ≤ 0 %"}
	if got, want := expressions(none)["SailplanErrorObjectiveMissed"], `sailplan:istio_requests:error_ratio_rate5m{sailplan_scenario="checkout"} > 0`; got != want {
		t.Errorf("no error allowed: %q, want %q", got, want)
	}
	for _, f := range files(t, none) {
		text := strings.ReplaceAll(string(f.Content), "\n        # ", " ")
		if strings.HasPrefix(f.Name, "prometheus") && !strings.Contains(text, "None is allowed, so a single one within the window of 5m is one too many") {
			t.Errorf("no reason for the alert on any error:\n%s", text)
		}
	}

	// Without a gateway the sidecar of the server reports.
	result := sample(t, "target")
	result.Components = result.Components[1:]
	got := expressions(result)["sailplan:istio_requests:rate5m"]
	if want := `sum(rate(istio_requests_total{reporter="destination",destination_service="checkout.default.svc.cluster.local"}[5m]))`; got != want {
		t.Errorf("without a gateway: %s, want %s", got, want)
	}

	// An objective between two bounds of the histogram says so, without noise
	// from 0.06 s × 1000.
	result.Objectives[0].LatencySeconds = 0.06
	for _, f := range files(t, result) {
		if strings.HasPrefix(f.Name, "prometheus") && !strings.Contains(strings.ReplaceAll(string(f.Content), "\n        # ", " "), "60 ms is not a bound of Istio's default histogram: between 50 and 100 ms") {
			t.Errorf("nothing about the bounds:\n%s", f.Content)
		}
	}
}

// TestHostileNames checks that names with a meaning elsewhere stay names.
func TestHostileNames(t *testing.T) {
	result := sample(t, "hostile")
	result.Objectives[0].Text = "{{{ $labels }}} {{ end"
	for _, f := range files(t, result) {
		_, value := strictly(t, f)
		if rule, ok := value.(*monitoringv1.PrometheusRule); ok {
			for _, r := range rule.Spec.Groups[0].Rules {
				for name, text := range r.Labels {
					if strings.Contains(text, "{{") || strings.Contains(text, "}}") {
						t.Errorf("label %s is a template: %q", name, text)
					}
				}
				if summary := r.Annotations["summary"]; strings.Contains(summary, "{{") {
					t.Errorf("the summary is a template: %q", summary)
				}
			}
		}
		for _, r := range string(f.Content) {
			if r != '\n' && r < 0x20 || r == 0x202e {
				t.Errorf("%s has %U", f.Name, r)
			}
		}
	}
}

// TestHostOutsideTheMesh checks that the host of a URL is not taken for a
// service of the mesh: a rule for it would hold for nothing, and an alert on it
// would never fire.
func TestHostOutsideTheMesh(t *testing.T) {
	for host, inMesh := range map[string]bool{
		"checkout.default.svc.cluster.local": true,
		"checkout.default.svc":               false, // Istio's labels have the domain too
		"shop.example.com":                   false,
		"127.0.0.1":                          false,
		"":                                   false,
		"a.b.svc.cluster local":              false,
		"*.default.svc.cluster.local":        false,
	} {
		result := sample(t, "target")
		result.ConnectionPool.Host = host
		for _, f := range files(t, result) {
			isRule := strings.HasPrefix(f.Name, "destination-rule")
			if got, want := strings.HasSuffix(f.Name, ".example"), isRule && !inMesh || isKEDA(f); got != want {
				t.Errorf("host %q: file %s, want an example: %v", host, f.Name, want)
			}
			_, value := strictly(t, f)
			switch value := value.(type) {
			case *istioapi.DestinationRule:
				if (value.Host == host) != inMesh {
					t.Errorf("host %q: the rule is for %q", host, value.Host)
				}
			case *monitoringv1.PrometheusRule:
				if got := strings.Contains(value.Spec.Groups[0].Rules[0].Expr.String(), "destination_service"); got != inMesh {
					t.Errorf("host %q: the rules select by it: %v, want %v", host, got, inMesh)
				}
			}
		}
	}
}

func TestNamesakes(t *testing.T) {
	result := sample(t, "target")
	result.Components[0].Name, result.Components[1].Name = "Edge!", "edge"
	result.Components = append(result.Components, result.Components[0])
	result.Components[3].Name = strings.Repeat("ü", 100) + strings.Repeat("long-", 30)
	seen := map[string]bool{}
	for _, name := range names(files(t, result)) {
		if seen[name] {
			t.Errorf("two files are called %s", name)
		}
		seen[name] = true
	}
	if !seen["edge-hpa.yaml"] || !seen["edge-2-hpa.yaml"] {
		t.Errorf("files %v", seen)
	}
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*analysis.Result)
		want  string
	}{
		"quantity":          {func(r *analysis.Result) { r.Components[0].Resources.Limits.CPU = "lots" }, `resources of "ingress-gateway": limits: cpu "lots"`},
		"negative quantity": {func(r *analysis.Result) { r.Components[0].Resources.Requests.Memory = "-1Gi" }, `memory "-1Gi" is not above zero`},
		"limit too large":   {func(r *analysis.Result) { r.ConnectionPool.HTTP.HTTP2MaxRequests = 4294967295 }, "http/http2MaxRequests is 4294967295"},
		"negative limit":    {func(r *analysis.Result) { r.ConnectionPool.TCP.MaxConnections = -1 }, "tcp/maxConnections is -1"},
		"timeout":           {func(r *analysis.Result) { r.ConnectionPool.TCP.ConnectTimeout = "soon" }, "tcp/connectTimeout"},
		"timeout too fine":  {func(r *analysis.Result) { r.ConnectionPool.TCP.ConnectTimeout = "1500us" }, "whole milliseconds"},
		"no replicas":       {func(r *analysis.Result) { r.Components[0].HPA.MinReplicas = 0 }, "minReplicas is 0"},
	} {
		result := sample(t, "target")
		c.spoil(&result)
		got, err := manifests.Files(result)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if got != nil {
			t.Errorf("%s: files in spite of the error", name)
		}
	}
}

// TestOneBudgetForAPod holds that a service with a sidecar gets one
// PodDisruptionBudget: Kubernetes refuses to evict a pod that two select.
func TestOneBudgetForAPod(t *testing.T) {
	replicas := &analysis.Replicas{Value: 3, CarriesPlannedRate: 2, SurvivesReplicaLoss: 3, SurvivesZoneLoss: 3}
	result := analysis.Result{
		Outcome: analysis.Recommended, Evidence: record.EvidenceTarget,
		Components: []analysis.Component{
			{Name: "cart-proxy", Role: string(scenarios.RoleSidecar), Replicas: replicas},
			{Name: "cart", Role: string(scenarios.RoleService), Replicas: replicas},
		},
	}
	budgets := func() []string {
		files, err := manifests.Files(result)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range files {
			if strings.Contains(f.Name, "pdb") {
				names = append(names, strings.TrimSuffix(strings.TrimSuffix(f.Name, ".example"), ".yaml"))
			}
		}
		return names
	}
	if got := budgets(); !slices.Equal(got, []string{"cart-pdb"}) {
		t.Errorf("sidecar and service: got %v, want the service's budget alone", got)
	}
	result.Components = result.Components[:1]
	if got := budgets(); !slices.Equal(got, []string{"cart-proxy-pdb"}) {
		t.Errorf("sidecar alone: got %v, want its budget", got)
	}
}
