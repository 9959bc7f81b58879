package queue

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	gonum "gonum.org/v1/gonum/stat"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Split is how arrivals are spread over several queues.
type Split string

// The ways to split.
const (
	Random       Split = "random"        // each with the same probability
	RoundRobin   Split = "round-robin"   // one after the other
	LeastRequest Split = "least-request" // of two drawn at random, the one with fewer requests, as Envoy does
)

// Simulation is a G/G/c queue, or several, to be simulated. Replicas of a service
// are several queues: one queue for all their servers is what an ideal balancer
// would make of them, and queues drawn at random are the other end.
type Simulation struct {
	Arrivals Times // gaps between arrivals, of all queues together
	Service  Times
	Servers  int   // of each queue, ≥ 1
	Queues   int   // 0 is 1
	Split    Split // with several queues; "" is Random

	Quantiles    []float64 // of the response time, each in (0, 1)
	Requests     int       // measured in each replication; 0: enough for the load, at least 50 000
	Replications int       // independent ones, at least 2; 0 is 10
	Seed         uint64
}

// Simulated is what a simulation found. Intervals are Student's over independent
// replications.
type Simulated struct {
	Utilization float64       // offered load ÷ servers
	Wait        stat.Estimate // mean time before service, seconds
	Response    stat.Estimate // mean of waiting and service, seconds
	Waited      stat.Estimate // share of requests that waited
	Quantiles   []stat.Estimate
	Requests    int // measured in each replication
	Warmup      int // removed from the beginning of each replication
	Warnings    []string
}

const (
	simReplications  = 10
	simRequests      = 50_000
	simMostRequests  = 1_000_000 // that a load close to saturation may ask for by itself
	simLeastWarmup   = 100
	simWarmup        = 5  // relaxation times, after which e⁻⁵ of the start is left
	simEnough        = 50 // relaxation times that a replication should last
	simEnoughAbove   = 10 // and that requests above a quantile should be worth
	simMostQueues    = 1 << 16
	simMostMeasured  = 1 << 28
	simMostReplicate = 1 << 16
)

// Pooled returns the simulation with all servers behind one queue: what no
// balancing can surpass.
func (s Simulation) Pooled() Simulation {
	s.Servers, s.Queues, s.Split = s.Servers*max(1, s.Queues), 1, Random
	return s
}

// withDefaults fills in what was left 0.
func (s Simulation) withDefaults() Simulation {
	if s.Queues == 0 {
		s.Queues = 1
	}
	if s.Split == "" {
		s.Split = Random
	}
	if s.Replications == 0 {
		s.Replications = simReplications
	}
	return s
}

func (s Simulation) check() error {
	err := checkServers(s.Servers)
	if s.Arrivals.start == nil || s.Service.start == nil {
		err = errors.Join(err, errors.New("arrivals and service times must be given"))
	}
	if s.Queues < 1 || s.Queues > simMostQueues {
		err = errors.Join(err, fmt.Errorf("%d queues: must be from 1 to %d", s.Queues, simMostQueues))
	}
	if s.Split != Random && s.Split != RoundRobin && s.Split != LeastRequest {
		err = errors.Join(err, fmt.Errorf("split %q: must be %s, %s or %s", s.Split, Random, RoundRobin, LeastRequest))
	}
	if s.Requests < 0 || s.Requests > simMostMeasured {
		err = errors.Join(err, fmt.Errorf("%d requests: must be from 1 to %d, or 0 to choose", s.Requests, simMostMeasured))
	}
	if s.Replications < 2 || s.Replications > simMostReplicate {
		err = errors.Join(err, fmt.Errorf("%d replications: must be from 2 to %d", s.Replications, simMostReplicate))
	}
	for _, q := range s.Quantiles {
		err = errors.Join(err, probability(q))
	}
	if err != nil {
		return err
	}
	if rho := s.utilization(); rho >= 1 {
		return fmt.Errorf("%w: a load of %.4g for each server", ErrInfeasible, rho)
	}
	return nil
}

