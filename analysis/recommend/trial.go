package recommend

import (
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/models/hpa"
	"github.com/sailplan-io/sailplan/analysis/quantity"
)

// Trial is the simulation that the setting of an autoscaler was chosen by.
type Trial struct {
	Load         string           `json:"load"`         // in words
	Disturbances string           `json:"disturbances"` // likewise; empty: none fitted into the load
	Timing       string           `json:"timing"`       // likewise
	SafeRPS      float64          `json:"safeRps"`      // of a replica
	OverAllowed  float64          `json:"overAllowedRatio"`
	Candidates   []TrialCandidate `json:"candidates"`
	Chosen       int              `json:"chosen"` // index of a candidate
	// Fixed is what the replicas without an autoscaler come to, over the same time.
	FixedReplicas int           `json:"fixedReplicas"`
	FixedPodHours float64       `json:"fixedPodHours"`
	RuleOfThumb   int           `json:"ruleOfThumb"` // target by the formula, percent; 0: none
	Series        []TrialMoment `json:"series"`      // of the chosen one
}

// TrialCandidate is a setting that was tried, with the fewest minReplicas that keep
// the objective; where none do, with the most that were tried.
type TrialCandidate struct {
	TargetCPUUtilization int     `json:"targetCPUUtilization,omitempty"` // percent of the request
	RPSPerReplica        float64 `json:"rpsPerReplica,omitempty"`        // instead of it
	MinReplicas          int     `json:"minReplicas"`
	Holds                bool    `json:"holds"`
	OverSeconds          float64 `json:"overSeconds"` // the hottest replica was above its safe rate
	OverRatio            float64 `json:"overRatio"`   // of the time
	OverRequests         float64 `json:"overRequestsRatio"`
	WorstLoad            float64 `json:"worstLoadRatio"` // of the hottest replica, of its safe rate
	PodHours             float64 `json:"podHours"`
	LowestReplicas       int     `json:"lowestReplicas"`
	HighestReplicas      int     `json:"highestReplicas"`
	ScaleUps             int     `json:"scaleUps"`
	ScaleDowns           int     `json:"scaleDowns"`
	DirectionChanges     int     `json:"directionChanges"`
}

// TrialMoment is a stretch of the simulation with what was highest in it.
type TrialMoment struct {
	Seconds   float64 `json:"seconds"` // since its begin
	RPS       float64 `json:"rps"`
	Replicas  int     `json:"replicas"`
	LoadRatio float64 `json:"loadRatio"` // of the hottest replica, of its safe rate
}

// seriesSize is how many moments of the chosen setting are kept.
const seriesSize = 60

func (t attempt) trial(c hpa.Choice, w hpa.World) *Trial {
	best := c.Candidates[c.Best].Outcome
	out := &Trial{
		Load: t.loadWords(), SafeRPS: t.safe, OverAllowed: t.load.Scaling.OverAllowed, Chosen: c.Best,
		FixedReplicas: t.replicas.Value, FixedPodHours: float64(t.replicas.Value) * best.Seconds / 3600,
		Disturbances: disturbanceWords(w.Disturbances, t.load), Timing: timingWords(w.Timing),
	}
	for _, candidate := range c.Candidates {
		o := candidate.Outcome
		out.Candidates = append(out.Candidates, TrialCandidate{
			TargetCPUUtilization: candidate.Target, RPSPerReplica: candidate.RPS, MinReplicas: candidate.Min, Holds: candidate.Holds,
			OverSeconds: o.OverSeconds, OverRatio: o.OverSeconds / o.Seconds, OverRequests: o.OverRequests, WorstLoad: o.WorstLoad,
			PodHours: o.PodHours, LowestReplicas: o.MinPods, HighestReplicas: o.MaxPods,
			ScaleUps: o.Ups, ScaleDowns: o.Downs, DirectionChanges: o.Turns,
		})
	}
	for _, m := range best.Series {
		out.Series = append(out.Series, TrialMoment{Seconds: m.At.Seconds(), RPS: m.RPS, Replicas: m.Pods, LoadRatio: m.Load})
	}
	return out
}

// exceptions says how much of the time need not hold.
func (t *Trial) exceptions() string {
	if t.OverAllowed <= 0 {
		return ""
	}
	return fmt.Sprintf(" but for at most %s of the time", percent(t.OverAllowed))
}

// costs compares the chosen setting with replicas that stay as they are.
func (t *Trial) costs() string {
	chosen := t.Candidates[t.Chosen]
	return fmt.Sprintf("%s pod-hours, where %d throughout take %s", quantity.Number(chosen.PodHours), t.FixedReplicas, quantity.Number(t.FixedPodHours))
}

// disturbanceWords names what happens in a trial beside the load.
func disturbanceWords(list []hpa.Disturbance, load Load) string {
	var words []string
	for _, d := range list {
		at := " at the start"
		if d.At > 0 {
			at = " after " + timeWords(d.At.Seconds())
		}
		switch {
		case d.Update:
			words = append(words, fmt.Sprintf("a rolling update with %s missing and %s more%s", orPortion(load.MaxUnavailable), orPortion(load.MaxSurge), at))
		case d.Factor > 0:
			words = append(words, fmt.Sprintf("another cluster lost, and %.3g times the load%s", d.Factor, at))
		case d.Zones > 0:
			words = append(words, fmt.Sprintf("one of %d zones lost%s", d.Zones, at))
		default:
			words = append(words, "a replica lost"+at)
		}
	}
	return strings.Join(words, ", ")
}

func timingWords(t hpa.Timing) string {
	t = t.WithDefaults()
	return fmt.Sprintf("metrics every %s, a look of the autoscaler every %s, a replica ready %s after the decision and with its share of the load %s later",
		timeWords(t.Scrape.Seconds()), timeWords(t.Sync.Seconds()), timeWords(t.StartUp.Seconds()), timeWords(t.Traffic.Seconds()))
}
