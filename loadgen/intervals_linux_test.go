package loadgen

import (
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// A worker's histogram holds what one of full length does, whether it has had to
// grow or not.
func TestObserve(t *testing.T) {
	tests := []struct {
		name   string
		values []time.Duration
	}{
		{"very short ones", []time.Duration{0, time.Microsecond, 999 * time.Microsecond, 1048 * time.Microsecond}},
		{"short ones", []time.Duration{0, time.Microsecond, time.Millisecond, 249 * time.Millisecond}},
		{"a long one at last", []time.Duration{time.Millisecond, time.Millisecond, 3 * time.Second}},
		{"long ones first", []time.Duration{time.Minute, 50 * time.Minute, time.Millisecond}},
		{"about the border", []time.Duration{250 * time.Millisecond, 268 * time.Millisecond, 269 * time.Millisecond, 537 * time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := record.NewGrowing(), record.NewHistogram()
			for _, v := range tt.values {
				observe(&got, int64(v))
				_ = want.RecordValue(int64(v))
			}
			if got.TotalCount() != want.TotalCount() || got.Max() != want.Max() || got.Min() != want.Min() {
				t.Errorf("%d values from %d to %d, want %d from %d to %d", got.TotalCount(), got.Min(), got.Max(), want.TotalCount(), want.Min(), want.Max())
			}
			for _, q := range []float64{10, 25, 50, 75, 90, 100} {
				if g, w := got.ValueAtPercentile(q), want.ValueAtPercentile(q); g != w {
					t.Errorf("p%g is %d, want %d", q, g, w)
				}
			}
		})
	}
	h := record.NewGrowing()
	observe(&h, -5)
	observe(&h, 1<<62)
	if h.Min() != 0 || h.TotalCount() != 2 || h.Max() < int64(time.Hour) || h.Max() > int64(time.Hour)*1001/1000 {
		t.Errorf("%d values from %d to %d, want two, clamped to 0 and an hour", h.TotalCount(), h.Min(), h.Max())
	}
	if allocs := testing.AllocsPerRun(100, func() { observe(&h, int64(time.Minute)) }); allocs != 0 {
		t.Errorf("%g allocations, want none", allocs)
	}
}

// Two sets of histograms go round, and their sum where there are several workers: they
// decide how much memory a plan with many kinds of requests takes.
func TestSetsAreSmall(t *testing.T) {
	bytes := func(s *set) (n int) {
		for _, r := range s.requests {
			n += r.Latency.ByteSize() + r.Service.ByteSize() + r.SendLag.ByteSize()
		}
		return n
	}
	kinds := make([]exchange.Request, 10)
	s, sum := newSet(kinds), newSet(kinds)
	for i := range s.requests {
		observe(&s.requests[i].Latency, int64(15*time.Millisecond))
		observe(&s.requests[i].Service, int64(15*time.Millisecond))
		observe(&s.requests[i].SendLag, int64(time.Millisecond))
	}
	sum.add(s)
	for name, s := range map[string]*set{"a worker's": s, "the sum": sum} {
		if got := bytes(s); got > 1_250_000 {
			t.Errorf("%s takes %d bytes for ten kinds of requests that take 15 ms, want 1.25 MB at most", name, got)
		}
	}
	observe(&s.requests[0].Latency, int64(3*time.Second))
	sum.reset()
	sum.add(s)
	if got := sum.requests[0].Latency; got.TotalCount() != 2 || got.Max() < int64(3*time.Second) {
		t.Errorf("the sum has %d values up to %d, want 2 up to 3 s", got.TotalCount(), got.Max())
	}
}
