//go:build linux

package loadgen_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// TestLostIdleSeconds: for how long a connection had been idle that was lost, whether
// the loss shows at once or when the next request comes; a connection that is lost
// amid an answer was not idle.
func TestLostIdleSeconds(t *testing.T) {
	const gap = 800 * time.Millisecond // between requests
	var mu sync.Mutex
	var ended []float64 // after how many seconds the server said no more
	tests := []struct {
		name    string
		request func(s *script, id uint32) bool // false: the connection ends without a word
		want    func() []float64
	}{
		{"it ends after some time", func(s *script, id uint32) bool {
			if s.answer(id) != nil {
				return false
			}
			begin := time.Now()
			timer := time.NewTimer(time.Duration(1+s.number) * 150 * time.Millisecond)
			<-timer.C
			mu.Lock()
			ended = append(ended, time.Since(begin).Seconds())
			mu.Unlock()
			return false
		}, func() []float64 { return ended }},
		{"it ends at the next request", func(s *script, id uint32) bool { return id == 1 && s.answer(id) == nil },
			func() []float64 { return []float64{gap.Seconds()} }},
		{"it ends amid an answer", func(s *script, id uint32) bool {
			if id > 1 {
				_ = s.WritePing(false, [8]byte{})
				_, _ = s.ReadFrame() // the client has read it
				return false
			}
			return s.answer(id) == nil
		}, func() []float64 { return nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			plan := planFor(serveScript(t, nil, tt.request))
			plan.Connections.Count = 1
			facts := runPhase(t, plan, scenarios.Phase{
				Process: scenarios.Constant, Rate: scenarios.PerSecond(1 / gap.Seconds()), Duration: 3 * gap,
			}, 1)
			mu.Lock()
			defer mu.Unlock()
			got, want := facts.Connection.LostIdleSeconds, tt.want()
			if len(got) != len(want) {
				t.Fatalf("idle for %v s, want %v: %+v, %v", got, want, facts.Counts, facts.Errors)
			}
			for i := range got {
				if math.Abs(got[i]-want[i]) > 0.1 {
					t.Errorf("idle for %g s, want %g", got[i], want[i])
				}
			}
		})
	}
}
