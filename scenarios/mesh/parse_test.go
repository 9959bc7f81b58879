package mesh_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// rule is a DestinationRule up to its traffic policy, which begins on line 7.
const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: prod}
spec:
  host: reviews
  trafficPolicy:
`

// withPolicy indents the lines of a traffic policy below the rule.
func withPolicy(lines string) string {
	return rule + "    " + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n    ") + "\n"
}

func TestParseErrors(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string
	}{
		"empty":               {"", []string{"dr.yaml:1:1: the file holds no Kubernetes object"}},
		"only separators":     {"---\n---\n# x\n", []string{"holds no Kubernetes object"}},
		"text":                {"hello", []string{"expected a Kubernetes object"}},
		"a list":              {"- a\n", []string{"found a list"}},
		"no kind":             {"a: 1\n", []string{"kind is missing"}},
		"binary":              {"\x00\x01\x02", []string{"not valid YAML"}},
		"unknown version":     {strings.Replace(rule, "io/v1", "io/v2", 1) + "    outlierDetection: {}\n", []string{"dr.yaml:1:13", "no version of DestinationRule", "networking.istio.io/v1"}},
		"no spec":             {"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n", []string{"spec: is missing"}},
		"no name":             {strings.Replace(withPolicy("outlierDetection: {}"), "name: reviews, ", "", 1), []string{"metadata.name: is missing"}},
		"no host":             {strings.Replace(withPolicy("outlierDetection: {}"), "  host: reviews\n", "", 1), []string{"spec.host: is missing"}},
		"fields outside spec": {"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nhost: b\n", []string{"dr.yaml:4:1: host: unknown field", "belong under spec"}},
		"metadata":            {strings.Replace(rule, "namespace:", "namspace:", 1) + "    outlierDetection: {}\n", []string{`did you mean "namespace"?`}},
		"field of tcp in http": {withPolicy("connectionPool:\n  http: {maxConnections: 5}"),
			[]string{"dr.yaml:8:14: spec.trafficPolicy.connectionPool.http.maxConnections: unknown field", `"maxConnections" belongs at spec.trafficPolicy.connectionPool.tcp.maxConnections`}},
		"snake case":             {withPolicy("connectionPool: {tcp: {max_connections: 5}}"), []string{`did you mean "maxConnections"?`}},
		"misspelt":               {withPolicy("outlierDetection: {consecutive5xxError: 5}"), []string{`did you mean "consecutive5xxErrors"?`}},
		"field nobody knows":     {withPolicy("outlierDetection: {zzz: 5}"), []string{"known here: baseEjectionTime"}},
		"int32":                  {withPolicy("connectionPool: {tcp: {maxConnections: 4294967295}}"), []string{"a whole number up to 2147483647"}},
		"quoted number":          {withPolicy(`connectionPool: {tcp: {maxConnections: "5"}}`), []string{"write it without quotes"}},
		"negative":               {withPolicy("connectionPool: {http: {http2MaxRequests: -1}}"), []string{"must not be negative"}},
		"fraction":               {withPolicy("connectionPool: {http: {http2MaxRequests: 1.5}}"), []string{"expected a whole number"}},
		"duration without unit":  {withPolicy("connectionPool: {tcp: {connectTimeout: 5}}"), []string{"expected a duration", "write for instance 30s"}},
		"duration too short":     {withPolicy("connectionPool: {tcp: {connectTimeout: 0s}}"), []string{"at least 1ms"}},
		"part of a millisecond":  {withPolicy("outlierDetection: {interval: 1500us}"), []string{"whole milliseconds"}},
		"percent":                {withPolicy("outlierDetection: {maxEjectionPercent: 101}"), []string{"from 0 to 100"}},
		"status code":            {withPolicy("outlierDetection: {outlierDetectionHttpErrorCodes: [500, 99]}"), []string{"outlierDetectionHttpErrorCodes[1]: must be from 100 to 599"}},
		"local without split":    {withPolicy("outlierDetection: {consecutiveLocalOriginFailures: 5}"), []string{"splitExternalLocalOriginErrors: true"}},
		"upgrade both ways":      {withPolicy("connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}"), []string{"refuses UPGRADE together"}},
		"enum":                   {withPolicy("connectionPool: {http: {h2UpgradePolicy: UPGRAD}}"), []string{`did you mean "UPGRADE"?`}},
		"empty pool":             {withPolicy("connectionPool: {}"), []string{"refuses a connection pool"}},
		"empty policy":           {strings.Replace(rule, "trafficPolicy:", "trafficPolicy: {}", 1), []string{"refuses an empty policy"}},
		"list for a message":     {withPolicy("outlierDetection: [1]"), []string{"expected fields and values, found a list"}},
		"message for a list":     {withPolicy("portLevelSettings: {}"), []string{"expected a list"}},
		"two of a oneof":         {withPolicy("loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}"), []string{"only one of simple and consistentHash"}},
		"port without number":    {withPolicy("portLevelSettings: [{connectionPool: {tcp: {maxConnections: 1}}}]"), []string{"portLevelSettings[0].port.number: is missing"}},
		"subset twice":           {withPolicy("outlierDetection: {}") + "  subsets: [{name: a}, {name: a}]\n", []string{`a second subset "a"`}},
		"duplicate field":        {withPolicy("outlierDetection: {interval: 1s, interval: 2s}"), []string{`duplicate key "interval"`}},
		"second document is bad": {withPolicy("outlierDetection: {}") + "---\n" + withPolicy("outlierDetectio: {}"), []string{"dr.yaml:15:5", `did you mean "outlierDetection"?`}},
		"helm template":          {"kind: {{ .Values.kind }}\n", []string{"render it first"}},
		"alias bomb":             {bomb(), []string{"aliases expanded"}},
		"deep":                   {strings.Repeat("[", 2000) + strings.Repeat("]", 2000), []string{"nested deeper than 64 levels"}},
		"huge document":          {strings.Repeat("# 3456789\n", 1<<18), []string{"2.5 MiB, more than the limit of 2.0 MiB"}},
		"huge file":              {strings.Repeat("---\n", 5<<20), []string{"20.0 MiB, more than the limit of 16.0 MiB"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := mesh.Parse("dr.yaml", []byte(test.in))
			if err == nil {
				t.Fatal("got no error")
			}
			var problems scenarios.Errors
			if !errors.As(err, &problems) {
				t.Errorf("got an error of type %T, want scenarios.Errors", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got\n%v\nwant %q in it", err, want)
				}
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func TestParseWholeRule(t *testing.T) {
	const in = `apiVersion: v1
