package recommend

import (
	"fmt"
	"math"
	"time"
)

// PoolInput is what the connectionPool of a destination is computed from.
// Istio's limits hold per client proxy, and again per server pod inbound.
type PoolInput struct {
	Host          string
	PlannedRPS    float64
	Clients       int     // client proxies that carry the planned rate
	Pods          int     // pods of the destination that carry the planned rate, as few as that may be
	MostPods      int     // pods that there may be
	ClientWorkers int     // worker threads of a client proxy; 0: not known
	Tolerated     float64 // seconds, of the strictest latency objective; 0: none
	// Measured at one client proxy; 0: not known.
	InFlight       float64 // the most requests upstream at once …
	InFlightAtRPS  float64 // … at this rate per client
	Connections    float64 // the most connections upstream
	PodsMeasured   int
	ConnectSeconds float64 // p99 of opening a connection
}

const (
	// Requests in flight vary like a Poisson count; four deviations are exceeded in
	// some three of 100 000 instants.
	poolDeviations = 4
	// RFC 6298, section 2: the first SYN is repeated after one second.
	leastConnectTimeout = 2 * time.Second
	mostConnectTimeout  = 10 * time.Second
	connectionLife      = 60.0 // seconds, at least
	leastPerConnection  = 1000
	leastConnections    = 100
	toleratedOtherwise  = 1.0 // seconds, without a latency objective
)

// PoolFor returns the connectionPool of the destination. Nil, with the reason,
// when there is no rate to plan for.
func PoolFor(in PoolInput) (pool *ConnectionPool, why string) {
	if !(in.PlannedRPS > 0) || math.IsInf(in.PlannedRPS, 0) {
		return nil, "no connection pool is recommended: there is no rate to plan for"
	}
	clients, pods := max(in.Clients, 1), max(in.Pods, 1)
	perClient, perPod := in.PlannedRPS/float64(clients), in.PlannedRPS/float64(pods)
	most, where := perClient, "client proxy"
	if perPod > perClient {
		most, where = perPod, "pod of the destination, where the limit holds again inbound"
	}
	tolerated, by := in.Tolerated, "the objective tolerates"
	if tolerated <= 0 {
		tolerated, by = toleratedOtherwise, "is assumed to be tolerated, as there is no latency objective"
	}
	p := &ConnectionPool{Host: in.Host, Reasons: map[string]string{}}
	p.requests(in, most, where, tolerated, by)
	p.pending(in, perClient, tolerated)
	p.connections(in, max(in.MostPods, pods), perClient)
	p.timeout(in)
	return p, ""
}

func aboveChance(mean float64) float64 { return mean + poolDeviations*math.Sqrt(mean) }

func (p *ConnectionPool) requests(in PoolInput, rps float64, where string, tolerated float64, by string) {
	mean := rps * tolerated
	need := aboveChance(mean)
	words := fmt.Sprintf("%s at a %s × %s that %s = %.0f requests in flight on average, %.0f with chance", rate(rps), where, timeWords(tolerated), by, mean, math.Ceil(need))
	if in.InFlight > 0 && in.InFlightAtRPS > 0 {
		seen := 1.5 * in.InFlight * rps / in.InFlightAtRPS
		words += fmt.Sprintf("; measured: at most %.0f at %s", in.InFlight, rate(in.InFlightAtRPS))
		if seen > need {
			need = seen
			words += fmt.Sprintf(", and half as much again at this rate is %.0f", seen)
		}
	}
	p.HTTP.HTTP2MaxRequests = niceUp(need)
	words += fmt.Sprintf("; trips (503, UO) when answers take %s on average at this rate", timeWords(float64(p.HTTP.HTTP2MaxRequests)/rps))
	p.Reasons["http.http2MaxRequests"] = words
}

func (p *ConnectionPool) pending(in PoolInput, perClient, tolerated float64) {
	wait := math.Max(tolerated, in.ConnectSeconds)
	need := aboveChance(perClient * wait)
	p.HTTP.HTTP1MaxPendingRequests = niceUp(need)
	p.Reasons["http.http1MaxPendingRequests"] = fmt.Sprintf(
		"%s per client proxy × %s, the longest wait for a connection that is worth it, = %.0f, %.0f with chance; it holds for HTTP/2 too while no connection is open, as for a new pod; trips (503, UO) when more wait",
		rate(perClient), timeWords(wait), perClient*wait, math.Ceil(need))
}

func (p *ConnectionPool) connections(in PoolInput, pods int, perClient float64) {
	workers := max(in.ClientWorkers, 1)
	need := float64(workers * pods)
	words := fmt.Sprintf("%s × %d pods = %d HTTP/2 connections per client proxy", threads(workers), pods, workers*pods)
	if in.Connections > 0 && in.PodsMeasured > 0 {
		words += fmt.Sprintf("; measured: %.0f to %d pods", in.Connections, in.PodsMeasured)
		need = math.Max(need, in.Connections/float64(in.PodsMeasured)*float64(pods))
	}
	if in.Connections > 10 && in.InFlight > 10 && in.Connections > in.InFlight/2 {
		// One request a connection: HTTP/1.1 upstream.
		need = math.Max(need, float64(p.HTTP.HTTP2MaxRequests)/2)
		words += "; the connections carry about one request each, as HTTP/1.1 does"
	}
	p.TCP.MaxConnections = max(niceUp(2*need), leastConnections)
	words += "; twice that, because old ones drain while new ones open"
	if p.TCP.MaxConnections == leastConnections {
		words += fmt.Sprintf("; %d at the least, because the pods may become more and a connection costs little", leastConnections)
	}
	p.Reasons["tcp.maxConnections"] = words + "; beyond it requests queue, they do not fail"

	each := perClient / need
	p.HTTP.MaxRequestsPerConnection = niceUp(math.Max(leastPerConnection, each*connectionLife))
	p.Reasons["http.maxRequestsPerConnection"] = fmt.Sprintf(
		"a connection carries %s, and so lives %s or more: each new one costs a handshake, and yet old ones must go for new pods to get their share",
		rate(each), timeWords(math.Min(float64(p.HTTP.MaxRequestsPerConnection)/math.Max(each, 1e-9), 86400)))
}

func (p *ConnectionPool) timeout(in PoolInput) {
	timeout, words := leastConnectTimeout, "no connect times were measured; 2 s leaves room for one lost SYN, repeated after 1 s"
	if in.ConnectSeconds > 0 {
		ten := time.Duration(math.Min(10*in.ConnectSeconds, mostConnectTimeout.Seconds()) * float64(time.Second))
		timeout = min(max(ten.Round(100*time.Millisecond), leastConnectTimeout), mostConnectTimeout)
		words = fmt.Sprintf("connecting took %s (p99); ten times that, and 2 s at the least, so that one lost SYN, repeated after 1 s, does not fail a connection", timeWords(in.ConnectSeconds))
	}
	p.TCP.ConnectTimeout = timeout.String()
	p.Reasons["tcp.connectTimeout"] = words
}
