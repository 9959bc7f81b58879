package audit

import (
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// gatewayRules are about what gateways offer to the world.
func gatewayRules() []Rule {
	return []Rule{
		{
			Code: "SP029", Name: "cipher-suites-of-tls13", Severity: Error, Title: "Names of TLS 1.3 suites where they mean nothing",
			Why:     "cipherSuites governs TLS up to 1.2. Istio drops names that it does not know there, with a warning in istiod's log only; when none is left, the default suites hold, and the list that was reviewed is not in force.",
			Fix:     "cipherSuites: # of TLS 1.2; those of 1.3 cannot be chosen\n- ECDHE-ECDSA-AES256-GCM-SHA384\n- ECDHE-RSA-AES256-GCM-SHA384\n",
			Caution: []string{"From then on clients of TLS 1.2 that know none of these suites are refused. envoy_listener_ssl_ciphers says which are in use."},
			check:   suitesOfTLS13,
		},
		{
			Code: "SP030", Name: "cipher-suites-do-not-bind", Severity: Warning, Title: "Cipher suites that most clients go past",
			Why: "A client that speaks TLS 1.3 negotiates one of its suites, whatever the list says, and almost every client does. So the list binds only clients of TLS 1.2. If it is a requirement that only these suites are used, the highest version has to be 1.2; if not, the list needs no change.",
			Fix: "tls:\n  minProtocolVersion: TLSV1_2 # said, so that the list is known to be about 1.2 alone\n",
			Caution: []string{
				"maxProtocolVersion: TLSV1_2 would make the list bind and take TLS 1.3 away from everybody, which is a downgrade: only where a regulation demands the suites themselves, and it is written down.",
			},
			check: looseSuites,
		},
		{
			Code: "SP056", Name: "old-tls", Severity: Error, Title: "TLS below 1.2",
			Why:     "TLS 1.0 and 1.1 were retired in 2021 (RFC 8996); their suites are broken, and audits fail on them.",
			Fix:     "tls:\n  minProtocolVersion: TLSV1_2\n",
			Caution: []string{"Clients that know nothing newer are cut off. envoy_listener_ssl_versions says whether there are any."},
			check:   oldTLS,
		},
		{
			Code: "SP057", Name: "tls-without-certificate", Severity: Error, Title: "A TLS server that has no certificate",
			Why:   "SIMPLE and MUTUAL need a certificate: credentialName, or files. Istio's webhook refuses the Gateway without; where it is not installed, the listener is left out and connections are reset.",
			Fix:   "tls:\n  mode: SIMPLE\n  credentialName: shop-example-com # a Secret of type kubernetes.io/tls beside the gateway's pods\n",
			check: bareServers,
		},
		{
			Code: "SP058", Name: "http-not-redirected", Severity: Warning, Title: "Clear text at the gateway",
			Why:     "A server of protocol HTTP serves what comes in clear text from outside, cookies and tokens included, instead of sending the client to HTTPS.",
			Fix:     "- port:\n    number: 80\n    name: http\n    protocol: HTTP\n  hosts: [shop.example.com]\n  tls:\n    httpsRedirect: true\n",
			Caution: []string{"Clients that do not follow redirects, such as health checks of load balancers and ACME challenges, need a path of their own first."},
			check:   clearServers,
		},
		{
			Code: "SP059", Name: "any-host", Severity: Info, Title: "A server for any host",
			Why:     "With \"*\" every VirtualService of every namespace may attach any host name to this gateway, also one of another team. Naming hosts, with the namespace before them, is what keeps teams apart.",
			Fix:     "hosts:\n- shop/shop.example.com # the namespace, and its host\n",
			Caution: []string{"A host that is left out gets 404, or no certificate: list those that are asked for from the gateway's access log first, over a month."},
			check:   anyHosts,
		},
	}
}

// tlsBlock is a place that says which TLS is spoken.
type tlsBlock struct {
	object mesh.Object
	field  mesh.Field
}

func (in *inspection) servers() []tlsBlock {
	var all []tlsBlock
	for _, o := range in.of("Gateway") {
		for _, server := range spec(o, "servers").Items() {
			all = append(all, tlsBlock{o, server})
		}
	}
	return all
}

// tlsBlocks returns all places that may list cipher suites.
func (in *inspection) tlsBlocks() []tlsBlock {
	var all []tlsBlock
	for _, server := range in.servers() {
		all = append(all, tlsBlock{server.object, server.field.Get("tls")})
	}
	for _, o := range in.of("Sidecar") {
		for _, listener := range spec(o, "ingress").Items() {
			all = append(all, tlsBlock{o, listener.Get("tls")})
		}
	}
	for _, config := range in.meshConfigs() {
		all = append(all, tlsBlock{config.object, config.field.Get("tlsDefaults")}, tlsBlock{config.object, config.field.Get("meshMTLS")})
	}
	return all
}

// isTLS13Suite tells the names of TLS 1.3, which begin with TLS_ and name no key
// exchange.
func isTLS13Suite(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, "TLS_AES_") || strings.HasPrefix(upper, "TLS_CHACHA20_")
}

