package record

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// exampleRun is a run whose every number is known. It has a second's intervals
// of two request kinds: 90 browses of 2 ms and 10 searches of 40 ms in each.
const (
	browsesPerSecond  = 90
	searchesPerSecond = 10
	browseTime        = 2 * time.Millisecond
	searchTime        = 40 * time.Millisecond
	lag               = 20 * time.Microsecond
)

func exampleAnchor() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 250e6, time.UTC) }

func exampleHeader() Run {
	return Run{
		Tool:     Tool{Name: "sailplan", Version: "0.1.0", GoVersion: "go1.26"},
		Command:  "size",
		Evidence: EvidenceLab,
		Seed:     7,
		Host:     Host{OS: "linux", Arch: "amd64", CPUs: 2, MemoryBytes: 4 << 30},
		Lab:      &Lab{Kind: "envoy", EnvoyVersion: "1.40.0", LimitsEnforced: true},
		Scenario: scenarios.Scenario{
			APIVersion: scenarios.APIVersion, Kind: scenarios.Kind,
			Metadata: scenarios.Metadata{Name: "checkout"},
			Lab:      &scenarios.Lab{Proxy: "envoy", Gateway: scenarios.LabProxy{Concurrency: 1, Limits: scenarios.Limits{CPU: 300}}},
			Requests: []scenarios.Request{
				{Name: "browse", Weight: 9, Method: "GET", Path: "/products"},
				{Name: "search", Weight: 1, Method: "GET", Path: "/search?q=<sail>&x=1",
					Headers: map[string]string{"Authorization": "Bearer abc", "accept": "*/*"}},
			},
			Load:       scenarios.Load{Rate: scenarios.Rate{Count: 100, Per: time.Second}, Timeout: 5 * time.Second},
			Objectives: []scenarios.Objective{{Quantile: 0.99, Latency: 50 * time.Millisecond}, {ErrorRatio: 0.001}},
			Observe:    scenarios.Observe{Interval: time.Second},
			Demand:     scenarios.Demand{Headroom: 0.2, PeakRate: scenarios.Rate{Count: 12000, Per: time.Second}},
			Seed:       18446744073709551615,
		},
		Components: []Component{{Name: "gateway", Role: scenarios.RoleGateway, Replicas: 1, CPULimitCores: 0.3}},
	}
}

func exampleSpec(name string, seconds int) scenarios.Phase {
	return scenarios.Phase{
		Name: name, Kind: scenarios.KindSteady, Process: scenarios.Poisson,
		Rate: scenarios.Rate{Count: 100, Per: time.Second}, Duration: time.Duration(seconds) * time.Second,
		Interval: time.Second, Seed: 3, MaxBacklog: 1000,
	}
}

// exampleInterval is the second that begins n seconds after the phase's start.
func exampleInterval(start time.Duration, n int) Interval {
	one := func(name string, count int64, took time.Duration) RequestHistograms {
		h := newRequestHistograms(name)
		_ = h.Latency.RecordValues(int64(took+lag), count)
		_ = h.Service.RecordValues(int64(took), count)
		_ = h.SendLag.RecordValues(int64(lag), count)
		return h
	}
	done := int64(n + 1)
	return Interval{
		Start: start + time.Duration(n)*time.Second, End: start + time.Duration(n+1)*time.Second,
		Counts: exampleCounts(done),
		ByRequest: []RequestHistograms{
			one("browse", browsesPerSecond, browseTime),
			one("search", searchesPerSecond, searchTime),
		},
	}
}

func exampleCounts(seconds int64) Counts {
	n := seconds * (browsesPerSecond + searchesPerSecond)
	return Counts{Intended: n, Sent: n, Answered: n, Bad: seconds, BytesSent: n * 50, BytesReceived: n * 1100}
}

func exampleFacts(start time.Duration, seconds int) Phase {
	end := start + time.Duration(seconds)*time.Second
	counts := exampleCounts(int64(seconds))
	return Phase{
		Start: start, SendEnd: end, End: end, Ended: EndedDone, Counts: counts,
		Statuses:   map[int]int64{200: counts.Answered - counts.Bad, 503: counts.Bad},
		Backends:   map[string]int64{"svc-0": counts.Answered},
		Generator:  Generator{CPUSeconds: 0.25, ArrivalGaps: GapFacts{N: counts.Sent - 1, MeanSeconds: 0.01, CV: 1.02}},
		Connection: Connections{Open: 2, Opened: 2, TLSVersion: "1.3", ConnectSeconds: []float64{0.001, 0.002}},
	}
}

// sampleAt samples the gateway: 0.1 cores, 50 requests a second.
func sampleAt(at time.Duration) Sample {
	return Sample{At: at, Component: "gateway", Metrics: map[Metric]float64{
		CPUSeconds: 1 + 0.1*at.Seconds(), RSSBytes: 50e6, DownRequests: 50 * at.Seconds(),
	}}
}

// exampleWriter starts the example in a new directory, under a clock of its own.
func exampleWriter(t testing.TB, open openFunc) (*Writer, *time.Duration) {
	t.Helper()
	w, err := create(filepath.Join(t.TempDir(), "run"), exampleHeader(), exampleAnchor(), open)
	if err != nil {
		t.Fatal(err)
	}
	now := new(time.Duration)
	w.since = func() time.Duration { return *now }
	return w, now
}

// writePhase runs one phase of the example without ending it.
func writePhase(t testing.TB, w *Writer, now *time.Duration, name string, seconds int) *PhaseWriter {
	t.Helper()
	start := *now
	p, err := w.BeginPhase(exampleSpec(name, seconds))
	if err != nil {
		t.Fatal(err)
	}
	for n := range seconds {
		w.Sample(sampleAt(start + time.Duration(n)*time.Second + 300*time.Millisecond))
		p.Interval(exampleInterval(start, n))
	}
	*now = start + time.Duration(seconds)*time.Second
	return p
}

// writeExample writes two phases, with a second between, and ends the run.
func writeExample(t testing.TB) (dir string, inMemory []PhaseData) {
	t.Helper()
	w, now := exampleWriter(t, openFile)
	w.Event(Event{At: 0, Kind: EventNote, Phase: -1, Message: "lab is ready"})
	w.Sample(sampleAt(500 * time.Millisecond))
	for i, name := range []string{"low", "high"} {
		*now = time.Duration(1+i*5) * time.Second
		w.Sample(sampleAt(*now - 700*time.Millisecond))
		p := writePhase(t, w, now, name, 3)
		w.Sample(sampleAt(*now + 300*time.Millisecond))
		data, err := p.End(exampleFacts(time.Duration(1+i*5)*time.Second, 3))
		if err != nil {
			t.Fatal(err)
		}
		inMemory = append(inMemory, data)
	}
	*now += time.Second
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	return w.Dir(), inMemory
}

// randomHistogram has n lognormal-like values from a fixed seed.
func randomHistogram(seed uint64, n int) RequestHistograms {
	random := rand.New(rand.NewPCG(seed, 1))
	h := newRequestHistograms("browse")
	for range n {
		_ = h.Latency.RecordValue(int64(random.ExpFloat64() * 5e6))
	}
	return h
}
