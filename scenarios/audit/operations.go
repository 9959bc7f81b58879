package audit

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// operationPractices are about what surrounds the mesh: isolation beside it, what
// leaves it, how it is kept up to date, and how it comes back.
func operationPractices() []practice {
	return []practice{
		{"what no policy allows is denied", deniedByDefault},
		{"network policies say what may leave", policiesOnEgress},
		{"the control plane is behind a network policy", controlPlaneIsolated},
		{"what leaves is encrypted", encryptedEgress},
		{"calls to the outside are limited in rate", limitedRate},
		{"sidecars have resources", sizedSidecars},
		{"autoscalers add pods in time", func(in *inspection) answer {
			a := answer{met: "every autoscaler of the files aims at 80 % or less, and has room above its minimum", notMet: "autoscalers that come too late, or cannot scale", unknown: "no autoscaler is in the files"}
			a.against = in.ofRules("SP071", "SP072", "SP076", "SP077")
			for _, o := range in.of("HorizontalPodAutoscaler") {
				a.with = append(a.with, evidence(spec(o), "%s", nameOf(o)))
			}
			return a
		}},
		{"routes and destination policies go together", pairedRoutes},
		{"circuit breakers were tried before production", func(*inspection) answer {
			return answer{unknown: "files do not tell; `sailplan breaker` tries each limit on a real Envoy"}
		}},
		{"only what is used is installed", func(in *inspection) answer {
			a := answer{met: "the profile is none for demonstrations", notMet: "a profile for demonstrations", unknown: "the control plane's installation is not in the files"}
			a.against = in.ofRules("SP065", "SP104")
			for _, o := range in.of("IstioOperator", mesh.KindIstiodValues) {
				a.with = append(a.with, evidence(o.Root(), "%s", nameOf(o)))
			}
			return a
		}},
		{"Istio's version still gets fixes", supportedVersion},
		{"workloads can be rolled back", func(in *inspection) answer {
			a := answer{met: "earlier revisions are kept, and images name their version", notMet: "workloads without a way back", unknown: "no workloads are in the files"}
			a.against = in.ofRules("SP087")
			for _, o := range in.of("Deployment", "StatefulSet", "DaemonSet") {
				a.with = append(a.with, evidence(spec(o), "%s", nameOf(o)))
			}
			return a
		}},
		{"teams and environments have namespaces of their own", ownNamespaces},
		{"configuration comes from version control, and can be restored", restorable},
		{"a second cluster can take over", secondCluster},
	}
}

func deniedByDefault(in *inspection) answer {
	a := answer{met: "a policy without rules denies what no other allows", unknown: "no AuthorizationPolicy without rules, which would deny by default, is in the files; before one comes, the callers of every workload have to be known from istio_requests_total by source_principal, and their policies in place, one namespace after the other"}
	for _, o := range in.of("AuthorizationPolicy") {
		action := spec(o, "action").Text()
		if (action == "" || action == "ALLOW") && !spec(o, "rules").Exists() && !spec(o, "selector").Exists() {
			a.with = append(a.with, evidence(o.Root(), "%s denies by default %s", nameOf(o), in.reachOf(o)))
		}
	}
	return a
}

func policiesOnEgress(in *inspection) answer {
	a := answer{met: "NetworkPolicies are about egress too", notMet: "pods may send to anywhere when the sidecar is gone past", unknown: "no NetworkPolicy is in the files"}
	for _, o := range in.of("NetworkPolicy") {
		egress := spec(o, "egress").Exists()
		for _, kind := range spec(o, "policyTypes").Items() {
			egress = egress || kind.Text() == "Egress"
		}
		if egress {
			a.with = append(a.with, evidence(spec(o), "%s", nameOf(o)))
		}
	}
	if policies := in.of("NetworkPolicy"); len(a.with) == 0 && len(policies) > 0 {
		a.against = []Evidence{evidence(spec(policies[0]), "%s is about ingress alone, and so are the others", nameOf(policies[0]))}
	}
	return a
}

