package analysis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// lists is where a verdict names a code.
type lists struct{ invalid, notForFit, warned bool }

func listsOf(v Verdict, code string) lists {
	has := func(reasons []Reason) bool {
		return slices.ContainsFunc(reasons, func(r Reason) bool { return r.Code == code })
	}
	return lists{has(v.Reasons), has(v.NotForFit), has(v.Warnings)}
}

// all records n times the value v.
func all(v time.Duration, n int64) *hdrhistogram.Histogram {
	h := record.NewHistogram()
	_ = h.RecordValues(int64(v), n)
	return h
}

// resample changes the metric of every sample of a component.
func resample(p *record.PhaseData, component string, metric record.Metric, change func(at time.Duration, v float64) float64) {
	for i, s := range p.Samples {
		if s.Component == component {
			p.Samples[i].Metrics[metric] = change(s.At, s.Metrics[metric])
		}
	}
}

// rising gives the halves of a phase the latencies of two others.
func rising(p *record.PhaseData, first, second time.Duration) {
	p.Latency, p.Seconds = record.NewHistogram(), nil
	n := p.Counts.Answered / 2
	middle := p.Start + (p.SendEnd-p.Start)/2
	for i, v := range []time.Duration{first, second} {
		_ = p.Latency.RecordValues(int64(v), n)
		s := record.SecondLatency{Start: p.Start, End: middle, Values: []int64{int64(v)}, Counts: []int64{n}}
		if i == 1 {
			s.Start, s.End = middle, p.SendEnd
		}
		p.Seconds = append(p.Seconds, s)
	}
}

