package audit

import (
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// stagedStrict is how mTLS becomes strict without an outage.
func stagedStrict() []string {
	return []string{
		"STRICT breaks every client without a sidecar: kubelet probes that are not rewritten, Prometheus that scrapes the pods, jobs and other namespaces outside of the mesh, load balancers that go past the gateway, ports of workloads that have no sidecar themselves.",
		"The order: 1. find clear-text traffic with istio_requests_total{reporter=\"destination\",connection_security_policy=\"none\"} and istio_tcp_connections_opened_total likewise, over a week; 2. inject those clients, or give their ports portLevelMtls PERMISSIVE; 3. STRICT in one namespace, then in the others; 4. mesh-wide in the root namespace; 5. remove the exceptions.",
	}
}

// trustRules are about who may talk to whom, and whether it is encrypted.
func trustRules() []Rule {
	return []Rule{
		{
			Code: "SP050", Name: "mtls-not-strict", Severity: Warning, Title: "Clear text is accepted",
			Why:     "PERMISSIVE takes clear text beside mTLS, and DISABLE nothing else: anybody in the network can call the workload without an identity, and rules about identities do not see who it was.",
			Fix:     "spec:\n  mtls:\n    mode: STRICT\n",
			Caution: stagedStrict(),
			check:   weakAuthentication,
		},
		{
			Code: "SP051", Name: "clear-text-inside", Severity: Warning, Title: "A DestinationRule that switches mTLS off",
			Why:     "Clients send clear text to a service of the mesh. Where the service is STRICT, every request fails with 503; where it is PERMISSIVE, identities are gone.",
			Fix:     "trafficPolicy:\n  tls:\n    mode: ISTIO_MUTUAL\n",
			Caution: []string{"A workload without a sidecar does not speak mTLS: every request to it gets 503 then. Look whether its pods have one before; the block can also be left out, and then Istio finds out for each pod by itself."},
			check:   clearText,
		},
		{
			Code: "SP052", Name: "certificate-not-checked", Severity: Error, Title: "TLS without a look at the certificate",
			Why:     "insecureSkipVerify accepts any certificate, so whoever answers is trusted, and the encryption protects from nobody who can redirect traffic.",
			Fix:     "tls:\n  mode: SIMPLE\n  sni: api.example.com\n  subjectAltNames: [api.example.com]\n  caCertificates: system\n",
			Caution: []string{"A server whose certificate does not carry the name is refused then: look at it first with openssl s_client."},
			check:   unchecked,
		},
		{
			Code: "SP053", Name: "allows-everybody", Severity: Warning, Title: "A policy that allows everything",
			Why: "An empty rule matches every request. Policies that allow are added up, so this one makes all others that allow for the same workload meaningless.",
			Fix: "rules:\n- from:\n  - source:\n      principals: [cluster.local/ns/shop/sa/frontend]\n  to:\n  - operation:\n      methods: [GET]\n",
			Caution: []string{
				"Every caller that the rule does not name gets 403: list them first from istio_requests_total by source_principal over a week, those of jobs and monitoring too.",
				"The order: 1. the policy with the callers beside this one; 2. istio.io/dry-run: \"true\" on a DENY of the rest, and a look at the logs; 3. remove this one.",
			},
			check: allowsAll,
		},
		{
			Code: "SP055", Name: "identity-without-mtls", Severity: Error, Title: "A policy about identities where there may be none",
			Why:     "principals, namespaces and serviceAccounts come from the client's certificate. Where the port accepts clear text only, no request has one: what should be allowed is denied, and a DENY never matches.",
			Fix:     "spec:\n  mtls:\n    mode: STRICT\n",
			Caution: stagedStrict(),
			check:   identityWithoutTLS,
		},
	}
}

func weakAuthentication(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("PeerAuthentication") {
		mode := spec(o, "mtls", "mode")
		if m := mode.Text(); m == "PERMISSIVE" || m == "DISABLE" {
			hits = append(hits, hit{object: o, at: mode, message: fmt.Sprintf("%s %s", m, in.reachOf(o))})
		}
		ports := spec(o, "portLevelMtls")
		for _, port := range ports.Keys() {
			if mode := ports.Get(port, "mode"); mode.Text() == "DISABLE" {
				hits = append(hits, hit{object: o, at: mode, message: "port " + port + " takes clear text only", fix: "portLevelMtls:\n  " + port + ":\n    mode: STRICT\n"})
			}
		}
	}
	return hits
}

// reachOf says for whom a policy holds.
func (in *inspection) reachOf(o mesh.Object) string {
	switch {
	case spec(o, "selector").Exists():
		return "for the workloads that it selects"
	case o.Namespace == in.rootNamespace():
		return "for the whole mesh"
	case o.Namespace == "":
		return "for its namespace"
	}
	return "for the namespace " + o.Namespace
}

// strict returns the PeerAuthentication that makes mTLS strict for a namespace.
func (in *inspection) strict(namespace string) (mesh.Object, bool) {
	for _, o := range in.of("PeerAuthentication") {
		if spec(o, "mtls", "mode").Text() == "STRICT" && !spec(o, "selector").Exists() && (o.Namespace == namespace || o.Namespace == in.rootNamespace()) {
			return o, true
		}
	}
	return mesh.Object{}, false
}

func clearText(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		mode := s.block.Get("tls", "mode")
		if mode.Text() != "DISABLE" {
			continue
		}
		_, within, ok := hostName(s.host(), s.rule.Namespace)
		if !ok && !strings.Contains(s.host(), ".svc") && s.host() != "*.local" && s.host() != "*" {
			continue // SP062 is about hosts outside
		}
		h := hit{object: s.rule, at: mode, message: "clients send clear text to a host of the mesh"}
		if policy, strict := in.strict(within); strict {
			h.severity = Error
			h.message += fmt.Sprintf(", and %s wants mTLS (%s:%d): every request gets 503", nameOf(policy), policy.File, policy.Line)
		}
		hits = append(hits, h)
	}
	return hits
}

