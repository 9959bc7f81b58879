package recommend

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

const (
	connectionLife     = 60.0 // seconds, at least
	leastPerConnection = 1000
	handshakeShare     = 0.01 // of the CPU of the requests, that handshakes may take
	// Many servers allow 100 streams on a connection or a few more (RFC 9113, section
	// 6.5.2, recommends 100 at the least).
	usualStreams = 100
	leastRetries = 3    // Envoy's default of the retry circuit breaker
	retryShare   = 0.20 // of the requests, Envoy's default of a retry budget
	// Some balancers forget a connection without a word when it is idle for four
	// minutes.
	idleOnTheWay = 180.0 // seconds
	leastIdle    = 60.0  // seconds
	idleSafety   = 0.8   // of the shortest idle time after which one was lost
	quietShare   = 0.01  // of the planned rate: what is left in quiet hours
)

// More constraints on a connection pool.
const (
	ByPodLoss   = "pod-loss"
	ByStorm     = "retry-storm"
	ByHandshake = "handshake-cost"
	ByLife      = "connection-life"
	ByPath      = "path"
	ByLostIdle  = "lost-idle"
	ByPauses    = "pauses"
)

func (p *pool) connections() {
	const field = "tcp.maxConnections"
	x, in := &sheet{}, p.in
	workers := max(in.ClientWorkers, 1)
	x.input("workers", float64(workers), "", "worker threads of a client proxy, each with connections of its own")
	x.input("mostPods", float64(in.MostPods), "", "pods that there may be, those of a rolling update too")
	need := x.step("HTTP/2 connections of a client proxy", "http2", "", "workers * mostPods", float64(workers*in.MostPods))
	words := fmt.Sprintf("%s × %d pods = %.0f HTTP/2 connections per client proxy", threads(workers), in.MostPods, need)
	constraints := []Constraint{{By: ByDraining, Value: 2 * need, Why: "one connection of a worker thread to each pod, twice, because old ones drain while new ones open"}}
	formula := "http2"
	if in.Connections > 0 && in.PodsMeasured > 0 {
		words += fmt.Sprintf("; measured: %.0f to %d pods", in.Connections, in.PodsMeasured)
		x.input("measured", in.Connections, "", "the most connections upstream of a client proxy")
		x.input("measuredPods", float64(in.PodsMeasured), "", "pods that they went to")
		seen := x.step("connections as measured, taken to all pods", "seen", "", "measured / measuredPods * mostPods", in.Connections/float64(in.PodsMeasured)*float64(in.MostPods))
		constraints = append(constraints, Constraint{By: ByMeasured, Value: 2 * seen, Why: "what was measured per pod, twice"})
		formula = "max(" + formula + ", seen)"
	}
	x.input("http2MaxRequests", float64(p.HTTP.HTTP2MaxRequests), "", "recommended")
	streams := x.step("connections, should the servers allow 100 streams on each", "streams", "", "ceil(http2MaxRequests / 100)", math.Ceil(float64(p.HTTP.HTTP2MaxRequests)/usualStreams))
	constraints = append(constraints, Constraint{By: ByStreams, Value: 2 * streams, Why: "100 streams on a connection, twice"})
	formula = "2 * max(" + formula + ", streams)"
	if in.Connections > 10 && in.InFlight > 10 && in.Connections > in.InFlight/2 {
		constraints = append(constraints, Constraint{By: ByHTTP1, Value: float64(p.HTTP.HTTP2MaxRequests), Why: "a connection for each request, as HTTP/1.1 has it"})
		formula = "max(" + formula + ", http2MaxRequests)"
		words += "; the connections carry about one request each, as HTTP/1.1 does"
	}
	constraints = append(constraints, Constraint{By: ByLeast, Value: leastConnections, Why: "the pods may become more, and a connection costs little"})
	p.TCP.MaxConnections = max(niceUp(largest(constraints)), leastConnections)
	x.step("maxConnections", "maxConnections", "", "nice(max(100, "+formula+"))", float64(p.TCP.MaxConnections))
	words += "; twice that, because old ones drain while new ones open"
	if p.TCP.MaxConnections == leastConnections {
		words += fmt.Sprintf("; %d at the least, because the pods may become more and a connection costs little", leastConnections)
	}
	p.Reasons[field] = words + "; beyond it requests queue, they do not fail"
	p.Details[field] = x.basis(constraints, "HTTP/1.1 towards the service, which takes a connection for each request in flight", "more pods, or more worker threads of the client proxies")
}

