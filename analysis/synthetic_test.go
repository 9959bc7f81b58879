package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// world is a made-up chain of a gateway with a CPU quota, two sidecars and two
// services, whose latencies and costs have the shape that was measured on one
// Envoy 1.40 with one worker thread (cores = 0.049 + 66 µs × requests + 99 µs ×
// wake-ups without a quota; p99 under a quota of 300m as in quotaP99).
type world struct {
	random *rand.Rand
	quota  float64 // cores of the gateway; the latency curve stretches with it
	floor  float64 // seconds added to every latency
	noise  float64 // standard deviation of ln latency between phases
	now    time.Duration
	phases int
}

func newWorld(seed uint64) *world {
	return &world{random: rand.New(rand.NewPCG(seed, 1)), quota: 0.3, noise: 0.08, now: time.Second}
}

// quotaP50 and quotaP99 are milliseconds by rate under a quota of 300m, measured.
var quotaP50 = [][2]float64{{100, 0.6}, {1000, 0.47}, {1500, 0.54}, {2000, 0.57}, {2250, 0.99}, {2500, 7.5}, {3000, 22}, {4000, 61}}
var quotaP99 = [][2]float64{{100, 1.3}, {1000, 2.2}, {1500, 24}, {2000, 42}, {2250, 52}, {2500, 64}, {3000, 75}, {4000, 184}, {8000, 900}}

// wakeUps are voluntary switches a second by rate, measured without a quota.
var wakeUps = [][2]float64{{1, 20}, {250, 319}, {500, 545}, {1000, 933}, {1500, 1251}, {2000, 1552}, {3000, 2001}, {4000, 2429}}

// between interpolates a table linearly in logarithms.
func between(table [][2]float64, x float64) float64 {
	i := 1
	for i < len(table)-1 && table[i][0] < x {
		i++
	}
	a, b := table[i-1], table[i]
	t := math.Log(x/a[0]) / math.Log(b[0]/a[0])
	return math.Exp(math.Log(a[1]) + t*math.Log(b[1]/a[1]))
}

