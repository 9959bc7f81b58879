package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/models/growth"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Window is a stretch of time of a system under its own users' load.
type Window struct {
	Start, End time.Duration // since the anchor of the samples
	Requests   float64       // that entered in it
	unsteady   float64       // change of the rate between its halves, relative
}

// Rate is the mean of the window, in requests a second.
func (w Window) Rate() float64 { return w.Requests / (w.End - w.Start).Seconds() }

// The windows that are chosen.
const (
	mostWindows   = 48
	rateClasses   = 16
	leastInWindow = 8 // steps
)

// WindowLength returns how long the windows of a range are that is sampled each
// step: eight steps, so that the scrapes at their ends hardly count.
func WindowLength(step time.Duration) time.Duration { return leastInWindow * step }

// Entry returns the name of the component that load enters by: the first gateway
// whose requests are counted, or else the first component. Empty when none is.
func Entry(samples []record.Sample, components []record.Component) string {
	counted := map[string]bool{}
	for _, s := range samples {
		if _, has := s.Metrics[record.DownRequests]; has {
			counted[s.Component] = true
		}
	}
	first := ""
	for _, c := range components {
		switch {
		case !counted[c.Name]:
		case c.Role == scenarios.RoleGateway:
			return c.Name
		case first == "":
			first = c.Name
		}
	}
	return first
}

// ChooseWindows divides the time of samples, which are in order of it, into windows
// and chooses those that a model learns most from: at most 48, spread over the rates
// that there were, of each rate the steadiest. Windows in which replicas came, went
// or started anew, or whose counters cannot be differenced, come last: they are
// chosen only where there is no other. left is how many windows were like that.
func ChooseWindows(samples []record.Sample, components []record.Component, length time.Duration) (chosen []Window, left int) {
	entry := Entry(samples, components)
	if entry == "" || length <= 0 {
		return nil, 0
	}
	var good, bad []Window
	first := samples[0].At.Truncate(length)
	for start := first; start+length <= samples[len(samples)-1].At+length/leastInWindow; start += length {
		w, ok := windowOf(samples, components, entry, start, start+length)
		switch {
		case ok:
			good = append(good, w)
		default:
			bad = append(bad, w)
		}
	}
	chosen = spreadOver(good)
	if len(chosen) == 0 {
		chosen = bad[:min(len(bad), mostWindows)]
	}
	slices.SortFunc(chosen, func(a, b Window) int { return cmp.Compare(a.Start, b.Start) })
	return chosen, len(bad)
}

// windowOf looks at one window; ok says that it can enter a fit.
func windowOf(samples []record.Sample, components []record.Component, entry string, start, end time.Duration) (w Window, ok bool) {
	from := sort.Search(len(samples), func(i int) bool { return samples[i].At >= start })
	to := sort.Search(len(samples), func(i int) bool { return samples[i].At > end })
	phase := record.PhaseData{
		Phase:   record.Phase{Spec: scenarios.Phase{Kind: scenarios.KindObserved}, Start: start, SendEnd: end, End: end, Ended: record.EndedDone},
		Samples: samples[from:to],
	}
	rate, known := models.Samples(phase).Rate(entry, record.DownRequests)
	w = Window{Start: start, End: end, Requests: rate * (end - start).Seconds()}
	first, second := sampleHalves(phase)
	early, _ := first.Rate(entry, record.DownRequests)
	late, _ := second.Rate(entry, record.DownRequests)
	w.unsteady = math.Abs(late-early) / math.Max(rate, 1e-9)
	phase.Counts = observedCounts(w)
	conditions := Conditions{Components: components}
	return w, known && Judge(phase, conditions).Valid
}

func observedCounts(w Window) record.Counts {
	n := int64(math.Round(w.Requests))
	return record.Counts{Intended: n, Sent: n, Answered: n}
}

