package skew

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Placement is how a balancer chooses the replica of a new connection.
type Placement int

// The placements.
const (
	// Random is each replica with the same probability: a Service of Kubernetes
	// with iptables or nftables, a hash over ports, and also several balancers
	// with a turn or a count of their own when each opens few connections.
	Random Placement = iota
	// RoundRobin is one replica after the other, by one balancer for all.
	RoundRobin
	// LeastConnection is the replica that has the fewest connections, by one
	// balancer for all; it sees their number, not their load.
	LeastConnection
)

// String returns how the placement is called in sentences.
func (p Placement) String() string {
	switch p {
	case RoundRobin:
		return "round robin"
	case LeastConnection:
		return "least connection"
	default:
		return "random"
	}
}

// Hottest returns the factor of the hottest replica after connections of equal
// load were opened to replicas. Both are at least 1, or it is not estimable.
//
// The value is the expectation, and the interval holds 95 % of placements: it is
// about one placement that will be made, so its high end is the safe one. It does
// not come from data; N is the number of connections.
//
// With random placement the numbers of connections are multinomial and the
// distribution of their maximum is exact: P(max ≤ m) is the coefficient of x^C
// in (Σ_{k≤m} e^{−λ} λ^k/k! x^k)^R divided by the Poisson probability of C, with
// λ = C/R (Johnson and Kotz, "Urn models and their application", 1977, ch. 3;
// the Poisson form only scales the terms). Where that takes long, beyond some
// hundred connections, it is the maximum of independent Poisson numbers, less the
// part of its variance that comes from their sum, which is fixed here: exact in
// the normal limit, and within 0.1 % of the factor from there on.
func Hottest(connections, replicas int, placement Placement) stat.Estimate {
	if e, bad := unfit(connections, replicas); bad {
		return e
	}
	if placement != Random {
		return certain(float64((connections+replicas-1)/replicas), connections, replicas)
	}
	d := hottestOf(connections, []group{{replicas, 1 / float64(replicas)}})
	return d.factor(connections, replicas)
}

// unfit is what cannot be placed.
func unfit(connections, replicas int) (stat.Estimate, bool) {
	if connections < 1 || replicas < 1 {
		return stat.NotEstimable(0, fmt.Sprintf("%d connections on %d replicas", connections, replicas)), true
	}
	return stat.Estimate{}, false
}

// certain is the factor where the hottest replica surely has busiest connections.
func certain(busiest float64, connections, replicas int) stat.Estimate {
	factor := busiest * float64(replicas) / float64(connections)
	return stat.Estimate{
		Value: factor, Low: factor, High: factor, Confidence: stat.Confidence, N: connections,
		Warnings: idle(connections, replicas),
	}
}

// idle warns that some replicas must stay without load.
func idle(connections, replicas int) []string {
	if connections >= replicas {
		return nil
	}
	return []string{fmt.Sprintf("%d connections cannot load %d replicas: at least %d of them stay idle", connections, replicas, replicas-connections)}
}

// group is a number of replicas that have the same probability each.
type group struct {
	replicas    int
	probability float64
}

// maximum is the distribution of the largest number of connections on a replica.
type maximum struct {
	least  int       // no placement has less: the mean, rounded up
	first  int       // smallest value in cdf
	cdf    []float64 // P(max ≤ first + i), the last is 1
	excess float64   // variance that is in cdf and not in the maximum
}

// negligible is a probability that no result depends on.
const negligible = 1e-10

// exactWork bounds how many multiplications the exact distribution may take: some
// milliseconds.
const exactWork = 5e6

// hottestOf returns the distribution of the largest number of connections over all
// groups, whose probabilities × replicas add up to 1.
func hottestOf(connections int, groups []group) maximum {
	groups = slices.DeleteFunc(groups, func(g group) bool { return g.replicas == 0 })
	replicas, most, convolutions := 0, 0.0, 0.0
	for _, g := range groups {
		replicas += g.replicas
		most = math.Max(most, g.probability)
		convolutions += 2*math.Log2(float64(g.replicas)) + 1
	}
	total, mean := float64(connections), float64(connections)*most
	// How many m there are to look at; what one of them takes is below.
	spread := 8*math.Sqrt(mean) + 8 + mean - total/float64(replicas)
	return maximumOf(connections, groups, spread*convolutions*total*total/2 <= exactWork)
}

