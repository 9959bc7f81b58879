package proxy

import (
	"cmp"
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
	// Bunch is how many requests came together, so that one wake-up served several:
	// that tells what a wake-up costs from what a request does, and nothing of how
	// often single ones wake the proxy. 0 and 1: each came by itself.
	Bunch int
}

// Prior is what is known, before anything is measured, of what a wake-up costs
// against a request, and of what being cold adds to one: lognormal distributions. Rate
// and wake-ups rise together while a proxy is far from its limit, so that phases there
// tell the sum of all costs well, and hardly their ratios, unless requests come in
// bunches in some; what happens near the limit hangs on them.
type Prior struct {
	WakeUp, Cold Ratio
}

// Ratio is a cost over that of a request.
type Ratio struct {
	Median float64
	SD     float64 // of its logarithm
}

// EnvoyPrior is the prior of an Envoy. It comes from regressions over all phases, far
// below and far above the edge, of seven sizings of labs, on two Intel Xeon processors,
// whose gateways had quotas of 200m to 400m, TLS, or bodies of 1 to 16 KiB: 0.5 to 1.0
// and 3.4 to 7.6 for the gateways, 0.5 to 1.9 and 2.2 to 7.8 for six of seven sidecars.
func EnvoyPrior() Prior { return Prior{WakeUp: Ratio{0.75, 0.5}, Cold: Ratio{4.5, 0.4}} }

// TestServicePrior is the prior of the lab's test service, a Go program whose
// requests wake some ten times, for its network poller and for its timers: 0.5 to 2.5 and
// 6 to 36 in five of the same sizings, with bodies of 1 and 16 KiB. Larger ones make
// requests dearer, and both ratios smaller.
func TestServicePrior() Prior { return Prior{WakeUp: Ratio{1, 1}, Cold: Ratio{9, 0.8}} }

// candidates is how many proxies stand for what the ratios of the costs may be, each for
// a part of the same probability.
const candidates = 5

// The ratios that are looked at: their logarithms go so many standard deviations of
// the prior to both sides, in so many steps.
const (
	ratioReach = 3.0
	ratioSteps = 40
)

// at returns the ratio of a step, and how likely the prior holds it.
func (r Ratio) at(step int) (value, density float64) {
	z := ratioReach * (2*float64(step)/ratioSteps - 1)
	return r.Median * math.Exp(z*r.SD), math.Exp(-z * z / 2)
}

