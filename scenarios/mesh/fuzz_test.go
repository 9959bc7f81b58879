package mesh_test

import (
	"errors"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// FuzzParse wants a plain answer to any file: objects, from which a policy can
// be computed, or problems with a message.
func FuzzParse(f *testing.F) {
	f.Add(mesh.DefaultPolicy(), "", uint32(0))
	f.Add([]byte(withPolicy("connectionPool: {http: {maxConnections: 5}}")), "v1", uint32(80))
	f.Add([]byte(withPolicy("portLevelSettings: [{port: {number: 80}, outlierDetection: {interval: 1s}}]")+"  subsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {time: 1s}}}}}]\n"), "v1", uint32(80))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{kind: List}, 1, null]\n"), "", uint32(0))
	f.Add([]byte("a: &a [*a]\n"), "", uint32(0))
	f.Add([]byte("kind: {{ .Values.x }}"), "", uint32(0))
	f.Add([]byte("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec: {hosts: [a], http: [{route: [{destination: {host: a}}], retries: {attempts: 3, perTryTimeout: 1s}}]}\n"), "", uint32(0))
	f.Add([]byte(withPolicy("connectionPool: {http: {http2MaxRequests: 5}}")+"---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec: {inboundConnectionPool: {tcp: {maxConnections: 1}}, ingress: [{port: {number: 80}}]}\n"), "", uint32(80))
	f.Add([]byte(withPolicy("connectionPool: {}")+"---\napiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: i}\nspec: {meshConfig: {connectTimeout: 1s, defaultTrafficPolicy: {outlierDetection: {}}}}\n"), "", uint32(0))
	f.Fuzz(func(t *testing.T, data []byte, subset string, port uint32) {
		// What stands beside the rule is read from files of any kind.
		if all, err := mesh.Read("fuzz.yaml", data); err == nil {
			if policy, err := mesh.EffectiveFor(all, "", subset, port); err == nil {
				mesh.InboundFor(all, policy)
			}
			mesh.RouteTo(all, "a", subset)
		}
		objects, err := mesh.Parse("fuzz.yaml", data)
		if err != nil {
			var problems scenarios.Errors
			if !errors.As(err, &problems) || len(problems) == 0 || err.Error() == "" {
				t.Fatalf("got error %#v, want problems with a message", err)
			}
			return
		}
		policy, err := mesh.EffectiveFor(objects, "", subset, port)
		if err != nil {
			return
		}
		if policy.ConnectionPool.TCP.ConnectTimeout.Value <= 0 || policy.OutlierDetection.MaxEjectionPercent.Value > 100 {
			t.Errorf("got a policy that Envoy refuses: %+v", policy)
		}
	})
}
