package experiment

import (
	"fmt"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// describePolicy lists the settings that a sizing depends on, each with the
// place it comes from, for the record.
func describePolicy(p mesh.Policy) []record.Policy {
	tcp, http, outlier := p.ConnectionPool.TCP, p.ConnectionPool.HTTP, p.OutlierDetection
	return []record.Policy{
		setting("connectionPool.tcp.maxConnections", tcp.MaxConnections),
		setting("connectionPool.tcp.connectTimeout", tcp.ConnectTimeout),
		setting("connectionPool.http.http1MaxPendingRequests", http.MaxPendingRequests),
		setting("connectionPool.http.http2MaxRequests", http.MaxRequests),
		setting("connectionPool.http.maxRequestsPerConnection", http.MaxRequestsPerConnection),
		setting("connectionPool.http.maxRetries", http.MaxRetries),
		setting("connectionPool.http.idleTimeout", http.IdleTimeout),
		setting("outlierDetection", outlier.Enabled),
		setting("outlierDetection.consecutive5xxErrors", outlier.Consecutive5xxErrors),
		setting("outlierDetection.interval", outlier.Interval),
		setting("outlierDetection.baseEjectionTime", outlier.BaseEjectionTime),
		setting("outlierDetection.maxEjectionPercent", outlier.MaxEjectionPercent),
	}
}

func setting[T any](field string, v mesh.Value[T]) record.Policy {
	value := fmt.Sprint(v.Value)
	if n, is := any(v.Value).(uint32); is && n == mesh.Unlimited {
		value = "unlimited"
	}
	return record.Policy{Field: field, Value: value, Source: v.Source.String()}
}
