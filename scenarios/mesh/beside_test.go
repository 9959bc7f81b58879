package mesh_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// read reads objects of every kind.
func read(t *testing.T, in string) []mesh.Object {
	t.Helper()
	objects, err := mesh.Read("all.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

const ratings = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ratings, namespace: prod}
spec:
  host: ratings.prod.svc.cluster.local
  trafficPolicy:
    connectionPool: {http: {http2MaxRequests: 11}}
`

func TestMeshDefaults(t *testing.T) {
	const config = `---
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: istio, namespace: istio-system}
spec:
  meshConfig:
    connectTimeout: 3s
    h2UpgradePolicy: UPGRADE
    tcpKeepalive: {time: 20s}
    defaultTrafficPolicy:
      connectionPool: {tcp: {maxConnections: 5}}
      outlierDetection: {maxEjectionPercent: 60}
`
	p, err := mesh.EffectiveFor(read(t, ratings+config), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ name, got, want string }{
		{"connectTimeout", show(p.ConnectionPool.TCP.ConnectTimeout), "3s all.yaml:14"},
		{"upgrade", show(p.ConnectionPool.HTTP.H2UpgradePolicy), "UPGRADE all.yaml:15"},
		{"keepalive", show(p.ConnectionPool.TCP.Keepalive.Time), "20s all.yaml:16"},
		{"the rule's pool as a whole", show(p.ConnectionPool.TCP.MaxConnections), "inf Istio default"},
		{"the rule's own", show(p.ConnectionPool.HTTP.MaxRequests), "11 all.yaml:7"},
		{"outlier detection of the mesh", show(p.OutlierDetection.MaxEjectionPercent), "60 all.yaml:19"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %s, want %s", check.name, check.got, check.want)
		}
	}
}

// The mesh's configuration as istiod reads it stands in a text of a ConfigMap; its lines
// are those of the file.
func TestMeshDefaultsOfAConfigMap(t *testing.T) {
	const literal = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: "networks: {}"
  mesh: |-
    # as installed

    connectTimeout: 3s
    defaultTrafficPolicy:
      outlierDetection:
        maxEjectionPercent: 60
`
	const quoted = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-1-29, namespace: istio-system}\ndata:\n  mesh: \"{connectTimeout: 3s, defaultTrafficPolicy: {outlierDetection: {maxEjectionPercent: 60}}}\"\n"
	for _, test := range []struct{ name, config, timeout, percent, note string }{
		{"a text of several lines", literal, "3s all.yaml:17", "60 all.yaml:20", ""},
		{"a text of one line", quoted, "3s all.yaml:13", "60 all.yaml:13", ""},
		{"another ConfigMap", strings.Replace(literal, "name: istio,", "name: other,", 1), "10s Istio default", "10 Istio default", ""},
		{"no YAML in it", strings.Replace(literal, "connectTimeout: 3s", "connectTimeout: [", 1), "10s Istio default", "10 Istio default", "data.mesh of the ConfigMap istio is left out: it is not YAML"},
		{"two of them", literal + strings.Replace(quoted, "3s", "4s", 1), "4s all.yaml:26", "60 all.yaml:26", "all.yaml:26: a further configuration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := mesh.EffectiveFor(read(t, ratings+test.config), "", "", 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(p.ConnectionPool.TCP.ConnectTimeout); got != test.timeout {
				t.Errorf("connectTimeout: got %s, want %s", got, test.timeout)
			}
			if got := show(p.OutlierDetection.MaxEjectionPercent); got != test.percent {
				t.Errorf("maxEjectionPercent: got %s, want %s", got, test.percent)
			}
			if got := strings.Join(p.Notes, "\n"); (got == "") != (test.note == "") || !strings.Contains(got, test.note) {
				t.Errorf("notes: got %q, want %q", got, test.note)
			}
		})
	}
}

func TestInboundFor(t *testing.T) {
	const sidecar = `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: %s}
spec:
  inboundConnectionPool: {http: {http1MaxPendingRequests: 7}}
  ingress:
  - {port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:9080", connectionPool: {http: {http2MaxRequests: 9}}}
`
	in := func(namespace string) string { return ratings + strings.ReplaceAll(sidecar, "%s", namespace) }
	for _, test := range []struct {
		name, files string
		port        uint32
		requests    string
		pending     string
	}{
		{"as the rule", ratings, 0, "11 all.yaml:7", "inf Istio default"},
		{"a Sidecar's pool", in("prod"), 0, "inf Istio default", "7 all.yaml:13"},
		{"its port's pool", in("prod"), 9080, "9 all.yaml:15", "inf Istio default"},
		{"of another namespace", in("dev"), 0, "11 all.yaml:7", "inf Istio default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := read(t, test.files)
			client, err := mesh.EffectiveFor(objects, "", "", test.port)
			if err != nil {
				t.Fatal(err)
			}
			p := mesh.InboundFor(objects, client)
			if got := show(p.ConnectionPool.HTTP.MaxRequests); got != test.requests {
				t.Errorf("requests: got %s, want %s", got, test.requests)
			}
			if got := show(p.ConnectionPool.HTTP.MaxPendingRequests); got != test.pending {
				t.Errorf("pending: got %s, want %s", got, test.pending)
			}
			if got := show(client.ConnectionPool.HTTP.MaxRequests); got != "11 all.yaml:7" {
				t.Errorf("the client's: got %s", got)
			}
		})
	}
}