// Phase returns the window as a phase of a record.
func (w Window) Phase(index int) record.Phase {
	return record.Phase{
		Spec: scenarios.Phase{
			Name: fmt.Sprintf("window %d", index), Kind: scenarios.KindObserved, Rate: scenarios.PerSecond(w.Rate()), Duration: w.End - w.Start,
		},
		Start: w.Start, SendEnd: w.End, End: w.End, Ended: record.EndedDone, Counts: observedCounts(w),
	}
}

// spreadOver chooses windows from classes of the rate that are equally wide.
func spreadOver(windows []Window) []Window {
	if len(windows) <= mostWindows {
		return windows
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, w := range windows {
		low, high = math.Min(low, w.Rate()), math.Max(high, w.Rate())
	}
	classes := make([][]Window, rateClasses)
	for _, w := range windows {
		class := int(float64(rateClasses) * (w.Rate() - low) / math.Max(high-low, 1e-9))
		class = min(class, rateClasses-1)
		classes[class] = append(classes[class], w)
	}
	var chosen []Window
	for _, class := range classes {
		slices.SortStableFunc(class, func(a, b Window) int { return cmp.Compare(a.unsteady, b.unsteady) })
		chosen = append(chosen, class[:min(len(class), mostWindows/rateClasses)]...)
	}
	return chosen
}

// observed judges a window that no generator sent the load of.
func (j *judgement) observed() {
	if !(j.seconds > 0) || j.phase.Unfinished {
		j.invalid(CodeCutShort, "the window has no end")
		return
	}
	if j.phase.Counts.Intended <= 0 {
		j.invalid(CodeNothingMeasured, "no request came in")
		return
	}
	j.enoughAnswersObserved()
	j.sampling()
	j.replicas()
}

// enoughAnswersObserved asks whether the quantiles exist where latency was observed.
func (j *judgement) enoughAnswersObserved() {
	if j.latency.N() > 0 {
		j.enoughAnswers()
	}
}

// observable are the objectives that a window can be held against: those on latency,
// where it was observed. Errors are not: no query names them.
func observable(phase record.PhaseData, objectives []scenarios.Objective) (out []scenarios.Objective) {
	if phase.Latency == nil || phase.Latency.TotalCount() == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(objectives), func(o scenarios.Objective) bool { return !o.IsLatency() })
}

// fromHistory fills in the result of what was observed, without any load of ours.
func (r *Result) fromHistory(rec *record.Record, phases []examined) {
	windows := ofKind(phases, scenarios.KindObserved)
	good := valid(windows)
	r.Valid = len(good) > 0
	lowest, highest := rateRange(good)
	known := *rec
	toldByDemand := demandForecast(rec, growth.Options{HorizonDays: 1, Draws: 1}).OK()
	if known.Scenario.Demand.PeakRate.IsZero() && highest > 0 && !toldByDemand {
		known.Scenario.Demand.PeakRate = scenarios.PerSecond(highest)
		r.Demand = demandOf(known.Scenario.Demand)
		r.Demand.Reason += "; the peak is the highest that was observed, as demand.peakRate names none"
	}
	edge := r.observedEdge(rec, good, highest)
	r.size(&known, phases, edge)
	told := slices.ContainsFunc(r.Components, func(c Component) bool { return c.CapacityPerReplicaRps.Safe() > 0 })
	if told {
		r.reachOf(rec, good)
	}
	if len(good) > 0 {
		r.observedCosts(rec, good)
	}
	r.Warnings = append(r.Warnings, blindSpots(good, highest)...)
	for i := range r.Objectives {
		r.Objectives[i].Holds, r.Objectives[i].Reason = nil, "not observed"
		if rec.Scenario.Objectives[i].IsLatency() && r.SLOEdge.Rps.OK() {
			r.Objectives[i].Reason = "seen to hold in production up to " + perSecond(r.SLOEdge.Rps.Value) + "; what lies above is not known"
		}
	}
	switch {
	case rec.Ended != record.EndedDone:
		r.settle(Incomplete, incompleteWhy(rec, phases))
	case len(windows) == 0:
		r.settle(Incomplete, "the range of time has no window with a known rate")
	case len(good) == 0:
		r.settle(Invalid, fmt.Sprintf("none of %d windows can be used: %s", len(windows), firstReason(r.InvalidReasons)))
	case !told:
		r.Valid = false
		r.settle(Invalid, "what was observed does not tell what a replica carries: "+r.whyUntold())
	case r.Observed.tooFar():
		r.Valid = false
		r.settle(Invalid, r.Observed.Reason)
	default:
		far := ""
		if o := r.Observed; o != nil && o.Reason != "" {
			far = fmt.Sprintf("; it covers plans up to %s, and not all of what is planned for", perSecond(o.ReachesRps))
		}
		r.settle(Recommended, fmt.Sprintf("from %d windows of production between %s and %s; nothing was proved%s", len(good), perSecond(lowest), perSecond(highest), far))
	}
}

