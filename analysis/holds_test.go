package analysis

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// TestHoldsCountsWhatWasNeverAnswered holds that a quantile is one of all arrivals
// that came to an end, and not of the survivors.
func TestHoldsCountsWhatWasNeverAnswered(t *testing.T) {
	objective := []scenarios.Objective{{Quantile: 0.99, Latency: 2 * time.Second}}
	tests := []struct {
		name     string
		answered int64 // each after 100 ms
		slow     int64 // of them, each after 3 s
		counts   record.Counts
		want     bool
		words    string
	}{
		{"all answered", 10000, 0, record.Counts{}, true, "p99 100 ms ≤ 2 s"},
		{"1 % slow", 10000, 100, record.Counts{}, true, "p99 100 ms ≤ 2 s"},
		{"2 % slow", 10000, 200, record.Counts{}, false, "p99 3 s > 2 s"},
		{"two thirds shed", 7772, 0, record.Counts{Shed: 16182}, false, "p99 > 2 s, since 67.6 % were never answered"},
		{"1 % failed", 9900, 0, record.Counts{Failed: 100}, true, "p99 100 ms ≤ 2 s"},
		{"2 % failed", 9800, 0, record.Counts{Failed: 200}, false, "never answered"},
		{"half slow and half shed of 2 %", 9900, 100, record.Counts{Shed: 100}, false, "p99 3 s > 2 s"},
		{"5 % timed out after 1 s, below the objective", 9500, 0, record.Counts{TimedOut: 500}, false, "never answered"},
		{"0.5 % timed out", 9950, 0, record.Counts{TimedOut: 50}, true, "p99 100 ms ≤ 2 s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := record.PhaseData{Latency: record.NewHistogram()}
			for value, n := range map[time.Duration]int64{100 * time.Millisecond: tt.answered - tt.slow, 3 * time.Second: tt.slow, time.Second: tt.counts.TimedOut} {
				if err := data.Latency.RecordValues(int64(value), n); err != nil {
					t.Fatal(err)
				}
			}
			data.Counts = tt.counts
			data.Counts.Answered = tt.answered
			data.Counts.Intended = tt.answered + tt.counts.Shed + tt.counts.Failed + tt.counts.TimedOut
			holds, words := Holds(data, objective)
			if plain := strings.ReplaceAll(words, "\u00a0", " "); holds != tt.want || !strings.Contains(plain, tt.words) {
				t.Errorf("got %v: %s, want %v: %s", holds, plain, tt.want, tt.words)
			}
		})
	}
}

// A quantile among those that were never answered has a lower bound and no value.
func TestQuantileOfWhatWasNeverAnswered(t *testing.T) {
	data := record.PhaseData{Latency: record.NewHistogram()}
	if err := data.Latency.RecordValues(int64(100*time.Millisecond), 5000); err != nil {
		t.Fatal(err)
	}
	data.Counts = record.Counts{Intended: 6000, Sent: 6000, Answered: 5000, Failed: 1000}
	s := Summarize(data, Conditions{})
	if p50 := s.P50.Value; math.Abs(p50-0.1) > 0.001 {
		t.Errorf("p50: got %v, want 0.1", p50)
	}
	if s.P99.OK() || !strings.Contains(s.P99.Warnings[0], "16.7 % were never answered") || !math.IsInf(s.P99.High, 1) {
		t.Errorf("p99: got %+v, want none, with the reason", s.P99)
	}
}
