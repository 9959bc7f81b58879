package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Status says how the files stand to a practice.
type Status string

// The statuses.
const (
	Met         Status = "met"
	NotMet      Status = "not met"
	Undecidable Status = "not decidable"
)

// Evidence is a place in the files that a status rests on.
type Evidence struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// Practice is one line of the checklist of production readiness.
type Practice struct {
	Name     string     `json:"name"`
	Status   Status     `json:"status"`
	Why      string     `json:"why"` // why the status is what it is, in one sentence
	Evidence []Evidence `json:"evidence"`
}

// practice is how one is judged.
type practice struct {
	name string
	look func(*inspection) answer
}

// answer is what the files say: what speaks against the practice, what for it, and
// what to look for where neither is there.
type answer struct {
	against, with []Evidence
	unknown       string
	met, notMet   string
}

const mostEvidence = 5

func (p practice) judge(in *inspection) Practice {
	a := p.look(in)
	result := Practice{Name: p.name, Status: Undecidable, Why: a.unknown, Evidence: []Evidence{}}
	switch {
	case len(a.against) > 0:
		result.Status, result.Why, result.Evidence = NotMet, a.notMet, a.against
	case len(a.with) > 0:
		result.Status, result.Why, result.Evidence = Met, a.met, a.with
	}
	if more := len(result.Evidence) - mostEvidence; more > 0 {
		result.Evidence = slices.Clone(result.Evidence[:mostEvidence])
		result.Why += fmt.Sprintf(" (and %d more places)", more)
	}
	return result
}

// evidence makes evidence of a place.
func evidence(f mesh.Field, format string, args ...any) Evidence {
	return Evidence{f.File(), f.Line(), fmt.Sprintf(format, args...)}
}

// ofRules makes evidence of what rules find.
func (in *inspection) ofRules(codes ...string) []Evidence {
	var all []Evidence
	for _, rule := range Rules() {
		if !slices.Contains(codes, rule.Code) {
			continue
		}
		for _, h := range in.found[rule.Code] {
			file, line, _ := h.place()
			all = append(all, Evidence{file, line, rule.Code + " " + h.message})
		}
	}
	return all
}

// PracticeNames returns the lines of the checklist, in their order.
func PracticeNames() []string {
	var names []string
	for _, p := range practices() {
		names = append(names, p.name)
	}
	return names
}

func practices() []practice {
	return slices.Concat(trustPractices(), edgePractices(), scalePractices(), conductPractices(), operationPractices())
}

func trustPractices() []practice {
	return []practice{
		{"mTLS is strict in the whole mesh", func(in *inspection) answer {
			a := answer{met: "a PeerAuthentication of the root namespace is STRICT", notMet: "clear text is accepted", unknown: "no PeerAuthentication for the root namespace is in the files; without one the mesh is PERMISSIVE"}
			for _, o := range in.of("PeerAuthentication") {
				if o.Namespace == in.rootNamespace() && !spec(o, "selector").Exists() && spec(o, "mtls", "mode").Text() == "STRICT" {
					a.with = append(a.with, evidence(spec(o, "mtls", "mode"), "STRICT"))
				}
			}
			a.against = in.ofRules("SP050", "SP051")
			return a
		}},
		{"every workload has an authorization policy", func(in *inspection) answer {
			a := answer{met: "each workload in the files is selected by a policy, or its namespace or the mesh denies by default", notMet: "workloads that anybody with an identity may call", unknown: "no workloads with their policies are in the files"}
			for _, pod := range in.pods {
				if pod.isGateway() || !inMesh(pod.object) {
					continue
				}
				if policy, found := in.policyFor(pod); found {
					a.with = append(a.with, evidence(spec(policy), "%s is about %s", nameOf(policy), nameOf(pod.object)))
				} else {
					a.against = append(a.against, evidence(pod.object.Root(), "no policy is about %s", nameOf(pod.object)))
				}
			}
			if len(a.against) == 0 {
				a.against = in.ofRules("SP053")
			}
			return a
		}},
		{"certificates live short and their expiry is watched", func(in *inspection) answer {
			a := answer{met: "an alert looks at the expiry of certificates", notMet: "", unknown: "no alert on citadel_server_root_cert_expiry_timestamp, cert_expiry_seconds or the like is in the files; who issues the certificates is not in them either"}
			for _, e := range in.expressions() {
				if e.alert && (strings.Contains(e.text, "cert_expiry") || strings.Contains(e.text, "certificate_expiration") || strings.Contains(e.text, "cert_chain_expiry")) {
					a.with = append(a.with, evidence(e.field, "an alert on expiry"))
				}
			}
			if a.against = in.ofRules("SP064"); len(a.against) > 0 {
				a.notMet = "certificates that live long"
			} else if len(a.with) == 0 && len(in.of("PrometheusRule")) > 0 {
				a.notMet = "there are Prometheus rules, and none alerts on the expiry of certificates"
				a.against = []Evidence{evidence(in.of("PrometheusRule")[0].Root(), "no alert on expiry")}
			}
			return a
		}},
		{"network policies hold beside the mesh", func(in *inspection) answer {
			a := answer{met: "each namespace with workloads has a NetworkPolicy", notMet: "namespaces whose pods anything in the network may reach when the sidecar is gone past", unknown: "no workloads are in the files"}
			covered := map[string]mesh.Object{}
			for _, o := range in.of("NetworkPolicy") {
				covered[o.Namespace] = o
			}
			seen := map[string]bool{}
			for _, pod := range in.pods {
				ns := pod.object.Namespace
				if seen[ns] {
					continue
				}
				seen[ns] = true
				if o, found := covered[ns]; found {
					a.with = append(a.with, evidence(o.Root(), "%s", nameOf(o)))
				} else {
					a.against = append(a.against, evidence(pod.object.Root(), "no NetworkPolicy in the namespace of %s", nameOf(pod.object)))
				}
			}
			return a
		}},
	}
}

