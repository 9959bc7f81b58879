package scenarios

import "time"

// Version and kind of the scenario file that this code reads.
const (
	APIVersion = "sailplan.io/v1"
	Kind       = "Scenario"
)

// Scenario is the whole of a scenario file. Exactly one of Target and Lab is set.
type Scenario struct {
	APIVersion  string      `yaml:"apiVersion"`
	Kind        string      `yaml:"kind"`
	Metadata    Metadata    `yaml:"metadata"`
	Target      *Target     `yaml:"target"`
	Lab         *Lab        `yaml:"lab"`
	Connections Connections `yaml:"connections"`
	Requests    []Request   `yaml:"requests"`
	Load        Load        `yaml:"load"`
	Objectives  []Objective `yaml:"objectives"`
	Guards      Guards      `yaml:"guards"`
	Observe     Observe     `yaml:"observe"`
	Sizing      Sizing      `yaml:"sizing"`
	Demand      Demand      `yaml:"demand"`
	Prices      Prices      `yaml:"prices"`
	Margins     Margins     `yaml:"margins"`
	Auth        *Auth       `yaml:"auth"`
	Feed        *Feed       `yaml:"feed"`
	Seed        uint64      `yaml:"seed"` // every random choice of a run follows from it

	// Dir is the folder that file names in the scenario are relative to: that of
	// the scenario file. Empty means the working directory. Not written to a file.
	Dir string `yaml:"-"`

	origin *origin // where the values were written; nil when not decoded from a file
}

// Metadata names a scenario.
type Metadata struct {
	Name string `yaml:"name"`
}

// Protocol is what is spoken to the target.
type Protocol string

// The protocols.
const (
	ProtocolH2    Protocol = "h2"  // HTTP/2 over TLS, by ALPN
	ProtocolH2C   Protocol = "h2c" // HTTP/2 in cleartext, prior knowledge
	ProtocolHTTP1 Protocol = "http/1.1"
	ProtocolGRPC  Protocol = "grpc"
)

// Target is a system that runs already.
type Target struct {
	URL       string        `yaml:"url"`       // scheme, host, optional port and path prefix
	ConnectTo string        `yaml:"connectTo"` // host:port dialled instead of the URL's
	Protocol  Protocol      `yaml:"protocol"`
	TLS       TLS           `yaml:"tls"`
	Also      []OtherTarget `yaml:"also"`    // more targets that share the connections
	Service   string        `yaml:"service"` // full name of the mesh's service behind the URL; empty: not known
}

// TLS is how a TLS connection to the target is opened.
type TLS struct {
	CAFile       string   `yaml:"caFile"`
	CertFile     string   `yaml:"certFile"`
	KeyFile      string   `yaml:"keyFile"`
	ServerName   string   `yaml:"serverName"`
	Insecure     bool     `yaml:"insecure"`   // accept any certificate; never a default
	MinVersion   string   `yaml:"minVersion"` // "1.2" or "1.3"; default 1.2
	MaxVersion   string   `yaml:"maxVersion"`
	CipherSuites []string `yaml:"cipherSuites"` // by their IANA names; of TLS 1.2 only, as Go lets nobody choose those of 1.3
	Curves       []string `yaml:"curves"`       // X25519MLKEM768, X25519, P-256, P-384, P-521
	Resume       bool     `yaml:"resume"`       // resume sessions on further connections
	SPIFFEID     string   `yaml:"spiffeID"`     // the server's certificate has to carry this URI; its DNS names don't matter then
}

// Proxy kinds of the lab.
const (
	ProxyAuto     = "auto"
	ProxyEnvoy    = "envoy"
	ProxyEmbedded = "embedded"
)

// Lab describes the lab: gateway, one sidecar per service replica, the service.
type Lab struct {
	Proxy   string     `yaml:"proxy"` // auto, envoy or embedded
	Gateway LabProxy   `yaml:"gateway"`
	Sidecar LabProxy   `yaml:"sidecar"`
	Service LabService `yaml:"service"`
	Policy  []string   `yaml:"policy"` // files with DestinationRules; none means the built-in production one
}