kind: List
items:
- apiVersion: networking.istio.io/v1beta1
  kind: DestinationRule
  metadata:
    name: all
    labels: {a: b}
    managedFields: [{manager: kubectl}]
  spec:
    host: "*.prod.svc.cluster.local"
    exportTo: ["."]
    workloadSelector: {matchLabels: {app: x}}
    trafficPolicy:
      loadBalancer:
        consistentHash: {httpCookie: {name: c, ttl: 0s}}
        localityLbSetting: {enabled: true, failover: [{from: a, to: b}]}
      tls: {mode: ISTIO_MUTUAL, subjectAltNames: [a]}
      tunnel: {protocol: CONNECT, targetHost: h, targetPort: 443}
      proxyProtocol: {version: V2}
      connectionPool: {http: {http2MaxRequests: 0}, tcp: {tcpKeepalive: {time: 7500ms}}}
      outlierDetection: {consecutiveErrors: 7}
      retryBudget: {percent: 33.5, minRetryConcurrency: 2}
    subsets:
    - {name: v1, labels: {version: v1}}
  status: {anything: [goes]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g}
spec: {whatever: 1}
`
	objects, err := mesh.Parse("all.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 2 || objects[0].Name != "all" || objects[0].Line != 4 {
		t.Fatalf("got %+v, want the rule of line 4 and the gateway", objects)
	}
	if got, want := objects[1].Note, "Gateway g is not read here"; got != want {
		t.Errorf("got note %q, want %q", got, want)
	}
	warnings := objects[0].Warnings.Error()
	for _, want := range []string{"0 means that there is no limit", "cuts 7.5s to 7s", "use consecutive5xxErrors"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("got warnings\n%s\nwant %q among them", warnings, want)
		}
	}
}
