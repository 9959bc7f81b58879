package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// chain is a made-up system whose costs and limits are known, from which the
// records of testdata/records were written. Unlike world, whose latencies are
// those of a table, it has several things that can bind, and each of them by the
// formula of its own:
//
//	cores of a replica = idle + perRequest·r + perWakeUp·5.3·r^0.75, r its rate
//	quota:   p99 = base + 60 ms · ((use − 0.6) / 0.4)² from a use of 0.6 on
//	threads: p99 = base + 1 ms · use / (1 − use), and a queue that grows beyond
//	service: both quantiles · 1 / (1 − (rate / capacity)⁴)
//	pool:    what is in flight beyond its limit is answered with 503
type chain struct {
	name      string
	evidence  record.Evidence
	parts     []part
	p50, p99  float64       // seconds, without load
	service   float64       // rate at which the service is at its end; 0: never
	pool      float64       // requests in flight at most; 0: any number
	floor     float64       // seconds that every answer takes longer
	lowest    float64       // rate of the climb's first step
	length    time.Duration // of a phase that counts
	every     time.Duration // between samples
	lag       float64       // seconds that the generator is late
	objective time.Duration
	peak      float64
	policy    []record.Policy
	edge      float64 // if the formulas have none: around which rate is searched

	random *rand.Rand
	now    time.Duration
	run    *record.Writer
}

// part is one component of a chain.
type part struct {
	record.Component
	idle, perRequest, perWakeUp float64 // cores, CPU seconds
	shares                      []float64
	base, perInFlight           float64 // bytes
	leak                        float64 // bytes a second
	prometheus                  bool    // fewer metrics, as exporters have them
}

// cores is what the replica with this share of the load uses, and would use if
// nothing held it back.
func (p part) cores(rps, share float64) (used, wanted float64) {
	r := rps * share
	wanted = p.idle + p.perRequest*r + p.perWakeUp*5.3*math.Pow(r, 0.75)
	return math.Min(wanted, p.ceiling()), wanted
}

func (p part) ceiling() float64 {
	ceiling := math.Inf(1)
	if p.Concurrency > 0 {
		ceiling = float64(p.Concurrency)
	}
	if p.CPULimitCores > 0 {
		ceiling = math.Min(ceiling, p.CPULimitCores)
	}
	return ceiling
}

// latency returns the quantiles and the share of errors at a rate.
func (c *chain) latency(rps float64) (p50, p99, errors float64) {
	p50, p99 = c.p50, c.p99
	if c.service > 0 {
		slower := 1 / math.Max(0.02, 1-math.Pow(rps/c.service, 4))
		p50, p99 = p50*slower, p99*slower
	}
	for _, p := range c.parts {
		for _, share := range p.shares {
			_, wanted := p.cores(rps, share)
			use := wanted / p.ceiling()
			switch {
			case p.CPULimitCores > 0 && p.ceiling() == p.CPULimitCores && use > 0.6:
				p99 += share * 0.06 * math.Pow((use-0.6)/0.4, 2)
				p50 += share * 0.02 * math.Pow((use-0.6)/0.4, 4)
			case p.Concurrency > 0 && p.ceiling() == float64(p.Concurrency):
				waits := use / math.Max(0.005, 1-use)
				p50, p99 = p50+share*0.0002*waits, p99+share*0.001*waits
			}
		}
	}
	p50, p99 = p50+c.floor, p99+c.floor
	if inFlight := rps * p50 * 1.1; c.pool > 0 && inFlight > c.pool {
		errors = 1 - c.pool/inFlight
	}
	return p50, p99, errors
}

