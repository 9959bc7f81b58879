package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAuditGolden audits testdata/audit/mesh and compares every form of the answer.
func TestAuditGolden(t *testing.T) {
	folder, err := filepath.Abs(filepath.Join("testdata", "audit"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	out := t.TempDir()
	p := newProcess(t, "")
	args := []string{"audit", "mesh", "--checklist"}
	for _, form := range []string{"json", "sarif", "junit", "markdown"} {
		args = append(args, "--"+form, filepath.Join(out, "want."+form))
	}
	if got := Main(args, p.Process); got != exitNo {
		t.Errorf("exit code: got %d, want %d (%s)", got, exitNo, p.stderr.String())
	}
	forms := map[string][]byte{"want.txt": p.stdout.Bytes()}
	for _, form := range []string{"json", "sarif", "junit", "markdown"} {
		content, err := os.ReadFile(filepath.Join(out, "want."+form))
		if err != nil {
			t.Fatal(err)
		}
		forms["want."+form] = content
	}
	for name, got := range forms {
		if *update {
			if err := os.WriteFile(name, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("testdata/audit/%s differs from what is written now (-update):\n%s", name, got)
		}
	}
}

func TestAuditExitCodes(t *testing.T) {
	const rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: a\n"
	for name, test := range map[string]struct {
		files map[string]string
		args  []string
		code  int
		says  string
	}{
		"nothing found":        {map[string]string{"a.yaml": rule}, []string{"."}, exitDone, "No findings"},
		"a warning":            {map[string]string{"a.yaml": rule + "  trafficPolicy: {outlierDetection: {interval: 5s}}\n"}, []string{"."}, exitDone, "SP011"},
		"an error":             {map[string]string{"a.yaml": rule + "  hots: b\n"}, []string{"."}, exitNo, "spec.hots does not exist"},
		"no YAML":              {map[string]string{"a.yaml": rule, "b.yaml": "a: {{ .b }}\n"}, []string{"."}, exitUsage, "render it first"},
		"an error and no YAML": {map[string]string{"a.yaml": rule + "  hots: b\n", "b.yaml": "["}, []string{"."}, exitUsage, "spec.hots"},
		"no such path":         {nil, []string{"nowhere"}, exitUsage, "nowhere"},
		"an empty folder":      {nil, []string{"."}, exitUsage, "no file"},
		"no argument":          {nil, nil, exitUsage, "requires at least 1"},
		"no such run":          {map[string]string{"a.yaml": rule}, []string{".", "--run", "x"}, exitUsage, "run directory"},
		"standard input":       {nil, []string{"-"}, exitNo, "standard input:4"},
		"templates of a chart": {map[string]string{"c/Chart.yaml": "name: c\n", "c/templates/a.yaml": "{{ a }}", "c/values.yaml": "autoscaleMin: 2\n"}, []string{"."}, exitDone, "left out"},
		"another kind":         {map[string]string{"a.yaml": "apiVersion: v1\nkind: Secret\n"}, []string{"."}, exitDone, "Nothing to audit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for file, content := range test.files {
				if err := writeFile(file, []byte(content)); err != nil {
					t.Fatal(err)
				}
			}
			p := newProcess(t, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspce: {}\n")
			if got := Main(append([]string{"audit"}, test.args...), p.Process); got != test.code {
				t.Errorf("exit code: got %d, want %d", got, test.code)
			}
			if said := p.stdout.String() + p.stderr.String(); !strings.Contains(said, test.says) {
				t.Errorf("said %q, want %q in it", said, test.says)
			}
		})
	}
}

// TestSARIF holds what version 2.1.0 requires: sections 3.13, 3.14, 3.18, 3.19,
// 3.27 to 3.30 and 3.49.
func TestSARIF(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "audit", "want.sarif"))
	if err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID                   string
						ShortDescription     struct{ Text string }
						DefaultConfiguration struct{ Level string }
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
				PartialFingerprints map[string]string
			}
		}
	}
	if err := json.Unmarshal(content, &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name != "sailplan" || len(log.Runs[0].Results) == 0 {
		t.Fatalf("got version %q with %d runs", log.Version, len(log.Runs))
	}
	levels := map[string]bool{"error": true, "warning": true, "note": true}
	rules, prints := log.Runs[0].Tool.Driver.Rules, map[string]bool{}
	for _, r := range rules {
		if r.ID == "" || r.ShortDescription.Text == "" || !levels[r.DefaultConfiguration.Level] {
			t.Errorf("rule %+v lacks something", r)
		}
	}
	for _, r := range log.Runs[0].Results {
		if r.RuleIndex < 0 || r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID || !levels[r.Level] || r.Message.Text == "" {
			t.Errorf("result %+v lacks something", r)
		}
		if len(r.Locations) != 1 || strings.ContainsAny(r.Locations[0].PhysicalLocation.ArtifactLocation.URI, " \\") || r.Locations[0].PhysicalLocation.Region.StartLine < 1 {
			t.Errorf("result %s at %+v", r.RuleID, r.Locations)
		}
		print := r.PartialFingerprints["object/v1"]
		if print == "" || prints[print] {
			t.Errorf("result %s: fingerprint %q is missing or there twice", r.RuleID, print)
		}
		prints[print] = true
	}
}
