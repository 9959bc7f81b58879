package stat

import (
	"math"
	"testing"
)

func TestEndless(t *testing.T) {
	d := NewDistribution([]float64{1, 2, 3}, []int64{5, 3, 2})
	for _, tt := range []struct {
		name       string
		last, more int64
		n          int64
		beyond     float64 // share above 3
		p50, max   float64
	}{
		{"nothing endless", 0, 0, 10, 0, 1, 3},
		{"the largest one", 1, 0, 10, 0.1, 1, math.Inf(1)},
		{"a whole value and a part of the next", 3, 0, 10, 0.3, 1, math.Inf(1)},
		{"as many again", 0, 10, 20, 0.5, 3, math.Inf(1)},
		{"all", 10, 0, 10, 1, math.Inf(1), math.Inf(1)},
		{"more than there are", 99, 0, 10, 1, math.Inf(1), math.Inf(1)},
	} {
		got := d.Endless(tt.last, tt.more)
		if got.N() != tt.n || math.Abs(got.ShareAbove(3)-tt.beyond) > 1e-12 || got.Quantile(0.5) != tt.p50 || got.Max() != tt.max {
			t.Errorf("%s: n %d, above 3 %v, p50 %v, max %v, want %+v", tt.name, got.N(), got.ShareAbove(3), got.Quantile(0.5), got.Max(), tt)
		}
	}
	if none := (Distribution{}).Endless(0, 4); none.N() != 4 || !math.IsInf(none.Quantile(0.5), 1) {
		t.Errorf("nothing but the endless: %+v", none)
	}
}
