package experiment

import (
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// instants returns n instants, apart from each other, the last one at last.
func instants(last, apart time.Duration, n int) (at []time.Duration) {
	for i := range n {
		at = append(at, last-time.Duration(n-1-i)*apart)
	}
	return at
}

func TestScrapeSpacing(t *testing.T) {
	const now = 100 * time.Second
	for _, test := range []struct {
		name  string
		at    []time.Duration
		apart time.Duration // 0: not known
	}{
		{"nothing was scraped", nil, 0},
		{"three scrapes are too few", instants(99*time.Second, time.Second, 3), 0},
		{"every second, just begun", instants(99*time.Second, time.Second, 5), time.Second},
		{"every second, told five seconds later", instants(95*time.Second, time.Second, 100), time.Second},
		{"every fifteen seconds, with two minutes behind it", instants(90*time.Second, 15*time.Second, 8), 15 * time.Second},
		{"every minute", instants(70*time.Second, time.Minute, 5), time.Minute},
		{"one of many was left out", append(instants(60*time.Second, 10*time.Second, 12), 80*time.Second, 90*time.Second), 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, n := scrapeSpacing(now, func(since time.Duration) (n int) {
				for _, at := range test.at {
					if at >= since {
						n++
					}
				}
				return n
			})
			if n != len(test.at) {
				t.Errorf("known from %d scrapes, want %d", n, len(test.at))
			}
			if test.apart == 0 {
				if n > scrapesNeeded {
					t.Errorf("got %v, want too few scrapes to tell", got)
				}
				return
			}
			// Up to two distances and the answer's delay are not seen in a window.
			if got < test.apart || got > test.apart*135/100 {
				t.Errorf("got %v, want %v or somewhat more", got, test.apart)
			}
		})
	}
}

func TestSparsePhase(t *testing.T) {
	observed := scenarios.Scenario{Observe: scenarios.Observe{Components: []scenarios.ObservedComponent{
		{Name: "gateway", Prometheus: scenarios.PrometheusQueries{CPUSeconds: "cpu", Connections: "connections"}},
		{Name: "local", PID: 1},
	}}}
	sampled := func(metric record.Metric, replica string, at ...time.Duration) (samples []record.Sample) {
		for _, a := range at {
			samples = append(samples, record.Sample{At: a, Component: "gateway", Replica: replica, Metrics: map[record.Metric]float64{metric: 1}})
		}
		return samples
	}
	in := []time.Duration{11 * time.Second, 12 * time.Second, 13 * time.Second}
	for _, test := range []struct {
		name    string
		samples []record.Sample
		why     string // part of it; empty: enough
	}{
		{"enough of everything", append(sampled(record.CPUSeconds, "a", in...), sampled(record.DownConnections, "a", in...)...), ""},
		{"no samples at all", nil, "0 samples of gateway"},
		{"the one before the phase does not count", sampled(record.CPUSeconds, "a", 9*time.Second, 11*time.Second, 12*time.Second), "2 samples of gateway"},
		{"the one after the last send does not count", sampled(record.CPUSeconds, "a", 11*time.Second, 12*time.Second, 15*time.Second), "2 samples of gateway"},
		{"the replica with the fewest counts", append(sampled(record.CPUSeconds, "a", in...), sampled(record.CPUSeconds, "b", in[0])...), "1 samples of gateway"},
		{"the metric with the fewest counts", append(sampled(record.CPUSeconds, "a", in...), sampled(record.DownConnections, "a", in[:2]...)...), "2 samples of gateway"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &runner{options: Options{Scenario: observed}}
			phase := record.PhaseData{Phase: record.Phase{Start: 10 * time.Second, SendEnd: 14 * time.Second, End: 16 * time.Second}, Samples: test.samples}
			for range 10 { // in whatever order replicas and metrics come
				if got := r.sparse(phase); (got == "") != (test.why == "") || !strings.Contains(got, test.why) {
					t.Fatalf("got %q, want one with %q", got, test.why)
				}
			}
		})
	}
}

func TestOnlyPhasesThatCountAreLengthened(t *testing.T) {
	for kind, want := range map[scenarios.PhaseKind]bool{
		scenarios.KindPreflight: false, scenarios.KindWarmUp: false,
		scenarios.KindClimb: true, scenarios.KindSteady: true, scenarios.KindSearch: true, scenarios.KindProof: true, scenarios.KindLoad: true,
	} {
		if got := counts(kind); got != want {
			t.Errorf("%s: got %v, want %v", kind, got, want)
		}
	}
}
