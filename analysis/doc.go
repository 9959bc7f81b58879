// Package analysis turns a record into a result, as pure functions of values.
//
//  1. Judge says whether a phase is a valid measurement, and why not.
//  2. Analyze judges every phase, fits the models to the valid ones, computes
//     the recommendation, and holds the prediction against the proof.
//
// It never sees a socket, a clock or a file.
package analysis
