package proxy

import "math"

// Requests is a fair size of a simulation: the p99 of so many over the periods of
// a quota scatters by some 3 %, and the rate at which it crosses a limit by less,
// since latency rises faster than the rate there.
const Requests = 20_000

// edgeResolution is high ÷ low at which the search of an edge ends.
const edgeResolution = 1.01

// Edge returns the highest rate, in requests a second, at which the q-quantile of
// the simulated latency is within limit (seconds); 0 when it is not even at a
// hundredth of what the proxy can answer. near is where to look first; 0: anywhere.
func Edge(s Server, upstream []float64, q, limit, near float64, requests int, seed uint64) float64 {
	most := s.Saturation() * 1.2
	if !(most > 0) || math.IsInf(most, 0) {
		return 0
	}
	holds := func(rps float64) bool {
		n := requests
		if s.Quota > 0 { // the periods of a quota differ from each other: of the usual size a hundred at least
			n = max(n, int(rps*100*Period*float64(requests)/Requests))
		}
		return Simulate(s, Load{RPS: rps, Upstream: upstream}, n, seed).Quantile(q) <= limit
	}
	low, high := most/100, most
	if near > low*1.2 && near < high/1.2 {
		if holds(near / 1.2) {
			low = near / 1.2
		} else {
			high = near / 1.2
		}
		if low > most/100 && !holds(near*1.2) {
			high = near * 1.2
		}
	}
	if low == most/100 && !holds(low) {
		return 0
	}
	for high/low > edgeResolution {
		if middle := math.Sqrt(low * high); holds(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Sqrt(low * high)
}