func unchecked(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		if field := s.block.Get("tls", "insecureSkipVerify"); field.IsTrue() {
			hits = append(hits, hit{object: s.rule, at: field, message: "any certificate of " + s.host() + " is accepted"})
		}
	}
	return hits
}

func allowsAll(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("AuthorizationPolicy") {
		if action := spec(o, "action").Text(); action != "" && action != "ALLOW" {
			continue
		}
		for _, rule := range spec(o, "rules").Items() {
			if len(rule.Keys()) == 0 {
				hits = append(hits, hit{object: o, at: rule, message: "the empty rule allows every request " + in.reachOf(o)})
			}
		}
	}
	return hits
}

func identityWithoutTLS(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("AuthorizationPolicy") {
		var identity mesh.Field
		for _, rule := range spec(o, "rules").Items() {
			for _, from := range rule.Get("from").Items() {
				for _, key := range []string{"principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts"} {
					if f := from.Get("source", key); f.Exists() && !identity.Exists() {
						identity = f
					}
				}
			}
		}
		if !identity.Exists() {
			continue
		}
		if off, found := in.disabled(o); found {
			hits = append(hits, hit{object: o, at: identity, message: fmt.Sprintf("%s knows no identity: %s accepts clear text only (%s)", identity.Key(), nameOf(off), place(spec(off, "mtls", "mode")))})
		}
	}
	return hits
}

// disabled returns the PeerAuthentication that switches mTLS off for what the
// policy is about, unless a more particular one may switch it on again.
func (in *inspection) disabled(policy mesh.Object) (mesh.Object, bool) {
	selector := spec(policy, "selector", "matchLabels")
	for _, o := range in.clear[policy.Namespace] {
		own := spec(o, "selector", "matchLabels")
		if own.Exists() && selector.Exists() && carries(selector, labelsOf(own)) || !own.Exists() && !selector.Exists() {
			return o, true
		}
	}
	return mesh.Object{}, false
}
