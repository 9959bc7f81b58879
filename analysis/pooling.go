package analysis

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// poolLimit returns the http2MaxRequests in force at a proxy of that role; 0: none.
func poolLimit(rec *record.Record, role scenarios.Role) int64 {
	if rec.Lab == nil || (role != scenarios.RoleGateway && role != scenarios.RoleSidecar) {
		return 0
	}
	for _, p := range rec.Lab.Policy {
		if !strings.HasSuffix(p.Field, "http2MaxRequests") {
			continue
		}
		// 2^32 − 1 is how Istio writes "no limit".
		if n, err := strconv.ParseInt(p.Value, 10, 64); err == nil && n > 0 && n < math.MaxUint32 {
			return n
		}
	}
	return 0
}

// The size of a bunch: a share of what a system carries in a second, so that a bunch
// takes less than half of a quota's period, and some requests for each of the usual
// eight connections at most.
const (
	bunchShare = 1.0 / 25
	leastBunch = 4
	mostBunch  = 64
)

// BunchSize returns how many requests may come together in a lab whose edge lies at
// about so many a second, to see what a proxy saves when it finds many at once; 1 where
// the circuit breaker would refuse some of so few, or they would wait for a stream.
func BunchSize(run record.Run, edge float64) int {
	size := min(int(edge*bunchShare), mostBunch)
	if c := run.Scenario.Connections; c.Count > 0 && c.StreamsPerConnection > 0 {
		size = min(size, c.Count*c.StreamsPerConnection/2)
	}
	if limit := poolLimit(&record.Record{Run: run}, scenarios.RoleGateway); limit > 0 {
		size = min(size, int(min(limit/2, mostBunch)))
	}
	if size < leastBunch {
		return 1
	}
	return size
}

// labHost is the destination of the lab's traffic when its policy names none.
const labHost = "service.lab.svc.cluster.local"

// destination names the service that the connection pool is for.
func destination(rec *record.Record) string {
	if rec.Scenario.Target != nil {
		if service := rec.Scenario.Target.Service; service != "" {
			return service
		}
		if u, err := url.Parse(rec.Scenario.Target.URL); err == nil {
			return u.Hostname()
		}
		return ""
	}
	if rec.Lab != nil {
		if i := slices.IndexFunc(rec.Lab.Policy, func(p record.Policy) bool { return p.Field == "host" && p.Value != "" }); i >= 0 {
			return rec.Lab.Policy[i].Value
		}
	}
	return labHost
}

// declaredPool returns the numbers of the connection pool that the user's own
// policy declares, by field as in YAML.
func declaredPool(rec *record.Record) map[string]float64 {
	out := map[string]float64{}
	if rec.Lab == nil || rec.Scenario.Lab == nil || len(rec.Scenario.Lab.Policy) == 0 {
		return out
	}
	for _, p := range rec.Lab.Policy {
		field, ok := strings.CutPrefix(p.Field, "connectionPool.")
		if n, err := strconv.ParseInt(p.Value, 10, 64); ok && err == nil && n > 0 && n < math.MaxUint32 {
			out[field] = float64(n)
		}
	}
	return out
}

// poolInput collects what the connection pool is computed from.
func (r *Result) poolInput(rec *record.Record, phases []examined, tolerated float64, load recommend.Load) recommend.PoolInput {
	in := recommend.PoolInput{Host: destination(rec), PlannedRPS: load.Here(load.PlannedRPS), PeakRPS: load.Here(load.PeakRPS), Clients: 1, Tolerated: tolerated}
	hasGateway := false
	for i, c := range rec.Components {
		sized := r.Components[i]
		n := sized.ReplicasMeasured
		if sized.Replicas != nil {
			n = sized.Replicas.CarriesPlannedRate
		}
		switch c.Role {
		case scenarios.RoleGateway:
			hasGateway = true
			in.Clients, in.ClientWorkers = n, c.Concurrency
			in.LeastClients, in.MostClients = counts(sized)
			if sized.Replicas != nil {
				in.ClientsRPS, in.Clients, in.Hottest = sized.Replicas.Worst()
			}
			in = measuredAtClient(in, phases, c)
			in.CPUPerRequest += knownOr0(sized.CPUSecondsPerRequest)
		case scenarios.RoleSidecar, scenarios.RoleService:
			in.PodsMeasured = max(in.PodsMeasured, sized.ReplicasMeasured)
			if sized.Replicas != nil || in.Pods == 0 {
				in.Pods = n
			}
			if sized.Replicas != nil {
				if rps, left, _ := sized.Replicas.Worst(); left > 0 {
					in.PodsRPS, in.Pods = rps, left
				}
			}
			_, most := counts(sized)
			in.MostPods = max(in.MostPods, sized.ReplicasMeasured, most)
			if c.Role == scenarios.RoleSidecar {
				in.CPUPerRequest += knownOr0(sized.CPUSecondsPerRequest)
			}
		}
	}
	handshake, opening := generatorConnects(phases)
	if in.ConnectSeconds == 0 {
		in.ConnectSeconds = opening
	}
	// What opening a connection took where it was least disturbed bounds the CPU of a
	// handshake from above. The generator's are of one kind with the client proxy's.
	if handshake > 0 && (in.Handshake == 0 || handshake < in.Handshake) {
		in.Handshake = handshake
	}
	if !hasGateway {
		in.LostIdleSeconds = lostIdle(phases)
	}
	return in
}

