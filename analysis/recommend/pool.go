package recommend

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models/queue"
)

// PoolInput is what the connectionPool of a destination is computed from.
// Istio's limits hold per client proxy, and again per server pod inbound.
type PoolInput struct {
	Host          string
	PlannedRPS    float64 // of one cluster
	ClientsRPS    float64 // that the client proxies carry when the most is lost; 0: the planned rate
	PodsRPS       float64 // that the pods carry, likewise
	Clients       int     // client proxies that carry the planned rate, as few as that may be
	LeastClients  int     // that the autoscaler may leave at today's peak; 0: not known
	MostClients   int     // that it may start; 0: not known
	PeakRPS       float64 // today's, of one cluster; 0: not known
	Hottest       float64 // load of the busiest client proxy ÷ their mean; below 1: even
	Pods          int     // pods of the destination that carry the planned rate, as few as that may be
	MostPods      int     // pods that there may be
	ClientWorkers int     // worker threads of a client proxy; 0: not known
	Tolerated     float64 // seconds, of the strictest latency objective; 0: none
	// Measured at one client proxy; 0: not known.
	InFlight        float64 // the most requests upstream at once …
	InFlightMean    float64 // … and their mean …
	Dispersion      float64 // … and their variance ÷ mean, 1 for a Poisson count …
	InFlightAtRPS   float64 // … at this rate per client
	Connections     float64 // the most connections upstream
	MadePerRequest  float64 // connections opened ÷ requests
	PodsMeasured    int
	ConnectSeconds  float64 // p99 of opening a connection
	Handshake       float64 // seconds that opening one takes, of both ends together, mostly CPU; 0: not known
	CPUPerRequest   float64 // CPU seconds of client proxy and sidecar for a request; 0: not known
	LostIdleSeconds float64 // the shortest idle time after which a connection was lost without a word
}

const (
	// exceeded is the probability with which requests in flight go beyond a quantile
	// that a limit is computed from: p99.9.
	exceeded = 0.001
	// measuredSlack is the room above what was measured.
	measuredSlack = 1.5
	// RFC 6298, section 2: the first SYN is repeated after one second.
	leastConnectTimeout = 2 * time.Second
	mostConnectTimeout  = 10 * time.Second
	leastConnections    = 100
	toleratedOtherwise  = 1.0 // seconds, without a latency objective
)

// The constraints on a connection pool.
const (
	ByObjectiveAtClient = "objective-at-client"
	ByObjectiveAtPod    = "objective-at-pod"
	ByMeasured          = "measured"
	ByColdBurst         = "cold-burst"
	ByDraining          = "draining"
	ByStreams           = "streams"
	ByHTTP1             = "http1"
	ByLostSYN           = "lost-syn"
	ByConnectTime       = "connect-time"
)

// pool is a connectionPool in the making.
type pool struct {
	*ConnectionPool
	in        PoolInput
	perClient float64 // requests a second of the busiest client proxy
	perPod    float64
	tolerated float64
	by        string // who tolerates it
}

// PoolFor returns the connectionPool of the destination. Nil, with the reason,
// when there is no rate to plan for.
func PoolFor(in PoolInput) (recommended *ConnectionPool, why string) {
	if !(in.PlannedRPS > 0) || math.IsInf(in.PlannedRPS, 0) {
		return nil, "no connection pool is recommended: there is no rate to plan for"
	}
	assumed := assumptions(in)
	in.Clients, in.Pods = max(in.Clients, 1), max(in.Pods, 1)
	in.MostPods = max(in.MostPods, in.Pods)
	in.Hottest = math.Max(in.Hottest, 1)
	in.ClientsRPS, in.PodsRPS = cmp.Or(in.ClientsRPS, in.PlannedRPS), cmp.Or(in.PodsRPS, in.PlannedRPS)
	p := pool{
		ConnectionPool: &ConnectionPool{Host: in.Host, Reasons: map[string]string{}, Details: map[string]Basis{}},
		in:             in, tolerated: in.Tolerated, by: "the objective tolerates",
		perClient: in.ClientsRPS * in.Hottest / float64(in.Clients),
		perPod:    in.PodsRPS / float64(in.Pods),
	}
	if p.tolerated <= 0 {
		p.tolerated, p.by = toleratedOtherwise, "is assumed to be tolerated, as there is no latency objective"
	}
	p.requests()
	p.pending()
	p.retries()
	p.connections()
	p.timeout()
	p.lifetime()
	p.idle()
	for field, words := range assumed {
		p.Reasons[field] += words
	}
	return p.ConnectionPool, ""
}

// assumptions says, by field, what is taken for one because nothing tells how many there
// are.
func assumptions(in PoolInput) map[string]string {
	out := map[string]string{}
	if in.Pods <= 0 && in.MostPods <= 0 {
		for _, field := range []string{"tcp.maxConnections", "http.http2MaxRequests", "http.maxRequestsPerConnection", "http.maxRetries", "http.idleTimeout"} {
			out[field] += "; how many pods the destination has is not known, and one is assumed: observe the service or its sidecars"
		}
	}
	if in.ClientWorkers <= 0 {
		for _, field := range []string{"tcp.maxConnections", "http.maxRequestsPerConnection", "http.idleTimeout"} {
			out[field] += "; how many worker threads a client proxy has is not known, and one is assumed: name its concurrency"
		}
	}
	return out
}

