package scenarios

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Sizing is what `size` measures beyond what every sizing needs.
type Sizing struct {
	PerClass   bool `yaml:"perClass"`   // phases of other mixes too, so that the cost of each request of the mix shows
	QuotaPrice bool `yaml:"quotaPrice"` // one rate with the CPU quotas of a lab and without, in turns
	// PerConnection holds more and more connections open at a low rate, for what each
	// takes of memory. A lab is measured so at full length anyway.
	PerConnection bool `yaml:"perConnection"`
}

// Demand is what the system has to carry, and what of it may be lost meanwhile.
type Demand struct {
	PeakRate       Rate  `yaml:"peakRate"`
	MeanRate       Rate  `yaml:"meanRate"` // over a day; zero: not known
	Headroom       Ratio `yaml:"headroom"`
	GrowthPerMonth Ratio `yaml:"growthPerMonth"`
	HorizonMonths  int   `yaml:"horizonMonths"`

	History DemandHistory `yaml:"history"` // that growth is read from, in place of GrowthPerMonth

	Zones         int           `yaml:"zones"`        // failure zones the replicas spread over; 1 means none can be lost
	ZoneSkew      int           `yaml:"zoneSkew"`     // by how many replicas zones may differ
	Clusters      int           `yaml:"clusters"`     // that share the peak; 1 means none can be lost
	ClusterShare  Ratio         `yaml:"clusterShare"` // of the peak, of the busiest cluster; 0: all alike
	RollingUpdate RollingUpdate `yaml:"rollingUpdate"`

	Connections int       `yaml:"connections"` // of clients to the gateways, at the peak; 0: not known
	Placement   Placement `yaml:"placement"`   // how they come to a gateway

	Proxies         int           `yaml:"proxies"`         // that the control plane serves; 0: those that are sized
	ReconnectWithin time.Duration `yaml:"reconnectWithin"` // proxies of a control plane's lost replica are served again

	Scaling Scaling    `yaml:"scaling"` // what an autoscaler is tried with
	Today   []Declared `yaml:"today"`   // what runs now, where it is not the target's components
}

// DemandHistory is where the rates of the past weeks or months come from. At most
// one of Query and File is set; neither means that there is no history.
type DemandHistory struct {
	Query string        `yaml:"query"` // PromQL, asked of observe.prometheus; its only series is the rate per second
	Last  time.Duration `yaml:"last"`  // how far back Query looks
	File  string        `yaml:"file"`  // CSV: instant, rate per second
}

// Any reports whether there is a history.
func (h DemandHistory) Any() bool { return h.Query != "" || h.File != "" }

// Scaling is what the settings of an autoscaler are tried with.
type Scaling struct {
	Load          []RateAt      `yaml:"load"`          // today's; its highest rate is taken for the peak. Empty: a ramp
	Trough        Rate          `yaml:"trough"`        // of that ramp; zero: a third of the peak
	StartUp       time.Duration `yaml:"startUp"`       // from the decision until a new replica is ready
	MetricsEvery  time.Duration `yaml:"metricsEvery"`  // metrics-server's resolution
	SyncEvery     time.Duration `yaml:"syncEvery"`     // the autoscaler's
	OverAllowed   Ratio         `yaml:"overAllowed"`   // share of the time that may be over the objective
	HighestTarget Ratio         `yaml:"highestTarget"` // of the CPU request
}

// RateAt is the rate at an instant of a day or a week.
type RateAt struct {
	At   time.Duration `yaml:"at"`
	Rate Rate          `yaml:"rate"`
}

// LargestShare returns the share of the peak that the busiest cluster takes, in
// (0, 1].
func (d Demand) LargestShare() float64 {
	if d.ClusterShare > 0 {
		return float64(d.ClusterShare)
	}
	return 1 / float64(max(d.Clusters, 1))
}

// RollingUpdate is how a Deployment replaces its pods.
type RollingUpdate struct {
	MaxUnavailable Portion `yaml:"maxUnavailable"`
	MaxSurge       Portion `yaml:"maxSurge"`
}