// counts returns how few and how many replicas there may be with an autoscaler, or
// during an update without; 0 where they are not recommended.
func counts(c Component) (least, most int) {
	if c.Replicas != nil {
		least, most = c.Replicas.Value, max(c.Replicas.Value, c.Replicas.MostDuringUpdate)
	}
	if c.HPA != nil {
		least, most = c.HPA.MinReplicas, max(most, c.HPA.MaxReplicas)
	}
	return least, most
}

func knownOr0(e stat.Estimate) float64 {
	if !e.OK() {
		return 0
	}
	return e.Value
}

// lostIdle returns the shortest time that a connection had been idle when it was
// lost without a word, seconds; 0 when none was.
func lostIdle(phases []examined) float64 {
	least := 0.0
	for _, p := range phases {
		for _, seconds := range p.Connection.LostIdleSeconds {
			if seconds > 0 && (least == 0 || seconds < least) {
				least = seconds
			}
		}
	}
	return least
}

// fewSamples is how many samples a mean and a variance need.
const fewSamples = 4

// inFlightOf returns mean, variance ÷ mean, and maximum of the requests in flight
// upstream of a replica, over the samples of a phase; ok is false when there are
// too few.
func inFlightOf(p examined, component string) (mean, dispersion, most float64, ok bool) {
	var sum, squares, n float64
	for _, s := range p.Samples {
		v, has := s.Metrics[record.UpInFlight]
		if s.Component != component || !has || s.At < p.Start || s.At > p.SendEnd {
			continue
		}
		sum, squares, n = sum+v, squares+v*v, n+1
		most = math.Max(most, v)
	}
	if n < fewSamples || sum <= 0 {
		return 0, 0, most, false
	}
	mean = sum / n
	return mean, (squares - sum*mean) / (n - 1) / mean, most, true
}

// measuredAtClient adds what was seen at a client proxy in valid phases that held
// the objectives: beyond the edge queues, not demand, fill a pool. Of the phases at
// half the highest such rate or more, whose numbers need not be taken far, the one
// counts in which a request was in flight for the longest.
func measuredAtClient(in recommend.PoolInput, phases []examined, c record.Component) recommend.PoolInput {
	highest := 0.0
	good := func(p examined) bool { return p.summary.Verdict.Valid && p.summary.Holds }
	for _, p := range phases {
		if millis, ok := p.samples.Max(c.Name, record.UpConnectMillisP99); ok && millis > 0 && good(p) {
			in.ConnectSeconds = math.Max(in.ConnectSeconds, millis/1e3)
			if in.Handshake == 0 || millis/1e3 < in.Handshake {
				in.Handshake = millis / 1e3
			}
		}
		if r := perReplicaOf(p, c); good(p) {
			highest = math.Max(highest, r.rps)
			if r.upConn > 0 {
				in.Connections = math.Max(in.Connections, r.upConn)
			}
		}
	}
	longest := 0.0
	for _, p := range phases {
		r := perReplicaOf(p, c)
		if !good(p) || !(r.rps >= highest/2) || !(r.rps > 0) {
			continue
		}
		if made, ok := p.samples.Growth(c.Name, record.UpConnectionsMade); ok {
			if requests, ok := p.samples.Growth(c.Name, record.UpRequests); ok && requests > 0 {
				in.MadePerRequest = math.Max(in.MadePerRequest, made/requests)
			}
		}
		if mean, dispersion, most, ok := inFlightOf(p, c.Name); ok && mean/r.rps > longest {
			longest = mean / r.rps
			in.InFlightMean, in.Dispersion, in.InFlight, in.InFlightAtRPS = mean, dispersion, most, r.rps
		}
	}
	return in
}

// generatorConnects returns how long the generator's own connections took to open,
// in seconds: the median of the TLS handshakes, and p99 of TCP and TLS together.
// 0 when there are none.
func generatorConnects(phases []examined) (handshake, opening float64) {
	var tcp, tls []stat.Distribution
	for _, p := range phases {
		tcp = append(tcp, openingTimes(p.Connection.ConnectTimes, p.Connection.ConnectSeconds))
		tls = append(tls, openingTimes(p.Connection.HandshakeTimes, p.Connection.HandshakeSeconds))
	}
	quantile := func(parts []stat.Distribution, q float64) float64 {
		if v := stat.Merge(parts...).Quantile(q); v > 0 { // not NaN: there are some
			return v
		}
		return 0
	}
	return quantile(tls, 0.5), quantile(tcp, 0.99) + quantile(tls, 0.99)
}
