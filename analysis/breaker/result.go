package breaker

import (
	"fmt"
	"slices"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// Effective is a value of the policy as JSON has it.
type Effective struct {
	Value  any    `json:"value"`
	Source string `json:"source"`
}

// Report is what is known of a policy after its trials.
type Report struct {
	Host      string   `json:"host"`
	Subset    string   `json:"subset,omitempty"`
	Port      uint32   `json:"port,omitempty"`
	Endpoints int      `json:"endpoints"`
	Workers   int      `json:"workers"`
	Protocol  Protocol `json:"protocol"`
	Fast      bool     `json:"fast"`
	Envoy     string   `json:"envoy,omitempty"` // its version

	// Target is the running system that was tried; empty: a lab.
	Target string `json:"target,omitempty"`

	// Effective has the client's values by field, and the server's behind "server.".
	Effective map[string]Effective `json:"effective"`
	Trials    []Result             `json:"trials"`
	// Judgements hold the settings against a peak, Peak is that, and PeakRun the run that
	// it was read from; empty without one.
	Judgements []Result        `json:"judgements,omitempty"`
	Peak       []Given         `json:"peak,omitempty"`
	PeakRun    string          `json:"peakRun,omitempty"`
	Findings   []audit.Finding `json:"findings"`
	Notes      []string        `json:"notes,omitempty"`
	// Incomplete is why not all trials were made; empty as a rule.
	Incomplete string `json:"incomplete,omitempty"`

	Settings []Setting `json:"-"`
}

// serverPrefix begins the names of what holds at a sidecar.
const serverPrefix = "server."

// EffectiveOf returns the settings by the names under which JSON has them.
func EffectiveOf(settings []Setting) map[string]Effective {
	effective := make(map[string]Effective, len(settings))
	for _, s := range settings {
		name := s.Field
		if s.Side == Server {
			name = serverPrefix + name
		}
		effective[name] = Effective{s.Value, s.Source}
	}
	return effective
}

// Demonstrate names in the finding that nobody is ever ejected the trial that shows it.
func (r *Report) Demonstrate() {
	for i, f := range r.Findings {
		if f.Code != neverEjects {
			continue
		}
		at := slices.IndexFunc(r.Trials, func(t Result) bool { return t.Field == fieldPercent && t.Verdict == Fail })
		if at >= 0 {
			r.Findings[i].Message += fmt.Sprintf("; trial %d shows it: %s", at+1, r.Trials[at].Observed)
		}
	}
}

// Rules of the audit about the share of endpoints that may be ejected.
const (
	neverEjects = "SP011"
	mayEjectAll = "SP013"
)

// All returns trials and judgements.
func (r Report) All() []Result { return slices.Concat(r.Trials, r.Judgements) }

// Number returns how many trials and judgements came out so.
func (r Report) Number(v Verdict) int {
	n := 0
	for _, t := range r.All() {
		if t.Verdict == v {
			n++
		}
	}
	return n
}

// Outcome is the verdict over all trials and judgements: a failure counts before what
// could not be measured, or was not.
func (r Report) Outcome() Verdict {
	switch {
	case r.Number(Fail) > 0:
		return Fail
	case r.Number(NotMeasurable) > 0 || r.Incomplete != "":
		return NotMeasurable
	}
	return Pass
}

// Select returns the trials of a plan whose names or fields contain one of the
// words; all of them without words. A word that fits none is an error.
func Select(trials []Trial, words []string) ([]Trial, error) {
	if len(words) == 0 {
		return trials, nil
	}
	fits := func(t Trial, word string) bool { return contains(t.Name, word) || contains(t.Field, word) }
	var chosen []Trial
	for _, t := range trials {
		if slices.ContainsFunc(words, func(word string) bool { return fits(t, word) }) {
			chosen = append(chosen, t)
		}
	}
	for _, word := range words {
		if !slices.ContainsFunc(trials, func(t Trial) bool { return fits(t, word) }) {
			var names []string
			for _, t := range trials {
				names = append(names, t.Name)
			}
			return nil, fmt.Errorf("the policy calls for no trial of %q; it calls for %q", word, names)
		}
	}
	return chosen, nil
}
