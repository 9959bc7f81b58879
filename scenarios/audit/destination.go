package audit

import (
	"strconv"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Destination is what files say of the host of a DestinationRule beside the rule.
type Destination struct {
	Endpoints    int64    // 0: not known
	EndpointsHow string   // why so many, with the place
	Protocol     string   // of its port, in lower case as Istio reads it; empty: not known, or not named
	Ports        []string // of its Service, all of them; none: not known
}

// DestinationOf looks up a host, as the DestinationRule writes it, and perhaps one
// of its subsets and ports.
func DestinationOf(files []File, host, subset string, port uint32) Destination {
	in := inspect(files)
	var d Destination
	for _, rule := range in.of(mesh.KindDestinationRule) {
		if spec(rule, "host").Text() != host {
			continue
		}
		s := settings{rule: rule}
		if port != 0 {
			s.port = strconv.FormatUint(uint64(port), 10)
		}
		var labels mesh.Field
		for _, item := range spec(rule, "subsets").Items() {
			if item.Get("name").Text() == subset && subset != "" {
				labels = item.Get("labels")
			}
		}
		if n := in.endpointsOf(host, rule.Namespace, labels); n.known {
			d.Endpoints, d.EndpointsHow = n.count, n.how
		}
		if name, within, ok := hostName(host, rule.Namespace); ok {
			if service, found := in.service(name, within); found {
				for _, item := range spec(service, "ports").Items() {
					d.Ports = append(d.Ports, item.Get("port").Text())
				}
			}
		}
		for _, protocol := range in.protocols(s) {
			if d.Protocol == "" || isHTTP2(protocol) {
				d.Protocol = protocol
			}
		}
		break
	}
	return d
}
