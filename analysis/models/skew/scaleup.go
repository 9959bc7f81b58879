package skew

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Turnover is how connections end and are opened anew.
type Turnover struct {
	// Lifetime of a connection in seconds; 0: connections never end. From a limit
	// on requests it follows with RequestsLifetime.
	Lifetime float64
	// Random connections end with the same probability in each second and live
	// for Lifetime in the mean, as when clients come and go. Otherwise each lives
	// exactly for Lifetime, and their ages are independent and uniform, as they are
	// once connections have been opened at different times. Connections that were all opened
	// at once also end at once: all of them after Lifetime, none before.
	Random bool
}

// RequestsLifetime returns how long connections live, in seconds, that end after
// a number of requests, with rate requests a second over all of them.
func RequestsLifetime(requests, connections int, rate float64) float64 {
	return float64(requests) * float64(connections) / rate
}

// Remaining returns the share of the connections that have not been opened anew
// yet, seconds after they were looked at first: in [0, 1].
func (t Turnover) Remaining(seconds float64) float64 {
	switch {
	case t.Lifetime <= 0 || seconds <= 0:
		return 1
	case t.Random:
		return math.Exp(-seconds / t.Lifetime)
	}
	return math.Max(0, 1-seconds/t.Lifetime)
}

// until is the inverse of Remaining; +Inf where that share is never reached.
func (t Turnover) until(remaining float64) float64 {
	switch {
	case remaining >= 1:
		return 0
	case t.Lifetime <= 0:
		return math.Inf(1)
	case t.Random:
		return -t.Lifetime * math.Log(remaining)
	}
	return t.Lifetime * (1 - remaining)
}

// ScaleUp is that replicas are added behind a balancer. Connections of equal load
// were placed on the first ones; the new ones take only connections that are
// opened from then on.
type ScaleUp struct {
	Connections int
	From, To    int // replicas, 1 ≤ From ≤ To
	Placement   Placement
	Turnover    Turnover
	Seed        uint64 // of what is simulated: all but random placement
}

// At returns the factor of the hottest replica, over all To of them, seconds after
// the new ones were ready: right then at least To/From, in the end that of
// Hottest. The interval holds 95 % of placements.
//
// A connection is on an old replica with s/From + (1 − s)/To and on a new one with
// (1 − s)/To, where s is the share that has not been opened anew, so for random
// placement the distribution is that of Hottest with two kinds of replicas. Other
// placements are simulated, with the connections that have ended chosen at random
// among all.
func (u ScaleUp) At(seconds float64) stat.Estimate {
	return u.with(u.Turnover.Remaining(seconds))
}

// with is At for a share of connections that has not been opened anew.
func (u ScaleUp) with(remaining float64) stat.Estimate {
	if e, bad := unfit(u.Connections, u.From); bad {
		return e
	}
	if u.To < u.From {
		return stat.NotEstimable(0, fmt.Sprintf("%d replicas after a scale-up from %d", u.To, u.From))
	}
	if u.Placement != Random {
		return u.simulated(remaining)
	}
	fresh := (1 - remaining) / float64(u.To)
	d := hottestOf(u.Connections, []group{{u.From, fresh + remaining/float64(u.From)}, {u.To - u.From, fresh}})
	return d.factor(u.Connections, u.To)
}

// simulated draws what an even placement becomes.
func (u ScaleUp) simulated(remaining float64) stat.Estimate {
	random := rand.New(rand.NewPCG(u.Seed, uint64(u.Connections)))
	moved := int(math.Round((1 - remaining) * float64(u.Connections)))
	return drawn(u.Connections, u.To, func(counts []float64) {
		clear(counts)
		where := make([]int, u.Connections)
		for i := range where {
			where[i] = i % u.From
			counts[where[i]]++
		}
		random.Shuffle(len(where), func(i, j int) { where[i], where[j] = where[j], where[i] })
		turn := random.IntN(u.To)
		// One after the other: who counts connections sees the others that are left.
		for i := range moved {
			counts[where[i]]--
			counts[choose(u.Placement, counts, turn+i, random)]++
		}
	})
}

