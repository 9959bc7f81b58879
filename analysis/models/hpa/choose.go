package hpa

import (
	"cmp"
	"fmt"
	"slices"
)

// Search is which settings are tried.
type Search struct {
	Targets    []int     // percent of the CPU request
	RPS        []float64 // requests a second per replica, instead of targets
	Fewest     int       // the least minReplicas that is tried
	Most       int       // the largest one
	Max        int       // maxReplicas
	ShareOver  float64   // of the time that may be over the objective; 0: none
	Behavior   *Behavior
	SeriesSize int // moments of the series of the chosen setting
}

// Candidate is a target with the fewest minReplicas that keep the objective.
type Candidate struct {
	Setting
	Holds   bool // the objective, for all of the time that it has to
	Outcome Outcome
}

// Choice is what a search came to.
type Choice struct {
	Candidates []Candidate // rising by their targets
	Best       int         // index of the cheapest that holds; −1: none does
}

// Choose finds for each target the fewest minReplicas, of those to try, with which
// the hottest replica stays within its safe rate; a target that does not hold even
// with the most of them is shown with these. The cheapest by pod-hours wins, of
// equals the one that changes direction less often, then the lower target.
func (w World) Choose(s Search) (Choice, error) {
	if err := w.Check(); err != nil {
		return Choice{}, err
	}
	if s.Fewest < 1 || s.Most < s.Fewest || s.Max < s.Most {
		return Choice{}, fmt.Errorf("minReplicas from %d to %d and maxReplicas of %d", s.Fewest, s.Most, s.Max)
	}
	var settings []Setting
	for _, target := range slices.Sorted(slices.Values(s.Targets)) {
		settings = append(settings, Setting{Target: target, Max: s.Max, Behavior: s.Behavior})
	}
	for _, rps := range slices.Sorted(slices.Values(s.RPS)) {
		settings = append(settings, Setting{RPS: rps, Max: s.Max, Behavior: s.Behavior})
	}
	choice := Choice{Best: -1}
	bearable := s.ShareOver * w.Load[len(w.Load)-1].At.Seconds()
	for _, setting := range settings {
		choice.Candidates = append(choice.Candidates, w.fewest(setting, s, bearable))
	}
	for i, c := range choice.Candidates {
		if c.Holds && (choice.Best < 0 || cheaper(c.Outcome, choice.Candidates[choice.Best].Outcome)) {
			choice.Best = i
		}
	}
	if choice.Best >= 0 && s.SeriesSize > 0 {
		best := &choice.Candidates[choice.Best]
		best.Outcome = w.Simulate(best.Setting, s.SeriesSize)
	}
	return choice, nil
}

func cheaper(a, b Outcome) bool {
	return cmp.Or(cmp.Compare(a.PodHours, b.PodHours), cmp.Compare(a.Turns, b.Turns)) < 0
}

// fewest finds the fewest minReplicas for one setting by halving: what holds with
// some, holds with more.
func (w World) fewest(setting Setting, s Search, bearable float64) Candidate {
	try := func(n int) Candidate {
		setting.Min = n
		c := Candidate{Setting: setting, Outcome: w.simulate(setting, 0, bearable)}
		c.Holds = c.Outcome.OverSeconds <= bearable
		return c
	}
	most := try(s.Most)
	if !most.Holds {
		// It stopped where it failed; the table shows the whole.
		most.Outcome = w.Simulate(most.Setting, 0)
		return most
	}
	best, low := most, s.Fewest
	for low < best.Min {
		middle := (low + best.Min) / 2
		if c := try(middle); c.Holds {
			best = c
		} else {
			low = middle + 1
		}
	}
	return best
}
