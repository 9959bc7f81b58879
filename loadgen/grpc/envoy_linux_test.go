package grpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// envoyConfig is a gateway before a service of gRPC. The header x-to of a call
// says where it goes: to the service when there is none, else to a cluster that
// allows no request at once, to one without endpoints, to a port where nobody
// listens, past a rule that denies, or past a limit of one request an hour.
const envoyConfig = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {match: {prefix: /, headers: [{name: x-to, string_match: {exact: tight}}]}, route: {cluster: tight}}
              - {match: {prefix: /, headers: [{name: x-to, string_match: {exact: none}}]}, route: {cluster: none}}
              - {match: {prefix: /, headers: [{name: x-to, string_match: {exact: gone}}]}, route: {cluster: gone}}
              - {match: {prefix: /, headers: [{name: x-to, string_match: {exact: slow}}]}, route: {cluster: service, timeout: 0.05s}}
              - match: {prefix: /, headers: [{name: x-to, string_match: {exact: denied}}]}
                route: {cluster: service}
                typed_per_filter_config:
                  envoy.filters.http.rbac:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute
                    rbac: {rules: {action: DENY, policies: {all: {permissions: [{any: true}], principals: [{any: true}]}}}}
              - match: {prefix: /, headers: [{name: x-to, string_match: {exact: limited}}]}
                route: {cluster: service}
                typed_per_filter_config:
                  envoy.filters.http.local_ratelimit:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                    stat_prefix: limited
                    token_bucket: {max_tokens: 1, fill_interval: 3600s}
                    filter_enabled: {default_value: {numerator: 100}}
                    filter_enforced: {default_value: {numerator: 100}}
              - {match: {prefix: /, headers: [{name: x-to, present_match: true, invert_match: true}]}, route: {cluster: service}}
          http_filters:
          - name: envoy.filters.http.rbac
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC}
          - name: envoy.filters.http.local_ratelimit
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: all}
          - name: envoy.filters.http.fault
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
              abort: {header_abort: {}, percentage: {numerator: 100}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - &service
    name: service
    connect_timeout: 1s
    typed_extension_protocol_options: &h2
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment: {cluster_name: service, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: PORT}}}}]}]}
  - name: tight
    connect_timeout: 1s
    circuit_breakers: {thresholds: [{max_requests: 0}]}
    typed_extension_protocol_options: *h2
    load_assignment: {cluster_name: tight, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: PORT}}}}]}]}
  - {name: none, connect_timeout: 1s, load_assignment: {cluster_name: none}}
  - name: gone
    connect_timeout: 1s
    typed_extension_protocol_options: *h2
    load_assignment: {cluster_name: gone, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}