func (p *pool) timeout() {
	const field = "tcp.connectTimeout"
	x := &sheet{}
	least := x.input("least", leastConnectTimeout.Seconds(), "s", "room for one lost SYN, which is repeated after a second")
	constraints := []Constraint{{By: ByLostSYN, Value: least, Unit: "s", Why: "one lost SYN must not fail a connection"}}
	timeout, words := leastConnectTimeout, "no connect times were measured; 2 s leaves room for one lost SYN, repeated after 1 s"
	formula := "least"
	if p.in.ConnectSeconds > 0 {
		x.input("connect", p.in.ConnectSeconds, "s", "p99 of opening a connection, as measured")
		x.input("most", mostConnectTimeout.Seconds(), "s", "Istio's own default")
		constraints = append(constraints, Constraint{By: ByConnectTime, Value: 10 * p.in.ConnectSeconds, Unit: "s", Why: "ten times p99 of opening a connection"})
		formula = "min(most, max(least, floor(100 * connect + 0.5) / 10))"
		ten := math.Floor(100*p.in.ConnectSeconds+0.5) / 10
		timeout = time.Duration(math.Round(math.Min(mostConnectTimeout.Seconds(), math.Max(least, ten))*10)) * 100 * time.Millisecond
		words = fmt.Sprintf("connecting took %s (p99); ten times that, and 2 s at the least, so that one lost SYN, repeated after 1 s, does not fail a connection", timeWords(p.in.ConnectSeconds))
	}
	x.step("connectTimeout", "connectTimeout", "s", formula, timeout.Seconds())
	p.TCP.ConnectTimeout = timeout.String()
	p.Reasons[field] = words
	p.Details[field] = x.basis(constraints, "slower handshakes than were measured", "a route's timeout shorter than this, which ends the request first")
}

// retries bounds what a client proxy tries again at once.
func (p *pool) retries() {
	const field = "http.maxRetries"
	x := &sheet{}
	p.rates(x)
	x.input("pods", float64(p.in.Pods), "", "pods of the destination that carry the planned rate when others are lost")
	lost := x.step("requests in flight to one pod, p99.9, which are tried again when it is lost", "lost", "", "poisson(0.001, perClient / pods * tolerated)", inFlight(p.perClient/float64(p.in.Pods)*p.tolerated))
	x.input("http2MaxRequests", float64(p.HTTP.HTTP2MaxRequests), "", "recommended")
	x.input("least", leastRetries, "", "Envoy's own default")
	storm := x.step("a fifth of what may be in flight: more tries would make an overload worse", "storm", "", "floor(0.2 * http2MaxRequests)", math.Floor(retryShare*float64(p.HTTP.HTTP2MaxRequests)+1e-9))
	p.HTTP.MaxRetries = int(math.Max(leastRetries, math.Min(lost, storm)))
	x.step("maxRetries", "maxRetries", "", "max(least, min(lost, storm))", float64(p.HTTP.MaxRetries))
	constraints := []Constraint{
		{By: ByPodLoss, Value: lost, Why: "what is in flight to a pod that is lost"},
		{By: ByStorm, Value: storm, Why: "no more than a fifth of the requests, so that retries add a fifth of load at the most"},
		{By: ByLeast, Value: leastRetries, Why: "Envoy's own default"},
	}
	basis := x.basis(constraints, "trafficPolicy.retryBudget instead (20\u00a0% and three at the least), which follows the load; then leave maxRetries out", "fewer pods: a larger part of what is in flight is lost with one")
	basis.BoundBy, basis.RunnerUp = ByPodLoss, ByStorm
	words := fmt.Sprintf("%.0f requests are in flight to one pod at p99.9, and are tried again when it is lost", lost)
	switch {
	case lost > storm && storm >= leastRetries:
		basis.BoundBy, basis.RunnerUp = ByStorm, ByPodLoss
		words += fmt.Sprintf("; no more than %.0f, a fifth of http2MaxRequests, so that retries add a fifth of load at the most", storm)
	case math.Min(lost, storm) < leastRetries:
		basis.BoundBy, basis.RunnerUp = ByLeast, ByPodLoss
		words += "; three at the least, as Envoy has it"
	}
	p.Reasons[field] = words + "; Istio's default has no limit, and retries of an overload make it worse; beyond it the first answer counts (UO)"
	p.Details[field] = basis
}

