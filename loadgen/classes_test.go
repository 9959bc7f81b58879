//go:build linux

package loadgen_test

import (
	"context"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// kept keeps what intervals say of errors.
type kept struct{ errors []map[string]int64 }

func (k *kept) Interval(i record.Interval) { k.errors = append(k.errors, i.Errors) }

// TestErrorsOfIntervals: each interval tells what went wrong so far by class, the
// sum over all workers, and the last one the same as the facts.
func TestErrorsOfIntervals(t *testing.T) {
	for _, workers := range []int{1, 2} {
		var asked atomic.Int64
		plan := planFor(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			switch n := asked.Add(1); {
			case n <= 100: // the first intervals are clean
			case n%4 == 0:
				w.WriteHeader(http.StatusInternalServerError)
			case n%4 == 1:
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})))
		sink := &kept{}
		facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
			Process: scenarios.Constant, Rate: scenarios.PerSecond(500), Duration: time.Second, Interval: 50 * time.Millisecond,
		}, sink, loadgen.Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"service-5xx": 100, "rate-limited": 100}
		if !maps.Equal(facts.Errors, want) {
			t.Errorf("%d workers: facts have %v, want %v", workers, facts.Errors, want)
		}
		if n := len(sink.errors); n == 0 || !maps.Equal(sink.errors[n-1], want) {
			t.Fatalf("%d workers: got %v, want %v at last", workers, sink.errors, want)
		}
		before, steps := map[string]int64{}, 0
		for _, now := range sink.errors {
			for class, n := range before {
				if now[class] < n {
					t.Errorf("%d workers: %s falls from %d to %d", workers, class, n, now[class])
				}
			}
			if len(now) > 0 && !maps.Equal(now, before) {
				steps++
			}
			before = maps.Clone(now)
		}
		if steps < 3 {
			t.Errorf("%d workers: got %v, want errors that grow from interval to interval", workers, sink.errors)
		}
	}
}