func controlPlaneIsolated(in *inspection) answer {
	root := in.rootNamespace()
	a := answer{met: "a NetworkPolicy holds in the namespace of istiod", unknown: "no NetworkPolicy for the namespace " + root + " is in the files, nor istiod as a Deployment"}
	for _, o := range in.of("NetworkPolicy") {
		if o.Namespace == root {
			a.with = append(a.with, evidence(o.Root(), "%s", nameOf(o)))
		}
	}
	if len(a.with) > 0 {
		return a
	}
	for _, pod := range in.pods {
		if isIstiod(pod.object) {
			a.notMet = "anything in the network reaches istiod's ports, those for debugging too"
			a.against = append(a.against, evidence(pod.object.Root(), "no NetworkPolicy in the namespace of %s", nameOf(pod.object)))
		}
	}
	return a
}

func encryptedEgress(in *inspection) answer {
	a := answer{met: "every port of the hosts outside is of TLS, or gets it from a DestinationRule", notMet: "clear text leaves the mesh", unknown: "no ServiceEntry for a host outside is in the files"}
	for _, o := range in.of("ServiceEntry") {
		if spec(o, "location").Text() == "MESH_INTERNAL" {
			continue
		}
		for _, port := range spec(o, "ports").Items() {
			protocol := strings.ToUpper(port.Get("protocol").Text())
			switch {
			case protocol == "HTTPS" || protocol == "TLS" || in.originates(o):
				a.with = append(a.with, evidence(port, "%s: port %s", nameOf(o), port.Get("number").Text()))
			case protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC":
				a.against = append(a.against, evidence(port, "%s: %s on port %s, and no DestinationRule adds TLS", nameOf(o), protocol, port.Get("number").Text()))
			}
		}
	}
	return a
}

func limitedRate(in *inspection) answer {
	a := answer{met: "an EnvoyFilter limits a rate", unknown: "no EnvoyFilter with a rate limit is in the files; the caller, or the other side, may have one"}
	for _, o := range in.of("EnvoyFilter") {
		for line := o.Root().Line(); line <= o.Root().LastLine(); line++ {
			if text := in.line(o.File, line); strings.Contains(text, "ratelimit") || strings.Contains(text, "rate_limit") {
				a.with = append(a.with, Evidence{o.File, line, nameOf(o)})
				break
			}
		}
	}
	return a
}

func sizedSidecars(in *inspection) answer {
	a := answer{met: "global.proxy.resources, or annotations of the pods, say what a sidecar may use", notMet: "only a part of the size is set", unknown: "neither the chart's values nor annotations for the size of sidecars are in the files; the charts' defaults are 100m and 128Mi"}
	a.against = in.ofRules("SP080")
	for _, o := range in.of("IstioOperator", mesh.KindIstiodValues) {
		values := o.Root()
		if o.Kind == "IstioOperator" {
			values = spec(o, "values")
		}
		if f := values.Get("global", "proxy", "resources"); f.Exists() {
			a.with = append(a.with, evidence(f, "global.proxy.resources"))
		}
	}
	for _, pod := range in.pods {
		if f := pod.annotation(sizes()[0]); f.Exists() {
			a.with = append(a.with, evidence(f, "%s", nameOf(pod.object)))
		}
	}
	return a
}

func pairedRoutes(in *inspection) answer {
	a := answer{met: "each host that is routed to has a DestinationRule", notMet: "hosts with routes and no DestinationRule, and so without limits and outlier detection", unknown: "no VirtualService with HTTP routes is in the files"}
	seen := map[string]bool{}
	for _, r := range in.http {
		for _, item := range r.field.Get("route").Items() {
			host := item.Get("destination", "host")
			if key := hostKey(host.Text()); key == "" || seen[key] {
				continue
			}
			seen[hostKey(host.Text())] = true
			if len(in.rulesFor(host.Text(), r.object.Namespace)) > 0 {
				a.with = append(a.with, evidence(host, "%s", host.Text()))
			} else {
				a.against = append(a.against, evidence(host, "%s has no DestinationRule", host.Text()))
			}
		}
	}
	return a
}