// Which Sidecar holds is decided by the labels of the pods behind the host, as far as
// the files have them.
func TestInboundForSelectedPods(t *testing.T) {
	const (
		service = `---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: prod}
spec: {selector: {app: ratings}, ports: [{name: http, port: 80, targetPort: web}]}
`
		deployment = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ratings, namespace: prod}
spec:
  selector: {matchLabels: {app: ratings}}
  template:
    metadata: {labels: {app: ratings, tier: back}}
    spec: {containers: [{name: c, image: i, ports: [{name: web, containerPort: 9080}]}]}
`
	)
	sidecar := func(namespace, labels, spec string) string {
		if labels != "" {
			labels = "\n  workloadSelector: {labels: {" + labels + "}}"
		}
		return "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: " + namespace + "}\nspec:" + labels + "\n  " + spec + "\n"
	}
	of := func(year int, sidecar string) string {
		return strings.Replace(sidecar, "{name: s,", fmt.Sprintf("{name: s, creationTimestamp: \"%d-06-01T10:00:00Z\",", year), 1)
	}
	pool := func(n string) string { return "inboundConnectionPool: {http: {http2MaxRequests: " + n + "}}" }
	const listener = `ingress: [{port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:9080", connectionPool: {http: {http2MaxRequests: 9}}}]`
	for _, test := range []struct {
		name, files string
		want        string // http2MaxRequests of the sidecar
		note        string
	}{
		{"it selects them", service + deployment + sidecar("prod", "app: ratings, tier: back", pool("5")), "5", ""},
		{"it selects others", service + deployment + sidecar("prod", "app: other", pool("5")), "11", ""},
		{"a label that they do not have", service + deployment + sidecar("prod", "app: ratings, zone: a", pool("5")), "11", ""},
		{"another value of a known label", service + sidecar("prod", "app: other", pool("5")), "11", ""},
		{"a label that nobody tells of", service + sidecar("prod", "app: ratings, tier: back", pool("5")), "5", "do not say whether those of the destination"},
		{"nobody tells anything", sidecar("prod", "app: ratings", pool("5")), "5", "do not say whether those of the destination"},
		{"selected before all", service + deployment + sidecar("prod", "", pool("6")) + sidecar("prod", "app: ratings", pool("5")), "5", ""},
		{"the first of two", service + deployment + sidecar("prod", "app: ratings", pool("5")) + sidecar("prod", "tier: back", pool("6")), "5", "by the order of the files"},
		{"the older of two", service + deployment + of(2024, sidecar("prod", "app: ratings", pool("5"))) + of(2023, sidecar("prod", "tier: back", pool("6"))), "6", ""},
		{"of two without a selector the older", of(2024, sidecar("prod", "", pool("5"))) + of(2023, sidecar("prod", "", pool("6"))), "6", ""},
		{"of two of one second that with the first name", of(2024, sidecar("prod", "", pool("5"))) + strings.Replace(of(2024, sidecar("prod", "", pool("6"))), "name: s,", "name: a,", 1), "6", ""},
		{"the age of one is known", sidecar("prod", "", pool("5")) + of(2023, sidecar("prod", "", pool("6"))), "5", "by the order of the files"},
		{"the oldest of three", of(2023, sidecar("prod", "", pool("5"))) + of(2022, sidecar("prod", "", pool("6"))) + of(2024, sidecar("prod", "", pool("7"))), "6", ""},
		{"age does not come before selection", service + deployment + of(2022, sidecar("prod", "", pool("6"))) + of(2024, sidecar("prod", "app: ratings", pool("5"))), "5", ""},
		{"two where a third one selects", service + deployment + sidecar("prod", "", pool("6")) + sidecar("prod", "", pool("7")) + sidecar("prod", "app: ratings", pool("5")), "5", ""},
		{"of the root namespace", service + deployment + sidecar("istio-system", "", pool("7")), "7", ""},
		{"the namespace before the root", sidecar("istio-system", "", pool("7")) + sidecar("prod", "", pool("6")), "6", ""},
		{"of another root", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: 'rootNamespace: mesh'}\n" + sidecar("istio-system", "", pool("7")) + sidecar("mesh", "", pool("8")), "8", ""},
		{"the port behind the only port of the Service", service + deployment + sidecar("prod", "", listener), "9", ""},
		{"a port of the pods that is not known", service + sidecar("prod", "", listener), "11", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := read(t, ratings+test.files)
			client, err := mesh.EffectiveFor(objects, "", "", 0)
			if err != nil {
				t.Fatal(err)
			}
			p := mesh.InboundFor(objects, client)
			if got, _, _ := strings.Cut(show(p.ConnectionPool.HTTP.MaxRequests), " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if got := strings.Join(p.Notes, "\n"); (got == "") != (test.note == "") || !strings.Contains(got, test.note) {
				t.Errorf("notes: got %q, want %q", got, test.note)
			}
		})
	}
}

func TestRouteTo(t *testing.T) {
	objects := read(t, `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: prod}
spec:
  hosts: [ratings]
  http:
  - route: [{destination: {host: other}}]
    retries: {attempts: 9}
  - timeout: 2s
    route: [{destination: {host: ratings, subset: v2}}]
    retries: {attempts: 3, perTryTimeout: 250ms, retryOn: "5xx,429"}
  - route: [{destination: {host: ratings, subset: v1}}]
`)
	route, ok := mesh.RouteTo(objects, "ratings.prod.svc.cluster.local", "")
	if !ok || route.Attempts.Value != 3 || route.PerTry.Value != 250*time.Millisecond || route.Timeout.Value != 2*time.Second || show(route.On) != "5xx,429 all.yaml:11" {
		t.Errorf("got %+v, %t", route, ok)
	}
	if route, ok = mesh.RouteTo(objects, "ratings.prod.svc.cluster.local", "v1"); !ok || show(route.Attempts) != "2 Istio default" {
		t.Errorf("a route that says nothing of retries: %+v, %t", route, ok)
	}
	if _, ok := mesh.RouteTo(objects, "reviews.prod.svc.cluster.local", ""); ok {
		t.Error("a host without a route has one")
	}
}