// PlacementLeast places a connection on the replica that has the fewest.
const PlacementLeast Placement = "leastConnection"

// Declared is what runs now under the name of a component.
type Declared struct {
	Name     string `yaml:"name"`
	Replicas int    `yaml:"replicas"`
	Requests Limits `yaml:"requests"`
	Limits   Limits `yaml:"limits"`
}

// Prices are what resources cost by the hour; zero means not known.
type Prices struct {
	CPUHour  float64 `yaml:"cpuHour"`  // of a core
	GiBHour  float64 `yaml:"gibHour"`  // of memory
	Currency string  `yaml:"currency"` // only named in reports
}

// Any reports whether there is a price.
func (p Prices) Any() bool { return p.CPUHour > 0 || p.GiBHour > 0 }

// Margins say up to which change a metric counts as unchanged when runs of the
// scenario are compared: a share of the base's value, or, of ErrorRatio, of all requests.
type Margins struct {
	LatencyP50    Ratio `yaml:"latencyP50"`
	LatencyP90    Ratio `yaml:"latencyP90"`
	LatencyP99    Ratio `yaml:"latencyP99"` // of p99 ÷ p50 as well
	ErrorRatio    Ratio `yaml:"errorRatio"`
	HighestRate   Ratio `yaml:"highestRate"`   // at which the objectives hold
	CPUPerRequest Ratio `yaml:"cpuPerRequest"` // of each component
	Memory        Ratio `yaml:"memory"`        // of each component
	Handshakes    Ratio `yaml:"handshakes"`
}

// Portion is a number of replicas, or a share of them: "1", "25%". The empty
// Portion is not set, and "0" is none.
type Portion string

// portionPattern is the spelling of a Portion.
const portionPattern = `^([0-9]{1,5}|[0-9]{1,2}%|100%)$`

// ParsePortion reads "1" or "25%".
func ParsePortion(s string) (Portion, error) {
	if !portionExpression.MatchString(s) {
		return "", fmt.Errorf("%q is neither a number of replicas nor a share of them: write for instance 1 or 25%%", s)
	}
	return Portion(s), nil
}

// Parts returns the number of replicas or the share of them; isShare tells which
// of the two it is. Both are 0 for what is not set.
func (p Portion) Parts() (count int, share float64, isShare bool) {
	number, isShare := strings.CutSuffix(string(p), "%")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return 0, 0, false
	case isShare:
		return 0, float64(n) / 100, true
	}
	return n, 0, false
}

// MarshalText prints the portion as it was written.
func (p Portion) MarshalText() ([]byte, error) {
	if p != "" && !portionExpression.MatchString(string(p)) {
		return nil, fmt.Errorf("portion %q cannot be written", string(p))
	}
	return []byte(p), nil
}