func (s Simulation) utilization() float64 {
	return s.Service.mean / (s.Arrivals.mean * float64(s.Servers*s.Queues))
}

// memory is how many requests pass while the queue forgets where it started: the
// relaxation time, or a service time when that is longer.
//
// Source: Odoni and Roth, "An empirical investigation of the transient behavior of
// stationary queueing systems", 1983: τ = (ca² + cs²) ÷ (2.8·cμ·(1−√ρ)²).
func (s Simulation) memory() float64 {
	rho := s.utilization()
	gap := 1 - math.Sqrt(rho)
	relaxation := (s.Arrivals.cv2 + s.Service.cv2) / (2.8 * gap * gap)
	return rho * math.Max(relaxation, float64(s.Servers)) * float64(s.Queues)
}

// lasts is how many times its memory a replication should last. Requests above a
// high quantile come together, when the queue is long: what counts is how often
// that happens.
func (s Simulation) lasts() float64 {
	least := float64(simEnough)
	for _, q := range s.Quantiles {
		least = math.Max(least, simEnoughAbove/math.Min(q, 1-q))
	}
	return least
}

// Run simulates. The same simulation has the same result every time. Requests are
// served in the order in which they came to their queue. It returns ErrInfeasible
// when arrivals outpace the servers, and an error when something is out of range.
// It takes some 0.15 µs a request, half of which is sorting.
func (s Simulation) Run() (Simulated, error) {
	s = s.withDefaults()
	if err := s.check(); err != nil {
		return Simulated{}, fmt.Errorf("simulation: %w", err)
	}
	out := Simulated{Utilization: s.utilization(), Requests: s.Requests}
	memory := s.memory()
	enough := memory * s.lasts()
	if out.Requests == 0 {
		out.Requests = int(math.Ceil(math.Min(simMostRequests, math.Max(simRequests, enough))))
	}
	out.Warmup = int(math.Ceil(math.Min(simMostRequests, math.Max(simLeastWarmup, simWarmup*memory))))
	if float64(out.Requests) < enough {
		out.Warnings = append(out.Warnings, fmt.Sprintf(
			"%d requests are too few for a queue that needs %.3g to forget: %.3g would do; replications differ much, and quantiles tend to be too low", out.Requests, memory, enough))
	}
	var (
		waits, responses, waited []float64
		quantiles                = make([][]float64, len(s.Quantiles))
		times                    = make([]float64, out.Requests)
		system                   = newSystem(s)
	)
	for replication := range s.Replications {
		sumWait, sum, held := system.replicate(s, uint64(replication), out.Warmup, times)
		n := float64(out.Requests)
		waits, responses, waited = append(waits, sumWait/n), append(responses, sum/n), append(waited, float64(held)/n)
		if len(s.Quantiles) > 0 {
			slices.Sort(times)
		}
		for i, q := range s.Quantiles {
			quantiles[i] = append(quantiles[i], gonum.Quantile(q, gonum.Empirical, times, nil))
		}
	}
	out.Wait, out.Response, out.Waited = overReplications(waits), overReplications(responses), overReplications(waited)
	out.Waited.High = math.Min(1, out.Waited.High)
	if out.Waited.Value == 0 {
		out.noneWaited(s)
	}
	for i, q := range s.Quantiles {
		e := overReplications(quantiles[i])
		if need := stat.SamplesFor(q); out.Requests < need {
			e = stat.NotEstimable(s.Replications, fmt.Sprintf("%s needs at least %d requests in each replication, there were %d", stat.QuantileName(q), need, out.Requests))
		}
		out.Quantiles = append(out.Quantiles, e)
	}
	return out, nil
}

// noneWaited bounds what was never seen: of n requests none waited, so at 95 % less
// than 3 in n do (Hanley and Lippman-Hand, "If nothing goes wrong, is everything
// all right?", 1983). One that waits first waits about as long as a service takes.
func (r *Simulated) noneWaited(s Simulation) {
	n := r.Requests * s.Replications
	r.Waited.High = math.Min(1, 3/float64(n))
	r.Wait.High = r.Waited.High * s.Service.mean
	r.Warnings = append(r.Warnings, fmt.Sprintf("none of %d requests waited", n))
}