// LabProxy is one proxy role of the lab.
type LabProxy struct {
	Concurrency int       `yaml:"concurrency"` // worker threads, ≥ 1
	TLS         bool      `yaml:"tls"`         // gateway only: serve TLS to the load generator
	Limits      Limits    `yaml:"limits"`      // of each replica
	Replicas    int       `yaml:"replicas"`    // gateway only, ≥ 1; more than one stand behind a balancer of connections
	Placement   Placement `yaml:"placement"`   // gateway only: how that balancer chooses the replica of a connection
}

// Placement is how the balancer before several gateways of a lab chooses one for
// a new connection, which then stays there.
type Placement string

// The placements.
const (
	PlacementRoundRobin Placement = "roundRobin" // one after the other: as even as connections can be
	PlacementRandom     Placement = "random"     // as a Service of Kubernetes does it
)

// Limits are what a component may use; zero means unlimited.
type Limits struct {
	CPU    CPU   `yaml:"cpu" json:"cpu,omitzero"`
	Memory Bytes `yaml:"memory" json:"memory,omitzero"`
}

// LabService is the test service behind the sidecars.
type LabService struct {
	Replicas      int          `yaml:"replicas"` // each has a sidecar of its own
	Latency       LatencyShape `yaml:"latency"`
	ResponseBytes Bytes        `yaml:"responseBytes"`
	Limits        Limits       `yaml:"limits"`
}

// LatencyShape is a lognormal service time by two of its quantiles; both zero
// means "answer at once".
type LatencyShape struct {
	Median time.Duration `yaml:"median"`
	P99    time.Duration `yaml:"p99"`
}

// Connections is how the generator connects.
type Connections struct {
	Count                int           `yaml:"count"`
	StreamsPerConnection int           `yaml:"streamsPerConnection"`
	ConnectTimeout       time.Duration `yaml:"connectTimeout"`
	MaxRequests          int           `yaml:"maxRequests"` // then a connection is replaced; 0: never
	MaxAge               time.Duration `yaml:"maxAge"`      // then a connection is replaced; 0: never
	OpenRate             Rate          `yaml:"openRate"`    // at most so many are opened; zero: as fast as they go
	LookUpEvery          time.Duration `yaml:"lookUpEvery"` // names are looked up again for new connections; 0: for each
}

// Request is one kind of request of the mix.
type Request struct {
	Name     string            `yaml:"name"`
	Weight   float64           `yaml:"weight"` // share of the mix in proportion to the others' weights
	Method   string            `yaml:"method"`
	Path     string            `yaml:"path"`
	Headers  map[string]string `yaml:"headers"`
	Body     string            `yaml:"body"`
	BodyFile string            `yaml:"bodyFile"` // instead of body
	Timeout  time.Duration     `yaml:"timeout"`  // instead of load.timeout
	Check    *Check            `yaml:"check"`
	GRPC     *Call             `yaml:"grpc"` // with target.protocol grpc; method and path follow from it
	// What must not stand in a record, beside what is a credential by its name.
	Secret        bool     `yaml:"secret"`        // the body
	SecretHeaders []string `yaml:"secretHeaders"` // headers, by name
}

// Process names an arrival process.
type Process string

// The arrival processes.
const (
	Poisson  Process = "poisson"
	Constant Process = "constant"
	// Closed keeps every stream busy: the next request leaves when an answer
	// comes. For the highest throughput only; it has no intended instants.
	Closed Process = "closed"
)

// Pacing is how the generator waits for the next arrival.
type Pacing string

// The pacings.
const (
	Economical Pacing = "economical" // sleeps in the kernel
	Precise    Pacing = "precise"    // spins for the last stretch, costs a core
)

// Load is what `run` sends; `size` takes arrivals, pacing and timeout from it
// and chooses rates and durations itself.
type Load struct {
	Rate       Rate          `yaml:"rate"`
	Duration   time.Duration `yaml:"duration"`
	Arrivals   Process       `yaml:"arrivals"`
	Pacing     Pacing        `yaml:"pacing"`
	WarmUp     time.Duration `yaml:"warmUp"`     // for `run`: sent at the same rate before what counts
	Timeout    time.Duration `yaml:"timeout"`    // per request, from its intended instant
	Shape      *Shape        `yaml:"shape"`      // of `run`: how the rate changes; none: it does not
	TraceShare Ratio         `yaml:"traceShare"` // of requests that carry a W3C traceparent that asks to be sampled
}

