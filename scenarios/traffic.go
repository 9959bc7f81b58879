package scenarios

import "time"

// Auth is where the credential comes from that every request carries. Exactly
// one of TokenFile, Exec and OAuth2 is set. The credential itself is never
// recorded.
type Auth struct {
	TokenFile string   `yaml:"tokenFile"` // read again when it changes
	Exec      []string `yaml:"exec"`      // a command and its arguments; it prints the token, or a kubectl ExecCredential
	OAuth2    *OAuth2  `yaml:"oauth2ClientCredentials"`
	Header    string   `yaml:"header"` // that carries it; default authorization
	Scheme    string   `yaml:"scheme"` // in front of the token; default Bearer, "none" for the bare token
}

// OAuth2 are client credentials (RFC 6749, section 4.4).
type OAuth2 struct {
	TokenURL         string   `yaml:"tokenURL"`
	ClientID         string   `yaml:"clientID"`
	ClientSecretFile string   `yaml:"clientSecretFile"`
	Scopes           []string `yaml:"scopes"`
	Audience         string   `yaml:"audience"`
}

// Feed is a file of values for requests, one row a request: ${name} in the path,
// a header or the body of a request stands for the column, or the member, of
// that name.
type Feed struct {
	File  string    `yaml:"file"`  // .csv with a header line, or .jsonl
	Order FeedOrder `yaml:"order"` // default: in turn, from the start again at the end
}

// FeedOrder is how rows of a feed follow one another.
type FeedOrder string

// The orders.
const (
	FeedInTurn FeedOrder = "in-turn" // and from the start again
	FeedOnce   FeedOrder = "once"    // the load ends with the rows
)

// Check is what an answer has to show to be good; a request without one is
// judged by its status alone.
type Check struct {
	Status string            `yaml:"status"` // for example "200", "2xx", "200-204,301"
	Header map[string]string `yaml:"header"` // at most one: its name, and what its value contains
	Body   string            `yaml:"body"`   // appears in the body
}

// Call makes a request a call of gRPC.
type Call struct {
	Method        string `yaml:"method"`        // package.Service/Method
	Message       string `yaml:"message"`       // JSON; ${…} from the feed
	DescriptorSet string `yaml:"descriptorSet"` // file made by protoc --descriptor_set_out --include_imports; empty: server reflection
}

// OtherTarget is one of several targets that share the load.
type OtherTarget struct {
	URL       string  `yaml:"url"`
	ConnectTo string  `yaml:"connectTo"`
	Weight    float64 `yaml:"weight"` // of the connections, against 1 of the target itself
}

// Shape is how the rate of `run` changes over its duration.
type Shape struct {
	Ramp   *RampShape  `yaml:"ramp"`
	Steps  []StepShape `yaml:"steps"`
	Spike  *SpikeShape `yaml:"spike"`
	Sine   *SineShape  `yaml:"sine"`
	Replay *Replay     `yaml:"replay"`
}

// RampShape goes from one rate to another in a straight line.
type RampShape struct {
	From Rate `yaml:"from"`
	To   Rate `yaml:"to"`
}

// StepShape holds a rate for a while.
type StepShape struct {
	Rate Rate          `yaml:"rate"`
	For  time.Duration `yaml:"for"`
}

// SpikeShape is load.rate with one stretch of another rate.
type SpikeShape struct {
	Rate Rate          `yaml:"rate"`
	At   time.Duration `yaml:"at"`
	For  time.Duration `yaml:"for"`
}

// SineShape swings around load.rate.
type SineShape struct {
	Amplitude Rate          `yaml:"amplitude"`
	Period    time.Duration `yaml:"period"`
}

// Replay follows a curve that was recorded.
type Replay struct {
	File  string        `yaml:"file"`  // CSV with a header line: seconds,rate (or an RFC 3339 time instead of seconds)
	Query string        `yaml:"query"` // PromQL, asked of observe.prometheus; its only series is the rate
	Last  time.Duration `yaml:"last"`  // how far back Query looks
	Scale float64       `yaml:"scale"` // every rate × this; default 1
}

// CurvePoint is a point of a rate that changes: between two of them it goes in a
// straight line, and two at the same instant are a jump.
type CurvePoint struct {
	At  time.Duration // from the start of the phase
	RPS float64       // ≥ 0
}