// maximumOf is hottestOf in one of its two ways.
func maximumOf(connections int, groups []group, exact bool) maximum {
	replicas, most := 0, 0.0
	for _, g := range groups {
		replicas += g.replicas
		most = math.Max(most, g.probability)
	}
	total, mean := float64(connections), float64(connections)*most
	least := (connections + replicas - 1) / replicas
	d := maximum{least: least, first: least}
	if !exact {
		// With p the largest probability and N the sum of the Poisson numbers, those
		// of the placement are about theirs less p × (N − C), which is independent
		// of the maximum that remains.
		d.first, d.excess = max(0, int(mean-8*math.Sqrt(mean))), most*most*total
	}
	all := distuv.Poisson{Lambda: total}.Prob(total)
	for m := d.first; m < connections; m++ {
		p := 0.0
		if exact {
			p = atMost(m, connections, groups) / all
		} else {
			p = atMostIndependent(m, connections, groups)
		}
		if p > 1-negligible {
			break
		}
		d.cdf = append(d.cdf, p)
	}
	d.cdf = append(d.cdf, 1)
	return d
}

// atMost returns the coefficient of x^connections in the product of the groups'
// truncated Poisson polynomials.
func atMost(m, connections int, groups []group) float64 {
	product := []float64{1}
	for _, g := range groups {
		if g.probability <= 0 {
			continue
		}
		one := make([]float64, m+1)
		pois := distuv.Poisson{Lambda: float64(connections) * g.probability}
		for k := range one {
			one[k] = pois.Prob(float64(k))
		}
		product = multiply(product, power(one, g.replicas, connections), connections)
	}
	if len(product) <= connections {
		return 0
	}
	return product[connections]
}

// power returns p^n, without terms beyond x^degree. n ≥ 1.
func power(p []float64, n, degree int) []float64 {
	var out []float64
	for ; n > 0; n /= 2 {
		if n%2 == 1 {
			if out == nil {
				out = p
			} else {
				out = multiply(out, p, degree)
			}
		}
		if n > 1 {
			p = multiply(p, p, degree)
		}
	}
	return out
}

// multiply returns the product of two polynomials, without terms beyond x^degree.
func multiply(a, b []float64, degree int) []float64 {
	out := make([]float64, min(len(a)+len(b)-1, degree+1))
	for i, x := range a {
		if x == 0 || i >= len(out) {
			continue
		}
		for j, y := range b[:min(len(b), len(out)-i)] {
			out[i+j] += x * y
		}
	}
	return out
}

// atMostIndependent is P(max ≤ m) of independent Poisson numbers.
func atMostIndependent(m, connections int, groups []group) float64 {
	p := 1.0
	for _, g := range groups {
		if g.probability > 0 {
			p *= math.Pow(distuv.Poisson{Lambda: float64(connections) * g.probability}.CDF(float64(m)), float64(g.replicas))
		}
	}
	return p
}

// mean returns the expectation: first + Σ P(max > m).
func (d maximum) mean() float64 {
	sum := float64(d.first)
	for _, p := range d.cdf {
		sum += 1 - p
	}
	return sum
}

// variance returns that of cdf.
func (d maximum) variance() float64 {
	mean, sum, before := d.mean(), 0.0, 0.0
	for i, p := range d.cdf {
		off := float64(d.first+i) - mean
		sum += (p - before) * off * off
		before = p
	}
	return sum
}

// quantile returns the smallest number that the maximum does not exceed with
// probability q.
func (d maximum) quantile(q float64) float64 {
	value := float64(d.first + slices.IndexFunc(d.cdf, func(p float64) bool { return p >= q }))
	if d.excess == 0 {
		return value
	}
	mean := d.mean()
	value = mean + (value-mean)*math.Sqrt(math.Max(0, 1-d.excess/d.variance()))
	// Numbers of connections are whole; outwards, so that the interval holds.
	if value < mean {
		return math.Max(float64(d.least), math.Floor(value))
	}
	return math.Ceil(value)
}

// factor turns numbers of connections into multiples of the mean over replicas.
func (d maximum) factor(connections, replicas int) stat.Estimate {
	tail := (1 - stat.Confidence) / 2
	perMean := float64(replicas) / float64(connections)
	return stat.Estimate{
		Value: d.mean() * perMean, Low: math.Max(1, d.quantile(tail)*perMean), High: d.quantile(1-tail) * perMean,
		Confidence: stat.Confidence, N: connections, Warnings: idle(connections, replicas),
	}
}
