package cli

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
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
		"no file":                  {"", []string{}, "give its file with -f"},
		"not there":                {"", []string{"-f", "nowhere.yaml"}, "nowhere.yaml"},
		"not YAML":                 {"a: [", nil, "dr.yaml:1"},
		"no rule in it":            {"apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n", nil, "no DestinationRule at all"},
		"an unknown field":         {strings.Replace(breakerRule, "http2MaxRequests", "maxConnections", 1), nil, "dr.yaml:7"},
		"a refused value":          {strings.Replace(breakerRule, "400ms", "-1s", 1), nil, "dr.yaml:7"},
		"another host":             {breakerRule, []string{"--host", "ratings.prod.svc.cluster.local"}, "rules for reviews"},
		"no such subset":           {breakerRule, []string{"--subset", "v2"}, "no such subset"},
		"no such trial":            {breakerRule, []string{"--only", "nonsense"}, "calls for no trial"},
		"too many":                 {breakerRule, []string{"--endpoints", "1000"}, "--endpoints 1000"},
		"no protocol":              {breakerRule, []string{"--protocol", "spdy"}, "http1 or http2"},
		"no counters":              {breakerRule, []string{"--target", "http://127.0.0.1:1/", "--max-rate", "9/s"}, "--prometheus a Prometheus"},
		"labels of nothing":        {breakerRule, []string{"--target", "http://127.0.0.1:1/", "--admin", "http://127.0.0.1:1", "--max-rate", "9/s", "--prometheus-labels", "a=\"b\""}, "--prometheus does not name one"},
		"no rate":                  {breakerRule, []string{"--peak", "much"}, "--peak"},
		"a port that is not there": {breakerRule + "---\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: prod}\nspec: {selector: {app: r}, ports: [{name: http, port: 80}, {name: grpc, port: 90}]}\n", []string{"--port", "81"}, "has the ports 80, 90"},
		"a port that is tcp":       {breakerRule + "---\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: prod}\nspec: {selector: {app: r}, ports: [{name: tcp-db, port: 80}]}\n", nil, "hold for HTTP only"},
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

