package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Point is one phase as a calibration sees it, all per replica.
type Point struct {
	RPS      float64 // requests a second, > 0
	Cores    float64
	WakeUps  float64 // voluntary context switches a second
	RunDelay float64 // seconds a second in which a thread could run, but did not
}

// Prior is what is known, before anything is measured, of how many requests cost
// as much as one wake-up: a lognormal distribution. Rate and wake-ups rise together while a proxy
// is far from its limit, so that phases there tell their sum well, and hardly
// their ratio; what happens near the limit hangs on it.
type Prior struct {
	Ratio float64 // median
	SD    float64 // of its logarithm
}

// The priors come from regressions over all phases, far below and far above the
// edge, of six sizings of the built-in lab: three with the gateway at 300m (0.96,
// 0.72, 0.79) and three at 600m, where the machine is full as well (1.41, 1.70, 1.41).

// EnvoyPrior is the prior of an Envoy: the geometric mean of all six, whose
// logarithms scatter by 0.35, of which some 0.2 is the error of each regression.
func EnvoyPrior() Prior { return Prior{Ratio: 1.1, SD: 0.3} }

// CrowdedPrior is the prior of an Envoy on a machine whose processors are what
// ends: the three at 600m, and 1.5 for one Envoy by itself, without TLS, up to a
// machine as full. Whoever waits for a processor finds more to read at a time.
func CrowdedPrior() Prior { return Prior{Ratio: 1.5, SD: 0.2} }

// TestServicePrior is the prior of the lab's test service, a Go program whose
// requests wake some ten times, for its network poller and for its timers: 1.9 to
// 5.9 in the same sizings, with bodies of 1 KiB. Larger ones make requests dearer.
func TestServicePrior() Prior { return Prior{Ratio: 1.3, SD: 1} }

// nodes returns the means of five parts of equal probability of the standard normal
// distribution.
func nodes() [5]float64 { return [...]float64{-1.3998, -0.5319, 0, 0.5319, 1.3998} }

// Candidate is a proxy that fits the phases, and how much it is to be believed.
type Candidate struct {
	Server
	Weight float64 // those of all candidates add up to 1
}

// Calibration is what phases at low load tell of a proxy.
type Calibration struct {
	Candidates []Candidate // by rising ratio of the costs of wake-up and request
	Residual   float64     // relative scatter of the CPU of phases around the fit
	N          int         // phases
	Highest    float64     // the highest rate among them
	Searches   int         // that an interval is to hold the findings of, together; 0 is 1
	freedom    int
}

// A few phases tell their own scatter badly. On the two-core virtual machine of
// the sizings that the priors come from, the CPU of phases of two to four seconds
// scattered by 7 % around a fit, with its speed; that counts like so many phases.
const (
	usualScatter = 0.07
	usualPhases  = 6
)

// LeastPoints is how many phases a calibration needs.
const LeastPoints = 4

// Calibrate fits what a request costs, in
//
//	cores = idle + a·(rps + r·wakeUps)
//
// for several ratios r by least squares of the relative errors, with idle ≥ 0, and
// weighs them by the prior and by how well they fit (the likelihood for normal
// errors of unknown size, Seber and Lee 2003, ch. 3.12). The events of a request
// and the wake delay come from the same phases: in the formula of Server.Steady
// all else is measured. server says what the proxy may use.
func Calibrate(points []Point, server Server, prior Prior) (Calibration, error) {
	points = slices.DeleteFunc(slices.Clone(points), func(p Point) bool {
		return !(p.RPS > 0) || !(p.Cores > 0) || !(p.WakeUps > 0) || !(p.RunDelay >= 0)
	})
	points = uncrowded(points)
	if len(points) < LeastPoints {
		return Calibration{}, fmt.Errorf("%d phases with CPU and wake-ups are known, a calibration needs %d", len(points), LeastPoints)
	}
	c := Calibration{N: len(points)}
	server.Events, server.WakeDelay = eventsAndDelay(points, max(server.Threads, 1))
	var likelihoods []float64
	total := 0.0
	for _, node := range nodes() {
		ratio := prior.Ratio * math.Exp(node*prior.SD)
		idle, request, squares := fitCost(points, ratio)
		if !(request > 0) {
			continue
		}
		next := Candidate{Server: server}
		next.Cost = Cost{Idle: idle, PerRequest: request, PerWakeUp: request * ratio}
		mean := squares / float64(len(points))
		next.Weight = math.Pow(math.Max(mean, 1e-6), -float64(len(points)-2)/2)
		c.Candidates = append(c.Candidates, next)
		likelihoods = append(likelihoods, mean)
		total += next.Weight
	}
	if len(c.Candidates) == 0 {
		return Calibration{}, errors.New("CPU does not grow with the rate")
	}
	for i := range c.Candidates {
		c.Candidates[i].Weight /= total
	}
	for _, p := range points {
		c.Highest = math.Max(c.Highest, p.RPS)
	}
	c.freedom = usualPhases + len(points) - 2
	c.Residual = math.Sqrt((usualPhases*usualScatter*usualScatter + slices.Min(likelihoods)*float64(len(points))) / float64(c.freedom))
	return c, nil
}

