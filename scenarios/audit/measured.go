package audit

import (
	"cmp"
	"fmt"
	"math"
	"strings"

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

// Says are the numbers that the files were held to, in words.
func (m Measured) Says() []string {
	var all []string
	for _, limit := range m.Limits {
		if limit.InUse > 0 {
			all = append(all, fmt.Sprintf("%s: %.0f in use at once %s", limit.Field, limit.InUse, limit.At))
		}
	}
	for _, cpu := range m.CPU {
		if cpu.Cores > 0 {
			all = append(all, fmt.Sprintf("CPU of a %s: %s %s", cpu.Role, millicores(cpu.Cores), cpu.At))
		}
	}
	return all
}

// MeasuredLimit is what one limit of a connection pool has to leave room for.
type MeasuredLimit struct {
	Block, Field string  // as "http" and "http2MaxRequests"
	InUse        float64 // the most that was in use at once; 0 where it is not known
	At           string  // where and at which rate that was, as "at the gateway, at 800/s"
	Fits         int64   // the limit that the run recommends; 0 where it recommends none
	Reason       string  // of the recommendation
}

// MeasuredCPU is what a replica of a component used.
type MeasuredCPU struct {
	Role    string  // gateway, egress-gateway, sidecar or control-plane
	Cores   float64 // in the mean; 0 where it is not known
	At      string  // at which rate
	Request string  // the quantity that the run recommends; empty where it recommends none
	Reason  string
}

// room is how much more than what was in use a limit should be where nothing is
// recommended.
const room = 1.5

func limitsBelowLoad(in *inspection) []hit {
	var hits []hit
	for _, s := range in.policies() {
		if in.measured.Host != "" && !sameHost(s.host(), s.rule.Namespace, in.measured.Host, s.rule.Namespace) {
			continue
		}
		for _, limit := range in.measured.Limits {
			field := s.block.Get("connectionPool", limit.Block, limit.Field)
			n, ok := positive(field)
			fits := limit.Fits
			if fits == 0 {
				fits = int64(math.Ceil(limit.InUse * room))
			}
			fix := fmt.Sprintf("%s:\n  %s: %d\n", limit.Block, limit.Field, fits)
			switch {
			case !ok:
			case float64(n) < limit.InUse:
				hits = append(hits, hit{object: s.rule, at: field, fix: fix, message: fmt.Sprintf("%d is below the %.0f that were in use at once %s (%s)", n, limit.InUse, limit.At, in.measured.Source)})
			case n < limit.Fits:
				hits = append(hits, hit{object: s.rule, at: field, severity: Warning, fix: fix, message: fmt.Sprintf("%d leaves less room than the %d that %s recommends: %s", n, limit.Fits, in.measured.Source, clause(limit.Reason))})
			}
		}
	}
	return hits
}

// clause returns the first of the reasons in a recommendation, which has them all.
func clause(reason string) string {
	first, _, _ := strings.Cut(reason, "; ")
	return first
}

func millicores(cores float64) string { return fmt.Sprintf("%.0fm", math.Ceil(cores*1000)) }

func requestsBelowUse(in *inspection) []hit {
	var hits []hit
	for _, measured := range in.measured.CPU {
		recommended, err := resource.ParseQuantity(measured.Request)
		if err != nil {
			recommended = resource.Quantity{}
		}
		fix := cmp.Or(measured.Request, millicores(measured.Cores*room))
		for _, request := range in.requestsOf(measured.Role) {
			n, ok := cores(request.field)
			h := hit{object: request.object, at: request.field, fix: fmt.Sprintf("%s: %s\n", request.field.Key(), fix)}
			switch {
			case !ok:
			case n < measured.Cores:
				h.message = fmt.Sprintf("%s is below the %s that a %s used %s (%s)", request.field.Text(), millicores(measured.Cores), measured.Role, measured.At, in.measured.Source)
				hits = append(hits, h)
			case n < recommended.AsApproximateFloat64():
				h.message = fmt.Sprintf("%s leaves less room than the %s that %s recommends for a %s: %s", request.field.Text(), measured.Request, in.measured.Source, measured.Role, clause(measured.Reason))
				hits = append(hits, h)
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
	case "gateway", "egress-gateway", "control-plane":
		for _, c := range in.parts {
			if (c.name == "istiod") == (role == "control-plane") {
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
		for _, pod := range in.pods {
			all = append(all, request{pod.object, pod.annotation("sidecar.istio.io/proxyCPU")})
		}
	}
	return all
}