// Objective is one condition on a service: either a latency at a quantile or a
// ratio of errors.
type Objective struct {
	Quantile   float64       `yaml:"quantile"` // in (0, 1); with Latency
	Latency    time.Duration `yaml:"latency"`
	ErrorRatio Ratio         `yaml:"errorRatio"` // highest tolerated share of requests not answered well
}

// IsLatency reports whether the objective is about latency (otherwise: errors).
func (o Objective) IsLatency() bool { return o.Latency > 0 }

// Guards end a run before it does harm.
type Guards struct {
	MaxRate        Rate        `yaml:"maxRate"`
	MaxErrorRatio  Ratio       `yaml:"maxErrorRatio"`
	AllowMutations bool        `yaml:"allowMutations"` // methods other than GET, HEAD, OPTIONS against a target off loopback
	AbortWhen      []Condition `yaml:"abortWhen"`
}

// Condition is a PromQL expression that stops the load as soon as it returns a
// sample that is not zero.
type Condition struct {
	Name  string `yaml:"name"`
	Query string `yaml:"query"`
}

// Observe is where resource metrics come from.
type Observe struct {
	Interval   time.Duration       `yaml:"interval"`
	Prometheus string              `yaml:"prometheus"` // base URL
	Components []ObservedComponent `yaml:"components"`
}

// Role says what a component is to the mesh.
type Role string

// The roles.
const (
	RoleGateway      Role = "gateway"
	RoleEgress       Role = "egress-gateway"
	RoleSidecar      Role = "sidecar"
	RoleService      Role = "service"
	RoleControlPlane Role = "control-plane"
)

// ObservedComponent is a part of a running target. Its metrics come from
// Prometheus, or, when it runs on this machine, from PID and Admin.
type ObservedComponent struct {
	Name        string            `yaml:"name"`
	Role        Role              `yaml:"role"`
	Replicas    int               `yaml:"replicas"`
	Concurrency int               `yaml:"concurrency"` // proxy worker threads; 0: not known
	Limits      Limits            `yaml:"limits"`
	Requests    Limits            `yaml:"requests"` // Kubernetes resource requests
	PID         int               `yaml:"pid"`
	Admin       string            `yaml:"admin"` // URL of an Envoy admin endpoint
	Prometheus  PrometheusQueries `yaml:"prometheus"`
}

// PrometheusQueries select raw series of one component: counters and gauges as
// they were scraped, never rate(). One series is one replica, but where it is said
// otherwise.
type PrometheusQueries struct {
	CPUSeconds       string `yaml:"cpuSeconds"`       // counter, seconds
	Periods          string `yaml:"periods"`          // counter, CFS periods
	ThrottledPeriods string `yaml:"throttledPeriods"` // counter, CFS periods
	WorkingSetBytes  string `yaml:"workingSetBytes"`  // gauge
	RSSBytes         string `yaml:"rssBytes"`         // gauge
	Connections      string `yaml:"connections"`      // gauge, downstream
	InFlight         string `yaml:"inFlight"`         // gauge, requests
	Requests         string `yaml:"requests"`         // counter
	LatencyBuckets   string `yaml:"latencyBuckets"`   // classic histogram's buckets, of `size --from-prometheus`
	Classes          string `yaml:"classes"`          // counter of requests with series for each class, likewise; any number of series a replica
	ClassLabel       string `yaml:"classLabel"`       // label that tells classes apart; empty: the first usual one that does
	RequestBytes     string `yaml:"requestBytes"`     // counter, of `size --from-prometheus`; any number of series a replica
	AnswerBytes      string `yaml:"answerBytes"`      // likewise
	ReplicaLabel     string `yaml:"replicaLabel"`     // label that tells replicas apart; default pod
}
