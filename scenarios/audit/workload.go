package audit

import (
	"fmt"
	"math"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// workloadRules are about pods that have a sidecar, and about their services.
func workloadRules() []Rule {
	return []Rule{
		{
			Code: "SP080", Name: "proxy-size-in-part", Severity: Warning, Title: "Only a part of the proxy's size is set",
			Why:     "As soon as one of the four annotations of the proxy's size is there, none of the mesh's defaults holds for this pod. A pod that sets only proxyCPU has a proxy without limits and without a memory request.",
			Fix:     proxySize,
			Caution: []string{sizesFromMeasurement},
			check:   partialSizes,
		},
		{
			Code: "SP081", Name: "annotation-on-the-workload", Severity: Warning, Title: "An annotation for the proxy on the wrong object",
			Why:     "The injector looks at the pod. An annotation or label of the Deployment itself, and not of its template, has no effect.",
			Fix:     proxySize,
			Caution: []string{"What had no effect has one at the next roll-out, which resizes the proxy, or switches the sidecar on or off: look at whether it is still what is meant."},
			check:   misplacedAnnotations,
		},
		{
			Code: "SP082", Name: "more-threads-than-cpu", Severity: Warning, Title: "More proxy threads than CPU",
			Why:   "Each worker thread wants a core. With more of them than the CPU limit allows, they use the quota up early in each period and then all stand still until the next: latency grows by tens of milliseconds. 0 means a thread for each core of the node.",
			check: tooManyThreads,
		},
		{
			Code: "SP083", Name: "injection-by-annotation", Severity: Info, Title: "Injection by an annotation",
			Why:     "The annotation sidecar.istio.io/inject was replaced by the label of the same name. The webhook selects pods by labels, so the annotation cannot switch injection on where the namespace does not.",
			Fix:     "spec:\n  template:\n    metadata:\n      labels:\n        sidecar.istio.io/inject: \"true\"\n",
			Caution: []string{"Where the annotation had no effect, the label switches the sidecar on or off at the next roll-out: look at whether the pods have one now."},
			check:   injectionByAnnotation,
		},
		{
			Code: "SP084", Name: "port-without-protocol", Severity: Warning, Title: "A port that names no protocol",
			Why:     "Istio then looks at the first bytes of each connection. Protocols in which the server speaks first wait for a timeout, HTTP settings such as retries and maxConcurrentStreams do not hold where it takes the bytes for TCP, and rules about paths do not match.",
			Fix:     "ports:\n- name: http-web # or appProtocol: http\n  port: 80\n",
			Caution: []string{"A port that is named http and speaks something else breaks: name it by what it speaks, tcp where that is not known."},
			check:   unnamedPorts,
		},
		{
			Code: "SP085", Name: "past-the-gateway", Severity: Warning, Title: "A service that is public without a gateway",
			Why:     "A NodePort or LoadBalancer reaches the pods directly: no TLS of the gateway, no routes, no rules for the outside, and in clear text unless mTLS is strict, in which case it does not work at all.",
			Fix:     "spec:\n  type: ClusterIP # and a Gateway with a VirtualService for the host\n",
			Caution: []string{"Whoever uses the address today is cut off: move the DNS name to the gateway first, and look at the traffic of the old address until there is none."},
			check:   publicServices,
		},
		{
			Code: "SP086", Name: "port-of-the-proxy", Severity: Error, Title: "A container that uses the proxy's place",
			Why:   "The sidecar listens on 15000 to 15090, and traffic of user 1337 is not redirected. A container with one of these does not start, or goes past the mesh.",
			check: reservedPlaces,
		},
		{
			Code: "SP087", Name: "no-way-back", Severity: Warning, Title: "A workload that cannot be rolled back",
			Why:   "A roll-back needs the version before: with revisionHistoryLimit 0 Kubernetes has forgotten it, and with the tag latest, or none, its name means the new image too. The same tag also lets two pods of one Deployment run different code.",
			check: noWayBack,
		},
	}
}

const sizesFromMeasurement = "The numbers are the charts' defaults but for the limit of memory: take those that `sailplan size` measured, since a limit of memory below the use kills the proxy."

func sizes() []string {
	return []string{"sidecar.istio.io/proxyCPU", "sidecar.istio.io/proxyMemory", "sidecar.istio.io/proxyCPULimit", "sidecar.istio.io/proxyMemoryLimit"}
}

func partialSizes(in *inspection) []hit {
	var hits []hit
	for _, pod := range in.pods {
		var set, missing []string
		var at mesh.Field
		for _, name := range sizes() {
			_, short, _ := strings.Cut(name, "/")
			if f := pod.annotation(name); f.Exists() {
				if set = append(set, short); len(set) == 1 {
					at = f
				}
			} else {
				missing = append(missing, short)
			}
		}
		// A proxy without a CPU limit may be meant; one without requests is not.
		onlyLimit := len(missing) == 1 && missing[0] == "proxyCPULimit"
		if len(set) > 0 && len(missing) > 0 && !onlyLimit {
			hits = append(hits, hit{object: pod.object, at: at, message: fmt.Sprintf("without %s: the mesh's defaults do not hold beside %s", strings.Join(missing, ", "), strings.Join(set, ", "))})
		}
	}
	return hits
}

func misplacedAnnotations(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("Deployment", "StatefulSet", "DaemonSet") {
		for _, where := range []string{"annotations", "labels"} {
			outer, inner := o.Root().Get("metadata", where), spec(o, "template", "metadata", where)
			for _, key := range outer.Keys() {
				group, name, _ := strings.Cut(key, "/")
				isProxys := group == "proxy.istio.io" && name == "config" || group == "inject.istio.io" || group == "traffic.sidecar.istio.io" || group == "sidecar.istio.io"
				if isProxys && !inner.Get(key).Exists() {
					hits = append(hits, hit{object: o, at: outer.Get(key), message: key + " has no effect here: it belongs to the template's metadata", fix: fmt.Sprintf("spec:\n  template:\n    metadata:\n      %s:\n        %s: %q\n", where, key, outer.Get(key).Text())})
				}
			}
		}
	}
	return hits
}

// threadsIn compares a number of worker threads with a CPU limit.
func threadsIn(o mesh.Object, threads mesh.Field, limit float64, limited bool, said string) []hit {
	n, ok := threads.Number()
	switch {
	case !ok:
		return nil
	case n == 0 && limited:
		return []hit{{object: o, at: threads, message: fmt.Sprintf("0 is a thread for each core of the node, and the CPU limit is %s", said), fix: fmt.Sprintf("concurrency: %d\n", int64(max(1, math.Ceil(limit))))}}
	case limited && float64(n) > math.Ceil(limit):
		return []hit{{object: o, at: threads, message: fmt.Sprintf("%d threads, and the CPU limit is %s", n, said), fix: fmt.Sprintf("concurrency: %d\n", int64(max(1, math.Ceil(limit))))}}
	}
	return nil
}

func tooManyThreads(in *inspection) []hit {
	var hits []hit
	limit, said := 2.0, "2, the chart's default"
	for _, o := range in.of("IstioOperator", mesh.KindIstiodValues) {
		values := o.Root()
		if o.Kind == "IstioOperator" {
			values = spec(o, "values")
		}
		f := values.Get("global", "proxy", "resources", "limits", "cpu")
		if cpu, ok := cores(f); ok {
			limit, said = cpu, fmt.Sprintf("%s (%s)", f.Text(), place(f))
		}
	}
	for _, config := range in.meshConfigs() {
		hits = append(hits, threadsIn(config.object, config.field.Get("defaultConfig", "concurrency"), limit, true, said)...)
	}
	for _, o := range in.of("ProxyConfig") {
		if !spec(o, "selector").Exists() {
			hits = append(hits, threadsIn(o, spec(o, "concurrency"), limit, true, said)...)
		}
	}
	for _, pod := range in.pods {
		if !pod.config.Exists() || pod.isGateway() {
			continue
		}
		podLimit, podSaid, limited := limit, said, true
		for _, name := range sizes() {
			limited = limited && !pod.annotation(name).Exists()
		}
		if f := pod.annotation("sidecar.istio.io/proxyCPULimit"); f.Exists() {
			if cpu, ok := cores(f); ok {
				podLimit, podSaid, limited = cpu, f.Text()+" ("+place(f)+")", true
			}
		}
		hits = append(hits, threadsIn(pod.object, pod.config.Get("concurrency"), podLimit, limited, podSaid)...)
	}
	return hits
}

func injectionByAnnotation(in *inspection) []hit {
	var hits []hit
	for _, pod := range in.pods {
		f := pod.annotation("sidecar.istio.io/inject")
		if f.Exists() && !pod.labels.Get("sidecar.istio.io/inject").Exists() && !pod.isGateway() {
			hits = append(hits, hit{object: pod.object, at: f, message: "the label of this name took the annotation's place", fix: fmt.Sprintf("spec:\n  template:\n    metadata:\n      labels:\n        sidecar.istio.io/inject: %q\n", f.Text())})
		}
	}
	return hits
}

// isMeshService leaves out what Kubernetes or Istio itself brings along.
func isMeshService(o mesh.Object) bool {
	return o.Namespace != "kube-system" && o.Namespace != "istio-system" && spec(o, "type").Text() != "ExternalName" && !isGatewayService(o)
}

func isGatewayService(o mesh.Object) bool {
	for _, key := range []string{"istio", "app", "app.kubernetes.io/name"} {
		if label := spec(o, "selector", key).Text(); strings.Contains(label, "gateway") || key == "istio" && label != "" {
			return true
		}
	}
	return false
}

func unnamedPorts(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("Service") {
		if !isMeshService(o) {
			continue
		}
		for _, port := range spec(o, "ports").Items() {
			if protocolOf(port) != "" {
				continue
			}
			name := port.Get("name")
			message, at := "port "+port.Get("port").Text()+" has no name", port
			if name.Exists() {
				message, at = fmt.Sprintf("%s names no protocol that Istio knows", name.Text()), name
			}
			hits = append(hits, hit{object: o, at: at, message: message})
		}
	}
	return hits
}

func publicServices(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("Service") {
		kind := spec(o, "type")
		if t := kind.Text(); (t == "NodePort" || t == "LoadBalancer") && isMeshService(o) {
			hits = append(hits, hit{object: o, at: kind, message: t + " is reachable from outside, past every gateway"})
		}
	}
	return hits
}

func reservedPlaces(in *inspection) []hit {
	reserved := map[string]bool{"15000": true, "15001": true, "15002": true, "15004": true, "15006": true, "15008": true, "15020": true, "15021": true, "15053": true, "15090": true}
	var hits []hit
	for _, pod := range in.pods {
		if pod.isGateway() || pod.object.Name == "istiod" || pod.object.Namespace == "istio-system" || pod.object.Kind == "DaemonSet" {
			continue
		}
		for _, container := range pod.field.Get("spec", "containers").Items() {
			if container.Get("name").Text() == "istio-proxy" {
				continue
			}
			for _, port := range container.Get("ports").Items() {
				if f := port.Get("containerPort"); reserved[f.Text()] {
					hits = append(hits, hit{object: pod.object, at: f, message: "port " + f.Text() + " is the sidecar's"})
				}
			}
			if user := container.Get("securityContext", "runAsUser"); user.Text() == "1337" {
				hits = append(hits, hit{object: pod.object, at: user, message: "user 1337 is the sidecar's: traffic of this container goes past the mesh"})
			}
		}
	}
	return hits
}

func noWayBack(in *inspection) []hit {
	var hits []hit
	for _, o := range in.of("Deployment", "StatefulSet", "DaemonSet") {
		if kept := spec(o, "revisionHistoryLimit"); kept.Text() == "0" {
			hits = append(hits, hit{object: o, at: kept, message: "no earlier revision is kept, so there is none to go back to", fix: "spec:\n  revisionHistoryLimit: 10\n"})
		}
	}
	for _, pod := range in.pods {
		for _, container := range pod.field.Get("spec", "containers").Items() {
			image := container.Get("image")
			if name := image.Text(); name != "" && name != "auto" && !isPinned(name) {
				hits = append(hits, hit{object: pod.object, at: image, message: name + " is another image tomorrow", fix: fmt.Sprintf("image: %s:1.2.3 # the version that is meant, or @sha256: and its digest\n", strings.TrimSuffix(name, ":latest"))})
			}
		}
	}
	return hits
}

// isPinned reports whether an image's name says which version it is.
func isPinned(image string) bool {
	if strings.Contains(image, "@") {
		return true
	}
	_, tag, tagged := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return tagged && tag != "latest"
}
