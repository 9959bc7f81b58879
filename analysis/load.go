package analysis

import (
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// LoadSummary is what `run` tells of its load phase. Its names stand beside those
// of the Result in JSON.
type LoadSummary struct {
	Requests       record.Counts            `json:"requests"`
	Rate           RateSummary              `json:"rate"`
	LatencySeconds map[string]stat.Estimate `json:"latencySeconds"` // p50, p90, p99, p999, max, mean
	ServiceSeconds map[string]stat.Estimate `json:"serviceSeconds"`
	SendLagSeconds map[string]stat.Estimate `json:"sendLagSeconds"`
	ByRequest      []RequestSummary         `json:"byRequest"` // of the mix
	Statuses       map[int]int64            `json:"statuses"`
	Errors         map[string]int64         `json:"errors"`             // by class
	Backends       map[string]int64         `json:"backends,omitempty"` // answers by who named himself in them
	Connections    ConnectionSummary        `json:"connections"`
	Generator      GeneratorSummary         `json:"generator"`
	Verdict        Verdict                  `json:"verdict"`
}

// RateSummary is what was asked of the system, and what it did.
type RateSummary struct {
	IntendedRps float64 `json:"intendedRps"`
	AchievedRps float64 `json:"achievedRps"` // answers of any status in the sending window
}

// RequestSummary is one kind of request of the mix.
type RequestSummary struct {
	Name           string                   `json:"name"`
	Answered       int64                    `json:"answered"`
	LatencySeconds map[string]stat.Estimate `json:"latencySeconds"`
	ServiceSeconds map[string]stat.Estimate `json:"serviceSeconds"`
}

// ConnectionSummary is what happened to connections, up to the end of the load.
type ConnectionSummary struct {
	Open             int                      `json:"open"` // at the end
	Opened           int64                    `json:"opened"`
	Closed           int64                    `json:"closed"`
	GoAways          int64                    `json:"goAways"`
	Retried          int64                    `json:"retried"`              // requests sent again
	MaxInFlight      int64                    `json:"maxInFlight"`          // requests, over all connections
	MaxStreams       int64                    `json:"maxStreams,omitempty"` // the smallest limit a peer set
	TLSVersion       string                   `json:"tlsVersion,omitempty"`
	CipherSuite      string                   `json:"cipherSuite,omitempty"`
	ConnectSeconds   map[string]stat.Estimate `json:"connectSeconds"`   // TCP
	HandshakeSeconds map[string]stat.Estimate `json:"handshakeSeconds"` // TLS
}

// GeneratorSummary is what the load cost the generator.
type GeneratorSummary struct {
	CPUSeconds                   float64         `json:"cpuSeconds"`
	CPUSecondsPerMillionRequests *float64        `json:"cpuSecondsPerMillionRequests,omitempty"` // nil: nothing was sent
	PeakMemoryBytes              int64           `json:"peakMemoryBytes"`
	GCPauseSeconds               float64         `json:"gcPauseSeconds"`           // the longest
	SchedulingLatencySeconds     float64         `json:"schedulingLatencySeconds"` // p99, of goroutines
	RunDelaySeconds              float64         `json:"runDelaySeconds"`          // the sending threads waited for a processor
	ThrottledPeriods             int64           `json:"throttledPeriods"`
	WakeUps                      int64           `json:"wakeUps"`
	Threads                      int             `json:"threads"`
	Batches                      int64           `json:"batches,omitempty"`      // times that there was something to send
	Writes                       int64           `json:"writes,omitempty"`       // system calls that requests left in
	SlackSeconds                 float64         `json:"slackSeconds,omitempty"` // the first of a batch was held back for, in the mean
	ArrivalGaps                  record.GapFacts `json:"arrivalGaps"`
}

// judgeLoad fills in the result of `run`: its load phase, and whether the
// objectives held.
func (r *Result) judgeLoad(rec *record.Record, phases []examined) {
	loads := ofKind(phases, scenarios.KindLoad)
	if len(loads) == 0 {
		r.settle(Incomplete, incompleteWhy(rec, phases))
		if rec.Ended == record.EndedDone {
			r.OutcomeReason = "nothing was measured"
		}
		return
	}
	load := loads[len(loads)-1]
	r.LoadSummary = loadSummary(load, phases)
	verdict := load.summary.Verdict
	r.Valid = verdict.Valid
	tooFew := slices.IndexFunc(verdict.NotForFit, func(x Reason) bool { return x.Code == CodeTooFewAnswers })
	switch {
	case rec.Ended != record.EndedDone && rec.Ended != "" || load.Unfinished:
		r.settle(Incomplete, incompleteWhy(rec, phases))
	case !verdict.Valid:
		r.settle(Invalid, "the measurement is not valid: "+verdict.Reasons[0].Message)
	case len(r.Objectives) == 0:
		r.settle(Measured, "there was no objective to hold")
	case !load.summary.Holds && (tooFew < 0 || clearMiss(load, rec.Scenario.Objectives)):
		r.settle(Missed, load.summary.HoldsReason)
	case tooFew >= 0:
		r.Valid = false
		r.settle(Invalid, "there is no answer: "+verdict.NotForFit[tooFew].Message)
	default:
		r.settle(Held, load.summary.HoldsReason)
	}
}

func loadSummary(p examined, phases []examined) *LoadSummary {
	out := &LoadSummary{
		Requests:       p.Counts,
		Rate:           RateSummary{IntendedRps: finite(p.offered), AchievedRps: p.summary.AchievedRps},
		LatencySeconds: quantiles(p.latency, p.quantile),
		ServiceSeconds: plainQuantiles(stat.OfHistogram(p.Service, nanosecond)),
		SendLagSeconds: plainQuantiles(stat.OfHistogram(p.SendLag, nanosecond)),
		ByRequest:      []RequestSummary{},
		Statuses:       map[int]int64{},
		Errors:         map[string]int64{},
		Backends:       p.Backends,
		Connections:    connectionSummary(p, phases),
		Generator:      generatorSummary(p.Generator, p.Counts),
		Verdict:        p.summary.Verdict,
	}
	for _, request := range p.PhaseData.ByRequest {
		latency := stat.OfHistogram(request.Latency, nanosecond)
		out.ByRequest = append(out.ByRequest, RequestSummary{
			Name: request.Request, Answered: request.Service.TotalCount(), LatencySeconds: plainQuantiles(latency),
			ServiceSeconds: plainQuantiles(stat.OfHistogram(request.Service, nanosecond)),
		})
	}
	for status, n := range p.Statuses {
		out.Statuses[status] = n
	}
	for class, n := range p.PhaseData.Errors {
		out.Errors[class] = n
	}
	return out
}

// connectionSummary sums up over the phases before the load as well: most
// connections were opened for the first of them.
func connectionSummary(load examined, phases []examined) ConnectionSummary {
	c := load.Connection
	out := ConnectionSummary{
		Open: c.Open, MaxInFlight: c.MaxInFlight, MaxStreams: c.MaxStreams, TLSVersion: c.TLSVersion, CipherSuite: c.CipherSuite,
	}
	var connect, handshake []float64
	for _, p := range phases {
		if p.Index > load.Index {
			break
		}
		out.Opened += p.Connection.Opened
		out.Closed += p.Connection.Closed
		out.GoAways += p.Connection.GoAways
		out.Retried += p.Connection.Retried
		connect = append(connect, p.Connection.ConnectSeconds...)
		handshake = append(handshake, p.Connection.HandshakeSeconds...)
	}
	out.ConnectSeconds, out.HandshakeSeconds = plainQuantiles(eachOnce(connect)), plainQuantiles(eachOnce(handshake))
	return out
}

// eachOnce is the distribution of single observations.
func eachOnce(values []float64) stat.Distribution {
	values = slices.Sorted(slices.Values(values))
	ones := make([]int64, len(values))
	for i := range ones {
		ones[i] = 1
	}
	return stat.NewDistribution(values, ones)
}

func generatorSummary(g record.Generator, counts record.Counts) GeneratorSummary {
	out := GeneratorSummary{
		CPUSeconds: g.CPUSeconds, PeakMemoryBytes: g.PeakMemoryBytes, GCPauseSeconds: g.GCPauseMax.Seconds(),
		SchedulingLatencySeconds: g.SchedLatencyP99.Seconds(), RunDelaySeconds: g.RunDelaySeconds,
		ThrottledPeriods: g.ThrottledPeriods, WakeUps: g.WakeUps, Threads: max(1, g.Threads),
		Batches: g.Batches, Writes: g.Writes, SlackSeconds: g.SlackSeconds, ArrivalGaps: g.ArrivalGaps,
	}
	if counts.Sent > 0 {
		perMillion := g.CPUSeconds / float64(counts.Sent) * 1e6
		out.CPUSecondsPerMillionRequests = &perMillion
	}
	return out
}

// plainQuantiles are those of observations that stand for themselves.
func plainQuantiles(d stat.Distribution) map[string]stat.Estimate {
	return quantiles(d, func(q float64) stat.Estimate { return stat.Quantile(d, q, stat.Confidence) })
}

// quantiles returns the times that a summary tells: p50, p90, p99, p999, the
// largest and the mean. The largest has no interval: it grows with the run.
func quantiles(d stat.Distribution, quantile func(q float64) stat.Estimate) map[string]stat.Estimate {
	out := map[string]stat.Estimate{
		"p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99), "p999": quantile(0.999),
	}
	for name, v := range map[string]float64{"max": d.Max(), "mean": d.Mean()} {
		e := stat.Estimate{Value: v, Low: math.Inf(-1), High: math.Inf(1), N: int(d.N())}
		if d.N() == 0 {
			e = stat.NotEstimable(0, "nothing was measured")
		}
		out[name] = e
	}
	return out
}
