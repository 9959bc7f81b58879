package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// limitRules are about the connection pools of DestinationRules.
func limitRules() []Rule {
	return []Rule{
		{
			Code: "SP010", Name: "zero-is-no-limit", Severity: Warning, Title: "A limit of 0, which is no limit",
			Why:   "Istio applies the numbers of a connection pool only when they are above 0. A 0 that was meant to allow nothing therefore allows everything, and maxEjectionPercent 0 means the default of 10.",
			Fix:   "http:\n  http2MaxRequests: 1000 # or remove the line: then it is plain to see that there is no limit\n",
			check: zeroLimits,
		},
		{
			Code: "SP016", Name: "queue-without-end", Severity: Warning, Title: "A limit on connections, and none on what waits for one",
			Why:     "maxConnections rejects nothing by itself: a request that finds no connection waits. Without http1MaxPendingRequests, which holds for HTTP/2 too, any number may wait, so an overload shows as latency and memory instead of quick errors.",
			Fix:     "connectionPool:\n  tcp:\n    maxConnections: 100\n  http:\n    http1MaxPendingRequests: 100\n",
			Caution: []string{"A small number sheds bursts on a cold pool; see SP017. `sailplan breaker` tries the number on a real Envoy."},
			check:   endlessQueues,
		},
		{
			Code: "SP017", Name: "queue-below-burst", Severity: Warning, Title: "So few may wait that a cold pool sheds",
			Why:   "http1MaxPendingRequests holds for HTTP/2 too, and counts what waits for the first connection. A burst on a pool without connections, as after a start, an idle timeout or a new replica, is shed beyond this number although the service has nothing to do.",
			Fix:   "http:\n  http1MaxPendingRequests: 100 # at least the burst that may meet a cold pool\n",
			check: shortQueues,
		},
		{
			Code: "SP018", Name: "limit-below-load", Severity: Error, Title: "A limit below what was measured in flight",
			Why:   "The pool's limits hold for each client's Envoy, and again for each pod of the service. Where they are below what is in flight at the measured load, the breaker trips in normal operation. Needs a run directory.",
			Fix:   "http:\n  http2MaxRequests: 1000 # above the peak in flight of one gateway, with room for a burst\n",
			check: limitsBelowLoad,
		},
		{
			Code: "SP019", Name: "connections-used-up", Severity: Warning, Title: "Connections that are closed after a few requests",
			Why:   "Envoy closes connections in good order, so a small maxRequestsPerConnection costs no errors; but it costs a TCP and a TLS handshake for every few requests. With 1 per connection, the throughput of an HTTP/2 gateway was seen to be cut in half.",
			Fix:   "http:\n  maxRequestsPerConnection: 1000 # or leave it out\n",
			check: usedUpConnections,
		},
		{
			Code: "SP021", Name: "retries-without-limit", Severity: Warning, Title: "Retries that nothing bounds",
			Why:     "Without maxRetries or a retry budget, Istio allows 2^32-1 retries at once. When a service slows down, each request becomes several, and it does not come back even after the load has gone.",
			Fix:     "trafficPolicy:\n  retryBudget:\n    percent: 20\n    minRetryConcurrency: 3\n",
			Caution: []string{"Beyond the budget, callers see the errors that retries hid before."},
			check:   unboundedRetries,
		},
		{
			Code: "SP024", Name: "connections-are-not-requests", Severity: Info, Title: "A limit on connections that is another limit than it seems",
			Why:   "In HTTP/1.1 a connection carries one request at a time, so maxConnections is the number of requests in flight, and http2MaxRequests above it is never reached. In HTTP/2 one connection carries any number, so maxConnections limits next to nothing, and http2MaxRequests is what does.",
			Fix:   "connectionPool:\n  tcp:\n    maxConnections: 1000\n  http:\n    http2MaxRequests: 1000 # the limit on requests, of HTTP/1.1 too\n",
			check: connectionsForRequests,
		},
		{
			Code: "SP023", Name: "port-settings-inherit-nothing", Severity: Warning, Title: "Settings for a port that drop the others",
			Why:   "portLevelSettings replace the whole policy for their port. What they leave out is not taken from the policy around them but from Istio's defaults, so a port with only a load balancer has neither limits nor outlier detection.",
			check: droppedByPorts,
		},
		{
			Code: "SP033", Name: "two-rules-for-a-host", Severity: Warning, Title: "Several DestinationRules for one host",
			Why:   "Istio merges them: the subsets of all, and the traffic policy of the oldest that has one. Which is the oldest, files in version control do not say, and a cluster that is built anew may decide differently.",
			check: doubleRules,
		},
	}
}

