//go:build linux

package loadgen_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// TestWhyNoConnectionComesBack: the facts say how often a lost connection could not
// be opened again, and why.
func TestWhyNoConnectionComesBack(t *testing.T) {
	for _, workers := range []int{1, 2} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var seen atomic.Int64
		serveScriptOn(t, listener, nil, func(s *script, id uint32) bool {
			// The server goes away after a while, all its connections with it.
			if seen.Add(1) > 20 {
				_ = listener.Close()
				return false
			}
			return s.answer(id) == nil
		})
		plan := planFor(listener.Addr().String())
		plan.Connections.Count, plan.Timeout = 2, 300*time.Millisecond
		phase := steady()
		phase.Rate = scenarios.PerSecond(100)
		facts := runPhase(t, plan, phase, workers)
		c := facts.Connection
		if c.Opened != 2 || c.Open != 0 || c.OpenFailed < 2 {
			t.Errorf("%d workers: %+v, want two connections that could not be opened again", workers, c)
		}
		if !strings.Contains(c.OpenError, "connection refused") || !strings.Contains(c.OpenError, listener.Addr().String()) {
			t.Errorf("%d workers: why: %q, want the address and that it refused", workers, c.OpenError)
		}
	}
	if facts := runPhase(t, planFor(serveScript(t, nil, func(s *script, id uint32) bool { return s.answer(id) == nil })), steady(), 1); facts.Connection.OpenFailed != 0 || facts.Connection.OpenError != "" {
		t.Errorf("nothing failed: got %+v", facts.Connection)
	}
}
