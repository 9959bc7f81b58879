package audit_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

const permissive = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
  namespace: shop
spec:
  mtls:
    mode: PERMISSIVE
  portLevelMtls:
    8080:
      mode: DISABLE
`

// TestIgnoring: what a comment silences depends on where it stands.
func TestIgnoring(t *testing.T) {
	const comment = "# sailplan:ignore SP050 two jobs have no sidecar"
	replace := func(old, text string) string { return strings.Replace(permissive, old, text, 1) }
	for name, test := range map[string]struct {
		in       string
		findings int // of SP050
		silenced int
	}{
		"no comment":                  {permissive, 2, 0},
		"behind the field":            {replace("PERMISSIVE", "PERMISSIVE "+comment), 1, 1},
		"above the field":             {replace("    mode: PERMISSIVE", "    "+comment+"\n    mode: PERMISSIVE"), 1, 1},
		"above the field around it":   {replace("  mtls:", "  "+comment+"\n  # and more words\n\n  mtls:"), 1, 1},
		"above the ports":             {replace("  portLevelMtls:", "  "+comment+"\n  portLevelMtls:"), 1, 1},
		"above spec":                  {replace("spec:", comment+"\nspec:"), 0, 2},
		"above the object":            {comment + "\n" + permissive, 0, 2},
		"at the object's kind":        {replace("PeerAuthentication", "PeerAuthentication "+comment), 0, 2},
		"above the separator":         {comment + "\n---\n" + permissive, 0, 2},
		"of another rule":             {replace("PERMISSIVE", "PERMISSIVE # sailplan:ignore SP051 a"), 2, 0},
		"without a reason":            {replace("PERMISSIVE", "PERMISSIVE # sailplan:ignore SP050"), 2, 0},
		"at another field":            {replace("  name: default", "  name: default "+comment), 2, 0},
		"at the first of two objects": {comment + "\n" + permissive + "---\n" + permissive, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			result := audit.Audit([]audit.File{{Name: "a.yaml", Data: []byte(test.in)}}, audit.Measured{})
			got := 0
			for _, f := range result.Findings {
				if f.Code == "SP050" {
					got++
				}
			}
			if got != test.findings || len(result.Silenced) != test.silenced {
				t.Errorf("got %d findings and %d silenced, want %d and %d", got, len(result.Silenced), test.findings, test.silenced)
			}
			for _, s := range result.Silenced {
				if s.Reason != "two jobs have no sidecar" {
					t.Errorf("got reason %q", s.Reason)
				}
			}
		})
	}
}

// TestFilesTogether: what belongs together may lie in several files.
func TestFilesTogether(t *testing.T) {
	rule := "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, namespace: shop}\nspec:\n  host: a\n  trafficPolicy:\n    outlierDetection:\n      maxEjectionPercent: 20\n"
	workload := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: shop}\nspec:\n  replicas: 3\n  selector: {}\n  template: {}\n"
	result := audit.Audit([]audit.File{{"rule.yaml", []byte(rule)}, {"workload.yaml", []byte(workload)}}, audit.Measured{})
	if !slices.ContainsFunc(result.Findings, func(f audit.Finding) bool {
		return f.Code == "SP011" && f.Severity == audit.Error && strings.Contains(f.Message, "workload.yaml:5") && f.File == "rule.yaml" && f.Line == 8
	}) {
		t.Errorf("got %+v, want SP011 at rule.yaml:8 that names workload.yaml:5", result.Findings)
	}
	if result.Files != 2 || fmt.Sprint(result.Read) != "[{Deployment 1} {DestinationRule 1}]" {
		t.Errorf("got %d files with %v", result.Files, result.Read)
	}
}

// TestUnreadable wants a plain word for each file that is none, and the others
// audited all the same.
func TestUnreadable(t *testing.T) {
	for name, test := range map[string]struct {
		in         []byte
		unreadable string // in what is said; empty: it can be read
		skipped    string
	}{
		"empty":           {nil, "", ""},
		"only comments":   {[]byte("# nothing\n"), "", ""},
		"a template":      {[]byte("kind: {{ .Values.kind }}\n"), "helm template", ""},
		"a template's if": {[]byte("{{- if .Values.a }}\nkind: Service\n{{- end }}\n"), "helm template", ""},
		"garbage":         {[]byte("\x00\xff\xfe"), "not valid YAML", ""},
		"text":            {[]byte("hello"), "expected a Kubernetes object", ""},
		"another kind":    {[]byte("apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n"), "", "Job"},
		"other values":    {[]byte("image: nginx\n"), "", "files without kind"},
		"a bomb":          {bomb(), "aliases expanded", ""},
		"too deep":        {bytes.Repeat([]byte("["), 5000), "", ""},
		"anchors":         {[]byte("apiVersion: v1\nkind: Service\nmetadata: &m {name: a, labels: {a: b}}\nspec:\n  selector: {<<: {a: b}}\n  ports: [&p {name: http, port: 80}, {<<: *p, name: http-b, port: 81}]\n"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			result := audit.Audit([]audit.File{{"a.yaml", test.in}, {"b.yaml", []byte(permissive)}}, audit.Measured{})
			said := fmt.Sprint(result.Unreadable)
			if name == "too deep" {
				test.unreadable = "not valid YAML"
			}
			if (len(result.Unreadable) > 0) != (test.unreadable != "") || !strings.Contains(said, test.unreadable) {
				t.Errorf("got %s, want %q", said, test.unreadable)
			}
			if got := fmt.Sprint(result.Skipped); !strings.Contains(got, test.skipped) {
				t.Errorf("got skipped %s, want %q", got, test.skipped)
			}
			if result.Number(audit.Warning) != 2 {
				t.Errorf("got %+v, want the two warnings of the other file", result.Findings)
			}
		})
	}
}

func bomb() []byte {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return []byte(b.String())
}

func FuzzAudit(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		result := audit.Audit([]audit.File{{"a.yaml", data}}, audit.Measured{})
		lines := bytes.Count(data, []byte("\n")) + 1
		for _, finding := range result.Findings {
			if finding.Line < 1 || finding.Line > lines || finding.Message == "" || finding.File != "a.yaml" {
				t.Errorf("finding %+v in %d lines", finding, lines)
			}
		}
		for _, u := range result.Unreadable {
			if u.Message == "" {
				t.Errorf("unreadable without a word: %+v", u)
			}
		}
	})
}

// manyObjects is a file of the size with services, workloads, routes and rules.
func manyObjects(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		for _, seed := range seeds()[:4] {
			b.WriteString("---\n")
			b.Write(bytes.ReplaceAll(seed, []byte("reviews"), fmt.Appendf(nil, "reviews-%d", i)))
		}
	}
	return b.Bytes()
}

func seeds() [][]byte {
	return [][]byte{
		[]byte("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews}\nspec:\n  host: reviews\n  trafficPolicy:\n    connectionPool:\n      tcp: {maxConnections: 100, connectTimeout: 5s}\n      http: {http2MaxRequests: 1000, maxRequestsPerConnection: 100}\n    outlierDetection: {consecutive5xxErrors: 5, interval: 30s}\n"),
		[]byte("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec:\n  hosts: [reviews]\n  http:\n  - route: [{destination: {host: reviews, subset: v1}}]\n    timeout: 2s\n    retries: {attempts: 2}\n"),
		[]byte("apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\nspec:\n  selector: {app: reviews}\n  ports: [{port: 80}]\n"),
		[]byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: reviews}\nspec:\n  replicas: 3\n  selector: {}\n  template:\n    metadata: {labels: {app: reviews}, annotations: {proxy.istio.io/config: \"concurrency: 3\"}}\n    spec: {containers: [{name: a}]}\n"),
		[]byte(permissive),
		[]byte("pilot: {autoscaleMin: 3, replicaCount: 1}\nmeshConfig: {tlsDefaults: {cipherSuites: [TLS_AES_128_GCM_SHA256]}}\n"),
		[]byte("# sailplan:ignore SP011 a\napiVersion: v1\nkind: List\nitems: [{kind: List}, 1, null, {apiVersion: networking.istio.io/v1, kind: Gateway, spec: {servers: [1, {tls: 2}]}}]\n"),
		[]byte("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {components: {ingressGateways: [1, {k8s: {replicaCount: 2}}]}, values: []}\n"),
	}
}

// BenchmarkAudit takes ten megabytes that belong together.
func BenchmarkAudit(b *testing.B) {
	in := []audit.File{{"a.yaml", manyObjects(10 << 20)}}
	b.SetBytes(int64(len(in[0].Data)))
	b.ReportAllocs()
	for b.Loop() {
		if result := audit.Audit(in, audit.Measured{}); len(result.Findings) == 0 {
			b.Fatalf("no findings, %+v", result.Unreadable)
		}
	}
}

// TestAuditAllocates bounds what a large file costs by its allocations, which a busy
// machine does not change. Three seconds for ten megabytes are some nine million.
func TestAuditAllocates(t *testing.T) {
	in := []audit.File{{"a.yaml", manyObjects(1 << 20)}}
	got := testing.AllocsPerRun(2, func() { audit.Audit(in, audit.Measured{}) })
	if bound := 1.1e6; got > bound {
		t.Errorf("%.0f allocations for a megabyte, want at most %.0f", got, bound)
	}
}

// TestManyFindings: of one rule and file fifty are kept, and how many are not is said.
func TestManyFindings(t *testing.T) {
	many := strings.Repeat(permissive+"---\n", 60) // two findings each
	result := audit.Audit([]audit.File{{"a.yaml", []byte(many)}, {"b.yaml", []byte(permissive)}}, audit.Measured{})
	if got := result.Number(audit.Warning); got != 52 {
		t.Errorf("got %d warnings, want 50 and 2", got)
	}
	if got := fmt.Sprint(result.LeftOut); got != "[{SP050 in a.yaml 70}]" {
		t.Errorf("left out: got %s, want 70 of SP050", got)
	}
}

// TestPathsOfAliases: what an alias brings has the path of where it is brought to.
func TestPathsOfAliases(t *testing.T) {
	in := "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: a\n  trafficPolicy:\n    connectionPool:\n      tcp: {maxConnections: &none 0}\n      http: {http2MaxRequests: *none}\n"
	var got []string
	for _, f := range audit.Audit([]audit.File{{"a.yaml", []byte(in)}}, audit.Measured{}).Findings {
		if f.Code == "SP010" {
			got = append(got, fmt.Sprint(f.Line, " ", f.Path))
		}
	}
	if want := []string{"8 spec.trafficPolicy.connectionPool.tcp.maxConnections", "9 spec.trafficPolicy.connectionPool.http.http2MaxRequests"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWhichOfTwoSidecarsHolds: what a finding says rests on the age of both, or says that
// it does not.
func TestWhichOfTwoSidecarsHolds(t *testing.T) {
	sidecar := func(name, created string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: " + name + ", namespace: prod" + created + "}\nspec: {egress: [{hosts: [./*]}]}\n"
	}
	for _, test := range []struct{ name, files, object, says string }{
		{"the older one holds", sidecar("a", ", creationTimestamp: '2024-06-02T00:00:00Z'") + sidecar("b", ", creationTimestamp: '2024-06-01T00:00:00Z'"),
			"Sidecar prod/a", "Sidecar prod/b is for the same namespace (mesh.yaml:7) and was created first: it holds, and this one does nothing"},
		{"the files do not say", sidecar("a", "") + sidecar("b", ""), "Sidecar prod/b", "here the order of the files decided"},
	} {
		found := false
		for _, f := range audit.Audit([]audit.File{{Name: "mesh.yaml", Data: []byte(test.files)}}, audit.Measured{}).Findings {
			if f.Code != "SP063" {
				continue
			}
			found = true
			if f.Object != test.object || !strings.Contains(f.Message, test.says) {
				t.Errorf("%s: got %s, %q; want %s, %q", test.name, f.Object, f.Message, test.object, test.says)
			}
		}
		if !found {
			t.Errorf("%s: nothing is found", test.name)
		}
	}
}