// inFlight is the number of requests in flight that a Poisson count of that mean
// exceeds in one of a thousand instants.
func inFlight(mean float64) float64 {
	n, err := queue.PoolSize(mean, exceeded)
	if err != nil {
		// Beyond what the search covers the normal limit with its first correction
		// (Cornish and Fisher, 1938) is within one: z·√m + (z² − 1)/6, z = 3.0902.
		return math.Ceil(mean + 3.0902*math.Sqrt(mean) + 1.42)
	}
	return float64(n)
}

// rates notes the rates of the busiest client proxy and of a pod.
func (p *pool) rates(x *sheet) {
	x.input("carried", p.in.ClientsRPS, "/s", "the planned rate of a cluster, and what it takes over from another")
	x.input("clients", float64(p.in.Clients), "", "client proxies that carry it when others are lost")
	formula := "carried / clients"
	if p.in.Hottest > 1 {
		x.input("hottest", p.in.Hottest, "", "load of the busiest client proxy ÷ their mean")
		formula = "carried * hottest / clients"
	}
	x.step("rate of the busiest client proxy", "perClient", "/s", formula, p.perClient)
	x.input("tolerated", p.tolerated, "s", "the latency that "+p.by)
}

// requests is the limit that sheds: it holds what is in flight when everything is
// as slow as the objective tolerates, at the busiest caller, so that it trips on
// what is worse only.
func (p *pool) requests() {
	const field = "http.http2MaxRequests"
	x, in := &sheet{}, p.in
	p.rates(x)
	atClient := x.step("in flight at the busiest client proxy, p99.9, when answers take as long as is tolerated", "atClient", "", "poisson(0.001, perClient * tolerated)", inFlight(p.perClient*p.tolerated))
	x.input("pods", float64(in.Pods), "", "pods of the destination that carry the planned rate when others are lost")
	x.input("carriedByPods", in.PodsRPS, "/s", "the planned rate of a cluster, and what it takes over from another")
	x.step("rate of a pod, at whose sidecar the limit holds again", "perPod", "/s", "carriedByPods / pods", p.perPod)
	atPod := x.step("in flight at a pod, p99.9, likewise", "atPod", "", "poisson(0.001, perPod * tolerated)", inFlight(p.perPod*p.tolerated))
	constraints := []Constraint{
		{By: ByObjectiveAtClient, Value: atClient, Why: "p99.9 of in flight at the busiest client proxy, at the objective's latency"},
		{By: ByObjectiveAtPod, Value: atPod, Why: "p99.9 of in flight at a pod, where the limit holds again inbound"},
	}
	most, where := p.perClient, "client proxy"
	if p.perPod > p.perClient {
		most, where = p.perPod, "pod of the destination, where the limit holds again inbound"
	}
	formula := "nice(max(atClient, atPod"
	usual := p.usual(x, most)
	if usual > 0 {
		constraints = append(constraints, Constraint{By: ByMeasured, Value: measuredSlack * usual, Why: "half as much again as p99.9 of what was measured, at this rate"})
		formula += ", 1.5 * usual"
	}
	if in.ConnectSeconds > 0 {
		x.input("connect", in.ConnectSeconds, "s", "p99 of opening a connection, as measured")
		cold := x.step("requests that come while a cold pool opens its first connection, p99.9", "coldBurst", "", "poisson(0.001, perClient * connect)", inFlight(p.perClient*in.ConnectSeconds))
		constraints = append(constraints, Constraint{By: ByColdBurst, Value: cold, Why: "all that waited for a cold pool's first connection goes out at once"})
		formula += ", coldBurst"
	}
	limit := x.step("http2MaxRequests", "http2MaxRequests", "", formula+"))", float64(niceUp(largest(constraints))))
	p.HTTP.HTTP2MaxRequests = int(limit)
	trips := x.step("mean latency at which it trips: at the busiest client proxy, at the planned rate", "tripClient", "s", "http2MaxRequests / perClient", limit/p.perClient)
	atPodTrips := x.step("the same at a pod", "tripPod", "s", "http2MaxRequests / perPod", limit/p.perPod)
	p.TripSeconds = math.Min(trips, atPodTrips)
	words := fmt.Sprintf("%s at a %s × %s that %s = %.0f requests in flight on average, %.0f at p99.9", rate(most), where, timeWords(p.tolerated), p.by, most*p.tolerated, math.Max(atClient, atPod))
	if usual > 0 {
		words += fmt.Sprintf("; measured, and taken to this rate: %.0f at p99.9, of which the limit is %.3g times", usual, limit/usual)
	}
	words += fmt.Sprintf("; at the planned peak it trips (503, UO) when mean latency exceeds %s", timeWords(p.TripSeconds))
	if refused, err := queue.ErlangB(most*p.tolerated, int(limit)); err == nil {
		words += fmt.Sprintf(", and sheds %s when it is %s", percent(refused), timeWords(p.tolerated))
	}
	words += p.counts(limit)
	p.Reasons[field] = words
	p.Details[field] = x.basis(constraints,
		"other client proxies that call the host: each has the limit for itself, and each pod has it for all of them together",
		"a slower objective, and the number of client proxies that carry the load",
		"Sidecar.spec.inboundConnectionPool, which sets what holds at the pods apart from what holds at the client proxies")
}

