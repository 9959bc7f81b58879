package cli

import (
	"fmt"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// openCalibration opens the run that a lab is calibrated by.
func openCalibration(dir string) (*record.Record, error) {
	rec, err := record.Open(dir)
	if err != nil {
		return nil, usage(fmt.Errorf("--calibrate: %w", err))
	}
	if rec.Evidence != record.EvidenceTarget {
		return nil, usage(fmt.Errorf("--calibrate %s: a run on a target of your own is needed, and its evidence is %q", dir, rec.Evidence))
	}
	return rec, nil
}

// needsLab is needsObjective for a sizing that is calibrated.
func needsLab(s scenarios.Scenario) error {
	if s.Lab == nil {
		return fmt.Errorf("scenario %s: --calibrate rescales what a lab costs, and this drives a target, which needs no calibration", s.Metadata.Name)
	}
	return needsObjective(s)
}
