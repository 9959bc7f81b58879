package analysis

import (
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// ResultFormatVersion is the version of recommendation.json that this code writes.
const ResultFormatVersion = 1

// Outcome is the answer in one word.
type Outcome string

// The outcomes. The commands turn them into exit codes.
const (
	Recommended  Outcome = "recommended"  // and the proof agrees
	Infeasible   Outcome = "infeasible"   // no number of replicas meets the objective
	Contradicted Outcome = "contradicted" // the proof did not find what was predicted
	Invalid      Outcome = "invalid"      // measured, but not validly: no answer
	Incomplete   Outcome = "incomplete"   // the run ended before there was enough to answer
	Held         Outcome = "held"         // of `run`: every objective held
	Missed       Outcome = "missed"       // of `run`: an objective was missed
	Measured     Outcome = "measured"     // of `run`: there was no objective to hold
	Found        Outcome = "found"        // of `run`: the highest rate that holds
)

// Result is what recommendation.json holds. Names carry their unit; durations
// are seconds.
type Result struct {
	FormatVersion  int             `json:"formatVersion"`
	Tool           record.Tool     `json:"tool"`
	Command        string          `json:"command"`
	Quick          bool            `json:"quick"`
	Scenario       string          `json:"scenario"`
	StartedAt      string          `json:"startedAt"` // RFC 3339
	Seed           uint64          `json:"seed"`
	Evidence       record.Evidence `json:"evidence"`
	Lab            *Lab            `json:"lab,omitempty"`
	Host           record.Host     `json:"host"`
	Ended          record.Ending   `json:"ended"` // empty: the run was killed
	EndedWhy       string          `json:"endedWhy,omitempty"`
	Outcome        Outcome         `json:"outcome"`
	OutcomeReason  string          `json:"outcomeReason"` // one sentence
	Valid          bool            `json:"valid"`
	InvalidReasons []Reason        `json:"invalidReasons"`
	Objectives     []Objective     `json:"objectives"`
	Demand         Demand          `json:"demand"`
	SLOEdge        SLOEdge         `json:"sloEdge"`
	Knee           *Knee           `json:"knee,omitempty"` // of a sizing with a latency objective
	Components     []Component     `json:"components"`
	ConnectionPool *ConnectionPool `json:"connectionPool,omitempty"`
	Staged         []Staged        `json:"staged,omitempty"` // reductions that belong in steps
	Growth         *Growth         `json:"growth,omitempty"` // nil where nothing is said of growth
	Costs          *Costs          `json:"costs,omitempty"`  // nil without prices
	Verification   *Verification   `json:"verification,omitempty"`
	Forecast       *Forecast       `json:"forecast,omitempty"`    // of a sizing: what its low load says of the rest
	Rates          []SideBySide    `json:"rates,omitempty"`       // of a sizing: the SLO edge, the CPU limit and saturation, forecast, fitted and measured
	QuotaTrial     *QuotaTrial     `json:"quotaTrial,omitempty"`  // with sizing.quotaPrice
	Calibration    *Calibration    `json:"calibration,omitempty"` // with --calibrate
	Observed       *Observed       `json:"observed,omitempty"`    // of a sizing without a load: how far what was observed reaches
	Phases         []PhaseSummary  `json:"phases"`
	Warnings       []string        `json:"warnings"`

	*LoadSummary // of `run`; nil otherwise
}

// Lab says what the lab was.
type Lab struct {
	Kind           string          `json:"kind"`
	EnvoyVersion   string          `json:"envoyVersion,omitempty"`
	LimitsEnforced bool            `json:"limitsEnforced"`
	LimitsWhyNot   string          `json:"limitsWhyNot,omitempty"`
	Policy         []record.Policy `json:"policy,omitempty"`
}

// Reason is why something is judged as it is.
type Reason struct {
	Code    string `json:"code"` // stable, kebab-case
	Message string `json:"message"`
}

// Objective is one objective and how the system stands to it.
type Objective struct {
	Text           string  `json:"text"` // for instance "p99 ≤ 50 ms"
	Quantile       float64 `json:"quantile,omitempty"`
	LatencySeconds float64 `json:"latencySeconds,omitempty"`
	ErrorRatio     float64 `json:"errorRatio,omitempty"`
	// Holds says whether the recommendation holds the objective, or of `run` whether
	// the load did; nil where there is no valid answer. Reason says it in words.
	Holds  *bool  `json:"holds,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Demand is what the recommendation plans for.
type Demand struct {
	PeakRps        float64 `json:"peakRps"`
	Headroom       float64 `json:"headroom"`
	GrowthPerMonth float64 `json:"growthPerMonth"`
	HorizonMonths  int     `json:"horizonMonths"`
	Zones          int     `json:"zones"`
	GrowthFactor   float64 `json:"growthFactor,omitempty"` // in place of growthPerMonth, where a history tells it
	PlannedRps     float64 `json:"plannedRps"`             // peak × (1+headroom) × (1+growth)^months, or × growthFactor
	Reason         string  `json:"reason"`                 // the arithmetic in words
}

// SLOEdge is the highest rate of the whole chain that holds the objectives, as
// the sweep's fit predicts it.
type SLOEdge struct {
	Rps       stat.Estimate `json:"rps"`
	End       string        `json:"end"`       // reached, not-reached (the highest measured rate still holds), infeasible, unknown
	Objective string        `json:"objective"` // the one that breaks first
	BoundBy   string        `json:"boundBy"`   // component and resource that bind there, in words
	Component string        `json:"component,omitempty"`
	Resource  string        `json:"resource,omitempty"` // cpu-quota, cpu-concurrency, memory, pool, latency
}

// Component is one component: what it costs, what a replica carries, how many to run.
type Component struct {
	Name                     string        `json:"name"`
	Role                     string        `json:"role"`
	ReplicasMeasured         int           `json:"replicasMeasured"`
	Concurrency              int           `json:"concurrency,omitempty"`
	CPULimitCores            float64       `json:"cpuLimitCores,omitempty"`
	MemoryLimitBytes         int64         `json:"memoryLimitBytes,omitempty"`
	CPUSecondsPerRequest     stat.Estimate `json:"cpuSecondsPerRequest"` // marginal, wake-ups not included
	CPUSecondsPerWakeUp      stat.Estimate `json:"cpuSecondsPerWakeUp"`
	CPUIdleCores             stat.Estimate `json:"cpuIdleCores"`           // per replica
	CPUModel                 string        `json:"cpuModel"`               // the fitted formula in words, with its residual
	RequestCosts             *RequestCosts `json:"requestCosts,omitempty"` // of a mix of several requests
	MemoryBaseBytes          stat.Estimate `json:"memoryBaseBytes"`
	MemoryBytesPerInFlight   stat.Estimate `json:"memoryBytesPerInFlight"`
	MemoryBytesPerConnection stat.Estimate `json:"memoryBytesPerConnection"`
	// MemoryKeptShare is the share of what memory grew by under load that was still held
	// when the load had come down again, and MemoryDriftBytesPerSecond its growth at constant load.
	MemoryKeptShare           stat.Estimate `json:"memoryKeptShare"`
	MemoryDriftBytesPerSecond stat.Estimate `json:"memoryDriftBytesPerSecond"`
	SLOEdgeRps                stat.Estimate `json:"sloEdgeRps"`  // per replica; a lower bound where no component is seen to bind; not estimable where another binds
	CPULimitRps               stat.Estimate `json:"cpuLimitRps"` // per replica: where CPU reaches its limit
	CapacityPerReplicaRps     Capacity      `json:"capacityPerReplicaRps"`
	Replicas                  *Replicas     `json:"replicas,omitempty"` // absent for what is not to be sized, with the reason in Notes
	Resources                 *Resources    `json:"resources,omitempty"`
	HPA                       *HPA          `json:"hpa,omitempty"`
	Connections               *Connections  `json:"connections,omitempty"`   // of clients, how long they should live; nil where they are not known
	Signal                    *Signal       `json:"scalingSignal,omitempty"` // another metric to scale by, where CPU alone does not tell
	Notes                     []string      `json:"notes"`
}

// The parts of a recommendation, which package recommend owns.
type (
	Capacity       = recommend.Capacity
	Candidate      = recommend.Candidate
	Replicas       = recommend.Replicas
	Resources      = recommend.Resources
	Quantities     = recommend.Quantities
	HPA            = recommend.HPA
	Signal         = recommend.Signal
	Trial          = recommend.Trial
	ConnectionPool = recommend.ConnectionPool
	PoolTCP        = recommend.PoolTCP
	PoolHTTP       = recommend.PoolHTTP
	Connections    = recommend.Connections
	Staged         = recommend.Staged
	Costs          = recommend.Costs
	Growth         = recommend.Growth
	Basis          = recommend.Basis
)

// Verification holds the prediction of the SLO edge against a search that did
// not know it.
type Verification struct {
	PredictedRps         stat.Estimate `json:"predictedRps"`
	MeasuredRps          stat.Estimate `json:"measuredRps"`
	MeasuredEnd          string        `json:"measuredEnd,omitempty"` // as SLOEdge.End, of the search
	RelativeError        float64       `json:"relativeError"`         // (predicted − measured) ÷ measured; NaN, null in JSON, when there are not both
	Tolerance            float64       `json:"tolerance"`             // what is still called agreement
	ObjectiveHeldBelow   *ProofPoint   `json:"objectiveHeldBelow"`    // just below the measured edge
	ObjectiveMissedAbove *ProofPoint   `json:"objectiveMissedAbove"`  // just above it
	Agrees               bool          `json:"agrees"`
	Reason               string        `json:"reason"`
}

// ProofPoint is one phase of the proof.
type ProofPoint struct {
	Rps      float64 `json:"rps"`
	Holds    bool    `json:"holds"`
	Expected bool    `json:"expected"` // it holds below, or is missed above, as it should
	Valid    bool    `json:"valid"`    // whether it is a valid measurement
	Reason   string  `json:"reason"`   // the numbers
	Phase    int     `json:"phase"`
}

// PhaseSummary is one phase with its verdict.
type PhaseSummary struct {
	Index        int                      `json:"index"`
	Name         string                   `json:"name"`
	Kind         string                   `json:"kind"`
	OfferedRps   float64                  `json:"offeredRps"`
	AchievedRps  float64                  `json:"achievedRps"`
	P50          stat.Estimate            `json:"p50LatencySeconds"`
	P99          stat.Estimate            `json:"p99LatencySeconds"`
	ErrorRatio   float64                  `json:"errorRatio"`
	LagP99       stat.Estimate            `json:"p99SendLagSeconds"`
	CPUCores     map[string]stat.Estimate `json:"cpuCores"`       // by component, sum over replicas
	Throttled    map[string]float64       `json:"throttledRatio"` // by component, share of quota periods
	Holds        bool                     `json:"holdsObjectives"`
	HoldsReason  string                   `json:"holdsReason"`  // the numbers
	ObjectiveUse float64                  `json:"objectiveUse"` // how much of the tightest objective was used; 1 is the limit
	Verdict      Verdict                  `json:"verdict"`
	StartSeconds float64                  `json:"startSeconds"`
	Seconds      float64                  `json:"seconds"`
}

// Verdict says whether a phase is a valid measurement.
type Verdict struct {
	Valid        bool     `json:"valid"`        // evidence for an objective held or missed
	UsableForFit bool     `json:"usableForFit"` // valid, and a steady state that a model may be fitted to
	Reasons      []Reason `json:"reasons"`      // why it is not valid
	NotForFit    []Reason `json:"notForFit"`    // why it is of no use for a fit though it is valid
	Warnings     []Reason `json:"warnings"`     // what to keep in mind
}