// oldestSupported is the minor version of Istio 1 that may still have got fixes when
// 1.31 was the newest: of each, until some weeks after the second next.
const oldestSupported = 29

var minorVersion = regexp.MustCompile(`(?:^|:|v)1\.(\d{1,3})(?:\.|-|$)`)

func supportedVersion(in *inspection) answer {
	a := answer{met: "the version is one that gets fixes, as far as this version of sailplan knows; look at Istio's page of supported releases", notMet: "the version gets no fixes any more, for security neither", unknown: "Istio's version is not in the files"}
	look := func(f mesh.Field) {
		match := minorVersion.FindStringSubmatch(f.Text())
		if match == nil {
			return
		}
		minor, _ := strconv.Atoi(match[1]) // at most three digits, by the pattern
		if minor < oldestSupported {
			a.against = append(a.against, evidence(f, "%s", f.Text()))
		} else {
			a.with = append(a.with, evidence(f, "%s", f.Text()))
		}
	}
	for _, o := range in.of("IstioOperator") {
		look(spec(o, "tag"))
		look(spec(o, "values", "global", "tag"))
	}
	for _, o := range in.of(mesh.KindIstiodValues) {
		look(o.Root().Get("global", "tag"))
		look(first(o.Root().Get("tag"), o.Root().Get("pilot", "tag")))
	}
	for _, pod := range in.pods {
		for _, container := range pod.field.Get("spec", "containers").Items() {
			if image := container.Get("image"); strings.Contains(image.Text(), "/pilot:") || strings.Contains(image.Text(), "/proxyv2:") {
				look(image)
			}
		}
	}
	return a
}

func ownNamespaces(in *inspection) answer {
	a := answer{met: "every workload names a namespace, and none is default", notMet: "workloads in the namespace default, where every policy holds for all of them", unknown: "no workload that names its namespace is in the files"}
	for _, pod := range in.pods {
		switch pod.object.Namespace {
		case "":
		case "default":
			a.against = append(a.against, evidence(pod.object.Root(), "%s", nameOf(pod.object)))
		default:
			a.with = append(a.with, evidence(pod.object.Root(), "%s", nameOf(pod.object)))
		}
	}
	return a
}

// restorable looks for the objects of tools that apply what a repository holds, and
// of those that back up a cluster.
func restorable(in *inspection) answer {
	a := answer{met: "objects of a tool that applies a repository, or backs up the cluster, are in the files", unknown: "no Argo CD Application, Flux Kustomization or HelmRelease, or Velero Schedule is in the files; whether configuration, certificates and the CA's key can be restored has to be tried"}
	tools := map[string]bool{
		"argoproj.io/Application": true, "argoproj.io/ApplicationSet": true, "kustomize.toolkit.fluxcd.io/Kustomization": true,
		"helm.toolkit.fluxcd.io/HelmRelease": true, "velero.io/Schedule": true,
	}
	for _, o := range in.all {
		if group, _, _ := strings.Cut(o.APIVersion, "/"); tools[group+"/"+o.Kind] {
			a.with = append(a.with, evidence(o.Root(), "%s", nameOf(o)))
		}
	}
	return a
}

func secondCluster(in *inspection) answer {
	a := answer{met: "the mesh is installed to have several clusters", unknown: "nothing about several clusters is in the files; `sailplan size` says what one has to carry when another is lost"}
	values := func(global mesh.Field) {
		for _, f := range []mesh.Field{global.Get("multiCluster", "clusterName"), global.Get("network"), global.Get("meshID")} {
			if f.Text() != "" {
				a.with = append(a.with, evidence(f, "%s: %s", f.Key(), f.Text()))
			}
		}
		if f := global.Get("multiCluster", "enabled"); f.IsTrue() {
			a.with = append(a.with, evidence(f, "multiCluster"))
		}
	}
	for _, o := range in.of("IstioOperator") {
		values(spec(o, "values", "global"))
	}
	for _, o := range in.of(mesh.KindIstiodValues) {
		values(o.Root().Get("global"))
	}
	return a
}
