package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// rootNamespace is where Istio looks for what holds in all namespaces, unless the mesh's
// configuration names another.
const rootNamespace = "istio-system"

// InboundFor returns the policy as the sidecars of the destination's pods apply it to
// what comes in: the connection pool of the DestinationRule, unless the Sidecar that
// holds for these pods has an inboundConnectionPool, or one for the port.
//
// Of several Sidecars one holds, as in Istio: one whose workloadSelector selects the
// pods, else one of the namespace without a selector, else that of the root namespace; of
// several alike the oldest, and the first in the files where these do not tell. Which labels and ports the pods have is read from the Service and the
// workloads among the objects; where these do not decide it, a Sidecar that selects is
// taken to select the pods, and a note says so. Outlier detection is not applied inbound.
func InboundFor(objects []Object, policy Policy) Policy {
	policy.OutlierDetection, policy.RetryBudget = IstioDefaults().OutlierDetection, IstioDefaults().RetryBudget
	pods := podsOf(objects, policy)
	sidecar, note := sidecarOf(objects, pods)
	policy.Notes = slices.Clip(policy.Notes)
	if note != "" {
		policy.Notes = append(policy.Notes, note)
	}
	if sidecar == nil {
		return policy
	}
	all := block{sidecar.document, sidecar.spec}
	pool := all.child("inboundConnectionPool")
	if listeners := all.child("ingress").node; listeners != nil {
		for _, item := range listeners.Content {
			if pods.port != "" && scalar(lookup(item, "port"), "number") == pods.port && lookup(item, "connectionPool") != nil {
				pool = block{sidecar.document, lookup(item, "connectionPool")}
			}
		}
	}
	if pool.node != nil {
		policy.ConnectionPool = IstioDefaults().ConnectionPool
		blocks{pool: pool}.apply(&policy)
	}
	return policy
}

// pods are those behind a host.
type pods struct {
	namespace string // empty: not known
	root      string // namespace of what holds everywhere
	labels    map[string]string
	whole     bool   // all labels are known, not only those that a Service selects by
	port      string // on which they listen; empty: not known
}

// podsOf collects what the objects say of the pods of a destination.
func podsOf(objects []Object, policy Policy) pods {
	p := pods{root: rootNamespace, labels: map[string]string{}}
	host := policy.Host
	for _, o := range objects {
		if o.Kind == KindDestinationRule && o.Note == "" && scalar(o.spec, "host") == policy.Host {
			if o.Namespace != "" {
				host = qualified(host, o.Namespace)
			}
			for _, subset := range o.Spec("subsets").Items() {
				if policy.Subset != "" && subset.Get("name").Text() == policy.Subset {
					maps.Copy(p.labels, textsOf(subset.Get("labels")))
				}
			}
		}
	}
	configs, _ := meshConfigs(objects)
	for _, config := range configs {
		if root := scalar(config.node, "rootNamespace"); root != "" {
			p.root = root
		}
	}
	p.namespace = namespaceOf(host)
	if policy.Port != 0 {
		p.port = strconv.FormatUint(uint64(policy.Port), 10)
	}
	service, ok := p.service(objects, host)
	if !ok {
		return p
	}
	selector := textsOf(service.Spec("selector"))
	maps.Copy(p.labels, selector)
	var container Field
	for _, o := range objects {
		labels := textsOf(o.Spec("template", "metadata", "labels"))
		if !p.has(o) || len(selector) == 0 || !slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, o.Kind) || !within(p.labels, labels) {
			continue
		}
		p.labels, p.whole, container = labels, true, o.Spec("template", "spec", "containers")
		break
	}
	p.listens(service, policy.Port, container)
	return p
}

// has reports whether an object is of the pods' namespace, as far as it is known.
func (p pods) has(o Object) bool {
	return o.Note == "" && (p.namespace == "" || o.Namespace == "" || o.Namespace == p.namespace)
}

func (p pods) service(objects []Object, host string) (Object, bool) {
	name, _, _ := strings.Cut(host, ".")
	for _, o := range objects {
		if o.Kind == "Service" && o.Name == name && p.has(o) {
			return o, true
		}
	}
	return Object{}, false
}

// listens finds the pods' port for a port of their Service; 0: its only one.
func (p *pods) listens(service Object, port uint32, containers Field) {
	ports := service.Spec("ports").Items()
	for _, item := range ports {
		number := item.Get("port").Text()
		if port == 0 && len(ports) > 1 || port != 0 && number != p.port {
			continue
		}
		p.port = number
		target := item.Get("targetPort").Text()
		if _, err := strconv.ParseUint(target, 10, 16); err == nil {
			p.port = target
			return
		}
		for _, c := range containers.Items() {
			for _, own := range c.Get("ports").Items() {
				if target != "" && own.Get("name").Text() == target {
					p.port = own.Get("containerPort").Text()
				}
			}
		}
		return
	}
}

// selection says whether a Sidecar's selector selects pods.
type selection int

const (
	selectsNot selection = iota
	selectsAll           // it has no selector
	selectsPerhaps
	selectsThem
)

func (p pods) selectedBy(sidecar Object) selection {
	chosen := textsOf(sidecar.Spec("workloadSelector", "labels"))
	if len(chosen) == 0 {
		return selectsAll
	}
	s := selectsThem
	for key, value := range chosen {
		switch own, known := p.labels[key]; {
		case known && own != value, !known && p.whole:
			return selectsNot
		case !known:
			s = selectsPerhaps
		}
	}
	return s
}

// sidecarOf returns the Sidecar that holds for the pods; nil: none. The note says what
// was assumed for it.
func sidecarOf(objects []Object, p pods) (chosen *Object, note string) {
	best, selected, guessed := 0, selectsNot, false
	for i, o := range objects {
		if o.Kind != "Sidecar" || o.Note != "" {
			continue
		}
		s, rank := p.selectedBy(o), 0
		switch {
		case p.has(o) && (s == selectsThem || s == selectsPerhaps):
			rank = 3
		case p.has(o) && s == selectsAll:
			rank = 2
		case o.Namespace == p.root && s == selectsAll:
			rank = 1
		}
		if rank == 0 || rank < best {
			continue
		}
		if rank == best {
			before, known := o.Before(*chosen)
			guessed = guessed || !known
			if !before {
				continue
			}
		} else {
			guessed = false
		}
		best, selected, chosen = rank, s, &objects[i]
	}
	if chosen == nil {
		return nil, ""
	}
	at := fmt.Sprintf("%s:%d: ", chosen.File, chosen.Line)
	if guessed {
		note = at + "of several Sidecars for the same pods Istio takes the oldest, and the files do not say which one that is (metadata.creationTimestamp): this one is taken by the order of the files"
	}
	if selected == selectsPerhaps {
		note = strings.TrimPrefix(note+"; ", "; ") + at + "the Sidecar selects pods, and the files do not say whether those of the destination: it is taken as if it did; a Deployment and its Service say it"
	}
	return chosen, note
}

// textsOf returns a mapping of texts.
func textsOf(f Field) map[string]string {
	texts := map[string]string{}
	for _, key := range f.Keys() {
		texts[key] = f.Get(key).Text()
	}
	return texts
}

// within reports whether all of the labels are among others.
func within(labels, others map[string]string) bool {
	for key, value := range labels {
		if own, has := others[key]; !has || own != value {
			return false
		}
	}
	return true
}
