// Package stat owns estimates and the statistics that make them: regression
// with intervals, bootstrap, quantiles that exist only with enough samples.
// What gonum has is used from there.
package stat
