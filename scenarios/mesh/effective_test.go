package mesh_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// show prints a value with its source, "inf" for no limit.
func show[T any](v mesh.Value[T]) string {
	text := fmt.Sprint(v.Value)
	if n, ok := any(v.Value).(uint32); ok && n == mesh.Unlimited {
		text = "inf"
	}
	return text + " " + v.Source.String()
}

func parse(t testing.TB, in string) []mesh.Object {
	t.Helper()
	objects, err := mesh.Parse("dr.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestDefaultPolicy(t *testing.T) {
	objects, err := mesh.Parse("built-in", mesh.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	p, err := mesh.EffectiveFor(objects, "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ name, got, want string }{
		{"host", p.Host, "service.lab.svc.cluster.local"},
		{"maxConnections", show(p.ConnectionPool.TCP.MaxConnections), "100 built-in:13"},
		{"connectTimeout", show(p.ConnectionPool.TCP.ConnectTimeout), "5s built-in:14"},
		{"http2MaxRequests", show(p.ConnectionPool.HTTP.MaxRequests), "1000 built-in:16"},
		{"maxRequestsPerConnection", show(p.ConnectionPool.HTTP.MaxRequestsPerConnection), "100 built-in:17"},
		{"pending", show(p.ConnectionPool.HTTP.MaxPendingRequests), "inf Istio default"},
		{"outlier", show(p.OutlierDetection.Enabled), "true built-in:19"},
		{"consecutive", show(p.OutlierDetection.Consecutive5xxErrors), "5 built-in:19"},
		{"interval", show(p.OutlierDetection.Interval), "30s built-in:20"},
		{"base", show(p.OutlierDetection.BaseEjectionTime), "30s built-in:21"},
		{"percent", show(p.OutlierDetection.MaxEjectionPercent), "10 Istio default"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %s, want %s", check.name, check.got, check.want)
		}
	}
}

// The expected values are those of the table in Istio's cluster generation: what
// applyConnectionPool and applyOutlierDetection leave to Istio's or Envoy's
// defaults.
func TestIstioDefaults(t *testing.T) {
	p := mesh.IstioDefaults()
	pool, outlier := p.ConnectionPool, p.OutlierDetection
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"maxConnections", pool.TCP.MaxConnections.Value, uint32(4294967295)},
		{"connectTimeout", pool.TCP.ConnectTimeout.Value, 10 * time.Second},
		{"keepalive", pool.TCP.Keepalive.Enabled.Value, false},
		{"tcp idleTimeout", pool.TCP.IdleTimeout.Value, time.Hour},
		{"http1MaxPendingRequests", pool.HTTP.MaxPendingRequests.Value, uint32(4294967295)},
		{"http2MaxRequests", pool.HTTP.MaxRequests.Value, uint32(4294967295)},
		{"maxRequestsPerConnection", pool.HTTP.MaxRequestsPerConnection.Value, uint32(0)},
		{"maxRetries", pool.HTTP.MaxRetries.Value, uint32(4294967295)},
		{"http idleTimeout", pool.HTTP.IdleTimeout.Value, time.Hour},
		{"maxConcurrentStreams", pool.HTTP.MaxConcurrentStreams.Value, uint32(2147483647)},
		{"outlierDetection", outlier.Enabled.Value, false},
		{"consecutive5xxErrors", outlier.Consecutive5xxErrors.Value, uint32(5)},
		{"consecutiveGatewayErrors", outlier.ConsecutiveGatewayErrors.Value, uint32(0)},
		{"interval", outlier.Interval.Value, 10 * time.Second},
		{"baseEjectionTime", outlier.BaseEjectionTime.Value, 30 * time.Second},
		{"maxEjectionPercent", outlier.MaxEjectionPercent.Value, uint32(10)},
		{"minHealthPercent", outlier.MinHealthPercent.Value, uint32(0)},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %v, want %v", check.name, check.got, check.want)
		}
	}
}

