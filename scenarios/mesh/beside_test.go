package mesh_test

import (
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