// Calibration is what phases at low load tell of a proxy.
type Calibration struct {
	Candidates []Server // equally likely ones, by falling cost of a request
	Residual   float64  // relative scatter of the CPU of phases around the fit
	N          int      // phases
	Highest    float64  // the highest rate among them
	Searches   int      // that an interval is to hold the findings of, together; 0 is 1
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
//	cores = a·(rps + r·wakeUps + k·cold)
//
// where cold are the requests a second, each counted by its distance from the one before,
// for many pairs of ratios r and k by least squares of the relative errors, weighs
// them by the prior and by how well they fit (the likelihood for normal errors of
// unknown size, Seber and Lee 2003, ch. 3.12, with the usual scatter as if so many
// phases had shown it), and lets candidates stand for what is left of them. The events
// of a request and the wake delay come from the phases in which requests came one by
// one: in the formula of Server.Steady all else is measured. server says what the
// proxy may use.
func Calibrate(points []Point, server Server, prior Prior) (Calibration, error) {
	single, bunched := known(points)
	single = uncrowded(single)
	if len(single) < LeastPoints {
		return Calibration{}, fmt.Errorf("%d phases with CPU and wake-ups are known, a calibration needs %d", len(single), LeastPoints)
	}
	all := slices.Concat(single, bunched)
	c := Calibration{N: len(all), freedom: usualPhases + len(all) - 2}
	server.Events, server.WakeDelay = eventsAndDelay(single, max(server.Threads, 1))
	usual := usualPhases * usualScatter * usualScatter
	var fits []fitted
	least := math.Inf(1)
	for i := range ratioSteps + 1 {
		for k := range ratioSteps + 1 {
			var f fitted
			var dense, denser float64
			f.wakeUp, dense = prior.WakeUp.at(i)
			f.cold, denser = prior.Cold.at(k)
			f.request, f.squares = fitCost(all, f.wakeUp, f.cold)
			f.weight = dense * denser * math.Pow(usual+f.squares, -float64(c.freedom)/2)
			least = math.Min(least, f.squares)
			fits = append(fits, f)
		}
	}
	for _, part := range parts(fits, candidates) {
		next := server
		request, _ := fitCost(all, part.wakeUp, part.cold)
		next.Cost = Cost{PerRequest: request, PerWakeUp: request * part.wakeUp, Cold: request * part.cold}
		c.Candidates = append(c.Candidates, next)
	}
	for _, p := range single {
		c.Highest = math.Max(c.Highest, p.RPS)
	}
	c.Residual = math.Sqrt((usual + least) / float64(c.freedom))
	return c, nil
}

// known splits the phases of which all is known by how requests came.
func known(points []Point) (single, bunched []Point) {
	for _, p := range points {
		switch {
		case !(p.RPS > 0) || !(p.Cores > 0) || !(p.WakeUps > 0) || !(p.RunDelay >= 0):
		case p.Bunch > 1:
			bunched = append(bunched, p)
		default:
			single = append(single, p)
		}
	}
	return single, bunched
}

// fitted is one pair of ratios: the cost of a request that fits the phases best with
// it, how far they are from it, and how likely it is.
type fitted struct {
	wakeUp, cold     float64 // over the cost of a request
	request, squares float64
	weight           float64
}

// parts divides fits, by what a request costs in them, into n parts of equal
// probability, and returns the means of the logarithms of the ratios in each as ratios:
// dear requests first. What happens near a limit follows that cost.
func parts(fits []fitted, n int) (out []fitted) {
	slices.SortStableFunc(fits, func(a, b fitted) int { return cmp.Compare(b.request, a.request) })
	total := 0.0
	for _, f := range fits {
		total += f.weight
	}
	i, left := 0, fits[0].weight
	for range n {
		need := total / float64(n)
		wakeUp, cold, taken := 0.0, 0.0, 0.0
		for taken < need && i < len(fits) {
			take := math.Min(left, need-taken)
			wakeUp += take * math.Log(fits[i].wakeUp)
			cold += take * math.Log(fits[i].cold)
			taken += take
			if left -= take; left > 0 {
				break
			}
			if i++; i < len(fits) {
				left = fits[i].weight
			}
		}
		out = append(out, fitted{wakeUp: math.Exp(wakeUp / taken), cold: math.Exp(cold / taken)})
	}
	return out
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

// cold returns the requests a second, each counted by how cold it was. Of a bunch that is
// the first alone.
func (p Point) cold() float64 {
	apart := p.RPS / float64(max(p.Bunch, 1))
	return apart * cooled(apart)
}

// fitCost fits cores = request·(rps + wakeUp·wakeUps + cold·cold requests) and returns the
// sum of the squares of the relative errors.
func fitCost(points []Point, wakeUp, cold float64) (request, squares float64) {
	var xx, x float64
	for _, p := range points {
		relative := (p.RPS + wakeUp*p.WakeUps + cold*p.cold()) / p.Cores
		x, xx = x+relative, xx+relative*relative
	}
	request = x / xx
	for _, p := range points {
		e := request*(p.RPS+wakeUp*p.WakeUps+cold*p.cold())/p.Cores - 1
		squares += e * e
	}
	return request, squares
}

// searchPhases is how many phases a search is worth. Phases of one rate scatter with the
// speed of the machine, and what a search finds scatters with it too, however many phases
// it has, since they follow each other: an interval that is to hold it must say so. The
// edges that nine sizings of three labs found scatter by 8 % within a lab (docs/sizing.md),
// as much as single phases do.
const searchPhases = 1

// Predict returns the value of a rate that follows from a proxy, and its interval:
// of is evaluated for each candidate, and once more for the middle one with
// all its costs a twentieth higher, which tells what their common uncertainty means.
// The logarithm is taken as normally distributed, with Student's t for the level.
func (c Calibration) Predict(of func(s Server, near float64) float64) stat.Estimate {
	middle := len(c.Candidates) / 2
	best := c.Candidates[middle]
	at := of(best, 0)
	if !(at > 0) || math.IsInf(at, 0) {
		return stat.NotEstimable(c.N, "no rate is within the limit, or every rate is")
	}
	mean, squares := 0.0, 0.0
	for i, candidate := range c.Candidates {
		rate := at
		if i != middle {
			rate = of(candidate, at)
		}
		v := math.Log(math.Max(rate, at/100))
		mean += v / float64(len(c.Candidates))
		squares += v * v / float64(len(c.Candidates))
	}
	dearer := best
	dearer.PerRequest *= 1 + costStep
	dearer.PerWakeUp *= 1 + costStep
	dearer.Cold *= 1 + costStep
	slope := math.Log(math.Max(of(dearer, at), at/100)/at) / math.Log1p(costStep)
	level := slope * c.Residual * math.Sqrt(1/float64(c.N)+1/float64(searchPhases*max(c.Searches, 1)))
	half := math.Hypot(stat.Z(stat.Confidence)*math.Sqrt(math.Max(0, squares-mean*mean)), stat.StudentT(stat.Confidence, c.freedom)*level)
	return stat.Estimate{
		Value: math.Exp(mean), Low: math.Exp(mean - half), High: math.Exp(mean + half), Confidence: stat.Confidence, N: c.N,
	}
}

// costStep is by how much the costs are raised to see what follows.
const costStep = 0.05