func TestJudge(t *testing.T) {
	no := lists{}
	invalid, unfit, warned := lists{invalid: true}, lists{notForFit: true}, lists{warned: true}
	ms := time.Millisecond
	for _, test := range []struct {
		name   string
		code   string
		change func(p *record.PhaseData, c *Conditions)
		want   lists
	}{
		{"errors that no objective judges", CodeErrorsUnjudged, func(p *record.PhaseData, c *Conditions) {
			c.Objectives, p.Counts.Bad = c.Objectives[:1], p.Counts.Answered/50
		}, warned},
		{"few errors that no objective judges", CodeErrorsUnjudged, func(p *record.PhaseData, c *Conditions) {
			c.Objectives, p.Counts.Bad = c.Objectives[:1], p.Counts.Answered/200
		}, no},
		{"errors that an objective judges", CodeErrorsUnjudged, func(p *record.PhaseData, _ *Conditions) { p.Counts.Bad = p.Counts.Answered / 50 }, no},
		{"nothing sent", CodeNothingMeasured, func(p *record.PhaseData, _ *Conditions) { p.Counts = record.Counts{} }, invalid},
		{"unfinished", CodeCutShort, func(p *record.PhaseData, _ *Conditions) { p.Unfinished = true }, invalid},
		{"interrupted", CodeCutShort, func(p *record.PhaseData, _ *Conditions) { p.Ended = record.EndedInterrupted }, invalid},
		{"stopped by a guard", CodeCutShort, func(p *record.PhaseData, _ *Conditions) { p.Ended = record.EndedGuard }, unfit},
		{"lag of a tenth of the objective", CodeSendLag, func(p *record.PhaseData, _ *Conditions) { p.SendLag = all(4900*time.Microsecond, 3000) }, no},
		{"lag above", CodeSendLag, func(p *record.PhaseData, _ *Conditions) { p.SendLag = all(6*ms, 3000) }, unfit},
		{"lag of half the objective", CodeSendLag, func(p *record.PhaseData, _ *Conditions) { p.SendLag = all(26*ms, 3000) }, invalid},
		{"lag of 9 ms without objective", CodeSendLag, func(p *record.PhaseData, c *Conditions) { c.Objectives, p.SendLag = nil, all(9*ms, 3000) }, no},
		{"lag of 11 ms without objective", CodeSendLag, func(p *record.PhaseData, c *Conditions) { c.Objectives, p.SendLag = nil, all(11*ms, 3000) }, invalid},
		{"lag of a phase that misses anyway", CodeSendLag, func(p *record.PhaseData, _ *Conditions) {
			p.SendLag, p.Service, p.Latency = all(6*ms, 3000), all(120*ms, 3000), all(122*ms, 3000)
		}, unfit},
		{"lag that may be why it misses", CodeSendLag, func(p *record.PhaseData, _ *Conditions) {
			p.SendLag, p.Service, p.Latency = all(6*ms, 3000), all(60*ms, 3000), all(66*ms, 3000)
		}, invalid},
		{"lag beyond all", CodeSendLag, func(p *record.PhaseData, _ *Conditions) {
			p.SendLag, p.Service, p.Latency = all(60*ms, 3000), all(120*ms, 3000), all(180*ms, 3000)
		}, invalid},
		{"run delay of a phase that misses anyway", CodeGeneratorDelay, func(p *record.PhaseData, _ *Conditions) {
			p.Generator.RunDelaySeconds, p.Service, p.Latency = 0.9, all(120*ms, 3000), all(122*ms, 3000)
		}, unfit},
		{"lag because the system held all streams", CodeSendLag, func(p *record.PhaseData, _ *Conditions) {
			p.SendLag, p.Service, p.Connection.MaxInFlight = all(60*ms, 3000), all(900*ms, 3000), 800
		}, no},
		{"all streams held", CodeStreamsExhausted, func(p *record.PhaseData, _ *Conditions) {
			p.SendLag, p.Service, p.Connection.MaxInFlight = all(60*ms, 3000), all(900*ms, 3000), 800
		}, warned},
		{"a burst of a late generator fills the streams", CodeSendLag, func(p *record.PhaseData, _ *Conditions) {
			p.SendLag, p.Service, p.Connection.MaxInFlight = all(60*ms, 3000), all(2*ms, 3000), 800
		}, invalid},
		{"unsent because the target died", CodeRateNotReached, func(p *record.PhaseData, c *Conditions) {
			p.Counts.Shed = p.Counts.Sent / 3
			p.Counts.Sent -= p.Counts.Shed
			c.Connections, p.Connection.Open = 8, 0
		}, no},
		{"no connection is why", CodeNoConnection, func(p *record.PhaseData, c *Conditions) {
			p.Counts.Shed = p.Counts.Sent / 3
			p.Counts.Sent -= p.Counts.Shed
			c.Connections, p.Connection.Open = 8, 0
		}, warned},
		{"lost and opened again", CodeNoConnection, func(p *record.PhaseData, c *Conditions) {
			p.Counts.Shed = p.Counts.Sent / 50
			p.Counts.Sent -= p.Counts.Shed
			c.Connections, p.Connection.Open, p.Phase.Errors = 8, 8, map[string]int64{"connection-lost": 3}
		}, warned},
		{"all connections there", CodeNoConnection, func(p *record.PhaseData, c *Conditions) {
			p.Counts.Sent -= p.Counts.Sent / 50
			c.Connections, p.Connection.Open = 8, 8
		}, no},
		{"unsent by the generator", CodeRateNotReached, func(p *record.PhaseData, _ *Conditions) { p.Counts.Sent -= p.Counts.Sent / 50 }, invalid},
		{"shed by a slow system", CodeRateNotReached, func(p *record.PhaseData, _ *Conditions) {
			p.Counts.Shed = p.Counts.Sent / 5
			p.Counts.Sent -= p.Counts.Shed
			p.Service = all(2*time.Second, 3000)
		}, no},
		{"fewer arrivals than asked for", CodeRateNotReached, func(p *record.PhaseData, _ *Conditions) { p.Spec.Rate = scenarios.PerSecond(1200) }, invalid},
		{"chance of a Poisson process", CodeRateNotReached, func(p *record.PhaseData, _ *Conditions) { p.Spec.Rate = scenarios.PerSecond(1040) }, no},
		{"busy sending loop", CodeGeneratorCPU, func(p *record.PhaseData, _ *Conditions) { p.Generator.CPUSeconds = 2.4 }, warned},
		{"saturated sending loop", CodeGeneratorCPU, func(p *record.PhaseData, _ *Conditions) { p.Generator.CPUSeconds = 2.95 }, invalid},
		{"precise pacing spins", CodeGeneratorCPU, func(p *record.PhaseData, c *Conditions) { p.Generator.CPUSeconds, c.Pacing = 2.95, scenarios.Precise }, no},
		{"throttled once", CodeGeneratorQuota, func(p *record.PhaseData, _ *Conditions) { p.Generator.ThrottledPeriods = 1 }, warned},
		{"throttled often", CodeGeneratorQuota, func(p *record.PhaseData, _ *Conditions) { p.Generator.ThrottledPeriods = 5 }, invalid},
		{"some run delay", CodeGeneratorDelay, func(p *record.PhaseData, _ *Conditions) { p.Generator.RunDelaySeconds = 0.3 }, warned},
		{"much run delay", CodeGeneratorDelay, func(p *record.PhaseData, _ *Conditions) { p.Generator.RunDelaySeconds = 0.9 }, unfit},
		{"much run delay of a doubtful miss", CodeGeneratorDelay, func(p *record.PhaseData, _ *Conditions) {
			p.Generator.RunDelaySeconds, p.Service, p.Latency = 0.9, all(60*ms, 3000), all(62*ms, 3000)
		}, invalid},
		{"run delay beyond all", CodeGeneratorDelay, func(p *record.PhaseData, _ *Conditions) { p.Generator.RunDelaySeconds = 1.5 }, invalid},
		{"a hole in the timeline", CodeGeneratorStall, func(p *record.PhaseData, _ *Conditions) { p.Timeline = slices.Delete(p.Timeline, 1, 2) }, invalid},
		{"as far apart as the intervals of three hours are", CodeGeneratorStall, func(p *record.PhaseData, _ *Conditions) {
			p.Spec.Duration, p.Timeline = 3*time.Hour, slices.Delete(p.Timeline, 1, 2)
		}, no},
		{"long collection", CodeGCPause, func(p *record.PhaseData, _ *Conditions) { p.Generator.GCPauseMax = 30 * ms }, invalid},
		{"collection too short to move p99", CodeGCPause, func(p *record.PhaseData, c *Conditions) {
			p.Generator.GCPauseMax, c.Objectives = 2*ms, []scenarios.Objective{{Quantile: 0.99, Latency: 10 * ms}}
		}, warned},
		{"goroutines waited", CodeSchedDelay, func(p *record.PhaseData, _ *Conditions) { p.Generator.SchedLatencyP99 = 6 * ms }, warned},
		{"goroutines waited long", CodeSchedDelay, func(p *record.PhaseData, _ *Conditions) { p.Generator.SchedLatencyP99 = 30 * ms }, unfit},
		{"goroutines waited long, and a doubtful miss", CodeSchedDelay, func(p *record.PhaseData, _ *Conditions) {
			p.Generator.SchedLatencyP99, p.Service, p.Latency = 30*ms, all(60*ms, 3000), all(62*ms, 3000)
		}, invalid},
		{"steal of 3 %", CodeSteal, func(p *record.PhaseData, _ *Conditions) {
			resample(p, record.ComponentHost, record.StealSeconds, func(at time.Duration, _ float64) float64 { return 0.06 * at.Seconds() })
		}, warned},
		{"steal of 6 %", CodeSteal, func(p *record.PhaseData, _ *Conditions) {
			resample(p, record.ComponentHost, record.StealSeconds, func(at time.Duration, _ float64) float64 { return 0.12 * at.Seconds() })
		}, invalid},
		{"no idle left", CodeHostBusy, func(p *record.PhaseData, _ *Conditions) {
			resample(p, record.ComponentHost, record.IdleSeconds, func(at time.Duration, _ float64) float64 { return 0.02 * at.Seconds() })
		}, warned},
		{"pressure alone", CodeCPUPressure, func(p *record.PhaseData, _ *Conditions) {
			resample(p, record.ComponentHost, record.CPUPressure, func(at time.Duration, _ float64) float64 { return 0.8 * at.Seconds() })
		}, warned},
		{"a component waited", CodeComponentWaited, func(p *record.PhaseData, _ *Conditions) {
			resample(p, "gateway", record.RunDelaySeconds, func(at time.Duration, _ float64) float64 { return 0.3 * at.Seconds() })
		}, warned},
		{"a component was held back by its quota", CodeComponentWaited, func(p *record.PhaseData, _ *Conditions) {
			resample(p, "gateway", record.RunDelaySeconds, func(at time.Duration, _ float64) float64 { return 0.7 * at.Seconds() })
			resample(p, "gateway", record.ThrottledPeriods, func(at time.Duration, _ float64) float64 { return 10 * at.Seconds() })
		}, no},
		{"bursts instead of Poisson", CodeArrivals, func(p *record.PhaseData, _ *Conditions) { p.Generator.ArrivalGaps.CV = 3 }, invalid},
		{"too regular for Poisson", CodeArrivals, func(p *record.PhaseData, _ *Conditions) { p.Generator.ArrivalGaps.CV = 0.2 }, unfit},
		{"bursts of a busy machine", CodeArrivals, func(p *record.PhaseData, _ *Conditions) { p.Generator.ArrivalGaps.CV = 1.6 }, unfit},
		{"somewhat bursty", CodeArrivals, func(p *record.PhaseData, _ *Conditions) { p.Generator.ArrivalGaps.CV = 1.3 }, warned},
		{"constant rate", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			p.Spec.Process, p.Generator.ArrivalGaps.CV = scenarios.Constant, 0.05
		}, no},
		{"constant rate with bursts", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			p.Spec.Process, p.Generator.ArrivalGaps.CV = scenarios.Constant, 1
		}, unfit},
		{"batches that the pacing means to send, Poisson", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			// 1000/s by one thread that holds the first of a batch back for 8 ms: n = 9.
			p.Generator.SlackSeconds, p.Generator.ArrivalGaps.CV = 0.008, 2.85
		}, no},
		{"batches that the pacing means to send, constant", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			p.Spec.Process, p.Generator.SlackSeconds, p.Generator.ArrivalGaps.CV = scenarios.Constant, 0.008, 2.83
		}, no},
		{"batches of two threads", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			p.Generator.SlackSeconds, p.Generator.Threads, p.Generator.ArrivalGaps.CV = 0.016, 2, 2.85
		}, no},
		{"bunches that were asked for, constant", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			// Of 64 gaps 63 are 0 and one is 64 times the mean: CV² = 64 − 1.
			p.Spec.Process, p.Spec.Bunch, p.Generator.ArrivalGaps.CV = scenarios.Constant, 64, 7.94
		}, no},
		{"bunches that came apart", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			p.Spec.Process, p.Spec.Bunch, p.Generator.ArrivalGaps.CV = scenarios.Constant, 16, 1
		}, unfit},
		{"bunches that were asked for, Poisson", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			// A gap between bunches has E(g²) = 2·(16 m)², one in 16 is such a one: CV² = 32 − 1.
			p.Spec.Bunch, p.Generator.ArrivalGaps.CV = 16, 5.57
		}, no},
		{"bursts far beyond the batches meant", CodeArrivals, func(p *record.PhaseData, _ *Conditions) {
			p.Generator.SlackSeconds, p.Generator.ArrivalGaps.CV = 0.008, 6.5
		}, invalid},
		{"a credential that ran out", CodeCredentials, func(p *record.PhaseData, _ *Conditions) { deny(p, len(p.Timeline)/2, 1) }, invalid},
		{"a few answers denied by chance", CodeCredentials, func(p *record.PhaseData, _ *Conditions) { deny(p, len(p.Timeline)/2, 0.005) }, no},
		{"a load that is denied from the start", CodeCredentials, func(p *record.PhaseData, _ *Conditions) { deny(p, -1, 0.3) }, no},
		{"gaps of another rate", CodeArrivals, func(p *record.PhaseData, _ *Conditions) { p.Generator.ArrivalGaps.MeanSeconds *= 1.2 }, invalid},
		{"a growing queue that misses", CodeNotStationary, func(p *record.PhaseData, _ *Conditions) { rising(p, 40*ms, 120*ms) }, unfit},
		{"a growing queue that misses stays valid", CodeBreaksLater, func(p *record.PhaseData, _ *Conditions) { rising(p, 40*ms, 120*ms) }, no},
		{"a drift that does not matter", CodeNotStationary, func(p *record.PhaseData, _ *Conditions) { rising(p, ms, 2*ms) }, no},
		{"held only because it was short", CodeBreaksLater, func(p *record.PhaseData, c *Conditions) {
			rising(p, 10*ms, 40*ms)
			c.Objectives = []scenarios.Objective{{Quantile: 0.5, Latency: 20 * ms}}
		}, invalid},
		{"had not settled", CodeNotSettled, func(p *record.PhaseData, _ *Conditions) { rising(p, 40*ms, 10*ms) }, unfit},
		{"CPU still rising", CodeNotSettled, func(p *record.PhaseData, _ *Conditions) {
			middle := (p.Start + (p.SendEnd-p.Start)/2).Seconds()
			resample(p, "gateway", record.CPUSeconds, func(at time.Duration, _ float64) float64 {
				return 5 + 0.1*at.Seconds() + 0.2*max(0, at.Seconds()-middle)
			})
		}, unfit},
		{"too few for p99", CodeTooFewAnswers, func(p *record.PhaseData, _ *Conditions) { p.Latency = all(ms, 725) }, unfit},
		{"enough for p99", CodeTooFewAnswers, func(p *record.PhaseData, _ *Conditions) { p.Latency = all(ms, 726) }, no},
		{"too few for p99.9", CodeTooFewAnswers, func(_ *record.PhaseData, c *Conditions) { c.Objectives[0].Quantile = 0.999 }, unfit},
		{"no samples", CodeSampleGap, func(p *record.PhaseData, _ *Conditions) { p.Samples = nil }, warned},
		{"a hole in the samples", CodeSampleGap, func(p *record.PhaseData, _ *Conditions) {
			p.Samples = slices.DeleteFunc(p.Samples, func(s record.Sample) bool {
				return s.Component == "gateway" && s.At > p.Start+800*ms && s.At < p.Start+2300*ms
			})
		}, warned},
		{"a replica went", CodeReplicasChanged, func(p *record.PhaseData, _ *Conditions) {
			p.Samples = slices.DeleteFunc(p.Samples, func(s record.Sample) bool { return s.Replica == "sidecar-2" && s.At > p.Start+ms*1200 })
		}, invalid},
		{"a replica came", CodeReplicasChanged, func(p *record.PhaseData, _ *Conditions) {
			p.Samples = slices.DeleteFunc(p.Samples, func(s record.Sample) bool { return s.Replica == "sidecar-2" && s.At < p.Start+ms*1800 })
		}, invalid},
		{"a component restarted", CodeReplicasChanged, func(p *record.PhaseData, _ *Conditions) {
			resample(p, "gateway", record.CPUSeconds, func(at time.Duration, v float64) float64 {
				if at > p.Start+1500*ms {
					return v - 5
				}
				return v
			})
		}, invalid},
		{"threads ended", CodeReplicasChanged, func(p *record.PhaseData, _ *Conditions) {
			resample(p, "gateway", record.VoluntarySwitches, func(at time.Duration, v float64) float64 {
				if at > p.Start+1500*ms {
					return v - 900
				}
				return v
			})
		}, no},
		{"one busier backend", CodeUnevenLoad, func(p *record.PhaseData, _ *Conditions) { p.Backends = map[string]int64{"a": 2100, "b": 900} }, warned},
		{"one backend has nearly all", CodeUnevenLoad, func(p *record.PhaseData, _ *Conditions) { p.Backends = map[string]int64{"a": 2950, "b": 50} }, unfit},
		{"chance between backends", CodeUnevenLoad, func(p *record.PhaseData, _ *Conditions) { p.Backends = map[string]int64{"a": 1560, "b": 1440} }, no},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(11)
			conditions := ConditionsOf(w.run())
			conditions.Objectives = slices.Clone(conditions.Objectives)
			p := w.phase("steady", scenarios.KindSteady, 1000, 3*time.Second)
			test.change(&p, &conditions)
			v := Judge(p, conditions)
			if got := listsOf(v, test.code); got != test.want {
				t.Errorf("%s is in %+v, want %+v; verdict %+v", test.code, got, test.want, v)
			}
			if v.Valid != (len(v.Reasons) == 0) || v.UsableForFit != (v.Valid && len(v.NotForFit) == 0) {
				t.Errorf("verdict contradicts itself: %+v", v)
			}
		})
	}
}

