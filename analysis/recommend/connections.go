package recommend

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/models/skew"
)

// Connections is how long the connections of clients should live at a gateway, so
// that new replicas get their share of the load.
type Connections struct {
	MaxSeconds     float64  `json:"maxSeconds"`            // a connection is closed then; 0: it need not be
	MaxRequests    int      `json:"maxRequests,omitempty"` // the limit on requests that ends it as often
	SettlesSeconds float64  `json:"settlesSeconds"`        // after replicas were added
	HandshakeShare float64  `json:"handshakeShare"`        // of the CPU of the requests
	Reason         string   `json:"reason"`
	Warnings       []string `json:"warnings"`
	Basis
}

// The lifetime of connections is weighed for replicas that are added twice an hour,
// and for a scale-up that has its effect within five minutes.
const (
	scaleUpsPerHour = 2
	settleWithin    = 300.0
)

// ConnectionsFor weighs handshakes against the time that new replicas wait for
// their share. handshake is the CPU of opening a connection in seconds, at the
// most. Nil, with the reason, where that cannot be said.
func ConnectionsFor(s Subject, replicas *Replicas, h *HPA, load Load, handshake float64) (c *Connections, why string) {
	switch {
	case load.Connections <= 0 || replicas == nil:
		return nil, ""
	case !(handshake > 0):
		return nil, "how long connections should live is not recommended: what opening one costs was not measured"
	case !s.Demand.OK():
		return nil, "how long connections should live is not recommended: the CPU demand is not known"
	}
	from := replicas.Value
	if h != nil {
		from = h.MinReplicas
	}
	to := from + max(1, int(math.Ceil(float64(from)/4)))
	x := &sheet{}
	connections := x.input("connections", math.Max(1, math.Round(float64(load.Connections)*load.share())), "", "of clients, to the gateways of a cluster")
	x.input("rate", load.here(), "/s", "the planned rate of a cluster")
	x.input("replicas", float64(replicas.CarriesPlannedRate), "", "that carry it")
	each := load.here() / float64(replicas.CarriesPlannedRate)
	cores := float64(replicas.CarriesPlannedRate) * s.Demand.CoresAt(each).Value
	x.input("cores", cores, "cores", "CPU of all of them at that rate, by the model")
	x.input("handshake", handshake, "s", "CPU of opening a connection, at the most")
	x.input("from", float64(from), "", "replicas before a scale-up")
	x.input("to", float64(to), "", "replicas after it: a quarter more")
	advice, err := skew.Lifetime(skew.Costs{
		ScaleUp:             skew.ScaleUp{Connections: int(connections), From: from, To: to, Placement: placementOf(load.Placement), Seed: 1},
		HandshakeCPUSeconds: handshake, RequestCores: cores, RequestRate: load.here(), ScaleUpsPerHour: scaleUpsPerHour, SettleWithin: settleWithin,
	})
	if err != nil || math.IsNaN(advice.Lifetime) {
		return nil, fmt.Sprintf("how long connections should live is not recommended: %v", err)
	}
	c = &Connections{MaxSeconds: advice.Lifetime, MaxRequests: advice.Requests, Reason: advice.Reason, Warnings: advice.Warnings}
	if advice.Lifetime > 0 {
		c.Reason += "; Istio has no field for it at a gateway, where an EnvoyFilter sets common_http_protocol_options.max_connection_duration of the HTTP connection manager"
	}
	if c.Warnings == nil {
		c.Warnings = []string{}
	}
	if !math.IsInf(advice.SettlesIn, 0) {
		c.SettlesSeconds = advice.SettlesIn
	}
	constraints := []Constraint{}
	if advice.Lifetime > 0 {
		x.input("lifetime", advice.Lifetime, "s", "chosen; bound by "+string(advice.Bound))
		c.HandshakeShare = x.step("share of the CPU that handshakes take", "share", "", "handshake * connections / lifetime / cores", handshake*connections/advice.Lifetime/cores)
		constraints = append(constraints, Constraint{By: string(advice.Bound), Value: advice.Lifetime, Unit: "s", Why: advice.Reason})
		if !math.IsInf(advice.CheapestSeconds, 0) && advice.Bound != skew.BoundCost {
			constraints = append(constraints, Constraint{By: string(skew.BoundCost), Value: advice.CheapestSeconds, Unit: "s", Why: "handshakes and idle replicas together cost least"})
		}
	}
	c.Basis = x.basis(constraints, "how often replicas are added, here twice an hour, and how soon that has to have its effect, here within five minutes", "clients that close their connections themselves")
	c.BoundBy = string(advice.Bound)
	if len(constraints) > 1 {
		c.RunnerUp = constraints[0].By
		if c.RunnerUp == c.BoundBy {
			c.RunnerUp = constraints[1].By
		}
	}
	return c, ""
}