`

// findEnvoy returns the path of an Envoy, or skips the test.
func findEnvoy(t *testing.T) string {
	t.Helper()
	places := lab.EnvoyPlaces{Environment: os.Getenv("SAILPLAN_ENVOY"), SearchPath: os.Getenv("PATH")}
	if cache, err := os.UserCacheDir(); err == nil {
		places.CacheDir = filepath.Join(cache, "sailplan")
	}
	found, err := lab.FindEnvoy(places)
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "envoy") {
			t.Fatalf("envoy is required: %v", err)
		}
		t.Skipf("needs envoy: %v", err)
	}
	return found.Path
}

// startEnvoy starts Envoy before a service and returns its address.
func startEnvoy(t *testing.T, upstream string) string {
	t.Helper()
	binary := findEnvoy(t)
	_, port, err := net.SplitHostPort(upstream)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	config, admin := filepath.Join(directory, "envoy.yaml"), filepath.Join(directory, "admin")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(envoyConfig, "PORT", port)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, binary, "-c", config, "--concurrency", "1", "--disable-hot-restart",
		"--log-level", "error", "--admin-address-path", admin)
	var log bytes.Buffer
	command.Stderr = &log
	if err := command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range 500 {
		<-ticker.C
		if address := listenerOf(admin); address != "" {
			return address
		}
	}
	t.Fatal("envoy did not start")
	return ""
}

// listenerOf asks Envoy where it listens; "" when it can't be asked yet.
func listenerOf(admin string) string {
	address, err := os.ReadFile(admin)
	if err != nil || len(address) == 0 {
		return ""
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	response, err := client.Get("http://" + strings.TrimSpace(string(address)) + "/listeners?format=json")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var listeners struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if json.NewDecoder(response.Body).Decode(&listeners) != nil || len(listeners.Statuses) == 0 {
		return ""
	}
	s := listeners.Statuses[0].Local.Socket
	return fmt.Sprintf("%s:%d", s.Address, s.Port)
}

// TestEnvoyAnswers: what a real Envoy answers to calls is told apart.
func TestEnvoyAnswers(t *testing.T) {
	s := new(service)
	address := startEnvoy(t, serve(t, s))
	tests := []struct {
		name    string
		headers map[string]string
		message string
		class   string
	}{
		{"good", nil, "", "good"},
		{"not found", nil, `{"responseStatus": {"code": 5, "message": "no such product"}}`, "grpc-not-found"},
		{"unavailable", nil, `{"responseStatus": {"code": 14, "message": "try later"}}`, "grpc-unavailable"},
		{"denied by the service", nil, `{"responseStatus": {"code": 7, "message": "not yours"}}`, "grpc-permission-denied"},
		{"unimplemented by the service", nil, `{"responseStatus": {"code": 12, "message": "not yet"}}`, "grpc-unimplemented"},
		{"exhausted", nil, `{"responseStatus": {"code": 8, "message": "quota"}}`, "grpc-resource-exhausted"},
		{"breaker", map[string]string{"x-to": "tight"}, "", "overflow"},
		{"no endpoint", map[string]string{"x-to": "none"}, "", "no-healthy-upstream"},
		{"refused", map[string]string{"x-to": "gone"}, "", "connect-failure"},
		{"nowhere", map[string]string{"x-to": "nowhere"}, "", "no-route"},
		{"route timeout", map[string]string{"x-to": "slow", "x-wait": "1"}, "", "timeout-504"},
		{"rules", map[string]string{"x-to": "denied"}, "", "rbac-denied"},
		{"within the limit", map[string]string{"x-to": "limited"}, "", "good"},
		{"beyond the limit", map[string]string{"x-to": "limited"}, "", "rate-limited"},
		{"fault", map[string]string{"x-envoy-fault-abort-request": "503"}, "", "fault-injected"},
		{"fault by code", map[string]string{"x-envoy-fault-abort-grpc-request": "5"}, "", "fault-injected"},
	}
	p, set := plan(address), testSet(t)
	for _, tt := range tests {
		r := call(tt.name, "UnaryCall", tt.message)
		maps.Copy(r.Headers, tt.headers)
		r.GRPC.DescriptorSet = set
		p.Requests = append(p.Requests, r)
	}
	found, err := loadgen.Check(t.Context(), p, loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range tests {
		if got := found.Answers[i]; got.Status != 200 || got.Class != tt.class {
			t.Errorf("%s: %d, %s; want 200, %s", tt.name, got.Status, got.Class, tt.class)
		}
	}
}

// TestEnvoyRun: a load through a real Envoy, whose methods are asked for through
// it as well.
func TestEnvoyRun(t *testing.T) {
	s := new(service)
	p := plan(startEnvoy(t, serve(t, s)), mix()...)
	tight := call("tight", "UnaryCall", "")
	tight.Headers["x-to"] = "tight"
	p.Requests = append(p.Requests, tight)
	facts := run(t, p)
	if facts.Errors["overflow"] < 40 {
		t.Errorf("errors %v, want overflows", facts.Errors)
	}
	// To the service they are calls that never were.
	facts.Counts.Answered -= facts.Errors["overflow"]
	facts.Counts.Bad -= facts.Errors["overflow"]
	facts.Statuses[200] -= facts.Errors["overflow"]
	delete(facts.Errors, "overflow")
	checkFacts(t, s, facts)
}

// testSet writes the descriptor set of the test service to a file.
func testSet(t *testing.T) string {
	t.Helper()
	set := new(descriptorpb.FileDescriptorSet)
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		if !slices.ContainsFunc(set.File, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == file.Path() }) {
			set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
		}
	}
	add(grpc_testing.File_grpc_testing_test_proto)
	b, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.pb")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
