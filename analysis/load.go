package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"

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
	BackendSpread  *BackendSpread           `json:"backendSpread,omitempty"`
	Steps          []StepSummary            `json:"steps,omitempty"`   // of load.shape.steps
	Slowest        []record.Trace           `json:"slowest,omitempty"` // of the requests that carried a traceparent
	Credentials    []CredentialEvent        `json:"credentials,omitempty"`
	LoadEnded      string                   `json:"loadEnded,omitempty"` // why it ended before its time, where that is as asked for: the feed's last row
	Connections    ConnectionSummary        `json:"connections"`
	Generator      GeneratorSummary         `json:"generator"`
	Verdict        Verdict                  `json:"verdict"`
}

// BackendSpread is how evenly the answers came from those that named themselves.
type BackendSpread struct {
	Backends   int     `json:"backends"`
	LeastShare float64 `json:"leastShare"` // of the answers that named a backend
	MostShare  float64 `json:"mostShare"`
	// Even says that the busiest does not stand out by more than a tenth over the
	// mean and what chance explains.
	Even bool `json:"even"`
}

// StepSummary is one step of load.shape.steps: what came back in the intervals that
// lie within it.
type StepSummary struct {
	FromSeconds    float64                  `json:"fromSeconds"` // since the start of the load
	ToSeconds      float64                  `json:"toSeconds"`
	IntendedRps    float64                  `json:"intendedRps"`
	AchievedRps    float64                  `json:"achievedRps"` // answers and timeouts a second, in those intervals
	LatencySeconds map[string]stat.Estimate `json:"latencySeconds"`
}

// CredentialEvent is what happened to the credential while the run went on.
type CredentialEvent struct {
	AtSeconds float64 `json:"atSeconds"` // since the run's anchor
	Message   string  `json:"message"`
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
	// LostIdleSeconds is for how long connections had been idle that were ended
	// without a word by the peer, or by something between, of the first 1 000 of each
	// phase: absent when none was.
	LostIdleSeconds map[string]stat.Estimate `json:"lostIdleSeconds,omitempty"`
	LocalPorts      int                      `json:"localPorts,omitempty"` // distinct ones that were used
	OpenFailed      int64                    `json:"openFailed,omitempty"` // times that a connection could not be opened again
	OpenError       string                   `json:"openError,omitempty"`  // why, the first time
	// ResumedHandshakes is how many of the TLS handshakes resumed a session, and
	// KeyExchanges how many agreed on each group.
	ResumedHandshakes int64            `json:"resumedHandshakes,omitempty"`
	KeyExchanges      map[string]int64 `json:"keyExchanges,omitempty"`
	ProtocolError     string           `json:"protocolError,omitempty"` // why a connection was given up, the first time
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
	r.Steps = stepSummaries(load, rec.Scenario)
	for _, e := range rec.Events {
		if e.Kind == record.EventCredentials {
			r.Credentials = append(r.Credentials, CredentialEvent{e.At.Seconds(), e.Message})
		}
	}
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
		BackendSpread:  backendSpread(p.Backends),
		Slowest:        p.Slowest,
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
	if p.Ended == record.EndedDone {
		out.LoadEnded = p.EndedWhy
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
	var connect, handshake []stat.Distribution
	var idle []float64
	for _, p := range phases {
		if p.Index > load.Index {
			break
		}
		out.Opened += p.Connection.Opened
		out.Closed += p.Connection.Closed
		out.GoAways += p.Connection.GoAways
		out.Retried += p.Connection.Retried
		out.OpenFailed += p.Connection.OpenFailed
		out.OpenError = cmp.Or(out.OpenError, p.Connection.OpenError)
		out.ProtocolError = cmp.Or(out.ProtocolError, p.Connection.ProtocolError)
		out.ResumedHandshakes += p.Connection.ResumedHandshakes
		for group, n := range p.Connection.KeyExchanges {
			if out.KeyExchanges == nil {
				out.KeyExchanges = map[string]int64{}
			}
			out.KeyExchanges[group] += n
		}
		connect = append(connect, openingTimes(p.Connection.ConnectTimes, p.Connection.ConnectSeconds))
		handshake = append(handshake, openingTimes(p.Connection.HandshakeTimes, p.Connection.HandshakeSeconds))
		idle = append(idle, p.Connection.LostIdleSeconds...)
		out.LocalPorts = max(out.LocalPorts, p.Connection.LocalPorts) // since the session began
	}
	out.ConnectSeconds, out.HandshakeSeconds = plainQuantiles(stat.Merge(connect...)), plainQuantiles(stat.Merge(handshake...))
	if len(idle) > 0 {
		out.LostIdleSeconds = plainQuantiles(eachOnce(idle))
	}
	return out
}

// openingTimes is the distribution of a phase's times, in seconds: of all
// connections, and of the first where an older record has no more.
func openingTimes(all *record.Times, first []float64) stat.Distribution {
	// As long as there are few, each is known by itself and exactly.
	if all == nil || all.N() <= int64(len(first)) || !slices.IsSorted(all.Seconds) {
		return eachOnce(first)
	}
	return stat.NewDistribution(all.Seconds, all.Counts)
}

// backendSpread returns nil where fewer than two backends named themselves.
func backendSpread(backends map[string]int64) *BackendSpread {
	total, least, most := int64(0), int64(math.MaxInt64), int64(0)
	for _, n := range backends {
		total, least, most = total+n, min(least, n), max(most, n)
	}
	if len(backends) < 2 || total == 0 {
		return nil
	}
	mean := float64(total) / float64(len(backends))
	return &BackendSpread{
		Backends: len(backends), LeastShare: float64(least) / float64(total), MostShare: float64(most) / float64(total),
		Even: float64(most)/mean-1 <= warnUneven+unevenByChance(mean),
	}
}

// stepSummaries tells the steps of a shape apart. An interval in which a step ends
// and the next begins is left out, and so is what was answered after the load.
func stepSummaries(load examined, scenario scenarios.Scenario) []StepSummary {
	shape := scenario.Load.Shape
	if shape == nil || len(shape.Steps) == 0 {
		return nil
	}
	var out []StepSummary
	from := time.Duration(0)
	for i, step := range shape.Steps {
		to := from + step.For
		if i == len(shape.Steps)-1 {
			to = load.Spec.Duration
		}
		to = min(to, load.SendEnd-load.Start)
		if to <= from {
			break // the load ended before
		}
		var parts []stat.Distribution
		covered := time.Duration(0)
		for _, second := range load.Seconds {
			if second.Start-load.Start >= from && second.End-load.Start <= to {
				covered += second.End - second.Start
				parts = append(parts, distributionOf(second))
			}
		}
		latency := stat.Merge(parts...)
		s := StepSummary{FromSeconds: from.Seconds(), ToSeconds: to.Seconds(), IntendedRps: step.Rate.RPS(), LatencySeconds: plainQuantiles(latency)}
		if covered > 0 {
			s.AchievedRps = float64(latency.N()) / covered.Seconds()
		}
		out = append(out, s)
		from = to
	}
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
