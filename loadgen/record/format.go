package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sailplan-io/sailplan/scenarios"
)

// The files of a run directory.
const (
	runFile      = "run.json"
	latencyFile  = "latency.hlog"
	timelineFile = "timeline.jsonl"
	samplesFile  = "samples.jsonl"
	eventsFile   = "events.jsonl"
)

type plainRun Run

// runDocument is the content of run.json. The scenario is written and read apart
// from the rest: without its credentials, and leniently.
type runDocument struct {
	plainRun
	Scenario json.RawMessage `json:"scenario"`
	Phases   []Phase         `json:"phases"`
}

func encodeRun(run Run) ([]byte, error) {
	scenario, err := json.Marshal(withoutSecrets(run.Scenario))
	if err != nil {
		return nil, fmt.Errorf("writing the scenario as JSON: %w", err)
	}
	document := runDocument{plainRun: plainRun(run), Scenario: scenario, Phases: run.Phases}
	if document.Phases == nil {
		document.Phases = []Phase{}
	}
	if document.Components == nil {
		document.Components = []Component{}
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the run as JSON: %w", err)
	}
	return append(text, '\n'), nil
}

// decodeRun reads run.json. The warnings tell what could not be understood.
func decodeRun(text []byte) (run Run, warnings []string, err error) {
	var version struct {
		FormatVersion int `json:"formatVersion"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return Run{}, nil, fmt.Errorf("line %d: %w", errorLine(text, err), err)
	}
	switch {
	case version.FormatVersion < 1:
		return Run{}, nil, fmt.Errorf("no formatVersion: %w", ErrNotRun)
	case version.FormatVersion > FormatVersion:
		return Run{}, nil, fmt.Errorf("format version %d, and this program reads up to %d: %w",
			version.FormatVersion, FormatVersion, ErrNewer)
	}
	var document runDocument
	if err := json.Unmarshal(text, &document); err != nil {
		return Run{}, nil, fmt.Errorf("line %d: %w", errorLine(text, err), err)
	}
	run = Run(document.plainRun)
	run.Phases = document.Phases
	for i, phase := range run.Phases {
		if phase.Index != i {
			return Run{}, nil, fmt.Errorf("phase %d stands at place %d", phase.Index, i)
		}
	}
	if len(document.Scenario) == 0 {
		return run, []string{runFile + " has no scenario"}, nil
	}
	if err := json.Unmarshal(document.Scenario, &run.Scenario); err != nil {
		// Another version may have known keys that this one does not; the
		// numbers of the run are worth more than a strict reading.
		reason, _, _ := strings.Cut(err.Error(), "\n")
		warnings = append(warnings, fmt.Sprintf("the scenario of %s is not quite understood: %s", runFile, reason))
		run.Scenario = scenarios.Scenario{}
		if err := yaml.Unmarshal(document.Scenario, &run.Scenario); err != nil {
			return Run{}, nil, fmt.Errorf("scenario: %w", err)
		}
	}
	return run, warnings, nil
}

// errorLine returns the line, from 1, at which decoding text went wrong.
func errorLine(text []byte, err error) int {
	offset := int64(0)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	offset = min(max(offset, 0), int64(len(text)))
	return 1 + strings.Count(string(text[:offset]), "\n")
}
