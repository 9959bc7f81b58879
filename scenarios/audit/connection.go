package audit

import (
	"fmt"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// connectionRules are about connections: their protocol and their times.
func connectionRules() []Rule {
	return []Rule{
		{
			Code: "SP015", Name: "http2-setting-on-http1", Severity: Warning, Title: "A setting of HTTP/2 on connections that are not",
			Why:     "Istio drops maxConcurrentStreams and http2KeepAlive unless the cluster speaks HTTP/2 explicitly: the port is named http2 or grpc, or h2UpgradePolicy is UPGRADE. An HTTP port with a limit on streams has no limit.",
			Fix:     "http:\n  h2UpgradePolicy: UPGRADE\n  maxConcurrentStreams: 100\n",
			Caution: []string{"UPGRADE makes every client of the host use HTTP/2: the service has to speak it, in cleartext too."},
			check:   streamsOnHTTP1,
		},
		{
			Code: "SP031", Name: "keepalive-cut-to-seconds", Severity: Warning, Title: "A keepalive with parts of a second",
			Why:   "Istio cuts the times of tcpKeepalive to whole seconds; 500ms becomes 0, which is the operating system's two hours.",
			Fix:   "tcpKeepalive:\n  time: 10s\n  interval: 1s\n",
			check: shortKeepalives,
		},
		{
			Code: "SP032", Name: "connect-timeout-outlasts-route", Severity: Warning, Title: "A connection may take as long as the whole request",
			Why:   "When connectTimeout is not below the route's timeout, an endpoint that does not answer uses the whole timeout up: the caller gets 504 although another endpoint would have answered, because no time is left for a second try.",
			Fix:   "connectionPool:\n  tcp:\n    connectTimeout: 1s # well below the timeout of the route\n",
			check: longConnects,
		},
	}
}

// protocols returns the protocols of the ports of a policy's service, "" for one
// that is not named; none when the files do not hold the service.
func (in *inspection) protocols(s settings) []string {
	name, within, ok := hostName(s.host(), s.rule.Namespace)
	var all []string
	if !ok {
		for _, entry := range in.entries[s.host()] {
			for _, port := range spec(entry, "ports").Items() {
				if s.port == "" || port.Get("number").Text() == s.port {
					all = append(all, strings.ToLower(port.Get("protocol").Text()))
				}
			}
		}
		return all
	}
	service, found := in.service(name, within)
	if !found {
		return nil
	}
	for _, port := range spec(service, "ports").Items() {
		if s.port == "" || port.Get("port").Text() == s.port {
			all = append(all, protocolOf(port))
		}
	}
	return all
}

// protocolOf returns the protocol that a Service's port names, as Istio reads it:
// from appProtocol, or from the name up to the first dash; "" when none is named.
func protocolOf(port mesh.Field) string {
	if app := strings.ToLower(port.Get("appProtocol").Text()); app != "" {
		switch app {
		case "kubernetes.io/h2c":
			return "http2"
		case "kubernetes.io/ws", "kubernetes.io/wss":
			return "http"
		}
		if isProtocol(app) {
			return app
		}
	}
	if transport := strings.ToLower(port.Get("protocol").Text()); transport == "udp" || transport == "sctp" {
		return transport
	}
	name := strings.ToLower(port.Get("name").Text())
	if strings.HasPrefix(name, "grpc-web") {
		return "grpc-web"
	}
	name, _, _ = strings.Cut(name, "-")
	if isProtocol(name) {
		return name
	}
	return ""
}

func isProtocol(name string) bool {
	switch name {
	case "grpc", "grpc-web", "http", "http2", "https", "tls", "tcp", "udp", "mongo", "mysql", "redis", "hbone":
		return true
	}
	return false
}

func isHTTP(protocol string) bool {
	return protocol == "http" || isHTTP2(protocol)
}

func isHTTP2(protocol string) bool {
	return protocol == "http2" || protocol == "grpc" || protocol == "grpc-web"
}

func streamsOnHTTP1(in *inspection) []hit {
	for _, config := range in.meshConfigs() {
		if config.field.Get("h2UpgradePolicy").Text() == "UPGRADE" {
			return nil
		}
	}
	var hits []hit
	for _, s := range in.policies() {
		http := s.http
		if http.Get("h2UpgradePolicy").Text() == "UPGRADE" || http.Get("useClientProtocol").IsTrue() {
			continue
		}
		protocols := in.protocols(s)
		speaks := false
		for _, p := range protocols {
			speaks = speaks || isHTTP2(p)
		}
		for _, key := range []string{"maxConcurrentStreams", "http2KeepAlive"} {
			field := http.Get(key)
			switch {
			case !field.Exists() || speaks || field.Text() == "0":
			case len(protocols) == 0:
				hits = append(hits, hit{object: s.rule, at: field, severity: Info, message: key + " holds only if the port of the service, which is not in the files, is named http2 or grpc"})
			default:
				hits = append(hits, hit{object: s.rule, at: field, message: key + " is dropped: no port of the service is named http2 or grpc, and h2UpgradePolicy is not UPGRADE"})
			}
		}
	}
	return hits
}

func shortKeepalives(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		keepalive := s.tcp.Get("tcpKeepalive")
		for _, key := range []string{"time", "interval"} {
			if d, ok := keepalive.Get(key).Duration(); ok && d%time.Second != 0 {
				hits = append(hits, hit{object: s.rule, at: keepalive.Get(key), message: fmt.Sprintf("Istio cuts %s to %s", d, d.Truncate(time.Second))})
			}
		}
	}
	return hits
}

func longConnects(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		field := s.tcp.Get("connectTimeout")
		connect, ok := field.Duration()
		if !ok {
			continue
		}
		for _, route := range in.routesTo(s.host(), s.rule.Namespace) {
			timeout := route.field.Get("timeout")
			if d, ok := timeout.Duration(); ok && d > 0 && connect >= d {
				hits = append(hits, hit{object: s.rule, at: field, message: fmt.Sprintf("a connection may take %s, and %s gives the whole request %s (%s)", connect, nameOf(route.object), d, place(timeout))})
				break
			}
			try := route.field.Get("retries", "perTryTimeout")
			if d, ok := try.Duration(); ok && d > 0 && connect > d {
				hits = append(hits, hit{object: s.rule, at: field, severity: Info, message: fmt.Sprintf("a connection may take %s, and %s gives a try %s (%s): the try ends first", connect, nameOf(route.object), d, place(try))})
				break
			}
		}
	}
	return hits
}