// overReplications is the mean of independent replications with Student's interval.
func overReplications(values []float64) stat.Estimate {
	mean, sd := gonum.MeanStdDev(values, nil)
	n := len(values)
	half := stat.StudentT(stat.Confidence, n-1) * sd / math.Sqrt(float64(n))
	return stat.Estimate{Value: mean, Low: math.Max(0, mean-half), High: mean + half, Confidence: stat.Confidence, N: n}
}

// system is the state of all queues.
type system struct {
	free   []heap // of each queue: when its servers become free
	flying []heap // of each queue: when its requests end; only for LeastRequest
}

func newSystem(s Simulation) *system {
	y := &system{free: make([]heap, s.Queues)}
	servers := make([]float64, s.Queues*s.Servers)
	for i := range y.free {
		y.free[i] = heap(servers[i*s.Servers : (i+1)*s.Servers : (i+1)*s.Servers])
	}
	if s.Split == LeastRequest {
		y.flying = make([]heap, s.Queues)
	}
	return y
}

// replicate runs one replication from an empty system: warmup requests that do not
// count, and then one for each place in times, where it puts response times.
// Arrivals, service and choice have random streams of their own, so that two
// systems with the same seed see the same load.
func (y *system) replicate(s Simulation, replication uint64, warmup int, times []float64) (sumWait, sum float64, held int) {
	for i := range y.free {
		clear(y.free[i])
	}
	for i := range y.flying {
		y.flying[i] = y.flying[i][:0]
	}
	gap := s.Arrivals.start(rand.New(rand.NewPCG(s.Seed, 3*replication)))
	service := s.Service.start(rand.New(rand.NewPCG(s.Seed, 3*replication+1)))
	choice := rand.New(rand.NewPCG(s.Seed, 3*replication+2))
	now, base := 0.0, -warmup
	for i := range warmup + len(times) {
		now += gap()
		takes := service()
		to := y.choose(s.Split, i, now, choice)
		begins := y.free[to].first()
		if begins < now {
			begins = now
		}
		end := begins + takes
		y.free[to].replaceFirst(end)
		if y.flying != nil {
			y.flying[to].push(end)
		}
		if at := base + i; at >= 0 {
			wait := begins - now
			times[at] = wait + takes
			sumWait += wait
			sum += wait + takes
			if wait > 0 {
				held++
			}
		}
	}
	return sumWait, sum, held
}

// choose returns the queue that the i-th request goes to.
func (y *system) choose(split Split, i int, now float64, random *rand.Rand) int {
	n := len(y.free)
	if n == 1 {
		return 0
	}
	switch split {
	case RoundRobin:
		return i % n
	case LeastRequest:
		a, b := random.IntN(n), random.IntN(n)
		y.flying[a].dropUntil(now)
		y.flying[b].dropUntil(now)
		if len(y.flying[b]) < len(y.flying[a]) {
			return b
		}
		return a
	default:
		return random.IntN(n)
	}
}

// heap holds times, the least one first. container/heap would box every one.
type heap []float64

func (h heap) first() float64 { return h[0] }

// replaceFirst puts v in place of the least time.
func (h heap) replaceFirst(v float64) {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if right := child + 1; right < len(h) && h[right] < h[child] {
			child = right
		}
		if h[child] >= v {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = v
}

func (h *heap) push(v float64) {
	*h = append(*h, v)
	t := *h
	i := len(t) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if t[parent] <= v {
			break
		}
		t[i] = t[parent]
		i = parent
	}
	t[i] = v
}

// dropUntil removes the times up to now.
func (h *heap) dropUntil(now float64) {
	for len(*h) > 0 && (*h)[0] <= now {
		last := len(*h) - 1
		v := (*h)[last]
		*h = (*h)[:last]
		if last > 0 {
			h.replaceFirst(v)
		}
	}
}