// crowded is from how many times the usual wake delay on a phase is left out.
const crowded = 2

// uncrowded leaves out the phases in which threads waited much longer for a
// processor than at the lowest rates: there they are preempted rather than asleep,
// and what that costs is not told by wake-ups.
func uncrowded(points []Point) []Point {
	if len(points) < LeastPoints {
		return points
	}
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.RPS, b.RPS) })
	var lowest []float64
	for _, p := range points[:3] {
		lowest = append(lowest, p.RunDelay/p.WakeUps)
	}
	usual := slices.Sorted(slices.Values(lowest))[1]
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return usual > 0 && p.RunDelay/p.WakeUps > crowded*usual })
}

// eventsAndDelay returns how often a request finds the proxy asleep when nothing
// else keeps it awake, and how long it takes to run when it was woken: medians
// over the phases.
func eventsAndDelay(points []Point, threads int) (events, delay float64) {
	var all, delays []float64
	for _, p := range points {
		busy := math.Min(0.9, (p.Cores+p.RunDelay)/float64(threads))
		all = append(all, p.WakeUps/p.RPS/(1-busy))
		delays = append(delays, p.RunDelay/p.WakeUps)
	}
	slices.Sort(all)
	slices.Sort(delays)
	return all[len(all)/2], delays[len(delays)/2]
}

// fitCost fits cores = idle + request·(rps + ratio·wakeUps) and returns the sum of
// the squares of the relative errors.
func fitCost(points []Point, ratio float64) (idle, request, squares float64) {
	var w, x, y, xx, xy float64
	for _, p := range points {
		u, weight := p.RPS+ratio*p.WakeUps, 1/(p.Cores*p.Cores)
		w, x, y, xx, xy = w+weight, x+weight*u, y+weight*p.Cores, xx+weight*u*u, xy+weight*u*p.Cores
	}
	request = (w*xy - x*y) / (w*xx - x*x)
	idle = (y - request*x) / w
	if idle < 0 || !(request > 0) {
		idle, request = 0, xy/xx
	}
	for _, p := range points {
		e := (idle+request*(p.RPS+ratio*p.WakeUps))/p.Cores - 1
		squares += e * e
	}
	return idle, request, squares
}

// searchPhases is about how many phases near the edge settle where a search finds
// it. Phases of one rate scatter with the speed of the machine, and what a handful
// of others finds scatters with it too: an interval that is to hold it must say so.
const searchPhases = 4

// Predict returns the value of a rate that follows from a proxy, and its interval:
// of is evaluated for each candidate, and once more for the most likely one with
// all its costs a twentieth higher, which tells what their common uncertainty means.
// The logarithm is taken as normally distributed, with Student's t for the level.
func (c Calibration) Predict(of func(s Server, near float64) float64) stat.Estimate {
	best := slices.MaxFunc(c.Candidates, func(a, b Candidate) int { return cmp.Compare(a.Weight, b.Weight) })
	at := of(best.Server, 0)
	if !(at > 0) || math.IsInf(at, 0) {
		return stat.NotEstimable(c.N, "no rate is within the limit, or every rate is")
	}
	mean, squares := 0.0, 0.0
	for _, candidate := range c.Candidates {
		rate := at
		if candidate.Server != best.Server {
			rate = of(candidate.Server, at)
		}
		v := math.Log(math.Max(rate, at/100))
		mean += candidate.Weight * v
		squares += candidate.Weight * v * v
	}
	dearer := best.Server
	dearer.Idle *= 1 + costStep
	dearer.PerRequest *= 1 + costStep
	dearer.PerWakeUp *= 1 + costStep
	slope := math.Log(math.Max(of(dearer, at), at/100)/at) / math.Log1p(costStep)
	level := slope * c.Residual * math.Sqrt(1/float64(c.N)+1/float64(searchPhases*max(c.Searches, 1)))
	half := math.Hypot(stat.Z(stat.Confidence)*math.Sqrt(math.Max(0, squares-mean*mean)), stat.StudentT(stat.Confidence, c.freedom)*level)
	return stat.Estimate{
		Value: math.Exp(mean), Low: math.Exp(mean - half), High: math.Exp(mean + half), Confidence: stat.Confidence, N: c.N,
	}
}

// costStep is by how much the costs are raised to see what follows.
const costStep = 0.05