// trueEdge is the highest rate that holds the objectives: latency, and one error
// in a thousand.
func (c *chain) trueEdge() float64 {
	if c.edge > 0 {
		return c.edge
	}
	low, high := 1.0, 1e6
	for range 60 {
		middle := math.Sqrt(low * high)
		if _, p99, errors := c.latency(middle); p99 <= c.objective.Seconds() && errors <= 0.001 {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// header is what run.json says before there are phases.
func (c *chain) header() record.Run {
	run := record.Run{
		Tool: record.Tool{Name: "sailplan", Version: "made up", GoVersion: "none"}, Command: "size", Evidence: c.evidence, Seed: 7,
		Scenario: scenarios.Scenario{
			APIVersion: scenarios.APIVersion, Kind: scenarios.Kind, Metadata: scenarios.Metadata{Name: c.name},
			Connections: scenarios.Connections{Count: 8, StreamsPerConnection: 100, ConnectTimeout: 5 * time.Second},
			Requests:    []scenarios.Request{{Name: "get", Weight: 1, Method: "GET", Path: "/"}},
			Load:        scenarios.Load{Rate: scenarios.PerSecond(100), Duration: time.Minute, Arrivals: scenarios.Poisson, Pacing: scenarios.Economical, Timeout: 10 * time.Second},
			Objectives:  []scenarios.Objective{{Quantile: 0.99, Latency: c.objective}, {ErrorRatio: 0.001}},
			Demand:      scenarios.Demand{PeakRate: scenarios.PerSecond(c.peak), Headroom: 0.2, Zones: 3},
			Seed:        7,
		},
		Host: record.Host{OS: "linux", Arch: "amd64", CPUs: 8, MemoryBytes: 16 << 30},
	}
	for _, p := range c.parts {
		run.Components = append(run.Components, p.Component)
	}
	if c.evidence == record.EvidenceTarget {
		run.Scenario.Target = &scenarios.Target{URL: "http://127.0.0.1:8080", Protocol: scenarios.ProtocolH2C, Service: "shop.store.svc.cluster.local"}
	} else {
		run.Scenario.Lab = &scenarios.Lab{Proxy: scenarios.ProxyEnvoy, Service: scenarios.LabService{Replicas: 1}}
		run.Lab = &record.Lab{Kind: "envoy", EnvoyVersion: "1.40.0", LimitsEnforced: true, Policy: c.policy}
	}
	run.Scenario = scenarios.Defaults(run.Scenario)
	return run
}

// write leaves the record of a whole sizing in a directory.
func (c *chain) write(dir string, seed uint64) (err error) {
	c.random = rand.New(rand.NewPCG(seed, 3))
	if c.run, err = record.Create(dir, c.header(), time.Now()); err != nil {
		return err
	}
	c.now = time.Second
	edge := c.trueEdge()
	type step struct {
		name   string
		kind   scenarios.PhaseKind
		rps    float64
		length time.Duration
	}
	steps := []step{{"warm-up", scenarios.KindWarmUp, edge / 4, 2 * time.Second}}
	rate := math.Max(edge/5, c.lowest)
	for ; rate < edge*1.05; rate *= 1.6 {
		steps = append(steps, step{"climb", scenarios.KindClimb, rate, c.length})
	}
	steps = append(steps, step{"climb", scenarios.KindClimb, rate, c.length})
	for _, share := range []float64{0.5, 1.08, 0.2, 0.92, 0.35, 0.75, 0.12, 1.2} {
		steps = append(steps, step{"steady", scenarios.KindSteady, edge * share, c.length})
	}
	for _, share := range []float64{1.2, 0.85, 1.05, 0.95, 1.0} {
		steps = append(steps, step{"search", scenarios.KindSearch, edge * share, c.length})
	}
	steps = append(steps, step{"below", scenarios.KindProof, edge * 0.85, c.length}, step{"above", scenarios.KindProof, edge * 1.3, c.length})
	c.sample(c.now-c.every, 0, 0)
	for i, s := range steps {
		spec := scenarios.Phase{
			Name: fmt.Sprintf("%s %d", s.name, i), Kind: s.kind, Process: scenarios.Poisson, Rate: scenarios.PerSecond(math.Round(s.rps)),
			Duration: s.length, Interval: time.Second, Seed: uint64(i + 1),
		}
		if err := c.phase(spec); err != nil {
			return err
		}
	}
	return c.run.Close(record.EndedDone, "")
}

// phase sends one phase of load.
func (c *chain) phase(spec scenarios.Phase) error {
	p, err := c.run.BeginPhase(spec)
	if err != nil {
		return err
	}
	rps := spec.Rate.RPS()
	start, end := c.now, c.now+spec.Duration
	p50, p99, errors := c.latency(rps)
	factor := math.Exp(0.04 * c.random.NormFloat64())
	counts := func(at time.Duration) record.Counts {
		n := int64(math.Round(rps * (at - start).Seconds()))
		bad := int64(math.Round(errors * float64(n)))
		return record.Counts{Intended: n, Sent: n, Answered: n, Bad: bad, BytesSent: 60 * n, BytesReceived: 1100 * n}
	}
	for from := start; from < end; from += time.Second {
		to := min(from+time.Second, end)
		n := counts(to).Answered - counts(from).Answered
		h := record.RequestHistograms{
			Request: "get", Latency: quantiles32(n, factor*p50, factor*p99), Service: quantiles32(n, factor*p50, factor*p99),
			SendLag: quantiles32(n, 40e-6+c.lag/2, 150e-6+c.lag),
		}
		p.Interval(record.Interval{Start: from, End: to, Counts: counts(to), ByRequest: []record.RequestHistograms{h}})
	}
	for at := start + 20*time.Millisecond; at <= end; at += c.every {
		c.sample(at, rps, rps*p50)
	}
	n, seconds := counts(end).Answered, spec.Duration.Seconds()
	bad := counts(end).Bad
	statuses := map[int]int64{200: n - bad}
	if bad > 0 {
		statuses[503] = bad
	}
	_, err = p.End(record.Phase{
		Start: start, SendEnd: end, End: end + 20*time.Millisecond, Ended: record.EndedDone, Counts: counts(end), Statuses: statuses,
		Generator: record.Generator{
			CPUSeconds: 0.02*seconds + 8e-6*float64(n), PeakMemoryBytes: 20 << 20, GCPauseMax: 200 * time.Microsecond, SchedLatencyP99: 80 * time.Microsecond,
			RunDelaySeconds: 0.004 * seconds, WakeUps: n / 2, Threads: 1, ArrivalGaps: record.GapFacts{N: n - 1, MeanSeconds: 1 / rps, CV: 1},
		},
		Connection: record.Connections{
			Open: 8, Opened: 8, MaxStreams: 100, MaxInFlight: int64(2 + rps*p99), ConnectSeconds: []float64{0.0002, 0.0003}, HandshakeSeconds: []float64{0.002, 0.003},
		},
	})
	c.now = end + 250*time.Millisecond
	return err
}

// quantiles32 returns n values of a lognormal distribution through p50 and p99,
// seconds, as 32 of its quantiles: the tail as fine as the body, and few enough
// buckets for a small file.
func quantiles32(n int64, p50, p99 float64) *hdrhistogram.Histogram {
	h := record.NewHistogram()
	mu, sigma := math.Log(p50), math.Log(p99/p50)/2.3263
	done, above := int64(0), 1.0
	for i := range 32 {
		below := above
		above *= 0.75
		if i == 31 {
			above = 0
		}
		upTo := int64(math.Round((1 - above) * float64(n)))
		v := math.Exp(mu + sigma*math.Sqrt2*math.Erfinv(1-(above+below)))
		_ = h.RecordValues(int64(v*1e9), upTo-done)
		done = upTo
	}
	return h
}

// sample reads every component once. The counters are those of a system that has
// had its present rate for ever: within a phase they grow as they should, and from
// one phase to the next nobody looks.
func (c *chain) sample(at time.Duration, rps, inFlight float64) {
	t := at.Seconds()
	round := func(v float64) float64 { return math.Round(v*1e5) / 1e5 }
	for _, p := range c.parts {
		for i, share := range p.shares {
			r := rps * share
			used, wanted := p.cores(rps, share)
			bytes := math.Round(p.base + p.perInFlight*inFlight*share + p.leak*t)
			if p.MemoryLimitBytes > 0 {
				bytes = math.Min(bytes, float64(p.MemoryLimitBytes))
			}
			metrics := map[record.Metric]float64{
				record.CPUSeconds: round(1000 + used*(1+0.004*c.random.NormFloat64()/math.Sqrt(t+1))*t), record.WorkingSetBytes: bytes,
			}
			if p.Role != scenarios.RoleService {
				metrics[record.DownConnections], metrics[record.DownInFlight] = 8, math.Round(inFlight*share)
				metrics[record.DownRequests] = math.Floor(r * t)
			}
			if p.CPULimitCores > 0 {
				metrics[record.Periods], metrics[record.ThrottledPeriods] = math.Floor(10*t), 0
				if wanted > p.CPULimitCores {
					metrics[record.ThrottledPeriods] = math.Floor(9 * t)
				}
			}
			if !p.prometheus {
				metrics[record.VoluntarySwitches] = math.Round(5.3 * math.Pow(r+1, 0.75) * t)
				if p.Role == scenarios.RoleGateway {
					overflow := 0.0
					if busy := inFlight * 1.1; c.pool > 0 && busy > c.pool {
						overflow = math.Round(r * (1 - c.pool/busy) * t)
					}
					metrics[record.UpConnections], metrics[record.UpInFlight] = 2, math.Round(inFlight*share)
					metrics[record.UpOverflow], metrics[record.UpConnectMillisP99] = overflow, 1.1
				}
			}
			c.run.Sample(record.Sample{At: at, Component: p.Name, Replica: fmt.Sprintf("%s-%d", p.Name, i), Metrics: metrics})
		}
	}
	c.run.Sample(record.Sample{At: at, Component: record.ComponentHost, Metrics: map[record.Metric]float64{
		record.StealSeconds: 0, record.IdleSeconds: round(3 * t), record.CPUPressure: round(0.1 * t),
	}})
}
