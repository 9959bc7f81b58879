package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// routeRules are about VirtualServices.
func routeRules() []Rule {
	return []Rule{
		{
			Code: "SP040", Name: "retries-do-not-fit", Severity: Warning, Title: "Retries that the timeout cuts off",
			Why:   "A route's timeout holds for all tries together. When perTryTimeout times the tries is more, the last ones never happen or are cut off; when it is not below the timeout at all, a try that hangs leaves no time for any other.",
			check: cutRetries,
		},
		{
			Code: "SP041", Name: "subset-missing", Severity: Error, Title: "A route to a subset that does not exist",
			Why:   "The cluster does not exist then, and every request of the route gets 503 with the flag NC.",
			check: missingSubsets,
		},
		{
			Code: "SP044", Name: "fault-injected", Severity: Warning, Title: "A route that injects faults",
			Why:   "Delays and aborts belong where they are tried out. In production they are found last, because nothing is broken: the flags of the log are FI and DI.",
			Fix:   "http:\n- route: # without fault\n  - destination:\n      host: reviews\n",
			check: injectedFaults,
		},
	}
}

// route is one HTTP route of a VirtualService.
type route struct {
	object mesh.Object
	field  mesh.Field
}

func routesOf(services []mesh.Object) []route {
	var all []route
	for _, o := range services {
		for _, item := range spec(o, "http").Items() {
			all = append(all, route{o, item})
		}
	}
	return all
}

func (in *inspection) routesTo(host, namespace string) []route {
	return slices.DeleteFunc(slices.Clone(in.routed[hostKey(host)]), func(r route) bool { return !r.leadsTo(host, namespace) })
}

// leadsTo reports whether a destination of the route is the host.
func (r route) leadsTo(host, namespace string) bool {
	return slices.ContainsFunc(r.field.Get("route").Items(), func(item mesh.Field) bool {
		return sameHost(item.Get("destination", "host").Text(), r.object.Namespace, host, namespace)
	})
}

func cutRetries(in *inspection) []hit {
	var hits []hit
	for _, r := range in.http {
		timeout, limited := r.field.Get("timeout").Duration()
		attempts, retried := positive(r.field.Get("retries", "attempts"))
		field := r.field.Get("retries", "perTryTimeout")
		try, bounded := field.Duration()
		if !limited || timeout <= 0 || !retried {
			continue
		}
		need := time.Duration(attempts+1) * try
		switch {
		case !bounded:
			at := r.field.Get("retries")
			hits = append(hits, hit{object: r.object, at: at, severity: Info, message: fmt.Sprintf("without perTryTimeout a try that hangs uses the timeout of %s up, and none of the %d retries happens", timeout, attempts), fix: fitting(timeout, attempts)})
		case try >= timeout:
			hits = append(hits, hit{object: r.object, at: field, message: fmt.Sprintf("one try may take %s, and all of them together %s: none is ever repeated after a timeout", try, timeout), fix: fitting(timeout, attempts)})
		case need > timeout:
			hits = append(hits, hit{object: r.object, at: field, message: fmt.Sprintf("%d tries of %s need %s, and the timeout is %s", attempts+1, try, need, timeout), fix: fitting(timeout, attempts)})
		}
	}
	return hits
}

// fitting writes tries that fit into the timeout.
func fitting(timeout time.Duration, attempts int64) string {
	try := timeout / time.Duration(attempts+1)
	if try > time.Second {
		try = try.Truncate(100 * time.Millisecond)
	} else {
		try = try.Truncate(time.Millisecond)
	}
	return fmt.Sprintf("timeout: %s\nretries:\n  attempts: %d\n  perTryTimeout: %s\n", timeout, attempts, try)
}

func missingSubsets(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("VirtualService") {
		for _, protocol := range []string{"http", "tls", "tcp"} {
			for _, item := range spec(o, protocol).Items() {
				for _, destination := range destinations(item) {
					if h, found := in.missingSubset(o, destination); found {
						hits = append(hits, h)
					}
				}
			}
		}
	}
	return hits
}

// destinations returns where a route sends requests, copies of them included.
func destinations(item mesh.Field) []mesh.Field {
	all := []mesh.Field{item.Get("mirror")}
	for _, target := range append(item.Get("route").Items(), item.Get("mirrors").Items()...) {
		all = append(all, target.Get("destination"))
	}
	return all
}

func (in *inspection) missingSubset(o mesh.Object, destination mesh.Field) (hit, bool) {
	subset, host := destination.Get("subset"), destination.Get("host").Text()
	if subset.Text() == "" {
		return hit{}, false
	}
	rules := in.rulesFor(host, o.Namespace)
	var names []string
	for _, rule := range rules {
		for _, item := range spec(rule, "subsets").Items() {
			names = append(names, item.Get("name").Text())
		}
	}
	if len(rules) == 0 || slices.Contains(names, subset.Text()) {
		return hit{}, false
	}
	known := "has no subsets"
	if len(names) > 0 {
		known = "has " + strings.Join(names, ", ")
	}
	return hit{
		object: o, at: subset, message: fmt.Sprintf("%s of %s does not exist: %s (%s:%d) %s", subset.Text(), host, nameOf(rules[0]), rules[0].File, rules[0].Line, known),
		fix: fmt.Sprintf("# in %s\nsubsets:\n- name: %s\n  labels:\n    version: %s\n", nameOf(rules[0]), subset.Text(), subset.Text()),
	}, true
}

func injectedFaults(in *inspection) []hit {
	var hits []hit
	for _, r := range in.http {
		if fault := r.field.Get("fault"); fault.Exists() {
			hits = append(hits, hit{object: r.object, at: fault, message: "the route delays or aborts requests on purpose"})
		}
	}
	return hits
}