// lifetime is how many requests a connection carries before it is replaced.
func (p *pool) lifetime() {
	const field = "http.maxRequestsPerConnection"
	x, in := &sheet{}, p.in
	x.input("perClient", p.perClient, "/s", "rate of the busiest client proxy")
	connections := math.Max(float64(max(in.ClientWorkers, 1)*in.MostPods), 1)
	x.input("connections", connections, "", "HTTP/2 connections of a client proxy")
	each := x.step("rate of a connection", "each", "/s", "perClient / connections", p.perClient/connections)
	life := x.step("requests of a connection that lives a minute", "life", "", "each * 60", each*connectionLife)
	constraints := []Constraint{
		{By: ByLife, Value: life, Why: "a connection lives for a minute at the least"},
		{By: ByLeast, Value: leastPerConnection, Why: "fewer would cost a handshake too often"},
	}
	formula, price := "nice(max(1000, life))", ""
	handshake := in.Handshake
	if handshake > 0 && in.CPUPerRequest > 0 {
		x.input("handshake", handshake, "s", "that opening a connection took: no more CPU than that")
		x.input("request", in.CPUPerRequest, "s", "CPU of client proxy and sidecar for a request")
		cost := x.step("requests over which a handshake costs a hundredth of their CPU", "cost", "", "handshake / (0.01 * request)", handshake/(handshakeShare*in.CPUPerRequest))
		constraints = append(constraints, Constraint{By: ByHandshake, Value: cost, Why: "handshakes cost no more than 1\u00a0% of the CPU of the requests"})
		formula = "nice(max(1000, life, cost))"
		if in.MadePerRequest > 0 {
			x.input("made", in.MadePerRequest, "", "connections opened for a request, as measured")
			share := x.step("share of the CPU of a request that handshakes took in the measurement, at the most", "measuredShare", "", "made * handshake / request", in.MadePerRequest*handshake/in.CPUPerRequest)
			if share <= 1 { // beyond it the bound says nothing
				price = fmt.Sprintf("; in the measurement a connection was opened every %.0f requests, at up to %s each: up to %s of what the requests cost", 1/in.MadePerRequest, timeWords(handshake), percent(share))
			}
		}
	}
	p.HTTP.MaxRequestsPerConnection = niceUp(largest(constraints))
	limit := x.step("maxRequestsPerConnection", "maxRequestsPerConnection", "", formula, float64(p.HTTP.MaxRequestsPerConnection))
	p.Reasons[field] = fmt.Sprintf(
		"a connection carries %s, and so lives %s or more: each new one costs a handshake. Envoy balances requests, not connections, so new pods get their share at once, and this only keeps connections from living for ever%s",
		rate(each), timeWords(math.Min(limit/math.Max(each, 1e-9), 86400)), price)
	p.Details[field] = x.basis(constraints, "something between the proxies that balances connections: then a new pod waits for old ones to end, and fewer requests on each are worth their handshakes", "mutual TLS with larger keys, which makes a handshake dearer")
}

// idle is how long a connection may be without a request.
func (p *pool) idle() {
	const field = "http.idleTimeout"
	x := &sheet{}
	x.input("perClient", p.perClient, "/s", "rate of the busiest client proxy")
	connections := math.Max(float64(max(p.in.ClientWorkers, 1)*p.in.MostPods), 1)
	x.input("connections", connections, "", "HTTP/2 connections of a client proxy")
	// An exponential pause exceeds 6.91 means in one of a thousand cases.
	pause := x.step("pause on a connection that one in a thousand exceeds, at a hundredth of the rate", "pause", "s", "6.9078 / (0.01 * perClient / connections)", 6.9078/(quietShare*p.perClient/connections))
	path := x.input("path", idleOnTheWay, "s", "shorter than the four minutes after which some balancers forget an idle connection")
	x.input("least", leastIdle, "s", "more often than once a minute is not worth a handshake")
	constraints := []Constraint{
		{By: ByPath, Value: path, Unit: "s", Why: "shorter than what is on the way keeps an idle connection"},
		{By: ByPauses, Value: math.Max(leastIdle, pause), Unit: "s", Why: "longer than the pauses of quiet hours, a minute at the least"},
	}
	formula, value := "min(path, max(least, pause))", math.Min(path, math.Max(leastIdle, pause))
	bound, next := ByPath, ByPauses
	if math.Max(leastIdle, pause) < path {
		bound, next = ByPauses, ByPath
	}
	words := fmt.Sprintf("in quiet hours, at a hundredth of the rate, one pause in a thousand on a connection is longer than %s", timeWords(pause))
	if bound == ByPath {
		words += fmt.Sprintf("; %s all the same, because balancers forget connections that are idle for longer without a word, and requests on them fail (503, UC)", timeWords(path))
	}
	if lost := p.in.LostIdleSeconds; lost > 0 {
		x.input("lost", lost, "s", "the shortest idle time after which a connection was lost without a word")
		constraints = append(constraints, Constraint{By: ByLostIdle, Value: idleSafety * lost, Unit: "s", Why: "a fifth shorter than what was lost without a word"})
		if idleSafety*lost < value {
			bound, next, value = ByLostIdle, bound, idleSafety*lost
		}
		formula = "min(" + formula + ", 0.8 * lost)"
		words += fmt.Sprintf("; a connection was lost without a word after %s idle, so it is closed a fifth before that", timeWords(lost))
	}
	value = x.step("idleTimeout, in whole seconds", "idleTimeout", "s", "max(1, floor("+formula+"))", math.Max(1, math.Floor(value)))
	p.HTTP.IdleTimeout = strconv.FormatFloat(value, 'f', 0, 64) + "s"
	basis := x.basis(constraints, "the idle timeout of the service itself: where that is shorter, as with many HTTP/1.1 servers, set this below it, or requests meet closed connections (503, UC)", "a network between the proxies that forgets connections sooner")
	basis.BoundBy, basis.RunnerUp = bound, next
	p.Reasons[field] = words + "; Istio's default is an hour"
	p.Details[field] = basis
}