// What nothing disturbed has no reason at all: short or long, slow or fast, below
// or beyond the edge.
func TestJudgeUndisturbed(t *testing.T) {
	w := newWorld(5)
	conditions := ConditionsOf(w.run())
	for _, rps := range []float64{400, 2000, 2600} {
		for _, length := range []time.Duration{2 * time.Second, 2500 * time.Millisecond, 15 * time.Second} {
			v := Judge(w.phase("steady", scenarios.KindSteady, rps, length), conditions)
			if !v.UsableForFit || len(v.Warnings) > 0 {
				t.Errorf("%.0f/s for %s: %+v, want no reason", rps, length, v)
			}
		}
	}
}

func TestHolds(t *testing.T) {
	objectives := []scenarios.Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}, {ErrorRatio: 0.001}}
	counts := record.Counts{Intended: 10000, Sent: 10000, Answered: 10000}
	with := func(bad int64) record.Counts {
		c := counts
		c.Bad = bad
		return c
	}
	mixed := all(10*time.Millisecond, 9899)
	_ = mixed.RecordValues(int64(80*time.Millisecond), 101)
	for _, test := range []struct {
		name       string
		latency    *hdrhistogram.Histogram
		counts     record.Counts
		objectives []scenarios.Objective
		want       bool
		reason     string
	}{
		{"holds", all(10*time.Millisecond, 10000), counts, objectives, true, "p99 10 ms ≤ 50 ms; errors 0 % ≤ 0.1 %"},
		{"slow", mixed, counts, objectives, false, "p99 80 ms > 50 ms; errors 0 % ≤ 0.1 %"},
		{"at the error ratio", all(10*time.Millisecond, 10000), with(10), objectives, true, "p99 10 ms ≤ 50 ms; errors 0.1 % ≤ 0.1 %"},
		{"errors", all(10*time.Millisecond, 10000), with(11), objectives, false, "p99 10 ms ≤ 50 ms; errors 0.11 % > 0.1 %"},
		{"few answers", all(10*time.Millisecond, 100), counts, objectives[:1], true, "p99 of only 100 answers 10 ms ≤ 50 ms"},
		{"nothing", nil, record.Counts{}, objectives, false, "nothing was measured"},
		{"no objective", all(time.Millisecond, 10), counts, nil, true, "there is no objective"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := record.PhaseData{Phase: record.Phase{Counts: test.counts}, Latency: test.latency}
			got, reason := Holds(p, test.objectives)
			if got != test.want || plain(reason) != test.reason {
				t.Errorf("Holds = %v, %q, want %v, %q", got, reason, test.want, test.reason)
			}
		})
	}
}

