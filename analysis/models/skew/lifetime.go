package skew

import (
	"fmt"
	"math"

	"github.com/sailplan-io/sailplan/analysis/quantity"
)

// Costs is what the lifetime of connections is weighed by. Rates are per second.
type Costs struct {
	ScaleUp ScaleUp // the usual one; the lifetime in it is what is looked for

	HandshakeCPUSeconds float64 // that a replica spends on opening one connection, > 0
	RequestCores        float64 // that all requests cost, over all replicas, > 0
	RequestRate         float64 // over all connections; 0: not known, then no limit on requests is named
	ScaleUpsPerHour     float64 // how often replicas are added; 0: never

	SettleWithin float64 // seconds in which a scale-up has to have its effect; 0: no limit
	Tolerance    float64 // of the factor that counts as settled; 0: 0.1
	// LargestShare bounds what handshakes may cost as a share of RequestCores; 0: 0.05.
	LargestShare float64
	// Shortest is the shortest lifetime in seconds; 0: 60. Below what the autoscaler
	// and the start of a pod take anyway, nothing is won.
	Shortest float64
}

func (c Costs) withDefaults() Costs {
	for _, d := range []struct {
		value   *float64
		initial float64
	}{{&c.Tolerance, 0.1}, {&c.LargestShare, 0.05}, {&c.Shortest, 60}} {
		if *d.value <= 0 {
			*d.value = d.initial
		}
	}
	return c
}

// Constraint is what decided on a lifetime.
type Constraint string

// The constraints.
const (
	BoundCost       Constraint = "cost"       // handshakes and idle replicas together cost least
	BoundSettle     Constraint = "settle"     // a scale-up has to have its effect in time
	BoundHandshakes Constraint = "handshakes" // they may not cost more
	BoundShortest   Constraint = "shortest"   // no shorter lifetime is worth having
	BoundNone       Constraint = "none"       // connections need not end
)

// Advice is how long connections should live.
type Advice struct {
	Lifetime        float64 // seconds, whole; 0: connections need not end
	Requests        int     // the limit on requests that ends them as often; 0: not known, or none
	Bound           Constraint
	Feasible        bool    // SettleWithin holds and handshakes stay below their share
	SettlesIn       float64 // seconds after a scale-up; +Inf: never
	HandshakeCores  float64
	ImbalanceCores  float64 // in the mean over time, of replicas that must be there while new ones take little
	CheapestSeconds float64 // the lifetime that costs least, before anything else is asked; +Inf: none
	Reason          string
	Warnings        []string
}

// Lifetime recommends how long connections should live, where replicas are added
// and a balancer places connections.
//
// Handshakes cost HandshakeCPUSeconds · C/T cores for C connections that live T
// seconds. Shorter lives make new replicas useful sooner: until then the old ones
// need as much CPU as the hottest of them takes, L·(φ(t) − φ(∞)) cores more than
// when all is settled, for a load of L cores and a factor φ. Over one scale-up that
// is T·L·K with K = ∫ (φ(uT) − φ(∞)) du, and ν scale-ups a second make it ν·T·L·K
// cores. The sum is least at T = √(HandshakeCPUSeconds · C ÷ (ν·L·K)), as in
// Harris' rule for the size of an order (1913).
//
// That is then held to be no shorter than Shortest and than what handshakes may
// cost, and to settle within SettleWithin. When these contradict, the answer is the
// limit on handshakes, and not feasible.
func Lifetime(costs Costs) (Advice, error) {
	c := costs.withDefaults()
	u := c.ScaleUp
	if e, bad := unfit(u.Connections, u.From); bad {
		return Advice{}, fmt.Errorf("lifetime of connections: %s", e.Warnings[0])
	}
	if u.To < u.From || !(c.HandshakeCPUSeconds > 0) || !(c.RequestCores > 0) || c.ScaleUpsPerHour < 0 || c.RequestRate < 0 || c.SettleWithin < 0 {
		return Advice{}, fmt.Errorf("lifetime of connections: from %d to %d replicas, %v s of CPU per handshake, %v cores, %v scale-ups an hour, %v requests a second, settled within %v s: replicas cannot fall, CPU is above 0, the rest not below",
			u.From, u.To, c.HandshakeCPUSeconds, c.RequestCores, c.ScaleUpsPerHour, c.RequestRate, c.SettleWithin)
	}
	u.Turnover.Lifetime = 1
	unit := u.TimeToRebalance(c.Tolerance) // in lifetimes
	excess := u.excess()
	a := Advice{Feasible: true, CheapestSeconds: math.Inf(1)}
	perSecond := c.ScaleUpsPerHour / 3600
	if perSecond > 0 && excess > 0 {
		a.CheapestSeconds = math.Sqrt(c.HandshakeCPUSeconds * float64(u.Connections) / (perSecond * c.RequestCores * excess))
	}
	a.bound(c, unit)
	if a.Lifetime == 0 {
		a.SettlesIn = math.Inf(1)
		if unit == 0 {
			a.SettlesIn = 0
		}
		a.Reason = "connections need not end: nothing is won by moving them"
		return a, nil
	}
	a.Lifetime = rounded(a.Lifetime, a.Bound == BoundShortest || a.Bound == BoundHandshakes)
	a.SettlesIn = unit * a.Lifetime
	a.HandshakeCores = c.HandshakeCPUSeconds * float64(u.Connections) / a.Lifetime
	a.ImbalanceCores = perSecond * a.Lifetime * c.RequestCores * excess
	if c.RequestRate > 0 {
		a.Requests = max(1, int(a.Lifetime*c.RequestRate/float64(u.Connections)))
	}
	a.explain(c, unit)
	return a, nil
}

