package reports_test

import (
	"math"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// samples are results as an analysis gives them, by name. testdata/results has
// them as recommendation.json files, which the renderers' tests read.
func samples() map[string]analysis.Result {
	return map[string]analysis.Result{
		"recommended":  recommended(),
		"target":       target(),
		"embedded":     embedded(),
		"infeasible":   infeasible(),
		"contradicted": contradicted(),
		"not-reached":  notReached(),
		"invalid":      invalid(),
		"incomplete":   incomplete(),
		"empty":        {},
		"hostile":      hostile(),
		"load-held":    loadHeld(),
		"load-missed":  loadMissed(),
	}
}

func est(value, low, high float64, n int) stat.Estimate {
	return stat.Estimate{Value: value, Low: low, High: high, Confidence: 0.95, N: n}
}

// stand says of every objective how the system stands to it.
func stand(r *analysis.Result, holds *bool, reason string) {
	for i := range r.Objectives {
		r.Objectives[i].Holds, r.Objectives[i].Reason = holds, reason
	}
}

func is(holds bool) *bool { return &holds }

func recommended() analysis.Result {
	r := analysis.Result{
		FormatVersion: analysis.ResultFormatVersion,
		Tool:          record.Tool{Name: "sailplan", Version: "v0.1.0", Revision: "3806081", GoVersion: "go1.26.8"},
		Command:       "size",
		Quick:         true,
		Scenario:      "quickstart",
		StartedAt:     "2026-11-22T19:00:00Z",
		Seed:          7,
		Evidence:      record.EvidenceLab,
		Lab: &analysis.Lab{
			Kind: "envoy", EnvoyVersion: "1.40.0", LimitsEnforced: true,
			Policy: []record.Policy{
				{Field: "connectionPool.tcp.maxConnections", Value: "100", Source: "production.yaml:9"},
				{Field: "connectionPool.tcp.connectTimeout", Value: "5s", Source: "production.yaml:10"},
				{Field: "connectionPool.http.http1MaxPendingRequests", Value: "4294967295", Source: "Istio default"},
				{Field: "connectionPool.http.http2MaxRequests", Value: "1000", Source: "production.yaml:12"},
				{Field: "connectionPool.http.maxRequestsPerConnection", Value: "100", Source: "production.yaml:13"},
			},
		},
		Host:          record.Host{OS: "linux", Arch: "amd64", Kernel: "6.12.8", CPUModel: "Example CPU 2.8 GHz", CPUs: 2, MemoryBytes: 8 << 30},
		Ended:         record.EndedDone,
		Outcome:       analysis.Recommended,
		OutcomeReason: "38 gateways of 300m carry 36 261/s, and the blind search found the edge 3.1 % below the prediction.",
		Valid:         true,
		Objectives: []analysis.Objective{
			{
				Text: "p99 ≤ 50 ms", Quantile: 0.99, LatencySeconds: 0.050,
				Holds: is(true), Reason: "held up to the SLO edge of the chain, 1\u00a0240/s (1\u00a0180\u00a0–\u00a01\u00a0300)",
			},
			{
				Text: "errors ≤ 0.1 %", ErrorRatio: 0.001,
				Holds: is(true), Reason: "held up to the SLO edge of the chain, 1\u00a0240/s (1\u00a0180\u00a0–\u00a01\u00a0300)",
			},
		},
		Demand: analysis.Demand{
			PeakRps: 12000, Headroom: 0.2, GrowthPerMonth: 0.08, HorizonMonths: 12, Zones: 3, PlannedRps: 36261.25,
			Reason: "12 000/s × 1.2 headroom × 1.08^12 growth",
		},
		SLOEdge: analysis.SLOEdge{
			Rps: est(1240, 1180, 1300, 9), End: "reached", Objective: "p99 ≤ 50 ms", BoundBy: "CPU quota of the gateway (300m)",
			Component: "gateway", Resource: "cpu-quota",
		},
		Components: []analysis.Component{gateway(), sidecar(), service()},
		ConnectionPool: &analysis.ConnectionPool{
			TCP:  analysis.PoolTCP{MaxConnections: 100, ConnectTimeout: "1s"},
			HTTP: analysis.PoolHTTP{HTTP1MaxPendingRequests: 128, HTTP2MaxRequests: 256, MaxRequestsPerConnection: 0, MaxRetries: 12, IdleTimeout: "60s"},
			Host: "checkout.default.svc.cluster.local",
			Reasons: map[string]string{
				"tcp.maxConnections":            "at most 16 were open at once; 100 leaves room for a reconnect of every gateway",
				"tcp.connectTimeout":            "connecting took 0.4 ms at p99; 1s is the smallest value that survives one lost SYN",
				"http.http1MaxPendingRequests":  "half of http2MaxRequests: what may wait while connections open",
				"http.http2MaxRequests":         "at most 61 in flight at the planned rate per gateway; twice that, rounded up to a power of two",
				"http.maxRequestsPerConnection": "no limit: a limit of 100 opened 10 connections a second for nothing",
				"http.maxRetries":               "what is in flight to one pod, which is tried again when it is lost",
				"http.idleTimeout":              "pauses are shorter than that",
			},
			TripSeconds: 0.27,
		},
		Staged: []analysis.Staged{
			{Component: "gateway", Setting: "limits.memory", From: "256Mi", Steps: []string{"192Mi", "144Mi", "128Mi"}, Check: "over a week the working set stays below 80 % of the limit"},
			{Setting: "http.http2MaxRequests", From: "1000", Steps: []string{"700", "490", "343", "256"}, Check: "over a day nothing is shed"},
		},
		Costs: costs(),
		Verification: &analysis.Verification{
			PredictedRps: est(1240, 1180, 1300, 9), MeasuredRps: est(1203, 1190, 1216, 6), RelativeError: 0.0308, Tolerance: 0.2,
			ObjectiveHeldBelow:   &analysis.ProofPoint{Rps: 1143, Holds: true, Expected: true, Valid: true, Reason: "p99 was 31.2 ms, errors 0 %", Phase: 17},
			ObjectiveMissedAbove: &analysis.ProofPoint{Rps: 1323, Holds: false, Expected: true, Valid: true, Reason: "p99 was 71.8 ms, errors 0 %", Phase: 18},
			Agrees:               true,
			Reason:               "predicted 1 240/s, measured 1 203/s: 3.1 % apart, within 20 %",
		},
		Phases:   phases(),
		Warnings: []string{"The lab's Envoy is not an Istio proxy with telemetry: on your nodes a request costs more."},
	}
	return r
}

func gateway() analysis.Component {
	slo := analysis.Candidate{
		BoundBy: "slo-edge", Rps: est(1240, 1180, 1300, 9), Safe: 1180,
		Reason: "the lower end of the SLO edge, 1 180/s",
	}
	cpu := analysis.Candidate{
		BoundBy: "cpu-75%", Rps: est(1013, 960, 1070, 9), Safe: 960,
		Reason: "at 960/s the gateway uses 75 % of its 300m",
	}
	return analysis.Component{
		Name: "gateway", Role: "gateway", ReplicasMeasured: 1, Concurrency: 1, CPULimitCores: 0.3, MemoryLimitBytes: 512 << 20,
		CPUSecondsPerRequest: est(66e-6, 61e-6, 71e-6, 9), CPUSecondsPerWakeUp: est(99e-6, 90e-6, 108e-6, 9), CPUIdleCores: est(0.049, 0.04, 0.058, 9),
		CPUModel:        "cores = 0.049 + 66 µs × requests/s + 99 µs × wake-ups/s; residual 0.011 cores",
		MemoryBaseBytes: est(48.3*(1<<20), 47*(1<<20), 49.6*(1<<20), 9), MemoryBytesPerInFlight: est(21504, 18000, 25000, 9),
		MemoryBytesPerConnection: stat.NotEstimable(9, "the number of connections did not vary"),
		SLOEdgeRps:               est(1240, 1180, 1300, 9), CPULimitRps: est(1460, 1390, 1530, 9),
		CapacityPerReplicaRps: analysis.Capacity{
			Estimate: est(1013, 960, 1070, 9), BoundBy: "cpu-75%",
			Candidates: []analysis.Candidate{cpu, slo, {BoundBy: "memory-80%", Rps: est(21000, 17000, math.Inf(1), 9), Safe: 17000, Reason: "512Mi would be 80 % used"}},
		},
		Replicas: &analysis.Replicas{
			Value: 57, CarriesPlannedRate: 38, SurvivesReplicaLoss: 39, SurvivesZoneLoss: 57,
			SurvivesRollingUpdate: 50, MostDuringUpdate: 72, Zones: 3, ZoneSkew: 1, MaxUnavailable: "25%", MaxSurge: "25%",
			Reason: "36 261/s ÷ 960/s = 38; with one of three zones lost, two thirds of 57 still carry it",
			Basis:  replicasBasis(),
		},
		Resources: &analysis.Resources{
			Requests: analysis.Quantities{CPU: "240m", Memory: "64Mi"}, Limits: analysis.Quantities{CPU: "300m", Memory: "128Mi"},
			Concurrency: 1, ConcurrencyReason: "one worker thread, as measured; p99 is 29.8 ms at 1 100/s per replica, where it is throttled in 22 % of the periods",
			ConnectionsRunOut: 1840, ConnectionsReason: "with 1840 connections on a replica it would run out of memory",
			Throttling: &recommend.Throttling{UnthrottledRps: 900, UnthrottledP99Seconds: 0.0231, ThrottledRps: 1100, ThrottledP99Seconds: 0.0298, ThrottledRatio: 0.22},
			Reason:     "the request is the use at operating capacity (0.225 cores) and a margin; the limits are those that were measured",
		},
		HPA: &analysis.HPA{
			MinReplicas: 20, MaxReplicas: 86, TargetCPUUtilization: 63,
			Reason: "63 % of the request is the use at two thirds of the operating capacity, so that a lost zone is survived while new replicas start",
			Trial:  trial(),
		},
		Signal: &analysis.Signal{
			Metric: "in-flight", ThresholdPerReplica: 43, MinReplicas: 20, MaxReplicas: 86,
			Reason: "requests in flight per replica, as a second metric: the objective breaks while CPU is left",
		},
	}
}

// trial is of an autoscaler that was tried at three targets.
func trial() *analysis.Trial {
	t := &analysis.Trial{
		Load: "a ramp from 4 000/s to the planned 36 261/s within 15 min and back", Disturbances: "a replica lost at the start, one of 3 zones lost after 1 h 15 min",
		Timing:  "metrics every 15 s, a look of the autoscaler every 15 s, a replica ready 60 s after the decision and with its share of the load 15 s later",
		SafeRPS: 960, Chosen: 1, FixedReplicas: 57, FixedPodHours: 256.5, RuleOfThumb: 31,
		Candidates: []recommend.TrialCandidate{
			{TargetCPUUtilization: 53, MinReplicas: 8, Holds: true, WorstLoad: 0.88, PodHours: 211.4, LowestReplicas: 8, HighestReplicas: 71, ScaleUps: 11, ScaleDowns: 14, DirectionChanges: 1},
			{TargetCPUUtilization: 63, MinReplicas: 20, Holds: true, WorstLoad: 0.99, PodHours: 188.2, LowestReplicas: 20, HighestReplicas: 60, ScaleUps: 6, ScaleDowns: 8, DirectionChanges: 1},
			{TargetCPUUtilization: 75, MinReplicas: 57, OverSeconds: 45, OverRatio: 0.0028, OverRequests: 0.004, WorstLoad: 1.12, PodHours: 257, LowestReplicas: 57, HighestReplicas: 72},
		},
	}
	for i := range 10 {
		hours := float64(i) / 2
		rps := 36261 - math.Abs(hours-2.25)*14000
		t.Series = append(t.Series, recommend.TrialMoment{Seconds: hours * 3600, RPS: rps, Replicas: 20 + 4*min(i, 9-i)*2, LoadRatio: 0.8})
	}
	return t
}

func replicasBasis() analysis.Basis {
	return analysis.Basis{
		BoundBy: "zone-loss", RunnerUp: "rolling-update",
		Constraints: []recommend.Constraint{
			{By: "zone-loss", Value: 57, Why: "one of 3 zones lost"},
			{By: "rolling-update", Value: 50, Why: "a rolling update going on"},
			{By: "replica-loss", Value: 39, Why: "one replica lost"},
			{By: "nothing-lost", Value: 38, Why: "the planned rate with nothing lost"},
		},
		Inputs: []recommend.Value{
			{Name: "planned", Value: 36261.25, Unit: "/s", From: "the rate to plan for"},
			{Name: "safe", Value: 960, Unit: "/s", From: "what a replica carries, the safe end; bound by cpu-75%"},
			{Name: "zones", Value: 3, From: "demand.zones"},
		},
		WouldChange: []string{"what a replica carries: a tenth less asks for 42 with nothing lost", "without the loss of a zone, 50 would do"},
		Explain: []recommend.Step{
			{Step: "replicas that carry it with nothing lost", Name: "needed", Formula: "ceil(planned / safe)", Values: map[string]float64{"planned": 36261.25, "safe": 960}, Result: 38},
			{Step: "replicas so that a zone may be lost", Name: "zoneLoss", Formula: "zones * ceil(needed / (zones - 1))", Values: map[string]float64{"zones": 3, "needed": 38}, Result: 57},
		},
	}
}

func costs() *analysis.Costs {
	return &analysis.Costs{
		Currency: "USD", RateRps: 12000, RateFrom: "today's peak",
		Recommended: &recommend.Cost{PerHour: 0.2174, PerMillionRequests: 0.00503}, AtHorizon: &recommend.Cost{PerHour: 0.5508, PerMillionRequests: 0.00506},
		Components: []string{"gateway", "sidecar"},
		Notes:      []string{"what it costs now is not known: replicas and requests of sidecar are not declared (demand.today, or observe.components of a target)"},
		Basis: analysis.Basis{
			BoundBy: "recommended", Inputs: []recommend.Value{{Name: "cpuHour", Value: 0.0316, From: "prices.cpuHour, of a core"}, {Name: "cpuA", Value: 0.24, Unit: "cores", From: "gateway: recommended CPU request"}},
			Explain: []recommend.Step{{Step: "gateway: an hour of a replica", Name: "eachA", Formula: "cpuA * cpuHour", Values: map[string]float64{"cpuA": 0.24, "cpuHour": 0.0316}, Result: 0.007584}},
		},
	}
}

func sidecar() analysis.Component {
	return analysis.Component{
		Name: "sidecar", Role: "sidecar", ReplicasMeasured: 2, Concurrency: 1,
		CPUSecondsPerRequest: est(88e-6, 80e-6, 97e-6, 9), CPUSecondsPerWakeUp: est(91e-6, 70e-6, 112e-6, 9), CPUIdleCores: est(0.021, 0.015, 0.027, 9),
		CPUModel:        "cores = 0.021 + 88 µs × requests/s + 91 µs × wake-ups/s; residual 0.006 cores",
		MemoryBaseBytes: est(44.1*(1<<20), 43*(1<<20), 45*(1<<20), 9), MemoryBytesPerInFlight: stat.NotEstimable(9, "in-flight requests hardly varied (3 to 5)"),
		MemoryBytesPerConnection: stat.NotEstimable(9, "the number of connections did not vary"),
		SLOEdgeRps:               stat.NotEstimable(9, "another component binds at the edge"),
		CPULimitRps:              stat.NotEstimable(0, "no CPU limit"),
		CapacityPerReplicaRps: analysis.Capacity{
			Estimate: stat.Estimate{Value: 3100, Low: 2700, High: math.Inf(1), Confidence: 0.95, N: 9, Warnings: []string{"beyond the measured range"}},
			BoundBy:  "cpu-75%",
			Candidates: []analysis.Candidate{
				{BoundBy: "cpu-75%", Rps: stat.Estimate{Value: 3100, Low: 2700, High: math.Inf(1), Confidence: 0.95, N: 9}, Safe: 2700, Reason: "75 % of one worker thread"},
			},
		},
		Replicas: &analysis.Replicas{
			Value: 21, CarriesPlannedRate: 14, SurvivesReplicaLoss: 15, SurvivesZoneLoss: 21,
			Reason: "36 261/s ÷ 2 700/s = 14; 21 survive the loss of one of three zones",
		},
		Resources: &analysis.Resources{
			Requests: analysis.Quantities{CPU: "520m", Memory: "64Mi"}, Limits: analysis.Quantities{CPU: "1", Memory: "128Mi"}, Concurrency: 1, ConcurrencyReason: "one worker thread, as measured",
			Reason: "it was measured without a CPU limit; with one worker thread it cannot use more than 1 core",
		},
		HPA:   &analysis.HPA{MinReplicas: 8, MaxReplicas: 32, TargetCPUUtilization: 60, Reason: "60 % keeps the p99 objective while new replicas start"},
		Notes: []string{"one sidecar runs in each pod of the service: these are the pods that the sidecars need"},
	}
}

func service() analysis.Component {
	none := stat.NotEstimable(9, "the test service stands for yours")
	return analysis.Component{
		Name: "service", Role: "service", ReplicasMeasured: 2,
		CPUSecondsPerRequest: est(24e-6, 20e-6, 28e-6, 9), CPUSecondsPerWakeUp: none, CPUIdleCores: est(0.004, 0.002, 0.006, 9),
		CPUModel:        "cores = 0.004 + 24 µs × requests/s; residual 0.003 cores",
		MemoryBaseBytes: est(12.2*(1<<20), 12*(1<<20), 12.4*(1<<20), 9), MemoryBytesPerInFlight: none, MemoryBytesPerConnection: none,
		SLOEdgeRps: none, CPULimitRps: none, CapacityPerReplicaRps: analysis.Capacity{Estimate: none},
		Notes: []string{"the lab's test service stands for yours and is not sized"},
	}
}

// phases has the shape of mesh measurements: latency jumps where the quota binds.
func phases() []analysis.PhaseSummary {
	rows := []struct {
		name, kind             string
		offered, p50, p99, cpu float64
		throttled              float64
		holds                  bool
	}{
		{"preflight", "preflight", 100, 0.0062, 0.0215, 0.07, 0, true},
		{"warm-up", "warm-up", 400, 0.0061, 0.0213, 0.15, 0, true},
		{"climb 1", "climb", 250, 0.0061, 0.0212, 0.089, 0, true},
		{"climb 2", "climb", 500, 0.0060, 0.0214, 0.144, 0, true},
		{"climb 3", "climb", 1000, 0.0060, 0.0246, 0.237, 0.02, true},
		{"climb 4", "climb", 2000, 0.0102, 0.412, 0.300, 0.99, false},
		{"steady 1", "steady", 900, 0.0060, 0.0231, 0.219, 0.01, true},
		{"steady 2", "steady", 300, 0.0061, 0.0211, 0.101, 0, true},
		{"steady 3", "steady", 1100, 0.0061, 0.0298, 0.256, 0.22, true},
		{"steady 4", "steady", 600, 0.0060, 0.0215, 0.163, 0, true},
		{"search 1", "search", 1400, 0.0072, 0.0921, 0.293, 0.84, false},
		{"search 2", "search", 1200, 0.0063, 0.0489, 0.271, 0.47, true},
		{"search 3", "search", 1300, 0.0066, 0.0661, 0.282, 0.66, false},
		{"below", "proof", 1143, 0.0062, 0.0312, 0.262, 0.31, true},
		{"above", "proof", 1323, 0.0067, 0.0718, 0.286, 0.71, false},
	}
	var phases []analysis.PhaseSummary
	start := 2.0
	for i, r := range rows {
		p := analysis.PhaseSummary{
			Index: i, Name: r.name, Kind: r.kind, OfferedRps: r.offered, AchievedRps: r.offered * 0.999,
			P50: est(r.p50, r.p50*0.98, r.p50*1.02, int(r.offered*5)), P99: est(r.p99, r.p99*0.93, r.p99*1.08, int(r.offered*5)),
			LagP99: est(0.00042, 0.0004, 0.00045, int(r.offered*5)),
			CPUCores: map[string]stat.Estimate{
				"gateway": est(r.cpu, r.cpu*0.98, r.cpu*1.02, 5),
				"sidecar": est(r.cpu*1.3, r.cpu*1.25, r.cpu*1.35, 5),
				"service": est(r.cpu*0.3, r.cpu*0.28, r.cpu*0.32, 5),
			},
			Throttled: map[string]float64{"gateway": r.throttled},
			Holds:     r.holds, Verdict: analysis.Verdict{Valid: true, UsableForFit: r.kind == "steady"}, StartSeconds: start, Seconds: 5,
		}
		if r.name == "steady 2" {
			p.Verdict.Warnings = []analysis.Reason{{Code: "few-samples", Message: "1 500 requests: p99 rests on 15 of them"}}
		}
		if r.name == "climb 4" {
			p.Verdict.NotForFit = []analysis.Reason{{Code: "not-stationary", Message: "latency still grew when sending ended"}}
		}
		if r.name == "search 1" {
			p.Verdict = analysis.Verdict{Reasons: []analysis.Reason{{Code: "steal", Message: "another guest took 7 % of the processors"}}}
		}
		phases = append(phases, p)
		start += 5.5
	}
	return phases
}

func target() analysis.Result {
	r := recommended()
	r.Scenario, r.Evidence, r.Lab, r.Quick = "checkout", record.EvidenceTarget, nil, false
	r.Components[0].Name = "ingress-gateway"
	r.SLOEdge.Component = "ingress-gateway"
	for i := range r.Phases {
		cores := r.Phases[i].CPUCores
		cores["ingress-gateway"] = cores["gateway"]
		delete(cores, "gateway")
	}
	r.Warnings = nil
	r.InvalidReasons = []analysis.Reason{{Code: "steal", Message: "1 of 15 phases: another guest took 7 % of the processors"}}
	return r
}

func embedded() analysis.Result {
	r := recommended()
	r.Evidence = record.EvidenceEmbedded
	r.Lab = &analysis.Lab{Kind: "embedded", LimitsWhyNot: "no permission to create a cgroup below /sys/fs/cgroup"}
	r.Quick = false
	r.Components = []analysis.Component{gateway()}
	r.Components[0].Replicas = &analysis.Replicas{Value: 1, CarriesPlannedRate: 1, SurvivesReplicaLoss: 2, SurvivesZoneLoss: 0, Reason: "one carries 400/s"}
	r.ConnectionPool = nil
	return r
}

func infeasible() analysis.Result {
	r := recommended()
	r.Outcome = analysis.Infeasible
	r.OutcomeReason = "Even at 10/s p99 is 21.5 ms, above the objective of 5 ms: the service alone takes 20 ms."
	r.Objectives = []analysis.Objective{{Text: "p99 ≤ 5 ms", Quantile: 0.99, LatencySeconds: 0.005, Holds: is(false), Reason: "no number of replicas meets it"}}
	r.SLOEdge = analysis.SLOEdge{Rps: stat.NotEstimable(3, "the lowest rate misses the objective"), Objective: "p99 ≤ 5 ms"}
	for i := range r.Components {
		c := &r.Components[i]
		c.Replicas, c.Resources, c.HPA, c.Notes = nil, nil, nil, nil
		c.SLOEdgeRps = stat.NotEstimable(3, "the lowest rate misses the objective")
		c.CapacityPerReplicaRps = analysis.Capacity{Estimate: stat.NotEstimable(3, "the lowest rate misses the objective")}
	}
	r.ConnectionPool, r.Verification, r.Staged, r.Costs = nil, nil, nil, nil
	r.Phases = r.Phases[:3]
	return r
}

// notReached is a sizing whose objective held at the highest rate there was.
func notReached() analysis.Result {
	r := recommended()
	highest := stat.Estimate{
		Value: 2000, Low: 2000, High: math.Inf(1), Confidence: 0.95, N: 9,
		Warnings: []string{"the highest measured rate still holds: the edge is beyond it"},
	}
	r.SLOEdge = analysis.SLOEdge{Rps: highest, End: "not-reached"}
	stand(&r, is(true), "held up to the highest rate measured, 2\u00a0000/s (at least 2\u00a0000)")
	r.Verification = &analysis.Verification{
		PredictedRps: highest, MeasuredRps: highest, RelativeError: math.NaN(), Tolerance: 0.2, Agrees: true,
		Reason:             "both the sweep and the search hold the objectives up to the highest rates they tried, 2000/s and 2000/s",
		ObjectiveHeldBelow: &analysis.ProofPoint{Rps: 1900, Holds: true, Expected: true, Reason: "p99 was 44 ms"},
	}
	return r
}

func contradicted() analysis.Result {
	r := recommended()
	r.Outcome = analysis.Contradicted
	stand(&r, nil, "the proof contradicts the prediction")
	r.OutcomeReason = "Predicted 1 612/s, measured 1 203/s: 34 % apart, more than 20 %."
	r.Verification.PredictedRps = est(1612, 1530, 1690, 9)
	r.Verification.RelativeError, r.Verification.Agrees, r.Verification.Reason = 0.34, false, "predicted 1 612/s, measured 1 203/s: 34 % apart, more than 20 %"
	r.Verification.ObjectiveMissedAbove = &analysis.ProofPoint{Rps: 1323, Holds: true, Valid: true, Reason: "p99 was 44 ms", Phase: 18}
	return r
}

func invalid() analysis.Result {
	r := recommended()
	r.Outcome, r.Valid = analysis.Invalid, false
	stand(&r, nil, "no valid answer")
	r.OutcomeReason = "The generator could not reach the rates it was asked for."
	r.InvalidReasons = []analysis.Reason{
		{Code: "rate-not-reached", Message: "2 140/s achieved of 4 000/s intended"},
		{Code: "generator-throttled", Message: "the generator's own cgroup was throttled in 31 of 50 periods"},
	}
	for i := range r.Components {
		r.Components[i].Replicas, r.Components[i].Resources, r.Components[i].HPA = nil, nil, nil
	}
	r.ConnectionPool, r.Verification, r.Staged, r.Costs = nil, nil, nil, nil
	return r
}

func incomplete() analysis.Result {
	r := invalid()
	r.Outcome, r.InvalidReasons, r.Ended, r.EndedWhy = analysis.Incomplete, nil, "", ""
	r.OutcomeReason = "The record ends in the climb."
	r.Phases = r.Phases[:4]
	r.SLOEdge = analysis.SLOEdge{Rps: stat.NotEstimable(2, "too few valid steady phases (0)")}
	return r
}

// hostile has names that mean something to a form of output.
func hostile() analysis.Result {
	const name = "<script>alert(1)</script> | `x` **b** [a](http://example.com)\nsecond line\x1b[31m\u202eevil"
	r := recommended()
	r.Scenario, r.OutcomeReason = name, name
	r.Components = r.Components[:1]
	r.Components[0].Name = name
	r.Components[0].Replicas.Reason = name
	r.Components[0].Notes = []string{name}
	r.ConnectionPool.Host = name
	r.ConnectionPool.Reasons["tcp.maxConnections"] = name
	r.Objectives[0].Text = name
	r.Warnings = []string{name, "</pre></script><img src=x onerror=alert(1)>", "# not a heading", "1. not a list", "| a | b |\n|---|---|", "```"}
	for i := range r.Phases {
		r.Phases[i].Name = name
		r.Phases[i].CPUCores = map[string]stat.Estimate{name: est(0.2, 0.1, 0.3, 5), "../../etc": est(0.2, 0.1, 0.3, 5)}
		r.Phases[i].Throttled = nil
	}
	return r
}

func loadHeld() analysis.Result {
	r := recommended()
	r.Command, r.Outcome, r.OutcomeReason, r.Quick = "run", analysis.Held, "p99 was 24.6 ms of 50 ms allowed.", false
	r.Components, r.ConnectionPool, r.Verification, r.SLOEdge, r.Demand = nil, nil, nil, analysis.SLOEdge{}, analysis.Demand{}
	r.Staged, r.Costs = nil, nil
	r.Warnings = nil
	r.Phases = []analysis.PhaseSummary{r.Phases[1], r.Phases[4]}
	r.Phases[1].Kind, r.Phases[1].Name = "load", "load"
	r.Objectives[0].Reason, r.Objectives[1].Reason = "p99 24.6 ms ≤ 50 ms", "errors 0 % ≤ 0.1 %"
	few := stat.NotEstimable(60000, "p99.99 needs 73 000 samples")
	r.LoadSummary = &analysis.LoadSummary{
		Requests: record.Counts{Intended: 60000, Sent: 60000, Answered: 59998, Failed: 2, BytesSent: 3 << 20, BytesReceived: 70 << 20},
		Rate:     analysis.RateSummary{IntendedRps: 1000, AchievedRps: 999.4},
		LatencySeconds: map[string]stat.Estimate{
			"mean": est(0.0071, 0.007, 0.0072, 60000), "p50": est(0.006, 0.0059, 0.0061, 60000), "p90": est(0.0121, 0.012, 0.0122, 60000),
			"p99": est(0.0246, 0.0238, 0.0255, 60000), "p999": est(0.0412, 0.038, 0.0466, 60000), "p9999": few,
			"max": {Value: 0.0893, Low: math.Inf(-1), High: math.Inf(1), N: 60000},
		},
		ServiceSeconds: map[string]stat.Estimate{"p50": est(0.0059, 0.0058, 0.006, 60000), "p99": est(0.0244, 0.0236, 0.0253, 60000)},
		SendLagSeconds: map[string]stat.Estimate{"p50": est(0.000061, 0.00006, 0.000062, 60000), "p99": est(0.00042, 0.0004, 0.00045, 60000)},
		ByRequest: []analysis.RequestSummary{
			{Name: "browse", Answered: 54000, LatencySeconds: map[string]stat.Estimate{"p50": est(0.006, 0.0059, 0.0061, 54000), "p99": est(0.0246, 0.0238, 0.0255, 54000)}},
			{Name: "search", Answered: 5998, LatencySeconds: map[string]stat.Estimate{"p50": est(0.007, 0.0069, 0.0071, 5998)}},
		},
		Connections: analysis.ConnectionSummary{
			Open: 8, Opened: 9, Closed: 1, GoAways: 1, Retried: 2, MaxInFlight: 41, TLSVersion: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256",
			ConnectSeconds:   map[string]stat.Estimate{"p50": {Value: 0.0001, N: 9}, "p99": few, "max": {Value: 0.0003, N: 9}},
			HandshakeSeconds: map[string]stat.Estimate{"p50": {Value: 0.0021, N: 9}, "p99": few, "max": {Value: 0.0044, N: 9}},
		},
		Statuses:      map[int]int64{200: 59998},
		Errors:        map[string]int64{"reset": 2},
		Backends:      map[string]int64{"shop-1": 30100, "shop-2": 29898},
		BackendSpread: &analysis.BackendSpread{Backends: 2, LeastShare: 0.4983, MostShare: 0.5017, Even: true},
		Steps: []analysis.StepSummary{
			{ToSeconds: 30, IntendedRps: 500, AchievedRps: 500.1, LatencySeconds: map[string]stat.Estimate{"p50": est(0.005, 0.0049, 0.0051, 15000), "p99": est(0.0206, 0.0198, 0.0215, 15000)}},
			{FromSeconds: 30, ToSeconds: 60, IntendedRps: 1500, AchievedRps: 1499, LatencySeconds: map[string]stat.Estimate{"p50": est(0.0065, 0.0064, 0.0066, 45000)}},
		},
		Slowest:     []record.Trace{{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Request: "browse", At: 12 * time.Second, LatencySeconds: 0.0893}},
		Credentials: []analysis.CredentialEvent{{AtSeconds: 31, Message: "credential renewed"}},
		LoadEnded:   "the feed has no more rows",
		Generator: analysis.GeneratorSummary{
			CPUSeconds: 4.21, PeakMemoryBytes: 31 << 20, GCPauseSeconds: 180e-6, SchedulingLatencySeconds: 90e-6,
			RunDelaySeconds: 0.31, WakeUps: 58211, Writes: 30000, CPUSecondsPerMillionRequests: new(70.2), ArrivalGaps: record.GapFacts{N: 59999, MeanSeconds: 0.001, CV: 1.003},
		},
		Verdict: analysis.Verdict{Valid: true},
	}
	return r
}

func loadMissed() analysis.Result {
	r := loadHeld()
	r.Outcome, r.OutcomeReason = analysis.Missed, "1.2 % of the requests were not answered well, 0.1 % are allowed."
	r.Ended, r.EndedWhy = record.EndedGuard, "error ratio 0.31 above maxErrorRatio 0.2 for 2 s"
	r.Requests.Bad, r.Requests.Shed = 700, 20
	r.Objectives[1].Holds, r.Objectives[1].Reason = is(false), "errors 1.2 % > 0.1 %"
	r.Statuses = map[int]int64{200: 59298, 503: 700}
	return r
}

// timeline is a record with as many seconds as the phases of a result say.
func timeline(result analysis.Result) *record.Record {
	rec := &record.Record{Dir: "runs/quickstart", Run: record.Run{
		StartedAt: time.Date(2026, 11, 22, 19, 0, 0, 0, time.UTC), EndedAt: time.Date(2026, 11, 22, 19, 1, 26, 0, time.UTC),
		Scenario: scenarios.Scenario{Target: &scenarios.Target{URL: "https://shop.example.com"}},
	}}
	for _, p := range result.Phases {
		start := time.Duration(p.StartSeconds * float64(time.Second))
		data := record.PhaseData{Phase: record.Phase{Index: p.Index, Start: start, End: start + 5*time.Second}}
		for i := range 5 {
			wobble := 1 + 0.1*math.Sin(float64(i*i)+p.StartSeconds)
			data.Timeline = append(data.Timeline, record.Tick{
				Phase: p.Index, At: start + time.Duration(i+1)*time.Second, Answered: int64(p.OfferedRps * (1 + 0.2*(wobble-1))),
				P50: time.Duration(p.P50.Value * wobble * 1e9), P99: time.Duration(p.P99.Value * wobble * 1e9),
			})
		}
		rec.Data = append(rec.Data, data)
	}
	return rec
}
