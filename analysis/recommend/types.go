package recommend

import (
	"encoding/json"
	"math"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// The bounds of a capacity.
const (
	BoundEdge   = "slo-edge"
	BoundCPU    = "cpu-75%"
	BoundMemory = "memory-80%"
	BoundPool   = "pool"
	// BoundObserved is the multiple of the highest rate of a replica that was observed
	// up to which a model without a load is believed.
	BoundObserved = "3x-observed"
)

// Capacity is the operating capacity of one replica: the smallest of its candidates' safe ends.
type Capacity struct {
	stat.Estimate             // of the candidate that binds; Safe is what counts
	BoundBy       string      // empty when nothing is known to bound it; also set when what binds leaves no safe rate
	Candidates    []Candidate // rising by their safe ends, those that are not estimable last
}

// Safe returns the rate that a replica is trusted with: the safe end of the
// candidate that binds, rps; NaN when there is none.
func (c Capacity) Safe() float64 {
	for _, candidate := range c.Candidates {
		if candidate.BoundBy == c.BoundBy && c.BoundBy != "" {
			return candidate.Safe
		}
	}
	return math.NaN()
}

type capacityJSON struct {
	Value      *float64    `json:"value"`
	Low        *float64    `json:"low"`
	High       *float64    `json:"high"`
	Confidence float64     `json:"confidence"`
	N          int         `json:"n"`
	Warnings   []string    `json:"warnings"`
	BoundBy    string      `json:"boundBy"`
	Candidates []Candidate `json:"candidates"`
}

// MarshalJSON writes the estimate's fields beside the capacity's own.
func (c Capacity) MarshalJSON() ([]byte, error) {
	estimate, err := json.Marshal(c.Estimate)
	if err != nil {
		return nil, err
	}
	var out capacityJSON
	if err := json.Unmarshal(estimate, &out); err != nil {
		return nil, err
	}
	out.BoundBy, out.Candidates = c.BoundBy, c.Candidates
	if out.Candidates == nil {
		out.Candidates = []Candidate{}
	}
	return json.Marshal(out)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *Capacity) UnmarshalJSON(data []byte) error {
	var in capacityJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if err := json.Unmarshal(data, &c.Estimate); err != nil {
		return err
	}
	c.BoundBy, c.Candidates = in.BoundBy, in.Candidates
	return nil
}

func pointer(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func number(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// Candidate is one bound on the capacity of a replica.
type Candidate struct {
	BoundBy string        // slo-edge, cpu-75%, memory-80%, pool, 3x-observed
	Rps     stat.Estimate // not estimable: the bound is not known, and Reason says why
	Safe    float64       // the end of the interval that counts; 0: no rate is safe; NaN, null in JSON, when not known
	Reason  string
}

type candidateJSON struct {
	BoundBy string        `json:"boundBy"`
	Rps     stat.Estimate `json:"rps"`
	Safe    *float64      `json:"safeRps"`
	Reason  string        `json:"reason"`
}

// MarshalJSON writes a safe end that does not exist as null.
func (c Candidate) MarshalJSON() ([]byte, error) {
	return json.Marshal(candidateJSON{c.BoundBy, c.Rps, pointer(c.Safe), c.Reason})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *Candidate) UnmarshalJSON(data []byte) error {
	var in candidateJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*c = Candidate{in.BoundBy, in.Rps, number(in.Safe), in.Reason}
	return nil
}

// Replicas is how many to run, in one cluster.
type Replicas struct {
	Value                 int    `json:"value"`                 // what is recommended: survives each of the losses
	CarriesPlannedRate    int    `json:"carriesPlannedRate"`    // nothing lost
	SurvivesReplicaLoss   int    `json:"survivesReplicaLoss"`   // so many, so that one may be lost
	SurvivesZoneLoss      int    `json:"survivesZoneLoss"`      // so many, so that one zone may be lost; 0: with one zone, none can be
	SurvivesRollingUpdate int    `json:"survivesRollingUpdate"` // so many, so that enough are left during an update; 0: not looked at
	SurvivesClusterLoss   int    `json:"survivesClusterLoss"`   // so many, so that another cluster may be lost, and one replica meanwhile; 0: there is one cluster
	MostDuringUpdate      int    `json:"mostDuringUpdate"`      // with the surge of a rolling update; 0: not looked at
	Reason                string `json:"reason"`
	// HottestFactor is the load of the hottest replica as a multiple of the mean when
	// just enough are left, at the safe end; 0 where connections do not matter or are
	// not known.
	HottestFactor float64 `json:"hottestFactor,omitempty"`
	// What it was reckoned with: by how many replicas zones may differ, and how a
	// rolling update goes on, as in a Deployment.
	Zones          int    `json:"zones,omitempty"`
	ZoneSkew       int    `json:"zoneSkew,omitempty"`
	MaxUnavailable string `json:"maxUnavailable,omitempty"`
	MaxSurge       string `json:"maxSurge,omitempty"`
	Basis

	worst pressed
}

// Resources are Kubernetes quantities per replica, and of a proxy the worker
// threads that go with them.
type Resources struct {
	Requests    Quantities `json:"requests"`
	Limits      Quantities `json:"limits"`
	Concurrency int        `json:"concurrency,omitempty"` // worker threads of a proxy
	// ConcurrencyReason has the price of the CPU quota too, as it was measured.
	ConcurrencyReason string `json:"concurrencyReason,omitempty"`
	// ConnectionsRunOut is how many connections on a replica use up the memory limit;
	// 0: not known.
	ConnectionsRunOut int         `json:"connectionsRunOut,omitempty"`
	ConnectionsReason string      `json:"connectionsReason,omitempty"`
	Throttling        *Throttling `json:"throttling,omitempty"`
	Leak              *Leak       `json:"leak,omitempty"` // then no memory is recommended
	Reason            string      `json:"reason"`
	CPU               *Basis      `json:"cpu,omitempty"`    // nil: not recommended
	Memory            *Basis      `json:"memory,omitempty"` // likewise
}

// Leak is memory that grows at constant load.
type Leak struct {
	BytesPerHour stat.Estimate `json:"bytesPerHour"`
	HoursToLimit float64       `json:"hoursToLimit,omitempty"` // at the earliest; 0: there is no limit, or it is reached
}

// Throttling is the price of a CPU quota, as phases on both sides of it show it.
// Rates are per replica; 0: there was no such phase.
type Throttling struct {
	UnthrottledRps        float64 `json:"unthrottledRps"` // the highest of a phase without
	UnthrottledP99Seconds float64 `json:"unthrottledP99Seconds"`
	ThrottledRps          float64 `json:"throttledRps"` // the lowest of a phase with
	ThrottledP99Seconds   float64 `json:"throttledP99Seconds"`
	ThrottledRatio        float64 `json:"throttledRatio"` // share of quota periods
}

// Quantities are Kubernetes quantities; empty: none.
type Quantities struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

// ConnectionPool is the recommended connectionPool of the destination.
type ConnectionPool struct {
	TCP  PoolTCP  `json:"tcp"`
	HTTP PoolHTTP `json:"http"`
	// Reasons by field name as in YAML, for instance "http.http2MaxRequests".
	Reasons map[string]string `json:"reasons"`
	// Details are what each field rests on, by the same names.
	Details map[string]Basis `json:"details,omitempty"`
	// TripSeconds is the mean latency from which on http2MaxRequests sheds requests
	// at the planned rate; 0: not known.
	TripSeconds float64 `json:"tripSeconds,omitempty"`
	// Host is the destination the settings are for.
	Host string `json:"host"`
}

// PoolTCP is connectionPool.tcp.
type PoolTCP struct {
	MaxConnections int    `json:"maxConnections"`
	ConnectTimeout string `json:"connectTimeout"`
}

// PoolHTTP is connectionPool.http; 0 and empty: no limit.
type PoolHTTP struct {
	HTTP1MaxPendingRequests  int    `json:"http1MaxPendingRequests"`
	HTTP2MaxRequests         int    `json:"http2MaxRequests"`
	MaxRequestsPerConnection int    `json:"maxRequestsPerConnection"`
	MaxRetries               int    `json:"maxRetries"`
	IdleTimeout              string `json:"idleTimeout,omitempty"`
}
