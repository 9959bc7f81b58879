package lab

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fullPolicy is a DestinationRule that sets every field the lab hands on.
const fullPolicy = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service}
spec:
  host: service.lab.svc.cluster.local
  trafficPolicy:
    connectionPool:
      tcp:
        maxConnections: 7
        connectTimeout: 1500ms
        maxConnectionDuration: 90s
        tcpKeepalive: {probes: 3, time: 20s, interval: 5s}
      http:
        http1MaxPendingRequests: 5
        http2MaxRequests: 11
        maxRequestsPerConnection: 9
        maxRetries: 2
        idleTimeout: 30s
        maxConcurrentStreams: 13
    outlierDetection:
      splitExternalLocalOriginErrors: true
      consecutiveLocalOriginFailures: 4
      consecutive5xxErrors: 0
      consecutiveGatewayErrors: 3
      interval: 5s
      baseEjectionTime: 15s
      maxEjectionPercent: 50
      minHealthPercent: 20
`

// effective returns the policy for the test service by the given YAML.
func effective(t *testing.T, text string) mesh.Policy {
	t.Helper()
	objects, err := mesh.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := mesh.EffectiveFor(objects, ServiceHost, "", ServicePort)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// goldenConfigs are the proxies whose configuration is pinned by golden files.
func goldenConfigs(t *testing.T, certs func(name string) keyPair, caFile string) map[string]*bootstrapv3.Bootstrap {
	t.Helper()
	public := certs("public")
	full := effective(t, fullPolicy)
	full.OutlierDetection.HTTPErrorCodes.Value = []uint32{500, 429}
	gateway := proxyConfig{Name: "gateway-0", Upstreams: []uint32{15001, 15002}, CAFile: caFile, Identity: certs(gatewayAccount)}
	sidecar := proxyConfig{Name: "sidecar-0", Upstreams: []uint32{8080}, CAFile: caFile, Identity: certs(serviceAccount)}
	built := make(map[string]*bootstrapv3.Bootstrap)
	for name, policy := range map[string]mesh.Policy{
		"default": effective(t, string(mesh.DefaultPolicy())),
		"full":    full,
		"none":    mesh.IstioDefaults(),
	} {
		gateway.Policy, sidecar.Policy = policy, policy
		gateway.Public = nil
		if name == "full" {
			gateway.Public = &public
		}
		var err error
		if built["gateway-"+name], err = gatewayBootstrap(gateway); err != nil {
			t.Fatal(err)
		}
		if built["sidecar-"+name], err = sidecarBootstrap(sidecar); err != nil {
			t.Fatal(err)
		}
	}
	return built
}

func TestEnvoyConfigGolden(t *testing.T) {
	named := func(name string) keyPair {
		return keyPair{CertFile: "/lab/" + name + ".pem", KeyFile: "/lab/" + name + ".key"}
	}
	for name, config := range goldenConfigs(t, named, "/lab/ca.pem") {
		t.Run(name, func(t *testing.T) {
			text, err := marshalConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			// The encoder varies its white space on purpose.
			var indented bytes.Buffer
			if err := json.Indent(&indented, text, "", "  "); err != nil {
				t.Fatal(err)
			}
			indented.WriteByte('\n')
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, indented.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := indented.String(); got != string(want) {
				t.Errorf("the configuration differs from %s (update with -update):\n%s", file, got)
			}
		})
	}
}

// TestEnvoyAcceptsConfig lets Envoy itself check what is in the golden files.
func TestEnvoyAcceptsConfig(t *testing.T) {
	found, err := FindEnvoy(EnvoyPlaces{Environment: os.Getenv("SAILPLAN_ENVOY"), SearchPath: os.Getenv("PATH")})
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "envoy") {
			t.Fatalf("envoy is required: %v", err)
		}
		t.Skipf("no envoy: %v", err)
	}
	dir := t.TempDir()
	ca, err := newAuthority(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certs := func(name string) keyPair {
		issue := ca.workload
		if name == "public" {
			issue = ca.localhost
		}
		pair, err := issue(name)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	for name, config := range goldenConfigs(t, certs, ca.caFile) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name+".json")
			if err := writeConfig(file, config); err != nil {
				t.Fatal(err)
			}
			output, err := exec.CommandContext(t.Context(), found.Path, "--mode", "validate", "--config-path", file).CombinedOutput()
			if err != nil {
				t.Errorf("envoy --mode validate: %v\n%s", err, output)
			}
			if warnings := bytes.Count(output, []byte("[warning]")); warnings > 0 {
				t.Errorf("%d warnings:\n%s", warnings, output)
			}
		})
	}
}

func TestListenerPort(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       uint32
		ok         bool
	}{
		{"as Envoy says it", `{"listener_statuses":[{"name":"gateway","local_address":{"socket_address":{"address":"127.0.0.1","port_value":34567}}}]}`, 34567, true},
		{"fields of the future", `{"listener_statuses":[{"x":1,"local_address":{"socket_address":{"port_value":1}}}],"y":2}`, 1, true},
		{"no listener", `{}`, 0, false},
		{"not bound", `{"listener_statuses":[{"name":"gateway"}]}`, 0, false},
		{"no JSON", `gateway::127.0.0.1:34567`, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := listenerPort([]byte(tt.text))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("= %d, %v, want %d, ok %t", got, err, tt.want, tt.ok)
			}
		})
	}
}

func FuzzListenerPort(f *testing.F) {
	f.Add([]byte(`{"listener_statuses":[{"local_address":{"socket_address":{"port_value":34567}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if port, err := listenerPort(text); err == nil && (port == 0 || port > 65535) {
			t.Errorf("port %d", port)
		}
	})
}

// TestConfigSecrecy: files with keys, or naming them, are the user's alone.
func TestConfigSecrecy(t *testing.T) {
	dir := t.TempDir()
	ca, err := newAuthority(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.workload(serviceAccount); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d files, %v, want 3", len(entries), err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", entry.Name(), mode)
		}
	}
}
