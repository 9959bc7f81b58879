package loadgen

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestMixOfAPhase(t *testing.T) {
	plan := scenarios.Plan{Timeout: time.Second, Requests: []scenarios.Request{{Name: "a", Path: "/", Weight: 9}, {Name: "b", Path: "/", Weight: 1}}}
	phase := scenarios.Phase{Process: scenarios.Poisson, Rate: scenarios.PerSecond(1000), Duration: time.Second, Seed: 3}
	share := func() float64 {
		r, err := newRun(plan, phase, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		second := 0.0
		for range 10000 {
			second += float64(r.mix.Next())
		}
		return second / 10000
	}
	if got := share(); math.Abs(got-0.1) > 0.015 {
		t.Errorf("without a mix of its own the second request has %g of the arrivals, want a tenth", got)
	}
	phase.Mix = []float64{0.3, 0.7}
	if got := share(); math.Abs(got-0.7) > 0.02 {
		t.Errorf("the second request has %g of the arrivals, want 0.7", got)
	}
	phase.Mix = []float64{1}
	if _, err := newRun(plan, phase, 0, 1); err == nil || !strings.Contains(err.Error(), "1 weights for 2 requests") {
		t.Errorf("error %v, want one that counts weights and requests", err)
	}
}