// excess returns ∫ φ(u) − φ(∞) over the time in units of the lifetime: the mean
// number of means that the hottest replica has too much, times how long.
func (u ScaleUp) excess() float64 {
	settled := u.with(0).Value
	end := 1.0
	if u.Turnover.Random {
		end = 6 // e⁻⁶ of the connections are left
	}
	const steps = 24
	sum := 0.0
	for i := range steps {
		middle := end * (float64(i) + 0.5) / steps
		sum += math.Max(0, u.with(Turnover{Lifetime: 1, Random: u.Turnover.Random}.Remaining(middle)).Value-settled)
	}
	return sum * end / steps
}

// bound chooses the lifetime and says what decided. unit is the time to settle in
// lifetimes.
func (a *Advice) bound(c Costs, unit float64) {
	cheapestAllowed := c.HandshakeCPUSeconds * float64(c.ScaleUp.Connections) / (c.LargestShare * c.RequestCores)
	least, why := c.Shortest, BoundShortest
	if cheapestAllowed > least {
		least, why = cheapestAllowed, BoundHandshakes
	}
	most := math.Inf(1)
	if c.SettleWithin > 0 && unit > 0 {
		most = c.SettleWithin / unit
	}
	switch {
	case math.IsInf(most, 1) && math.IsInf(a.CheapestSeconds, 1):
		a.Bound = BoundNone
	case most < least:
		a.Lifetime, a.Bound, a.Feasible = least, why, false
	case a.CheapestSeconds < least:
		a.Lifetime, a.Bound = least, why
	case a.CheapestSeconds > most:
		a.Lifetime, a.Bound = most, BoundSettle
	default:
		a.Lifetime, a.Bound = a.CheapestSeconds, BoundCost
	}
}

// rounded returns a lifetime that one would write down: two digits, whole seconds,
// away from the bound that it lies at.
func rounded(seconds float64, up bool) float64 {
	step := math.Max(1, math.Pow(10, math.Floor(math.Log10(seconds))-1))
	steps := math.Floor(seconds/step + 1e-9)
	if up {
		steps = math.Ceil(seconds/step - 1e-9)
	}
	return math.Max(1, steps) * step
}

func (a *Advice) explain(c Costs, unit float64) {
	u := c.ScaleUp
	share := a.HandshakeCores / c.RequestCores
	what := fmt.Sprintf("%s connections that live %s: handshakes take %s (%s of what requests cost), and %s after a scale-up from %d to %d replicas the hottest is within %s of where it ends (%s × the mean)",
		quantity.Count(int64(u.Connections)), quantity.Duration(a.Lifetime), quantity.Cores(a.HandshakeCores), quantity.Percent(share),
		quantity.Duration(a.SettlesIn), u.From, u.To, quantity.Percent(c.Tolerance), quantity.Number(u.with(0).Value))
	why := map[Constraint]string{
		BoundCost:       "shorter lives cost more handshakes than they save in replicas that wait, longer ones the other way round",
		BoundSettle:     fmt.Sprintf("the scale-up has to have its effect within %s", quantity.Duration(c.SettleWithin)),
		BoundHandshakes: fmt.Sprintf("handshakes may take %s of what requests cost", quantity.Percent(c.LargestShare)),
		BoundShortest:   fmt.Sprintf("lives below %s win nothing over the time that an autoscaler and the start of a pod take", quantity.Duration(c.Shortest)),
	}[a.Bound]
	a.Reason = what + "; " + why
	if !a.Feasible {
		a.Warnings = append(a.Warnings, fmt.Sprintf("to settle within %s connections would have to live %s at most, which this forbids: add replicas earlier, or balance requests instead of connections",
			quantity.Duration(c.SettleWithin), quantity.Duration(c.SettleWithin/unit)))
	}
	if a.Requests > 0 {
		a.Warnings = append(a.Warnings, "a limit on requests ends busy connections sooner than quiet ones; a limit on duration ends all")
	}
	if !u.Turnover.Random {
		a.Warnings = append(a.Warnings, "connections opened at the same time end at the same time, with all their handshakes at once: let the limit vary by some percent where that can be set")
	}
}
