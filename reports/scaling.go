package reports

import (
	"fmt"
	"math"
	"strconv"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/recommend"
)

// scalingSection shows what the settings of the autoscalers were chosen from.
func scalingSection(result analysis.Result) Section {
	s := Section{Title: ScalingTitle, Detail: true}
	for _, c := range result.Components {
		if c.HPA != nil && c.HPA.Trial != nil {
			s.Blocks = append(s.Blocks, trialBlocks(c.Name, c.HPA.Trial)...)
		}
		if c.Signal != nil && c.Signal.Trial != nil {
			s.Blocks = append(s.Blocks, trialBlocks(c.Name, c.Signal.Trial)...)
		}
	}
	return s
}

func trialBlocks(name string, trial *analysis.Trial) []Block {
	items := []KeyValue{
		{"Load", trial.Load},
		{"Disturbances", orElse(trial.Disturbances, "none: the load is too short for any")},
		{"Timing", trial.Timing},
		{"Without an autoscaler", fmt.Sprintf("%d replicas, %s pod-hours", trial.FixedReplicas, quantity.Number(trial.FixedPodHours))},
	}
	blocks := []Block{KeyValues{items}, trialTable(name, trial)}
	if chart := trialChart(name, trial); len(chart.Lines) > 0 {
		blocks = append(blocks, chart)
	}
	return blocks
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// trialTable has a row for each target.
func trialTable(name string, trial *analysis.Trial) Table {
	t := Table{
		Caption: fmt.Sprintf("%s: each target with the fewest replicas at the least with which the hottest one stays within its safe %s, in a simulation of the autoscaler; the cheapest is chosen",
			name, quantity.Rate(trial.SafeRPS)),
		Columns: []Column{
			{Title: "Target", Right: true, Strong: true}, {Title: "At least", Right: true}, {Title: "Over the safe rate", Right: true},
			{Title: "Hottest replica", Right: true}, {Title: "Pod-hours", Right: true}, {Title: "Replicas", Right: true},
			{Title: "Up, down", Right: true}, {Title: "Turns", Right: true}, {Title: ""},
		},
	}
	for i, c := range trial.Candidates {
		row := Row{Cells: []string{
			trialTarget(c), strconv.Itoa(c.MinReplicas), trialOver(c), quantity.Percent(c.WorstLoad), quantity.Number(c.PodHours),
			fmt.Sprintf("%d\u00a0–\u00a0%d", c.LowestReplicas, c.HighestReplicas), fmt.Sprintf("%d, %d", c.ScaleUps, c.ScaleDowns), strconv.Itoa(c.DirectionChanges), "",
		}}
		last := &row.Cells[len(row.Cells)-1]
		switch {
		case i == trial.Chosen:
			row.Level, *last = Good, "chosen"
		case !c.Holds:
			row.Level, *last = Bad, "does not hold"
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// trialTarget writes a target in percent of the request, or as a rate per replica.
func trialTarget(c recommend.TrialCandidate) string {
	if c.TargetCPUUtilization > 0 {
		return strconv.Itoa(c.TargetCPUUtilization) + quantity.NoBreak + "%"
	}
	return quantity.Rate(c.RPSPerReplica)
}

func trialOver(c recommend.TrialCandidate) string {
	if c.OverSeconds == 0 {
		return "never"
	}
	return quantity.Duration(c.OverSeconds) + " (" + quantity.Percent(c.OverRatio) + ")"
}

// trialChart shows the replicas that there are beside those that would just do.
func trialChart(name string, trial *analysis.Trial) Series {
	s := Series{
		Title:   "Replicas of " + name + " in the simulation",
		Caption: "At the chosen setting. As long as the replicas are above what the load needs at the safe rate, the objective holds; the distance is what may be lost.",
		X:       Axis{Label: "time", Unit: "h"},
		Y:       Axis{Label: "replicas"},
	}
	there := Line{Name: "replicas", Color: colorFirst}
	needed := Line{Name: "load ÷ safe rate", Color: colorSecond}
	for _, m := range trial.Series {
		hours := m.Seconds / 3600
		there.Points = append(there.Points, Point{hours, float64(m.Replicas), math.NaN(), math.NaN()})
		if trial.SafeRPS > 0 {
			needed.Points = append(needed.Points, Point{hours, m.RPS / trial.SafeRPS, math.NaN(), math.NaN()})
		}
	}
	for _, line := range []Line{there, needed} {
		if len(line.Points) > 1 {
			s.Lines = append(s.Lines, line)
		}
	}
	return s
}

// signalText writes another metric to scale by as a setting.
func signalText(s analysis.Signal) string {
	threshold := quantity.Count(int64(s.ThresholdPerReplica)) + " in flight"
	if s.Metric == recommend.SignalRequests {
		threshold = quantity.Rate(s.ThresholdPerReplica)
	}
	return fmt.Sprintf("%d – %d at %s per replica", s.MinReplicas, s.MaxReplicas, threshold)
}
