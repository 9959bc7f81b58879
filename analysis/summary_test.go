package analysis

import (
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// The intervals of a long phase are put together, and nothing of them is lost.
func TestIntervalsOf(t *testing.T) {
	for _, test := range []struct {
		name           string
		seconds, count int
		length         time.Duration // of the first
	}{
		{"none", 0, 0, 0},
		{"few", 3, 3, time.Second},
		{"as many as are looked at", mostIntervals, mostIntervals, time.Second},
		{"one more", mostIntervals + 1, mostIntervals/2 + 1, 2 * time.Second},
		{"an hour", 3600, 600, 6 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seconds []record.SecondLatency
			for i := range test.seconds {
				seconds = append(seconds, record.SecondLatency{
					Start: time.Duration(i) * time.Second, End: time.Duration(i+1) * time.Second,
					Values: []int64{1e6, int64(2e6 + i)}, Counts: []int64{3, 1},
				})
			}
			got := intervalsOf(seconds)
			if len(got) != test.count {
				t.Fatalf("%d intervals, want %d", len(got), test.count)
			}
			n, end := int64(0), time.Duration(0)
			for _, s := range got {
				if s.start != end {
					t.Fatalf("an interval begins at %s, want %s", s.start, end)
				}
				n, end = n+s.latency.N(), s.end
			}
			if n != int64(4*test.seconds) || end != time.Duration(test.seconds)*time.Second {
				t.Errorf("%d latencies up to %s, want %d up to %d s", n, end, 4*test.seconds, test.seconds)
			}
			if len(got) > 0 && got[0].end-got[0].start != test.length {
				t.Errorf("the first lasts %s, want %s", got[0].end-got[0].start, test.length)
			}
		})
	}
	if got := intervalsOf([]record.SecondLatency{{End: time.Second}}); len(got) != 0 {
		t.Errorf("without answers: %d intervals", len(got))
	}
}
