package manifests_test

import (
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/reports/manifests"
)

// TestAutoscalerOfTheFirstStep holds that the autoscaler goes with the request in
// the same set of files: 60 % of 500m are 300m of CPU, which are 42 % of 700m.
func TestAutoscalerOfTheFirstStep(t *testing.T) {
	step := func(setting, from string, steps ...string) analysis.Staged {
		return analysis.Staged{Component: "ingress-gateway", Setting: setting, From: from, Steps: steps, Check: "all is well"}
	}
	for _, test := range []struct {
		name   string
		staged []analysis.Staged
		want   []string
	}{
		{"in one step", nil, []string{"averageUtilization: 60", "minReplicas: 4", "maxReplicas: 12"}},
		{"another component's", []analysis.Staged{{Component: "other", Setting: "requests.cpu", From: "1", Steps: []string{"700m", "500m"}}}, []string{"averageUtilization: 60"}},
		{"CPU request", []analysis.Staged{step("requests.cpu", "1", "700m", "500m")}, []string{"averageUtilization: 42", "minReplicas: 4"}},
		{"replicas", []analysis.Staged{step("replicas", "10", "7", "5")}, []string{"averageUtilization: 60", "minReplicas: 7", "maxReplicas: 12"}},
		{"replicas above the most", []analysis.Staged{step("replicas", "20", "14", "10")}, []string{"minReplicas: 14", "maxReplicas: 14"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := sample(t, "target")
			c := &result.Components[0]
			c.HPA = &analysis.HPA{MinReplicas: 4, MaxReplicas: 12, TargetCPUUtilization: 60, Reason: "so it is"}
			c.Resources.Requests.CPU, c.Resources.Limits.CPU = "500m", "1"
			result.Staged = test.staged
			files, err := manifests.Files(result)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if !strings.HasPrefix(f.Name, "ingress-gateway-hpa") {
					continue
				}
				for _, want := range test.want {
					if !strings.Contains(string(f.Content), want) {
						t.Errorf("no %q in\n%s", want, f.Content)
					}
				}
				return
			}
			t.Error("no autoscaler")
		})
	}
}