func rateRange(windows []examined) (lowest, highest float64) {
	lowest = math.Inf(1)
	for _, p := range windows {
		lowest, highest = math.Min(lowest, p.offered), math.Max(highest, p.offered)
	}
	return finite(lowest), highest
}

// observedEdge says what production shows of the SLO edge, and returns what may be
// sized from: a rate up to which objectives were seen to hold is no bound on what a
// replica carries, one at which they were seen to break is.
func (r *Result) observedEdge(rec *record.Record, good []examined, highest float64) edgeOf {
	none := edgeOf{Edge: models.Edge{End: models.EdgeUnknown, RPS: stat.NotEstimable(len(good),
		fmt.Sprintf("production shows rates up to %s, and does not tell where an objective breaks", perSecond(highest)))}}
	r.SLOEdge = SLOEdge{Rps: none.RPS, End: string(none.End), BoundBy: "not known: nothing was loaded up to its edge"}
	if len(good) == 0 {
		return none
	}
	edge := findEdge(good, observable(good[0].PhaseData, rec.Scenario.Objectives), rec.Seed)
	if !edge.RPS.OK() {
		return none
	}
	r.SLOEdge = SLOEdge{Rps: edge.RPS, End: string(edge.End), Objective: edge.text(), BoundBy: "nothing was seen to bind up to the highest rate observed, " + perSecond(highest)}
	if edge.End != models.EdgeReached {
		return none
	}
	r.SLOEdge.BoundBy = "not known: production missed the objective there, which may have another cause than load"
	return edge
}

// whyUntold collects why no component has a capacity.
func (r *Result) whyUntold() string {
	for _, c := range r.Components {
		if !c.CPUSecondsPerRequest.OK() && c.CPUModel != "" {
			return c.Name + ": CPU " + c.CPUModel
		}
	}
	if len(r.Components) > 0 {
		return r.Components[0].Name + ": " + firstWarning(r.Components[0].CapacityPerReplicaRps.Estimate)
	}
	return "no component is observed"
}

// blindSpots are what such data cannot tell.
func blindSpots(good []examined, highest float64) []string {
	if len(good) == 0 {
		return nil
	}
	length := good[0].SendEnd - good[0].Start
	out := []string{
		fmt.Sprintf("nothing was sent: how the system behaves above %s, the highest mean rate of %s that was observed, is not known, and nothing here was proved", perSecond(highest), length),
		"what changed together with the rate (the mix of requests, connections, neighbours, the time of day) is counted as the cost of requests",
		fmt.Sprintf("rates are means over %s: peaks within it are hidden, and so is what they cost", length),
	}
	if good[0].latency.N() == 0 {
		out = append(out, "no latency was observed, so nothing says whether the objectives held: name latencyBuckets in observe.components[].prometheus")
	} else {
		out = append(out, "latency comes from the buckets of histograms, as exact as they are wide")
	}
	return out
}
