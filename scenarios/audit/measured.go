package audit

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Measured is what a run says about the files; the zero value says nothing.
type Measured struct {
	Source string // the run directory; empty where there is none
	Host   string // whose limits and endpoints they are; empty: of every DestinationRule
	// Endpoints is how many pods stand behind the host, whatever the files say; 0: as
	// the files say.
	Endpoints int64
	Limits    []MeasuredLimit
	CPU       []MeasuredCPU
}

// MeasuredLimit is a limit of a connection pool that fits the measured load.
type MeasuredLimit struct {
	Block, Field string // as "http" and "http2MaxRequests"
	Fits         int64
	InUse        float64 // what was in use at most; 0 where it is not known
	Reason       string
}

// MeasuredCPU is the request that a component's use asks for.
type MeasuredCPU struct {
	Role    string // gateway or sidecar
	Request string // a quantity
	Reason  string
}

func limitsBelowLoad(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		if in.measured.Host != "" && !sameHost(s.host(), s.rule.Namespace, in.measured.Host, s.rule.Namespace) {
			continue
		}
		for _, limit := range in.measured.Limits {
			field := s.block.Get("connectionPool", limit.Block, limit.Field)
			n, ok := positive(field)
			fix := fmt.Sprintf("%s:\n  %s: %d\n", limit.Block, limit.Field, limit.Fits)
			switch {
			case !ok || n >= limit.Fits:
			case limit.InUse > 0 && float64(n) < limit.InUse:
				hits = append(hits, hit{object: s.rule, at: field, fix: fix, message: fmt.Sprintf("%d is below the %.0f that were in use at once in %s", n, limit.InUse, in.measured.Source)})
			default:
				hits = append(hits, hit{object: s.rule, at: field, severity: Warning, fix: fix, message: fmt.Sprintf("%d leaves less room than %s asks for: %d (%s)", n, in.measured.Source, limit.Fits, limit.Reason)})
			}
		}
	}
	return hits
}

func requestsBelowUse(in *inspection) []hit {
	var hits []hit
	for _, measured := range in.measured.CPU {
		needed, err := resource.ParseQuantity(measured.Request)
		if err != nil {
			continue
		}
		for _, request := range in.requestsOf(measured.Role) {
			if n, ok := cores(request.field); ok && n < needed.AsApproximateFloat64() {
				hits = append(hits, hit{
					object: request.object, at: request.field, fix: fmt.Sprintf("%s: %s\n", lastKey(request.field), measured.Request),
					message: fmt.Sprintf("%s is below the %s that the %s needs by %s (%s)", request.field.Text(), measured.Request, measured.Role, in.measured.Source, measured.Reason),
				})
			}
		}
	}
	return hits
}

// request is a place that requests CPU.
type request struct {
	object mesh.Object
	field  mesh.Field
}

// requestsOf returns where the files request CPU for gateways, or for sidecars.
func (in *inspection) requestsOf(role string) []request {
	var all []request
	switch role {
	case "gateway":
		for _, c := range in.components() {
			if c.name != "istiod" {
				all = append(all, request{c.object, c.resources.Get("requests", "cpu")})
			}
		}
	case "sidecar":
		for _, o := range in.of("IstioOperator") {
			all = append(all, request{o, spec(o, "values", "global", "proxy", "resources", "requests", "cpu")})
		}
		for _, o := range in.of(mesh.KindIstiodValues) {
			all = append(all, request{o, o.Root().Get("global", "proxy", "resources", "requests", "cpu")})
		}
		for _, pod := range in.templates() {
			all = append(all, request{pod.object, pod.annotation("sidecar.istio.io/proxyCPU")})
		}
	}
	return all
}
