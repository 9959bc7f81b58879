package loadgen

import "time"

// Economical pacing sends several arrivals at once where they come so fast that
// a wake-up for each would cost more than the request itself. Below
// smoothGap's rate every arrival leaves by itself, as the scenario says: a proxy
// works more cheaply on bursts, and so would be another system. Above it the
// first of a batch waits for up to the slack, which grows with the rate:
//
//	slack = mostSlack · min(1, (rate − smoothRate) ÷ (fullRate − smoothRate)),  rate > smoothRate
//
// with the rate of one thread. Intended instants stay as they are, latency counts
// from them, and the send lag shows the slack.
const (
	// smoothRate is up to which rate each arrival leaves by itself, and fullRate from
	// which on the slack is full, in arrivals per second of one thread.
	smoothRate = 5000
	fullRate   = 20000
	// mostSlack bounds the slack, in nanoseconds, so that with the time that a
	// thread takes to wake up the send lag stays under a millisecond.
	mostSlack = int64(880 * time.Microsecond)
	// gapMemory is over how many gaps their mean is taken, about.
	gapMemory = 64
)

// slack returns for how long the next arrival may wait for others, in
// nanoseconds.
func (r *run) slack() int64 {
	if r.precise || r.meanGap >= 1e9/smoothRate {
		return 0
	}
	rate := 1_000_000_000 / max(1, r.meanGap)
	return r.mostSlack * min(rate-smoothRate, fullRate-smoothRate) / (fullRate - smoothRate)
}

// rateLimit keeps what is sent again under guards.maxRate. What is sent for the
// first time only counts: its rate was checked when the phase began.
type rateLimit struct {
	gap  int64 // between sends at the highest rate, in nanoseconds; 0: no limit
	full int64 // when what was sent so far is within the rate again
}

// burst is how far ahead of the rate something may be sent again, in nanoseconds.
const burst = int64(time.Millisecond)

func (l *rateLimit) sent(now int64) {
	if l.gap > 0 {
		l.full = max(l.full, now) + l.gap
	}
}

func (l *rateLimit) allows(now int64) bool { return l.full-now <= burst }

// at returns from when on something may be sent again.
func (l *rateLimit) at() int64 { return l.full - burst }