// UnmarshalText reads what ParsePortion reads.
func (p *Portion) UnmarshalText(text []byte) error {
	parsed, err := ParsePortion(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// demand wants what is planned for to fit together.
func (v *validator) demand() {
	d := v.s.Demand
	if !d.MeanRate.IsZero() && d.MeanRate.RPS() > d.PeakRate.RPS() && !(d.PeakRate.IsZero() && d.History.Any()) {
		v.fail("demand.meanRate", "", "%s is above demand.peakRate, %s", d.MeanRate, d.PeakRate)
	}
	if d.ClusterShare > 0 {
		switch even := 1 / float64(max(d.Clusters, 1)); {
		case d.Clusters < 2:
			v.fail("demand.clusterShare", "set demand.clusters", "the share of one cluster among several needs their number")
		case float64(d.ClusterShare) < even-1e-9:
			v.fail("demand.clusterShare", "", "%s is less than the share of %d clusters that are all alike: it is that of the busiest", d.ClusterShare, d.Clusters)
		}
	}
	if _, share, _ := d.RollingUpdate.MaxUnavailable.Parts(); share >= 1 {
		v.fail("demand.rollingUpdate.maxUnavailable", "", "with %s no replica need be there during an update", d.RollingUpdate.MaxUnavailable)
	}
	v.history(d)
	v.scaling(d)
	v.today(d.Today)
}

// history wants one source of rates, and growth from one place.
func (v *validator) history(d Demand) {
	const path = "demand.history"
	h := d.History
	switch {
	case h.Query != "" && h.File != "":
		v.fail(path, "give file, or query and last", "both file and query are given: one of them is needed")
	case h.Query == "" && h.Last > 0:
		v.fail(path+".last", "give query, or remove it", "is for a query only")
	case h.Query != "" && v.s.Observe.Prometheus == "":
		v.fail(path+".query", "set observe.prometheus", "a query needs a Prometheus to ask")
	case !h.Any() && v.s.origin != nil && v.s.origin.zero[path]:
		v.fail(path, "give file, or query and last", "is empty")
	}
	if h.Any() && d.GrowthPerMonth > 0 {
		v.fail("demand.growthPerMonth", "remove one of the two", "growth is stated here and read from demand.history: only one can be")
	}
}

// longestScaling bounds the load that an autoscaler is tried with, and
// mostScalingPoints its points.
const (
	longestScaling    = 31 * 24 * time.Hour
	mostScalingPoints = 20_000
)

// scaling wants a load in order, and a trough that lies below the peak.
func (v *validator) scaling(d Demand) {
	load := d.Scaling.Load
	switch {
	case len(load) == 0:
	case len(load) == 1:
		v.fail("demand.scaling.load", "", "one point is no load over time: at least two are needed")
	case len(load) > mostScalingPoints:
		v.fail("demand.scaling.load", "", "%d points: more than %d are not read", len(load), mostScalingPoints)
	case load[0].At != 0:
		v.fail("demand.scaling.load[0].at", "", "the load begins at %s, not at 0s", load[0].At)
	case load[len(load)-1].At > longestScaling:
		v.fail(fmt.Sprintf("demand.scaling.load[%d].at", len(load)-1), "", "the load lasts %s: no more than %s", load[len(load)-1].At, longestScaling)
	}
	highest := 0.0
	for i := range load {
		highest = max(highest, load[i].Rate.RPS())
		if i > 0 && load[i].At < load[i-1].At {
			v.fail(fmt.Sprintf("demand.scaling.load[%d].at", i), "", "%s comes after %s", load[i].At, load[i-1].At)
		}
	}
	switch {
	case len(load) < 2:
	case load[len(load)-1].At == 0:
		v.fail("demand.scaling.load", "", "the load takes no time")
	case highest == 0:
		v.fail("demand.scaling.load", "", "the load never rises above zero")
	}
	trough := d.Scaling.Trough
	switch {
	case trough.IsZero():
	case len(load) > 0:
		v.fail("demand.scaling.trough", "", "the lowest rate is that of demand.scaling.load")
	case !d.PeakRate.IsZero() && trough.RPS() > d.PeakRate.RPS():
		v.fail("demand.scaling.trough", "", "%s is above demand.peakRate, %s", trough, d.PeakRate)
	}
}

// today wants the names of components, each once.
func (v *validator) today(today []Declared) {
	names := make(map[string]int)
	for i, c := range today {
		path := fmt.Sprintf("demand.today[%d]", i)
		if first, seen := names[c.Name]; seen && c.Name != "" {
			v.fail(path+".name", "", "the same name as demand.today[%d]", first)
		}
		names[c.Name] = i
		v.memory(path+".limits", c.Limits)
		v.memory(path+".requests", c.Requests)
		known := v.componentNames()
		if found := false; c.Name != "" {
			for _, name := range known {
				found = found || name == c.Name
			}
			if !found {
				hint := "there are: " + strings.Join(known, ", ")
				if near, ok := Nearest(c.Name, known); ok {
					hint = fmt.Sprintf("did you mean %q?", near)
				}
				v.fail(path+".name", hint, "%q is no component of this scenario", c.Name)
			}
		}
	}
}

// componentNames are those of the components that a run of the scenario has.
func (v *validator) componentNames() []string {
	if v.s.Lab != nil {
		return []string{"gateway", "sidecar", "service"}
	}
	var names []string
	for _, c := range v.s.Observe.Components {
		names = append(names, c.Name)
	}
	return names
}
