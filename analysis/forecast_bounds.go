package analysis

import (
	"fmt"
	"math"
	"slices"

	gonum "gonum.org/v1/gonum/stat"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/models/proxy"
	"github.com/sailplan-io/sailplan/analysis/models/queue"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// hostShare is the share of all processors that a lab can use. Threads wait for one
// processor while the other is idle: with everything at its limit two processors of a
// virtual machine were busy to 86 to 90 %.
const hostShare = 0.88

// host adds where the processors of the machine end, on which everything of a lab
// runs, the generator too. Near that point nobody sleeps, so that wake-ups cost
// nothing any more.
func (s *forecaster) host() {
	cpus := float64(s.rec.Host.CPUs)
	if s.rec.Lab == nil || cpus <= 0 || len(s.costs) < len(s.rec.Components) {
		return
	}
	var rates, rest []float64
	for _, p := range s.phases {
		idle, ok := p.samples.Rate(record.ComponentHost, record.IdleSeconds)
		if !ok {
			continue
		}
		other := cpus - idle
		for _, c := range s.rec.Components {
			used, _ := p.samples.Rate(c.Name, record.CPUSeconds)
			other -= used
		}
		rates, rest = append(rates, p.offered), append(rest, math.Max(0, other))
	}
	if len(rates) < 3 {
		return
	}
	// What is neither component, the generator and the kernel's own work.
	base, perRequest := gonum.LinearRegression(rates, rest, nil, false)
	if base < 0 || perRequest < 0 {
		base, perRequest = 0, gonum.Mean(rest, nil)/gonum.Mean(rates, nil)
	}
	nodes := math.MaxInt
	for _, c := range s.costs {
		nodes = min(nodes, len(c.calibration.Candidates))
	}
	mean, squares, residual := 0.0, 0.0, 0.0
	for _, c := range s.costs {
		residual = math.Max(residual, c.calibration.Residual)
	}
	for i := range nodes {
		// The proxies are of one kind, and so is the ratio of their costs.
		free := math.Max(hostShare*cpus-base, 1e-3)
		v := math.Log(proxy.RateUsing(free, func(rps float64) float64 {
			request := perRequest
			for _, c := range s.costs {
				request += c.calibration.Candidates[i].Request(rps / c.replicas)
			}
			return request * rps
		}))
		mean, squares = mean+v/float64(nodes), squares+v*v/float64(nodes)
	}
	half := stat.Z(stat.Confidence) * math.Sqrt(math.Max(0, squares-mean*mean)+residual*residual/2)
	s.bounds = append(s.bounds, Bound{
		Resource: models.BindsHostCPU,
		EdgeRps:  stat.Estimate{Value: math.Exp(mean), Low: math.Exp(mean - half), High: math.Exp(mean + half), Confidence: stat.Confidence, N: len(rates)},
		Reason:   fmt.Sprintf("all of the machine's %.0f processors are busy to %s, when nobody sleeps any more", cpus, percent(hostShare)),
	})
}

// searchErrors is about how many refused requests a search bases its edge on: a
// handful of phases near it with a few errors each.
const searchErrors = 12

// pool adds where a circuit breaker refuses more requests than an objective
// tolerates. The requests that a gateway has under way are those of a system with
// as many servers as http2MaxRequests, that refuses who finds all of them busy.
func (s *forecaster) pool() {
	limit := poolLimit(s.rec, scenarios.RoleGateway)
	tolerated := math.Inf(1)
	for _, o := range s.rec.Scenario.Objectives {
		if !o.IsLatency() {
			tolerated = math.Min(tolerated, float64(o.ErrorRatio))
		}
	}
	i := slices.IndexFunc(s.costs, func(c componentCost) bool { return c.Role == scenarios.RoleGateway })
	if limit <= 0 || limit > 1<<20 || !(tolerated > 0 && tolerated < 1) || i < 0 {
		return
	}
	gateway := s.costs[i]
	own := gateway.calibration.Candidates[0]
	var held []float64
	for _, p := range s.phases {
		// Before the gateway has passed a request on, it is not in the pool.
		held = append(held, p.latency.Mean()-own.WakeDelay-own.PerWakeUp-own.PerRequest/2)
	}
	seconds := gonum.Mean(held, nil)
	if !(seconds > 0) {
		return
	}
	offered := offeredRefusing(int(limit), tolerated)
	rate := offered / seconds * gateway.replicas
	scatter := 0.0
	if len(held) > 1 {
		scatter = gonum.StdDev(held, nil) / seconds / math.Sqrt(float64(len(held)))
	}
	// d ln B ÷ d ln a = servers − a·(1 − B)
	steep := float64(limit) - offered*(1-tolerated)
	half := stat.Z(stat.Confidence) * math.Hypot(scatter, 1/math.Sqrt(searchErrors)/steep)
	s.bounds = append(s.bounds, Bound{
		Component: gateway.Name, Resource: models.BindsPool,
		EdgeRps: stat.Estimate{Value: rate, Low: rate * math.Exp(-half), High: rate * math.Exp(half), Confidence: stat.Confidence, N: len(held)},
		Reason: fmt.Sprintf("http2MaxRequests of %d refuses %s of the requests when %.3g are under way in the mean, %s each (Erlang's B)",
			limit, percent(tolerated), offered, duration(seconds)),
	})
}

// offeredRefusing returns the load, in erlang, at which so many servers refuse a
// share of the requests.
func offeredRefusing(servers int, share float64) float64 {
	low, high := 0.0, float64(servers)/(1-share)*2
	for range 60 {
		middle := (low + high) / 2
		if b, err := queue.ErlangB(middle, servers); err == nil && b < share {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}
