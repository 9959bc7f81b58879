// Package experiment runs everything that needs a lab or several phases:
// preflight, lab, sampler, recorder, the sizing sweep with its blind search and
// proof, and the teardown on every way out.
//
// It holds loops only. Which rate comes next, when a system is warm, whether a
// phase is valid and what it means is decided in package analysis; an experiment
// ends in a run directory, and the answer is computed from that.
package experiment
