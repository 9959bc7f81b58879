package analysis

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

var writeRecords = flag.Bool("records", false, "write the records of testdata/records anew")

// gateway, sidecar and service are the parts of the chains; what a case is about is
// changed in it.
func gatewayPart(change func(*part)) part {
	p := part{
		Component: record.Component{Name: "gateway", Role: scenarios.RoleGateway, Replicas: 1, Concurrency: 1, MemoryLimitBytes: 512 << 20},
		idle:      0.02, perRequest: 60e-6, perWakeUp: 30e-6, shares: []float64{1}, base: 45e6, perInFlight: 20e3,
	}
	change(&p)
	return p
}

func sidecarPart() part {
	return part{
		Component: record.Component{Name: "sidecar", Role: scenarios.RoleSidecar, Replicas: 1, Concurrency: 4, MemoryLimitBytes: 256 << 20},
		idle:      0.01, perRequest: 50e-6, perWakeUp: 20e-6, shares: []float64{1}, base: 35e6, perInFlight: 15e3,
	}
}

func servicePart() part {
	return part{Component: record.Component{Name: "service", Role: scenarios.RoleService, Replicas: 1}, idle: 0.005, perRequest: 80e-6, shares: []float64{1}, base: 20e6}
}

// chains are the systems behind testdata/records, by the name of the directory.
func chains() []*chain {
	lab := func(name string, change func(*chain)) *chain {
		c := &chain{
			name: name, evidence: record.EvidenceLab, p50: 0.0008, p99: 0.003, length: 3 * time.Second, every: 990 * time.Millisecond, objective: 50 * time.Millisecond, peak: 5000,
			parts:  []part{gatewayPart(func(*part) {}), sidecarPart(), servicePart()},
			policy: []record.Policy{{Field: "connectionPool.http.http2MaxRequests", Value: "4294967295", Source: "Istio default"}},
		}
		change(c)
		return c
	}
	gateway := func(change func(*part)) func(*chain) {
		return func(c *chain) { c.parts[0] = gatewayPart(change) }
	}
	return []*chain{
		lab("gateway-quota", gateway(func(p *part) { p.CPULimitCores = 0.3 })),
		lab("gateway-concurrency", gateway(func(*part) {})),
		lab("gateway-memory", func(c *chain) {
			// Requests take long, and each holds 400 KB while it does.
			c.p50, c.p99, c.service, c.objective = 0.05, 0.12, 2500, 250*time.Millisecond
			c.parts[0] = gatewayPart(func(p *part) { p.Concurrency, p.perInFlight, p.MemoryLimitBytes = 4, 400e3, 128<<20 })
		}),
		lab("gateway-pool", func(c *chain) {
			c.p50, c.p99, c.pool = 0.01, 0.02, 40
			c.parts[0] = gatewayPart(func(p *part) { p.Concurrency = 4 })
			c.policy = []record.Policy{{Field: "connectionPool.http.http2MaxRequests", Value: "40", Source: "rules.yaml:12"}}
		}),
		lab("service", func(c *chain) {
			c.p50, c.p99, c.service = 0.01, 0.02, 1500
			c.parts[0] = gatewayPart(func(p *part) { p.Concurrency = 4 })
		}),
		lab("infeasible", func(c *chain) { c.floor, c.edge = 0.06, 1000 }),
		lab("gateway-leak", gateway(func(p *part) { p.CPULimitCores, p.leak = 0.3, 500e3 })),
		lab("two-gateways-skewed", gateway(func(p *part) {
			p.CPULimitCores, p.Replicas, p.shares = 0.3, 2, []float64{0.64, 0.36}
		})),
		{
			name: "target-prometheus", evidence: record.EvidenceTarget, p50: 0.004, p99: 0.012, length: 12 * time.Second, every: 3 * time.Second,
			objective: 80 * time.Millisecond, peak: 12000,
			parts: []part{
				gatewayPart(func(p *part) {
					p.prometheus, p.Concurrency, p.CPULimitCores, p.Replicas, p.shares = true, 2, 1, 2, []float64{0.5, 0.5}
					p.Requests = scenarios.Limits{CPU: scenarios.CPU(500), Memory: 256 << 20}
				}),
				{
					Component: record.Component{Name: "shop", Role: scenarios.RoleService, Replicas: 3, CPULimitCores: 2, MemoryLimitBytes: 512 << 20},
					idle:      0.02, perRequest: 90e-6, shares: []float64{1. / 3, 1. / 3, 1. / 3}, base: 150e6, perInFlight: 30e3, prometheus: true,
				},
			},
		},
		lab("few-answers", func(c *chain) { c.service, c.p50, c.p99 = 60, 0.01, 0.02 }),
		lab("late-generator", func(c *chain) {
			c.lag = 0.03
			c.parts[0] = gatewayPart(func(p *part) { p.CPULimitCores = 0.3 })
		}),
	}
}

