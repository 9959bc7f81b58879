package experiment

import (
	"math"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/sampler"
)

func TestObserveStep(t *testing.T) {
	for _, test := range []struct{ length, want time.Duration }{
		{time.Hour, 15 * time.Second}, {24 * time.Hour, 44 * time.Second}, {7 * 24 * time.Hour, 303 * time.Second},
	} {
		if got := ObserveStep(test.length); got != test.want {
			t.Errorf("step of %s: got %s, want %s", test.length, got, test.want)
		}
	}
}

// The quantiles are those of histogram_quantile, which takes the values of a bucket
// to lie evenly between its bounds.
func TestHistogramOf(t *testing.T) {
	h := histogramOf([]sampler.Bucket{{Above: 0, UpTo: 0.010, Count: 900}, {Above: 0.010, UpTo: 0.050, Count: 99.6}, {Above: 0.1, UpTo: math.Inf(1), Count: 1}})
	if n := h.TotalCount(); n != 1001 {
		t.Errorf("%d values, want 1001", n)
	}
	for _, test := range []struct{ quantile, want float64 }{{45, 0.005}, {95, 0.0304}, {100, 3600}} {
		if got := float64(h.ValueAtQuantile(test.quantile)) / 1e9; math.Abs(got/test.want-1) > 0.03 {
			t.Errorf("p%g: got %g s, want %g s", test.quantile, got, test.want)
		}
	}
}