// inMesh leaves out pods that are told to have no sidecar, and Istio's own.
func inMesh(o mesh.Object) bool {
	template := spec(o, "template")
	if o.Kind == "Pod" {
		template = o.Root()
	}
	inject := template.Get("metadata", "labels", "sidecar.istio.io/inject").Text() + template.Get("metadata", "annotations", "sidecar.istio.io/inject").Text()
	return inject != "false" && o.Namespace != "istio-system" && o.Namespace != "kube-system" && o.Name != "istiod"
}

// policyFor returns the policy that allows some requests to a pod, and so denies
// the others.
func (in *inspection) policyFor(pod podTemplate) (mesh.Object, bool) {
	labels := pod.labels
	pairs := []string{""}
	for _, key := range labels.Keys() {
		pairs = append(pairs, key+"="+labels.Get(key).Text())
	}
	for _, pair := range pairs {
		for _, policy := range in.allowing[pair] {
			if policy.Namespace != in.rootNamespace() && !sameNamespace(policy.Namespace, pod.object.Namespace) {
				continue
			}
			if carries(labels, labelsOf(spec(policy, "selector", "matchLabels"))) {
				return policy, true
			}
		}
	}
	return mesh.Object{}, false
}

func edgePractices() []practice {
	return []practice{
		{"public hosts come through a Gateway", func(in *inspection) answer {
			a := answer{met: "no service of the files is public past a Gateway", notMet: "services that are public past the gateway", unknown: "neither services nor a Gateway are in the files"}
			a.against = in.ofRules("SP085")
			for _, o := range in.of("Ingress") {
				if class := spec(o, "ingressClassName"); class.Text() != "istio" {
					a.against = append(a.against, evidence(o.Root(), "an Ingress of another controller"))
				}
			}
			for _, o := range in.of("Gateway") {
				if isIngress(o) {
					a.with = append(a.with, evidence(o.Root(), "%s", nameOf(o)))
				}
			}
			return a
		}},
		{"TLS is 1.2 or newer, and its suites bind", func(in *inspection) answer {
			a := answer{met: "no server of the files allows less than TLS 1.2, and lists of suites are what they say", notMet: "TLS that is not what it says", unknown: "no Gateway with TLS is in the files"}
			a.against = in.ofRules("SP029", "SP030", "SP052", "SP056", "SP057")
			for _, server := range in.servers() {
				if isTLSServer(server.field) && server.field.Get("tls").Exists() {
					a.with = append(a.with, evidence(server.field.Get("tls"), "%s, from TLS 1.2 on", server.field.Get("tls", "mode").Text()))
				}
			}
			return a
		}},
		{"what leaves goes through ServiceEntry and egress gateway", func(in *inspection) answer {
			a := answer{met: "ServiceEntries name the hosts outside, and routes lead to them through an egress gateway", notMet: "hosts outside are reached from every proxy directly", unknown: "no ServiceEntry for a host outside is in the files"}
			for _, o := range in.of("ServiceEntry") {
				if spec(o, "location").Text() == "MESH_INTERNAL" {
					continue
				}
				if by, found := in.throughEgress(o); found {
					a.with = append(a.with, evidence(by.Root(), "%s leads to it", nameOf(by)))
				} else {
					a.against = append(a.against, evidence(o.Root(), "no route through an egress gateway for %s", nameOf(o)))
				}
			}
			return a
		}},
		{"unknown hosts are blocked (REGISTRY_ONLY)", func(in *inspection) answer {
			a := answer{met: "outboundTrafficPolicy is REGISTRY_ONLY", notMet: "proxies let calls to any host through", unknown: "no mesh configuration is in the files"}
			for _, config := range in.meshConfigs() {
				mode := config.field.Get("outboundTrafficPolicy", "mode")
				if mode.Text() == "REGISTRY_ONLY" {
					a.with = append(a.with, evidence(mode, "REGISTRY_ONLY"))
				} else {
					a.against = append(a.against, evidence(mode, "ALLOW_ANY, which is the default"))
				}
			}
			if len(a.with)+len(a.against) == 0 {
				for _, o := range in.of("IstioOperator", mesh.KindIstiodValues) {
					a.against = append(a.against, evidence(o.Root(), "no meshConfig, so ALLOW_ANY holds"))
				}
			}
			return a
		}},
		{"proxies know only what they call (Sidecar)", func(in *inspection) answer {
			a := answer{met: "Sidecars say what the proxies of a namespace know", notMet: "Sidecars that limit nothing", unknown: "no Sidecar with egress is in the files; without one each proxy knows the whole mesh"}
			a.against = in.ofRules("SP061")
			for _, o := range in.of("Sidecar") {
				if spec(o, "egress").Exists() {
					a.with = append(a.with, evidence(spec(o, "egress"), "%s", nameOf(o)))
				}
			}
			return a
		}},
		{"ports name their protocol", func(in *inspection) answer {
			a := answer{met: "every port of the services in the files names one", notMet: "ports whose protocol is guessed from the first bytes", unknown: "no services are in the files"}
			a.against = in.ofRules("SP084")
			for _, o := range in.of("Service") {
				a.with = append(a.with, evidence(spec(o, "ports"), "%s", nameOf(o)))
			}
			return a
		}},
	}
}

// throughEgress returns the VirtualService that leads to a host of the entry from
// an egress gateway.
func (in *inspection) throughEgress(entry mesh.Object) (mesh.Object, bool) {
	for _, host := range spec(entry, "hosts").Items() {
		if o, found := in.leaving[host.Text()]; found {
			return o, true
		}
	}
	return mesh.Object{}, false
}
