package skew

import (
	"fmt"
	"math"
	"math/cmplx"
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
// the Poisson form only scales the terms).
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
	first int       // smallest value
	cdf   []float64 // P(max ≤ first + i), rising, the last is 1
}

// negligible is a probability that no result depends on.
const negligible = 1e-10

// hottestOf returns the distribution of the largest number of connections over all
// groups, whose probabilities × replicas add up to 1.
func hottestOf(connections int, groups []group) maximum {
	replicas := 0
	for _, g := range groups {
		replicas += g.replicas
	}
	d := maximum{first: (connections + replicas - 1) / replicas}
	// Counts that share a sum are negatively dependent, so P(max ≤ m) is at most the
	// product of what each replica has alone (Joag-Dev and Proschan, 1983), and at
	// least 1 less the sum of the others (Bonferroni).
	for d.first < connections {
		if atMost, _ := alone(d.first, connections, groups); atMost >= negligible {
			break
		}
		d.first++
	}
	p := newPolynomials(d.first, connections, groups)
	for m := d.first; m < connections; m++ {
		if _, above := alone(m, connections, groups); above < negligible {
			break
		}
		at := math.Min(math.Max(0, p.coefficient()), 1)
		if n := len(d.cdf); n > 0 {
			at = math.Max(at, d.cdf[n-1])
		}
		d.cdf = append(d.cdf, at)
		p.extend()
	}
	d.cdf = append(d.cdf, 1)
	return d
}

// alone returns the product over replicas of P(its connections ≤ m) and the sum of
// P(its connections > m). m is below connections.
func alone(m, connections int, groups []group) (product, sum float64) {
	product = 1
	for _, g := range groups {
		if g.replicas == 0 || g.probability <= 0 {
			continue
		}
		p := 0.0
		if g.probability < 1 {
			p = distuv.Binomial{N: float64(connections), P: g.probability}.CDF(float64(m))
		}
		product *= math.Pow(p, float64(g.replicas))
		sum += (1 - p) * float64(g.replicas)
	}
	return product, sum
}

// polynomials are the groups' truncated Poisson polynomials Σ_{k≤m} e^{−λ} λ^k/k! x^k
// at roots of unity, from which the coefficient of their product follows by an
// inverse Fourier transform at one point.
type polynomials struct {
	connections int
	groups      []group
	roots       int            // odd, and so many that no term beyond x^C comes back to it
	m           int            // terms up to x^m are in
	turn        []complex128   // e^{2πi·k/roots} for k = 0 … (roots − 1)/2; the rest is conjugate
	power       []complex128   // turn^m
	values      [][]complex128 // by group
}

// mostRoots bounds at how many roots polynomials are looked at. From some 11 000
// connections on those that are left out, the farthest from 1, add nothing: the
// magnitude of the product falls as that of a normal distribution's transform.
const mostRoots = 6000

func newPolynomials(m, connections int, groups []group) *polynomials {
	beyond := int(12*math.Sqrt(float64(connections))) + 40 // of what sums of Poisson numbers reach
	p := &polynomials{connections: connections, roots: 2*((connections+beyond)/2) + 1}
	for _, g := range groups {
		if g.replicas > 0 && g.probability > 0 {
			p.groups = append(p.groups, g)
		}
	}
	n := min((p.roots-1)/2+1, mostRoots)
	p.turn, p.power, p.values = make([]complex128, n), make([]complex128, n), make([][]complex128, len(p.groups))
	for i := range p.values {
		p.values[i] = make([]complex128, n)
	}
	start := float64(m)
	for _, g := range p.groups {
		mean := float64(connections) * g.probability
		start = math.Min(start, mean-9*math.Sqrt(mean)-9)
	}
	p.m = max(0, int(start)) - 1
	for k := range p.turn {
		angle := 2 * math.Pi * float64(k) / float64(p.roots)
		p.turn[k], p.power[k] = cmplx.Rect(1, angle), cmplx.Rect(1, angle*float64(p.m))
	}
	for p.m < m {
		p.extend()
	}
	return p
}

// extend adds the next term.
func (p *polynomials) extend() {
	p.m++
	for k, turn := range p.turn {
		p.power[k] *= turn
	}
	for i, g := range p.groups {
		term := complex(distuv.Poisson{Lambda: float64(p.connections) * g.probability}.Prob(float64(p.m)), 0)
		for k, power := range p.power {
			p.values[i][k] += term * power
		}
	}
}

// coefficient returns that of x^connections in the product of the polynomials, each
// as often as its group has replicas, divided by the Poisson probability.
func (p *polynomials) coefficient() float64 {
	sum := 0.0
	for k := range p.turn {
		product := cmplx.Rect(1, -2*math.Pi*math.Mod(float64(k)*float64(p.connections), float64(p.roots))/float64(p.roots))
		for i, g := range p.groups {
			product *= raise(p.values[i][k], g.replicas)
		}
		if k > 0 {
			product *= 2 // and its conjugate
		}
		sum += real(product)
	}
	total := float64(p.connections)
	return sum / float64(p.roots) / distuv.Poisson{Lambda: total}.Prob(total)
}

// raise returns z^n for n ≥ 1.
func raise(z complex128, n int) complex128 {
	out := complex(1, 0)
	for ; n > 0; n /= 2 {
		if n%2 == 1 {
			out *= z
		}
		z *= z
	}
	return out
}

// mean returns the expectation: first + Σ P(max > m).
func (d maximum) mean() float64 {
	sum := float64(d.first)
	for _, p := range d.cdf {
		sum += 1 - p
	}
	return sum
}

// quantile returns the smallest number that the maximum does not exceed with
// probability q.
func (d maximum) quantile(q float64) float64 {
	return float64(d.first + slices.IndexFunc(d.cdf, func(p float64) bool { return p >= q }))
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
