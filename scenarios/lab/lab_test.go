package lab_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// missing skips the test because the machine lacks something, or fails it when
// that something is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), what) {
		t.Fatalf("%s is required: %s", what, why)
	}
	t.Skipf("no %s: %s", what, why)
}

// envoyPath returns the Envoy to test with.
func envoyPath(t *testing.T) string {
	t.Helper()
	found, err := lab.FindEnvoy(lab.EnvoyPlaces{Environment: os.Getenv("SAILPLAN_ENVOY"), SearchPath: os.Getenv("PATH")})
	if err != nil {
		missing(t, "envoy", err.Error())
	}
	return found.Path
}

func self(t *testing.T) []string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path, childWord}
}

func testPolicy() mesh.Policy {
	var p mesh.Policy
	p.ConnectionPool.TCP.MaxConnections.Value = 100
	p.ConnectionPool.TCP.ConnectTimeout.Value = 5 * time.Second
	p.ConnectionPool.HTTP.MaxPendingRequests.Value = mesh.Unlimited
	p.ConnectionPool.HTTP.MaxRequests.Value = 1000
	p.ConnectionPool.HTTP.MaxRequestsPerConnection.Value = 100
	p.ConnectionPool.HTTP.MaxRetries.Value = mesh.Unlimited
	p.ConnectionPool.HTTP.IdleTimeout.Value = time.Hour
	p.ConnectionPool.HTTP.MaxConcurrentStreams.Value = mesh.UnlimitedStreams
	p.OutlierDetection.Enabled.Value = true
	p.OutlierDetection.Consecutive5xxErrors.Value = 5
	p.OutlierDetection.Interval.Value = 30 * time.Second
	p.OutlierDetection.BaseEjectionTime.Value = 30 * time.Second
	p.OutlierDetection.MaxEjectionPercent.Value = 10
	return p
}

func labConfig(t *testing.T, envoy string) lab.Config {
	return lab.Config{
		Lab: scenarios.Lab{
			Gateway: scenarios.LabProxy{Concurrency: 1},
			Sidecar: scenarios.LabProxy{Concurrency: 1},
			Service: scenarios.LabService{
				Replicas:      2,
				Latency:       scenarios.LatencyShape{Median: 5 * time.Millisecond, P99: 20 * time.Millisecond},
				ResponseBytes: 1024,
			},
		},
		Policy:    testPolicy(),
		EnvoyPath: envoy,
		StateDir:  t.TempDir(),
		Self:      self(t),
		Progress:  func(text string) { t.Log(text) },
	}
}

func TestChain(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind lab.Kind
		tls  bool
	}{
		{"envoy, cleartext", lab.KindEnvoy, false},
		{"envoy, TLS", lab.KindEnvoy, true},
		{"stand-in, cleartext", lab.KindEmbedded, false},
		{"stand-in, TLS", lab.KindEmbedded, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := labConfig(t, "")
			if tt.kind == lab.KindEnvoy {
				config.EnvoyPath = envoyPath(t)
			}
			config.Lab.Gateway.TLS = tt.tls
			l, err := lab.Start(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range l.Members() {
				t.Logf("%+v", m)
			}
			t.Logf("%+v", l.Endpoint())
			if err := l.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
