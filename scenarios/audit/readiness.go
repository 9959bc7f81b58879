package audit

import (
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// scalePractices are about gateways and control plane as workloads.
func scalePractices() []practice {
	noComponents := "neither istiod nor a gateway is in the files, as a Deployment, IstioOperator or values"
	return []practice{
		{"gateways and control plane have resources", func(in *inspection) answer {
			a := answer{met: "requests of CPU and memory, and a limit of memory, are set", notMet: "the charts' defaults, made for a trial, hold", unknown: noComponents}
			for _, c := range in.parts {
				var missing []string
				for _, keys := range [][]string{{"requests", "cpu"}, {"requests", "memory"}, {"limits", "memory"}} {
					if !c.resources.Get(keys...).Exists() {
						missing = append(missing, strings.Join(keys, "."))
					}
				}
				if len(missing) > 0 {
					a.against = append(a.against, evidence(first(c.resources, c.at), "%s: no %s", c.name, strings.Join(missing, ", ")))
				} else {
					a.with = append(a.with, evidence(c.resources, "%s", c.name))
				}
			}
			return a
		}},
		{"gateways and control plane scale by themselves", func(in *inspection) answer {
			a := answer{met: "each has an autoscaler with a minimum below its maximum", notMet: "a fixed number of pods, or an autoscaler that does not work", unknown: noComponents}
			a.against = in.ofRules("SP071", "SP072")
			for _, c := range in.parts {
				if c.on {
					a.with = append(a.with, evidence(first(c.least, c.at), "%s has an autoscaler", c.name))
				} else {
					a.against = append(a.against, evidence(c.at, "%s has none", c.name))
				}
			}
			return a
		}},
		{"gateways and control plane survive the loss of a pod", func(in *inspection) answer {
			a := answer{met: "each keeps two pods or more", notMet: "a single pod is allowed", unknown: noComponents}
			for _, c := range in.parts {
				n, at, known := c.fewest()
				switch {
				case !known:
					a.against = append(a.against, evidence(c.at, "%s: no minimum is set, which means 1", c.name))
				case n < 2:
					a.against = append(a.against, evidence(at, "%s: %d", c.name, n))
				default:
					a.with = append(a.with, evidence(at, "%s: %d", c.name, n))
				}
			}
			return a
		}},
		{"gateways and control plane have a disruption budget", func(in *inspection) answer {
			a := answer{met: "a drain takes one pod at a time", notMet: "no budget, or one that stops every drain", unknown: noComponents}
			a.against = in.ofRules("SP074")
			for _, c := range in.parts {
				switch {
				case c.budget.Exists():
					a.with = append(a.with, evidence(c.budget, "%s", c.name))
				case c.name == "istiod" && c.object.Kind != "Deployment":
					a.with = append(a.with, evidence(c.at, "istiod: the chart brings one along"))
				case c.object.Kind == "IstioOperator":
					a.with = append(a.with, evidence(c.at, "%s: the chart of istioctl brings one along", c.name))
				default:
					a.against = append(a.against, evidence(c.at, "%s has none", c.name))
				}
			}
			return a
		}},
		{"gateways and control plane are spread over nodes and zones", func(in *inspection) answer {
			a := answer{met: "topologySpreadConstraints or anti-affinity keep the pods apart", notMet: "all pods may lie on one node", unknown: noComponents}
			for _, c := range in.parts {
				if c.spread {
					a.with = append(a.with, evidence(c.at, "%s", c.name))
				} else {
					a.against = append(a.against, evidence(c.at, "%s: nothing keeps its pods apart", c.name))
				}
			}
			return a
		}},
	}
}

// conductPractices are about routes, telemetry and how changes are made.
func conductPractices() []practice {
	return []practice{
		{"routes have timeouts, and retries that fit", func(in *inspection) answer {
			a := answer{met: "every HTTP route of the files has a timeout, and its retries fit into it", notMet: "routes that wait for ever, or retries that never happen", unknown: "no VirtualService with HTTP routes is in the files"}
			for _, r := range in.http {
				timeout := r.field.Get("timeout")
				d, ok := timeout.Duration()
				switch {
				case r.field.Get("redirect").Exists() || r.field.Get("directResponse").Exists() || r.field.Get("delegate").Exists():
				case ok && d > 0:
					a.with = append(a.with, evidence(timeout, "%s", d))
				default:
					a.against = append(a.against, evidence(r.field, "%s: no timeout", nameOf(r.object)))
				}
			}
			a.against = append(a.against, in.ofRules("SP032", "SP040")...)
			return a
		}},
		{"metrics, logs and traces are collected", func(in *inspection) answer {
			a := answer{met: "metrics, logs or traces are configured for the mesh", unknown: "neither a Telemetry, a monitor of Prometheus nor a mesh configuration is in the files; Istio's standard metrics are on by default"}
			for _, o := range in.of("Telemetry", "ServiceMonitor", "PodMonitor") {
				a.with = append(a.with, evidence(o.Root(), "%s", nameOf(o)))
			}
			for _, config := range in.meshConfigs() {
				for _, key := range []string{"accessLogFile", "enableTracing", "extensionProviders", "enablePrometheusMerge"} {
					if f := config.field.Get(key); f.Exists() {
						a.with = append(a.with, evidence(f, "%s", key))
					}
				}
			}
			return a
		}},
		{"alerts watch errors, latency and endpoints", func(in *inspection) answer {
			return in.alertsOn("errors, latencies or ejected endpoints", "istio_requests_total", "istio_request_duration", "upstream_rq_time", "upstream_rq_xx", "membership_healthy", "outlier_detection")
		}},
		{"alerts watch the control plane", func(in *inspection) answer {
			return in.alertsOn("istiod", "pilot_", "citadel_", "istiod", "discovery")
		}},
		{"alerts watch how full proxies and connection pools are", func(in *inspection) answer {
			return in.alertsOn("CPU and memory of proxies, pools, queues or what is shed", "istio-proxy", "circuit_breakers", "_overflow", "upstream_rq_pending", "upstream_rq_active", "upstream_cx_active", `response_flags=~"UO`, `response_flags="UO`)
		}},
		{"comments say what is meant", func(in *inspection) answer {
			a := answer{met: "each routing and security object has a comment or a description", notMet: "objects whose intent is not written down", unknown: "no routing or security objects are in the files"}
			for _, o := range in.of("VirtualService", mesh.KindDestinationRule, "AuthorizationPolicy", "PeerAuthentication", "Gateway", "ServiceEntry", "EnvoyFilter") {
				if in.commented(o) {
					a.with = append(a.with, evidence(o.Root(), "%s", nameOf(o)))
				} else {
					a.against = append(a.against, evidence(o.Root(), "%s", nameOf(o)))
				}
			}
			return a
		}},
		{"releases can be tried on a part of the traffic", func(in *inspection) answer {
			a := answer{met: "routes split traffic between versions", unknown: "no VirtualService with weights or with subsets beside each other is in the files; a tool such as Argo Rollouts or Flagger may write them"}
			for _, r := range in.http {
				if len(r.field.Get("route").Items()) > 1 {
					a.with = append(a.with, evidence(r.field.Get("route"), "%s", nameOf(r.object)))
				}
			}
			return a
		}},
		{"the control plane can be upgraded beside the old one, and back", func(in *inspection) answer {
			a := answer{met: "the control plane is installed by revision", notMet: "the control plane is replaced in place: a new version meets all proxies at once", unknown: "the control plane's installation is not in the files"}
			for _, o := range in.of("IstioOperator") {
				if f := first(spec(o, "revision"), spec(o, "values", "revision")); f.Text() != "" {
					a.with = append(a.with, evidence(f, "revision %s", f.Text()))
				} else {
					a.against = append(a.against, evidence(spec(o), "no revision"))
				}
			}
			for _, o := range in.of(mesh.KindIstiodValues) {
				if f := o.Root().Get("revision"); f.Text() != "" {
					a.with = append(a.with, evidence(f, "revision %s", f.Text()))
				} else {
					a.against = append(a.against, evidence(o.Root(), "no revision"))
				}
			}
			return a
		}},
	}
}

// alertsOn looks for alerts whose query has one of the words.
func (in *inspection) alertsOn(what string, words ...string) answer {
	a := answer{met: "an alert is about " + what, notMet: "there are Prometheus rules, and no alert among them is about " + what, unknown: "no PrometheusRule is in the files"}
	for _, e := range in.expressions() {
		if e.alert && slices.ContainsFunc(words, func(word string) bool { return strings.Contains(e.text, word) }) {
			a.with = append(a.with, evidence(e.field, "an alert"))
		}
	}
	if rules := in.of("PrometheusRule"); len(a.with) == 0 && len(rules) > 0 {
		a.against = []Evidence{evidence(rules[0].Root(), "only recordings, or alerts on other things")}
	}
	return a
}

// commented reports whether an object has a comment, other than one that
// silences a finding, or an annotation that describes it.
func (in *inspection) commented(o mesh.Object) bool {
	annotations := o.Root().Get("metadata", "annotations")
	for _, key := range annotations.Keys() {
		if strings.HasSuffix(key, "description") {
			return true
		}
	}
	for line := in.headOf(o); line <= o.Root().LastLine(); line++ {
		text := strings.TrimSpace(in.line(o.File, line))
		_, comment, found := strings.Cut(" "+text, " #")
		if found && len(strings.Trim(comment, "# -=")) > 3 && !marker.MatchString(text) {
			return true
		}
	}
	return false
}

// headOf returns the first line of the comment above an object.
func (in *inspection) headOf(o mesh.Object) int {
	line := o.Root().Line()
	for line > 1 && strings.HasPrefix(strings.TrimSpace(in.line(o.File, line-1)), "#") {
		line--
	}
	return line
}

// line returns a line of a file, from 1.
func (in *inspection) line(file string, number int) string {
	lines := in.lines[file]
	if number < 1 || number > len(lines) {
		return ""
	}
	return lines[number-1]
}