func TestEveryField(t *testing.T) {
	p, err := mesh.EffectiveFor(parse(t, withPolicy(`connectionPool:
  tcp:
    maxConnections: 7
    connectTimeout: 30ms
    maxConnectionDuration: 1h
    idleTimeout: 0s
    tcpKeepalive: {probes: 9, time: 7500ms, interval: 75s}
  http:
    http1MaxPendingRequests: 5
    http2MaxRequests: 11
    maxRequestsPerConnection: 9
    maxRetries: 2
    idleTimeout: 30s
    h2UpgradePolicy: UPGRADE
    useClientProtocol: false
    maxConcurrentStreams: 13
    http2KeepAlive: {interval: 20s, timeout: 3s}
outlierDetection:
  splitExternalLocalOriginErrors: true
  consecutiveLocalOriginFailures: 4
  consecutiveGatewayErrors: 3
  consecutive5xxErrors: 0
  interval: 5s
  baseEjectionTime: 15s
  maxEjectionPercent: 50
  minHealthPercent: 30
  outlierDetectionHttpErrorCodes: [500, 503]
retryBudget: {percent: 33.5, minRetryConcurrency: 2}
`)), "reviews.prod.svc.cluster.local", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	tcp, http, o := p.ConnectionPool.TCP, p.ConnectionPool.HTTP, p.OutlierDetection
	for _, check := range []struct{ name, got, want string }{
		{"maxConnections", show(tcp.MaxConnections), "7 dr.yaml:9"},
		{"connectTimeout", show(tcp.ConnectTimeout), "30ms dr.yaml:10"},
		{"maxConnectionDuration", show(tcp.MaxConnectionDuration), "1h0m0s dr.yaml:11"},
		{"tcp idleTimeout", show(tcp.IdleTimeout), "0s dr.yaml:12"},
		{"keepalive", show(tcp.Keepalive.Enabled), "true dr.yaml:13"},
		{"probes", show(tcp.Keepalive.Probes), "9 dr.yaml:13"},
		{"time", show(tcp.Keepalive.Time), "7s dr.yaml:13 (7.5s, cut to whole seconds by Istio)"},
		{"keepalive interval", show(tcp.Keepalive.Interval), "1m15s dr.yaml:13"},
		{"pending", show(http.MaxPendingRequests), "5 dr.yaml:15"},
		{"requests", show(http.MaxRequests), "11 dr.yaml:16"},
		{"per connection", show(http.MaxRequestsPerConnection), "9 dr.yaml:17"},
		{"retries", show(http.MaxRetries), "2 dr.yaml:18"},
		{"idleTimeout", show(http.IdleTimeout), "30s dr.yaml:19"},
		{"upgrade", show(http.H2UpgradePolicy), "UPGRADE dr.yaml:20"},
		{"client protocol", show(http.UseClientProtocol), "false dr.yaml:21"},
		{"streams", show(http.MaxConcurrentStreams), "13 dr.yaml:22"},
		{"ping interval", show(http.HTTP2KeepAlive.Interval), "20s dr.yaml:23"},
		{"ping timeout", show(http.HTTP2KeepAlive.Timeout), "3s dr.yaml:23"},
		{"outlier", show(o.Enabled), "true dr.yaml:25"},
		{"split", show(o.SplitExternalLocalOriginErrors), "true dr.yaml:25"},
		{"local", show(o.ConsecutiveLocalOriginFailures), "4 dr.yaml:26"},
		{"gateway", show(o.ConsecutiveGatewayErrors), "3 dr.yaml:27"},
		{"5xx off", show(o.Consecutive5xxErrors), "0 dr.yaml:28"},
		{"interval", show(o.Interval), "5s dr.yaml:29"},
		{"base", show(o.BaseEjectionTime), "15s dr.yaml:30"},
		{"percent", show(o.MaxEjectionPercent), "50 dr.yaml:31"},
		{"health", show(o.MinHealthPercent), "30 dr.yaml:32"},
		{"codes", show(o.HTTPErrorCodes), "[500 503] dr.yaml:33"},
		{"budget", show(p.RetryBudget.Percent), "33.5 dr.yaml:34"},
		{"budget concurrency", show(p.RetryBudget.MinRetryConcurrency), "2 dr.yaml:34"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %s, want %s", check.name, check.got, check.want)
		}
	}
}

func TestZeroIsNotSet(t *testing.T) {
	p, err := mesh.EffectiveFor(parse(t, withPolicy(`connectionPool:
  tcp: {maxConnections: 0, idleTimeout: 90s}
  http: {http2MaxRequests: 0, maxConcurrentStreams: 0, maxRetries: 0}
outlierDetection: {maxEjectionPercent: 0}
`)), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ name, got, want string }{
		{"maxConnections", show(p.ConnectionPool.TCP.MaxConnections), "inf dr.yaml:8 (0 means not set: Istio default)"},
		{"http2MaxRequests", show(p.ConnectionPool.HTTP.MaxRequests), "inf dr.yaml:9 (0 means not set: Istio default)"},
		{"streams", show(p.ConnectionPool.HTTP.MaxConcurrentStreams), "2147483647 dr.yaml:9 (0 means not set: Istio default)"},
		{"percent", show(p.OutlierDetection.MaxEjectionPercent), "10 dr.yaml:10 (0 means not set: Istio default)"},
		{"http idleTimeout follows tcp", show(p.ConnectionPool.HTTP.IdleTimeout), "1m30s dr.yaml:8"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %s, want %s", check.name, check.got, check.want)
		}
	}
}

// The rows follow GetPortLevelTrafficPolicy and MergeSubsetTrafficPolicy.
func TestOverrides(t *testing.T) {
	objects := parse(t, `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: prod}
spec:
  host: reviews
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}, http: {http2MaxRequests: 1}}
    outlierDetection: {interval: 1s}
    portLevelSettings:
    - {port: {number: 80}, connectionPool: {tcp: {maxConnections: 80}}}
  subsets:
  - {name: plain}
  - {name: pool, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 2}}}}
  - name: port
    trafficPolicy:
      connectionPool: {http: {http2MaxRequests: 3}}
      portLevelSettings:
      - {port: {number: 80}, outlierDetection: {interval: 3s}}
`)
	tests := []struct {
		subset string
		port   uint32
		want   string // maxConnections, http2MaxRequests, outlier interval when enabled
	}{
		{"", 0, "1 1 1s"},
		{"", 8080, "1 1 1s"},
		{"", 80, "80 inf off"},      // port-level settings inherit nothing
		{"plain", 0, "1 1 1s"},      // no policy of its own
		{"plain", 80, "80 inf off"}, // the rule's port-level settings hold for the subset
		{"pool", 0, "inf 2 1s"},     // the block as a whole: tcp is gone
		{"pool", 80, "inf 2 off"},   // over the rule's port-level settings
		{"port", 0, "inf 3 1s"},     //
		{"port", 80, "inf inf 3s"},  // the subset's port-level settings replace everything
		{"port", 8080, "inf 3 1s"},  //
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s:%d", test.subset, test.port), func(t *testing.T) {
			p, err := mesh.EffectiveFor(objects, "reviews", test.subset, test.port)
			if err != nil {
				t.Fatal(err)
			}
			word := func(s string) string { w, _, _ := strings.Cut(s, " "); return w }
			got := word(show(p.ConnectionPool.TCP.MaxConnections)) + " " + word(show(p.ConnectionPool.HTTP.MaxRequests)) + " "
			if p.OutlierDetection.Enabled.Value {
				got += word(show(p.OutlierDetection.Interval))
			} else {
				got += "off"
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if _, err := mesh.EffectiveFor(objects, "reviews", "prot", 0); !errors.Is(err, mesh.ErrNoSubset) || !strings.Contains(err.Error(), `did you mean "port"?`) {
		t.Errorf("got error %v, want ErrNoSubset with a hint", err)
	}
}

func TestHosts(t *testing.T) {
	one := func(name, namespace, host string, limit int) string {
		return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s, namespace: %s}\nspec:\n  host: %q\n  trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}}\n---\n", name, namespace, host, limit)
	}
	in := one("any", "istio-system", "*", 1) + one("prod", "istio-system", "*.prod.svc.cluster.local", 2) +
		one("short", "prod", "reviews", 3) + one("full", "x", "ratings.prod.svc.cluster.local", 4) + one("second", "x", "ratings.prod.svc.cluster.local", 5)
	for host, want := range map[string]uint32{
		"reviews":                        3,
		"reviews.prod.svc.cluster.local": 3,
		"ratings.prod.svc.cluster.local": 4,
		"other.prod.svc.cluster.local":   2,
		"other.dev.svc.cluster.local":    1,
		"example.com":                    1,
	} {
		p, err := mesh.EffectiveFor(parse(t, in), host, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.ConnectionPool.TCP.MaxConnections.Value; got != want {
			t.Errorf("%s: got the rule with %d, want %d", host, got, want)
		}
		if isDouble := host == "ratings.prod.svc.cluster.local"; isDouble != (len(p.Notes) > 0) {
			t.Errorf("%s: got notes %q", host, p.Notes)
		}
	}
	if _, err := mesh.EffectiveFor(parse(t, in), "", "", 0); err == nil || !strings.Contains(err.Error(), "several hosts") {
		t.Errorf("got error %v, want one that asks for the host", err)
	}
	if _, err := mesh.EffectiveFor(parse(t, one("a", "b", "c", 1)), "other.example.com", "", 0); !errors.Is(err, mesh.ErrNoRule) {
		t.Errorf("got error %v, want ErrNoRule", err)
	}
	if _, err := mesh.EffectiveFor(parse(t, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"), "", "", 0); !errors.Is(err, mesh.ErrNoRule) {
		t.Errorf("got error %v, want ErrNoRule", err)
	}
}

// Of several rules for a host the traffic policy of the oldest holds, and where the files
// do not say which that is, they say that their order stands for it.
func TestTheOldestRuleHolds(t *testing.T) {
	rule := func(name, created string, limit int) string {
		return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s, namespace: prod%s}\nspec: {host: reviews, trafficPolicy: {connectionPool: {http: {http2MaxRequests: %d}}}}\n", name, created, limit)
	}
	at := func(year int) string { return fmt.Sprintf(", creationTimestamp: '%d-06-01T10:00:00Z'", year) }
	for _, test := range []struct {
		name, files string
		want        uint32
		note        string
	}{
		{"the first is the oldest", rule("a", at(2022), 1) + rule("b", at(2023), 2), 1, "where the oldest has none"},
		{"the last is the oldest", rule("a", at(2024), 1) + rule("b", at(2023), 2) + rule("c", at(2022), 3), 3, "where the oldest has none"},
		{"of one second", rule("b", at(2022), 1) + rule("a", at(2022), 2), 2, "where the oldest has none"},
		{"one does not say", rule("a", at(2024), 1) + rule("b", "", 2), 1, "taken to be the first in the files"},
	} {
		p, err := mesh.EffectiveFor(parse(t, test.files), "", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.ConnectionPool.HTTP.MaxRequests.Value; got != test.want || !strings.Contains(strings.Join(p.Notes, "\n"), test.note) {
			t.Errorf("%s: got %d and %q, want %d and %q", test.name, got, p.Notes, test.want, test.note)
		}
	}
}
