package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// The record of a day, as a load of 24 hours against a target leaves it: 20
// components with one to four replicas each, scraped each quarter of a minute, and
// 2 000/s of three kinds of requests.
const (
	dayComponents = 20
	dayScrape     = 15 * time.Second
	dayRate       = 2000.0
)

// dayEnv names the directory of the record in the process that BenchmarkDay measures.
const dayEnv = "SAILPLAN_TEST_DAY"

// TestDayChild is what BenchmarkDay runs in a process of its own, whose memory then
// holds nothing but the analysis.
func TestDayChild(t *testing.T) {
	dir := os.Getenv(dayEnv)
	if dir == "" {
		return
	}
	analyzeDay(t, dir)
}

// BenchmarkDay reads and analyses the record of a day, of some 120 MB. The aim is 5 s
// and 256 MB; on a virtual machine with two cores it took 2.1 s and 180 MB.
func BenchmarkDay(b *testing.B) {
	dir := writeDay(b)
	var size int64
	for _, name := range []string{"latency.hlog", "samples.jsonl", "timeline.jsonl"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	b.SetBytes(size)
	for b.Loop() {
		analyzeDay(b, dir)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestDayChild$")
	child.Env = append(os.Environ(), dayEnv+"="+dir)
	if out, err := child.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	if usage, ok := child.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak := float64(usage.Maxrss) / 1024
		b.ReportMetric(peak, "peak-RSS-MB")
		if peak > 256 {
			b.Errorf("it took %.0f MB, want at most 256", peak)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
}

func analyzeDay(tb testing.TB, dir string) {
	tb.Helper()
	rec, err := record.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	result, err := Analyze(rec)
	if err != nil {
		tb.Fatal(err)
	}
	if result.Outcome != Held || len(rec.Warnings) > 0 {
		tb.Fatalf("outcome %s: %s; warnings %q", result.Outcome, result.OutcomeReason, rec.Warnings)
	}
}

// writeDay writes the record through the writer that runs use.
func writeDay(tb testing.TB) (dir string) {
	tb.Helper()
	const day = 24 * time.Hour
	dir = filepath.Join(tb.TempDir(), "day")
	w, err := record.Create(dir, dayRun(), time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	p, err := w.BeginPhase(scenarios.Phase{
		Name: "load", Kind: scenarios.KindLoad, Process: scenarios.Poisson, Rate: scenarios.PerSecond(dayRate), Duration: day, Interval: time.Second,
	})
	if err != nil {
		tb.Fatal(err)
	}
	every := record.IntervalFor(day)
	kinds := dayHistograms(every)
	counts := func(at time.Duration) record.Counts {
		n := int64(dayRate * at.Seconds())
		return record.Counts{Intended: n, Sent: n, Answered: n}
	}
	scraped := time.Duration(0)
	for n, at := 0, time.Duration(0); at < day; n, at = n+1, at+every {
		for ; scraped <= at; scraped += dayScrape {
			sampleDay(w, scraped)
		}
		p.Interval(record.Interval{Start: at, End: at + every, Counts: counts(at + every), ByRequest: kinds[n%len(kinds)]})
	}
	n := counts(day).Intended
	if _, err := p.End(record.Phase{
		SendEnd: day, End: day, Ended: record.EndedDone, Counts: counts(day), Statuses: map[int]int64{200: n},
		Generator: record.Generator{CPUSeconds: 2e4, Threads: 1, ArrivalGaps: record.GapFacts{N: n - 1, MeanSeconds: 1 / dayRate, CV: 1}},
	}); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(record.EndedDone, ""); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func dayRun() record.Run {
	run := record.Run{
		Tool: record.Tool{Name: "sailplan"}, Command: "run", Evidence: record.EvidenceTarget, Host: record.Host{CPUs: 4},
		Scenario: scenarios.Scenario{
			APIVersion: scenarios.APIVersion, Kind: scenarios.Kind, Metadata: scenarios.Metadata{Name: "day"},
			Target:     &scenarios.Target{URL: "http://127.0.0.1:8080"},
			Objectives: []scenarios.Objective{{Quantile: 0.99, Latency: 100 * time.Millisecond}, {Quantile: 0.5, Latency: 20 * time.Millisecond}},
		},
	}
	for i := range dayComponents {
		run.Components = append(run.Components, record.Component{
			Name: fmt.Sprintf("component-%02d", i), Role: scenarios.RoleService, Replicas: 1 + i%4, CPULimitCores: 2, MemoryLimitBytes: 1 << 30,
		})
	}
	return run
}

// dayHistograms draws what eight intervals of a length hold. They come again and
// again: drawing a day's 172 million latencies would take longer than all else.
func dayHistograms(every time.Duration) [][]record.RequestHistograms {
	random := rand.New(rand.NewPCG(1, 2))
	var out [][]record.RequestHistograms
	for range 8 {
		var kinds []record.RequestHistograms
		for k, name := range []string{"browse", "search", "buy"} {
			h := record.RequestHistograms{Request: name, Latency: record.NewHistogram(), Service: record.NewHistogram(), SendLag: record.NewHistogram()}
			for range int(dayRate*every.Seconds()) / 3 {
				service := float64(2*(k+1)) * 1e6 * math.Exp(0.6*random.NormFloat64())
				lag := 40e3 + 20e3*random.ExpFloat64()
				_ = h.Service.RecordValue(int64(service))
				_ = h.SendLag.RecordValue(int64(lag))
				_ = h.Latency.RecordValue(int64(service + lag))
			}
			kinds = append(kinds, h)
		}
		out = append(out, kinds)
	}
	return out
}

// sampleDay is one scrape of all components.
func sampleDay(w *record.Writer, at time.Duration) {
	t := at.Seconds()
	for i := range dayComponents {
		for r := range 1 + i%4 {
			phase := float64(r) // so that no two replicas are alike
			w.Sample(record.Sample{
				At: at + time.Duration(i*7+r)*time.Millisecond, Component: fmt.Sprintf("component-%02d", i), Replica: fmt.Sprintf("component-%02d-6d9f7c5b8-%04d", i, r),
				Metrics: map[record.Metric]float64{
					record.CPUSeconds: 100 + (0.4+0.01*phase)*t, record.Periods: 10 * t, record.ThrottledPeriods: math.Floor(t / 100),
					record.WorkingSetBytes: 200e6 + 1e6*math.Sin(t/1000+phase), record.RSSBytes: 180e6 + 1e6*math.Sin(t/900+phase),
					record.DownConnections: 40 + phase, record.DownInFlight: math.Floor(8 + 3*math.Sin(t/77+phase)), record.DownRequests: math.Floor(dayRate / float64(1+i%4) * t),
				},
			})
		}
	}
}