func suitesOfTLS13(in *inspection) []hit {
	var hits []hit
	for _, block := range in.tlsBlocks() {
		suites := block.field.Get("cipherSuites").Items()
		var wrong []mesh.Field
		for _, suite := range suites {
			if isTLS13Suite(suite.Text()) {
				wrong = append(wrong, suite)
			}
		}
		for _, suite := range wrong {
			message := suite.Text() + " is a suite of TLS 1.3, and dropped here"
			if len(wrong) == len(suites) {
				message += "; no other is in the list, so the default suites hold"
			}
			hits = append(hits, hit{object: block.object, at: suite, message: message})
		}
	}
	return hits
}

func looseSuites(in *inspection) []hit {
	var hits []hit
	for _, block := range in.tlsBlocks() {
		suites := block.field.Get("cipherSuites")
		real := 0
		for _, suite := range suites.Items() {
			if !isTLS13Suite(suite.Text()) {
				real++
			}
		}
		if real == 0 || bindsSuites(block.field) || block.field.Get("minProtocolVersion").Text() == "TLSV1_2" {
			continue
		}
		hits = append(hits, hit{object: block.object, at: suites, message: "clients of TLS 1.3 go past the list: it binds those of TLS 1.2 alone"})
	}
	return hits
}

// bindsSuites reports whether no client can go past the list of suites.
func bindsSuites(block mesh.Field) bool {
	switch block.Get("maxProtocolVersion").Text() {
	case "TLSV1_0", "TLSV1_1", "TLSV1_2":
		return true
	}
	return false
}

func oldTLS(in *inspection) []hit {
	var hits []hit
	for _, block := range in.tlsBlocks() {
		for _, key := range []string{"minProtocolVersion", "maxProtocolVersion"} {
			field := block.field.Get(key)
			if v := field.Text(); v == "TLSV1_0" || v == "TLSV1_1" {
				hits = append(hits, hit{object: block.object, at: field, message: key + " is " + v})
			}
		}
	}
	return hits
}

func isTLSServer(server mesh.Field) bool {
	switch strings.ToUpper(server.Get("port", "protocol").Text()) {
	case "HTTPS", "TLS":
		return true
	}
	return false
}

func bareServers(in *inspection) []hit {
	var hits []hit
	for _, server := range in.servers() {
		tls := server.field.Get("tls")
		mode := tls.Get("mode").Text()
		switch {
		case isTLSServer(server.field) && !tls.Exists():
			hits = append(hits, hit{object: server.object, at: server.field, message: fmt.Sprintf("port %s speaks TLS and has no tls block", server.field.Get("port", "number").Text())})
		case !tls.Exists() || mode != "SIMPLE" && mode != "MUTUAL" && mode != "OPTIONAL_MUTUAL" && (mode != "" || !isTLSServer(server.field)):
		case !hasAny(tls, "credentialName", "credentialNames", "serverCertificate", "tlsCertificates"):
			hits = append(hits, hit{object: server.object, at: tls, message: fmt.Sprintf("port %s has neither credentialName nor a certificate", server.field.Get("port", "number").Text())})
		}
	}
	return hits
}

func hasAny(f mesh.Field, keys ...string) bool {
	for _, key := range keys {
		if f.Get(key).Exists() {
			return true
		}
	}
	return false
}

func clearServers(in *inspection) []hit {
	var hits []hit
	for _, server := range in.servers() {
		port := server.field.Get("port")
		protocol := strings.ToUpper(port.Get("protocol").Text())
		if (protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC") && !server.field.Get("tls", "httpsRedirect").IsTrue() && isIngress(server.object) {
			hits = append(hits, hit{object: server.object, at: port.Get("protocol"), message: fmt.Sprintf("port %s takes %s in clear text and does not redirect", port.Get("number").Text(), protocol)})
		}
	}
	return hits
}

// isIngress reports whether a Gateway is one towards the outside, as far as its
// selector tells.
func isIngress(o mesh.Object) bool {
	for _, key := range spec(o, "selector").Keys() {
		if strings.Contains(spec(o, "selector", key).Text(), "egress") {
			return false
		}
	}
	return true
}

func anyHosts(in *inspection) []hit {
	var hits []hit
	for _, server := range in.servers() {
		for _, host := range server.field.Get("hosts").Items() {
			if (host.Text() == "*" || host.Text() == "*/*") && isIngress(server.object) && !server.field.Get("tls", "httpsRedirect").IsTrue() {
				hits = append(hits, hit{object: server.object, at: host, message: "any namespace may attach any host name here"})
			}
		}
	}
	return hits
}