// What is left out for want of a port, or is more than a machine can do, is said; and
// what the rule comes to for all endpoints is found all the same.
func TestBreakerSaysWhatItLeavesOut(t *testing.T) {
	file := breakerFile(t, breakerRule+`    outlierDetection: {maxEjectionPercent: 1}
    portLevelSettings: [{port: {number: 90}, connectionPool: {http: {http2MaxRequests: 9}}}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: prod}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}, {name: grpc, port: 90}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: prod}
spec: {replicas: 120, selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: c, image: i}]}}}
`)
	for _, test := range []struct {
		flags []string
		says  []string
		never bool // ejects
	}{
		{nil, []string{"50 endpoints are tried, the most that a machine does, of 120", "portLevelSettings hold for their ports alone", "has the ports 80, 90, and none was chosen"}, false},
		{[]string{"--port", "90"}, []string{"HTTP/2, because the port of the Service is named grpc"}, false},
		{[]string{"--port", "80", "--endpoints", "20"}, []string{"HTTP/1.1, because"}, true},
	} {
		p := newProcess(t, "")
		if got := Main(append([]string{"breaker", "-f", file, "--print-effective", "--json", "-"}, test.flags...), p.Process); got != exitDone {
			t.Fatalf("exit code: got %d (%s)", got, p.stderr.String())
		}
		var report struct {
			Notes    []string
			Findings []struct{ Code string }
		}
		if err := json.Unmarshal(p.stdout.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(report.Notes, "\n")
		for _, want := range test.says {
			if !strings.Contains(notes, want) {
				t.Errorf("%q: the notes do not say %q: %s", test.flags, want, notes)
			}
		}
		if len(test.flags) > 0 && strings.Contains(notes, "none was chosen") {
			t.Errorf("%q: a port was chosen: %s", test.flags, notes)
		}
		never := slices.ContainsFunc(report.Findings, func(f struct{ Code string }) bool { return f.Code == "SP011" })
		if never != test.never {
			t.Errorf("%q: that it never ejects is found: %t, want %t", test.flags, never, test.never)
		}
	}
}

// peakOf is what a run directory and flags come to as a peak, and how the settings of
// breakerRule stand to it.
func peakOf(t *testing.T, run string, flags ...string) (given map[string]struct {
	Value  float64
	Source string
}, endpoints int, judgements map[string]string) {
	t.Helper()
	p := newProcess(t, "")
	args := append([]string{"breaker", "-f", breakerFile(t, breakerRule+"    outlierDetection: {maxEjectionPercent: 50}\n"), "--print-effective", "--json", "-", "--peak", run}, flags...)
	if got := Main(args, p.Process); got != exitDone {
		t.Fatalf("exit code: got %d (%s)", got, p.stderr.String())
	}
	var report struct {
		Endpoints int
		Peak      []struct {
			Name, Source string
			Value        float64
		}
		Judgements []struct{ Name, Verdict, Observed string }
	}
	if err := json.Unmarshal(p.stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	given = map[string]struct {
		Value  float64
		Source string
	}{}
	for _, g := range report.Peak {
		given[g.Name] = struct {
			Value  float64
			Source string
		}{g.Value, g.Source}
		if !strings.Contains(p.stderr.String(), strings.Fields(g.Source)[0]) {
			t.Errorf("the table does not say where %s comes from: %s", g.Name, p.stderr.String())
		}
	}
	judgements = map[string]string{}
	for _, j := range report.Judgements {
		judgements[j.Name] = strings.ReplaceAll(j.Verdict+": "+j.Observed, "\u00a0", " ")
	}
	return given, report.Endpoints, judgements
}

// The peak of a run is that of its scenario; answers take what the run measured, as many
// clients share it as the run recommends gateways for it, and endpoints carry what the
// run says. Values are those of the golden results beside the records.
func TestBreakerPeakOfARun(t *testing.T) {
	const records = "../../../analysis/testdata/records/"
	for _, test := range []struct {
		name, record string
		flags        []string
		endpoints    int
		want         map[string]float64 // to 3 %
		from         map[string]string
		judgements   map[string]string
	}{
		// 5000/s of 25 ms are 127 in flight by Little's law, 14.1 at each of nine gateways.
		{"a lab, whose endpoints say nothing of the user's", "service", nil, 3,
			map[string]float64{"rate": 5000, "answerTime": 0.0253, "clients": 9, "endpointSeen": 1242},
			map[string]string{"rate": "demand.peakRate", "answerTime": "on average in the phase", "clients": "as many gateways as", "endpointSeen": "in a lab"},
			map[string]string{"false trips of a client": "fail: at 5 000/s a client has 14.1 in flight", "the rest after an ejection": "fail: "}},
		{"a system of the user's", "target-prometheus", nil, 3,
			map[string]float64{"rate": 12000, "clients": 3, "endpointCapacity": 16400},
			map[string]string{"clients": "as many gateways as", "endpointCapacity": "the capacity of a replica of shop (cpu-75%)"},
			nil},
		{"flags say otherwise", "target-prometheus", []string{"--clients", "4", "--endpoint-capacity", "5000/s", "--answer-time", "10ms", "--endpoints", "4"}, 4,
			map[string]float64{"rate": 12000, "clients": 4, "endpointCapacity": 5000, "answerTime": 0.01},
			map[string]string{"clients": "--clients", "endpointCapacity": "--endpoint-capacity", "answerTime": "--answer-time"},
			map[string]string{"the rest after an ejection": "fail: with 2 of 4 out, each of the other 2 gets 6 000/s"}},
		{"a gateway that bound before its endpoints did", "gateway-quota", nil, 3,
			map[string]float64{"rate": 5000, "clients": 6, "endpointSeen": 3300},
			map[string]string{"endpointSeen": "what each of 1 replica carried"},
			map[string]string{"the rest after an ejection": "fail: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			given, endpoints, judgements := peakOf(t, records+test.record, test.flags...)
			if endpoints != test.endpoints {
				t.Errorf("got %d endpoints, want %d", endpoints, test.endpoints)
			}
			for name, want := range test.want {
				if got := given[name].Value; math.Abs(got-want) > 0.03*want {
					t.Errorf("%s: got %g, want %g", name, got, want)
				}
			}
			for name, want := range test.from {
				if got := given[name].Source; !strings.Contains(got, want) {
					t.Errorf("%s: got from %q, want %q", name, got, want)
				}
			}
			for name, want := range test.judgements {
				if got := judgements[name]; !strings.HasPrefix(got, want) {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// What is no run, or none that shows a peak, is refused.
func TestBreakerPeakOfNoRun(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "../../../loadgen/record/testdata/nowhere"} {
		p := newProcess(t, "")
		if got := Main([]string{"breaker", "-f", breakerFile(t, breakerRule), "--print-effective", "--peak", dir}, p.Process); got != exitUsage || !strings.Contains(p.stderr.String(), "--peak: ") {
			t.Errorf("%s: exit code %d, %q", dir, got, p.stderr.String())
		}
	}
}
