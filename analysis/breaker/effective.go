package breaker

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Side is one end of a call: the same connection pool holds at both.
type Side string

// The sides.
const (
	Client Side = "client" // each client's Envoy, over all endpoints
	Server Side = "server" // each pod's sidecar, over all clients
)

// Setting is one value of the effective policy.
type Setting struct {
	Field  string // as in a DestinationRule, "connectionPool.http.http2MaxRequests"
	Side   Side
	Value  any    // a number, a bool, or a text: a duration, "unlimited"
	Source string // file:line, or "Istio default"
	Set    bool   // a file says it
}

// Text writes the value for people.
func (s Setting) Text() string { return fmt.Sprint(s.Value) }

const (
	unlimited = "unlimited"
	none      = "none"
)

// Settings lists a policy as it holds at a client, and then the connection pool as
// it holds at the server's sidecar.
func Settings(client, server mesh.Policy) []Setting {
	all := poolSettings(Client, client.ConnectionPool)
	all = append(all, outlierSettings(client.OutlierDetection)...)
	all = append(all, budgetSettings(client.RetryBudget)...)
	return append(all, poolSettings(Server, server.ConnectionPool)...)
}

// Names of the fields that trials are about.
const (
	fieldConnections    = "connectionPool.tcp.maxConnections"
	fieldConnectTimeout = "connectionPool.tcp.connectTimeout"
	fieldPending        = "connectionPool.http.http1MaxPendingRequests"
	fieldRequests       = "connectionPool.http.http2MaxRequests"
	fieldPerConnection  = "connectionPool.http.maxRequestsPerConnection"
	fieldRetries        = "connectionPool.http.maxRetries"
	fieldIdle           = "connectionPool.http.idleTimeout"
	fieldStreams        = "connectionPool.http.maxConcurrentStreams"
	fieldBudget         = "retryBudget"
	fieldConsecutive    = "outlierDetection.consecutive5xxErrors"
	fieldGateway        = "outlierDetection.consecutiveGatewayErrors"
	fieldLocal          = "outlierDetection.consecutiveLocalOriginFailures"
	fieldInterval       = "outlierDetection.interval"
	fieldBase           = "outlierDetection.baseEjectionTime"
	fieldPercent        = "outlierDetection.maxEjectionPercent"
	fieldMinHealth      = "outlierDetection.minHealthPercent"
)

func poolSettings(side Side, pool mesh.ConnectionPool) []Setting {
	tcp, http := pool.TCP, pool.HTTP
	return []Setting{
		limit(side, fieldConnections, tcp.MaxConnections, mesh.Unlimited),
		duration(side, fieldConnectTimeout, tcp.ConnectTimeout, none),
		duration(side, "connectionPool.tcp.maxConnectionDuration", tcp.MaxConnectionDuration, none),
		duration(side, "connectionPool.tcp.idleTimeout", tcp.IdleTimeout, none),
		setting(side, "connectionPool.tcp.tcpKeepalive", tcp.Keepalive.Enabled, tcp.Keepalive.Enabled.Value),
		limit(side, fieldPending, http.MaxPendingRequests, mesh.Unlimited),
		limit(side, fieldRequests, http.MaxRequests, mesh.Unlimited),
		limit(side, fieldPerConnection, http.MaxRequestsPerConnection, 0),
		limit(side, fieldRetries, http.MaxRetries, mesh.Unlimited),
		duration(side, fieldIdle, http.IdleTimeout, none),
		setting(side, "connectionPool.http.h2UpgradePolicy", http.H2UpgradePolicy, string(http.H2UpgradePolicy.Value)),
		setting(side, "connectionPool.http.useClientProtocol", http.UseClientProtocol, http.UseClientProtocol.Value),
		limit(side, fieldStreams, http.MaxConcurrentStreams, mesh.UnlimitedStreams),
		duration(side, "connectionPool.http.http2KeepAlive.interval", http.HTTP2KeepAlive.Interval, none),
		duration(side, "connectionPool.http.http2KeepAlive.timeout", http.HTTP2KeepAlive.Timeout, none),
	}
}

func outlierSettings(o mesh.OutlierDetection) []Setting {
	enabled := setting(Client, "outlierDetection", o.Enabled, o.Enabled.Value)
	if !o.Enabled.Value {
		return []Setting{enabled}
	}
	var codes any = "5xx"
	if len(o.HTTPErrorCodes.Value) > 0 {
		codes = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(o.HTTPErrorCodes.Value)), ", "), "[]")
	}
	return []Setting{
		enabled,
		setting(Client, fieldConsecutive, o.Consecutive5xxErrors, o.Consecutive5xxErrors.Value),
		setting(Client, fieldGateway, o.ConsecutiveGatewayErrors, o.ConsecutiveGatewayErrors.Value),
		setting(Client, "outlierDetection.splitExternalLocalOriginErrors", o.SplitExternalLocalOriginErrors, o.SplitExternalLocalOriginErrors.Value),
		setting(Client, fieldLocal, o.ConsecutiveLocalOriginFailures, o.ConsecutiveLocalOriginFailures.Value),
		duration(Client, fieldInterval, o.Interval, none),
		duration(Client, fieldBase, o.BaseEjectionTime, none),
		setting(Client, fieldPercent, o.MaxEjectionPercent, o.MaxEjectionPercent.Value),
		setting(Client, fieldMinHealth, o.MinHealthPercent, o.MinHealthPercent.Value),
		setting(Client, "outlierDetection.outlierDetectionHttpErrorCodes", o.HTTPErrorCodes, codes),
	}
}

func budgetSettings(b mesh.RetryBudget) []Setting {
	enabled := setting(Client, fieldBudget, b.Enabled, b.Enabled.Value)
	if !b.Enabled.Value {
		return []Setting{enabled}
	}
	return []Setting{
		enabled,
		setting(Client, fieldBudget+".percent", b.Percent, b.Percent.Value),
		setting(Client, fieldBudget+".minRetryConcurrency", b.MinRetryConcurrency, b.MinRetryConcurrency.Value),
	}
}

func setting[T any](side Side, field string, v mesh.Value[T], value any) Setting {
	return Setting{Field: field, Side: side, Value: value, Source: v.Source.String(), Set: !v.Source.IsDefault()}
}

// limit is a number for which one value means that there is none.
func limit(side Side, field string, v mesh.Value[uint32], endless uint32) Setting {
	if v.Value == endless {
		return setting(side, field, v, unlimited)
	}
	return setting(side, field, v, v.Value)
}

// duration is a time for which zero means that there is none.
func duration(side Side, field string, v mesh.Value[time.Duration], zero string) Setting {
	if v.Value == 0 {
		return setting(side, field, v, zero)
	}
	return setting(side, field, v, short(v.Value))
}

// short writes a duration as one writes it in YAML: 30s, 1m30s, 1h.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// isSet reports whether there is a limit.
func isSet(v mesh.Value[uint32]) bool { return v.Value > 0 && v.Value < math.MaxInt32 }
