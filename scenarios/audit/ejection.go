package audit

import (
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// carryThePeak goes with every fix that lets more endpoints be ejected.
const carryThePeak = "Only where the endpoints that stay carry the peak: with 50 % of 4 endpoints out, each of the other 2 gets twice its load. `sailplan size` says how much one carries."

const switchesLocality = "Outlier detection also switches on failover between localities: endpoints of another zone get traffic when those of the own zone are ejected."

// ejectionRules are about outlier detection.
func ejectionRules() []Rule {
	return []Rule{
		{
			Code: "SP011", Name: "never-ejects", Severity: Warning, Title: "Outlier detection that ejects nobody",
			Why:     "An endpoint is ejected only when, with it, no more than maxEjectionPercent of the endpoints are out. The default is 10 %, so with fewer than ten endpoints a broken one keeps getting traffic for ever. Envoy counts each attempt in outlier_detection.ejections_overflow.",
			Fix:     "outlierDetection:\n  maxEjectionPercent: 50\n",
			Caution: []string{carryThePeak, switchesLocality},
			check:   neverEjects,
		},
		{
			Code: "SP012", Name: "ejects-the-only-endpoint", Severity: Error, Title: "Outlier detection that takes the only endpoint out",
			Why:     "With one endpoint and 100 %, a few errors in a row eject it, and every request gets 503 until the ejection ends: a partial failure becomes a complete one. Istio switches Envoy's panic mode, which would send traffic all the same, off.",
			Fix:     "outlierDetection:\n  minHealthPercent: 50 # when fewer are left, traffic goes to all endpoints, ejected ones too\n",
			Caution: []string{"A second replica is the real remedy; with one, outlier detection cannot help."},
			check:   ejectsTheOnlyOne,
		},
		{
			Code: "SP013", Name: "may-eject-all", Severity: Warning, Title: "Outlier detection that may take all endpoints out",
			Why:     "With maxEjectionPercent 100 and no minHealthPercent, an error that all endpoints have in common, such as a broken dependency, ejects all of them: every request then gets 503 at once, also those that would have been answered.",
			Fix:     "outlierDetection:\n  maxEjectionPercent: 50\n  minHealthPercent: 30\n",
			Caution: []string{carryThePeak, switchesLocality},
			check:   mayEjectAll,
		},
		{
			Code: "SP014", Name: "ejection-longer-than-said", Severity: Warning, Title: "Ejections that last longer than baseEjectionTime",
			Why:   "An ejected endpoint comes back only at the end of an interval. With an interval above baseEjectionTime, it is out for the interval, and again for a multiple each time.",
			Fix:   "outlierDetection:\n  interval: 10s\n  baseEjectionTime: 30s\n",
			check: slowReturns,
		},
		{
			Code: "SP020", Name: "gateway-errors-without-effect", Severity: Warning, Title: "A count of gateway errors that is never reached",
			Why:   "Gateway errors (502, 503, 504) are 5xx errors too. When consecutiveGatewayErrors is not below consecutive5xxErrors, which is 5 unless set, the other count ejects first.",
			Fix:   "outlierDetection:\n  consecutiveGatewayErrors: 3\n  consecutive5xxErrors: 10\n",
			check: idleGatewayErrors,
		},
		{
			Code: "SP022", Name: "locality-failover-on", Severity: Info, Title: "Outlier detection switches on failover between localities",
			Why:     "Istio prefers endpoints of the client's own zone as soon as a destination has outlier detection, because locality load balancing is enabled by default. Zones with few clients then have idle replicas, and a zone that fails sends all of its load to the next.",
			Fix:     "trafficPolicy:\n  loadBalancer:\n    localityLbSetting:\n      enabled: true # or false; either way it is said\n",
			Caution: []string{"true is what holds now. With false, requests go to all zones evenly: each pays the way between zones, and latency grows by it."},
			check:   silentFailover,
		},
		{
			Code: "SP034", Name: "field-without-effect", Severity: Warning, Title: "A field that Istio no longer looks at",
			Why:   "consecutiveErrors was replaced by consecutive5xxErrors and consecutiveGatewayErrors. It is accepted and ignored, so the default of 5 holds.",
			Fix:   "outlierDetection:\n  consecutive5xxErrors: 5\n",
			check: deprecatedErrors,
		},
	}
}

// ejectable returns the share of endpoints that may be ejected, and where it is said.
func ejectable(outlier mesh.Field) (percent int64, at mesh.Field) {
	field := outlier.Get("maxEjectionPercent")
	if n, ok := positive(field); ok {
		return n, field
	}
	const byDefault = 10
	if field.Exists() {
		return byDefault, field
	}
	return byDefault, outlier
}

// outliers calls found for every outlier detection.
func (in *inspection) outliers(found func(settings, mesh.Field)) {
	for _, s := range in.policies() {
		if s.out.Exists() {
			found(s, s.out)
		}
	}
}

func neverEjects(in *inspection) []hit {
	var hits []hit
	in.outliers(func(s settings, outlier mesh.Field) {
		percent, at := ejectable(outlier)
		needed := int64(math.Ceil(100 / float64(percent)))
		said := fmt.Sprintf("maxEjectionPercent is %d", percent)
		if !outlier.Get("maxEjectionPercent").Exists() {
			said = "maxEjectionPercent is not set, which means 10"
		}
		n := in.endpointsOf(s.host(), s.rule.Namespace, s.labels)
		const rare = 5 // from so many endpoints on, a share is no surprise
		switch {
		case n.known && n.count > 1 && n.count*percent < 100:
			fix := fmt.Sprintf("outlierDetection:\n  maxEjectionPercent: %d # one of %d\n", int64(math.Ceil(100/float64(n.count))), n.count)
			hits = append(hits, hit{object: s.rule, at: at, severity: Error, fix: fix, message: fmt.Sprintf("%s: of %d endpoints none is ever ejected, that takes %d%s", said, n.count, needed, n.source())})
		case !n.known && needed > rare:
			hits = append(hits, hit{object: s.rule, at: at, message: fmt.Sprintf("%s: with fewer than %d endpoints none is ever ejected", said, needed)})
		}
	})
	return hits
}

func panics(outlier mesh.Field) bool {
	_, on := positive(outlier.Get("minHealthPercent"))
	return on
}

func ejectsTheOnlyOne(in *inspection) []hit {
	var hits []hit
	in.outliers(func(s settings, outlier mesh.Field) {
		percent, at := ejectable(outlier)
		n := in.endpointsOf(s.host(), s.rule.Namespace, s.labels)
		if n.known && n.count == 1 && percent == 100 && !panics(outlier) {
			hits = append(hits, hit{object: s.rule, at: at, message: fmt.Sprintf("the only endpoint may be ejected, and then every request gets 503%s", n.source())})
		}
	})
	return hits
}

func mayEjectAll(in *inspection) []hit {
	var hits []hit
	in.outliers(func(s settings, outlier mesh.Field) {
		percent, at := ejectable(outlier)
		n := in.endpointsOf(s.host(), s.rule.Namespace, s.labels)
		if percent == 100 && !panics(outlier) && (!n.known || n.count > 1) {
			hits = append(hits, hit{object: s.rule, at: at, message: "all endpoints may be ejected at once, and then every request gets 503"})
		}
	})
	return hits
}

func slowReturns(in *inspection) []hit {
	var hits []hit
	in.outliers(func(s settings, outlier mesh.Field) {
		interval, base := 10*time.Second, 30*time.Second
		at := outlier
		if d, ok := outlier.Get("baseEjectionTime").Duration(); ok {
			base, at = d, outlier.Get("baseEjectionTime")
		}
		if d, ok := outlier.Get("interval").Duration(); ok {
			interval, at = d, outlier.Get("interval")
		}
		if interval > base {
			hits = append(hits, hit{object: s.rule, at: at, message: fmt.Sprintf("the interval of %s is longer than the ejection of %s: an endpoint is out for up to %s", interval, base, interval)})
		}
	})
	return hits
}

func idleGatewayErrors(in *inspection) []hit {
	var hits []hit
	in.outliers(func(s settings, outlier mesh.Field) {
		field := outlier.Get("consecutiveGatewayErrors")
		n, ok := positive(field)
		all := int64(5)
		if set, isSet := outlier.Get("consecutive5xxErrors").Number(); isSet {
			all = set
		}
		if ok && all > 0 && n >= all {
			hits = append(hits, hit{object: s.rule, at: field, message: fmt.Sprintf("never reached: %d errors of any 5xx eject before %d gateway errors do", all, n)})
		}
	})
	return hits
}

// silentFailover tells it once, however many rules there are.
func silentFailover(in *inspection) []hit {
	for _, config := range in.meshConfigs() {
		if config.field.Get("localityLbSetting").Exists() {
			return nil
		}
	}
	var hits []hit
	hosts := 0
	in.outliers(func(s settings, outlier mesh.Field) {
		if s.block.Get("loadBalancer", "localityLbSetting").Exists() || s.above.Get("loadBalancer", "localityLbSetting").Exists() {
			return
		}
		if hosts++; hosts == 1 {
			hits = append(hits, hit{object: s.rule, at: outlier})
		}
	})
	if hosts > 0 {
		hits[0].message = "this destination prefers endpoints of the client's zone, and no localityLbSetting says that it should"
		if hosts > 1 {
			hits[0].message = fmt.Sprintf("this destination and %d more prefer endpoints of the client's zone, and no localityLbSetting says that they should", hosts-1)
		}
	}
	return hits
}

func deprecatedErrors(in *inspection) []hit {
	var hits []hit
	in.outliers(func(s settings, outlier mesh.Field) {
		if field := outlier.Get("consecutiveErrors"); field.Exists() {
			hits = append(hits, hit{object: s.rule, at: field, message: "consecutiveErrors is ignored; consecutive5xxErrors took its place"})
		}
	})
	return hits
}
