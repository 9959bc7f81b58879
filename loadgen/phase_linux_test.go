package loadgen

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// lostConn was lost with nothing in flight.
type lostConn struct{ exchange.Conn }

func (lostConn) Active() int { return 0 }

// The first thousand idle times are kept, of one worker and of all together.
func TestFirstOfLostIdle(t *testing.T) {
	var sum record.Connections
	for n := range 3 {
		w := &worker{}
		for i := range 1200 - 400*n {
			w.lostIdle(&link{conn: lostConn{}}, int64(i+1)*1e9)
		}
		if n == 0 && len(w.facts.LostIdleSeconds) != 1000 {
			t.Errorf("a worker keeps %d, want 1000", len(w.facts.LostIdleSeconds))
		}
		if n == 0 {
			w.facts.LostIdleSeconds = w.facts.LostIdleSeconds[:500]
		}
		addConnections(&sum, w.facts)
	}
	if got := sum.LostIdleSeconds; len(got) != 1000 || got[0] != 1 || got[499] != 500 || got[500] != 1 || got[999] != 500 {
		t.Errorf("%d are kept, %v …; want 500 of the first and 500 of the second", len(got), got[:min(3, len(got))])
	}
}