func TestStationaryEnough(t *testing.T) {
	w := newWorld(3)
	w.noise = 0
	chunk := func(change func(p *record.PhaseData)) record.PhaseData {
		p := w.phase("warm-up", scenarios.KindWarmUp, 1000, 2*time.Second)
		if change != nil {
			change(&p)
		}
		return p
	}
	slow := func(p *record.PhaseData) { p.Latency = all(3*time.Millisecond, 2000) }
	costly := func(p *record.PhaseData) {
		resample(p, "gateway", record.CPUSeconds, func(at time.Duration, v float64) float64 { return v + 0.2*at.Seconds() })
	}
	unsampled := func(p *record.PhaseData) { p.Samples = nil }
	for _, test := range []struct {
		name   string
		chunks []record.PhaseData
		want   bool
	}{
		{"none", nil, false},
		{"one", []record.PhaseData{chunk(nil)}, false},
		{"alike", []record.PhaseData{chunk(nil), chunk(nil)}, true},
		{"latency still falling", []record.PhaseData{chunk(slow), chunk(nil)}, false},
		{"CPU still falling", []record.PhaseData{chunk(costly), chunk(nil)}, false},
		{"settled after that", []record.PhaseData{chunk(slow), chunk(costly), chunk(nil), chunk(nil)}, true},
		{"without samples", []record.PhaseData{chunk(unsampled), chunk(unsampled)}, true},
		{"no answers", []record.PhaseData{{}, {}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, reason := StationaryEnough(test.chunks); got != test.want || reason == "" {
				t.Errorf("StationaryEnough = %v, %q, want %v", got, reason, test.want)
			}
		})
	}
}