// choose returns the replica of a new connection. turn counts connections.
func choose(p Placement, counts []float64, turn int, random *rand.Rand) int {
	switch p {
	case RoundRobin:
		return turn % len(counts)
	case LeastConnection:
		least := turn % len(counts) // among equals not always the first
		for i := range counts {
			if at := (turn + i) % len(counts); counts[at] < counts[least] {
				least = at
			}
		}
		return least
	default:
		return random.IntN(len(counts))
	}
}

// TimeToRebalance returns after how many seconds the expected factor is within a
// share (0.1 is 10 %) of the one that it ends at; +Inf where it never gets there
// because connections do not end, NaN where it cannot be said. The factor does not
// end at 1: a random placement stays as uneven as Hottest says.
func (u ScaleUp) TimeToRebalance(within float64) float64 {
	settled := u.with(0)
	if !settled.OK() || within <= 0 {
		return math.NaN()
	}
	limit := settled.Value * (1 + within)
	if u.with(1).Value <= limit {
		return 0
	}
	low, high := 0.0, 1.0 // share remaining: the limit holds at low, not at high
	for range 14 {
		middle := (low + high) / 2
		if u.with(middle).Value <= limit {
			low = middle
		} else {
			high = middle
		}
	}
	return u.Turnover.until(low)
}

// Loss is what a lost replica does to those that are left.
type Loss struct {
	Hottest    stat.Estimate // factor, over the replicas that are left
	Reconnects stat.Estimate // connections that are opened anew, all at once
}

// AfterLoss returns what happens when some of the replicas are lost and the
// connections on them are opened anew on the rest, those that stay do not move. The
// mean load of the rest is higher by replicas ÷ (replicas − lost), which the factor
// does not include. 1 ≤ lost < replicas.
func AfterLoss(connections, replicas, lost int, placement Placement, seed uint64) Loss {
	left := replicas - lost
	if e, bad := unfit(connections, left); bad || lost < 1 {
		return Loss{e, e}
	}
	share := float64(lost) / float64(replicas)
	loss := Loss{
		// Each connection is on each of the rest with the same probability, whether it
		// was there or came there.
		Hottest:    Hottest(connections, left, placement),
		Reconnects: stat.Estimate{Value: share * float64(connections), Confidence: stat.Confidence, N: connections},
	}
	if placement == Random {
		loss.Reconnects.Low, loss.Reconnects.High = binomial(connections, share)
		return loss
	}
	loss.Reconnects.Low = math.Floor(float64(connections)/float64(replicas)) * float64(lost)
	loss.Reconnects.High = math.Min(math.Ceil(float64(connections)/float64(replicas))*float64(lost), float64(connections))
	if placement == RoundRobin {
		loss.Hottest = roundRobinLoss(connections, replicas, lost, seed)
	}
	return loss
}

// roundRobinLoss draws an even placement, losses, and turns that go on.
func roundRobinLoss(connections, replicas, lost int, seed uint64) stat.Estimate {
	random := rand.New(rand.NewPCG(seed, uint64(connections)))
	left := replicas - lost
	return drawn(connections, left, func(counts []float64) {
		moved := connections
		for i, r := range random.Perm(replicas)[:left] {
			counts[i] = float64((connections - 1 - r + replicas) / replicas)
			moved -= int(counts[i])
		}
		turn := random.IntN(left)
		for i := range moved {
			counts[(turn+i)%left]++
		}
	})
}

// binomial returns the middle 95 % of a binomial number.
func binomial(n int, p float64) (low, high float64) {
	b := distuv.Binomial{N: float64(n), P: p}
	tail := (1 - stat.Confidence) / 2
	quantile := func(q float64) float64 {
		low, high := 0, n
		for low < high {
			if middle := (low + high) / 2; b.CDF(float64(middle)) >= q {
				high = middle
			} else {
				low = middle + 1
			}
		}
		return float64(low)
	}
	return quantile(tail), quantile(1 - tail)
}
