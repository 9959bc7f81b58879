package queue

import (
	"errors"
	"fmt"
	"math"
)

// Station is a place in a closed network that each request visits.
type Station struct {
	Name          string
	DemandSeconds float64 // service time of all visits of a request together, ≥ 0
	Servers       int     // 0 is 1
	Delay         bool    // nobody waits here: as many servers as requests
}

// Closed is a network in which a fixed number of requests circulates, such as
// clients that wait for an answer before they ask again. Its solution is exact
// when service times are exponential, or when the stations share their servers
// equally (product form); mean values hold well beyond that.
type Closed struct {
	Stations     []Station
	ThinkSeconds float64 // between an answer and the next request, ≥ 0
}

// StationState is a station in the steady state.
type StationState struct {
	Name             string
	ResidenceSeconds float64 // waiting and service of a request, all visits together
	InStation        float64 // mean number of requests there
	Utilization      float64 // share of its servers that is busy; for a Delay the mean number of busy ones
}

// State is a closed network with so many requests in the steady state.
type State struct {
	Population      int
	RPS             float64 // throughput
	ResponseSeconds float64 // without the time to think
	Stations        []StationState
}

const (
	maxPopulation = 1 << 20
	// Populations × stations × servers: what a solution may take.
	maxClosedWork = 1 << 30
)

// Solve returns the state for each population from 1 to n, by exact mean value
// analysis:
//
//	R(n) = D·(1 + Q(n−1))                                     one server
//	R(n) = D ÷ c·(1 + Q(n−1) + Σ(c−1−j)·p(j | n−1), j < c−1)  c servers
//	X(n) = n ÷ (Z + ΣR(n)), Q(n) = X(n)·R(n)
//	p(j | n) = X(n)·D ÷ j·p(j−1 | n−1)
//
// The probability of an empty station is commonly taken as what is left of 1, which
// cancels and turns negative under load. Here it is
//
//	p(0 | n) = p(0 | n−1)·X(n) ÷ X'(n)
//
// where X' is the throughput of the network without that station: products only.
//
// Sources: Reiser and Lavenberg, "Mean-value analysis of closed multichain queuing
// networks", 1980; Reiser, "Mean-value analysis and convolution method for
// queue-dependent servers in closed queueing networks", 1981, for p(0 | n).
func (c Closed) Solve(n int) ([]State, error) {
	if err := c.check(n); err != nil {
		return nil, fmt.Errorf("closed network: %w", err)
	}
	several := make([]*occupancy, len(c.Stations)) // of stations with several servers
	without := make([][]float64, len(c.Stations))  // their 1 ÷ X'
	for k, s := range c.Stations {
		if s.servers() > 1 && s.DemandSeconds > 0 {
			several[k], without[k] = newOccupancy(s), c.cycle(n, k)
		}
	}
	queued := make([]float64, len(c.Stations))
	states := make([]State, n)
	for i := range states {
		state := State{Population: i + 1, Stations: make([]StationState, len(c.Stations))}
		for k, s := range c.Stations {
			residence := s.DemandSeconds
			switch {
			case several[k] != nil:
				residence *= several[k].seen(queued[k])
			case !s.Delay:
				residence *= 1 + queued[k]
			}
			state.Stations[k] = StationState{Name: s.Name, ResidenceSeconds: residence}
			state.ResponseSeconds += residence
		}
		state.RPS = float64(i+1) / (c.ThinkSeconds + state.ResponseSeconds)
		for k, s := range c.Stations {
			queued[k] = state.RPS * state.Stations[k].ResidenceSeconds
			state.Stations[k].InStation = queued[k]
			state.Stations[k].Utilization = state.RPS * s.DemandSeconds / float64(s.servers())
			if several[k] != nil {
				several[k].advance(state.RPS, without[k][i])
			}
		}
		states[i] = state
	}
	return states, nil
}

func (s Station) servers() int {
	if s.Delay {
		return 1
	}
	return max(1, s.Servers)
}

// occupancy is the distribution of the requests at a station, for one number of
// requests in the network.
type occupancy struct {
	demand float64
	p      []float64 // P(j requests are there), j < servers
	full   float64   // P(servers or more)
}

// newOccupancy returns the occupancy in a network without requests.
func newOccupancy(s Station) *occupancy {
	o := &occupancy{demand: s.DemandSeconds, p: make([]float64, s.servers())}
	o.p[0] = 1
	return o
}

// seen returns the residence time that a request finds, in demands: its own
// service, and a c-th for each departure that it has to wait for.
func (o *occupancy) seen(queued float64) float64 {
	c := len(o.p)
	free := 0.0
	for j := range c - 1 {
		free += float64(c-1-j) * o.p[j]
	}
	return (1 + queued + free) / float64(c)
}

// advance adds a request to the network: rps is the throughput with it, and
// without the time between answers if this station were not there.
func (o *occupancy) advance(rps, without float64) {
	c := len(o.p)
	o.full = rps * o.demand / float64(c) * (o.p[c-1] + o.full)
	for j := c - 1; j > 0; j-- {
		o.p[j] = rps * o.demand / float64(j) * o.p[j-1]
	}
	o.p[0] *= rps * without
}