// TestRecords holds what is recommended from each record to a file beside it.
func TestRecords(t *testing.T) {
	for i, c := range chains() {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join("testdata", "records", c.name)
			if *writeRecords {
				rewrite(t, c, dir, uint64(i))
			}
			rec, err := record.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(rec.Warnings) > 0 {
				t.Errorf("warnings: %q", rec.Warnings)
			}
			result, err := Analyze(rec)
			if err != nil {
				t.Fatal(err)
			}
			got, path := recommendationOf(t, result), filepath.Join(dir, "golden.json")
			if *update || *writeRecords {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the recommendation differs from %s; look at the difference, then: go test ./analysis -run TestRecords -update", path)
			}
		})
	}
}

// rewrite makes a record anew.
func rewrite(t *testing.T, c *chain, dir string, seed uint64) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := c.write(dir, seed+1); err != nil {
		t.Fatal(err)
	}
}

// recommendationOf returns the part of recommendation.json that one acts on, with
// its numbers to three digits: the rest is the record's, or would change with it.
func recommendationOf(t *testing.T, result Result) []byte {
	t.Helper()
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"formatVersion", "tool", "host", "startedAt", "seed", "lab", "phases", "quick", "command"} {
		delete(fields, name)
	}
	text, err = json.MarshalIndent(rounded(fields), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// rounded returns a JSON value with its numbers to three digits, whole ones as they are.
func rounded(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = rounded(v[name])
		}
	case []any:
		for i := range v {
			v[i] = rounded(v[i])
		}
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return v
		}
		f, err := v.Float64()
		if err != nil {
			return v
		}
		short, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 3, 64), 64)
		return short
	}
	return value
}

// TestRecordsFindTheTruth holds the predictions from the records to the formulas
// that they were written from.
func TestRecordsFindTheTruth(t *testing.T) {
	for _, c := range chains() {
		if slices.Contains([]string{"infeasible", "few-answers", "late-generator"}, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			rec, err := record.Open(filepath.Join("testdata", "records", c.name))
			if err != nil {
				t.Fatal(err)
			}
			result, err := Analyze(rec)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := result.SLOEdge.Rps.Value, c.trueEdge(); !(got > 0.9*want && got < 1.1*want) {
				t.Errorf("SLO edge %.0f/s, want %.0f/s", got, want)
			}
			for i, p := range c.parts {
				ceiling := p.ceiling()
				if math.IsInf(ceiling, 1) {
					continue
				}
				want := solve(func(rate float64) bool { _, wanted := p.cores(rate, 1); return wanted >= ceiling })
				if got := result.Components[i].CPULimitRps.Value; !(got > 0.85*want && got < 1.15*want) && want < 5*c.trueEdge() {
					t.Errorf("CPU of %s reaches its limit at %.0f/s, want %.0f/s", p.Name, got, want)
				}
			}
		})
	}
}

// solve returns the first rate at which reached says so.
func solve(reached func(rate float64) bool) float64 {
	low, high := 1.0, 1e7
	for range 60 {
		if middle := math.Sqrt(low * high); reached(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return low
}
