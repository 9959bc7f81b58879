package scenarios_test

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func resolve(t *testing.T, in string) scenarios.Plan {
	t.Helper()
	return resolveIn(t, "plans", in)
}

// resolveIn reads a scenario as from a file in dir.
func resolveIn(t *testing.T, dir, in string) scenarios.Plan {
	t.Helper()
	s, err := scenarios.Decode(filepath.Join(dir, "f.yaml"), []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := scenarios.Resolve(*s)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestEndpoint(t *testing.T) {
	dir := t.TempDir()
	plans := filepath.Join(dir, "plans")
	if err := os.Mkdir(plans, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"plans/ca.pem", "c.pem", "k.pem"} {
		writeFile(t, filepath.Join(dir, file), "")
	}
	for name, test := range map[string]struct {
		target string
		want   scenarios.Endpoint
		local  bool
	}{
		"cleartext": {"{url: http://localhost}",
			scenarios.Endpoint{Scheme: "http", Authority: "localhost", Address: "localhost:80", Protocol: scenarios.ProtocolH2C}, true},
		"port and prefix": {"{url: \"http://127.0.0.1:8080/api/v1/\"}",
			scenarios.Endpoint{Scheme: "http", Authority: "127.0.0.1:8080", Path: "/api/v1", Address: "127.0.0.1:8080", Protocol: scenarios.ProtocolH2C}, true},
		"TLS": {"{url: https://shop.example.com}",
			scenarios.Endpoint{Scheme: "https", Authority: "shop.example.com", Address: "shop.example.com:443", Protocol: scenarios.ProtocolH2, TLS: scenarios.TLS{ServerName: "shop.example.com"}}, false},
		"connectTo and files": {"{url: https://shop.example.com, connectTo: \"127.0.0.1:8443\", tls: {caFile: ca.pem, certFile: " + dir + "/c.pem, keyFile: ../k.pem, serverName: other}}",
			scenarios.Endpoint{Scheme: "https", Authority: "shop.example.com", Address: "127.0.0.1:8443", Protocol: scenarios.ProtocolH2,
				TLS: scenarios.TLS{CAFile: filepath.Join(plans, "ca.pem"), CertFile: filepath.Join(dir, "c.pem"), KeyFile: filepath.Join(dir, "k.pem"), ServerName: "other"}}, true},
		"IPv6": {"{url: \"https://[::1]:8443\"}",
			scenarios.Endpoint{Scheme: "https", Authority: "[::1]:8443", Address: "[::1]:8443", Protocol: scenarios.ProtocolH2, TLS: scenarios.TLS{ServerName: "::1"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			plan := resolveIn(t, plans, head+"target: "+test.target+"\nguards: {maxRate: 5/s}\n")
			if !reflect.DeepEqual(plan.Endpoint, test.want) {
				t.Errorf("\n got %+v\nwant %+v", plan.Endpoint, test.want)
			}
			if got := plan.Endpoint.OnLoopback(); got != test.local {
				t.Errorf("on loopback: got %t, want %t", got, test.local)
			}
		})
	}
}

func TestResolvePlan(t *testing.T) {
	plan := resolve(t, minimal+"load: {rate: 50/s, duration: 3s, warmUp: 1s, arrivals: constant}\nrequests: [{path: /, headers: {X-Trace: A}}]\nseed: 7\n")
	want := []scenarios.Phase{
		{Name: "warm-up", Kind: scenarios.KindWarmUp, Process: scenarios.Constant, Rate: scenarios.PerSecond(50), Duration: time.Second, Seed: scenarios.PhaseSeed(7, 0)},
		{Name: "load", Kind: scenarios.KindLoad, Process: scenarios.Constant, Rate: scenarios.PerSecond(50), Duration: 3 * time.Second, Seed: scenarios.PhaseSeed(7, 1)},
	}
	if !reflect.DeepEqual(plan.Phases, want) {
		t.Errorf("\n got %+v\nwant %+v", plan.Phases, want)
	}
	if got := plan.Requests[0].Headers; !reflect.DeepEqual(got, map[string]string{"x-trace": "A"}) {
		t.Errorf("got headers %v, want the name in lower case", got)
	}
	if !reflect.DeepEqual(plan.Endpoint, scenarios.Endpoint{}) || plan.RunID != "" || plan.Timeout != 10*time.Second || plan.Pacing != scenarios.Economical {
		t.Errorf("got plan %+v", plan)
	}
	if plan := resolve(t, minimal); plan.Phases != nil {
		t.Errorf("got phases %+v without a rate, want none", plan.Phases)
	}
	if plan := resolve(t, minimal+"load: {arrivals: closed}\n"); len(plan.Phases) != 1 {
		t.Errorf("got phases %+v for a closed loop, want one", plan.Phases)
	}
}

// The expected numbers are the first outputs of splitmix64 from seed 1234567, as
// published with test vectors of the generator (Rosetta Code, "Pseudo-random
// numbers/Splitmix64").
func TestPhaseSeed(t *testing.T) {
	for index, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := scenarios.PhaseSeed(1234567, index); got != want {
			t.Errorf("index %d: got %d, want %d", index, got, want)
		}
	}
}

func TestPlannedRate(t *testing.T) {
	for _, test := range []struct {
		name   string
		demand scenarios.Demand
		want   float64 // by hand
	}{
		{"nothing", scenarios.Demand{}, 0},
		{"peak alone", scenarios.Demand{PeakRate: scenarios.PerSecond(5000)}, 5000},
		{"headroom", scenarios.Demand{PeakRate: scenarios.PerSecond(5000), Headroom: 0.2}, 6000},
		{"growth without horizon", scenarios.Demand{PeakRate: scenarios.PerSecond(5000), GrowthPerMonth: 0.05}, 5000},
		{"two months of 10 %", scenarios.Demand{PeakRate: scenarios.PerSecond(1000), GrowthPerMonth: 0.1, HorizonMonths: 2}, 1210},
		// 1.08^12 = 2.5181701168…; 12000 × 1.2 × 2.5181701168 = 36261.6496820
		{"headroom and growth", scenarios.Demand{PeakRate: scenarios.PerSecond(12000), Headroom: 0.2, GrowthPerMonth: 0.08, HorizonMonths: 12}, 36261.649682},
		{"per minute", scenarios.Demand{PeakRate: scenarios.Rate{Count: 600, Per: time.Minute}, Headroom: 1}, 20},
	} {
		if got := test.demand.PlannedRate(); math.Abs(got-test.want) > 1e-6*test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// TestDefaultsMatchTheTable holds the defaults of the schema to those of Defaults.
func TestDefaultsMatchTheTable(t *testing.T) {
	full := scenarios.Defaults(scenarios.Scenario{
		Metadata: scenarios.Metadata{Name: "x"}, Lab: &scenarios.Lab{},
		Observe: scenarios.Observe{Components: []scenarios.ObservedComponent{{Prometheus: scenarios.PrometheusQueries{CPUSeconds: "x"}}}},
	})
	scenarios.EachDefault(func(path, want string, get func(scenarios.Scenario) string) {
		if got := get(full); got != want {
			t.Errorf("%s: Defaults gives %s, the table says %s", path, got, want)
		}
	})
}

func TestDefaultsDoNotReachTheOriginal(t *testing.T) {
	s := exampleScenario(t, "target")
	before := mustJSON(t, s)
	full := scenarios.Defaults(s)
	full.Target.URL = "changed"
	full.Requests[0].Headers["accept"] = "changed"
	full.Requests[1].Path = "/changed"
	full.Objectives[0].Quantile = 0.5
	full.Guards.AbortWhen[0].Name = "changed"
	full.Observe.Components[0].Name = "changed"
	if after := mustJSON(t, s); after != before || strings.Contains(after, "changed") {
		t.Errorf("\n got %s\nwant %s", after, before)
	}
}

func TestFieldTable(t *testing.T) {
	for _, problem := range scenarios.TableProblems() {
		t.Error(problem)
	}
}
