package loadgen

import (
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// A worker's histogram holds what one of full length does, whether it has had to
// grow or not.
func TestObserve(t *testing.T) {
	tests := []struct {
		name   string
		values []time.Duration
	}{
		{"short ones", []time.Duration{0, time.Microsecond, time.Millisecond, 249 * time.Millisecond}},
		{"a long one at last", []time.Duration{time.Millisecond, time.Millisecond, 3 * time.Second}},
		{"long ones first", []time.Duration{time.Minute, 50 * time.Minute, time.Millisecond}},
		{"about the border", []time.Duration{250 * time.Millisecond, 268 * time.Millisecond, 269 * time.Millisecond, 537 * time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := newShort(), record.NewHistogram()
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
	h := newShort()
	observe(&h, -5)
	observe(&h, 1<<62)
	if h.Min() != 0 || h.TotalCount() != 2 || h.Max() < int64(time.Hour) || h.Max() > int64(time.Hour)*1001/1000 {
		t.Errorf("%d values from %d to %d, want two, clamped to 0 and an hour", h.TotalCount(), h.Min(), h.Max())
	}
	if allocs := testing.AllocsPerRun(100, func() { observe(&h, int64(time.Minute)) }); allocs != 0 {
		t.Errorf("%g allocations, want none", allocs)
	}
}