func poolLimits(s settings) []mesh.Field {
	http := s.http
	fields := []mesh.Field{s.tcp.Get("maxConnections")}
	for _, key := range []string{"http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries", "maxConcurrentStreams"} {
		fields = append(fields, http.Get(key))
	}
	return append(fields, s.out.Get("maxEjectionPercent"))
}

func zeroLimits(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		for _, f := range poolLimits(s) {
			if n, ok := f.Number(); ok && n == 0 {
				text, fix := "0 means that there is no limit", ""
				if f.Key() == "maxEjectionPercent" {
					text = "0 means the default of 10 %, not that nothing is ejected"
					fix = "outlierDetection:\n  maxEjectionPercent: 10 # what 0 means; without the block, nothing is ejected\n"
				}
				hits = append(hits, hit{object: s.rule, at: f, message: f.Key() + ": " + text, fix: fix})
			}
		}
	}
	return hits
}

// positive returns a number above 0.
func positive(f mesh.Field) (int64, bool) {
	n, ok := f.Number()
	return n, ok && n > 0
}

func endlessQueues(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		n, limited := positive(s.tcp.Get("maxConnections"))
		if _, bounded := positive(s.http.Get("http1MaxPendingRequests")); !limited || bounded || !s.http.Exists() && in.isTCP(s) {
			continue
		}
		hits = append(hits, hit{object: s.rule, at: s.tcp.Get("maxConnections"), message: fmt.Sprintf("beyond %d connections requests wait, and no http1MaxPendingRequests says how many may", n)})
	}
	return hits
}

// isTCP reports whether all ports of the service are known to speak no HTTP.
func (in *inspection) isTCP(s settings) bool {
	protocols := in.protocols(s)
	for _, p := range protocols {
		if isHTTP(p) || p == "" {
			return false
		}
	}
	return len(protocols) > 0
}

func connectionsForRequests(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		field := s.tcp.Get("maxConnections")
		connections, limited := positive(field)
		requests, bounded := positive(s.http.Get("http2MaxRequests"))
		protocols := in.protocols(s)
		if !limited || len(protocols) == 0 {
			continue
		}
		upgraded := s.http.Get("h2UpgradePolicy").Text() == "UPGRADE"
		all := func(is func(string) bool) bool {
			return !slices.ContainsFunc(protocols, func(p string) bool { return !is(p) })
		}
		switch {
		case all(func(p string) bool { return p == "http" }) && !upgraded && bounded && connections < requests:
			hits = append(hits, hit{object: s.rule, at: field, message: fmt.Sprintf("HTTP/1.1 carries one request on a connection, so no more than %d are in flight, whatever http2MaxRequests: %d says; the others wait", connections, requests)})
		case (all(isHTTP2) || upgraded && all(isHTTP)) && !bounded:
			hits = append(hits, hit{object: s.rule, at: field, severity: Warning, message: fmt.Sprintf("HTTP/2 carries any number of requests on a connection, so %d connections limit nothing, and there is no http2MaxRequests", connections)})
		}
	}
	return hits
}

func shortQueues(in *inspection) []hit {
	var hits []hit
	const few, share = 16, 20
	for _, s := range in.policies() {
		field := s.http.Get("http1MaxPendingRequests")
		n, ok := positive(field)
		requests, limited := positive(s.http.Get("http2MaxRequests"))
		switch {
		case !ok:
		case n < few:
			hits = append(hits, hit{object: s.rule, at: field, message: fmt.Sprintf("on a cold pool, what comes beyond %s at once is shed", many(n, "request"))})
		case limited && n*share < requests:
			hits = append(hits, hit{object: s.rule, at: field, message: fmt.Sprintf("%d requests may be in flight, and on a cold pool a burst of more than %d is shed", requests, n)})
		}
	}
	return hits
}