// plain makes the no-break spaces of numbers ordinary ones.
func plain(text string) string { return strings.ReplaceAll(text, quantity.NoBreak, " ") }

// deny makes a share of the answers of all intervals after one 401.
func deny(p *record.PhaseData, after int, share float64) {
	p.Timeline = slices.Clone(p.Timeline)
	denied, before := 0.0, int64(0)
	for i := range p.Timeline {
		answered := p.Timeline[i].Counts.Answered
		if i > after {
			denied += share * float64(answered-before)
		}
		before = answered
		p.Timeline[i].Counts.Denied = int64(denied)
	}
	p.Counts.Denied = p.Timeline[len(p.Timeline)-1].Counts.Denied
}

// HTTP/1.1 has one request in flight on a connection, whatever the scenario says.
func TestConditionsOfHTTP1(t *testing.T) {
	run := record.Run{Scenario: scenarios.Scenario{
		Target:      &scenarios.Target{Protocol: scenarios.ProtocolHTTP1},
		Connections: scenarios.Connections{Count: 8, StreamsPerConnection: 100},
	}}
	if got := ConditionsOf(run).Streams; got != 8 {
		t.Errorf("HTTP/1.1 over 8 connections: got %d requests in flight at the most, want 8", got)
	}
	run.Scenario.Target.Protocol = scenarios.ProtocolH2
	if got := ConditionsOf(run).Streams; got != 800 {
		t.Errorf("HTTP/2 over 8 connections: got %d requests in flight at the most, want 800", got)
	}
}