// between returns the time between answers with one more request, given that time
// if this station were not there.
func (o *occupancy) between(without float64) float64 {
	c := len(o.p)
	sum := o.p[0]*without + o.demand/float64(c)*(o.p[c-1]+o.full)
	for j := 1; j < c; j++ {
		sum += o.demand / float64(j) * o.p[j-1]
	}
	return sum
}

// cycle returns 1 ÷ X(n), the mean time between answers, for each population from
// 1 to n of the network without the queueing station skip (−1: with all of them). It adds one station at a time:
// with the distribution p of that station's requests and y the time between
// answers before it is added, the distribution sums up to one when
//
//	1 ÷ X(n) = p(0 | n−1)·y(n) + Σ D ÷ min(j, c)·p(j−1 | n−1)
//
// All terms are positive, so nothing cancels, and no normalising constant
// overflows.
func (c Closed) cycle(n, skip int) []float64 {
	think := c.ThinkSeconds
	for _, s := range c.Stations {
		if s.Delay {
			think += s.DemandSeconds
		}
	}
	between := make([]float64, n)
	for i := range between {
		between[i] = think / float64(i+1)
	}
	for k, s := range c.Stations {
		if s.Delay || k == skip || s.DemandSeconds == 0 {
			continue
		}
		o := newOccupancy(s)
		for i, without := range between {
			between[i] = o.between(without)
			o.advance(1/between[i], without)
		}
	}
	return between
}

// Bounds are what no closed network with these demands can leave.
type Bounds struct {
	LowRPS, HighRPS                         float64
	LowResponseSeconds, HighResponseSeconds float64
}

// Bounds returns the asymptotic bounds for n requests, with D the sum of the
// demands, and D ÷ c of the busiest station as the bottleneck:
//
//	n ÷ (Z + D + (n−1)·D') ≤ X ≤ min(n ÷ (Z + D), 1 ÷ max(D ÷ c))
//
// where D' leaves the delays out: there nobody waits for others.
//
// Source: Denning and Buzen, "The operational analysis of queueing network models",
// 1978; Lazowska, Zahorjan, Graham and Sevcik, "Quantitative system performance",
// 1984, ch. 5.
func (c Closed) Bounds(n int) (Bounds, error) {
	if err := c.check(n); err != nil {
		return Bounds{}, fmt.Errorf("closed network: %w", err)
	}
	total, queueing, bottleneck := c.demands()
	requests := float64(n)
	b := Bounds{
		LowRPS:  requests / (c.ThinkSeconds + total + (requests-1)*queueing),
		HighRPS: requests / (c.ThinkSeconds + total),
	}
	if bottleneck > 0 {
		b.HighRPS = math.Min(b.HighRPS, 1/bottleneck)
	}
	b.LowResponseSeconds = math.Max(total, requests*bottleneck-c.ThinkSeconds)
	b.HighResponseSeconds = total + (requests-1)*queueing
	return b, nil
}

// Knee returns the population beyond which requests must queue even if all else
// were perfect, (Z + D) ÷ max(D ÷ c): where the bounds of the throughput cross.
// +Inf when nothing queues.
func (c Closed) Knee() (float64, error) {
	if err := c.check(1); err != nil {
		return math.NaN(), fmt.Errorf("closed network: %w", err)
	}
	total, _, bottleneck := c.demands()
	return (c.ThinkSeconds + total) / bottleneck, nil
}

// demands returns the sum of all demands, of those at stations where requests
// queue, and the largest D ÷ c of these.
func (c Closed) demands() (total, queueing, bottleneck float64) {
	for _, s := range c.Stations {
		total += s.DemandSeconds
		if !s.Delay {
			queueing += s.DemandSeconds
			bottleneck = math.Max(bottleneck, s.DemandSeconds/float64(s.servers()))
		}
	}
	return total, queueing, bottleneck
}

func (c Closed) check(n int) error {
	err := atLeast("time to think", c.ThinkSeconds, 0)
	if n < 1 || n > maxPopulation {
		err = errors.Join(err, fmt.Errorf("%d requests: must be from 1 to %d", n, maxPopulation))
	}
	work, sum := 0.0, c.ThinkSeconds
	for i, s := range c.Stations {
		if bad := atLeast("demand", s.DemandSeconds, 0); bad != nil {
			err = errors.Join(err, fmt.Errorf("station %d %q: %w", i+1, s.Name, bad))
		}
		if s.Servers < 0 || s.Servers > maxServers {
			err = errors.Join(err, fmt.Errorf("station %d %q: %d servers: must be from 1 to %d, or 0 for 1", i+1, s.Name, s.Servers, maxServers))
		}
		work += float64(s.servers())
		sum += s.DemandSeconds
	}
	if err == nil && sum == 0 {
		err = errors.New("no station has a demand")
	}
	several := 1.0
	for _, s := range c.Stations {
		if s.servers() > 1 {
			several++
		}
	}
	if err == nil && work*several*float64(n) > maxClosedWork {
		err = fmt.Errorf("%d requests with %g servers at %d stations are too many to solve", n, work, len(c.Stations))
	}
	return err
}
