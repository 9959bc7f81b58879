package loadgen

import (
	"fmt"
	"time"
)

// outcomes counts what has become of requests that were sent: all that are
// finished, and those of them that count as errors. What was shed never reached
// the target.
type outcomes struct{ all, bad int64 }

// errorGuard watches the ratio of errors over a sliding window: the shortest
// stretch before now that is at least a second long and holds at least fifty
// outcomes, thirty seconds at most.
type errorGuard struct {
	limit   float64
	history []look // the oldest first
}

type look struct {
	at time.Duration
	outcomes
}

const (
	guardWindow   = time.Second
	guardMemory   = 30 * time.Second
	guardOutcomes = 50
)

// newErrorGuard returns a guard, nil when there is no limit.
func newErrorGuard(limit float64) *errorGuard {
	if limit <= 0 {
		return nil
	}
	return &errorGuard{limit: limit}
}

// look takes the counts at an instant and returns why the load has to stop, ""
// when it may go on.
func (g *errorGuard) look(at time.Duration, now outcomes) (reason string) {
	g.history = append(g.history, look{at, now})
	for len(g.history) > 2 && at-g.history[1].at >= guardMemory {
		g.history = g.history[1:]
	}
	for i := len(g.history) - 2; i >= 0; i-- {
		then := g.history[i]
		all, bad := now.all-then.all, now.bad-then.bad
		if at-then.at < guardWindow || all < guardOutcomes {
			continue
		}
		if ratio := float64(bad) / float64(all); ratio > g.limit {
			return fmt.Sprintf("%d of %d requests in %.1f s were errors, %.3g of them against guards.maxErrorRatio %.3g",
				bad, all, (at - then.at).Seconds(), ratio, g.limit)
		}
		return ""
	}
	return ""
}
