package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const breakerRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: prod}
spec:
  host: reviews.prod.svc.cluster.local
  trafficPolicy:
    connectionPool: {tcp: {connectTimeout: 400ms}, http: {http2MaxRequests: 10}}
`

func breakerFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "dr.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestBreakerWrongUse(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		args []string
		says string
	}{
		"no file":            {"", []string{}, "give its file with -f"},
		"not there":          {"", []string{"-f", "nowhere.yaml"}, "nowhere.yaml"},
		"not YAML":           {"a: [", nil, "dr.yaml:1"},
		"no rule in it":      {"apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n", nil, "no DestinationRule at all"},
		"an unknown field":   {strings.Replace(breakerRule, "http2MaxRequests", "maxConnections", 1), nil, "dr.yaml:7"},
		"a refused value":    {strings.Replace(breakerRule, "400ms", "-1s", 1), nil, "dr.yaml:7"},
		"another host":       {breakerRule, []string{"--host", "ratings.prod.svc.cluster.local"}, "rules for reviews"},
		"no such subset":     {breakerRule, []string{"--subset", "v2"}, "no such subset"},
		"no such trial":      {breakerRule, []string{"--only", "nonsense"}, "calls for no trial"},
		"too many":           {breakerRule, []string{"--endpoints", "1000"}, "--endpoints 1000"},
		"no protocol":        {breakerRule, []string{"--protocol", "spdy"}, "http1 or http2"},
		"no counters":        {breakerRule, []string{"--target", "http://127.0.0.1:1/", "--max-rate", "9/s"}, "--prometheus a Prometheus"},
		"labels of nothing":  {breakerRule, []string{"--target", "http://127.0.0.1:1/", "--admin", "http://127.0.0.1:1", "--max-rate", "9/s", "--prometheus-labels", "a=\"b\""}, "--prometheus does not name one"},
		"no rate":            {breakerRule, []string{"--peak", "much"}, "--peak"},
		"a port that is tcp": {breakerRule + "---\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: prod}\nspec: {selector: {app: r}, ports: [{name: tcp-db, port: 80}]}\n", nil, "hold for HTTP only"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"breaker"}, test.args...)
			if test.file != "" {
				args = append(args, "-f", breakerFile(t, test.file))
			}
			p := newProcess(t, "")
			if got := Main(args, p.Process); got != exitUsage {
				t.Errorf("exit code: got %d, want %d", got, exitUsage)
			}
			if !strings.Contains(p.stderr.String(), test.says) {
				t.Errorf("got %q, want it to say %q", p.stderr.String(), test.says)
			}
		})
	}
}

// The policy is printed with the line of each value, and nothing is started for it.
func TestBreakerPrintEffective(t *testing.T) {
	file := breakerFile(t, breakerRule+`---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: prod}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: prod}
spec: {replicas: 4, selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: c, image: i}]}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: prod}
spec: {inboundConnectionPool: {http: {http2MaxRequests: 33}}}
`)
	p := newProcess(t, "")
	if got := Main([]string{"breaker", "-f", file, "--print-effective", "--json", "-"}, p.Process); got != exitDone {
		t.Fatalf("exit code: got %d (%s)", got, p.stderr.String())
	}
	var report struct {
		Endpoints int
		Protocol  string
		Effective map[string]struct {
			Value  any
			Source string
		}
	}
	if err := json.Unmarshal(p.stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if report.Endpoints != 4 || report.Protocol != "http1" {
		t.Errorf("got %d endpoints of %s, want what Deployment and Service say", report.Endpoints, report.Protocol)
	}
	for field, want := range map[string]struct {
		value any
		from  string
	}{
		"connectionPool.http.http2MaxRequests":        {10.0, file + ":7"},
		"server.connectionPool.http.http2MaxRequests": {33.0, file + ":22"},
		"connectionPool.tcp.connectTimeout":           {"400ms", file + ":7"},
		"connectionPool.http.maxRetries":              {"unlimited", "Istio default"},
	} {
		if got := report.Effective[field]; got.Value != want.value || got.Source != want.from {
			t.Errorf("%s: got %v from %s, want %v from %s", field, got.Value, got.Source, want.value, want.from)
		}
	}
	text := p.stderr.String() // the table, since the JSON went to standard output
	for _, line := range []string{"At each client's Envoy", "At each endpoint's sidecar", "Istio default"} {
		if !strings.Contains(text, line) {
			t.Errorf("the table does not say %q:\n%s", line, text)
		}
	}
}

// The peak of a run is that of its scenario, and answers take what the run measured.
func TestBreakerPeakOfARun(t *testing.T) {
	p := newProcess(t, "")
	if got := Main([]string{"breaker", "-f", breakerFile(t, breakerRule), "--print-effective", "--json", "-", "--peak", "../../../analysis/testdata/records/service"}, p.Process); got != exitDone {
		t.Fatalf("exit code: got %d (%s)", got, p.stderr.String())
	}
	var report struct {
		Notes      []string
		Judgements []struct{ Name, Verdict, Observed string }
	}
	if err := json.Unmarshal(p.stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, "the peak is demand.peakRate of the scenario, 5\u00a0000/s; answers took 25ms on average") {
		t.Errorf("got the notes %q", notes)
	}
	// 5000/s of 25 ms are 127 in flight by Little's law, and the limit is 10.
	if len(report.Judgements) == 0 || report.Judgements[0].Verdict != "fail" || !strings.Contains(report.Judgements[0].Observed, "127 in flight") {
		t.Errorf("got %+v", report.Judgements)
	}
	for _, test := range []struct{ dir, says string }{
		{t.TempDir(), "--peak: "},
		{"../../../loadgen/record/testdata/nowhere", "--peak: "},
	} {
		p := newProcess(t, "")
		if got := Main([]string{"breaker", "-f", breakerFile(t, breakerRule), "--print-effective", "--peak", test.dir}, p.Process); got != exitUsage || !strings.Contains(p.stderr.String(), test.says) {
			t.Errorf("%s: exit code %d, %q", test.dir, got, p.stderr.String())
		}
	}
}