// trueEdge is the rate at which p99 crosses limit (seconds), without noise.
func (w *world) trueEdge(limit float64) float64 {
	low, high := 10.0, 100000.0
	for range 80 {
		middle := math.Sqrt(low * high)
		if w.p99(middle) <= limit {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func (w *world) p99(rps float64) float64 { return w.floor + between(quotaP99, rps*0.3/w.quota)/1e3 }
func (w *world) p50(rps float64) float64 { return w.floor + between(quotaP50, rps*0.3/w.quota)/1e3 }

// gatewayCores is what the gateway uses: the demand, or its quota.
func (w *world) gatewayCores(rps float64) float64 {
	return math.Min(w.quota, 0.049+66e-6*rps+99e-6*between(wakeUps, rps))
}

// phase makes one phase of the given kind. Its latencies are lognormal through
// p50 and p99, which a common factor moves from phase to phase.
func (w *world) phase(name string, kind scenarios.PhaseKind, rps float64, length time.Duration) record.PhaseData {
	spec := scenarios.Phase{Name: name, Kind: kind, Process: scenarios.Poisson, Rate: scenarios.PerSecond(rps), Duration: length, Seed: uint64(w.phases + 1)}
	n := int64(math.Round(rps * length.Seconds()))
	p := record.PhaseData{
		Phase: record.Phase{
			Index: w.phases, Spec: spec, Start: w.now, SendEnd: w.now + length, End: w.now + length + 20*time.Millisecond,
			Ended: record.EndedDone, Statuses: map[int]int64{200: n},
			Counts:   record.Counts{Intended: n, Sent: n, Answered: n, BytesSent: 60 * n, BytesReceived: 1100 * n},
			Backends: map[string]int64{"service-1": n / 2, "service-2": n - n/2},
			Generator: record.Generator{
				CPUSeconds: 0.02*length.Seconds() + 8e-6*float64(n), PeakMemoryBytes: 20 << 20, GCPauseMax: 200 * time.Microsecond,
				SchedLatencyP99: 80 * time.Microsecond, RunDelaySeconds: 0.004 * length.Seconds(), WakeUps: n / 2,
				ArrivalGaps: record.GapFacts{N: n - 1, MeanSeconds: 1 / rps, CV: 1 + 0.5*w.random.NormFloat64()/math.Sqrt(float64(n))},
			},
			Connection: record.Connections{
				Open: 8, Opened: 8, MaxStreams: 100, MaxInFlight: int64(2 + rps*w.p99(rps)),
				ConnectSeconds: []float64{0.0002, 0.0003, 0.0002}, HandshakeSeconds: []float64{0.002, 0.003},
			},
		},
		Latency: record.NewHistogram(), Service: record.NewHistogram(), SendLag: record.NewHistogram(),
	}
	w.phases++
	w.now = p.End + 250*time.Millisecond
	factor := math.Exp(w.noise * w.random.NormFloat64())
	mu, sigma := math.Log(w.p50(rps)), math.Log(w.p99(rps)/w.p50(rps))/2.3263
	for from := p.Start; from < p.SendEnd; from += time.Second {
		to := min(from+time.Second, p.SendEnd)
		share := int64(math.Round(float64(n) * float64(to-from) / float64(length)))
		second := record.NewHistogram()
		for range share {
			v := int64(factor * math.Exp(mu+sigma*w.random.NormFloat64()) * 1e9)
			v = min(max(v, 1000), int64(10*time.Second))
			_ = second.RecordValue(v)
			_ = p.Service.RecordValue(v)
			_ = p.SendLag.RecordValue(int64(40e3 + 30e3*w.random.ExpFloat64()))
		}
		p.Latency.Merge(second)
		s := record.SecondLatency{Start: from, End: to}
		for _, bar := range second.Distribution() {
			if bar.Count > 0 {
				s.Values, s.Counts = append(s.Values, bar.To), append(s.Counts, bar.Count)
			}
		}
		p.Seconds = append(p.Seconds, s)
		done := int64(float64(n) * float64(to-p.Start) / float64(length))
		p.Timeline = append(p.Timeline, record.Tick{Phase: p.Index, At: to, Counts: record.Counts{Intended: done, Sent: done, Answered: done}})
	}
	w.sample(&p, rps)
	return p
}

// sample adds samples of every component, four a second.
func (w *world) sample(p *record.PhaseData, rps float64) {
	cores := w.gatewayCores(rps) * (1 + 0.01*w.random.NormFloat64())
	inFlight := rps * (w.p50(rps) + 0.002)
	for at := p.Start + 20*time.Millisecond; at <= p.SendEnd; at += 250 * time.Millisecond {
		t := at.Seconds()
		throttled := 0.0
		if w.quota < 0.049+66e-6*rps+99e-6*between(wakeUps, rps) {
			throttled = 1
		}
		p.Samples = append(p.Samples, record.Sample{At: at, Component: "gateway", Replica: "gateway", Metrics: map[record.Metric]float64{
			record.CPUSeconds: 5 + cores*t, record.VoluntarySwitches: 1000 + between(wakeUps, rps)*t, record.RunDelaySeconds: 0.002 * t,
			record.Periods: 10 * t, record.ThrottledPeriods: 10 * t * throttled,
			record.WorkingSetBytes: 40e6 + 20e3*inFlight, record.RSSBytes: 44e6 + 20e3*inFlight,
			record.DownConnections: 8, record.DownInFlight: inFlight, record.DownRequests: 7 + rps*t,
			record.UpConnections: 2, record.UpInFlight: inFlight, record.UpRequests: 7 + rps*t, record.UpOverflow: 0,
			record.UpPending: 0, record.UpConnectMillisP99: 1.1, record.Threads: 8,
		}})
		for _, name := range []string{"sidecar", "service"} {
			per := map[string][2]float64{"sidecar": {0.02, 120e-6}, "service": {0.01, 40e-6}}[name]
			for _, replica := range []string{"1", "2"} {
				p.Samples = append(p.Samples, record.Sample{At: at, Component: name, Replica: name + "-" + replica, Metrics: map[record.Metric]float64{
					record.CPUSeconds: 2 + (per[0]+per[1]*rps/2)*t, record.VoluntarySwitches: 500 + between(wakeUps, rps/2)*t,
					record.WorkingSetBytes: 30e6 + 20e3*inFlight/2, record.RSSBytes: 33e6,
					record.DownConnections: 1, record.DownInFlight: inFlight / 2, record.DownRequests: 3 + rps*t/2, record.Threads: 6,
				}})
			}
		}
		p.Samples = append(p.Samples, record.Sample{At: at, Component: record.ComponentHost, Metrics: map[record.Metric]float64{
			record.StealSeconds: 0.002 * t, record.IdleSeconds: 0.8 * t, record.CPUPressure: 0.1 * t, record.AvailableMemory: 4e9,
		}})
	}
}

// run is the record of a sizing without its phases.
func (w *world) run() record.Run {
	return record.Run{
		FormatVersion: record.FormatVersion, Tool: record.Tool{Name: "sailplan", Version: "test", GoVersion: "go1.26"},
		Command: "size", Quick: true, Evidence: record.EvidenceLab, Seed: 7,
		Scenario: scenarios.Scenario{
			Metadata:    scenarios.Metadata{Name: "synthetic"},
			Lab:         &scenarios.Lab{Proxy: "envoy", Service: scenarios.LabService{Replicas: 2}},
			Connections: scenarios.Connections{Count: 8, StreamsPerConnection: 100, ConnectTimeout: 5 * time.Second},
			Requests:    []scenarios.Request{{Name: "request-1", Weight: 1, Method: "GET", Path: "/"}},
			Load:        scenarios.Load{Arrivals: scenarios.Poisson, Pacing: scenarios.Economical, Timeout: 10 * time.Second},
			Objectives:  []scenarios.Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}, {ErrorRatio: 0.001}},
			Demand:      scenarios.Demand{PeakRate: scenarios.PerSecond(5000), Headroom: 0.2, Zones: 3},
		},
		Host: record.Host{OS: "linux", Arch: "amd64", CPUs: 2, MemoryBytes: 8 << 30},
		Lab: &record.Lab{Kind: "envoy", EnvoyVersion: "1.40.0", LimitsEnforced: true, Policy: []record.Policy{
			{Field: "connectionPool.http.http2MaxRequests", Value: "1000", Source: "built in"},
		}},
		Components: []record.Component{
			{Name: "gateway", Role: scenarios.RoleGateway, Replicas: 1, Concurrency: 1, CPULimitCores: w.quota, MemoryLimitBytes: 512 << 20},
			{Name: "sidecar", Role: scenarios.RoleSidecar, Replicas: 2, Concurrency: 1, MemoryLimitBytes: 256 << 20},
			{Name: "service", Role: scenarios.RoleService, Replicas: 2},
		},
		StartedAt: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Ended: record.EndedDone,
	}
}

// sizing makes the record of a whole sizing, at the rates that a climb from 400/s,
// a sweep and a search around the true edge would choose.
func (w *world) sizing() *record.Record {
	edge := w.trueEdge(0.05)
	rec := &record.Record{Run: w.run()}
	add := func(name string, kind scenarios.PhaseKind, rps, seconds float64) {
		rec.Data = append(rec.Data, w.phase(name, kind, rps, time.Duration(seconds*float64(time.Second))))
	}
	add("warm-up 1", scenarios.KindWarmUp, edge/4, 2)
	add("warm-up 2", scenarios.KindWarmUp, edge/4, 2)
	rate := edge / 5
	for ; rate < edge*1.05; rate *= 1.6 {
		add("climb", scenarios.KindClimb, rate, 2.5)
	}
	add("climb", scenarios.KindClimb, rate, 2.5)
	held := rate / 1.6
	for _, share := range []float64{0.3, 0.55, 0.92, 1.1, 1.3, 1.5} {
		add("steady", scenarios.KindSteady, held*share, 3)
	}
	for _, share := range []float64{1.2, 0.85, 1.05, 0.95, 1.0, 1.03, 0.97} {
		add("search", scenarios.KindSearch, edge*share, 2.8)
	}
	add("below", scenarios.KindProof, edge*0.85, 3)
	add("above", scenarios.KindProof, edge*1.3, 3)
	for _, data := range rec.Data {
		rec.Phases = append(rec.Phases, data.Phase)
	}
	rec.EndedAt = rec.StartedAt.Add(w.now)
	return rec
}

// ofKindIndex returns the positions of the phases of a kind in a record.
func ofKindIndex(rec *record.Record, kind scenarios.PhaseKind) []int {
	var out []int
	for i, d := range rec.Data {
		if d.Spec.Kind == kind {
			out = append(out, i)
		}
	}
	return slices.Clip(out)
}
