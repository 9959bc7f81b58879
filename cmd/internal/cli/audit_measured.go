package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// measuredIn reads what was in use in a run, and what the run recommends.
func measuredIn(dir string) (audit.Measured, error) {
	if dir == "" {
		return audit.Measured{}, nil
	}
	rec, err := record.Open(dir)
	if err != nil {
		return audit.Measured{}, fmt.Errorf("--run %s: %w", dir, err)
	}
	result, err := resultIn(dir, rec)
	if err != nil {
		return audit.Measured{}, fmt.Errorf("--run %s: reading its result: %w", dir, err)
	}
	host, components := analysis.InUseAt(rec, result)
	measured := audit.Measured{Source: dir, Host: host, CPU: cpuIn(result, components)}
	for _, limit := range limitsIn(result, components) {
		if limit.InUse > 0 || limit.Fits > 0 {
			measured.Limits = append(measured.Limits, limit)
		}
	}
	return measured, nil
}

// resultIn returns the result of a run: what stands in its directory, which may be
// calibrated by another run, else what the record comes to.
func resultIn(dir string, rec *record.Record) (analysis.Result, error) {
	content, err := os.ReadFile(filepath.Join(dir, "recommendation.json"))
	if err != nil {
		return analysis.Analyze(rec)
	}
	var result analysis.Result
	err = json.Unmarshal(content, &result)
	return result, err
}

// limitsIn returns what the limits of the destination have to leave room for. They
// hold at each client proxy, and again inbound at each pod.
func limitsIn(result analysis.Result, components []analysis.InUse) []audit.MeasuredLimit {
	requests := audit.MeasuredLimit{Block: "http", Field: "http2MaxRequests"}
	pending := audit.MeasuredLimit{Block: "http", Field: "http1MaxPendingRequests"}
	connections := audit.MeasuredLimit{Block: "tcp", Field: "maxConnections"}
	retries := audit.MeasuredLimit{Block: "http", Field: "maxRetries"}
	for _, used := range components {
		if used.Role != scenarios.RoleGateway && used.Role != scenarios.RoleSidecar {
			continue
		}
		at := fmt.Sprintf("at one %s, at %s", used.Role, quantity.Rate(used.RPS))
		for _, one := range []struct {
			limit *audit.MeasuredLimit
			most  float64
		}{{&requests, used.InFlight}, {&pending, used.Pending}, {&connections, used.Connections}} {
			if one.most > one.limit.InUse {
				one.limit.InUse, one.limit.At = one.most, at
			}
		}
	}
	if pool := result.ConnectionPool; pool != nil {
		for _, one := range []struct {
			limit *audit.MeasuredLimit
			fits  int
		}{
			{&requests, pool.HTTP.HTTP2MaxRequests},
			{&pending, pool.HTTP.HTTP1MaxPendingRequests},
			{&connections, pool.TCP.MaxConnections},
			{&retries, pool.HTTP.MaxRetries},
		} {
			one.limit.Fits = int64(max(one.fits, 0))
			one.limit.Reason = pool.Reasons[one.limit.Block+"."+one.limit.Field]
		}
	}
	return []audit.MeasuredLimit{requests, pending, connections, retries}
}

// cpuIn returns what a replica of each component used, and what is recommended that
// it requests.
func cpuIn(result analysis.Result, components []analysis.InUse) []audit.MeasuredCPU {
	var all []audit.MeasuredCPU
	for _, used := range components {
		if used.Role == scenarios.RoleService {
			continue // the files do not say which of its containers it is
		}
		cpu := audit.MeasuredCPU{Role: string(used.Role), Cores: used.Cores, At: "at " + quantity.Rate(used.CPURPS)}
		for _, sized := range result.Components {
			if sized.Name == used.Component && sized.Resources != nil {
				cpu.Request, cpu.Reason = sized.Resources.Requests.CPU, sized.Resources.Reason
			}
		}
		if cpu.Cores > 0 || cpu.Request != "" {
			all = append(all, cpu)
		}
	}
	return all
}
