// Package record owns the run directory: the files in which a run ends, and
// from which everything else is computed.
//
// It keeps facts only. What was sent, when, what came back and what it cost is
// here; whether that is good, valid or enough is said by package analysis.
// FORMAT.md beside this file documents every file to the last field, and a
// reader of this version opens every earlier version of the format.
//
//  1. A Writer appends to the files as the run goes, so that a killed run can
//     be read up to its last second.
//  2. Open reads a directory back as a Record: the Run, and one PhaseData for
//     each phase with its timeline, distributions and samples.
//
// All instants are durations since the run's anchor, one monotonic clock
// reading that is tied to the wall clock once (Run.StartedAt).
package record