// usual is p99.9 of the requests in flight as measured, taken to another rate:
// never less than the most that was seen. 0 when it is not known.
func (p *pool) usual(x *sheet, rps float64) float64 {
	in := p.in
	if !(in.InFlight > 0) || !(in.InFlightAtRPS > 0) {
		return 0
	}
	x.input("busiest", rps, "/s", "the larger of perClient and perPod")
	x.input("measuredMost", in.InFlight, "", "the most requests in flight upstream of a client proxy")
	x.input("measuredRate", in.InFlightAtRPS, "/s", "of that client proxy")
	seen := rps * in.InFlight / in.InFlightAtRPS
	if !(in.InFlightMean > 0) {
		return x.step("the most that was seen, taken to the rate", "usual", "", "busiest * measuredMost / measuredRate", seen)
	}
	dispersion := math.Max(in.Dispersion, 1)
	x.input("measuredMean", in.InFlightMean, "", "the mean of the samples")
	x.input("dispersion", dispersion, "", "variance ÷ mean of the samples, 1 at the least: how much burstier than Poisson")
	mean := x.step("mean in flight at the rate, by Little's law", "mean", "", "busiest * measuredMean / measuredRate", rps*in.InFlightMean/in.InFlightAtRPS)
	x.step("the most that was seen, taken to the rate", "seen", "", "busiest * measuredMost / measuredRate", seen)
	quantile := mean + (inFlight(mean)-mean)*math.Sqrt(dispersion)
	return x.step("in flight at p99.9 as measured: a Poisson quantile, further from the mean the burstier", "usual", "", "max(seen, mean + (poisson(0.001, mean) - mean) * sqrt(dispersion))", math.Max(seen, quantile))
}

// counts says what the limit means for the numbers of client proxies that there
// may be.
func (p *pool) counts(limit float64) string {
	least, most := p.in.LeastClients, p.in.MostClients
	if least <= 0 || most <= 0 {
		return ""
	}
	words := fmt.Sprintf("; from %d to %d client proxies admit %.0f to %.0f at once together", least, most, limit*float64(least), limit*float64(most))
	if p.in.PeakRPS > 0 {
		perClient := p.in.PeakRPS * p.in.Hottest / float64(least)
		words += fmt.Sprintf(", and each of %d has %.0f in flight at p99.9 at today's peak", least, inFlight(perClient*p.tolerated))
	}
	return words
}

// pending is for requests that find no connection: those of a cold pool, of
// HTTP/2 as well.
func (p *pool) pending() {
	const field = "http.http1MaxPendingRequests"
	x, in := &sheet{}, p.in
	p.rates(x)
	waiting := x.step("requests that wait when no connection is open for as long as is tolerated, p99.9", "waiting", "", "poisson(0.001, perClient * tolerated)", inFlight(p.perClient*p.tolerated))
	constraints := []Constraint{{By: ByObjectiveAtClient, Value: waiting, Why: "the longest wait for a connection that is worth it"}}
	formula, wait := "nice(waiting)", p.tolerated
	if in.ConnectSeconds > 0 {
		x.input("connect", in.ConnectSeconds, "s", "p99 of opening a connection, as measured")
		cold := x.step("requests that come while a cold pool opens its first connection, p99.9", "coldBurst", "", "poisson(0.001, perClient * connect)", inFlight(p.perClient*in.ConnectSeconds))
		constraints = append(constraints, Constraint{By: ByColdBurst, Value: cold, Why: "a cold pool's first connection is opening"})
		formula, wait = "nice(max(waiting, coldBurst))", math.Max(wait, in.ConnectSeconds)
	}
	p.HTTP.HTTP1MaxPendingRequests = niceUp(largest(constraints))
	x.step("http1MaxPendingRequests", "http1MaxPendingRequests", "", formula, float64(p.HTTP.HTTP1MaxPendingRequests))
	p.Reasons[field] = fmt.Sprintf(
		"%s per client proxy × %s, the longest wait for a connection that is worth it, = %.0f, %.0f at p99.9; it holds for HTTP/2 too while no connection is open, as for a new pod or a new client proxy; trips (503, UO) when more wait. More than http2MaxRequests would be of no use",
		rate(p.perClient), timeWords(wait), p.perClient*wait, largest(constraints))
	p.Details[field] = x.basis(constraints, "slower handshakes, as of a busy server", "more clients' requests at once than a Poisson process sends: a burst of a batch job needs its own size")
}
