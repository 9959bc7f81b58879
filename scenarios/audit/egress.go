package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// stagedRegistry is how outbound traffic is closed without an outage.
func stagedRegistry() []string {
	return []string{
		"REGISTRY_ONLY breaks every call to a host without a ServiceEntry: payment and mail providers, cloud metadata and object stores, licence servers, package mirrors, databases outside of the cluster.",
		"The order: 1. list what leaves with istio_requests_total{destination_service_name=\"PassthroughCluster\"} and istio_tcp_connections_opened_total likewise, over a month, so that monthly jobs are in it; 2. a ServiceEntry for each host; 3. REGISTRY_ONLY in the Sidecar of one namespace, then of the others; 4. mesh-wide.",
	}
}

// egressRules are about what proxies know, and what leaves the mesh.
func egressRules() []Rule {
	return []Rule{
		{
			Code: "SP060", Name: "anything-may-leave", Severity: Info, Title: "Traffic to any host may leave",
			Why:     "With ALLOW_ANY a compromised workload can send data anywhere, and calls to unknown hosts have no timeouts, retries or metrics of their own.",
			Fix:     "outboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n",
			Caution: stagedRegistry(),
			check:   allowsAny,
		},
		{
			Code: "SP061", Name: "sidecar-scope-is-everything", Severity: Warning, Title: "A Sidecar that limits nothing",
			Why:     "The host */* makes each proxy hold the configuration of every service of every namespace: memory of all proxies, and work of istiod, grow with the whole mesh at each change.",
			Fix:     "egress:\n- hosts:\n  - ./*\n  - istio-system/*\n  - payments/api.payments.svc.cluster.local # the namespaces that are called\n",
			Caution: []string{"A namespace that is left out is not reachable by name any more. Who calls whom is in istio_requests_total by source_workload_namespace and destination_service_namespace; also what runs once a month."},
			check:   wideSidecars,
		},
		{
			Code: "SP062", Name: "clear-text-to-port-443", Severity: Warning, Title: "Clear text to a port of TLS",
			Why:     "The ServiceEntry says that HTTP is spoken on port 443, and no DestinationRule adds TLS: the other side gets clear text where it expects a handshake.",
			Fix:     "ports:\n- number: 443\n  name: tls\n  protocol: TLS\n",
			Caution: []string{"The application has to speak TLS itself then. Where it speaks clear text, and the proxy is to encrypt, the port stays HTTP and a DestinationRule with tls.mode SIMPLE, sni and subjectAltNames comes beside it."},
			check:   clearTextToTLS,
		},
		{
			Code: "SP063", Name: "two-sidecars-for-a-namespace", Severity: Error, Title: "Two Sidecars without a selector in one namespace",
			Why:     "Istio allows one Sidecar without workloadSelector for a namespace; with two, which one holds is not defined. istiod takes the one that was created first, so it may be another one in each cluster, and after one was deleted and applied again.",
			Fix:     "spec:\n  workloadSelector:\n    labels:\n      app: checkout\n",
			Caution: []string{"The pods that one of the two selects know only what that one lists: what it leaves out is not reachable by name any more."},
			check:   doubleSidecars,
		},
	}
}

func allowsAny(in *inspection) []hit {
	var hits []hit
	for _, config := range in.meshConfigs() {
		if mode := config.field.Get("outboundTrafficPolicy", "mode"); mode.Text() == "ALLOW_ANY" {
			hits = append(hits, hit{object: config.object, at: mode, message: "proxies let calls to unknown hosts through"})
		}
	}
	for _, o := range in.of("Sidecar") {
		if mode := spec(o, "outboundTrafficPolicy", "mode"); mode.Text() == "ALLOW_ANY" {
			hits = append(hits, hit{object: o, at: mode, message: "these proxies let calls to unknown hosts through"})
		}
	}
	return hits
}

func wideSidecars(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("Sidecar") {
		for _, listener := range spec(o, "egress").Items() {
			for _, host := range listener.Get("hosts").Items() {
				if host.Text() == "*/*" {
					hits = append(hits, hit{object: o, at: host, message: "these proxies know every service of the mesh"})
				}
			}
		}
	}
	return hits
}

func clearTextToTLS(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("ServiceEntry") {
		if spec(o, "location").Text() == "MESH_INTERNAL" {
			continue
		}
		for _, port := range spec(o, "ports").Items() {
			protocol := strings.ToUpper(port.Get("protocol").Text())
			target := port.Get("targetPort").Text()
			onTLS := target == "443" || port.Get("number").Text() == "443" && target == ""
			if onTLS && (protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC") && !in.originates(o) {
				hits = append(hits, hit{object: o, at: port.Get("protocol"), message: fmt.Sprintf("%s to port 443, and no DestinationRule in the files adds TLS", protocol)})
			}
		}
	}
	return hits
}

// originates reports whether a DestinationRule adds TLS to calls of the entry's hosts.
func (in *inspection) originates(entry mesh.Object) bool {
	for _, host := range spec(entry, "hosts").Items() {
		for _, s := range policiesOf(in.rules[hostKey(host.Text())]) {
			if mode := s.block.Get("tls", "mode").Text(); mode == "SIMPLE" || mode == "MUTUAL" {
				return true
			}
		}
	}
	return false
}

// doubleSidecars finds, of several Sidecars for all pods of a namespace, those that do not
// hold: all but the oldest, and where the files do not say which that is, all but the first.
func doubleSidecars(in *inspection) []hit {
	var namespaces []string
	all := map[string][]mesh.Object{}
	for _, o := range in.of("Sidecar") {
		others, known := all[o.Namespace]
		if spec(o, "workloadSelector").Exists() || slices.ContainsFunc(others, func(other mesh.Object) bool { return other.Name == o.Name }) {
			continue
		}
		if !known {
			namespaces = append(namespaces, o.Namespace)
		}
		all[o.Namespace] = append(others, o)
	}
	var hits []hit
	for _, namespace := range namespaces {
		holds := all[namespace][0]
		for _, o := range all[namespace] {
			if before, _ := o.Before(holds); before {
				holds = o
			}
		}
		for _, o := range all[namespace] {
			if o.Name == holds.Name {
				continue
			}
			message := fmt.Sprintf("%s is for the same namespace (%s:%d)", nameOf(holds), holds.File, holds.Line)
			if _, known := holds.Before(o); known {
				message += " and was created first: it holds, and this one does nothing"
			} else {
				message += "; the one that was created first holds, and the files do not say which that is (metadata.creationTimestamp): here the order of the files decided"
			}
			hits = append(hits, hit{object: o, at: o.Root().Get("metadata"), message: message})
		}
	}
	return hits
}