func usedUpConnections(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		field := s.http.Get("maxRequestsPerConnection")
		if n, ok := positive(field); ok && n <= 10 {
			hits = append(hits, hit{object: s.rule, at: field, message: fmt.Sprintf("a new connection, with its handshakes, for every %s", plural(n, "request"))})
		}
	}
	return hits
}

func many(n int64, what string) string {
	if n == 1 {
		return "one " + what
	}
	return plural(n, what)
}

func plural(n int64, what string) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func unboundedRetries(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		pool := s.http
		if _, bounded := positive(pool.Get("maxRetries")); bounded || s.block.Get("retryBudget").Exists() || s.above.Get("retryBudget").Exists() || spec(s.rule, "trafficPolicy", "retryBudget").Exists() {
			continue
		}
		if s.port != "" && !pool.Exists() {
			continue // SP023 says what such a block loses
		}
		h, found := in.retriesOf(s)
		if !found {
			continue
		}
		h.at = s.block
		if pool.Exists() {
			h.at = pool
		}
		hits = append(hits, h)
	}
	return hits
}

// retriesOf tells of the retries of requests to a host: those of a route, or what
// Istio does where no route says anything.
func (in *inspection) retriesOf(s settings) (hit, bool) {
	routes := in.routesTo(s.host(), s.rule.Namespace)
	silent := 0
	for _, route := range routes {
		attempts := route.field.Get("retries", "attempts")
		if n, ok := positive(attempts); ok {
			return hit{object: s.rule, message: fmt.Sprintf("%s retries %d times (%s), and neither maxRetries nor retryBudget bounds how many do so at once", nameOf(route.object), n, place(attempts))}, true
		}
		if !attempts.Exists() {
			silent++
		}
	}
	if s.http.Exists() && s.labels.Key() == "" && (len(routes) == 0 || silent > 0) {
		return hit{object: s.rule, severity: Info, message: "Istio retries twice by itself where no route says otherwise, and neither maxRetries nor retryBudget bounds how many do so at once"}, true
	}
	return hit{}, false
}

func droppedByPorts(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		if s.port == "" {
			continue
		}
		for _, key := range []string{"connectionPool", "outlierDetection"} {
			around := s.above.Get(key)
			if !around.Exists() || s.block.Get(key).Exists() {
				continue
			}
			hits = append(hits, hit{
				object: s.rule, at: s.block, message: fmt.Sprintf("port %s has no %s: what stands at line %d does not hold for it", s.port, key, around.Line()),
				fix: fmt.Sprintf("portLevelSettings:\n- port:\n    number: %s\n  %s: # as at line %d\n%s", s.port, key, around.Line(), indented(around.YAML(), "    ")),
			})
		}
	}
	return hits
}

// indented puts a text to the right.
func indented(text, by string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return by + strings.Join(lines, "\n"+by) + "\n"
}

func doubleRules(in *inspection) []hit {
	type key struct{ name, namespace string }
	first := map[key]mesh.Object{}
	var hits []hit
	for _, rule := range in.of(mesh.KindDestinationRule) {
		host := spec(rule, "host")
		if spec(rule, "workloadSelector").Exists() || host.Text() == "" {
			continue
		}
		k := key{host.Text(), rule.Namespace}
		if name, within, ok := hostName(host.Text(), rule.Namespace); ok {
			k = key{name + "." + within, rule.Namespace}
		}
		before, twice := first[k]
		if !twice {
			first[k] = rule
			continue
		}
		// A copy of the same object in another folder is another environment.
		if before.Name == rule.Name && before.File != rule.File {
			continue
		}
		older, known := before.Before(rule)
		if known && !older {
			first[k], before, rule = rule, rule, before
			host = spec(rule, "host")
		}
		message := fmt.Sprintf("%s is about this host too (%s:%d)", nameOf(before), before.File, before.Line)
		if known {
			message += " and was created first: its traffic policy holds"
		}
		hits = append(hits, hit{object: rule, at: host, message: message})
	}
	return hits
}
